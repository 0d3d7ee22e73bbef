"""Every known dialect: golden pairs, recognition, addresses, paging."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import asdict
from support import TESTS

from pipeline.core import canonical
from pipeline.core.price_conditions import Price
from pipeline.core.types import Gateway, Listing
from pipeline.errors import Unreadable
from pipeline.gateways.dialects import (
    DEFAULT_DIALECT,
    Answer,
    Dialect,
    Page,
    PageRequest,
    Pages,
    all_dialects,
    answer_dialect,
    request_dialect,
)
from pipeline.gateways.dialects.paging import MAX_PAGES, Paging, pages

GOLDEN = TESTS / "golden"
CASES = sorted(path for path in GOLDEN.glob("*/*.json") if not path.name.endswith(".expected.json"))
ASKED_AT = 1_790_000_000
EXPECTED_KEYS = {"models", "records", "warnings", "error", "same_as", "recognised", "prices"}
KNOWN = sorted(all_dialects())
NO_MARK = Dialect("any").recognises

ADDRESSES = [
    ("https://api.openai.com/v1", "openai"),
    ("https://openrouter.ai/api/v1", "openrouter"),
    ("https://openrouter.ai", "openrouter"),
    ("https://llm.example.com/model/info", "litellm-info"),
    ("https://llm.example.com:4000/v1/model/info", "litellm-info"),
    ("https://llm.example.com/model_group/info", "litellm-group-info"),
    ("https://api.deepseek.com", "deepseek"),
    ("https://api.x.ai/v1", "xai"),
    ("https://eu-west-1.api.x.ai/v1", "xai"),
    ("https://api.x.ai/v1/language-models", "xai-language-models"),
    ("https://api.groq.com/openai/v1", "groq"),
    ("https://api.moonshot.ai/v1", "moonshot"),
    ("https://api.moonshot.cn/v1", "moonshot"),
    ("https://api.portkey.ai/v1", "portkey"),
    ("https://router.shengsuanyun.com/api/v1", "shengsuanyun"),
    ("https://ai.zenifra.com/v1", "zenifra"),
    ("https://api.anthropic.com", "anthropic"),
    ("https://generativelanguage.googleapis.com/v1beta", "gemini"),
    ("https://generativelanguage.googleapis.com/v1beta/openai/", "gemini-openai"),
    ("https://api.mistral.ai/v1", "mistral"),
    ("https://api.together.xyz/v1", "together"),
    ("https://api.together.ai/v1", "together"),
    ("https://api.cohere.com/v1", "cohere"),
    ("https://api.cohere.ai", "cohere"),
    ("https://api.fireworks.ai/v1/accounts/quarry", "fireworks"),
    ("https://api.fireworks.ai/inference/v1", DEFAULT_DIALECT),
    ("https://cobalt.openai.azure.com", "azure"),
    ("https://cobalt.cognitiveservices.azure.com/openai", "azure"),
    ("https://cobalt.openai.azure.com/openai/v1/", "azure-v1"),
    ("https://cobalt.services.ai.azure.com/openai/v1", "azure-v1"),
    ("https://api.cloudflare.com/client/v4/accounts/0a1b/ai", "cloudflare"),
    ("https://api.cloudflare.com/client/v4/accounts/0a1b/ai/models/search", "cloudflare"),
    ("https://api.cloudflare.com/client/v4/accounts/0a1b/ai/v1", DEFAULT_DIALECT),
    ("https://models.github.ai", "github-models"),
    ("https://dashscope.aliyuncs.com/api/v1", "dashscope"),
    ("https://dashscope-intl.aliyuncs.com/api/v1/models", "dashscope"),
    ("https://dashscope.aliyuncs.com/compatible-mode/v1", DEFAULT_DIALECT),
    ("https://aihubmix.com", "aihubmix"),
    ("https://api.aihubmix.com/v1", "aihubmix"),
    ("https://aihubmix.com/api/v1", "aihubmix-catalog"),
    ("https://aihubmix.com/api/v1/models", "aihubmix-catalog"),
    ("https://aihubmix.com/api/user/available_models", "available-models"),
    ("https://one.example.com/api/user/available_models", "available-models"),
    ("https://new.example.com/api/user/models", "user-models"),
    ("https://new.example.com:3000/api/pricing/", "new-api-pricing"),
    ("http://127.0.0.1:11434/api/tags", "ollama"),
    ("https://router.huggingface.co/v1", "huggingface"),
    ("https://ai-gateway.vercel.sh", "vercel"),
    ("https://api.venice.ai/api/v1", "venice"),
    ("https://inference.baseten.co/v1", "baseten"),
    ("https://llm.chutes.ai/v1", "chutes"),
    ("https://api.llmgateway.io/v1", "llmgateway"),
    ("https://catalog.endpoints.ai.ovh.net/rest/v2", "ovh"),
    ("https://aihubmix.com/v1", "aihubmix"),
    ("https://api.aihubmix.com", "aihubmix"),
    ("https://aihubmix.com/api/v1/models", "aihubmix-catalog"),
    ("https://llm.example.com/api/user/available_models", "available-models"),
    ("https://llm.example.com/api/user/models", "user-models"),
    ("https://llm.example.com/api/pricing", "new-api-pricing"),
    ("http://localhost:11434/api/tags", "ollama"),
    ("https://api.anthropic.com/v1", "anthropic"),
    ("https://acme-east.openai.azure.com", "azure"),
    ("https://acme-east.openai.azure.com/openai/v1/", "azure-v1"),
    ("https://api.cloudflare.com/client/v4/accounts/0a1b2c/ai", "cloudflare"),
    ("https://api.cohere.com/v1", "cohere"),
    ("https://dashscope-intl.aliyuncs.com/api/v1", "dashscope"),
    ("https://api.fireworks.ai/v1/accounts/acme", "fireworks"),
    ("https://generativelanguage.googleapis.com/v1beta", "gemini"),
    ("https://generativelanguage.googleapis.com/v1beta/openai/", "gemini-openai"),
    ("https://models.github.ai", "github-models"),
    ("https://api.mistral.ai/v1", "mistral"),
    ("https://api.together.xyz/v1", "together"),
    ("https://router.huggingface.co/v1", "huggingface"),
    ("https://inference.baseten.co/v1", "baseten"),
    ("https://llm.chutes.ai/v1", "chutes"),
    ("https://api.llmgateway.io/v1", "llmgateway"),
    ("https://catalog.endpoints.ai.ovh.net/rest/v1", "ovh"),
    ("https://api.venice.ai/api/v1", "venice"),
    ("https://ai-gateway.vercel.sh/v1", "vercel"),
    ("https://hub.example.com/api/available_model", "one-hub-models"),
    ("https://models.dev", "models-dev-catalogue"),
    ("https://models.dev/api.json", "models-dev-catalogue"),
    ("https://api.deepinfra.com/v1/openai", "deepinfra"),
    ("https://api.friendli.ai/serverless/v1", "friendli"),
    ("https://nano-gpt.com/api/v1", "nano-gpt"),
    ("https://api.tokenfactory.nebius.com/v1", "nebius"),
    ("https://api.studio.nebius.com/v1", "nebius"),
    ("https://api.novita.ai/openai/v1", "novita"),
    ("https://api.novita.ai/v3/openai", "novita-v3"),
    ("https://router.requesty.ai/v1", "requesty"),
    ("https://router.eu.requesty.ai/v1", "requesty"),
    ("https://bedrock.eu-central-1.amazonaws.com", "bedrock"),
    ("https://bedrock-runtime.eu-central-1.amazonaws.com/openai/v1", DEFAULT_DIALECT),
    ("https://acme.cloud.databricks.com", "databricks"),
    ("https://adb-1.2.azuredatabricks.net", "databricks"),
    ("https://api.githubcopilot.com", "github-copilot"),
    ("https://api.business.githubcopilot.com", "github-copilot"),
    ("https://ark.cn-beijing.volces.com/api/v3", "volcengine"),
    ("https://eu-de.ml.cloud.ibm.com", "watsonx"),
    ("https://api.elevenlabs.io/v1", "elevenlabs"),
    ("https://llm.example.com/v1", DEFAULT_DIALECT),
]
"""Configured URLs, and the dialect of each."""


@dataclass(frozen=True)
class Case:
    """A golden pair: an answer as a gateway sends it, and its expectation."""

    path: Path

    @property
    def dialect(self) -> Dialect:
        return all_dialects()[self.path.parent.name]

    @property
    def expected(self) -> dict[str, Any]:
        return json.loads(self.path.with_suffix(".expected.json").read_bytes())

    @property
    def answer(self) -> Answer:
        """The recorded answer: the file is its one body, unless `_answer` has bodies, headers and time."""
        body = self.path.read_bytes()
        try:
            value = canonical.decode(body)
        except ValueError:
            return Answer((body,), ASKED_AT)
        if not isinstance(value, dict) or "_answer" not in value:
            return Answer((body,), ASKED_AT)
        recorded = value["_answer"]
        encoded = tuple(canonical.encode(one).encode() for one in recorded["bodies"])
        headers = tuple(recorded.get("headers", ()))
        return Answer(encoded, recorded.get("asked_at", ASKED_AT), headers=headers)

    @property
    def envelope(self) -> tuple[Any, list[dict[str, Any]]] | None:
        """The first body in the default dialect; None where that finds no list."""
        try:
            envelope, rows = all_dialects()[DEFAULT_DIALECT].rows(self.answer.bodies[0])
        except Unreadable:
            return None
        return envelope, [row for row in rows if isinstance(row, dict)]

    @property
    def recognised(self) -> bool:
        """Whether the answer has the marks of its dialect; an expectation may say that it has none."""
        if self.dialect.recognises is NO_MARK or self.envelope is None:
            return False
        return self.expected.get("recognised", bool(self.envelope[1]))


def every_case(test: Callable[..., None]) -> Callable[..., None]:
    named = [pytest.param(Case(path), id=f"{path.parent.name}/{path.stem}") for path in CASES]
    return pytest.mark.parametrize("case", named)(test)


def delivered(
    asking: Pages, bodies: Iterable[bytes], headers: Sequence[Mapping[str, str]] = ()
) -> tuple[tuple[bytes, ...], list[PageRequest]]:
    """Send recorded bodies, with the headers of each, to a dialect's requests.

    Returns the bodies of the list, and the requests.
    """
    asked = [next(asking)]
    for body, own in zip(bodies, chain(headers, repeat({})), strict=False):
        try:
            asked.append(asking.send(Page(body, headers=own)))
        except StopIteration as end:
            return end.value, asked
    raise AssertionError(f"more pages are wanted than there are: {asked[-1]}")


def listing(case: Case) -> Listing:
    bodies, _ = delivered(case.dialect.pages(), case.answer.bodies, case.answer.headers)
    return case.dialect.read(Answer(bodies, case.answer.asked_at))


def facts_of(dialect: Dialect, body: str) -> dict[str, Any]:
    """Return the facts of a record as expectations write them: without empty ones, prices as exact text."""
    facts = asdict(dialect.facts(canonical.decode(body.encode())))
    del facts["more_prices"]
    return {name: as_written(value) for name, value in facts.items() if value not in (None, ())}


def more_prices_of(dialect: Dialect, body: str) -> list[str]:
    """Return the prices of a record beside those of its facts, as `price_as_written`."""
    return [price_as_written(price) for price in dialect.facts(canonical.decode(body.encode())).more_prices]


def price_as_written(price: Price) -> str:
    """Return a price as expectations write it: `input 2.5 USD per 1M tokens, above 200000, batch`."""
    conditions = [f"above {price.from_tokens}"] if price.from_tokens else []
    conditions += [price.window] if price.window else []
    return ", ".join([f"{price.meter} {price.amount:f} {price.currency} per {price.unit}", *conditions])


def as_written(value: Any) -> Any:
    match value:
        case Decimal():
            return format(value, "f")
        case tuple():
            return list(value)
        case _:
            return value


@every_case
def test_a_golden_answer_gives_its_expectation(case: Case) -> None:
    expected = case.expected
    if "error" in expected:
        with pytest.raises(Unreadable) as refused:
            listing(case)
        assert expected["error"] in refused.value.message
        return
    found = listing(case)
    if "models" in expected:
        assert {model: facts_of(case.dialect, record.body) for model, record in found.records.items()} == (
            expected["models"]
        )
        prices = {model: more_prices_of(case.dialect, record.body) for model, record in found.records.items()}
        assert {model: rows for model, rows in prices.items() if rows} == expected.get("prices", {})
    if "records" in expected:
        assert {model: record.body for model, record in found.records.items()} == {
            model: canonical.encode(record) for model, record in exact(case)["records"].items()
        }
    assert list(found.warnings) == expected.get("warnings", [])


def exact(case: Case) -> dict[str, Any]:
    """Return the expectation with exact numbers, as records have them."""
    return canonical.decode(case.path.with_suffix(".expected.json").read_bytes())


@every_case
def test_every_body_of_a_golden_answer_is_requested_once(case: Case) -> None:
    if "error" not in case.expected:
        bodies, asked = delivered(case.dialect.pages(), case.answer.bodies, case.answer.headers)
        assert bodies == case.answer.bodies
        assert len(asked) == len(set(asked)) == len(bodies)
        assert {request.path for request in asked} == {case.dialect.path}


@every_case
def test_answers_that_differ_in_noise_and_order_have_one_digest(case: Case) -> None:
    if "same_as" in case.expected:
        other = Case(case.path.with_name(f"{case.expected['same_as']}.json"))
        assert listing(case).digest == listing(other).digest
        assert case.answer.bodies != other.answer.bodies


@every_case
def test_an_answer_is_recognised_by_its_own_dialect_alone(case: Case) -> None:
    envelope = case.envelope
    by = {name for name in KNOWN if envelope and all_dialects()[name].recognises(*envelope)}
    if "error" in case.expected:
        assert by <= {case.dialect.name}
        return
    wanted = {case.dialect.name} if case.recognised else set()
    assert by == wanted, f"{case.path.name} has the marks of {by or 'no dialect'}: see `recognises`"
    unknown = Gateway("g", "https://llm.example.com/v1")
    read_in = answer_dialect(unknown, request_dialect(unknown), case.answer)
    assert read_in.name == (case.dialect.name if case.recognised else DEFAULT_DIALECT)


@pytest.mark.parametrize("name", KNOWN)
def test_every_dialect_has_golden_pairs_with_its_marks(name: str) -> None:
    own = [case for case in map(Case, CASES) if case.dialect.name == name]
    dialect = all_dialects()[name]
    assert any("models" in case.expected for case in own)
    assert dialect.recognises is NO_MARK or any(
        case.recognised and "error" not in case.expected for case in own
    ), f"no pair of {name} is recognised: `recognises` is asked only of a list at a place of known/openai.py"
    assert dialect.paging is None or any(
        len(case.answer.bodies) > 1 and "error" not in case.expected for case in own
    ), f"{name} has `paging`, and no pair of several pages"


def test_golden_pairs_are_complete() -> None:
    expectations = {path.relative_to(GOLDEN) for path in GOLDEN.glob("*/*.expected.json")}
    assert expectations == {path.relative_to(GOLDEN).with_suffix(".expected.json") for path in CASES}
    assert {path.name for path in GOLDEN.iterdir()} - {"renderings"} == set(KNOWN)
    for case in map(Case, CASES):
        assert set(case.expected) <= EXPECTED_KEYS
        assert {"models", "records", "error", "same_as"} & set(case.expected), (
            f"{case.path.name}: its expectation needs `models`, `records`, `error` or `same_as`"
        )


@pytest.mark.parametrize(("url", "name"), ADDRESSES)
def test_an_address_selects_the_dialect(url: str, name: str) -> None:
    assert request_dialect(Gateway("g", url)).name == name


def test_every_dialect_with_hosts_has_an_address_here() -> None:
    assert {name for _, name in ADDRESSES} == {n for n in KNOWN if all_dialects()[n].hosts} | {
        DEFAULT_DIALECT
    }


@pytest.mark.parametrize("name", [name for name in KNOWN if all_dialects()[name].recognises is not NO_MARK])
def test_a_recognised_dialect_keeps_its_request(name: str) -> None:
    somewhere = Gateway("g", "https://llm.example.com/v1")
    before, now = request_dialect(somewhere), request_dialect(somewhere, all_dialects()[name].reading)
    assert (now.name, now.reading) == (name, all_dialects()[name].reading)
    assert (now.path, now.key_header, now.headers) == (before.path, before.key_header, before.headers)


def rows(body: bytes) -> tuple[Any, list[Any]]:
    envelope = canonical.decode(body)
    return envelope, envelope["data"]


def page(*ids: str, **envelope: Any) -> bytes:
    return json.dumps({"data": [{"id": one} for one in ids], **envelope}).encode()


def asked_in(paging: Paging, *bodies: bytes) -> list[PageRequest]:
    made, asked = delivered(pages("/v1/models", (("kind", "all"),), paging, rows), bodies)
    assert made == bodies
    return asked


CURSOR = Paging("after", next_at="last", more_at="more", size=(("limit", "9"),))
TOKEN = Paging("token", next_at="next")
NUMBERED = Paging("page", numbered=True, pages_at="info.pages", total_at="info.count")
KIND = ("kind", "all")


def test_a_cursor_is_followed_until_there_are_no_more_pages() -> None:
    asked = asked_in(CURSOR, page("a", more=True, last="a"), page("b", more=False, last="b"))
    assert [request.params for request in asked] == [
        (KIND, ("limit", "9")),
        (KIND, ("limit", "9"), ("after", "a")),
    ]


@pytest.mark.parametrize("end", [{}, {"next": None}, {"next": ""}])
def test_a_missing_null_or_empty_token_ends_the_list(end: dict[str, Any]) -> None:
    asked = asked_in(TOKEN, page("a", next="t2"), page("b", **end))
    assert [request.params for request in asked] == [(KIND,), (KIND, ("token", "t2"))]


def test_only_the_parameters_of_a_next_url_are_used() -> None:
    asked = asked_in(TOKEN, page("a", next="https://elsewhere.example/x?offset=2&limit=2"), page("b"))
    assert asked[1] == PageRequest("/v1/models", (KIND, ("offset", "2"), ("limit", "2")))


def test_numbered_pages_are_requested_to_the_last() -> None:
    info = {"pages": 2, "count": 3}
    asked = asked_in(NUMBERED, page("a", "b", info=info), page("c", info=info))
    assert [request.params for request in asked] == [(KIND, ("page", "1")), (KIND, ("page", "2"))]


def test_a_list_in_one_piece_is_requested_once() -> None:
    made, asked = delivered(pages("/v1/models", (), None, rows), [page("a")])
    assert (made, asked) == ((page("a"),), [PageRequest("/v1/models")])


@pytest.mark.parametrize(
    ("paging", "bodies", "message"),
    [
        (CURSOR, [page("a", more=True, last="a")] * 2, "leads back to a page"),
        (
            TOKEN,
            [page("a", next="1"), page("b", next="2"), page("c", next="1")],
            "page 3 leads back to a page",
        ),
        (CURSOR, [page(more=True, last="a")], "page 1 is empty although it announces a next one"),
        (CURSOR, [page("a", more=True)], "page 1 announces a next one without its cursor at 'last'"),
        (CURSOR, [page("a", more=True, last="")], "page 1 announces a next one without its cursor at 'last'"),
        (
            TOKEN,
            [page("a", next={"at": 2})],
            "page 1 has no usable cursor: 'next' is neither text nor number",
        ),
        (NUMBERED, [page("a", info={"pages": 1, "count": 2})], "announces 2 records, and 1 were read"),
        (NUMBERED, [page("a", info={"pages": 2}), page(info={"pages": 3})], "page 2 is empty"),
        (
            Paging("o", next_at="next", total_at="total"),
            [page("a", next="b", total=5), page("b", total=5)],
            "announces 5 records, and 2 were read",
        ),
    ],
)
def test_an_incomplete_list_is_unreadable(paging: Paging, bodies: list[bytes], message: str) -> None:
    with pytest.raises(Unreadable) as refused:
        delivered(pages("/v1/models", (), paging, rows), bodies)
    assert message in refused.value.message


def test_a_list_without_an_end_is_unreadable() -> None:
    endless = (page(f"m{number}", next=str(number)) for number in range(1, MAX_PAGES + 2))
    with pytest.raises(Unreadable, match="has no end"):
        delivered(pages("/v1/models", (), TOKEN, rows), endless)


def test_a_recorded_list_without_its_last_page_is_unreadable() -> None:
    paged = [
        case for case in map(Case, CASES) if len(case.answer.bodies) > 1 and "error" not in case.expected
    ]
    assert paged
    for case in paged:
        with pytest.raises(AssertionError, match="more pages are wanted"):
            delivered(case.dialect.pages(), case.answer.bodies[:-1], case.answer.headers[:-1])
