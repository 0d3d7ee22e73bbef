"""Summaries of windows: changes, incidents and coverage, as a filter selects them."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from support.fakes import NOTHING_HELD, Script, moment, scope

from pipeline.core.types import Kind, Severity, Thresholds
from pipeline.core.watchlist import Watch
from pipeline.errors import FetchError, Refused, Throttled, Unreachable, Unreadable, Unresolved
from pipeline.reports.summary import summarise
from pipeline.reports.types import Filter, FirstAnswer, Summary
from pipeline.store import Store
from pipeline.store.windows import Window, time_window
from pipeline.sync.accept import accept
from pipeline.sync.cache import RunCache
from pipeline.sync.run import decide_and_record


@pytest.fixture
def two_gateways(script: Script) -> Script:
    """Return two groups of one gateway and a scope of another, after a run with three models each."""
    script.has(scope("acme/prod", group="vip"), scope("acme/test", group="free"), scope("zeta/one"))
    for name in ("acme/prod", "acme/test", "zeta/one"):
        script.offers(name, "lyra", "vega", "corvus")
    script.run()
    return script


def summary(script: Script, since: int, until: int | None = None, **wanted: object) -> Summary:
    """Return the summary of the runs after `since` up to `until`, for a filter."""
    window = Window(since, until or script.runs)
    return summarise(script.store, window, wanted=Filter(**wanted))


def models(found: Summary) -> set[tuple[str, tuple[str, ...]]]:
    """Return the first model and the scopes of each change."""
    return {(change.models[0], change.scopes) for change in found.changes}


def test_first_answers_are_a_baseline_without_changes(two_gateways: Script) -> None:
    found = summary(two_gateways, 0)
    assert found.changes == ()
    assert found.first_answers == (
        FirstAnswer("acme", ("acme/prod", "acme/test"), 3),
        FirstAnswer("zeta", ("zeta/one",), 3),
    )
    assert found.severity == Severity.NOTABLE


def test_a_window_without_news_has_no_severity_and_counts_the_answers(two_gateways: Script) -> None:
    two_gateways.fails("zeta/one").run(times=2)
    found = summary(two_gateways, 2)
    assert (found.severity, found.answered, found.asked) == (None, 2, 3)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({}, {("lyra", ("acme/prod", "acme/test")), ("vega", ("zeta/one",))}),
        ({"scopes": ("acme/*",)}, {("lyra", ("acme/prod", "acme/test"))}),
        ({"scopes": ("*/prod",)}, {("lyra", ("acme/prod",))}),
        ({"groups": ("v*",)}, {("lyra", ("acme/prod",))}),
        ({"models": ("ve*",)}, {("vega", ("zeta/one",))}),
        ({"owners": ("somebody-else",)}, set()),
    ],
)
def test_a_filter_selects_by_scope_group_model_and_owner(
    two_gateways: Script, wanted: dict, expected: set
) -> None:
    two_gateways.drops("acme/prod", "lyra").drops("acme/test", "lyra").drops("zeta/one", "vega").run(times=2)
    found = summary(two_gateways, 1, **wanted)
    assert models(found) == expected
    assert {name for event in found.events for name in event.scopes} == {n for _, of in expected for n in of}
    if "scopes" in wanted:
        number = 1 if wanted["scopes"] == ("*/prod",) else 2
        assert [(each.gateway, each.asked) for each in found.scopes] == [("acme", number)]


def test_changes_below_the_severity_of_the_filter_are_only_counted(two_gateways: Script) -> None:
    two_gateways.drops("acme/prod", "lyra").adds("acme/test", "cetus").run(times=2)
    found = summary(two_gateways, 1, severity=Severity.BREAKING)
    assert ([change.kind for change in found.listed], found.unlisted) == ([Kind.REMOVED], 1)
    assert summary(two_gateways, 1, severity=Severity.URGENT).severity is None


REJECTED = Refused("no longer valid", status=401)


@pytest.mark.parametrize(
    ("error", "severity"),
    [
        (Throttled("answered 429", status=429), Severity.NOTABLE),
        (Unreachable("answered 502", status=502), Severity.NOTABLE),
        (Unreachable("the connection was reset"), Severity.NOTABLE),
        (REJECTED, Severity.URGENT),
        (Unresolved("$KEY is not set"), Severity.URGENT),
        (Unreadable("the answer is HTML"), Severity.URGENT),
    ],
)
def test_a_failure_is_urgent_at_once_unless_it_is_transient(
    two_gateways: Script, error: FetchError, severity: Severity
) -> None:
    two_gateways.fails("zeta/one", error).run()
    (incident,) = summary(two_gateways, 1).incidents
    assert (incident.new, incident.severity, summary(two_gateways, 1).severity) == (True, severity, severity)
    assert [each.urgent for each in summary(two_gateways, 1).coverage] == [severity == Severity.URGENT]


def test_a_transient_failure_becomes_urgent_once_when_it_has_lasted_six_hours(two_gateways: Script) -> None:
    two_gateways.fails("zeta/one").run(times=6)
    assert [summary(two_gateways, at - 1, at).severity for at in range(2, 8)] == [
        Severity.NOTABLE, *[None] * 5,
    ]  # fmt: skip
    two_gateways.run()
    (incident,) = summary(two_gateways, 7).incidents
    assert (incident.new, incident.severity, incident.since) == (True, Severity.URGENT, moment(2))
    two_gateways.run(times=3)
    later = summary(two_gateways, 8)
    assert (later.severity, [(each.new, each.severity) for each in later.incidents]) == (
        None, [(False, Severity.URGENT)],
    )  # fmt: skip
    assert two_gateways.outcomes("zeta/one") == ["baseline", "failed", "failed"]
    two_gateways.recovers("zeta/one").run()
    (end,) = summary(two_gateways, 11, severity=Severity.URGENT).resolved
    assert (end.since, end.seconds, end.urgent, end.reported) == (moment(2), 10 * 3600, True, True)


def test_failures_of_a_day_apart_are_urgent_at_the_second(store: Store) -> None:
    """Two runs and six hours: where runs are a day apart, the second run is enough."""
    script = Script(store).offers("acme/prod", "lyra")
    script.run()
    script.fails("acme/prod").run()
    for number, at in enumerate(("2026-09-21T06:00:00Z", "2026-09-22T06:00:00Z"), start=2):
        with store.transaction():
            decide_and_record(
                {"acme/prod": script.result("acme/prod")}, [script.scopes["acme/prod"]], RunCache(store),
                started_at=at, finished_at=at,
            )  # fmt: skip
        assert summarise(store, Window(number, number + 1)).severity == (
            Severity.URGENT if number == 2 else None
        )


def test_a_failure_that_comes_and_goes_never_lasts(two_gateways: Script) -> None:
    for _ in range(8):
        two_gateways.fails("zeta/one").run()
        two_gateways.recovers("zeta/one").run()
    found = summary(two_gateways, 1)
    assert found.severity == Severity.NOTABLE
    assert {(each.urgent, each.reported, each.seconds) for each in found.resolved} == {(False, False, 3600)}


def test_other_transient_errors_continue_a_failure_and_do_not_restart_its_time(two_gateways: Script) -> None:
    two_gateways.fails("zeta/one").run(times=4)
    two_gateways.fails("zeta/one", Throttled("429", status=429)).run(times=2)
    assert summary(two_gateways, 5).severity is None
    two_gateways.run()
    assert summary(two_gateways, 7).severity == Severity.URGENT


def test_a_failure_whose_cause_needs_a_person_is_urgent_from_then_on(two_gateways: Script) -> None:
    two_gateways.fails("zeta/one").run()
    two_gateways.fails("zeta/one", REJECTED).run()
    assert summary(two_gateways, 2).severity == Severity.URGENT
    two_gateways.fails("zeta/one").run()
    assert (summary(two_gateways, 3).severity, summary(two_gateways, 3).incidents[0].severity) == (
        None, Severity.URGENT,
    )  # fmt: skip


def test_a_destination_for_worse_news_hears_of_a_transient_failure_only_when_it_lasts(
    two_gateways: Script,
) -> None:
    two_gateways.fails("zeta/one").run()
    quiet = summary(two_gateways, 1, severity=Severity.BREAKING)
    assert (quiet.severity, quiet.incidents) == (None, ())
    two_gateways.recovers("zeta/one").run()
    assert summary(two_gateways, 2, severity=Severity.BREAKING).severity is None
    two_gateways.fails("zeta/one").run(times=7)
    assert summary(two_gateways, 9, severity=Severity.BREAKING).severity == Severity.URGENT


def test_an_urgent_failure_is_before_a_hold_and_a_transient_one_after_it(script: Script) -> None:
    tight = Thresholds(max_loss=0.1, floor=0)
    script.has(scope("acme/held", thresholds=tight)).offers("acme/held", *"abcdef")
    script.offers("acme/key", "a").offers("acme/net", "a").run()
    script.offers("acme/held", "a").fails("acme/key", REJECTED).fails("acme/net").run()
    assert [(each.severity, each.scopes[0]) for each in summary(script, 1).incidents] == [
        (Severity.URGENT, "acme/key"), (Severity.BREAKING, "acme/held"), (Severity.NOTABLE, "acme/net"),
    ]  # fmt: skip


def test_half_of_a_gateways_scopes_are_one_incident_and_become_urgent_together(script: Script) -> None:
    names = [f"acme/k{number}" for number in range(6)]
    for name in names:
        script.offers(name, "lyra")
    script.run()
    for name in names[:3]:
        script.fails(name)
    script.run(times=7)
    for since, until, new, severity in ((1, 2, True, Severity.NOTABLE), (7, 8, True, Severity.URGENT)):
        (incident,) = summary(script, since, until).incidents
        assert (incident.scopes, incident.new, incident.severity) == (tuple(names[:3]), new, severity)


def test_a_hold_becomes_news_again_when_a_later_held_answer_lacks_a_watched_model(script: Script) -> None:
    script.has(scope("acme/prod", thresholds=Thresholds(max_loss=0.1, floor=0)))
    script.offers("acme/prod", *"abcdefgh").run()
    script.offers("acme/prod", "a", "b", "h").run()
    script.offers("acme/prod", "c").run()
    watch = Watch(("b",))
    severities = [summarise(script.store, Window(n - 1, n), watch=watch).severity for n in (2, 3)]
    assert severities == [Severity.BREAKING, Severity.URGENT]
    assert summarise(script.store, Window(2, 3), watch=watch).incidents[0].missing_watched == ("b",)


def test_a_pending_removal_of_a_watched_model_is_urgent_once_and_so_is_named_its_end(script: Script) -> None:
    for name in ("acme/prod", "acme/test"):
        script.offers(name, "lyra", "vega", "corvus")
    script.has(scope("acme/prod", thresholds=Thresholds(1.0, 10_000, confirm=3)))
    script.run()
    script.drops("acme/prod", "lyra", "vega").run()
    watch, alarm = Watch(("lyra",)), Filter(severity=Severity.URGENT)

    def at(number: int, **wanted: object) -> Summary:
        return summarise(
            script.store, Window(number - 1, number), watch=watch, wanted=replace(alarm, **wanted)
        )

    (incident,) = at(2).incidents
    assert (incident.state, incident.new, incident.severity) == ("pending", True, Severity.URGENT)
    assert (incident.scopes, incident.missing_watched, incident.since) == (
        ("acme/prod",), ("lyra",), moment(2),
    )  # fmt: skip
    assert (at(2, scopes=("acme/test",)).incidents, at(2, models=("vega",)).incidents) == ((), ())
    script.run()
    assert (at(3).severity, [each.new for each in at(3).incidents]) == (None, [False])
    script.adds("acme/prod", "lyra").run()
    (end,) = at(4).resolved
    assert (end.state, end.models, end.scopes, end.seconds) == ("pending", ("lyra",), ("acme/prod",), 7200)
    assert at(2).incidents == (incident,), "the report of a window stays the same"
    script.drops("acme/prod", "lyra").run(times=3)
    assert (at(7).incidents, at(7).resolved, at(7).severity) == ((), (), Severity.URGENT)


def test_a_failure_is_new_once_then_old_then_resolved(two_gateways: Script) -> None:
    two_gateways.fails("zeta/one", REJECTED).run()
    (incident,) = summary(two_gateways, 1).incidents
    assert (incident.new, incident.severity, incident.since) == (True, Severity.URGENT, moment(2))
    two_gateways.run(times=2)
    later = summary(two_gateways, 2)
    assert (later.severity, [each.new for each in later.incidents]) == (None, [False])
    two_gateways.recovers("zeta/one").run()
    over = summary(two_gateways, 4)
    assert (over.incidents, over.resolved[0].seconds, over.severity) == ((), 3 * 3600, Severity.NOTABLE)


def test_another_error_class_is_the_same_failure(two_gateways: Script) -> None:
    two_gateways.fails("zeta/one", REJECTED).run()
    two_gateways.fails("zeta/one", Unreadable("the answer is HTML")).run()
    assert summary(two_gateways, 2).severity is None


def test_a_failure_within_the_window_is_resolved(two_gateways: Script) -> None:
    two_gateways.fails("zeta/one").run(times=2)
    two_gateways.recovers("zeta/one").run()
    found = summary(two_gateways, 1)
    assert (found.incidents, found.resolved[0].scopes, found.resolved[0].seconds) == ((), ("zeta/one",), 7200)


def test_a_hold_is_breaking_and_has_both_sizes(script: Script) -> None:
    script.has(scope("acme/prod", thresholds=Thresholds(max_loss=0.1, floor=0))).offers(
        "acme/prod", *"abcdef"
    )
    script.run()
    script.offers("acme/prod", "a").run()
    (incident,) = summary(script, 1).incidents
    assert (incident.state, incident.severity, incident.models, incident.held_models) == (
        "held", Severity.BREAKING, 6, 1,
    )  # fmt: skip
    script.offers("acme/prod", *"abcdef").run()
    assert [each.state for each in summary(script, 2, severity=Severity.BREAKING).resolved] == ["held"]
    assert summary(script, 2, severity=Severity.URGENT).resolved == ()


def test_accepting_a_hold_covers_the_scopes_of_the_run_before(script: Script) -> None:
    script.has(scope("acme/prod", thresholds=Thresholds()), scope("acme/test"))
    script.offers("acme/prod", *(f"m{number}" for number in range(40))).offers("acme/test", "m0").run()
    script.offers("acme/prod", "m0").run()
    accept(script.store, ["acme/prod"], lambda _scope, _reading: (), at=moment(3))
    found = summary(script, 2, 3)
    assert [each.accepted for each in found.resolved] == [True]
    assert (found.answered, found.asked) == (2, 2)


def test_a_hold_that_lacks_a_watched_model_is_urgent_and_so_is_its_end(script: Script) -> None:
    script.has(scope("acme/prod", thresholds=Thresholds(max_loss=0.1, floor=0))).offers(
        "acme/prod", *"abcdef"
    )
    script.run()
    script.offers("acme/prod", "a", "b").run()
    alarm = Filter(severity=Severity.URGENT)
    for words, watched in ((("a", "c*", "f"), ("c", "f")), (("a",), ())):
        found = summarise(script.store, Window(1, 2), watch=Watch(words), wanted=alarm)
        assert [each.missing_watched for each in found.incidents] == [watched] * bool(watched)
        assert found.severity == (Severity.URGENT if watched else None)
    script.offers("acme/prod", *"abcdef").run()
    over = summarise(script.store, Window(2, 3), watch=Watch(("f",)), wanted=alarm)
    assert [each.state for each in over.resolved] == ["held"]
    assert summarise(script.store, Window(2, 3), watch=Watch(("a",)), wanted=alarm).resolved == ()


def test_an_incident_below_the_severity_of_the_filter_is_left_out(two_gateways: Script) -> None:
    two_gateways.has(scope("acme/prod", group="vip", thresholds=Thresholds(max_loss=0.1, floor=0)))
    two_gateways.offers("acme/prod").run()
    assert summary(two_gateways, 1, severity=Severity.URGENT).incidents == ()


def test_scopes_that_fail_alike_are_one_incident(two_gateways: Script) -> None:
    for name in ("acme/prod", "acme/test"):
        two_gateways.fails(name)
    two_gateways.run()
    (incident,) = summary(two_gateways, 1).incidents
    assert incident.scopes == ("acme/prod", "acme/test")


def test_a_scope_that_left_the_config_is_left_out(two_gateways: Script) -> None:
    two_gateways.fails("zeta/one").run()
    del two_gateways.scopes["zeta/one"]
    two_gateways.run(times=2)
    found = summary(two_gateways, 2)
    assert ([(each.gateway, each.asked) for each in found.scopes], found.incidents) == ([("acme", 2)], ())


def test_the_removal_of_a_watched_model_is_urgent(two_gateways: Script) -> None:
    two_gateways.drops("acme/prod", "lyra").run(times=2)
    window = Window(1, two_gateways.runs)
    mine = summarise(two_gateways.store, window, watch=Watch(("lyra",)))
    assert (mine.severity, summary(two_gateways, 1).severity) == (Severity.URGENT, Severity.BREAKING)


def test_a_new_watched_model_is_marked_and_notable(two_gateways: Script) -> None:
    two_gateways.adds("acme/prod", "cetus", "draco").run()
    window = Window(1, two_gateways.runs)
    changes = summarise(two_gateways.store, window, watch=Watch(("cetus",))).changes
    assert [(each.models, each.watched, each.severity) for each in changes] == [
        (("cetus",), True, Severity.NOTABLE),
        (("draco",), False, Severity.NOTABLE),
    ]


def test_days_run_from_the_first_run_to_the_last_without_gaps(two_gateways: Script) -> None:
    two_gateways.adds("zeta/one", "cetus").run(times=2)
    (day,) = summary(two_gateways, 0, 2).days
    assert (day.day, day.added, day.total) == (moment(2)[:10], 1, 1)
    two_gateways.drops("zeta/one", "vega").run(times=30)
    assert summary(two_gateways, 0, 2).days == (day,)
    assert [(each.day, each.total) for each in summary(two_gateways, 0).days] == [
        (moment(1)[:10], 2),
        (moment(32)[:10], 0),
    ]


def test_days_cover_four_weeks_at_most(script: Script) -> None:
    script.offers("acme/prod", "lyra").run(times=700)
    days = summary(script, 699).days
    assert (len(days), days[-1].day) == (28, moment(700)[:10])


def test_later_runs_change_nothing_but_the_pending_removals(two_gateways: Script) -> None:
    two_gateways.drops("acme/prod", "lyra").adds("zeta/one", "cetus").run(times=2)
    before = summary(two_gateways, 1, 3)
    two_gateways.adds("acme/prod", "lyra").fails("zeta/one").run(times=3)
    after = summary(two_gateways, 1, 3)
    assert replace(after, pending=()) == replace(before, pending=())


def test_a_window_of_time_holds_the_runs_from_its_start_to_before_its_end(two_gateways: Script) -> None:
    two_gateways.adds("zeta/one", "cetus").run()
    two_gateways.adds("zeta/one", "ara").run()
    window = time_window(two_gateways.store, since=moment(2), until=moment(3))
    found = summarise(two_gateways.store, window)
    assert (found.run.started_at, found.since, models(found)) == (
        moment(2), moment(1), {("cetus", ("zeta/one",))},
    )  # fmt: skip


def test_pending_removals_are_counted_but_are_no_news(store: Store) -> None:
    script = Script(store).has(scope("acme/prod", thresholds=replace(NOTHING_HELD, confirm=3)))
    script.offers("acme/prod", "lyra", "vega").run()
    script.drops("acme/prod", "vega").run()
    found = summary(script, 1)
    assert (found.pending, found.severity) == ((("acme/prod", ("vega",)),), None)
