"""The command `show`: everything recorded of one model, and with `--live` its record at its own address."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

import click

from pipeline.api import Home, LookupResult, Verdict
from pipeline.cli.options import Name, logged, names_option, with_home
from pipeline.cli.terminal import progress, raw
from pipeline.core.canonical import from_text, pretty
from pipeline.core.diff import field_changes
from pipeline.core.prices import PRICES
from pipeline.core.text import printable as safe
from pipeline.core.text import quoted
from pipeline.core.times import minute
from pipeline.core.types import FieldChange
from pipeline.errors import exit_status
from pipeline.history.model import ModelDetails, OfferedRecord, OfferState, ScopeOffer
from pipeline.reports.console import amount_text, event_lines, scopes_text, state_text, usd_text
from pipeline.reports.csv_json import current_price_value, event_value

CAVEAT = "gateways of the One-API family may answer here for models that they do not offer: rely on the list"


_MOST_EVENTS = 40


_MOST_FIELDS = 6


_LONGEST_VALUE = 32


_Live = Mapping[str, LookupResult] | None
"""Results by scope; None without `--live`."""


@click.command()
@with_home
@logged
@click.argument("model", type=Name("models"))
@names_option("scope", "globs", "Only in scopes that match this glob")
@click.option(
    "--live",
    is_flag=True,
    help="Request the model now, at its own address, as each scope; it need not be listed.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with the records.")
def show(
    home: Home,
    model: str,
    *,
    globs: tuple[str, ...],
    live: bool,
    as_json: bool,
    quiet: bool,
    verbose: int,
) -> int:
    """Show one model: the scopes that are offered it, since when, its facts and prices, its history."""
    del verbose
    details = home.show(model, scopes=globs, unlisted=live)
    results = None
    if live:
        asked = sum(scope.coverage.state != "retired" for at in details for scope in at.scopes)
        with progress(asked, quiet=quiet) as bar:
            results = home.lookup(model, scopes=globs, on_answer=bar.step)
    if as_json:
        raw(pretty(model_value(model, details, results)))
    elif not quiet:
        raw("".join(f"{line}\n" for line in model_lines(model, details, results)))
    failed = sum(result.message is not None for result in (results or {}).values())
    return exit_status(scopes=len(results or {}), failed=failed)


def model_value(model: str, details: Sequence[ModelDetails], live: _Live) -> dict[str, Any]:
    """Return the details as JSON values; `live` adds to each scope the result of its lookup, or null."""
    value = {"model": model, "gateways": [_gateway_value(at, live) for at in details]}
    return value | {"caveat": CAVEAT} if _needs_caveat(live) else value


def _needs_caveat(live: _Live) -> bool:
    return any(result.lenient for result in (live or {}).values())


def _gateway_value(at: ModelDetails, live: _Live) -> dict[str, Any]:
    return {
        "gateway": at.gateway,
        "scopes": [_scope_value(offer, live) for offer in at.scopes],
        "records": [
            {
                "record": record.id,
                "scopes": [offer.coverage.scope for offer in at.scopes if offer.record == record.id],
                "facts": record.facts,
                "prices": [current_price_value(price) for price in record.more_prices],
                "body": json.loads(record.body),
            }
            for record in at.records.values()
        ],
        "case_variants": [
            {"model": variant, "offered": offered} for variant, offered in at.case_variants.items()
        ],
        "history": [event_value(event) for event in at.events],
    }


def _scope_value(offer: ScopeOffer, live: _Live) -> dict[str, Any]:
    scope = offer.coverage
    value = {
        "scope": scope.scope,
        "group": scope.group,
        "state": scope.state,
        "availability": str(offer.state),
        "since": offer.since,
        "from_the_beginning": offer.from_the_beginning,
        "record": offer.record,
    }
    if live is None:
        return value
    result = live.get(scope.scope)
    return value | {"live": _result_value(result) if result else None}


def _result_value(result: LookupResult) -> dict[str, Any]:
    return {
        "verdict": str(result.verdict),
        "fields": [
            {"field": field.field}
            | {
                side: from_text(text)
                for side, text in (("listed", field.before), ("answered", field.after))
                if text is not None
            }
            for field in result.fields
        ],
        "error": result.message,
    }


def model_lines(model: str, details: Sequence[ModelDetails], live: _Live) -> Iterator[str]:
    """Yield the lines: for each gateway the scopes, the facts, the history and the results of lookups."""
    offering = [at for at in details if at.was_offered]
    others = [at.gateway for at in details if not at.was_offered]
    for number, at in enumerate(offering):
        if number:
            yield ""
        yield from _gateway_lines(at, live)
    if others:
        if offering:
            yield ""
        yield f"{quoted(model)} was never offered at {', '.join(map(safe, others))}"
        if live is not None:
            yield from (line for at in details if not at.was_offered for line in _live_lines(at, live))
    if _needs_caveat(live):
        yield ""
        yield CAVEAT


def _gateway_lines(at: ModelDetails, live: _Live) -> Iterator[str]:
    yield f"{safe(at.model)} at {safe(at.gateway)}"
    yield from _aligned(at.gateway, ((offer, _offer_text(offer, pruned=at.pruned)) for offer in at.scopes))
    for variant, offered in at.case_variants.items():
        now = "" if offered else ", no longer offered"
        yield f"  {safe(variant)} is another model here{now}: only the case differs"
    yield from _record_lines(at)
    if at.events:
        yield ""
        yield from event_lines(at.events[-_MOST_EVENTS:], quiet_too=True, each=True)
        earlier = len(at.events) - _MOST_EVENTS
        if earlier > 0:
            yield f"({earlier} earlier: `modelwatch changes --all --model {safe(at.model)}`)"
    if live is not None:
        yield ""
        yield from _live_lines(at, live)


def _live_lines(at: ModelDetails, live: Mapping[str, LookupResult]) -> Iterator[str]:
    yield "live, at the model's own address"
    results = ((offer, _result_text(live.get(offer.coverage.scope), offer)) for offer in at.scopes)
    yield from _aligned(at.gateway, results)


def _aligned(gateway: str, texts: Iterable[tuple[ScopeOffer, str]]) -> Iterator[str]:
    """Yield a line for each different text, with its scopes in front."""
    sharing: dict[str, list[ScopeOffer]] = {}
    for offer, text in texts:
        sharing.setdefault(text, []).append(offer)
    scopes = {text: _scopes(gateway, offers) for text, offers in sharing.items()}
    width = max(map(len, scopes.values()), default=0)
    yield from (f"  {names:<{width}}  {text}" for text, names in scopes.items())


def _scopes(gateway: str, offers: Iterable[ScopeOffer]) -> str:
    coverage = [offer.coverage for offer in offers]
    groups = sorted({scope.group for scope in coverage if scope.group})
    return scopes_text(gateway, tuple(scope.scope for scope in coverage), tuple(groups))


_STATES = {
    OfferState.OFFERED: "offered since {}",
    OfferState.MISSING: "missing since {}, to be confirmed by the next answers",
    OfferState.REMOVED: "not offered since {}",
    OfferState.NEVER: "never offered",
    OfferState.UNKNOWN: "unknown: no answer yet",
}


def _offer_text(offer: ScopeOffer, *, pruned: bool) -> str:
    text = _STATES[offer.state].format(minute(offer.since or ""))
    if offer.from_the_beginning:
        text = f"offered since the beginning, {minute(offer.since or '')}"
        if pruned:
            text = f"offered in the first kept answer, {minute(offer.since or '')}, and since"
    scope = offer.coverage
    if offer.state == OfferState.UNKNOWN:
        return text
    if offer.lost:
        group = safe(offer.lost.group)
        if offer.lost.is_gone:
            return f"{text}: group {group} is gone"
        text += f" (group {group} may be gone since {minute(offer.lost.since)}: this is its last list)"
    if scope.state in ("held", "failed"):
        text += f" ({state_text(scope.state, scope.state_since)}: this is the last known state)"
    if scope.state == "retired" and scope.last_answered:
        text += f" (no longer asked: this is the state of {minute(scope.last_answered)})"
    return text


def _record_lines(at: ModelDetails) -> Iterator[str]:
    records = list(at.records.values())
    for record in records:
        yield ""
        if len(records) > 1:
            sharing = [offer for offer in at.scopes if offer.record == record.id]
            yield f"  in {_scopes(at.gateway, sharing)}"
        facts = dict(_facts(record))
        width = max(map(len, facts), default=0)
        yield from (f"  {label:<{width}}  {text}" for label, text in facts.items())
        if not facts:
            yield "  no facts but the name"
    if len(records) > 1:
        first, *others = (record.body for record in records)
        differing = sorted({safe(field.field) for other in others for field in field_changes(first, other)})
        yield ""
        yield f"  the records differ in {_some(differing)}"


def _facts(record: OfferedRecord) -> Iterator[tuple[str, str]]:
    """Yield the known facts: label, and value with its unit."""
    source = record.facts.get("price_source")
    for name, (label, text_of) in _FACTS.items():
        if name not in record.facts:
            continue
        value = record.facts[name]
        if name in PRICES:
            yield label, usd_text(Decimal(str(value)), PRICES[name][1], source)
        else:
            yield label, text_of(value)
    for price in record.more_prices:
        yield safe(price.name), amount_text(price)


def _tokens(number: int) -> str:
    return f"{number:,} tokens"


def _names(names: Iterable[str]) -> str:
    return ", ".join(map(safe, names))


_FACTS: dict[str, tuple[str, Callable[[Any], str]]] = {
    "owned_by": ("owner", safe),
    "created": ("created", minute),
    "type": ("type", safe),
    "context_length": ("context", _tokens),
    "max_output": ("max output", _tokens),
    "input_usd_per_1m": ("input", str),
    "output_usd_per_1m": ("output", str),
    "cache_read_usd_per_1m": ("cache read", str),
    "cache_write_usd_per_1m": ("cache write", str),
    "usd_per_call": ("price", str),
    "input_modalities": ("accepts", _names),
    "output_modalities": ("produces", _names),
    "features": ("features", _names),
    "endpoints": ("endpoints", _names),
    "lifecycle": ("lifecycle", safe),
    "deprecated_at": ("shutdown", safe),
    "aliases": ("aliases", _names),
}
"""By column of `records`: the label, and the function that writes the value, unless it is a price."""


def _result_text(result: LookupResult | None, offer: ScopeOffer) -> str:
    if result is None:
        return "not asked: the config has no such scope, or the scope has no address for one model"
    texts = {
        Verdict.SAME: "the same as in the list",
        Verdict.UNLISTED: f"found{_other_id(result)}, but not in the list",
        Verdict.DIFFERS: f"differs from the list: {_some([_field_text(field) for field in result.fields])}",
        Verdict.NOT_FOUND: f"not found, {'and not' if offer.record is None else 'but'} in the list",
        Verdict.NO_ADDRESS: "no answer about a model: this gateway may have no address for one",
        Verdict.ERROR: f"no answer: {safe(result.message or '')}",
    }
    return texts[result.verdict]


def _other_id(result: LookupResult) -> str:
    """Return ` as ID` for a record with another id than was asked for."""
    return "".join(f" as {_short(field.after)}" for field in result.fields)


def _field_text(field: FieldChange) -> str:
    return f"{safe(field.field)} ({_short(field.before)} → {_short(field.after)})"


def _short(text: str | None) -> str:
    if text is None:
        return "none"
    short = safe(text)
    return short if len(short) <= _LONGEST_VALUE else short[: _LONGEST_VALUE - 1] + "…"


def _some(names: Sequence[str]) -> str:
    more = len(names) - _MOST_FIELDS
    return ", ".join(names[:_MOST_FIELDS]) + (f" and {more} more" if more > 0 else "")
