"""Settings of the config that find nothing in an answer, with the names that are there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from pipeline.core import jsonpath
from pipeline.core.jsonpath import Path
from pipeline.core.types import Overrides
from pipeline.gateways.dialects.dialect import Answer, Dialect
from pipeline.gateways.dialects.list_advice import named

_NO_PATHS = frozenset({"unit"})
_PAGES = ("pages", "total", "more", "next")
_SAMPLE = 200


def setting_advice(own: Overrides, dialect: Dialect, answer: Answer) -> tuple[str, ...]:
    """Return of each path in a gateway's config that finds nothing in an answer what stands there instead.

    Args:
        own: the gateway's settings.
        dialect: the dialect that the answer was read in.
        answer: a complete answer.
    """
    paths = tuple(_paths_in_records(own))
    paging = dict(own.paging)
    if not paths and not paging:
        return ()
    pages = [dialect.rows(body) for body in answer.bodies]
    records = [row for _, rows in pages for row in rows if isinstance(row, dict)]
    found = [
        _message(setting, path, records)
        for setting, path in paths
        if records and not any(_has(record, jsonpath.parse(path)) for record in records)
    ]
    places = [*(envelope for envelope, _ in pages), *answer.headers]
    found += [
        _paging_message(name, paging[name], pages[0][0])
        for name in _PAGES
        if name in paging and isinstance(pages[0][0], dict) and not _is_in_pages(places, paging[name])
    ]
    return tuple(found)


def _paths_in_records(own: Overrides) -> Iterator[tuple[str, str]]:
    """Yield the settings that have a path in a record, and their paths."""
    for name in ("noise", "quiet", "sets"):
        yield from ((name, path) for path in getattr(own, name))
    yield from ((f"facts.{name}", path) for name, path in own.facts)
    yield from ((f"prices.{name}", path) for name, path in own.prices if name not in _NO_PATHS)


def _has(value: Any, path: Path) -> bool:
    if not path:
        return True
    step, rest = path[0], path[1:]
    match value:
        case dict() if step == "*":
            return any(_has(each, rest) for each in value.values())
        case dict():
            return step in value and _has(value[step], rest)
        case list() if step == "*":
            return any(_has(each, rest) for each in value)
        case _:
            return False


def _is_in_pages(places: Sequence[Any], path: str) -> bool:
    """Return whether a path finds something in an envelope or in headers, whose names are in lower case."""
    forms = [each for form in (path, path.lower()) for each in ((form,), jsonpath.parse(form))]
    return any(_has(place, form) for place in places for form in forms)


def _paging_message(name: str, path: str, envelope: Mapping[str, Any]) -> str:
    known = [*envelope]
    for outer, value in envelope.items():
        known += [f"{outer}.{inner}" for inner in value] if isinstance(value, dict) else []
    where = " in any page, which is right only if the last page has no cursor" if name == "next" else ""
    hint = _hint(path, known)
    return f"`{name}` of `paging` finds nothing at `{path}`{where}: {hint}the answer has {named(envelope)}"


def _message(setting: str, path: str, records: Sequence[Mapping[str, Any]]) -> str:
    leaves = {
        jsonpath.generalise(leaf) for record in records[:_SAMPLE] for leaf, _ in jsonpath.leaves(dict(record))
    }
    known = leaves | {".".join(jsonpath.split(leaf)[:at]) for leaf in leaves for at in range(1, 4)}
    hint = _hint(".".join(jsonpath.parse(path)), known)
    return f"`{setting}` finds nothing at `{path}` in any record: {hint}the records have {named(*records)}"


def _hint(path: str, known: Iterable[str]) -> str:
    near = get_close_matches(path, sorted(known), n=1)
    return f"did you mean `{near[0]}`? " if near else ""
