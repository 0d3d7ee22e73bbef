"""The messages of reports, one catalogue per language, and the format of figures in each language."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from functools import cache
from importlib import resources

from msgspec import Struct
from msgspec.structs import replace

from pipeline.core.text import printable
from pipeline.core.times import local_time, zone_name
from pipeline.reports.types import NO_LINKS, Links

MAX_TEXT = 80
"""The number of characters shown of a gateway's text: an id, a name, a value."""


class Piece(Struct, frozen=True):
    """A printable part of a text, and its style.

    Args:
        style: for text from outside `id` (of a model or a field), `name` (of a scope, a group or a gateway),
            `value` (of a field), `quote` (an error message) or `command`; for our own text `strong`, `faint`,
            `worse` or `better`; empty for plain text.
        link: a web address to which it leads, from the config, with all text from outside percent-encoded; or
            empty.
    """

    text: str
    style: str = ""
    link: str = ""


Text = tuple[Piece, ...]

UNTRUSTED = frozenset({"id", "name", "value", "quote", "command"})
"""The styles of text from outside, in which no format interprets any syntax."""


def untrusted(text: str, style: str = "id", *, longest: int = MAX_TEXT) -> Piece:
    """Return text from outside in printable form, clipped."""
    return Piece(printable(text, longest=longest), style)


def plain(text: Text) -> str:
    """Return a text without styles."""
    return "".join(piece.text for piece in text)


CatalogueMessage = str | Mapping[str, str]
"""A sentence with `{placeholders}`; or two, `one` and `other`, selected by `{n}`."""


@cache
def load_messages(language: str) -> Mapping[str, CatalogueMessage]:
    """Return the message catalogue of a language; raises FileNotFoundError for an unknown one."""
    path = resources.files("pipeline.reports.render") / "languages" / f"{language}.json"
    messages: dict[str, CatalogueMessage] = json.loads(path.read_text(encoding="utf-8"))
    return messages


Value = Text | Piece | str | int | Decimal

_DAY = len("2026-11-01")

_PLACEHOLDER = re.compile(r"\{(\w+)\}")

_DURATIONS = ((86400, "days"), (3600, "hours"), (60, "minutes"))


class Locale:
    """Messages and figures in one language.

    Args:
        today: the day of the report (ISO 8601); dates of any other year are written with their year, and
            without it, distances of days are left out.
        attached: a file with all changes is attached, to which messages may refer.
        zone: the time zone of all times: an IANA name.
        links: where names lead.
    """

    def __init__(
        self,
        language: str,
        *,
        today: str = "",
        attached: bool = False,
        zone: str = "UTC",
        links: Links = NO_LINKS,
    ) -> None:
        self.language = language
        self._links = links
        self._messages = load_messages(language)
        self._zone = zone
        self._today = self.local(today)[0]
        self._attached = attached

    def text(self, key: str, **values: Value) -> Text:
        """Fill a message; numbers are formatted for the language."""
        message = self._messages[key]
        if not isinstance(message, str):
            message = message["one" if values["n"] in (1, "1") else "other"]
        pieces: list[Piece] = []
        for number, part in enumerate(_PLACEHOLDER.split(message)):
            pieces += self._pieces(values[part]) if number % 2 else (Piece(part),) * bool(part)
        return tuple(pieces)

    def plain(self, key: str, **values: Value) -> str:
        """Fill a message, without styles."""
        return plain(self.text(key, **values))

    def join(self, texts: Iterable[Text | Piece]) -> Text:
        """Join texts with the language's comma."""
        comma = self.text("format.comma")
        pieces: list[Piece] = []
        for text in texts:
            pieces += (*(comma if pieces else ()), *self._pieces(text))
        return tuple(pieces)

    def join_some(self, pieces: Iterable[Piece], limit: int, *, of: int | None = None) -> Text:
        """Join the first pieces, and count the others; `of` is the number of all, if they are not given."""
        pieces = list(pieces)
        named = self.join(pieces[:limit])
        more = (len(pieces) if of is None else of) - limit
        return self.text("and_more", what=named, n=more) if more > 0 else named

    def _pieces(self, value: Value) -> Iterable[Piece]:
        match value:
            case Piece():
                return (value,)
            case tuple():
                return value
            case str():
                return (Piece(value),)
            case _:
                return (Piece(self.number(value)),)

    @property
    def rest(self) -> Text:
        """The reference to the changes that were left out: `see changes.csv`."""
        if self._attached:
            return self.text("rest.attached")
        return self.text("rest.command", command=Piece("modelwatch changes --all", "command"))

    def number(self, value: int | Decimal) -> str:
        """Format a number: `1,000,000`, `0.075`."""
        return f"{value:,f}" if isinstance(value, Decimal) else f"{value:,}"

    def money(self, usd: Decimal) -> str:
        """Format a price in USD, with at least two decimals."""
        text = self.number(usd)
        decimals = len(text.partition(".")[2])
        return self.plain("format.usd", amount=text if decimals >= 2 else f"{usd:,.2f}")  # noqa: PLR2004

    def percent(self, value: Decimal) -> str:
        """Format a relative change, with its sign."""
        size = self.number(abs(value)).removesuffix(".0")
        return self.plain("format.percent", amount=f"{'−' if value < 0 else '+'}{size}")

    def model(self, gateway: str, model: str, *, longest: int = MAX_TEXT) -> Piece:
        """Return the id of a model, which leads to its page."""
        return replace(untrusted(model, longest=longest), link=self._links.model(gateway, model))

    def models(self, gateway: str, models: Iterable[str]) -> Iterable[Piece]:
        """Return the ids of models, each of which leads to its page."""
        return (self.model(gateway, model) for model in models)

    def scope(self, scope: str, *, shown: str | None = None, longest: int = MAX_TEXT) -> Piece:
        """Return the name of a scope, or another text for it, which leads to its page."""
        return replace(untrusted(shown or scope, "name", longest=longest), link=self._links.scope(scope))

    def gateway(self, gateway: str, *, longest: int = MAX_TEXT) -> Piece:
        """Return the name of a gateway, which leads to its page."""
        return replace(untrusted(gateway, "name", longest=longest), link=self._links.gateway(gateway))

    def window(self, text: str, since: str | None, until: str) -> Text:
        """Return a text for a window of time (ISO 8601 UTC), which leads to the page of its changes."""
        return (Piece(text, link=self._links.changes(since, until)),)

    def local(self, at: str) -> tuple[str, str]:
        """Return the day (ISO 8601) and the minute of a time (ISO 8601 UTC) in the zone of the report.

        A day without a time is returned as it is.
        """
        if self._zone != "UTC" and len(at) > _DAY:
            at = local_time(at, self._zone).isoformat()
        return at[:_DAY], at[11:16]

    def zone(self, at: str) -> str:
        """Return the abbreviation of the zone at a time (ISO 8601 UTC), or its distance from UTC."""
        return "UTC" if self._zone == "UTC" else zone_name(local_time(at, self._zone))

    def day(self, day: str, *, year: bool | None = None) -> str:
        """Format a date (ISO 8601), by default with the year where it is not that of the report."""
        month = self.plain("format.months").split()[int(day[5:7]) - 1]
        with_year = day[:4] != self._today[:4] if year is None else year
        key = "format.day_of_year" if with_year else "format.day"
        return self.plain(key, year=day[:4], month=month, day=str(int(day[8:10])))

    def distance(self, day: str) -> str | None:
        """Format how far a date (ISO 8601) is from the day of the report: `in 3 days`; None without it."""
        if not self._today:
            return None
        days = (date.fromisoformat(day) - date.fromisoformat(self._today)).days
        key = "when.in" if days > 0 else "when.ago"
        return self.plain(key, n=abs(days)) if days else self.plain("when.today")

    def minute(self, at: str, *, zone: bool = True) -> str:
        """Format a time (ISO 8601 UTC), to the minute."""
        day, minute = self.local(at)
        if not zone:
            return self.plain("format.minute", day=self.day(day), time=minute)
        return self.plain("format.zone", day=self.day(day), time=minute, zone=self.zone(at))

    def duration(self, seconds: int) -> str:
        """Format a duration in its largest unit of at least one: `3 h`, `5.8 days`."""
        size, unit = next((each for each in _DURATIONS if seconds >= each[0]), (1, "seconds"))
        return self.plain(f"duration.{unit}", n=f"{seconds / size:.1f}".removesuffix(".0"))
