"""Requests of the dialects: the URL of the list, parameters, headers, and pages."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pipeline.core.types import Gateway
from pipeline.errors import Unreadable
from pipeline.gateways.dialects import DEFAULT_DIALECT, Answer, all_dialects, answer_dialect, request_dialect
from pipeline.gateways.urls import list_url

GEMINI = "https://generativelanguage.googleapis.com"
AZURE = "https://cobalt.openai.azure.com"
CLOUDFLARE = "https://api.cloudflare.com/client/v4/accounts/0a1b/ai"
DASHSCOPE = "https://dashscope.aliyuncs.com"
UNKNOWN = Gateway("g", "https://llm.example.com/v1")


@pytest.mark.parametrize(
    ("url", "asked"),
    [
        ("https://api.anthropic.com", "https://api.anthropic.com/v1/models"),
        ("https://api.anthropic.com/v1", "https://api.anthropic.com/v1/models"),
        (GEMINI, f"{GEMINI}/v1beta/models"),
        (f"{GEMINI}/v1beta", f"{GEMINI}/v1beta/models"),
        (f"{GEMINI}/v1", f"{GEMINI}/v1/models"),
        (f"{GEMINI}/v1beta/openai/", f"{GEMINI}/v1beta/openai/models"),
        ("https://api.cohere.com/v1", "https://api.cohere.com/v1/models"),
        ("https://api.fireworks.ai/v1/accounts/quarry", "https://api.fireworks.ai/v1/accounts/quarry/models"),
        (AZURE, f"{AZURE}/openai/models"),
        (f"{AZURE}/openai", f"{AZURE}/openai/models"),
        (f"{AZURE}/openai/v1/", f"{AZURE}/openai/v1/models"),
        (CLOUDFLARE, f"{CLOUDFLARE}/models/search"),
        (f"{CLOUDFLARE}/models/search", f"{CLOUDFLARE}/models/search"),
        ("https://models.github.ai", "https://models.github.ai/catalog/models"),
        ("https://models.github.ai/catalog", "https://models.github.ai/catalog/models"),
        (DASHSCOPE + "/api/v1", DASHSCOPE + "/api/v1/models"),
        (DASHSCOPE + "/compatible-mode/v1", DASHSCOPE + "/compatible-mode/v1/models"),
    ],
)
def test_a_configured_url_becomes_the_url_of_the_list(url: str, asked: str) -> None:
    assert list_url(url, request_dialect(Gateway("g", url)).path) == asked


@pytest.mark.parametrize(
    "url", ["https://gw.example", "https://gw.example/v1", "https://gw.example/v1/models"]
)
@pytest.mark.parametrize("path", ["/api/user/self/groups", "/api/user/models"])
def test_lists_of_users_are_beside_the_versions(url: str, path: str) -> None:
    assert list_url(url, path) == f"https://gw.example{path}"


def test_another_api_is_beside_the_versions() -> None:
    assert list_url("http://box.example:11434/v1", "/api/tags") == "http://box.example:11434/api/tags"
    assert list_url("https://gw.example/v1/", "/api/pricing") == "https://gw.example/api/pricing"


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
    asked = [next(asking), asking.send(page("a", "b"))]
    with pytest.raises(StopIteration) as end:
        asking.send(page("c"))
    assert [dict(request.params)["page_no"] for request in asked] == ["1", "2"]
    assert end.value.value == (page("a", "b"), page("c"))
