"""The tables `[destinations.NAME]`: channels, filters, schedules and languages."""

from __future__ import annotations

import ipaddress
import os
import re
import shlex
from collections.abc import Callable, Sequence
from datetime import time
from pathlib import Path
from urllib.parse import urlsplit

from msgspec.structs import replace

from pipeline.config.gateways import scope_globs
from pipeline.config.toml import HEADER_NAME, INVALID_NAME, SECRET_HEADER, Table, reference_required
from pipeline.core.addresses import Mailbox, ascii_domain, is_this_machine, is_web_address, mailbox
from pipeline.core.times import Schedule
from pipeline.core.types import Scope, Severity, is_reference, is_valid_name
from pipeline.delivery.types import (
    REPORTS,
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

_CHANNEL_KEYS: dict[str, frozenset[str]] = {
    "smtp": frozenset({"server", "port", "security", "user", "password", "token", "helo"})
    | {"from", "to", "reply_to", "timeout", "bom"},
    "sendmail": frozenset({"command", "from", "to", "reply_to", "timeout", "bom"}),
    "eml": frozenset({"directory", "from", "to", "bom"}),
    "webhook": frozenset({"url", "secret", "headers", "timeout"}),
    "apprise": frozenset({"urls", "timeout"}),
    "files": frozenset({"directory", "forms", "bom"}),
}
"""The types of destinations, and the keys of each."""

_FILTER = frozenset({"scopes", "groups", "owners", "models", "severity"})

_SCHEDULE = frozenset({"every", "at", "on", "zone"})

_COMMON = frozenset({"type", "language", "empty", "templates"}) | _FILTER | _SCHEDULE

_FORMS = (*FORMS, *ROLLING_FORMS)

_EVERY = ("run", "day", "week")

_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

_TIME = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")

_PORTS = {"tls": 465, "starttls": 587, "none": 25}

_LAST_PORT = 65535

_SECURITY = 'use "tls" (port 465), "starttls" (port 587), or "none" for a server on this machine'

_OWN_HEADERS = re.compile(r"x-modelwatch-.*|content-.*|host|transfer-encoding|connection", re.IGNORECASE)


def parse_destinations(table: Table, scopes: Sequence[Scope]) -> tuple[Destination, ...]:
    """Return the destinations, in the file's order.

    Raises:
        ConfigError: names the file, the line or key, and what to write; never a secret.
    """
    return tuple(_destination(name, below, scopes) for name, below in table.tables())


def _destination(name: str, table: Table, scopes: Sequence[Scope]) -> Destination:
    if not is_valid_name(name):
        table.fail(INVALID_NAME)
    if name == REPORTS:
        table.fail("is the name of the reports directory: rename it")
    kind = table.choice("type", tuple(_CHANNEL_KEYS))
    table.check_keys(_COMMON | _CHANNEL_KEYS[kind])
    return Destination(
        name=name,
        channel=_PARSERS[kind](table),
        filter=_filter(table, scopes),
        schedule=_schedule(table),
        language=table.choice("language", LANGUAGES, "en"),
        empty=table.flag("empty"),
        templates=_templates(table),
        bom=table.flag("bom"),
    )


def _filter(table: Table, scopes: Sequence[Scope]) -> Filter:
    return Filter(
        scopes=scope_globs(table, scopes),
        groups=table.texts("groups", '["vip", "team-*"]'),
        owners=table.texts("owners", '["openai", "anthropic"]'),
        models=table.texts("models", '["gpt-*", "claude-*"]'),
        severity=Severity(table.choice("severity", tuple(Severity), Severity.NOTABLE)),
    )


def _schedule(table: Table) -> Schedule:
    every = table.choice("every", _EVERY, "run")
    for key in ("at", "on", "zone"):
        if key in table and (every == "run" or (key == "on" and every == "day")):
            fitting = '"week"' if key == "on" else '"day" or "week"'
            table.fail(f'has no effect with every = "{every}": write every = {fitting}, or remove it', key)
    on = _DAYS.index(table.choice("on", _DAYS, "monday"))
    return Schedule(every, _at(table), on, _zone(table))


def _at(table: Table) -> time:
    value = table.values.get("at", time(7))
    found = _TIME.fullmatch(value) if isinstance(value, str) else None
    if found:
        return time(int(found[1]), int(found[2]))
    if not isinstance(value, time):
        table.fail('is not a time of day: write e.g. "07:30"', "at")
    return value.replace(second=0, microsecond=0)


def _zone(table: Table) -> str:
    from zoneinfo import ZoneInfo

    name = table.text("zone") or "UTC"
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        table.fail(f'{name!r} is not a time zone: write e.g. "Europe/Berlin" or "UTC"', "zone")
    return name


def _templates(table: Table) -> Path | None:
    if table.text("templates") is None:
        return None
    path = table.file("templates")
    if not os.path.isdir(path):  # noqa: PTH112 - `Path.is_dir` raises for a name that is too long
        table.fail(f"there is no directory {path}: create it, or remove this line", "templates")
    return path


def _smtp(table: Table) -> Smtp:
    security = table.text("security") or "tls"
    if security not in _PORTS:
        table.fail(f"{security!r} is not known: {_SECURITY}", "security")
    server = _server(table)
    if security == "none" and not is_this_machine(server):
        table.fail(f"would send the mail and the password in plain text to {server}: {_SECURITY}", "security")
    port = table.number("port", _PORTS[security])
    if not 0 < port <= _LAST_PORT:
        table.fail(f"is not a port: remove it to use {_PORTS[security]}", "port")
    user, password, token = _login(table)
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
        helo=_helo(table),
        timeout=table.positive("timeout", TIMEOUT),
    )


def _helo(table: Table) -> str | None:
    """Return the name in the greeting: a domain, or an address in brackets (RFC 5321, 4.1.3)."""
    name = table.text("helo")
    if name is None:
        return None
    try:
        address = ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        pass  # it is a name, not an address
    else:
        return f"[IPv6:{address}]" if isinstance(address, ipaddress.IPv6Address) else f"[{address}]"
    try:
        return ascii_domain(name)
    except ValueError:
        table.fail('must be the name of this machine: write e.g. "watch.example.com"', "helo")


def _server(table: Table) -> str:
    name = table.required("server", "smtp.example.com")
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        pass  # it is a name, not an address
    try:
        return ascii_domain(name)
    except ValueError:
        host, _, port = name.rpartition(":")
        if host and port.isdecimal():
            plain = ', and security = "none" if it speaks no TLS' if is_this_machine(host) else ""
            cure = f'write server = "{host}" and port = {port}{plain}'
            table.fail(f"must be the bare name of a mail server: {cure}", "server")
        table.fail('must be the bare name of a mail server: write e.g. "smtp.example.com"', "server")


def _login(table: Table) -> tuple[str | None, str | None, str | None]:
    """Return the user, and the references to the password and the token; at most one of these is set."""
    user = table.text("user")
    keys = [key for key in ("password", "token") if key in table]
    if len(keys) > 1:
        table.fail("cannot stand beside password: remove one of them", "token")
    if keys and user is None:
        table.fail("needs `user` beside it", keys[0])
    if user is not None and not keys:
        table.fail("needs `password` beside it, or `token` for XOAUTH2", "user")
    if user is not None and not user.isprintable():
        table.fail("has a character that cannot be printed: remove it", "user")
    found = {key: table.reference(key) for key in keys}
    return user, found.get("password"), found.get("token")


def _sender(table: Table) -> Mailbox:
    return _mailbox(table, "from", table.required("from", "modelwatch <watch@example.com>"))


def _recipients(table: Table) -> tuple[str, ...]:
    value = table.values.get("to")
    texts = (value,) if isinstance(value, str) else table.texts("to", '["me@example.com"]')
    if not texts:
        table.fail('has no to: write e.g. `to = ["me@example.com"]`')
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


def _sendmail(table: Table) -> Sendmail:
    settings = Sendmail(
        str(_sender(table)),
        _recipients(table),
        reply_to=_reply_to(table),
        timeout=table.positive("timeout", TIMEOUT),
    )
    command = table.text("command")
    if command is None:
        return settings
    try:
        return replace(settings, command=tuple(shlex.split(command)))
    except ValueError:
        table.fail("cannot be split into words: check its quotes", "command")


def _eml(table: Table) -> MailDirectory:
    settings = MailDirectory(table.required_file("directory", "mails"))
    if "from" in table:
        settings = replace(settings, sender=str(_sender(table)))
    return replace(settings, recipients=_recipients(table)) if "to" in table else settings


def _webhook(table: Table) -> Webhook:
    url = table.required("url", "https://example.com/hook")
    if not is_reference(url):
        _check_url(table, url)
    headers = table.table("headers")
    return Webhook(
        url,
        table.reference("secret") if "secret" in table else None,
        tuple(_header(headers, name) for name in headers.values),
        table.positive("timeout", TIMEOUT),
    )


def _check_url(table: Table, url: str) -> None:
    if not is_web_address(url):
        table.fail(
            'is not a web address: write e.g. "https://example.com/hook", or "env:NAME" if it is a secret',
            "url",
        )
    parts = urlsplit(url)
    if "@" in parts.netloc or parts.query:
        table.fail('may hold a secret: write "env:NAME", "file:PATH" or "command:PROGRAM"', "url")


def _header(table: Table, name: str) -> tuple[str, str]:
    value = table.required(name, "text")
    if not HEADER_NAME.fullmatch(name) or _OWN_HEADERS.fullmatch(name):
        table.fail("is not a header that can be set here: remove it", name)
    if not is_reference(value) and SECRET_HEADER.search(name):
        table.fail(reference_required(value), name)
    if not (value.isascii() and value.isprintable()):
        table.fail("has a character that no header can carry: remove it", name)
    return name, value


def _apprise(table: Table) -> Apprise:
    urls = table.texts("urls", '["env:SLACK_URL"]')
    if not urls:
        table.fail('has no urls: write e.g. `urls = ["env:SLACK_URL"]`')
    for url in urls:
        if not is_reference(url):
            table.fail(f"each {reference_required(url)}", "urls")
    return Apprise(tuple(dict.fromkeys(urls)), table.positive("timeout", TIMEOUT))


def _files(table: Table) -> Files:
    forms = table.texts("forms", '["csv", "json"]')
    for form in forms:
        if form not in _FORMS:
            table.fail(f"{form!r} is not known: use some of {', '.join(_FORMS)}", "forms")
    path = table.required_file("directory", "changes")
    return Files(path, tuple(dict.fromkeys(forms))) if forms else Files(path)


_PARSERS: dict[str, Callable[[Table], ChannelSettings]] = {
    "smtp": _smtp,
    "sendmail": _sendmail,
    "eml": _eml,
    "webhook": _webhook,
    "apprise": _apprise,
    "files": _files,
}
