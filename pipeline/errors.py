"""What can go wrong, as one tree; each error says what happened, where, and what to do.

PipelineError              exit 70
├── ConfigError            exit 78  names the file, the line or key in it, and what to write instead
├── FetchError             exit 3 when some scopes failed, 4 when all did; a value, never the end of a run
│   ├── Unreachable        DNS, TLS, time-out, reset, a 5xx        tried again
│   ├── Throttled          429 or 503, knows how long to wait      tried again
│   ├── Refused            401, 403: the key is no longer good     not tried again
│   ├── Unresolved         the secret's reference gives nothing    not sent at all
│   └── Unreadable         an answer that is no listing            not tried again
├── StoreError             exit 74  SQLite: full, corrupt, read-only, newer than this program
│   └── Locked             exit 75  another run holds the lock
├── SavedError             exit 65  saved answers cannot be imported: not there, or older than what is known
├── QuestionError          no such time, scope or model; the command calls it wrong usage
└── DeliveryError          exit 6   the report goes with the next run
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

HELD_EXIT = 5


SOME_FAILED_EXIT = 3


ALL_FAILED_EXIT = 4


CHANGES_EXIT = 1


def exit_status(*, scopes: int, failed: int, held: int = 0) -> int:
    """Give the exit code of a job that asked so many scopes, of which some failed or are held."""
    if failed:
        return ALL_FAILED_EXIT if failed == scopes else SOME_FAILED_EXIT
    return HELD_EXIT if held else 0


class PipelineError(Exception):
    """Any error of modelwatch; `exit_code` is what the command leaves with."""

    exit_code: ClassVar[int] = 70

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class ConfigError(PipelineError):
    """The config cannot be used; `where` is `FILE`, `FILE:LINE` or `FILE: KEY`."""

    exit_code = 78

    def __init__(self, message: str, *, where: str) -> None:
        super().__init__(f"{where}: {message}")
        self.where = where


class FetchError(PipelineError):
    """One scope gave no listing; `status` is the HTTP status when there was one."""

    exit_code = SOME_FAILED_EXIT

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status

    def reword(self, message: str) -> None:
        """Say the same in words that are fit to be kept and shown."""
        self.message = message
        self.args = (message,)


class Unreachable(FetchError):  # noqa: N818 - named for what the gateway is, as in the drawing above
    """No usable answer came back: DNS, TLS, time-out, a reset connection, a 5xx."""


class Throttled(FetchError):  # noqa: N818
    """The gateway asks to slow down; `retry_after` is in seconds, None when it did not say."""

    def __init__(self, message: str, *, status: int | None = None, retry_after: float | None = None) -> None:
        super().__init__(message, status=status)
        self.retry_after = retry_after


class Refused(FetchError):  # noqa: N818
    """The gateway does not accept the key or the session."""


class Unresolved(FetchError):  # noqa: N818
    """The reference to a secret gives nothing, so nothing was sent."""


class Unreadable(FetchError):  # noqa: N818
    """An answer came, and it is no listing."""


class StoreError(PipelineError):
    """The database cannot be used; `path` is its file."""

    exit_code = 74

    def __init__(self, message: str, *, path: Path) -> None:
        super().__init__(f"{path}: {message}")
        self.path = path


class Locked(StoreError):  # noqa: N818
    """Another run holds the lock."""

    exit_code = 75


class SavedError(PipelineError):
    """Saved answers cannot be imported; `where` is the file, directory or repository."""

    exit_code = 65

    def __init__(self, message: str, *, where: str) -> None:
        super().__init__(f"{where}: {message}")
        self.where = where


class QuestionError(PipelineError):
    """What was asked for cannot be told: it is no time, or there is no such scope, snapshot or model."""


class DeliveryError(PipelineError):
    """A report could not be written or sent; it goes with the next run."""

    exit_code = 6
