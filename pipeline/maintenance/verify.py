"""Check the working tables: removals that wait, departures that are remembered, and the outbox.

What a check of the database says: how many things were looked at, and what is wrong with which.

Check what was heard: every record against its digest, every listing against its members.

Check the whole database: the file, what was heard, what follows from it, and every pointer.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from operator import itemgetter

from pipeline.core import canonical
from pipeline.core.types import Digest, Record
from pipeline.maintenance.derive import Shelf, derive, differences, stored, transitions
from pipeline.maintenance.facts import DialectsOf, misread
from pipeline.maintenance.replay import Replay, replay, sightings
from pipeline.store import Store, flap_levels, unindexed


class Cure(StrEnum):
    """What to do about a problem: derived data is derived again, the history itself comes from a backup."""

    REBUILD = "modelwatch rebuild"
    RESTORE = "restore a backup"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong; `id` is None where no row of the table is meant."""

    table: str
    id: int | None
    says: str
    cure: Cure


@dataclass(frozen=True, slots=True)
class Check:
    """One check: so many of what, what they say when all is well, and the problems found."""

    what: str
    count: int
    well: str
    problems: tuple[Problem, ...] = ()


def check(what: str, count: int, well: str, problems: Iterable[Problem]) -> Check:
    """Make a check of its parts."""
    return Check(what, count, well, tuple(problems))


def missing_problems(store: Store, *, only_moves: bool) -> Check:
    """Look for removals that wait to be confirmed and are of no move.

    With `only_moves` the changes are damaged themselves: nothing is concluded from them.
    """
    rows = store.rows(
        """
        select missing.id, missing.flap_level, missing.misses, (
            select min(moved.id) from sightings as moved
            where moved.scope = missing.scope and moved.snapshot >= missing.since
            and moved.transition = missing.transition and moved.outcome = 'moved'
        ) as moved, exists(
            select 1 from changes join scopes on scopes.id = missing.scope
            where changes.transition = missing.transition and changes.kind = 'removed'
            and changes.model not in (
                select records.model from listing_records join records on records.id = listing_records.record
                where listing_records.listing = scopes.listing)
        ) as gone
        from missing order by missing.id
        """
    )
    by_move: dict[int, set[int]] = {}
    for (moved, _), level in flap_levels(store, {row["moved"] for row in rows if row["moved"]}).items():
        by_move.setdefault(moved, set()).add(level)
    found = []
    for row in rows:
        if row["moved"] is None:
            found.append(_missing(row["id"], "its scope has made no such move"))
        elif only_moves:
            continue
        elif not row["gone"]:
            found.append(_missing(row["id"], "nothing that it waits for is missing"))
        elif row["flap_level"] not in by_move.get(row["moved"], set()) or row["misses"] < 1:
            found.append(_missing(row["id"], "it waits for what no model of its move needs"))
    if not only_moves:
        found += [
            Problem(
                "missing", None, f"{row['scope']} lost {row['model']}, and nothing waits for it", Cure.RESTORE
            )
            for row in store.rows(_UNWAITED)
        ]
    return check("removals to be confirmed", len(rows), "each is of a move of its scope", found)


_UNWAITED = """
    with gone as (
        select moved.scope, removed.model, max(moved.id) as leaving from sightings as moved
        join changes as removed on removed.transition = moved.transition and removed.kind = 'removed'
        where moved.outcome = 'moved' group by moved.scope, removed.model
    )
    select scopes.name as scope, models.name as model from gone
    join sightings as leaving on leaving.id = gone.leaving
    join scopes on scopes.id = gone.scope
    join models on models.id = gone.model
    where not exists (
        select 1 from records join listing_records on listing_records.record = records.id
        where records.model = gone.model and listing_records.listing = scopes.listing)
    and not exists (
        select 1 from missing where missing.scope = gone.scope and missing.transition = leaving.transition)
    and not exists (
        select 1 from sightings as later where later.scope = gone.scope and later.id > gone.leaving
        and later.outcome = 'confirmed' and later.transition = leaving.transition)
    and not exists (
        select 1 from changes as added join sightings as back on back.transition = added.transition
        where added.model = gone.model and added.kind = 'added' and back.scope = gone.scope
        and back.outcome = 'moved' and back.id > gone.leaving)
    order by scopes.name, models.name
"""


def _missing(number: int, says: str) -> Problem:
    return Problem("missing", number, says, Cure.RESTORE)


def departure_problems(store: Store) -> Check:
    """Look for departures whose record is of another model, or whose gateway is another's."""
    rows = store.rows(
        """
        select departures.id, records.model = departures.model and models.gateway = scopes.gateway as well
        from departures
        join records on records.id = departures.record
        join models on models.id = departures.model
        join scopes on scopes.id = departures.scope
        order by departures.id
        """
    )
    found = [
        Problem(
            "departures",
            row["id"],
            "its record is not of its model, or not of its scope's gateway",
            Cure.RESTORE,
        )
        for row in rows
        if not row["well"]
    ]
    return check("departures", len(rows), "each is of a model of its scope's gateway", found)


def delivery_problems(store: Store) -> Check:
    """Look for reports that begin after they end, or of runs that are not there."""
    rows = store.rows(
        """
        select deliveries.id, until.id is null or (deliveries.since is not null and since.id is null) as lost,
               coalesce(deliveries.since, 0) >= deliveries.until as backwards
        from deliveries
        left join snapshots as until on until.id = deliveries.until
        left join snapshots as since on since.id = deliveries.since
        order by deliveries.id
        """
    )
    found = [
        Problem("deliveries", row["id"], "it is of a run that is not there", Cure.RESTORE)
        for row in rows
        if row["lost"]
    ] + [
        Problem("deliveries", row["id"], "it ends before it begins", Cure.RESTORE)
        for row in rows
        if row["backwards"]
    ]
    lost = store.rows(
        "select id from destinations"
        " where reported_until > 0 and reported_until not in (select id from snapshots) order by id"
    )
    found += [
        Problem("destinations", row["id"], "it was told up to a run that is not there", Cure.RESTORE)
        for row in lost
    ]
    return check("deliveries", len(rows), "each is of runs that are there", found)


def file_problems(store: Store) -> Check:
    """Let SQLite look at the pages of the file, and at every row that points at another."""
    pages = [says for (says,) in store.stream("pragma integrity_check") if says != "ok"]
    found = [Problem("the file", None, says, Cure.RESTORE) for says in pages]
    if not pages:
        links = store.stream('select "table", rowid, parent from pragma_foreign_key_check')
        found += [
            Problem(table, row, f"points at a row that is not in {parent}", _cure_of_link(table, parent))
            for table, row, parent in links
        ]
    ((size,),) = store.stream("select page_count from pragma_page_count")
    return check("pages", size, "SQLite finds no fault, and every link leads to a row", found)


def _cure_of_link(table: str, parent: str) -> Cure:
    derived = parent == "transitions" or table in ("changes", "field_changes", "permissions")
    return Cure.REBUILD if derived else Cure.RESTORE


def record_problems(store: Store) -> Check:
    """Compute the digest of every record from its body anew."""
    found, count = [], 0
    for number, digest, body in store.stream(
        "select id, digest, cast(body as blob) from records order by id"
    ):
        count += 1
        says = _record_says(digest, body)
        if says:
            found.append(Problem("records", number, says, Cure.RESTORE))
    return check("records", count, "digests agree", found)


def _record_says(digest: str, body: bytes) -> str | None:
    try:
        text = body.decode()
        spelling = canonical.encode(canonical.decode(body))
    except ValueError:
        return "its body is no JSON"
    if canonical.digest(text) != digest:
        return "its digest is not that of its body"
    return None if spelling == text else "its body is not in the canonical spelling"


def listing_problems(store: Store) -> Check:
    """Compute the digest and the size of every listing from its members anew."""
    records = {
        number: (model, digest, gateway)
        for number, model, digest, gateway in store.stream(
            """
            select records.id, models.name, records.digest, models.gateway from records
            join models on models.id = records.model
            """
        )
    }
    links = store.stream("select listing, record from listing_records order by listing")
    members = groupby(links, key=itemgetter(0))
    of_listing = {listing: [record for _, record in of_it] for listing, of_it in members}
    found, count = [], 0
    for number, *head in store.stream("select id, gateway, digest, size from listings order by id"):
        count += 1
        known = [records[record] for record in of_listing.get(number, ()) if record in records]
        found += [Problem("listings", number, says, Cure.RESTORE) for says in _listing_says(head, known)]
    return check("listings", count, "digests and sizes agree with their records", found)


def _listing_says(head: Sequence[object], members: Sequence[tuple[str, Digest, int]]) -> Iterator[str]:
    gateway, digest, size = head
    digests = {model: Record(model, of_it, "") for model, of_it, _ in members}
    if len(members) != size:
        yield f"it has {len(members)} records and says {size}"
    if len(digests) != len(members):
        yield "a model is in it twice"
    if any(of_it != gateway for _, _, of_it in members):
        yield "it has a record of another gateway"
    if canonical.digest_of_records(digests.values()) != digest:
        yield "its digest is not that of its records"


def coverage_problems(store: Store) -> Check:
    """Compute the digest of every set of scopes from its members anew."""
    members: dict[int, list[int]] = {}
    for coverage, scope in store.stream(
        "select coverage, scope from coverage_scopes order by coverage, scope"
    ):
        members.setdefault(coverage, []).append(scope)
    heads = list(store.stream("select id, digest from coverages order by id"))
    found = [
        Problem("coverages", number, "its digest is not that of its scopes", Cure.RESTORE)
        for number, digest in heads
        if canonical.digest(json.dumps(members.get(number, []))) != digest
    ]
    return check("coverages", len(heads), "digests agree with their scopes", found)


def verify(store: Store, known: DialectsOf) -> Iterator[Check]:
    """Check everything, one after the other; writes nothing.

    A file that SQLite itself finds damaged is not looked at further; from records and listings that are
    damaged nothing is derived to compare with.

    Args:
        store: an open database.
        known: gives the dialects in which a listing may have been read.
    """
    with store.read_transaction():
        first = file_problems(store)
        yield first
        if any(problem.table == "the file" for problem in first.problems):
            return
        truth = [record_problems(store), listing_problems(store), coverage_problems(store)]
        yield from truth
        seen = sightings(store)
        found = replay(seen)
        yield ledger_problems(found, len(seen))
        yield _ref_problems(store, found)
        yield departure_problems(store)
        yield delivery_problems(store)
        yield _search_problems(store)
        damage = [problem for each in (first, *truth) for problem in each.problems]
        if any(problem.cure == Cure.RESTORE for problem in damage):
            yield missing_problems(store, only_moves=True)
            return
        moves = _transition_problems(store, found)
        yield moves
        yield missing_problems(store, only_moves=bool(moves.problems))
        yield from _reading_problems(store, known)


def ledger_problems(found: Replay, count: int) -> Check:
    """Say which sightings do not follow from those before them."""
    problems = [Problem("sightings", number, says, Cure.RESTORE) for number, says in found.breaks.items()]
    problems += [
        Problem("transitions", transition, "sightings disagree on which move it is", Cure.RESTORE)
        for transition, sides in found.sides.items()
        if len(sides) > 1
    ]
    return check("sightings", count, "each follows from those before it", problems)


def _ref_problems(store: Store, found: Replay) -> Check:
    rows = list(store.stream("select id, name, listing, held, sighting from scopes order by id"))
    problems = []
    for scope, name, *pointers in rows:
        known = found.known.get(scope)
        wanted = [known.listing, known.held, known.sighting] if known else [None, None, None]
        if pointers != wanted:
            says = f"{name} does not point at what its sightings lead to"
            problems.append(Problem("scopes", scope, says, Cure.REBUILD))
    return check("scopes", len(rows), "each points at what its sightings lead to", problems)


def _search_problems(store: Store) -> Check:
    ((count,),) = store.stream("select count(*) from models")
    says = "it is not found by the words of its id, owner and name"
    problems = [Problem("models", number, says, Cure.REBUILD) for number in unindexed(store)]
    return check("models", count, "each is found by the words of its id, owner and name", problems)


def _transition_problems(store: Store, found: Replay) -> Check:
    shelf = Shelf(store)
    problems: list[Problem] = []
    rows = transitions(store)
    lost = found.sides.keys() - {row.id for row in rows}
    problems += [Problem("transitions", number, "it is not there", Cure.REBUILD) for number in sorted(lost)]
    for row in rows:
        moves = found.sides.get(row.id, {(row.before, row.after)})
        if (row.before, row.after) not in moves:
            says = "it is not the move that its sightings made"
            problems.append(Problem("transitions", row.id, says, Cure.REBUILD))
            continue
        fresh = derive(shelf, row.before, row.after)
        problems += [
            Problem(table, number, says, Cure.REBUILD)
            for table, number, says in differences(row, fresh, stored(store, row.id))
        ]
    return check("transitions", len(rows), "their changes follow from their listings", problems)


def _reading_problems(store: Store, known: DialectsOf) -> Iterator[Check]:
    found = misread(store, known)
    says = "they are not what is read today"
    facts = [Problem("records", number, f"its facts: {says}", Cure.REBUILD) for number in found.facts]
    yield check("facts", found.read, "they are what is read today", facts)
    if found.unknown:
        yield check("facts", found.unknown, "read in a dialect that is not known here, and left alone", ())
    granted = [
        Problem("records", number, f"its permissions: {says}", Cure.REBUILD) for number in found.permissions
    ]
    yield check("permissions", found.records, "they are what the records say", granted)
