"""Lay out a report: what is seen at once, what happened by severity, how the scopes stand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.metadata import version

from pipeline.core.types import Severity
from pipeline.reports.render.catalogue import Piece, Text, Words, foreign
from pipeline.reports.render.changes import blocks
from pipeline.reports.render.headline import counts, headline, picture, subject
from pipeline.reports.render.scopes import coverage, ended, endings, started, troubles
from pipeline.reports.render.types import Draft, Page, ready, tone_of
from pipeline.reports.types import Summary


def pages(
    brief: Summary, language: str, *, destination: str = "", attached: bool = False
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
        subject=subject(words, brief),
        tone=tone,
        badge=words.plain(f"badge.{badge}"),
        headline=headline(words, brief),
        window=_window(words, brief),
        lead=_lead(words, brief),
        counts=counts(words, brief),
        sections=(),
        picture=picture(words, brief),
        footer=_footer(words, destination),
    )
    drafts = [draft for draft in _drafts(words, brief) if draft.blocks]

    def cut(most: int) -> Page:
        return replace(full, sections=tuple(draft.cut(words, most) for draft in drafts))

    return cut


def _tone(brief: Summary) -> tuple[str, str]:
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


def _window(words: Words, brief: Summary) -> Text:
    """Say from when to when; a day that both are on is said once."""
    since, until = brief.since, brief.run.started_at
    if since is None:
        return words.say("window.first", until=words.minute(until))
    if since[:16] == until[:16]:
        return (Piece(words.minute(until)),)
    if since[:10] == until[:10]:
        return words.say("window.of_day", day=words.day(until), since=since[11:16], until=until[11:16])
    return words.say("window", since=words.minute(since, zone=False), until=words.minute(until))


def _lead(words: Words, brief: Summary) -> tuple[Text, ...]:
    found = []
    if brief.coverage and brief.answered < len(brief.coverage):
        silent = len(brief.coverage) - brief.answered
        found.append(words.say("lead.silent", n=silent, asked=len(brief.coverage)))
    if brief.untold:
        key = "lead.quiet" if brief.least == Severity.NOTABLE else "lead.untold"
        found.append(words.say(key, n=brief.untold, rest=words.rest))
    return tuple(found)


def _drafts(words: Words, brief: Summary) -> Iterator[Draft]:
    new = {trouble.severity for trouble in brief.troubles if trouble.new}
    worst = next((severity for severity in Severity if severity in new), None)
    for severity in Severity:
        lines = [line for line in brief.told if line.severity == severity]
        yield Draft(str(severity), list(blocks(words, brief, lines)), tone_of(severity))
        if severity == (worst or Severity.NOTABLE):
            yield Draft("troubles", ready(troubles(words, brief)), tone_of(worst))
    yield Draft("ended", ready(ended(words, brief)))
    yield Draft("started", ready(started(words, brief)))
    yield Draft("endings", ready(endings(words, brief)))
    yield Draft("coverage", ready(coverage(words, brief)))


def _footer(words: Words, destination: str) -> tuple[Text, ...]:
    program = words.say("footer.version", version=Piece(version("modelwatch")))
    if not destination:
        return (program,)
    return (words.say("footer.destination", destination=foreign(destination, "name")), program)
