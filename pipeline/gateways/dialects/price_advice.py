"""What to set where records have prices that give no figure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from pipeline.core import canonical
from pipeline.core.facts import TOKEN_PRICES, FactPaths
from pipeline.core.price_fields import FoundPrices, find_prices
from pipeline.core.text import count
from pipeline.core.types import Record
from pipeline.gateways.dialects.dialect import Dialect, may_have_price

_UNITS = "`token`, `1k`, `1m` or `cents_per_100m`"


def price_advice(dialect: Dialect, records: Iterable[Record]) -> str | None:
    """Return which records have prices of tokens that give no figure, and what to set; None if all do.

    Prices of a dialect with paths of its own are in question only where none of them is found.
    """
    if not isinstance(dialect.facts, FactPaths) or not dialect.facts.prices.by_name:
        return None
    by_paths = dialect.facts.prices.has_paths
    unread: list[FoundPrices] = []
    total = 0
    for record in records:
        total += 1
        if not may_have_price(record.body):
            continue
        body = canonical.decode(record.body.encode())
        facts = dialect.facts(body)
        if facts.price_source is None:
            found = find_prices(body, dialect.facts.prices.unit)
            if not found.impossible and any(each.amount.value for each in found.fields):
                unread.append(found)
        elif by_paths:
            return None
    return _advice(unread, total) if unread else None


def _advice(unread: list[FoundPrices], total: int) -> str:
    reasons = Counter(found.why_none for found in unread)
    why, number = reasons.most_common(1)[0]
    example = next(found for found in unread if found.why_none == why)
    first = example.fields[0].path
    which = f"{number} of {count(total, 'record')} {'has' if number == 1 else 'have'} `{first}`"
    if why not in (None, "unit"):
        return f"{which} in {why}: no price in USD is read"
    return f"{which}; no price is read: set `prices = {{ {_setting(example)} }}`; the unit is {_UNITS}"


def _setting(found: FoundPrices) -> str:
    """Return the content of the config's table `prices`, whose unit is still to be chosen."""
    paths = {TOKEN_PRICES[each.meter]: each.path for each in found.fields}
    lines = ['unit = "…"']
    # Prices in lists have no path in the config; with a unit, they are found by their names.
    if not any("[]" in path for path in paths.values()):
        lines += [f"{name} = {canonical.encode(path)}" for name, path in paths.items()]
    return ", ".join(lines)
