"""The HTTP client of deliveries and pings, with the proxies and certificates of the environment."""

from __future__ import annotations

import ssl
from urllib.request import getproxies

import httpx

from pipeline.core.network import require_certificates, tls_problem
from pipeline.core.proxies import proxy_of

PLAIN = {"Accept-Encoding": "identity"}
"""The header that asks for an answer as it is; see `beginning`."""


class UnusableEnvironment(Exception):  # noqa: N818 - named for what it is
    """A variable of the environment, which the message names, allows no connection."""


def client_for(url: str, timeout: float) -> httpx.Client:
    """Return a client for requests to one URL; it follows no redirects.

    Raises:
        UnusableEnvironment: the proxy, or a file for TLS, that the environment names cannot be used.
    """
    try:
        proxy = proxy_of(url, getproxies())
        is_plain = proxy is None and url.lower().startswith("http://")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if not is_plain:
            context = require_certificates(httpx.create_ssl_context())
    except OSError as error:
        raise UnusableEnvironment(tls_problem(error)) from error
    except ValueError as error:
        raise UnusableEnvironment(str(error)) from error
    try:
        return httpx.Client(
            timeout=timeout, follow_redirects=False, verify=context, proxy=proxy, trust_env=False
        )
    except (ImportError, ValueError, httpx.InvalidURL) as error:
        raise UnusableEnvironment(f"the proxy of the environment cannot be used: {error}") from error


def beginning(response: httpx.Response, limit: int) -> bytes:
    """Return the first bytes of a body; nothing of an encoded one: decoded, a few bytes may take gigabytes.

    Raises:
        httpx.HTTPError: the body cannot be read.
    """
    body = b""
    if response.headers.get("content-encoding", "identity").strip().lower() in ("", "identity"):
        for chunk in response.iter_raw():
            body += chunk
            if len(body) >= limit:
                break
    return body[:limit]
