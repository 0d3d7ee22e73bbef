"""Watched models: how each stands in the scopes that have offered it, and which changes are urgent."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest
from support.fakes import moment, scope

from pipeline.core.types import Kind, Thresholds
from pipeline.core.watchlist import Watch
from pipeline.history.changes import find_events
from pipeline.history.watch import Finding, Unmatched, WatchedModel, What, doubtful, watch
from pipeline.reports.report import build_report, mark_urgent
from pipeline.store.changes import Window, window

TODAY = date(2026, 9, 20)
BEGINNING = moment(1)


def stands(script, *models, scopes=(), since=BEGINNING, days=90):
    """How watched models stand."""
    return watch(script.store, Watch(models, scopes), since=since, today=TODAY, days=days)


def found(script, *models, **options):
    """What there is to say of watched models, without those that are well: what and for whom."""
    told = stands(script, *models, **options)
    return [(each.model, str(f.what), f.scopes) for each in told.models for f in each.findings]


def test_what_is_offered_is_well(script):
    """A model that every scope is offered as before has nothing said of it but who is offered it."""
    script.offers("one/a", "alpha", "beta").offers("one/b", "alpha").run()
    told = stands(script, "alpha")
    assert told.models == (WatchedModel("alpha", ("one/a", "one/b"), ()),)
    assert (told.at, told.urgent, told.unmatched) == (moment(1), False, ())


def test_missing_counts_where_it_was_offered_before(script):
    """A scope that was never offered a model does not miss it; one that was does, first unconfirmed."""
    script.offers("one/a", "alpha", "beta").offers("one/b", "beta").run()
    script.drops("one/a", "alpha").run()
    (told,) = stands(script, "alpha").models
    assert told == WatchedModel("alpha", (), (Finding(What.UNCONFIRMED, since=moment(2), scopes=("one/a",)),))
    assert told.urgent
    script.run()
    (told,) = stands(script, "alpha").models
    assert told.findings == (Finding(What.MISSING, since=moment(2), scopes=("one/a",)),)


def test_what_is_back_is_not_missing(script):
    """Neither after a short miss nor after a removal."""
    script.offers("one/a", "alpha", "beta").run()
    script.drops("one/a", "alpha").run(times=2)
    script.adds("one/a", "alpha").run()
    assert found(script, "alpha") == []


def test_a_glob_means_what_there_is(script):
    """What a glob means and what went before the time that is looked back to is not news; by its id it is."""
    script.offers("one/a", "old-1", "old-2", "alpha").run()
    script.drops("one/a", "old-1").run(times=3)
    assert found(script, "old-*") == [("old-1", "missing", ("one/a",))]
    assert found(script, "old-*", since=moment(3)) == []
    assert found(script, "old-1", since=moment(3)) == [("old-1", "missing", ("one/a",))]


def test_a_glob_of_what_is_all_gone_matches_nothing(script):
    """It is said so, and that it meant something once."""
    script.offers("one/a", "old-1", "alpha").run()
    script.drops("one/a", "old-1").run(times=3)
    assert stands(script, "old-*", since=moment(3)).unmatched == (Unmatched("old-*", known=True),)


def test_what_nobody_ever_offered_is_named_with_what_is_near(script):
    """An id, or a glob, of which nobody has heard needs attention."""
    script.offers("one/a", "alpha-2", "zeta").run()
    told = stands(script, "alpha-3", "alpah*")
    assert told.unmatched == (
        Unmatched("alpha-3", known=False, near=("alpha-2",)),
        Unmatched("alpah*", known=False, near=("alpha-2",)),
    )
    assert told.urgent


def test_only_scopes_that_matter_are_looked_at(script):
    """A model that others miss is well, and one that only others have is not there."""
    script.offers("one/a", "alpha", "beta").offers("two/a", "alpha", "gamma").run()
    script.drops("two/a", "alpha").run(times=2)
    assert found(script, "alpha", scopes=("one/*",)) == []
    assert found(script, "alpha", scopes=("two/*",)) == [("alpha", "missing", ("two/a",))]
    assert stands(script, "gamma", scopes=("one/*",)).unmatched == (Unmatched("gamma", known=True),)


def test_what_is_no_longer_asked_misses_nothing(script):
    """A scope that was taken out of the config is history."""
    script.offers("one/a", "alpha").offers("one/b", "beta").run()
    with script.store.transaction():
        script.store.connection.execute("update scopes set asked = 0 where name = 'one/a'")
    told = stands(script, "alpha")
    assert (told.models, told.unmatched) == ((), (Unmatched("alpha", known=True),))


def test_what_is_held_is_said_of_the_models_that_it_lacks(script):
    """The scope is believed to offer it, and its last answer does not have it."""
    strict = Thresholds(max_loss=0.1, floor=1)
    script.has(scope("one/a", thresholds=strict)).offers("one/a", "alpha", "beta", "gamma", "delta").run()
    script.drops("one/a", "alpha", "beta", "gamma").run()
    assert stands(script, "alpha", "delta").models == (
        WatchedModel("alpha", ("one/a",), (Finding(What.HELD, since=moment(2), scopes=("one/a",)),)),
        WatchedModel("delta", ("one/a",), ()),
    )


def test_a_scope_that_fails_is_mentioned_and_needs_no_attention(script):
    """What it offers is as far as is known."""
    script.offers("one/a", "alpha").run()
    script.fails("one/a").run()
    told = stands(script, "alpha")
    assert told.models[0].findings == (
        Finding(What.UNHEARD, urgent=False, since=moment(2), scopes=("one/a",)),
    )
    assert not told.urgent


def test_an_end_is_told_with_its_date_and_days(script):
    """It needs attention when it is near, or over."""
    script.offers("one/a", "alpha", "beta")
    script.offers_now["one/a"]["alpha"]["shutdown_date"] = "2026-10-01"
    script.offers_now["one/a"]["beta"]["shutdown_date"] = "2026-09-18"
    script.run()
    alpha, beta = stands(script, "*", days=10).models
    assert alpha.findings == (
        Finding(What.ENDING, urgent=False, day="2026-10-01", days=11, scopes=("one/a",)),
    )
    assert beta.findings == (Finding(What.ENDING, day="2026-09-18", days=-2, scopes=("one/a",)),)
    assert stands(script, "alpha", days=11).urgent


def priced(script, name, model, price):
    """Let a scope be told a price."""
    script.offers_now[name][model] = {"pricing": {"input": price}}


def test_a_price_is_told_from_then_to_now(script):
    """Once for the scopes that share it, whatever was in between; what is as it was is not told."""
    script.offers("one/a", "alpha", "beta").offers("one/b", "alpha")
    for price in (4, 9, 3):
        priced(script, "one/a", "alpha", price)
        priced(script, "one/b", "alpha", price)
        priced(script, "one/a", "beta", 4 if price == 3 else price)
        script.run()
    (finding,) = stands(script, "alpha").models[0].findings
    assert (finding.what, finding.scopes) == (What.REPRICED, ("one/a", "one/b"))
    (price,) = finding.prices
    assert (price.before, price.after, price.percent) == (4, 3, Decimal(-25))
    (price,) = stands(script, "alpha", since=moment(2)).models[0].findings[0].prices
    assert (price.before, price.after) == (9, 3)
    assert found(script, "alpha", since=moment(3)) == []
    assert found(script, "beta") == []


def test_a_scope_that_began_later_is_compared_with_its_first_answer(script):
    """Its first price is no change, the next one is."""
    script.offers("one/a", "alpha").run()
    script.offers("one/b", "alpha")
    priced(script, "one/b", "alpha", 4)
    script.run()
    assert found(script, "alpha") == []
    priced(script, "one/b", "alpha", 5)
    script.run()
    assert found(script, "alpha") == [("alpha", "repriced", ("one/b",))]


def test_what_no_report_tells_yet_is_doubtful(script):
    """Missing and not confirmed; once it is confirmed the report tells it."""
    script.offers("one/a", "alpha", "beta").run()
    script.drops("one/a", "alpha").run()
    watching = Watch(("alpha",))
    assert [each.model for each in doubtful(script.store, watching)] == ["alpha"]
    assert doubtful(script.store, Watch()) == ()
    script.run()
    assert doubtful(script.store, watching) == ()


def test_a_watched_model_that_goes_or_is_repriced_is_urgent(script):
    """Other changes of it are not, nor those of other models, nor those in scopes that do not matter."""
    script.offers("one/a", "alpha", "beta", "gamma").offers("two/a", "alpha")
    priced(script, "one/a", "alpha", 1)
    script.run()
    priced(script, "one/a", "alpha", 2)
    script.offers_now["one/a"]["gamma"] = {"context_length": 8}
    script.drops("one/a", "beta").drops("two/a", "alpha").adds("one/a", "delta").run(times=2)
    events = find_events(script.store, window(script.store))
    watching = Watch(("alpha", "gamma", "delta"), ("one/*",))
    urgent = [(each.kind, each.model) for each in mark_urgent(events, watching) if each.urgent]
    assert urgent == [(Kind.CHANGED, "alpha")]
    everything = [
        (each.kind, each.model, each.scopes) for each in mark_urgent(events, Watch(("*",))) if each.urgent
    ]
    assert everything == [
        (Kind.CHANGED, "alpha", ("one/a",)),
        (Kind.REMOVED, "beta", ("one/a",)),
        (Kind.REMOVED, "alpha", ("two/a",)),
    ]


def test_marking_changes_nothing_else(script):
    """The events are the same, in the same order."""
    script.offers("one/a", "alpha", "beta", "gamma").run()
    script.drops("one/a", "beta").run(times=2)
    told = build_report(script.store, Window(1, 3))
    after = build_report(script.store, Window(1, 3), Watch(("beta",)))
    assert [each.urgent for each in after.events] == [True]
    assert [replace(each, urgent=False) for each in after.events] == list(told.events)


@pytest.mark.parametrize(
    ("word", "model", "has"),
    [
        ("a-*", "a-1", True),
        ("a-1", "a-1", True),
        ("a-1", "A-1", False),
        ("[x]", "[x]", True),
        ("a", "ab", False),
    ],
)
def test_a_word_is_an_id_or_a_glob(word, model, has):
    """An id that looks like a glob is meant too; upper and lower case are not the same."""
    assert Watch((word,)).has(model) is has


def test_a_model_that_came_lately_is_compared_with_what_it_cost_when_it_came(script):
    """Its price went up tenfold an hour ago: that there was none a week ago does not hide it."""
    script.offers("one/a", "alpha").run()
    priced(script, "one/a", "fresh", 3)
    script.run()
    priced(script, "one/a", "fresh", 30)
    script.run()
    (finding,) = stands(script, "fresh").models[0].findings
    assert (finding.what, [(each.before, each.after) for each in finding.prices]) == (
        What.REPRICED,
        [(3, 30)],
    )
