"""Where reports go: to whom, what of them, how often, in which language; and what is handed over.

Signs of life, as values: where a run is to ping, and how the job stands when it is over.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from pipeline.core.times import Schedule
from pipeline.history.types import Coverage, Run
from pipeline.reports.types import Filter

LASTING = ("atom", "feed", "ics")
"""The forms of which a directory has one file: feeds of the last reports, a calendar of announced ends."""


@dataclass(frozen=True, slots=True)
class Smtp:
    """A mail server.

    Args:
        security: `tls` (from the start), `starttls`, or `none`, which only a server on this machine may have.
        user: None where the server asks for no sign-in.
        password: a reference; or `token`, a reference to an OAuth2 access token, for XOAUTH2.
        sender: the address in From; may have a name: `modelwatch <watch@example.com>`.
        recipients: the addresses in To.
        timeout: seconds to wait for each answer of the server.
    """

    server: str
    port: int
    security: str
    sender: str
    recipients: tuple[str, ...]
    user: str | None = None
    password: str | None = None
    token: str | None = None
    reply_to: str | None = None
    timeout: float = 30.0


@dataclass(frozen=True, slots=True)
class Sendmail:
    """A program that takes a mail on its standard input, as sendmail does: `command` and its arguments."""

    sender: str
    recipients: tuple[str, ...]
    command: tuple[str, ...] = ("/usr/sbin/sendmail",)
    reply_to: str | None = None
    timeout: float = 30.0


@dataclass(frozen=True, slots=True)
class MailDirectory:
    """A directory in which each mail becomes an `.eml` file."""

    path: Path
    sender: str = "modelwatch <modelwatch@localhost>"
    recipients: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Webhook:
    """An address to which the report is posted as JSON.

    Args:
        url: a web address, or a reference to one, where it is a secret itself.
        secret: a reference; with it each request is signed by HMAC-SHA256.
        headers: names and values, or references, of headers to send.
    """

    url: str
    secret: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    timeout: float = 30.0


@dataclass(frozen=True, slots=True)
class Chat:
    """What Apprise reaches (Slack, Discord, Telegram, Feishu, DingTalk, …); `urls` are references."""

    urls: tuple[str, ...]
    timeout: float = 30.0


@dataclass(frozen=True, slots=True)
class Files:
    """A directory in which reports become files, in these forms: csv json html md txt atom feed ics."""

    path: Path
    forms: tuple[str, ...] = ("csv", "json")


Channel = Smtp | Sendmail | MailDirectory | Webhook | Chat | Files


@dataclass(frozen=True, slots=True)
class Destination:
    """One receiver of reports.

    Args:
        empty: it is told at its time also when there is nothing to tell.
        templates: a directory with templates that are used instead of the built-in ones.
    """

    name: str
    channel: Channel
    filter: Filter = field(default_factory=Filter)
    rhythm: Schedule = field(default_factory=Schedule)
    language: str = "en"
    empty: bool = False
    templates: Path | None = None


class DeliveryStatus(StrEnum):
    """What became of a letter: it was taken; it may be tried again; or it never will be taken."""

    SENT = "sent"
    LATER = "later"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class DeliveryResult:
    """What became of a letter on its way to one recipient; `error` says why it was not taken, on one line.

    `retry_after`: seconds that the receiver asks to wait, None where it does not; 0: by the next run.
    """

    fate: DeliveryStatus
    error: str | None = None
    retry_after: float | None = None


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
class MonitoringFailure:
    """Why a sign was not given; the message is fit to be shown. `lasting`: only the user can mend it."""

    message: str
    lasting: bool


@dataclass(frozen=True, slots=True)
class RunHealth:
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
    run: Run | None
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
