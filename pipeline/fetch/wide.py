"""A transport that keeps its pace with many connections: aiohttp's, behind httpx's interface."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import aiohttp
import httpx
from yarl import URL

_LONGEST_HEADER = 64 * 1024
_READ_AT_ONCE = 256 * 1024


class WideTransport(httpx.AsyncBaseTransport):
    """Sends httpx's requests over aiohttp's connections; made inside the event loop.

    Cookies, redirects, proxies and compression are none of its business.
    """

    def __init__(self, tls: ssl.SSLContext) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=tls),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
            max_line_size=_LONGEST_HEADER,
            max_field_size=_LONGEST_HEADER,
            read_bufsize=_READ_AT_ONCE,
        )
        # Attempts are counted by who asks; a second one of its own would be one too many.
        self._session._retry_connection = False  # noqa: SLF001 - there is no public switch; a test holds it

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request; gives its answer with the body still to come."""
        patience = request.extensions.get("timeout", {})
        with _translated():
            response = await self._session.request(
                request.method,
                URL(str(request.url), encoded=True),
                headers=request.headers.multi_items(),
                data=request.content or None,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(
                    sock_connect=patience.get("connect"), sock_read=patience.get("read")
                ),
            )
        return httpx.Response(response.status, headers=response.raw_headers, stream=_Body(response))

    async def aclose(self) -> None:
        """Close every connection."""
        await self._session.close()


class _Body(httpx.AsyncByteStream):
    """A body as it arrives; its connection is free again when it has been read to the end."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _translated():
            async for piece in self._response.content.iter_any():
                yield piece

    async def aclose(self) -> None:
        # What was not read to the end is not waited for.
        if self._response.content.at_eof():
            self._response.release()
        else:
            self._response.close()


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except aiohttp.InvalidURL as error:
        raise httpx.UnsupportedProtocol(f"the address cannot be used: {error}") from error
    except TimeoutError as error:
        raise httpx.ReadTimeout("no answer in time") from error
    except aiohttp.ServerDisconnectedError as error:
        raise httpx.RemoteProtocolError("Server disconnected without sending a response.") from error
    except aiohttp.ClientPayloadError as error:
        raise httpx.RemoteProtocolError("the answer ends before it is complete") from error
    except aiohttp.ClientConnectorError as error:
        raise httpx.ConnectError(error.strerror or str(error.os_error)) from error
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise httpx.ReadError(str(error)) from error
