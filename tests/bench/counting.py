"""The changes of a history, counted by JSON and dicts, without code of modelwatch."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

SETS = (("modalities", "input"), ("modalities", "output"))
"""Arrays that the dialect declares as sets, as far as they occur in these histories."""

NOISE = ("id", "created")
"""Noise in each entry of `permission`, which differs in each response."""

Counts = dict[str, int]
"""Numbers of models added, removed and changed, summed over all answers."""


def count(bodies: Iterable[bytes]) -> Counts:
    """Count the changes of a history."""
    counts = Counter(added=0, removed=0, changed=0)
    before = None
    for body in bodies:
        after = _records(body)
        if before is not None:
            counts["added"] += len(after.keys() - before.keys())
            counts["removed"] += len(before.keys() - after.keys())
            counts["changed"] += sum(before[model] != after[model] for model in before.keys() & after.keys())
        before = after
    return dict(counts)


def recorded(database: Path) -> Counts:
    """Sum the changes in a database; a transition stored once counts each time that it occurred."""
    with closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        row = connection.execute("""
            select coalesce(sum(added), 0), coalesce(sum(removed), 0), coalesce(sum(changed), 0)
            from sightings join transitions on transitions.id = sightings.transition
            where sightings.outcome = 'moved'
        """).fetchone()
    return dict(zip(("added", "removed", "changed"), row, strict=True))


def as_text(counts: Counts) -> str:
    """Return the numbers with their kinds, separated by commas."""
    return ", ".join(f"{number:,} {kind}" for kind, number in counts.items())


def _records(body: bytes) -> dict[str, Any]:
    found: dict[str, list[Any]] = {}
    for row in json.loads(body, parse_float=Decimal)["data"]:
        found.setdefault(row["id"], []).append(_without_noise(row))
    # Of several records of one id, the first in the order of their JSON counts.
    return {model: min(rows, key=_as_json) if rows[1:] else rows[0] for model, rows in found.items()}


def _without_noise(row: dict[str, Any]) -> dict[str, Any]:
    for outer, inner in SETS:
        if isinstance(row.get(outer), dict) and isinstance(row[outer].get(inner), list):
            row[outer][inner].sort(key=str)
    for entry in row.get("permission") or ():
        for name in NOISE:
            entry.pop(name, None)
    return row


def _as_json(row: Any) -> str:
    return json.dumps(row, sort_keys=True, default=str)
