"""Secrets are sent to their gateways only, and neither stored nor printed, whatever these answer."""

import copy
import json
import pickle
import re
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.e2e import Job, Question, Reply, Scripted, listing
from support.spellings import SPELLINGS

from pipeline.core.types import Secret
from pipeline.gateways.redact import Redactor

VALUES = {
    "key": "sk-Kq7fZ2mW9xTbL4vN8cRyH3dJ",
    "bare-key": "Pd6sXu1gQw5eAz0iMo",
    "file-key": "sk-proj_Gh8jLk2nBv6cXz4mQw9e",
    "command-key": "oR5tY7uI9pA1sD3fG",
    "cookie": "MTczOHxEdi1/QkFF+u0aK/9sWl&x8Yq==",
    "token": "b3c9e7a1f5d2480e9c6b",
    "password": "cor&rect<h0rse>\"batt'ery\\sta/ple",
    "short-password": "hUn7e",
}
"""The secret of each scope, by its name."""

SESSION = "c2Vzc2lvbi1vZi10aGUtbG9naW4"

TOKEN = "eyJhbGciOi9KV1QifQ.c2Vzc2lvbg+b2Y/bG9naW4."
"""The access token that a sign-in answers."""

SCOPES = {
    "key": 'key = "env:KEY"',
    "bare-key": 'key = "env:BARE_KEY"',
    "file-key": 'key = "file:{secrets}/file-key"',
    "command-key": 'key = "command:cat {secrets}/command-key"',
    "cookie": 'cookie = "env:COOKIE"',
    "token": 'access_token = "env:TOKEN", user_id = 7',
    "password": 'username = "me", password = "env:PASSWORD"',
    "short-password": 'username = "you", password = "env:SHORT_PASSWORD"',
}


def sent(asked: Question) -> str:
    """Return the secret that a request carries, as a server finds it."""
    if asked.body:
        return str(json.loads(asked.body)["password"])
    carried = asked.headers.get("Authorization") or asked.headers.get("Cookie", "")
    return carried.removeprefix("Bearer ").partition("session=")[2] or carried.removeprefix("Bearer ")


def as_json(value: object) -> bytes:
    return json.dumps(value).encode()


def like_go(value: object) -> bytes:
    """Return JSON as Go writes it; most of these gateways are written in Go."""
    text = json.dumps(value)
    return re.sub("[&<>]", lambda found: f"\\u{ord(found[0]):04x}", text).encode()


def like_php(value: object) -> bytes:
    return json.dumps(value).replace("/", "\\/").encode()


def in_escapes(value: object) -> bytes:
    """Return JSON in which every character of a string is escaped."""

    def escaped(found: re.Match[str]) -> str:
        return '"' + "".join(f"\\u{ord(letter):04x}" for letter in json.loads(found[0])) + '"'

    return re.sub(r'"(?:[^"\\]|\\.)*"', escaped, json.dumps(value)).encode()


def error(secret: str) -> dict[str, object]:
    return {"error": {"message": f"the key {secret} is not good (request id: {secret})", "code": secret}}


def records(secret: str) -> bytes:
    return listing(
        [
            {"id": f"model-of-{secret}", "owned_by": secret, "note": f"Bearer {secret}"},
            {"id": secret.removeprefix("sk-"), secret: {"nested": [secret]}},
        ]
    )


ECHOES = {
    # A status of success.
    "list": lambda s: Reply(records(s)),
    "list by go": lambda s: Reply(like_go({"data": [{"id": s, "note": s}]})),
    "list by php": lambda s: Reply(like_php({"data": [{"id": s, "note": s}]})),
    "list in escapes": lambda s: Reply(in_escapes({"data": [{"id": s, "note": s}]})),
    "twice in a list": lambda s: Reply(listing([{"id": s, "n": 1}, {"id": s, "n": 2}])),
    "tags": lambda s: Reply(listing([{"id": "a"}]), headers=(("ETag", f'"{s}"'), ("Last-Modified", s))),
    "cookies": lambda s: Reply(listing([{"id": "a"}]), headers=(("Set-Cookie", f"seen={s}; Path=/"),)),
    "date": lambda s: Reply(listing([{"id": "a"}]), headers=(("Date", s), ("Server", s))),
    "error": lambda s: Reply(as_json(error(s))),
    "error by go": lambda s: Reply(like_go(error(s))),
    "error by php": lambda s: Reply(like_php(error(s))),
    "error in escapes": lambda s: Reply(in_escapes(error(s))),
    "error as text": lambda s: Reply(as_json({"error": s})),
    "unsuccessful": lambda s: Reply(as_json({"success": False, "message": f"no such user: {s}"})),
    "beside nothing": lambda s: Reply(as_json({"data": [], "message": f"no models for {s}"})),
    "odd error": lambda s: Reply(as_json({"error": {s: {s: s}}})),
    "page": lambda s: Reply(f"<html><title>{s}</title></html>".encode()),
    "text": lambda s: Reply(s.encode()),
    "half": lambda s: Reply(b'{"data": [{"id": ' + as_json(s)),
    "encoding": lambda s: Reply(b"x", headers=(("Content-Encoding", "gzip"), ("X-Echo", s))),
    # A status of failure.
    "refused": lambda s: Reply(as_json(error(s)), 401),
    "refused by go": lambda s: Reply(like_go(error(s)), 401),
    "refused in escapes": lambda s: Reply(in_escapes(error(s)), 403),
    "refused in words": lambda s: Reply(f"Unauthorized: {s}".encode(), 401),
    "refused in half": lambda s: Reply(b'{"error": {"message": ' + as_json(s), 401),
    "refused in a page": lambda s: Reply(f"<p>{s}</p>".encode(), 403),
    "reason": lambda s: Reply(b"{}", 401, reason=f"No {s}"),
    "good reason": lambda s: Reply(listing([{"id": "a"}]), reason=f"OK {s}"),
    "not found": lambda s: Reply(as_json({"detail": [{"msg": f"no route for {s}"}]}), 404),
    "throttled": lambda s: Reply(as_json(error(s)), 429, (("Retry-After", s),)),
    "broken": lambda s: Reply(as_json(error(s)), 500),
    # Redirects: to itself, to others, to nowhere.
    "to itself": lambda s: Reply(b"", 302, (("Location", f"/echo?key={s}"),)),
    "to a path": lambda s: Reply(b"", 302, (("Location", f"/{s}/v1/models"),)),
    "to another": lambda s: Reply(b"", 302, (("Location", f"http://127.0.0.1:9/?key={s}"),)),
    "to a user": lambda s: Reply(b"", 302, (("Location", f"http://{s}:{s}@127.0.0.1:9/"),)),
    "to a name": lambda s: Reply(b"", 302, (("Location", f"http://{s}.example/"),)),
    "to a scheme": lambda s: Reply(b"", 302, (("Location", f"{s}://127.0.0.1/"),)),
    "in circles": lambda s: Reply(b"", 302, (("Location", f"?key={s}"),)),
}
"""The answers of a gateway that echoes the secret."""


def echo(how: str) -> Scripted:
    """Return a gateway that echoes the secret in its list; a sign-in succeeds."""

    def answer(asked: Question) -> Reply:
        if asked.path == "/api/user/login":
            cookie = ("Set-Cookie", f"session={SESSION}; Path=/; HttpOnly")
            return Reply(as_json({"success": True, "data": {"id": 7}}), headers=(cookie,))
        return ECHOES[how](sent(asked))

    return Scripted(answer)


def echo_of_login(how: str) -> Scripted:
    """Return a gateway that echoes the password at the sign-in."""
    return Scripted(lambda asked: ECHOES[how](sent(asked)))


@pytest.fixture
def job(tmp_path):
    """A home whose secrets are stored elsewhere."""
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    for name in ("file-key", "command-key"):
        (secrets / name).write_text(f"{VALUES[name]}\n")
    kept = {name.upper().replace("-", "_"): value for name, value in VALUES.items()}
    return Job(tmp_path / "home", kept)


def asks(job: Job, url: str, name: str, *scopes: str) -> None:
    """Add a gateway with these scopes to the config."""
    secrets = job.home.parent / "secrets"
    job.asks(
        url,
        name=name,
        attempts=2,
        timeout=5,
        confirm=1,
        scopes={scope: SCOPES[scope].format(secrets=secrets) for scope in scopes},
    )


def spellings(secret: str) -> set[bytes]:
    """Return a secret as it is, without `sk-`, in JSON, and in a URL."""
    bare = {secret, secret.removeprefix("sk-"), secret.lower()}
    written = {spell(text) for text in bare for spell in (str, lambda t: json.dumps(t)[1:-1], quote)}
    return {text.encode() for text in written}


def assert_nowhere(job: Job, *outputs: str) -> None:
    """Assert that no secret is in some output, or in any file of the home."""
    found = {path: path.read_bytes() for path in job.home.rglob("*") if path.is_file()}
    found |= {Path(f"output {number}"): text.encode() for number, text in enumerate(outputs)}
    leaks = [
        (name, path.name)
        for name, secret in {**VALUES, "session": SESSION, "token of the login": TOKEN}.items()
        for spelling in spellings(secret)
        for path, content in found.items()
        if spelling in content
    ]
    assert leaks == []


def everything(job: Job) -> list[str]:
    """Run twice, check and query; return the output of each command."""
    commands = (
        ("run", "-vv"),
        ("run", "-vv", "--log-format", "json"),
        ("check",),
        ("status",),
    )
    return [job.quick(*command).output for command in commands]


@pytest.mark.parametrize("how", ECHOES)
def test_a_secret_that_a_gateway_echoes_is_neither_stored_nor_printed(job, how):
    """In bodies, headers, errors and redirects."""
    with echo(how) as server:
        asks(job, server.url, "echo", "key", "bare-key", "cookie", "token", "password")
        outputs = everything(job)
    assert_nowhere(job, *outputs)


@pytest.mark.parametrize("how", ECHOES)
def test_a_password_that_a_sign_in_echoes_is_neither_stored_nor_printed(job, how):
    with echo_of_login(how) as server:
        asks(job, server.url, "echo", "password", "short-password")
        outputs = everything(job)
    assert_nowhere(job, *outputs)


@pytest.mark.parametrize("how", ECHOES)
@pytest.mark.parametrize("place", ["data", "beside", "cookie"])
def test_an_access_token_of_a_sign_in_that_a_gateway_echoes_is_neither_stored_nor_printed(job, how, place):
    """Alone, in or beside `data`, and with a cookie; the sign-in itself may fail with it, too."""
    token = {"access_token": TOKEN, "id": 7}
    login = {"success": True, "data": {}, **token} if place == "beside" else {"success": True, "data": token}
    cookie = (("Set-Cookie", f"session={SESSION}; Path=/"),) if place == "cookie" else ()

    def answer(asked: Question) -> Reply:
        if asked.path == "/api/user/login":
            return Reply(as_json(login), headers=cookie)
        assert asked.headers["Authorization"] == f"Bearer {TOKEN}"
        return ECHOES[how](TOKEN)

    with Scripted(answer) as server:
        asks(job, server.url, "echo", "password")
        outputs = everything(job)
    assert_nowhere(job, *outputs)


PARTS = {
    "a cookie of one pair": ('cookie = "env:S"', "sid=first-value-1", ("first-value-1",)),
    "a cookie of several pairs": (
        'cookie = "env:S"',
        "sid=first-value-1; csrf = second-value-2;last=third=value=3",
        ("first-value-1", "second-value-2", "third=value=3"),
    ),
    "a bare cookie": ('cookie = "env:S"', "bare-value-of-a-session==", ("bare-value-of-a-session==",)),
    "user and password": ('key = "env:S"', "reader:pass-word-4", ("pass-word-4", "reader:pass-word-4")),
    "a key with a prefix": ('key = "env:S"', "sk-after-the-prefix", ("after-the-prefix",)),
}
"""A scope, its secret, and what a gateway may quote of it."""


@pytest.mark.parametrize("case", PARTS)
def test_the_parts_of_which_a_secret_is_made_are_masked_on_their_own(tmp_path, case):
    inside, secret, parts = PARTS[case]
    job = Job(tmp_path / "home", {"S": secret})
    turns = iter(range(100))

    def answer(asked: Question) -> Reply:
        notes = {f"part {number}": f"{part} {next(turns)}" for number, part in enumerate(parts)}
        return Reply(listing([{"id": "kept", **notes}]))

    settings = {"key_scheme": "Basic"} if ":" in secret else {}
    with Scripted(answer) as server:
        job.asks(server.url, scopes={"one": inside}, **settings)
        outputs = everything(job)
    files = {path.name: path.read_bytes() for path in job.home.rglob("*") if path.is_file()} | {
        "output": "".join(outputs).encode()
    }
    del files[job.config.name]
    assert b"***" in files[job.database.name]
    assert [
        (name, part) for name, content in files.items() for part in parts if part.encode() in content
    ] == []


def test_changes_of_records_that_echo_a_secret_are_reported_without_it(job):
    turns = iter(range(100))

    def answer(asked: Question) -> Reply:
        secret, turn = sent(asked), next(turns)
        kept = {"id": "kept", "note": f"{secret} {turn}", secret: {secret: turn}}
        return Reply(listing([kept, {"id": f"{secret}-{turn}", "owned_by": secret}]))

    with Scripted(answer) as server:
        asks(job, server.url, "echo", "key", "bare-key", "cookie")
        outputs = [job.quick("run", "-vv").output for _ in range(3)]
    outputs += [
        job.quick("changes", *options).output for options in ((), ("--all",), ("--json",), ("--csv",))
    ]
    assert job.latest()["totals"]["removed"]
    assert_nowhere(job, *outputs)


@pytest.mark.parametrize("how", ["list", "refused", "to another"])
def test_of_secrets_in_variables_files_and_commands_only_the_reference_is_shown(job, how):
    with echo(how) as server:
        asks(job, server.url, "echo", "key", "file-key", "command-key")
        done = job.run("run", "-vv")
    assert_nowhere(job, done.output)
    assert {row["key"] for row in job.quick("scopes", "--json").json()} == {
        "env:KEY",
        "file:",
        "command:",
    }


@pytest.mark.parametrize(
    "reference", ["env:{s}", "command:sh -c 'echo {s}; exit 3'", "command:/absent {s}", "file:{s}"]
)
def test_a_failed_reference_shows_neither_the_words_nor_the_output_of_a_command(job, reference):
    """Both may hold the secret, and the path of a file is for the owner's terminal only."""
    secret = VALUES["command-key"]
    shown = reference.startswith("env")
    job.asks(
        "http://127.0.0.1:9", attempts=1, scopes={"a": f"key = {json.dumps(reference.format(s=secret))}"}
    )
    done = job.quick("run", "-vv")
    assert done.code == 4
    assert (secret in done.output) == shown


def test_a_key_that_was_pasted_into_the_config_is_refused_without_being_shown(job):
    for way in ("key", "cookie"):
        job.configure("")
        job.asks("http://127.0.0.1:9", scopes={"a": f'{way} = "{VALUES["key"]}"'})
        outputs = [job.quick(command).output for command in ("run", "check", "status")]
        job.config.unlink()
        assert_nowhere(job, *outputs)


def test_a_secret_prints_as_stars_and_cannot_be_pickled_or_copied():
    secret = Secret(VALUES["key"])
    assert f"{secret} {secret!r} {[secret]} {secret!s:>5}" == "*** *** [***]   ***"
    with pytest.raises(TypeError):
        pickle.dumps(secret)
    with pytest.raises(TypeError):
        copy.copy(secret)


def in_every_spelling(secret: str) -> str:
    """Return a text of JSON that spells a secret in every way."""
    return json.dumps(" ".join(spell(secret) for spell in SPELLINGS.values()))


def assert_no_spelling(job: Job, secret: str, *outputs: str) -> None:
    """Assert that a secret is in no spelling in some output, or in any file of the home but its config."""
    found = {path: path.read_bytes() for path in job.home.rglob("*") if path.is_file() and path != job.config}
    found |= {Path(f"output {number}"): text.encode() for number, text in enumerate(outputs)}
    leaks = [
        (name, path.name)
        for name, spell in SPELLINGS.items()
        for written in [spell(secret).encode()[4:-4] if "base64" in name else spell(secret).encode()]
        for path, content in found.items()
        if len(written) >= 6 and written in content
    ]
    assert leaks == []


EVERY = {
    "list": lambda said: Reply(b'{"data": [{"id": "a", "note": %b}, {"id": %b}]}' % (said, said)),
    "refused": lambda said: Reply(b'{"error": {"message": %b}}' % said, 401),
    "unsuccessful": lambda said: Reply(b'{"success": false, "message": %b}' % said),
    "in words": lambda said: Reply(json.loads(said).encode(), 400),
}


@pytest.mark.parametrize("how", EVERY)
@pytest.mark.parametrize("kind", ["key", "cookie", "token", "password"])
def test_a_secret_is_stored_sent_and_printed_in_no_spelling(job, how, kind):
    """Neither those that a gateway echoes, nor those of the receiver of the reports."""
    secret, hook = VALUES[kind], "Bearer h00k-s3cret/with+letters=="
    job.env["HOOK"] = hook

    def answer(asked: Question) -> Reply:
        if asked.path == "/hook":
            return Reply(b"no " + in_every_spelling(hook.partition(" ")[2]).encode(), 503)
        return EVERY[how](in_every_spelling(secret).encode())

    with Scripted(answer) as server:
        job.configure(
            f"""
            [metrics]
            file = "metrics.prom"
            [destinations.hook]
            type = "webhook"
            url = "{server.url}/hook"
            headers = {{ Authorization = "env:HOOK" }}
            [destinations.mails]
            type = "eml"
            directory = "mails"
            from = "w@example.com"
            to = "me@example.com"
            """
        )
        job.asks(server.url, attempts=1, scopes={kind: SCOPES[kind]})
        outputs = [
            job.quick(*command).output for command in (("run", "-vv"), ("check",), ("outbox", "--json"))
        ]
    assert_no_spelling(job, secret, *outputs)
    assert_no_spelling(job, hook.partition(" ")[2], *outputs)
    assert (job.home / "mails").exists()
    assert "***" in outputs[0]


@pytest.mark.parametrize("how", ["list", "refused"])
@pytest.mark.parametrize("kind", ["key", "cookie", "token", "password"])
@pytest.mark.parametrize("asked", ["all", "others"])
def test_the_secret_of_one_scope_in_an_answer_to_another_is_neither_stored_nor_printed(job, how, kind, asked):
    """A gateway has it from this run or an earlier one; so may have whoever fills its cache."""
    secret = VALUES[kind]
    job.env["OTHER"] = "another-key-0123456789"
    with Scripted(lambda _: EVERY[how](in_every_spelling(secret).encode())) as server:
        scopes = {"public": "", "other": 'key = "env:OTHER"', kind: SCOPES[kind]}
        job.asks(server.url, attempts=1, scopes=scopes)
        only = () if asked == "all" else ("--scope", "local/other", "--scope", "local/public")
        commands = (("run", "-vv", *only), ("models", "--json"), ("status", "--json"))
        outputs = [job.quick(*command).output for command in commands]
    assert_no_spelling(job, secret, *outputs)


def test_an_answer_that_had_nothing_to_mask_is_searched_again_for_a_secret_that_is_new():
    redactor, body = Redactor([Secret("first-secret")]), b'{"data": [{"id": "a second-secret"}]}'
    for _ in range(2):
        assert redactor.body(body) == body
    Redactor([Secret("first-secret")], of_gateway=redactor)
    Redactor([Secret("second-secret")], of_gateway=redactor)
    for _ in range(2):
        assert redactor.body(body) == b'{"data": [{"id": "a ***"}]}'


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_tag_that_spells_a_secret_or_a_part_of_it_is_not_kept(spelling):
    secret = VALUES["key"]
    redactor = Redactor([Secret(secret)])
    assert redactor.header(f'W/"{SPELLINGS[spelling](secret)}"') is None
    if "base64" not in spelling:
        assert redactor.header(f'"{SPELLINGS[spelling](secret[5:17])}"') is None
    assert redactor.header('W/"abc"') == 'W/"abc"'


@pytest.mark.parametrize(
    ("reference", "cause"),
    [
        ("command:", "exited with 3"),
        ("command:/nowhere/{s}", "No such file"),
        ("command:sh -c ': {s}; true'", "is empty"),
        ("command:sh -c ': {s}; exit 3'", "exited with 3"),
        ("command:sh -c 'echo {s} >&2; exit 3'", "exited with 3"),
        ("command:printf '\\303\\251 %s' {s}", "characters that no HTTP header can carry"),
        ("command:sh -c 'echo one; echo {s}'", "has several lines"),
        ("command:sh -c '{s}", "check its quotes"),
        ("file:{s}", "cannot be read"),
        ("file:/{s}/of/key", "cannot be read"),
        ("file:{home}/{s}-of-blanks", "has only blanks"),
        ("file:{home}/{s}-of-lines", "has several lines"),
        ("file:{home}/{s}-of-letters", "characters that no HTTP header can carry"),
    ],
)
def test_a_reference_is_quoted_in_nothing_that_is_stored_or_sent(job, reference, cause):
    """In keys, headers, addresses of webhooks and chats, secrets of signatures, passwords and pings."""
    canary = "canary-of-words"
    job.home.mkdir(exist_ok=True)
    for name, text in {"blanks": " \n", "lines": "a\nb", "letters": "é"}.items():
        (job.home / f"{canary}-of-{name}").write_text(text)
    written = (
        json.dumps(reference.format(s=canary, home=job.home))
        if reference != "command:"
        else (json.dumps(f"command:sh -c 'exit 3' {canary}"))
    )
    with Scripted(lambda _: Reply(listing([{"id": "a"}]))) as server:
        job.configure(
            f"""
            [metrics]
            file = "metrics.prom"
            [ping]
            url = {written}
            [destinations.hook]
            type = "webhook"
            url = {written}
            [destinations.signed]
            type = "webhook"
            url = "{server.url}/hook"
            headers = {{ X-Key = {written} }}
            [destinations.chat]
            type = "apprise"
            urls = [{written}, {json.dumps(f"file:{canary}-2")}]
            [destinations.mails]
            type = "eml"
            directory = "mails"
            from = "w@example.com"
            to = "me@example.com"
            """
        )
        job.asks(
            server.url, attempts=1, scopes={"a": f"key = {written}", "b": f"cookie = {written}", "c": ""}
        )
        outputs = [
            job.quick(*command).output for command in (("run", "-vv"), ("outbox",), ("status",), ("scopes",))
        ]
    found = {path: path.read_bytes() for path in job.home.rglob("*") if path.is_file() and path != job.config}
    assert [path.name for path, content in found.items() if canary.encode() in content] == []
    assert not any(canary in output for output in outputs)
    error = job.latest()["coverage"][0]["error"]
    assert error["class"] == "Unresolved"
    assert cause in error["message"]
    outbox = job.quick("outbox", "--json").json()
    assert {row["recipient"] for row in outbox if row["destination"] == "chat"} >= {"file:"}


LETTERS = st.sampled_from('nu\\"/0') | st.characters(min_codepoint=32, max_codepoint=126)


def escapes(letter: str) -> list[str]:
    """Return every spelling of a character in JSON."""
    number = f"{ord(letter):04x}"
    short = [f"\\{letter}"] if letter in '"\\/' else []
    return [json.dumps(letter)[1:-1], f"\\u{number}", f"\\u{number.upper()}", *short]


@given(
    st.lists(
        LETTERS.flatmap(lambda letter: st.tuples(st.just(letter), st.sampled_from(escapes(letter)))),
        min_size=8,
    )
)
@example([(letter, letter) for letter in "password"] + [("\\", "\\\\")])
def test_a_secret_is_redacted_in_every_spelling_of_json_and_json_remains(letters):
    secret = "".join(letter for letter, _ in letters)
    spelled = "".join(each for _, each in letters)
    body = f'{{"said": "your key: {spelled}!", "more": "\\n"}}'
    assert json.loads(body)["said"] == f"your key: {secret}!"
    found = json.loads(Redactor([Secret(secret)]).body(body.encode()))
    assert secret not in found["said"]
    assert found["more"] == "\n"


def test_check_warns_of_secrets_of_fewer_than_eight_letters(job):
    job.env |= {"SHORT": "1234567", "LONG": "12345678", "EMPTY": "", "TOKEN": "abc"}
    (job.home.parent / "secrets" / "short").write_text("1234567\n")
    with Scripted(lambda _: Reply(listing([{"id": "a"}]))) as server:
        job.configure(f'[destinations.a]\ntype = "webhook"\nurl = "{server.url}"\nsecret = "env:TOKEN"\n')
        scopes = {"a": 'key = "env:SHORT"', "b": 'cookie = "env:LONG"', "c": 'key = "env:EMPTY"', "d": ""}
        scopes |= {"e": f'key = "file:{job.home.parent}/secrets/short"', "f": 'key = "command:echo 1234567"'}
        job.asks(server.url, attempts=1, scopes=scopes)
        done = job.quick("check")
    warned = [line.partition(": the secret has fewer than 8 letters")[0] for line in done.stdout.splitlines()]
    named = ["env:SHORT", f"file:{job.home.parent}/secrets/short", "command:", "env:TOKEN"]
    assert [line for line in warned if line in named] == named
    assert "1234567" not in done.output


@pytest.mark.parametrize("how", [name for name in ECHOES if "list" not in name])
def test_a_part_of_a_secret_in_an_error_or_a_tag_is_neither_stored_nor_printed(job, how):
    """Many gateways quote the beginning or the end of a key."""
    part = VALUES["key"][4:20]
    with Scripted(lambda _: ECHOES[how](part)) as server:
        asks(job, server.url, "echo", "key")
        outputs = everything(job)
    assert_no_spelling(job, part, *outputs)
    assert not any(part[:12] in output for output in outputs)


@pytest.mark.parametrize("how", ["unsuccessful", "error", "refused", "page", "text"])
def test_a_secret_of_few_letters_in_an_error_is_neither_stored_nor_printed(job, how):
    job.env["KEY"] = "k3yOf7"
    with Scripted(lambda _: ECHOES[how]("k3yOf7")) as server:
        asks(job, server.url, "echo", "key")
        outputs = everything(job)
    assert_no_spelling(job, "k3yOf7", *outputs)


@pytest.mark.parametrize("answer", ["message", "total"])
def test_a_part_of_a_secret_in_the_reason_of_a_hold_is_neither_stored_nor_printed(job, answer):
    part = VALUES["key"][4:20]
    held = {
        "message": {"data": [], "message": f"no models for {part}"},
        "total": {"data": [{"id": "a"}], "total": f"9 of {part}", "error": f"no provider for {part}"},
    }[answer]
    turns = iter([listing([{"id": "a"}, {"id": "b"}]), as_json(held), as_json(held)])
    with Scripted(lambda _: Reply(next(turns))) as server:
        asks(job, server.url, "echo", "key")
        outputs = [
            job.quick(*command).output for command in (("run",), ("run", "-vv"), ("status",), ("check",))
        ]
    assert "***" in "".join(outputs)
    assert_no_spelling(job, part, *outputs)
