"""Messages in Slack: an incoming webhook, with blocks of rich text, in which no text is a mention or a link.

https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from pipeline.core.types import Resolve
from pipeline.delivery.channels import chats
from pipeline.delivery.channels.chats import Line, Span, missing, recipients
from pipeline.delivery.channels.webhook import reach
from pipeline.delivery.types import DeliveryResult, Slack
from pipeline.reports.types import Message

__all__ = ["missing", "reach", "recipients", "send"]

_MAX_TITLE = 150
"""https://docs.slack.dev/reference/block-kit/blocks/header-block"""

_MAX_BLOCKS = 12_000
"""Characters in all blocks; from 13,000, Slack answers `msg_blocks_too_long`.

https://github.com/slackapi/bolt-js/issues/2509
"""

_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
"""https://docs.slack.dev/messaging/formatting-message-text#escaping"""


def send(
    settings: Slack, message: Message, recipients: tuple[str, ...], resolve: Resolve
) -> dict[str, DeliveryResult]:
    """Post a message.

    Raises:
        Unresolved: the URL cannot be resolved.
    """
    return chats.send(settings, payload(message), recipients, resolve)


def payload(message: Message) -> dict[str, Any]:
    """Return the body: the subject for notifications, and the report as blocks."""
    title = {"type": "plain_text", "text": chats.clipped(message.subject, _MAX_TITLE), "emoji": False}
    header = {"type": "header", "text": title}

    def build(lines: Sequence[Line]) -> list[Any]:
        return [header, {"type": "rich_text", "elements": list(_elements(lines))}]

    blocks = chats.fitting(message, build, lambda built: len(chats.as_json(built).decode()) <= _MAX_BLOCKS)
    return {"text": message.subject.translate(_ESCAPES), "blocks": blocks}


def _elements(lines: Sequence[Line]) -> Iterator[dict[str, Any]]:
    """Yield sections and lists: https://docs.slack.dev/reference/block-kit/blocks/rich-text-block."""
    for depth, group in groupby(lines, key=lambda line: line.depth):
        if depth:
            entries = [{"type": "rich_text_section", "elements": _runs(line)} for line in group]
            yield {"type": "rich_text_list", "style": "bullet", "indent": depth - 1, "elements": entries}
            continue
        for line in group:
            end = {"type": "text", "text": "\n"}
            start = [end] if line.heading else []
            yield {"type": "rich_text_section", "elements": [*start, *_runs(line), end]}


def _runs(line: Line) -> list[dict[str, Any]]:
    return [_run(span, strong=span.strong or line.heading) for span in line.spans] or [
        {"type": "text", "text": " "}
    ]


def _run(span: Span, *, strong: bool) -> dict[str, Any]:
    run: dict[str, Any] = {"type": "link", "url": span.url} if span.url else {"type": "text"}
    style = {name: True for name, has in (("code", span.code), ("bold", strong)) if has}
    return run | {"text": span.text} | ({"style": style} if style else {})
