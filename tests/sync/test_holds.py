"""Holds in live runs: when they begin and end, and which mails they send."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from support.e2e import Reply, listed, listing
from support.plays import Play
from support.proving import problems

from pipeline.store import read_listing
from pipeline.sync import cache

TEN = tuple(f"m{n}" for n in range(10))
FULL = listed(*TEN)
SHORT = listed(*TEN[:6])
REFUSED = Reply(b"{}", 401)
BROKEN = Reply(b"{}", 500)


def counted(*models: str, total: int) -> bytes:
    """Return a list that says how many models there are."""
    value = json.loads(listing({"id": model, "object": "model"} for model in models))
    return json.dumps(value | {"total": total}).encode()


@pytest.fixture
def play(tmp_path: Path) -> Iterator[Play]:
    with Play(tmp_path / "home") as made:
        yield made
    assert problems(made.job.database) == []


# Signs of more pages in a list that stays the same.


def test_the_current_list_with_a_larger_total_is_held_until_it_is_accepted(play: Play) -> None:
    play.run(FULL)
    lines, (mail,) = play.run(counted(*TEN, total=11))
    assert "complete = true" in lines[0]
    assert "complete = true" in mail
    assert play.run(counted(*TEN, total=11)) == ([], [])
    assert play.health()["state"] == "held"
    play.command("accept", "local/public")
    for _ in range(3):
        assert play.run(counted(*TEN, total=12)) == ([], [])
    assert play.health()["state"] == "ok"


def test_the_setting_ends_the_hold_of_the_current_list(play: Play) -> None:
    play.run(FULL)
    play.run(counted(*TEN, total=11))
    text = play.job.config.read_text("utf-8")
    play.job.configure(text.replace("[gateways.local]\n", "[gateways.local]\ncomplete = true\n"))
    (line,), _ = play.run(counted(*TEN, total=11))
    assert "dropped" in line
    assert play.health()["state"] == "ok"


def test_the_current_list_without_the_total_ends_the_hold(play: Play) -> None:
    play.run(FULL)
    play.run(counted(*TEN, total=11))
    play.run(FULL)
    assert play.health()["state"] == "ok"


def test_a_list_that_was_accepted_with_a_total_is_held_when_another_one_came_between(play: Play) -> None:
    play.run(FULL)
    play.run(counted(*TEN, total=11))
    play.command("accept", "local/public")
    play.run(listed(*TEN, "new"))
    play.run(FULL)
    play.run(counted(*TEN, total=11))
    assert play.health()["state"] == "held"


def test_a_total_that_is_no_larger_than_the_list_holds_nothing(play: Play) -> None:
    play.run(FULL)
    assert play.run(counted(*TEN, total=10)) == ([], [])
    assert play.health()["state"] == "ok"


# Two lists in turn.


def test_two_lists_in_turn_are_reported_at_the_second_hold_and_then_no_more(play: Play) -> None:
    play.run(FULL)
    mails = [mail for answer in [SHORT, FULL] * 8 for mail in play.run(answer)[1]]
    assert len(mails) == 3
    assert "The held answer has 6 models" in mails[0]
    assert "two lists alternate: 10 and 6 models" in mails[2]


def test_a_list_held_again_after_eight_days_is_held_for_its_own_reason(play: Play) -> None:
    play.run(FULL)
    play.run(SHORT)
    play.run(FULL)
    _, (mail,) = play.run(SHORT, hours=8 * 24)
    assert "The held answer has 6 models; the current listing has 10." in mail


# Holds that failures interrupt.


@pytest.mark.parametrize(
    "answers",
    [(SHORT, listed(*TEN[4:])), (listed(),) * 2, (counted(*TEN, total=11),) * 2],
    ids=["models are gone", "empty", "in part"],
)
def test_a_hold_goes_on_after_a_failure_without_another_report(
    play: Play, answers: tuple[bytes, bytes]
) -> None:
    play.run(FULL)
    play.run(answers[0])
    since = play.health()["state_since"]
    play.run(BROKEN)
    assert play.run(answers[1]) == ([], [])
    assert (play.health()["state"], play.health()["state_since"]) == ("held", since)


def test_a_hold_of_another_kind_after_a_failure_is_reported(play: Play) -> None:
    play.run(FULL)
    play.run(SHORT)
    play.run(BROKEN)
    (line,), (mail,) = play.run(listed())
    assert "the list is empty" in line
    assert "the list is empty" in mail


def test_a_hold_that_becomes_one_of_another_kind_is_reported(play: Play) -> None:
    play.run(FULL)
    play.run(SHORT)
    (line,), (mail,) = play.run(listed())
    assert "the list is empty" in line
    assert "the list is empty" in mail


def test_a_hold_of_two_lists_in_turn_goes_on_after_failures_with_the_size_of_the_present_list(
    play: Play,
) -> None:
    for answer in (FULL, listed(), FULL, listed(), BROKEN):
        play.run(answer)
    lines, _ = play.run(listed(*TEN[1:]))
    assert not any("alternate" in line for line in lines)
    assert play.health()["error"]["message"] == "a list of 9 models and an empty one alternate"


# Unsteady scopes: those with a problem that began three times, each time within a day of its last end.


def test_a_watched_model_that_a_hold_lacks_is_reported_as_long_as_the_hold_does_not_come_and_go(
    play: Play,
) -> None:
    play.job.configure('watch = { models = ["m0", "m1"] }\n' + play.job.config.read_text("utf-8"))
    play.run(FULL)
    for _ in range(4):
        play.run(counted(*TEN[1:], total=11))
        play.run(FULL)
    assert play.run(counted(*TEN[1:], total=11)) == ([], [])
    play.run(FULL)
    lines, (mail,) = play.run(counted(*TEN[2:], total=11))
    assert any("m1" in line for line in lines)
    assert "m1" in mail


def unsteady(play: Play) -> None:
    """Let the scope fail four times within a day, and let the last report be recent."""
    for answer in [FULL, REFUSED] * 4:
        play.run(answer)
    play.run(FULL, hours=6)
    play.run(REFUSED)
    play.run(FULL)


@pytest.mark.parametrize(
    "answer", [SHORT, listed(), counted(*TEN, total=11)], ids=["models are gone", "empty", "in part"]
)
def test_a_first_hold_of_an_unsteady_scope_and_its_acceptance_are_mailed_at_once(
    play: Play, answer: bytes
) -> None:
    unsteady(play)
    _, (mail,) = play.run(answer)
    assert "held" in mail
    before = len(play.mails("run"))
    play.command("accept", "local/public")
    (mail,) = play.mails("run")[before:]
    assert "held answer accepted" in mail


def test_of_an_unsteady_scope_only_another_kind_of_problem_is_news(play: Play) -> None:
    unsteady(play)
    assert play.run(REFUSED) == ([], [])
    assert play.run(FULL) == ([], [])
    (line,), (mail,) = play.run(listed())
    assert "the list is empty" in line
    assert "the list is empty" in mail
    play.run(FULL)
    (line,), (mail,) = play.run(SHORT)
    assert "4 of 10 models are gone" in line
    assert "The held answer has 6 models" in mail


def test_another_kind_of_failure_of_an_unsteady_scope_is_mailed_at_once(play: Play) -> None:
    unsteady(play)
    _, (mail,) = play.run(b"<html>")
    assert "not readable" in mail
    play.run(FULL)
    assert "not readable" in play.run(b"<html>")[1][0]


def test_status_names_an_unsteady_scope(play: Play) -> None:
    play.run(FULL)
    assert "unsteady" not in play.command("status")
    unsteady(play)
    text = "local/public: unsteady, its problem comes and goes: its end is reported after 24 h"
    assert text in play.command("status").splitlines()
    assert json.loads(play.command("status", "--json"))["unsteady"] == ["local/public"]
    play.run(FULL, hours=25)
    assert "unsteady" not in play.command("status")


# Accepted answers.


def test_the_mail_of_an_accepted_shorter_list_is_breaking_and_says_what_is_current(play: Play) -> None:
    play.run(FULL)
    play.run(SHORT)
    _, (mail,) = play.run(SHORT)
    assert mail.startswith("[modelwatch] 1 held answer accepted · local MAY BREAK SOMETHING")
    assert "recovered" not in mail
    assert "The accepted list has 6 models; the one before had 10. 4 removals are not confirmed yet." in mail
    assert "Missing from 2 answers; removed at the earliest 2 Mar 10:48 UTC." in mail


def test_the_mail_of_a_hold_that_ends_after_a_day_is_breaking_and_has_the_removals(play: Play) -> None:
    play.run(FULL)
    for _ in range(12):
        play.run(listed(*TEN[:5]))
        play.run(listed("m0", *TEN[5:9]))
    mail = next(mail for mail in play.mails("run") if "held answer accepted" in mail)
    assert "MAY BREAK SOMETHING" in mail
    assert "The accepted list has 9 models; the one before had 10." in mail
    assert "Removed for local/public" in mail


def test_the_mail_of_a_hold_that_was_dropped_is_for_information(play: Play) -> None:
    play.run(FULL)
    play.run(SHORT)
    _, (mail,) = play.run(FULL)
    assert "FOR INFORMATION" in mail
    assert "1 scope recovered" in mail


def test_the_mail_of_a_missing_watched_model_says_as_much_as_standard_error(play: Play) -> None:
    text = play.job.config.read_text("utf-8")
    play.job.configure('watch = { models = ["m0"] }\n' + text)
    play.run(FULL)
    lines, (mail,) = play.run(listed(*TEN[1:]))
    assert "1 of 2 answers, removed after 1 more, at the earliest 2026-03-02 10:48" in lines[0]
    assert (
        "Missing from 1 of 2 answers; the removal is confirmed after 1 more, at the earliest 2 Mar 10:48 UTC."
        in mail
    )


# Held lists that bring many new models.


def strange(run: int, *models: str, wide: int = 400) -> bytes:
    """Return a list of some models, and of two hundred that no other run has."""
    others = [{"id": f"new-{run}-{n}", "object": "model", "text": "x" * wide} for n in range(200)]
    return listing([*({"id": model, "object": "model"} for model in models), *others])


def totalled(body: bytes) -> bytes:
    return json.dumps(json.loads(body) | {"total": 1000}).encode()


LARGE: dict[str, Callable[[int], Sequence[bytes]]] = {
    "other models at each run": lambda run: [strange(run)],
    "other models of fewer records that are larger": lambda run: [strange(run, wide=4000)],
    "a total that is larger": lambda run: [totalled(strange(run, *TEN))],
    "other models in turn with the current list": lambda run: [strange(run), FULL, FULL],
}


@pytest.mark.parametrize("name", LARGE)
def test_a_hold_does_not_grow_the_database_at_each_run(play: Play, name: str) -> None:
    play.run(FULL)
    sizes = []
    for run in range(7):
        for answer in LARGE[name](run):
            play.run(answer)
        with sqlite3.connect(play.job.database) as connection:
            connection.execute("pragma wal_checkpoint(truncate)")
            sizes.append(connection.execute("select count(*) from records").fetchone()[0])
        connection.close()
    assert max(sizes) <= 10 + 3 * 200
    assert sizes[-3:] == [sizes[-1]] * 3


def test_lists_that_many_keys_get_are_shortened_once_none_needs_them(tmp_path: Path) -> None:
    keys = {f"K{n}": f"a-secret-key-{n:02}" for n in range(3)}
    with Play(tmp_path / "home", scopes={f"s{n}": f'key = "env:K{n}"' for n in range(3)}) as play:
        play.job.env.update(keys)
        play.run(FULL)
        for run in range(8):
            play.run(strange(run))
        with sqlite3.connect(play.job.database) as connection:
            (records,) = connection.execute("select count(*) from records").fetchone()
        connection.close()
        assert records <= 10 + 3 * 200
        assert problems(play.job.database) == []


def test_a_hold_ends_on_an_answer_that_agrees_after_others_were_shortened(play: Play) -> None:
    play.run(FULL)
    for run in range(8):
        play.run(strange(run))
    assert play.health()["held_models"] == 200
    play.run(strange(7, "m0"))
    assert play.health()["models"] == 201
    assert play.health()["state"] == "ok"


def test_a_list_that_was_shortened_does_not_agree_with_an_empty_one(play: Play) -> None:
    play.run(FULL)
    for run in range(5):
        play.run(strange(run))
    for run in range(5, 9):
        play.run(totalled(strange(run)), hours=2)
    for _ in range(4):
        play.run(listed(), hours=2)
        assert play.health()["state"] == "held"
    play.run(listed(), hours=2)
    assert play.health()["models"] == 0


def test_models_that_all_answers_of_a_day_lack_are_removed_though_the_lists_were_shortened(
    play: Play,
) -> None:
    play.run(FULL)
    for run in range(25):
        # Each has another one of the first five models.
        play.run(strange(run, TEN[run % 5]))
    assert play.health()["models"] == 5
    kinds = json.loads(play.command("changes", "--json"))
    assert sorted(each["model"] for each in kinds if each["kind"] == "removed") == list(TEN[5:])


def test_the_last_held_list_is_accepted_whole(play: Play) -> None:
    play.run(FULL)
    for run in range(6):
        play.run(strange(run, "m1"))
    play.command("accept", "local/public")
    assert play.health()["models"] == 201
    play.run(strange(5, "m1"))
    assert play.health()["state"] == "ok"


def test_a_list_that_was_shortened_may_come_again_and_be_accepted(play: Play) -> None:
    play.run(FULL)
    for run in range(6):
        play.run(strange(run))
    play.run(strange(0))
    play.run(strange(0))
    assert play.health()["models"] == 200
    for run in range(6):
        play.run(strange(10 + run))
    play.run(strange(0))
    assert play.health()["models"] == 200
    assert play.health()["state"] == "ok"


def test_a_run_reads_no_records_of_held_lists(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    play.run(FULL)
    for run in range(4):
        play.run(strange(run))
    read: list[int] = []
    monkeypatch.setattr(
        cache, "read_listing", lambda store, number: read.append(number) or read_listing(store, number)
    )
    play.run(strange(9))
    assert read == [1]
