"""New-API's billing expressions, in the forms that its editor writes.

    tier("base", p * 2.5 + c * 15 + cr * 0.25)
    len <= 200000 ? tier("standard", p * 3 + c * 15) : tier("long", p * 6 + c * 22.5)
    tier("request", fixed(0.01))

Prices are in USD per 1M tokens. Any other expression has no price here.
See https://github.com/QuantumNous/new-api/blob/main/pkg/billingexpr/expr.md and
https://github.com/QuantumNous/new-api/blob/main/web/default/src/features/pricing/lib/tier-expr.ts
"""

from __future__ import annotations

import re
from decimal import Decimal

from pipeline.core.price_conditions import CALL, TOKENS, Price

_METERS = {
    "p": ("input", None),
    "c": ("output", None),
    "cr": ("cache_read", None),
    "cc": ("cache_write", None),
    "cc1h": ("cache_write", "1h"),
    "img": ("input_image", None),
    "img_cr": ("cache_read_image", None),
    "img_o": ("output_image", None),
    "ai": ("input_audio", None),
    "ao": ("output_audio", None),
}
"""By variable: the meter and the condition of its price."""

_NUMBER = r"\d+(?:\.\d+)?(?:[eE][-+]?\d+)?"
_TERM = rf"[a-z][a-z0-9_]*\s*\*\s*{_NUMBER}"
_TIER = re.compile(
    rf"""\s*(?:(?P<of>len|p)\s*(?P<is><=?|>=?)\s*(?P<length>{_NUMBER})\s*\?\s*)?
    tier\("[^"\\]*",\s*(?:(?P<terms>{_TERM}(?:\s*\+\s*{_TERM})*)|fixed\((?P<fixed>{_NUMBER})\))\s*\)\s*""",
    re.VERBOSE,
)
_VERSION = re.compile(r"^v1:")
_MOST_TIERS = 20


def parse_expression(text: str) -> tuple[Price, ...]:
    """Return the prices of a billing expression, before the ratio of a group; empty for any other form."""
    text = _VERSION.sub("", text.strip())
    tiers: list[re.Match[str]] = []
    at = 0
    while match := _TIER.match(text, at):
        tiers.append(match)
        at = match.end()
        if at == len(text) or text[at] != ":" or len(tiers) > _MOST_TIERS:
            break
        at += 1
    starts = _starts(tiers)
    if at != len(text) or starts is None:
        return ()
    prices: list[Price] = []
    for tier, start in zip(tiers, starts, strict=True):
        own = _of_tier(tier, start)
        if own is None:
            return ()
        prices += own
    return tuple(prices)


def _starts(tiers: list[re.Match[str]]) -> list[int] | None:
    """Return the length of the prompt above which each tier holds; None unless the lengths are in order.

    All tiers but the last have a condition: each is the end of its tier, or each the beginning.
    """
    if not tiers or tiers[-1]["of"] or not all(tier["of"] for tier in tiers[:-1]):
        return None
    lengths = [int(Decimal(tier["length"])) for tier in tiers[:-1]]
    directions = {tier["is"][0] for tier in tiers[:-1]}
    if directions <= {"<"} and lengths == sorted(set(lengths)):
        return [0, *lengths]
    if directions == {">"} and lengths == sorted(set(lengths), reverse=True):
        return [*lengths, 0]
    return None


def _of_tier(tier: re.Match[str], start: int) -> list[Price] | None:
    """Return the prices of a tier; None for a variable that is unknown here, or stands there twice."""
    if tier["fixed"]:
        return [Price(CALL, CALL, Decimal(tier["fixed"]), start)]
    found: dict[str, Decimal] = {}
    for term in tier["terms"].split("+") if "e+" not in tier["terms"].lower() else ():
        name, _, amount = term.partition("*")
        found[name.strip()] = Decimal(amount.strip())
    if len(found) != tier["terms"].count("*") or not found.keys() <= _METERS.keys():
        return None
    return [
        Price(_METERS[name][0], TOKENS, amount, start, _METERS[name][1]) for name, amount in found.items()
    ]
