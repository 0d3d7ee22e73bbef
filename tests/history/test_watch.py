"""Watched models: the findings about each, and which changes are urgent."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from msgspec.structs import replace
from support.fakes import moment, scope

from pipeline.core.types import Kind, Thresholds
from pipeline.core.watchlist import Watch
from pipeline.history.changes import find_events
from pipeline.history.watch import (
    Finding,
    FindingKind,
    UnmatchedPattern,
    WatchedModel,
    check_watched,
    unreported_absences,
)
from pipeline.reports.report import build_report, mark_urgent
from pipeline.store.windows import Window, time_window

TODAY = date(2026, 9, 20)
BEGINNING = moment(1)


def check(script, *models, scopes=(), since=BEGINNING, days=90):
    return check_watched(script.store, Watch(models, scopes), since=since, today=TODAY, days=days)


def found(script, *models, **options):
    """Return the findings about watched models: model, kind and scopes."""
    report = check(script, *models, **options)
    return [(each.model, str(f.kind), f.scopes) for each in report.models for f in each.findings]


def test_an_offered_model_is_ok_and_has_its_scopes(script):
    script.offers("one/a", "alpha", "beta").offers("one/b", "alpha").run()
    report = check(script, "alpha")
    assert report.models == (WatchedModel("alpha", ("one/a", "one/b"), ()),)
    assert (report.at, report.urgent, report.unmatched) == (moment(1), False, ())


def test_a_model_is_missing_only_where_it_was_offered_before_and_unconfirmed_at_first(script):
    script.offers("one/a", "alpha", "beta").offers("one/b", "beta").run()
    script.drops("one/a", "alpha").run()
    (model,) = check(script, "alpha").models
    assert model == WatchedModel(
        "alpha", (), (Finding(FindingKind.UNCONFIRMED, since=moment(2), scopes=("one/a",), answers=1),)
    )
    assert model.urgent
    script.run()
    (model,) = check(script, "alpha").models
    assert model.findings == (Finding(FindingKind.MISSING, since=moment(2), scopes=("one/a",)),)


def test_a_model_that_returned_is_not_missing(script):
    script.offers("one/a", "alpha", "beta").run()
    script.drops("one/a", "alpha").run(times=2)
    script.adds("one/a", "alpha").run()
    assert found(script, "alpha") == []


def test_an_old_removal_is_found_by_the_id_of_the_model_but_not_by_a_glob(script):
    script.offers("one/a", "old-1", "old-2", "alpha").run()
    script.drops("one/a", "old-1").run(times=3)
    assert found(script, "old-*") == [("old-1", "missing", ("one/a",))]
    assert found(script, "old-*", since=moment(3)) == []
    assert found(script, "old-1", since=moment(3)) == [("old-1", "missing", ("one/a",))]


def test_a_glob_that_matches_only_old_removals_is_unmatched(script):
    script.offers("one/a", "old-1", "alpha").run()
    script.drops("one/a", "old-1").run(times=3)
    assert check(script, "old-*", since=moment(3)).unmatched == (
        UnmatchedPattern("old-*", offered_before=True),
    )


def test_a_pattern_that_no_model_ever_matched_is_urgent_and_has_similar_ids(script):
    script.offers("one/a", "alpha-2", "zeta").run()
    report = check(script, "alpha-3", "alpah*")
    assert report.unmatched == (
        UnmatchedPattern("alpha-3", offered_before=False, similar=("alpha-2",)),
        UnmatchedPattern("alpah*", offered_before=False, similar=("alpha-2",)),
    )
    assert report.urgent


def test_only_watched_scopes_are_checked(script):
    script.offers("one/a", "alpha", "beta").offers("two/a", "alpha", "gamma").run()
    script.drops("two/a", "alpha").run(times=2)
    assert found(script, "alpha", scopes=("one/*",)) == []
    assert found(script, "alpha", scopes=("two/*",)) == [("alpha", "missing", ("two/a",))]
    assert check(script, "gamma", scopes=("one/*",)).unmatched == (
        UnmatchedPattern("gamma", offered_before=True),
    )


def test_a_scope_that_is_no_longer_asked_is_not_checked(script):
    script.offers("one/a", "alpha").offers("one/b", "beta").run()
    with script.store.transaction():
        script.store.connection.execute("update scopes set asked = 0 where name = 'one/a'")
    report = check(script, "alpha")
    assert (report.models, report.unmatched) == ((), (UnmatchedPattern("alpha", offered_before=True),))


def test_a_model_missing_from_a_held_answer_has_a_finding(script):
    strict = Thresholds(max_loss=0.1, floor=1)
    script.has(scope("one/a", thresholds=strict)).offers("one/a", "alpha", "beta", "gamma", "delta").run()
    script.drops("one/a", "alpha", "beta", "gamma").run()
    assert check(script, "alpha", "delta").models == (
        WatchedModel("alpha", ("one/a",), (Finding(FindingKind.HELD, since=moment(2), scopes=("one/a",)),)),
        WatchedModel("delta", ("one/a",), ()),
    )


def test_a_failing_scope_is_a_finding_that_is_not_urgent(script):
    script.offers("one/a", "alpha").run()
    script.fails("one/a").run()
    report = check(script, "alpha")
    assert report.models[0].findings == (
        Finding(
            FindingKind.FAILING, urgent=False, since=moment(2), scopes=("one/a",), last_answered=moment(1)
        ),
    )
    assert not report.urgent


def test_a_shutdown_has_its_date_and_days_and_is_urgent_when_near_or_overdue(script):
    script.offers("one/a", "alpha", "beta")
    script.offers_now["one/a"]["alpha"]["shutdown_date"] = "2026-10-01"
    script.offers_now["one/a"]["beta"]["shutdown_date"] = "2026-09-18"
    script.run()
    alpha, beta = check(script, "*", days=10).models
    assert alpha.findings == (
        Finding(FindingKind.SHUTDOWN, urgent=False, day="2026-10-01", days=11, scopes=("one/a",)),
    )
    assert beta.findings == (Finding(FindingKind.SHUTDOWN, day="2026-09-18", days=-2, scopes=("one/a",)),)
    assert check(script, "alpha", days=11).urgent


def priced(script, name, model, price):
    """Give a model a price in the next answers of a scope."""
    script.offers_now[name][model] = {"pricing": {"input": price}}


def test_a_net_price_change_is_one_finding_for_all_scopes_that_share_it(script):
    script.offers("one/a", "alpha", "beta").offers("one/b", "alpha")
    for price in (4, 9, 3):
        priced(script, "one/a", "alpha", price)
        priced(script, "one/b", "alpha", price)
        priced(script, "one/a", "beta", 4 if price == 3 else price)
        script.run()
    (finding,) = check(script, "alpha").models[0].findings
    assert (finding.kind, finding.scopes) == (FindingKind.REPRICED, ("one/a", "one/b"))
    (price,) = finding.prices
    assert (price.before, price.after, price.percent) == (4, 3, Decimal(-25))
    (finding,) = check(script, "alpha", since=moment(2)).models[0].findings
    assert [(price.before, price.after) for price in finding.prices] == [(4, 3)]
    assert finding.since == moment(3)
    assert found(script, "alpha", since=moment(3)) == []
    assert found(script, "beta") == []


def test_prices_of_a_new_scope_are_compared_with_its_first_answer(script):
    script.offers("one/a", "alpha").run()
    script.offers("one/b", "alpha")
    priced(script, "one/b", "alpha", 4)
    script.run()
    assert found(script, "alpha") == []
    priced(script, "one/b", "alpha", 5)
    script.run()
    assert found(script, "alpha") == [("alpha", "repriced", ("one/b",))]


def test_a_pending_removal_is_unreported_until_it_is_confirmed(script):
    script.offers("one/a", "alpha", "beta").run()
    script.drops("one/a", "alpha").run()
    watched = Watch(("alpha",))
    assert [each.model for each in unreported_absences(script.store, watched)] == ["alpha"]
    assert unreported_absences(script.store, Watch()) == ()
    script.run()
    assert unreported_absences(script.store, watched) == ()


def test_only_removals_and_price_changes_of_watched_models_in_watched_scopes_are_urgent(script):
    script.offers("one/a", "alpha", "beta", "gamma").offers("two/a", "alpha", "omega")
    priced(script, "one/a", "alpha", 1)
    script.run()
    priced(script, "one/a", "alpha", 2)
    script.offers_now["one/a"]["gamma"] = {"context_length": 8}
    script.drops("one/a", "beta").drops("two/a", "alpha").adds("one/a", "delta").run(times=2)
    events = find_events(script.store, time_window(script.store))
    watched = Watch(("alpha", "gamma", "delta"), ("one/*",))
    urgent = [(each.kind, each.model) for each in mark_urgent(events, watched) if each.urgent]
    assert urgent == [(Kind.CHANGED, "alpha")]
    everything = [
        (each.kind, each.model, each.scopes) for each in mark_urgent(events, Watch(("*",))) if each.urgent
    ]
    assert everything == [
        (Kind.CHANGED, "alpha", ("one/a",)),
        (Kind.REMOVED, "beta", ("one/a",)),
        (Kind.REMOVED, "alpha", ("two/a",)),
    ]


def test_marking_urgent_events_changes_nothing_else_and_keeps_their_order(script):
    script.offers("one/a", "alpha", "beta", "gamma").run()
    script.drops("one/a", "beta").run(times=2)
    report = build_report(script.store, Window(1, 3))
    after = build_report(script.store, Window(1, 3), Watch(("beta",)))
    assert [each.urgent for each in after.events] == [True]
    assert [replace(each, urgent=False) for each in after.events] == list(report.events)


@pytest.mark.parametrize(
    ("pattern", "model", "has"),
    [
        ("a-*", "a-1", True),
        ("a-1", "a-1", True),
        ("a-1", "A-1", False),
        ("[x]", "[x]", True),
        ("a", "ab", False),
    ],
)
def test_a_pattern_is_an_id_or_a_glob_and_case_sensitive(pattern, model, has):
    assert Watch((pattern,)).has(model) is has


def test_prices_of_a_model_that_was_added_later_are_compared_with_its_first_ones(script):
    script.offers("one/a", "alpha").run()
    priced(script, "one/a", "fresh", 3)
    script.run()
    priced(script, "one/a", "fresh", 30)
    script.run()
    (finding,) = check(script, "fresh").models[0].findings
    assert (finding.kind, [(each.before, each.after) for each in finding.prices]) == (
        FindingKind.REPRICED,
        [(3, 30)],
    )


def test_a_price_is_reported_since_its_last_change_not_since_the_time_that_was_asked_for(script):
    early = "2026-09-01T00:00:00Z"
    script.offers("one/a", "alpha")
    priced(script, "one/a", "alpha", 1)
    script.run()
    script.offers("one/b", "beta")
    priced(script, "one/b", "alpha", 1)
    script.run()
    priced(script, "one/a", "fresh", 1)
    script.run()
    for scope_name, model in (("one/a", "alpha"), ("one/b", "alpha"), ("one/a", "fresh")):
        priced(script, scope_name, model, 2)
    script.run()
    for since, expected in ((early, moment(1)), (moment(2), moment(2))):
        report = check(script, "alpha", "fresh", since=since)
        assert report.since == expected
        assert [(f.scopes, f.since) for model in report.models for f in model.findings] == [
            (("one/a", "one/b"), moment(4)),
            (("one/a",), moment(4)),
        ]


def test_a_price_that_is_back_is_ok_wherever_the_time_falls(script):
    script.offers("one/a", "alpha")
    for price in (3, 5, 5, 5, 3, 3):
        priced(script, "one/a", "alpha", price)
        script.run()
    for number in range(1, 7):
        assert found(script, "alpha", since=moment(number)) == []
