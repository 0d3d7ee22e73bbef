"""What the chats have in common: the lines of a report, cut to a size, and the answers of their servers."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import httpx
from msgspec import Struct
from msgspec.structs import replace

from pipeline.core.types import Resolve, Severity, reference_names
from pipeline.delivery.channels import webhook
from pipeline.delivery.channels.secrets import unresolved
from pipeline.delivery.http_client import PLAIN
from pipeline.delivery.types import Chat, DeliveryResult, Feishu
from pipeline.reports.render.message import sentence_for_the_rest
from pipeline.reports.types import Message

_LINE = re.compile(r"(?P<indent> *)(?:(?P<heading>#{1,6}) +|(?P<bullet>[*-]) +)?(?P<rest>.*)")
_SPAN = re.compile(
    r"`(?P<code>[^`]+)`"
    r"|\[(?P<label>(?:`[^`]*`|\\.|[^\]\\`])+)\]\((?P<url>https?://[^\s()]+)\)"
    r"|\*\*(?P<strong>(?:`[^`]*`|\\.|[^*\\`])+)\*\*"
    r"|\\(?P<escaped>[!-/:-@\[-`{-~])"
)
"""The parts of a line of Markdown, as the built-in template and most others write them."""

_RULES = re.compile(r" {0,3}(?:-{3,}|\*{3,}|_{3,})\s*")

_HINTS = {
    400: "it does not accept the message",
    401: "see `url`",
    403: "see `url`, and whether the chat may be posted to",
    404: "see `url`",
    405: "see `url`",
    410: "it was removed: see `url`",
    413: "the message is too large for it",
}

JSON_HEADERS = {"Content-Type": "application/json; charset=utf-8", "User-Agent": "modelwatch", **PLAIN}


class Span(Struct, frozen=True):
    """A part of a line; `url` is a web address to which it leads, empty without a link."""

    text: str
    code: bool = False
    strong: bool = False
    url: str = ""


class Line(Struct, frozen=True):
    """A line of a report: a heading, an entry of a list at some depth (from 1), or neither."""

    spans: tuple[Span, ...]
    heading: bool = False
    depth: int = 0


def recipients(settings: Chat) -> tuple[str, ...]:
    """Return the name of the reference to the URL."""
    return tuple(reference_names((settings.url,)))


def missing(settings: Chat, resolve: Resolve) -> list[str]:
    """Return a line for each reference that cannot be resolved."""
    secret = settings.secret if isinstance(settings, Feishu) else None
    return unresolved(filter(None, (settings.url, secret)), resolve)


def lines(markdown: str) -> list[Line]:
    """Return the lines of a report in Markdown, without empty ones and rules."""
    found = []
    for text in markdown.splitlines():
        if not text.strip() or _RULES.fullmatch(text):
            continue
        line = _LINE.fullmatch(text)
        assert line
        depth = 1 + len(line["indent"]) // 2 if line["bullet"] else 0
        found.append(Line(tuple(_spans(line["rest"])), bool(line["heading"]), depth))
    return found


def _spans(text: str) -> Iterator[Span]:
    """Yield the parts of a text; consecutive ones of one style as one."""
    last: Span | None = None
    for span in _parts(text):
        if last and replace(last, text=span.text) == span:
            last = replace(last, text=last.text + span.text)
            continue
        if last:
            yield last
        last = span
    if last:
        yield last


def _parts(text: str) -> Iterator[Span]:
    end = 0
    for found in _SPAN.finditer(text):
        if before := text[end : found.start()]:
            yield Span(before)
        end = found.end()
        if label := found["label"]:
            yield from (replace(each, url=found["url"]) for each in _spans(label))
        elif strong := found["strong"]:
            yield from (replace(each, strong=True) for each in _spans(strong))
        else:
            yield Span(found["code"] or found["escaped"], code=bool(found["code"]))
    if rest := text[end:]:
        yield Span(rest)


def fitting(message: Message, build: Callable[[Sequence[Line]], Any], fits: Callable[[Any], bool]) -> Any:
    """Return what `build` makes of as many lines as fit; a last line says that others were left out."""
    whole = lines(message.markdown)
    built = build(whole)
    if fits(built):
        return built
    cut = Line((Span(sentence_for_the_rest(message.language)),))
    low, high = 0, len(whole)
    while low < high:
        middle = (low + high + 1) // 2
        if fits(build([*whole[:middle], cut])):
            low = middle
        else:
            high = middle - 1
    return build([*whole[:low], cut])


def clipped(text: str, longest: int) -> str:
    """Return a text of at most `longest` characters."""
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def as_json(value: Any) -> bytes:
    """Return the body of a request."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def choice(message: Message, colours: Mapping[Severity | None, Any]) -> Any:
    """Return the colour of a message by its severity; that of None for severities without one."""
    return colours.get(message.severity, colours[None])


def send(
    settings: Chat,
    value: Any,
    recipients: tuple[str, ...],
    resolve: Resolve,
    *,
    secrets: Sequence[str] = (),
    result_of: Callable[[httpx.Response, str], DeliveryResult] | None = None,
    query: str = "",
) -> dict[str, DeliveryResult]:
    """Post a card to a chat; see `webhook.post`.

    Raises:
        Unresolved: the URL cannot be resolved.
    """
    result = webhook.post(
        settings,
        as_json(value),
        JSON_HEADERS,
        resolve,
        secrets=secrets,
        result_of=result_of or result_of_status,
        query=query,
    )
    return dict.fromkeys(recipients, result)


def result_of_status(response: httpx.Response, place: str) -> DeliveryResult:
    """Return what the status of an answer means, with the reason in its text or JSON."""
    return webhook.result_of_status(response, place, _HINTS, lambda each: reason(webhook.excerpt(each)))


def reason(text: str) -> str:
    """Return the reason of an error: the message in a JSON object with its code, or the text as it is."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    if isinstance(value, dict) and isinstance(value.get("error"), dict):
        value = value["error"]
    if not isinstance(value, dict):
        return text
    said = value.get("message") or value.get("msg") or value.get("error")
    code = value.get("code")
    if not isinstance(said, str):
        return text
    return f"{said} ({code})" if isinstance(code, int | str) and code else said
