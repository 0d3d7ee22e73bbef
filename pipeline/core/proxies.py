"""The proxy of a request, by the variables of the environment that `urllib.request.getproxies` returns."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

_SCHEMES = ("http", "https", "socks5", "socks5h")
_PORTS = {"http": 80, "https": 443}
_BRACKETS = re.compile(r"\[([^\[\]]*)\](/\d+)?\Z")
_NAME = re.compile(r"(?:\*?\.)?([^\s*:/\[\]%,]+)")


def proxy_of(url: str, proxies: Mapping[str, str]) -> str | None:
    """Return the address of the proxy for a URL; None to ask directly.

    `NO_PROXY` may have names with their subdomains, addresses and networks of both families, each with a
    port, and `*`. Its other entries are skipped: see `skipped_exceptions`. There is no standard:
    https://about.gitlab.com/blog/we-need-to-talk-no-proxy/.

    Args:
        url: the address to ask.
        proxies: by scheme; `all` for each scheme, `no` for the text of `NO_PROXY`.

    Raises:
        ValueError: the variable for this URL is no address of a proxy; the message names it, and not its
            value, which may have a password.
    """
    scheme = urlsplit(url).scheme
    name = next((name for name in (scheme, "all") if proxies.get(name, "").strip()), None)
    if name is None or any(_matches(each, url) for each in _exceptions(proxies)):
        return None
    value = proxies[name].strip()
    proxy = value if "://" in value else f"http://{value}"
    try:
        parts = urlsplit(proxy)
        is_valid = parts.scheme in _SCHEMES and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_valid = False
    if not is_valid:
        variable = f"{name.upper()}_PROXY"
        raise ValueError(f"{variable} in the environment is no proxy: write http://HOST:PORT, or unset it")
    return proxy


def skipped_exceptions(proxies: Mapping[str, str]) -> list[str]:
    """Return the entries of `NO_PROXY` that are neither a name, an address, a network nor `*`."""
    return [each for each in _exceptions(proxies) if each != "*" and _parse(each) is None]


def _exceptions(proxies: Mapping[str, str]) -> Iterator[str]:
    return filter(None, map(str.strip, proxies.get("no", "").split(",")))


def _matches(exception: str, url: str) -> bool:
    if exception == "*":
        return True
    parsed = _parse(exception)
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".")
    if parsed is None:
        return False
    scheme, place, port = parsed
    if scheme not in ("", parts.scheme) or port not in (None, parts.port or _PORTS.get(parts.scheme)):
        return False
    if isinstance(place, str):
        return host == place or host.endswith(f".{place}")
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return address in place


def _parse(exception: str) -> tuple[str, str | IPv4Network | IPv6Network, int | None] | None:
    """Return the scheme, the name or network, and the port of an entry; None for one without meaning."""
    scheme, _, place = exception.rpartition("://")
    for text, port in ((place, ""), place.rpartition(":")[::2]):
        if port and not (port.isascii() and port.isdecimal() and int(port) <= 65535):  # noqa: PLR2004 - ports
            return None
        number = int(port) if port else None
        try:
            return scheme, ip_network(_BRACKETS.sub(r"\1\2", text), strict=False), number
        except ValueError:
            pass
        if found := _NAME.fullmatch(text):
            return scheme, found[1].lower().rstrip("."), number
    return None
