"""The reference gateway: who gets which list, how it goes wrong, and how it is steered."""

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
from pipeline.simulator.answers import Answer, Cut, Send, Wait, sent
from pipeline.simulator.faults import Faults


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
    """A connection that stays open."""
    return http.client.HTTPConnection(urlsplit(gateway.url).netloc, timeout=10)


def on(connection, method, path, *, body=None, headers=None):
    """One exchange on an open connection."""
    connection.request(method, path, body=body, headers=headers or {})
    response = connection.getresponse()
    return Reply(response.status, response.msg, response.read())


def ask(gateway, path="/v1/models", *, key=None, method="GET", send=None, **headers):
    """One exchange on a connection of its own; `send` goes as JSON, `New_Api_User=7` as a header."""
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
    """A socket that has asked and not yet read."""
    parts = urlsplit(gateway.url)
    client = socket.create_connection((parts.hostname, parts.port), timeout=10)
    client.sendall(f"GET {path} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode())
    return client


def error(reply):
    return reply.json()["error"]


@pytest.fixture
def gateway():
    """Two groups, two users, three keys."""
    with Gateway() as gateway:
        gateway.offers("small", "org/large:free", to=("default", "vip"))
        gateway.offers("extra", to="vip", owned_by="someone")
        gateway.user("alice", password="open sesame", id=7, access_token="alice-token")
        gateway.user("bob", password="swordfish", id=8, group="vip", access_token="bob-token")
        gateway.key("sk-plain", user="alice")
        gateway.key("sk-grouped", user="alice", group="vip")
        gateway.key("sk-limited", user="bob", models=["extra", "unheard-of"])
        yield gateway


def test_nobody_gets_the_default_group(gateway):
    """A request without a key or a session lists what the default group is offered."""
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
    """The most particular list wins, with or without the `sk-` that people type."""
    assert ask(gateway, key=key).ids() == ids


def test_a_limit_is_told_exactly_even_when_it_is_empty_or_offered_nowhere(gateway):
    """A key's own limit is its list, whatever its group is offered and drops."""
    gateway.key("sk-none", user="bob", models=[])
    gateway.drops("extra")

    assert ask(gateway, key="sk-none").ids() == []
    assert ask(gateway, key="sk-limited").ids() == ["extra", "unheard-of"]


def test_a_record_has_the_documented_fields(gateway):
    """An answer has the servers' envelope, and each record the placeholders that they send."""
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


def test_extra_fields_join_the_record_and_win_over_the_usual_ones(gateway):
    """What is offered with a model is told with it, so that odd records can be made, too."""
    gateway.offers("small", context_length=4096, permission=None, created="long ago")
    record = ask(gateway).json()["data"][0]

    assert (record["context_length"], record["permission"], record["created"]) == (4096, None, "long ago")


@pytest.mark.parametrize(
    ("headers", "status", "said"),
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
def test_whoever_may_not_ask_is_refused_in_the_servers_form(gateway, headers, status, said):
    """Each reason has its own text and status, and no two answers the same request id."""
    for trouble in ("disabled", "expired", "exhausted"):
        gateway.key(f"sk-{trouble}", user="alice", status=trouble)
    gateway.user("mallory", id=9, access_token="mallory-token", status="banned")
    gateway.key("sk-banned", user="mallory")
    first, second = (ask(gateway, **headers) for _ in range(2))

    assert (first.status, error(first)["type"], error(first)["code"]) == (status, "new_api_error", "")
    assert said in error(first)["message"]
    assert "(request id: " in error(first)["message"]
    assert first.body != second.body


@pytest.mark.parametrize("path", ["org/large:free", "org%2Flarge%3Afree"])
def test_one_model_is_found_however_its_id_is_spelled(gateway, path):
    """Slashes and colons stand in the path as they are or percent-encoded."""
    assert ask(gateway, f"/v1/models/{path}").json() == ask(gateway).json()["data"][1]


def test_any_id_is_found_by_its_encoded_spelling(gateway):
    """Signs that mean something to a URL are no trouble when encoded."""
    gateway.offers("a/b@2025-01?c#d e%2F")

    assert ask(gateway, "/v1/models/" + quote("a/b@2025-01?c#d e%2F", safe="")).json()["object"] == "model"


@pytest.mark.parametrize(("key", "found"), [("sk-plain", False), ("sk-grouped", True), ("sk-limited", True)])
def test_one_model_is_found_by_those_whose_list_has_it(gateway, key, found):
    """A model beside the caller's list is an error with the status of a success."""
    reply = ask(gateway, "/v1/models/extra", key=key)

    assert reply.status == 200
    assert reply.json().get("id") == ("extra" if found else None)
    assert found or error(reply)["code"] == "model_not_found"


def test_one_model_is_refused_like_the_list(gateway):
    """An unknown key learns nothing of single models."""
    assert ask(gateway, "/v1/models/small", key="sk-wrong").status == 401


def signed_in(gateway, name="bob", password="swordfish"):
    reply = post(gateway, "/api/user/login", {"username": name, "password": password})
    return reply, (reply.headers["Set-Cookie"] or "").partition(";")[0]


def test_signing_in_sets_a_session_cookie(gateway):
    """A login answers with the user and a cookie that is sent back."""
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
    """Wrong names, passwords and forms are said in the body alone."""
    reply = post(gateway, "/api/user/login", form)

    assert (reply.status, reply.json()["success"], reply.headers["Set-Cookie"]) == (200, False, None)


def test_a_signed_in_user_lists_the_group_of_the_user(gateway):
    """A session, and an access token with or without Bearer, stand for their user."""
    _, cookie = signed_in(gateway)
    vip = ["small", "org/large:free", "extra"]

    assert ask(gateway, Cookie=cookie).ids() == vip
    assert ask(gateway, Cookie=f"theme=dark; {cookie}", New_Api_User=8).ids() == vip
    assert ask(gateway, Authorization="bob-token", New_Api_User=8).ids() == vip
    assert ask(gateway, Authorization="Bearer bob-token", New_Api_User=8).ids() == vip
    assert ask(gateway, Cookie=cookie, New_Api_User=7).status == 401


def test_a_stale_session_silently_gets_the_default_list(gateway):
    """When a session ends, its list turns into nobody's without an error: the trap of these servers."""
    _, cookie = signed_in(gateway)
    gateway.signs_out("bob")

    assert ask(gateway, Cookie=cookie, New_Api_User=8).ids() == ask(gateway).ids()


def test_a_user_sees_groups_and_names(gateway):
    """The user's own endpoints answer a session and an access token alike."""
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


def test_a_group_may_be_kept_to_its_own_users(gateway):
    """A group that is not usable is shown to its members alone."""
    gateway.group("vip", usable=False)

    def groups(token, number):
        return ask(gateway, "/api/user/self/groups", Authorization=token, New_Api_User=number).json()["data"]

    assert "vip" not in groups("alice-token", 7)
    assert "vip" in groups("bob-token", 8)


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
def test_the_users_own_endpoints_refuse_others(gateway, headers, status):
    """The header New-Api-User must name the user, and a key is no access token."""
    reply = ask(gateway, "/api/user/self/groups", **headers)

    assert (reply.status, reply.json()["success"]) == (status, False)


def test_pricing_tells_groups_and_prices(gateway):
    """One call has every model with its groups, ratios and price per call."""
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


def test_status_tells_version_and_start():
    """The status has the time at which the gateway was made."""
    with Gateway(clock=lambda: 1_000_000_000.5) as gateway:
        status = ask(gateway, "/api/status").json()["data"]

    assert (status["start_time"], bool(status["version"])) == (1_000_000_000, True)


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/v1"), ("GET", "/v1/model"), ("POST", "/v1/models"), ("DELETE", "/v1/x/y")]
)
def test_unknown_paths_of_the_interface_are_errors(gateway, method, path):
    """Below /v1 an unknown path answers 404 and names itself."""
    reply = ask(gateway, path, method=method)

    assert (reply.status, error(reply)["message"]) == (404, f"Invalid URL ({method} {path})")


@pytest.mark.parametrize("path", ["/", "/models", "/v1beta/models", "/api/unknown"])
def test_a_wrong_base_url_looks_like_a_success(gateway, path):
    """Any other path answers with a web page and status 200, as the real servers do."""
    reply = ask(gateway, path)

    assert (reply.status, reply.headers.get_content_type()) == (200, "text/html")


def test_head_and_the_slash_too_much(gateway):
    """HEAD is unknown to these servers, and a slash at the end is sent away."""
    assert ask(gateway, method="HEAD").status == 404
    assert ask(gateway, "/v1/models/").headers["Location"] == "/v1/models"


def test_models_come_and_go(gateway):
    """An answer that was kept is forgotten when its list changes."""
    ask(gateway)
    gateway.offers("new", to=["default"])
    assert ask(gateway).ids() == ["small", "org/large:free", "new"]

    gateway.drops("small", of="default")
    assert ask(gateway).ids() == ["org/large:free", "new"]
    assert "small" in ask(gateway, key="sk-grouped").ids()

    gateway.drops("org/large:free")
    assert "org/large:free" not in ask(gateway, key="sk-grouped").ids()


def test_a_key_and_a_user_can_be_changed(gateway):
    """To add one that exists replaces it, and its list follows at once."""
    gateway.key("sk-plain", user="alice", models=["small"])
    gateway.user("bob", group="default", access_token="bob-token")

    assert ask(gateway, key="plain").ids() == ["small"]
    assert ask(gateway, Authorization="bob-token", New_Api_User=8).ids() == ["small", "org/large:free"]


def test_a_model_flaps_for_each_caller_by_turns(gateway):
    """A flapping model is there at every other answer, however many callers share its group."""
    gateway.flaps("org/large:free")
    seen = [("org/large:free" in ask(gateway).ids(), "org/large:free" in ask(gateway, key="plain").ids())]
    seen += [("org/large:free" in ask(gateway).ids(), "org/large:free" in ask(gateway, key="plain").ids())]
    single = ask(gateway, "/v1/models/org/large:free", key="plain")
    gateway.offers("org/large:free")
    steady = [len(ask(gateway).ids()) for _ in range(2)]

    assert seen == [(True, True), (False, False)]
    assert error(single)["code"] == "model_not_found"
    assert steady == [2, 2]


def test_a_fault_does_not_use_up_a_turn_of_flapping(gateway):
    """An answer that nobody got is not counted."""
    gateway.flaps("comet")
    gateway.fails("unavailable", times=1)

    assert [ask(gateway).status, "comet" in ask(gateway).ids()] == [503, True]


def test_shuffling_gives_another_order_each_time(gateway):
    """No two answers running have the same order to the same caller, and all have the same records."""
    gateway.shuffles()
    orders = [(ask(gateway).ids(), ask(gateway, key="plain").ids()) for _ in range(4)]

    for before, after in pairwise(orders):
        assert (before[0] != after[0], before[1] != after[1]) == (True, True)
    assert {tuple(sorted(order)) for both in orders for order in both} == {("org/large:free", "small")}

    gateway.shuffles(on=False)
    assert ask(gateway).ids() == ask(gateway).ids()


def test_noise_is_new_at_each_answer():
    """In noise, records are created now and have permission ids of their own."""
    with Gateway(clock=iter(range(100, 200)).__next__) as gateway:
        gateway.offers("a")
        gateway.noisy()
        (first,), (second,) = (ask(gateway).json()["data"] for _ in range(2))

    assert 100 < first["created"] < second["created"]
    assert first["permission"][0]["created"] == first["created"]
    assert first["permission"][0]["id"] != second["permission"][0]["id"]


def test_a_quiet_gateway_says_the_same_bytes(gateway):
    """Without noise and shuffling two answers are byte for byte the same."""
    assert ask(gateway).body == ask(gateway).body


def test_a_client_that_has_the_list_is_told_so(gateway):
    """With tags, the body's ETag comes back as 304 until the list changes; without, there is none."""
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
def test_answers_are_compressed_for_those_who_accept_it(gateway, accepts, packed):
    """Only a client that named gzip gets it; its ETag is that of the plain body."""
    gateway.tags()
    plain = ask(gateway)
    gateway.compresses("gzip")
    reply = ask(gateway, Accept_Encoding=accepts)

    assert reply.headers["Content-Encoding"] == ("gzip" if packed else None)
    assert (gzip.decompress(reply.body) if packed else reply.body) == plain.body
    assert reply.headers["ETag"] == plain.headers["ETag"]


def test_another_encoding_is_refused(gateway):
    """What cannot be made is said at once."""
    with pytest.raises(ValueError, match="gzip"):
        gateway.compresses("br")


def test_what_was_asked_is_remembered_as_received(gateway):
    """Method, path with its query and headers can be looked up; control is not among it."""
    ask(gateway, "/v1/models?x=%2F", key="sk-plain", X_Custom="Yes")
    post(gateway, "/control/heals")
    (asked,) = gateway.asked

    assert (asked.method, asked.path, asked.headers["authorization"]) == (
        "GET",
        "/v1/models?x=%2F",
        "Bearer sk-plain",
    )
    assert asked.headers["X-Custom"] == "Yes"
    assert "sk-plain" not in repr(asked)


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
def test_an_answer_goes_wrong_as_named(gateway, fault):
    """Each fault that is an answer has the status and body that its name promises, and the next is right."""
    options, status, holds = ANSWERS[fault]
    gateway.fails(fault, times=1, **options)
    connection = connected(gateway)
    reply = on(connection, "GET", "/v1/models")

    assert reply.status == status
    assert holds(reply)
    assert len(on(connection, "GET", "/v1/models").json()["data"]) == 2
    connection.close()


@pytest.mark.parametrize("fault", BREAKS)
def test_a_connection_breaks_as_named(gateway, fault):
    """Each fault of the connection reaches the client as what it is, and the next answer is right."""
    gateway.fails(fault, times=1)
    with pytest.raises(BREAKS[fault]) as caught:
        ask(gateway)

    assert type(caught.value) is BREAKS[fault]
    assert ask(gateway).status == 200


def test_every_fault_is_shown_here():
    """No fault is without an example of what it does."""
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
def test_faults_take_options(gateway, fault, options, status, start):
    """A fault's options change what comes."""
    gateway.fails(fault, **options)
    reply = ask(gateway)

    assert (reply.status, reply.body[: len(start)]) == (status, start)


def steps(fault, **options):
    """The steps that a fault makes of a small right answer."""
    faults = Faults()
    faults.add(fault, options=options)
    return list(faults.take(None, "/")(lambda: Answer(body=b"abcde")))


def test_a_right_answer_leaves_in_one_piece():
    """Head and body are one write, so that they share a segment."""
    (only,) = sent(Answer(body=b"abcde"))

    assert only.data.endswith(b"\r\nContent-Length: 5\r\n\r\nabcde")


def test_slow_faults_are_waits_between_the_right_bytes():
    """Latency waits before a right answer, a drip between pieces of its body."""
    assert [type(step) for step in steps("latency", seconds=9)] == [Wait, Send]
    assert steps("drip", seconds=9, size=2)[1:] == [
        *(Wait(9), Send(b"ab")),
        *(Wait(9), Send(b"cd")),
        *(Wait(9), Send(b"e")),
    ]


def test_broken_connections_are_cuts_after_half_of_the_bytes():
    """A reset sends nothing; a truncated body promises more than it has; a short chunked one never ends."""
    promised, cut = steps("truncated")
    begun, _ = steps("short-chunked")

    assert steps("reset") == [Cut(reset=True)]
    assert promised.data.endswith(b"Content-Length: 5\r\n\r\nab")
    assert cut == Cut()
    assert begun.data.endswith(b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n")


@pytest.mark.parametrize(
    ("fault", "options", "said"),
    [
        ("resett", {}, "short-chunked"),
        ("throttled", {"after": 3}, "retry_after"),
        ("throttled", {"retry_after": True}, "retry_after should be a number or a text or null"),
        ("redirect", {}, "to is missing"),
        ("status", {"code": 99}, "200 to 599"),
        ("broken", {"status": 1000}, "200 to 599"),
        ("huge", {"megabytes": 10**6}, "the most"),
        ("deep", {"levels": -1}, "cannot be made"),
        ("drip", {"size": 0}, "one byte"),
        ("reset", {"times": 0}, "how many"),
    ],
)
def test_a_fault_that_cannot_be_made_says_what_can(gateway, fault, options, said):
    """A wrong name, option or value is refused with the right ones, and changes nothing."""
    with pytest.raises(ValueError, match=said):
        gateway.fails(fault, **options)

    assert ask(gateway).status == 200


def test_a_fault_is_aimed(gateway):
    """A fault hits one key, one signed-in user or nobody, and leaves the others alone."""
    alice = {"Authorization": "alice-token", "New_Api_User": 7}
    statuses = {}
    for who in ("plain", "alice", "nobody"):
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
        "nobody": [200, 200, 503, 200],
    }


def test_a_fault_may_keep_to_one_path(gateway):
    """With `at`, the other endpoints stay right."""
    gateway.fails("broken", at="/api/pricing")

    assert [ask(gateway, "/api/pricing?x=1").status, ask(gateway).status] == [500, 200]


def test_a_login_meets_the_faults_of_everyone_alone(gateway):
    """What befalls nobody does not keep users from signing in."""
    gateway.fails("broken", who="nobody")
    assert signed_in(gateway)[0].status == 200

    gateway.fails("broken")
    assert signed_in(gateway)[0].status == 500


def test_faults_queue_up_and_run_out(gateway):
    """Faults with `times` come one after the other, and then all is well."""
    gateway.fails("throttled", times=1)
    gateway.fails("unavailable", times=2)

    assert [ask(gateway).status for _ in range(4)] == [429, 503, 503, 200]


def test_an_endless_fault_makes_room_for_the_next_of_its_aim(gateway):
    """The last word counts; a more particular aim goes first."""
    gateway.fails("unavailable")
    gateway.fails("broken")
    gateway.fails("refused", who="plain")

    assert [ask(gateway).status, ask(gateway, key="plain").status] == [500, 401]


def test_healing_ends_the_faults_of_one_or_of_all(gateway):
    """To heal one leaves what befalls everyone."""
    gateway.fails("unavailable")
    gateway.fails("refused", who="plain")

    gateway.heals("sk-plain")
    assert ask(gateway, key="plain").status == 503

    gateway.heals()
    assert ask(gateway, key="plain").status == 200


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda gateway: gateway.fails("reset", who="sk-mistyped"), "neither a key"),
        (lambda gateway: gateway.heals("sk-mistyped"), "neither a key"),
        (lambda gateway: gateway.key("sk-new", user="carol"), "alice, bob"),
        (lambda gateway: gateway.key("sk-", user="alice"), "blank"),
        (lambda gateway: gateway.key("sk-new", status="gone"), "disabled"),
        (lambda gateway: gateway.user("nobody"), "nobody"),
        (lambda gateway: gateway.user("carol", id=7), "free"),
        (lambda gateway: gateway.user("carol", status="gone"), "banned"),
        (lambda gateway: gateway.signs_out("carol"), "alice, bob"),
        (lambda gateway: gateway.offers(to="vip"), "at least one"),
        (lambda gateway: gateway.drops("small", "extra", of="default"), "'extra' is not offered to default"),
        (lambda gateway: gateway.drops("smal"), "not offered"),
        (lambda gateway: gateway.flaps(), "at least one"),
    ],
)
def test_a_slip_in_the_script_is_said_and_changes_nothing(gateway, change, said):
    """Unknown names are refused, a key that may be mistyped is not repeated."""
    with pytest.raises(ValueError, match=said) as caught:
        change(gateway)

    assert "mistyped" not in str(caught.value)
    assert ask(gateway).ids() == ["small", "org/large:free"]


def test_control_does_what_the_verbs_do(gateway):
    """A person with curl has the verbs of Python, with their arguments as JSON."""
    orders = [
        ("offers", {"models": ["a/b"], "to": "vip", "fields": {"owned_by": "x", "context_length": 5}}),
        ("offers", {"models": "c", "to": ["vip", "default"]}),
        ("drops", {"models": ["small"], "of": "vip"}),
        ("user", {"name": "carol", "password": "xyzzy", "id": 11, "group": "vip"}),
        ("key", {"key": "sk-carol", "user": "carol"}),
        ("key", {"key": "sk-short", "user": "carol", "models": ["c"]}),
        ("fails", {"fault": "throttled", "who": "sk-plain", "times": 1, "options": {"retry_after": 2}}),
    ]
    replies = [post(gateway, f"/control/{verb}", arguments) for verb, arguments in orders]
    rows = ask(gateway, key="sk-carol").json()["data"]

    assert [(reply.status, reply.json()) for reply in replies] == [(200, {"ok": True})] * len(orders)
    assert [row["id"] for row in rows] == ["org/large:free", "extra", "a/b", "c"]
    assert (rows[2]["owned_by"], rows[2]["context_length"]) == ("x", 5)
    assert ask(gateway, key="sk-short").ids() == ["c"]
    assert ask(gateway, key="plain").headers["Retry-After"] == "2"


def test_control_switches_without_a_body(gateway):
    """What needs no argument needs no body."""
    for verb in ("shuffles", "noisy", "tags", "compresses", "heals"):
        assert post(gateway, f"/control/{verb}").json() == {"ok": True}
    reply = ask(gateway, Accept_Encoding="gzip")

    assert (reply.headers["Content-Encoding"], "ETag" in reply.headers) == ("gzip", True)
    assert post(gateway, "/control/compresses", {"encoding": None}).json() == {"ok": True}
    assert ask(gateway, Accept_Encoding="gzip").headers["Content-Encoding"] is None


@pytest.mark.parametrize(
    ("path", "send", "said"),
    [
        ("/control/explodes", {}, "offers, drops"),
        ("/control/offers", ["a"], "not a JSON object"),
        ("/control/offers", {}, "at least one"),
        ("/control/offers", {"models": [1]}, "models should be a text or a list of texts or null"),
        ("/control/offers", {"models": ["a"], "too": "vip"}, "no 'too' here"),
        ("/control/offers", {"models": ["a"], "fields": "x"}, "fields should be an object"),
        ("/control/offers", {"models": ["a"], "to": "x", "fields": {"to": "vip"}}, "in fields and beside it"),
        (
            "/control/offers",
            {"models": ["a"], "fields": {"model_ratio": "2"}},
            "model_ratio should be a number",
        ),
        ("/control/fails", {}, "fault is missing"),
        ("/control/fails", {"fault": "reset", "times": True}, "times should be a whole number or null"),
        ("/control/fails", {"fault": "reset", "times": "3"}, "times should be a whole number or null"),
        ("/control/fails", {"fault": "explodes"}, "short-chunked"),
        ("/control/fails", {"fault": "reset", "options": {"a": 1}}, "no 'a' here: write nothing"),
        ("/control/fails", {"fault": "reset", "options": {"self": 1}}, "no 'self' here"),
        ("/control/shuffles", {"on": 1}, "on should be true or false"),
        ("/control/user", {"name": "carol", "password": 5}, "password should be a text or null"),
    ],
)
def test_control_says_what_is_wrong_and_what_to_send(gateway, path, send, said):
    """A slip answers 400 with the known names or an example, and changes nothing."""
    before = ask(gateway).body
    reply = post(gateway, path, send)

    assert (reply.status, reply.json()["ok"]) == (400, False)
    assert said in reply.json()["message"]
    assert path == "/control/explodes" or '{"' in reply.json()["message"]
    assert ask(gateway).body == before


@pytest.mark.parametrize("body", ["{", "[" * 100_000])
def test_control_survives_what_is_no_json(gateway, body):
    """Half a body and a very deep one are slips like others."""
    connection = connected(gateway)

    assert on(connection, "POST", "/control/offers", body=body).status == 400
    assert on(connection, "GET", "/control/offers").status == 400
    connection.close()


def test_control_can_be_left_out():
    """A gateway without control has no such path: it answers with its web page."""
    with Gateway(control=False) as gateway:
        gateway.offers("a")
        reply = post(gateway, "/control/drops", {"models": ["a"]})

        assert (reply.headers.get_content_type(), ask(gateway).ids()) == ("text/html", ["a"])


@pytest.fixture
def recorded(tmp_path):
    """Three answers, a manifest and a note."""
    for number, body in enumerate((b'{"data": [1]}', b"not even JSON \xff", b'{"data":\t[3]}\n')):
        (tmp_path / f"000{number}.json").write_bytes(body)
    (tmp_path / "manifest.json").write_text("{}")
    (tmp_path / "notes.txt").write_text("")
    return tmp_path


def test_a_replay_goes_step_by_step_and_byte_by_byte(recorded):
    """Recorded answers come in the order of their names, whatever the key, and the last one stays."""
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


def test_a_replay_fails_and_compresses_like_any_list(recorded):
    """Faults and encodings are the same for recorded answers."""
    with Gateway(replay=Replay(recorded)) as gateway:
        gateway.compresses()
        gateway.fails("throttled", times=1)

        assert ask(gateway).status == 429
        assert gzip.decompress(ask(gateway, Accept_Encoding="gzip").body) == b'{"data": [1]}'


def test_a_recorded_answer_that_is_gone_is_an_error(recorded):
    """Files are read when they are asked for; one that is gone by then is said to be."""
    replay = Replay(recorded)
    (recorded / "0000.json").unlink()
    with Gateway(replay=replay) as gateway:
        reply = ask(gateway)

    assert (reply.status, "0000.json" in error(reply)["message"]) == (500, True)


@pytest.mark.parametrize("name", [".", "nowhere"])
def test_a_folder_without_answers_is_refused(tmp_path, name):
    """An empty folder and one that is not there say what was looked for."""
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(ValueError, match=r"\*\.json"):
        Replay(tmp_path / name)


def test_without_a_replay_there_is_no_such_path(gateway):
    """Only a gateway with recorded answers tells their steps."""
    assert ask(gateway, "/replay").headers.get_content_type() == "text/html"


def test_stopping_frees_the_port_and_starting_takes_it_again(gateway):
    """The script outlives a stop, and the URL stays the same."""
    url, before = gateway.url, ask(gateway).ids()
    gateway.stop()
    with pytest.raises(ConnectionRefusedError):
        ask(gateway)
    gateway.start()

    assert (gateway.url, ask(gateway).ids()) == (url, before)


def test_starting_and_stopping_twice_does_no_harm(gateway):
    """A gateway that runs is left running, one that stands left standing."""
    gateway.start()
    assert ask(gateway).status == 200

    gateway.stop()
    gateway.stop()
    gateway.wait()


def test_a_port_that_is_taken_is_an_error(gateway):
    """Two gateways cannot share a port, and one without a port has no URL."""
    with pytest.raises(OSError, match="in use"):
        Gateway(int(gateway.url.rpartition(":")[2])).start()
    with pytest.raises(RuntimeError, match="start it"):
        _ = Gateway().url


def ended(threads):
    """Whether all threads that are not among these come to their end."""
    for thread in set(threading.enumerate()) - threads:
        thread.join(timeout=10)
    return not set(threading.enumerate()) - threads


def test_stopping_hangs_up_on_idle_and_waiting_clients():
    """Neither a connection that is kept open nor one in the middle of an answer outlives a stop."""
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


def test_a_client_that_goes_away_makes_no_noise(capfd):
    """A client that leaves in the middle of an answer is no error of the gateway."""
    before = set(threading.enumerate())
    with Gateway() as gateway:
        gateway.fails("huge", megabytes=32, times=1)
        leaving = raw(gateway)
        assert leaving.recv(9) == b"HTTP/1.1 "
        leaving.close()

        assert ask(gateway).status == 200
    assert ended(before)
    assert capfd.readouterr() == ("", "")


def test_connections_are_kept_and_requests_stay_apart(gateway):
    """Many requests share a connection, a body that nobody reads does not spoil the next."""
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
def test_a_body_that_is_not_taken_ends_the_connection(gateway, headers):
    """A body without a sensible length is refused before it is read."""
    connection = connected(gateway)
    reply = on(connection, "POST", "/control/offers", headers=headers)

    assert (reply.status, reply.headers["Connection"]) == (413, "close")
    connection.close()


def test_an_old_client_gets_an_end(gateway):
    """To HTTP/1.0 the end of the connection is the end of the answer."""
    parts = urlsplit(gateway.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=10) as client:
        client.sendall(b"GET /v1/models HTTP/1.0\r\n\r\n")
        answer = b"".join(iter(lambda: client.recv(65536), b""))

    assert json.loads(answer.partition(b"\r\n\r\n")[2])["object"] == "list"


def test_many_ask_while_the_world_changes(gateway):
    """Every answer is a whole list as it was at one moment."""
    seen = []

    def reader():
        connection = connected(gateway)
        seen.extend(len(on(connection, "GET", "/v1/models").ids()) for _ in range(30))
        connection.close()

    readers = [threading.Thread(target=reader) for _ in range(8)]
    for thread in readers:
        thread.start()
    for _ in range(50):
        gateway.offers("x", "y", "z")
        gateway.drops("x", "y", "z")
    for thread in readers:
        thread.join()

    assert len(seen) == len(gateway.asked) == 240
    assert set(seen) <= {2, 5}


def test_the_sample_is_worth_looking_at():
    """The sample has two groups that differ, three keys that work, and users who can sign in."""
    with Gateway() as gateway:
        sample(gateway)
        default, vip, limited = (
            ask(gateway, key=f"sk-local-{kind}").ids() for kind in ("default", "vip", "limited")
        )
        names = [user.name for user in gateway.accounts.users]
        entered = [signed_in(gateway, name, f"{name}-local")[0].json()["success"] for name in names]

    assert (len(vip), len(limited), names, entered) == (15, 3, ["alice", "bob"], [True, True])
    assert set(limited) < set(default) < set(vip)


def test_the_description_can_be_followed():
    """Every line that the terminal shows to try is one that the gateway understands."""
    with Gateway() as gateway:
        sample(gateway)
        text = describe(gateway)
        orders = [line.split(f"{gateway.url}")[1] for line in text.splitlines() if "/control/" in line]
        for order in orders:
            path, _, body = order.partition(" -d ")
            assert post(gateway, path, json.loads(body.strip("'"))).json() == {"ok": True}

        assert all(key.secret in text for key in gateway.accounts.keys)
        assert len(orders) == 4


def test_the_gateway_needs_the_standard_library_alone():
    """To import it loads nothing that is not Python's or its own."""
    program = "import sys, pipeline.gateway; print(*sys.modules)"
    run = subprocess.run(
        [sys.executable, "-Sc", program], capture_output=True, text=True, check=True, cwd=ROOT
    )
    others = {name for name in run.stdout.split() if name.partition(".")[0] not in sys.stdlib_module_names}

    assert "pipeline.gateway" in others
    assert {name for name in others if not name.startswith("pipeline.gateway")} == {"pipeline", "__main__"}
