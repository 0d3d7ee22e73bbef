"""Read how a destination is reached: a mail server, sendmail, a directory, a webhook, a chat, files."""

from __future__ import annotations

import ipaddress
import re
import shlex
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import urlsplit

from pipeline.addresses import Mailbox, ascii_domain, mailbox
from pipeline.config.keys import is_reference, no_reference, reference
from pipeline.config.toml import Table
from pipeline.destinations import (
    FORMS,
    LASTING,
    Channel,
    Chat,
    Files,
    MailDirectory,
    Sendmail,
    Smtp,
    Webhook,
)

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

_FORMS = (*FORMS, *LASTING)

_PORTS = {"tls": 465, "starttls": 587, "none": 25}
_LAST_PORT = 65535
_PATIENCE = 30.0
_SECURITY = 'use "tls" (from the start, port 465), "starttls" (port 587) or, to this machine alone, "none"'
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_SECRET_HEADER = re.compile(r"auth|cookie|token|key|secret|password", re.IGNORECASE)
_OWN_HEADERS = re.compile(r"x-modelwatch-.*|content-.*|host|transfer-encoding|connection", re.IGNORECASE)


def channel(kind: str, table: Table) -> Channel:
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
    seconds = table.number("timeout", _PATIENCE)
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
    such_as = 'write e.g. "https://example.com/hook", or "env:NAME" where the address is a secret'
    try:
        parts = urlsplit(url)
        port_is_good = parts.port != 0
    except ValueError:
        table.fail(f"is no web address: {such_as}", "url")
    web = parts.scheme in ("http", "https") and parts.hostname and port_is_good
    if not web or not url.isprintable() or " " in url:
        table.fail(f"is no web address: {such_as}", "url")
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


def _chat(table: Table) -> Chat:
    urls = table.texts("urls", '["env:SLACK_URL"]')
    if not urls:
        table.fail('has no urls: write e.g. `urls = ["env:SLACK_URL"]`')
    if not all(is_reference(url) for url in urls):
        table.fail(no_reference("each of them"), "urls")
    return Chat(tuple(dict.fromkeys(urls)), _timeout(table))


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


_READERS: dict[str, Callable[[Table], Channel]] = {
    "smtp": _smtp,
    "sendmail": _sendmail,
    "eml": _eml,
    "webhook": _webhook,
    "apprise": _chat,
    "files": _files,
}
