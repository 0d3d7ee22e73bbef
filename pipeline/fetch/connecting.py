"""The HTTP clients: httpx's own connections, or wider ones where many scopes are asked at once."""

from __future__ import annotations

import ssl
from http.cookiejar import CookieJar, DefaultCookiePolicy
from urllib.request import getproxies

import httpx

from pipeline.errors import Unreachable
from pipeline.fetch.unpack import ACCEPTED


class Clients:
    """Gives the client that asks at an address, made when it is first needed, inside the event loop.

    Args:
        user_agent: how the program introduces itself.
        wide: there will be many requests at once; proxies are httpx's business all the same.
    """

    def __init__(self, user_agent: str, *, wide: bool) -> None:
        self._user_agent = user_agent
        self._proxies = bool(getproxies())
        self._wide = wide and not self._proxies
        self._clients: dict[bool, httpx.AsyncClient] = {}

    def __call__(self, url: str) -> httpx.AsyncClient:
        """Give the client for an address.

        Raises:
            Unreachable: the environment does not let one be made.
        """
        # To read the machine's certificates takes as long as a run over a small fleet: not for plain HTTP.
        secure = self._proxies or not url.startswith("http://")
        if secure not in self._clients:
            self._clients[secure] = self._client(secure=secure)
        return self._clients[secure]

    def _client(self, *, secure: bool) -> httpx.AsyncClient:
        try:
            tls = httpx.create_ssl_context() if secure else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            return httpx.AsyncClient(
                transport=_wide(tls) if self._wide else None,
                verify=tls,
                headers={
                    "User-Agent": self._user_agent,
                    "Accept": "application/json",
                    "Accept-Encoding": ACCEPTED,
                },
                # One scope's session cookie must never travel with another scope's request.
                cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
                limits=httpx.Limits(max_connections=None, max_keepalive_connections=64),
                follow_redirects=False,
            )
        except ValueError as error:
            raise Unreachable(f"a proxy variable of the environment cannot be used: {error}") from error
        except OSError as error:
            raise Unreachable(
                f"the certificates of SSL_CERT_FILE or SSL_CERT_DIR cannot be used: {error}"
            ) from error

    async def aclose(self) -> None:
        """Close every connection."""
        for client in self._clients.values():
            await client.aclose()


def _wide(tls: ssl.SSLContext) -> httpx.AsyncBaseTransport:
    from pipeline.fetch.wide import WideTransport

    return WideTransport(tls)
