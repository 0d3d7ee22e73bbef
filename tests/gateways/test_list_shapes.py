"""Lists in the shapes of some hundred gateways and forms: the facts that must be read from each."""

from __future__ import annotations

import json
import re

import pytest
from gateways.test_known_dialects import ASKED_AT, as_written, price_as_written
from support import ROOT
from support.list_shapes import NEEDS_NO_LINE, SHAPES, Shape

from pipeline.config import parse
from pipeline.core import canonical
from pipeline.core.types import Gateway
from pipeline.gateways.dialects import Answer, answer_dialect, request_dialect

README = ROOT / "pipeline" / "gateways" / "dialects" / "README.md"


def gateway(shape: Shape) -> Gateway:
    text = f"[gateways.g]\nurl = {json.dumps(shape.url)}\n{shape.config}\nscopes.public = {{}}\n"
    return parse(text, README).scopes[0].gateway


@pytest.mark.parametrize("shape", [pytest.param(shape, id=shape.name) for shape in SHAPES])
def test_the_facts_of_a_list_are_read_in_its_shape(shape: Shape) -> None:
    asked = gateway(shape)
    body = shape.body if isinstance(shape.body, bytes) else json.dumps(shape.body).encode()
    answer = Answer((body,), ASKED_AT)
    dialect = answer_dialect(asked, request_dialect(asked), answer)
    listing = dialect.read(answer)
    assert set(listing.records) == set(shape.facts)
    found, more = {}, {}
    for model, expected in shape.facts.items():
        facts = dialect.facts(canonical.decode(listing.records[model].body.encode()))
        more[model] = [price_as_written(price) for price in facts.more_prices]
        found[model] = {name: as_written(getattr(facts, name)) or None for name in expected}
    assert found == shape.facts
    assert shape.more in (None, {model: prices for model, prices in more.items() if prices})


def test_each_shape_has_a_name_of_its_own() -> None:
    names = [shape.name for shape in SHAPES]
    assert len(names) == len(set(names)) >= 90


def test_the_readme_says_how_many_shapes_need_no_line() -> None:
    text = README.read_text(encoding="utf-8")
    assert re.findall(r"(\d+) of (\d+) list shapes", text) == [(str(NEEDS_NO_LINE), str(len(SHAPES)))]
