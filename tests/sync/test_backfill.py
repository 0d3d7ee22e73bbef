"""Imported answers become history as if runs had fetched them at their times, and are not reported."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from support.fakes import Script, body, moment, result_of, row, rows_of, scope
from support.sending import enqueue_and_send

from pipeline.api import destinations_of
from pipeline.config import parse
from pipeline.core.types import Kind, Scope, Secret, Thresholds
from pipeline.delivery.send import DeliverySummary
from pipeline.errors import SavedError
from pipeline.gateways.dialects import Answer, all_dialects
from pipeline.history.changes import find_events
from pipeline.reports.report import build_report
from pipeline.store import Store, scope_states
from pipeline.store.coverage import coverage, has_news, recoveries
from pipeline.store.runs import find_run
from pipeline.store.scopes import snapshot_times
from pipeline.store.search import DIFFERENCES
from pipeline.store.windows import Window, time_window
from pipeline.sync.archives import SavedAnswer
from pipeline.sync.backfill import BackfillTotals, backfill
from pipeline.sync.cache import RunCache
from pipeline.sync.run import decide_and_record

OLD = replace(scope("acme/old"), gateway=replace(scope("acme/old").gateway, dialect="one-api"))
"""The scope of the saved answers."""

_FIRST_DAY = datetime(2025, 10, 1, tzinfo=UTC)


def day(number: int) -> str:
    """Return midnight of a day; the first is number 1."""
    return (_FIRST_DAY + timedelta(days=number - 1)).strftime("%Y-%m-%dT%H:%M:%SZ")


def saved(number: int, *models: str, **forms: int) -> SavedAnswer:
    """Return a saved answer of a day."""
    rows = [row(model) for model in models] + [row(model, form=form) for model, form in forms.items()]
    return SavedAnswer(day(number), body(*rows), f"day {number}")


def days(*offers: str) -> list[SavedAnswer]:
    """Return a saved answer for each day, each letter a model."""
    return [saved(number, *offer) for number, offer in enumerate(offers, 1)]


def record_live(store: Store, answers: Sequence[SavedAnswer], who: Scope = OLD) -> None:
    """Record answers as runs at their times would have."""
    dialect = all_dialects()["one-api"]
    for each in answers:
        asked_at = int(datetime.fromisoformat(each.at).timestamp())
        results = {who.name: result_of(dialect.read(Answer((each.body,), asked_at)), dialect)}
        with store.transaction():
            decide_and_record(results, [who], RunCache(store), started_at=each.at, finished_at=each.at)


def events(store: Store) -> list[tuple[str, Kind, str, str | None]]:
    """Return all events."""
    found = find_events(store, time_window(store))
    return [(event.at, event.kind, event.model, event.since) for event in found]


def ledger(store: Store) -> list[tuple[object, ...]]:
    """Return all sightings, in order."""
    rows = store.rows("""
        select snapshots.started_at, sightings.outcome, sightings.flap_level, first.started_at as since,
               reasons.name as reason
        from sightings join snapshots on snapshots.id = sightings.snapshot
        left join reasons on reasons.id = sightings.reason
        left join snapshots as first on first.id = sightings.since order by sightings.id
    """)
    return [tuple(row.values()) for row in rows]


HISTORY = days("abcdefgh", "abcdefg", "abcdefg", "abcdefgh", "a", "abcdefgh", "ab", "ab", "ab", "abx")
"""A confirmed removal, a return, a hold that is dropped, one that is accepted, an addition."""

CAUTIOUS = replace(OLD, thresholds=Thresholds(max_loss=0.3, floor=1, confirm=2))


def test_an_import_records_what_runs_at_its_times_would_have(store: Store) -> None:
    with Store.open(None) as asked:
        record_live(asked, HISTORY, CAUTIOUS)
        done = backfill(CAUTIOUS, HISTORY, store)
        assert events(store) == events(asked)
        assert ledger(store) == ledger(asked)
    assert (done.answers, done.first, done.last) == (10, day(1), day(10))
    assert (done.moved, done.held) == (4, 2)
    assert done.window == Window(0, 10)
    assert [kind for _, kind, model, _ in events(store) if model == "h"] == [
        Kind.REMOVED,
        Kind.RETURNED,
        Kind.REMOVED,
    ]


def test_an_import_writes_a_snapshot_for_each_answer_and_no_run(store: Store) -> None:
    backfill(OLD, days("a", "a", "ab"), store)
    found = store.rows("select started_at, finished_at, status from snapshots order by id")
    assert [tuple(row.values()) for row in found] == [(day(n), day(n), "imported") for n in (1, 2, 3)]
    newest = find_run(store)
    assert newest
    assert (newest.started_at, newest.status) == (day(3), "imported")
    record_live(store, [SavedAnswer(moment(1), body(row("x")), "run")], scope("zeta/prod"))
    backfill(scope("acme/other"), [], store)
    backfill(OLD, days("a", "a", "ab", "abc"), store)
    newest = find_run(store)
    assert newest
    assert (newest.started_at, newest.status) == (moment(1), "done")


def test_an_import_in_several_transactions_leaves_a_complete_search(store: Store) -> None:
    """Also for the runs that follow."""
    named = SavedAnswer(day(3), body(row("vega-2") | {"owned_by": "acme", "name": "Vega Two"}), "day 3")
    backfill(OLD, [*days("a", "ab"), named], store, batch=2)
    record_live(store, [saved(4, "heron")])
    found = store.rows("select name from models_fts where models_fts match 'acme two OR heron' order by 1")
    assert found == [{"name": "heron"}, {"name": "vega-2"}]
    assert store.rows(DIFFERENCES) == []


def test_recorded_answers_are_skipped(store: Store) -> None:
    backfill(OLD, days("a", "ab"), store)
    before = rows_of(store)
    again = backfill(OLD, days("a", "ab"), store)
    assert (again.answers, again.known) == (0, 2)
    assert rows_of(store) == before
    longer = backfill(OLD, days("a", "ab", "abc"), store)
    assert (longer.answers, longer.known, longer.first) == (1, 2, day(3))


def contents(store: Store) -> dict[str, list[dict[str, object]]]:
    """Return every row but the times of migrations."""
    return {table: rows for table, rows in rows_of(store).items() if not table.startswith("_")}


class Killed(Exception):  # noqa: N818 - not an error
    """The end of the program."""


def until_killed(answers: Iterable[SavedAnswer], after: int) -> Iterator[SavedAnswer]:
    """Yield some answers, and then raise `Killed`."""
    for number, each in enumerate(answers):
        if number == after:
            raise Killed
        yield each


@pytest.mark.parametrize("after", [0, 1, 3, 4, 8, 10])
def test_a_killed_import_continues_where_it_was(store: Store, after: int) -> None:
    answers = [*HISTORY]
    answers.insert(2, SavedAnswer("2025-10-02T12:00:00Z", b"<html>", "page"))
    with pytest.raises(Killed):
        backfill(CAUTIOUS, until_killed(answers, after), store, batch=3)
    done = backfill(CAUTIOUS, answers, store, batch=3)
    assert done.answers + done.known == len(HISTORY)
    with Store.open(None) as undisturbed:
        backfill(CAUTIOUS, answers, undisturbed)
        assert contents(store) == contents(undisturbed)


@pytest.mark.parametrize("after", range(1, 8))
def test_a_killed_import_leaves_what_an_import_of_its_recorded_answers_writes(
    store: Store, after: int
) -> None:
    """Also what is written once for many answers: which prices give no figure."""
    answers = [saved(number, x=number // 4, y=number) for number in range(1, 8)]
    unknown = replace(OLD, gateway=replace(OLD.gateway, dialect="openai"))
    with pytest.raises(Killed):
        backfill(unknown, until_killed(answers, after - 1), store, batch=2)
    recorded = snapshot_times(store, OLD.name)
    with Store.open(None) as undisturbed:
        backfill(unknown, [each for each in answers if each.at in recorded], undisturbed)
        assert contents(store) == contents(undisturbed)
        advice = {state.price_advice is not None for state in scope_states(store).values()}
        assert advice == ({True} if recorded else set())


def test_an_answer_between_recorded_ones_is_refused_before_anything_is_written(store: Store) -> None:
    answers = days("a", "ab", "abc", "abcd")
    backfill(OLD, [answers[0], answers[2]], store)
    before = rows_of(store)
    with pytest.raises(
        SavedError, match=r"day 2: is of 2025-10-02T00:00:00Z, and acme/old is recorded until"
    ):
        backfill(OLD, answers, store)
    assert rows_of(store) == before


def test_an_import_with_a_first_answer_of_several_pages_can_be_repeated(store: Store) -> None:
    part = SavedAnswer(day(1), body(row("a"), total=9), "part")
    answers = [part, *days("-", "ab", "abc", "abcd")[1:]]
    backfill(OLD, answers[:3], store)
    again = backfill(OLD, answers, store)
    assert (again.answers, again.known, list(again.unreadable)) == (1, 2, ["part"])
    with Store.open(None) as undisturbed:
        backfill(OLD, answers, undisturbed)
        assert contents(store) == contents(undisturbed)


def test_an_answer_before_a_run_is_refused(store: Store) -> None:
    record_live(store, [saved(1, "a"), saved(3, "a")])
    with pytest.raises(SavedError, match="is recorded until 2025-10-03"):
        backfill(OLD, [saved(2, "ab")], store)


def test_an_unreadable_answer_is_counted_by_its_source(store: Store) -> None:
    page = SavedAnswer(day(2), b"<!doctype html>", "page")
    done = backfill(OLD, [saved(1, "a"), page, saved(3, "a")], store)
    assert done.answers == 2
    assert list(done.unreadable) == ["page"]
    assert "web page" in done.unreadable["page"]
    assert [outcome for _, outcome, *_ in ledger(store)] == ["baseline"]
    again = backfill(OLD, [saved(1, "a"), page, saved(3, "a"), saved(4, "ab")], store)
    assert (again.answers, again.known, list(again.unreadable)) == (1, 2, ["page"])


def test_the_last_answer_of_a_second_counts(store: Store) -> None:
    done = backfill(OLD, [saved(1, "a"), saved(1, "b"), saved(1, "c"), saved(2, "c")], store)
    assert (done.answers, done.repeated) == (2, 2)
    assert events(store) == []
    asked: list[str] = []
    again = backfill(OLD, [saved(1, "a"), saved(1, "c")], store, lambda each: asked.append(each.at))
    assert (again.known, again.repeated, asked) == (1, 1, [day(1)])


def test_an_import_is_not_in_reports(store: Store, tmp_path: Path) -> None:
    prod = scope("zeta/prod")
    record_live(
        store,
        [SavedAnswer(moment(n), body(*map(row, offer)), "") for n, offer in ((1, "a"), (2, "ab"))],
        prod,
    )
    backfill(OLD, days("a", "ab", "ab"), store)
    record_live(store, [SavedAnswer(moment(3), body(*map(row, "abc")), "")], prod)
    config = parse('[gateways.a]\nurl = "https://a.example"\nscopes.b = {}', tmp_path / "modelwatch.toml")
    summary = enqueue_and_send(store, destinations_of(config), config.watch, lambda: moment(4), Secret)
    (text,) = [path.read_text("utf-8") for path in summary.written if path.suffix == ".csv"]
    assert [line.split(",")[3] for line in text.splitlines()[1:]] == ["b", "c"]
    assert (
        enqueue_and_send(store, destinations_of(config), config.watch, lambda: moment(5), Secret)
        == DeliverySummary()
    )


def test_the_report_after_an_import_continues_from_the_last_run(store: Store) -> None:
    prod = scope("zeta/prod")
    record_live(store, [SavedAnswer(moment(1), body(row("a")), "")], prod)
    backfill(OLD, days("a", "ab"), store)
    record_live(store, [SavedAnswer(moment(2), body(*map(row, "ab")), "")], prod)
    report = build_report(store, Window(3, 4))
    assert (report.since, report.run.started_at) == (moment(1), moment(2))
    assert [event.model for event in report.events] == ["b"]
    backfill(OLD, days("a", "ab", "abc"), store)
    report = build_report(store, time_window(store, since=moment(2)))
    assert (report.run.started_at, [each.asked for each in report.scopes]) == (moment(2), [1])


def test_a_window_of_time_has_imported_events_of_that_time_only(store: Store) -> None:
    prod = scope("zeta/prod")
    record_live(
        store,
        [SavedAnswer(moment(n), body(*map(row, offer)), "") for n, offer in ((1, "a"), (2, "ab"))],
        prod,
    )
    backfill(OLD, days("a", "ac", "acd"), store)

    def models(since: str | None) -> list[str]:
        return [event.model for event in find_events(store, time_window(store, since=since))]

    assert models(moment(1)) == ["b"]
    assert models(day(3)) == ["d", "b"]
    assert models(None) == ["c", "d", "b"]
    assert not has_news(store, Window(2, 5, moment(1)))


def test_an_imported_recovery_is_in_the_window_of_its_time(store: Store) -> None:
    record_live(store, [SavedAnswer(moment(1), body(row("a")), "")], scope("zeta/prod"))
    backfill(CAUTIOUS, days("abcdefgh", "a", "abcdefgh"), store)
    assert len(recoveries(store, time_window(store))) == 1
    assert recoveries(store, time_window(store, since=moment(1))) == ()


def test_events_of_scopes_imported_one_after_the_other_are_sorted_by_time(store: Store) -> None:
    other = replace(OLD, name="acme/other")
    one, two = days("a", "ab", "ab", "ab", "abd"), days("a", "a", "ac", "a", "a")
    backfill(OLD, one, store)
    backfill(other, two, store)
    assert events(store) == [
        (day(2), Kind.ADDED, "b", None),
        (day(3), Kind.ADDED, "c", None),
        (day(5), Kind.ADDED, "d", None),
        (day(5), Kind.REMOVED, "c", day(4)),
    ]
    assert {scope.scope for scope in coverage(store)} == {"acme/old", "acme/other"}
    assert {scope.last_answered for scope in coverage(store)} == {day(5)}


def test_flap_levels_count_by_the_time_of_answers(store: Store) -> None:
    """Answers of another scope, recorded earlier or later, change no confirmation."""
    flapping = days(*["ab", "a", "a"] * 4, "ab", *["a"] * 16)
    other = replace(OLD, name="acme/other")
    with Store.open(None) as alone:
        backfill(OLD, flapping, alone)
        expected = events(alone)
    backfill(other, [saved(400, "z"), saved(401, "z")], store)
    backfill(OLD, flapping[:5], store)
    backfill(other, [saved(402, "z")], store)
    backfill(OLD, flapping, store)
    assert events(store) == expected
    assert max(flap_level or 0 for _, _, flap_level, *_ in ledger(store)) == 3


def test_a_scope_that_runs_do_not_ask_is_retired_until_they_do(store: Store) -> None:
    backfill(OLD, days("a", "ab"), store, asked=False)
    assert [each.state for each in coverage(store)] == ["retired"]
    record_live(store, [saved(3, *"abc")])
    assert [each.state for each in coverage(store)] == ["ok"]
    assert [(model, kind) for _, kind, model, _ in events(store)] == [
        ("b", Kind.ADDED),
        ("c", Kind.ADDED),
    ]


def test_with_auto_the_first_answer_shows_the_dialect(store: Store) -> None:
    who = scope("acme/old")
    backfill(who, [SavedAnswer(day(1), body(row("a", permission=[], root="a", parent=None)), "day 1")], store)
    (gateway,) = store.rows("select dialect from gateways")
    assert gateway["dialect"] in all_dialects()
    assert scope_states(store)["acme/old"].reading


def test_a_recognised_dialect_reads_the_answers_after_it(store: Store) -> None:
    who = scope("acme/old")
    shown = row("a", canonical_slug="a", architecture={}, top_provider={}, pricing={"prompt": "0.1"})
    plain = [saved(number, "a") for number in (2, 3)]
    answers = [SavedAnswer(day(1), body(shown), "day 1"), *plain, SavedAnswer(day(4), body(shown), "day 4")]
    backfill(who, answers, store)
    with Store.open(None) as one_by_one:
        for each in answers:
            backfill(who, [each], one_by_one)
        assert ledger(store) == ledger(one_by_one)
    assert [outcome for _, outcome, *_ in ledger(store)] == ["baseline", "moved", "moved"]


def test_without_answers_nothing_is_written(script: Script) -> None:
    script.offers("acme/prod", "lyra").run()
    before = rows_of(script.store)
    done = backfill(OLD, [], script.store)
    assert done == BackfillTotals(Window(1, 1))
    assert rows_of(script.store) == before


FORMS = st.dictionaries(st.sampled_from(("lyra", "vega", "orion", "lynx")), st.integers(0, 2), max_size=4)
STEPS = st.tuples(FORMS, st.randoms(use_true_random=False), st.integers(0, 1))


@given(st.lists(STEPS, min_size=1, max_size=9))
def test_an_import_with_caches_writes_what_separate_runs_write(
    steps: list[tuple[dict[str, int], Random, int]],
) -> None:
    answers = []
    for number, (forms, order, stamp) in enumerate(steps, 1):
        rows = [row(model, form=form, tags=f"b,{form},a") for model, form in forms.items()]
        order.shuffle(rows)
        answers.append(SavedAnswer(day(number), body(*rows, updated_at=stamp), f"day {number}"))
    with Store.open(None) as quick, Store.open(None) as plain:
        backfill(OLD, answers, quick)
        record_live(plain, answers)
        with_caches, separate = rows_of(quick), rows_of(plain)
    for each in (*with_caches["missing"], *separate["missing"]):
        del each["id"]  # a working table, whose ids are given out again
    for table in separate.keys() - {"_sqlite_migrations", "deliveries", "snapshots", "scopes"}:
        assert with_caches[table] == separate[table], table
    pointers = ("listing", "held", "sighting")
    (one,), (other,) = with_caches["scopes"], separate["scopes"]
    assert [one[name] for name in pointers] == [other[name] for name in pointers]
