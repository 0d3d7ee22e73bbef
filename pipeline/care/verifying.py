"""Check the whole database: the file, what was heard, what follows from it, and every pointer."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.care.deriving import Shelf, derive, differences, stored, transitions
from pipeline.care.pointers import delivery_problems, departure_problems, missing_problems
from pipeline.care.problems import Check, Cure, Problem, check
from pipeline.care.readings import DialectsOf, misread
from pipeline.care.replaying import Replay, replay, sightings
from pipeline.care.truth import coverage_problems, file_problems, listing_problems, record_problems
from pipeline.store import Store, mislaid


def verify(store: Store, known: DialectsOf) -> Iterator[Check]:
    """Check everything, one after the other; writes nothing.

    A file that SQLite itself finds damaged is not looked at further; from records and listings that are
    damaged nothing is derived to compare with.

    Args:
        store: an open database.
        known: gives the dialects in which a listing may have been read.
    """
    with store.steady():
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
    problems = [Problem("models", number, says, Cure.REBUILD) for number in mislaid(store)]
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
