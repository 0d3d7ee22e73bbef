"""The overview of a report: subject, headline, counts, and the chart of the last weeks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from pipeline.core.impact import is_pressing
from pipeline.core.prices import PriceChange
from pipeline.core.types import FieldChange, HoldKind, Kind, Severity
from pipeline.reports.render.changes import (
    TONES,
    ChangeType,
    change_type,
    change_types,
    models_count,
    new_shutdown,
)
from pipeline.reports.render.fields import name, short_now
from pipeline.reports.render.locales import Locale, Piece, Text, plain, untrusted
from pipeline.reports.render.scopes import count_scopes, problem_key
from pipeline.reports.render.types import Bar, Chart, Count
from pipeline.reports.types import Incident, NetChange, Summary

_PREFIX = "[modelwatch] "

_MAX_SUBJECT = 89
"""The number of characters in a subject."""

_BREAKING = list(Severity).index(Severity.BREAKING)

_MAX_TOTALS = 3
_MODEL_WIDTHS = (32, 20, 12)
_MAX_GATEWAY = 20
_MAX_SCOPE = 40
_MIN_DAYS = 3
_MIN_HEIGHT = 6


def counts(locale: Locale, summary: Summary) -> tuple[Count, ...]:
    """Return the numbers of changes, incidents, shutdowns and recoveries, the worst first."""
    news = _sorted(_change_totals(summary.listed))
    pending = [incident for incident in summary.incidents if incident.state == "pending"]
    others = [incident for incident in summary.incidents if incident.state != "pending"]
    missing = len({model for each in pending for model in each.missing_watched})
    numbers = [
        *((each.severity, each.number, each.key, TONES.get(ChangeType(each.key), "")) for each in news),
        (_worst(pending), missing, "pending", "worse"),
        (_worst(others), sum(len(incident.scopes) for incident in others), "incidents", "worse"),
        (_BREAKING, _ended_scopes(summary, accepted=True), "accepted", "worse"),
    ]
    numbers.sort(key=lambda each: each[0])
    numbers += [
        (0, len(summary.shutdowns), "shutdowns", ""),
        (0, _ended_scopes(summary), "resolved", "better"),
        (0, _resolved_models(summary), "back", "better"),
    ]
    return tuple(_count(locale, *each[1:]) for each in numbers if each[1])


def _count(locale: Locale, number: int, key: str, tone: str) -> Count:
    name = locale.plain(f"count.{key}", n=number)
    return Count(locale.number(number), name, locale.plain("count", n=number, name=name), tone)


class _Total(NamedTuple):
    """A number of news; `severity` is the place of the worst of them in `Severity`."""

    severity: int
    key: str
    number: int


def _total_text(locale: Locale, total: _Total) -> str:
    return locale.plain(f"total.{total.key}", n=total.number)


def _totals(summary: Summary, *, without: NetChange | Incident | None = None) -> list[_Total]:
    """Return the totals of the news by severity, and recoveries last; without one change or incident."""
    named = without if isinstance(without, NetChange) else None
    incidents = [incident for incident in summary.incidents if incident.new and incident is not without]
    accepted = _ended_scopes(summary, accepted=True)
    more = [_Total(_BREAKING, "accepted", accepted)] if accepted else []
    totals = _sorted([*_change_totals(summary.listed, named), *_incident_totals(incidents), *more])
    last = len(Severity)
    recoveries = [
        _Total(last, "resolved", _ended_scopes(summary)),
        _Total(last, "back", _resolved_models(summary)),
    ]
    return [*totals, *(total for total in recoveries if total.number)]


def _sorted(totals: Iterable[_Total]) -> list[_Total]:
    return sorted(totals, key=lambda total: total.severity)


def _change_totals(changes: Iterable[NetChange], named: NetChange | None = None) -> list[_Total]:
    """Return the numbers of models by type of change, in the order of the types.

    A model counts once for each type, whatever its scopes; that of a change that is named does not count
    for the type by which it is named.
    """
    by_type: dict[ChangeType, list[NetChange]] = {}
    for change in changes:
        for each in change_types(change):
            by_type.setdefault(each, []).append(change)
    found = []
    for each in ChangeType:
        known = named.subjects if named and change_type(named) == each else frozenset()
        members = [change for change in by_type.get(each, ()) if change.subjects - known]
        if members:
            subjects = frozenset[tuple[str, ...]]().union(*(change.subjects for change in members))
            found.append(_Total(_worst(members), str(each), len(subjects - known)))
    return found


def _worst(news: Iterable[NetChange | Incident]) -> int:
    order = list(Severity)
    return min((order.index(each.severity) for each in news), default=len(order))


def _ended_scopes(summary: Summary, *, accepted: bool = False) -> int:
    """Count the scopes whose failure or hold ended: with an accepted held answer, or otherwise."""
    ended = (each for each in summary.resolved if each.state != "pending" and each.accepted == accepted)
    return len({scope for incident in ended for scope in incident.scopes})


def _resolved_models(summary: Summary) -> int:
    """Count the watched models whose pending removal was not confirmed."""
    return len({model for incident in summary.resolved for model in incident.models})


def _incident_totals(incidents: Iterable[Incident]) -> list[_Total]:
    by_key: dict[str, list[Incident]] = {}
    for incident in incidents:
        by_key.setdefault(problem_key(incident), []).append(incident)
    return [_Total(_worst(members), key, sum(map(_size, members))) for key, members in by_key.items()]


def _size(incident: Incident) -> int:
    """Return the number of models that are missing, or of scopes."""
    return len(incident.missing_watched if incident.state == "pending" else incident.scopes)


def subject(locale: Locale, summary: Summary) -> str:
    """Return the subject: one line of at most 89 printable characters."""
    text = ""
    for with_place in (True, False):
        for most in range(_MAX_TOTALS, -1, -1):
            for width in _MODEL_WIDTHS:
                text = _PREFIX + _subject(locale, summary, width, most, with_place=with_place)
                if len(text) <= _MAX_SUBJECT:
                    return text
    return text[: _MAX_SUBJECT - 1] + "…"


def _subject(locale: Locale, summary: Summary, width: int, most: int, *, with_place: bool) -> str:
    if first := _most_urgent(summary):
        what = _named_text(locale, summary, first, width, with_place=with_place)
        rest = _totals_text(locale, _totals(summary, without=first), most)
        return locale.plain("subject.urgent_and_more" if rest else "subject.urgent", what=what, rest=rest)
    if only := _only_news(summary):
        return plain(_named_text(locale, summary, only, width, with_place=with_place))
    if worst := _worst_news(summary):
        what = _named_text(locale, summary, worst, width, with_place=with_place)
        rest = _totals_text(locale, _totals(summary, without=worst), most)
        return locale.plain("subject.and_more", what=what, rest=rest) if rest else plain(what)
    # Without an urgent one, at least one total is named.
    if what := _totals_text(locale, _totals(summary), max(most, 1)):
        where = _where(locale, summary)
        return locale.plain("subject.at", what=what, where=where) if with_place else plain(what)
    return plain(_no_changes(locale, summary))


def headline(locale: Locale, summary: Summary) -> Text:
    """Return the content of the subject as a sentence."""
    if first := _most_urgent(summary):
        what = _named_text(locale, summary, first, _MODEL_WIDTHS[0])
        rest = _totals_text(locale, _totals(summary, without=first), _MAX_TOTALS)
        key = "headline.urgent_and_more" if rest else "headline.urgent"
        return _capitalise(locale.text(key, what=what, rest=rest))
    if only := _only_news(summary):
        what = _named_text(locale, summary, only, _MODEL_WIDTHS[0])
        return _capitalise(locale.text("headline.urgent", what=what))
    if worst := _worst_news(summary):
        what = _named_text(locale, summary, worst, _MODEL_WIDTHS[0])
        rest = _totals_text(locale, _totals(summary, without=worst), _MAX_TOTALS)
        key = "headline.urgent_and_more" if rest else "headline.urgent"
        return _capitalise(locale.text(key, what=what, rest=rest))
    if what := _totals_text(locale, _totals(summary), _MAX_TOTALS):
        return locale.text("headline.at", what=what, where=_where(locale, summary))
    return _capitalise(locale.text("headline.no_changes", what=_no_changes(locale, summary)))


def _totals_text(locale: Locale, totals: Sequence[_Total], most: int) -> Text:
    """Return totals as one text: the first ones, and the sum of the others; empty without any."""
    named = locale.join(Piece(_total_text(locale, total)) for total in totals[:most])
    others = sum(total.number for total in totals[most:])
    if others and not named:
        return locale.text("subject.more", n=others)
    return locale.text("and_more", what=named, n=others) if others else named


def _where(locale: Locale, summary: Summary) -> Text:
    gateways = {change.gateway for change in summary.listed}
    gateways |= {incident.gateway for incident in summary.incidents if incident.new}
    gateways |= {incident.gateway for incident in summary.resolved}
    if len(gateways) == 1:
        return (locale.gateway(gateways.pop(), longest=_MAX_GATEWAY),)
    return locale.text("count.gateways", n=len(gateways))


def _most_urgent(summary: Summary) -> NetChange | Incident | None:
    """Return the worst urgent news: a change for the worse, else a new incident, else any other change."""
    changes = [change for change in summary.listed if change.severity == Severity.URGENT]
    changes.sort(key=lambda change: list(ChangeType).index(change_type(change)))
    incidents = [each for each in summary.incidents if each.new and each.severity == Severity.URGENT]
    first, *_ = (*changes, None)
    better = first is not None and TONES.get(change_type(first)) == "better"
    return next(iter(incidents), first) if better or first is None else first


def _worst_news(summary: Summary) -> NetChange | Incident | None:
    """Return the news that is named before the totals of the rest: breaking news without an urgent one.

    That is the worst change of one watched model, else a change of one model, a group or an incident that is
    the only breaking one among other news.
    """
    breaking = [each for each in summary.listed if each.severity == Severity.BREAKING]
    watched = (each for each in breaking if each.watched and len(each.models) == 1)
    if found := next(watched, None):
        return found
    incidents = [each for each in summary.incidents if each.new and each.severity == Severity.BREAKING]
    news: list[NetChange | Incident] = [*breaking, *incidents]
    accepted = any(each.accepted for each in summary.resolved)
    return news[0] if len(news) == 1 and not accepted and _has_name(news[0]) else None


def _has_name(news: NetChange | Incident) -> bool:
    """Return whether news is an incident, or a change of a group or one model."""
    if isinstance(news, Incident) or news.kind == Kind.GROUP:
        return True
    return len(news.models) == 1 and news.kind != Kind.SHAPE


def _only_news(summary: Summary) -> NetChange | Incident | None:
    """Return the only news, where it is a change of one model, or a new incident."""
    new = [each for each in summary.incidents if each.new]
    news: list[NetChange | Incident] = [*summary.listed, *new]
    if len(news) != 1 or summary.resolved:
        return None
    return news[0] if _has_name(news[0]) else None


def _named_text(
    locale: Locale, summary: Summary, news: NetChange | Incident, width: int, *, with_place: bool = True
) -> Text:
    """Return a change or incident in a few words, and where it is: `heron-2 removed (aihubmix, 12 keys)`."""
    what = _change_text(locale, news, width) if isinstance(news, NetChange) else _reason(locale, news, width)
    return locale.text("urgent.place", what=what, where=_place(locale, summary, news)) if with_place else what


def _place(locale: Locale, summary: Summary, news: NetChange | Incident) -> Text:
    """Return the name of one scope, else the gateway and the number of scopes."""
    if len(news.scopes) == 1:
        return (locale.scope(news.scopes[0], longest=_MAX_SCOPE),)
    gateway = locale.gateway(news.gateway, longest=_MAX_GATEWAY)
    return locale.text("urgent.where", gateway=gateway, scopes=count_scopes(locale, summary, news.scopes))


def _change_text(locale: Locale, change: NetChange, width: int) -> Text:
    if change.kind == Kind.GROUP and change_type(change) in _GROUP_TEXTS:
        return _group_text(locale, change, width)
    day = new_shutdown(change)
    when = locale.day(day, year=True) if day else ""
    what, kind, first = _short(locale, change, width), change_type(change), _first(change)
    of = name(locale, first) if first else locale.text("field.any")
    text = locale.text(f"urgent.{kind}", what=what, day=when, name=of)
    is_one = kind == ChangeType.KEEPS_CHANGING and not change.varying
    now = short_now(locale, first) if is_one and first else ()
    return locale.text("urgent.now", what=text, now=now) if now else text


def _first(change: NetChange) -> FieldChange | PriceChange | None:
    """Return the field or price that matters most in a change."""
    pressing = filter(is_pressing, change.fields)
    found: tuple[FieldChange | PriceChange, ...] = (*pressing, *change.prices, *change.fields)
    return found[0] if found else None


def _reason(locale: Locale, incident: Incident, width: int) -> Text:
    """Return an incident in a few words; of a held answer, why, and the watched models that it lacks."""
    key, models = (
        problem_key(incident),
        _short_models(locale, incident.gateway, incident.missing_watched, width),
    )
    if incident.state != "held":
        of = "_group" if incident.group is not None else ""
        return locale.text(
            f"urgent.{key}{of}", what=models, group=untrusted(incident.group or "", longest=width)
        )
    held, current = incident.held_models, incident.models
    if key == HoldKind.LOSS and (held is None or current is None or held >= current):
        key = "large_loss"
    number = len(incident.scopes) if key == HoldKind.ANONYMOUS else held or 0
    reason = locale.text(f"urgent.{key}", n=number, current=current or 0)
    if key == HoldKind.ANONYMOUS or not incident.missing_watched:
        return reason
    return locale.text("urgent.without", reason=reason, what=models)


def _short(locale: Locale, change: NetChange, width: int) -> Text:
    if change.kind == Kind.GROUP:
        return locale.text("group.name", group=untrusted(change.groups[0], longest=width))
    if len(change.models) == 1:
        return (locale.model(change.gateway, change.models[0], longest=width),)
    return models_count(locale, len(change.models), change.label)


_GROUP_TEXTS = {
    ChangeType.REMOVED: "group.gone",
    ChangeType.ADDED: "group.new",
    ChangeType.RETURNED: "group.back",
}


def _group_text(locale: Locale, change: NetChange, width: int) -> Text:
    """Return that a group is new, gone or back, with the number of its models and the watched ones."""
    group, duration = untrusted(change.groups[0], longest=width), locale.duration(change.away_seconds or 0)
    text = locale.text(_GROUP_TEXTS[change_type(change)], group=group, duration=duration)
    if change.listed is not None:
        text = locale.text("with_models", what=text, n=change.listed)
    if not change.watched_models:
        return text
    return locale.text(
        "group.watched", what=text, models=_short_models(locale, change.gateway, change.watched_models, width)
    )


def _short_models(locale: Locale, gateway: str, models: Sequence[str], width: int) -> Text:
    """Return the id of one model, else the number of models."""
    if len(models) == 1:
        return (locale.model(gateway, models[0], longest=width),)
    return locale.text("count.models", n=len(models))


def _no_changes(locale: Locale, summary: Summary) -> Text:
    """Return the text of a report without changes, with the number of scopes that answered."""
    answered, asked = summary.answered, summary.asked
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
