"""Hypothesis strategies: JSON values in many spellings, whole and broken answers, listings, records."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from pipeline.core.canonical import decode
from pipeline.core.types import Listing
from support.fakes import offered

MODELS = ("alpha", "Alpha", "acme/beta:free", "γ@1")
"""Few names, so that drawn listings overlap."""

texts = st.text(max_size=5)

decimals = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**30), max_value=10**30)

numbers = st.integers() | decimals.map(lambda number: decode(str(number).encode()))

scalars = st.none() | st.booleans() | numbers | texts

values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
"""JSON values as `canonical.decode` returns them: numbers are int or Decimal."""

objects = st.dictionaries(texts, values, max_size=4)


@st.composite
def spelled(draw: st.DrawFn, value: Any) -> str:
    """Encode a value as JSON in one of many ways: order of keys, white space, escapes, numbers."""
    match value:
        case bool() | None:
            text = json.dumps(value)
        case int() | Decimal():
            text = draw(_numbers(Decimal(value)))
        case str():
            text = json.dumps(value, ensure_ascii=draw(st.booleans()))
        case list():
            text = "[" + ",".join([draw(spelled(item)) for item in value]) + "]"
        case _:
            pairs = draw(st.permutations(list(value.items())))
            text = "{" + ",".join([f"{draw(spelled(k))}:{draw(spelled(v))}" for k, v in pairs]) + "}"
    return draw(_spaces) + text + draw(_spaces)


_spaces = st.sampled_from(["", "", " ", "\n\t"])


@st.composite
def _numbers(draw: st.DrawFn, value: Decimal) -> str:
    sign, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int)
    zeros = draw(st.integers(0, 3))
    exact = Decimal((sign, digits + (0,) * zeros, exponent - zeros))
    mark = draw(st.sampled_from(["e", "E"]))
    return draw(st.sampled_from([f"{exact:f}", f"{exact:e}".replace("e", mark), _shifted(exact, mark)]))


def _shifted(value: Decimal, mark: str) -> str:
    """Write the digits as a whole number with an exponent: 0.25 is 25e-2."""
    sign, digits, exponent = value.as_tuple()
    whole = "".join(map(str, digits)).lstrip("0") or "0"
    return f"{'-' * sign}{whole}{mark}{exponent}"


rows = st.fixed_dictionaries(
    {"id": st.sampled_from(MODELS)},
    optional={
        "object": st.just("model") | scalars,
        "owned_by": st.sampled_from(["acme", "zeta"]) | scalars,
        "created": st.integers(0, 2**40) | scalars,
        "permission": st.none() | st.lists(objects, max_size=2) | values,
        "root": st.none() | texts,
        "parent": st.none() | texts,
        "pricing": objects,
    },
)


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """Draw a valid answer, in some spelling."""
    envelope = {"data": draw(st.lists(rows, max_size=4)), "object": "list"}
    return str(draw(spelled(envelope))).encode()


@st.composite
def broken(draw: st.DrawFn) -> bytes:
    """Draw a valid answer and break it: cut it, insert bytes, or replace some."""
    whole = draw(bodies())
    start = draw(st.integers(0, len(whole)))
    end = draw(st.integers(start, len(whole)))
    return whole[:start] + draw(st.binary(max_size=6) | st.sampled_from(_STRAYS)) + whole[end:]


_STRAYS = (
    b"null",
    b"[]",
    b"{}",
    b'""',
    b"NaN",
    b"1e400",
    b"-1e-400",
    b'"\\ud800"',
    b"\xff",
    b"\x00",
    b"\xef\xbb\xbf",
    b"[" * 600,
)


@st.composite
def odd(draw: st.DrawFn) -> bytes:
    """Draw an object with the keys of an answer and any values."""
    anything = values | st.lists(values | rows, max_size=4)
    envelope = draw(
        st.dictionaries(st.sampled_from(["data", "error", "success", "object"]), anything, max_size=4)
    )
    return str(draw(spelled(envelope))).encode()


received = st.binary(max_size=60) | bodies() | broken() | odd()
"""Bodies that a server may send."""


@st.composite
def listings(draw: st.DrawFn) -> Listing:
    """Draw a listing of few models, each in one of few forms."""
    forms = st.fixed_dictionaries({}, optional={"form": st.integers(0, 2), "pricing": st.just({"input": 1})})
    return offered(draw(st.dictionaries(st.sampled_from(MODELS), forms)))
