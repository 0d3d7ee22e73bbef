"""Make the HTTP client: httpx's own connections, or wider ones where many scopes are asked at once."""

from __future__ import annotations

from http.cookiejar import CookieJar, DefaultCookiePolicy
from urllib.request import getproxies

import httpx

from pipeline.errors import Unreachable
from pipeline.fetch.unpack import ACCEPTED


def client(user_agent: str, *, wide: bool) -> httpx.AsyncClient | Unreachable:
    """Make the client, inside the event loop.

    Where the environment does not let it be made, gives why each scope fails.

    Args:
        user_agent: how the program introduces itself.
        wide: there will be many requests at once; proxies are httpx's business all the same.
    """
    try:
        return httpx.AsyncClient(
            transport=_wide() if wide and not getproxies() else None,
            headers={"User-Agent": user_agent, "Accept": "application/json", "Accept-Encoding": ACCEPTED},
            # One scope's session cookie must never travel with another scope's request.
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=64),
            follow_redirects=False,
        )
    except ValueError as error:
        return Unreachable(f"a proxy variable of the environment cannot be used: {error}")
    except OSError as error:
        return Unreachable(f"the certificates of SSL_CERT_FILE or SSL_CERT_DIR cannot be used: {error}")


def _wide() -> httpx.AsyncBaseTransport:
    from pipeline.fetch.wide import WideTransport

    return WideTransport(httpx.create_ssl_context())
