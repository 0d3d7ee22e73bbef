"""The scopes of each gateway: of its table in the config, and of its keys file."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from msgspec import Struct
from msgspec.structs import replace

from pipeline.config import schema
from pipeline.config.kinds import NO_REFERENCE, reference_required
from pipeline.config.toml import Document
from pipeline.core import canonical
from pipeline.core.text import lines_of
from pipeline.core.times import parse_duration
from pipeline.core.types import (
    AccessToken,
    Anonymous,
    Cookie,
    Credential,
    Gateway,
    Key,
    KeyList,
    Limits,
    Login,
    Overrides,
    Pairs,
    Scope,
    Thresholds,
    is_reference,
    is_valid_name,
)
from pipeline.core.watchlist import NameTest, unmatched_glob
from pipeline.gateways.dialects import AUTO, request_dialect

INVALID_NAME = "the name may have letters, digits and `. _ - @ +` only, as it becomes part of `gateway/scope`"

_NO_REFERENCE = f"the key: {NO_REFERENCE}"
_KEYS_HEADER = ["name", "key", "group"]

_FEW_NAMES = 50
"""So many names are looked for in the text of a keys file; for more, each of its lines is read."""

_MOST_NAMES = 20
"""The number of scopes that an error names."""

_Settings = TypeVar("_Settings", Limits, Thresholds)

_Fail = Callable[[str], None]
"""Notes an error of one table."""


class GatewayScopes(Struct, frozen=True):
    """A gateway of the config with its scopes.

    Args:
        gateway: the gateway.
        thresholds: those of scopes without their own.
        scopes: those of its table and of its keys file.
        key_list: the list that gives more of them when they are asked; None without one.
        is_whole: these are all scopes; others are in a list, or in unwanted lines of the keys file.
    """

    gateway: Gateway
    thresholds: Thresholds
    scopes: tuple[Scope, ...]
    key_list: KeyList | None = None
    is_whole: bool = True


def scopes_of(name: str, table: schema.Gateway, document: Document, wanted: NameTest) -> GatewayScopes:
    """Return a gateway with its scopes; errors are noted in the document.

    Args:
        name: its name.
        table: its table.
        document: the config.
        wanted: the names of scopes for which lines of the keys file are read.
    """
    at = ("gateways", name)

    def fail(message: str) -> None:
        document.fail(at, message)

    if not is_valid_name(name):
        fail(INVALID_NAME)
    gateway = Gateway(name, table.url.rstrip("/"), table.dialect or AUTO, _given(Limits(), table))
    gateway = replace(gateway, overrides=_with_request(_overrides(table), table, document, at))
    thresholds = _given(Thresholds(), table)
    scopes = [_scope(label, below, gateway, thresholds, document) for label, below in table.scopes.items()]
    key_list, only = None, wanted.names_of(name)
    if table.keys is not None:
        _check_key(Key(""), gateway, fail)
        if is_reference(table.keys):
            key_list = KeyList(gateway, table.keys, thresholds)
        elif only is None or only:
            scopes += _keys_file(table.keys, gateway, thresholds, document, only)
    is_whole = table.keys is None or (key_list is None and only is None)
    if not scopes and is_whole and not document.has_errors(at):
        fail("has no scopes: add e.g. `scopes.public = {}` to ask without a key")
    for message in name_clashes(scopes):
        fail(message)
    return GatewayScopes(gateway, thresholds, tuple(scopes), key_list, is_whole)


def name_clashes(scopes: Collection[Scope]) -> Iterator[str]:
    """Yield what is wrong with the names of a gateway's scopes beside each other."""
    for group_scope in (scope.name for scope in scopes if scope.all_groups):
        clash = next((scope.name for scope in scopes if scope.name.startswith(f"{group_scope}.")), None)
        if clash:
            yield f"{clash} has the name of a group of {group_scope}: rename it, without the dot"
    if len({scope.name for scope in scopes}) < len(scopes):
        for name, times in Counter(scope.name for scope in scopes).items():
            if times > 1:
                yield f"has {times} scopes named {name}: give each its own name"


def check_globs(globs: Iterable[str], gateways: Collection[GatewayScopes], fail: _Fail) -> None:
    """Note each glob that matches no scope; scopes of other sites, `tokyo:*`, are not in the config."""
    for glob in globs:
        if ":" in glob:
            continue
        # The scopes of `groups = "all"` and of lists of keys are unknown until they are asked.
        if not any(_may_match(glob, each) for each in gateways):
            names = [scope.name for each in gateways for scope in each.scopes]
            more = " …" if len(names) > _MOST_NAMES else ""
            known = f"one of {', '.join(names[:_MOST_NAMES])}{more}, or " if names else ""
            fail(f"{glob!r} matches no scope: use {known}a glob")


def _may_match(glob: str, gateway: GatewayScopes) -> bool:
    if not gateway.is_whole and NameTest((glob,)).names_of(gateway.gateway.name) != frozenset():
        return True
    return any(scope.all_groups for scope in gateway.scopes) or not unmatched_glob(
        (glob,), (scope.name for scope in gateway.scopes)
    )


def _given(default: _Settings, table: schema.Shared) -> _Settings:
    """Return settings with the values that a table has."""
    found: dict[str, Any] = {name: getattr(table, name) for name in type(default).__match_args__}
    for name, value in found.items():
        if value is None:
            found[name] = getattr(default, name)
        elif isinstance(value, str):
            found[name] = parse_duration(value)
    return type(default)(**found)


def _overrides(table: schema.Gateway) -> Overrides:
    return Overrides(
        list=table.list,
        id=table.id,
        paging=_pairs(table.paging),
        prices=_pairs(table.prices),
        facts=tuple(table.facts.items()),
        noise=table.noise,
        quiet=table.quiet,
        sets=table.sets,
        no_models=table.no_models,
        null_is_empty=table.null_is_empty,
        complete=table.complete,
        success=tuple(table.success.items()),
    )


def _pairs(table: schema.Table | None) -> Pairs:
    """Return the keys of a table with their values as text."""
    names = table.__struct_fields__ if table else ()
    return tuple((name, str(getattr(table, name))) for name in names if getattr(table, name) is not None)


def _with_request(own: Overrides, table: schema.Shared, document: Document, at: tuple[str, ...]) -> Overrides:
    """Return overrides with the settings of requests in the table of a gateway or a scope."""
    method = table.method or ("GET" if own.body is None else "POST")
    if method == "GET" and table.body is not None:
        document.fail((*at, "body"), 'needs `method = "POST"` beside it')
    body = (own.body or "{}") if table.body is None else canonical.encode(table.body)
    if table.key_param is not None:
        own = replace(own, key_header=None, key_scheme=None)
    elif table.key_header is not None or table.key_scheme is not None:
        own = replace(own, key_param=None)
    return replace(
        own,
        path=table.path or own.path,
        body=body if method == "POST" else None,
        headers=_joined(own.headers, table.headers, str.lower),
        params=_joined(own.params, table.params),
        key_header=table.key_header or own.key_header,
        key_scheme=table.key_scheme or own.key_scheme,
        key_param=table.key_param or own.key_param,
    )


def _joined(old: Pairs, new: dict[str, str | int | bool], simplified: Callable[[str], str] = str) -> Pairs:
    """Return pairs of both; those of the new replace old ones of the same name."""
    names = {simplified(name) for name in new}
    texts = (
        (name, str(value).lower() if isinstance(value, bool) else str(value)) for name, value in new.items()
    )
    return (*(pair for pair in old if simplified(pair[0]) not in names), *texts)


def _scope(
    label: str, table: schema.Scope, gateway: Gateway, thresholds: Thresholds, document: Document
) -> Scope:
    at = ("gateways", gateway.name, "scopes", label)

    def fail(message: str) -> None:
        document.fail(at, message)

    if not is_valid_name(label):
        fail(INVALID_NAME)
    own = replace(
        gateway,
        dialect=table.dialect or gateway.dialect,
        overrides=_with_request(gateway.overrides, table, document, at),
    )
    credential, limits = _credential(table), _given(thresholds, table)
    _check_key(credential, own, fail)
    return Scope(
        name=f"{gateway.name}/{label}",
        gateway=own,
        credential=credential,
        group=table.group,
        all_groups=table.groups is not None,
        thresholds=thresholds if thresholds == limits else limits,
    )


def _credential(table: schema.Scope) -> Credential:
    user_id = None if table.user_id is None else str(table.user_id)
    if table.key is not None:
        return Key(table.key)
    if table.cookie is not None:
        return Cookie(table.cookie, user_id)
    if table.access_token is not None:
        return AccessToken(table.access_token, user_id or "")
    if table.password is not None:
        path = {} if table.login_path is None else {"path": table.login_path}
        return Login(table.username or "", table.password, user_id=user_id, **path)
    return Anonymous()


def _check_key(credential: Credential, gateway: Gateway, fail: _Fail) -> None:
    """Note headers and parameters of the settings that the credential of a scope sets, too."""
    own = gateway.overrides
    if not isinstance(credential, Anonymous) and own.headers:
        taken = _headers_of(credential, gateway)
        for name, _ in own.headers:
            if name.lower() in taken:
                fail(f"the credential of this scope sets the header {name}: remove it from `headers`")
    if not isinstance(credential, Key) or own.key_param is None:
        return
    query = parse_qsl((own.path or "").partition("?")[2], keep_blank_values=True)
    others: dict[str, list[str | None]] = {
        "params": [param for param, _ in own.params],
        "path": [param for param, _ in query],
        "paging": [] if own.body else [dict(own.paging).get("param")],
    }
    for setting, names in others.items():
        if own.key_param in names:
            fail(f"`key_param` and `{setting}` have the same parameter {own.key_param!r}: keep one of them")


def _headers_of(credential: Credential, gateway: Gateway) -> frozenset[str]:
    """Return the names of the headers that a credential sets, in lower case."""
    if not isinstance(credential, Key):
        return frozenset({"authorization", "cookie", "new-api-user"})
    dialect = request_dialect(gateway)
    return frozenset() if dialect.key_param else frozenset({dialect.key_header.lower()})


def _keys_file(
    file: str, gateway: Gateway, thresholds: Thresholds, document: Document, only: frozenset[str] | None
) -> Iterator[Scope]:
    """Yield the scopes of a keys file: CSV with the header `name,key,group`, or without the group.

    Errors are noted with the line, and never show a key. `only` are the names of which lines are read; None
    for all.
    """
    at = ("gateways", gateway.name, "keys")
    path, text = document.text_of(file, at)
    if text is None:
        return
    groups: dict[str, str | None] = {"": None}
    columns, line, references = 0, 0, 0
    faults: list[tuple[int, str]] = []
    try:
        for line, cells in _rows(text, only):
            bare = [cell.strip() for cell in cells]
            if not columns:
                if bare not in (_KEYS_HEADER, _KEYS_HEADER[:2]):
                    break
                columns = len(bare)
                continue
            name, key, label = bare if len(bare) == len(_KEYS_HEADER) else (*bare, "", "", "")[:3]
            problem = _row_problem(name, key, bare, columns)
            if not problem:
                # Thousands of lines have the same group: one text for all.
                group = groups.setdefault(label, label)
                references += 1
                yield Scope(f"{gateway.name}/{name}", gateway, Key(key), group, thresholds)
            elif any(bare):
                faults.append((line, problem))
    except csv.Error:
        faults.append((line + 1, "is not valid CSV: check the quotes on this line"))
    if not columns:
        faults.append((1, "must begin with the line `name,key,group`"))
    if not references and _are_keys(faults):
        document.fail(at, f'has no references but other texts: if they are the keys, write "file:{file}"')
    else:
        document.fail_lines(path, faults, at)


def _are_keys(faults: Collection[tuple[int, str]]) -> bool:
    """Return whether all faults are those of a list of the keys themselves, and not just one."""
    return len(faults) > 1 and all(problem == _NO_REFERENCE for _, problem in faults)


def _rows(text: str, only: frozenset[str] | None) -> Iterator[tuple[int, list[str]]]:
    """Yield the header of a keys file and its rows, or those of `only` some names, with their lines."""
    if only is None or len(only) > _FEW_NAMES or '"' in text:
        reader = csv.reader(lines_of(text), strict=True)
        for cells in reader:
            if only is None or reader.line_num == 1 or (cells and cells[0].strip() in only):
                yield reader.line_num, cells
        return
    # One look for a name among a hundred thousand lines.
    yield 1, text.partition("\n")[0].split(",")
    names = "|".join(map(re.escape, only))
    for found in re.finditer(rf"(?<=\n)[^\S\n]*(?:{names})[^\S\n]*,[^\n]*", text):
        yield text.count("\n", 0, found.start()) + 1, found[0].split(",")


def _row_problem(name: str, key: str, cells: list[str], columns: int) -> str | None:
    if len(cells) > columns:
        return f"has {len(cells)} cells where the header has {columns}"
    if not is_valid_name(name):
        return INVALID_NAME
    return None if is_reference(key) else f"the key: {reference_required(key)}"
