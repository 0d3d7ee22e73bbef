"""The requests that a config describes: headers, parameters, place of the key, a path with a query, POST."""

from __future__ import annotations

import json
import sqlite3
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from support.e2e import Done, Job, Question, Reply, Scripted, listed

KEY = "kv/9+secret=value"
ORG = "org-1234567890"


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(tmp_path / "home", {"KEY": KEY, "ORG": ORG})


def configured(job: Job, server: Scripted, settings: str, scope: str = 'key = "env:KEY"') -> None:
    table = f'[gateways.g]\nurl = "{server.url}"\nattempts = 1\nbackoff = 0\n{settings}\n'
    job.configure(f"{table}[gateways.g.scopes]\ns = {{ {scope} }}\n")


def ran(job: Job) -> Done:
    done = job.quick("run")
    assert (done.code, done.output) == (0, "")
    return done


def query(question: Question) -> list[tuple[str, str]]:
    return parse_qsl(urlsplit(question.path).query, keep_blank_values=True)


def answering(body: bytes = listed("lyra", "vega")) -> Callable[[Question], Reply]:
    return lambda _: Reply(body)


def test_headers_and_params_are_sent_with_their_secrets_resolved(job: Job) -> None:
    settings = 'headers = { "X-Org" = "env:ORG", Accept = "text/json" }\nparams = { type = "chat", n = 5 }'
    with Scripted(answering()) as server:
        configured(job, server, settings)
        ran(job)
        (asked,) = server.requests
    assert (asked.headers["X-Org"], asked.headers["Accept"]) == (ORG, "text/json")
    assert asked.headers["Authorization"] == f"Bearer {KEY}"
    assert query(asked) == [("type", "chat"), ("n", "5")]


def test_a_scope_adds_headers_and_params_to_those_of_its_gateway_and_replaces_others(job: Job) -> None:
    settings = 'headers = { "X-Org" = "a", "X-Team" = "b" }\nparams = { type = "chat" }\npath = "/all"'
    scope = 'headers = { "x-org" = "c" }, params = { type = "embed", beta = true }, path = "/other"'
    with Scripted(answering()) as server:
        configured(job, server, settings, scope)
        ran(job)
        (asked,) = server.requests
    assert (asked.headers.get_all("x-org"), asked.headers["X-Team"]) == (["c"], "b")
    assert asked.path == "/other?type=embed&beta=true"


SCHEMES = [
    pytest.param('key_scheme = "Token"', "Authorization", f"Token {KEY}", id="Token"),
    pytest.param('key_scheme = "raw"', "Authorization", KEY, id="raw"),
    pytest.param(
        'key_scheme = "Basic"', "Authorization", f"Basic {b64encode(f'{KEY}:'.encode()).decode()}", id="Basic"
    ),
    pytest.param('key_header = "x-api-key"', "x-api-key", KEY, id="header"),
    pytest.param(
        'key_header = "x-auth"\nkey_scheme = "Key"', "x-auth", f"Key {KEY}", id="a scheme in another header"
    ),
    pytest.param('key_header = "authorization"', "Authorization", f"Bearer {KEY}", id="in lower case"),
]


@pytest.mark.parametrize(("settings", "header", "value"), SCHEMES)
def test_a_key_is_sent_in_the_header_and_with_the_scheme_of_the_config(
    job: Job, settings: str, header: str, value: str
) -> None:
    with Scripted(answering()) as server:
        configured(job, server, settings)
        ran(job)
        (asked,) = server.requests
    assert asked.headers.get_all(header) == [value]
    assert (asked.headers["Authorization"] is None) == (header != "Authorization")


def test_a_user_and_password_in_one_reference_are_sent_as_basic_authentication(job: Job) -> None:
    job.env["KEY"] = "user:pass word"
    with Scripted(answering()) as server:
        configured(job, server, 'key_scheme = "Basic"')
        ran(job)
        (asked,) = server.requests
    assert asked.headers["Authorization"] == f"Basic {b64encode(b'user:pass word').decode()}"


def everything(job: Job) -> str:
    """Return all that the program stores and prints about its scope."""
    with sqlite3.connect(job.database) as database:
        dump = "\n".join(database.iterdump())
    printed = "".join(
        job.quick(*words).output for words in (("run", "-vv"), ("check",), ("scopes", "--json"))
    )
    return dump + printed + "".join(map(str, job.written().values()))


def forms(secret: str) -> list[str]:
    """Return a secret as texts may have it."""
    return [secret, secret.replace("/", "%2F").replace("+", "%2B").replace("=", "%3D"), json.dumps(secret)]


def test_a_key_in_the_query_is_sent_with_each_request_and_shown_nowhere(job: Job) -> None:
    """The gateway quotes the address with the key in its pages, a `Link`, an error and a redirect."""

    def answer(question: Question) -> Reply:
        url = f"{server.url}{question.path}"
        path, page = urlsplit(question.path).path, dict(query(question)).get("page")
        if page == "2":
            link = (("Link", f'<{server.url}/v1/models?page=3>; rel="next"'),)
            return Reply(listed("vega", seen=url), headers=link)
        if page == "3":
            return Reply(listed("rigel", seen=url))
        if path == "/v1/models":
            return Reply(status=302, headers=(("Location", "/moved"),))
        link = (("Link", f'<{url}&page=2>; rel="next"'),)
        return Reply(listed("lyra", seen=url), headers=link)

    with Scripted(answer) as server:
        configured(job, server, 'key_param = "api-key"\nparams = { org = "env:ORG" }')
        ran(job)
        for asked in server.requests:
            assert dict(query(asked))["api-key"] == KEY
            assert dict(query(asked))["org"] == ORG
            assert len(query(asked)) == len(dict(query(asked)))
            assert asked.headers["Authorization"] is None
        assert [row["model"] for row in job.quick("models", "--json").json()] == ["lyra", "rigel", "vega"]
        server._answer = lambda question: Reply(
            json.dumps({"error": f"bad {server.url}{question.path}"}).encode(), status=400
        )
        stored = everything(job)
    for secret in (KEY, ORG):
        assert not any(form in stored for form in forms(secret))
    assert "answered 400: bad" in stored


@pytest.mark.parametrize("key", [KEY, "short-1"])
@pytest.mark.parametrize("place", ["Link", "next"])
def test_the_last_page_may_name_its_own_address_with_the_key(job: Job, place: str, key: str) -> None:
    """As servers do that write the address of the last page as the next one, with the query as it came."""

    def answer(question: Question) -> Reply:
        asked = dict(query(question))
        url = f"/v1/models?{urlencode({'key': asked['key'], 'page': 2})}"
        rows = [{"id": "vega" if "page" in asked else "lyra"}]
        link = (("Link", f"<{url}>; rel=next"),) if place == "Link" else ()
        return Reply(json.dumps({"data": rows} | ({} if link else {"next": url})).encode(), headers=link)

    job.env["KEY"] = key
    with Scripted(answer) as server:
        settings = "" if place == "Link" else '\npath = "/v1/models?page=2"'
        configured(job, server, f'key_param = "key"{settings}')
        ran(job)
        asked = [sorted(query(each)) for each in server.requests]
    pages = [[("key", key)], [("key", key), ("page", "2")]]
    assert asked == (pages if place == "Link" else pages[1:])


def test_pages_may_be_counted_from_0(job: Job) -> None:
    """As Spring does: https://docs.spring.io/spring-data/rest/reference/paging-and-sorting.html"""
    ids = [f"lyra-{number}" for number in range(5)]

    def answer(question: Question) -> Reply:
        at = int(dict(query(question))["page"]) * 2
        return Reply(json.dumps({"data": [{"id": each} for each in ids[at : at + 2]], "sheets": 3}).encode())

    with Scripted(answer) as server:
        configured(job, server, 'paging = { param = "page", pages = "sheets" }')
        done = job.quick("run")
        assert done.code == 4
        assert "page 3 is empty although the one before announces it: if the gateway counts pages from 0" in (
            done.stderr
        )
        configured(job, server, 'paging = { param = "page", pages = "sheets", first = 0 }')
        assert job.quick("run").code == 0
    assert [row["model"] for row in job.quick("models", "--json").json()] == ids


def test_the_path_of_a_config_is_below_a_url_that_ends_with_a_list(job: Job) -> None:
    with Scripted(answering()) as server:
        configured(job, server, 'path = "/v2/catalog"')
        job.configure(job.config.read_text().replace(server.url, f"{server.url}/v1/models"))
        ran(job)
        assert [asked.path for asked in server.requests] == ["/v2/catalog"]


def test_a_key_in_the_query_is_carried_to_no_other_host(job: Job) -> None:
    with Scripted(answering()) as other:
        moved = Reply(status=302, headers=(("Location", f"{other.url}/v1/models"),))
        with Scripted(lambda _: moved) as server:
            configured(job, server, 'key_param = "key"')
            done = job.quick("run")
        assert done.code == 4
        assert other.requests == []
        assert KEY not in done.output


def test_a_cursor_that_is_a_url_with_the_masked_key_sends_the_key(job: Job) -> None:
    def answer(question: Question) -> Reply:
        asked = dict(query(question))
        following = f"{server.url}/v1/models?key={asked['key']}&at=9"
        rows = [{"id": "vega" if "at" in asked else "lyra"}]
        return Reply(json.dumps({"data": rows, "next": None if "at" in asked else following}).encode())

    job.env["KEY"] = "plain-secret-123"
    with Scripted(answer) as server:
        configured(job, server, 'key_param = "key"\npaging = { param = "at", next = "next" }')
        ran(job)
        assert [query(asked) for asked in server.requests] == [
            [("key", "plain-secret-123")],
            [("at", "9"), ("key", "plain-secret-123")],
        ]


def test_a_path_with_a_query_is_combined_with_the_parameters_of_pages(job: Job) -> None:
    def answer(question: Question) -> Reply:
        asked = dict(query(question))
        page = int(asked["page"])
        return Reply(json.dumps({"data": [{"id": f"lyra-{page}"}], "pages": 2}).encode())

    settings = 'path = "/models?type=chat&page=7"\nparams = { sort = "id" }'
    with Scripted(answer) as server:
        configured(job, server, f'{settings}\npaging = {{ param = "page", pages = "pages", size = "n=50" }}')
        ran(job)
        assert [(urlsplit(asked.path).path, query(asked)) for asked in server.requests] == [
            ("/models", [("type", "chat"), ("sort", "id"), ("n", "50"), ("page", "1")]),
            ("/models", [("type", "chat"), ("sort", "id"), ("n", "50"), ("page", "2")]),
        ]


def test_a_path_with_a_query_is_combined_with_an_offset_that_is_followed(job: Job) -> None:
    def answer(question: Question) -> Reply:
        offset = int(dict(query(question)).get("offset", 0))
        rows = [{"id": f"lyra-{number}"} for number in range(offset, min(offset + 2, 3))]
        return Reply(json.dumps({"data": rows, "offset": offset, "limit": 2, "total": 3}).encode())

    with Scripted(answer) as server:
        configured(job, server, 'path = "/models?type=chat"')
        ran(job)
        assert [query(asked)[0] for asked in server.requests] == [("type", "chat")] * 2
        assert query(server.requests[1])[1:] == [("offset", "2"), ("limit", "2")]


def test_a_live_lookup_has_the_query_of_the_path_and_the_headers(job: Job) -> None:
    def answer(question: Question) -> Reply:
        is_list = urlsplit(question.path).path == "/models"
        return Reply(listed("lyra") if is_list else b'{"id": "lyra", "object": "model"}')

    with Scripted(answer) as server:
        configured(job, server, 'path = "/models?type=chat"\nheaders = { "X-Org" = "env:ORG" }')
        ran(job)
        assert job.quick("show", "lyra", "--live").code == 0
        asked = server.requests[-1]
    assert (asked.path, asked.headers["X-Org"]) == ("/models/lyra?type=chat", ORG)


def test_a_list_is_requested_by_post_with_the_page_in_the_body(job: Job) -> None:
    """As Clarifai's search of models: https://docs.clarifai.com/resources/api-references/search/"""

    def answer(question: Question) -> Reply:
        page = json.loads(question.body)["pagination"]["page"]
        body = {"status": {"code": 10000}, "models": [{"id": f"lyra-{page}"}], "pages": 2}
        return Reply(json.dumps(body).encode(), headers=(("ETag", '"1"'),))

    settings = (
        'path = "/v2/models/searches"\nmethod = "POST"\nkey_scheme = "Key"\n'
        'body = { searches = [{ model = { use_cases = ["llm"] } }], pagination = { page = 9 } }\n'
        'paging = { param = "pagination.page", pages = "pages", size = "pagination.per_page=100" }'
    )
    with Scripted(answer) as server:
        configured(job, server, settings)
        ran(job)
        ran(job)
        asked = [(each.method, each.path, json.loads(each.body)) for each in server.requests]
        assert {each.headers["If-None-Match"] for each in server.requests} == {None}
        assert server.requests[0].headers["Authorization"] == f"Key {KEY}"
    searches = [{"model": {"use_cases": ["llm"]}}]
    pages = [
        ("POST", "/v2/models/searches", {"searches": searches, "pagination": {"page": page, "per_page": 100}})
        for page in (1, 2)
    ]
    assert asked == pages * 2


def test_a_cursor_in_a_body_keeps_its_letters(job: Job) -> None:
    def answer(question: Question) -> Reply:
        at = json.loads(question.body).get("token")
        rows = [{"id": "vega" if at else "lyra"}]
        return Reply(json.dumps({"data": rows, "next": None if at else "0017"}).encode())

    with Scripted(answer) as server:
        configured(job, server, 'method = "POST"\npaging = { param = "token", next = "next", size = "n=5" }')
        ran(job)
        assert [json.loads(each.body) for each in server.requests] == [{"n": 5}, {"n": 5, "token": "0017"}]


def test_an_unresolved_reference_in_a_header_sends_nothing(job: Job) -> None:
    with Scripted(answering()) as server:
        configured(job, server, 'headers = { "X-Org" = "env:ABSENT" }')
        assert "ABSENT" in job.quick("run").stderr
        assert server.requests == []


def test_a_command_in_a_header_is_run(job: Job) -> None:
    with Scripted(answering()) as server:
        configured(job, server, 'headers = { "X-Org" = "command:echo org-by-command" }')
        ran(job)
        assert server.requests[0].headers["X-Org"] == "org-by-command"


def test_a_command_in_a_header_is_run_once_for_all_scopes(job: Job, tmp_path: Path) -> None:
    program = tmp_path / "org"
    program.write_text(f"#!/bin/sh\necho x >> {tmp_path}/runs\necho org-by-command\n")
    program.chmod(0o755)
    with Scripted(answering()) as server:
        job.asks(server.url, scopes={f"s{n}": "" for n in range(5)})
        text = job.config.read_text()
        job.configure(text.replace("backoff", f'headers = {{ "X-Org" = "command:{program}" }}\nbackoff'))
        ran(job)
        assert [asked.headers["X-Org"] for asked in server.requests] == ["org-by-command"] * 5
    assert (tmp_path / "runs").read_text() == "x\n"


def test_a_command_in_a_header_that_fails_is_named_for_each_scope(job: Job) -> None:
    with Scripted(answering()) as server:
        settings = 'headers = { "X-Org" = "command:false" }\nscopes.a = {}\nscopes.b = {}'
        job.configure(f'[gateways.g]\nurl = "{server.url}"\n{settings}\n')
        rows = job.quick("check", "--json").json()
        assert [row["error"]["class"] for row in rows] == ["Unresolved"] * 2
        assert server.requests == []


def test_the_headers_of_the_config_are_sent_with_a_login_and_for_groups(job: Job) -> None:
    with Scripted(lambda _: Reply(b'{"success": true, "data": {"id": 1}}')) as server:
        scope = 'username = "ann", password = "env:KEY"'
        configured(job, server, 'headers = { "X-Org" = "env:ORG" }', scope)
        job.quick("run")
        assert {each.headers["X-Org"] for each in server.requests} == {ORG}


@pytest.mark.parametrize(
    ("settings", "status", "advice"),
    [
        ("", 405, 'if the documentation of the gateway says POST, set `method = "POST"`'),
        ('key_header = "x-acme-key"', 401, 'Set `key_scheme`, such as "Bearer".'),
    ],
)
def test_check_names_the_setting_of_a_request_that_is_refused(
    job: Job, settings: str, status: int, advice: str
) -> None:
    with Scripted(lambda _: Reply(b'{"error": "no"}', status=status)) as server:
        configured(job, server, settings)
        [row] = job.quick("check", "--json").json()
    assert advice in row["advice"]


def test_a_request_by_post_or_with_a_scheme_has_no_such_advice(job: Job) -> None:
    for settings, status in (('method = "POST"', 405), ('key_header = "x"\nkey_scheme = "Bearer"', 401)):
        with Scripted(lambda _, status=status: Reply(b"{}", status=status)) as server:  # type: ignore[misc]
            configured(job, server, settings)
            [row] = job.quick("check", "--json").json()
        assert "`method" not in row["advice"]
        assert "`key_scheme`" not in row["advice"]
