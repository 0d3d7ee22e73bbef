"""No answer ends a run: one at which the program itself fails is the failure of its scope."""

import json

import pytest
from support.e2e import Job, Reply, Scripted, listed

from pipeline.gateways import reader

DEEP = 700
"""So deep a body can be decoded, and is too deep for a function that calls itself for each level."""


def nested(opening: bytes, closing: bytes) -> bytes:
    return opening * DEEP + b"1" + closing * DEEP


BODIES = {
    "errors in errors": b'{"success":false,"error":%b}' % nested(b'{"error":', b"}"),
    "lists in an error": b'{"error":%b}' % nested(b"[", b"]"),
    "messages in messages": b'{"success":false,"message":%b}' % nested(b'{"message":', b"}"),
    "data in data": nested(b'{"data":', b"}"),
    "lists in lists": nested(b"[", b"]"),
    "lists in a record": b'{"data":[{"id":"a","x":%b}]}' % nested(b"[", b"]"),
}


@pytest.mark.parametrize("status", [200, 401, 500])
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_an_answer_that_is_nested_deeply_fails_its_scope_only(tmp_path, body, status):
    job = Job(tmp_path / "home")
    with Scripted(
        lambda asked: Reply(body, status) if "/deep/" in asked.path else Reply(listed("lyra"))
    ) as server:
        job.asks(server.url, name="good")
        job.asks(f"{server.url}/deep", name="deep", attempts=1)
        done = job.quick("run")
        checked = job.quick("check")
    assert (done.code, checked.code) == (3, 3), done
    assert done.stderr.startswith("modelwatch: deep/public: failing")
    assert job.quick("models").stdout.count("lyra") == 1


@pytest.mark.parametrize("command", [("show", "lyra", "--live"), ("probe", "local"), ("check",)])
def test_commands_that_ask_gateways_name_an_answer_that_is_nested_deeply(tmp_path, command):
    job = Job(tmp_path / "home")
    bodies = [listed("lyra")]
    with Scripted(lambda _: Reply(bodies[-1])) as server:
        job.asks(server.url, attempts=1)
        assert job.quick("run").code == 0
        bodies.append(BODIES["errors in errors"])
        done = job.quick(*command)
    assert "nested too deeply" in done.output
    assert "unexpected" not in done.output


def test_saved_answers_that_are_nested_deeply_are_named(tmp_path):
    job = Job(tmp_path / "home")
    job.asks("http://127.0.0.1:9")
    saved = tmp_path / "saved"
    saved.mkdir()
    (saved / "2026-01-01.json").write_bytes(BODIES["errors in errors"])
    (saved / "2026-01-02.json").write_bytes(listed("lyra"))
    done = job.quick("import", "local/public", str(saved))
    assert done.code in (0, 65)
    assert "unexpected" not in done.output


@pytest.mark.parametrize("error", [KeyError("sk-secret-of-a-user"), ValueError("x"), AssertionError()])
@pytest.mark.parametrize("place", ["request", "answer", "groups"])
def test_a_fault_of_the_program_at_one_answer_stops_no_other_scope(tmp_path, monkeypatch, place, error):
    job = Job(tmp_path / "home", {"TOKEN": "a-token-of-a-user"})
    answer_dialect = reader.dialects.answer_dialect

    def fail(gateway, requested, answer):
        if gateway.name == "bad":
            raise error
        return answer_dialect(gateway, requested, answer)

    monkeypatch.setattr(reader.dialects, "answer_dialect", fail)
    if place == "request":
        monkeypatch.setattr(
            "pipeline.gateways.client.check_json", lambda body, _: 1 / 0 if b"bad" in body else None
        )
    scope = 'access_token = "env:TOKEN", user_id = 7, groups = "all"' if place == "groups" else ""
    with Scripted(lambda asked: Reply(listed("bad" if "/bad/" in asked.path else "lyra"))) as server:
        job.asks(f"{server.url}/bad", name="bad", attempts=1, scopes={"me": scope})
        job.asks(server.url, name="good")
        done = job.quick("run")
    assert done.code == 3
    assert "modelwatch: bad/me: failing" in done.stderr
    if place != "groups":
        assert "a fault of modelwatch" in done.stderr
    assert "sk-secret" not in done.stderr
    assert json.loads(job.quick("models", "--json").stdout)
