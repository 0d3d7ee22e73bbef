"""The reference gateway: the list of each caller, faults, control, replay and connections."""

import gzip
import http.client
import json
import socket
import subprocess
import sys
import threading
from dataclasses import dataclass
from email.message import Message
from itertools import pairwise
from urllib.parse import quote, urlsplit

import pytest
from support import ROOT

from pipeline.simulator import FAULTS, Gateway, Replay, describe, sample
from pipeline.simulator.faults import Faults
from pipeline.simulator.messages import Close, Response, Send, Wait, send_whole


@dataclass
class Reply:
    status: int
    headers: Message
    body: bytes

    def json(self):
        return json.loads(self.body)

    def ids(self):
        return [record["id"] for record in self.json()["data"]]


def connected(gateway):
    """Return a connection that stays open."""
    return http.client.HTTPConnection(urlsplit(gateway.url).netloc, timeout=10)


def on(connection, method, path, *, body=None, headers=None):
    """Send a request on an open connection and return the response."""
    connection.request(method, path, body=body, headers=headers or {})
    response = connection.getresponse()
    return Reply(response.status, response.msg, response.read())


def ask(gateway, path="/v1/models", *, key=None, method="GET", send=None, **headers):
    """Send a request on a new connection; `send` is the JSON body, `New_Api_User=7` a header."""
    named = {name.replace("_", "-"): str(value) for name, value in headers.items()}
    if key is not None:
        named["Authorization"] = f"Bearer {key}"
    connection = connected(gateway)
    try:
        body = None if send is None else json.dumps(send)
        return on(connection, method, path, body=body, headers=named)
    finally:
        connection.close()


def post(gateway, path, send=None):
    return ask(gateway, path, method="POST", send=send)


def raw(gateway, path="/v1/models"):
    """Return a socket on which a request was sent and nothing was read."""
    parts = urlsplit(gateway.url)
    client = socket.create_connection((parts.hostname, parts.port), timeout=10)
    client.sendall(f"GET {path} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode())
    return client


def error(reply):
    return reply.json()["error"]


@pytest.fixture
def gateway():
    """A gateway with two groups, two users and three keys."""
    with Gateway() as gateway:
        gateway.offers("small", "org/large:free", to=("default", "vip"))
        gateway.offers("extra", to="vip", owned_by="someone")
        gateway.user("alice", password="open sesame", id=7, access_token="alice-token")
        gateway.user("bob", password="swordfish", id=8, group="vip", access_token="bob-token")
        gateway.key("sk-plain", user="alice")
        gateway.key("sk-grouped", user="alice", group="vip")
        gateway.key("sk-limited", user="bob", models=["extra", "unheard-of"])
        yield gateway


def test_an_anonymous_request_lists_the_models_of_the_default_group(gateway):
    assert ask(gateway).ids() == ["small", "org/large:free"]


@pytest.mark.parametrize(
    ("key", "ids"),
    [
        ("sk-plain", ["small", "org/large:free"]),
        ("plain", ["small", "org/large:free"]),
        ("sk-grouped", ["small", "org/large:free", "extra"]),
        ("sk-limited", ["extra", "unheard-of"]),
    ],
)
def test_a_key_lists_its_limit_else_its_group_else_its_users_group(gateway, key, ids):
    """Keys are accepted with and without `sk-`."""
    assert ask(gateway, key=key).ids() == ids


def test_the_limit_of_a_key_is_its_list_whatever_its_group_offers(gateway):
    gateway.key("sk-none", user="bob", models=[])
    gateway.drops("extra")

    assert ask(gateway, key="sk-none").ids() == []
    assert ask(gateway, key="sk-limited").ids() == ["extra", "unheard-of"]


def test_a_record_has_the_documented_fields(gateway):
    answer = ask(gateway, key="sk-grouped")
    record = answer.json()["data"][2]
    permission = record.pop("permission")[0]

    assert {name: value for name, value in answer.json().items() if name != "data"} == {
        "success": True,
        "object": "list",
    }
    assert answer.headers["Content-Type"].startswith("application/json")
    assert record == {
        "id": "extra",
        "object": "model",
        "created": 1626777600,
        "owned_by": "someone",
        "root": "extra",
        "parent": None,
    }
    assert permission.keys() == {
        "id",
        "object",
        "created",
        "allow_create_engine",
        "allow_sampling",
        "allow_logprobs",
        "allow_search_indices",
        "allow_view",
        "allow_fine_tuning",
        "organization",
        "group",
        "is_blocking",
    }
    assert (permission["organization"], permission["group"]) == ("*", None)


def test_extra_fields_are_added_to_the_record_and_replace_default_ones(gateway):
    gateway.offers("small", context_length=4096, permission=None, created="long ago")
    record = ask(gateway).json()["data"][0]

    assert (record["context_length"], record["permission"], record["created"]) == (4096, None, "long ago")


@pytest.mark.parametrize(
    ("headers", "status", "expected"),
    [
        ({"Authorization": "Bearer"}, 401, "No key"),
        ({"Authorization": "Bearer sk-"}, 401, "No key"),
        ({"Authorization": ""}, 401, "No key"),
        ({"Authorization": "Bearer sk-wrong"}, 401, "not known"),
        ({"Authorization": "bearer sk-plain"}, 401, "not known"),
        ({"Authorization": "Bearer sk-disabled"}, 401, "switched off"),
        ({"Authorization": "Bearer sk-expired"}, 401, "expiry"),
        ({"Authorization": "Bearer sk-exhausted"}, 401, "quota"),
        ({"Authorization": "Bearer sk-banned"}, 403, "banned"),
        ({"Authorization": "mallory-token", "New_Api_User": 9}, 403, "banned"),
        ({"Authorization": "nonsense", "New_Api_User": 7}, 401, "access token"),
        ({"Authorization": "alice-token", "New_Api_User": 8}, 401, "another user"),
        ({"Authorization": "alice-token"}, 401, "not known"),
    ],
)
def test_invalid_credentials_are_rejected_in_the_servers_form(gateway, headers, status, expected):
    """Each reason has its own message and status, and each response its own request id."""
    for trouble in ("disabled", "expired", "exhausted"):
        gateway.key(f"sk-{trouble}", user="alice", status=trouble)
    gateway.user("mallory", id=9, access_token="mallory-token", status="banned")
    gateway.key("sk-banned", user="mallory")
    first, second = (ask(gateway, **headers) for _ in range(2))

    assert (first.status, error(first)["type"], error(first)["code"]) == (status, "new_api_error", "")
    assert expected in error(first)["message"]
    assert "(request id: " in error(first)["message"]
    assert first.body != second.body


@pytest.mark.parametrize("path", ["org/large:free", "org%2Flarge%3Afree"])
def test_one_model_is_found_by_its_plain_and_its_encoded_id(gateway, path):
    assert ask(gateway, f"/v1/models/{path}").json() == ask(gateway).json()["data"][1]


def test_an_id_with_special_characters_is_found_when_encoded(gateway):
    gateway.offers("a/b@2025-01?c#d e%2F")

    assert ask(gateway, "/v1/models/" + quote("a/b@2025-01?c#d e%2F", safe="")).json()["object"] == "model"


@pytest.mark.parametrize(("key", "found"), [("sk-plain", False), ("sk-grouped", True), ("sk-limited", True)])
def test_one_model_is_found_only_by_callers_whose_list_has_it(gateway, key, found):
    reply = ask(gateway, "/v1/models/extra", key=key)

    assert reply.status == 200
    assert reply.json().get("id") == ("extra" if found else None)
    assert found or error(reply)["code"] == "model_not_found"


def test_an_unknown_key_is_rejected_for_one_model_too(gateway):
    assert ask(gateway, "/v1/models/small", key="sk-wrong").status == 401


def signed_in(gateway, name="bob", password="swordfish"):
    reply = post(gateway, "/api/user/login", {"username": name, "password": password})
    return reply, (reply.headers["Set-Cookie"] or "").partition(";")[0]


def test_a_login_responds_with_the_user_and_a_session_cookie(gateway):
    reply, _ = signed_in(gateway)

    assert reply.json()["success"] is True
    assert {"id": 8, "group": "vip"}.items() <= reply.json()["data"].items()
    assert reply.headers["Set-Cookie"].startswith("session=")
    assert {"Path=/", "HttpOnly"} <= set(reply.headers["Set-Cookie"].split("; "))


@pytest.mark.parametrize(
    "form",
    [
        {"username": "bob", "password": "wrong"},
        {"username": "eve", "password": "swordfish"},
        {"username": ["bob"], "password": "swordfish"},
        {"username": "bob"},
        ["bob", "swordfish"],
    ],
)
def test_a_failed_login_has_the_status_of_a_success(gateway, form):
    reply = post(gateway, "/api/user/login", form)

    assert (reply.status, reply.json()["success"], reply.headers["Set-Cookie"]) == (200, False, None)


def test_a_session_and_an_access_token_list_the_models_of_the_users_group(gateway):
    _, cookie = signed_in(gateway)
    vip = ["small", "org/large:free", "extra"]

    assert ask(gateway, Cookie=cookie).ids() == vip
    assert ask(gateway, Cookie=f"theme=dark; {cookie}", New_Api_User=8).ids() == vip
    assert ask(gateway, Authorization="bob-token", New_Api_User=8).ids() == vip
    assert ask(gateway, Authorization="Bearer bob-token", New_Api_User=8).ids() == vip
    assert ask(gateway, Cookie=cookie, New_Api_User=7).status == 401


def test_an_expired_session_gets_the_anonymous_list_without_an_error(gateway):
    """As on the real servers."""
    _, cookie = signed_in(gateway)
    gateway.signs_out("bob")

    assert ask(gateway, Cookie=cookie, New_Api_User=8).ids() == ask(gateway).ids()


def test_the_endpoints_of_users_accept_a_session_and_an_access_token(gateway):
    gateway.group("vip", ratio=0.5, desc="The happy few")
    _, cookie = signed_in(gateway)
    by_token = {"Authorization": "bob-token", "New_Api_User": 8}
    groups = ask(gateway, "/api/user/self/groups", Cookie=cookie, New_Api_User=8).json()

    assert groups == ask(gateway, "/api/user/self/groups", **by_token).json()
    assert groups["data"]["vip"] == {"ratio": 0.5, "desc": "The happy few"}
    assert ask(gateway, "/api/user/available_models", **by_token).json() == {
        "success": True,
        "message": "",
        "data": ["extra", "org/large:free", "small"],
    }


def test_a_group_that_is_not_usable_is_visible_only_to_its_members(gateway):
    gateway.group("vip", usable=False)

    def groups(token, number):
        return ask(gateway, "/api/user/self/groups", Authorization=token, New_Api_User=number).json()["data"]

    assert "vip" not in groups("alice-token", 7)
    assert "vip" in groups("bob-token", 8)


def test_a_user_has_private_groups_and_ratios_beside_the_public_ones(gateway):
    gateway.group("svip", ratio=0.5, usable=False)
    gateway.auto(["svip", "default"])
    gateway.user("alice", id=7, access_token="alice-token", groups=["svip"], ratios={"vip": 0.3, "svip": 0.4})
    asked = {"Authorization": "alice-token", "New_Api_User": 7}
    groups = ask(gateway, "/api/user/self/groups", **asked).json()["data"]

    assert {name: group["ratio"] for name, group in groups.items()} == {
        "default": 1.0,
        "vip": 0.3,
        "svip": 0.4,
        "auto": "auto",
    }
    assert ask(gateway, "/api/pricing", **asked).json()["auto_groups"] == ["svip", "default"]


@pytest.mark.parametrize(
    ("server", "ratios", "groups"),
    [
        ("reference", {"default": 1.0, "vip": 0.3, "svip": 0.4}, ["svip", "vip"]),
        ("new-api-2025", {"default": 1.0, "vip": 1.0}, ["svip", "vip"]),
        ("new-api-2026", {"default": 1.0, "vip": 0.3, "svip": 0.4}, ["svip", "vip"]),
    ],
)
def test_a_price_list_of_2025_knows_no_access_tokens(gateway, server, ratios, groups):
    gateway.runs(server)
    gateway.group("svip", ratio=0.5, usable=False)
    gateway.offers("rare", to=["vip", "svip"])
    gateway.user("alice", id=7, access_token="alice-token", groups=["svip"], ratios={"vip": 0.3, "svip": 0.4})
    pricing = ask(gateway, "/api/pricing", Authorization="alice-token", New_Api_User=7).json()
    anonymous = ask(gateway, "/api/pricing").json()

    def groups_of(answer):
        return {row["model_name"]: sorted(row["enable_groups"]) for row in answer["data"]}["rare"]

    assert (pricing["group_ratio"], groups_of(pricing)) == (ratios, groups)
    assert anonymous["usable_group"].keys() == {"default", "vip"}
    assert groups_of(anonymous) == (["vip"] if server == "new-api-2026" else groups)


def test_the_models_of_the_group_all_are_offered_to_every_group(gateway):
    gateway.offers("common", to="all")
    rows = {row["model_name"]: row for row in ask(gateway, "/api/pricing").json()["data"]}

    assert rows["common"]["enable_groups"] == ["all"]
    assert "all" not in ask(gateway, "/api/pricing").json()["group_ratio"]
    assert ask(gateway, key="sk-plain").ids()[0] == "common"


@pytest.mark.parametrize("server", ["new-api-2025", "new-api-2026"])
def test_new_api_lists_models_for_keys_only(gateway, server):
    _, cookie = signed_in(gateway)
    gateway.runs(server)

    assert ask(gateway, key="sk-plain").status == 200
    assert ask(gateway).status == 401
    assert ask(gateway, Cookie=cookie, New_Api_User=8).status == 401
    assert ask(gateway, Authorization="bob-token", New_Api_User=8).status == 401
    assert ask(gateway, "/api/user/models", Authorization="bob-token", New_Api_User=8).json()["data"] == [
        "extra",
        "org/large:free",
        "small",
    ]


def test_a_login_of_2026_responds_with_an_access_token(gateway):
    gateway.runs("new-api-2026")
    reply, cookie = signed_in(gateway)
    data = reply.json()["data"]

    assert (data["token_type"], data["user"]["id"]) == ("Bearer", 8)
    assert ask(gateway, "/api/user/self/groups", key=data["access_token"]).json()["success"]
    assert ask(gateway, "/api/user/self/groups", Cookie=cookie, New_Api_User=8).status == 401


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": "bob-token"}, 401),
        ({"Authorization": "bob-token", "New_Api_User": 7}, 401),
        ({"Authorization": "sk-plain", "New_Api_User": 8}, 200),
        ({"Cookie": "session=stale", "New_Api_User": 8}, 401),
    ],
)
def test_the_endpoints_of_users_reject_other_callers(gateway, headers, status):
    """The header New-Api-User must name the user; a key is not an access token."""
    reply = ask(gateway, "/api/user/self/groups", **headers)

    assert (reply.status, reply.json()["success"]) == (status, False)


def test_pricing_has_the_groups_and_prices_of_every_model(gateway):
    gateway.group("vip", ratio=0.5)
    gateway.offers("priced", to="vip", model_ratio=1.25, completion_ratio=8)
    gateway.offers("per-call", model_price=0.02)
    pricing = ask(gateway, "/api/pricing").json()
    rows = {row["model_name"]: row for row in pricing["data"]}

    assert pricing["group_ratio"] == {"default": 1.0, "vip": 0.5}
    assert pricing["usable_group"].keys() == {"default", "vip"}
    assert rows["small"]["enable_groups"] == ["default", "vip"]
    assert [rows["priced"][name] for name in ("quota_type", "model_ratio", "completion_ratio")] == [
        0,
        1.25,
        8,
    ]
    assert [rows["per-call"][name] for name in ("quota_type", "model_price")] == [1, 0.02]
    assert "model_ratio" not in ask(gateway, key="sk-grouped").json()["data"][-1]


def test_status_has_the_version_and_start_time():
    with Gateway(clock=lambda: 1_000_000_000.5) as gateway:
        status = ask(gateway, "/api/status").json()["data"]

    assert (status["start_time"], bool(status["version"])) == (1_000_000_000, True)


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/v1"), ("GET", "/v1/model"), ("POST", "/v1/models"), ("DELETE", "/v1/x/y")]
)
def test_an_unknown_path_below_v1_is_404(gateway, method, path):
    reply = ask(gateway, path, method=method)

    assert (reply.status, error(reply)["message"]) == (404, f"Invalid URL ({method} {path})")


@pytest.mark.parametrize("path", ["/", "/models", "/v1beta/models", "/api/unknown"])
def test_any_other_path_is_a_web_page_with_status_200(gateway, path):
    reply = ask(gateway, path)

    assert (reply.status, reply.headers.get_content_type()) == (200, "text/html")


def test_head_is_404_and_a_trailing_slash_is_redirected(gateway):
    assert ask(gateway, method="HEAD").status == 404
    assert ask(gateway, "/v1/models/").headers["Location"] == "/v1/models"


def test_lists_follow_offers_and_drops(gateway):
    ask(gateway)
    gateway.offers("new", to=["default"])
    assert ask(gateway).ids() == ["small", "org/large:free", "new"]

    gateway.drops("small", of="default")
    assert ask(gateway).ids() == ["org/large:free", "new"]
    assert "small" in ask(gateway, key="sk-grouped").ids()

    gateway.drops("org/large:free")
    assert "org/large:free" not in ask(gateway, key="sk-grouped").ids()


def test_adding_an_existing_key_or_user_replaces_it(gateway):
    gateway.key("sk-plain", user="alice", models=["small"])
    gateway.user("bob", group="default", access_token="bob-token")

    assert ask(gateway, key="plain").ids() == ["small"]
    assert ask(gateway, Authorization="bob-token", New_Api_User=8).ids() == ["small", "org/large:free"]


def test_a_flapping_model_alternates_for_each_caller(gateway):
    gateway.flaps("org/large:free")
    sizes = [("org/large:free" in ask(gateway).ids(), "org/large:free" in ask(gateway, key="plain").ids())]
    sizes += [("org/large:free" in ask(gateway).ids(), "org/large:free" in ask(gateway, key="plain").ids())]
    single = ask(gateway, "/v1/models/org/large:free", key="plain")
    gateway.offers("org/large:free")
    steady = [len(ask(gateway).ids()) for _ in range(2)]

    assert sizes == [(True, True), (False, False)]
    assert error(single)["code"] == "model_not_found"
    assert steady == [2, 2]


def test_a_response_that_was_not_sent_does_not_advance_a_flapping_model(gateway):
    gateway.flaps("comet")
    gateway.fails("unavailable", times=1)

    assert [ask(gateway).status, "comet" in ask(gateway).ids()] == [503, True]


def test_two_back_ends_answer_each_caller_in_turn(gateway):
    gateway.alternates(["small", "other"], envelope={"total": 9}, context_length=8)
    first, second = ask(gateway), ask(gateway)
    assert (first.ids(), "total" in first.json()) == (["small", "org/large:free"], False)
    assert (second.ids(), second.json()["total"]) == (["small", "other"], 9)
    assert [row["context_length"] for row in second.json()["data"]] == [8, 8]
    assert ask(gateway, key="plain").ids() == ["small", "org/large:free"]
    assert [len(ask(gateway, key="sk-grouped").ids()) for _ in range(2)] == [3, 3]
    gateway.alternates(None)
    assert [len(ask(gateway).ids()) for _ in range(2)] == [2, 2]


def test_the_second_back_end_has_pages_and_an_empty_list_too(gateway):
    gateway.alternates(["a", "b", "c"])
    gateway.pages("offset", size=2)
    assert [ask(gateway).json()["total"] for _ in range(2)] == [2, 3]
    gateway.alternates([])
    assert [ask(gateway).json()["total"] for _ in range(2)] == [2, 0]


@pytest.mark.parametrize("key", ["sk-unknown", "sk-plain", ""])
def test_an_invalid_key_gets_the_anonymous_list_where_the_gateway_falls_back(gateway, key):
    gateway.key("sk-plain", user="bob", status="disabled")
    gateway.falls_back()
    assert ask(gateway, key=key).body == ask(gateway).body
    assert ask(gateway, key="sk-grouped").ids() == ["small", "org/large:free", "extra"]
    gateway.falls_back(on=False)
    assert ask(gateway, key=key).status == 401


def test_shuffling_changes_the_order_in_each_response(gateway):
    gateway.shuffles()
    orders = [(ask(gateway).ids(), ask(gateway, key="plain").ids()) for _ in range(4)]

    for before, after in pairwise(orders):
        assert (before[0] != after[0], before[1] != after[1]) == (True, True)
    assert {tuple(sorted(order)) for both in orders for order in both} == {("org/large:free", "small")}

    gateway.shuffles(on=False)
    assert ask(gateway).ids() == ask(gateway).ids()


def test_noise_differs_in_each_response():
    with Gateway(clock=iter(range(100, 200)).__next__) as gateway:
        gateway.offers("a")
        gateway.noisy()
        (first,), (second,) = (ask(gateway).json()["data"] for _ in range(2))

    assert 100 < first["created"] < second["created"]
    assert first["permission"][0]["created"] == first["created"]
    assert first["permission"][0]["id"] != second["permission"][0]["id"]


def test_without_noise_two_responses_are_equal_to_the_byte(gateway):
    assert ask(gateway).body == ask(gateway).body


def test_a_request_with_the_current_etag_gets_304(gateway):
    assert "ETag" not in ask(gateway).headers

    gateway.tags()
    tag = ask(gateway).headers["ETag"]
    fresh = ask(gateway, If_None_Match=f'"other", {tag}')
    gateway.offers("new")
    stale = ask(gateway, If_None_Match=tag)

    assert (fresh.status, fresh.body, fresh.headers["ETag"]) == (304, b"", tag)
    assert (stale.status, stale.headers["ETag"] != tag) == (200, True)


@pytest.mark.parametrize(
    ("accepts", "packed"),
    [
        ("gzip, br", True),
        ("br;q=1, GZIP;q=0.5", True),
        ("*", True),
        ("gzip;q=0", False),
        ("br", False),
        ("", False),
    ],
)
def test_responses_are_compressed_for_clients_that_accept_gzip(gateway, accepts, packed):
    """The ETag is that of the uncompressed body."""
    gateway.tags()
    plain = ask(gateway)
    gateway.compresses("gzip")
    reply = ask(gateway, Accept_Encoding=accepts)

    assert reply.headers["Content-Encoding"] == ("gzip" if packed else None)
    assert (gzip.decompress(reply.body) if packed else reply.body) == plain.body
    assert reply.headers["ETag"] == plain.headers["ETag"]


def test_only_gzip_is_supported(gateway):
    with pytest.raises(ValueError, match="gzip"):
        gateway.compresses("br")


def test_requests_are_kept_as_received_without_those_to_control(gateway):
    ask(gateway, "/v1/models?x=%2F", key="sk-plain", X_Custom="Yes")
    post(gateway, "/control/heals")
    (request,) = gateway.requests

    assert (request.method, request.path, request.headers["authorization"]) == (
        "GET",
        "/v1/models?x=%2F",
        "Bearer sk-plain",
    )
    assert request.headers["X-Custom"] == "Yes"
    assert "sk-plain" not in repr(request)


NONSENSE = b'{"object":"list","data":[{"id":'

ANSWERS = {
    "throttled": (
        {"retry_after": 3},
        429,
        lambda reply: (reply.headers["Retry-After"], reply.body) == ("3", b""),
    ),
    "unavailable": ({}, 503, lambda reply: reply.headers["Retry-After"] is None),
    "broken": ({}, 500, lambda reply: "message" in error(reply)),
    "refused": ({}, 401, lambda reply: error(reply)["type"] == "new_api_error"),
    "html": ({}, 200, lambda reply: reply.headers.get_content_type() == "text/html"),
    "unsuccessful": (
        {"message": "no"},
        200,
        lambda reply: reply.json() == {"success": False, "message": "no"},
    ),
    "error": ({}, 200, lambda reply: "message" in error(reply)),
    "says": (
        {"fields": {"total": 9}, "headers": {"Content-Range": "items 0-1/9"}, "status": 206},
        206,
        lambda reply: (
            (reply.json()["total"], len(reply.ids()), reply.headers["Content-Range"]) == (9, 2, "items 0-1/9")
        ),
    ),
    "null": ({}, 200, lambda reply: reply.json()["data"] is None),
    "missing": ({}, 200, lambda reply: "data" not in reply.json()),
    "empty": ({}, 200, lambda reply: reply.json()["data"] == []),
    "shape": ({}, 200, lambda reply: isinstance(reply.json()["data"], str)),
    "garbage": ({}, 200, lambda reply: reply.body == NONSENSE),
    "huge": ({"megabytes": 1}, 200, lambda reply: len(reply.body) > 1 << 20 and reply.json()["data"] == []),
    "deep": ({"levels": 9}, 200, lambda reply: b"[" * 9 + b"]" * 9 in reply.body),
    "bomb": (
        {"megabytes": 8},
        200,
        lambda reply: len(reply.body) < 1 << 16 and expands(reply.body) > 8 << 20,
    ),
    "redirect": (
        {"to": "/elsewhere", "status": 307},
        307,
        lambda reply: reply.headers["Location"] == "/elsewhere",
    ),
    "status": ({"code": 418}, 418, lambda reply: "418" in error(reply)["message"]),
    "latency": ({"seconds": 0}, 200, lambda reply: len(reply.ids()) == 2),
    "drip": ({"seconds": 0, "size": 7}, 200, lambda reply: len(reply.ids()) == 2),
}
BREAKS = {
    "reset": ConnectionResetError,
    "closed": http.client.RemoteDisconnected,
    "truncated": http.client.IncompleteRead,
    "short-chunked": http.client.IncompleteRead,
}


def expands(packed):
    return len(gzip.decompress(packed))


@pytest.mark.parametrize("fault", ANSWERS)
def test_each_fault_of_a_response_has_its_status_and_body_and_the_next_response_is_correct(gateway, fault):
    options, status, holds = ANSWERS[fault]
    gateway.fails(fault, times=1, **options)
    connection = connected(gateway)
    reply = on(connection, "GET", "/v1/models")

    assert reply.status == status
    assert holds(reply)
    assert len(on(connection, "GET", "/v1/models").json()["data"]) == 2
    connection.close()


@pytest.mark.parametrize("fault", BREAKS)
def test_each_fault_of_the_connection_breaks_it_as_named_and_the_next_response_is_correct(gateway, fault):
    gateway.fails(fault, times=1)
    with pytest.raises(BREAKS[fault]) as caught:
        ask(gateway)

    assert type(caught.value) is BREAKS[fault]
    assert ask(gateway).status == 200


def test_every_fault_has_an_example():
    assert {*ANSWERS, *BREAKS} == set(FAULTS)


@pytest.mark.parametrize(
    ("fault", "options", "status", "start"),
    [
        ("broken", {"status": 502, "text": True}, 502, b"Internal"),
        ("throttled", {"retry_after": "Sun, 06 Nov 1994 08:49:37 GMT"}, 429, b""),
        ("huge", {"megabytes": 1, "chunked": True}, 200, b'{"success"'),
        ("status", {"code": 204}, 204, b""),
        ("status", {"code": 599}, 599, b'{"error"'),
    ],
)
def test_options_change_a_fault(gateway, fault, options, status, start):
    gateway.fails(fault, **options)
    reply = ask(gateway)

    assert (reply.status, reply.body[: len(start)]) == (status, start)


def actions(fault, **options):
    """Return the actions of a fault for a small correct response."""
    faults = Faults()
    faults.add(fault, options=options)
    return list(faults.take(None, "/")(lambda: Response(body=b"abcde")))


def test_head_and_body_are_one_write():
    (only,) = send_whole(Response(body=b"abcde"))

    assert only.data.endswith(b"\r\nContent-Length: 5\r\n\r\nabcde")


def test_latency_and_drip_wait_between_the_correct_bytes():
    assert [type(step) for step in actions("latency", seconds=9)] == [Wait, Send]
    assert actions("drip", seconds=9, size=2)[1:] == [
        *(Wait(9), Send(b"ab")),
        *(Wait(9), Send(b"cd")),
        *(Wait(9), Send(b"e")),
    ]


def test_broken_connections_close_after_half_of_the_body():
    sent, closed = actions("truncated")
    begun, _ = actions("short-chunked")

    assert actions("reset") == [Close(reset=True)]
    assert sent.data.endswith(b"Content-Length: 5\r\n\r\nab")
    assert closed == Close()
    assert begun.data.endswith(b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n")


@pytest.mark.parametrize(
    ("fault", "options", "expected"),
    [
        ("resett", {}, "short-chunked"),
        ("throttled", {"after": 3}, "retry_after"),
        ("throttled", {"retry_after": True}, "retry_after must be a number or a string or null"),
        ("redirect", {}, "to is missing"),
        ("status", {"code": 99}, "200 to 599"),
        ("broken", {"status": 1000}, "200 to 599"),
        ("huge", {"megabytes": 10**6}, "0 to 1073741824 bytes"),
        ("deep", {"levels": -1}, "-1 bytes is not possible"),
        ("drip", {"size": 0}, "one byte"),
        ("reset", {"times": 0}, "how many"),
    ],
)
def test_an_invalid_fault_is_rejected_with_the_valid_names(gateway, fault, options, expected):
    with pytest.raises(ValueError, match=expected):
        gateway.fails(fault, **options)

    assert ask(gateway).status == 200


def test_a_fault_applies_only_to_its_caller(gateway):
    alice = {"Authorization": "alice-token", "New_Api_User": 7}
    statuses = {}
    for who in ("plain", "alice", "anonymous"):
        gateway.fails("unavailable", who=who)
        replies = (
            ask(gateway, key="sk-plain"),
            ask(gateway, **alice),
            ask(gateway),
            ask(gateway, key="sk-grouped"),
        )
        statuses[who] = [reply.status for reply in replies]
        gateway.heals(who)

    assert statuses == {
        "plain": [503, 200, 200, 200],
        "alice": [200, 503, 200, 200],
        "anonymous": [200, 200, 503, 200],
    }


def test_a_fault_with_a_path_applies_only_there(gateway):
    gateway.fails("broken", at="/api/pricing")

    assert [ask(gateway, "/api/pricing?x=1").status, ask(gateway).status] == [500, 200]


def test_a_login_has_only_the_faults_of_everyone(gateway):
    gateway.fails("broken", who="anonymous")
    assert signed_in(gateway)[0].status == 200

    gateway.fails("broken")
    assert signed_in(gateway)[0].status == 500


def test_faults_with_a_number_of_times_apply_one_after_the_other(gateway):
    gateway.fails("throttled", times=1)
    gateway.fails("unavailable", times=2)

    assert [ask(gateway).status for _ in range(4)] == [429, 503, 503, 200]


def test_a_fault_without_limit_is_replaced_by_the_next_for_the_same_caller(gateway):
    """A fault for one caller comes before one for everyone."""
    gateway.fails("unavailable")
    gateway.fails("broken")
    gateway.fails("refused", who="plain")

    assert [ask(gateway).status, ask(gateway, key="plain").status] == [500, 401]


def test_heals_ends_the_faults_of_one_caller_or_all(gateway):
    gateway.fails("unavailable")
    gateway.fails("refused", who="plain")

    gateway.heals("sk-plain")
    assert ask(gateway, key="plain").status == 503

    gateway.heals()
    assert ask(gateway, key="plain").status == 200


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda gateway: gateway.fails("reset", who="sk-mistyped"), "neither a key"),
        (lambda gateway: gateway.heals("sk-mistyped"), "neither a key"),
        (lambda gateway: gateway.key("sk-new", user="carol"), "alice, bob"),
        (lambda gateway: gateway.key("sk-", user="alice"), "blank"),
        (lambda gateway: gateway.key("sk-new", status="gone"), "disabled"),
        (lambda gateway: gateway.user("anonymous"), "anonymous"),
        (lambda gateway: gateway.user("carol", id=7), "free"),
        (lambda gateway: gateway.user("carol", status="gone"), "banned"),
        (lambda gateway: gateway.signs_out("carol"), "alice, bob"),
        (lambda gateway: gateway.offers(to="vip"), "at least one"),
        (lambda gateway: gateway.drops("small", "extra", of="default"), "'extra' is not offered to default"),
        (lambda gateway: gateway.drops("smal"), "not offered"),
        (lambda gateway: gateway.flaps(), "at least one"),
    ],
)
def test_an_invalid_argument_is_rejected_and_changes_nothing(gateway, change, expected):
    """The message does not repeat a key that may be mistyped."""
    with pytest.raises(ValueError, match=expected) as caught:
        change(gateway)

    assert "mistyped" not in str(caught.value)
    assert ask(gateway).ids() == ["small", "org/large:free"]


def test_control_calls_the_methods_with_arguments_as_json(gateway):
    orders = [
        ("offers", {"models": ["a/b"], "to": "vip", "fields": {"owned_by": "x", "context_length": 5}}),
        ("offers", {"models": "c", "to": ["vip", "default"]}),
        ("drops", {"models": ["small"], "of": "vip"}),
        ("user", {"name": "carol", "password": "xyzzy", "id": 11, "group": "vip"}),
        ("key", {"key": "sk-carol", "user": "carol"}),
        ("key", {"key": "sk-short", "user": "carol", "models": ["c"]}),
        ("fails", {"fault": "throttled", "who": "sk-plain", "times": 1, "options": {"retry_after": 2}}),
        ("alternates", {"models": ["c"], "to": "vip", "envelope": {"total": 9}}),
        ("alternates", {"models": None, "to": "vip"}),
    ]
    replies = [post(gateway, f"/control/{verb}", arguments) for verb, arguments in orders]
    rows = ask(gateway, key="sk-carol").json()["data"]

    assert [(reply.status, reply.json()) for reply in replies] == [(200, {"ok": True})] * len(orders)
    assert [row["id"] for row in rows] == ["org/large:free", "extra", "a/b", "c"]
    assert (rows[2]["owned_by"], rows[2]["context_length"]) == ("x", 5)
    assert ask(gateway, key="sk-short").ids() == ["c"]
    assert ask(gateway, key="plain").headers["Retry-After"] == "2"


def test_control_needs_no_body_without_arguments(gateway):
    for verb in ("shuffles", "noisy", "tags", "compresses", "heals", "pages", "falls_back"):
        assert post(gateway, f"/control/{verb}").json() == {"ok": True}
    reply = ask(gateway, Accept_Encoding="gzip")

    assert (reply.headers["Content-Encoding"], "ETag" in reply.headers) == ("gzip", True)
    assert "Link" in reply.headers
    assert post(gateway, "/control/compresses", {"encoding": None}).json() == {"ok": True}
    assert ask(gateway, Accept_Encoding="gzip").headers["Content-Encoding"] is None


@pytest.mark.parametrize(
    ("path", "send", "expected"),
    [
        ("/control/explodes", {}, "offers, drops"),
        ("/control/offers", ["a"], "not a JSON object"),
        ("/control/offers", {}, "at least one"),
        ("/control/offers", {"models": [1]}, "models must be a string or a list of strings or null"),
        ("/control/offers", {"models": ["a"], "too": "vip"}, "no argument 'too'"),
        ("/control/offers", {"models": ["a"], "fields": "x"}, "fields must be an object"),
        (
            "/control/offers",
            {"models": ["a"], "to": "x", "fields": {"to": "vip"}},
            "both inside and outside fields",
        ),
        (
            "/control/offers",
            {"models": ["a"], "fields": {"model_ratio": "2"}},
            "model_ratio must be a number",
        ),
        ("/control/fails", {}, "fault is missing"),
        ("/control/fails", {"fault": "reset", "times": True}, "times must be a whole number or null"),
        ("/control/fails", {"fault": "reset", "times": "3"}, "times must be a whole number or null"),
        ("/control/fails", {"fault": "explodes"}, "short-chunked"),
        ("/control/fails", {"fault": "reset", "options": {"a": 1}}, "no argument 'a': write nothing"),
        ("/control/fails", {"fault": "reset", "options": {"self": 1}}, "no argument 'self'"),
        ("/control/shuffles", {"on": 1}, "on must be true or false"),
        ("/control/user", {"name": "carol", "password": 5}, "password must be a string or null"),
    ],
)
def test_an_invalid_control_request_is_400_with_an_example_and_changes_nothing(gateway, path, send, expected):
    before = ask(gateway).body
    reply = post(gateway, path, send)

    assert (reply.status, reply.json()["ok"]) == (400, False)
    assert expected in reply.json()["message"]
    assert path == "/control/explodes" or '{"' in reply.json()["message"]
    assert ask(gateway).body == before


@pytest.mark.parametrize("body", ["{", "[" * 100_000])
def test_control_rejects_invalid_json(gateway, body):
    connection = connected(gateway)

    assert on(connection, "POST", "/control/offers", body=body).status == 400
    assert on(connection, "GET", "/control/offers").status == 400
    connection.close()


def test_a_gateway_without_control_has_no_such_path():
    with Gateway(control=False) as gateway:
        gateway.offers("a")
        reply = post(gateway, "/control/drops", {"models": ["a"]})

        assert (reply.headers.get_content_type(), ask(gateway).ids()) == ("text/html", ["a"])


@pytest.fixture
def recorded(tmp_path):
    """A directory with three recorded answers, a manifest and another file."""
    for number, body in enumerate((b'{"data": [1]}', b"not even JSON \xff", b'{"data":\t[3]}\n')):
        (tmp_path / f"000{number}.json").write_bytes(body)
    (tmp_path / "manifest.json").write_text("{}")
    (tmp_path / "notes.txt").write_text("")
    return tmp_path


def test_a_replay_serves_recorded_answers_in_order_byte_for_byte(recorded):
    """The last one stays."""
    with Gateway(replay=Replay(recorded)) as gateway:
        bodies = [ask(gateway, key="sk-any").body]
        steps = [ask(gateway, "/replay")]
        for _ in range(3):
            steps.append(post(gateway, "/replay/next"))
            bodies.append(ask(gateway).body)

    assert bodies == [b'{"data": [1]}', b"not even JSON \xff", b'{"data":\t[3]}\n', b'{"data":\t[3]}\n']
    assert [step.status for step in steps] == [200, 200, 200, 410]
    assert [step.json() for step in steps[:2]] == [
        {"step": 1, "of": 3, "file": "0000.json"},
        {"step": 2, "of": 3, "file": "0001.json"},
    ]
    assert steps[3].json() == steps[2].json()


def test_faults_and_compression_apply_to_recorded_answers(recorded):
    with Gateway(replay=Replay(recorded)) as gateway:
        gateway.compresses()
        gateway.fails("throttled", times=1)

        assert ask(gateway).status == 429
        assert gzip.decompress(ask(gateway, Accept_Encoding="gzip").body) == b'{"data": [1]}'


def test_a_deleted_recorded_answer_is_an_error(recorded):
    replay = Replay(recorded)
    (recorded / "0000.json").unlink()
    with Gateway(replay=replay) as gateway:
        reply = ask(gateway)

    assert (reply.status, "0000.json" in error(reply)["message"]) == (500, True)


@pytest.mark.parametrize("name", [".", "nowhere"])
def test_a_directory_without_recorded_answers_is_rejected(tmp_path, name):
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(ValueError, match=r"\*\.json"):
        Replay(tmp_path / name)


def test_without_a_replay_its_path_is_unknown(gateway):
    assert ask(gateway, "/replay").headers.get_content_type() == "text/html"


def test_a_stopped_gateway_starts_again_with_the_same_url_and_state(gateway):
    url, before = gateway.url, ask(gateway).ids()
    gateway.stop()
    with pytest.raises(ConnectionRefusedError):
        ask(gateway)
    gateway.start()

    assert (gateway.url, ask(gateway).ids()) == (url, before)


def test_starting_or_stopping_twice_changes_nothing(gateway):
    gateway.start()
    assert ask(gateway).status == 200

    gateway.stop()
    gateway.stop()
    gateway.wait()


def test_a_port_that_is_taken_is_an_error(gateway):
    with pytest.raises(OSError, match="in use"):
        Gateway(int(gateway.url.rpartition(":")[2])).start()
    with pytest.raises(RuntimeError, match="start it"):
        _ = Gateway().url


def ended(threads):
    """Return whether all threads except these end."""
    for thread in set(threading.enumerate()) - threads:
        thread.join(timeout=10)
    return not set(threading.enumerate()) - threads


def test_stopping_closes_idle_connections_and_unfinished_responses():
    before = set(threading.enumerate())
    with Gateway() as gateway:
        idle = connected(gateway)
        on(idle, "GET", "/v1/models")
        gateway.fails("drip", seconds=3600)
        dripping = raw(gateway)
        assert dripping.recv(9) == b"HTTP/1.1 "

    assert ended(before)
    assert idle.sock.recv(1) == b""
    while dripping.recv(4096):
        pass
    idle.close()
    dripping.close()


def test_a_client_that_closes_its_connection_prints_no_error(capfd):
    before = set(threading.enumerate())
    with Gateway() as gateway:
        gateway.fails("huge", megabytes=32, times=1)
        leaving = raw(gateway)
        assert leaving.recv(9) == b"HTTP/1.1 "
        leaving.close()

        assert ask(gateway).status == 200
    assert ended(before)
    assert capfd.readouterr() == ("", "")


def test_many_requests_share_a_connection_though_a_body_is_not_read(gateway):
    connection = connected(gateway)
    bodies = [on(connection, "POST", "/v1/unknown", body="x" * 5000).status]
    first = connection.sock
    bodies += [on(connection, "GET", "/v1/models").status for _ in range(3)]

    assert bodies == [404, 200, 200, 200]
    assert connection.sock is first
    connection.close()


@pytest.mark.parametrize(
    "headers", [{"Content-Length": "9999999999"}, {"Content-Length": "-1"}, {"Transfer-Encoding": "chunked"}]
)
def test_a_body_without_a_valid_length_is_413_and_closes_the_connection(gateway, headers):
    connection = connected(gateway)
    reply = on(connection, "POST", "/control/offers", headers=headers)

    assert (reply.status, reply.headers["Connection"]) == (413, "close")
    connection.close()


def test_the_connection_of_an_http_1_0_client_is_closed_after_the_response(gateway):
    parts = urlsplit(gateway.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=10) as client:
        client.sendall(b"GET /v1/models HTTP/1.0\r\n\r\n")
        answer = b"".join(iter(lambda: client.recv(65536), b""))

    assert json.loads(answer.partition(b"\r\n\r\n")[2])["object"] == "list"


def test_each_response_is_a_whole_list_while_the_offers_change(gateway):
    sizes = []

    def reader():
        connection = connected(gateway)
        sizes.extend(len(on(connection, "GET", "/v1/models").ids()) for _ in range(30))
        connection.close()

    readers = [threading.Thread(target=reader) for _ in range(8)]
    for thread in readers:
        thread.start()
    for _ in range(50):
        gateway.offers("x", "y", "z")
        gateway.drops("x", "y", "z")
    for thread in readers:
        thread.join()

    assert len(sizes) == len(gateway.requests) == 240
    assert set(sizes) <= {2, 5}


def test_the_sample_has_groups_keys_and_users_that_differ():
    with Gateway() as gateway:
        sample(gateway)
        default, vip, limited = (
            ask(gateway, key=f"sk-local-{kind}").ids() for kind in ("default", "vip", "limited")
        )
        names = [user.name for user in gateway.accounts.users]
        entered = [signed_in(gateway, name, f"{name}-local")[0].json()["success"] for name in names]

    assert (len(vip), len(limited), names, entered) == (15, 3, ["alice", "bob"], [True, True])
    assert set(limited) < set(default) < set(vip)


def test_the_examples_of_the_description_work():
    with Gateway() as gateway:
        sample(gateway)
        text = describe(gateway)
        orders = [line.split(f"{gateway.url}")[1] for line in text.splitlines() if "/control/" in line]
        *orders, verbs = orders
        assert all(verb.encode() in ask(gateway, verbs).body for verb in ("offers", "signs_out"))
        for order in orders:
            path, _, body = order.partition(" -d ")
            assert post(gateway, path, json.loads(body.strip("'"))).json() == {"ok": True}

        assert all(key.secret in text for key in gateway.accounts.keys)
        assert len(orders) == 5


def test_the_simulator_imports_only_the_standard_library():
    program = "import sys, pipeline.simulator; print(*sys.modules)"
    run = subprocess.run(
        [sys.executable, "-Sc", program], capture_output=True, text=True, check=True, cwd=ROOT
    )
    others = {name for name in run.stdout.split() if name.partition(".")[0] not in sys.stdlib_module_names}

    assert "pipeline.simulator" in others
    assert {name for name in others if not name.startswith("pipeline.simulator")} == {"pipeline", "__main__"}


def test_a_list_is_cut_by_offset_page_number_and_token(gateway):
    gateway.offers("third")
    gateway.pages("offset", size=2)
    first, second = (ask(gateway, f"/v1/models{query}").json() for query in ("", "?offset=2&limit=2"))
    assert [(page["offset"], page["limit"], page["total"]) for page in (first, second)] == [
        (0, 2, 3),
        (2, 2, 3),
    ]
    assert [len(page["data"]) for page in (first, second)] == [2, 1]
    gateway.pages("full-page", size=2)
    assert "total" not in ask(gateway).json()
    gateway.pages("number", size=2)
    assert ask(gateway, "/v1/models?page=2").json()["pagination"] == {
        "page": 2,
        "page_size": 2,
        "total_pages": 2,
    }
    gateway.pages("token", size=2)
    tokens = [ask(gateway, f"/v1/models{query}").json()["next_page_token"] for query in ("", "?page_token=2")]
    assert tokens == ["2", ""]


def test_a_list_is_cut_with_links_and_whole_again(gateway):
    gateway.offers("third")
    gateway.pages()
    first, second = (ask(gateway, f"/v1/models{query}") for query in ("", "?page=2"))
    assert first.headers["Link"] == '</v1/models?page=1>; rel="first", </v1/models?page=2>; rel="next"'
    assert second.headers["Link"] == '</v1/models?page=1>; rel="first"'
    assert [len(reply.json()) for reply in (first, second)] == [2, 1]
    gateway.pages(None)
    assert len(ask(gateway).ids()) == 3


def test_a_deaf_gateway_sends_its_first_page_always(gateway):
    gateway.pages("offset", size=1, deaf=True)
    assert ask(gateway, "/v1/models?offset=1").body == ask(gateway).body


@pytest.mark.parametrize(
    ("style", "size", "expected"), [("pages", 2, "no style 'pages'"), ("link", 0, "size is 0")]
)
def test_an_unknown_way_to_cut_a_list_is_rejected(gateway, style, size, expected):
    with pytest.raises(ValueError, match=expected):
        gateway.pages(style, size=size)
