"""What a report looks like as mail, page, feed, calendar and on a terminal; no text of others harms it."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from dataclasses import replace
from decimal import Decimal
from functools import cache
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree as ET

import feedparser
import icalendar
import pytest
from markdown_it import MarkdownIt
from rich.console import Console
from support import ROOT
from support.e2e import valid
from support.renderings import ENTRY_ID, GOLDEN, renderings
from support.summaries import (
    AT,
    BEFORE,
    BREAKING,
    CALM,
    FULL,
    INCIDENTS,
    LONG,
    NASTY,
    NIGHT,
    NOTABLE,
    SOME,
    URGENT,
    hostile,
    many,
)

from pipeline.cli.reports import print_summary
from pipeline.core.canonical import as_text
from pipeline.core.types import FieldChange, Kind, Severity
from pipeline.errors import ConfigError
from pipeline.reports.csv_json import as_csv
from pipeline.reports.render import Entry, RenderedMessage, atom, calendar, json_feed, render, write_message
from pipeline.reports.render.colours import BACKGROUND, TEXT, TEXT_ON_BACKGROUND
from pipeline.reports.types import FORMS, LANGUAGES, Message, NetChange, Shutdown, Summary

UNSAFE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
PROSE = ("txt", "md", "html")
HOSTILE = (
    NASTY,
    LONG,
    "\x00\x1b]0;title\x07\u2066",
    "{{ 7 * 7 }}{% raw %}",
    "]]>&amp;<!--",
    '" onload="x',
    " ",
)


def written(
    summary: Summary, language: str = "en", *, attached: bool = True, **templates: str
) -> RenderedMessage:
    own = {f"{name}.j2": text for name, text in templates.items()}
    return write_message(
        summary,
        destination="ops",
        message_id=ENTRY_ID,
        thread="<ops@modelwatch>",
        language=language,
        attached=attached,
        templates={name.replace("_", "."): text for name, text in own.items()},
    )


@cache
def made(summary: Summary, language: str = "en") -> Message:
    return written(summary, language).message


def only(*lines: object, severity: Severity = Severity.BREAKING) -> Summary:
    return replace(CALM, changes=tuple(replace(line, severity=severity) for line in lines))  # type: ignore[type-var]


@pytest.mark.parametrize("name", sorted(renderings()))
def test_golden(name: str) -> None:
    """A report that has everything looks in every form and language as it was last looked at."""
    assert renderings()[name].encode() == (GOLDEN / name).read_bytes()


def test_no_golden_file_lies_about() -> None:
    """What is no longer rendered is no longer kept."""
    assert {path.relative_to(GOLDEN).as_posix() for path in GOLDEN.rglob("*.*")} == set(renderings())


SILENT = replace(CALM, coverage=tuple(replace(each, state="failed") for each in CALM.coverage))

HELD = (replace(INCIDENTS[1], new=False),)

SUBJECTS = [
    (FULL, "urgent: heron-2 removed (aihubmix, 12 keys), +55 more"),
    (replace(CALM, changes=URGENT[:1]), "urgent: heron-2 removed (aihubmix, 12 scopes)"),
    (replace(CALM, changes=NOTABLE[2:3]), "29 back · aihubmix"),
    (only(BREAKING[0], URGENT[1]), "3 removed, 1 dearer · aihubmix"),
    (replace(CALM, changes=(BREAKING[0], BREAKING[2])), "3 removed, 1 dearer · 2 gateways"),
    (replace(CALM, incidents=INCIDENTS[:1]), "urgent: key refused (aihubmix, 1 key)"),
    (replace(CALM, incidents=INCIDENTS[1:2]), "1 scope held · lark-proxy"),
    (replace(CALM, resolved=FULL.resolved), "3 scopes well again · 2 gateways"),
    (replace(CALM, resolved=FULL.resolved[:1], changes=FULL.changes[-7:]), "1 scope well again · lark-proxy"),
    (
        replace(CALM, resolved=FULL.resolved, changes=NOTABLE[2:3]),
        "3 scopes well again, 29 back · 2 gateways",
    ),
    (replace(CALM, first_answers=FULL.first_answers), "first answer of 1 scope"),
    (replace(CALM, changes=FULL.changes[-7:]), "7 minor changes only, 5 of 5 scopes answered"),
    (CALM, "no changes, 5 of 5 scopes answered"),
    (SOME, "no changes in what 4 of 5 scopes answered"),
    (SILENT, "no answer from any of 5 scopes"),
]


@pytest.mark.parametrize(("summary", "subject"), SUBJECTS, ids=[subject for _, subject in SUBJECTS])
def test_the_subject_says_what_matters_most(summary: Summary, subject: str) -> None:
    """A list of mails is enough to know which of them needs somebody."""
    assert made(summary).subject == f"[modelwatch] {subject}"


@pytest.mark.parametrize(
    ("summary", "badge", "headline"),
    [
        (FULL, "Needs you now", "heron-2 removed (aihubmix, 12 keys), and 55 more."),
        (replace(CALM, incidents=INCIDENTS[:1]), "Needs you now", "Key refused (aihubmix, 1 key)."),
        (replace(CALM, changes=BREAKING[:1]), "May break something", "3 removed at aihubmix."),
        (replace(CALM, changes=NOTABLE[2:3]), "Good to know", "29 back at aihubmix."),
        (
            replace(CALM, incidents=INCIDENTS[2:]),
            "Still not answering",
            "No changes, 5 of 5 scopes answered.",
        ),
        (replace(CALM, incidents=HELD), "Still held", "No changes, 5 of 5 scopes answered."),
        (SILENT, "Still not answering", "No answer from any of 5 scopes."),
        (SOME, "Still not answering", "No changes in what 4 of 5 scopes answered."),
        (CALM, "Nothing to do", "No changes, 5 of 5 scopes answered."),
    ],
)
def test_the_first_lines_say_whether_anything_needs_somebody(
    summary: Summary, badge: str, headline: str
) -> None:
    """One glance is enough; that nothing changed is only said of what was seen."""
    assert made(summary).text.splitlines()[:2] == [badge.upper(), headline]
    assert badge in made(summary).html
    assert made(summary).markdown.startswith(f"**{badge}**: ")


@pytest.mark.parametrize("summary", [FULL, CALM, SOME])
@pytest.mark.parametrize("language", LANGUAGES)
def test_what_it_is_based_on_is_always_said(summary: Summary, language: str) -> None:
    """How many scopes answered, of how many, stands in every report."""
    last = made(summary, language).text.split("== ")[-1]
    assert str(summary.answered) in last
    assert str(len(summary.coverage)) in last


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_subject_is_short_and_on_one_line(text: str, language: str) -> None:
    """Whatever a model is called, it can neither add a header nor push the rest away."""
    subject = made(hostile(text), language).subject
    assert len(subject) < 90
    assert not re.search("[\r\n]", subject)
    assert not UNSAFE.search(subject)
    assert "55" in subject


def test_a_great_number_of_changes_is_cut_to_what_mail_clients_show() -> None:
    """Ten thousand changes make a mail below what Gmail clips, which says where the rest is."""
    mail = made(many(10_000), "ja")
    assert 40_000 < len(mail.html.encode()) < 100_000
    assert len(mail.text.encode()) < 60_000
    assert len(mail.markdown.encode()) < 60_000
    assert re.search(r"and 3,\d\d\d more, in changes\.csv", made(many(10_000)).text)


@pytest.mark.parametrize("text", HOSTILE)
def test_long_and_many_hostile_names_do_not_make_it_larger(text: str) -> None:
    """What is clipped is clipped before it is escaped."""
    assert len(made(hostile(text * 200)).html.encode()) < 100_000


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
def test_hostile_names_are_only_text_in_html(text: str) -> None:
    """No tag and no attribute comes from a gateway; every tag that is opened is closed."""
    page, plain = _Tags(made(hostile(text)).html), _Tags(made(hostile("plain")).html)
    assert not page.open
    assert set(page.tags) == set(plain.tags)
    assert page.attributes == plain.attributes


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_names_steer_nothing(text: str) -> None:
    """No control character and no change of direction is in any form."""
    summary = hostile(text)
    mail = made(summary)
    for form in (mail.subject, mail.text, mail.markdown, mail.html):
        assert not UNSAFE.search(form)
    assert not UNSAFE.search(calendar(summary.shutdowns, stamp=AT, language="en").replace("\r\n", "\n"))


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_names_are_only_text_in_markdown(text: str) -> None:
    """Read as Markdown there is no link, no picture, no markup, and nothing bold that we did not make so."""
    tags = set(_Tags(MarkdownIt("commonmark").render(made(hostile(text)).markdown)).tags)
    assert tags <= {"p", "strong", "h2", "ul", "li", "code", "hr"}
    prose = re.sub("`[^`]*`", "", made(hostile(text)).markdown)
    assert "@" not in prose
    assert "http" not in prose


def test_a_name_that_is_a_template_is_not_filled() -> None:
    """A gateway writes no template."""
    assert "49" not in made(hostile("{{ 7 * 7 }}")).text
    assert "{{ 7 * 7 }}0" in made(hostile("{{ 7 * 7 }}")).text


def test_a_page_loads_nothing() -> None:
    """No picture, style, font or script comes from elsewhere: a page looks the same without a network."""
    html = made(FULL).html
    assert not re.search(
        r"(src|href|srcset|action|background)\s*=|url\(|@import|<script|<svg|<img|<link", html
    )


def test_the_picture_has_words() -> None:
    """Who sees no colours and no bars reads how many changes there were."""
    assert 'aria-label="163 changes from 28 Oct to 24 Nov, most on 16 Nov: 41"' in made(FULL).html
    assert "163 changes" in made(FULL).text
    assert "<td valign" not in made(replace(FULL, days=())).html


def luminance(colour: str) -> float:
    parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(first: str, second: str) -> float:
    """The contrast of two colours as WCAG 2 computes it."""
    low, high = sorted(map(luminance, (first, second)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize(("ink", "ground"), TEXT_ON_BACKGROUND)
def test_every_word_can_be_read(ink: str, ground: str) -> None:
    """By day and by night the contrast is what WCAG asks at level AA."""
    assert contrast(TEXT[ink].light, BACKGROUND[ground].light) >= 4.5
    assert contrast(TEXT[ink].dark, BACKGROUND[ground].dark) >= 4.5


def test_the_attachments_are_the_report_itself() -> None:
    """What was cut or folded for people is there in full, in the shape of the schema."""
    table, value = made(FULL).attachments
    assert table.content.decode() == as_csv(FULL.events)
    report = json.loads(value.content)
    assert valid(report)
    assert len(report["changes"]) == len(FULL.events)
    assert len(report["recoveries"]) == len(FULL.recoveries)
    assert made(FULL).json.encode() == value.content


@pytest.mark.parametrize("form", FORMS)
def test_a_form_by_itself_is_what_the_mail_has(form: str) -> None:
    """A file differs from what is sent only in that it is for no destination."""
    mail = written(FULL, attached=False).message
    whole = {
        "txt": mail.text.replace("For ops, as the config asks.\n", ""),
        "md": mail.markdown.replace("For `ops`, as the config asks. · ", ""),
        "html": mail.html.replace('For <b style="font-weight:600">ops</b>, as the config asks. · ', ""),
        "csv": mail.attachments[0].content.decode(),
        "json": mail.json,
    }
    assert render(FULL, form, language="en") == whole[form]


def test_a_template_of_one_s_own_is_used() -> None:
    """The words are handed over ready; a template puts them where it likes, and may build on ours."""
    ours = written(
        FULL,
        subject="{{ page.counts[0].number }}\n {{ page.counts[0].name }}",
        mail_html='{% extends "builtin/mail.html.j2" %}'
        "{% block footer %}Ask {{ summary.run.snapshot }}{% endblock %}",
        mail_txt="{{ page.headline | plain }}",
    )
    assert not ours.problems
    assert ours.message.subject == "3 scopes well again"
    assert ours.message.text == "heron-2 removed (aihubmix, 12 keys), and 55 more.\n"
    assert "Ask 812" in ours.message.html
    assert "<h2" in ours.message.html
    assert ours.message.markdown == made(FULL).markdown


def test_the_template_in_the_readme_works() -> None:
    """Who copies it gets the mail with one line more."""
    readme = (ROOT / "README.md").read_text("utf-8")
    [template] = re.findall(r"^```jinja\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL)
    found = written(FULL, mail_html=template)
    assert not found.problems
    line = "<p>Call the one on duty: 555 0100.</p>"
    assert found.message.html.replace(line, "").replace("\n", "") == made(FULL).html.replace("\n", "")
    assert line not in written(CALM, mail_html=template).message.html


MISTAKES = [
    ("{{ page.headline | plain }}\n{% for %}", "mail.txt.j2:2: Expected"),
    ("one\ntwo {{ page.nothing }}", "mail.txt.j2:2: a page has no 'nothing'"),
    (
        "{% for each in page.sections %}\n{{ each.titel }}\n{% endfor %}",
        "mail.txt.j2:2: a section has no 'titel'",
    ),
    ("{{ page.headline | shiny }}", "mail.txt.j2:1: No filter named 'shiny'"),
    ("\n\n{{ 1 // 0 }}", "mail.txt.j2:3: ZeroDivisionError: "),
    ("{{ ().__class__.__bases__ }}", "mail.txt.j2:1: access to attribute '__class__'"),
    ('{% include "other.j2" %}', "mail.txt.j2:1: there is no template 'other.j2'"),
    ("\n{{ 'x' * page.counts | length }}\n{{ page.tone + 1 }}", "mail.txt.j2:3: TypeError: "),
]


@pytest.mark.parametrize(("text", "problem"), MISTAKES, ids=[problem for _, problem in MISTAKES])
def test_a_mistake_in_a_template_is_told_and_the_mail_goes_all_the_same(text: str, problem: str) -> None:
    """File, line and what is wrong are named, and the form is the built-in one."""
    found = written(FULL, mail_txt=text)
    assert [each[: len(problem)] for each in found.problems] == [problem]
    assert found.message == made(FULL)


def test_a_mistake_in_a_template_is_an_error_where_only_that_form_is_asked_for() -> None:
    """Who renders one form by hand is told, and gets nothing else."""
    with pytest.raises(ConfigError) as caught:
        render(FULL, "md", language="en", templates={"mail.md.j2": "{{"})
    assert caught.value.where == "mail.md.j2:1"


def test_a_subject_of_one_s_own_is_harmless_too() -> None:
    """A template can make no header of a line break."""
    subject = written(FULL, subject="a\r\nBcc: b\u202e").message.subject
    assert subject == "a Bcc: b\\u202e"


def entry(summary: Summary) -> Entry:
    mail = made(summary)
    return Entry(mail.message_id, mail.at, mail.subject, mail.html, mail.text)


@pytest.mark.parametrize("summary", [FULL, CALM, *map(hostile, HOSTILE)])
def test_a_feed_is_read_by_feed_readers(summary: Summary) -> None:
    """It is well-formed, and says of each report its id, time, subject and body."""
    text = atom("modelwatch: ops", [entry(summary)], feed_id="<ops@modelwatch>", at=AT, language="en")
    assert ET.fromstring(text).tag == "{http://www.w3.org/2005/Atom}feed"
    feed = feedparser.parse(text)
    assert not feed.bozo
    assert (feed.feed.id, feed.feed.updated, feed.feed.title) == ("mid:ops@modelwatch", AT, "modelwatch: ops")
    [found] = feed.entries
    assert (found.id, found.updated) == ("mid:812.ops@modelwatch", AT)
    raw = ET.fromstring(text).find("{*}entry")
    assert raw is not None
    assert raw.findtext("{*}title") == made(summary).subject
    content = raw.findtext("{*}content") or ""
    assert content.startswith("<table")
    assert content in made(summary).html


def test_an_empty_feed_is_one() -> None:
    """Before the first report there is a feed to subscribe to."""
    feed = feedparser.parse(atom("a<b", [], feed_id="urn:x", at=AT, language="ja"))
    assert (feed.bozo, feed.entries, feed.feed.updated) == (False, [], AT)


def test_a_json_feed_says_the_same() -> None:
    """It has what version 1.1 asks for."""
    feed = json.loads(json_feed("modelwatch: ops", [entry(FULL)], language="en"))
    assert (feed["version"], feed["title"]) == ("https://jsonfeed.org/version/1.1", "modelwatch: ops")
    [item] = feed["items"]
    assert (item["id"], item["date_published"]) == ("mid:812.ops@modelwatch", AT)
    assert (item["title"], item["content_text"]) == (made(FULL).subject, made(FULL).text)


def events(text: str) -> list[icalendar.Event]:
    return list(icalendar.Calendar.from_ical(text).walk("VEVENT"))


@pytest.mark.parametrize("text", ["heron-2", *HOSTILE])
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_calendar_is_read_by_calendars(text: str, language: str) -> None:
    """Each line ends in CR LF and has at most 75 octets, and what was escaped is read as it was."""
    found = calendar(
        [Shutdown("2027-01-31", 68, "lark", f"{text};,\\", ("lark/a",))], stamp=AT, language=language
    )
    lines = found.split("\r\n")
    assert max(len(line.encode()) for line in lines) <= 75
    assert "\n" not in "".join(lines)
    [event] = events(found)
    assert event.decoded("dtstart").isoformat() == "2027-01-31"
    assert event.decoded("dtend").isoformat() == "2027-02-01"
    assert event.decoded("dtstamp").isoformat() == "2026-11-24T06:00:00+00:00"
    if text == "heron-2":
        assert "heron-2;,\\" in event["summary"]
        assert "lark/a" in event["description"]


def test_a_model_is_one_event_however_many_lose_it() -> None:
    """Scopes that lose a model on a day share an event, whose id is the same each time."""
    day = "2027-01-31"
    ends = [Shutdown(day, 68, "lark", "heron", (f"lark/{name}",)) for name in "ab"]
    other = Shutdown("2027-02-01", 69, "lark", "heron", ("lark/c",))
    first, second = events(calendar([*ends, other], stamp=AT, language="en"))
    assert first["description"] == "heron is announced to end on 31 Jan 2027, for lark/a, lark/b."
    assert first["uid"] != second["uid"]
    [again] = events(calendar(ends[:1], stamp="2026-12-01T00:00:00Z", language="ja"))
    assert again["uid"] == first["uid"]


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_steers_the_terminal(text: str) -> None:
    """Without colours of ours there is no escape sequence; markup of rich is no markup."""
    output = io.StringIO()
    console = Console(file=output, force_terminal=True, color_system=None, width=100)
    print_summary(hostile(text), "en", console)
    assert not UNSAFE.search(output.getvalue())
    assert "aihubmix/batch: key refused" in output.getvalue()


def test_a_terminal_is_told_the_same_in_colours(capsys: pytest.CaptureFixture[str]) -> None:
    """All words of the text are on the terminal; elsewhere it is the text itself."""
    output = io.StringIO()
    print_summary(FULL, "ja", Console(file=output, force_terminal=True, color_system="standard", width=400))
    assert "\x1b[" in output.getvalue()
    shown = re.sub(r"\x1b\[[\d;]*m", "", output.getvalue())
    for line in render(FULL, "txt", language="ja").splitlines():
        assert line.strip("= ") in shown or "▁" in line or "modelwatch" in line or line == "--"
    print_summary(FULL, "ja")
    assert capsys.readouterr().out == render(FULL, "txt", language="ja")


def test_templates_are_loaded_when_something_is_rendered() -> None:
    """A run that tells nobody anything does not wait for a template engine."""
    code = "import pipeline.renderings, sys; sys.exit('jinja2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_what_matters_less_than_asked_for_is_only_counted() -> None:
    """Who wants to be told of what is urgent reads how much else there was; who wants all reads all."""
    urgent = made(replace(FULL, min_severity=Severity.URGENT))
    assert "curlew-pro" not in urgent.text
    assert "59 changes besides that matter less, in changes.csv." in urgent.text.replace("\n", " ")
    everything = made(replace(FULL, min_severity=Severity.QUIET))
    assert "== Quiet ==" in everything.text
    assert "quiet-3" in everything.text
    assert "besides" not in everything.text


def one(line: NetChange, form: str = "txt", language: str = "en") -> str:
    """Give what a report says that has a line alone, its words as they come."""
    return " ".join(render(only(line, severity=line.severity), form, language=language).split())


def changed(*fields: FieldChange, severity: Severity = Severity.NOTABLE, **more: Any) -> NetChange:
    """Give a line of a model whose fields changed."""
    return NetChange(severity, Kind.CHANGED, "acme", ("lyra",), ("acme/one",), fields=fields, at=AT, **more)


def test_many_that_went_together_are_named() -> None:
    """By what they share one knows who, by their names what to look for; the rest is counted."""
    gone = replace(NOTABLE[2], kind=Kind.REMOVED, severity=Severity.BREAKING)
    assert "29 models *:batch: siskin-0:batch, siskin-1:batch, " in one(gone)
    assert "siskin-11:batch and 17 more" in one(gone)
    assert "*:batch の29モデル：siskin-0:batch、" in one(gone, language="ja")
    assert "*:batch 共 29 个模型：siskin-0:batch、" in one(gone, language="zh-CN")


def test_a_badge_is_not_green_while_nobody_answers() -> None:
    """That there is no news is no good news as long as a trouble stands."""
    assert 'class="calm calm-wash"' not in made(SILENT).html
    assert 'class="breaking breaking-wash"' in made(SILENT).html
    assert 'class="calm calm-wash"' in made(CALM).html


def test_json_in_a_text_is_told_by_what_differs_in_it() -> None:
    """Of a price table in a text the one price that moved is told, not its first characters twice."""
    before = json.dumps({"model_name": "lyra" * 20, "tiers": [{"input": 1, "output": 8}]}, indent=2)
    after = before.replace("8", "9")
    text = one(changed(FieldChange("metadata.billing", as_text(before), as_text(after), "price")))
    assert "metadata.billing: tiers.0.output 8 → 9" in text
    assert "lyralyra" not in text


def test_long_texts_are_told_by_where_they_differ() -> None:
    """What both begin with is left out."""
    begin = "a very long text about nothing at all, " * 3
    text = one(changed(FieldChange("notes", f"{begin}old", f"{begin}new", "other")))
    assert re.search(r"notes ….*all, old → ….*all, new", text)


def test_what_changed_in_each_of_many_is_told_once() -> None:
    """The fields that say the same are told, the others named."""
    fields = (FieldChange("billing", "a", "b", "other"), FieldChange("tier", "1", "2", "other"))
    line = replace(changed(*fields), models=tuple(f"m{n:02}" for n in range(70)), varying=("billing",))
    assert "70 models: m00, m01," in one(line)
    assert "m11 and 58 more tier 1 → 2 billing: another value in each" in one(line)


def test_a_limit_of_0_says_nothing() -> None:
    """That a gateway gives a limit no more is no cut, and is told as such."""
    text = one(changed(FieldChange("context_length", "200000", "0", "limits")))
    assert "context 200,000 (given no more)" in text
    assert "1 with other limits" in text
    assert "context 8,000 (new)" in one(changed(FieldChange("context_length", "0", "8k", "limits")))
    assert "context unlimited" not in one(changed(FieldChange("context_length", "8", "unlimited", "limits")))


CUT = FieldChange("context_length", "8000", "4000", "limits")
CHEAPER = replace(NOTABLE[0].prices[0], before=Decimal(2), after=Decimal(1))
WORST = [
    (changed(CUT, prices=(CHEAPER,)), "1 with lower limits"),
    (replace(changed(CUT), kind=Kind.RETURNED, away_seconds=7200), "1 with lower limits"),
    (changed(FieldChange("features", '["tools"]', "[]", "capabilities")), "1 with lost capabilities"),
    (changed(prices=(replace(CHEAPER, before=None),)), "1 newly priced"),
    (changed(prices=(replace(CHEAPER, after=None),)), "1 with other prices"),
    (changed(prices=(CHEAPER, replace(CHEAPER, before=Decimal(0)))), "1 with other prices"),
]


@pytest.mark.parametrize(("line", "told"), WORST)
def test_what_is_counted_is_what_matters_most(line: NetChange, told: str) -> None:
    """The badge says that something may break; subject and counts say what, in the same words."""
    mail = made(only(line))
    assert f"{told} · acme" in mail.subject
    assert f"\n{told}\n" in mail.text
    assert ("back after 2 h" in mail.text) == (line.kind == Kind.RETURNED)


def test_a_picture_needs_some_days() -> None:
    """Of the first days there is nothing to see yet."""
    days = FULL.days[-3:]
    assert "28 Oct" not in made(replace(FULL, days=days)).text
    assert "30 changes from 22 Nov to 24 Nov" in made(replace(FULL, days=days)).text
    assert "changes from" not in made(replace(FULL, days=days[1:])).text


@pytest.mark.parametrize(
    ("since", "window"),
    [
        (None, "From the first run to 24 Nov 06:00 UTC"),
        (BEFORE, "23 Nov 06:00 – 24 Nov 06:00 UTC"),
        ("2026-11-24T05:10:00Z", "24 Nov 05:10 – 06:00 UTC"),
        ("2026-11-24T06:00:00Z", "24 Nov 06:00 UTC"),
    ],
)
def test_the_window_is_said_in_short(since: str | None, window: str) -> None:
    """It says where it begins, and a day once."""
    assert window in made(replace(CALM, since=since)).text.splitlines()


def test_removals_are_told_in_the_order_of_time() -> None:
    """Those that were missed first come first, whatever their names."""
    gone = [
        NetChange(Severity.BREAKING, Kind.REMOVED, "acme", (model,), ("acme/one",), at=AT, since=since)
        for model, since in (("b", NIGHT), ("a", AT), ("c", BEFORE))
    ]
    text = made(only(*gone)).text
    assert text.index("\n  c\n") < text.index("\n  b\n") < text.index("\n  a\n")


def test_one_answers_and_several_answer() -> None:
    """A verb goes with its subject."""
    two = replace(FULL.resolved[0], scopes=("lark-proxy/a", "lark-proxy/b"))
    assert "lark-proxy/public answers again" in made(replace(CALM, resolved=FULL.resolved[:1])).text
    assert "lark-proxy/a, lark-proxy/b answer again" in made(replace(CALM, resolved=(two,))).text


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_file_is_only_named_where_it_is(language: str) -> None:
    """What goes without attachments names the command that tells the rest."""
    summary = many(1000)
    assert "changes.csv" in made(summary, language).text
    bare = written(summary, language, attached=False).message
    for text in (
        bare.text,
        bare.markdown,
        bare.html,
        *(render(summary, form, language=language) for form in PROSE),
    ):
        assert "changes.csv" not in text
        assert "modelwatch changes --all" in " ".join(text.split())


def test_an_empty_table_is_not_attached() -> None:
    """A mail without changes has no file of changes."""
    assert [each.name for each in made(SOME).attachments] == ["changes.json"]
    assert [each.name for each in made(FULL).attachments] == ["changes.csv", "changes.json"]


def test_code_in_markdown_is_as_it_was_written() -> None:
    """Nothing is escaped in it but what would end it."""
    text = made(hostile("<b>8</b>`")).markdown
    assert "`<b>8</b>\\u0060`" in text


def test_a_held_list_says_what_it_lacks_of_what_is_watched() -> None:
    """Whether to believe it depends on that."""
    held = replace(INCIDENTS[1], missing_watched=("heron-2", "wren-large"))
    assert "You watch, and it lacks: heron-2, wren-large" in made(replace(CALM, incidents=(held,))).text
