"""Read how a destination is reached: a mail server, sendmail, a directory, a webhook, a chat, files.

Read where reports go: the tables `[destinations.NAME]`.
"""

from __future__ import annotations

import ipaddress
import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import time
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from pipeline.config.gateways import bad_name, is_reference, no_reference, reference, scope_globs
from pipeline.config.toml import Table
from pipeline.core.addresses import Mailbox, ascii_domain, is_web_address, mailbox
from pipeline.core.times import Schedule
from pipeline.core.types import Scope, Severity, is_valid_name
from pipeline.delivery.types import (
    ROLLING_FORMS,
    TIMEOUT,
    Apprise,
    ChannelSettings,
    Destination,
    Files,
    MailDirectory,
    Sendmail,
    Smtp,
    Webhook,
)
from pipeline.reports.types import FORMS, LANGUAGES, Filter

CHANNELS: dict[str, frozenset[str]] = {
    "smtp": frozenset({"server", "port", "security", "user", "password", "token"})
    | {"from", "to", "reply_to", "timeout"},
    "sendmail": frozenset({"command", "from", "to", "reply_to", "timeout"}),
    "eml": frozenset({"directory", "from", "to"}),
    "webhook": frozenset({"url", "secret", "headers", "timeout"}),
    "apprise": frozenset({"urls", "timeout"}),
    "files": frozenset({"directory", "forms"}),
}
"""The types of destinations, and the keys that each has of its own."""


_FORMS = (*FORMS, *ROLLING_FORMS)


_PORTS = {"tls": 465, "starttls": 587, "none": 25}


_LAST_PORT = 65535


_SECURITY = 'use "tls" (from the start, port 465), "starttls" (port 587) or, to this machine alone, "none"'


_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


_SECRET_HEADER = re.compile(r"auth|cookie|token|key|secret|password", re.IGNORECASE)


_OWN_HEADERS = re.compile(r"x-modelwatch-.*|content-.*|host|transfer-encoding|connection", re.IGNORECASE)


def channel(kind: str, table: Table) -> ChannelSettings:
    """Read the channel of a type that is one of `CHANNELS`.

    Raises:
        ConfigError: names the file, the line or key, and what to write; never a secret.
    """
    return _READERS[kind](table)


def _smtp(table: Table) -> Smtp:
    security = table.text("security") or "tls"
    if security not in _PORTS:
        table.fail(f"{security!r} is not known: {_SECURITY}", "security")
    server = _server(table)
    if security == "none" and not _is_here(server):
        table.fail(f"would show all to whoever listens on the way to {server}: {_SECURITY}", "security")
    port = table.number("port", _PORTS[security])
    if not 0 < port <= _LAST_PORT:
        table.fail(f"is no port: leave it out for {_PORTS[security]}", "port")
    user, password, token = _sign_in(table)
    return Smtp(
        server=server,
        port=int(port),
        security=security,
        sender=str(_sender(table)),
        recipients=_recipients(table),
        user=user,
        password=password,
        token=token,
        reply_to=_reply_to(table),
        timeout=_timeout(table),
    )


def _server(table: Table) -> str:
    name = table.text("server")
    if name is None:
        table.fail('has no server: write e.g. `server = "smtp.example.com"`')
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        pass  # a name, then
    try:
        return ascii_domain(name)
    except ValueError:
        table.fail('must be the bare name of a mail server, such as "smtp.example.com"', "server")


def _is_here(server: str) -> bool:
    try:
        return ipaddress.ip_address(server).is_loopback
    except ValueError:
        return server == "localhost"


def _sign_in(table: Table) -> tuple[str | None, str | None, str | None]:
    user = table.text("user")
    ways = [key for key in ("password", "token") if key in table]
    if len(ways) > 1:
        table.fail("stands beside password: sign in with one of them", "token")
    if ways and user is None:
        table.fail("needs `user` beside it: as whom to sign in", ways[0])
    if user is not None and not ways:
        table.fail("needs `password` beside it, or `token` for XOAUTH2", "user")
    if user is not None and not user.isprintable():
        table.fail("holds a character that cannot be printed", "user")
    found = {key: reference(table, key) for key in ways}
    return user, found.get("password"), found.get("token")


def _sender(table: Table) -> Mailbox:
    if "from" not in table:
        table.fail('has no `from`: write e.g. `from = "modelwatch <watch@example.com>"`')
    return _mailbox(table, "from", table.text("from") or "")


def _recipients(table: Table) -> tuple[str, ...]:
    value = table.values.get("to")
    texts = (value,) if isinstance(value, str) else table.texts("to", '["me@example.com"]')
    if not texts:
        table.fail('has no `to`: write e.g. `to = ["me@example.com"]`')
    found = [_mailbox(table, "to", text) for text in texts]
    return tuple({one.address.lower(): str(one) for one in reversed(found)}.values())[::-1]


def _reply_to(table: Table) -> str | None:
    text = table.text("reply_to")
    return None if text is None else str(_mailbox(table, "reply_to", text))


def _mailbox(table: Table, key: str, text: str) -> Mailbox:
    try:
        return mailbox(text)
    except ValueError as error:
        table.fail(str(error), key)


def _timeout(table: Table) -> float:
    seconds = table.number("timeout", TIMEOUT)
    if seconds <= 0:
        table.fail("must be more than 0", "timeout")
    return seconds


def _sendmail(table: Table) -> Sendmail:
    own = Sendmail(
        str(_sender(table)), _recipients(table), reply_to=_reply_to(table), timeout=_timeout(table)
    )
    text = table.text("command")
    if text is None:
        return own
    try:
        return replace(own, command=tuple(shlex.split(text)))
    except ValueError:
        table.fail("cannot be read: see its quotes", "command")


def _eml(table: Table) -> MailDirectory:
    own = MailDirectory(table.file("directory", _needed(table, "directory", "mails")))
    if "from" in table:
        own = replace(own, sender=str(_sender(table)))
    return replace(own, recipients=_recipients(table)) if "to" in table else own


def _webhook(table: Table) -> Webhook:
    url = _needed(table, "url", "https://example.com/hook")
    if not is_reference(url):
        _check_url(table, url)
    return Webhook(
        url,
        reference(table, "secret") if "secret" in table else None,
        tuple(_header(table.table("headers"), name) for name in table.table("headers").values),
        _timeout(table),
    )


def _check_url(table: Table, url: str) -> None:
    if not is_web_address(url):
        table.fail(
            'is no web address: write e.g. "https://example.com/hook", or "env:NAME" where it is a secret',
            "url",
        )
    parts = urlsplit(url)
    if "@" in parts.netloc or parts.query:
        table.fail('holds what may be a secret: write "env:NAME", "file:PATH" or "command:PROGRAM"', "url")


def _header(table: Table, name: str) -> tuple[str, str]:
    value = _needed(table, name, "text")
    if not _HEADER.fullmatch(name) or _OWN_HEADERS.fullmatch(name):
        table.fail("is no header that can be set here", name)
    if not is_reference(value) and _SECRET_HEADER.search(name):
        table.fail(no_reference("the value"), name)
    if not (value.isascii() and value.isprintable()):
        table.fail("holds a character that no header can carry", name)
    return name, value


def _chat(table: Table) -> Apprise:
    urls = table.texts("urls", '["env:SLACK_URL"]')
    if not urls:
        table.fail('has no urls: write e.g. `urls = ["env:SLACK_URL"]`')
    if not all(is_reference(url) for url in urls):
        table.fail(no_reference("each of them"), "urls")
    return Apprise(tuple(dict.fromkeys(urls)), _timeout(table))


def _files(table: Table) -> Files:
    forms = table.texts("forms", '["csv", "json"]')
    for form in forms:
        if form not in _FORMS:
            table.fail(f"{form!r} is not known: use some of {', '.join(_FORMS)}", "forms")
    path = table.file("directory", _needed(table, "directory", "changes"))
    return Files(path, tuple(dict.fromkeys(forms))) if forms else Files(path)


def _needed(table: Table, key: str, such_as: str) -> str:
    value = table.text(key)
    if value is None:
        table.fail(f'has no {key}: write e.g. `{key} = "{such_as}"`')
    return value


_READERS: dict[str, Callable[[Table], ChannelSettings]] = {
    "smtp": _smtp,
    "sendmail": _sendmail,
    "eml": _eml,
    "webhook": _webhook,
    "apprise": _chat,
    "files": _files,
}


RESERVED = frozenset({"reports", "nobody"})
"""What the outbox calls the directory of the reports, and what is told to nobody."""


_COMMON = frozenset(
    {"type", "scopes", "groups", "owners", "models", "severity", "every", "at", "on", "zone"}
) | {
    "language",
    "empty",
    "templates",
}


_EVERY = ("run", "day", "week")


_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


_TIME = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")


_Choice = TypeVar("_Choice", bound=str)


def destinations(table: Table, scopes: Sequence[Scope]) -> tuple[Destination, ...]:
    """Read the table `[destinations]`, in the file's order.

    Raises:
        ConfigError: names the file, the line or key, and what to write.
    """
    return tuple(_destination(name, below, scopes) for name, below in table.tables())


def _destination(name: str, table: Table, scopes: Sequence[Scope]) -> Destination:
    if not is_valid_name(name):
        table.fail(bad_name())
    if name in RESERVED:
        table.fail("is a name that modelwatch uses itself: give it another")
    kind = _one_of(table, "type", tuple(CHANNELS), None)
    table.only(_COMMON | CHANNELS[kind])
    return Destination(
        name=name,
        channel=channel(kind, table),
        filter=_filter(table, scopes),
        schedule=_rhythm(table),
        language=_one_of(table, "language", LANGUAGES, "en"),
        empty=table.flag("empty"),
        templates=_templates(table),
    )


def _filter(table: Table, scopes: Sequence[Scope]) -> Filter:
    return Filter(
        scopes=scope_globs(table, scopes),
        groups=table.texts("groups", '["vip", "team-*"]'),
        owners=table.texts("owners", '["openai", "anthropic"]'),
        models=table.texts("models", '["gpt-*", "claude-*"]'),
        severity=Severity(_one_of(table, "severity", tuple(Severity), Severity.NOTABLE)),
    )


def _rhythm(table: Table) -> Schedule:
    every = _one_of(table, "every", _EVERY, "run")
    for key in ("at", "on", "zone"):
        if key in table and (every == "run" or (key == "on" and every == "day")):
            fitting = '"week"' if key == "on" else '"day" or "week"'
            table.fail(
                f'means nothing beside every = "{every}": write every = {fitting}, or leave it out', key
            )
    on = _DAYS.index(_one_of(table, "on", _DAYS, "monday"))
    return Schedule(every, _at(table), on, _zone(table))


def _at(table: Table) -> time:
    value = table.values.get("at", time(7))
    found = _TIME.fullmatch(value) if isinstance(value, str) else None
    if found:
        return time(int(found[1]), int(found[2]))
    if not isinstance(value, time):
        table.fail('is no time of day: write e.g. "07:30"', "at")
    return value.replace(second=0, microsecond=0)


def _zone(table: Table) -> str:
    from zoneinfo import ZoneInfo

    name = table.text("zone") or "UTC"
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        table.fail(f'{name!r} is no time zone: write e.g. "Europe/Berlin" or "UTC"', "zone")
    return name


def _templates(table: Table) -> Path | None:
    if table.text("templates") is None:
        return None
    path = table.file("templates", "")
    if not path.is_dir():
        table.fail(f"there is no directory {path}", "templates")
    return path


def _one_of(table: Table, key: str, choices: Sequence[_Choice], default: _Choice | None) -> _Choice:
    value = table.text(key)
    if value is None and default is not None:
        return default
    found = next((choice for choice in choices if choice == value), None)
    if found is None:
        quoted = ", ".join(f'"{choice}"' for choice in choices)
        what = f"has no {key}: write" if value is None else f"{value!r} is not known: use"
        table.fail(f"{what} one of {quoted}", *([] if value is None else [key]))
    return found
