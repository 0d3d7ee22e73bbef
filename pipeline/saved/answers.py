"""What every source of saved answers gives: the answers oldest first, and what was left out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline import canonical, paths
from pipeline.errors import SavedError
from pipeline.values import moment


@dataclass(frozen=True, slots=True)
class Saved:
    """One complete answer: when it was given (ISO 8601 UTC), its bytes, and its name for messages."""

    at: str
    body: bytes
    source: str


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A file or line that is taken for no answer, and why."""

    source: str
    why: str


@dataclass(frozen=True, slots=True)
class Answers:
    """Saved answers: how many there are, and the answers themselves, each read when its turn comes."""

    count: int
    oldest_first: Iterator[Saved]
    left_out: tuple[LeftOut, ...] = ()


def field_time(body: bytes, path: str) -> str | None:
    """Give the time that stands in a field of an answer; None when none does.

    Raises:
        ValueError: this is no JSON.
    """
    return moment(paths.find(canonical.decode(body), paths.parse(path)))


def is_no_file(path: Path) -> bool:
    """Say whether something else than a file stands at a path, such as a pipe: to read it may never end."""
    return path.exists() and not path.is_file()


def none_found(where: object, left_out: list[LeftOut]) -> SavedError:
    """Say that a source has no answer, and why the first of what it has is none."""
    why = f": {left_out[0].source} has {left_out[0].why}" if left_out else ""
    return SavedError(f"holds no saved answer{why}", where=str(where))
