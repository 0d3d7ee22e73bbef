"""Messages in Feishu and Lark: a custom bot with a card, in which no text is a tag.

https://open.feishu.cn/document/client-docs/bot-v3/add-custom-bot
"""

from __future__ import annotations

import base64
import hmac
import json
import re
import time
from collections.abc import Sequence
from typing import Any

import httpx

from pipeline.core.types import Resolve, Severity
from pipeline.delivery.channels import chats
from pipeline.delivery.channels.chats import Line, Span, missing, recipients
from pipeline.delivery.channels.secrets import resolve_secret
from pipeline.delivery.channels.webhook import excerpt, reach
from pipeline.delivery.types import DeliveryResult, DeliveryStatus, Feishu
from pipeline.reports.types import Message

__all__ = ["missing", "reach", "recipients", "send"]

_MAX_BYTES = 19_000
"""Bytes of a body; Feishu accepts 20 KB, and the signature comes to it."""

_MAX_TITLE = 200

_COLOURS = {Severity.URGENT: "red", Severity.BREAKING: "orange", None: "blue"}

_SYNTAX = re.compile(r"[&<>*_~`\[\]()#:\\]|^[-+!]")
"""What is escaped as HTML: https://open.feishu.cn/document/ukTMukTMukTM/uADOwUjLwgDM14CM4ATN."""

_HINTS = {
    19001: "see `url`",
    19021: "see `secret`, and the clock of this machine",
    19022: "the bot accepts only some addresses: see its settings",
    19024: "the bot accepts only messages with its keywords: see its settings",
}
_TOO_MANY = (11232, 11233, 99991400)


def send(
    settings: Feishu, message: Message, recipients: tuple[str, ...], resolve: Resolve
) -> dict[str, DeliveryResult]:
    """Post a message.

    Raises:
        Unresolved: the URL or the secret cannot be resolved.
    """
    value, secrets = payload(message), []
    if settings.secret:
        secrets.append(resolve_secret(settings.secret, resolve).reveal())
        value = signature(secrets[0], at=int(time.time())) | value
    return chats.send(settings, value, recipients, resolve, secrets=secrets, result_of=_result)


def signature(secret: str, *, at: int) -> dict[str, str]:
    """Return the members that sign a body; the time, in Unix seconds, is a part of the key of the HMAC."""
    digest = hmac.new(f"{at}\n{secret}".encode(), b"", "sha256").digest()
    return {"timestamp": str(at), "sign": base64.b64encode(digest).decode()}


def payload(message: Message) -> dict[str, Any]:
    """Return the body: a card."""
    title = {"tag": "plain_text", "content": chats.clipped(message.subject, _MAX_TITLE)}

    def build(lines: Sequence[Line]) -> dict[str, Any]:
        text = "\n".join(map(_line, lines))
        card = {
            "config": {"wide_screen_mode": True},
            "header": {"title": title, "template": chats.choice(message, _COLOURS)},
            "elements": [{"tag": "markdown", "content": text}],
        }
        return {"msg_type": "interactive", "card": card}

    built: dict[str, Any] = chats.fitting(
        message, build, lambda built: len(chats.as_json(built)) <= _MAX_BYTES
    )
    return built


def _line(line: Line) -> str:
    text = "".join(_span(span, strong=span.strong or line.heading) for span in line.spans)
    return f"{'　' * (line.depth - 1)}• {text}" if line.depth else f"\n{text}" if line.heading else text


def _span(span: Span, *, strong: bool) -> str:
    text = _SYNTAX.sub(lambda found: f"&#{ord(found[0])};", span.text)
    text = f"**{text}**" if strong else text
    return f"[{text}]({span.url})" if span.url else text


def _result(response: httpx.Response, place: str) -> DeliveryResult:
    """Return what an answer means: Feishu answers errors with 200, and their code in the body."""
    if not response.is_success:
        return chats.result_of_status(response, place)
    text = excerpt(response)
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    code = value.get("code", value.get("StatusCode")) if isinstance(value, dict) else None
    if code == 0:
        return DeliveryResult(DeliveryStatus.SENT)
    if code is None:
        said = f": {text}" if text else ""
        return DeliveryResult(DeliveryStatus.RETRY, f"{place} is not Feishu's answer: see `url`{said}")
    if code in _TOO_MANY:
        return DeliveryResult(DeliveryStatus.RETRY, f"{place} asks to slow down: {chats.reason(text)}")
    hint = _HINTS.get(code, "it does not accept the message")
    return DeliveryResult(DeliveryStatus.REFUSED, f"{place} refused ({hint}): {chats.reason(text)}")
