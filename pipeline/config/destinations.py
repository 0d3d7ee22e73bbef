"""The destinations of the tables `[destinations.NAME]`."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Sequence
from datetime import time
from ipaddress import IPv6Address, ip_address
from typing import get_args
from urllib.parse import urlsplit

from pipeline.config import schema
from pipeline.config.gateways import INVALID_NAME, GatewayScopes, check_globs
from pipeline.config.kinds import Day, host
from pipeline.config.toml import Document
from pipeline.core.addresses import is_this_machine, mailbox
from pipeline.core.times import Schedule
from pipeline.core.types import Share, is_valid_name
from pipeline.delivery.types import (
    REPORTS,
    Apprise,
    ChannelSettings,
    Destination,
    Discord,
    Feishu,
    Files,
    MailDirectory,
    Sendmail,
    Slack,
    Smtp,
    Teams,
    Webhook,
)
from pipeline.reports.types import Filter, Links

_CHATS: dict[type[schema.Chat], type[Slack | Discord | Teams]] = {
    schema.Slack: Slack,
    schema.Discord: Discord,
    schema.Teams: Teams,
}

_PORTS = {"tls": 465, "starttls": 587, "none": 25}


def destination(
    name: str,
    table: schema.AnyDestination,
    gateways: Sequence[GatewayScopes],
    file: schema.File,
    document: Document,
) -> Destination:
    """Return a destination; errors are noted in the document.

    Args:
        name: its name.
        table: its table.
        gateways: all gateways; none if they have errors.
        file: the whole config.
        document: the config.
    """
    at = ("destinations", name)
    if not is_valid_name(name):
        document.fail(at, INVALID_NAME)
    if name == REPORTS:
        document.fail(at, "is the name of the reports directory: rename it")
    if gateways:
        check_globs(table.scopes, gateways, lambda message: document.fail((*at, "scopes"), message))
    templates = None if table.templates is None else document.file(table.templates)
    if templates and not os.path.isdir(templates):  # noqa: PTH112 - `Path.is_dir` raises for a name that is too long
        message = f"there is no directory {templates}: create it, or remove this line"
        document.fail((*at, "templates"), message)
    at_time = table.at or time(7)
    return Destination(
        name=name,
        channel=_channel(table, file.share, document),
        filter=Filter(table.scopes, table.groups, table.owners, table.models, table.severity),
        schedule=Schedule(
            table.every,
            time(at_time.hour, at_time.minute),
            get_args(Day).index(table.on or "monday"),
            table.zone or "UTC",
        ),
        language=table.language,
        empty=table.empty,
        templates=templates,
        bom=getattr(table, "bom", False),
        links=Links(file.base_url or "", tuple(_addresses(gateways))),
    )


def _channel(  # noqa: PLR0911 - a table
    table: schema.AnyDestination, share: Share, document: Document
) -> ChannelSettings:
    match table:
        case schema.Smtp():
            return Smtp(
                server=host(table.server),
                port=table.port or _PORTS[table.security],
                security=table.security,
                sender=_address(table.sender),
                recipients=_recipients(table.to),
                user=table.user,
                password=table.password,
                token=table.token,
                reply_to=table.reply_to and _address(table.reply_to),
                helo=table.helo and _greeting(table.helo),
                timeout=table.timeout,
            )
        case schema.Sendmail():
            return Sendmail(
                sender=_address(table.sender),
                recipients=_recipients(table.to),
                command=tuple(shlex.split(table.command)),
                reply_to=table.reply_to and _address(table.reply_to),
                timeout=table.timeout,
            )
        case schema.Eml():
            return MailDirectory(
                document.file(table.directory), _address(table.sender), _recipients(table.to), share
            )
        case schema.Webhook():
            return Webhook(table.url, table.secret, tuple(table.headers.items()), table.timeout)
        case schema.Feishu():
            return Feishu(table.url, table.timeout, table.secret)
        case schema.Chat():
            return _CHATS[type(table)](table.url, table.timeout)
        case schema.Apprise():
            return Apprise(tuple(dict.fromkeys(table.urls)), table.timeout)
        case schema.Files():
            return Files(document.file(table.directory), tuple(dict.fromkeys(table.forms)) or ("csv", "json"))


def _addresses(gateways: Sequence[GatewayScopes]) -> Iterator[tuple[str, str]]:
    """Yield the web addresses of gateways by name, without their paths; of those on this machine none."""
    for each in gateways:
        url = urlsplit(each.gateway.url)
        if not is_this_machine(url.hostname or ""):
            yield each.gateway.name, f"{url.scheme}://{url.netloc}/"


def _address(text: str) -> str:
    return str(mailbox(text))


def _recipients(to: str | tuple[str, ...]) -> tuple[str, ...]:
    """Return the addresses; the first of those that differ in case only."""
    found = [mailbox(text) for text in ((to,) if isinstance(to, str) else to)]
    return tuple({one.address.lower(): str(one) for one in reversed(found)}.values())[::-1]


def _greeting(text: str) -> str:
    """Return the name in the greeting: a domain, or an address in brackets (RFC 5321, 4.1.3)."""
    name = host(text.strip("[]"))
    try:
        address = ip_address(name)
    except ValueError:
        return name
    return f"[IPv6:{address}]" if isinstance(address, IPv6Address) else f"[{address}]"
