"""Check the whole database: the file, the recorded history, the rows derived from it, and every pointer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import StrEnum
from itertools import groupby
from operator import itemgetter

from msgspec import Struct

from pipeline.core import canonical
from pipeline.core.diff import NO_RULES, FieldRules
from pipeline.core.types import Digest, Record
from pipeline.errors import StoreError
from pipeline.maintenance.coverages import scope_sets, stray_spans
from pipeline.maintenance.derive import (
    ListingLoader,
    Transition,
    derive,
    differences,
    field_rules,
    stored_changes,
    stored_transitions,
)
from pipeline.maintenance.facts import DialectsOf, fact_differences
from pipeline.maintenance.replay import PointerState, Replay, read_sightings, replay
from pipeline.maintenance.search import unindexed
from pipeline.maintenance.values import value_problems
from pipeline.store import Store, flap_levels
from pipeline.store.digests import reason_digest, set_digest
from pipeline.store.integrity import SEARCH_TABLE, changed_parts, changed_tables, index_fault

_FILE = "the file"


class Cure(StrEnum):
    """The remedy for a problem: rebuild from the history, or restore a backup."""

    REBUILD = "modelwatch rebuild"
    RESTORE = "restore a backup"


class Problem(Struct, frozen=True):
    """An error in a row; `id` is None if it is not of a single row."""

    table: str
    id: int | None
    message: str
    cure: Cure


class Check(Struct, frozen=True):
    """One check.

    Args:
        subject: the things that were checked, in the plural.
        count: their number.
        passed: the message if there is no problem.
        problems: the problems found.
    """

    subject: str
    count: int
    passed: str
    problems: tuple[Problem, ...] = ()


def verify(store: Store, dialects_of: DialectsOf) -> Iterator[Check]:
    """Check everything, one after the other; write nothing.

    A file that SQLite finds damaged, or whose tables differ, is not checked further. If records or listings
    are damaged, the rows derived from them are not checked. A check that stops at a damaged value is a
    problem itself.

    Args:
        store: an open database.
        dialects_of: returns the dialects that may have parsed a listing.

    Raises:
        Exception: a check stopped, and nothing is wrong with the database: a fault of this program.
    """
    checking = _Checking()
    with store.read_transaction():
        yield from checking.run("pages", lambda: [check_file(store)])
        if checking.stopped or any(problem.table == _FILE for problem in checking.problems):
            return
        yield from checking.run("tables", lambda: [check_schema(store)])
        if any(problem.cure == Cure.RESTORE for problem in checking.problems if problem.id is None):
            return
        yield from checking.run("values", lambda: [check_values(store)])
        yield from checking.run("records", lambda: [check_records(store)])
        yield from checking.run("listings", lambda: [check_listings(store)])
        yield from checking.run("coverages", lambda: [check_coverages(store)])
        yield from checking.run("reasons", lambda: [check_reasons(store)])
        contents_are_right = not any(problem.cure == Cure.RESTORE for problem in checking.problems)
        yield from checking.run("sightings", lambda: _check_pointers(store))
        yield from checking.run("departures", lambda: [check_departures(store)])
        yield from checking.run("values that keep changing", lambda: [check_flaps(store)])
        yield from checking.run("values that came back different", lambda: [check_regains(store)])
        yield from checking.run("deliveries", lambda: [check_deliveries(store)])
        yield from checking.run("models", lambda: [_check_search(store)])
        if contents_are_right:
            yield from checking.run("transitions", lambda: _check_derived(store, dialects_of))
        else:
            pending = "removals to be confirmed"
            yield from checking.run(pending, lambda: [check_pending_removals(store, only_moves=True)])
    checking.raise_fault()


class _Checking:
    """The checks so far.

    Args:
        problems: those that were found.
        stopped: the errors of checks that could not be finished.
    """

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.stopped: list[Exception] = []

    def run(self, subject: str, check: Callable[[], Iterable[Check]]) -> Iterator[Check]:
        """Yield the results of checks; an error at a damaged value is a problem of its subject."""
        try:
            for found in check():
                self.problems += found.problems
                yield found
        except Exception as error:  # noqa: BLE001 - a damaged value may raise any
            self.stopped.append(error)
            cause = error.__cause__ if isinstance(error, StoreError) else error
            message = f"they cannot be checked: {type(cause).__name__}: {cause}"
            yield Check(subject, 0, "", (Problem(subject, None, message, Cure.RESTORE),))

    def raise_fault(self) -> None:
        """Raise the error of a check that stopped, unless the database has a problem that may explain it."""
        faults = [error for error in self.stopped if not isinstance(error, StoreError)]
        if faults and not self.problems:
            raise faults[0]


def _check_pointers(store: Store) -> Iterator[Check]:
    sightings = read_sightings(store)
    found = replay(sightings)
    yield check_ledger(found, len(sightings))
    yield _check_scopes(store, found)


def _check_derived(store: Store, dialects_of: DialectsOf) -> Iterator[Check]:
    transitions = _check_transitions(store, dialects_of, replay(read_sightings(store)))
    yield transitions
    yield check_pending_removals(store, only_moves=bool(transitions.problems))
    yield from _check_facts(store, dialects_of)


def check_file(store: Store) -> Check:
    """Check the pages of the file and every foreign key.

    See https://www.sqlite.org/pragma.html#pragma_integrity_check.
    """
    messages = [message for (message,) in store.stream("pragma integrity_check") if message != "ok"]
    # Newer releases of SQLite check the search index too, which is checked below and can be made again.
    pages = [message for message in messages if SEARCH_TABLE not in message]
    found = [Problem(_FILE, None, message, Cure.RESTORE) for message in pages]
    if not pages:
        links = store.stream('select "table", rowid, parent from pragma_foreign_key_check')
        found += [
            Problem(table, row, f"it refers to a missing row of {parent}", _cure_of_link(table, parent))
            for table, row, parent in links
        ]
    ((size,),) = store.stream("select page_count from pragma_page_count")
    return Check("pages", size, "SQLite finds no fault, and every link leads to a row", tuple(found))


def check_schema(store: Store) -> Check:
    """Check the columns of tables, and every index, view and trigger."""
    problems = [
        Problem(table, None, message, Cure.RESTORE) for table, message in changed_tables(store).items()
    ]
    parts = list(changed_parts(store))
    for wanted, found in parts:
        message = "is missing" if found is None else "differs from that of this release"
        problems.append(Problem(wanted.name, None, f"the {wanted.kind} {message}", Cure.REBUILD))
    ((count,),) = store.stream(
        "select count(*) from sqlite_master where sql is not null and name not like '!_%' escape '!'"
    )
    return Check("parts of the schema", count, "they are those of this release", tuple(problems))


def check_values(store: Store) -> Check:
    """Check that times, JSON, names and validators can be read."""
    problems = [
        Problem(each.table, each.id, each.message, Cure.REBUILD if each.derived else Cure.RESTORE)
        for each in value_problems(store)
    ]
    ((count,),) = store.stream("select count(*) from snapshots")
    return Check("runs", count, "their times, and all other stored values, can be read", tuple(problems))


def _cure_of_link(table: str, parent: str) -> Cure:
    derived = parent == "transitions" or table in ("changes", "field_changes", "permissions", "record_prices")
    return Cure.REBUILD if derived else Cure.RESTORE


def check_records(store: Store) -> Check:
    """Compare the digest of every record with its body."""
    found, count = [], 0
    rows = store.stream("select id, digest, cast(body as blob) from records order by id")
    for number, digest, body in rows:
        count += 1
        message = _record_problem(digest, body)
        if message:
            found.append(Problem("records", number, message, Cure.RESTORE))
    return Check("records", count, "digests agree", tuple(found))


def _record_problem(digest: str, body: bytes) -> str | None:
    try:
        text = body.decode()
        canonical_text = canonical.encode(canonical.decode(body))
    except ValueError:
        return "its body is not JSON"
    if canonical.digest(text) != digest:
        return "its digest is not that of its body"
    return None if canonical_text == text else "its body is not canonical JSON"


def check_listings(store: Store) -> Check:
    """Compare the digest and the size of every listing with its records."""
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
    members = {
        listing: [record for _, record in group] for listing, group in groupby(links, key=itemgetter(0))
    }
    found, count = [], 0
    for number, *head in store.stream("select id, gateway, digest, size from listings order by id"):
        count += 1
        own = [records[record] for record in members.get(number, ()) if record in records]
        found += [
            Problem("listings", number, message, Cure.RESTORE) for message in _listing_problems(head, own)
        ]
    return Check("listings", count, "digests and sizes agree with their records", tuple(found))


def _listing_problems(head: Sequence[object], members: Sequence[tuple[str, Digest, int]]) -> Iterator[str]:
    gateway, digest, size = head
    records = {model: Record(model, record_digest, "") for model, record_digest, _ in members}
    if len(members) != size:
        yield f"it has {len(members)} records, and its size is {size}"
    if len(records) != len(members):
        yield "it has a model twice"
    if any(record_gateway != gateway for _, _, record_gateway in members):
        yield "it has a record of another gateway"
    if canonical.digest_of_records(records.values()) != digest:
        yield "its digest is not that of its records"


def check_coverages(store: Store) -> Check:
    """Compare the digest of every set of scopes with its members."""
    found, count = [], 0
    for each in scope_sets(store):
        count += 1
        if set_digest(each.scopes) != each.digest:
            found.append(Problem("coverages", each.id, "its digest is not that of its scopes", Cure.RESTORE))
    found += [
        Problem("coverage_spans", None, f"it has scope {scope} in no set of scopes", Cure.RESTORE)
        for scope in stray_spans(store)
    ]
    return Check("coverages", count, "digests agree with their scopes", tuple(found))


def check_reasons(store: Store) -> Check:
    """Compare the digest of every reason with its text."""
    rows = list(store.stream("select id, name, cure, digest from reasons order by id"))
    found = (
        Problem("reasons", number, "its digest is not that of its text", Cure.RESTORE)
        for number, text, cure, digest in rows
        if reason_digest(text, cure) != digest
    )
    return Check("reasons", len(rows), "digests agree with their texts", tuple(found))


def check_ledger(found: Replay, count: int) -> Check:
    """Check that each of `count` sightings follows from those before it."""
    problems = [
        Problem("sightings", number, message, Cure.RESTORE) for number, message in found.breaks.items()
    ]
    problems += [
        Problem("transitions", transition, "its sightings disagree on its listings", Cure.RESTORE)
        for transition, sides in found.sides.items()
        if len(sides) > 1
    ]
    return Check("sightings", count, "each follows from those before it", tuple(problems))


def _check_scopes(store: Store, found: Replay) -> Check:
    rows = list(store.stream("select id, name, listing, held, sighting from scopes order by id"))
    problems = []
    for scope, name, *pointers in rows:
        state = found.states.get(scope, PointerState())
        if pointers != [state.listing, state.held, state.sighting]:
            message = f"{name} does not point at what its sightings lead to"
            problems.append(Problem("scopes", scope, message, Cure.REBUILD))
    return Check("scopes", len(rows), "each points at what its sightings lead to", tuple(problems))


def check_departures(store: Store) -> Check:
    """Check that the record of each departure is of its model, and the model of its scope's gateway."""
    rows = store.rows(
        """
        select departures.id, records.model = departures.model and models.gateway = scopes.gateway as agrees
        from departures
        join records on records.id = departures.record
        join models on models.id = departures.model
        join scopes on scopes.id = departures.scope
        order by departures.id
        """
    )
    message = "its record is not of its model, or not of its scope's gateway"
    found = (Problem("departures", row["id"], message, Cure.RESTORE) for row in rows if not row["agrees"])
    return Check("departures", len(rows), "each is of a model of its scope's gateway", tuple(found))


def check_flaps(store: Store) -> Check:
    """Check the values that keep changing: their sightings are of their scopes, and one at a time is open."""
    rows = store.rows(
        """
        select flaps.id, case
            when models.gateway <> scopes.gateway then 'its model is not of the gateway of its scope'
            when announced.id is not null and (
                announced.scope <> flaps.scope or announced.outcome not in ('moved', 'baseline'))
                then 'it was not announced by a move of its scope'
            when ended.id is not null and (ended.scope <> flaps.scope or ended.id <= flaps.announced
                or ended.outcome not in ('settled', 'confirmed'))
                then 'the sighting that ended it does not settle a value of its scope, or remove its model'
            when exists (
                select 1 from json_each(flaps.news) as news
                left join sightings on sightings.id = news.value
                where sightings.scope <> flaps.scope or news.value <= flaps.announced
                or news.value >= flaps.ended)
                then 'a new value of it is not of a sighting of its scope while it kept changing'
            when exists (
                select 1 from flaps as earlier where earlier.scope = flaps.scope and earlier.id < flaps.id
                and earlier.model = flaps.model and earlier.field = flaps.field
                and (earlier.ended is null or earlier.ended >= flaps.announced))
                then 'an earlier one of the same field has not ended before it'
        end as problem
        from flaps
        join scopes on scopes.id = flaps.scope
        join models on models.id = flaps.model
        left join sightings as announced on announced.id = flaps.announced
        left join sightings as ended on ended.id = flaps.ended
        order by flaps.id
        """
    )
    found = [
        Problem("flaps", row["id"], row["problem"], Cure.RESTORE)
        for row in rows
        if row["problem"] is not None
    ]
    found += [
        Problem("sightings", row["id"], "it settles no value", Cure.RESTORE)
        for row in store.rows(
            "select id from sightings where outcome = 'settled'"
            " and id not in (select ended from flaps where ended is not null) order by id"
        )
    ]
    return Check("values that keep changing", len(rows), "each begins and ends in its scope", tuple(found))


def check_regains(store: Store) -> Check:
    """Check the values that came back different: their models, records and sightings are of their scopes."""
    rows = store.rows(
        """
        select regains.id, models.gateway = scopes.gateway and records.model = regains.model
                           and sightings.scope = regains.scope and sightings.outcome = 'moved' as agrees
        from regains
        join scopes on scopes.id = regains.scope
        join models on models.id = regains.model
        join records on records.id = regains.record
        join sightings on sightings.id = regains.sighting
        order by regains.id
        """
    )
    message = "its record is not of its model, or its sighting is no move of its scope"
    found = (Problem("regains", row["id"], message, Cure.RESTORE) for row in rows if not row["agrees"])
    return Check("values that came back different", len(rows), "each is of a move of its scope", tuple(found))


def check_deliveries(store: Store) -> Check:
    """Check that the runs of deliveries and destinations exist, and follow each other."""
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
        Problem("deliveries", row["id"], message, Cure.RESTORE)
        for column, message in (("lost", "its run is missing"), ("backwards", "it ends before it begins"))
        for row in rows
        if row[column]
    ]
    found += [
        Problem("destinations", row["id"], "the last run reported to it is missing", Cure.RESTORE)
        for row in store.rows(
            "select id from destinations"
            " where reported_until > 0 and reported_until not in (select id from snapshots) order by id"
        )
    ]
    return Check("deliveries", len(rows), "the runs of each exist", tuple(found))


def _check_search(store: Store) -> Check:
    ((count,),) = store.stream("select count(*) from models")
    message = "the search does not find it by its id, owner and name"
    fault = index_fault(store)
    if fault:
        broken = f"the pages of its index are damaged: {fault}"
        problems = [Problem(SEARCH_TABLE, None, broken, Cure.REBUILD)]
    else:
        problems = [Problem("models", number, message, Cure.REBUILD) for number in unindexed(store)]
    return Check("models", count, "the search finds each by its id, owner and name", tuple(problems))


def check_pending_removals(store: Store, *, only_moves: bool) -> Check:
    """Check that each pending removal is of a move of its scope, and that none is lost.

    With `only_moves`, changes are not used, since they are damaged.
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
    levels: dict[int, set[int]] = {}
    for (moved, _), level in flap_levels(store, {row["moved"] for row in rows if row["moved"]}).items():
        levels.setdefault(moved, set()).add(level)
    found = []
    for row in rows:
        if row["moved"] is None:
            found.append(_pending_problem(row["id"], "its scope has made no such move"))
        elif only_moves:
            continue
        elif not row["gone"]:
            found.append(_pending_problem(row["id"], "none of its models is missing"))
        elif row["flap_level"] not in levels.get(row["moved"], set()) or row["misses"] < 1:
            found.append(_pending_problem(row["id"], "no model of its move has its flap level"))
    if not only_moves:
        found += [
            _pending_problem(None, f"{row['scope']} lost {row['model']}, and its removal is not pending")
            for row in store.rows(_LOST_REMOVALS)
        ]
    return Check("removals to be confirmed", len(rows), "each is of a move of its scope", tuple(found))


def _pending_problem(number: int | None, message: str) -> Problem:
    return Problem("missing", number, message, Cure.RESTORE)


_LOST_REMOVALS = """
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


def _check_transitions(store: Store, dialects_of: DialectsOf, found: Replay) -> Check:
    loader, rules = ListingLoader(store), field_rules(store, dialects_of)
    rows = stored_transitions(store)
    lost = found.sides.keys() - {row.id for row in rows}
    problems = [Problem("transitions", number, "it is missing", Cure.REBUILD) for number in sorted(lost)]
    for row in rows:
        if (row.before, row.after) not in found.sides.get(row.id, {(row.before, row.after)}):
            message = "its listings are not those between which its sightings moved"
            problems.append(Problem("transitions", row.id, message, Cure.REBUILD))
            continue
        problems += [
            Problem(table, number, message, Cure.REBUILD)
            for table, number, message in _transition_differences(store, loader, row, rules[row.after])
        ]
    return Check("transitions", len(rows), "their changes follow from their listings", tuple(problems))


def _transition_differences(
    store: Store, loader: ListingLoader, row: Transition, rules: Sequence[FieldRules]
) -> list[tuple[str, int, str]]:
    """Return where a transition differs from what follows from its listings under one of some rules."""
    stored = stored_changes(store, row.id)
    found = []
    for each in rules or [NO_RULES]:
        # Not under the quiet paths of today: any field may be quiet by those of its time.
        derived = derive(loader, row.before, row.after, FieldRules(facts=each.facts))
        found.append(list(differences(row, derived, stored, categories=bool(rules))))
        if not found[-1]:
            return []
    return found[0]


def _check_facts(store: Store, dialects_of: DialectsOf) -> Iterator[Check]:
    found = fact_differences(store, dialects_of)
    yield Check(
        "facts",
        found.checked,
        "they are those that are parsed today",
        _record_problems(found.facts, "its facts are not those that are parsed today"),
    )
    if found.unknown:
        yield Check("facts", found.unknown, "of a dialect that does not exist here, and left alone")
    yield Check(
        "prices",
        found.checked,
        "they are those that are parsed today",
        _record_problems(found.prices, "its prices are not those that are parsed today"),
    )
    yield Check(
        "permissions",
        found.records,
        "they are those of the records",
        _record_problems(found.permissions, "its permissions are not those that are parsed today"),
    )


def _record_problems(records: Iterable[int], message: str) -> tuple[Problem, ...]:
    return tuple(Problem("records", number, message, Cure.REBUILD) for number in records)
