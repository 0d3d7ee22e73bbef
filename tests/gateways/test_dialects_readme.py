"""The README of the dialects: its config, its module and its golden pair work."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any

from msgspec.structs import asdict
from support import ROOT

from pipeline.config import parse
from pipeline.core import canonical
from pipeline.core.facts import UNITS
from pipeline.core.types import Gateway, Key
from pipeline.gateways.dialects import FACT_NAMES, Answer, Dialect, Page, Pages, request_dialect

README = ROOT / "pipeline" / "gateways" / "dialects" / "README.md"
TEXT = README.read_text(encoding="utf-8")
NOW = 1_790_000_000


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


def gateway() -> Gateway:
    [example] = blocks("toml")
    [scope] = parse(example, README).scopes
    assert scope.credential == Key("env:ACME_KEY")
    return scope.gateway


def page(*rows: dict[str, Any]) -> bytes:
    return json.dumps({"result": {"models": rows}, "meta": {"pages": 2, "count": 3}}).encode()


def requested(pages: Pages, *bodies: bytes) -> list[tuple[str, dict[str, str]]]:
    """Return the requests of a dialect that is sent these bodies."""
    *earlier, last = map(Page, bodies)
    requests = [next(pages), *map(pages.send, earlier)]
    try:
        pages.send(last)
    except StopIteration:
        return [(request.path, dict(request.params)) for request in requests]
    raise AssertionError("more pages are wanted than there are")


def module() -> Dialect:
    [source] = blocks("python")
    made: dict[str, Any] = {"__name__": "acme"}
    exec(compile(source, str(README), "exec"), made)
    [dialect] = made["DIALECTS"]
    assert isinstance(dialect, Dialect)
    return dialect


def test_the_example_of_a_configured_gateway_works() -> None:
    first = {"slug": "lyra", "ctx": 4096, "maker": "acme", "cost": {"in": 0.5, "out": 2}, "served_at": 1}
    second = {"slug": "vega", "regions": ["b", "a"], "replicas": [{"load": 0.3, "at": "x"}]}
    bodies = page(first, {"slug": "vega-internal"}), page(second)
    dialect = request_dialect(gateway())
    assert dialect.key_header == "x-acme-key"
    assert requested(dialect.pages(), *bodies) == [
        ("/catalog/v2/models", {"per_page": "100", "page": "1"}),
        ("/catalog/v2/models", {"per_page": "100", "page": "2"}),
    ]
    read = dialect.read(Answer(bodies, NOW))
    lyra, vega = read.records["lyra"], read.records["vega"]
    assert set(read.records) == {"lyra", "vega"}
    assert canonical.decode(vega.body.encode()) == {
        "slug": "vega",
        "regions": ["a", "b"],
        "replicas": [{"at": "x"}],
    }
    facts = dialect.facts(canonical.decode(lyra.body.encode()))
    assert (facts.context_length, facts.owned_by) == (4096, "acme")
    assert (facts.input_usd_per_1m, facts.output_usd_per_1m) == (Decimal("0.5"), Decimal(2))


def test_the_example_module_parses_its_golden_pair() -> None:
    answer, expected = blocks("json")
    dialect = module()
    read = dialect.read(Answer((answer.encode(),), NOW))
    assert len(requested(dialect.pages(), answer.encode())) == 1
    facts = {
        model: dialect.facts(canonical.decode(record.body.encode())) for model, record in read.records.items()
    }
    assert {model: written(asdict(found)) for model, found in facts.items()} == json.loads(expected)["models"]


def written(facts: dict[str, Any]) -> dict[str, Any]:
    present = {name: value for name, value in facts.items() if value not in (None, ())}
    return {name: str(value) if isinstance(value, Decimal) else value for name, value in present.items()}


def test_the_page_names_every_fact_and_unit() -> None:
    assert {name for name in (*FACT_NAMES, *UNITS) if f"`{name}`" not in TEXT} == set()
