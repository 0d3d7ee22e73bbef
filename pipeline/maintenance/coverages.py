"""All sets of scopes that runs asked: read them, and drop what pruned and forgotten history leaves of them.

See `pipeline/store/coverages.py` for how they are stored.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

from pipeline.core.types import Digest
from pipeline.store import Store
from pipeline.store.coverages import set_name
from pipeline.store.digests import set_digest


class ScopeSet(NamedTuple):
    """A set of scopes: its row in `coverages`, its digest as stored, and the ids of the scopes, sorted."""

    id: int
    digest: Digest
    scopes: list[int]


def scope_sets(store: Store) -> Iterator[ScopeSet]:
    """Yield every set of scopes, by series; a scope that is stored in it twice appears twice."""
    spans = {
        series: [(since, until, scope) for _, since, until, scope in group]
        for series, group in groupby(
            store.stream("select series, since, until, scope from coverage_spans order by series"),
            key=itemgetter(0),
        )
    }
    rows = store.stream("select series, id, digest from coverages order by series, id")
    for series, sets in groupby(list(rows), key=itemgetter(0)):
        own = spans.get(series, [])
        begin = sorted(((since, scope) for since, _, scope in own), reverse=True)
        end = sorted(((until, scope) for _, until, scope in own if until is not None), reverse=True)
        members: Counter[int] = Counter()
        for _, number, digest in sets:
            for waiting, step in ((begin, 1), (end, -1)):
                while waiting and waiting[-1][0] <= number:
                    members[waiting.pop()[1]] += step
            yield ScopeSet(number, digest, sorted(members.elements()))


def stray_spans(store: Store) -> Iterator[int]:
    """Yield the scope of each row of `coverage_spans` that is of no set, or ends after the newest one."""
    rows = store.stream(f"select scope from coverage_spans where {_IS_EMPTY} or {_IS_OPEN}")  # noqa: S608 - constants
    for (scope,) in rows:
        yield scope


_IS_EMPTY = """not exists (
    select 1 from coverages where coverages.series = coverage_spans.series
    and coverages.id >= coverage_spans.since
    and coverages.id < coalesce(coverage_spans.until, coverages.id + 1))"""

_IS_OPEN = """coverage_spans.until > (
    select max(coverages.id) from coverages where coverages.series = coverage_spans.series)"""


def tidy_spans(store: Store) -> None:
    """Drop the rows of sets that were deleted; must run inside their transaction."""
    store.connection.execute(f"delete from coverage_spans where {_IS_EMPTY}")  # noqa: S608 - constants
    store.connection.execute(f"update coverage_spans set until = null where {_IS_OPEN}")  # noqa: S608 - constants


def drop_scopes(store: Store, scopes: str) -> None:
    """Take scopes, a JSON array of ids, out of all sets, and merge the sets that have become equal.

    Must run inside a transaction.
    """
    store.connection.execute(
        "delete from coverage_spans where scope in (select value from json_each(?))", [scopes]
    )
    equal: dict[Digest, list[int]] = {}
    sizes: dict[Digest, int] = {}
    for each in scope_sets(store):
        digest = set_digest(each.scopes)
        equal.setdefault(digest, []).append(each.id)
        sizes[digest] = len(each.scopes)
    # Digests are unique, and the new digest of a set may be the old one of another.
    store.connection.execute("update coverages set digest = id")
    for digest, ids in equal.items():
        first, *others = sorted(ids)
        row = {
            "first": first,
            "others": json.dumps(others),
            "digest": digest,
            "name": set_name(sizes[digest]),
        }
        for statement in _MERGE:
            store.connection.execute(statement, row)
    tidy_spans(store)


_MERGE = (
    "update snapshots set covered = :first where covered in (select value from json_each(:others))",
    "delete from coverages where id in (select value from json_each(:others))",
    "update coverages set digest = :digest, name = :name where id = :first",
)
