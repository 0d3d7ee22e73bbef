"""Amounts of money as gateways write them: a number, and the currency and unit that a text states beside it.

0.0000005    "$0.50 / 1M"    "0.002 USD per 1K tokens"    {"usd": 0.5}    {"value": 4, "currency": "CNY"}
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from pipeline.core.caches import cache_short
from pipeline.core.limits import MAX_NAME, MAX_NAMES
from pipeline.core.values import is_amount

USD = "USD"


def names_in(text: str) -> tuple[str, ...]:
    """Return the names of a text, which are separated by spaces."""
    return tuple(text.split())


_MILLION = Decimal(1_000_000)

_HAN = "人民币|百万|千万|美元|美金|日元|欧元|港元|港币|词元|令牌|元|円|每|千|万|亿|个|输入|输出|价格"
"""Words in texts without spaces: 2元/百万tokens."""

# Currency signs: https://www.unicode.org/charts/PDF/U20A0.pdf
_WORD = re.compile(
    r"\d+(?:\.\d+)?[kmKM](?![A-Za-z])|\d+(?:\.\d+)?|[A-Z]{1,3}[$¥]|[A-Z]+s?(?![a-z])|[A-Z]?[a-z]+"
    rf"|{_HAN}|(?:(?!{_HAN})[^\W\d_A-Za-z])+|[$£¤¥¢\u20a0-\u20cf/]|[<>≤≥]=?"
)
_SEPARATOR = re.compile(r"(?<=\d)[,_](?=\d{3}(?!\d))")
_DECIMAL_COMMA = re.compile(r"(?<![\d.,])(0(?=,\d)|\d+(?=,(?:\d\d?|\d{4,})(?!\d))),(\d+)(?![\d.,])")
"""As in "0,50 €"; 1,500 has a separator."""
_NUMBER = re.compile(r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)([km]?)")
_LONGEST = 80

_CURRENCIES = {
    **dict.fromkeys(("usd", "dollar", "dollars", "$", "us$", "美元", "美金"), USD),
    **dict.fromkeys(("cny", "rmb", "yuan", "元", "人民币", "¥", "cn¥"), "CNY"),
    **dict.fromkeys(("eur", "euro", "euros", "€", "欧元"), "EUR"),
    **dict.fromkeys(("gbp", "£"), "GBP"),
    **dict.fromkeys(("jpy", "yen", "円", "日元", "jp¥"), "JPY"),
    **dict.fromkeys(("inr", "₹"), "INR"),
    **dict.fromkeys(("krw", "₩"), "KRW"),
    **dict.fromkeys(("rub", "₽", "руб"), "RUB"),
    **dict.fromkeys(("aud", "a$", "au$"), "AUD"),
    **dict.fromkeys(("brl", "r$"), "BRL"),
    **dict.fromkeys(("cad", "c$", "ca$"), "CAD"),
    **dict.fromkeys(("hkd", "hk$", "港元", "港币"), "HKD"),
    **dict.fromkeys(("sgd", "s$", "sg$"), "SGD"),
    **dict.fromkeys(("twd", "nt$"), "TWD"),
    **{
        name: name.upper()
        for name in ("aed", "chf", "dbu", "idr", "nzd", "pln", "sek", "thb", "uah", "usdc", "usdt", "vnd")
    },
    "₴": "UAH",
    "฿": "THB",
    "₫": "VND",
    "₺": "TRY",
    **{name: name for name in ("credits", "points", "diem", "vcu", "xno", "sats")},
    "credit": "credits",
    "point": "points",
}
_PARTS = {
    **dict.fromkeys(("cent", "cents", "¢"), Decimal("0.01")),
    **dict.fromkeys(("micro", "micros", "microusd", "microdollar", "microdollars"), Decimal("1e-6")),
    **dict.fromkeys(("nano", "nanos", "nanousd", "nanodollar", "nanodollars", "ndollars"), Decimal("1e-9")),
    **dict.fromkeys(("millicents",), Decimal("1e-5")),
    **dict.fromkeys(("microcents",), Decimal("1e-8")),
}
"""The parts of a dollar in which some gateways count, in dollars.

See https://www.crossmodel.ai/api/models and https://api.saygm.com/v1/models.
"""
_PART_NAMES = {
    Decimal("0.01"): "US cents",
    Decimal("1e-6"): "micro-USD",
    Decimal("1e-9"): "nano-USD",
    Decimal("1e-5"): "US millicents",
    Decimal("1e-8"): "US microcents",
}
_DOLLARS_OF = {name: part for part, name in _PART_NAMES.items()}
_SIZES = {
    **dict.fromkeys(
        ("million", "millions", "mn", "m", "mm", "mtok", "mtoks", "mtoken", "mtokens", "百万"), 10**6
    ),
    **dict.fromkeys(("thousand", "thousands", "k", "ktok", "ktoks", "ktoken", "ktokens", "千"), 10**3),
    "万": 10**4,
    "千万": 10**7,
    "亿": 10**8,
}
_FILLERS = frozenset({"per", "each", "of", "in", "us", "a", "/", "每", "个"})
_TOKENS = frozenset({"token", "tokens", "tok", "toks", "词元", "令牌"})
_PER = frozenset({"per", "/", "每"})
_METERS = frozenset(names_in("input output prompt completion text cached cache read write 输入 输出"))
"""Words that name what is billed, where a unit repeats it: "per 1M input tokens"."""

_PLAIN_WORDS = _FILLERS | _TOKENS | _METERS

CURRENCY_WORDS = (frozenset(_CURRENCIES) | frozenset(_PARTS)) - {"dbu"}
"""The words of names that state a currency, or a part of a dollar."""


class Terms(Struct, frozen=True):
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
        currency = self.currency or outer.currency
        part = _DOLLARS_OF.get(currency or "")
        if part is None:
            return Terms(inner.factor, currency, inner.other)
        if outer.currency not in (None, USD, currency):
            # A part of another currency.
            return Terms(None, outer.currency, other=True)
        if inner.factor is None:
            return replace(inner, currency=currency)
        return Terms(inner.factor * part, USD, inner.other)


NO_TERMS = Terms()


class Amount(Struct, frozen=True):
    """A number that is not negative, and its terms."""

    value: Decimal
    terms: Terms = NO_TERMS


@cache_short(8192, MAX_NAME)
def words(name: str) -> tuple[str, ...]:
    """Return the words of a name or a short text in lower case: `inputPrice` gives input, price."""
    if not name.isascii():
        name = unicodedata.normalize("NFKC", name)
    return tuple(map(str.lower, _WORD.findall(_SEPARATOR.sub("", name))))


@cache_short(512, MAX_NAME)
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
    part = next((_PARTS[word] for word in found if word in _PARTS), None)
    currency = currencies[-1] if currencies else USD if part else None
    if any(map(_is_other, found)) or (part and currency != USD):
        return Terms(None, currency, other=True)
    size = _size(found)
    if size is None:
        return Terms(None, _PART_NAMES[part] if part else currency)
    return Terms(_MILLION / size * (part or 1), currency)


def _is_other(word: str) -> bool:
    known = word in CURRENCY_WORDS or word in _SIZES or word in _PLAIN_WORDS
    return not known and _size_of(word) is None


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
    size = Decimal(match[1]) * {"k": 1000, "m": 10**6, "": 1}[match[2]] if match else None
    return size if size and _is_power_of_ten(size) else None


def _is_power_of_ten(number: Decimal) -> bool:
    return number.normalize().as_tuple().digits == (1,)


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
        return _from_words(text if text.isascii() else unicodedata.normalize("NFKC", text))


def _from_words(text: str) -> Amount | None:
    text = _SEPARATOR.sub("", _DECIMAL_COMMA.sub(r"\1.\2", text))
    found = _NUMBER.search(text)
    if found is None:
        return None
    before, after = text[: found.start()], text[found.end() :]
    stated = terms_of((*words(before), *words(after)))
    # A rest without letters is no price: a date, a range, a percentage.
    is_cut = _NUMBER.search(before) or _REST_OF_NUMBER.match(after)
    if stated.other or is_cut or not _is_plain(before + after):
        return None
    try:
        return _amount(Decimal(found[0]), stated)
    except InvalidOperation:
        return None


_REST_OF_NUMBER = re.compile(r"[.,'’]?\d")
"""A number as in 1.500,00 or 1'500, of which the first digits only were parsed."""


def _is_plain(rest: str) -> bool:
    return not re.search(r"[%~<>–—-]|\d\s*\.\.", rest)


_AMOUNTS = ("amount", "value", "price", "cost", "rate")


def _from_object(value: Mapping[str, Any]) -> Amount | None:
    """Parse an object with one amount: by its currency, or beside its currency and unit."""
    if (scaled := scaled_amount(value)) is not None:
        return scaled
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


def in_one_currency(value: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return an object of amounts by currency without those beside the one in USD."""
    others = _other_currencies(tuple(value))
    return {name: inner for name, inner in value.items() if name not in others} if others else value


@cache_short(512, MAX_NAMES)
def _other_currencies(names: tuple[str, ...]) -> frozenset[str]:
    """Return the names of currencies beside that of USD; none without it."""
    currencies = {name: _CURRENCIES.get(name.lower()) for name in names}
    if USD not in currencies.values():
        return frozenset()
    return frozenset(name for name, currency in currencies.items() if currency not in (None, USD))


_EXPONENTS = ("scale", "decimals", "exponent")
_SCALES = frozenset({*_EXPONENTS, "nanos"})
_MOST_DIGITS = 18


def scaled_amount(value: Mapping[str, Any]) -> Amount | None:
    """Parse an object with a whole number and a power of ten; None for any other.

    {"amount": 500, "scale": 9, "currency": "USD"}    {"units": "2", "nanos": 500000000}

    The first is 500 / 10⁹ USD, as https://cloud-api.near.ai/v1/model/list has it. The second is 2.5; see
    https://github.com/googleapis/googleapis/blob/master/google/type/money.proto.
    """
    if _SCALES.isdisjoint(value):
        return None
    terms = terms_beside({name: inner for name, inner in value.items() if name != "units"})
    nanos = parse_amount(value.get("nanos"))
    if nanos is not None:
        units = parse_amount(value.get("units"))
        return Amount((units.value if units else 0) + nanos.value / 10**9, terms)
    digits = next((value[name] for name in _EXPONENTS if name in value), None)
    whole = next((value[name] for name in _AMOUNTS if name in value), None)
    amount = parse_amount(whole) if not isinstance(whole, dict) else None
    if amount is None or not isinstance(digits, int) or isinstance(digits, bool):
        return None
    is_whole = amount.value == amount.value.to_integral_value()
    if not (is_whole and 0 < digits <= _MOST_DIGITS):
        return None
    return Amount(amount.value.scaleb(-digits), amount.terms.over(terms))


def parse_currency(text: str) -> str | None:
    """Return the currency that a text is: a known one, or three letters; None for any other text."""
    terms = parse_terms(text)
    if terms and terms.currency and not terms.other and terms.factor is None:
        return None if terms.currency in _DOLLARS_OF else terms.currency
    return text.upper() if _CODE.fullmatch(text) else None


_CODE = re.compile(r"[A-Za-z]{3}")
"""https://www.iso.org/iso-4217-currency-codes.html"""


def terms_beside(value: Mapping[str, Any]) -> Terms:
    """Return the unit and currency that an object states for its prices, as at `unit` or `priceCurrency`."""
    found = NO_TERMS
    for name, kind in _stating(tuple(value)):
        inner = value[name]
        if kind == "unit":
            unit = stated_unit(name, inner) or NO_TERMS
            found = unit.over(found) if unit.currency in _DOLLARS_OF else found.over(unit)
        elif text := _currency_text(inner):
            # A currency that is unknown here is another one.
            code = (parse_terms(text) or NO_TERMS).currency or text
            is_part = code in _DOLLARS_OF or found.currency in _DOLLARS_OF
            found = found.over(Terms(currency=code)) if is_part else replace(found, currency=code)
    return found


_DOLLAR = "840"
"""https://www.iso.org/iso-4217-currency-codes.html"""


def _currency_text(value: Any) -> str:
    """Return the name of a currency: a text, a number of ISO 4217, or an object with its code."""
    match value:
        case str():
            text = value[:_LONGEST].strip()
        case bool() | None | list():
            return ""
        case dict():
            names = ("code", "id", "name", "symbol")
            return next((text for name in names if (text := _currency_text(value.get(name)))), "")
        case _:
            text = str(value)
    return USD if text == _DOLLAR else text


_UNIT_WORDS = frozenset({"unit", "units"})
_CURRENCY_WORDS = frozenset({"currency", "code", "symbol"})
_ABOUT_PRICES = frozenset(names_in("billing cost costs price prices pricing token tokens"))


def states_terms(name: str) -> bool:
    """Return whether the value of a name may be the unit or the currency of the prices beside it."""
    return _states(name) is not None


@cache_short(512, MAX_NAMES)
def _stating(names: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Return the names of an object that state a unit or a currency, each with which of both."""
    return tuple((name, kind) for name in names if (kind := _states(name)))


@cache_short(8192, MAX_NAME)
def _states(name: str) -> str | None:
    """Return what a name says that its value states: `unit`, `currency`, or None."""
    found = frozenset(words(name))
    if "currency" in found and found <= _CURRENCY_WORDS | _ABOUT_PRICES:
        return "currency"
    is_unit = not _UNIT_WORDS.isdisjoint(found) and found <= _UNIT_WORDS | _ABOUT_PRICES
    return "unit" if is_unit or found in ({"per"}, {"per", "tokens"}) else None


def stated_unit(name: str, value: Any) -> Terms | None:
    """Return the unit that a value of a name states: "1M tokens", 1000, or 0.001 where that is no price."""
    if isinstance(value, str):
        if not value or len(value) > _LONGEST:
            return None
        try:
            value = Decimal(value)
        except InvalidOperation:
            return parse_terms(value)
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    number = Decimal(value)
    if not is_amount(number) or not _is_power_of_ten(number):
        return None
    if number >= _LEAST_UNIT:
        return Terms(_MILLION / number)
    is_share = number <= 1 / Decimal(_LEAST_UNIT) and _ABOUT_PRICES.isdisjoint(words(name))
    return Terms(_MILLION * number) if is_share else None


_LEAST_UNIT = 1000
""" "per": 100 is another number."""
