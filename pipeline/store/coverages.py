"""The sets of scopes that runs asked, each stored as its difference from an earlier one.

Sets that differ little make a series, which `coverages.series` names by the id of its first set.
`coverage_spans` has which sets of a series have a scope: those from `since` on and before `until`, by id;
null is for all up to the newest. Thus a set writes a row for each scope that the newest one of its series
lacks, and changes a row for each that only that one has; no other set is needed to read it.

The view `coverage_scopes` has the members of each set; only this module and
`maintenance/coverages.py` read `coverage_spans`.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from typing import Any

from pipeline.core.text import count
from pipeline.store.digests import set_digest


def set_name(size: int) -> str:
    """Return the name of a set of scopes, by its size."""
    return count(size, "scope")


def add_set(connection: sqlite3.Connection, number: int, scopes: Sequence[int]) -> None:
    """Write a set of scopes that is not stored yet, as the difference from the one that is most like it.

    Must run inside a transaction.

    Args:
        connection: an open database.
        number: its id, which is larger than those of all other sets.
        scopes: the ids of the scopes, sorted.
    """
    new: dict[str, Any] = {
        "id": number,
        "name": set_name(len(scopes)),
        "digest": set_digest(scopes),
        "scopes": json.dumps(scopes),
    }
    new["series"] = _series(connection, new["scopes"], len(scopes)) or number
    connection.execute(
        "insert into coverages (id, name, digest, series) values (:id, :name, :digest, :series)", new
    )
    connection.execute(_END, new)
    connection.execute(_BEGIN, new)


def _series(connection: sqlite3.Connection, scopes: str, size: int) -> int | None:
    """Return the series whose newest set differs least from a set of scopes, a JSON array; None if much."""
    found = connection.execute(_COMMON, {"scopes": scopes}).fetchall()
    differences = [(size + own - 2 * common, series) for series, own, common in found]
    difference, series = min(differences, default=(size, None))
    return series if difference < size else None


_COMMON = """
    with common as (
        select spans.series, count(*) as scopes from json_each(:scopes) as wanted
        cross join coverage_spans as spans on spans.scope = wanted.value and spans.until is null
        group by spans.series
    )
    select common.series, count(*), common.scopes from coverage_spans as spans
    cross join common on common.series = spans.series
    where spans.until is null group by common.series
"""
"""SQL: the size of the newest set of each series, and how many scopes it has in common with a new one."""

_END = """
    update coverage_spans set until = :id where series = :series and until is null
    and scope not in (select value from json_each(:scopes))
"""

_BEGIN = """
    insert into coverage_spans (scope, series, since)
    select wanted.value, :series, :id from json_each(:scopes) as wanted where not exists (
        select 1 from coverage_spans as spans
        where spans.scope = wanted.value and spans.series = :series and spans.until is null)
"""


def last_asked(scope: str, until: str) -> str:
    """Return SQL: the last run that asked a scope, up to another.

    Most scopes are asked by every run of their site, so that run is tried first: a scope may be in
    thousands of sets.

    Args:
        scope: the alias of its row in `scopes`.
        until: an expression for the id of a run.
    """
    return f"""coalesce((
        select near.id from snapshots as near
        where near.id = (select max(id) from snapshots where id <= {until} and site is {scope}.site)
        and exists (select 1 from coverage_scopes
                    where coverage_scopes.coverage = near.covered and coverage_scopes.scope = {scope}.id)), (
        select max((select max(covering.id) from snapshots as covering
                    where covering.covered = coverage_scopes.coverage and covering.id <= {until}))
        from coverage_scopes where coverage_scopes.scope = {scope}.id))"""  # noqa: S608 - our own words
