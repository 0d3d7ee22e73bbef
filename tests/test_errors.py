"""The tree of errors, its drawing, and what each error carries."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click import UsageError

from pipeline import errors
from pipeline.errors import ConfigError, DeliveryError, FetchError, PipelineError, StoreError, Throttled

LINE = re.compile(r"^(?P<branches>[│├└─ ]*)(?P<name>[A-Z]\w+)\s+(?:exit (?P<exit>\d+))?")

Drawn = dict[str, tuple[str, int]]
"""The parent and the exit status of each class, by its name."""


def drawn() -> Drawn:
    """Parse the drawing; an error without an exit status has that of its parent."""
    found: Drawn = {}
    path: list[str] = []
    for line in filter(None, map(LINE.match, (errors.__doc__ or "").splitlines()[1:])):
        path[len(line["branches"]) // 4 :] = [line["name"]]
        parent = path[-2] if len(path) > 1 else "Exception"
        found[line["name"]] = (parent, int(line["exit"] or found[parent][1]))
    return found


def defined() -> Drawn:
    """Return the classes."""
    kinds = [
        kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, PipelineError)
    ]
    return {kind.__name__: (kind.__bases__[0].__name__, kind.exit_code) for kind in kinds}


def test_the_drawing_has_every_class_under_its_parent_with_its_exit_status() -> None:
    assert drawn() == defined()
    assert len(drawn()) == 15


def test_exit_statuses_are_distinct_and_only_wrong_questions_have_the_one_of_wrong_usage() -> None:
    codes = [code for name, (parent, code) in defined().items() if defined().get(parent, ("", 0))[1] != code]
    codes += [errors.HELD_EXIT, errors.ALL_FAILED_EXIT, errors.CHANGES_EXIT]
    assert len(codes) == len(set(codes))
    assert all(0 < code < 126 for code in codes)
    assert [name for name, (_, code) in defined().items() if code == UsageError.exit_code] == [
        "QuestionError"
    ]
    assert FetchError.exit_code == errors.SOME_FAILED_EXIT


def test_a_message_has_place_and_cause_in_one_line() -> None:
    assert str(ConfigError("no `url`", where="a.toml:3")) == "a.toml:3: no `url`"
    assert str(StoreError("is damaged", path=Path("/x/y.db"))) == "/x/y.db: is damaged"
    assert (
        DeliveryError("the disk is full").message
        == str(DeliveryError("the disk is full"))
        == "the disk is full"
    )


def test_status_waiting_time_place_and_path_are_attributes() -> None:
    slow = Throttled("too many requests", status=429, retry_after=2.5)
    assert (slow.status, slow.retry_after, slow.exit_code) == (429, 2.5, 3)
    assert FetchError("reset").status is None
    assert ConfigError("x", where="a.toml: url").where == "a.toml: url"
    assert StoreError("x", path=Path("y")).path == Path("y")


def test_one_except_catches_every_error() -> None:
    with pytest.raises(PipelineError):
        raise Throttled("slow down")
