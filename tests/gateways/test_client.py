"""The client over real connections: credentials, retries, limits, redirects, validators, proxies."""

import gzip
import json
import socket
import threading
import tracemalloc
from collections import Counter
from contextlib import suppress
from email.utils import formatdate
from functools import partial
from urllib.parse import urlsplit

import brotli
import pytest
from support.e2e import Job, Reply, Scripted, listed

from pipeline.gateways import client
from pipeline.simulator import Gateway

KEYS = {"prod": 'key = "env:PROD"'}


@pytest.fixture(autouse=True, params=["httpx", "wide"])
def connections(request, monkeypatch):
    """Run every test over both transports."""
    monkeypatch.setattr(client, "MANY_SCOPES", 1 if request.param == "wide" else 1000)


@pytest.fixture
def gateway():
    """Return a gateway with two groups, two users and two keys."""
    with Gateway() as gateway:
        gateway.offers("small", "org/large:free")
        gateway.offers("small", "org/large:free", "extra", to="vip")
        gateway.user("ann", password="open sesame", id=7, group="vip", access_token="ann-token-1234")
        gateway.user("ben", password="other words", id=8)
        gateway.key("sk-prod-12345678", group="vip")
        gateway.key("sk-test-12345678")
        yield gateway


@pytest.fixture
def job(tmp_path):
    """Return a home without a config, and the secrets of the users above."""
    return Job(
        tmp_path / "home",
        env={
            "PROD": "sk-prod-12345678",
            "TEST": "sk-test-12345678",
            "TOKEN": "ann-token-1234",
            "PASSWORD": "open sesame",
        },
    )


def scopes(job):
    """Return the status of each scope, by its name without the gateway."""
    return {row["scope"].partition("/")[2]: row for row in job.quick("scopes", "--json").json()}


def error_of_one_run(job):
    """Run once; return the error of the only scope."""
    job.quick("sync", "--quiet")
    (scope,) = scopes(job).values()
    return scope["error"]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_refused_connection_is_reported_in_plain_words(job, gateway, host):
    url = gateway.url.replace("127.0.0.1", host)
    gateway.stop()
    job.asks(url, attempts=1)
    assert error_of_one_run(job)["message"] == f"{url}/v1/models cannot be reached: Connection refused"


def test_an_unknown_name_is_reported_in_plain_words(job):
    job.asks("http://gateway.invalid", attempts=1)
    reason = error_of_one_run(job)["message"].partition(" cannot be reached: ")[2]
    assert reason in ("Name or service not known", "Temporary failure in name resolution")


def test_https_to_a_plain_server_is_reported_with_the_url_to_write(job, gateway):
    address = gateway.url.partition("://")[2]
    job.asks(f"https://{address}", attempts=1)
    cure = f"write http://{address} where `url` has https://"
    place = f"https://{address}/v1/models cannot be reached"
    assert error_of_one_run(job)["message"] == f"{place}: the server speaks no TLS: {cure}"
    assert job.quick("check", "--json").json()[0]["advice"].endswith(cure)


def bearers(gateway):
    return [asked.headers.get("Authorization") for asked in gateway.requests]


def test_each_kind_of_scope_gets_its_own_list(gateway, job):
    _, session = gateway.accounts.sign_in("ann", "open sesame")
    job.env["SESSION"] = f"session={session}"
    job.env["BARE"] = session
    job.asks(
        gateway.url,
        scopes={
            "prod": 'key = "env:PROD"',
            "test": 'key = "env:TEST"',
            "cookie": 'cookie = "env:SESSION"',
            "bare": 'cookie = "env:BARE"',
            "token": 'access_token = "env:TOKEN", user_id = 7',
            "login": 'username = "ann", password = "env:PASSWORD"',
            "public": "",
        },
    )
    assert job.quick("sync").code == 0
    found = scopes(job)
    assert {name: row["models"] for name, row in found.items()} == {
        "prod": 3,
        "test": 2,
        "cookie": 3,
        "bare": 3,
        "token": 3,
        "login": 3,
        "public": 2,
    }
    assert {name: row["auth"] for name, row in found.items()} == {
        "prod": "key",
        "test": "key",
        "cookie": "session",
        "bare": "session",
        "token": "session",
        "login": "session",
        "public": "anonymous",
    }


def test_an_anonymous_scope_sends_no_credential(gateway, job):
    job.asks(gateway.url)
    job.quick("sync")
    (asked,) = gateway.requests
    assert {"authorization", "cookie", "new-api-user"}.isdisjoint(name.lower() for name in asked.headers)


def test_the_user_agent_names_the_program_and_its_version(gateway, job):
    job.asks(gateway.url)
    job.quick("sync")
    (asked,) = gateway.requests
    name, _, version = asked.headers["User-Agent"].partition("/")
    assert (name, version.count(".")) == ("modelwatch", 2)


@pytest.mark.parametrize("kept_in", ["env", "file", "command", "credentials"])
def test_a_secret_is_read_from_each_kind_of_reference(gateway, job, tmp_path, kept_in):
    place = job.home if kept_in == "file" else tmp_path / "credentials"
    for directory in (job.home, place):
        directory.mkdir(exist_ok=True)
    (place / "secret").write_text("sk-prod-12345678\n")
    reference = {
        "env": "env:PROD",
        "file": "file:secret",
        "command": f"command:cat '{place}/secret'",
        "credentials": "file:$CREDENTIALS_DIRECTORY/secret",
    }[kept_in]
    if kept_in == "credentials":
        job.env["CREDENTIALS_DIRECTORY"] = str(place)
    job.asks(gateway.url, scopes={"prod": f"key = {json.dumps(reference)}"})
    assert job.quick("sync").code == 0
    assert bearers(gateway) == ["Bearer sk-prod-12345678"]


@pytest.mark.parametrize(
    ("reference", "part"),
    [
        ("env:NOT_SET", "env:NOT_SET is not set"),
        ("env:EMPTY", "env:EMPTY is empty"),
        ("env:TWO_LINES", "env:TWO_LINES has several lines"),
        ("file:absent", "file: cannot be read"),
        ("command:false", "exited with 1"),
        ("command:/absent/program", "cannot be run"),
        ("command:'", "cannot be run"),
        ("command:true", "is empty"),
    ],
)
def test_a_reference_without_a_usable_secret_sends_nothing(gateway, job, reference, part):
    job.env |= {"EMPTY": "", "TWO_LINES": "sk-one\nsk-two"}
    job.asks(gateway.url, scopes={"prod": f"key = {json.dumps(reference)}"})
    error = error_of_one_run(job)
    assert error["class"] == "Unresolved"
    assert part in error["message"]
    assert gateway.requests == []


@pytest.mark.parametrize(
    ("scope", "part"),
    [
        ('username = "ann", password = "env:PROD"', "ann cannot sign in"),
        ('username = "nobody-here", password = "env:PASSWORD"', "nobody-here cannot sign in"),
        ('access_token = "env:TOKEN", user_id = 8', "names another user"),
        ('access_token = "env:PASSWORD", user_id = 7', "not known"),
        ('key = "env:TOKEN"', "not known"),
    ],
)
def test_a_wrong_credential_is_rejected_at_one_attempt(gateway, job, scope, part):
    job.asks(gateway.url, scopes={"one": scope})
    error = error_of_one_run(job)
    assert error["class"] == "Refused"
    assert part in error["message"]
    assert len(gateway.requests) == 1


def test_a_login_with_a_second_factor_advises_an_access_token(job):
    answer = json.dumps({"success": True, "message": "", "data": {"require_2fa": True}}).encode()
    with Scripted(lambda _: Reply(answer, headers=(("Set-Cookie", "session=half; Path=/"),))) as server:
        job.asks(server.url, scopes={"me": 'username = "ann", password = "env:PASSWORD"'})
        error = error_of_one_run(job)
        assert [asked.path for asked in server.requests] == ["/api/user/login"]
    assert error["class"] == "Refused"
    assert "second factor" in error["message"]
    assert "access token" in error["message"]


@pytest.mark.parametrize(
    "answer",
    [
        {"success": False, "message": "no such user"},
        {"code": 1, "msg": "no such user", "data": None},
        {"code": 40101, "message": "no such user"},
        {"status": "error", "detail": "no such user"},
        {"data": None, "error": {"message": "no such user"}},
    ],
)
def test_a_rejected_login_says_what_the_gateway_says(job, answer):
    with Scripted(lambda _: Reply(json.dumps(answer).encode())) as server:
        job.asks(server.url, scopes={"me": 'username = "ann", password = "env:PASSWORD"'})
        error = error_of_one_run(job)
    assert error == {"class": "Refused", "message": "ann cannot sign in: no such user"}


def test_a_token_outside_the_data_is_not_sent_beside_a_session(job):
    """It may be one against forged requests: https://owasp.org/www-community/attacks/csrf"""

    def reply(asked):
        if asked.method == "GET":
            return Reply(listed("a"))
        answer = {"success": True, "token": "of-a-form", "data": {"id": 7}}
        return Reply(json.dumps(answer).encode(), headers=(("Set-Cookie", "session=abc=="),))

    with Scripted(reply) as server:
        job.asks(server.url, scopes={"me": 'username = "ann", password = "env:PASSWORD"'})
        assert job.quick("sync").code == 0
        assert server.requests[1].headers["Authorization"] is None
        assert server.requests[1].headers["Cookie"] == "session=abc=="


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (Reply(b"<!doctype html><title>Welcome</title>"), "Unreadable"),
        (Reply(b'["success"]'), "Refused"),
        (Reply(b'{"success": true, "data": {"id": 7}}'), "Unreadable"),
        (Reply(b"{}", status=500), "Unreachable"),
        (Reply(b"[" * 100_000), "Unreadable"),
    ],
)
def test_a_login_with_another_answer_fails_before_the_list(job, reply, kind):
    with Scripted(lambda _: reply) as server:
        job.asks(server.url, attempts=1, scopes={"me": 'username = "ann", password = "env:PASSWORD"'})
        assert error_of_one_run(job)["class"] == kind
        assert {asked.path for asked in server.requests} == {"/api/user/login"}


def test_a_bare_padded_session_cookie_is_sent_under_its_name(gateway, job):
    _, session = gateway.accounts.sign_in("ann", "open sesame")
    assert session.endswith("=")
    job.env |= {"BARE": session, "NAMED": f"session={session}"}
    job.asks(gateway.url, scopes={"bare": 'cookie = "env:BARE"', "named": 'cookie = "env:NAMED"'})
    assert job.quick("sync").code == 0
    assert {asked.headers["Cookie"] for asked in gateway.requests} == {f"session={session}"}
    assert {name: row["models"] for name, row in scopes(job).items()} == {"bare": 3, "named": 3}


def test_new_api_gets_the_user_id_beside_a_cookie(gateway, job):
    gateway.runs("new-api-2025")
    _, session = gateway.accounts.sign_in("ann", "open sesame")
    job.env["SESSION"] = session
    inside = 'cookie = "env:SESSION", dialect = "user-models"'
    job.asks(gateway.url, scopes={"with": f"{inside}, user_id = 7", "without": inside})
    job.quick("sync", "--quiet")
    assert scopes(job)["with"]["models"] == 3
    assert "New-Api-User is missing" in scopes(job)["without"]["error"]["message"]


@pytest.mark.parametrize(
    "answer",
    [
        {"success": True, "data": {"access_token": "token-of-ann="}},
        {"success": True, "data": {"token": "token-of-ann=", "access_token": ""}},
        {"success": True, "data": {"accessToken": "token-of-ann="}},
        {"success": True, "data": "token-of-ann="},
        {"success": True, "token": "token-of-ann="},
        {"code": 0, "data": {"token": "token-of-ann="}},
        # https://www.rfc-editor.org/rfc/rfc6749#section-5.1
        {"access_token": "token-of-ann=", "token_type": "bearer"},
    ],
)
def test_a_login_may_answer_with_an_access_token_alone(job, answer):
    answer = json.dumps(answer).encode()

    def reply(asked):
        return Reply(answer) if asked.method == "POST" else Reply(listed("a", note="token-of-ann="))

    inside = 'username = "ann", password = "env:PASSWORD", login_path = "/auth/sign-in", user_id = 7'
    with Scripted(reply) as server:
        job.asks(server.url, scopes={"me": inside})
        assert job.quick("sync").code == 0
        assert [asked.path for asked in server.requests] == ["/auth/sign-in", "/v1/models"]
        asked = server.requests[1]
    assert (asked.headers["Authorization"], asked.headers["Cookie"]) == ("Bearer token-of-ann=", None)
    assert asked.headers["New-Api-User"] == "7"
    assert b"token-of-ann" not in job.database.read_bytes()


def test_a_login_of_new_api_of_2026_works_where_users_may_ask(gateway, job):
    gateway.runs("new-api-2026")
    inside = 'username = "ann", password = "env:PASSWORD"'
    job.asks(
        gateway.url,
        scopes={
            "list": inside,
            "user": f'{inside}, dialect = "user-models"',
            "each": f'{inside}, groups = "all"',
        },
    )
    job.quick("sync", "--quiet")
    found = scopes(job)
    assert (found["user"]["models"], found["each.vip"]["models"], found["each.default"]["models"]) == (
        3,
        3,
        2,
    )
    message = found["list"]["error"]["message"]
    assert found["list"]["error"]["class"] == "Refused"
    assert 'dialect = "user-models"' in message
    assert 'groups = "all"' in message
    assert "valid?" not in message


def test_a_refused_session_is_advised_to_be_renewed_or_to_ask_elsewhere(gateway, job):
    gateway.runs("new-api-2025")
    job.env["SESSION"] = "stale"
    job.asks(gateway.url, scopes={"web": 'cookie = "env:SESSION", user_id = 7'})
    message = error_of_one_run(job)["message"]
    assert "is the sign-in in env:SESSION valid?" in message
    assert 'dialect = "user-models"' in message
    (row,) = job.quick("check", "--json").json()
    assert row["advice"] == message


def test_a_refused_session_without_the_number_of_its_user_names_the_setting(gateway, job, tmp_path):
    """The place of a file is not in the message, which is stored and sent."""
    gateway.runs("new-api-2025")
    (tmp_path / "session").write_text("stale")
    job.asks(gateway.url, scopes={"web": f'cookie = "file:{tmp_path}/session", groups = "all"'})
    message = error_of_one_run(job)["message"]
    assert "is the sign-in valid? On New-API, set `user_id`, the number of the user, beside it" in message
    assert str(tmp_path) not in message


def test_what_to_do_is_not_cut_off_behind_a_long_message(job):
    words = "the gateway says so much " * 40
    with Scripted(lambda _: Reply(json.dumps({"error": words}).encode(), 401)) as server:
        job.asks(server.url, scopes={"web": 'access_token = "env:TOKEN", user_id = 7'})
        job.env["TOKEN"] = "token-123456"
        done = job.quick("run")
    assert '`dialect = "available-models"` (One-API)' in done.stderr
    assert '`dialect = "available-models"` (One-API)' in job.quick("status").stdout


def test_a_cookie_never_travels_with_another_scopes_request(gateway, job):
    """The scopes share one connection."""
    job.asks(
        gateway.url,
        concurrency=1,
        scopes={
            "login": 'username = "ann", password = "env:PASSWORD"',
            "public": "",
            "prod": 'key = "env:PROD"',
        },
    )
    job.quick("sync")
    lists = [asked for asked in gateway.requests if asked.path == "/v1/models"]
    assert Counter("Cookie" in asked.headers for asked in lists) == {True: 1, False: 2}
    assert {name: row["models"] for name, row in scopes(job).items()} == {"login": 3, "public": 2, "prod": 3}


def test_a_cookie_set_by_a_list_is_not_kept(job):
    """It is kept neither within a run nor between two."""
    sets = (("Set-Cookie", "session=stray; Path=/"),)
    with Scripted(lambda _: Reply(listed("a"), headers=sets)) as server:
        job.asks(server.url, concurrency=1, scopes={"one": "", "two": "", "three": 'cookie = "env:PROD"'})
        job.quick("sync")
        job.quick("sync")
        assert Counter(asked.headers.get("Cookie") for asked in server.requests) == {
            None: 4,
            "session=sk-prod-12345678": 2,
        }


def test_concurrency_is_reached_and_never_exceeded(job):
    together, lock, most = threading.Barrier(3), threading.Lock(), [0, 0]

    def answer(_):
        with lock:
            most[0] += 1
            most[1] = max(most)
        together.wait(timeout=10)
        with lock:
            most[0] -= 1
        return Reply(listed("a"))

    with Scripted(answer) as server:
        job.asks(server.url, concurrency=3, scopes={f"s{number}": "" for number in range(12)})
        assert job.quick("sync").code == 0
    assert most == [0, 3]


def test_a_slow_gateway_does_not_delay_another(job):
    others = threading.Semaphore(0)

    def slow(_):
        for _other in range(3):
            assert others.acquire(timeout=10)
        return Reply(listed("a"))

    def quick(_):
        others.release()
        return Reply(listed("b"))

    with Scripted(slow) as one, Scripted(quick) as other:
        job.asks(one.url, name="slow", concurrency=1)
        job.asks(other.url, name="quick", concurrency=1, scopes={"a": "", "b": "", "c": ""})
        assert job.quick("sync").code == 0


@pytest.mark.parametrize(
    "fault", ["reset", "closed", "truncated", "short-chunked", "throttled", "unavailable", "broken"]
)
def test_a_transient_failure_is_retried(gateway, job, fault):
    gateway.fails(fault, times=2)
    job.asks(gateway.url)
    assert job.quick("sync").code == 0
    assert len(gateway.requests) == 3
    assert scopes(job)["public"]["models"] == 2


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("reset", "Unreachable"),
        ("closed", "Unreachable"),
        ("truncated", "Unreachable"),
        ("short-chunked", "Unreachable"),
        ("broken", "Unreachable"),
        ("throttled", "Throttled"),
        ("unavailable", "Unreachable"),
    ],
)
def test_a_lasting_failure_fails_after_all_attempts(gateway, job, fault, kind):
    gateway.fails(fault)
    job.asks(gateway.url, attempts=3)
    assert error_of_one_run(job)["class"] == kind
    assert len(gateway.requests) == 3


def test_a_gateway_that_is_down_for_many_scopes_has_one_attempt_for_each_of_the_others(gateway, job):
    gateway.fails("closed")
    job.asks(gateway.url, attempts=3, concurrency=1, scopes={f"k{number}": "" for number in range(12)})
    job.quick("sync")
    assert len(gateway.requests) == 8 * 3 + 4
    gateway.heals()
    gateway.fails("closed", times=2)
    job.quick("sync")
    assert len(gateway.requests) == 8 * 3 + 4 + 12 + 2


@pytest.mark.parametrize(
    ("fault", "kind", "part"),
    [
        ("refused", "Refused", "answered 401: This key is no longer valid"),
        ("html", "Unreadable", "web page"),
        ("garbage", "Unreadable", "not JSON"),
        ("deep", "Unreadable", "nested"),
        ("unsuccessful", "Unreadable", "success: false"),
        ("error", "Unreadable", "upstream is overloaded"),
        ("null", "Unreadable", "not the list of models"),
        ("missing", "Unreadable", "not the list of models"),
        ("shape", "Unreadable", "not the list of models"),
    ],
)
def test_a_permanent_failure_is_not_retried(gateway, job, fault, kind, part):
    gateway.fails(fault)
    job.asks(gateway.url)
    error = error_of_one_run(job)
    assert error["class"] == kind
    assert part in error["message"]
    assert len(gateway.requests) == 1


@pytest.mark.parametrize(
    "fault",
    [
        "refused",
        "broken",
        "error",
    ],
)
def test_request_ids_are_removed_from_errors(gateway, job, fault):
    gateway.fails(fault)
    job.asks(gateway.url)
    assert "request id" not in error_of_one_run(job)["message"]


@pytest.mark.parametrize(
    ("code", "kind", "tries"),
    [
        (204, "Unreadable", 1),
        (304, "Unreadable", 1),
        (400, "Unreadable", 1),
        (403, "Refused", 1),
        (404, "Unreadable", 1),
        (502, "Unreachable", 2),
        (599, "Unreachable", 2),
    ],
)
def test_a_status_has_its_error_class(gateway, job, code, kind, tries):
    """A 304 to a request without validators is unreadable."""
    gateway.fails("status", code=code)
    job.asks(gateway.url, attempts=2)
    assert error_of_one_run(job)["class"] == kind
    assert len(gateway.requests) == tries


@pytest.mark.parametrize("fault", ["throttled", "unavailable"])
def test_retry_after_is_obeyed(gateway, job, fault):
    gateway.fails(fault, times=1, retry_after=1)
    job.asks(gateway.url)
    done = job.quick("sync", "-v", "--log-format", "json")
    (line,) = done.stderr.splitlines()
    assert json.loads(line)["seconds"] >= 1
    assert len(gateway.requests) == 2


@pytest.mark.parametrize(
    ("status", "after", "kind"),
    [
        (429, "", "Throttled"),
        (429, "0", "Throttled"),
        (503, "0", "Throttled"),
        (503, formatdate(0, usegmt=True), "Throttled"),
        (503, "", "Unreachable"),
        (503, "soon", "Unreachable"),
        (502, "0", "Unreachable"),
    ],
)
def test_only_a_503_that_names_a_time_to_wait_is_a_rate_limit(
    job: Job, status: int, after: str, kind: str
) -> None:
    headers = (("Retry-After", after),) if after else ()
    with Scripted(lambda _: Reply(b"Busy", status, headers)) as server:
        job.asks(server.url, attempts=2, backoff=0)
        error = error_of_one_run(job)
        assert len(server.requests) == 2
    assert error["class"] == kind
    assert ("answered 503 (unavailable): Busy" in error["message"]) == (status == 503)


@pytest.mark.parametrize("after", [0, formatdate(0, usegmt=True), "soon", -1])
def test_retry_after_without_a_usable_wait_retries_at_once(gateway, job, after):
    gateway.fails("throttled", times=1, retry_after=after)
    job.asks(gateway.url)
    assert job.quick("sync").code == 0
    assert len(gateway.requests) == 2


@pytest.mark.parametrize("after", [3600, "9" * 400, formatdate(32503680000, usegmt=True)])
def test_retry_after_beyond_max_wait_fails_at_once(gateway, job, after):
    gateway.fails("throttled", retry_after=after)
    job.asks(gateway.url, max_wait=30)
    assert error_of_one_run(job)["class"] == "Throttled"
    assert len(gateway.requests) == 1


def test_a_silent_gateway_fails_after_the_timeout(gateway, job):
    gateway.fails("latency", seconds=60)
    job.asks(gateway.url, timeout=0.5, attempts=2)
    error = error_of_one_run(job)
    assert error["class"] == "Unreachable"
    assert "within 0.5 s" in error["message"]
    assert len(gateway.requests) == 2


def test_an_endless_answer_fails_at_the_deadline(gateway, job):
    gateway.fails("drip", who="anonymous", seconds=0.05, size=1)
    job.configure("deadline = 0.5\n")
    job.asks(gateway.url, scopes={"public": "", "prod": 'key = "env:PROD"'})
    assert job.quick("sync", "--quiet").code == 3
    found = scopes(job)
    assert found["prod"]["models"] == 3
    assert found["public"]["error"]["class"] == "Unreachable"
    assert "0.5 s" in found["public"]["error"]["message"]


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_over_the_limit_fails_without_a_retry(gateway, job, chunked):
    gateway.fails("huge", megabytes=4, chunked=chunked)
    job.asks(gateway.url, max_body=1_000_000)
    error = error_of_one_run(job)
    assert error["class"] == "Unreadable"
    assert "1,000,000 bytes" in error["message"]
    assert "max_body" in error["message"]
    assert len(gateway.requests) == 1


def test_the_limit_on_a_body_counts_decompressed_bytes(gateway, job):
    gateway.fails("bomb", megabytes=8)
    job.asks(gateway.url, max_body=1_000_000)
    assert "max_body" in error_of_one_run(job)["message"]


def test_a_body_of_exactly_the_limit_is_accepted(gateway, job):
    with Scripted(lambda _: Reply(listed("a", "b"))) as server:
        job.asks(server.url, name="fits", max_body=len(listed("a", "b")))
        job.asks(server.url, name="over", max_body=len(listed("a", "b")) - 1)
        assert job.quick("sync", "--quiet").code == 3
    found = {row["scope"]: row["models"] for row in job.quick("scopes", "--json").json()}
    assert found == {"fits/public": 2, "over/public": None}


def squeezed(body):
    return gzip.compress(body, mtime=0)


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [("gzip", squeezed), ("br", partial(brotli.compress, quality=1))],
    ids=["gzip", "brotli"],
)
def test_a_bomb_is_stopped_before_it_fills_the_memory(job, encoding, pack):
    body = pack(b'{"data": []' + b" " * 48_000_000 + b"}")
    with Scripted(lambda _: Reply(body, headers=(("Content-Encoding", encoding),))) as server:
        job.asks(server.url, max_body=1_000_000)
        tracemalloc.start()
        try:
            error = error_of_one_run(job)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert "max_body" in error["message"]
    assert peak < 24_000_000


def test_a_compressed_answer_is_decompressed(gateway, job):
    gateway.compresses("gzip")
    job.asks(gateway.url)
    assert job.quick("sync").code == 0
    assert scopes(job)["public"]["models"] == 2


@pytest.mark.parametrize(
    ("encoding", "pack"), [("gzip", squeezed), ("br", brotli.compress)], ids=["gzip", "brotli"]
)
def test_each_accepted_encoding_is_decoded(job, encoding, pack):
    with Scripted(lambda _: Reply(pack(listed("a")), headers=(("Content-Encoding", encoding),))) as server:
        job.asks(server.url)
        assert job.quick("sync").code == 0
        (asked,) = server.requests
    assert encoding in asked.headers["Accept-Encoding"]
    assert scopes(job)["public"]["models"] == 1


def test_an_answer_encoded_twice_is_unreadable(job):
    """Repeated headers are joined to one value."""
    twice = (("Content-Encoding", "gzip"), ("Content-Encoding", "gzip"))
    with Scripted(lambda _: Reply(gzip.compress(gzip.compress(listed("a"))), headers=twice)) as server:
        job.asks(server.url)
        assert "encoded as 'gzip, gzip'" in error_of_one_run(job)["message"]


def test_malformed_http_is_not_quoted_in_the_error(job):
    """The quoted part may hold part of a key."""
    with Scripted(lambda _: Reply(listed("a"), headers=(("Note", "letmein-" * 9000 + "\x00"),))) as server:
        job.asks(server.url, scopes=KEYS, attempts=1)
        assert "letmein" not in error_of_one_run(job)["message"]


def test_a_body_not_encoded_as_announced_is_unreadable(job):
    with Scripted(lambda _: Reply(b"\x01\x02 models", headers=(("Content-Encoding", "gzip"),))) as server:
        job.asks(server.url)
        error = error_of_one_run(job)
    assert error["class"] == "Unreadable"
    assert "decompressed" in error["message"]


@pytest.mark.parametrize("encoding", ["gzip", "br", "zstd"])
@pytest.mark.parametrize(
    ("status", "kind", "attempts"),
    [
        (401, "Refused", 1),
        (404, "Unreadable", 1),
        (429, "Throttled", 2),
        (500, "Unreachable", 2),
        (503, "Unreachable", 2),
    ],
)
def test_an_error_that_cannot_be_decompressed_keeps_its_status(job, encoding, status, kind, attempts):
    reply = Reply(b'{"error": {"message": "plain"}}', status, (("Content-Encoding", encoding),))
    with Scripted(lambda _: reply) as server:
        job.asks(server.url, attempts=2, backoff=0)
        error = error_of_one_run(job)
        assert len(server.requests) == attempts
    assert error["class"] == kind
    assert f"answered {status}" in error["message"]


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_a_redirect_on_the_same_host_is_followed_with_the_credentials(gateway, job, code):
    gateway.fails("redirect", times=1, to="/v1/models?page=1", status=code)
    job.asks(gateway.url, scopes=KEYS)
    assert job.quick("sync").code == 0
    assert [asked.path for asked in gateway.requests] == ["/v1/models", "/v1/models?page=1"]
    assert bearers(gateway) == ["Bearer sk-prod-12345678"] * 2


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_redirect_to_another_host_or_port_is_not_followed(gateway, job, host):
    with Gateway() as other:
        other.offers("bait")
        gateway.fails("redirect", to=f"http://{host}:{urlsplit(other.url).port}/v1/models")
        job.asks(gateway.url, scopes=KEYS)
        error = error_of_one_run(job)
        assert other.requests == []
    assert error["class"] == "Unreadable"
    assert "nothing was sent there" in error["message"]
    assert len(gateway.requests) == 1


def test_a_redirected_login_sends_no_password_elsewhere(gateway, job):
    with Gateway() as other:
        gateway.fails("redirect", to=f"{other.url}/api/user/login", status=307, at="/api/user/login")
        job.asks(gateway.url, scopes={"me": 'username = "ann", password = "env:PASSWORD"'})
        assert "nothing was sent there" in error_of_one_run(job)["message"]
        assert other.requests == []


def test_a_user_in_the_target_of_a_redirect_is_ignored(job):
    ways = {"/v1/models": (302, "http://eve:pass@HOST/two"), "/two": (200, "")}

    def answer(question):
        status, to = ways[question.path]
        return Reply(listed("a"), status, (("Location", to.replace("HOST", question.headers["Host"])),))

    with Scripted(answer) as server:
        job.asks(server.url, scopes=KEYS)
        assert job.quick("sync").code == 0
        sent = [asked.headers["Authorization"] for asked in server.requests]
    assert sent == ["Bearer sk-prod-12345678"] * 2


@pytest.fixture
def closing_server():
    """Return the URL of a server that redirects, lists, and closes each connection unannounced."""
    listener = socket.create_server(("127.0.0.1", 0))

    def answer():
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection:
                    # Corked, the end of the connection is sent in the same packet as the answer.
                    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
                    asked = connection.recv(65536)
                    head = (
                        b"HTTP/1.1 200 OK" if b" /two " in asked else b"HTTP/1.1 302 Found\r\nLocation: /two"
                    )
                    body = listed("a")
                    connection.sendall(b"%s\r\nContent-Length: %d\r\n\r\n%s" % (head, len(body), body))

    thread = threading.Thread(target=answer)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()


def test_a_connection_closed_by_the_server_is_not_reused(closing_server, job):
    job.asks(closing_server, attempts=1)
    assert error_of_one_run(job) is None


def test_too_many_redirects_fail(gateway, job):
    gateway.fails("redirect", to="/v1/models")
    job.asks(gateway.url)
    error = error_of_one_run(job)
    assert error["class"] == "Unreadable"
    assert "redirects more than 3 times" in error["message"]
    assert len(gateway.requests) == 4


@pytest.mark.parametrize(
    "to",
    ["http://[", "http://127.0.0.1:99999/", "//", "https://127.0.0.1/", "mailto:a@b.example", "http://a b/"],
)
def test_a_redirect_to_an_invalid_url_fails_only_its_scope(gateway, job, to):
    gateway.fails("redirect", who="anonymous", to=to)
    job.asks(gateway.url, scopes={"public": "", **KEYS})
    assert job.quick("sync", "--quiet").code == 3
    found = scopes(job)
    assert found["prod"]["models"] == 3
    assert found["public"]["error"]["class"] in {"Unreadable", "Unreachable"}


@pytest.mark.parametrize("to", ["file:///etc/passwd", "gopher://a/", "ftp://a/b"])
def test_a_redirect_to_no_web_address_is_named_as_such(gateway, job, to):
    gateway.fails("redirect", to=to)
    job.asks(gateway.url)
    assert job.quick("sync", "--quiet").code == 4
    message = scopes(job)["public"]["error"]["message"]
    assert f"redirects to no web address ({to.partition(':')[0]}:)" in message
    assert "write it as `url`" not in message


@pytest.mark.parametrize("header", ["Date", "Retry-After"])
@pytest.mark.parametrize(
    "value",
    [
        "",
        "yesterday",
        "Mon, 01 Jan 0001 00:00:00 +2359",
        f"Mon, 01 Jan 2024 00:00:00 +{'9' * 30}",
    ],
)
def test_an_invalid_date_header_is_ignored(job, header, value):
    replies = iter((Reply(b"", 429, ((header, value),)), Reply(listed("a"), 200, ((header, value),))))
    with Scripted(lambda _: next(replies)) as server:
        job.asks(server.url)
        assert job.quick("sync").code == 0
    assert scopes(job)["public"]["models"] == 1


def test_an_etag_makes_the_next_request_conditional(gateway, job):
    gateway.tags()
    job.asks(gateway.url)
    assert job.quick("sync").code == 0
    done = job.quick("sync", "-v")
    assert done.code == 0
    assert "local/public: unchanged" in done.stderr
    first, second = gateway.requests
    assert "If-None-Match" not in first.headers
    assert second.headers["If-None-Match"]


def test_a_change_behind_an_etag_is_fetched(gateway, job):
    gateway.tags()
    job.asks(gateway.url)
    job.quick("sync")
    gateway.offers("new")
    job.quick("sync")
    assert scopes(job)["public"]["models"] == 3


@pytest.mark.parametrize("header", ["ETag", "Last-Modified"])
def test_a_validator_that_no_request_can_carry_is_not_stored(job, header):
    with Scripted(lambda _: Reply(listed("a"), headers=((header, '"t\xe9g"'),))) as server:
        job.asks(server.url)
        assert [job.quick("sync").code for _ in range(2)] == [0, 0]
    assert scopes(job)["public"]["error"] is None


def test_validators_are_stored_per_scope(gateway, job):
    gateway.tags()
    job.asks(gateway.url, scopes={"public": "", **KEYS})
    job.quick("sync")
    job.quick("sync")
    tags = [asked.headers["If-None-Match"] for asked in gateway.requests[2:]]
    assert len(set(tags)) == 2


def test_last_modified_makes_the_next_request_conditional(job):
    at = formatdate(1_700_000_000, usegmt=True)

    def answer(asked):
        known = asked.headers.get("If-Modified-Since") == at
        return Reply(status=304) if known else Reply(listed("a"), headers=(("Last-Modified", at),))

    with Scripted(answer) as server:
        job.asks(server.url)
        assert job.quick("sync").code == 0
        assert "unchanged" in job.quick("sync", "-v").stderr


@pytest.mark.parametrize("base", ["", "/", "/v1", "/v1/", "/v1/models", "/v1/models/"])
def test_the_base_may_end_anywhere_in_the_path(gateway, job, base):
    job.asks(gateway.url + base)
    assert job.quick("sync").code == 0
    assert [asked.path for asked in gateway.requests] == ["/v1/models"]


@pytest.mark.parametrize(
    ("base", "path"),
    [("/gate", "/gate/v1/models"), ("/gate/v1", "/gate/v1/models"), ("/gate/v2/", "/gate/v2/models")],
)
def test_the_base_may_have_a_path_of_its_own(job, base, path):
    with Scripted(lambda _: Reply(listed("a"))) as server:
        job.asks(server.url + base)
        assert job.quick("sync").code == 0
        assert [asked.path for asked in server.requests] == [path]


@pytest.mark.parametrize("base", ["", "/v1", "/v1/models"])
def test_a_login_is_sent_to_the_root_of_any_base(gateway, job, base):
    job.asks(gateway.url + base, scopes={"me": 'username = "ann", password = "env:PASSWORD"'})
    assert job.quick("sync").code == 0
    assert [asked.path for asked in gateway.requests] == ["/api/user/login", "/v1/models"]


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_a_proxy_of_the_environment_is_used(job, variable):
    with Scripted(lambda _: Reply(listed("a", "b"))) as proxy:
        job.env[variable] = proxy.url
        job.asks("http://gateway.example")
        assert job.quick("sync").code == 0
        assert [asked.path for asked in proxy.requests] == ["http://gateway.example/v1/models"]
    assert scopes(job)["public"]["models"] == 2


def test_a_proxy_that_wants_a_password_is_named_as_the_cause(job):
    with Scripted(lambda _: Reply(b"denied", status=407)) as proxy:
        job.env["HTTP_PROXY"] = proxy.url
        job.asks("http://gateway.example")
        assert job.quick("sync").code == 4
    error = scopes(job)["public"]["error"]
    assert "answered 407: denied" in error["message"]
    assert "set the proxy of the environment to http://USER:PASSWORD@HOST:PORT" in job.quick("status").stdout


def test_hosts_in_no_proxy_are_asked_directly(gateway, job):
    with Scripted(lambda _: Reply(status=502)) as proxy:
        job.env |= {"HTTP_PROXY": proxy.url, "NO_PROXY": "127.0.0.1"}
        job.asks(gateway.url)
        assert job.quick("sync").code == 0
        assert proxy.requests == []


def test_an_invalid_proxy_is_reported_without_a_traceback(gateway, job):
    job.env["HTTP_PROXY"] = "gopher://127.0.0.1:1"
    job.asks(gateway.url)
    done = job.quick("sync")
    assert "Traceback" not in done.output
    assert done.code in {4, 78}


def test_a_repeated_content_length_is_accepted(job):
    """With aiohttp, which rejects it, the second attempt uses httpx."""
    body = listed("small")
    twice = Reply(body, headers=(("Content-Length", str(len(body))),))
    with Scripted(lambda _question: twice) as server:
        job.asks(server.url, backoff=0)
        assert job.quick("sync").code == 0
    assert scopes(job)["public"]["models"] == 1


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"\xef\xbb\xbfsk-prod-12345678\r\n", None),
        ("sk-prod-12345678\n".encode("utf-16"), "is no text in UTF-8; nothing was sent: save it as UTF-8"),
        ("sk-prod-12345678\n".encode("utf-16-le"), "is no text in UTF-8"),
        (b"sk-\xff\xfe-12345678", "is no text in UTF-8"),
        (b"sk-prod\x0012345678", "is no text in UTF-8"),
        (b"sk-prod-12345678\nsk-test-12345678\n", "has several lines: put the secret alone there"),
        (b"# the key\r\nsk-test-12345678\r\n", "has several lines"),
        (b" \n\t\r\n", "has only blanks; nothing was sent: put the secret there"),
        (b"\xc2\xa0", "has only blanks"),
        (b"\xef\xbb\xbf \n", "has only blanks"),
        (b"", "is empty, so nothing was sent: put the key there"),
        ("sk-prod\u200b-12345678".encode(), "holds characters that no HTTP header can carry"),
    ],
)
def test_a_file_that_an_editor_saved_in_another_way_is_read_or_named(gateway, job, content, problem):
    job.asks(gateway.url, scopes={"prod": 'key = "file:key"'})
    (job.home / "key").write_bytes(content)
    if problem is None:
        assert job.quick("sync").code == 0
        assert bearers(gateway) == ["Bearer sk-prod-12345678"]
        return
    error = error_of_one_run(job)
    assert error["class"] == "Unresolved"
    assert f"file: {problem}" in error["message"]
    assert gateway.requests == []
    checked = job.quick("check").output
    assert f"file: {problem}" in checked
    assert "key" in checked.rpartition("file:")[2]
