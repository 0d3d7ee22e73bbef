"""URLs of a gateway: the list, the root, redirects, and the form for messages."""

from __future__ import annotations

import pytest

from pipeline.core.types import Gateway
from pipeline.gateways.dialects import request_dialect
from pipeline.gateways.urls import is_same_gateway, list_url, root_url, without_query, without_user

GEMINI = "https://generativelanguage.googleapis.com"
AZURE = "https://cobalt.openai.azure.com"
CLOUDFLARE = "https://api.cloudflare.com/client/v4/accounts/0a1b/ai"
DASHSCOPE = "https://dashscope.aliyuncs.com"


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


@pytest.mark.parametrize("path", ["/api/pricing", "/api/tags"])
def test_a_url_that_ends_with_the_list_of_keys_leads_to_other_lists(path: str) -> None:
    assert list_url("https://gw.example/v1/models", path) == f"https://gw.example{path}"


@pytest.mark.parametrize(
    ("base", "path", "asked"),
    [
        ("https://gw.example/v1/models", "/catalog", "https://gw.example/v1/catalog"),
        ("https://gw.example/v1/models", "/models", "https://gw.example/v1/models"),
        ("https://gw.example/v1/models", "/v2/models", "https://gw.example/v2/models"),
        ("https://gw.example/v1", "/v2/catalog", "https://gw.example/v2/catalog"),
        ("https://gw.example/v1", "/v1/catalog", "https://gw.example/v1/catalog"),
        ("https://gw.example/v1", "/catalog", "https://gw.example/v1/catalog"),
        ("https://gw.example/proxy/v1", "/api/list", "https://gw.example/proxy/api/list"),
    ],
)
def test_the_path_of_the_config_counts_more_than_the_end_of_the_url(base: str, path: str, asked: str) -> None:
    assert list_url(base, path, own=True) == asked


@pytest.mark.parametrize(
    "base", ["https://gw.example", "https://gw.example/v1/", "https://gw.example/v1/models"]
)
def test_the_root_has_no_version_and_no_list(base: str) -> None:
    assert root_url(base) == "https://gw.example"


@pytest.mark.parametrize(
    ("url", "target", "same"),
    [
        ("https://gw.example/a", "https://gw.example/b", True),
        ("http://gw.example/a", "https://gw.example/a", True),
        ("https://gw.example/a", "http://gw.example/a", False),
        ("https://gw.example/a", "https://gw.example:8443/a", False),
        ("http://gw.example:80/a", "https://gw.example/a", False),
        ("https://gw.example/a", "https://gw.example.evil.example/a", False),
        ("https://gw.example/a", "https://gw.example@evil.example/a", False),
    ],
)
def test_credentials_stay_on_the_same_gateway(url: str, target: str, *, same: bool) -> None:
    assert is_same_gateway(url, target) is same


def test_a_url_in_a_message_has_no_user_and_no_query() -> None:
    url = "https://ann:secret@gw.example:8443/v1/models?key=secret#x"
    assert without_query(url) == "https://gw.example:8443/v1/models"
    assert without_user(url) == "https://gw.example:8443/v1/models?key=secret#x"
