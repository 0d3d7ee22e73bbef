"""Lay out a report: what is seen at once, what happened by severity, how the scopes stand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.metadata import version

from pipeline.renderings import glance, happenings, standing
from pipeline.renderings.page import Draft, Page, ready, tone_of
from pipeline.renderings.words import Piece, Text, Words, foreign
from pipeline.reports.brief import Brief, Severity


def pages(
    brief: Brief, language: str, *, destination: str = "", attached: bool = False
) -> Callable[[int], Page]:
    """Word a report; what is given makes its page with at most so many lines in each section.

    Args:
        brief: what is to be told.
        language: one of `LANGUAGES`.
        destination: whom it is for; empty where somebody asked for it.
        attached: its changes go with it as a file, to which it may point.
    """
    words = Words(language, year=brief.run.started_at[:4], attached=attached)
    tone, badge = _tone(brief)
    full = Page(
        language=language,
        subject=glance.subject(words, brief),
        tone=tone,
        badge=words.plain(f"badge.{badge}"),
        headline=glance.headline(words, brief),
        window=_window(words, brief),
        lead=_lead(words, brief),
        counts=glance.counts(words, brief),
        sections=(),
        picture=glance.picture(words, brief),
        footer=_footer(words, destination),
    )
    drafts = [draft for draft in _drafts(words, brief) if draft.blocks]

    def cut(most: int) -> Page:
        return replace(full, sections=tuple(draft.cut(words, most) for draft in drafts))

    return cut


def _tone(brief: Brief) -> tuple[str, str]:
    """Give the tone and the badge: while a trouble stands, no news is no good news."""
    tone = tone_of(brief.severity)
    if tone != "calm":
        return tone, tone
    states = {scope.state for scope in brief.coverage} | {trouble.state for trouble in brief.troubles}
    if "failed" in states:
        return str(Severity.BREAKING), "silent"
    if "held" in states:
        return str(Severity.BREAKING), "held"
    return tone, "calm" if brief.answered < len(brief.coverage) else "idle"


def _window(words: Words, brief: Brief) -> Text:
    """Say from when to when; a day that both are on is said once."""
    since, until = brief.since, brief.run.started_at
    if since is None:
        return words.say("window.first", until=words.minute(until))
    if since[:16] == until[:16]:
        return (Piece(words.minute(until)),)
    if since[:10] == until[:10]:
        return words.say("window.of_day", day=words.day(until), since=since[11:16], until=until[11:16])
    return words.say("window", since=words.minute(since, zone=False), until=words.minute(until))


def _lead(words: Words, brief: Brief) -> tuple[Text, ...]:
    found = []
    if brief.coverage and brief.answered < len(brief.coverage):
        silent = len(brief.coverage) - brief.answered
        found.append(words.say("lead.silent", n=silent, asked=len(brief.coverage)))
    if brief.untold:
        key = "lead.quiet" if brief.least == Severity.NOTABLE else "lead.untold"
        found.append(words.say(key, n=brief.untold, rest=words.rest))
    return tuple(found)


def _drafts(words: Words, brief: Brief) -> Iterator[Draft]:
    new = {trouble.severity for trouble in brief.troubles if trouble.new}
    worst = next((severity for severity in Severity if severity in new), None)
    for severity in Severity:
        lines = [line for line in brief.told if line.severity == severity]
        yield Draft(str(severity), list(happenings.blocks(words, brief, lines)), tone_of(severity))
        if severity == (worst or Severity.NOTABLE):
            yield Draft("troubles", ready(standing.troubles(words, brief)), tone_of(worst))
    yield Draft("ended", ready(standing.ended(words, brief)))
    yield Draft("started", ready(standing.started(words, brief)))
    yield Draft("endings", ready(standing.endings(words, brief)))
    yield Draft("coverage", ready(standing.coverage(words, brief)))


def _footer(words: Words, destination: str) -> tuple[Text, ...]:
    program = words.say("footer.version", version=Piece(version("modelwatch")))
    if not destination:
        return (program,)
    return (words.say("footer.destination", destination=foreign(destination, "name")), program)
