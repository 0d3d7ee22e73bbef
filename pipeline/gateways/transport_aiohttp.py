"""aiohttp's connections, which keep their pace when there are many."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import aiohttp

from pipeline.gateways.types import HttpRequest, HttpResponse, Transport

_LONGEST_HEADER = 64 * 1024


_READ_AT_ONCE = 256 * 1024


_TURNS = 2


class AiohttpTransport:
    """Connections for many scopes; made inside the event loop."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._headers = dict(headers)
        self._sessions: dict[bool, aiohttp.ClientSession] = {}
        self._odd: set[str] = set()
        self._narrow: Transport | None = None

    @asynccontextmanager
    async def ask(self, question: HttpRequest, url: str, *, patience: float) -> AsyncIterator[HttpResponse]:
        """Ask a question at an address; see `Connections.ask`."""
        if urlsplit(url).netloc in self._odd:
            async with self._leniently().ask(question, url, patience=patience) as answer:
                yield answer
            return
        timeout = aiohttp.ClientTimeout(connect=patience, sock_connect=patience, sock_read=patience)
        # The loop must turn before it sees that the server has closed a connection behind its last answer.
        for _ in range(_TURNS):
            await asyncio.sleep(0)
        try:
            async with self._session(url).request(
                question.method,
                url,
                headers=question.headers,
                json=question.json,
                timeout=timeout,
                allow_redirects=False,
            ) as response:
                headers = _headers(response)
                cookies = response.headers.getall("Set-Cookie", [])
                yield HttpResponse(response.status, headers, cookies, response.content.iter_any())
        except TimeoutError as error:
            raise TimeoutError from error
        except aiohttp.InvalidURL as error:
            raise ValueError(f"{error.description or 'it is no address'}") from error
        except aiohttp.ClientResponseError as error:
            # This parser is strict: the next attempt at such a server is read by a more lenient one.
            self._odd.add(urlsplit(url).netloc)
            raise ConnectionError(_reason(error)) from error
        except (aiohttp.ClientError, OSError) as error:
            raise ConnectionError(_reason(error)) from error

    def _leniently(self) -> Transport:
        from pipeline.gateways.transport_httpx import HttpxTransport

        if self._narrow is None:
            self._narrow = HttpxTransport(self._headers, proxies=False)
        return self._narrow

    def _session(self, url: str) -> aiohttp.ClientSession:
        # To read the machine's certificates takes as long as to ask a hundred scopes.
        secure = not url.startswith("http://")
        if secure not in self._sessions:
            self._sessions[secure] = self._connected(secure=secure)
        return self._sessions[secure]

    def _connected(self, *, secure: bool) -> aiohttp.ClientSession:
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=_certificates() if secure else True),
            headers=self._headers,
            # One scope's session cookie must never travel with another scope's request.
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            max_line_size=_LONGEST_HEADER,
            max_field_size=_LONGEST_HEADER,
            read_bufsize=_READ_AT_ONCE,
        )
        # Attempts are counted by who asks; a second one of its own would be one too many.
        session._retry_connection = False  # noqa: SLF001 - there is no public switch; a test holds it
        return session

    async def aclose(self) -> None:
        """Close every connection."""
        for session in self._sessions.values():
            await session.close()
        if self._narrow:
            await self._narrow.aclose()


def _certificates() -> ssl.SSLContext:
    from pipeline.gateways.transport_httpx import certificates

    return certificates()


def _headers(response: aiohttp.ClientResponse) -> dict[str, str]:
    """Give what the headers say: those of one name in one line, and what is no Unicode as Latin-1."""
    return {
        name.lower(): ", ".join(map(_legible, response.headers.getall(name))) for name in response.headers
    }


def _legible(value: str) -> str:
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
