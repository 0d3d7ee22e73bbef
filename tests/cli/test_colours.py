"""Colours: on a terminal only, never with NO_COLOR, and without a change of the text."""

from __future__ import annotations

import re

import click
import pytest
from support.e2e import Job

AT = "2026-05-05T07:00:00Z"


def without_colours(text: str) -> str:
    """Return a text without the codes of colours."""
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


GREEN, RED, YELLOW, CYAN = ({"fg": colour} for colour in ("green", "red", "yellow", "cyan"))
BOLD, FAINT = {"bold": True}, {"dim": True}


@pytest.mark.parametrize(
    ("command", "texts"),
    [
        (
            ("changes",),
            [
                ("2026-05-02 06:00  one/prod one/public", BOLD),
                ("~ heron-2", YELLOW),
                ("- quarry/slate", RED),
                ("↩ quarry/slate", CYAN),
                ("+ [x]", GREEN),
            ],
        ),
        (("changes", "--since", "now"), [("no changes", FAINT)]),
        (("diff", "#1", "#3"), [("- quarry/slate", RED), ("~ heron-2", YELLOW)]),
        (("diff", "#2", "#3"), [("no difference: one/prod one/public", FAINT)]),
        (
            ("history", "quarry/slate"),
            [
                ("quarry/slate at one", BOLD),
                ("2026-05-04 06:00", FAINT),
                ("removed", RED),
                ("returned", CYAN),
                ("offered", GREEN),
                ("not offered", RED),
            ],
        ),
        (
            ("watch", "[[]x]", "heron-2"),
            [("! ", RED | BOLD), ("OK", GREEN), ("may be missing", YELLOW)],
        ),
        (("status",), [("2 of 2 scopes are healthy", GREEN), ("1 pending removal", YELLOW)]),
        (("verify",), [("no problem in 19 checks: the database is sound", GREEN)]),
        (("scopes",), [("ok", GREEN)]),
        (("--help",), [("Ask the past", BOLD), ("Options", BOLD)]),
        (("models", "--help"), [("Options", BOLD)]),
    ],
)
def test_a_terminal_shows_colours_and_everything_else_the_same_text_without(
    past: Job, command: tuple[str, ...], texts: list[tuple[str, dict[str, object]]]
) -> None:
    shown = past.quick(*command, at=AT, width=80).stdout
    for text, style in texts:
        assert click.style(text, **style) in shown  # type: ignore[arg-type] - of both types
    quiet = Job(past.home, past.env | {"NO_COLOR": "1"})
    assert quiet.quick(*command, at=AT, width=80).stdout == without_colours(shown)
    dumb = Job(past.home, past.env | {"TERM": "dumb"})
    assert "\x1b" not in dumb.quick(*command, at=AT, width=80).stdout
    assert "\x1b" not in past.quick(*command, at=AT).stdout


def test_data_on_a_terminal_has_no_colours(past: Job) -> None:
    for form in ("--json", "--csv"):
        assert "\x1b" not in past.quick("changes", form, at=AT, width=80).stdout
