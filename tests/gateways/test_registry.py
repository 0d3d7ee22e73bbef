"""The registry: the dialect of requests and of answers, and the requests of known dialects."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec.structs import replace

from pipeline.core.types import Gateway, Overrides
from pipeline.errors import Unreadable
from pipeline.gateways.dialects import (
    DEFAULT_DIALECT,
    Answer,
    Page,
    all_dialects,
    answer_dialect,
    request_dialect,
)
from pipeline.gateways.dialects.registry import customise

UNKNOWN = Gateway("g", "https://llm.example.com/v1")


@pytest.mark.parametrize(
    ("name", "key_header", "headers", "params"),
    [
        ("anthropic", "x-api-key", {"anthropic-version": "2023-06-01"}, {"limit": "1000"}),
        ("gemini", "x-goog-api-key", {}, {"pageSize": "1000"}),
        ("azure", "api-key", {}, {"api-version": "2024-10-21"}),
        ("azure-v1", "api-key", {}, {}),
        ("cohere", "Authorization", {}, {"page_size": "1000"}),
        ("fireworks", "Authorization", {}, {"pageSize": "200"}),
        ("cloudflare", "Authorization", {}, {"per_page": "100", "page": "1"}),
        ("dashscope", "Authorization", {}, {"page_size": "100", "page_no": "1"}),
    ],
)
def test_the_first_request_has_the_vendors_headers_and_page_size(
    name: str, key_header: str, headers: dict[str, str], params: dict[str, str]
) -> None:
    dialect = all_dialects()[name]
    assert (dialect.key_header, dict(dialect.headers)) == (key_header, headers)
    assert dict(next(dialect.pages()).params) == params


def body(**value: Any) -> bytes:
    return json.dumps(value).encode()


ONE_OF_MORE = {
    "gemini": body(
        models=[{"name": "models/wren", "supportedGenerationMethods": ["embedContent"]}], nextPageToken="x"
    ),
    "dashscope": body(output={"models": [{"model": "lotus", "model_info": {}}], "total": 2}),
}


@pytest.mark.parametrize("name", ONE_OF_MORE)
def test_the_first_page_of_a_recognised_list_is_unreadable_alone(name: str) -> None:
    answer = Answer((ONE_OF_MORE[name],), 1_790_000_000)
    found = answer_dialect(UNKNOWN, request_dialect(UNKNOWN), answer)
    assert found.name == name
    with pytest.raises(Unreadable, match=f'more pages than were requested: set `dialect = "{name}"`'):
        found.read(answer)


def test_a_recognised_dialect_keeps_its_request_and_adds_its_paging() -> None:
    before, now = request_dialect(UNKNOWN), request_dialect(UNKNOWN, all_dialects()["gemini"].reading)
    assert now.paging == all_dialects()["gemini"].paging
    assert before.name == DEFAULT_DIALECT
    assert (now.path, now.key_header, now.params, now.headers) == (
        before.path,
        before.key_header,
        before.params,
        before.headers,
    )


def test_numbered_pages_may_be_counted_by_the_total() -> None:
    def page(*ids: str) -> bytes:
        return body(output={"models": [{"model": one} for one in ids], "total": 3})

    asking = all_dialects()["dashscope"].pages()
    asked = [next(asking), asking.send(Page(page("a", "b")))]
    with pytest.raises(StopIteration) as end:
        asking.send(Page(page("c")))
    assert [dict(request.params)["page_no"] for request in asked] == ["1", "2"]
    assert end.value.value == (page("a", "b"), page("c"))


def test_settings_of_the_config_keep_what_a_dialect_says_of_success_and_completeness() -> None:
    dialect = replace(all_dialects()["openai"], success=(("code", 0),), complete=True)
    kept = customise(dialect, Overrides(noise=("load",)))
    assert (kept.success, kept.complete) == ((("code", 0),), True)
    own = customise(dialect, Overrides(success=(("status", "fine"),)))
    assert (own.success, own.complete) == ((("status", "fine"),), True)


NO_ADDRESS_OF_ONE_MODEL = {
    "aihubmix-catalog",
    "available-models",
    "cloudflare",
    "databricks",
    "github-models",
    "litellm-group-info",
    "litellm-info",
    "litellm-prices",
    "models-dev-catalogue",
    "new-api-groups",
    "new-api-pricing",
    "ollama",
    "one-hub-models",
    "openrouter",
    "openrouter-provider",
    "ovh",
    "user-models",
    "watsonx",
}
"""Files, price lists, lists of names, and gateways whose documentation has no such address."""


def test_one_model_is_asked_for_only_where_it_has_an_address() -> None:
    found = {name for name, dialect in all_dialects().items() if not dialect.has_records}
    assert found == NO_ADDRESS_OF_ONE_MODEL
