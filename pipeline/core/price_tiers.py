"""Lists of prices by the length of the prompt: from how many tokens each tier holds."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from pipeline.core.amounts import names_in
from pipeline.core.values import parse_length

FROM = frozenset(
    names_in(
        "min min_tokens min_prompt_tokens min_input_tokens min_context from from_tokens above above_tokens"
        " threshold context_threshold prompt_tokens_from"
    )
)
TO = frozenset(
    names_in("max max_tokens max_prompt_tokens max_input_tokens max_context to to_tokens up_to up_to_tokens")
)
RANGE = frozenset(names_in("range token_range context_range input_range range_name"))
HOURS = frozenset(names_in("utc_start utc_end utc_days"))
CONDITIONS = FROM | TO | RANGE | HOURS | {"tier"}
"""The fields of a tier that state where it holds."""

VARIANTS = ("resolution", "size", "quality", "style", "mode", "operation")
"""The fields of a price of an image or a video that say of which, as texts."""
_VARIANT_FLAGS = ("audio", "voice_control")
_LONGEST_VARIANT = 20

THRESHOLDS = "thresholds"

_LENGTH = r"(\d+(?:\.\d+)?)\s*([km]?)"
_RANGE_START = re.compile(rf"{_LENGTH}\s*(?:tokens?)?\s*[<≤]")
_RANGE_ABOVE = re.compile(rf"[>≥]=?\s*{_LENGTH}")
_RANGE_FROM_ZERO = re.compile(rf"default|(?:input|tokens?|prompt|context)\s*[<≤]=?\s*{_LENGTH}")


def start_of(name: str, value: Any) -> int | None:
    """Return the length of the prompt from which a tier holds; None if a field states it otherwise."""
    match value:
        case {"type": "context", "size": size} if name == "tier":
            return start_of("from", size)
        case [start, _] if name in RANGE:
            return start_of("from", start)
        case str() if name == "range_name":
            return _start_of_text(value)
        case 0 | "0":
            return 0
        case _:
            length = parse_length(value) if name in FROM else None
            return None if length is None else rounded(length)


def _start_of_text(text: str) -> int | None:
    """Parse `32K<Input<=128K`, `Input>128K` or `Input<=32K`."""
    text = text.strip().lower()
    if _RANGE_FROM_ZERO.fullmatch(text):
        return 0
    match = _RANGE_START.match(text) or _RANGE_ABOVE.search(text)
    return parse_length(match[1] + match[2]) or 0 if match else None


def rounded(length: int) -> int:
    """Return a length without the token by which some gateways begin a tier: 200001 is above 200000."""
    return length - 1 if length % 1000 == 1 else length


def with_starts(items: Sequence[Any]) -> Sequence[Any]:
    """Return the tiers of a list, those that state only where they end with their start, as `from`.

    A tier begins at the end of the one below it. One without an end is the last one, or the first where the
    others state where they begin.
    """
    ends = [_end(item) for item in items]
    if not any(ends):
        return items
    known = sorted(end for end in ends if end)
    if len(set(known)) < len(known):
        # They differ by another condition.
        return items
    begins = {item.get(name) is not None for item in items if isinstance(item, dict) for name in FROM | RANGE}
    found = []
    for item, end in zip(items, ends, strict=True):
        if not isinstance(item, dict) or any(item.get(name) is not None for name in CONDITIONS - TO):
            found.append(item)
            continue
        rest = {name: value for name, value in item.items() if name not in TO}
        below = [each for each in known if end is None or each < end]
        is_last = end is None and not any(begins)
        start = below[-1] if below and (end is not None or is_last) else 0
        found.append({**rest, "from": start})
    return found


def _end(item: Any) -> int | None:
    if not isinstance(item, dict):
        return None
    ends = (parse_length(item[name]) for name in item if name in TO)
    return next((rounded(end) for end in ends if end), None)


def variants_of(item: Mapping[str, Any]) -> tuple[str, ...]:
    """Return of which image or video an element of a list of prices is: `720p`, `with audio`.

    As Vercel's `video_duration_pricing` and `image_dimension_quality_pricing`: https://ai-gateway.vercel.sh/v1/models
    """
    texts = [item[name] for name in VARIANTS if isinstance(item.get(name), str)]
    flags = [
        f"{'with' if item[name] else 'without'} {name.replace('_', ' ')}"
        for name in _VARIANT_FLAGS
        if isinstance(item.get(name), bool)
    ]
    return (*(text for text in texts if 0 < len(text) <= _LONGEST_VARIANT), *flags)


def is_variant(name: str, value: Any) -> bool:
    """Return whether a field of a price is one that `variants_of` reads."""
    if name in _VARIANT_FLAGS:
        return isinstance(value, bool)
    return name in VARIANTS and isinstance(value, str) and 0 < len(value) <= _LONGEST_VARIANT


def first_tier(items: Sequence[Any]) -> Any:
    """Return the tier of a list that holds for any prompt; None without one."""
    for item in with_starts(items):
        if not isinstance(item, dict):
            return item
        starts = [start_of(name, item[name]) for name in item if name in FROM | RANGE | {"tier"}]
        if not any(starts) and not variants_of(item):
            return item
    return None


def with_tiers(item: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return an object whose prices are lists, one for each tier, with the first prices and a list of tiers.

    {"thresholds": [131072], "input": [0.05, 0.12]} holds up to 131072 tokens, and above: https://api.opper.ai/v3/models
    A list of one price is that price.
    """
    if not any(isinstance(value, list) for value in item.values()):
        return item
    lists = {name: value for name, value in item.items() if _is_list_of_prices(value) and name != THRESHOLDS}
    if not lists:
        return item
    thresholds = item.get(THRESHOLDS)
    starts = [parse_length(each) for each in thresholds] if isinstance(thresholds, list) else []
    fitting = {name: value for name, value in lists.items() if len(value) == len(starts) + 1}
    if not fitting or not all(starts):
        return item
    rest = {name: value for name, value in item.items() if name not in fitting and name != THRESHOLDS}
    rest |= {name: value[0] for name, value in fitting.items()}
    tiers = [
        {"from": start, **{name: value[place] for name, value in fitting.items()}}
        for place, start in enumerate(starts, 1)
    ]
    return {**rest, "tiers": tiers} if tiers else rest


def _is_list_of_prices(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(map(_is_price, value))


def _is_price(value: Any) -> bool:
    return isinstance(value, int | Decimal | str) and not isinstance(value, bool)


_UP_TO = re.compile(
    r"(?:\b(?:up to|under|below|within|less than|lte?)|[<≤]=?)"
    r" \d+(?:\.\d+)?(?:[km]\b|(?<=\d{4}))(?: tokens?\b)?"
)


def without_end(named: tuple[str, ...]) -> tuple[str, ...]:
    """Return the words of a name without the length up to which its price holds: `input_up_to_200k`."""
    text = " ".join(named)
    found = _UP_TO.sub(" ", text)
    return named if found == text else tuple(found.split())


def thresholds_of(values: Iterator[Any]) -> int | None:
    """Return the length of the prompt that a record calls a long context; None without one."""
    names = ("long_context_threshold", "long_context_threshold_tokens", "longContextThreshold")
    lengths = (parse_length(value.get(name)) for value in values if isinstance(value, dict) for name in names)
    found = next((length for length in lengths if length), None)
    return rounded(found) if found else None
