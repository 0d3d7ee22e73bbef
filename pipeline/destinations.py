"""Where reports go: to whom, what of them, how often, in which language; and what is handed over."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import time
from enum import StrEnum
from pathlib import Path

from pipeline.reports.brief import Severity

FORMS = ("txt", "md", "html", "csv", "json")
"""The forms in which one report is read."""

LASTING = ("atom", "feed", "ics")
"""The forms of which a directory has one file: feeds of the last reports, a calendar of announced ends."""

LANGUAGES = ("en", "ja", "zh-CN")
"""The languages of mails and reports."""


@dataclass(frozen=True, slots=True)
class Filter:
    """What of a report a destination is told: globs, of which none means all.

    Args:
        scopes: of the scopes to which it happened.
        groups: of their groups.
        owners: of whom the gateway names as owner.
        models: of ids.
        severity: what matters less is left out.
    """

    scopes: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    owners: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    severity: Severity = Severity.NOTABLE


@dataclass(frozen=True, slots=True)
class Rhythm:
    """How often a destination is told: each `run`, or once a `day` or `week` at a time of day.

    Args:
        every: run, day or week.
        at: the time of day in `zone`.
        on: for a week, the day: 0 is Monday.
        zone: an IANA name, such as Europe/Berlin.
    """

    every: str = "run"
    at: time = time(7)
    on: int = 0
    zone: str = "UTC"


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
    rhythm: Rhythm = field(default_factory=Rhythm)
    language: str = "en"
    empty: bool = False
    templates: Path | None = None


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that goes with a mail: `changes.csv`, its media type and its bytes."""

    name: str
    media_type: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Letter:
    """One report, written for one destination.

    Args:
        message_id: `<…@…>`, the same however often it is tried.
        thread: `<…@…>`, the same for all reports to this destination.
        at: when the run was that it tells of, ISO 8601 UTC.
        subject: one line of text, harmless as it is.
        json: the report, in the shape of `report.schema.json`.
    """

    message_id: str
    thread: str
    at: str
    severity: Severity | None
    language: str
    subject: str
    text: str
    markdown: str
    html: str
    json: str
    attachments: tuple[Attachment, ...] = ()


class Fate(StrEnum):
    """What became of a letter: it was taken; it may be tried again; or it never will be taken."""

    SENT = "sent"
    LATER = "later"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a letter on its way to one recipient; `error` says why it was not taken, on one line.

    `retry_after`: seconds that the receiver asks to wait, None where it does not; 0: by the next run.
    """

    fate: Fate
    error: str | None = None
    retry_after: float | None = None
