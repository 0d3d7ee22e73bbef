"""Destinations and their channels, the result of a delivery, and the state of the job for monitoring."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import ClassVar

from msgspec import Struct, field

from pipeline.core.times import Schedule
from pipeline.core.types import Share
from pipeline.history.types import Coverage, Run, ScopeCounts
from pipeline.reports.types import NO_LINKS, Filter, Links

TIMEOUT = 30.0
"""Seconds to wait for a receiver, unless the config sets `timeout`."""

TOTAL_TIMEOUT = 4
"""The time to send one message, in multiples of `timeout`; `timeout` alone bounds each response."""

MAX_WAIT = 86_400.0
"""The longest wait for the next attempt in seconds, whatever the receiver asks for."""

PING_TIMEOUT = 5.0
"""Seconds that a ping may take, unless the config sets `timeout`."""

ROLLING_FORMS = ("atom", "feed", "ics")
"""The forms with one file per directory, rewritten with each report: feeds and the shutdown calendar."""

REPORTS = "reports"
"""The name of the destination that every config has: the reports directory, with CSV and JSON."""


class Smtp(Struct, frozen=True):
    """A mail server.

    Args:
        security: `tls` (from the start), `starttls`, or `none`, which is for servers on this machine only.
        sender: the address in From; may have a name: `modelwatch <watch@example.com>`.
        recipients: the addresses in To.
        user: None where the server needs no authentication.
        password: a reference to a secret; or `token`, a reference to an OAuth2 access token, for XOAUTH2.
        helo: the name in the greeting (EHLO); None for the full name of this machine.
        timeout: seconds to wait for each response of the server.
    """

    attaches_files: ClassVar[bool] = True
    may_move: ClassVar[bool] = False
    is_local: ClassVar[bool] = False

    server: str
    port: int
    security: str
    sender: str
    recipients: tuple[str, ...]
    user: str | None = None
    password: str | None = None
    token: str | None = None
    reply_to: str | None = None
    helo: str | None = None
    timeout: float = TIMEOUT


class Sendmail(Struct, frozen=True):
    """A program that reads a mail from standard input, as sendmail does: `command` and its arguments."""

    attaches_files: ClassVar[bool] = True
    may_move: ClassVar[bool] = False
    is_local: ClassVar[bool] = False

    sender: str
    recipients: tuple[str, ...]
    command: tuple[str, ...] = ("/usr/sbin/sendmail",)
    reply_to: str | None = None
    timeout: float = TIMEOUT


class MailDirectory(Struct, frozen=True):
    """A directory in which each mail becomes an `.eml` file, for the owner and those that `share` names."""

    attaches_files: ClassVar[bool] = True
    may_move: ClassVar[bool] = True
    is_local: ClassVar[bool] = True

    path: Path
    sender: str = "modelwatch <modelwatch@localhost>"
    recipients: tuple[str, ...] = ()
    share: Share = Share.OWNER


class Webhook(Struct, frozen=True):
    """A URL to which the report is posted as JSON.

    Args:
        url: a web address, or a reference where the address itself is a secret.
        secret: a reference to the key of the HMAC-SHA256 signature; None for unsigned requests.
        headers: names of headers, and their values or references to them.
    """

    attaches_files: ClassVar[bool] = False
    may_move: ClassVar[bool] = True
    is_local: ClassVar[bool] = False

    url: str
    secret: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    timeout: float = TIMEOUT


class Chat(Struct, frozen=True):
    """A chat that receives messages as its own cards: `url` is a reference to its webhook address."""

    attaches_files: ClassVar[bool] = False
    may_move: ClassVar[bool] = True
    is_local: ClassVar[bool] = False

    url: str
    timeout: float = TIMEOUT


class Slack(Chat, frozen=True):
    """A channel of Slack."""


class Discord(Chat, frozen=True):
    """A channel of Discord."""


class Teams(Chat, frozen=True):
    """A channel or chat of Microsoft Teams."""


class Feishu(Chat, frozen=True):
    """A group of Feishu or Lark; `secret` is a reference to the key of its signature check, if it has one."""

    secret: str | None = None


class Apprise(Struct, frozen=True):
    """Services that Apprise supports (Telegram, Matrix, DingTalk …); `urls` are references."""

    attaches_files: ClassVar[bool] = False
    may_move: ClassVar[bool] = False
    is_local: ClassVar[bool] = False

    urls: tuple[str, ...]
    timeout: float = TIMEOUT


class Files(Struct, frozen=True):
    """A directory of report files.

    Args:
        path: the directory.
        forms: some of csv, json, html, md, txt, atom, feed and ics.
        share: who may read them, beside their owner; None for those that the umask allows.
    """

    attaches_files: ClassVar[bool] = False
    may_move: ClassVar[bool] = True
    is_local: ClassVar[bool] = True

    path: Path
    forms: tuple[str, ...] = ("csv", "json")
    share: Share | None = None


ChannelSettings = (
    Smtp | Sendmail | MailDirectory | Webhook | Slack | Discord | Teams | Feishu | Apprise | Files
)
"""The settings of any channel. Each type declares three traits:

`attaches_files`: a message is sent with its attachments, and its text may refer to them.
`may_move`: the recipient is one place; what waits for its old address is sent to the new one.
`is_local`: it is a directory of this machine, and written while the lock of the database is held.
"""


class Destination(Struct, frozen=True):
    """A receiver of reports, with its filter, schedule and language.

    Args:
        empty: send a report at each scheduled time, even without news.
        templates: a directory of templates that replace the built-in ones.
        bom: CSV, as a file or attached to a mail, is for Excel; see `write_csv`.
        links: where the names in its reports lead.
    """

    name: str
    channel: ChannelSettings
    filter: Filter = field(default_factory=Filter)
    schedule: Schedule = field(default_factory=Schedule)
    language: str = "en"
    empty: bool = False
    templates: Path | None = None
    bom: bool = False
    links: Links = NO_LINKS

    @property
    def zone(self) -> str:
        """The time zone of the times in its reports, and of its schedule: an IANA name."""
        return self.schedule.zone


class DeliveryStatus(StrEnum):
    """The outcome of one attempt: accepted, to be retried, or refused for good."""

    SENT = "sent"
    RETRY = "retry"
    REFUSED = "refused"


class DeliveryResult(Struct, frozen=True):
    """The outcome of one attempt for one recipient.

    Args:
        error: the reason of a failure, on one line.
        retry_after: seconds that the receiver asks to wait; 0 for the next run; None for the usual backoff.
    """

    status: DeliveryStatus
    error: str | None = None
    retry_after: float | None = None


class Ping(Struct, frozen=True):
    """A check at healthchecks.io or a compatible server.

    Args:
        url: the check's address, or a reference to it. It is a secret: anyone who has it can ping.
        timeout: seconds that a ping may take, both attempts together.
    """

    url: str
    timeout: float = PING_TIMEOUT

    def __repr__(self) -> str:
        return f"Ping(timeout={self.timeout!r})"


class MonitoringFailure(Struct, frozen=True):
    """The reason why a ping was not sent or the metrics were not written.

    Args:
        message: holds no secret.
        permanent: it recurs in each run until the user changes something.
    """

    message: str
    permanent: bool


class RunHealth(Struct, frozen=True):
    """The state of the job at the end of a run.

    Args:
        exit_status: that of the run; 0 for a run with changes, even with `--exit-code`.
        run: the newest recorded run; None when there is none.
        last_success: the end of the newest run in which every answer was accepted (ISO 8601 UTC).
        changes: the number of changes in the newest run, by kind.
        coverage: every scope, in its current state; None where there are more than a thousand.
        scopes: the number of scopes in each state, by gateway.
        failures: the number of failing scopes, by the class of the error.
        unsent: the number of deliveries that are waiting or were refused.
    """

    exit_status: int
    run: Run | None
    last_success: str | None
    changes: Mapping[str, int]
    coverage: tuple[Coverage, ...] | None
    scopes: tuple[ScopeCounts, ...]
    failures: Mapping[str, int]
    unsent: int
