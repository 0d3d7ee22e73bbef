"""What vendors are asked: the address that a configured `url` becomes, parameters, headers, and all pages."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pipeline.core.types import Gateway
from pipeline.errors import Unreadable
from pipeline.gateways.client import list_url
from pipeline.gateways.dialects import DEFAULT_DIALECT, Answer, all_dialects, answer_dialect, request_dialect

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
def test_what_people_write_becomes_the_address_of_the_list(url: str, asked: str) -> None:
    """Whatever part of the path the config has already, the list is asked for where the vendor has it."""
    assert list_url(url, request_dialect(Gateway("g", url)).path) == asked


@pytest.mark.parametrize(
    "url", ["https://gw.example", "https://gw.example/v1", "https://gw.example/v1/models"]
)
@pytest.mark.parametrize("path", ["/api/user/self/groups", "/api/user/models"])
def test_what_is_for_signed_in_users_stands_beside_the_versions(url: str, path: str) -> None:
    """However the gateway's address is written, its web page's own API is at its root."""
    assert list_url(url, path) == f"https://gw.example{path}"


def test_another_api_stands_beside_the_versions() -> None:
    """A list that is not below the version that was written is asked for where it is."""
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
def test_the_first_request_is_as_the_vendor_wants_it(
    name: str, key_header: str, headers: dict[str, str], params: dict[str, str]
) -> None:
    """The key goes into the vendor's header, and pages are as large as the vendor gives them."""
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
def test_one_page_of_more_is_refused_by_whom_recognises_it(name: str) -> None:
    """Nothing led the default dialect to the other pages: half a list is none, and the way out is said."""
    answer = Answer((ONE_OF_MORE[name],), 1_790_000_000)
    found = answer_dialect(UNKNOWN, request_dialect(UNKNOWN), answer)
    assert found.name == name
    with pytest.raises(Unreadable, match=f'more pages than were requested: set `dialect = "{name}"`'):
        found.read(answer)


def test_what_was_recognised_is_asked_for_all_pages_where_it_answered() -> None:
    """Only the paging is that of the dialect recognised: key and address are those that gave the list."""
    before, now = request_dialect(UNKNOWN), request_dialect(UNKNOWN, all_dialects()["gemini"].reading)
    assert now.paging == all_dialects()["gemini"].paging
    assert before.name == DEFAULT_DIALECT
    assert (now.path, now.key_header, now.params, now.headers) == (
        before.path,
        before.key_header,
        before.params,
        before.headers,
    )


def test_numbered_pages_may_be_counted_by_the_total_alone() -> None:
    """Where nobody says how many pages there are, they are asked for until all records came."""

    def page(*ids: str) -> bytes:
        return body(output={"models": [{"model": one} for one in ids], "total": 3})

    asking = all_dialects()["dashscope"].pages()
    asked = [next(asking), asking.send(page("a", "b"))]
    with pytest.raises(StopIteration) as end:
        asking.send(page("c"))
    assert [dict(request.params)["page_no"] for request in asked] == ["1", "2"]
    assert end.value.value == (page("a", "b"), page("c"))
