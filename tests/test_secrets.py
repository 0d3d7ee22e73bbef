"""A secret goes to its gateway and nowhere else: whatever that does with it, it is neither kept nor shown."""

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
    """The secret that a request carries, as a server finds it."""
    if asked.body:
        return str(json.loads(asked.body)["password"])
    carried = asked.headers.get("Authorization") or asked.headers.get("Cookie", "")
    return carried.removeprefix("Bearer ").partition("session=")[2] or carried.removeprefix("Bearer ")


def as_json(value: object) -> bytes:
    return json.dumps(value).encode()


def like_go(value: object) -> bytes:
    """JSON as Go writes it, which is what most of these gateways are made of."""
    text = json.dumps(value)
    return re.sub("[&<>]", lambda found: f"\\u{ord(found[0]):04x}", text).encode()


def like_php(value: object) -> bytes:
    return json.dumps(value).replace("/", "\\/").encode()


def in_escapes(value: object) -> bytes:
    """JSON in which every letter of every text is written by its number."""

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
    # A good status.
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
    "odd error": lambda s: Reply(as_json({"error": {s: {s: s}}})),
    "page": lambda s: Reply(f"<html><title>{s}</title></html>".encode()),
    "text": lambda s: Reply(s.encode()),
    "half": lambda s: Reply(b'{"data": [{"id": ' + as_json(s)),
    "encoding": lambda s: Reply(b"x", headers=(("Content-Encoding", "gzip"), ("X-Echo", s))),
    # A status that says what is wrong.
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
"""What a gateway does with the secret that it was sent."""


def echo(how: str) -> Scripted:
    """A gateway that gives back what it got; the sign-in goes well, the list does not."""

    def answer(asked: Question) -> Reply:
        if asked.path == "/api/user/login":
            cookie = ("Set-Cookie", f"session={SESSION}; Path=/; HttpOnly")
            return Reply(as_json({"success": True, "data": {"id": 7}}), headers=(cookie,))
        return ECHOES[how](sent(asked))

    return Scripted(answer)


def echo_of_login(how: str) -> Scripted:
    """A gateway that gives back the password that it got at the sign-in."""
    return Scripted(lambda asked: ECHOES[how](sent(asked)))


@pytest.fixture
def job(tmp_path):
    """A home whose secrets are all kept outside of it."""
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    for name in ("file-key", "command-key"):
        (secrets / name).write_text(f"{VALUES[name]}\n")
    kept = {name.upper().replace("-", "_"): value for name, value in VALUES.items()}
    return Job(tmp_path / "home", kept)


def asks(job: Job, url: str, name: str, *scopes: str) -> None:
    """Ask a gateway as these scopes."""
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
    """A secret as it is, without `sk-`, as JSON writes it, and as an address does."""
    bare = {secret, secret.removeprefix("sk-"), secret.lower()}
    written = {spell(text) for text in bare for spell in (str, lambda t: json.dumps(t)[1:-1], quote)}
    return {text.encode() for text in written}


def assert_nowhere(job: Job, *said: str) -> None:
    """Look for every secret in what was said and in every byte of every file."""
    found = {path: path.read_bytes() for path in job.home.rglob("*") if path.is_file()}
    found |= {Path(f"said {number}"): text.encode() for number, text in enumerate(said)}
    leaks = [
        (name, path.name)
        for name, secret in {**VALUES, "session": SESSION}.items()
        for spelling in spellings(secret)
        for path, content in found.items()
        if spelling in content
    ]
    assert leaks == []


def everything(job: Job) -> list[str]:
    """Run twice, check, and look; give all that was said."""
    commands = (
        ("run", "-vv"),
        ("run", "-vv", "--log-format", "json"),
        ("check",),
        ("status",),
    )
    return [job.quick(*command).said for command in commands]


@pytest.mark.parametrize("how", ECHOES)
def test_a_secret_that_a_gateway_gives_back_is_neither_kept_nor_shown(job, how):
    """In bodies, headers, errors and redirects: not in the database, not in reports, not in what is said."""
    with echo(how) as server:
        asks(job, server.url, "echo", "key", "bare-key", "cookie", "token", "password")
        said = everything(job)
    assert_nowhere(job, *said)


@pytest.mark.parametrize("how", ECHOES)
def test_a_password_that_a_sign_in_gives_back_is_neither_kept_nor_shown(job, how):
    """The same at the sign-in, for a long password and a short one."""
    with echo_of_login(how) as server:
        asks(job, server.url, "echo", "password", "short-password")
        said = everything(job)
    assert_nowhere(job, *said)


def test_no_change_of_an_echo_brings_a_secret_into_a_report(job):
    """Records that hold the secret are added, changed and removed, and the reports tell it without."""
    turns = iter(range(100))

    def answer(asked: Question) -> Reply:
        secret, turn = sent(asked), next(turns)
        kept = {"id": "kept", "note": f"{secret} {turn}", secret: {secret: turn}}
        return Reply(listing([kept, {"id": f"{secret}-{turn}", "owned_by": secret}]))

    with Scripted(answer) as server:
        asks(job, server.url, "echo", "key", "bare-key", "cookie")
        said = [job.quick("run", "-vv").said for _ in range(3)]
    said += [job.quick("changes", *options).said for options in ((), ("--all",), ("--json",), ("--csv",))]
    assert job.latest()["totals"]["removed"]
    assert_nowhere(job, *said)


@pytest.mark.parametrize("how", ["list", "refused", "to another"])
def test_where_a_secret_is_kept_makes_no_difference(job, how):
    """From a variable, a file or a command, in a process of its own: only its place is shown."""
    with echo(how) as server:
        asks(job, server.url, "echo", "key", "file-key", "command-key")
        done = job.run("run", "-vv")
    assert_nowhere(job, done.said)
    assert {row["key"] for row in job.quick("scopes", "--json").json()} == {
        "env:KEY",
        f"file:{job.home.parent}/secrets/file-key",
        "command:",
    }


@pytest.mark.parametrize(
    "reference", ["env:{s}", "command:sh -c 'echo {s}; exit 3'", "command:/absent {s}", "file:{s}"]
)
def test_a_reference_that_leads_nowhere_shows_no_more_than_its_place(job, reference):
    """What a command was told or said is not shown: its words may hold the secret themselves."""
    secret = VALUES["command-key"]
    shown = reference.startswith(("env", "file"))
    job.asks(
        "http://127.0.0.1:9", attempts=1, scopes={"a": f"key = {json.dumps(reference.format(s=secret))}"}
    )
    done = job.quick("run", "-vv")
    assert done.code == 4
    assert (secret in done.said) == shown


def test_a_secret_in_the_wrong_place_is_not_shown(job):
    """A key that was pasted into the config is refused by its place alone, in every command."""
    for way in ("key", "cookie"):
        job.configure("")
        job.asks("http://127.0.0.1:9", scopes={"a": f'{way} = "{VALUES["key"]}"'})
        said = [job.quick(command).said for command in ("run", "check", "status")]
        job.config.unlink()
        assert_nowhere(job, *said)


def test_a_secret_prints_as_stars():
    """Neither as text, nor in a container, nor by pickling does it come out by accident."""
    secret = Secret(VALUES["key"])
    assert f"{secret} {secret!r} {[secret]} {secret!s:>5}" == "*** *** [***]   ***"
    with pytest.raises(TypeError):
        pickle.dumps(secret)
    with pytest.raises(TypeError):
        copy.copy(secret)


LETTERS = st.sampled_from('nu\\"/0') | st.characters(min_codepoint=32, max_codepoint=126)


def escapes(letter: str) -> list[str]:
    """Every way in which JSON may write a letter."""
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
def test_a_secret_is_found_however_json_spells_it(letters):
    """What is left is JSON still, and does not hold it."""
    secret = "".join(letter for letter, _ in letters)
    spelled = "".join(each for _, each in letters)
    body = f'{{"said": "your key: {spelled}!", "more": "\\n"}}'
    assert json.loads(body)["said"] == f"your key: {secret}!"
    found = json.loads(Redactor([Secret(secret)]).body(body.encode()))
    assert secret not in found["said"]
    assert found["more"] == "\n"
