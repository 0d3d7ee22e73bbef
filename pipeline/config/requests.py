"""The settings of requests, of a gateway or a scope: path, headers, parameters, place of the key, body."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime, time
from typing import Any
from urllib.parse import parse_qsl

from msgspec.structs import replace

from pipeline.config.toml import HEADER_NAME, SECRET_HEADER, Table, reference_required
from pipeline.core import canonical
from pipeline.core.types import Overrides, Pairs, is_reference

REQUEST_KEYS = frozenset(
    {"path", "method", "body", "headers", "params", "key_header", "key_scheme", "key_param"}
)
"""The keys of a gateway, or a scope, about its requests."""

_RESERVED = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-encoding",
        "content-length",
        "expect",
        "host",
        "if-modified-since",
        "if-none-match",
        "keep-alive",
        "proxy-connection",
        "range",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""The headers that the client sets, or that would change how an answer is sent."""

_SECRET_PARAM = re.compile(
    r"(?:^|[-_.])(?:key|apikey|token|secret|passw(?:or)?d|auth|credentials?|sig|signature)$", re.IGNORECASE
)
"""The end of the name of a query parameter whose value is a secret."""

_LOOKS_SECRET = re.compile(r"^(?:(?:bearer|basic|token)\s|(?:sk|pk|key|sess)-\S{6})", re.IGNORECASE)


def parse_request(table: Table, inherited: Overrides) -> Overrides:
    """Return overrides with the settings of requests in a table.

    Args:
        table: of a gateway or a scope.
        inherited: the other overrides; for a scope, those of its gateway.

    Raises:
        ConfigError: names the line; never shows a value that may be a secret.
    """
    own = inherited
    if "key_param" in table:
        own = replace(own, key_header=None, key_scheme=None)
    elif "key_header" in table or "key_scheme" in table:
        own = replace(own, key_param=None)
    return replace(
        own,
        path=_path(table) or own.path,
        body=_body(table, own.body),
        headers=_joined(own.headers, _headers(table.table("headers")), str.lower),
        params=_joined(own.params, _params(table.table("params"))),
        key_header=_key_header(table) or own.key_header,
        key_scheme=_key_scheme(table) or own.key_scheme,
        key_param=_key_param(table) or own.key_param,
    )


def check_headers(table: Table, own: Overrides, taken: frozenset[str]) -> None:
    """Reject headers of a scope that its credential sets; `taken` are their names in lower case."""
    for name, _ in own.headers:
        if name.lower() in taken:
            table.fail(f"the credential of this scope sets the header {name}: remove it from `headers`")


def check_key_param(table: Table, own: Overrides) -> None:
    """Reject a query parameter for the key of a scope that another setting sends, too."""
    name = own.key_param
    if name is None:
        return
    query = parse_qsl((own.path or "").partition("?")[2], keep_blank_values=True)
    others: dict[str, list[str | None]] = {
        "params": [param for param, _ in own.params],
        "path": [param for param, _ in query],
        "paging": [] if own.body else [dict(own.paging).get("param")],
    }
    for setting, names in others.items():
        if name in names:
            table.fail(f"`key_param` and `{setting}` have the same parameter {name!r}: keep one of them")


def _path(table: Table) -> str | None:
    path = table.text("path")
    if path is None:
        return None
    if "://" in path:
        table.fail("is below `url`: write e.g. `/catalog/models`", "path")
    if "#" in path or not path.isprintable() or " " in path:
        table.fail("must have no space and no `#…`: write e.g. `/models?type=chat`", "path")
    for name, _ in parse_qsl(path.partition("?")[2], keep_blank_values=True):
        if _SECRET_PARAM.search(name):
            table.fail(f"has a secret at {name!r}: set `key_param`, or `params` with a reference", "path")
    return path


def _body(table: Table, inherited: str | None) -> str | None:
    method = table.choice("method", ("GET", "POST"), "GET" if inherited is None else "POST")
    if "body" not in table:
        return (inherited or "{}") if method == "POST" else None
    if method == "GET":
        table.fail('needs `method = "POST"` beside it', "body")
    return canonical.encode(_json(table, table.table("body").values))


def _json(table: Table, value: Any) -> Any:
    match value:
        case dict():
            return {name: _json(table, inner) for name, inner in value.items()}
        case list():
            return [_json(table, inner) for inner in value]
        case datetime() | date() | time():
            table.fail("has a date, which JSON has not: write it in quotes", "body")
        case str() if is_reference(value):
            table.fail("can hold no secret: write it to `headers` or `params`", "body")
        case float() if not abs(value) < float("inf"):
            table.fail("has a number that JSON has not", "body")
    return value


def _headers(table: Table) -> Pairs:
    found: dict[str, tuple[str, str]] = {}
    for name in table.values:
        if not HEADER_NAME.fullmatch(name):
            table.fail("is no name of a header: use letters, digits and `-`", name)
        if name.lower() in _RESERVED:
            table.fail("is set by modelwatch: remove it", name)
        if name.lower() in found:
            table.fail("is the same header as another line: remove one", name)
        value = _value(table, name, SECRET_HEADER)
        if not is_reference(value) and not (value.isascii() and value.isprintable()):
            table.fail("has characters that no HTTP header can carry: use printable ASCII", name)
        found[name.lower()] = (name, value)
    return tuple(found.values())


def _params(table: Table) -> Pairs:
    return tuple((name, _value(table, name, _SECRET_PARAM)) for name in table.values)


def _value(table: Table, name: str, secret_name: re.Pattern[str]) -> str:
    """Return a value as a text; one that is a secret, or has the name of one, must be a reference."""
    value = table.values[name]
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value)
    text = table.text(name) or ""
    if not is_reference(text) and (secret_name.search(name) or _LOOKS_SECRET.search(text)):
        table.fail(reference_required(text), name)
    return text


def _key_header(table: Table) -> str | None:
    name = table.text("key_header")
    if name is None:
        return None
    if not HEADER_NAME.fullmatch(name):
        table.fail("is no name of a header: use letters, digits and `-`", "key_header")
    if name.lower() in _RESERVED:
        table.fail("is set by modelwatch: use another header", "key_header")
    return name


def _key_scheme(table: Table) -> str | None:
    scheme = table.text("key_scheme")
    if scheme is not None and not HEADER_NAME.fullmatch(scheme):
        table.fail('must be one word, such as "Token", or "raw" for the key alone', "key_scheme")
    return scheme


def _key_param(table: Table) -> str | None:
    for other in ("key_header", "key_scheme"):
        if "key_param" in table and other in table:
            table.fail(f"puts the key into the query: remove {other}", "key_param")
    return table.text("key_param")


def _joined(old: Pairs, new: Pairs, simplified: Callable[[str], str] = str) -> Pairs:
    """Return pairs of both; those of the new replace old ones of the same name."""
    names = {simplified(name) for name, _ in new}
    return (*(pair for pair in old if simplified(pair[0]) not in names), *new)
