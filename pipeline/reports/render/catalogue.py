"""The words of mails and reports, one catalogue per language, and each language's way to write figures."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from importlib import resources

from pipeline.core.text import printable

Text_ = str | Mapping[str, str]
"""A sentence with `{places}`; or two, `one` and `other`, of which `{n}` decides."""


LONGEST = 80
"""Characters that are shown of what a gateway says: an id, a name, a value."""


_PLACE = re.compile(r"\{(\w+)\}")


_UNITS = ((86400, "days"), (3600, "hours"), (60, "minutes"))


@dataclass(frozen=True, slots=True)
class Piece:
    """Some words, safe to print, and what they are.

    Args:
        mark: `id` a model or a field, `name` a scope, a group or a gateway, `value` what a field says, `said`
            what a gateway says, `command` something to type; `strong`, `faint`, `worse` and `better` are our
            own words. Empty for plain ones.
    """

    text: str
    mark: str = ""


Text = tuple[Piece, ...]
"""Words in a row."""


UNTRUSTED = frozenset({"id", "name", "value", "said", "command"})
"""The marks of what was written by others: a form shows these verbatim, whatever they hold."""


def foreign(text: str, mark: str = "id", *, longest: int = LONGEST) -> Piece:
    """Give what somebody else wrote in a form that is safe to print, clipped."""
    return Piece(printable(text, longest=longest), mark)


def plain(text: Text) -> str:
    """Give words without their marks."""
    return "".join(piece.text for piece in text)


@cache
def catalogue(language: str) -> Mapping[str, Text_]:
    """Read the words of a language; raises FileNotFoundError for one that there is not."""
    path = resources.files("pipeline.reports.render") / "languages" / f"{language}.json"
    messages: dict[str, Text_] = json.loads(path.read_text(encoding="utf-8"))
    return messages


class Words:
    """Says things in one language.

    Args:
        year: dates of another year than this one name theirs.
        attached: what is told goes with a file of all changes.
    """

    def __init__(self, language: str, *, year: str = "", attached: bool = False) -> None:
        self.language = language
        self._messages = catalogue(language)
        self._year = year
        self._attached = attached

    @property
    def rest(self) -> Text:
        """Where to find what there is no room for."""
        if self._attached:
            return self.say("rest.attached")
        return self.say("rest.asked", command=Piece("modelwatch changes --all", "command"))

    def say(self, key: str, **values: Text | Piece | str | int | Decimal) -> Text:
        """Fill a message; numbers are written in the language's manner."""
        message = self._messages[key]
        if not isinstance(message, str):
            message = message["one" if values["n"] in (1, "1") else "other"]
        pieces: list[Piece] = []
        for number, part in enumerate(_PLACE.split(message)):
            pieces += self._pieces(values[part]) if number % 2 else (Piece(part),) * bool(part)
        return tuple(pieces)

    def _pieces(self, value: Text | Piece | str | int | Decimal) -> Iterable[Piece]:
        match value:
            case Piece():
                return (value,)
            case tuple():
                return value
            case str():
                return (Piece(value),)
            case _:
                return (Piece(self.number(value)),)

    def plain(self, key: str, **values: Text | Piece | str | int | Decimal) -> str:
        """Fill a message, and give it without marks."""
        return plain(self.say(key, **values))

    def marked(self, key: str, mark: str, **values: Text | Piece | str | int | Decimal) -> Piece:
        """Fill a message, and give it all the same mark."""
        return Piece(self.plain(key, **values), mark)

    def listed(self, texts: Iterable[Text | Piece]) -> Text:
        """Put things in a row, between them what the language has for a comma."""
        comma = self.say("format.comma")
        pieces: list[Piece] = []
        for text in texts:
            pieces += (*(comma if pieces else ()), *self._pieces(text))
        return tuple(pieces)

    def number(self, value: int | Decimal) -> str:
        """Write a number: `1,000,000`, `0.075`."""
        return f"{value:,f}" if isinstance(value, Decimal) else f"{value:,}"

    def money(self, usd: Decimal) -> str:
        """Write a price in USD, with at least two decimals."""
        text = self.number(usd)
        decimals = len(text.partition(".")[2])
        return self.plain("format.usd", amount=text if decimals >= 2 else f"{usd:,.2f}")  # noqa: PLR2004

    def percent(self, value: Decimal) -> str:
        """Write by how much something changed, with its sign."""
        size = self.number(abs(value)).removesuffix(".0")
        return self.plain("format.percent", amount=f"{'−' if value < 0 else '+'}{size}")

    def day(self, day: str) -> str:
        """Write a date (ISO 8601), with its year where that is another one."""
        month = self.plain("format.months").split()[int(day[5:7]) - 1]
        key = "format.day" if day[:4] == self._year else "format.day_of_year"
        return self.plain(key, year=day[:4], month=month, day=str(int(day[8:10])))

    def minute(self, at: str, *, zone: bool = True) -> str:
        """Write a time (ISO 8601 UTC), to the minute."""
        return self.plain("format.utc" if zone else "format.minute", day=self.day(at), time=at[11:16])

    def duration(self, seconds: int) -> str:
        """Write a duration in its largest unit that is at least one: `3 h`, `5.8 days`."""
        size, unit = next((each for each in _UNITS if seconds >= each[0]), (1, "seconds"))
        return self.plain(f"duration.{unit}", n=f"{seconds / size:.1f}".removesuffix(".0"))
