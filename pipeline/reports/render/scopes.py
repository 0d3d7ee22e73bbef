"""The state of the scopes as text: incidents, recoveries, first answers, shutdowns and coverage."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from pipeline.core.text import sentence
from pipeline.core.times import elapsed
from pipeline.core.types import HoldKind, without_gateway
from pipeline.history.types import Coverage
from pipeline.reports.render.locales import Locale, Piece, Text, untrusted
from pipeline.reports.render.types import BlockContent, Item
from pipeline.reports.types import Incident, Removal, ResolvedIncident, Summary

ERROR_CLASSES = ("Unreachable", "Throttled", "Refused", "Unresolved", "Unreadable")
"""The classes of errors that have messages of their own."""

_MAX_SCOPES = 3
_MAX_MODELS = 12
_MAX_QUOTE = 200
_MAX_CURE = 300


def scopes_text(
    locale: Locale, summary: Summary, scopes: Sequence[str], gateway: str, groups: Sequence[str] = ()
) -> Text:
    """Return the names of up to three scopes, else their number: `12 keys of aihubmix in group vip`."""
    if len(scopes) <= _MAX_SCOPES:
        return locale.join(map(locale.scope, scopes))
    key = f"scopes.{_noun(summary, scopes)}"
    counted = locale.text(key, n=len(scopes), gateway=locale.gateway(gateway))
    if not groups:
        return counted
    named = locale.join_some((untrusted(group, "name", longest=40) for group in groups), _MAX_SCOPES)
    return locale.text("scopes.in_groups", n=len(groups), scopes=counted, groups=named)


def count_scopes(locale: Locale, summary: Summary, scopes: Sequence[str]) -> str:
    """Return the number of scopes: `12 keys`."""
    return locale.plain(f"count.{_noun(summary, scopes)}", n=len(scopes))


def _noun(summary: Summary, scopes: Sequence[str]) -> str:
    """Return `keys` where all of the scopes are keys."""
    return "keys" if summary.keyless.isdisjoint(scopes) else "scopes"


HOLDS = (HoldKind.LOSS, HoldKind.EMPTY, HoldKind.ANONYMOUS, HoldKind.INCOMPLETE, HoldKind.ALTERNATING)
"""The kinds of holds, which have messages of their own."""

_KEY_ERRORS = ("Refused", "Unresolved")


def incidents(locale: Locale, summary: Summary, chosen: Sequence[Incident]) -> Iterator[BlockContent]:
    """Yield some of the open incidents with cause and advice, in short those that were reported before."""
    by_heading: dict[str, list[Item]] = {"new": [], "lasting": [], "old": [], "muted": []}
    states = {scope.scope: scope for scope in summary.coverage} if chosen else {}
    for each in chosen:
        heading = "muted" if each.muted else "lasting" if each.lasts else "new" if each.new else "old"
        by_heading[heading].append(_incident(locale, summary, each, states))
    for heading, items in by_heading.items():
        if items:
            yield BlockContent(locale.text(f"incidents.{heading}"), items=items)


def problem_key(problem: Incident | Coverage) -> str:
    """Return the part of message keys that names a problem: its error class, or why an answer is held."""
    match problem.state:
        case "held":
            return problem.hold if problem.hold in HOLDS else str(HoldKind.LOSS)
        case "failed":
            return problem.error_class if problem.error_class in ERROR_CLASSES else "Unreachable"
        case _:
            return problem.state


def cure(
    locale: Locale,
    key: str,
    scopes: Sequence[str],
    keys: Sequence[str | None],
    *,
    auth: str = "key",
) -> Text:
    """Return what to do about a failure without a cure of its own, or about a hold.

    Args:
        locale: its language.
        key: that of `problem_key`.
        scopes: the names of its scopes.
        keys: the names of the references of their keys, such as `env:PROD`, or for the owner's terminal the
            references; None for an anonymous scope.
        auth: the kind of their credentials.
    """
    hints = list(dict.fromkeys(hint for hint in keys if hint))
    if key == "Refused" and not hints:
        return locale.text("advice.no_key")
    names = [f"${hint[4:]}" for hint in hints if hint.startswith("env:")]
    names += [hint[5:] for hint in hints if hint.startswith("file:") and hint[5:]]
    place = None
    if names and len(names) == len(hints):
        named = (untrusted(name, "command") for name in names[:_MAX_SCOPES])
        place = locale.join_some(named, _MAX_SCOPES, of=len(names))
    command = Piece(_accept_command(scopes), "command")
    message = "advice.Refused.session" if (key, auth) == ("Refused", "session") else f"advice.{key}"
    return locale.text(message, place=place or locale.text("advice.place"), command=command)


def _incident(locale: Locale, summary: Summary, incident: Incident, states: Mapping[str, Coverage]) -> Item:
    """Return the entry of an incident: why, since when, and what to do about it; `states` are by scope."""
    scopes = scopes_text(locale, summary, incident.scopes, incident.gateway)
    key = problem_key(incident)
    models = locale.join_some(locale.models(incident.gateway, incident.missing_watched), _MAX_MODELS)
    group = untrusted(incident.group or "", "name", longest=40)
    when, number = locale.minute(incident.since), len(incident.scopes)
    of = "_group" if incident.group is not None else ""
    head = locale.text(f"incident.{key}{of}", scopes=scopes, when=when, models=models, group=group, n=number)
    details = list(_causes(locale, incident, models))
    if incident.muted:
        details.append(locale.text("incident.muted", until=locale.minute(incident.muted)))
    if incident.lasts:
        lasted = locale.duration(elapsed(incident.since, summary.run.started_at))
        details.insert(0, locale.text("incident.lasts", duration=lasted))
    if incident.removal:
        if incident.removal.flapping:
            details.append(locale.text("removal.flapping"))
        details.append(_progress(locale, incident.removal))
    if incident.state == "held" or (incident.state == "failed" and (incident.new or key in _KEY_ERRORS)):
        asked = [states[scope] for scope in incident.scopes if scope in states]
        if incident.cure:
            own = incident.cure[:1].upper() + incident.cure[1:]
            details.append((untrusted(sentence(own), "quote", longest=_MAX_CURE),))
        else:
            keys, auth = [scope.key for scope in asked], asked[0].auth if asked else "key"
            details.append(cure(locale, key, incident.scopes, keys, auth=auth))
    return Item(head, tuple(details))


def _causes(locale: Locale, incident: Incident, models: Text) -> Iterator[Text]:
    """Yield the details of a new incident, and the watched models that any held answer lacks."""
    held = incident.state == "held"
    if again := incident.recurrence:
        yield locale.text("recurs", n=again.times, when=locale.minute(again.since))
    if not incident.new:
        pass
    elif incident.hold == HoldKind.ANONYMOUS:
        first = incident.scopes[:_MAX_SCOPES]
        labels = locale.join_some(
            (locale.scope(scope, shown=without_gateway(scope)) for scope in first),
            _MAX_SCOPES,
            of=len(incident.scopes),
        )
        yield locale.text("held.anonymous", n=len(incident.scopes), scopes=labels)
    elif incident.hold in (HoldKind.EMPTY, HoldKind.INCOMPLETE, HoldKind.ALTERNATING):
        # It ends with the setting to add, which a mail must not cut.
        reason = sentence(incident.message)
        yield locale.text("held.reason", message=untrusted(reason, "quote", longest=_MAX_QUOTE + _MAX_CURE))
    elif held and incident.models is not None and incident.held_models is not None:
        yield locale.text("held.sizes", n=incident.held_models, current=incident.models)
    elif incident.message:
        problem = incident.message.removesuffix(f": {incident.cure}")
        yield locale.text("error", message=untrusted(problem, "quote", longest=_MAX_QUOTE))
    if held and incident.missing_watched:
        yield locale.text("held.missing_watched", models=models)
    if incident.new and incident.state == "failed":
        if last := incident.last_answered:
            yield locale.text("last_answered", when=locale.minute(last))
        else:
            yield locale.text("never_answered")


def _accept_command(scopes: Sequence[str]) -> str:
    """Return the command that accepts held answers of one gateway."""
    names = (f"'{scopes[0].partition('/')[0]}/*'",) if len(scopes) > _MAX_SCOPES else scopes
    return untrusted(f"modelwatch accept {' '.join(names)}", longest=_MAX_QUOTE).text


def _progress(locale: Locale, removal: Removal) -> Text:
    """Return how many answers lack a model, and how many more confirm its removal."""
    when = locale.minute(removal.earliest) if removal.earliest else ""
    if removal.earliest and not removal.left:
        return locale.text("removal.only_time", n=removal.answers, when=when)
    key = "removal.earliest" if removal.earliest else "removal"
    return locale.text(key, n=removal.left, answers=removal.answers, needed=removal.needed, when=when)


def resolved(locale: Locale, summary: Summary, *, accepted: bool = False) -> Iterator[BlockContent]:
    """Yield the incidents that ended: held answers that were accepted, or all others."""
    chosen = [each for each in summary.resolved if each.accepted == accepted]
    if chosen:
        yield BlockContent((), items=[_resolved(locale, summary, each) for each in chosen])


def _resolved(locale: Locale, summary: Summary, incident: ResolvedIncident) -> Item:
    scopes = scopes_text(locale, summary, incident.scopes, incident.gateway)
    duration = locale.duration(incident.seconds)
    again = incident.recurrence
    if again and not incident.accepted and (incident.steady or again.lasts_since is None):
        key = "resolved.steady" if incident.steady else f"resolved.recurs.{incident.state}"
        return Item(locale.text(key, scopes=scopes, n=again.times, when=locale.minute(again.since)))
    if incident.state == "failed":
        error_class = incident.error_class if incident.error_class in ERROR_CLASSES else "Unreachable"
        key = "resolved.failed" if incident.reported else f"passed.{error_class}"
        return Item(locale.text(key, scopes=scopes, duration=duration, n=len(incident.scopes)))
    if incident.state == "pending":
        models = locale.join_some(locale.models(incident.gateway, incident.models), _MAX_MODELS)
        return Item(locale.text("resolved.pending", scopes=scopes, models=models, duration=duration))
    when = locale.minute(incident.since)
    if not incident.accepted:
        own = incident.hold == HoldKind.ANONYMOUS and incident.size is not None
        key = "resolved.own_list" if own else "resolved.dropped"
        models = locale.text("count.models", n=incident.size or 0)
        return Item(
            locale.text(
                key, scopes=scopes, when=when, models=models, duration=duration, n=len(incident.scopes)
            )
        )
    details = []
    if incident.size is not None and incident.size_before is not None:
        details.append(locale.text("resolved.size", n=incident.size, before=incident.size_before))
    if incident.removals:
        details.append(locale.text("resolved.removals", n=incident.removals))
        if incident.removal:
            details.append(_progress(locale, incident.removal))
    return Item(locale.text("resolved.accepted", scopes=scopes, when=when), tuple(details))


def first_answers(locale: Locale, summary: Summary) -> Iterator[BlockContent]:
    """Yield the scopes that answered for the first time."""
    items = []
    for each in summary.first_answers:
        scopes = scopes_text(locale, summary, each.scopes, each.gateway)
        key = "first_answer.groups" if each.lists_groups else "first_answer"
        items.append(Item(locale.text(key, n=each.models, scopes=scopes)))
    if items:
        yield BlockContent((), items=items)


def shutdowns(locale: Locale, summary: Summary) -> Iterator[BlockContent]:
    """Yield the announced shutdowns, by day."""
    items = [
        Item(
            locale.text(
                "shutdown",
                day=Piece(locale.day(each.day), "strong"),
                when=locale.distance(each.day) or "",
                model=locale.model(each.gateway, each.model),
                scopes=scopes_text(locale, summary, each.scopes, each.gateway),
            )
        )
        for each in summary.shutdowns
    ]
    if items:
        yield BlockContent((), items=items)


def coverage(locale: Locale, summary: Summary) -> Iterator[BlockContent]:
    """Yield the number of scopes that answered, the failing and held ones, and the pending removals."""
    run = locale.minute(summary.run.started_at)
    items = [Item(locale.text("coverage", n=summary.asked, answered=summary.answered, when=run))]
    for state in ("failed", "held"):
        by_since: dict[tuple[str, str], list[str]] = {}
        for scope in summary.coverage:
            if scope.state == state:
                by_since.setdefault((scope.state_since or "", scope.gateway), []).append(scope.scope)
        for (since, gateway), names in by_since.items():
            scopes = scopes_text(locale, summary, names, gateway)
            when = locale.minute(since) if since else locale.plain("unknown")
            items.append(Item(locale.text(f"coverage.{state}", scopes=scopes, when=when)))
    items += pending_removals(locale, summary.pending)
    yield BlockContent((), items=items)


def pending_removals(locale: Locale, pending: Sequence[tuple[str, tuple[str, ...]]]) -> list[Item]:
    """Return the models whose removal is pending, with the scopes of a gateway that lack the same ones."""
    by_models: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for scope, models in pending:
        by_models.setdefault((scope.partition("/")[0], models), []).append(scope)
    return [
        Item(
            locale.text(
                "pending",
                n=len(models),
                scopes=locale.join_some(map(locale.scope, scopes[:_MAX_SCOPES]), _MAX_SCOPES, of=len(scopes)),
                models=locale.join_some(locale.models(gateway, models), _MAX_MODELS),
            )
        )
        for (gateway, models), scopes in by_models.items()
    ]
