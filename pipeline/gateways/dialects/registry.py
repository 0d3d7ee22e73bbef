"""The dialect of a gateway: by its config, by its address, or by the shape of its answer."""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping
from functools import cache, lru_cache
from importlib import import_module
from operator import itemgetter
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from msgspec.structs import replace

from pipeline.core import canonical
from pipeline.core.amounts import parse_currency
from pipeline.core.facts import UNITS, FactPaths
from pipeline.core.types import Gateway, Overrides
from pipeline.core.watchlist import matches_pattern
from pipeline.errors import Unreadable
from pipeline.gateways.dialects import known
from pipeline.gateways.dialects.dialect import Answer, Dialect
from pipeline.gateways.dialects.layout import CERTAIN_IDS, IdPath, certain_id
from pipeline.gateways.dialects.paging import Paging, merged

AUTO = "auto"
DEFAULT_DIALECT = "openai"
GROUPS_DIALECT = "new-api-groups"
"""The dialect in which a user's groups are listed, unless the gateway's own dialect lists groups."""

FACT_NAMES = tuple(name for name in FactPaths.__struct_fields__ if name not in ("prices", "adjust"))
"""The facts whose path the config may set."""


@cache
def all_dialects() -> Mapping[str, Dialect]:
    """Return every dialect by the name that the config uses, sorted by name."""
    found: dict[str, Dialect] = {}
    for module in pkgutil.iter_modules(known.__path__):
        for dialect in import_module(f"{known.__name__}.{module.name}").DIALECTS:
            found[dialect.name] = dialect
    return dict(sorted(found.items()))


def request_dialect(gateway: Gateway, reading: str | None = None) -> Dialect:
    """Return the dialect of the requests to a gateway.

    Args:
        gateway: the gateway as configured.
        reading: the rules of its last listing; with `auto`, a dialect that was recognised once is kept.
    """
    if gateway.dialect != AUTO:
        return customise(all_dialects()[gateway.dialect], gateway.overrides)
    found = _by_address(gateway.url) or _recognised_before(reading)
    return customise(found, gateway.overrides)


def answer_dialect(gateway: Gateway, requested: Dialect, answer: Answer) -> Dialect:
    """Return the dialect to parse an answer in; with `auto` and an unknown address, by the answer's shape."""
    own = gateway.overrides
    if gateway.dialect != AUTO or requested.name != DEFAULT_DIALECT or own.list or own.id:
        return requested
    return customise(_by_shape(answer), own)


def listing_dialect(gateway: Gateway, reading: str) -> Dialect:
    """Return the dialect in which a listing of a gateway was parsed, but for how it is requested.

    Args:
        gateway: the gateway as configured.
        reading: the rules of the listing.
    """
    return customise(_recognised_before(reading), gateway.overrides)


def dialect_of(reading: str | None) -> Dialect | None:
    """Return the dialect that the rules of a listing name; None if this version has no such dialect."""
    name = _name(reading)
    return all_dialects()[name] if name else None


def groups_dialect(gateway: Gateway) -> Dialect:
    """Return the dialect that lists the groups of a user, and has `groups`."""
    configured = all_dialects().get(gateway.dialect)
    found = configured if configured and configured.groups else all_dialects()[GROUPS_DIALECT]
    return _for_groups(found, gateway)


def group_models_dialect(gateway: Gateway) -> Dialect:
    """Return the dialect of the models of one group."""
    groups = groups_dialect(gateway).groups
    assert groups
    return _for_groups(all_dialects()[groups.models_dialect], gateway)


def _for_groups(dialect: Dialect, gateway: Gateway) -> Dialect:
    """Apply the overrides that extend a dialect; the others are those of the gateway's list of models."""
    own = gateway.overrides
    added = Overrides(
        headers=own.headers,
        params=own.params,
        noise=own.noise,
        quiet=own.quiet,
        sets=own.sets,
        no_models=own.no_models,
    )
    return customise(dialect, added)


def customise(dialect: Dialect, overrides: Overrides) -> Dialect:
    """Return a dialect with the config's settings: paths replace those of the dialect, lists extend them."""
    own = overrides
    if own == Overrides():
        return dialect
    path, _, query = (own.path or dialect.path).partition("?")
    names = {name.lower() for name, _ in own.headers}
    changes: dict[str, Any] = {
        "path": path,
        "params": merged(dialect.params, tuple(parse_qsl(query, keep_blank_values=True)), own.params),
        "headers": (*(pair for pair in dialect.headers if pair[0].lower() not in names), *own.headers),
        "body": own.body or dialect.body,
        "list_at": (own.list,) if own.list is not None else dialect.list_at,
        "by_id": own.list is not None or dialect.by_id,
        "id_at": own.id or dialect.id_at,
        "key_header": own.key_header or dialect.key_header,
        "key_scheme": own.key_scheme or dialect.key_scheme,
        "key_param": own.key_param or dialect.key_param,
        "null_is_empty": own.null_is_empty or dialect.null_is_empty,
        "noise": (*dialect.noise, *own.noise),
        "quiet": (*dialect.quiet, *own.quiet),
        "sets": (*dialect.sets, *own.sets),
        "no_models": (*dialect.no_models, *own.no_models),
        "complete": own.complete or dialect.complete,
        "success": own.success or dialect.success,
        "has_records": dialect.has_records
        and not own.body
        and IdPath.parse(own.id or dialect.id_at).is_plain,
    }
    if own.complete and dialect.paging and dialect.paging.is_guess:
        changes["paging"] = None
    if own.paging:
        changes["paging"] = _paging(dict(own.paging))
    if own.prices or own.facts:
        changes["facts"] = _fact_paths(dialect, own)
    return replace(dialect, **changes)


@lru_cache(256)
def _by_address(url: str) -> Dialect | None:
    """Return the dialect of the most specific matching glob: one with a path, then the longest."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    address = host + parts.path.rstrip("/")
    matching = [
        ("/" in glob, len(glob), dialect)
        for dialect in all_dialects().values()
        for glob in dialect.hosts
        if matches_pattern(glob, address if "/" in glob else host)
    ]
    return max(matching, key=itemgetter(0, 1))[2] if matching else None


def _by_shape(answer: Answer) -> Dialect:
    """Return the dialect whose marks an answer has, or the default one, with the place of ids."""
    default = all_dialects()[DEFAULT_DIALECT]
    try:
        envelope, rows = default.rows(answer.bodies[0])
    except (Unreadable, IndexError):
        return default
    records = [row for row in rows if isinstance(row, dict)]
    found = (dialect for dialect in all_dialects().values() if dialect.recognises(envelope, records))
    dialect = next(found, None)
    return dialect or replace(default, id_at=certain_id(rows) or default.id_at)


def _recognised_before(reading: str | None) -> Dialect:
    """Return a dialect that was recognised by an answer, with the default request that led to that answer."""
    default = all_dialects()[DEFAULT_DIALECT]
    name = _name(reading)
    if reading is None or name is None:
        return default
    if name == DEFAULT_DIALECT:
        before = canonical.decode(reading.encode()).get("id")
        return replace(default, id_at=before if before in CERTAIN_IDS else default.id_at)
    return replace(
        all_dialects()[name],
        path=default.path,
        params=default.params,
        headers=default.headers,
        key_header=default.key_header,
    )


def _name(reading: str | None) -> str | None:
    if reading is None:
        return None
    name = canonical.decode(reading.encode()).get("dialect")
    return name if name in all_dialects() else None


def _paging(own: dict[str, str]) -> Paging:
    return Paging(
        param=own.get("offset") or own["param"],
        next_at=own.get("next", ""),
        more_at=own.get("more", ""),
        numbered="next" not in own and "offset" not in own,
        by_offset="offset" in own,
        first=int(own.get("first", "0" if "offset" in own else "1")),
        pages_at=own.get("pages", ""),
        size=tuple(parse_qsl(own.get("size", ""))),
        total_at=own.get("total", ""),
    )


def _fact_paths(dialect: Dialect, own: Overrides) -> FactPaths:
    facts = dialect.facts if isinstance(dialect.facts, FactPaths) else FactPaths()
    prices = dict(own.prices)
    if prices:
        unit = UNITS[prices.pop("unit")] if "unit" in prices else facts.prices.unit
        currency = parse_currency(prices.pop("currency", "")) or facts.prices.currency
        paths: dict[str, Any] = {name: (path,) for name, path in prices.items()}
        facts = replace(facts, prices=replace(facts.prices, unit=unit, currency=currency, **paths))
    named: dict[str, Any] = {name: (path,) for name, path in own.facts}
    return replace(facts, **named)
