"""What a report says of a window: what changed for whom, who is in trouble, and what it is based on."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.fakes import EVERYTHING_GOES, Script, moment, scope

from pipeline.core.types import Kind, Severity, Thresholds
from pipeline.core.watchlist import Watch
from pipeline.errors import Refused
from pipeline.reports.summary import summarise
from pipeline.reports.types import Filter, FirstAnswer, Summary
from pipeline.store import Store, changes
from pipeline.store.changes import Window
from pipeline.sync.accept import accept


@pytest.fixture
def watched(script: Script) -> Script:
    """Two groups of a gateway and another gateway, each offered three models."""
    script.has(scope("acme/prod", group="vip"), scope("acme/test", group="free"), scope("zeta/one"))
    for name in ("acme/prod", "acme/test", "zeta/one"):
        script.offers(name, "lyra", "vega", "corvus")
    script.run()
    return script


def told(script: Script, since: int, until: int | None = None, **wanted: object) -> Summary:
    """Give the brief of the runs after one up to another, as far as it is wanted."""
    window = Window(since, until or script.runs)
    return summarise(script.store, window, wanted=Filter(**wanted))


def models(found: Summary) -> set[tuple[str, tuple[str, ...]]]:
    """Give what the lines are about, and for whom."""
    return {(line.models[0], line.scopes) for line in found.lines}


def test_the_first_answers_are_a_beginning_and_no_change(watched: Script) -> None:
    """Fifteen hundred additions on the first day would be read by nobody."""
    found = told(watched, 0)
    assert found.lines == ()
    assert found.started == (
        FirstAnswer("acme", ("acme/prod", "acme/test"), 3),
        FirstAnswer("zeta", ("zeta/one",), 3),
    )
    assert found.severity == Severity.NOTABLE


def test_nothing_is_only_said_of_what_was_seen(watched: Script) -> None:
    """No news has no severity, and the scopes that answered are counted."""
    watched.fails("zeta/one").run(times=2)
    found = told(watched, 2)
    assert (found.severity, found.answered, len(found.coverage)) == (None, 2, 3)


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
def test_everyone_is_told_what_they_want(watched: Script, wanted: dict, expected: set) -> None:
    """By scope, group, model and owner; of an event only the scopes that are theirs."""
    watched.drops("acme/prod", "lyra").drops("acme/test", "lyra").drops("zeta/one", "vega").run(times=2)
    found = told(watched, 1, **wanted)
    assert models(found) == expected
    assert {name for event in found.events for name in event.scopes} == {n for _, of in expected for n in of}
    if "scopes" in wanted:
        assert {each.scope for each in found.coverage} <= {"acme/prod", "acme/test"}


def test_what_matters_less_is_counted(watched: Script) -> None:
    """Who wants to be woken only for what breaks is not told of what came."""
    watched.drops("acme/prod", "lyra").adds("acme/test", "cetus").run(times=2)
    found = told(watched, 1, severity=Severity.BREAKING)
    assert ([line.kind for line in found.told], found.untold) == ([Kind.REMOVED], 1)
    assert told(watched, 1, severity=Severity.URGENT).severity is None


def test_an_outage_is_told_once_and_its_end_too(watched: Script) -> None:
    """Then muted: it is mentioned as known, until it is over."""
    watched.fails("zeta/one").run()
    (trouble,) = told(watched, 1).troubles
    assert (trouble.new, trouble.severity, trouble.since) == (True, Severity.URGENT, moment(2))
    watched.run(times=2)
    later = told(watched, 2)
    assert (later.severity, [each.new for each in later.troubles]) == (None, [False])
    watched.recovers("zeta/one").run()
    over = told(watched, 4)
    assert (over.troubles, over.ended[0].seconds, over.severity) == ((), 3 * 3600, Severity.NOTABLE)


def test_another_kind_of_failure_is_the_same_outage(watched: Script) -> None:
    """A gateway that is first unreachable and then refuses is still silent: nobody is woken twice."""
    watched.fails("zeta/one").run()
    watched.fails("zeta/one", Refused("no longer good", status=401)).run()
    assert told(watched, 2).severity is None


def test_an_outage_within_the_window_is_told_as_over(watched: Script) -> None:
    """A daily report says that there was one."""
    watched.fails("zeta/one").run(times=2)
    watched.recovers("zeta/one").run()
    found = told(watched, 1)
    assert (found.troubles, found.ended[0].scopes, found.ended[0].seconds) == ((), ("zeta/one",), 7200)


def test_what_is_held_is_told_with_what_would_be_lost(script: Script) -> None:
    """It may break something, and somebody may have to decide."""
    script.has(scope("acme/prod", thresholds=Thresholds(max_loss=0.1, floor=0))).offers(
        "acme/prod", *"abcdef"
    )
    script.run()
    script.offers("acme/prod", "a").run()
    (trouble,) = told(script, 1).troubles
    assert (trouble.state, trouble.severity, trouble.models, trouble.held_models) == (
        "held", Severity.BREAKING, 6, 1,
    )  # fmt: skip
    script.offers("acme/prod", *"abcdef").run()
    assert [each.was for each in told(script, 2, severity=Severity.BREAKING).ended] == ["held"]
    assert told(script, 2, severity=Severity.URGENT).ended == ()


def test_an_accepted_hold_is_told_with_who_answered_before(script: Script) -> None:
    """Nobody was asked for it, but it is known who has answered."""
    script.has(scope("acme/prod", thresholds=Thresholds()), scope("acme/test"))
    script.offers("acme/prod", *(f"m{number}" for number in range(40))).offers("acme/test", "m0").run()
    script.offers("acme/prod", "m0").run()
    accept(script.store, ["acme/prod"], lambda _scope, _reading: (), at=moment(3))
    found = told(script, 2, 3)
    assert [ended.believed for ended in found.ended] == [True]
    assert (found.answered, len(found.coverage)) == (2, 2)


def test_a_hold_that_keeps_back_what_somebody_depends_on_is_urgent(script: Script) -> None:
    """It names the models, is told to who wants only what is urgent, and so is its end."""
    script.has(scope("acme/prod", thresholds=Thresholds(max_loss=0.1, floor=0))).offers(
        "acme/prod", *"abcdef"
    )
    script.run()
    script.offers("acme/prod", "a", "b").run()
    alarm = Filter(severity=Severity.URGENT)
    for words, watched in ((("a", "c*", "f"), ("c", "f")), (("a",), ())):
        found = summarise(script.store, Window(1, 2), watch=Watch(words), wanted=alarm)
        assert [each.watched for each in found.troubles] == [watched] * bool(watched)
        assert found.severity == (Severity.URGENT if watched else None)
    script.offers("acme/prod", *"abcdef").run()
    over = summarise(script.store, Window(2, 3), watch=Watch(("f",)), wanted=alarm)
    assert [each.was for each in over.ended] == ["held"]
    assert summarise(script.store, Window(2, 3), watch=Watch(("a",)), wanted=alarm).ended == ()


def test_trouble_that_matters_too_little_is_not_called_known(watched: Script) -> None:
    """Who is told only what is urgent never hears of a hold, and not that it was told before."""
    watched.has(scope("acme/prod", group="vip", thresholds=Thresholds(max_loss=0.1, floor=0)))
    watched.offers("acme/prod").run()
    assert told(watched, 1, severity=Severity.URGENT).troubles == ()


def test_scopes_with_the_same_trouble_are_told_together(watched: Script) -> None:
    """A gateway that is down is one line, however many keys it has."""
    for name in ("acme/prod", "acme/test"):
        watched.fails(name)
    watched.run()
    (trouble,) = told(watched, 1).troubles
    assert trouble.scopes == ("acme/prod", "acme/test")


def test_a_scope_that_left_the_config_is_not_spoken_of(watched: Script) -> None:
    """It is not silent: nobody asks it any more."""
    watched.fails("zeta/one").run()
    del watched.scopes["zeta/one"]
    watched.run(times=2)
    found = told(watched, 2)
    assert ([each.scope for each in found.coverage], found.troubles) == (["acme/prod", "acme/test"], ())


def test_what_somebody_depends_on_is_urgent(watched: Script) -> None:
    """The same removal is urgent to one and breaking to another."""
    watched.drops("acme/prod", "lyra").run(times=2)
    window = Window(1, watched.runs)
    mine = summarise(watched.store, window, watch=Watch(("lyra",)))
    assert (mine.severity, told(watched, 1).severity) == (Severity.URGENT, Severity.BREAKING)


def test_the_picture_counts_the_days_before(watched: Script) -> None:
    """From the first run on, a day each without gaps, up to that of the last run, and no later."""
    watched.adds("zeta/one", "cetus").run(times=2)
    (day,) = told(watched, 0, 2).days
    assert (day.day, day.added, day.total) == (moment(2)[:10], 1, 1)
    watched.drops("zeta/one", "vega").run(times=30)
    assert told(watched, 0, 2).days == (day,)
    assert [(each.day, each.total) for each in told(watched, 0).days] == [
        (moment(1)[:10], 2),
        (moment(32)[:10], 0),
    ]


def test_the_picture_is_of_four_weeks(script: Script) -> None:
    """What was longer ago is history."""
    script.offers("acme/prod", "lyra").run(times=700)
    days = told(script, 699).days
    assert (len(days), days[-1].day) == (28, moment(700)[:10])


def test_a_report_of_the_past_is_what_it_was(watched: Script) -> None:
    """What happens later does not change it, but for what is only known as it is now."""
    watched.drops("acme/prod", "lyra").adds("zeta/one", "cetus").run(times=2)
    before = told(watched, 1, 3)
    watched.adds("acme/prod", "lyra").fails("zeta/one").run(times=3)
    after = told(watched, 1, 3)
    assert replace(after, missing=()) == replace(before, missing=())


def test_a_window_of_time_is_that_of_its_runs(watched: Script) -> None:
    """From a time on, and before another."""
    watched.adds("zeta/one", "cetus").run()
    watched.adds("zeta/one", "ara").run()
    window = changes.window(watched.store, since=moment(2), until=moment(3))
    found = summarise(watched.store, window)
    assert (found.run.started_at, found.since, models(found)) == (
        moment(2), moment(1), {("cetus", ("zeta/one",))},
    )  # fmt: skip


def test_missing_models_are_mentioned_before_they_are_told(store: Store) -> None:
    """Nobody can say yet whether they are gone."""
    script = Script(store).has(scope("acme/prod", thresholds=replace(EVERYTHING_GOES, confirm=3)))
    script.offers("acme/prod", "lyra", "vega").run()
    script.drops("acme/prod", "vega").run()
    found = told(script, 1)
    assert (found.missing, found.severity) == ((("acme/prod", 1),), None)
