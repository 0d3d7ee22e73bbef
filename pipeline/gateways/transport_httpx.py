"""Transport over httpx: quick to import, and with support for proxies."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import httpx

from pipeline.core.network import ProxiedConnectionError, require_certificates, tls_problem
from pipeline.core.proxies import proxy_of
from pipeline.errors import Unreachable
from pipeline.gateways.types import HttpRequest, HttpResponse


class HttpxTransport:
    """A transport for few scopes, or for the proxies that the environment names; see `proxy_of`."""

    def __init__(self, headers: Mapping[str, str], *, proxies: Mapping[str, str]) -> None:
        self._headers = dict(headers)
        self._proxies = proxies
        self._clients: dict[tuple[bool, str | None], httpx.AsyncClient] = {}

    @asynccontextmanager
    async def send(
        self, request: HttpRequest, url: str, *, read_timeout: float
    ) -> AsyncIterator[HttpResponse]:
        """Send a request; see `Transport.send`."""
        opened: list[Any] = []

        async def trace(event: str, info: Mapping[str, Any]) -> None:
            # See https://www.encode.io/httpcore/extensions/#trace.
            if event.endswith(".connect_tcp.complete"):
                opened.append(info["return_value"])

        try:
            async with self._client(url).stream(
                request.method,
                url,
                headers=request.headers,
                json=request.json,
                timeout=read_timeout,
                extensions={"trace": trace},
            ) as response:
                # The raw stream: `aiter_bytes` decodes a whole chunk at once, whatever its decoded size.
                assert isinstance(response.stream, httpx.AsyncByteStream)
                headers = response.headers
                yield HttpResponse(
                    response.status_code, headers, headers.get_list("set-cookie"), response.stream
                )
        except asyncio.CancelledError:
            # httpcore leaves a connection open whose TLS handshake is cancelled: `AnyIOStream.start_tls` of
            # https://github.com/encode/httpcore/blob/1.0.9/httpcore/_backends/anyio.py
            for stream in opened:
                await stream.aclose()
            raise
        except httpx.TimeoutException as error:
            raise TimeoutError from error
        except httpx.TransportError as error:
            failed = ProxiedConnectionError if proxy_of(url, self._proxies) else ConnectionError
            raise failed(str(error) or type(error).__name__) from error
        except httpx.InvalidURL as error:
            raise ValueError(str(error)) from error

    def _client(self, url: str) -> httpx.AsyncClient:
        # Loading certificates takes as long as the rest of a short run, so plain HTTP does without:
        # https://github.com/encode/httpx/issues/3627
        try:
            proxy = proxy_of(url, self._proxies)
        except ValueError as error:
            raise Unreachable(str(error)) from error
        key = (proxy is not None or not url.startswith("http://"), proxy)
        if key not in self._clients:
            try:
                self._clients[key] = self._new_client(*key)
            except (ImportError, ValueError, httpx.InvalidURL) as error:
                raise Unreachable(f"the proxy of the environment cannot be used: {error}") from error
        return self._clients[key]

    def _new_client(self, secure: bool, proxy: str | None) -> httpx.AsyncClient:  # noqa: FBT001 - a key
        return httpx.AsyncClient(
            verify=load_certificates() if secure else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
            headers=self._headers,
            # One scope's session cookie must never travel with another scope's request; no public switch:
            # https://github.com/encode/httpx/issues/2992
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=64),
            follow_redirects=False,
            proxy=proxy,
            trust_env=False,
        )

    async def aclose(self) -> None:
        """Close every connection."""
        for client in self._clients.values():
            await client.aclose()


def load_certificates() -> ssl.SSLContext:
    """Return a TLS context with httpx's certificates, or those that the environment names.

    See https://www.python-httpx.org/advanced/ssl/.

    Raises:
        Unreachable: a file that the environment names cannot be used.
    """
    try:
        return require_certificates(httpx.create_ssl_context())
    except OSError as error:
        raise Unreachable(tls_problem(error)) from error
