"""What a check of the database says: how many things were looked at, and what is wrong with which."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Cure(StrEnum):
    """What to do about a problem: derived data is derived again, the history itself comes from a backup."""

    REBUILD = "modelwatch rebuild"
    RESTORE = "restore a backup"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong; `id` is None where no row of the table is meant."""

    table: str
    id: int | None
    says: str
    cure: Cure


@dataclass(frozen=True, slots=True)
class Check:
    """One check: so many of what, what they say when all is well, and the problems found."""

    what: str
    count: int
    well: str
    problems: tuple[Problem, ...] = ()


def check(what: str, count: int, well: str, problems: Iterable[Problem]) -> Check:
    """Make a check of its parts."""
    return Check(what, count, well, tuple(problems))
