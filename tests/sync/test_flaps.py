"""Values that keep changing: when an episode begins, what counts in it, and when it ends."""

from __future__ import annotations

import json

import pytest
from support.fakes import Script, moment, rows_of, scope

from pipeline.core.types import Thresholds
from pipeline.errors import Unreachable
from pipeline.history.changes import find_events
from pipeline.maintenance import dialects_of, forget, prune, rebuild, rename, verify
from pipeline.store.flaps import settled_values
from pipeline.store.windows import Window
from pipeline.sync.accept import accept, dialect_of_scopes

PROD, TEST = "acme/prod", "acme/test"

TWICE = """
    insert into flaps select id + 1, name, scope, model, field, before, after, began_at, changes, changed_at,
                             answers, counted_at, announced, news, repeated, ended from flaps
"""


def flaps(script: Script, *columns: str) -> list[tuple[object, ...]]:
    """Return some columns of every episode, in order."""
    return [tuple(row[column] for column in columns) for row in script.store.rows("select * from flaps")]


def plays(script: Script, *values: int, name: str = PROD) -> Script:
    """Run once with each value of `vega`."""
    for value in values:
        script.adds(name, vega=value).run()
    return script


def begun(script: Script, *values: int) -> Script:
    """Return a script with some values of `vega` in a scope, one per run."""
    first, *rest = values
    script.offers(PROD, "lyra", vega=first).run()
    return plays(script, *rest)


def assert_intact(script: Script) -> None:
    """Check the database, and that a rebuild has nothing to correct."""
    problems = [problem for check in verify(script.store, dialects_of([])) for problem in check.problems]
    assert problems == []
    before = rows_of(script.store)
    rebuild(script.store, dialects_of([]))
    assert rows_of(script.store) == before


def test_an_episode_begins_with_a_return_to_an_earlier_value(script: Script) -> None:
    begun(script, 1, 2)
    assert flaps(script, "id") == []
    plays(script, 1)
    assert flaps(script, "name", "before", "after", "changes") == [("form of vega", "1", "1", 2)]


def test_later_changes_are_counted_in_the_same_episode(script: Script) -> None:
    begun(script, 1, 2, 1, 2, 1, 2)
    assert flaps(script, "before", "after", "changes", "answers", "ended") == [("1", "2", 5, 0, None)]
    assert_intact(script)


def test_a_value_that_is_new_within_seven_days_is_news_of_the_episode(script: Script) -> None:
    begun(script, 1, 2, 1, 3, 4, 3)
    ((news, repeated),) = flaps(script, "news", "repeated")
    marks = script.store.rows("select after, flapping from change_log where kind = 'changed' order by at")
    assert [(row["after"], row["flapping"]) for row in marks] == [
        ("2", None),
        ("1", "announced"),
        ("3", None),
        ("4", None),
        ("3", "repeated"),
    ]
    assert (len(json.loads(str(news))), repeated) == (2, 1)
    assert_intact(script)


def test_the_values_that_take_turns_are_news_once_each(script: Script) -> None:
    begun(script, 1, 2, 1, *(3, 2, 1) * 3)
    ((news, changes, repeated),) = flaps(script, "news", "changes", "repeated")
    assert (len(json.loads(str(news))), changes, repeated) == (1, 11, 8)


def test_a_value_is_news_again_after_seven_days(script: Script) -> None:
    begun(script, 1, 2, 1, 3)
    for _ in range(8 * 24):
        plays(script, 1, 2)
    plays(script, 3)
    ((news,),) = flaps(script, "news")
    assert len(json.loads(str(news))) == 2


def test_a_value_that_does_not_change_after_it_was_news_settles_unreported(script: Script) -> None:
    begun(script, 1, 2, 1, 2, 3).run(times=24)
    assert script.outcomes(PROD)[-1] == "settled"
    window = Window(0, script.runs)
    assert settled_values(script.store, window) == []
    plays(script, 4, 3, 4).run(times=24)
    assert [(each.before, each.after) for each in settled_values(script.store, Window(0, script.runs))] == [
        ("3", "4")
    ]


def test_each_scope_has_its_own_news_though_they_share_transitions(script: Script) -> None:
    script.offers(PROD, "lyra", vega=1).offers(TEST, "lyra", vega=1).run()
    for first, second in ((2, 3), (1, 1), (3, 3)):
        script.adds(PROD, vega=first).adds(TEST, vega=second).run()
    assert [json.loads(str(news)) != [] for (news,) in flaps(script, "news")] == [True, False]


def regained(script: Script) -> list[tuple[object, ...]]:
    """Return the model, field, lost value and sighting of each value that came back different."""
    rows = script.store.rows("select * from regains")
    return [(row["name"], row["before"], row["sighting"]) for row in rows]


def test_a_field_that_is_back_with_another_value_keeps_the_one_that_was_lost(script: Script) -> None:
    begun(script, 1).adds(PROD, "vega").run()
    assert regained(script) == []
    plays(script, 3)
    assert regained(script) == [("form of vega", "1", 3)]
    assert flaps(script, "id") == []
    assert_intact(script)


@pytest.mark.parametrize(
    ("field", "lost", "between", "back", "before"),
    [
        ("pricing", {"prompt": 2}, {"prompt": None}, {"prompt": 20}, "2"),
        ("pricing", {"prompt": 2}, {"prompt": ""}, {"prompt": 20}, "2"),
        ("pricing", {"prompt": 2}, None, {"prompt": 20}, "2"),
        ("pricing", {"prompt": "0.000002"}, {}, {"prompt": 2e-6}, None),
        ("pricing", {"prompt": "0.000002"}, {}, {"prompt": "0.0000020"}, None),
        ("context_length", 8192, 0, 4096, "8192"),
        ("context_length", 8192, None, "8192", None),
        ("shutdown_date", "2026-12-20", None, "2026-11-20", "2026-12-20"),
        ("features", ["tools", "vision"], None, ["vision"], '["tools","vision"]'),
        ("description", "a", None, "b", None),
    ],
)
def test_values_that_come_back_are_compared_by_meaning(
    script: Script, field: str, lost: object, between: object, back: object, before: str | None
) -> None:
    for value in (lost, between, back):
        script.offers(PROD, "lyra").offers_now[PROD]["vega"] = {} if value is None else {field: value}
        script.run()
    assert [row[1] for row in regained(script)] == ([] if before is None else [before])
    assert_intact(script)


def test_a_price_that_is_written_in_two_ways_in_turn_is_no_episode(script: Script) -> None:
    for price in (2, "2", 2, "2.0", 2):
        script.offers(PROD, "lyra").offers_now[PROD]["vega"] = {"pricing": {"prompt": price}}
        script.run()
    assert flaps(script, "id") == []
    for price in (3, 2, "2", 2):
        script.offers_now[PROD]["vega"] = {"pricing": {"prompt": price}}
        script.run()
    assert flaps(script, "changes", "repeated") == [(2, 0)]
    assert_intact(script)


def test_a_field_that_is_back_after_eight_days_is_new(script: Script) -> None:
    begun(script, 1).adds(PROD, "vega").run(times=8 * 24)
    plays(script, 3)
    assert regained(script) == []


def test_a_value_that_is_back_in_turn_with_others_is_repeated(script: Script) -> None:
    begun(script, 1)
    for value in (2, 1, 2, 1):
        script.adds(PROD, "vega").run()
        plays(script, value)
    assert [row[1] for row in regained(script)] == ["1"]
    assert_intact(script)


def test_a_prune_keeps_the_record_of_a_lost_value(script: Script) -> None:
    begun(script, 1).run(times=24)
    script.adds(PROD, "vega").run()
    plays(script, 3)
    before = find_events(script.store, Window(26, script.runs))
    assert [field.before for event in before for field in event.fields] == ["1"]
    prune(script.store, dialects_of([]), bound=moment(26))
    assert find_events(script.store, Window(26, script.runs)) == before
    assert_intact(script)


def test_three_values_in_turn_are_one_episode(script: Script) -> None:
    begun(script, 1, 2, 3)
    assert flaps(script, "id") == []
    plays(script, 1, 2, 3)
    assert flaps(script, "before", "after", "changes") == [("1", "3", 5)]
    assert_intact(script)


def test_new_values_one_after_the_other_are_no_episode(script: Script) -> None:
    assert flaps(begun(script, *range(1, 9)), "id") == []


def test_a_field_that_comes_and_goes_is_an_episode(script: Script) -> None:
    begun(script, 1).adds(PROD, "vega").run()
    plays(script, 1)
    assert flaps(script, "before", "after") == [("1", "1")]


def test_two_fields_of_a_model_are_two_episodes(script: Script) -> None:
    script.offers(PROD, "lyra", "vega")
    for first, second in ((1, 1), (2, 1), (1, 2), (1, 1)):
        script.offers_now[PROD]["vega"] = {"context_length": first, "max_output": second}
        script.run()
    assert flaps(script, "field", "before", "changes") == [
        ("context_length", "1", 2),
        ("max_output", "1", 2),
    ]
    assert_intact(script)


def test_quiet_fields_have_no_episodes(script: Script) -> None:
    script.offers(PROD, "lyra", "vega")
    for text in "abababab":
        script.offers_now[PROD]["vega"] = {"description": text}
        script.run()
    assert flaps(script, "id") == []


def test_a_value_that_returns_after_eight_days_is_no_episode(script: Script) -> None:
    begun(script, 1, 2).run(times=8 * 24)
    plays(script, 1)
    assert flaps(script, "id") == []


def test_a_value_that_returns_after_six_days_is_an_episode(script: Script) -> None:
    begun(script, 1, 2).run(times=6 * 24)
    plays(script, 1)
    assert flaps(script, "changes") == [(2,)]


def test_a_value_settles_after_a_day_without_a_change(script: Script) -> None:
    begun(script, 1, 2, 1, 2).run(times=23)
    assert script.outcomes(PROD)[-1] == "moved"
    script.run()
    assert script.outcomes(PROD)[-1] == "settled"
    script.run(times=30)
    assert script.outcomes(PROD).count("settled") == 1
    assert flaps(script, "after", "answers") == [("2", 3)]
    assert_intact(script)


def test_a_change_after_it_settled_begins_another_episode_if_it_returns(script: Script) -> None:
    begun(script, 1, 2, 1).run(times=24)
    plays(script, 2)
    assert flaps(script, "before", "after", "changes") == [("1", "1", 2), ("2", "2", 2)]
    assert_intact(script)


def test_answers_that_fail_do_not_settle_a_value(script: Script) -> None:
    begun(script, 1, 2, 1).fails(PROD, Unreachable("the connection was reset")).run(times=30)
    script.recovers(PROD).run(times=2)
    assert flaps(script, "answers", "ended") == [(2, None)]
    script.run()
    assert script.outcomes(PROD)[-1] == "settled"
    assert_intact(script)


def test_scopes_have_their_own_episodes_though_they_share_transitions(script: Script) -> None:
    script.offers(PROD, "lyra", vega=1).offers(TEST, "lyra", vega=1).run()
    plays(script, 2, 1)
    assert flaps(script, "scope", "changes") == [(1, 2)]
    plays(script, 2, 1, 2, name=TEST)
    assert flaps(script, "scope", "changes") == [(1, 2), (2, 3)]
    assert_intact(script)


def test_a_hundred_scopes_that_flap_alike_are_a_hundred_episodes_of_two_transitions(script: Script) -> None:
    names = [f"acme/key-{number}" for number in range(100)]
    for value in (1, 2, 1, 2):
        for name in names:
            script.offers(name, "lyra", vega=value)
        script.run()
    assert flaps(script, "changes") == [(3,)] * 100
    assert len(script.store.rows("select * from transitions")) == 2


def test_a_model_that_is_missing_for_a_while_keeps_its_episode(script: Script) -> None:
    begun(script, 1, 2, 1).drops(PROD, "vega").run()
    assert flaps(script, "answers", "ended") == [(0, None)]
    plays(script, 2)
    assert flaps(script, "after", "changes", "ended") == [("2", 3, None)]
    script.run(times=24)
    assert script.outcomes(PROD)[-1] == "settled"
    assert_intact(script)


def test_a_value_that_returns_with_its_model_begins_an_episode(script: Script) -> None:
    begun(script, 1, 2).drops(PROD, "vega").run()
    plays(script, 1)
    assert flaps(script, "before", "after", "changes") == [("1", "1", 2)]


def test_a_confirmed_removal_ends_the_episode_without_settling_it(script: Script) -> None:
    begun(script, 1, 2, 1).drops(PROD, "vega").run(times=4)
    assert script.outcomes(PROD)[-1] == "confirmed"
    ((ended,),) = flaps(script, "ended")
    assert ended is not None
    script.run(times=30)
    assert "settled" not in script.outcomes(PROD)
    assert_intact(script)


def test_an_accepted_answer_can_announce_a_value(script: Script) -> None:
    cautious = Thresholds(max_loss=0.5, floor=1, confirm=2)
    script.has(scope(PROD, thresholds=cautious)).offers(PROD, *"abcdefgh", vega=1).run()
    plays(script, 2)
    script.offers(PROD, "a", vega=1).run()
    assert flaps(script, "id") == []
    accept(script.store, [PROD], dialect_of_scopes([]), at=moment(4))
    assert flaps(script, "before", "changes") == [("1", 2)]
    assert_intact(script)


def test_the_view_of_all_changes_marks_them(script: Script) -> None:
    begun(script, 1, 2, 1, 2).run(times=24)
    script.adds(PROD, vega=3).run()
    rows = script.store.rows("select before, after, flapping from change_log order by change_id, at")
    assert {(row["before"], row["after"], row["flapping"]) for row in rows} == {
        ("1", "2", None),
        ("2", "1", "announced"),
        ("1", "2", "repeated"),
        ("2", "3", None),
    }


def test_forgetting_a_scope_drops_its_episodes_and_renaming_it_keeps_them(script: Script) -> None:
    script.offers(PROD, "lyra", vega=1).offers(TEST, "lyra", vega=1).run()
    for value in (2, 1, 2):
        script.adds(PROD, vega=value).adds(TEST, vega=value).run()
    script.run(times=24)
    rename(script.store, TEST, "acme/other")
    assert flaps(script, "scope", "changes") == [(1, 3), (2, 3)]
    assert_intact(script)
    forget(script.store, [PROD], dialects_of([]))
    assert flaps(script, "scope", "changes") == [(2, 3)]
    assert_intact(script)
    forget(script.store, ["acme/other"], dialects_of([]))
    assert flaps(script, "id") == []
    assert script.store.rows("select * from models") == []


@pytest.mark.parametrize(
    ("damage", "table"),
    [
        ("update flaps set ended = 1", "flaps"),
        ("update flaps set announced = 1 + (select max(id) from sightings where scope = 1)", "flaps"),
        ("update flaps set ended = null", "sightings"),
        (TWICE, "flaps"),
        ("update flaps set news = '[1]'", "flaps"),
    ],
)
def test_verify_finds_an_episode_that_cannot_be(script: Script, damage: str, table: str) -> None:
    begun(script, 1, 2, 1).run(times=24)
    with script.store.transaction():
        script.store.connection.execute(damage)
    checks = verify(script.store, dialects_of([]))
    assert table in {problem.table for check in checks for problem in check.problems}


def test_verify_finds_a_lost_value_of_another_scope(script: Script) -> None:
    script.offers(TEST, "lyra").run()
    begun(script, 1).adds(PROD, "vega").run()
    plays(script, 3)
    with script.store.transaction():
        script.store.connection.execute("update regains set scope = 3 - scope")
    checks = verify(script.store, dialects_of([]))
    assert "regains" in {problem.table for check in checks for problem in check.problems}


def test_forgetting_a_scope_drops_its_lost_values(script: Script) -> None:
    script.offers(TEST, "lyra").run()
    begun(script, 1).adds(PROD, "vega").run()
    plays(script, 3)
    forget(script.store, [PROD], dialects_of([]))
    assert regained(script) == []
    assert_intact(script)


def test_a_value_that_changed_by_a_clock_ahead_settles_a_day_after_it_was_set_right(script: Script) -> None:
    begun(script, 1, 2, 1)
    with script.store.transaction():
        future = "'2036-01-01T00:00:00Z'"
        script.store.connection.execute(f"update flaps set changed_at = {future}, counted_at = {future}")
        script.store.connection.execute(
            f"update snapshots set started_at = {future} where id = (select max(id) from snapshots)"
        )
    script.run(times=24)
    assert script.outcomes(PROD)[-1] == "moved"
    script.run()
    assert script.outcomes(PROD)[-1] == "settled"
