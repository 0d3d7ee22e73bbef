"""Derive pointers, changes, facts and search again from the history, and correct those that differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from msgspec import Struct
from msgspec.structs import asdict, replace

from pipeline.core.diff import NO_RULES, FieldRules
from pipeline.core.types import Change, FieldChange
from pipeline.errors import StoreError
from pipeline.maintenance.derive import (
    DerivedChange,
    ListingLoader,
    StoredChange,
    Transition,
    derive,
    differences,
    field_rules,
    may_be_category,
    stored_changes,
    stored_transitions,
)
from pipeline.maintenance.facts import DialectsOf, correct_facts, correct_price_advice
from pipeline.maintenance.replay import PointerState, Replay, read_sightings, replay
from pipeline.maintenance.search import correct_search
from pipeline.maintenance.verify import (
    Cure,
    check_coverages,
    check_ledger,
    check_listings,
    check_reasons,
    check_records,
    check_values,
)
from pipeline.store import Store
from pipeline.store.bulk import BulkWriter, RowIds, ids_after
from pipeline.store.integrity import changed_parts
from pipeline.store.transitions import summary, write_changes


class RebuildTotals(Struct, frozen=True):
    """How many rows were corrected, by kind.

    `words` counts models that the search did not find; `unknown` counts records of unknown dialects, whose
    facts were left alone; `schema` counts indexes, views and triggers.
    """

    scopes: int = 0
    transitions: int = 0
    changes: int = 0
    field_changes: int = 0
    facts: int = 0
    prices: int = 0
    permissions: int = 0
    words: int = 0
    unknown: int = 0
    schema: int = 0


def rebuild(store: Store, dialects_of: DialectsOf) -> RebuildTotals:
    """Derive the other rows again from records, listings and sightings; correct rows keep their ids.

    Args:
        store: an open database; the caller holds its lock.
        dialects_of: returns the dialects that may have parsed a listing.

    Raises:
        StoreError: records, listings or sightings are damaged; nothing was written.
    """
    # The changes and sightings of a lost transition have no parent until it is written again.
    store.connection.execute("pragma foreign_keys = off")
    try:
        with store.transaction():
            found = replay(read_sightings(store))
            refuse_damage(store, found)
            schema = _correct_schema(store)
            scopes = _correct_scopes(store, found)
            transitions = _correct_transitions(store, found)
            changes, fields = correct_changes(store, dialects_of)
            corrected = correct_facts(store, dialects_of)
            correct_price_advice(store, dialects_of)
            words = correct_search(store)
            store.check_foreign_keys()
    finally:
        store.connection.execute("pragma foreign_keys = on")
    return RebuildTotals(
        scopes,
        transitions,
        changes,
        fields,
        corrected.facts,
        corrected.prices,
        corrected.permissions,
        words,
        corrected.unknown,
        schema,
    )


def refuse_damage(store: Store, found: Replay | None = None) -> None:
    """Raise `StoreError` if what is recorded is damaged; `found` is the replay of the sightings, if known."""
    checks = (
        check_records(store),
        check_listings(store),
        check_coverages(store),
        check_reasons(store),
        check_ledger(found or replay(read_sightings(store)), 0),
        check_values(store),
    )
    problems = [problem for check in checks for problem in check.problems if problem.cure == Cure.RESTORE]
    if problems:
        first = problems[0]
        raise StoreError(
            f"the history itself is damaged, first in {first.table} {first.id} ({first.message}):"
            " restore it from a backup; `modelwatch verify` shows all",
            path=store.path,
        )


def _correct_schema(store: Store) -> int:
    """Create indexes, views and triggers that are missing or differ; return their number."""
    parts = list(changed_parts(store))
    for _, found in parts:
        if found:
            store.connection.execute(f'drop {found.kind} "{found.name}"')
    for wanted, _ in parts:
        if wanted.sql:
            store.connection.execute(wanted.sql)
    return len(parts)


def _correct_scopes(store: Store, found: Replay) -> int:
    """Correct the pointers of scopes by their sightings, and drop validators: they are of another listing."""
    corrected = 0
    for row in store.rows("select id, listing, held, sighting from scopes"):
        wanted = asdict(found.states.get(row["id"], PointerState()))
        if wanted != {name: row[name] for name in wanted}:
            validators = dict.fromkeys(("fingerprint", "etag", "last_modified"))
            store.db.table("scopes").update(row["id"], wanted | validators)
            corrected += 1
    return corrected


def _correct_transitions(store: Store, found: Replay) -> int:
    """Correct the two listings of each transition by its sightings; return how many were wrong."""
    stored = {row.id: (row.before, row.after) for row in stored_transitions(store)}
    corrected = 0
    for number, sides in sorted(found.sides.items()):
        ((before, after),) = sides
        if stored.get(number) != (before, after):
            row = {"id": number, "before": before, "after": after} | summary(())
            store.db.table("transitions").insert(row, replace=True)
            corrected += 1
    return corrected


def correct_changes(
    store: Store, dialects_of: DialectsOf, *, only: set[int] | None = None
) -> tuple[int, int]:
    """Correct the changes of each transition, or of `only` some by id; return how many rows were wrong.

    The counts are those of changes and of fields. Must run inside a transaction.
    """
    orphans = [
        store.connection.execute(f"delete from {table} where {owner} not in (select id from {owner}s)")  # noqa: S608 - our own names
        for table, owner in (("changes", "transition"), ("field_changes", "change"))
    ]
    changes, fields = (cursor.rowcount for cursor in orphans)
    loader, writer, ids = ListingLoader(store), BulkWriter(store), RowIds(store)
    rules_of = field_rules(store, dialects_of)
    gaps = _Gaps(store)
    for row in stored_transitions(store):
        if only is not None and row.id not in only:
            continue
        rules = rules_of[row.after]
        stored = stored_changes(store, row.id)
        derived = derive(loader, row.before, row.after, rules[0] if rules else NO_RULES)
        if any(differences(row, derived, stored, categories=bool(rules))) and not _is_right(
            row, stored, loader, rules[1:]
        ):
            _delete_changes(store, row.id)
            store.db.table("transitions").update(row.id, summary(each.change for each in derived))
            fields_of = _with_stored_categories(derived, stored, any_category=not rules)
            write_changes(writer, ids, row.id, row.after, list(fields_of), fields_of.__getitem__, gaps)
            stored_rows, derived_rows = _rows(stored), _rows(stored_changes(store, row.id))
            changes += _count_different(stored_rows[0], derived_rows[0])
            fields += _count_different(stored_rows[1], derived_rows[1])
        else:
            gaps.skip(stored)
    return changes, fields


def _is_right(
    row: Transition, stored: Sequence[StoredChange], loader: ListingLoader, others: Sequence[FieldRules]
) -> bool:
    """Return whether stored rows follow from their listings under one of some other rules."""
    derived = (derive(loader, row.before, row.after, rules) for rules in others)
    return any(not any(differences(row, each, stored)) for each in derived)


class _Gaps:
    """The ids for rows that are written again: their old ones, as far as these are free.

    Ids are in the order of transitions, so those of one are between those of its neighbours.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._last = {"changes": 0, "field_changes": 0}

    def skip(self, stored: Sequence[StoredChange]) -> None:
        """Skip the ids of a transition whose rows are right."""
        fields = [field.id for change in stored for field in change.fields]
        for table, ids in (("changes", [change.id for change in stored]), ("field_changes", fields)):
            self._last[table] = max(ids, default=self._last[table])

    def __call__(self, table: str, count: int) -> range:
        """Return `count` ids of a table, after the rows of the transition before."""
        ids = ids_after(self._store, table, self._last[table], count)
        if ids and ids[0] == self._last[table] + 1:
            self._last[table] = ids[-1]
        return ids


def _delete_changes(store: Store, transition: int) -> None:
    own = {"transition": transition}
    store.connection.execute(
        "delete from field_changes where change in (select id from changes where transition = :transition)",
        own,
    )
    store.connection.execute("delete from changes where transition = :transition", own)


def _with_stored_categories(
    derived: Iterable[DerivedChange], stored: Iterable[StoredChange], *, any_category: bool
) -> dict[Change, list[FieldChange]]:
    """Return the derived changes and their fields, with the stored category if it can be right.

    With `any_category`, every one can be: those of an unknown dialect do not follow from the path alone.
    """
    fields = {(change.model, each.field.field): each.field for change in stored for each in change.fields}
    return {
        change.change: [
            replace(field, category=known.category, shape_of=known.shape_of)
            if (known := fields.get((change.model, field.field)))
            and (any_category or may_be_category(known, field))
            else field
            for field in change.fields
        ]
        for change in derived
    }


def _rows(changes: Iterable[StoredChange]) -> tuple[Counter[object], Counter[object]]:
    """Return changes and their fields without ids, to count those that differ."""
    changes = list(changes)
    fields = Counter[object]((change.model, each.field) for change in changes for each in change.fields)
    return Counter[object]((change.model, change.sides) for change in changes), fields


def _count_different(before: Counter[object], after: Counter[object]) -> int:
    return max((before - after).total(), (after - before).total())
