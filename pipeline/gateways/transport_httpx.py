"""httpx's own connections: quick to load, and they know about proxies."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from http.cookiejar import CookieJar, DefaultCookiePolicy

import httpx

from pipeline.errors import Unreachable
from pipeline.gateways.types import HttpRequest, HttpResponse


class HttpxTransport:
    """Connections for a few scopes, or through a proxy that the environment names."""

    def __init__(self, headers: Mapping[str, str], *, proxies: bool) -> None:
        self._headers = dict(headers)
        self._proxies = proxies
        self._clients: dict[bool, httpx.AsyncClient] = {}

    @asynccontextmanager
    async def ask(self, question: HttpRequest, url: str, *, patience: float) -> AsyncIterator[HttpResponse]:
        """Ask a question at an address; see `Connections.ask`."""
        try:
            async with self._client(url).stream(
                question.method, url, headers=question.headers, json=question.json, timeout=patience
            ) as response:
                assert isinstance(response.stream, httpx.AsyncByteStream)
                headers = response.headers
                yield HttpResponse(
                    response.status_code, headers, headers.get_list("set-cookie"), response.stream
                )
        except httpx.TimeoutException as error:
            raise TimeoutError from error
        except httpx.TransportError as error:
            raise ConnectionError(str(error) or type(error).__name__) from error
        except httpx.InvalidURL as error:
            raise ValueError(str(error)) from error

    def _client(self, url: str) -> httpx.AsyncClient:
        # To read the machine's certificates takes as long as all the rest of a short run.
        secure = self._proxies or not url.startswith("http://")
        if secure not in self._clients:
            self._clients[secure] = self._connected(secure=secure)
        return self._clients[secure]

    def _connected(self, *, secure: bool) -> httpx.AsyncClient:
        try:
            return httpx.AsyncClient(
                verify=certificates() if secure else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
                headers=self._headers,
                # One scope's session cookie must never travel with another scope's request.
                cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
                limits=httpx.Limits(max_connections=None, max_keepalive_connections=64),
                follow_redirects=False,
            )
        except ValueError as error:
            raise Unreachable(f"a proxy variable of the environment cannot be used: {error}") from error

    async def aclose(self) -> None:
        """Close every connection."""
        for client in self._clients.values():
            await client.aclose()


def certificates() -> ssl.SSLContext:
    """Read the certificates to trust: those that httpx brings, or what the environment names.

    Raises:
        Unreachable: the environment names some that cannot be read.
    """
    try:
        return httpx.create_ssl_context()
    except OSError as error:
        raise Unreachable(
            f"the certificates of SSL_CERT_FILE or SSL_CERT_DIR cannot be used: {error}"
        ) from error
