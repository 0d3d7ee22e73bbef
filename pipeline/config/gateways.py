"""The tables `[gateways.NAME]`: the scopes of each gateway, its keys file, and overrides of its dialect."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from math import isfinite
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from msgspec.structs import fields, replace

from pipeline.config.requests import REQUEST_KEYS, check_headers, check_key_param, parse_request
from pipeline.config.toml import INVALID_NAME, Table, read_text, reference_required
from pipeline.core import jsonpath
from pipeline.core.addresses import is_http_url
from pipeline.core.amounts import parse_currency
from pipeline.core.facts import UNITS
from pipeline.core.types import (
    AccessToken,
    Anonymous,
    Cookie,
    Credential,
    Gateway,
    Key,
    Limits,
    Login,
    Overrides,
    Pairs,
    Scalar,
    Scope,
    Thresholds,
    is_reference,
    is_valid_name,
)
from pipeline.errors import ConfigError
from pipeline.gateways.dialects import AUTO, FACT_NAMES, all_dialects, request_dialect
from pipeline.gateways.dialects.layout import IdPath, one_place

_LIMITS = frozenset(item.name for item in fields(Limits))

_THRESHOLDS = frozenset(item.name for item in fields(Thresholds))

_OVERRIDES = frozenset(item.name for item in fields(Overrides))

_DURATIONS = frozenset({"confirm_after", "empty_after"})

_MAY_BE_ZERO = frozenset({"floor", "backoff", "max_wait", "max_loss"}) | _DURATIONS

GATEWAY_KEYS = frozenset({"url", "dialect", "scopes", "keys", "method"}) | _OVERRIDES | _LIMITS | _THRESHOLDS
"""The keys of a table `[gateways.NAME]`."""

_CREDENTIALS = ("key", "cookie", "access_token", "password")

_SIGNED_IN = frozenset({"cookie", "access_token", "password"})

_SIGN_IN = frozenset({"user_id", "username", "login_path"})

SCOPE_KEYS = frozenset({*_CREDENTIALS, *_SIGN_IN, "group", "groups", "dialect"}) | REQUEST_KEYS | _THRESHOLDS
"""The keys of the table of a scope."""

_PATHS_EXAMPLE = '["benchmarks", "providers.*.latency"]'

_PAGING = ("param", "offset", "next", "more", "pages", "total", "size", "first")

_PRICES = ("unit", "currency", "input", "output", "cache_read", "cache_write", "per_call")

_KEYS_HEADER = ["name", "key", "group"]

_Settings = TypeVar("_Settings", Limits, Thresholds)


def parse_gateways(table: Table) -> tuple[Scope, ...]:
    """Return the scopes of all gateways, in the file's order.

    Raises:
        ConfigError: names the file, the line or key, and what to write; never a secret.
    """
    return tuple(scope for name, below in table.tables() for scope in _gateway(name, below))


def scope_globs(table: Table, scopes: Sequence[Scope]) -> tuple[str, ...]:
    """Return the globs at the key `scopes`, each of which must match a scope.

    Raises:
        ConfigError: a glob matches no scope.
    """
    globs = table.texts("scopes", '["aihubmix/*"]')
    for glob in globs:
        # The scopes of `groups = "all"` are unknown until the gateway is asked.
        if not any(scope.all_groups or fnmatchcase(scope.name, glob) for scope in scopes):
            names = ", ".join(scope.name for scope in scopes)
            table.fail(f"{glob!r} matches no scope: use one of {names}, or a glob", "scopes")
    return globs


def _gateway(name: str, table: Table) -> list[Scope]:
    table.check_keys(GATEWAY_KEYS)
    if not is_valid_name(name):
        table.fail(INVALID_NAME)
    gateway = Gateway(name, _url(table), _dialect(table), _settings(Limits(), table), _overrides(table))
    thresholds = _settings(Thresholds(), table)
    scopes = [_scope(label, below, gateway, thresholds) for label, below in table.table("scopes").tables()]
    if table.text("keys") is not None:
        check_headers(table, gateway.overrides, _headers_of(Key(""), gateway))
        check_key_param(table, gateway.overrides)
        scopes += _read_keys(table.file("keys"), gateway, thresholds)
    if not scopes:
        table.fail("has no scopes: add e.g. `scopes.public = {}` to ask without a key")
    for group_scope in (scope.name for scope in scopes if scope.all_groups):
        clash = next((scope.name for scope in scopes if scope.name.startswith(f"{group_scope}.")), None)
        if clash:
            table.fail(f"{clash} has the name of a group of {group_scope}: rename it, without the dot")
    for scope, times in Counter(scope.name for scope in scopes).items():
        if times > 1:
            table.fail(f"has {times} scopes named {scope}: give each its own name")
    return scopes


def _url(table: Table) -> str:
    url = table.required("url", "https://gateway.example")
    if not is_http_url(url):
        table.fail('is not a web address: write e.g. "https://gateway.example"', "url")
    parts = urlsplit(url)
    if "@" in parts.netloc or parts.query or parts.fragment:
        table.fail(
            "must have no user, no `?…` and no `#…`: write parameters in `params` or `path`, keys in a scope",
            "url",
        )
    return url.rstrip("/")


def _dialect(table: Table) -> str:
    name = table.text("dialect") or AUTO
    if name != AUTO and name not in all_dialects():
        table.fail(f"{name!r} is not known: use {AUTO}, or one of {', '.join(all_dialects())}", "dialect")
    return name


def _settings(default: _Settings, table: Table) -> _Settings:
    given: dict[str, Any] = {
        item.name: _setting(table, item.name, getattr(default, item.name)) for item in fields(default)
    }
    return replace(default, **given)


def _setting(table: Table, key: str, default: float) -> float:
    value = table.duration(key, default) if key in _DURATIONS else table.number(key, default)
    if value < 0 or (value == 0 and key not in _MAY_BE_ZERO):
        table.fail("must be 0 or more" if key in _MAY_BE_ZERO else "must be more than 0", key)
    if key == "max_loss" and value > 1:
        table.fail("is a share: write 0.25 for a quarter", key)
    return value


def _scope(label: str, table: Table, gateway: Gateway, thresholds: Thresholds) -> Scope:
    for key in table.values:
        if key in GATEWAY_KEYS - SCOPE_KEYS:
            table.fail(f"is a key of the gateway: move it to [gateways.{gateway.name}]", key)
    table.check_keys(SCOPE_KEYS)
    if not is_valid_name(label):
        table.fail(INVALID_NAME)
    own = replace(gateway, overrides=parse_request(table, gateway.overrides))
    own = replace(own, dialect=_dialect(table)) if "dialect" in table else own
    credential = _credential(table)
    check_headers(table, own.overrides, _headers_of(credential, own))
    if isinstance(credential, Key):
        check_key_param(table, own.overrides)
    return Scope(
        name=f"{gateway.name}/{label}",
        gateway=own,
        credential=credential,
        group=table.text("group"),
        all_groups=_all_groups(table),
        thresholds=_settings(thresholds, table),
    )


def _all_groups(table: Table) -> bool:
    value = table.text("groups")
    if value is None:
        return False
    if value != "all":
        table.fail('can only be "all": every group that this user may use', "groups")
    if not _SIGNED_IN & table.values.keys():
        table.fail(
            "needs a signed-in user: write access_token or cookie, with user_id, or username and password",
            "groups",
        )
    if "group" in table:
        table.fail("cannot stand beside `groups`, which makes a scope of each group: remove it", "group")
    return True


def _credential(table: Table) -> Credential:
    found = [key for key in _CREDENTIALS if key in table]
    if len(found) > 1:
        table.fail(f"has {' and '.join(found)}: use one of them, or make two scopes of it")
    for key, partner in (("username", "password"), ("password", "username"), ("login_path", "password")):
        if key in table and partner not in table:
            table.fail(f"needs {partner} beside it", key)
    if "user_id" in table and not _SIGNED_IN & table.values.keys():
        table.fail("needs access_token, cookie, or username and password beside it", "user_id")
    match found:
        case ["key"]:
            return Key(table.reference("key"))
        case ["cookie"]:
            return Cookie(table.reference("cookie"), _user_id(table, "cookie"))
        case ["access_token"]:
            user_id = _user_id(table, "access_token")
            if user_id is None:
                table.fail(
                    "needs `user_id` beside it: the number of the user to whom it belongs", "access_token"
                )
            return AccessToken(table.reference("access_token"), user_id)
        case ["password"]:
            return _login(table)
        case _:
            return Anonymous()


def _headers_of(credential: Credential, gateway: Gateway) -> frozenset[str]:
    """Return the names of the headers that a credential sets, in lower case."""
    match credential:
        case Anonymous():
            return frozenset()
        case Key():
            dialect = request_dialect(gateway)
            return frozenset() if dialect.key_param else frozenset({dialect.key_header.lower()})
        case _:
            return frozenset({"authorization", "cookie", "new-api-user"})


def _login(table: Table) -> Login:
    login = Login(
        table.text("username") or "", table.reference("password"), user_id=_user_id(table, "password")
    )
    path = table.text("login_path")
    if path is None:
        return login
    if not path.startswith("/") or path.startswith("//") or not (path.isascii() and path.isprintable()):
        table.fail('is not a path below the gateway: write e.g. "/api/user/login"', "login_path")
    return replace(login, path=path)


def _user_id(table: Table, beside: str) -> str | None:
    """Return the user's number; None if the key is absent."""
    value = table.values.get("user_id")
    if value is None:
        return None
    user_id = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    if not (user_id.isascii() and user_id.isalnum()):
        table.fail("needs `user_id` beside it: the number of the user to whom it belongs", beside)
    return user_id


def _read_keys(path: Path, gateway: Gateway, thresholds: Thresholds) -> Iterator[Scope]:
    """Yield the scopes of a keys file: CSV with the header `name,key,group`, or without the group.

    Raises:
        ConfigError: names the file, the line, and what to write; never a key.
    """
    reader = csv.reader(read_text(path).splitlines(), strict=True)
    try:
        header = [cell.strip() for cell in next(reader, [])]
        rows = [(f"{path}:{reader.line_num}", [cell.strip() for cell in cells]) for cells in reader]
    except csv.Error as error:
        raise ConfigError(
            "is not valid CSV: check the quotes on this line", where=f"{path}:{reader.line_num}"
        ) from error
    if header not in (_KEYS_HEADER, _KEYS_HEADER[:2]):
        raise ConfigError("must begin with the line `name,key,group`", where=f"{path}:1")
    for where, cells in rows:
        if any(cells):
            name, key, group = _key_row(cells, len(header), where)
            yield Scope(f"{gateway.name}/{name}", gateway, Key(key), group, thresholds=thresholds)


def _key_row(cells: list[str], columns: int, where: str) -> tuple[str, str, str | None]:
    if len(cells) > columns:
        raise ConfigError(f"has {len(cells)} cells where the header has {columns}", where=where)
    name, key, group = (*cells, "", "", "")[:3]
    if not is_valid_name(name):
        raise ConfigError(INVALID_NAME, where=where)
    if not is_reference(key):
        raise ConfigError(f"the key: {reference_required(key)}", where=where)
    return name, key, group or None


def _overrides(table: Table) -> Overrides:
    """Return the gateway's overrides of its dialect; absent keys leave those of the dialect."""
    return parse_request(
        table,
        Overrides(
            list="" if table.values.get("list") == "" else _path(table, "list"),
            id=_id(table),
            paging=_paging(table),
            prices=_prices(table),
            facts=_pairs(table.table("facts"), FACT_NAMES, _check_place),
            noise=_paths(table, "noise"),
            quiet=_paths(table, "quiet"),
            sets=_paths(table, "sets"),
            no_models=table.texts("no_models", '["*-embedding", "test-*"]'),
            null_is_empty=table.flag("null_is_empty"),
            complete=table.flag("complete"),
            success=_success(table.table("success")),
        ),
    )


def _path(table: Table, key: str) -> str | None:
    value = table.text(key)
    if value is not None:
        _check_path(table, key, value)
    return value


def _id(table: Table) -> str | None:
    value = table.text("id")
    if value is not None:
        _check(table, "id", value, IdPath.parse)
    return value


def _paths(table: Table, key: str) -> tuple[str, ...]:
    found = table.texts(key, _PATHS_EXAMPLE)
    for value in found:
        _check_path(table, key, value)
    return found


def _check_path(table: Table, key: str, value: str) -> None:
    _check(table, key, value, jsonpath.parse)


def _check_place(table: Table, key: str, value: str) -> None:
    _check(table, key, value, one_place)


def _check(table: Table, key: str, value: str, parse: Callable[[str], object]) -> None:
    try:
        parse(value)
    except ValueError as error:
        table.fail(str(error), key)


def _paging(table: Table) -> Pairs:
    found = _pairs(table.table("paging"), _PAGING, _check_paging)
    if "offset" in dict(found):
        if others := {"param", "next", "more", "pages"} & dict(found).keys():
            table.fail(f"`offset` cannot stand beside `{min(others)}`: it counts records", "paging")
        return found
    if found and "param" not in dict(found):
        table.fail(
            "needs `param`, the query parameter that selects a page, or `offset`, one that counts records",
            "paging",
        )
    if found and not {"next", "pages", "total"} & dict(found).keys():
        table.fail(
            "needs `next` (the path of the next cursor), `pages` (that of their number)"
            " or `total` (that of the number of models)",
            "paging",
        )
    return found


def _check_paging(table: Table, key: str, value: str) -> None:
    if key == "first" and (value not in ("0", "1") or "next" in table):
        table.fail("is the number of the first page, 0 or 1, where `pages` or `total` counts them", "first")
    if key not in ("size", "first"):
        _check_place(table, key, value)


def _check_price(table: Table, key: str, value: str) -> None:
    if key == "currency":
        if parse_currency(value) is None:
            table.fail(f"{value!r} is not a currency: write its code, such as CNY", key)
    elif key != "unit":
        _check_place(table, key, value)


def _success(table: Table) -> tuple[tuple[str, Scalar], ...]:
    for key, value in table.values.items():
        _check_place(table, key, key)
        if not isinstance(value, str | int | float) or (isinstance(value, float) and not isfinite(value)):
            table.fail("must be a text, a number, true or false: the value of a good answer", key)
    return tuple(table.values.items())


def _prices(table: Table) -> Pairs:
    found = _pairs(table.table("prices"), _PRICES, _check_price)
    unit = dict(found).get("unit")
    if unit is not None and unit not in UNITS:
        table.table("prices").fail(f"{unit!r} is not a unit: use one of {', '.join(UNITS)}", "unit")
    return found


def _pairs(
    table: Table, known: Iterable[str], check: Callable[[Table, str, str], None] = lambda *_: None
) -> Pairs:
    table.check_keys(known)
    found = []
    for key, given in table.values.items():
        is_number = key == "first" and isinstance(given, int) and not isinstance(given, bool)
        value = str(given) if is_number else table.text(key)
        assert value is not None
        check(table, key, value)
        found.append((key, value))
    return tuple(found)
