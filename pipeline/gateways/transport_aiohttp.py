"""Transport over aiohttp: slow to import, and fast with many connections."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import cache
from urllib.parse import urlsplit

import aiohttp

from pipeline.gateways.types import HttpRequest, HttpResponse, Transport

_MAX_HEADER = 64 * 1024
_READ_BUFFER = 256 * 1024
_LOOP_TURNS = 2


class AiohttpTransport:
    """A transport for many scopes; create it inside the event loop."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._headers = dict(headers)
        self._sessions: dict[bool, aiohttp.ClientSession] = {}
        self._malformed: set[str] = set()
        self._fallback: Transport | None = None

    @asynccontextmanager
    async def send(
        self, request: HttpRequest, url: str, *, read_timeout: float
    ) -> AsyncIterator[HttpResponse]:
        """Send a request; see `Transport.send`."""
        if self._malformed and urlsplit(url).netloc in self._malformed:
            async with self._lenient_transport().send(request, url, read_timeout=read_timeout) as answer:
                yield answer
            return
        # Let the event loop notice connections that the server closed after its last response:
        # https://github.com/aio-libs/aiohttp/issues/4549
        for _ in range(_LOOP_TURNS):
            await asyncio.sleep(0)
        try:
            async with self._session(url).request(
                request.method,
                url,
                headers=request.headers,
                json=request.json,
                timeout=_timeout(read_timeout),
                allow_redirects=False,
            ) as response:
                headers = _headers(response)
                cookies = response.headers.getall("Set-Cookie", [])
                yield HttpResponse(response.status, headers, cookies, response.content.iter_any())
        except TimeoutError as error:
            raise TimeoutError from error
        except aiohttp.InvalidURL as error:
            raise ValueError(error.description or "the URL is invalid") from error
        except aiohttp.ClientResponseError as error:
            # aiohttp rejects some responses that httpx accepts, so httpx makes the next attempt. Example:
            # a repeated Content-Length, see https://github.com/aio-libs/aiohttp/pull/12389
            self._malformed.add(urlsplit(url).netloc)
            raise ConnectionError(_reason(error)) from error
        except (aiohttp.ClientError, OSError) as error:
            raise ConnectionError(_reason(error)) from error

    def _lenient_transport(self) -> Transport:
        from pipeline.gateways.transport_httpx import HttpxTransport

        if self._fallback is None:
            self._fallback = HttpxTransport(self._headers, proxies={})
        return self._fallback

    def _session(self, url: str) -> aiohttp.ClientSession:
        # Loading certificates takes as long as fetching a hundred scopes, so plain HTTP does without.
        secure = not url.startswith("http://")
        if secure not in self._sessions:
            self._sessions[secure] = self._new_session(secure=secure)
        return self._sessions[secure]

    def _new_session(self, *, secure: bool) -> aiohttp.ClientSession:
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=_certificates() if secure else True),
            headers=self._headers,
            # One scope's session cookie must never travel with another scope's request:
            # https://docs.aiohttp.org/en/stable/client_reference.html#aiohttp.DummyCookieJar
            cookie_jar=aiohttp.DummyCookieJar(),
            # Decompression has to be bounded: https://github.com/aio-libs/aiohttp/issues/8248
            auto_decompress=False,
            max_line_size=_MAX_HEADER,
            max_field_size=_MAX_HEADER,
            read_bufsize=_READ_BUFFER,
        )
        # The client counts its attempts, and aiohttp's hidden retry has no public switch:
        # https://github.com/aio-libs/aiohttp/issues/10790
        session._retry_connection = False  # noqa: SLF001 - a test checks that it works
        return session

    async def aclose(self) -> None:
        """Close every connection."""
        for session in self._sessions.values():
            await session.close()
        if self._fallback:
            await self._fallback.aclose()


@cache
def _timeout(seconds: float) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(connect=seconds, sock_connect=seconds, sock_read=seconds)


def _certificates() -> ssl.SSLContext:
    from pipeline.gateways.transport_httpx import load_certificates

    return load_certificates()


def _headers(response: aiohttp.ClientResponse) -> dict[str, str]:
    """Return the headers by lower-case name; repeated ones are joined.

    See https://www.rfc-editor.org/rfc/rfc9110#section-5.3.
    """
    return {
        name.lower(): ", ".join(map(_as_text, response.headers.getall(name))) for name in response.headers
    }


def _as_text(value: str) -> str:
    """Return a header value with bytes that are not UTF-8 read as Latin-1, as httpx reads them."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return value.encode("utf-8", "surrogateescape").decode("latin-1")
    return value


def _reason(error: aiohttp.ClientError | OSError) -> str:
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return str(error.certificate_error)
        case aiohttp.ClientConnectorError():
            return error.os_error.strerror or str(error.os_error)
        case aiohttp.ClientResponseError():
            return error.message or type(error).__name__
        case _:
            return str(error) or type(error).__name__
