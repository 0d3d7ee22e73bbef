"""Messages in Microsoft Teams: a workflow that posts an Adaptive Card, in which no text is Markdown.

https://support.microsoft.com/office/create-incoming-webhooks-with-workflows-for-microsoft-teams-8ae491c7-0394-4861-ba59-055e33f75498
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipeline.core.types import Resolve, Severity
from pipeline.delivery.channels import chats
from pipeline.delivery.channels.chats import Line, Span, missing, recipients
from pipeline.delivery.channels.webhook import reach
from pipeline.delivery.types import DeliveryResult, Teams
from pipeline.reports.types import Message

__all__ = ["missing", "reach", "recipients", "send"]

_MAX_BYTES = 20_000
"""Bytes of a message: Teams documents about 28 KB, and refused messages from 21 KB.

https://learn.microsoft.com/connectors/teams/#known-issues-and-limitations-with-actions
https://www.rubydoc.info/gems/msteams_hermes/MsTeamsHermes/Message
"""

_COLOURS = {Severity.URGENT: "Attention", Severity.BREAKING: "Warning", None: "Default"}


def send(
    settings: Teams, message: Message, recipients: tuple[str, ...], resolve: Resolve
) -> dict[str, DeliveryResult]:
    """Post a message.

    Raises:
        Unresolved: the URL cannot be resolved.
    """
    return chats.send(settings, payload(message), recipients, resolve)


def payload(message: Message) -> dict[str, Any]:
    """Return the body: a message with a card."""
    title = {"type": "TextRun", "text": message.subject, "weight": "Bolder", "size": "Medium"}
    head = _block([title | {"color": chats.choice(message, _COLOURS)}])

    def build(lines: Sequence[Line]) -> dict[str, Any]:
        card = {
            "$schema": "https://adaptivecards.io/schemas/adaptive-card.json",
            "type": "AdaptiveCard",
            "version": "1.4",
            "msteams": {"width": "Full"},
            "body": [head, *map(_line, lines)],
        }
        content_type = "application/vnd.microsoft.card.adaptive"
        return {
            "type": "message",
            "attachments": [{"contentType": content_type, "contentUrl": None, "content": card}],
        }

    built: dict[str, Any] = chats.fitting(
        message, build, lambda built: len(chats.as_json(built)) <= _MAX_BYTES
    )
    return built


def _block(runs: list[Any]) -> dict[str, Any]:
    """Return a paragraph: https://learn.microsoft.com/adaptive-cards/schema-explorer/rich-text-block."""
    return {"type": "RichTextBlock", "inlines": runs}


def _line(line: Line) -> dict[str, Any]:
    bullet = [f"{' ' * 4 * (line.depth - 1)}• "] if line.depth else []
    runs = [_run(span, strong=span.strong or line.heading) for span in line.spans]
    return _block([*bullet, *runs]) | {"spacing": "Medium" if line.heading else "None" if bullet else "Small"}


def _run(span: Span, *, strong: bool) -> Any:
    """Return a text without markup: https://learn.microsoft.com/adaptive-cards/schema-explorer/text-run."""
    style: dict[str, Any] = {"fontType": "Monospace"} if span.code else {}
    style |= {"weight": "Bolder"} if strong else {}
    style |= {"selectAction": {"type": "Action.OpenUrl", "url": span.url}} if span.url else {}
    return {"type": "TextRun", "text": span.text, **style} if style else span.text
