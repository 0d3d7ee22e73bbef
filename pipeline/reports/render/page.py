"""The layout of a report: an overview, then sections by severity, then the state of the scopes."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import version

from msgspec import Struct
from msgspec.structs import replace

from pipeline.core.types import Severity
from pipeline.reports.render.changes import blocks
from pipeline.reports.render.headline import chart, counts, headline, subject
from pipeline.reports.render.locales import Locale, Piece, Text, untrusted
from pipeline.reports.render.scopes import coverage, first_answers, incidents, resolved, shutdowns
from pipeline.reports.render.types import Page, SectionDraft, as_lazy, tone_of
from pipeline.reports.types import NO_LINKS, Links, Summary


class PageDraft(Struct, frozen=True):
    """A page whose sections are not cut yet."""

    page: Page
    sections: tuple[SectionDraft, ...]
    locale: Locale

    def cut(self, max_lines: int) -> Page:
        """Return the page with a limited number of lines in each section."""
        sections = tuple(section.cut(self.locale, max_lines) for section in self.sections)
        return replace(self.page, sections=sections)


def draft_page(
    summary: Summary,
    language: str,
    *,
    destination: str = "",
    attached: bool = False,
    zone: str = "UTC",
    links: Links = NO_LINKS,
) -> PageDraft:
    """Return the page of a report.

    Args:
        summary: the content.
        language: one of `LANGUAGES`.
        destination: its name in the config; empty for a report on demand.
        attached: the changes are attached as a file, to which the page may refer.
        zone: the time zone of its times; an IANA name.
        links: where its names lead.
    """
    locale = Locale(language, today=summary.run.started_at, attached=attached, zone=zone, links=links)
    tone, badge = _tone(summary)
    page = Page(
        language=language,
        subject=subject(locale, summary),
        tone=tone,
        badge=locale.plain(f"badge.{badge}"),
        headline=headline(locale, summary),
        window=_window(locale, summary),
        lead=_lead(locale, summary),
        counts=counts(locale, summary),
        sections=(),
        chart=chart(locale, summary),
        footer=_footer(locale, destination),
    )
    return PageDraft(page, tuple(draft for draft in _sections(locale, summary) if draft.blocks), locale)


def _tone(summary: Summary) -> tuple[str, str]:
    """Return the tone and the badge; a report without news is not calm while an incident is open."""
    tone = tone_of(summary.severity)
    if tone != "calm":
        return tone, tone
    states = {scope.state for scope in summary.coverage} | {each.state for each in summary.incidents}
    passing = all(scope.state != "failed" or not scope.urgent for scope in summary.coverage)
    for state in ("failed", "held"):
        if state in states:
            calm = state == "failed" and passing and "held" not in states
            return str(Severity.NOTABLE if calm else Severity.BREAKING), state
    return tone, "no_news" if summary.answered < summary.asked else "no_action"


def _window(locale: Locale, summary: Summary) -> Text:
    """Return the time that the report covers, which leads to its changes; a common date is written once."""
    since, until = summary.since, summary.run.started_at
    return locale.window(_window_text(locale, since, until), since, until)


def _window_text(locale: Locale, since: str | None, until: str) -> str:
    if since is None:
        return locale.plain("window.first", until=locale.minute(until))
    (first, begin), (last, end) = locale.local(since), locale.local(until)
    if (first, begin) == (last, end):
        return locale.minute(until)
    if first == last:
        day, zone = locale.day(last), locale.zone(until)
        return locale.plain("window.of_day", day=day, since=begin, until=end, zone=zone)
    return locale.plain("window", since=locale.minute(since, zone=False), until=locale.minute(until))


def _lead(locale: Locale, summary: Summary) -> tuple[Text, ...]:
    found = []
    asked = summary.asked
    if summary.answered < asked:
        found.append(locale.text("lead.failed", n=asked - summary.answered, asked=asked))
    for key, number in _unlisted(summary):
        found.append(locale.text(key, n=number, rest=locale.rest))
    return tuple(found)


def _unlisted(summary: Summary) -> Iterator[tuple[str, int]]:
    """Yield the key of the text, and the number, of each kind of changes that are not listed."""
    if summary.min_severity != Severity.NOTABLE:
        numbers = {"lead.unlisted": summary.unlisted}
    else:
        repeated, reverted = summary.unlisted_repeated, summary.unlisted_reverted
        muted = summary.unlisted_muted
        quiet = summary.unlisted - repeated - reverted - muted
        numbers = {
            "lead.quiet": quiet,
            "lead.repeated": repeated,
            "lead.reverted": reverted,
            "lead.muted": muted,
        }
    yield from ((key, number) for key, number in numbers.items() if number)


def _sections(locale: Locale, summary: Summary) -> Iterator[SectionDraft]:
    pending = [incident for incident in summary.incidents if incident.state == "pending"]
    problems = [incident for incident in summary.incidents if incident.state != "pending"]
    new = {incident.severity for incident in problems if incident.new}
    worst = next((severity for severity in Severity if severity in new), None)
    for severity in Severity:
        changes = [change for change in summary.listed if change.severity == severity]
        yield SectionDraft(str(severity), list(blocks(locale, summary, changes)), tone_of(severity))
        if severity == Severity.URGENT:
            yield SectionDraft("pending", as_lazy(incidents(locale, summary, pending)), tone_of(severity))
        if severity == (worst or Severity.NOTABLE):
            yield SectionDraft("incidents", as_lazy(incidents(locale, summary, problems)), tone_of(worst))
        if severity == Severity.BREAKING:
            accepted = resolved(locale, summary, accepted=True)
            yield SectionDraft("accepted", as_lazy(accepted), tone_of(severity))
    yield SectionDraft("resolved", as_lazy(resolved(locale, summary)))
    yield SectionDraft("first_answers", as_lazy(first_answers(locale, summary)))
    yield SectionDraft("shutdowns", as_lazy(shutdowns(locale, summary)))
    yield SectionDraft("coverage", as_lazy(coverage(locale, summary)))


def _footer(locale: Locale, destination: str) -> tuple[Text, ...]:
    program = locale.text("footer.version", version=Piece(version("modelwatch")))
    if not destination:
        return (program,)
    return (locale.text("footer.destination", destination=untrusted(destination, "name")), program)
