"""The message catalogues are complete and consistent, and figures are formatted for each language."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from html.parser import HTMLParser

import pytest
from msgspec.structs import replace
from support import ROOT
from support.summaries import ALL_FAILED, AT, CALM, COVERAGE, FULL, INCIDENTS, SOME

from pipeline.core.price_conditions import OTHER_UNITS
from pipeline.core.types import FieldChange, Kind, Severity
from pipeline.reports.render.changes import ChangeType
from pipeline.reports.render.locales import CatalogueMessage, Locale, load_messages
from pipeline.reports.render.message import write_message
from pipeline.reports.render.scopes import ERROR_CLASSES, HOLDS
from pipeline.reports.types import LANGUAGES, FirstAnswer, NetChange, Summary

SOURCES = ROOT / "pipeline" / "reports" / "render"
SHARED_WORDS = {"UTC", "modelwatch", "changes", "csv", "ops", "accept", "all"} | {
    "concurrency",
    "dialect",
    "path",
    "url",
}
"""Words that every language has: the program, its commands, files and settings, the time zone."""


def variants(message: CatalogueMessage) -> list[str]:
    return [message] if isinstance(message, str) else list(message.values())


def placeholders(text: str) -> set[str]:
    return set(re.findall(r"\{(\w+)\}", text))


def test_every_language_has_a_catalogue() -> None:
    found = {path.stem for path in (SOURCES / "languages").iterdir()}
    assert found == set(LANGUAGES)


@pytest.mark.parametrize("language", LANGUAGES)
def test_all_catalogues_have_the_same_keys_in_the_same_order(language: str) -> None:
    assert list(load_messages(language)) == list(load_messages("en"))


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_unit_of_a_price_has_its_words(language: str) -> None:
    keys = load_messages(language).keys()
    assert {f"price.{name}" for unit in OTHER_UNITS for name in (unit, f"per_{unit}")} <= keys


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_key_is_repeated(language: str) -> None:
    keys: list[str] = []
    text = (SOURCES / "languages" / f"{language}.json").read_text("utf-8")
    json.loads(text, object_pairs_hook=lambda pairs: keys.extend(key for key, _ in pairs))
    own = [key for key in keys if key not in ("one", "other")]
    assert len(own) == len(set(own))


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_key_is_used(language: str) -> None:
    code = "".join(path.read_text("utf-8") for path in SOURCES.glob("*.py"))
    unused = {
        key
        for key in load_messages(language)
        if f'"{key}"' not in code and f'f"{key.rpartition(".")[0]}.{{' not in code
    }
    assert not unused


@pytest.mark.parametrize("key", load_messages("en"))
def test_translations_have_the_placeholders_of_the_english(key: str) -> None:
    expected = set().union(*map(placeholders, variants(load_messages("en")[key])))
    for language in LANGUAGES:
        message = load_messages(language)[key]
        assert isinstance(message, str) or set(message) == {"one", "other"}
        *ones, other = variants(message)
        assert placeholders(other) | {"n"} == expected | {"n"} or key == "format.day_of_year"
        assert all(placeholders(other) - placeholders(one) <= {"n", "answered", "day"} for one in ones)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_type_of_change_and_incident_has_its_messages(language: str) -> None:
    causes = (*HOLDS, *ERROR_CLASSES)
    keys = {f"{stem}.{each}" for each in ChangeType for stem in ("urgent", "total", "block")}
    keys |= {f"{stem}.{each}" for each in causes for stem in ("urgent", "total", "incident", "advice")}
    keys |= {f"badge.{each}" for each in (*list(Severity)[:3], "failed", "held", "no_news", "no_action")}
    keys |= {f"count.{each}" for each in (*ChangeType, "resolved", "incidents", "shutdowns")}
    assert keys <= load_messages(language).keys()


@pytest.mark.parametrize("language", LANGUAGES)
def test_counts_are_named_as_in_the_subject(language: str) -> None:
    locale = Locale(language)
    for each in (*ChangeType, "resolved"):
        total, name = locale.plain(f"total.{each}", n=2), locale.plain(f"count.{each}", n=2)
        assert set(name) <= set(total)
        assert language != "en" or total == f"2 {name}"


def test_english_distinguishes_one_and_other() -> None:
    locale = Locale("en")
    assert [locale.plain("duration.days", n=number) for number in ("1", "2.5")] == ["1 day", "2.5 days"]
    assert [locale.plain("count.keys", n=number) for number in (0, 1, 2)] == ["0 keys", "1 key", "2 keys"]


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
def test_figures_are_formatted_for_the_language(language: str) -> None:
    locale = Locale(language, today="2026-11-24")
    assert [
        locale.minute(AT),
        locale.day("2027-01-31"),
        locale.number(1_000_000),
        locale.money(Decimal("2.4")),
        locale.money(Decimal("0.075")),
        locale.percent(Decimal("-25.0")),
        locale.duration(501_120),
        locale.duration(10_800),
    ] == FIGURES[language]


def everything() -> list[Summary]:
    """Return summaries that together use every message."""
    changes = tuple(
        NetChange(severity, Kind.CHANGED, "aihubmix", ("heron-2",), ("aihubmix/prod",), fields=(field,))
        for severity in Severity
        for category in ("limits", "lifecycle", "capabilities", "other")
        for field in (
            FieldChange("features", '["tools"]', None, category),
            FieldChange("context_length", "1", "2", category),
        )
    )
    classes = tuple(
        replace(INCIDENTS[0], error_class=name, severity=severity, last_answered=last)
        for name in ERROR_CLASSES
        for severity, last in ((Severity.URGENT, None), (Severity.BREAKING, AT))
    )
    return [
        FULL,
        CALM,
        SOME,
        replace(FULL, changes=changes, incidents=classes, since=None),
        *(replace(FULL, changes=(change,), incidents=()) for change in (*changes, *FULL.changes)),
        *(replace(FULL, changes=(), incidents=(incident,)) for incident in (*classes, *INCIDENTS)),
        replace(FULL, changes=(), incidents=()),
        replace(FULL, changes=FULL.changes[-7:], incidents=(), resolved=(), first_answers=()),
        replace(CALM, first_answers=(FirstAnswer("aihubmix", ("aihubmix/prod",), 57),)),
        ALL_FAILED,
    ]


class _Words(HTMLParser):
    """Collects the text of a page, and the attributes that screen readers read."""

    def __init__(self) -> None:
        super().__init__()
        self.text: list[str] = []
        self._inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside = tag
        self.text += [value or "" for name, value in attrs if name in ("title", "aria-label")]

    def handle_data(self, data: str) -> None:
        if self._inside != "style":
            self.text.append(data)


def words_of_gateways(summary: Summary) -> set[str]:
    """Return the words in ids, names, values and errors."""
    scopes = (*COVERAGE, *summary.coverage)
    texts = [text for scope in scopes for text in (scope.scope, scope.key or "")]
    for change in summary.changes:
        texts += [*change.models, *change.scopes, *change.groups, change.label.removeprefix("of ")]
        texts += [
            change.case_variant or "",
            change.successor or "",
            *(price.name for price in change.prices if not price.unit),
        ]
        texts += [side or "" for field in change.fields for side in (field.field, field.before, field.after)]
    texts += [incident.message for incident in summary.incidents] + [
        shutdown.model for shutdown in summary.shutdowns
    ]
    texts += [
        each.gateway
        for each in (*summary.changes, *summary.incidents, *summary.shutdowns, *summary.first_answers)
    ]
    texts += [model for _, models in summary.pending for model in models]
    return set(re.findall("[A-Za-z]{2,}", " ".join(texts)))


@pytest.mark.parametrize("language", [language for language in LANGUAGES if language != "en"])
def test_translated_mails_have_no_english_except_text_of_gateways(language: str) -> None:
    for summary in everything():
        made = write_message(
            summary, destination="ops", message_id="<a@b>", thread="<t@b>", language=language
        ).message
        page = _Words()
        page.feed(made.html)
        text = " ".join([made.subject, made.text, made.markdown, *page.text])
        assert set(re.findall("[A-Za-z]{2,}", text)) - words_of_gateways(summary) - SHARED_WORDS == set()
