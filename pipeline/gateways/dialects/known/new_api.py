"""New-API: the list of a key, and the price list, with the groups that may use each model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from msgspec.structs import replace

from pipeline.core.facts import PER_1M, TOKEN_PRICES, Body, FactPaths, Facts, scale_price
from pipeline.core.price_conditions import CALL, TOKENS, Price
from pipeline.core.values import parse_price
from pipeline.errors import Unreadable
from pipeline.gateways.dialects.billing_expression import parse_expression
from pipeline.gateways.dialects.dialect import SETS, Dialect, group_record
from pipeline.gateways.dialects.known.one_api import NO_MODELS, PERMISSION_NOISE, has_constant_created

PRICES_DIALECT = "new-api-pricing"
PRICES_PATH = "/api/pricing"

PER_RATIO = Decimal(2)
"""USD per 1M input tokens of a model whose ratio is 1."""

AUTO_GROUP = "auto"
"""The group whose keys are served by the first of the `auto_groups` that has the model."""

GROUP_RATIO = "group_ratio"
"""The factor of a group's prices; quiet in its models, because its change is reported once, for the group."""

_EVERY_GROUP = "all"
"""In the groups of a row: each group may use the model."""

_BILLED_PER_CALL = 1
_GROUPS = ("enable_groups", "enable_group")


def models_of_group(
    envelope: Mapping[str, Any], group: str, own: Mapping[str, Any] | None = None
) -> list[dict[str, Any]]:
    """Return the rows of a price list that one group may use, at the prices of that group.

    Args:
        envelope: the parsed answer of `/api/pricing`.
        group: its name; `auto` means the groups of `auto_groups`, in their order.
        own: the groups of the user, with the ratio that this user pays, which may be a personal one; None
            where they are not known.

    Returns:
        Rows as in `data`, with the group's ratio beside the model's. The names of the groups are removed:
        changes of other groups would look like changes of this one.

    Raises:
        Unreadable: there is no list, or the answer does not say which models the group has.
    """
    rows = envelope.get("data")
    if not isinstance(rows, list):
        raise Unreadable("'data' is null or missing, not the price list")
    ratios = _object(envelope, "group_ratio")
    candidates = [group]
    if group == AUTO_GROUP:
        candidates = [name for name in _array(envelope, "auto_groups") if own is None or name in own]
    if not _names_group(envelope, rows, candidates):
        if not rows:
            raise Unreadable(f"the price list is empty, so that the models of group {group!r} are unknown")
        raise Unreadable(
            f"the price list has no group {group!r}, so that its models are unknown",
            cure=f'ask with a key of this group, or leave it out: no_models = ["{group_record(group)}"]',
        )
    ratios = {**ratios, **{name: ratio for name, ratio in (own or {}).items() if ratio is not None}}
    found = []
    for row in rows:
        serving = _first_enabled(candidates, row)
        if serving is not None:
            # The server, too, counts a group without a ratio of its own as 1.
            found.append(_with_ratio(row, ratios.get(serving, 1)))
    return found


def _names_group(envelope: Mapping[str, Any], rows: list[Any], groups: list[str]) -> bool:
    """Return whether a price list says which models one of these groups has.

    The list of an anonymous caller has the names of public groups only; its rows may name others.
    """
    named = (*_object(envelope, "group_ratio"), *_object(envelope, "usable_group"))
    return any(group in named for group in groups) or any(_first_enabled(groups, row) for row in rows)


def _usable(envelope: Any, rows: list[Any]) -> list[Any]:
    """Return the rows that a group of the caller may use; all of them where the answer names no such group.

    An anonymous caller has the public groups; older servers list the models of all others, too:
    https://github.com/Calcium-Ion/new-api/blob/main/controller/pricing.go.
    """
    usable = list(_object(envelope, "usable_group")) if isinstance(envelope, dict) else []
    if not usable:
        return rows
    return [row for row in rows if _groups(row) is None or _first_enabled(usable, row) is not None]


def _object(envelope: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = envelope.get(key)
    return value if isinstance(value, dict) else {}


def _array(envelope: Mapping[str, Any], key: str) -> list[Any]:
    value = envelope.get(key)
    return value if isinstance(value, list) else []


def _first_enabled(groups: list[str], row: Any) -> str | None:
    enabled = _groups(row) or []
    return next((group for group in groups if group in enabled or _EVERY_GROUP in enabled), None)


def _groups(row: Any) -> list[Any] | None:
    """Return the groups that may use the model of a row; None where it names none."""
    if not isinstance(row, dict):
        return None
    return next((row[name] for name in _GROUPS if isinstance(row.get(name), list)), None)


def _with_ratio(row: dict[str, Any], ratio: Any) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in _GROUPS} | {GROUP_RATIO: ratio}


def _is_new_api(envelope: Any, rows: list[dict[str, Any]]) -> bool:
    return isinstance(envelope, dict) and envelope.get("success") is True and has_constant_created(rows)


def _with_prices(facts: Facts, body: Body) -> Facts:
    """Convert ratios to prices; a model that is billed by an expression does not use its ratios."""
    group_ratio = parse_price(body.get(GROUP_RATIO, 1))
    if group_ratio is None:
        return facts
    if expression := body.get("billing_expr"):
        prices = parse_expression(expression) if isinstance(expression, str) else ()
        return _with_expression(facts, prices, group_ratio)
    if body.get("quota_type") == _BILLED_PER_CALL:
        price = parse_price(body.get("model_price"))
        if price is None:
            return facts
        per_call = scale_price(price * group_ratio, PER_1M)
        return replace(facts, usd_per_call=per_call, price_source=None if per_call is None else "ratio")
    model_ratio = parse_price(body.get("model_ratio"))
    if model_ratio is None:
        return facts
    ratio = model_ratio * group_ratio
    return replace(
        facts,
        input_usd_per_1m=scale_price(ratio, PER_RATIO),
        output_usd_per_1m=_multiplied(ratio, body.get("completion_ratio")),
        cache_read_usd_per_1m=_multiplied(ratio, body.get("cache_ratio")),
        cache_write_usd_per_1m=_multiplied(ratio, body.get("create_cache_ratio")),
        price_source="ratio",
        more_prices=tuple(_of_modalities(ratio, body)),
    )


def _of_modalities(ratio: Decimal, body: Body) -> Iterator[Price]:
    """Yield the prices of images and audio: ratios to that of text input, or of audio input.

    See https://github.com/QuantumNous/new-api/blob/main/pkg/billingexpr/expr.md
    """
    audio, audio_output = (parse_price(body.get(name)) for name in ("audio_ratio", "audio_completion_ratio"))
    ratios = {
        "input_audio": audio,
        "input_image": parse_price(body.get("image_ratio")),
        "output_audio": None if audio is None or audio_output is None else audio * audio_output,
    }
    for meter, of_input in ratios.items():
        price = scale_price(ratio * of_input, PER_RATIO) if of_input else None
        if price:
            yield Price(meter, TOKENS, price)


def _with_expression(facts: Facts, prices: Sequence[Price], group_ratio: Decimal) -> Facts:
    """Return facts with the prices of an expression, in the columns where they have no condition."""
    scaled = ((price, scale_price(price.amount * group_ratio, PER_1M)) for price in prices)
    prices = [replace(price, amount=amount) for price, amount in scaled if amount is not None]
    columns = {(price.meter, price.unit): price.amount for price in prices if price.is_plain}
    found: dict[str, Any] = {
        name: columns[attribute, TOKENS]
        for name, attribute in TOKEN_PRICES.items()
        if (attribute, TOKENS) in columns
    }
    if (CALL, CALL) in columns:
        found["usd_per_call"] = columns[CALL, CALL]
    kept = {(attribute, TOKENS) for attribute in TOKEN_PRICES.values()} | {(CALL, CALL)}
    more = [price for price in prices if not price.is_plain or (price.meter, price.unit) not in kept]
    source = ("exact" if group_ratio == 1 else "ratio") if found else None
    return replace(facts, **found, price_source=source, more_prices=tuple(sorted(more, key=_order)))


def _order(price: Price) -> tuple[str, str, int, str]:
    return price.meter, price.unit, price.from_tokens, price.window or ""


def _multiplied(ratio: Decimal, factor: Any) -> Decimal | None:
    by = parse_price(factor)
    return None if by is None else scale_price(ratio * by, PER_RATIO)


DIALECTS = (
    Dialect(
        name="new-api",
        no_models=NO_MODELS,
        noise=PERMISSION_NOISE,
        # The owner is that of the group's preferred channel: it flips when priorities are changed.
        quiet=("owned_by",),
        recognises=_is_new_api,
        lenient_records=True,
    ),
    Dialect(
        name=PRICES_DIALECT,
        hosts=(f"*{PRICES_PATH}",),
        path=PRICES_PATH,
        id_at="model_name",
        # The server puts it on the first record, and the order of records changes with each rebuild.
        noise=("pricing_version",),
        quiet=("description", "icon", "owner_by", "vendor_id", GROUP_RATIO),
        # Documentation and program disagree on the name of the groups.
        sets=(*SETS, "enable_group"),
        select=_usable,
        facts=FactPaths(adjust=_with_prices),
        has_records=False,
    ),
)
