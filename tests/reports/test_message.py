"""Mails and pages: subject, overview, size, safety against hostile names, attachments."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import pytest
from markdown_it import MarkdownIt
from msgspec.structs import replace
from support.e2e import valid
from support.renderings import GOLDEN, message_of, rendered, renderings
from support.summaries import (
    ALL_FAILED,
    AT,
    BEFORE,
    BREAKING,
    CALM,
    FULL,
    HOSTILE,
    INCIDENTS,
    NOTABLE,
    SOME,
    URGENT,
    hostile,
    many,
    only,
)

from pipeline.core.text import UNSAFE
from pipeline.core.types import Severity
from pipeline.reports.csv_json import as_csv
from pipeline.reports.render.feeds import calendar
from pipeline.reports.render.message import render
from pipeline.reports.render.scopes import ERROR_CLASSES
from pipeline.reports.types import FORMS, LANGUAGES, Incident, ResolvedIncident, Summary

_TEXT_FORMS = ("txt", "md", "html")
_UNSAFE = re.compile(f"(?!\n)[{UNSAFE}]")


@pytest.mark.parametrize("name", sorted(renderings()))
def test_renderings_are_as_in_the_golden_files(name: str) -> None:
    assert renderings()[name].encode() == (GOLDEN / name).read_bytes()


def test_every_golden_file_is_rendered() -> None:
    assert {path.relative_to(GOLDEN).as_posix() for path in GOLDEN.rglob("*.*")} == set(renderings())


HELD = (replace(INCIDENTS[1], new=False),)

SUBJECTS = [
    (FULL, "urgent: heron-2 removed (aihubmix, 12 keys), +2 price increases and 59 more"),
    (
        replace(CALM, changes=(URGENT[0], BREAKING[0], BREAKING[2], NOTABLE[2]), resolved=FULL.resolved),
        "urgent: heron-2 removed (aihubmix, 12 keys), +3 removed and 33 more",
    ),
    (
        replace(CALM, changes=(URGENT[0], BREAKING[0])),
        "urgent: heron-2 removed (aihubmix, 12 keys), +3 removed",
    ),
    (replace(CALM, changes=URGENT[:1]), "urgent: heron-2 removed (aihubmix, 12 keys)"),
    (replace(CALM, changes=NOTABLE[2:3]), "29 returned · aihubmix"),
    (only(BREAKING[0], URGENT[1]), "wren-large: price increase (aihubmix, 2 keys), +3 removed"),
    (replace(CALM, changes=(BREAKING[0], BREAKING[2])), "3 removed, 1 price increase · 2 gateways"),
    (
        replace(CALM, changes=(BREAKING[2], NOTABLE[2])),
        "whimbrel-image: price increase (lark-proxy/public), +29 returned",
    ),
    (
        replace(CALM, changes=NOTABLE[2:3], incidents=INCIDENTS[1:2]),
        "answer held, 20 instead of 300 models (lark-proxy/team), +29 returned",
    ),
    (replace(CALM, changes=(BREAKING[0], NOTABLE[2])), "3 removed, 29 returned · aihubmix"),
    (replace(CALM, incidents=INCIDENTS[:1]), "urgent: key rejected (aihubmix/batch)"),
    (replace(CALM, incidents=INCIDENTS[1:2]), "answer held, 20 instead of 300 models (lark-proxy/team)"),
    (replace(CALM, resolved=FULL.resolved), "1 held answer accepted, 2 scopes recovered · 2 gateways"),
    (replace(CALM, resolved=FULL.resolved[:1], changes=FULL.changes[-7:]), "1 scope recovered · lark-proxy"),
    (
        replace(CALM, resolved=FULL.resolved, changes=NOTABLE[2:3]),
        "1 held answer accepted, 29 returned, 2 scopes recovered · 2 gateways",
    ),
    (
        replace(CALM, resolved=FULL.resolved, changes=NOTABLE[2:3], incidents=INCIDENTS[1:2]),
        "1 held (models missing), 1 held answer accepted and 31 more · 2 gateways",
    ),
    (replace(CALM, first_answers=FULL.first_answers), "first answer of 1 scope"),
    (replace(CALM, changes=FULL.changes[-7:]), "7 minor changes only, 5 of 5 scopes answered"),
    (CALM, "no changes, 5 of 5 scopes answered"),
    (SOME, "no changes in the 4 of 5 scopes that answered"),
    (ALL_FAILED, "no answer from any of 5 scopes"),
]


@pytest.mark.parametrize(("summary", "subject"), SUBJECTS, ids=[subject for _, subject in SUBJECTS])
def test_the_subject_names_what_matters_most(summary: Summary, subject: str) -> None:
    assert message_of(summary).subject == f"[modelwatch] {subject}"


@pytest.mark.parametrize(
    ("summary", "badge", "headline"),
    [
        (replace(CALM, incidents=INCIDENTS[:1]), "Action needed", "Key rejected (aihubmix/batch)."),
        (replace(CALM, changes=BREAKING[:1]), "May break something", "3 removed at aihubmix."),
        (replace(CALM, changes=NOTABLE[2:3]), "For information", "29 returned at aihubmix."),
        (
            replace(CALM, incidents=INCIDENTS[2:]),
            "Still failing",
            "No changes, 5 of 5 scopes answered.",
        ),
        (replace(CALM, incidents=HELD), "Still held", "No changes, 5 of 5 scopes answered."),
        (ALL_FAILED, "Still failing", "No answer from any of 5 scopes."),
        (SOME, "Still failing", "No changes in the 4 of 5 scopes that answered."),
        (CALM, "No action needed", "No changes, 5 of 5 scopes answered."),
    ],
)
def test_badge_and_headline_come_first(summary: Summary, badge: str, headline: str) -> None:
    assert message_of(summary).text.splitlines()[:2] == [badge.upper(), headline]
    assert badge in message_of(summary).html
    assert message_of(summary).markdown.startswith(f"**{badge}**: ")


def test_the_headline_begins_with_what_is_urgent_and_names_the_rest_the_worst_first() -> None:
    text = " ".join(message_of(FULL).text.split())
    assert text.startswith("ACTION NEEDED heron-2 removed (aihubmix, 12 keys); also 2 price increases, ")
    assert "1 key rejected, 3 removed and 55 more. " in text[: text.index("23 Nov")]


def test_the_counts_begin_with_what_is_worse_and_end_with_recoveries() -> None:
    line = " ".join(message_of(FULL).text.partition("UTC\n")[2].split())
    assert line.startswith("4 removed · 2 price increases · 3 scopes failing or held · ")
    assert line.index("scopes failing or held") < line.index("returned") < line.index("scopes recovered")


def test_the_badge_is_not_green_while_scopes_fail() -> None:
    assert 'class="calm calm-wash"' not in message_of(ALL_FAILED).html
    assert 'class="notable notable-wash"' in message_of(ALL_FAILED).html
    urgent = tuple(replace(scope, urgent=True) for scope in ALL_FAILED.coverage)
    assert 'class="breaking breaking-wash"' in message_of(replace(ALL_FAILED, coverage=urgent)).html
    assert 'class="calm calm-wash"' in message_of(CALM).html


@pytest.mark.parametrize(
    ("since", "window"),
    [
        (None, "From the first run to 24 Nov 06:00 UTC"),
        (BEFORE, "23 Nov 06:00 – 24 Nov 06:00 UTC"),
        ("2026-11-24T05:10:00Z", "24 Nov 05:10 – 06:00 UTC"),
        ("2026-11-24T06:00:00Z", "24 Nov 06:00 UTC"),
    ],
)
def test_the_window_repeats_no_date(since: str | None, window: str) -> None:
    assert window in message_of(replace(CALM, since=since)).text.splitlines()


@pytest.mark.parametrize("summary", [FULL, CALM, SOME])
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_coverage_is_in_every_report(summary: Summary, language: str) -> None:
    last = message_of(summary, language).text.split("== ")[-1]
    assert str(summary.answered) in last
    assert str(summary.asked) in last


def test_changes_below_the_severity_are_only_counted() -> None:
    urgent = message_of(replace(FULL, min_severity=Severity.URGENT))
    assert "curlew-pro" not in urgent.text
    assert "Also 62 changes of lower severity: see changes.csv." in urgent.text.replace("\n", " ")
    everything = message_of(replace(FULL, min_severity=Severity.QUIET))
    assert "== Quiet ==" in everything.text
    assert "quiet-3" in everything.text
    assert "Also" not in everything.text


def test_the_chart_has_a_caption() -> None:
    assert 'aria-label="163 changes from 28 Oct to 24 Nov, most on 16 Nov: 41"' in message_of(FULL).html
    assert "163 changes" in message_of(FULL).text
    assert "<td valign" not in message_of(replace(FULL, days=())).html


def test_a_chart_needs_three_days() -> None:
    days = FULL.days[-3:]
    assert "28 Oct" not in message_of(replace(FULL, days=days)).text
    assert "30 changes from 22 Nov to 24 Nov" in message_of(replace(FULL, days=days)).text
    assert "changes from" not in message_of(replace(FULL, days=days[1:])).text


def test_a_hold_names_the_missing_watched_models() -> None:
    held = replace(INCIDENTS[1], missing_watched=("heron-2", "wren-large"))
    assert (
        "Watched models missing from it: heron-2, wren-large"
        in message_of(replace(CALM, incidents=(held,))).text
    )


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_subject_is_short_and_on_one_line(text: str, language: str) -> None:
    subject = message_of(hostile(text), language).subject
    assert len(subject) < 90
    assert not re.search("[\r\n]", subject)
    assert not _UNSAFE.search(subject)
    assert "2" in subject[-60:]


def test_ten_thousand_changes_make_a_mail_that_gmail_does_not_clip() -> None:
    mail = message_of(many(10_000), "ja")
    assert 40_000 < len(mail.html.encode()) < 100_000
    assert len(mail.text.encode()) < 60_000
    assert len(mail.markdown.encode()) < 60_000
    assert re.search(r"and 3,\d\d\d more: see changes\.csv", message_of(many(10_000)).text)


@pytest.mark.parametrize("text", HOSTILE)
def test_long_names_are_clipped_before_they_are_escaped(text: str) -> None:
    assert len(message_of(hostile((text * 200)[:20_000])).html.encode()) < 100_000


class _Tags(HTMLParser):
    """Collects the tags and attributes of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[tuple[str, str]] = set()
        self.open: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {(tag, name) for name, _ in attrs}
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_names_add_no_tag_and_no_attribute(text: str) -> None:
    page, plain = _Tags(message_of(hostile(text)).html), _Tags(message_of(hostile("plain")).html)
    assert not page.open
    assert set(page.tags) == set(plain.tags)
    assert page.attributes == plain.attributes


@pytest.mark.parametrize("text", HOSTILE)
def test_no_format_has_an_unsafe_character(text: str) -> None:
    summary = hostile(text)
    mail = message_of(summary)
    for form in (mail.subject, mail.text, mail.markdown, mail.html):
        assert not _UNSAFE.search(form)
    assert not _UNSAFE.search(calendar(summary.shutdowns, stamp=AT, language="en").replace("\r\n", "\n"))


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_names_are_only_text_in_markdown(text: str) -> None:
    tags = set(_Tags(MarkdownIt("commonmark").render(message_of(hostile(text)).markdown)).tags)
    assert tags <= {"p", "strong", "h2", "ul", "li", "code", "hr"}
    prose = re.sub("`[^`]*`", "", message_of(hostile(text)).markdown)
    assert "@" not in prose
    assert "http" not in prose


def test_only_backticks_are_escaped_in_markdown_code() -> None:
    text = message_of(hostile("<b>8</b>`")).markdown
    assert "`<b>8</b>\\u0060`" in text


def test_a_page_loads_nothing() -> None:
    html = message_of(FULL).html
    assert not re.search(
        r"(src|href|srcset|action|background)\s*=|url\(|@import|<script|<svg|<img|<link", html
    )


def test_the_attachments_have_every_step() -> None:
    table, value = message_of(FULL).attachments
    assert table.content.decode() == as_csv(FULL.events)
    report = json.loads(value.content)
    assert valid(report)
    assert len(report["changes"]) == len(FULL.events)
    assert len(report["recoveries"]) == len(FULL.recoveries)
    assert message_of(FULL).json.encode() == value.content


def test_an_empty_csv_is_not_attached() -> None:
    assert [each.name for each in message_of(SOME).attachments] == ["changes.json"]
    assert [each.name for each in message_of(FULL).attachments] == ["changes.csv", "changes.json"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_messages_without_attachments_name_the_command_instead(language: str) -> None:
    summary = many(1000)
    assert "changes.csv" in message_of(summary, language).text
    bare = rendered(summary, language, attached=False).message
    for text in (
        bare.text,
        bare.markdown,
        bare.html,
        *(render(summary, form, language=language) for form in _TEXT_FORMS),
    ):
        assert "changes.csv" not in text
        assert "modelwatch changes --all" in " ".join(text.split())


@pytest.mark.parametrize("form", FORMS)
def test_a_single_format_is_the_same_as_in_the_mail(form: str) -> None:
    mail = rendered(FULL, attached=False).message
    whole = {
        "txt": mail.text.replace("Sent to destination ops\n", ""),
        "md": mail.markdown.replace("Sent to destination `ops` · ", ""),
        "html": mail.html.replace('Sent to destination <b style="font-weight:600">ops</b> · ', ""),
        "csv": mail.attachments[0].content.decode(),
        "json": mail.json,
    }
    assert render(FULL, form, language="en") == whole[form]


@pytest.mark.parametrize("language", LANGUAGES)
def test_watched_models_that_are_missing_or_back_and_short_failures_are_named_in_every_language(
    language: str,
) -> None:
    pending = Incident(
        Severity.URGENT, "pending", "aihubmix", ("aihubmix/prod",), AT, new=True, missing_watched=("heron-2",)
    )
    resolved = ("aihubmix", ("aihubmix/prod",), False, BEFORE, AT, 3600)
    ends = [ResolvedIncident(Severity.NOTABLE, "pending", *resolved, models=("wren",))]
    ends += [
        ResolvedIncident(Severity.NOTABLE, "failed", *resolved, error_class=each, reported=False)
        for each in ERROR_CLASSES
    ]
    found = message_of(replace(CALM, incidents=(pending,), resolved=tuple(ends)), language)
    assert "heron-2" in found.subject
    lines = found.text.splitlines()
    body = lines[lines.index("", 1) :]
    assert len({line for line in body if "aihubmix/prod" in line}) == 2 + len(ERROR_CLASSES)
    assert sum("wren" in line for line in lines) == 1
