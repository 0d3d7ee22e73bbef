"""Feeds and calendars: feed readers and calendar programs parse them, with any names in them."""

from __future__ import annotations

import json
from xml.etree import ElementTree as ET

import feedparser
import icalendar
import pytest
from support.renderings import message_of
from support.summaries import AT, CALM, FULL, HOSTILE, hostile

from pipeline.reports.render.feeds import Entry, atom, calendar, json_feed
from pipeline.reports.types import LANGUAGES, Shutdown, Summary


def entry(summary: Summary) -> Entry:
    mail = message_of(summary)
    return Entry(mail.message_id, mail.at, mail.subject, mail.html, mail.text)


@pytest.mark.parametrize("summary", [FULL, CALM, *map(hostile, HOSTILE)])
def test_feed_readers_parse_a_feed(summary: Summary) -> None:
    text = atom("modelwatch: ops", [entry(summary)], feed_id="<ops@modelwatch>", at=AT, language="en")
    assert ET.fromstring(text).tag == "{http://www.w3.org/2005/Atom}feed"
    feed = feedparser.parse(text)
    assert not feed.bozo
    assert (feed.feed.id, feed.feed.updated, feed.feed.title) == ("mid:ops@modelwatch", AT, "modelwatch: ops")
    [found] = feed.entries
    assert (found.id, found.updated) == ("mid:812.ops@modelwatch", AT)
    raw = ET.fromstring(text).find("{*}entry")
    assert raw is not None
    assert raw.findtext("{*}title") == message_of(summary).subject
    content = raw.findtext("{*}content") or ""
    assert content.startswith("<table")
    assert content in message_of(summary).html


def test_a_feed_without_entries_is_valid() -> None:
    feed = feedparser.parse(atom("a<b", [], feed_id="urn:x", at=AT, language="ja"))
    assert (feed.bozo, feed.entries, feed.feed.updated) == (False, [], AT)


def test_a_json_feed_has_what_version_1_1_requires() -> None:
    feed = json.loads(json_feed("modelwatch: ops", [entry(FULL)], language="en"))
    assert (feed["version"], feed["title"]) == ("https://jsonfeed.org/version/1.1", "modelwatch: ops")
    [item] = feed["items"]
    assert (item["id"], item["date_published"]) == ("mid:812.ops@modelwatch", AT)
    assert (item["title"], item["content_text"]) == (message_of(FULL).subject, message_of(FULL).text)


def events(text: str) -> list[icalendar.Event]:
    return list(icalendar.Calendar.from_ical(text).walk("VEVENT"))


@pytest.mark.parametrize("text", ["heron-2", *HOSTILE])
@pytest.mark.parametrize("language", LANGUAGES)
def test_calendar_programs_parse_a_calendar(text: str, language: str) -> None:
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


def test_a_model_has_one_event_a_day_with_a_stable_id() -> None:
    day = "2027-01-31"
    ends = [Shutdown(day, 68, "lark", "heron", (f"lark/{name}",)) for name in "ab"]
    other = Shutdown("2027-02-01", 69, "lark", "heron", ("lark/c",))
    first, second = events(calendar([*ends, other], stamp=AT, language="en"))
    assert first["description"] == "The shutdown of heron is announced for 31 Jan 2027, for lark/a, lark/b."
    assert first["uid"] != second["uid"]
    [again] = events(calendar(ends[:1], stamp="2026-12-01T00:00:00Z", language="ja"))
    assert again["uid"] == first["uid"]
