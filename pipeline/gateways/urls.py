"""URLs of a gateway: the list below its base, its root, redirects within it, and a form fit for messages."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from functools import lru_cache
from urllib.parse import parse_qsl, unquote_plus, urlencode, urlsplit

from pipeline.core.masking import MASK

_VERSION = re.compile(r"^v\d+[a-z0-9]*$")


@lru_cache(64)
def list_url(base: str, path: str, *, own: bool = False) -> str:
    """Join a gateway's base and the path of a list.

    The base may end anywhere in the path: `https://host`, `…/v1` and `…/v1/models` give the same URL.
    A version in the base (`…/api/v3`) replaces that of the path.

    Args:
        base: the `url` of the gateway.
        path: of its dialect, or that of the config.
        own: it is that of the config, which counts more than the end or the version of the base.
    """
    base = base.rstrip("/")
    segments = path.strip("/").split("/")
    if base.endswith("/models") and segments[-1] == "models" and segments[:2] != ["api", "user"] and not own:
        return base
    base = base.removesuffix("/models")
    if segments[0] == "api" and _VERSION.match(base.rpartition("/")[2]):
        # The API of the dashboard is beside the versions of the model API, not below one of them.
        base = root_url(base)
    base_segments = urlsplit(base).path.strip("/").split("/")
    for shared in range(min(len(segments), len(base_segments)), 0, -1):
        if base_segments[-shared:] == segments[:shared]:
            return "/".join([base, *segments[shared:]])
    if _VERSION.match(segments[0]) and _VERSION.match(base_segments[-1]):
        if own:
            base = root_url(base)
        else:
            segments = segments[1:]
    return "/".join([base, *segments])


def root_url(base: str) -> str:
    """Return a gateway's base without `/models` and without a version."""
    base = base.rstrip("/").removesuffix("/models")
    head, _, last = base.rpartition("/")
    return head if _VERSION.match(last) else base


def is_same_gateway(url: str, target: str) -> bool:
    """Return whether credentials for a URL may be sent to another.

    They may stay on the same host and port; the scheme may only rise from http to https, at default ports.
    """
    old, new = urlsplit(url), urlsplit(target)
    upgrade = (old.scheme, new.scheme) == ("http", "https") and old.port is None and new.port is None
    same_origin = (old.scheme, old.port) == (new.scheme, new.port)
    return old.hostname == new.hostname and (same_origin or upgrade)


def same_page(one: str, other: str) -> bool:
    """Return whether two URLs mean one page: the same host, path and parameters, in any order.

    A parameter that is masked in one of them does not count.
    """
    masked = masked_params(one) | masked_params(other)
    return _page_of(one, masked) == _page_of(other, masked)


def _page_of(url: str, masked: frozenset[str]) -> tuple[str, str, list[tuple[str, str]]]:
    parts = urlsplit(url)
    params = parse_qsl(parts.query, keep_blank_values=True)
    counted = sorted(param for param in params if param[0] not in masked)
    return parts.netloc.lower(), parts.path.rstrip("/"), counted


def masked_params(url: str) -> frozenset[str]:
    """Return the names of the query parameters whose value is masked."""
    return frozenset(name for name, value in parse_qsl(urlsplit(url).query) if value == MASK)


def with_params(url: str, params: Sequence[tuple[str, str]]) -> str:
    """Return a URL with query parameters, in place of those of the same names."""
    if not params:
        return url
    parts = urlsplit(without_params(url, {name for name, _ in params}))
    query = "&".join(filter(None, (parts.query, urlencode(params))))
    return parts._replace(query=query).geturl()


def without_params(url: str, names: Collection[str]) -> str:
    """Return a URL without the query parameters of these names; the others stay as they are written."""
    parts = urlsplit(url)
    if not names or not parts.query:
        return url
    kept = (each for each in parts.query.split("&") if unquote_plus(each.partition("=")[0]) not in names)
    return parts._replace(query="&".join(kept)).geturl()


def without_user(url: str) -> str:
    """Return a URL without user and password, which httpx and aiohttp would send in place of the scope's."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def origin(url: str) -> str:
    """Return scheme, host and port of a URL."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}" + (f":{parts.port}" if parts.port else "")


def without_query(url: str) -> str:
    """Return a URL as messages show it: without user, query and fragment, which may hold secrets."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
