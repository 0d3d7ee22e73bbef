"""Find the dialect of a gateway: by its config, its address, or the shape of its answer."""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping
from dataclasses import fields, replace
from fnmatch import fnmatchcase
from functools import cache
from importlib import import_module
from operator import itemgetter
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from pipeline.core import canonical
from pipeline.core.facts import UNITS, FactPaths
from pipeline.core.types import Gateway, Overrides
from pipeline.errors import Unreadable
from pipeline.gateways.dialects import known
from pipeline.gateways.dialects.dialect import Answer, Dialect
from pipeline.gateways.dialects.paging import Paging

AUTO = "auto"


DEFAULT_DIALECT = "openai"


FACT_NAMES = tuple(item.name for item in fields(FactPaths) if item.name not in ("prices", "adjust"))
"""The facts whose place the config may name."""


@cache
def all_dialects() -> Mapping[str, Dialect]:
    """Give every dialect by the name that the config uses, in the order of names."""
    found: dict[str, Dialect] = {}
    for module in pkgutil.iter_modules(known.__path__):
        for dialect in import_module(f"{known.__name__}.{module.name}").DIALECTS:
            found[dialect.name] = dialect
    return dict(sorted(found.items()))


def request_dialect(gateway: Gateway, reading: str | None = None) -> Dialect:
    """Give the dialect to ask a gateway in.

    Args:
        gateway: as the config has it.
        reading: the rules its last listing was read under: with `auto`, what was recognised once stays.
    """
    if gateway.dialect != AUTO:
        return customise(all_dialects()[gateway.dialect], gateway.spelling)
    found = _by_address(gateway.url) or _as_recognised(_name(reading) or DEFAULT_DIALECT)
    return customise(found, gateway.spelling)


def dialect_of(reading: str | None) -> Dialect | None:
    """Give the dialect that a listing was read in, by its rules; None when there is none of that name."""
    name = _name(reading)
    return all_dialects()[name] if name else None


def answer_dialect(gateway: Gateway, asked: Dialect, answer: Answer) -> Dialect:
    """Give the dialect to read an answer in: with `auto`, its shape may say more than the address did."""
    if gateway.dialect != AUTO or asked.name != DEFAULT_DIALECT or gateway.spelling.list or gateway.spelling.id:
        return asked
    return customise(_by_shape(answer) or all_dialects()[DEFAULT_DIALECT], gateway.spelling)


def _by_address(url: str) -> Dialect | None:
    """Give the dialect of the closest glob that fits: one path of a host may speak another dialect."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    place = host + parts.path.rstrip("/")
    fitting = [
        ("/" in glob, len(glob), dialect)
        for dialect in all_dialects().values()
        for glob in dialect.hosts
        if fnmatchcase(place if "/" in glob else host, glob)
    ]
    return max(fitting, key=itemgetter(0, 1))[2] if fitting else None


def _by_shape(answer: Answer) -> Dialect | None:
    default = all_dialects()[DEFAULT_DIALECT]
    try:
        envelope, rows = default.rows(answer.bodies[0])
    except (Unreadable, IndexError):
        return None
    records = [row for row in rows if isinstance(row, dict)]
    return next((dialect for dialect in all_dialects().values() if dialect.recognises(envelope, records)), None)


def _as_recognised(name: str) -> Dialect:
    """Give a dialect that was known by its answer: to a request in the default one, which is kept to."""
    default = all_dialects()[DEFAULT_DIALECT]
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


def customise(dialect: Dialect, own: Overrides) -> Dialect:
    """Give a dialect with what the config says differently; what it adds to noise and the like is added."""
    if own == Overrides():
        return dialect
    changes: dict[str, Any] = {
        "path": own.path or dialect.path,
        "list_at": (own.list,) if own.list is not None else dialect.list_at,
        "id_at": own.id or dialect.id_at,
        "key_header": own.key_header or dialect.key_header,
        "noise": (*dialect.noise, *own.noise),
        "quiet": (*dialect.quiet, *own.quiet),
        "sets": (*dialect.sets, *own.sets),
        "no_models": (*dialect.no_models, *own.no_models),
    }
    if own.paging:
        changes["paging"] = _paging(dict(own.paging))
    if own.prices or own.facts:
        changes["facts"] = _facts(dialect, own)
    return replace(dialect, **changes)


def _paging(own: dict[str, str]) -> Paging:
    return Paging(
        param=own["param"],
        next_at=own.get("next", ""),
        more_at=own.get("more", ""),
        numbered="pages" in own,
        pages_at=own.get("pages", ""),
        size=tuple(parse_qsl(own.get("size", ""))),
        total_at=own.get("total", ""),
    )


def _facts(dialect: Dialect, own: Overrides) -> FactPaths:
    reading = dialect.facts if isinstance(dialect.facts, FactPaths) else FactPaths()
    prices = dict(own.prices)
    if prices:
        unit = UNITS[prices.pop("unit")] if "unit" in prices else reading.prices.unit
        at: dict[str, Any] = {name: (path,) for name, path in prices.items()}
        reading = replace(reading, prices=replace(reading.prices, unit=unit, **at))
    named: dict[str, Any] = {name: (path,) for name, path in own.facts}
    return replace(reading, **named)
