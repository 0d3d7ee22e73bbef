"""The category of a field: by the words of its path, its values, and the fact that a dialect reads there.

A word ends at `_`, `.`, `-` and before the capitals of camel case: `feedback` is no fee.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from pipeline.core import jsonpath
from pipeline.core.caches import cache_short
from pipeline.core.canonical import from_text
from pipeline.core.limits import MAX_NAME
from pipeline.core.values import parse_date

QUIET = "text"
"""The category of names, descriptions and owners: stored and hashed, but reported only on request."""

COUNTERS = "counters"
"""The category of numbers that count the use of a model: downloads, likes, views, ranks."""

QUIET_CATEGORIES = frozenset({QUIET, COUNTERS})
"""The categories whose changes are reported only on request."""

SHAPE = "shape"
"""The category of a field that nearly all records gain or lose at once: reported in one line."""

STAGE = "stage"
"""What `Facts.lifecycle` is read from: its category is lifecycle only while a value announces an end."""

_DATED = "dated"
"""The internal category of names such as `end_date`: lifecycle where a value is a date."""

_TEXT_NOUNS = (
    r"desc|descriptions?|notes?|remarks?|comments?|message|urls?|links?|icons?|logos?|titles?|labels?"
    r"|docs?|documentation|summary|tooltip"
)

_COUNTED = (
    r"bookmark|call|click|download|favou?rite|follower|fork|install|invocation|like|play|prediction|pull"
    r"|rating|request|review|run|star|subscriber|use|user|view|visit|vote|usage"
)


def _words(pattern: str) -> str:
    """Return a pattern of whole words, or of several joined by `_`, in a path as `_in_words` writes it."""
    return rf"(?<![^._])(?:{pattern})(?![^._])"


_NOT_OF_MODELS = _words(
    r"[a-z]*pric(?:e|es|ed|ing)|billing|bonus|campaigns?|costs?|coupons?|credits?|cutoff|data|datasets?|deals?"
    r"|discounts?|events?|fees?|free|incidents?|knowledge|maintenance|offers?|plan|previews?|promos?|promotion(?:s|al)?"
    r"|quotas?|rates?|sales?|subscriptions?|tariffs?|training|trials?|windows?"
)
"""Words of what has an end of its own: a promotion, a trial, the training data."""

_CATEGORIES = (
    (
        "lifecycle",
        _words(
            r"deprecat[a-z]*|shutdown|shut_down|sunset[a-z]*|retir(?:e|ed|es|ing|ement)|lifecycle|life_cycle"
            r"|archived|eol|end_of_(?:life|sale|service|support)|discontinu[a-z]*|decommission[a-z]*"
            r"|replacement|phase_?out|phas(?:ed|ing)_out"
        ),
    ),
    (
        "lifecycle",
        rf"^(?!.*{_NOT_OF_MODELS}).*"
        + _words(r"(?<!cache_)(?<!key_)(?<!link_)(?<!session_)(?<!token_)(?<!url_)expir[a-z]*"),
    ),
    (
        _DATED,
        rf"^(?!.*{_NOT_OF_MODELS}).*"
        + _words(
            r"(?:deletion|delist(?:ed|ing)|disabled|end(?:s|ed|ing)?|inactive|obsolete|off_?line|remov(?:al|ed|es)"
            r"|terminat(?:ed|es|ion)|unavailable|withdraw(?:al|n))_(?:after|at|by|date|from|on|since|time)"
            r"|(?:active|availability|available|maintained|offered|served|service|support(?:ed)?|usable|valid)"
            r"_(?:thru|through|till|to|until)"
        ),
    ),
    # The noun at the end of a name says what it is: `price_description`, `description_en`, `notes.0`.
    (QUIET, rf"(?<![a-z])(?:{_TEXT_NOUNS})(?:_[a-z][a-z](?:_[a-z][a-z])?)?(?=\.|$)"),
    (
        COUNTERS,
        r"^(?!.*"
        + _words(
            r"allowed|context|costs?|length|limit[a-z]*|lora|max|maximum|min|minimum|per|pric(?:e|es|ing)"
            r"|quota|rates?|remaining|rp[dms]|tp[dms]|window"
        )
        + r").*(?:"
        + _words(
            r"bookmarks|clicks|downloads|favou?rites|followers|forks|impressions|installs|invocations|likes"
            r"|plays|popularity|pulls|rank|rankings?|reviews|runs|stargazers|stars|subscribers|trending"
            r"|upvotes|usage|views|visitors|visits|votes"
            rf"|(?:{_COUNTED})s?_(?:counts?|total)|(?:n|num|number_of|total)_(?:{_COUNTED})s"
        )
        + r"|(?<![^._])(?:engagement|statistics|stats)\.)",
    ),
    (
        "price",
        _words(
            r"[a-z]*pric(?:e|es|ed|ing)(?!_(?:alerts?|page|polic(?:y|ies)))"
            r"|costs?(?!_(?:cent(?:er|re)s?|codes?|effective[a-z]*|efficien[a-z]*|optimi[sz][a-z]*|sensitiv[a-z]*))"
            r"|(?<!aspect_)(?<!compression_)(?<!error_)(?<!hit_)(?<!success_)ratios?"
            r"|bill(?:ed|ing)|fees?|per_1[km]|quota_type|surcharges?|tariffs?|usd"
        ),
    ),
    ("capabilities", _words(r"support(?:s|ed)?_[a-z0-9_]+")),
    (
        QUIET,
        _words(r"desc|descriptions?|display|icon|titles?|urls?")
        + r"|(?:^|\.)name$|^owned_by$|^created(?![a-z])|(?<![a-z])(?:tags?|order)$",
    ),
    (
        "capabilities",
        _words(
            r"capabilit[a-z]*|endpoints?|features?|modalit[a-z]*|multimodal|param(?:s|eters?)?|permissions?"
            r"|reason[a-z]*|support[a-z]*|tools?|types?|vision"
        ),
    ),
    (
        "limits",
        _words(r"context[a-z]*|ctx|length|limit[a-z]*|max[a-z]*|quota|rp[dms]|tokens?|tp[dms]|window"),
    ),
)
"""Categories and their patterns, compiled at their first use; the first that matches decides."""

_WORD = re.compile(r"\d+[kmKM](?![A-Za-z])|\d+|[A-Z]+s?(?![a-z])|[A-Z]?[a-z]+|[^\W\d_A-Za-z]+")

_END = re.compile(
    _words(
        r"deprecat[a-z]*|shutdown|shut_down|sunset[a-z]*|retir[a-z]*|archived|eol|end_of_[a-z]+|expir[a-z]*"
        r"|discontinu[a-z]*|decommission[a-z]*|obsolete|legacy|removed|withdrawn"
    )
)
"""The words of a stage that is the end of a model, or announces it."""

_COUNT = re.compile(r"\d[\d.,_ ]*[kmbKMB]?\+?", re.ASCII)


def categorise(path: str) -> str:
    """Return the category of a field by its path.

    Price, limits, capabilities, lifecycle, text, counters, or other.
    """
    found = _by_words(path)
    return "lifecycle" if found == _DATED else found


@cache_short(8192, MAX_NAME)
def _by_words(path: str) -> str:
    words = _in_words(path)
    return next((name for name, pattern in _CATEGORIES if re.search(pattern, words)), "other")


def categorise_change(
    path: str, before: str | None, after: str | None, facts: Mapping[str, str] = MappingProxyType({})
) -> str:
    """Return the category of a field that changed.

    Args:
        path: its path.
        before: its value as text; None where it is absent.
        after: likewise.
        facts: by path, the category of the fact that is read there, or `STAGE`.
    """
    category = _by_words(path)
    if category == _DATED:
        category = "lifecycle" if _is_date(before) or _is_date(after) else "other"
    of_fact = _of_fact(jsonpath.generalise(path), category, facts) if facts else None
    if of_fact == STAGE:
        return "lifecycle" if _announces_end(before) or _announces_end(after) else category
    if of_fact:
        return of_fact
    # A text under such a name is a note on the use: "usage": "for chat only".
    if category == COUNTERS and not (_is_count(before) and _is_count(after)):
        return "other"
    return category


def _of_fact(path: str, category: str, facts: Mapping[str, str]) -> str | None:
    if path in facts:
        return facts[path]
    if category != "other":
        return None
    # An object may hold a set of names, or a date in parts.
    parents = (path[:end] for end, letter in enumerate(path) if letter == ".")
    found = next((facts[parent] for parent in parents if parent in facts), None)
    return found if found in ("capabilities", "lifecycle") else None


@cache_short(8192, MAX_NAME)
def _in_words(path: str) -> str:
    """Return a path with the words of each step in lower case, joined by `_`: `rate_limits.max_tokens`."""
    steps = (step for step in jsonpath.split(path) if not step.isdecimal())
    return ".".join("_".join(_WORD.findall(step)).lower() for step in steps)


def _value(side: str | None) -> Any:
    return None if side is None else from_text(side)


def _announces_end(side: str | None) -> bool:
    value = _value(side)
    if isinstance(value, str) and _END.search(_in_words(value)):
        return True
    return isinstance(value, str | dict) and parse_date(value) is not None


def _is_date(side: str | None) -> bool:
    return parse_date(_value(side)) is not None


def _is_count(side: str | None) -> bool:
    match _value(side):
        case bool():
            return False
        case None | int() | Decimal():
            return True
        case str() as text:
            return bool(_COUNT.fullmatch(text))
        case _:
            return False
