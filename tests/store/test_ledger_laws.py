"""Property tests of the ledger: the database returns what was accepted, run by run."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from itertools import count

from hypothesis import assume, given, settings
from hypothesis import strategies as st
from support import strategies
from support.fakes import ONE_API, Script, moment, offered, read, record_run, result_of, rows_of
from support.histories import NAMES, SCOPES, Answers, histories, record_all, record_each, results

from pipeline.core.diff import FieldComparer, FieldRules, diff
from pipeline.core.types import Change, Kind, Listing
from pipeline.errors import StoreError, Unreachable, Unreadable
from pipeline.history.changes import find_events
from pipeline.store import Store, read_listing, scope_states
from pipeline.store.windows import Window
from pipeline.sync.cache import RunCache
from pipeline.sync.run import decide_and_record

LATER = moment(2)


@settings(max_examples=25)
@given(histories)
def test_a_scope_points_at_its_last_accepted_and_its_held_listing(history: Sequence[Answers]) -> None:
    with Store.open(None) as store:
        for expected in record_each(store, history):
            found = scope_states(store)
            for name, state in found.items():
                assert (state.listing is not None, state.held is not None) == (
                    name in expected.current,
                    name in expected.held,
                )
                if state.listing is not None:
                    assert state.digest == expected.current[name].digest
                    assert read_listing(store, state.listing) == expected.current[name]
                if state.held is not None:
                    held = read_listing(store, state.held)
                    assert held.digest == expected.held[name].digest
                    assert held.records.keys() == expected.held[name].models


@given(st.one_of(strategies.bodies(), strategies.odd()))
def test_every_parsed_answer_can_be_recorded_and_read_back(answer: bytes) -> None:
    try:
        found = read(answer)
    except Unreadable:
        return
    with Store.open(None) as store:
        record_run(store, [SCOPES[0]], {NAMES[0]: result_of(found)})
        pointed = scope_states(store)[NAMES[0]].listing
        assert pointed is not None
        assert read_listing(store, pointed).records == found.records


def nested(levels: int, form: int) -> bytes:
    """Return an answer whose one record is nested so many levels deep."""
    return b'{"data":[{"id":"lyra","x":%b%d%b}]}' % (b"[" * levels, form, b"]" * levels)


def readable(levels: int) -> bool:
    """Return whether an answer nested so deep can be parsed."""
    try:
        read(nested(levels, 0))
    except Unreadable:
        return False
    return True


def test_the_deepest_record_that_can_be_parsed_can_be_recorded(store: Store) -> None:
    deepest = next(levels for levels in range(2000, 0, -1) if readable(levels))
    for form in (1, 2):
        record_run(store, [SCOPES[0]], {NAMES[0]: result_of(read(nested(deepest, form)))})
    assert store.rows("select count(*) as moves from field_changes") == [{"moves": 1}]


def bodies_of(listing: Listing) -> dict[str, str]:
    """Return the bodies of a listing's records, by model."""
    return {model: record.body for model, record in listing.records.items()}


def replayed(store: Store, until: int) -> dict[str, dict[str, str]]:
    """Replay the ledger from its beginning to a run: baselines, then one transition after the other."""
    sightings = store.rows(
        """
        select scopes.name as scope_name, sightings.* from sightings
        join scopes on scopes.id = sightings.scope where snapshot <= :until order by sightings.id
        """,
        {"until": until},
    )
    state: dict[str, dict[str, str]] = {}
    for sighting in sightings:
        match sighting["outcome"]:
            case "baseline":
                state[sighting["scope_name"]] = bodies_of(read_listing(store, sighting["listing"]))
            case "moved":
                _replay(store, state[sighting["scope_name"]], sighting["transition"])
                assert state[sighting["scope_name"]] == bodies_of(read_listing(store, sighting["listing"]))
    return state


def _replay(store: Store, state: dict[str, str], transition: int) -> None:
    rows = store.rows(
        """
        select models.name as model, old.body as before, new.body as after from changes
        join models on models.id = changes.model
        left join records as old on old.id = changes.before
        left join records as new on new.id = changes.after
        where changes.transition = :transition
        """,
        {"transition": transition},
    )
    for change in rows:
        assert state.pop(change["model"], None) == change["before"]
        if change["after"] is not None:
            state[change["model"]] = change["after"]


@settings(max_examples=25)
@given(histories)
def test_sightings_and_transitions_replay_to_the_state_after_every_run(history: Sequence[Answers]) -> None:
    with Store.open(None) as store:
        states = [
            {name: bodies_of(current) for name, current in expected.current.items()}
            for expected in record_each(store, history)
        ]
        assert [replayed(store, number) for number in range(1, len(history) + 1)] == states


@settings(max_examples=25)
@given(histories)
def test_a_transition_holds_the_difference_of_its_listings(history: Sequence[Answers]) -> None:
    with Store.open(None) as store:
        record_all(store, history)
        for transition in store.rows("select * from transitions"):
            before, after = (
                read_listing(store, transition["before"]),
                read_listing(store, transition["after"]),
            )
            found, fields = diff(before, after), FieldComparer(before, after, FieldRules(ONE_API.quiet))
            assert stored_changes(store, transition["id"]) == [_row(change, fields) for change in found]
            counts = {kind: sum(change.kind == kind for change in found) for kind in Kind}
            assert all(transition[kind] == counts[kind] for kind in (Kind.ADDED, Kind.REMOVED, Kind.CHANGED))


Stored = tuple[str, str, list[tuple[str, str | None, str | None, str]]]


def _row(change: Change, fields: FieldComparer) -> Stored:
    field_rows = [(field.field, field.before, field.after, field.category) for field in fields(change)]
    return (change.kind, change.model, field_rows)


def stored_changes(store: Store, transition: int) -> list[Stored]:
    """Return a transition's rows, by model."""
    rows = store.rows(
        """
        select changes.id, changes.kind, models.name as model from changes
        join models on models.id = changes.model where transition = :transition order by models.name
        """,
        {"transition": transition},
    )
    by_change = (
        "select fields.name as field, before, after, class from field_changes "
        "join fields on fields.id = field_changes.field where change = :id order by fields.name"
    )
    return [
        (r["kind"], r["model"], [tuple(f.values()) for f in store.rows(by_change, {"id": r["id"]})])
        for r in rows
    ]


@settings(max_examples=25)
@given(histories)
def test_an_unchanged_answer_writes_only_the_row_of_the_run(history: Sequence[Answers]) -> None:
    """The repeated runs before confirm removals and agree with held answers, empty ones after six hours."""
    with Store.open(None) as store:
        record_all(store, [*history, *[history[-1]] * 9])
        # Agreement never releases the anonymous list.
        assume(not any(state.held for state in scope_states(store).values()))
        before = rows_of(store)
        record_all(store, [history[-1]] * 2)
        after = rows_of(store)
        assert len(after.pop("snapshots")) == len(before.pop("snapshots")) + 2
        assert after == before


BEFORE = offered({"alpha": {}, "γ": {"form": 1}, "δ": {}})
AFTER = offered({"alpha": {}, "γ": {"form": 2}, "β": {}})


def dump(store: Store) -> list[str]:
    """Return the whole database as SQL statements."""
    return list(store.connection.iterdump())


def moved(store: Store, *, stop_at: int) -> bool:
    """Record a move of all scopes, interrupted at a step of SQLite's work; return whether it came to that."""
    steps = iter(range(1, stop_at + 1))
    store.connection.set_progress_handler(lambda: next(steps, 0) == stop_at, 160)
    try:
        with suppress(StoreError), store.transaction():
            decide_and_record(
                results(dict.fromkeys(NAMES, AFTER)),
                SCOPES,
                RunCache(store),
                started_at=LATER,
                finished_at=LATER,
            )
    finally:
        store.connection.set_progress_handler(None, 0)
    return next(steps, 0) == 0


def test_an_interrupted_run_writes_all_or_nothing_and_can_be_repeated() -> None:
    written = False
    step = 0
    for step in count(1):
        with Store.open(None) as store:
            record_all(store, [dict.fromkeys(NAMES, BEFORE)])
            before = dump(store)
            stopped = moved(store, stop_at=step)
            written = dump(store) != before
            if not written:
                moved(store, stop_at=10**6)
            assert {state.digest for state in scope_states(store).values()} == {AFTER.digest}
            assert replayed(store, 2) == dict.fromkeys(NAMES, bodies_of(AFTER))
            assert store.rows("select count(*) as runs from snapshots") == [{"runs": 2}]
        if not stopped:
            break
    assert written
    assert step > 15


def test_a_transaction_that_raises_is_rolled_back(script: Script) -> None:
    script.offers("acme/prod", "lyra", "vega").run()
    before = dump(script.store)
    with suppress(ZeroDivisionError), script.store.transaction():
        script.store.connection.execute("delete from listing_records")
        assert script.store.rows("select 1 from listing_records") == []
        raise ZeroDivisionError
    assert dump(script.store) == before


@settings(max_examples=25)
@given(histories)
def test_a_failed_run_changes_no_listing_and_reports_nothing(history: Sequence[Answers]) -> None:
    with Store.open(None) as store:
        record_all(store, history)
        known = {name: (state.listing, state.held) for name, state in scope_states(store).items()}
        pending = store.rows("select * from missing")
        record_all(store, [{asked.name: Unreachable("reset") for asked in SCOPES}] * 3)
        assert {
            name: (state.listing, state.held) for name, state in scope_states(store).items() if name in known
        } == known
        assert store.rows("select * from missing") == pending
        assert find_events(store, Window(len(history), len(history) + 3)) == ()
