"""Signs of life, as values: where a run is to ping, and how the job stands when it is over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit, urlunsplit

from pipeline.reports import Coverage, Snapshot

PATIENCE = 5.0
"""Seconds that a ping may take unless the config says otherwise."""


@dataclass(frozen=True, slots=True)
class Ping:
    """Where to tell that the job runs, as healthchecks.io has it.

    Args:
        url: the check's address, or the reference that leads to it; a secret, for who knows it can ping.
        timeout: seconds that a ping may take in all.
    """

    url: str = field(repr=False)
    timeout: float = PATIENCE


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a sign was not given; the message is fit to be shown. `lasting`: only the user can mend it."""

    message: str
    lasting: bool


@dataclass(frozen=True, slots=True)
class Vitals:
    """How the job stands at the end of a run.

    Args:
        exit_status: what the run left with, 0 where all was well: that there are changes is no failure.
        run: the newest run that is recorded; None when there is none.
        last_success: when the newest run ended that heard every scope and held nothing (ISO 8601 UTC).
        changes: how many changes the newest run told, by kind.
        coverage: every scope, as it stands now.
        unsent: how many reports are still to be written or sent.
    """

    exit_status: int
    run: Snapshot | None
    last_success: str | None
    changes: Mapping[str, int]
    coverage: tuple[Coverage, ...]
    unsent: int


def address(base: str, word: str, run: str) -> str:
    """Give the address of a ping: a word at the end of the path, the run's id in the query.

    Args:
        base: the check's address, with or without a slash at its end and a query.
        word: `start`, an exit status, or nothing for a success.
        run: an id that the pings of one run share.
    """
    parts = urlsplit(base)
    path = parts.path.rstrip("/") + (f"/{word}" if word else "")
    query = "&".join(part for part in (parts.query, f"rid={run}") if part)
    return urlunsplit((parts.scheme, parts.netloc, path, query, ""))
