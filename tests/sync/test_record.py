"""The rows that a run writes: baselines, moves, holds and failures, each once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace
from support.fakes import NOTHING_HELD, Script, moment, rows_of, scope

from pipeline.core.types import Anonymous, Kind, Thresholds
from pipeline.errors import Refused
from pipeline.gateways.types import ListingAnswer, ScopeResult
from pipeline.history.changes import find_events
from pipeline.maintenance import dialects_of, verify
from pipeline.store import read_listing
from pipeline.store.coverage import coverage, recoveries
from pipeline.store.windows import Window
from pipeline.sync.accept import accept

BEGIN = datetime(2026, 10, 1, tzinfo=UTC)

CAUTIOUS = Thresholds(max_loss=0.5, floor=1, confirm=2, confirm_after=0.0)


def test_the_first_answer_is_a_baseline_without_changes(script: Script) -> None:
    script.offers("acme/prod", "lyra", "vega").run()
    assert script.outcomes("acme/prod") == ["baseline"]
    assert script.models("acme/prod") == {"lyra", "vega"}
    assert [script.store.rows(f"select * from {table}") for table in ("transitions", "changes")] == [[], []]
    assert find_events(script.store, Window(0, 1)) == ()


def test_a_new_scope_reports_no_models_as_added(script: Script) -> None:
    script.offers("acme/prod", "lyra").run()
    script.offers("acme/test", "lyra", "vega").run()
    assert script.outcomes("acme/test") == ["baseline"]
    assert find_events(script.store, Window(0, 2)) == ()


def test_a_failure_before_the_first_answer_is_recorded_before_the_baseline(script: Script) -> None:
    script.fails("acme/prod").run(times=2)
    script.offers("acme/prod", "lyra").run(times=2)
    assert script.outcomes("acme/prod") == ["failed", "baseline"]
    assert find_events(script.store, Window(0, 4)) == ()


def test_scopes_with_the_same_move_share_one_transition_and_its_events(script: Script) -> None:
    names = [f"acme/key-{number}" for number in range(20)]
    for name in names:
        script.offers(name, "lyra", "vega", orion=1)
    script.run()
    for name in names:
        script.drops(name, "vega").adds(name, "lynx", orion=2)
    script.run(times=2)
    sizes = {table: len(rows) for table, rows in rows_of(script.store).items()}
    assert sizes["transitions"] == 1
    assert (sizes["listings"], sizes["records"], sizes["changes"], sizes["field_changes"]) == (2, 5, 3, 1)
    events = find_events(script.store, Window(0, 3))
    assert [(str(event.kind), event.model) for event in events] == [
        ("changed", "orion"),
        ("added", "lynx"),
        ("removed", "vega"),
    ]
    assert all(event.scopes == tuple(sorted(names)) for event in events)


def test_models_of_the_same_id_at_two_gateways_are_two(script: Script) -> None:
    script.offers("acme/prod", "lyra").offers("zeta/prod", "lyra").run()
    script.adds("acme/prod", "vega").adds("zeta/prod", "vega").run()
    assert [(event.gateway, event.scopes) for event in find_events(script.store, Window(0, 2))] == [
        ("acme", ("acme/prod",)),
        ("zeta", ("zeta/prod",)),
    ]
    assert script.store.rows("select count(*) as models from models") == [{"models": 4}]


def test_a_failure_is_recorded_when_it_begins_changes_its_class_and_ends(script: Script) -> None:
    script.offers("acme/prod", "lyra").run()
    script.fails("acme/prod").run(times=5)
    script.fails("acme/prod", Refused("no such key", status=401)).run(times=5)
    script.recovers("acme/prod").run(times=5)
    assert script.outcomes("acme/prod") == ["baseline", "failed", "failed", "recovered"]
    assert script.state("acme/prod").outcome == "recovered"


def test_a_model_missing_from_every_second_answer_is_never_reported(script: Script) -> None:
    script.offers("acme/prod", "lyra", "vega").run()
    script.flaps("acme/prod", "vega").run(times=9)
    assert script.outcomes("acme/prod") == ["baseline", *["moved"] * 9]
    script.run()
    assert script.store.rows("select * from missing") == []
    assert find_events(script.store, Window(0, 10)) == ()


def test_a_held_answer_is_stored_and_the_current_listing_stays(script: Script) -> None:
    script.has(scope("acme/prod", thresholds=CAUTIOUS)).offers("acme/prod", *"abcdefgh").run()
    script.offers("acme/prod", "a").run()
    assert script.outcomes("acme/prod") == ["baseline", "held"]
    assert script.models("acme/prod") == set("abcdefgh")
    held = script.state("acme/prod").held
    assert held is not None
    assert set(read_listing(script.store, held).records) == {"a"}
    assert find_events(script.store, Window(0, 2)) == ()


def test_when_the_current_listing_comes_back_the_held_one_is_dropped(script: Script) -> None:
    script.has(scope("acme/prod", thresholds=CAUTIOUS)).offers("acme/prod", *"abcdefgh").run()
    script.offers("acme/prod").run()
    script.offers("acme/prod", *"abcdefgh").run(times=2)
    assert script.outcomes("acme/prod") == ["baseline", "held", "recovered"]
    assert script.state("acme/prod").held is None
    assert find_events(script.store, Window(0, 4)) == ()


def test_a_failure_between_two_equal_answers_does_not_end_the_hold(script: Script) -> None:
    script.has(scope("acme/prod", thresholds=CAUTIOUS)).offers("acme/prod", *"abcdefgh").run()
    script.offers("acme/prod", "a").run()
    script.fails("acme/prod").run()
    script.offers("acme/prod", "a").run()
    assert script.outcomes("acme/prod")[:4] == ["baseline", "held", "failed", "moved"]
    assert script.models("acme/prod") == {"a"}


def test_a_failure_between_empty_answers_does_not_end_the_hold(script: Script) -> None:
    script.has(scope("acme/prod", thresholds=CAUTIOUS)).offers("acme/prod", *"abcdefgh").run()
    script.offers("acme/prod").run(times=3)
    script.fails("acme/prod").run()
    script.offers("acme/prod").run(times=2)
    assert script.models("acme/prod") == set("abcdefgh")
    script.run()
    assert script.outcomes("acme/prod")[-2:] == ["moved", "confirmed"]
    assert script.models("acme/prod") == set()


def removed(script: Script) -> list[tuple[str, str | None]]:
    """Return the time of each removal, and since when the model was missing."""
    found = find_events(script.store, Window(0, script.runs))
    return [(event.at, event.since) for event in found if event.kind == Kind.REMOVED]


@pytest.mark.parametrize(("hours", "last"), [(2.0, 4), (1.0, 3), (0.0, 3), (7.0, 9)])
def test_a_removal_needs_answers_and_time(script: Script, hours: float, last: int) -> None:
    patient = replace(NOTHING_HELD, confirm_after=hours * 3600)
    script.has(scope("acme/prod", thresholds=patient)).offers("acme/prod", "lyra", "vega").run()
    script.drops("acme/prod", "vega").run(times=last - 2)
    assert removed(script) == []
    script.run()
    assert removed(script) == [(moment(last), moment(2))]


@pytest.mark.parametrize(
    ("minutes", "found"),
    [
        ((0, 60, 108), True),  # a tenth less than two hours is enough
        ((0, 60, 107), False),
        ((0, 120), True),
        ((0, 1440), True),
        ((0, 119.9), True),
        ((119, 120, 121), False),
    ],
)
def test_a_tenth_less_time_is_enough(script: Script, minutes: tuple[float, ...], *, found: bool) -> None:
    patient = replace(NOTHING_HELD, confirm_after=7200.0)
    script.has(scope("acme/prod", thresholds=patient)).offers("acme/prod", "lyra", "vega").run()
    script.drops("acme/prod", "vega")
    for each in minutes:
        script.run_at(BEGIN + timedelta(minutes=each))
    assert bool(removed(script)) == found


@pytest.mark.parametrize(
    ("seconds", "found"),
    [
        ((0, 1, 2, 59), False),
        ((0, 60), True),
        ((0, 59, 61), True),
        ((0, 59, 118), True),  # the second is not counted, and the third follows the first
    ],
)
def test_runs_less_than_a_minute_apart_count_once(
    script: Script, seconds: tuple[int, ...], *, found: bool
) -> None:
    script.offers("acme/prod", "lyra", "vega").run()
    script.drops("acme/prod", "vega")
    for each in seconds:
        script.run_at(BEGIN + timedelta(seconds=each))
    assert bool(removed(script)) == found


def test_an_answer_that_is_not_counted_still_undoes_a_removal(script: Script) -> None:
    script.offers("acme/prod", "lyra", "vega").run()
    script.drops("acme/prod", "vega").run_at(BEGIN)
    script.adds("acme/prod", "vega").run_at(BEGIN + timedelta(seconds=5))
    assert script.store.rows("select * from missing") == []


def test_held_answers_count_as_misses_since_the_first_of_them(script: Script) -> None:
    patient = replace(CAUTIOUS, confirm_after=7200.0)
    script.has(scope("acme/prod", thresholds=patient)).offers("acme/prod", *"abcdefgh").run()
    script.offers("acme/prod", "a").run(times=2)
    assert script.outcomes("acme/prod") == ["baseline", "held", "moved"]
    script.run()
    assert script.outcomes("acme/prod") == ["baseline", "held", "moved", "confirmed"]
    assert removed(script) == [(moment(4), moment(2))] * 7


def test_models_that_all_answers_of_a_day_lack_are_removed_and_the_rest_stays(script: Script) -> None:
    script.has(scope("acme/prod", thresholds=CAUTIOUS)).offers("acme/prod", *"abcdefghij").run()
    for hours in range(23):
        part = "abcd" if hours % 2 else "cdef"
        script.offers("acme/prod", *part).run()
    assert script.models("acme/prod") == set("abcdef")
    assert removed(script) == [(moment(24), moment(2))] * 4
    assert script.outcomes("acme/prod")[-2:] == ["moved", "confirmed"]
    assert script.state("acme/prod").held is None


@pytest.mark.parametrize(("second", "accepted"), [("abcd", True), ("abc", True), ("abcdefghi", False)])
def test_a_hold_that_ends_with_a_list_that_agrees_is_accepted(
    script: Script, second: str, *, accepted: bool
) -> None:
    script.has(scope("acme/prod", thresholds=CAUTIOUS)).offers("acme/prod", *"abcdefghij").run()
    script.offers("acme/prod", *"abcd").run()
    script.offers("acme/prod", *second).run()
    assert script.models("acme/prod") == {*second}
    assert [each.accepted for each in recoveries(script.store, Window(0, 3))] == [accepted]


def test_an_accepted_hold_and_its_removals_are_dated_from_its_beginning(script: Script) -> None:
    with_public(script).run()
    script.offers("acme/prod", *"abc").run(times=5)
    accept(script.store, ["acme/prod"], lambda *_: None, at=moment(9))
    script.runs += 1
    (end,) = recoveries(script.store, Window(0, script.runs))
    assert (end.since, end.at, end.accepted) == (moment(2), moment(9), True)
    assert removed(script) == [(moment(9), moment(2))] * 7
    assert [problem for each in verify(script.store, dialects_of(())) for problem in each.problems] == []


OURS, THEIRS = "abcdefghij", "efghijkl"
"""Two lists of which six models are the same."""


def alternate(script: Script, lists: str) -> None:
    """Answer with our list (o), theirs (t) or a failure (f) in each run."""
    for each in lists:
        if each == "f":
            script.fails("acme/prod").run()
        else:
            script.offers("acme/prod", *(OURS if each == "o" else THEIRS)).run()


def alternating(script: Script) -> Script:
    """Return a scope in whose history two lists come in turn; the next answers are ours."""
    script.has(scope("acme/prod", thresholds=replace(CAUTIOUS, max_loss=0.25)))
    alternate(script, "otot")
    return script


def test_two_lists_in_turn_are_one_lasting_hold(script: Script) -> None:
    alternating(script)
    assert script.outcomes("acme/prod") == ["baseline", "held", "recovered", "held"]
    state = script.state("acme/prod")
    reason = "two lists alternate: 10 and 8 models; 2 models are only in some answers: k, l"
    assert script.reason("acme/prod") == reason
    alternate(script, "otottoot" * 2)
    assert set(script.outcomes("acme/prod")[3:]) == {"held"}
    state = script.state("acme/prod")
    assert (state.outcome, state.began) == ("held", 4)
    assert script.models("acme/prod") == set(OURS)
    assert recoveries(script.store, Window(4, script.runs)) == ()
    assert find_events(script.store, Window(0, script.runs)) == ()


def test_a_lasting_hold_ends_when_our_list_is_steady(script: Script) -> None:
    alternating(script)
    totals = script.offers("acme/prod", *OURS).run(times=2)
    assert (totals.held, script.state("acme/prod").outcome) == (1, "held")
    assert script.run().held == 0
    assert script.outcomes("acme/prod")[-1] == "recovered"
    assert [each.accepted for each in recoveries(script.store, Window(4, script.runs))] == [False]
    assert script.state("acme/prod").held is None


def test_a_lasting_hold_ends_when_the_other_list_is_steady(script: Script) -> None:
    alternating(script)
    assert script.offers("acme/prod", *THEIRS).run().held == 1
    assert script.run().held == 0
    assert script.models("acme/prod") == set(THEIRS)
    assert [each.accepted for each in recoveries(script.store, Window(4, script.runs))] == [True]
    assert {event.model for event in find_events(script.store, Window(0, script.runs))} == set("abcdkl")


def test_changes_of_our_list_are_recorded_while_two_lists_come_in_turn(script: Script) -> None:
    alternating(script)
    script.offers("acme/prod", *OURS, "new").run()
    assert script.outcomes("acme/prod")[-2:] == ["moved", "held"]
    assert script.models("acme/prod") == {*OURS, "new"}
    assert [event.model for event in find_events(script.store, Window(0, script.runs))] == ["new"]
    assert recoveries(script.store, Window(4, script.runs)) == ()
    assert script.state("acme/prod").began == 4
    alternate(script, "t")
    assert script.state("acme/prod").began == 4
    script.offers("acme/prod", *OURS[1:], "new").run()
    assert script.outcomes("acme/prod")[-2:] == ["moved", "held"]
    alternate(script, "t")
    script.offers("acme/prod", *OURS[1:], "new").run()
    assert script.outcomes("acme/prod")[-2:] == ["confirmed", "held"]
    events = find_events(script.store, Window(0, script.runs))
    assert [(str(event.kind), event.model) for event in events] == [("added", "new"), ("removed", "a")]


def test_a_failure_while_two_lists_come_in_turn_does_not_end_the_hold(script: Script) -> None:
    alternating(script)
    alternate(script, "fo")
    assert script.outcomes("acme/prod")[-3:] == ["failed", "recovered", "held"]
    assert [each.state for each in recoveries(script.store, Window(4, script.runs))] == ["failed"]
    assert script.state("acme/prod").began == 4
    alternate(script, "ft")
    assert script.outcomes("acme/prod")[-2:] == ["failed", "held"]
    assert script.state("acme/prod").began == 4


def test_two_lists_in_turn_pass_verification(script: Script) -> None:
    alternating(script)
    alternate(script, "oofotfttoo")
    script.offers("acme/prod", *OURS, "new").run()
    assert [problem for each in verify(script.store, dialects_of(())) for problem in each.problems] == []


def test_holds_of_a_list_more_than_a_week_apart_are_held_each_time(script: Script) -> None:
    script.has(scope("acme/prod", thresholds=replace(CAUTIOUS, max_loss=0.25)))
    alternate(script, "o")
    for day in range(0, 24, 8):
        script.offers("acme/prod", *THEIRS).run_at(BEGIN + timedelta(days=day))
        assert script.reason("acme/prod") == "4 of 10 models are gone at once"
        script.offers("acme/prod", *OURS).run_at(BEGIN + timedelta(days=day, hours=1))
        assert script.state("acme/prod").outcome == "recovered"


PUBLIC = scope("acme/public", credential=Anonymous(), thresholds=CAUTIOUS)


def with_public(script: Script) -> Script:
    """Return a key with ten models at a gateway that gives three of them to everyone."""
    script.has(PUBLIC, scope("acme/prod", thresholds=CAUTIOUS))
    return script.offers("acme/prod", *OURS).offers("acme/public", *"abc")


def test_a_key_that_falls_back_to_the_anonymous_list_is_held_until_another_list(script: Script) -> None:
    with_public(script).run()
    script.offers("acme/prod", *"abc").run(times=40)
    assert script.models("acme/prod") == set(OURS)
    assert set(script.outcomes("acme/prod")[1:]) == {"held"}
    assert script.reason("acme/prod") == ("prod now gets exactly the anonymous list. Was its key revoked?")
    assert [each.urgent for each in coverage(script.store)] == [True, False]
    script.offers("acme/prod", *OURS[1:]).run()
    assert script.outcomes("acme/prod")[-1] == "moved"
    assert script.models("acme/prod") == set(OURS[1:])
    assert [each.urgent for each in recoveries(script.store, Window(0, script.runs))] == [True]


def test_the_fallback_follows_the_anonymous_list(script: Script) -> None:
    with_public(script).run()
    script.offers("acme/prod", *"abc").run(times=2)
    script.offers("acme/prod", *"abcx").run()
    script.offers("acme/public", *"abcx").run(times=3)
    script.offers("acme/public", *"abc").run()
    assert script.models("acme/prod") == set(OURS)
    assert script.state("acme/prod").outcome == "held"


def test_the_last_anonymous_list_counts_where_it_fails_or_is_not_asked(script: Script) -> None:
    with_public(script).run()
    script.fails("acme/public").offers("acme/prod", *"abc").run(times=3)
    script.run("acme/prod", times=3)
    assert script.models("acme/prod") == set(OURS)
    assert "anonymous list" in script.reason("acme/prod")


def test_one_of_several_anonymous_lists_is_enough(script: Script) -> None:
    script.has(scope("acme/other", credential=Anonymous(), thresholds=CAUTIOUS))
    with_public(script).offers("acme/other", *"abcd").run()
    script.offers("acme/prod", *"abc").run(times=3)
    assert "anonymous list" in script.reason("acme/prod")
    script.offers("acme/prod", *"abcd").run(times=3)
    assert "anonymous list" in script.reason("acme/prod")
    assert script.models("acme/prod") == set(OURS)


def test_a_key_that_shrinks_and_grows_with_the_anonymous_list_is_never_held_for_it(script: Script) -> None:
    script.has(PUBLIC, scope("acme/prod", thresholds=CAUTIOUS))
    for offer in ("abcdefgh", "abcdefg", "abcdefgh", "abcdefghi", "a", "a", "abc"):
        script.offers("acme/prod", *offer).offers("acme/public", *offer).run()
    assert "anonymous" not in str(script.store.rows("select name from reasons"))
    assert script.models("acme/prod") == script.models("acme/public") == set("abc")


def test_an_anonymous_scope_that_is_new_makes_no_hold(script: Script) -> None:
    script.has(scope("acme/prod", thresholds=CAUTIOUS)).offers("acme/prod", *"abcdefgh").run()
    script.has(PUBLIC).offers("acme/prod", *"abcdefg").offers("acme/public", *"abcdefg").run()
    assert script.outcomes("acme/prod") == ["baseline", "moved"]


def incomplete(script: Script, *models: str, reading: str | None = None) -> dict[str, ScopeResult]:
    """Return the result of a page that may not be the last."""
    result = script.offers("acme/prod", *models).result("acme/prod")
    assert isinstance(result.answer, ListingAnswer)
    listing = result.answer.listing
    listing = replace(listing, reading=reading) if reading else listing
    return {"acme/prod": ScopeResult(replace(result.answer, listing=listing, incomplete="1 of 2 pages"))}


def test_a_list_that_may_have_more_pages_is_held_until_it_is_accepted(script: Script) -> None:
    script.offers("acme/prod", *"abc").run()
    for _ in range(40):
        script.record(incomplete(script, *"abcd"))
    assert script.models("acme/prod") == set("abc")
    assert script.reason("acme/prod") == "1 of 2 pages"
    accept(script.store, ["acme/prod"], lambda *_: None, at=moment(42))
    assert script.models("acme/prod") == set("abcd")
    script.record(incomplete(script, *"abcd"))
    assert script.state("acme/prod").outcome == "moved"


def test_a_list_accepted_under_older_rules_is_held_once_it_shows_signs_of_more_pages(
    script: Script,
) -> None:
    script.offers("acme/prod", *"abc").run()
    reading = '{"dialect":"one-api","noise":[],"newer":1}'
    script.record(incomplete(script, *"abc", reading=reading))
    script.record(incomplete(script, *"abc", reading=reading))
    assert script.outcomes("acme/prod") == ["baseline", "held", "held"]
    accept(script.store, ["acme/prod"], lambda *_: None, at=moment(4))
    script.record(incomplete(script, *"abc", reading=reading))
    assert script.outcomes("acme/prod")[3:] == ["moved"]


def test_a_first_list_that_may_have_more_pages_fails(script: Script) -> None:
    script.offers("acme/prod", *"abc")
    for _ in range(2):
        script.record(incomplete(script, *"abc"))
    assert script.outcomes("acme/prod") == ["failed"]
    state = script.state("acme/prod")
    assert (state.listing, state.error_class) == (None, "Unreadable")
    assert script.store.rows("select name from reasons") == [{"name": "1 of 2 pages"}]
    script.run()
    assert script.outcomes("acme/prod") == ["failed", "baseline"]
