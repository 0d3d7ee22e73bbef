"""The facts and permissions of a record.

Facts have one set of names and units for the fields that gateways write differently. Permissions are the
documented flags in the entries of `permission`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from functools import cache
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from pipeline.core import jsonpath
from pipeline.core.amounts import USD, Amount, Terms, parse_amount, terms_beside
from pipeline.core.field_names import Fields
from pipeline.core.price_conditions import CALL, NOTHING_FOUND, TOKENS, Price, find_conditions
from pipeline.core.price_fields import find_prices, is_possible
from pipeline.core.values import (
    LARGEST,
    parse_date,
    parse_length,
    parse_names,
    parse_stage,
    parse_text,
    parse_timestamp,
)

PER_TOKEN = Decimal(1_000_000)
PER_1K = Decimal(1000)
PER_1M = Decimal(1)
CENTS_PER_100M = Decimal(1) / Decimal(10_000)

UNITS: dict[str, Decimal] = {
    "token": PER_TOKEN,
    "1k": PER_1K,
    "1m": PER_1M,
    "cents_per_1m": Decimal(1) / Decimal(100),
    "cents_per_100m": CENTS_PER_100M,
}
"""Price units by their name in the config: the factor from a price to USD per 1M tokens."""

_QUANTUM = Decimal("0.000001")
_FINEST = Decimal("0.000000000001")

Body = Mapping[str, Any]


class Prices(Struct, frozen=True):
    """The paths of a record's prices, each tried in turn, and their unit.

    A unit or currency that a record states is obeyed: it replaces `unit`, and a price that is not in USD
    gives no figure. Without paths, prices are found by the names that most gateways use.

    Args:
        unit: the factor from a price to USD per 1M tokens; None if it is unknown.
        source: exact, estimate or ratio.
        by_name: whether prices are found by their names where no path of a token price is set.
        currency: that of prices that do not state theirs.
    """

    unit: Decimal | None = None
    input: tuple[str, ...] = ()
    output: tuple[str, ...] = ()
    cache_read: tuple[str, ...] = ()
    cache_write: tuple[str, ...] = ()
    per_call: tuple[str, ...] = ()
    source: str = "exact"
    by_name: bool = True
    currency: str = USD

    @property
    def other_currency(self) -> str | None:
        """The currency of prices that do not state theirs; None if it is USD."""
        return None if self.currency == USD else self.currency

    @property
    def has_paths(self) -> bool:
        """Whether a path of a token price is set."""
        return bool(self.input or self.output or self.cache_read or self.cache_write)


NO_PRICES = Prices(by_name=False)
"""No prices are read."""


class Facts(Struct, frozen=True):
    """The facts of a record; None or () for those that it does not have.

    `created` and `deprecated_at` are ISO 8601; lengths are in tokens; prices are exact, in USD per 1M tokens
    (`usd_per_call` in USD); sets are sorted tuples; `price_source` is exact, estimate or ratio; `more_prices`
    are those with conditions, of other units or in other currencies.
    """

    object: str | None = None
    owned_by: str | None = None
    created: str | None = None
    root: str | None = None
    parent: str | None = None
    type: str | None = None
    context_length: int | None = None
    max_output: int | None = None
    input_usd_per_1m: Decimal | None = None
    output_usd_per_1m: Decimal | None = None
    cache_read_usd_per_1m: Decimal | None = None
    cache_write_usd_per_1m: Decimal | None = None
    usd_per_call: Decimal | None = None
    price_source: str | None = None
    input_modalities: tuple[str, ...] = ()
    output_modalities: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    endpoints: tuple[str, ...] = ()
    lifecycle: str | None = None
    deprecated_at: str | None = None
    aliases: tuple[str, ...] = ()
    more_prices: tuple[Price, ...] = ()

    @property
    def all_prices(self) -> tuple[Price, ...]:
        """The prices of the columns, then `more_prices`."""
        columns = [
            Price(attribute, TOKENS, price)
            for name, attribute in TOKEN_PRICES.items()
            if (price := getattr(self, name)) is not None
        ]
        if self.usd_per_call is not None:
            columns.append(Price(CALL, CALL, self.usd_per_call))
        return (*columns, *self.more_prices)


def _same(facts: Facts, _body: Body) -> Facts:
    return facts


class FactPaths(Struct, frozen=True):
    """The paths of the facts in a record, each tried in turn until one has a value.

    A fact whose paths are not set is also looked for under other names that gateways use, in the record and
    in the usual objects inside it; see `Fields`. `adjust` is called last, with the facts and the record, for
    facts that no path expresses.
    """

    owned_by: tuple[str, ...] = ("owned_by", "owner", "owner_by", "organization", "publisher", "vendor")
    created: tuple[str, ...] = ("created", "created_at", "createTime", "release_date")
    type: tuple[str, ...] = ("type", "mode", "types", "kind")
    context_length: tuple[str, ...] = (
        "context_length",
        "context_window",
        "max_context_length",
        "max_input_tokens",
        "max_model_len",
        "inputTokenLimit",
        "contextLength",
        "meta.n_ctx_train",
        "top_provider.context_length",
        "limits.max_input_tokens",
        "limit.context",
        "context",
    )
    max_output: tuple[str, ...] = (
        "max_output",
        "max_output_tokens",
        "max_completion_tokens",
        "outputTokenLimit",
        "max_output_length",
        "top_provider.max_completion_tokens",
        "limits.max_output_tokens",
        "maxCompletionTokens",
        "limit.output",
    )
    prices: Prices = Prices()
    input_modalities: tuple[str, ...] = (
        "input_modalities",
        "architecture.input_modalities",
        "modalities.input",
        "supported_input_modalities",
    )
    output_modalities: tuple[str, ...] = (
        "output_modalities",
        "architecture.output_modalities",
        "modalities.output",
        "supported_output_modalities",
    )
    features: tuple[str, ...] = ("features", "supported_features", "supported_parameters", "capabilities")
    endpoints: tuple[str, ...] = ("endpoints", "supported_endpoint_types", "supportedGenerationMethods")
    lifecycle: tuple[str, ...] = ("retire_stage", "lifecycle_status", "state", "status")
    deprecated_at: tuple[str, ...] = (
        "shutdown_date",
        "expiration_date",
        "deprecation_date",
        "deprecated_at",
        "deprecation",
        "deprecationDate",
        "planned_deprecation_date",
    )
    aliases: tuple[str, ...] = ("aliases",)
    adjust: Callable[[Facts, Body], Facts] = _same

    def __call__(self, body: Body) -> Facts:
        """Return the facts of a record."""
        prices = _prices(self.prices, body)
        found = dict[str, Any](
            object=parse_text(body.get("object")),
            owned_by=_first(parse_text, self.owned_by, body),
            created=_first(parse_timestamp, self.created, body),
            root=parse_text(body.get("root")),
            parent=parse_text(body.get("parent")),
            type=_first(parse_text, self.type, body),
            context_length=_first(parse_length, self.context_length, body),
            max_output=_first(parse_length, self.max_output, body),
            input_modalities=_first(parse_names, self.input_modalities, body) or (),
            output_modalities=_first(parse_names, self.output_modalities, body) or (),
            features=_first(parse_names, self.features, body) or (),
            endpoints=_first(parse_names, self.endpoints, body) or (),
            lifecycle=_first(parse_stage, self.lifecycle, body),
            deprecated_at=_first(parse_date, self.deprecated_at, body),
            aliases=_first(parse_names, self.aliases, body) or (),
            **prices,
        )
        facts = Facts(**{**found, **_by_other_names(self, found, body)})
        return _without_impossible_prices(self.adjust(facts, body))

    def priced(self, body: Body) -> Facts:
        """Return the facts of a record that are prices; also others, where the prices may depend on them."""
        if self.adjust is not _same:
            return self(body)
        return _without_impossible_prices(Facts(**_prices(self.prices, body)))

    def impossible_prices(self, body: Body) -> tuple[tuple[str, Decimal], ...]:
        """Return the paths of prices that cannot be, with their figures in USD per 1M tokens."""
        if not _may_have_prices(self.prices):
            return ()
        if _is_by_name(self.prices):
            return find_prices(body, self.prices.unit, self.prices.other_currency).impossible
        figures = (
            (path, figure) for path, figure in _figures(self.prices, body).values() if figure is not None
        )
        return tuple((path, figure) for path, figure in figures if not is_possible(figure))


_USUAL_PATHS: dict[str, tuple[str, ...]] = {
    name: default
    for name, default in zip(FactPaths.__struct_fields__, FactPaths.__struct_defaults__, strict=True)
    if isinstance(default, tuple)
}
"""By fact, the paths of a dialect that has none of its own."""

_OTHER_NAMES = (
    "owned_by",
    "created",
    "type",
    "context_length",
    "input_modalities",
    "output_modalities",
    "features",
    "endpoints",
    "deprecated_at",
)
"""The facts that `Fields` finds by name alone."""


def _first(parse: Callable[[Any], Any], paths: tuple[str, ...], body: Body) -> Any:
    for path in _parsed(paths):
        value = body.get(path[0])
        if value is not None and len(path) > 1:
            value = jsonpath.find(value, path[1:])
        if value is None:
            continue
        found = parse(value)
        if found is not None and found != ():
            return found
    return None


@cache
def _parsed(paths: tuple[str, ...]) -> tuple[jsonpath.Path, ...]:
    return tuple(map(jsonpath.parse, paths))


TOKEN_PRICES = {
    "input_usd_per_1m": "input",
    "output_usd_per_1m": "output",
    "cache_read_usd_per_1m": "cache_read",
    "cache_write_usd_per_1m": "cache_write",
}
"""The facts that are prices of tokens, with the names of their paths in `Prices`."""


def _by_other_names(paths: FactPaths, found: Mapping[str, Any], body: Body) -> dict[str, Any]:
    """Return facts from fields of other names, where a dialect has no paths of its own."""
    others = Fields(body)
    more: dict[str, Any] = {}
    for name in _OTHER_NAMES:
        if found[name] in (None, ()) and getattr(paths, name) is _USUAL_PATHS[name]:
            more[name] = getattr(others, name)()
    if found["max_output"] is None and paths.max_output is _USUAL_PATHS["max_output"]:
        more["max_output"] = others.max_output(more.get("context_length") or found["context_length"])
    if paths.lifecycle is _USUAL_PATHS["lifecycle"]:
        more["lifecycle"] = others.lifecycle(found["lifecycle"])
    return {name: value for name, value in more.items() if value not in (None, ())}


def _without_impossible_prices(facts: Facts) -> Facts:
    wrong = [
        name
        for name in TOKEN_PRICES
        if (price := getattr(facts, name)) is not None and not is_possible(price)
    ]
    if not wrong:
        return facts
    none: dict[str, Any] = dict.fromkeys(wrong)
    left = replace(facts, **none)
    # The unit of the others is the same.
    left = replace(left, more_prices=())
    has_price = left.usd_per_call is not None or any(getattr(left, name) is not None for name in TOKEN_PRICES)
    return left if has_price else replace(left, price_source=None)


def _may_have_prices(paths: Prices) -> bool:
    return paths.by_name or paths.unit is not None


def _is_by_name(paths: Prices) -> bool:
    return paths.by_name and not paths.has_paths


def _prices(paths: Prices, body: Body) -> dict[str, Any]:
    per_call = _per_call(paths, body)
    found: dict[str, Any] = {"usd_per_call": per_call}
    unit = paths.unit
    if _is_by_name(paths):
        by_name = find_prices(body, unit, paths.other_currency)
        unit, overrules = by_name.unit, by_name.overrules
        figures: Mapping[str, Decimal | None] = by_name.usd
        more = (
            NOTHING_FOUND
            if by_name.impossible
            else find_conditions(body, unit, paths.other_currency, overrules=overrules)
        )
    else:
        figures = {name: figure for name, (_, figure) in _figures(paths, body).items()}
        more = find_conditions(body, unit, paths.other_currency) if _may_have_prices(paths) else NOTHING_FOUND
    if more.first_tiers:
        tiers = {name: more.first_tiers.get(attribute) for name, attribute in TOKEN_PRICES.items()}
        figures = {**{name: tier for name, tier in tiers.items() if tier is not None}, **figures}
    found |= {name: scale_price(figure, PER_1M) for name, figure in figures.items()}
    if any(value is not None for value in found.values()):
        found["price_source"] = paths.source
    found["more_prices"] = tuple(map(_scaled, more.prices))
    return found


def _scaled(price: Price) -> Price:
    """Return a price without errors of floats."""
    amount = price.amount
    if price.unit == TOKENS:
        amount = scale_price(amount, PER_1M) or amount
    else:
        amount = strip_zeros(amount.quantize(_FINEST))
    return Price(price.meter, price.unit, amount, price.from_tokens, price.window, price.currency)


def _per_call(paths: Prices, body: Body) -> Decimal | None:
    _, amount = _first_amount(paths.per_call, body)
    return amount.value if amount and (amount.terms.currency or paths.currency) == USD else None


def _figures(paths: Prices, body: Body) -> dict[str, tuple[str, Decimal | None]]:
    """Return the paths of the token prices of a record, and their figures in USD per 1M tokens."""
    found: dict[str, tuple[str, Decimal | None]] = {}
    for name, attribute in TOKEN_PRICES.items():
        path, amount = _first_amount(getattr(paths, attribute), body)
        if amount and not amount.terms.currency and paths.currency != USD:
            continue
        factor = (amount.terms.factor or paths.unit) if amount else None
        if amount is None or factor is None or amount.terms.currency not in (None, USD):
            continue
        figure = amount.value * factor
        found[name] = (path, figure if figure < LARGEST else None)
    return found


def _first_amount(paths: tuple[str, ...], body: Body) -> tuple[str, Amount | None]:
    """Return the first path with an amount, completed by the terms that the objects around it state."""
    for text, path in zip(paths, _parsed(paths), strict=True):
        around: list[Body] = [body]
        for step in path[:-1]:
            inner = around[-1].get(step)
            if not isinstance(inner, dict):
                break
            around.append(inner)
        else:
            amount = parse_amount(around[-1].get(path[-1]))
            if amount is not None:
                terms = amount.terms
                for each in reversed(around):
                    terms = terms.over(_without_other(terms_beside(each)))
                return text, Amount(amount.value, terms)
    return "", None


def _without_other(terms: Terms) -> Terms:
    """Return terms without a unit that is unknown: a dialect knows the unit of its prices better."""
    return replace(terms, other=False) if terms.other else terms


def scale_price(value: Decimal | None, unit: Decimal) -> Decimal | None:
    """Return a price in USD per 1M tokens, rounded to six decimals to remove errors of floats.

    A price that would become 0 keeps more decimals.
    """
    if value is None or value >= LARGEST or value * unit >= LARGEST:
        return None
    exact = value * unit
    return strip_zeros(exact.quantize(_QUANTUM) or exact.quantize(_FINEST))


def strip_zeros(value: Decimal) -> Decimal:
    """Return a decimal without trailing zeros and without an exponent."""
    plain = value.normalize()
    return plain.quantize(Decimal(1)) if plain == plain.to_integral_value() else plain


SHARED_RECORDS = 3
"""The number of records from which a `created` that all of them have is a constant, not a date."""


def is_shared(created: Iterable[str | None]) -> bool:
    """Return whether all the records of a list have the same `created`; False for a list of one or two."""
    rest = iter(created)
    first = next(rest, None)
    if first is None:
        return False
    number = 1
    for each in rest:
        if each != first:
            return False
        number += 1
    return number >= SHARED_RECORDS


FACT_COLUMNS = tuple(name for name in Facts.__struct_fields__ if name != "more_prices")
"""The facts that are columns of `records`."""


def to_columns(facts: Facts) -> dict[str, Any]:
    """Return facts as columns of `records`: prices as REAL for sorting and plotting, sets as JSON arrays."""
    return {name: _column(getattr(facts, name)) for name in FACT_COLUMNS}


def to_price_rows(facts: Facts) -> list[dict[str, Any]]:
    """Return the prices of a record as rows of `record_prices`, without the record; amounts are REAL."""
    return [
        {
            "place": place,
            "meter": price.meter,
            "unit": price.unit,
            "from_tokens": price.from_tokens,
            "window": price.window,
            "currency": price.currency,
            "amount": float(price.amount),
        }
        for place, price in enumerate(facts.all_prices)
    ]


def _column(value: Any) -> Any:
    match value:
        case Decimal():
            return float(value)
        case ():
            return None
        case tuple():
            return json.dumps(value, ensure_ascii=False)
        case _:
            return value


FLAGS = (
    "allow_create_engine",
    "allow_sampling",
    "allow_logprobs",
    "allow_search_indices",
    "allow_view",
    "allow_fine_tuning",
    "is_blocking",
)


class Permission(Struct, frozen=True):
    """One entry of `permission[]`; flags are 0, 1, or None if the entry does not have them."""

    allow_create_engine: int | None
    allow_sampling: int | None
    allow_logprobs: int | None
    allow_search_indices: int | None
    allow_view: int | None
    allow_fine_tuning: int | None
    is_blocking: int | None
    organization: str | None
    group_name: str | None


def parse_permissions(body: Body) -> tuple[Permission, ...]:
    """Return the entries of `permission`; empty if it is not an array."""
    entries = body.get("permission")
    if not isinstance(entries, list):
        return ()
    return tuple(_permission(entry) for entry in entries if isinstance(entry, dict))


def _permission(entry: Body) -> Permission:
    return Permission(
        **{flag: _flag(entry.get(flag)) for flag in FLAGS},
        organization=parse_text(entry.get("organization")),
        group_name=parse_text(entry.get("group")),
    )


def _flag(value: Any) -> int | None:
    return int(value) if isinstance(value, bool) else None
