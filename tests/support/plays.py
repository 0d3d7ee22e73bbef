"""A home that asks one scope in runs, hour after hour, and the mails that it sends."""

from __future__ import annotations

import email
import email.policy
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

from pipeline.core.times import iso
from support.e2e import Job, Reply, Scripted

BEGIN = datetime(2026, 3, 2, 8, tzinfo=UTC)
"""The time of the first run."""


class Play:
    """A home that asks one scope, with a mail for each run and one for each day; a context that serves.

    Args:
        home: the directory.
        extra: more lines of the config, before the gateway.
        settings: of the gateway in the config.
    """

    def __init__(self, home: Path, extra: str = "", **settings: Any) -> None:
        self.answer: bytes | Reply = b""
        self.hour = -1.0
        self.lines: list[str] = []
        self.server = Scripted(
            lambda _: self.answer if isinstance(self.answer, Reply) else Reply(self.answer)
        )
        self.job = Job(home)
        self._extra = extra
        self._settings = {"attempts": 1, "confirm_after": "2h"} | settings

    def __enter__(self) -> Self:
        """Write the config, and serve answers."""
        self.server.__enter__()
        self.job.configure(self._extra)
        self.job.asks(self.server.url, **self._settings)
        mails = "".join(
            f'\n[destinations.{name}]\ntype = "eml"\ndirectory = "{name}"\nevery = "{name}"\n'
            for name in ("run", "day")
        )
        self.job.configure(self.job.config.read_text("utf-8") + mails)
        return self

    def __exit__(self, *error: object) -> None:
        """Stop to serve."""
        self.server.__exit__(*error)

    @property
    def now(self) -> str:
        """The time of the last run by a right clock."""
        return iso(BEGIN + timedelta(hours=self.hour))

    def run(
        self, answer: bytes | Reply, clock: str | None = None, *, hours: float = 1
    ) -> tuple[list[str], list[str]]:
        """Run some hours after the last run, perhaps with a wrong clock.

        Returns:
            The lines on standard error, and the texts of the mails for the run.
        """
        self.answer = answer
        self.hour += hours
        before = len(self.mails("run"))
        lines = self.job.quick("run", at=clock or self.now).stderr.splitlines()
        self.lines += lines
        return lines, self.mails("run")[before:]

    def command(self, *arguments: str) -> str:
        """Return what a command prints, a minute after the last run."""
        done = self.job.quick(*arguments, at=iso(BEGIN + timedelta(hours=self.hour, minutes=1)))
        assert done.stderr == ""
        return done.stdout

    def mails(self, destination: str) -> list[str]:
        """Return the mails that a destination has had, oldest first: subject and text, in single spaces."""
        files = sorted((self.job.home / destination).glob("*.eml"), key=lambda file: file.stat().st_mtime_ns)
        return [_text(file) for file in files]

    def health(self) -> dict[str, Any]:
        """Return the state of the scope."""
        (scope,) = self.job.quick("scopes", "--json").json()
        return dict(scope)

    def kinds(self) -> list[str]:
        """Return the kinds of all changes."""
        return [change["kind"] for change in self.job.quick("changes", "--json", "--all").json()]


def _text(path: Path) -> str:
    message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
    body = message.get_body(("plain",))
    assert body
    return " ".join(f"{message['subject']}\n{body.get_content()}".split())
