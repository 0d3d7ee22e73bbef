"""The commands that look closely at one thing: show a model, probe a gateway.

What is known of one model: in lines for people, and as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import click

from pipeline.cli.options import LOG, Place, logged, placed
from pipeline.cli.run import database_of, fetcher, load
from pipeline.core.canonical import from_text
from pipeline.core.diff import fields
from pipeline.core.text import printable as safe
from pipeline.core.times import minute
from pipeline.core.types import FieldChange
from pipeline.core.watchlist import matches
from pipeline.errors import exit_status
from pipeline.gateways.probe import Seen, Verdict
from pipeline.history.timeline import ModelDetails, Offer, Says, Standing
from pipeline.reports.console import event_lines, who
from pipeline.reports.csv_json import event_value

if TYPE_CHECKING:
    from pipeline.config import Config
    from pipeline.core.types import Scope
    from pipeline.errors import FetchError
    from pipeline.gateways import FetchOutcome
    from pipeline.gateways.dialects import Answer, Dialect
    from pipeline.gateways.probe import Lookup
    from pipeline.store import Store


_LEAST = 2


@click.command()
@placed
@logged
@click.argument("gateway")
@click.option("--scope", "name", help="Ask as this scope.  [default: the gateway's first]")
@click.option("--times", type=click.IntRange(min=_LEAST), default=3, show_default=True, help="How often.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def probe(
    place: Place, gateway: str, *, name: str | None, times: int, as_json: bool, quiet: bool, verbose: int
) -> int:
    """Ask a gateway several times in a row, and say what differs though nothing changed.

    Prints the lines for the config with which this is not told as changes. No database is touched.
    """
    from pipeline.cli.probe import ProbeAnswer, print_probe, probe_value
    from pipeline.cli.terminal import progress, raw
    from pipeline.core.canonical import pretty
    from pipeline.gateways import dialects
    from pipeline.gateways.probe import probe as compare
    from pipeline.gateways.probe import repeat_requests

    del verbose
    config = load(place)
    scope = _scope_of(config, gateway, name)
    asked = dialects.to_ask(scope.gateway)
    with progress(times, quiet=quiet) as bar:
        results = repeat_requests(scope, asked, times, fetcher(config), bar.step)
    read, answers, failures = _read(scope, asked, results)
    told = ProbeAnswer(scope, asked, read, times, compare(read, answers) if len(answers) >= _LEAST else None)
    if as_json:
        raw(pretty(probe_value(told, failures)))
    elif not quiet:
        print_probe(told)
    for message in dict.fromkeys(error.message for error in failures.values()):
        numbers = ", ".join(str(number) for number, error in failures.items() if error.message == message)
        LOG.warning("%s: answer %s of %d: %s", scope.name, numbers, times, message)
    return exit_status(scopes=times, failed=len(failures))


def _scope_of(config: Config, gateway: str, name: str | None) -> Scope:
    known = list(dict.fromkeys(scope.gateway.name for scope in config.scopes))
    if gateway not in known:
        raise click.UsageError(f"no gateway is named {gateway}: there are {', '.join(known)}")
    # What all groups of a user may use is put together from other answers than a list.
    scopes = [scope for scope in config.scopes if scope.gateway.name == gateway and not scope.all_groups]
    found = [scope for scope in scopes if name in (None, scope.name, scope.name.partition("/")[2])]
    if not found:
        names = ", ".join(scope.name for scope in scopes)
        wanted = f"{gateway} has no scope {name} with a list of its own" if name else f"{gateway} has no list"
        raise click.UsageError(f"{wanted}: {f'there are {names}' if names else 'it is asked by groups only'}")
    return found[0]


def _read(
    scope: Scope, asked: Dialect, results: Sequence[FetchOutcome]
) -> tuple[Dialect, list[Answer], dict[int, FetchError]]:
    """Tell the readable answers from the failures, by number; the first readable one shows the dialect."""
    from pipeline.errors import FetchError, Unreadable
    from pipeline.gateways import FetchResult, dialects

    read: Dialect | None = None
    answers: list[Answer] = []
    failures: dict[int, FetchError] = {}
    for number, result in enumerate(results, 1):
        match result:
            case FetchResult(answer):
                dialect = read or dialects.to_read(scope.gateway, asked, answer)
                try:
                    dialect.read(answer)
                except Unreadable as error:
                    failures[number] = error
                else:
                    read = dialect
                    answers.append(answer)
            case FetchError():
                failures[number] = result
            case _:
                raise AssertionError("no known answer was named, so none can be unchanged")
    return read or asked, answers, failures


@click.command()
@placed
@logged
@click.argument("model")
@click.option("--scope", "globs", multiple=True, help="Only in scopes that match this glob; may be repeated.")
@click.option("--live", is_flag=True, help="Ask each scope for the model now, at the model's own address.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with the records.")
def show(
    place: Place,
    model: str,
    *,
    globs: tuple[str, ...],
    live: bool,
    as_json: bool,
    quiet: bool,
    verbose: int,
) -> int:
    """Tell all that is known of one model: where it is offered, since when, at what price, its history."""
    from pipeline.cli.terminal import raw
    from pipeline.core.canonical import pretty
    from pipeline.history.timeline import model_details
    from pipeline.store import Store

    del verbose
    with Store.read(database_of(place)) as store:
        known = model_details(store, model, lambda scope: matches(scope, globs))
        if not known:
            raise click.UsageError(_unknown(store, model, globs))
        config = load(place) if live else None
        seen = _look(store, config, known, quiet=quiet) if config else None
    if as_json:
        raw(pretty(model_value(model, known, seen)))
    elif not quiet:
        raw("".join(f"{line}\n" for line in model_lines(model, known, seen)))
    failed = sum(each.message is not None for each in (seen or {}).values())
    return exit_status(scopes=len(seen or {}), failed=failed)


def _unknown(store: Store, model: str, globs: tuple[str, ...]) -> str:
    from pipeline.core.text import printable as safe
    from pipeline.history.runs import coverage
    from pipeline.history.timeline import closest

    like = closest(store, model)
    if model in like:
        names = ", ".join(scope.scope for scope in coverage(store))
        return f"no scope matches {' or '.join(globs)}: there are {names}"
    perhaps = f": did you mean {' or '.join(map(safe, like))}?" if like else ""
    return f"no scope was ever offered {safe(model)}{perhaps}"


def _look(store: Store, config: Config, known: Iterable[ModelDetails], *, quiet: bool) -> dict[str, Seen]:
    """Ask now, as each scope that the config has, for what is known at its gateway."""
    from pipeline.cli.terminal import progress
    from pipeline.gateways.probe import lookup

    looks = list(_looks(store, config, known))
    with progress(len(looks), quiet=quiet) as bar:
        return lookup(looks, fetcher(config), bar.step)


def _looks(store: Store, config: Config, known: Iterable[ModelDetails]) -> Iterator[Lookup]:
    from pipeline.gateways import dialects
    from pipeline.gateways.probe import Lookup
    from pipeline.store import scope_states

    pointers = scope_states(store)
    scopes = {scope.name: scope for scope in config.scopes if not scope.all_groups}
    for at in known:
        for standing in at.standings if at.is_known else ():
            scope = scopes.get(standing.coverage.scope)
            if scope:
                dialect = dialects.to_ask(scope.gateway, pointers[scope.name].reading)
                listed = at.offers[standing.record].body if standing.record is not None else None
                yield Lookup(scope, dialect, at.model, listed)


CAVEAT = "in the One-API family a model's own address is no proof that it is offered: the list is"


_MOST_EVENTS = 40


_MOST_FIELDS = 6


_LONGEST_VALUE = 32


_SOURCES = {"estimate": " (an estimate)", "ratio": " (from its ratios)"}


_Live = Mapping[str, Seen] | None


def model_value(model: str, known: Sequence[ModelDetails], live: _Live) -> dict[str, Any]:
    """Give what is known as plain values; with `live`, each scope has what its own address says, or null."""
    found = {"model": model, "gateways": [_gateway_value(at, live) for at in known]}
    return found if live is None else found | {"caveat": CAVEAT}


def _gateway_value(at: ModelDetails, live: _Live) -> dict[str, Any]:
    return {
        "gateway": at.gateway,
        "scopes": [_standing_value(standing, live) for standing in at.standings],
        "records": [
            {
                "record": offer.record,
                "scopes": _scopes_of(at, offer),
                "facts": offer.facts,
                "body": json.loads(offer.body),
            }
            for offer in at.offers.values()
        ],
        "twins": [{"model": twin, "offered": offered} for twin, offered in at.twins.items()],
        "history": [event_value(event) for event in at.events],
    }


def _standing_value(standing: Standing, live: _Live) -> dict[str, Any]:
    scope = standing.coverage
    found = {
        "scope": scope.scope,
        "group": scope.group,
        "state": scope.state,
        "says": str(standing.says),
        "since": standing.since,
        "from_the_beginning": standing.from_the_beginning,
        "record": standing.record,
    }
    if live is None:
        return found
    seen = live.get(scope.scope)
    return found | {"live": _seen_value(seen) if seen else None}


def _seen_value(seen: Seen) -> dict[str, Any]:
    return {
        "verdict": str(seen.verdict),
        "fields": [
            {"field": field.field}
            | {
                side: from_text(text)
                for side, text in (("listed", field.before), ("answered", field.after))
                if text is not None
            }
            for field in seen.fields
        ],
        "error": seen.message,
    }


def model_lines(model: str, known: Sequence[ModelDetails], live: _Live) -> Iterator[str]:
    """Give what is known in lines: where it is offered, its facts, its history, and what it says now."""
    told = [at for at in known if at.is_known]
    for number, at in enumerate(told):
        if number:
            yield ""
        yield from _gateway(at, live)
    strangers = [at.gateway for at in known if not at.is_known]
    if strangers:
        if told:
            yield ""
        yield f"{safe(model)} was never offered at {', '.join(map(safe, strangers))}"
    if live:
        yield ""
        yield CAVEAT


def _gateway(at: ModelDetails, live: _Live) -> Iterator[str]:
    yield f"{safe(at.model)} at {safe(at.gateway)}"
    yield from _aligned(at.gateway, ((each, _stands(each)) for each in at.standings))
    for twin, offered in at.twins.items():
        now = "" if offered else ", no longer offered"
        yield f"  {safe(twin)} is another model here{now}: only the case differs"
    yield from _offers(at)
    if at.events:
        yield ""
        yield from event_lines(at.events[-_MOST_EVENTS:], quiet_too=True, each=True)
        earlier = len(at.events) - _MOST_EVENTS
        if earlier > 0:
            yield f"({earlier} earlier: `modelwatch changes --all --model {safe(at.model)}`)"
    if live is not None:
        yield ""
        yield "asked now at its own address"
        yield from _aligned(
            at.gateway, ((each, _saw(live.get(each.coverage.scope), each)) for each in at.standings)
        )


def _aligned(gateway: str, told: Iterable[tuple[Standing, str]]) -> Iterator[str]:
    """Give a line for what scopes share, with the scopes before it."""
    scopes: dict[str, list[Standing]] = {}
    for standing, text in told:
        scopes.setdefault(text, []).append(standing)
    named = {text: _who(gateway, standings) for text, standings in scopes.items()}
    width = max(map(len, named.values()), default=0)
    yield from (f"  {name:<{width}}  {text}" for text, name in named.items())


def _who(gateway: str, standings: Iterable[Standing]) -> str:
    scopes = [standing.coverage for standing in standings]
    groups = sorted({scope.group for scope in scopes if scope.group})
    return who(gateway, tuple(scope.scope for scope in scopes), tuple(groups))


def _stands(standing: Standing) -> str:
    text = _SAYS[standing.says].format(minute(standing.since or ""))
    if standing.from_the_beginning:
        text = f"offered since the beginning, {minute(standing.since or '')}"
    scope = standing.coverage
    if scope.state in ("held", "failed") and standing.says != Says.UNHEARD:
        text += f" ({scope.state} since {minute(scope.state_since or '')}: this is what was known)"
    if scope.state == "retired" and scope.last_answered and standing.says != Says.UNHEARD:
        text += f" (not asked now: this is what was known at {minute(scope.last_answered)})"
    return text


_SAYS = {
    Says.OFFERED: "offered since {}",
    Says.MISSING: "missing since {}, to be confirmed by the next answers",
    Says.REMOVED: "not offered since {}",
    Says.NEVER: "never offered",
    Says.UNHEARD: "unknown: it has not answered yet",
}


def _offers(at: ModelDetails) -> Iterator[str]:
    for offer in at.offers.values():
        yield ""
        if len(at.offers) > 1:
            members = [each for each in at.standings if each.record == offer.record]
            yield f"  as {_who(at.gateway, members)} {'has' if len(members) == 1 else 'have'} it"
        facts = dict(_facts(offer.facts))
        width = max(map(len, facts), default=0)
        yield from (f"  {label:<{width}}  {text}" for label, text in facts.items())
        if not facts:
            yield "  nothing but its name is told"
    if len(at.offers) > 1:
        first, *others = (offer.body for offer in at.offers.values())
        differing = sorted({safe(field.field) for other in others for field in fields(first, other)})
        yield ""
        yield f"  they differ in {_some(differing)}"


def _scopes_of(at: ModelDetails, offer: Offer) -> list[str]:
    return [each.coverage.scope for each in at.standings if each.record == offer.record]


def _facts(facts: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Give the known facts with their labels and units."""
    source = _SOURCES.get(facts.get("price_source", ""), "")
    for name, (label, written) in _FACTS.items():
        if name in facts:
            yield label, written(facts[name]) + (source if written in (_per_1m, _usd) else "")


def _tokens(count: int) -> str:
    return f"{count:,} tokens"


def _per_1m(price: float) -> str:
    return f"{_usd(price)} per 1M tokens"


def _usd(price: float) -> str:
    return f"${Decimal(str(price)).normalize():f}"


def _names(names: Iterable[str]) -> str:
    return ", ".join(safe(name) for name in names)


_FACTS: dict[str, tuple[str, Callable[[Any], str]]] = {
    "owned_by": ("owner", safe),
    "created": ("created", minute),
    "type": ("type", safe),
    "context_length": ("context", _tokens),
    "max_output": ("max output", _tokens),
    "input_usd_per_1m": ("input", _per_1m),
    "output_usd_per_1m": ("output", _per_1m),
    "cache_read_usd_per_1m": ("cache read", _per_1m),
    "cache_write_usd_per_1m": ("cache write", _per_1m),
    "usd_per_call": ("a call", _usd),
    "input_modalities": ("takes", _names),
    "output_modalities": ("gives", _names),
    "features": ("features", _names),
    "endpoints": ("endpoints", _names),
    "lifecycle": ("lifecycle", safe),
    "deprecated_at": ("deprecated", safe),
    "aliases": ("aliases", _names),
}
"""By column: what people call it, and how it is written."""


def _some(names: Sequence[str]) -> str:
    more = len(names) - _MOST_FIELDS
    return ", ".join(names[:_MOST_FIELDS]) + (f" and {more} more" if more > 0 else "")


def _saw(seen: Seen | None, standing: Standing) -> str:
    if seen is None:
        return "not asked: the config has no such scope, or it has no address for one model"
    match seen.verdict:
        case Verdict.DIFFERS:
            return f"differs from the list: {_some([_side_by_side(field) for field in seen.fields])}"
        case Verdict.NOT_FOUND:
            return f"not found, {'and not in' if standing.record is None else 'though it is in'} the list"
        case Verdict.ERROR:
            return f"no answer: {safe(seen.message or '')}"
        case Verdict.SAME | Verdict.UNLISTED:
            return _SAW[seen.verdict]


_SAW = {
    Verdict.SAME: "the same as in the list",
    Verdict.UNLISTED: "there, though it is not in the list",
}


def _side_by_side(field: FieldChange) -> str:
    before, after = (_cut(side) for side in (field.before, field.after))
    return f"{safe(field.field)} ({before} → {after})"


def _cut(text: str | None) -> str:
    if text is None:
        return "none"
    short = safe(text)
    return short if len(short) <= _LONGEST_VALUE else short[: _LONGEST_VALUE - 1] + "…"
