"""Failures and holds that last: their history stays small, and the reports are the same as without that."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import pytest
from support.e2e import Reply, listed
from support.plays import Play
from support.proving import problems

from pipeline.store import repetitions

TEN = tuple(f"m{n}" for n in range(10))
FULL = listed(*TEN)
THROTTLED = Reply(b"{}", 429)
BROKEN = Reply(b"{}", 502)
REFUSED = Reply(b"{}", 401)
NO_LIST = Reply(b"<html></html>")
EVERY = 6
"""The hours between runs."""


def part(*models: str, total: int) -> bytes:
    """Return a list that says that there are more models."""
    return json.dumps(json.loads(listed(*models)) | {"total": total}).encode()


LONG: dict[str, Sequence[bytes | Reply]] = {
    "two causes that pass": [THROTTLED, BROKEN],
    "a rejected key in turn with another cause": [REFUSED, BROKEN],
    "three causes": [NO_LIST, THROTTLED, REFUSED],
    "a list that is held": [part(*TEN, total=11)],
    "two lists that are held": [part(*TEN, total=11), part(*TEN[:9], total=11)],
    "two lists that come in turn": [listed(*TEN[:3]), FULL],
    "empty lists": [listed()],
}


def played(home: Path, answers: Sequence[bytes | Reply]) -> tuple[list[str], list[int]]:
    """Return what the runs of five days report, and how many sightings there are after each."""
    seen: list[object] = []
    numbers = []
    with Play(home, empty_after="90d") as play:
        play.run(FULL)
        for run in range(20):
            seen.append((*play.run(answers[run % len(answers)], hours=EVERY), play.health()))
            with sqlite3.connect(play.job.database) as connection:
                numbers += connection.execute("select count(*) from sightings").fetchone()
            connection.close()
        seen += [play.run(FULL, hours=EVERY) for _ in range(5)]
        seen += [play.health(), play.command("status"), play.command("report", "--since", "2026-01-01")]
        assert problems(play.job.database) == []
    return [re.sub(r"127\.0\.0\.1:\d+|/\S*/(whole|short)", "", repr(each)) for each in seen], numbers


@pytest.mark.parametrize("name", LONG)
def test_a_problem_that_lasts_has_a_short_history_and_the_same_reports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    whole, numbers = played(tmp_path / "whole", LONG[name])
    assert numbers[-1] > 20
    monkeypatch.setattr(repetitions, "_NEWEST", 6)
    short, fewer = played(tmp_path / "short", LONG[name])
    assert max(fewer) <= 18
    assert short == whole
