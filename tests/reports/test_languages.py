"""The catalogues of words: none lacks a key, and each language writes in its own manner."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from decimal import Decimal
from html.parser import HTMLParser

import pytest
from support import ROOT
from support.briefs import AT, CALM, COVERAGE, FULL, SOME, TROUBLES

from pipeline.core.types import FieldChange, Kind, Severity
from pipeline.reports.render import letter
from pipeline.reports.render.catalogue import Text_, Words, catalogue
from pipeline.reports.render.changes import What
from pipeline.reports.render.scopes import CLASSES
from pipeline.reports.types import LANGUAGES, Line, Started, Summary

SOURCES = ROOT / "pipeline" / "reports" / "render"
OURS = {"UTC", "modelwatch", "changes", "csv", "ops", "accept", "all"}
"""What is the same in every language: the program, its commands and files, the zone of all times."""


def variants(message: Text_) -> list[str]:
    return [message] if isinstance(message, str) else list(message.values())


def places(text: str) -> set[str]:
    return set(re.findall(r"\{(\w+)\}", text))


def test_there_is_a_catalogue_for_each_language() -> None:
    """What the config may name can be written."""
    found = {path.stem for path in (SOURCES / "languages").iterdir()}
    assert found == set(LANGUAGES)


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_catalogue_lacks_a_key_or_has_one_too_many(language: str) -> None:
    """A sentence that is said in one language is said in all."""
    assert list(catalogue(language)) == list(catalogue("en"))


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_key_stands_twice(language: str) -> None:
    """Of two messages under one key, one would be lost without a word."""
    keys: list[str] = []
    text = (SOURCES / "languages" / f"{language}.json").read_text("utf-8")
    json.loads(text, object_pairs_hook=lambda pairs: keys.extend(key for key, _ in pairs))
    own = [key for key in keys if key not in ("one", "other")]
    assert len(own) == len(set(own))


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_key_is_said_somewhere(language: str) -> None:
    """What nobody says need not be translated."""
    code = "".join(path.read_text("utf-8") for path in SOURCES.glob("*.py"))
    unused = {
        key
        for key in catalogue(language)
        if f'"{key}"' not in code and f'f"{key.rpartition(".")[0]}.{{' not in code
    }
    assert not unused


@pytest.mark.parametrize("key", catalogue("en"))
def test_places_agree(key: str) -> None:
    """A translation says the same things as the English, none forgotten; one may be said as a word."""
    wanted = set().union(*map(places, variants(catalogue("en")[key])))
    for language in LANGUAGES:
        message = catalogue(language)[key]
        assert isinstance(message, str) or set(message) == {"one", "other"}
        *ones, other = variants(message)
        assert places(other) | {"n"} == wanted | {"n"} or key == "format.day_of_year"
        assert all(places(other) - places(one) <= {"n", "answered", "day"} for one in ones)


@pytest.mark.parametrize("language", LANGUAGES)
def test_all_that_can_happen_has_words(language: str) -> None:
    """Keys that are put together of two parts exist for each second part."""
    causes = ("held", *CLASSES)
    keys = {f"{stem}.{each}" for each in What for stem in ("urgent", "total", "block")}
    keys |= {f"{stem}.{each}" for each in causes for stem in ("urgent", "total", "trouble", "advice")}
    keys |= {f"badge.{each}" for each in (*list(Severity)[:3], "silent", "held", "calm", "idle")}
    keys |= {f"count.{each}" for each in (*What, "ended", "trouble", "endings")}
    assert keys <= catalogue(language).keys()


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_thing_has_one_name(language: str) -> None:
    """What the subject counts is called the same where it is counted below it."""
    words = Words(language)
    for each in (*What, "ended"):
        total, name = words.plain(f"total.{each}", n=2), words.plain(f"count.{each}", n=2)
        assert set(name) <= set(total)
        assert language != "en" or total == f"2 {name}"


def test_english_knows_one_from_many() -> None:
    """One day, two days; one scope, no scopes."""
    words = Words("en")
    assert [words.plain("duration.days", n=number) for number in ("1", "2.5")] == ["1 day", "2.5 days"]
    assert [words.plain("count.keys", n=number) for number in (0, 1, 2)] == ["0 keys", "1 key", "2 keys"]


FIGURES = {
    "en": ["24 Nov 06:00 UTC", "31 Jan 2027", "1,000,000", "$2.40", "$0.075", "−25 %", "5.8 days", "3 h"],
    "ja": ["11月24日 06:00 UTC", "2027年1月31日", "1,000,000", "$2.40", "$0.075", "−25%", "5.8日", "3時間"],
    "zh-CN": [
        "11月24日 06:00 UTC",
        "2027年1月31日",
        "1,000,000",
        "$2.40",
        "$0.075",
        "−25%",
        "5.8 天",
        "3 小时",
    ],
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_figures_are_written_in_the_language_s_manner(language: str) -> None:
    """Dates, numbers, prices, percentages and durations look as its readers write them."""
    words = Words(language, year="2026")
    assert [
        words.minute(AT),
        words.day("2027-01-31"),
        words.number(1_000_000),
        words.money(Decimal("2.4")),
        words.money(Decimal("0.075")),
        words.percent(Decimal("-25.0")),
        words.duration(501_120),
        words.duration(10_800),
    ] == FIGURES[language]


def everything() -> list[Summary]:
    """Briefs in which, taken together, all that can happen happens."""
    fields = {What.LIMITS: "limits", What.LIFECYCLE: "lifecycle", What.CAPABILITIES: "capabilities"}
    lines = tuple(
        Line(severity, Kind.CHANGED, "aihubmix", ("heron-2",), ("aihubmix/prod",), fields=(change,))
        for severity in Severity
        for category in (*fields.values(), "other")
        for change in (
            FieldChange("features", '["tools"]', None, category),
            FieldChange("context_length", "1", "2", category),
        )
    )
    classes = tuple(
        replace(TROUBLES[0], error_class=name, severity=severity, last_answered=last)
        for name in CLASSES
        for severity, last in ((Severity.URGENT, None), (Severity.BREAKING, AT))
    )
    return [
        FULL,
        CALM,
        SOME,
        replace(FULL, lines=lines, troubles=classes, since=None),
        *(replace(FULL, lines=(line,), troubles=()) for line in (*lines, *FULL.lines)),
        *(replace(FULL, lines=(), troubles=(trouble,)) for trouble in (*classes, *TROUBLES)),
        replace(FULL, lines=(), troubles=()),
        replace(FULL, lines=FULL.lines[-7:], troubles=(), ended=(), started=()),
        replace(CALM, started=(Started("aihubmix", ("aihubmix/prod",), 57),)),
        replace(CALM, coverage=tuple(replace(scope, state="failed") for scope in CALM.coverage)),
    ]


class _Words(HTMLParser):
    """Collects what a reader of a page sees or is read out."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []
        self._inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside = tag
        self.seen += [value or "" for name, value in attrs if name in ("title", "aria-label")]

    def handle_data(self, data: str) -> None:
        if self._inside != "style":
            self.seen.append(data)


def said_by_gateways(brief: Summary) -> set[str]:
    """Give the words of ids, names, values and messages."""
    texts = [scope.scope for scope in COVERAGE] + [scope.scope for scope in brief.coverage]
    for line in brief.lines:
        texts += [*line.models, *line.scopes, *line.groups, line.mark.removeprefix("of ")]
        texts += [
            line.twin or "",
            line.candidate or "",
            *(price.name for price in line.prices if not price.per),
        ]
        texts += [side or "" for field in line.fields for side in (field.field, field.before, field.after)]
    texts += [trouble.message for trouble in brief.troubles] + [ending.model for ending in brief.endings]
    texts += [each.gateway for each in (*brief.lines, *brief.troubles, *brief.endings, *brief.started)]
    return set(re.findall("[A-Za-z]{2,}", " ".join(texts)))


@pytest.mark.parametrize("language", [language for language in LANGUAGES if language != "en"])
def test_no_english_word_is_left(language: str) -> None:
    """Who reads another language reads English only where a gateway speaks it."""
    for brief in everything():
        made = letter(brief, destination="ops", message_id="<a@b>", thread="<t@b>", language=language).letter
        page = _Words()
        page.feed(made.html)
        seen = " ".join([made.subject, made.text, made.markdown, *page.seen])
        assert set(re.findall("[A-Za-z]{2,}", seen)) - said_by_gateways(brief) - OURS == set()
