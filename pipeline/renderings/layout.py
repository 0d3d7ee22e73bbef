"""Lay out a report: what is seen at once, then by severity, then how the scopes stand, what it is based on."""

from __future__ import annotations

from importlib.metadata import version

from pipeline.renderings import glance, happenings, standing
from pipeline.renderings.page import Page, Section, section, tone_of
from pipeline.renderings.words import Piece, Text, Words, foreign
from pipeline.reports.brief import Brief, Severity

_LOUD = (Severity.URGENT, Severity.BREAKING, Severity.NOTABLE)


def page(brief: Brief, language: str, *, most: int, destination: str = "") -> Page:
    """Give the page of a report in a language, with at most so many lines in each section."""
    words = Words(language, year=brief.run.started_at[:4])
    tone = tone_of(brief.severity)
    return Page(
        language=language,
        subject=glance.subject(words, brief),
        tone=tone,
        badge=words.plain(f"badge.{tone}"),
        headline=glance.headline(words, brief),
        window=_window(words, brief),
        lead=_lead(words, brief),
        counts=glance.counts(words, brief),
        sections=_sections(words, brief, most),
        picture=glance.picture(words, brief),
        footer=_footer(words, destination),
    )


def _window(words: Words, brief: Brief) -> Text:
    until = words.minute(brief.run.started_at)
    if brief.since is None:
        return words.say("window.first", until=until)
    return words.say("window", since=words.minute(brief.since), until=until)


def _lead(words: Words, brief: Brief) -> tuple[Text, ...]:
    found = []
    if brief.coverage and brief.answered < len(brief.coverage):
        silent = len(brief.coverage) - brief.answered
        found.append(words.say("lead.silent", n=silent, asked=len(brief.coverage)))
    quiet = sum(len(line.models) for line in brief.lines if line.severity == Severity.QUIET)
    if quiet:
        found.append(words.say("lead.quiet", n=quiet))
    return tuple(found)


def _sections(words: Words, brief: Brief, most: int) -> tuple[Section, ...]:
    found: list[Section] = []
    for severity in _LOUD:
        lines = [line for line in brief.lines if line.severity == severity]
        raws = happenings.blocks(words, brief, lines)
        found += section(words, str(severity), raws, most=most, tone=tone_of(severity))
    worst = next((each for each in _LOUD if any(t.new and t.severity == each for t in brief.troubles)), None)
    found += section(
        words, "troubles", standing.troubles(words, brief), most=most, tone=tone_of(worst)
    )
    for name in ("ended", "started", "endings", "coverage"):
        found += section(words, name, getattr(standing, name)(words, brief), most=most)
    return tuple(found)


def _footer(words: Words, destination: str) -> tuple[Text, ...]:
    program = words.say("footer.version", version=Piece(version("modelwatch")))
    if not destination:
        return (program,)
    return (words.say("footer.destination", destination=foreign(destination, "name")), program)
