"""Lookups: the addresses of single models, and one request below the list's address."""

from __future__ import annotations

import asyncio
import json

import pytest
from msgspec.structs import replace

from pipeline.core.types import Gateway as GatewayConfig
from pipeline.core.types import Key, Limits, Scope, Secret
from pipeline.errors import Refused, Unreachable, Unreadable
from pipeline.gateways.client import GatewayClient
from pipeline.gateways.dialects import all_dialects
from pipeline.gateways.lookup import record_paths
from pipeline.simulator import Gateway

VIP = "sk-vip-12345678"


@pytest.fixture
def gateway(monkeypatch):
    """A gateway with a group that is offered an additional model."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Gateway() as gateway:
        gateway.offers("alpha", to=("default", "vip"), owned_by="acme")
        gateway.offers("omega", to="vip")
        gateway.key(VIP, group="vip")
        yield gateway


def test_the_collection_in_an_id_is_not_repeated_in_the_address():
    gemini = all_dialects()["gemini"]
    assert list(record_paths(gemini, "models/tern-1")) == ["/tern-1"]
    assert list(record_paths(all_dialects()["openai"], "models/tern-1")) == [
        "/models%2Ftern-1",
        "/models/tern-1",
    ]


def get(gateway, path, *, url=None, deadline=None):
    """Send one request to a path below the list's address."""
    config = GatewayConfig("local", url or gateway.url, limits=Limits(attempts=1))
    scope = Scope("local/vip", config, Key("x"))
    dialect = replace(all_dialects()["openai"], headers=(("X-A", "b"),))

    async def once():
        async with GatewayClient(
            lambda _reference: Secret(VIP), user_agent="test", deadline=deadline
        ) as client:
            return await client.get(scope, dialect, path)

    return asyncio.run(once())


@pytest.mark.parametrize("base", ["", "/v1", "/v1/models"])
def test_a_request_goes_below_the_lists_address_with_the_scopes_credential(gateway, base):
    reply = get(gateway, "/omega", url=gateway.url + base)
    assert json.loads(reply.body)["id"] == "omega"
    (request,) = gateway.requests
    assert request.place == "/v1/models/omega"
    assert request.headers["Authorization"] == f"Bearer {VIP}"
    assert request.headers["X-A"] == "b"


def test_secrets_in_an_answer_are_redacted(gateway):
    gateway.offers("alpha", to="vip", note=f"asked as {VIP}")
    assert VIP not in get(gateway, "/alpha").body.decode()
    gateway.fails("refused")
    with pytest.raises(Refused) as refusal:
        get(gateway, f"/{VIP}")
    assert VIP not in refusal.value.message
    gateway.fails("status", code=404)
    with pytest.raises(Unreadable) as missing:
        get(gateway, "/alpha")
    assert missing.value.status == 404


def test_a_request_ends_at_the_deadline(gateway):
    gateway.fails("latency", seconds=60)
    with pytest.raises(Unreachable, match=r"0\.05 s"):
        get(gateway, "/alpha", deadline=0.05)
