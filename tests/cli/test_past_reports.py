"""Reports of past windows: they show what was known at the end of the window, whatever happened since."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from support.e2e import Job, Reply, listed, listing
from support.plays import BEGIN, Play

from pipeline.core.times import iso
from pipeline.simulator import Gateway

TEN = tuple(f"m{n}" for n in range(10))
FULL = listed(*TEN)


def ending(day: str | None) -> bytes:
    """Return ten models, of which one has a shutdown date."""
    dated: list[dict[str, Any]] = [{"id": "m0", "shutdown_date": day}]
    return listing([*dated, *({"id": model, "shutdown_date": None} for model in TEN[1:])])


@pytest.fixture
def play(tmp_path: Path) -> Iterator[Play]:
    with Play(tmp_path / "home") as made:
        yield made


def report(play: Play, hour: float, form: str, *, hours: float = 1) -> str:
    """Return the report of the hours up to the end of the one that begins at `hour`."""
    since, until = BEGIN + timedelta(hours=hour + 1 - hours), BEGIN + timedelta(hours=hour + 1)
    return play.command("report", "--since", iso(since), "--until", iso(until), "--as", form)


@pytest.mark.parametrize("form", ["txt", "json", "csv"])
def test_a_report_of_the_past_is_that_of_its_time(play: Play, form: str) -> None:
    answers = [
        ending(None),
        ending("2026-05-01"),
        listed(*TEN[2:]),
        listed(*TEN[2:]),
        listed(*TEN[2:]),
        ending("2026-04-01"),
        listed(*TEN[:4]),
        listed(*TEN[:4]),
        listed(*TEN[:4]),
        listed(*TEN[:3], "m10"),
        Reply(b"", 503),
        listed(*TEN[1:3], "m10"),
        listed(),
        FULL,
    ]
    reports = []
    for number, answer in enumerate(answers):
        play.run(answer)
        reports.append(report(play, number, form))
    for number, then in enumerate(reports):
        now = report(play, number, form)
        # How far removals are confirmed is known for the last run only.
        assert now == re.sub(r"\n +Missing from \d (of \d )?answers[^.]*\.", "", then), number


def test_a_shutdown_date_is_not_in_reports_from_before_it_was_announced(play: Play) -> None:
    play.run(ending(None))
    play.run(ending("2026-05-01"))
    assert "1 shutdown within 90 days" in report(play, 1, "txt")
    assert "shutdown" not in report(play, 0, "txt")


def test_a_withdrawn_shutdown_date_stays_in_reports_from_before(play: Play) -> None:
    for day in (None, "2026-05-01", None):
        play.run(ending(day))
    assert "1 shutdown within 90 days" in report(play, 1, "txt")
    assert "1 May" in report(play, 1, "txt")


def test_a_removal_that_was_pending_stays_pending_in_reports_of_that_time(play: Play) -> None:
    for answer in (FULL, listed(*TEN[1:]), listed(*TEN[1:]), listed(*TEN[1:]), FULL):
        play.run(answer)
    pending = ["1 model missing, not confirmed yet: m0" in report(play, hour, "txt") for hour in range(5)]
    assert pending == [False, True, True, False, False]


def test_a_digest_has_the_sizes_of_an_accepted_list_at_its_acceptance(play: Play) -> None:
    short = listed(*TEN[:4])
    for answer in (FULL, FULL, short, short, FULL):
        play.run(answer)
    text = " ".join(report(play, 4, "txt", hours=4).split())
    assert "answer held since 2 Mar 10:00 UTC accepted" in text
    assert "The accepted list has 4 models; the one before had 10." in text
    # A report from the beginning has no run before it.
    text = " ".join(report(play, 4, "txt", hours=5).split())
    assert "The accepted list has 4 models; the one before had 10." in text


def test_a_key_that_gets_its_own_list_again_is_reported_with_size_and_duration(
    tmp_path: Path,
) -> None:
    scopes = {"prod": 'key = "env:PROD"', "batch": 'key = "env:BATCH"', "public": ""}
    secrets = {"PROD": "key-of-prod", "BATCH": "key-of-batch"}
    with Gateway() as gateway:
        gateway.falls_back()
        gateway.offers(*TEN[:3])
        gateway.offers(*TEN, to="vip")
        job = Job(tmp_path / "home", env=secrets)
        job.asks(gateway.url, scopes=scopes)
        for hours, status, code in ((0, "enabled", 0), (1, "disabled", 5), (29, "enabled", 0)):
            for key in secrets.values():
                gateway.key(key, group="vip", status=status)
            at = BEGIN + timedelta(hours=hours)
            done = job.quick("run", at=iso(at))
            assert done.code == code
        assert "local/batch local/prod: own list again (10 models), after 1.2 days" in done.stderr
        shown = job.quick("report", "--as", "txt", at=iso(at + timedelta(hours=1))).stdout.split()
    expected = "local/batch, local/prod: get their own lists again (10 models), after 1.2 days"
    assert expected in " ".join(shown)
    (end,) = job.latest()["recoveries"]
    assert end["scopes"] == ["local/batch", "local/prod"]
    assert (end["hold"], end["models"], end["models_before"]) == ("anonymous", 10, 10)
