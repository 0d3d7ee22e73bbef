"""Times as people write them: the same in every command, by the command's own clock, in UTC."""

from __future__ import annotations

import pytest
from support.e2e import Job

NOW = "2026-05-05T08:00:00Z"
"""A Tuesday; the runs of `past` were daily at 06:00 from Friday, 1 May, until then."""


def days(job: Job, *options: str) -> list[str]:
    """Return the days of the changes that a window has."""
    found = job.quick("changes", *options, "--all", "--json", at=NOW).json()
    return sorted({event["at"][8:10] for event in found})


@pytest.mark.parametrize(
    ("since", "until", "found"),
    [
        ("today", None, ["05"]),
        ("yesterday", None, ["04", "05"]),
        ("yesterday", "today", ["04"]),
        ("yesterday 07:00", None, ["05"]),
        ("2 days ago", None, ["04", "05"]),
        ("monday", None, ["04", "05"]),
        ("last tuesday", "monday", ["02", "03"]),
        ("2026-05-02", "2026-05-03", ["02"]),
        ("an hour ago", None, []),
        (None, "sunday", ["02"]),
        (None, "2026-05-02T06:00Z", []),
        (None, "now", ["02", "03", "04", "05"]),
    ],
)
def test_changes_are_those_of_a_window(
    past: Job, since: str | None, until: str | None, found: list[str]
) -> None:
    bounds = {"--since": since, "--until": until}
    options = [word for key, value in bounds.items() if value for word in (key, value)]
    assert days(past, *options) == found
    text = past.quick("changes", *options, "--all", at=NOW).stdout
    assert [
        day for day in ("02", "03", "04", "05") if f"2026-05-{day} 06:00" in text.replace("since 2026", "")
    ] == [*found]


@pytest.mark.parametrize("text", ["2 days ago", "yesterday", "mon", "2026-05-04 00:00"])
@pytest.mark.parametrize(
    "command",
    [
        ("changes", "--since"),
        ("changes", "--until"),
        ("models", "--at"),
        ("history", "heron-2", "--since"),
        ("watch", "heron-2", "--since"),
        ("report", "--as", "json", "--since"),
        ("diff",),
    ],
)
def test_every_command_takes_the_same_times(past: Job, command: tuple[str, ...], text: str) -> None:
    done = past.quick(*command, text, at=NOW)
    assert (done.code, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "command",
    [("changes", "--since"), ("models", "--at"), ("history", "heron-2", "--since"), ("watch", "--since")],
)
def test_another_text_is_answered_with_what_to_write(past: Job, command: tuple[str, ...]) -> None:
    done = past.quick(*command, "soon", at=NOW)
    assert (done.code, done.stdout) == (2, "")
    assert "'soon' is no time: write 2h, 3d, '2 weeks ago', yesterday, monday, 2026-05-01" in done.stderr


def test_a_window_without_room_is_wrong_usage(past: Job) -> None:
    done = past.quick("changes", "--since", "today", "--until", "yesterday", at=NOW)
    assert done.code == 2
    assert "must be after --since" in done.stderr
