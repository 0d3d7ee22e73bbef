"""The tree of errors is the one that is drawn in its docstring, and each says where it happened."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pipeline import errors
from pipeline.errors import ConfigError, DeliveryError, FetchError, PipelineError, StoreError, Throttled

LINE = re.compile(r"^(?P<branches>[│├└─ ]*)(?P<name>[A-Z]\w+)\s+(?:exit (?P<exit>\d+))?")

Drawn = dict[str, tuple[str, int]]
"""The parent and the exit code of each class, by its name."""


def drawn() -> Drawn:
    """Read the drawing; an error without an exit code has that of the error it hangs from."""
    found: Drawn = {}
    path: list[str] = []
    for line in filter(None, map(LINE.match, (errors.__doc__ or "").splitlines()[1:])):
        path[len(line["branches"]) // 4 :] = [line["name"]]
        parent = path[-2] if len(path) > 1 else "Exception"
        found[line["name"]] = (parent, int(line["exit"] or found[parent][1]))
    return found


def defined() -> Drawn:
    """Read the classes themselves."""
    kinds = [
        kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, PipelineError)
    ]
    return {kind.__name__: (kind.__bases__[0].__name__, kind.exit_code) for kind in kinds}


def test_the_drawing_is_the_tree() -> None:
    """Every class is drawn under its parent with its exit code, and nothing else is."""
    assert drawn() == defined()
    assert len(drawn()) == 13


def test_exit_codes_tell_errors_apart() -> None:
    """No code means two things, and none is 0, click's 2 or beyond what a process can leave with."""
    codes = [code for name, (parent, code) in defined().items() if defined().get(parent, ("", 0))[1] != code]
    codes += [errors.HELD_EXIT, errors.ALL_FAILED_EXIT, errors.CHANGES_EXIT]
    assert len(codes) == len(set(codes))
    assert all(0 < code < 126 and code != 2 for code in codes)
    assert FetchError.exit_code == errors.SOME_FAILED_EXIT


def test_every_error_carries_its_message() -> None:
    """What went wrong and where stand in one line."""
    assert str(ConfigError("no `url`", where="a.toml:3")) == "a.toml:3: no `url`"
    assert str(StoreError("is damaged", path=Path("/x/y.db"))) == "/x/y.db: is damaged"
    assert (
        DeliveryError("the disk is full").message
        == str(DeliveryError("the disk is full"))
        == "the disk is full"
    )


def test_errors_carry_what_a_program_needs() -> None:
    """Status, waiting time, place and path are attributes, not only words."""
    slow = Throttled("too many requests", status=429, retry_after=2.5)
    assert (slow.status, slow.retry_after, slow.exit_code) == (429, 2.5, 3)
    assert FetchError("reset").status is None
    assert ConfigError("x", where="a.toml: url").where == "a.toml: url"
    assert StoreError("x", path=Path("y")).path == Path("y")


def test_one_except_catches_them_all() -> None:
    """Whoever catches PipelineError has caught every error of ours."""
    with pytest.raises(PipelineError):
        raise Throttled("slow down")
