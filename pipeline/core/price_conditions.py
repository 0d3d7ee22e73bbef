"""Prices with conditions, and of other units than tokens, in records of any format.

Tiers by the length of the prompt, batches, hours of the day, caches kept for an hour, images, seconds,
searches. They are found by the words of their names and by the fields that state a condition:

    input_cost_per_token_above_200k_tokens    output_cost_per_image    cost.context_over_200k.input
    {"tier": {"type": "context", "size": 200000}, "input": 5}          {"range": [0, 32000], …}

A price with a word or a condition that is unknown here is left out, and so is one of an unsure unit.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from itertools import chain
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from pipeline.core.amounts import (
    CURRENCY_WORDS,
    NO_TERMS,
    USD,
    Terms,
    in_one_currency,
    names_in,
    parse_amount,
    scaled_amount,
    states_terms,
    terms_beside,
    words,
)
from pipeline.core.caches import cache_short
from pipeline.core.limits import MAX_NAMES
from pipeline.core.price_fields import (
    CACHE,
    EPHEMERAL,
    INPUT_WORDS,
    LABELS,
    MISS,
    NEUTRAL,
    OUTPUT_WORDS,
    PER_TOKEN,
    PRICE_WORDS,
    READ,
    WRITE,
    in_order,
    is_possible,
    is_unit,
    names_price,
    priced_names,
    terms_of_name,
)
from pipeline.core.price_tiers import (
    CONDITIONS,
    FROM,
    HOURS,
    RANGE,
    is_variant,
    rounded,
    start_of,
    thresholds_of,
    variants_of,
    with_starts,
    with_tiers,
    without_end,
)
from pipeline.core.values import LARGEST, parse_length

TOKENS = "1M tokens"
CALL = "call"


class Price(Struct, frozen=True):
    """A price of a record.

    Args:
        meter: what is billed: input, output, cache_read, cache_write, reasoning, input_audio, image, search …
            `call` is the whole price of a call.
        unit: how much of it `amount` buys: `1M tokens`, `image`, `second`, `request`, `search`, `call` …
        amount: in `currency`, not negative.
        from_tokens: the length of the prompt in tokens above which it holds; 0 for any.
        window: another condition, such as `batch`, `1h` (a cache kept for an hour) or `16:30–00:30 UTC`.
        currency: USD, or what the record states.
    """

    meter: str
    unit: str
    amount: Decimal
    from_tokens: int = 0
    window: str | None = None
    currency: str = USD

    @property
    def is_plain(self) -> bool:
        """Whether it holds without a condition, in USD."""
        return self.from_tokens == 0 and self.window is None and self.currency == USD


class _Condition(Struct, frozen=True):
    """Where a price holds, as far as the objects around it say; `tiered` is True inside a list of tiers."""

    from_tokens: int = 0
    windows: tuple[str, ...] = ()
    tiered: bool = False


_ANYWHERE = _Condition()


class _Meter(Struct, frozen=True):
    """What a name says: the meter, the unit, a condition, and the unit or currency of the amount.

    `size` is the number of units that the amount buys; `long_context` is a condition whose length another
    field states; `is_plain` is True for a plain price of tokens, which is in a column.
    """

    name: str
    unit: str
    from_tokens: int = 0
    windows: tuple[str, ...] = ()
    size: int = 1
    long_context: bool = False
    terms: Terms = NO_TERMS
    is_plain: bool = False


_FLAT = frozenset({"input", "output", "cache_read", "cache_write"})
"""The meters that may cost 0; of others, 0 means that they are not billed."""

_ABOVE = re.compile(
    r"(?:\b(?:above|over|beyond|exceeding|more than|greater than|gte?)|[>≥]=?)"
    r" (?:(\d+(?:\.\d+)?)([km])|(\d{4,}))\b(?: tokens?)?"
)
_LONG_CONTEXT = re.compile(r"\blong context\b|\bextended\b")
_WINDOWS = (
    (re.compile(r"\b(?:above )?1 ?(?:h|hr|hour)\b"), "1h"),
    (re.compile(r"\b(?:batch|batches|batched)(?: api)?\b"), "batch"),
    (re.compile(r"\bflex\b"), "flex"),
    (re.compile(r"\bpriority\b"), "priority"),
    (re.compile(r"\bfast\b"), "fast"),
    (re.compile(r"\boff ?peak\b"), "off-peak"),
    (re.compile(r"\bpeak\b"), "peak"),
)
_FIVE_MINUTES = re.compile(r"\b5 ?(?:m|min|minutes?)\b")
"""How long a cache is kept at the usual price: https://docs.claude.com/en/docs/build-with-claude/prompt-caching"""

_SEARCH_SIZE = re.compile(r"\bsearch context size (low|medium|high)\b")
"""https://docs.litellm.ai/docs/completion/web_search"""

_UNITS = {
    **dict.fromkeys(("image", "images"), "image"),
    **dict.fromkeys(("second", "seconds", "sec"), "second"),
    **dict.fromkeys(("minute", "minutes", "min"), "minute"),
    **dict.fromkeys(("hour", "hours"), "hour"),
    **dict.fromkeys(("request", "requests", "call", "calls"), "request"),
    **dict.fromkeys(("search", "searches"), "search"),
    **dict.fromkeys(("query", "queries"), "query"),
    **dict.fromkeys(("character", "characters", "char", "chars"), "character"),
    **dict.fromkeys(("pixel", "pixels"), "pixel"),
    **dict.fromkeys(("page", "pages"), "page"),
    **dict.fromkeys(("megapixel", "megapixels"), "megapixel"),
    **dict.fromkeys(("step", "steps"), "step"),
    **dict.fromkeys(("session", "sessions"), "session"),
}
OTHER_UNITS = frozenset(_UNITS.values())
"""The units of prices beside tokens and calls; each has its words in every language of reports."""

_SIZES = {
    **dict.fromkeys(("k", "1k", "1000", "thousand"), 1000),
    **dict.fromkeys(("m", "1m", "1000000", "million"), 10**6),
}
_PER_UNIT = re.compile(
    rf"\bper (?:({'|'.join(_SIZES)}) )?({'|'.join(sorted(_UNITS, key=len, reverse=True))})\b(?! tokens?\b)"
)

_SEARCHES = re.compile(rf"\b(search(?:es)?) per ({'|'.join(_SIZES)})$")
"""Searches by the thousand, whose name is not repeated: `web_search_per_1k`."""

_OTHER_WORDS = (
    (re.compile(r"\bimage dimension quality\b"), "per image"),
    (re.compile(r"\bvideo duration\b"), "video"),
    (re.compile(r"\btranscription duration\b"), "audio"),
    (re.compile(r"\bspeech input character\b"), "input per character"),
)
"""Names of Vercel's: https://ai-gateway.vercel.sh/v1/models"""

_MODALITIES = {
    "audio": "audio",
    **dict.fromkeys(("image", "images"), "image"),
    "video": "video",
}
_REASONING = frozenset(names_in("reasoning thinking"))
_SEARCH = (frozenset({"search"}), frozenset({"web", "search"}))
_OF_TIERS = frozenset(names_in("tiered context overrides service"))
_NUMBER = re.compile(r"[\d.]+(?:[eE][-+]?\d+)?")
_DEPTH = 6


def _is_plain_number(value: Any) -> bool:
    """Return whether a value is a number, or a text that is one: such a text names no currency."""
    return not isinstance(value, str) or _NUMBER.fullmatch(value) is not None


@lru_cache(8192)
def _are_plain(named: tuple[str, ...], names: tuple[str, ...], *, per_token: bool) -> bool:
    """Return whether the names of an object are plain prices of tokens, or of no price that is known here."""
    meters = [_meter((*named, *words(name))) for name in names]
    return all(meter is None or meter.is_plain for meter in meters) and not (
        any(map(states_terms, names)) or (per_token and any(name in _BARE for name in names))
    )


class FieldMeter(Struct, frozen=True):
    """What a field is the price of; `is_plain` for a price of tokens without a condition."""

    name: str
    is_plain: bool


def meter_of(path: str) -> FieldMeter | None:
    """Return what the field at a path is the price of; None if its words name no price that is known here.

    A field of an element of a list is never plain.
    """
    named = words(path)
    meter = _meter(tuple(word for word in named if not word.isdigit()))
    if meter is None:
        return None
    return FieldMeter(meter.name, meter.is_plain and not any(map(str.isdigit, path.split("."))))


@cache_short(8192, MAX_NAMES)
def _meter(named: tuple[str, ...]) -> _Meter | None:
    """Return what the words of a path say; None if they name no price that is known here."""
    text = " ".join(without_end(named))
    windows = []
    from_tokens = 0
    if above := _ABOVE.search(text):
        from_tokens = int(above[3] or Decimal(above[1]) * _SIZES[above[2]])
        text = _ABOVE.sub("", text, count=1)
    long_context = bool(_LONG_CONTEXT.search(text))
    text = _LONG_CONTEXT.sub("", text)
    if size := _SEARCH_SIZE.search(text):
        return _Meter("search", "search", windows=(f"{size[1]} context",))
    for pattern, window in _WINDOWS:
        if pattern.search(text):
            windows.append(window)
            text = pattern.sub("", text)
    for pattern, plain in _OTHER_WORDS:
        text = pattern.sub(plain, text)
    text = _SEARCHES.sub(r"\1 per \2 searches", text)
    per = _PER_UNIT.search(text)
    unit = _UNITS[per[2]] if per else TOKENS
    if per:
        text = _PER_UNIT.sub("", text)
    if not CACHE.isdisjoint(named):
        text = _FIVE_MINUTES.sub("", text)
    kept = tuple(text.split())
    name = _billed(frozenset(kept), unit)
    if name is None or (name != "cache_write" and "1h" in windows):
        return None
    terms = terms_of_name(tuple(word for word in kept if word not in _MODALITIES))
    size_of = _SIZES[per[1]] if per and per[1] else 1
    has_condition = bool(from_tokens or windows or long_context or terms.currency not in (None, USD))
    is_plain = name in _FLAT and unit == TOKENS and not has_condition
    return _Meter(name, unit, from_tokens, tuple(windows), size_of, long_context, terms, is_plain)


def _billed(named: frozenset[str], unit: str) -> str | None:
    """Return the meter that words name, without those of prices and units; None for any other word."""
    rest = named - PRICE_WORDS - NEUTRAL - _OF_TIERS - CURRENCY_WORDS
    modalities = {_MODALITIES[word] for word in rest if word in _MODALITIES}
    rest -= _MODALITIES.keys()
    modality = "".join(modalities)
    if len(modalities) > 1:
        return None
    if not rest.isdisjoint(CACHE | _REASONING):
        return _special_tokens(rest, modality) if unit == TOKENS else None
    suffix = f"_{modality}" if modality else ""
    for side, side_words in (("input", INPUT_WORDS), ("output", OUTPUT_WORDS)):
        if rest and rest <= side_words:
            return f"{side}{suffix}"
    if unit == TOKENS:
        return None
    if rest in _SEARCH and not modality:
        return "search"
    return None if rest else modality or unit


def _special_tokens(rest: frozenset[str], modality: str) -> str | None:
    """Return the meter of tokens of a cache, or of reasoning."""
    if rest.isdisjoint(CACHE):
        others = rest - OUTPUT_WORDS - {"internal"}
        return "reasoning" if others and others <= _REASONING and not modality else None
    if rest - CACHE - INPUT_WORDS == MISS:
        return "input" if not modality else None
    rest = rest - CACHE - INPUT_WORDS - EPHEMERAL
    access = "read" if rest <= READ else "write" if rest <= WRITE else None
    return f"cache_{access}" + (f"_{modality}" if modality else "") if access else None


_Found = tuple[Price, bool]
"""A price in a record, and whether it stands in a list of tiers."""


class FoundConditions(Struct, frozen=True):
    """The prices of a record beside the plain prices of tokens.

    Args:
        prices: each with its condition or unit, sorted.
        first_tiers: by meter, the price of the first tier, in USD per 1M tokens.
    """

    prices: tuple[Price, ...] = ()
    first_tiers: Mapping[str, Decimal] | None = None


NOTHING_FOUND = FoundConditions()


def find_conditions(
    body: Mapping[str, Any], unit: Decimal | None, currency: str | None = None, *, overrules: bool = False
) -> FoundConditions:
    """Return the prices of a record that have conditions or other units than tokens.

    Args:
        body: the record.
        unit: the factor from a price of tokens to that of 1M tokens, where a price does not state it; None if
            it is unknown.
        currency: that of prices that do not state theirs; None for USD.
        overrules: whether `unit` holds against the unit that a price states.
    """
    found: list[Price] = []
    tiers: dict[str, Decimal] = {}
    for price, tiered in _of_record(body, unit, currency, overrules=overrules):
        if price.is_plain and price.meter in _FLAT and price.unit == TOKENS:
            if tiered:
                tiers.setdefault(price.meter, price.amount)
            continue
        if price.amount or (price.meter in _FLAT and price.unit == TOKENS):
            found.append(price)
    if not found and not tiers:
        return NOTHING_FOUND
    return FoundConditions(in_order_of_rows(found), tiers)


def in_order_of_rows(prices: Iterable[Price]) -> tuple[Price, ...]:
    """Return prices sorted as the rows of a record are, the first of those with the same condition."""
    first: dict[tuple[str, str, int, str, str], Price] = {}
    for price in prices:
        key = (price.meter, price.unit, price.from_tokens, price.window or "", price.currency)
        first.setdefault(key, price)
    return tuple(first[key] for key in sorted(first))


def _of_record(
    body: Mapping[str, Any], unit: Decimal | None, currency: str | None, *, overrules: bool
) -> Iterator[_Found]:
    if any(priced_names(tuple(body))):
        outer = Terms(currency=currency) if currency else NO_TERMS
        yield from _Reader(body, unit, overrules).fields(body, outer, 3)


class _Reader(Struct, frozen=True):
    """A walk through the prices of a record.

    Args:
        body: the record.
        unit: as of `find_conditions`.
        overrules: as of `find_conditions`.
    """

    body: Mapping[str, Any]
    unit: Decimal | None
    overrules: bool = False

    @property
    def long_context(self) -> int | None:
        """The length of the prompt that the record calls a long context; None if it names none."""
        priced = (value for name, value in self.body.items() if names_price(name))
        return thresholds_of(chain((self.body,), priced))

    def fields(self, value: Mapping[str, Any], outer: Terms, depth: int) -> Iterator[_Found]:
        """Yield the prices of a record, or of a wrapper in it."""
        priced, wrappers = priced_names(tuple(value))
        terms = terms_beside(value).over(outer) if priced else outer
        for name in priced:
            if not self.is_plain(value[name], words(name), terms):
                yield from self.item(value[name], words(name), terms, _ANYWHERE, _DEPTH)
        if depth:
            for name in wrappers:
                if isinstance(inner := value[name], dict):
                    yield from self.fields(inner, terms, depth - 1)

    def is_plain(self, item: Any, named: tuple[str, ...], terms: Terms) -> bool:
        """Return whether a value of a record has plain prices at most, as nearly all have."""
        if terms.currency not in (None, USD):
            return False
        values = item.values() if isinstance(item, dict) else (item,)
        if any(isinstance(each, dict | list) or not _is_plain_number(each) for each in values):
            return False
        names = tuple(item) if isinstance(item, dict) else ("",)
        return len(names) <= MAX_NAMES and _are_plain(named, names, per_token=self.unit == PER_TOKEN)

    def item(
        self, item: Any, named: tuple[str, ...], terms: Terms, condition: _Condition, depth: int
    ) -> Iterator[_Found]:
        """Yield the prices of one value."""
        if depth == 0 or item is None:
            return
        match item:
            case dict() if scaled_amount(item) is not None:
                if found := self.price(item, named, terms, condition):
                    yield found
            case dict():
                yield from self.object(with_tiers(in_one_currency(item)), named, terms, condition, depth)
            case [dict(), *_]:
                for each in with_starts(item):
                    yield from self.element(each, named, terms, condition, depth, alone=len(item) == 1)
            case list():
                return
            case _:
                if found := self.price(item, named, terms, condition):
                    yield found

    def object(
        self,
        item: Mapping[str, Any],
        named: tuple[str, ...],
        terms: Terms,
        condition: _Condition,
        depth: int,
    ) -> Iterator[_Found]:
        """Yield the prices of an object by the names in it."""
        beside = terms_beside(item).over(terms)
        if beside.other and not terms.other:
            # As in an object with a price, and the unit "image".
            named = (*named, "per", *_unit_beside(item))
            beside = replace(beside, other=False)
        if start := parse_length(item.get("context_token_threshold")):
            # https://docs.venice.ai/api-reference/endpoint/models/list
            condition = _Condition(rounded(start), condition.windows, tiered=True)
        for name in in_order(tuple(item)):
            inner = item[name]
            if inner is not None and name not in LABELS and not is_unit(name, inner):
                yield from self.item(inner, (*named, *words(name)), beside, condition, depth - 1)
            if (depth == _DEPTH or condition.tiered) and self.unit == PER_TOKEN and name in _BARE:
                yield from self.bare(name, inner, beside, condition)

    def element(
        self,
        item: Any,
        named: tuple[str, ...],
        terms: Terms,
        condition: _Condition,
        depth: int,
        *,
        alone: bool,
    ) -> Iterator[_Found]:
        """Yield the prices of an element of a list: a tier, or one whose label says what it is for."""
        own = _condition_of(item, condition) if isinstance(item, dict) else None
        if own is None:
            return
        rest = {
            name: inner
            for name, inner in item.items()
            if name not in CONDITIONS and not is_variant(name, inner)
        }
        labelled = named
        for label in LABELS:
            text = rest.get(label)
            if isinstance(text, str) and label != "unit" and not (label == "name" and own.tiered):
                labelled = (*labelled, *words(text))
        if variants := variants_of(item):
            own = _Condition(own.from_tokens, (*own.windows, *variants), tiered=True)
        is_own = own.tiered or alone or labelled != named
        # A field that is unknown here may be a condition.
        is_of_other = terms_beside(rest).other and not terms.other
        billed = (*labelled, "per", *_unit_beside(rest)) if is_of_other else labelled
        if is_own and all(self.is_known(name, inner, billed) for name, inner in rest.items()):
            yield from self.object(rest, labelled, terms, own, depth - 1)

    def is_known(self, name: str, value: Any, named: tuple[str, ...]) -> bool:
        """Return whether a field of a tier is a price, or says nothing about it."""
        if value is None or name in _HARMLESS:
            return True
        if isinstance(value, list):
            return bool(value) and isinstance(value[0], dict) and names_price(name)
        if isinstance(value, dict) and names_price(name):
            return True
        if name in _BARE and self.unit == PER_TOKEN:
            return True
        return _meter((*named, *words(name))) is not None

    def price(self, item: Any, named: tuple[str, ...], terms: Terms, condition: _Condition) -> _Found | None:
        """Return the price of a number or text; None where it, its unit or its condition is unknown."""
        meter = _meter(named)
        amount = parse_amount(item) if meter else None
        if meter is None or amount is None:
            return None
        full = amount.terms.over(meter.terms).over(terms)
        from_tokens = self.from_tokens(meter, condition)
        value = None if full.other else self.amount(amount.value, meter, full)
        if value is None or from_tokens is None:
            return None
        window = ", ".join(dict.fromkeys((*condition.windows, *meter.windows))) or None
        price = Price(meter.name, meter.unit, value, from_tokens, window, full.currency or USD)
        return price, condition.tiered

    def from_tokens(self, meter: _Meter, condition: _Condition) -> int | None:
        """Return the length of the prompt above which a price holds; None if it is unknown or ambiguous."""
        if meter.long_context:
            return condition.from_tokens or self.long_context
        if meter.from_tokens and condition.from_tokens:
            return None
        return meter.from_tokens or condition.from_tokens

    def amount(self, value: Decimal, meter: _Meter, terms: Terms) -> Decimal | None:
        """Return the amount of a price per unit of its meter; None if it is unknown, or cannot be."""
        in_usd = terms.currency in (None, USD)
        if meter.unit == TOKENS:
            factor = self.unit if self.overrules else terms.factor or self.unit
            amount = None if factor is None else value * factor
            return amount if amount is not None and _may_be(amount, meter.name, in_usd=in_usd) else None
        if terms.currency is None and self.unit is not None and self.unit < 1:
            # A fraction of USD, which may be that of tokens only.
            return None
        amount = value / meter.size
        if in_usd and (amount > _DEAREST_UNIT or (meter.unit == "image" and 0 < amount < _CHEAPEST_IMAGE)):
            return None
        return amount

    def bare(self, name: str, item: Any, terms: Terms, condition: _Condition) -> Iterator[_Found]:
        """Yield the price of a name without a unit in an object of prices per token; see `_BARE`."""
        amount = parse_amount(item)
        if amount is None or amount.terms.over(terms).currency not in (None, USD):
            return
        for bare in _BARE[name]:
            if bare.least <= amount.value <= bare.most:
                value = amount.value * bare.factor
                window = ", ".join(condition.windows) or None
                price = Price(bare.meter, bare.unit, value, condition.from_tokens, window)
                yield price, condition.tiered


_DEAREST_UNIT = Decimal(1000)
"""USD: no image, second, request or search costs more."""

_CHEAPEST_IMAGE = Decimal("0.00001")
"""USD: below it, an amount is that of a token, which some lists call the price of an image."""

_DEAREST_MODALITY = Decimal(500)
"""USD per 1M tokens of audio, images or video; above it, an amount may be that of an image."""


def _may_be(amount: Decimal, meter: str, *, in_usd: bool) -> bool:
    """Return whether an amount can be the price of 1M tokens."""
    if not in_usd:
        return amount < LARGEST
    is_modality = meter.endswith(("_audio", "_image", "_video"))
    return is_possible(amount) and (not is_modality or amount <= _DEAREST_MODALITY)


class _Bare(Struct, frozen=True):
    """A price whose name states no unit, and the amounts of which the unit is certain."""

    meter: str
    unit: str
    least: Decimal
    most: Decimal
    factor: Decimal = Decimal(1)


_LEAST_PER_UNIT, _MOST_PER_TOKEN, _MOST_PER_UNIT = Decimal("0.0005"), Decimal("0.0004"), Decimal(5)

_BARE: dict[str, tuple[_Bare, ...]] = {
    # Some models have a price per token here, others one per image.
    "image": (_Bare("image", "image", _LEAST_PER_UNIT, _MOST_PER_UNIT),),
    "request": (_Bare("request", "request", Decimal("0.000001"), _MOST_PER_UNIT),),
    # Vercel's are prices of 1,000 searches.
    "web_search": (
        _Bare("search", "search", Decimal("0.00001"), Decimal("0.5")),
        _Bare("search", "search", Decimal(1), Decimal(500), Decimal("0.001")),
    ),
    "audio": (_Bare("input_audio", TOKENS, Decimal("1e-9"), _MOST_PER_TOKEN, PER_TOKEN),),
    "audio_output": (_Bare("output_audio", TOKENS, Decimal("1e-9"), _MOST_PER_TOKEN, PER_TOKEN),),
    "input_audio_cache": (_Bare("cache_read_audio", TOKENS, Decimal("1e-9"), _MOST_PER_TOKEN, PER_TOKEN),),
    "image_token": (_Bare("input_image", TOKENS, Decimal("1e-9"), _MOST_PER_TOKEN, PER_TOKEN),),
}
"""Names in `pricing` beside prices per token, as OpenRouter and Vercel write them.

See https://openrouter.ai/docs/guides/overview/models#pricing-object and
https://vercel.com/docs/ai-gateway/models-and-providers
"""


def is_condition(path: str) -> bool:
    """Return whether a path ends in a field that states where a tier holds: `tier.size`, `utc_days.0`."""
    steps = [step for step in path.split(".") if not step.isdigit()]
    return steps[-2:] == ["tier", "size"] or not CONDITIONS.isdisjoint(steps[-1:])


_HARMLESS = frozenset(
    names_in("id name label title description note currency unit price_unit price_name type kind")
)


def _condition_of(item: Mapping[str, Any], outer: _Condition) -> _Condition | None:
    """Return where an element of a list holds; None if its condition is unknown here."""
    stated = [name for name in item if name in CONDITIONS and item[name] is not None]
    if not stated:
        return outer
    starts = [start_of(name, item[name]) for name in stated if name in FROM | RANGE | {"tier"}]
    known = [start for start in starts if start is not None]
    if len(known) != len(starts) or len(set(known)) > 1:
        return None
    if not known and not any(name in HOURS for name in stated):
        # Only the end of a range is stated.
        return None
    hours = _hours(item)
    if hours is None:
        return None
    return _Condition(known[0] if known else outer.from_tokens, (*outer.windows, *hours), tiered=True)


def _hours(item: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Return the hours and days of a tier as text; None if they are of another form.

    See https://openrouter.ai/docs/guides/overview/models#pricing-object
    """
    start, end, days = (item.get(name) for name in ("utc_start", "utc_end", "utc_days"))
    found = []
    if start is not None or end is not None:
        times = [_time(each) for each in (start or 0, end or 0)]
        if None in times:
            return None
        found.append(f"{times[0]}–{times[1]} UTC")
    if days is not None:
        if not isinstance(days, list) or not all(day in _DAYS for day in days):
            return None
        found.append(" ".join(days))
    return tuple(found)


_DAYS = names_in("monday tuesday wednesday thursday friday saturday sunday")
_TIME = re.compile(r"(?:[01]\d|2[0-3]):[0-5]\d|24:00")


def _time(value: Any) -> str | None:
    """Return 1630 as 16:30."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal) or value != int(value):
        return None
    text = f"{int(value) // 100:02}:{int(value) % 100:02}"
    return text if _TIME.fullmatch(text) else None


def _unit_beside(item: Mapping[str, Any]) -> Sequence[str]:
    """Return the words of the unit that an object states for its price."""
    texts = (item[name] for name in ("unit", "units", "per", "price_unit") if isinstance(item.get(name), str))
    found = words(next(texts, ""))
    return [word for word in found if word not in ("per", "/", "usd", "$")] or ("unknown",)
