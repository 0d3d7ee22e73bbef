"""Read how a gateway nobody has heard of writes its list, as its table in the config says."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import fields

from pipeline import paths
from pipeline.config.toml import Table
from pipeline.dialects import FACTS
from pipeline.facts import UNITS
from pipeline.types import Pairs, Spelling

SPELLING = frozenset(item.name for item in fields(Spelling))

_SUCH_AS = '["benchmarks", "providers.*.latency"]'
_PAGING = ("param", "next", "more", "pages", "total", "size")
_PRICES = ("unit", "input", "output", "cache_read", "cache_write", "per_call")


def spelling(table: Table) -> Spelling:
    """Read a gateway's own spelling; an empty one where its table says nothing of it.

    Raises:
        ConfigError: names the line and what to write.
    """
    return Spelling(
        path=table.text("path"),
        list=_list(table),
        id=_path(table, "id"),
        key_header=table.text("key_header"),
        paging=_paging(table),
        prices=_prices(table),
        facts=_pairs(table.table("facts"), FACTS, _check_path),
        noise=_paths(table, "noise"),
        quiet=_paths(table, "quiet"),
        sets=_paths(table, "sets"),
        no_models=table.texts("no_models", _SUCH_AS),
    )


def _list(table: Table) -> str | None:
    return "" if table.values.get("list") == "" else _path(table, "list")


def _path(table: Table, key: str) -> str | None:
    value = table.text(key)
    if value is not None:
        _check_path(table, key, value)
    return value


def _check_path(table: Table, key: str, value: str) -> None:
    try:
        paths.parse(value)
    except ValueError as error:
        table.fail(str(error), key)


def _paths(table: Table, key: str) -> tuple[str, ...]:
    found = table.texts(key, _SUCH_AS)
    for value in found:
        _check_path(table, key, value)
    return found


def _paging(table: Table) -> Pairs:
    own = _pairs(table.table("paging"), _PAGING, lambda *_: None)
    if own and "param" not in dict(own):
        table.fail("needs `param`: the query parameter that says which page", "paging")
    if own and not {"next", "pages"} & dict(own).keys():
        table.fail(
            "needs `next` (where the next cursor is) or `pages` (where the number of pages is)", "paging"
        )
    return own


def _prices(table: Table) -> Pairs:
    own = _pairs(table.table("prices"), _PRICES, lambda *_: None)
    unit = dict(own).get("unit")
    if unit is not None and unit not in UNITS:
        table.table("prices").fail(f"{unit!r} is no unit: use one of {', '.join(UNITS)}", "unit")
    return own


def _pairs(table: Table, known: Iterable[str], check: Callable[[Table, str, str], None]) -> Pairs:
    table.only(known)
    found = []
    for key in table.values:
        value = table.text(key)
        assert value is not None
        check(table, key, value)
        found.append((key, value))
    return tuple(found)
