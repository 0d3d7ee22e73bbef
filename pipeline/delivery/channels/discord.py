"""Messages in Discord: a webhook with an embed, from which nobody is mentioned.

https://discord.com/developers/docs/resources/webhook#execute-webhook
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from pipeline.core.types import Resolve, Severity
from pipeline.delivery.channels import chats
from pipeline.delivery.channels.chats import Line, Span, missing, recipients
from pipeline.delivery.channels.webhook import reach
from pipeline.delivery.types import DeliveryResult, Discord
from pipeline.reports.types import Message

__all__ = ["missing", "reach", "recipients", "send"]

_MAX_TITLE = 256
_MAX_TEXT = 4096
"""In UTF-16 units, to be safe: https://discord.com/developers/docs/resources/message#embed-object-embed-limits."""

_COLOURS = {Severity.URGENT: 0xC62828, Severity.BREAKING: 0xB26A00, None: 0x57606A}

_SYNTAX = re.compile(r"([\\`*_~|<>\[\]()#:@-])")


def send(
    settings: Discord, message: Message, recipients: tuple[str, ...], resolve: Resolve
) -> dict[str, DeliveryResult]:
    """Post a message; Discord answers when it is stored (`wait`).

    Raises:
        Unresolved: the URL cannot be resolved.
    """
    return chats.send(settings, payload(message), recipients, resolve, query="wait=true")


def payload(message: Message) -> dict[str, Any]:
    """Return the body: an embed."""
    text = chats.fitting(message, _text, lambda built: _units(built) <= _MAX_TEXT)
    embed = {
        "title": chats.clipped(_escaped(message.subject), _MAX_TITLE),
        "description": text,
        "color": chats.choice(message, _COLOURS),
        "timestamp": message.at,
    }
    return {"embeds": [embed], "allowed_mentions": {"parse": []}}


def _units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def _text(lines: Sequence[Line]) -> str:
    return "\n".join(map(_line, lines))


def _line(line: Line) -> str:
    text = "".join(map(_span, line.spans))
    if line.heading:
        return f"### {text}"
    return f"{'  ' * (line.depth - 1)}- {text}" if line.depth else text


def _span(span: Span) -> str:
    text = f"`{span.text}`" if span.code else _escaped(span.text)
    text = f"**{text}**" if span.strong else text
    return f"[{text}](<{span.url}>)" if span.url else text


def _escaped(text: str) -> str:
    return _SYNTAX.sub(r"\\\1", text)
