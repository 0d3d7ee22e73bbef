"""Amounts of money as gateways write them: a number, and the currency and unit that a text states beside it.

0.0000005    "$0.50 / 1M"    "0.002 USD per 1K tokens"    {"usd": 0.5}    {"value": 4, "currency": "CNY"}
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any

from pipeline.core.values import is_amount

USD = "USD"


def names_in(text: str) -> tuple[str, ...]:
    """Return the names of a text, which are separated by spaces."""
    return tuple(text.split())


_CENT = Decimal("0.01")
_MILLION = Decimal(1_000_000)

_WORD = re.compile(
    r"\d+(?:\.\d+)?[kmKM](?![A-Za-z])|\d+(?:\.\d+)?|[A-Z]+s?(?![a-z])|[A-Z]?[a-z]+|[^\W\d_A-Za-z]+|[$€£¥₹₩¢/]"
)
_SEPARATOR = re.compile(r"(?<=\d)[,_](?=\d{3}(?!\d))")
_NUMBER = re.compile(r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)([km]?)")
_LONGEST = 80

_CURRENCIES = {
    **dict.fromkeys(("usd", "dollar", "dollars", "$", "us$"), USD),
    **dict.fromkeys(("cny", "rmb", "yuan", "元", "人民币", "¥"), "CNY"),
    **dict.fromkeys(("eur", "euro", "euros", "€"), "EUR"),
    **dict.fromkeys(("gbp", "£"), "GBP"),
    **dict.fromkeys(("jpy", "yen", "円"), "JPY"),
    **dict.fromkeys(("inr", "₹"), "INR"),
    **dict.fromkeys(("krw", "₩"), "KRW"),
    **{name: name.upper() for name in ("aed", "aud", "brl", "cad", "chf", "hkd", "rub", "sgd", "twd", "dbu")},
    **{name: name for name in ("credits", "points", "diem", "vcu", "xno", "sats")},
    "credit": "credits",
    "point": "points",
}
_CENTS = frozenset({"cent", "cents", "¢"})
_SIZES = {
    **dict.fromkeys(
        ("million", "millions", "mn", "m", "mm", "mtok", "mtoks", "mtoken", "mtokens", "百万"), 10**6
    ),
    **dict.fromkeys(("thousand", "thousands", "k", "ktok", "ktoks", "ktoken", "ktokens", "千"), 10**3),
}
_FILLERS = frozenset({"per", "each", "of", "in", "us", "a", "/", "每"})
_TOKENS = frozenset({"token", "tokens", "tok", "toks"})
_PER = frozenset({"per", "/", "每"})
_METERS = frozenset({"input", "output", "prompt", "completion", "text", "cached", "cache", "read", "write"})
"""Words that name what is billed, where a unit repeats it: "per 1M input tokens"."""

_PLAIN_WORDS = _FILLERS | _TOKENS | _METERS | _CENTS


@dataclass(frozen=True, slots=True)
class Terms:
    """What a name or text says about an amount; None where it does not say.

    Args:
        factor: from the amount to the price of 1M tokens.
        currency: a code such as USD, or a name such as credits.
        other: it is the price of something that is no token: an image, a second.
    """

    factor: Decimal | None = None
    currency: str | None = None
    other: bool = False

    def over(self, outer: Terms) -> Terms:
        """Return these terms, completed by those of something that holds the amount."""
        if outer is NO_TERMS:
            return self
        if self is NO_TERMS:
            return outer
        inner = self if self.factor is not None or self.other else outer
        return Terms(inner.factor, self.currency or outer.currency, inner.other)


NO_TERMS = Terms()


@dataclass(frozen=True, slots=True)
class Amount:
    """A number that is not negative, and its terms."""

    value: Decimal
    terms: Terms = NO_TERMS


@lru_cache(8192)
def words(name: str) -> tuple[str, ...]:
    """Return the words of a name or a short text in lower case: `inputPrice` gives input, price."""
    return tuple(map(str.lower, _WORD.findall(_SEPARATOR.sub("", name))))


@lru_cache(512)
def parse_terms(text: str) -> Terms | None:
    """Parse a unit or a currency; None if it has words of another kind.

    "per_million_tokens", "1K", "USD/1M tokens", "perMTokens", "CNY", "cents per 100M tokens", "image".
    """
    found = words(text.strip())
    return terms_of(found) if found else None


def terms_of(found: Iterable[str]) -> Terms:
    """Return the terms that words state; something that is neither token nor currency is `other`."""
    found = tuple(found)
    currencies = [_CURRENCIES[word] for word in found if word in _CURRENCIES]
    cents = not _CENTS.isdisjoint(found)
    currency = currencies[-1] if currencies else USD if cents else None
    if any(map(_is_other, found)):
        return Terms(None, currency, other=True)
    size = _size(found)
    if size is None:
        return Terms(None, "US cents" if cents else currency)
    return Terms(_MILLION / size * (_CENT if cents else 1), currency)


def _is_other(word: str) -> bool:
    known = word in _CURRENCIES or word in _SIZES or word in _PLAIN_WORDS
    return not known and _SIZE.fullmatch(word) is None


def _size(found: Sequence[str]) -> Decimal | None:
    """Return the number of tokens that words state; None without one."""
    sizes = [size for word in found if (size := _size_of(word))]
    says_token = not _TOKENS.isdisjoint(found)
    if sizes:
        size = math.prod(sizes, start=Decimal(1))
        return size if size > 1 or says_token else None
    # "tokens" alone names what is billed, and not how many of them.
    return Decimal(1) if says_token and not _PER.isdisjoint(found) else None


def _size_of(word: str) -> Decimal | None:
    if word in _SIZES:
        return Decimal(_SIZES[word])
    match = _SIZE.fullmatch(word)
    return Decimal(match[1]) * {"k": 1000, "m": 10**6, "": 1}[match[2]] if match else None


def parse_amount(value: Any) -> Amount | None:
    """Parse a number, a text with a number, or an object that holds one; None for a negative one."""
    match value:
        case bool() | None:
            return None
        case int() | Decimal():
            return _amount(Decimal(value), NO_TERMS)
        case str():
            return _from_text(value)
        case dict():
            return _from_object(value)
        case _:
            return None


def _amount(value: Decimal, terms: Terms) -> Amount | None:
    return Amount(value, terms) if is_amount(value) else None


def _from_text(text: str) -> Amount | None:
    text = text.strip()
    if not text or len(text) > _LONGEST:
        return None
    try:
        return _amount(Decimal(text), NO_TERMS)
    except InvalidOperation:
        pass
    text = _SEPARATOR.sub("", text)
    found = _NUMBER.search(text)
    if found is None:
        return None
    before, after = text[: found.start()], text[found.end() :]
    stated = terms_of((*words(before), *words(after)))
    # A rest without letters is no price: a date, a range, a percentage.
    if stated.other or _NUMBER.search(before) or not _is_plain(before + after):
        return None
    try:
        return _amount(Decimal(found[0]), stated)
    except InvalidOperation:
        return None


def _is_plain(rest: str) -> bool:
    return not re.search(r"[%~<>–—-]|\d\s*\.\.", rest)


_AMOUNTS = ("amount", "value", "price", "cost", "rate")


def _from_object(value: Mapping[str, Any]) -> Amount | None:
    """Parse an object with one amount: by its currency, or beside its currency and unit."""
    for name, inner in value.items():
        currency = _CURRENCIES.get(name.lower())
        if currency == USD:
            found = parse_amount(inner) if not isinstance(inner, dict) else None
            return Amount(found.value, found.terms.over(Terms(currency=USD))) if found else None
    for name in _AMOUNTS:
        found = parse_amount(value[name]) if name in value and not isinstance(value[name], dict) else None
        if found:
            return Amount(found.value, found.terms.over(terms_beside(value)))
    return None


def terms_beside(value: Mapping[str, Any]) -> Terms:
    """Return the unit and currency that an object states for its prices, as at `unit` or `priceCurrency`."""
    found = NO_TERMS
    for name, kind in _stating(tuple(value)):
        inner = value[name]
        if kind == "unit":
            found = found.over(_stated(inner) or NO_TERMS)
        elif isinstance(inner, str) and inner:
            text = inner[:_LONGEST]
            # A currency that is unknown here is another one.
            code = (parse_terms(text) or NO_TERMS).currency or text
            found = replace(found, currency=code)
    return found


_UNIT_WORDS = frozenset({"unit", "units"})
_CURRENCY_WORDS = frozenset({"currency", "code", "symbol"})
_ABOUT_PRICES = frozenset(names_in("billing cost costs price prices pricing token tokens"))


def states_terms(name: str) -> bool:
    """Return whether the value of a name may be the unit or the currency of the prices beside it."""
    return _states(name) is not None


@lru_cache(512)
def _stating(names: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Return the names of an object that state a unit or a currency, each with which of both."""
    return tuple((name, kind) for name in names if (kind := _states(name)))


@lru_cache(8192)
def _states(name: str) -> str | None:
    """Return what a name says that its value states: `unit`, `currency`, or None."""
    found = frozenset(words(name))
    if "currency" in found and found <= _CURRENCY_WORDS | _ABOUT_PRICES:
        return "currency"
    is_unit = not _UNIT_WORDS.isdisjoint(found) and found <= _UNIT_WORDS | _ABOUT_PRICES
    return "unit" if is_unit or found in ({"per"}, {"per", "tokens"}) else None


def _stated(value: Any) -> Terms | None:
    match value:
        case str() if value and len(value) <= _LONGEST:
            return parse_terms(value)
        case bool():
            return None
        case int() if value in (1000, 1_000_000):
            return Terms(_MILLION / value)
        case _:
            return None
