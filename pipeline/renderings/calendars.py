"""Announced ends as a calendar (RFC 5545) to subscribe to."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from hashlib import blake2b

from pipeline.renderings.words import Words, foreign
from pipeline.reports.brief import Ending

_LONGEST = 75
_NAMED = 12
_SPECIAL = re.compile(r"[\\;,]")


def calendar(endings: Iterable[Ending], *, stamp: str, language: str) -> str:
    """Write a calendar in which each model has an event on the day on which it is announced to end.

    Args:
        endings: a model that several scopes lose on one day is one event.
        stamp: when the calendar was made, ISO 8601 UTC.
        language: one of `LANGUAGES`.
    """
    scopes: dict[tuple[str, str, str], set[str]] = {}
    for ending in endings:
        scopes.setdefault((ending.day, ending.gateway, ending.model), set()).update(ending.scopes)
    words = Words(language)
    name = words.plain("calendar.name")
    lines = [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//modelwatch//announced ends//EN",
        "CALSCALE:GREGORIAN",
        "METHOD:PUBLISH",
        f"X-WR-CALNAME:{_escaped(name)}",
    ]
    for (day, gateway, model), whom in sorted(scopes.items()):
        lines += _event(words, day, gateway, model, sorted(whom), stamp)
    lines.append("END:VCALENDAR")
    return "".join(f"{folded}\r\n" for line in lines for folded in _folded(line))


def _event(words: Words, day: str, gateway: str, model: str, scopes: list[str], stamp: str) -> Iterator[str]:
    whom = words.listed(foreign(scope, "name") for scope in scopes[:_NAMED])
    if len(scopes) > _NAMED:
        whom = words.say("whom.and_more", what=whom, n=len(scopes) - _NAMED)
    name = foreign(model)
    first = date.fromisoformat(day)
    yield "BEGIN:VEVENT"
    yield f"UID:{blake2b(repr((day, gateway, model)).encode(), digest_size=16).hexdigest()}@modelwatch"
    yield f"DTSTAMP:{re.sub('[-:]', '', stamp)}"
    yield f"DTSTART;VALUE=DATE:{first:%Y%m%d}"
    yield f"DTEND;VALUE=DATE:{first + timedelta(days=1):%Y%m%d}"
    summary = words.plain("calendar.summary", model=name, gateway=foreign(gateway, "name"))
    yield f"SUMMARY:{_escaped(summary)}"
    told = words.plain("calendar.description", model=name, day=words.day(day), whom=whom)
    yield f"DESCRIPTION:{_escaped(told)}"
    yield "TRANSP:TRANSPARENT"
    yield "END:VEVENT"


def _escaped(text: str) -> str:
    """Escape what has a meaning; control characters were escaped before."""
    return _SPECIAL.sub(lambda found: f"\\{found[0]}", text)


def _folded(line: str) -> Iterator[str]:
    """Break a line so that none is longer than 75 octets, and no character is torn."""
    part, size = "", 0
    for character in line:
        width = len(character.encode())
        if size + width > _LONGEST:
            yield part
            part, size = " ", 1
        part, size = part + character, size + width
    yield part
