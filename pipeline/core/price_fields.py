"""Prices in records of unknown formats: found by the words of their names, in the unit that a record states.

A unit that is not stated is concluded from the names and magnitudes of two prices, where only one unit is
possible. An unsure price gives no figure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from pipeline.core.amounts import (
    CURRENCY_WORDS,
    NO_TERMS,
    USD,
    Amount,
    Terms,
    in_one_currency,
    names_in,
    parse_amount,
    scaled_amount,
    stated_unit,
    states_terms,
    terms_beside,
    terms_of,
    words,
)
from pipeline.core.caches import cache_short
from pipeline.core.limits import MAX_NAME, MAX_NAMES
from pipeline.core.price_tiers import first_tier, with_tiers, without_end

INPUT, OUTPUT = "input_usd_per_1m", "output_usd_per_1m"
CACHE_READ, CACHE_WRITE = "cache_read_usd_per_1m", "cache_write_usd_per_1m"

DEAREST = Decimal(10_000)
"""USD per 1M tokens: no price is higher."""

CHEAPEST = Decimal("0.00000001")
"""USD per 1M tokens, a millionth of a cent: no price above 0 is lower."""

PER_TOKEN, _PER_1M, _CENTS_PER_100M = Decimal(1_000_000), Decimal(1), Decimal("0.0001")

PRICE_WORDS = frozenset(names_in("cost costs price prices pricing pricings tariff tariffs 价格"))
NEUTRAL = frozenset(
    names_in(
        "amount base cent cents default demand dollar dollars fee list llm normal on per rate rates"
        " regular standard text tier tiers tok token tokens toks unit units us usd value 1000 1000000 1k"
        " 1m k ktok ktoks m million mtok mtoken mtokens mtoks thousand"
    )
)
INPUT_WORDS = frozenset(names_in("in input inputs prompt prompts 输入"))
OUTPUT_WORDS = frozenset(names_in("completion completions generated out output outputs 输出"))
CACHE = frozenset(names_in("cache cached caches"))
READ = frozenset(names_in("hit hits read reads"))
WRITE = frozenset(names_in("create created creation write writes"))
MISS = frozenset({"miss"})
"""Input that the cache does not have: https://api-docs.deepseek.com/quick_start/pricing"""
EPHEMERAL = frozenset({"ephemeral"})
_FIVE_MINUTES = frozenset(names_in("5m 5 min minute minutes"))
"""How long a cache is kept at the usual price: https://docs.claude.com/en/docs/build-with-claude/prompt-caching"""

_STATES_UNIT = frozenset(names_in("million 1m mtok mtoks mtoken mtokens thousand 1k ktok ktoks 1000000 1000"))
_VAGUE = frozenset({"m", "k"})
"""Words of names that are no unit: `price_per_m` is USD per 1M tokens at one gateway, and a ten-thousandth of
that at another.

See https://github.com/lobehub/lobe-chat/blob/main/packages/model-runtime/src/providers/novita/index.ts
"""

WRAPPERS = frozenset(
    names_in("attributes details info meta metadata model_info modelinfo model_spec modelspec spec")
)
"""Objects in a record that hold its prices beside other facts."""

LABELS = ("type", "name", "meter", "kind", "token_type", "tokenType", "direction", "usage", "unit")
"""Names of texts that say what an element of a list of prices is for."""

_DEPTH = 5

_OPENROUTER = frozenset(
    names_in("architecture canonical_slug per_request_limits supported_parameters top_provider")
)
"""Fields of records like OpenRouter's, whose prices are texts in USD per token.

See https://openrouter.ai/docs/models
"""


class PriceField(Struct, frozen=True):
    """A price of tokens in a record.

    Args:
        path: where it is, with `[]` for a list.
        meter: the column of the fact.
        amount: its value, with all that the record states about it.
        vague: whether its name has a word that may be a unit or not.
    """

    path: str
    meter: str
    amount: Amount
    vague: bool = False


class FoundPrices(Struct, frozen=True):
    """The prices of a record.

    Args:
        usd: by column, in USD per 1M tokens, not rounded.
        fields: every price of tokens that the record has.
        impossible: those whose figure cannot be a price, with the figure.
        why_none: why there is no figure: `unit` (it is not stated), the name of a currency, or None.
        unit: the factor to USD per 1M tokens of prices that do not state theirs; None if it is unknown.
        overrules: whether `unit` holds against the unit that the record states, which cannot be.
    """

    usd: Mapping[str, Decimal]
    fields: tuple[PriceField, ...] = ()
    impossible: tuple[tuple[str, Decimal], ...] = ()
    why_none: str | None = None
    unit: Decimal | None = None
    overrules: bool = False


_NONE = FoundPrices({})


def find_prices(
    body: Mapping[str, Any], unit: Decimal | None = None, currency: str | None = None
) -> FoundPrices:
    """Return the prices of a record of an unknown format.

    Args:
        body: the record.
        unit: the factor to USD per 1M tokens of prices whose unit it does not state; None to conclude it.
        currency: that of prices that do not state theirs; None for USD.
    """
    outer = Terms(currency=currency) if currency else NO_TERMS
    fields = _by_meter(_fields(body, (), outer)) if any(priced_names(tuple(body))) else ()
    if not fields:
        return _NONE if unit is None else FoundPrices({}, unit=unit)
    others = [each.amount.terms.currency for each in fields if each.amount.terms.currency not in (None, USD)]
    if others:
        # A price without a currency is in that of the others.
        in_usd = tuple(each for each in fields if each.amount.terms.currency == USD)
        if not any(each.meter in (INPUT, OUTPUT) for each in in_usd):
            return FoundPrices({}, fields, why_none=others[0], unit=_common_unit(fields) or unit)
        fields = in_usd
    if _is_per_token_in_truth(fields):
        unit, overrules = PER_TOKEN, True
        fields = tuple(replace(each, amount=Amount(each.amount.value)) for each in fields)
        return replace(_in_usd(fields, body, unit), overrules=overrules)
    return _in_usd(fields, body, unit)


def _in_usd(fields: tuple[PriceField, ...], body: Mapping[str, Any], unit: Decimal | None) -> FoundPrices:
    unit = _common_unit(fields) or unit or _unit_of_shape(fields, body) or _unit_by_magnitude(fields)
    figures: dict[str, Decimal] = {}
    impossible: list[tuple[str, Decimal]] = []
    for each in fields:
        factor = each.amount.terms.factor or unit
        if factor is None:
            continue
        figure = each.amount.value * factor
        if is_possible(figure):
            figures[each.meter] = figure
        else:
            impossible.append((each.path, figure))
    if impossible:
        # The unit of the others is the same, so they are wrong too, though their figures look possible.
        return FoundPrices({}, fields, tuple(impossible))
    for meter in (CACHE_READ, CACHE_WRITE):
        if meter in figures:
            figures[meter] = _cache_price(figures[meter], figures.get(INPUT))
    return FoundPrices(figures, fields, why_none=None if figures else "unit", unit=unit)


_TOO_CHEAP = Decimal("0.0001")
"""USD per 1M tokens: no input and output of a model that are not free both cost less."""


def _is_per_token_in_truth(fields: Sequence[PriceField]) -> bool:
    """Return whether prices that are said to be per 1M tokens are per token.

    As those of https://api.digitalocean.com/v2/gen-ai/models/catalog, whose names end in `_per_million`.
    """
    if fields[0].amount.terms.factor != _PER_1M:
        return False
    base = {each.meter: each.amount for each in fields if each.meter in (INPUT, OUTPUT)}
    values = [amount.value for amount in base.values() if amount.value]
    is_said = all(amount.terms.factor == _PER_1M for amount in base.values())
    return (
        len(base) > 1
        and bool(values)
        and is_said
        and all(CHEAPEST <= value < _TOO_CHEAP and _LEAST <= value * PER_TOKEN <= _MOST for value in values)
    )


_FAR = Decimal(1000)


def _cache_price(figure: Decimal, of_input: Decimal | None) -> Decimal:
    """Return the price of a cache, which a gateway may state per token beside others per 1M tokens.

    As `input_cache_read` at https://cloud-api.near.ai/v1/models.
    """
    if not of_input or not figure or figure * _FAR >= of_input:
        return figure
    per_token = figure * PER_TOKEN
    return per_token if of_input / _FAR <= per_token <= of_input * 10 else figure


def is_possible(figure: Decimal) -> bool:
    """Return whether a figure in USD per 1M tokens can be a price."""
    return figure == 0 or CHEAPEST <= figure <= DEAREST


def _by_meter(found: Iterator[PriceField]) -> tuple[PriceField, ...]:
    """Return the first price of each meter; a record without an input or output price has none."""
    first: dict[str, PriceField] = {}
    for each in found:
        other = first.setdefault(each.meter, each)
        if other is not each and _rank(each) < _rank(other):
            first[each.meter] = each
    meters = (INPUT, OUTPUT, CACHE_READ, CACHE_WRITE)
    found_meters = tuple(first[meter] for meter in meters if meter in first)
    return found_meters if INPUT in first or OUTPUT in first else ()


_QUALIFIERS = frozenset(names_in("base default list normal original regular standard"))
"""Words of the prices of others, or before a discount, where they stand beside the plain price.

As `list_pricing` at https://api.edenai.run/v3/models, and `base_input_per_million_tokens` at
https://inference.maxlayer.cloud/v1/models.
"""


def _rank(field: PriceField) -> tuple[bool, bool]:
    """Return a key by which the prices of one meter are sorted: in USD first, without a qualifier first."""
    return field.amount.terms.currency not in (None, USD), _is_qualified(field.path)


@cache_short(8192, MAX_NAME)
def _is_qualified(name: str) -> bool:
    return not _QUALIFIERS.isdisjoint(words(name))


@cache_short(512, MAX_NAMES)
def in_order(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return names, those with a qualifier last."""
    return tuple(sorted(names, key=_is_qualified))


def _fields(value: Mapping[str, Any], at: tuple[str, ...], outer: Terms) -> Iterator[PriceField]:
    """Yield the prices of a record, or of a wrapper in it."""
    priced, wrappers = priced_names(tuple(value))
    terms = terms_beside(value).over(outer) if priced else outer
    for name in priced:
        yield from _prices((*at, name), value[name], words(name), terms, _DEPTH)
    if len(at) < _DEPTH:
        for name in wrappers:
            if isinstance(item := value[name], dict):
                yield from _fields(item, (*at, name), terms)


@cache_short(512, MAX_NAMES)
def priced_names(names: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return which names of an object have a word for prices, and which are of wrappers."""
    priced = in_order(tuple(filter(names_price, names)))
    return priced, tuple(name for name in names if name.lower() in WRAPPERS)


@cache_short(8192, MAX_NAME)
def names_price(name: str) -> bool:
    """Return whether a name has a word for prices, or says what is billed and for how many tokens.

    As `input_per_1m` at https://api.aiand.com/v1/models.
    """
    found = words(name)
    if not PRICE_WORDS.isdisjoint(found):
        return True
    return "per" in found and terms_of_name(found).factor is not None and _meter(found) is not None


def _prices(
    at: tuple[str, ...], item: Any, named: tuple[str, ...], terms: Terms, depth: int
) -> Iterator[PriceField]:
    if depth == 0:
        return
    match item:
        case dict():
            if (amount := scaled_amount(item)) is not None:
                if price := _price(at, amount, named, terms):
                    yield price
                return
            beside = terms_beside(item).over(terms)
            for name, inner in with_tiers(in_one_currency(item)).items():
                if not (states_terms(name) and is_unit(name, inner)):
                    yield from _prices((*at, name), inner, (*named, *words(name)), beside, depth - 1)
        case [dict(), *_]:
            yield from _listed(at, item, named, terms, depth)
        case list():
            return
        case _:
            if price := _price_of(at, item, named, terms):
                yield price


def _price_of(at: tuple[str, ...], item: Any, named: tuple[str, ...], terms: Terms) -> PriceField | None:
    """Return a number or text as a price; records of one list mostly have few different ones."""
    if isinstance(item, str) and len(item) > MAX_NAME:
        return None
    return _short_price(at, item, named, terms)


@lru_cache(8192, typed=True)
def _short_price(at: tuple[str, ...], item: Any, named: tuple[str, ...], terms: Terms) -> PriceField | None:
    amount = parse_amount(item) if _meter(named) else None
    return _price(at, amount, named, terms) if amount else None


def _price(at: tuple[str, ...], amount: Amount, named: tuple[str, ...], terms: Terms) -> PriceField | None:
    """Return an amount as a price; None if its name is not that of one, or its unit is another."""
    meter = _meter(named)
    if meter is None:
        return None
    full = amount.terms.over(terms_of_name(named)).over(terms)
    if full.other:
        return None
    path = ".".join(at).replace(".*", "[]")
    return PriceField(path, meter, Amount(amount.value, full), not _VAGUE.isdisjoint(named))


def is_unit(name: str, value: Any) -> bool:
    """Return whether a field of an object with prices is the number of tokens that they are for."""
    if isinstance(value, str | list | dict) or not states_terms(name):
        return False
    stated = stated_unit(name, value)
    return PRICE_WORDS.isdisjoint(words(name)) or (stated is not None and stated.factor is not None)


def _listed(
    at: tuple[str, ...], items: Sequence[Any], named: tuple[str, ...], terms: Terms, depth: int
) -> Iterator[PriceField]:
    """Yield the prices of a list: of its labelled elements, else of the tier for any prompt."""
    labelled = False
    for item in items:
        if not isinstance(item, dict):
            continue
        for label in LABELS:
            text = item.get(label)
            if isinstance(text, str) and _meter((*named, *words(text))):
                labelled = True
                rest = {name: inner for name, inner in item.items() if name not in LABELS or name == "unit"}
                yield from _prices((*at, "*"), rest, (*named, *words(text)), terms, depth - 1)
                break
    if not labelled:
        yield from _prices((*at, "*"), first_tier(items), named, terms, depth - 1)


@cache_short(8192, MAX_NAMES)
def _meter(named: tuple[str, ...]) -> str | None:
    """Return the column of the price that these words name; None for any other price."""
    rest = set(without_end(named)) - PRICE_WORDS - NEUTRAL - CURRENCY_WORDS
    is_cache = not rest.isdisjoint(CACHE)
    rest -= CACHE
    if not is_cache:
        if rest and rest <= INPUT_WORDS:
            return INPUT
        return OUTPUT if rest and rest <= OUTPUT_WORDS else None
    rest -= INPUT_WORDS
    if not rest.isdisjoint(("5m", "5")):
        rest -= _FIVE_MINUTES
    if rest == MISS:
        return INPUT
    rest -= EPHEMERAL
    if rest <= READ:
        return CACHE_READ
    return CACHE_WRITE if rest <= WRITE else None


@cache_short(8192, MAX_NAMES)
def terms_of_name(named: tuple[str, ...]) -> Terms:
    """Return the unit and currency that the words of a name state: `input_cost_per_token`, `usd_per_1m`."""
    states = not _STATES_UNIT.isdisjoint(named)
    per_token = "per" in named and not {"token", "tokens"}.isdisjoint(named) and _VAGUE.isdisjoint(named)
    kept = [word for word in named if word in CURRENCY_WORDS]
    if states:
        kept += [word for word in named if word in _STATES_UNIT]
    elif per_token:
        kept += ["per", "token"]
    return terms_of(kept) if kept else NO_TERMS


def _common_unit(fields: Sequence[PriceField]) -> Decimal | None:
    """Return the one unit that some prices of a record state; it is that of the others, too."""
    stated = {each.amount.terms.factor for each in fields if each.amount.terms.factor is not None}
    return stated.pop() if len(stated) == 1 else None


def _unit_of_shape(fields: Sequence[PriceField], body: Mapping[str, Any]) -> Decimal | None:
    """Return the unit of a known format whose marks a record has, if its magnitudes are of that unit."""
    by_path = {each.path: each for each in fields}
    if "prompt_text_token_price" in by_path and "completion_text_token_price" in by_path:
        # Whole cents per 100M tokens: https://docs.x.ai/docs/api-reference#list-language-models
        whole = all(each.amount.value == int(each.amount.value) for each in fields)
        return _CENTS_PER_100M if whole else None
    values = [each.amount.value for each in fields]
    if {"pricing.prompt", "pricing.completion"} <= by_path.keys() and not _OPENROUTER.isdisjoint(body):
        texts = all(isinstance(body["pricing"].get(name), str) for name in ("prompt", "completion"))
        return PER_TOKEN if texts and max(values) * PER_TOKEN <= DEAREST else None
    if {"cost.input", "cost.output"} <= by_path.keys() and isinstance(body.get("limit"), dict):
        # https://github.com/anomalyco/models.dev#schema-reference
        return _PER_1M if min((value for value in values if value), default=1) >= Decimal("0.001") else None
    return None


def names_unread_price(path: str) -> bool:
    """Return whether a path is that of a price of tokens, by its words, wherever it is in a record."""
    named = set(words(path))
    if PRICE_WORDS.isdisjoint(named) and not any(map(names_price, path.split("."))):
        return False
    return not named.isdisjoint(INPUT_WORDS | OUTPUT_WORDS) or named <= PRICE_WORDS | NEUTRAL | CURRENCY_WORDS


def plain_meter(path: str) -> str | None:
    """Return the column of the plain price that a path of names is that of; None for any other."""
    return _meter(words(path)) if PRICE_WORDS & set(words(path)) else None


_LEAST, _MOST = Decimal("0.001"), Decimal(1000)
"""USD per 1M tokens: the prices of nearly all models."""


def _unit_by_magnitude(fields: Sequence[PriceField]) -> Decimal | None:
    """Return the unit that two prices show: there must be no other in which they can be prices.

    * Per token: below $0.0002, and the lower so low that it is nothing per 1K tokens.
    * Per 1M tokens: the higher is at least $0.20, which would be $200 per 1K.

    Names like OpenRouter's, `prompt` and `completion`, are those of prices per token or per 1M tokens.
    """
    by_meter = {each.meter: each for each in fields}
    if any(each.vague for each in fields) or not {INPUT, OUTPUT} <= by_meter.keys():
        return None
    values = [by_meter[meter].amount.value for meter in (INPUT, OUTPUT)]
    positive = [value for value in values if value]
    if not positive:
        return None
    low, high = min(positive), max(positive)
    by_token_or_1m = all(
        words(by_meter[meter].path)[-1:] == (name,)
        for meter, name in ((INPUT, "prompt"), (OUTPUT, "completion"))
    )
    most_per_token = Decimal("0.0001") if by_token_or_1m else Decimal("0.00002")
    if low < most_per_token and high <= Decimal("0.001") and low * PER_TOKEN >= _LEAST:
        return PER_TOKEN
    if high >= Decimal("0.2") and low >= _LEAST and high <= _MOST:
        return _PER_1M
    return None
