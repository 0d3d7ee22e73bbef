"""What to do about a failure: one cure, precise where the gateway or the answer says what is missing."""

from __future__ import annotations

import json
from email import message_from_string
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
from support.e2e import Job, Question, Reply, Scripted, listed

GENERAL = "Every run tries again"
SECRET = "sk-prod-12345678"


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(tmp_path / "home", {"PROD": SECRET, "PASSWORD": "open sesame", "SESSION": "abcdef"})


KEY = 'prod = { key = "env:PROD" }'
LOGIN = 'prod = { username = "ann", password = "env:PASSWORD" }'
COOKIE = 'prod = { cookie = "env:SESSION", dialect = "user-models" }'


def configured(job: Job, url: str, scope: str = KEY, settings: str = "") -> None:
    job.configure(
        f'[gateways.g]\nurl = "{url}"\nattempts = 1\nbackoff = 0\n{settings}\n[gateways.g.scopes]\n{scope}\n'
    )


def advice(job: Job, reply: Reply, scope: str = KEY, settings: str = "") -> str:
    """Return the advice of `check`; the line of a run on standard error has it, too, and nothing after it."""
    with Scripted(lambda _: reply) as server:
        configured(job, server.url, scope, settings)
        (row,) = job.quick("check", "--json").json()
        error = job.quick("run", "--repeat").stderr
    said = str(row["advice"])
    assert said.removesuffix(".") in error.removesuffix("\n").removesuffix(".")
    assert error.rstrip().removesuffix(".").endswith(said.removesuffix("."))
    assert error.count("…") == said.count("…")
    return said


def refusal(message: str, **headers: str) -> Reply:
    body = json.dumps({"error": {"message": message}}).encode()
    named = tuple((name.replace("_", "-"), text) for name, text in headers.items())
    return Reply(body, status=401, headers=named)


REFUSALS = [
    pytest.param(refusal("X-Token header required"), 'set `key_header = "X-Token"`', id="header"),
    pytest.param(refusal("missing header: x-api-key"), 'set `key_header = "x-api-key"`', id="header after"),
    pytest.param(
        refusal("query parameter api-key is missing"), 'set `key_param = "api-key"`', id="parameter"
    ),
    pytest.param(refusal("no", WWW_Authenticate="Basic realm=x"), 'set `key_scheme = "Basic"`', id="Basic"),
    pytest.param(refusal("no", WWW_Authenticate="Token"), 'set `key_scheme = "Token"`', id="Token"),
    pytest.param(
        refusal("no", WWW_Authenticate='ApiKey realm="x", header="X-Api-Key"'),
        'set `key_header = "X-Api-Key"`',
        id="challenge with a header",
    ),
]


@pytest.mark.parametrize(("reply", "setting"), REFUSALS)
def test_a_refusal_that_says_how_to_authenticate_names_the_setting(
    job: Job, reply: Reply, setting: str
) -> None:
    assert advice(job, reply).endswith(f": {setting}")


def test_a_scope_without_a_key_is_advised_to_have_one_at_the_place_that_the_gateway_names(job: Job) -> None:
    said = advice(job, refusal("X-Token header required"), "prod = {}")
    assert said.endswith(': give the scope a key, and set `key_header = "X-Token"`')


@pytest.mark.parametrize(
    "reply",
    [
        refusal("the Authorization header is invalid"),
        refusal("no", WWW_Authenticate="Bearer realm=x"),
        refusal("no", WWW_Authenticate="Digest realm=x"),
        refusal("wrong key"),
    ],
)
def test_a_refused_key_at_the_right_place_is_to_be_set_anew(job: Job, reply: Reply) -> None:
    assert advice(job, reply).endswith(". Set a valid key in $PROD.")


def test_a_refused_secret_of_a_configured_header_is_named(job: Job) -> None:
    said = advice(job, refusal("no"), "prod = {}", 'headers = { X-Token = "env:PROD" }')
    assert said.endswith(": check the secret of `X-Token` in `headers`")


@pytest.mark.parametrize("message", ["Unauthorized, New-Api-User header not provided", "未提供 New-Api-User"])
def test_a_missing_user_of_new_api_is_to_be_set_beside_the_cookie(job: Job, message: str) -> None:
    expected = "`user_id`, the number of the user, beside the cookie, access token or login"
    assert advice(job, refusal(message), COOKIE).endswith(f": set {expected}")


def test_a_failure_for_want_of_a_user_of_new_api_names_it_too(job: Job) -> None:
    body = json.dumps({"success": False, "message": "New-Api-User is missing"}).encode()
    assert "check `user_id`" in advice(job, Reply(body), COOKIE)


def test_groups_of_a_cookie_without_a_user_name_the_user_too(job: Job) -> None:
    scope = 'prod = { cookie = "env:SESSION", groups = "all" }'
    assert "set `user_id`" in advice(job, refusal("New-Api-User header not provided"), scope)


def test_a_refused_session_is_not_called_a_key(job: Job) -> None:
    reply = Reply(json.dumps({"success": False, "message": "user or phrase is wrong"}).encode())
    expected = "Set a valid cookie, access token or password in $PASSWORD."
    assert advice(job, reply, LOGIN).endswith(f"ann cannot sign in: user or phrase is wrong. {expected}")


def test_a_login_behind_a_captcha_names_what_works_without_one(job: Job) -> None:
    reply = Reply(json.dumps({"success": False, "message": "Turnstile token is empty"}).encode())
    assert advice(job, reply, LOGIN).endswith("use an `access_token` with `user_id`, or a `cookie`, instead")


TOKENS: list[dict[str, Any]] = [
    {"access_token": "token-of-ann"},
    {"data": {"accessToken": "token-of-ann"}},
    {"success": True, "data": {"id": 7}, "token": "token-of-ann"},
    {"success": True, "result": {"tokens": {"access-token": "token-of-ann"}}},
    {"jwt": "token-of-ann", "expires_in": 3600},
]


@pytest.mark.parametrize("answer", TOKENS)
def test_a_token_is_found_at_the_usual_places_of_a_login(job: Job, answer: dict[str, Any]) -> None:
    def reply(asked: Question) -> Reply:
        if asked.method == "POST":
            return Reply(json.dumps(answer).encode())
        return (
            Reply(listed("lyra")) if asked.headers["Authorization"] == "Bearer token-of-ann" else refusal("")
        )

    with Scripted(reply) as server:
        configured(job, server.url, LOGIN)
        (row,) = job.quick("check", "--json").json()
    assert (row["answers"], row["models"]) == ("yes", 1)


def test_a_login_whose_token_is_at_an_unknown_place_is_not_called_rejected(job: Job) -> None:
    said = advice(job, Reply(json.dumps({"grant": "token-of-ann", "ttl": 60}).encode()), LOGIN)
    assert "the answer to the login of ann has no access token: it has `grant`, `ttl`" in said
    assert said.endswith("sign in with a `cookie` or an `access_token` instead")


PRECISE = [
    pytest.param({"data": [{"slug": "lyra"}]}, 'add `id = "slug"`', id="an id"),
    pytest.param({"result": {"catalogue": [{"id": "a"}]}}, 'add `list = "result.catalogue"`', id="a list"),
    pytest.param(
        {"error": "token expired"}, "check the key, or the sign-in, of the scope", id="an old token"
    ),
    pytest.param(
        {"code": 401, "message": "token expired"}, "check the key, or the sign-in, of the scope", id="a code"
    ),
    pytest.param(
        {"ok": False, "message": "filter.kind is required"},
        "set what it asks for in `params` or `headers`, or in the `body` of a POST",
        id="an input",
    ),
    pytest.param(
        {"data": [{"id": "lyra"}], "total": 40},
        'set `paging = { param = "page", total = "total" }` for the gateway'
        ' (`paging = { offset = "…", total = "total" }` with'
        " the name of a parameter that counts records), or `complete = true` if this is the whole list",
        id="a page",
    ),
]


@pytest.mark.parametrize(("answer", "cure"), PRECISE)
def test_a_precise_cure_is_not_followed_by_general_words(job: Job, answer: Any, cure: str) -> None:
    assert advice(job, Reply(json.dumps(answer).encode())).endswith(f": {cure}")


def test_a_refused_parameter_names_where_to_set_it(job: Job) -> None:
    reply = Reply(b'{"error": "The api-version query parameter is required"}', status=400)
    assert advice(job, reply).endswith(
        "set what it asks for in `params` or `headers`, or in the `body` of a POST"
    )


def test_general_words_name_the_path_where_nothing_is_found(job: Job) -> None:
    assert "check url, path and dialect in the config" in advice(job, Reply(b"not here", status=404))


def test_a_mail_quotes_the_problem_and_gives_its_cure_once(job: Job) -> None:
    destination = (
        f'[destinations.files]\ntype = "eml"\ndirectory = "{job.home}/mail"\nto = ["a@example.com"]\n'
    )
    long = {"data": [{"slug": "lyra", **{f"a_long_name_of_field_{number}": 1 for number in range(40)}}] * 2}
    with Scripted(lambda _: Reply(json.dumps({"pages": long, "total": 3}).encode())) as server:
        configured(job, server.url)
        job.configure(job.config.read_text() + destination)
        job.quick("run")
    (path,) = (job.home / "mail").iterdir()
    mail = message_from_string(path.read_text(), policy=default).get_body(("plain",))
    assert mail is not None
    text = " ".join(mail.get_content().split())
    assert text.count('dd `list = "pages.data"`') == 1
    assert GENERAL not in text


@pytest.mark.parametrize("status", [200, 400])
def test_the_text_of_an_error_is_shown_under_any_name(job: Job, status: int) -> None:
    body = json.dumps({"ok": False, "error": {"code": 17, "text": "quota of listing exceeded"}}).encode()
    assert "quota of listing exceeded" in advice(job, Reply(body, status=status))


def test_check_fails_for_a_part_of_a_list_as_a_run_does(job: Job) -> None:
    body = json.dumps({"data": [{"id": "lyra"}, {"id": "vega"}], "totalCount": 9}).encode()
    with Scripted(lambda _: Reply(body)) as server:
        configured(job, server.url)
        checked = job.quick("check", "--json")
        ran = job.quick("run")
    (row,) = checked.json()
    assert (row["answers"], row["error"]["class"], checked.code) == ("no", "Unreadable", ran.code)
    assert ran.code == 4


def test_check_says_that_a_run_would_hold_a_part_of_a_known_list(job: Job) -> None:
    answers = [{"data": [{"id": "lyra"}, {"id": "vega"}]}]
    with Scripted(lambda _: Reply(json.dumps(answers[-1]).encode())) as server:
        configured(job, server.url)
        job.quick("run")
        answers.append({**answers[0], "totalCount": 9})
        checked = job.quick("check", "--json")
        assert (checked.json()[0]["answers"], checked.code) == ("held", 5)
        assert job.quick("run").code == 5
        job.quick("accept", "g/prod")
        checked = job.quick("check", "--json")
        assert (checked.json()[0]["answers"], checked.code) == ("yes", 0)


def test_parameters_in_a_url_are_sent_to_params_or_path(job: Job) -> None:
    configured(job, "http://a.test/v1?api-version=1")
    done = job.quick("check")
    assert done.code == 78
    assert "write parameters in `params` or `path`, keys in a scope" in done.stderr


def test_groups_of_a_cookie_need_a_user_in_the_words_of_the_config_too(job: Job) -> None:
    configured(job, "http://a.test", 'prod = { key = "env:PROD", groups = "all" }')
    assert "write access_token or cookie, with user_id, or username and password" in job.quick("check").stderr


def test_a_probe_of_groups_alone_names_a_scope_that_works(job: Job) -> None:
    configured(job, "http://a.test", 'me = { access_token = "env:PROD", user_id = 7, groups = "all" }')
    done = job.quick("probe", "g")
    assert done.code == 2
    assert "add a scope with a key, or one without `groups`" in done.stderr


@pytest.mark.parametrize("name", ["prod.key", "keys/prod.key"])
def test_check_names_the_path_of_a_key_file_that_is_missing(job: Job, name: str) -> None:
    configured(job, "http://127.0.0.1:9", f'prod = {{ key = "file:{name}" }}')
    done = job.quick("check")
    assert f"No such file or directory ({job.home / name}). Set the key in {name}" in " ".join(
        done.stdout.split()
    )
    assert str(job.home) not in job.quick("run").stderr
