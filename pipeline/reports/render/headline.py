"""The overview of a report: subject, headline, counts, and the chart of the last weeks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from pipeline.core.types import Severity
from pipeline.reports.render.changes import TONES, ChangeType, change_type, models_count
from pipeline.reports.render.locales import Locale, Piece, Text, plain, untrusted
from pipeline.reports.render.scopes import count_scopes, incident_key
from pipeline.reports.render.types import Bar, Chart, Count
from pipeline.reports.types import Incident, NetChange, Summary

_PREFIX = "[modelwatch] "

_MAX_SUBJECT = 89
"""The number of characters in a subject."""

_MAX_TOTALS = 3
_MODEL_WIDTHS = (32, 20, 12)
_MAX_GATEWAY = 20
_MIN_DAYS = 3
_MIN_HEIGHT = 6


def count_by_type(summary: Summary) -> Counter[ChangeType]:
    """Count the models in the listed changes by type of change."""
    numbers: Counter[ChangeType] = Counter()
    for change in summary.listed:
        numbers[change_type(change)] += len(change.models)
    return numbers


def counts(locale: Locale, summary: Summary) -> tuple[Count, ...]:
    """Return the numbers of recoveries, changes, incidents and shutdowns, named as in the subject."""
    changes = count_by_type(summary)
    numbers = [(_resolved_scopes(summary), "resolved", "better")]
    numbers.append((_resolved_models(summary), "back", "better"))
    numbers += [(changes[each], str(each), TONES.get(each, "")) for each in ChangeType]
    pending = [incident for incident in summary.incidents if incident.state == "pending"]
    numbers.append((len({model for each in pending for model in each.missing_watched}), "pending", "worse"))
    problems = sum(len(incident.scopes) for incident in summary.incidents if incident.state != "pending")
    numbers.append((problems, "incidents", "worse"))
    numbers.append((len(summary.shutdowns), "shutdowns", ""))
    return tuple(_count(locale, *each) for each in numbers if each[0])


def _count(locale: Locale, number: int, key: str, tone: str) -> Count:
    name = locale.plain(f"count.{key}", n=number)
    return Count(locale.number(number), name, locale.plain("count", n=number, name=name), tone)


def totals_text(locale: Locale, summary: Summary) -> list[str]:
    """Return the totals of the news: `1 scope recovered`, `3 removed`, `2 scopes held`."""
    changes = count_by_type(summary)
    recovered, back = _resolved_scopes(summary), _resolved_models(summary)
    totals = [locale.plain("total.resolved", n=recovered)] if recovered else []
    totals += [locale.plain("total.back", n=back)] if back else []
    totals += [locale.plain(f"total.{each}", n=changes[each]) for each in ChangeType if changes[each]]
    totals += _incident_totals(locale, [incident for incident in summary.incidents if incident.new])
    return totals


def _resolved_scopes(summary: Summary) -> int:
    ended = (incident for incident in summary.resolved if incident.state != "pending")
    return len({scope for incident in ended for scope in incident.scopes})


def _resolved_models(summary: Summary) -> int:
    """Count the watched models whose pending removal was not confirmed."""
    return len({model for incident in summary.resolved for model in incident.models})


def _incident_totals(locale: Locale, incidents: list[Incident]) -> Iterator[str]:
    numbers: Counter[str] = Counter()
    for incident in incidents:
        counted = incident.missing_watched if incident.state == "pending" else incident.scopes
        numbers[incident_key(incident)] += len(counted)
    return (locale.plain(f"total.{key}", n=number) for key, number in numbers.items())


def subject(locale: Locale, summary: Summary) -> str:
    """Return the subject: one line of at most 89 printable characters."""
    text = ""
    for width in _MODEL_WIDTHS:
        text = _PREFIX + _subject(locale, summary, width)
        if len(text) <= _MAX_SUBJECT:
            return text
    return text[: _MAX_SUBJECT - 1] + "…"


def _subject(locale: Locale, summary: Summary, width: int) -> str:
    if urgent := _most_urgent(locale, summary, width):
        more = _count_others(summary)
        return locale.plain("subject.urgent_and_more" if more else "subject.urgent", what=urgent, n=more)
    totals = totals_text(locale, summary)[:_MAX_TOTALS]
    if totals:
        return locale.plain("subject.at", what=_join(locale, totals), where=_where(locale, summary))
    return plain(_no_changes(locale, summary))


def headline(locale: Locale, summary: Summary) -> Text:
    """Return the content of the subject as a sentence."""
    if urgent := _most_urgent(locale, summary, _MODEL_WIDTHS[0]):
        more = _count_others(summary)
        key = "headline.urgent_and_more" if more else "headline.urgent"
        return _capitalise(locale.text(key, what=urgent, n=more))
    totals = totals_text(locale, summary)
    if totals:
        return locale.text("headline.at", what=_join(locale, totals), where=_where(locale, summary))
    return _capitalise(locale.text("headline.no_changes", what=_no_changes(locale, summary)))


def _join(locale: Locale, totals: list[str]) -> Text:
    return locale.join(Piece(each) for each in totals)


def _where(locale: Locale, summary: Summary) -> Text:
    gateways = {change.gateway for change in summary.listed}
    gateways |= {incident.gateway for incident in summary.incidents if incident.new}
    gateways |= {incident.gateway for incident in summary.resolved}
    if len(gateways) == 1:
        return (untrusted(gateways.pop(), "name", longest=_MAX_GATEWAY),)
    return locale.text("count.gateways", n=len(gateways))


def _most_urgent(locale: Locale, summary: Summary, width: int) -> Text:
    """Return the first urgent change or incident in a few words; empty where there is none."""
    if change := _urgent_change(summary):
        return locale.text(
            f"urgent.{change_type(change)}",
            what=_short(locale, change, width),
            gateway=untrusted(change.gateway, "name", longest=_MAX_GATEWAY),
            scopes=count_scopes(locale, summary, change.scopes),
        )
    urgent = (each for each in summary.incidents if each.new and each.severity == Severity.URGENT)
    if incident := next(urgent, None):
        return locale.text(
            f"urgent.{incident_key(incident)}",
            what=_short_models(locale, incident.missing_watched, width),
            gateway=untrusted(incident.gateway, "name", longest=_MAX_GATEWAY),
            scopes=count_scopes(locale, summary, incident.scopes),
        )
    return ()


def _urgent_change(summary: Summary) -> NetChange | None:
    return next((change for change in summary.listed if change.severity == Severity.URGENT), None)


def _short(locale: Locale, change: NetChange, width: int) -> Text:
    if len(change.models) == 1:
        return (untrusted(change.models[0], longest=width),)
    return models_count(locale, change)


def _short_models(locale: Locale, models: Sequence[str], width: int) -> Text:
    """Return the id of one model, else the number of models."""
    if len(models) == 1:
        return (untrusted(models[0], longest=width),)
    return locale.text("count.models", n=len(models))


def _count_others(summary: Summary) -> int:
    """Count the new changes and incidents beside the most urgent one."""
    changes = sum(len(change.models) for change in summary.listed)
    new = sum(incident.new for incident in summary.incidents)
    urgent = _urgent_change(summary)
    return changes + new - (len(urgent.models) if urgent else 1)


def _no_changes(locale: Locale, summary: Summary) -> Text:
    """Return the text of a report without changes, with the number of scopes that answered."""
    answered, asked = summary.answered, len(summary.coverage)
    if not asked:
        return locale.text("no_changes.no_scopes")
    if not answered:
        return locale.text("no_changes.no_answers", n=asked)
    if summary.first_answers:
        scopes = sum(len(each.scopes) for each in summary.first_answers)
        return locale.text("no_changes.first_answers", n=scopes)
    if summary.unlisted:
        return locale.text("no_changes.unlisted", n=summary.unlisted, answered=answered, asked=asked)
    key = "no_changes.all" if answered == asked else "no_changes.some"
    return locale.text(key, n=asked, answered=answered)


def _capitalise(text: Text) -> Text:
    """Begin a sentence with a capital letter, unless it begins with text from outside."""
    first, *rest = text
    return text if first.style else (Piece(first.text[:1].upper() + first.text[1:]), *rest)


def chart(locale: Locale, summary: Summary) -> Chart | None:
    """Return the chart of the last days; None without changes, or with fewer than three days."""
    highest = max(summary.days, key=lambda day: day.total, default=None)
    if highest is None or not highest.total or len(summary.days) < _MIN_DAYS:
        return None
    bars = tuple(
        Bar(
            locale.day(day.day),
            day.total,
            max(_MIN_HEIGHT, round(100 * day.total / highest.total)) if day.total else 0,
            round(100 * day.removed / day.total) if day.total else 0,
        )
        for day in summary.days
    )
    caption = locale.text(
        "chart",
        first=locale.day(summary.days[0].day),
        last=locale.day(summary.days[-1].day),
        n=highest.total,
        day=locale.day(highest.day),
        total=sum(day.total for day in summary.days),
    )
    return Chart(bars, caption, locale.text("chart.legend"))
