"""What happened in a history, counted without any code of the program: plain JSON, plain dicts."""

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
"""Arrays whose order means nothing, of those that the dialect declares: all that occur in these histories."""

NOISE = ("id", "created")
"""What the dialect leaves out of each entry of `permission`: made up by the server at each request."""

Steps = dict[str, int]
"""How many models were added, removed and changed from answer to answer."""


def count(bodies: Iterable[bytes]) -> Steps:
    """Count the steps of a history."""
    steps = Counter(added=0, removed=0, changed=0)
    before = None
    for body in bodies:
        after = _records(body)
        if before is not None:
            steps["added"] += len(after.keys() - before.keys())
            steps["removed"] += len(before.keys() - after.keys())
            steps["changed"] += sum(before[model] != after[model] for model in before.keys() & after.keys())
        before = after
    return dict(steps)


def recorded(database: Path) -> Steps:
    """Add up the steps that a database has; a move that was made twice is stored once, and counts twice."""
    with closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        row = connection.execute("""
            select coalesce(sum(added), 0), coalesce(sum(removed), 0), coalesce(sum(changed), 0)
            from sightings join transitions on transitions.id = sightings.transition
            where sightings.outcome = 'moved'
        """).fetchone()
    return dict(zip(("added", "removed", "changed"), row, strict=True))


def in_words(steps: Steps) -> str:
    """Write the steps as a sentence would."""
    return ", ".join(f"{number:,} {kind}" for kind, number in steps.items())


def _records(body: bytes) -> dict[str, Any]:
    found: dict[str, list[Any]] = {}
    for row in json.loads(body, parse_float=Decimal)["data"]:
        found.setdefault(row["id"], []).append(_plain(row))
    # Of several records of one id the first in order of their spelling stands.
    return {model: min(rows, key=_spelling) if rows[1:] else rows[0] for model, rows in found.items()}


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    for outer, inner in SETS:
        if isinstance(row.get(outer), dict) and isinstance(row[outer].get(inner), list):
            row[outer][inner].sort(key=str)
    for entry in row.get("permission") or ():
        for name in NOISE:
            entry.pop(name, None)
    return row


def _spelling(row: Any) -> str:
    return json.dumps(row, sort_keys=True, default=str)
