"""Which scopes are offered the same: in lines for people, and as rows of CSV."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from textwrap import wrap
from typing import Any

from pipeline.offering import Alike, Nearest
from pipeline.reports.as_text import count
from pipeline.reports.display import shown as safe

COLUMNS = ("gateway", "scope", "list", "models", "nearest", "added", "removed", "changed")
"""The columns of the CSV: scopes of the same number in `list` are offered the same."""

_NAMED = 10


def rows(found: Sequence[Alike]) -> Iterator[Sequence[Any]]:
    """Give a row for each scope."""
    for number, each in enumerate(found, 1):
        near = each.nearest
        how = (
            (near.scope, *(" ".join(part) for part in (near.added, near.removed, near.changed)))
            if near
            else ()
        )
        for scope in each.scopes:
            yield (each.gateway, scope, number, each.models, *(how or (None,) * 4))


def lines(found: Sequence[Alike], width: int) -> Iterator[str]:
    """Say which scopes are offered the same, and how the others differ."""
    for gateway, of_it in groupby(found, key=lambda each: each.gateway):
        sets = list(of_it)
        scopes = sum(len(each.scopes) for each in sets)
        yield f"{safe(gateway)}: {count(len(sets), 'list')} for {count(scopes, 'scope')}"
        for each in sets:
            text = f"{count(each.models, 'model')}: {' '.join(map(safe, each.scopes))}"
            yield from _wrapped(text, width, 2)
            if each.nearest:
                yield from _near(each.nearest, width)


def _near(near: Nearest, width: int) -> Iterator[str]:
    parts = (("+", near.added), ("-", near.removed), ("~", near.changed))
    yield f"    beside {safe(near.scope)}:"
    for sign, models in parts:
        if models:
            more = len(models) - _NAMED
            also = f" and {more} more" if more > 0 else ""
            named = " ".join(map(safe, models[:_NAMED]))
            yield from _wrapped(f"{sign} {len(models)}: {named}{also}", width, 6)


def _wrapped(text: str, width: int, indent: int) -> list[str]:
    return wrap(
        text,
        width,
        initial_indent=" " * indent,
        subsequent_indent=" " * (indent + 2),
        break_long_words=False,
        break_on_hyphens=False,
    )
