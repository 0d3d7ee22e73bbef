"""What to set where records have prices that give no figure, or where nothing but ids is read."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from pipeline.core import canonical, jsonpath
from pipeline.core.amounts import parse_amount, states_terms
from pipeline.core.facts import TOKEN_PRICES, FactPaths, Facts
from pipeline.core.price_fields import FoundPrices, find_prices, names_unread_price, plain_meter
from pipeline.core.text import count
from pipeline.core.types import Record
from pipeline.gateways.dialects.dialect import Dialect, may_have_price
from pipeline.gateways.dialects.list_advice import named
from pipeline.gateways.dialects.signs import shown, simplified, words

_UNKNOWN = "openai"
"""The dialect of unknown formats."""

_UNITS = "`token`, `1k`, `1m`, `cents_per_1m` or `cents_per_100m`"

_FACTS = (
    *("context_length", "max_output", "price_source", "more_prices", "input_modalities"),
    *("output_modalities", "features", "endpoints", "lifecycle", "deprecated_at"),
)
_PLAIN = words(
    "active created createdat description displayname enabled id label modelid modelname name object ownedby"
    " owner parent permission permissions provider public root slug status tags title type updated updatedat"
    " vendor"
)
"""Names in records that have nothing but ids and owners."""

_SAMPLE = 200

_MOST_PRICED = 1000
"""The records of a list whose prices are looked at, spread over all: a list may have tens of thousands."""


def price_advice(dialect: Dialect, records: Iterable[Record]) -> str | None:
    """Return which records have prices of tokens that give no figure, and what to set; None if all do.

    Where no record of an unknown format has a price or another fact, the names of its fields are returned.

    Prices of a dialect with paths of its own are in question only where none of them is found. Of a list of
    more than a thousand records, some thousand are looked at, and are those that are counted.
    """
    if not isinstance(dialect.facts, FactPaths) or not dialect.facts.prices.by_name:
        return None
    prices = dialect.facts.prices
    every = sorted(records, key=lambda record: record.model)
    sample = every[:: -(-len(every) // _MOST_PRICED) or 1]
    # Ends at the first price: a run asks this of each new list.
    if prices.has_paths and any(facts.price_source for _, facts in _priced(dialect, sample)):
        return None
    priced = list(_priced(dialect, sample))
    without = [(body, facts) for body, facts in priced if facts.price_source is None]
    found = [find_prices(body, prices.unit, prices.other_currency) for body, _ in without]
    unread = [
        each for each in found if not each.impossible and any(field.amount.value for field in each.fields)
    ]
    if unread:
        return _advice(unread, len(sample))
    nothing = [
        body
        for (body, facts), each in zip(without, found, strict=True)
        if not (each.fields or facts.more_prices)
    ]
    return _without_facts(dialect, sample, len(every)) or _of_others(nothing, priced, len(sample))


def _priced(dialect: Dialect, records: Iterable[Record]) -> Iterator[tuple[Mapping[str, Any], Facts]]:
    """Yield the records that may have a price, with their prices."""
    assert isinstance(dialect.facts, FactPaths)
    for record in records:
        if may_have_price(record.body):
            body = canonical.decode(record.body.encode())
            yield body, dialect.facts.priced(body)


def _of_others(
    nothing: Iterable[Mapping[str, Any]], priced: Iterable[tuple[Mapping[str, Any], Facts]], total: int
) -> str | None:
    """Return which records have prices at names that are not read, or texts that are none.

    Args:
        nothing: the records of which no price is read.
        priced: all records that may have prices, with these.
        total: the number of all records.
    """
    elsewhere = Counter(path for body in nothing for path in islice(_paths_elsewhere(body), 1))
    if elsewhere:
        path, number = elsewhere.most_common(1)[0]
        return f"{_which(number, total, path)}; no price is read: set the unit and the paths of `prices`"
    unparsed = (found for body, facts in priced if facts.price_source for found in _unparsed(body, facts))
    path, text = next(unparsed, ("", ""))
    return f"`{path}` is {shown(text)}, which is not read as a price" if path else None


def _paths_elsewhere(body: Mapping[str, Any]) -> Iterator[str]:
    """Yield the paths of amounts whose names are those of prices of tokens."""
    for path, value in jsonpath.leaves(body):
        if names_unread_price(path) and not states_terms(path.rpartition(".")[2]) and _has_amount(value):
            yield jsonpath.generalise(path)


def _has_amount(value: Any) -> bool:
    if isinstance(value, list):
        return any(map(_has_amount, value))
    if isinstance(value, str):
        return len(value) <= _LONGEST_PRICE and _NOT_ZERO.search(value) is not None and value[0] != "-"
    amount = parse_amount(value)
    return amount is not None and amount.value > 0


_LONGEST_PRICE = 80
_NOT_ZERO = re.compile(r"[1-9]")


def _unparsed(body: Mapping[str, Any], facts: Facts) -> Iterator[tuple[str, str]]:
    """Yield the paths of texts with a digit at the name of a price that is not read, with the texts."""
    for path, value in jsonpath.leaves(body):
        if isinstance(value, str) and _has_amount(value) and parse_amount(value) is None:
            meter = plain_meter(path)
            if meter and getattr(facts, meter) is None:
                yield jsonpath.generalise(path), value


def _without_facts(dialect: Dialect, records: Sequence[Record], total: int) -> str | None:
    """Return what records have from which neither a price nor another fact is read; None where any is."""
    bodies = [canonical.decode(record.body.encode()) for record in islice(records, _SAMPLE)]
    facts: list[Facts] = []
    for each in map(dialect.facts, bodies):
        if each.price_source or each.more_prices:
            return None
        facts.append(each)
    if price := next(filter(None, map(_price_in_text, bodies)), None):
        path, text = price
        setting = f"prices = {{ input = {canonical.encode(path)} }}"
        return f"`{path}` is {shown(text)}; no price is read: set its path, as `{setting}`"
    if dialect.name != _UNKNOWN or any(getattr(each, name) for each in facts for name in _FACTS):
        return None
    *around, name = dialect.id_at.split(".")
    inner = [jsonpath.find(body, tuple(around)) for body in bodies]
    others = [
        {key: value for key, value in body.items() if key != name and simplified(key) not in _PLAIN}
        for body in inner
        if isinstance(body, dict)
    ]
    if not any(others) or any(may_have_price(record.body) for record in records):
        return None
    what = f"{count(total, 'model')}: no context length, no price is read"
    return f"{what}; the records have {named(*others)}: set `facts` and `prices` where they are among them"


def _price_in_text(body: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return path and text of a price that states its currency and unit, whatever its name; None without."""
    for path, value in jsonpath.leaves(body):
        amount = parse_amount(value) if isinstance(value, str) else None
        if amount and amount.value and amount.terms.currency and amount.terms.factor:
            return jsonpath.generalise(path), value
    return None


def _advice(unread: list[FoundPrices], total: int) -> str:
    reasons = Counter(found.why_none for found in unread)
    why, number = reasons.most_common(1)[0]
    example = next(found for found in unread if found.why_none == why)
    first = example.fields[0].path
    which = _which(number, total, first)
    if why not in (None, "unit"):
        return f"{which} in {why}: no price in USD is read"
    return f"{which}; no price is read: set `prices = {{ {_setting(example)} }}`; the unit is {_UNITS}"


def _which(number: int, total: int, path: str) -> str:
    return f"{number} of {count(total, 'record')} {'has' if number == 1 else 'have'} `{path}`"


def _setting(found: FoundPrices) -> str:
    """Return the content of the config's table `prices`, whose unit is still to be chosen."""
    paths = {TOKEN_PRICES[each.meter]: each.path for each in found.fields}
    lines = ['unit = "…"']
    # Prices in lists have no path in the config; with a unit, they are found by their names.
    if not any("[]" in path for path in paths.values()):
        lines += [f"{name} = {canonical.encode(path)}" for name, path in paths.items()]
    return ", ".join(lines)
