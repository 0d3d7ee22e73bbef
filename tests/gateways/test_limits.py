"""What a gateway may send at most: each limit fails the scope, keeps its list, and says what to do."""

import asyncio
import gzip
import json
import time
import tracemalloc

import pytest
from support.e2e import Job, Reply, Scripted, listed, listing, one_line

from pipeline.core import canonical
from pipeline.core.amounts import words
from pipeline.core.caches import cache_short
from pipeline.core.field_names import plain
from pipeline.core.limits import MAX_ESCAPES, MAX_MODELS, MAX_NAME, MAX_RECORD, MAX_VALUES, SMALL_ANSWER
from pipeline.core.types import Gateway, Scope
from pipeline.errors import Unreadable
from pipeline.gateways import reader
from pipeline.gateways.client import GatewayClient
from pipeline.gateways.reader import AnswerReader
from pipeline.gateways.types import FetchResult, Room


def ids(number, more=b""):
    return b'{"data":[' + b",".join(b'{"id":"m%d"%s}' % (each, more) for each in range(number)) + b"]}"


def error_of(job, body, *, headers=()):
    """Return the line of a run whose one answer fails."""
    with Scripted(lambda _: Reply(body, headers=headers)) as server:
        job.asks(server.url, attempts=1)
        return one_line(job.quick("run"), 4, "local/public: failing")


@pytest.fixture
def job(tmp_path):
    return Job(tmp_path / "home")


TOO_MANY_VALUES = {
    "rows without an id": b'{"data":[' + b",".join([b"[]"] * (MAX_VALUES + 1)) + b"]}",
    "values in one record": b'{"data":[{"id":"a","x":[' + b",".join([b"1e9"] * MAX_VALUES) + b"]}]}",
    "values beside the list": b'{"data":[{"id":"a"}],"x":[' + b",".join([b"{}"] * MAX_VALUES) + b"]}",
    "brackets": b"[" * (MAX_VALUES + 1) + b"]" * MAX_VALUES,
    "letters of two bytes": ids(MAX_VALUES // 2).decode().encode("utf-16"),
    "lines": b"\n".join([b'{"id":"a"}'] * (MAX_VALUES + 2)),
    "bytes that are not UTF-8": b'{"a":"\xff","data":[' + b",".join([b'"m"'] * MAX_VALUES) + b"]}",
}


@pytest.mark.parametrize("body", TOO_MANY_VALUES.values(), ids=TOO_MANY_VALUES)
def test_a_body_with_too_many_values_fails_before_it_is_decoded(job, body):
    tracemalloc.start()
    try:
        line = error_of(job, body)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert "the answer has more than 500,000 values: ask for a part of it" in line
    assert peak < 70_000_000


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ({"x": "x" * MAX_RECORD}, "the record of a has more than 1,000,000 characters"),
        ({"x": "é" * MAX_RECORD}, "the record of a has more than 1,000,000 characters"),
        ({"x": ["x" * (MAX_RECORD // 2)] * 2}, "the record of a has more than 1,000,000 characters"),
        ({"k" * (MAX_NAME + 1): 1}, "the record of a has a name of 257 characters, more than 256"),
        ({"x": [{"k" * 5000: {}}]}, "the record of a has a name of 5,000 characters"),
        ({'":' * 200 + "k" * 90: 1}, "the record of a has a name of 690 characters"),
        ({"id": "m" * (MAX_NAME + 1)}, f"an id has 257 characters, more than 256: {'m' * 60}…"),
    ],
)
@pytest.mark.parametrize("nested", [False, True], ids=["plain", "nested"])
def test_a_record_beyond_a_limit_fails_the_list(job, row, problem, nested):
    rows = [{"id": "b"}, {"id": "a", **row}]
    body = json.dumps({"x": {"models": rows}} if nested else {"data": rows}, ensure_ascii=False).encode()
    with Scripted(lambda _: Reply(body)) as server:
        job.asks(server.url, attempts=1, **({"list": "x.models"} if nested else {}))
        assert problem in one_line(job.quick("run"), 4)


def test_a_record_of_exactly_the_limits_is_accepted(job):
    row = {"id": "m" * MAX_NAME, "k" * MAX_NAME: "", "t": '":' * 200}
    row["x"] = "x" * (MAX_RECORD - len(canonical.encode({**row, "x": ""})))
    assert len(canonical.encode(row)) == MAX_RECORD
    with Scripted(lambda _: Reply(listing([row, {"id": "b"}]))) as server:
        job.asks(server.url)
        assert job.quick("run").code == 0


def test_noise_does_not_count(job):
    with Scripted(lambda _: Reply(listed("a", "b", x={"k" * 300: "x" * MAX_RECORD}))) as server:
        job.asks(server.url, noise=["x"])
        assert job.quick("run").code == 0


@pytest.mark.parametrize("escape", [r"\u0041", "%41", "&#65;", "%2541", r"\x41"])
def test_a_body_of_escapes_fails_before_it_is_searched_for_the_key(job, escape):
    job.env["KEY"] = "sk-0123456789abcdef"
    said = escape.replace(r"\x", r"\\x") * (MAX_ESCAPES + 1)
    body = b'{"data":[{"id":"a","x":"%b sk-0123456789abcdef"}]}' % said.encode()
    with Scripted(lambda _: Reply(body)) as server:
        job.asks(server.url, attempts=1, scopes={"own": 'key = "env:KEY"'}, noise=["x"])
        began = time.monotonic()
        done = job.quick("run")
    assert time.monotonic() - began < 20
    assert done.code == 4
    assert "the answer has more than 300,000 escaped letters: ask for a part of it" in done.stderr


@pytest.mark.parametrize("escape", [r"\u0041", "%41", "&#65;"])
def test_a_body_with_as_many_escapes_as_may_be_is_read_and_masked(job, escape):
    job.env["KEY"] = "sk-0123456789abcdef"
    key = "".join(f"\\u{ord(letter):04x}" for letter in job.env["KEY"])
    said = escape * (MAX_ESCAPES // 4)
    body = b'{"data":[{"id":"a","x":"%b %b"}]}' % (said.encode(), key.encode())
    with Scripted(lambda _: Reply(body)) as server:
        job.asks(server.url, attempts=1, scopes={"own": 'key = "env:KEY"'})
        assert job.quick("run").code == 0
    assert " ***" in job.quick("models", "--json").stdout


def test_a_list_has_as_many_models_as_the_config_allows(job):
    with Scripted(lambda _: Reply(ids(31))) as server:
        job.asks(server.url, name="fits", max_models=31)
        job.asks(server.url, name="over", max_models=30)
        line = one_line(job.quick("run"), 3)
    assert "over/public: failing" in line
    assert "the list has 31 models, more than 30: if it is right, raise `max_models`" in line


def test_more_models_than_the_default_fail(job):
    assert "the list has 20,001 models, more than 20,000" in error_of(job, ids(MAX_MODELS + 1))


@pytest.mark.parametrize(
    ("setting", "problem"),
    [
        ({"max_body": 20_000}, "the answer is larger than 20,000 bytes: if it is right, raise `max_body`"),
        ({"max_models": 29}, "the list has 30 models, more than 29"),
    ],
)
def test_the_pages_of_a_list_count_together(job, setting, problem):
    def page(question):
        number = int(question.path.partition("page=")[2])
        body = {"pages": 3, "data": [{"id": f"m{number}-{each}", "x": "x" * 1000} for each in range(10)]}
        return Reply(json.dumps(body).encode())

    paging = '[gateways.local.paging]\nparam = "page"\npages = "pages"\n'
    with Scripted(page) as server:
        job.asks(server.url, attempts=1, **setting)
        job.configure(job.config.read_text() + paging)
        assert problem in one_line(job.quick("run"), 4)


def test_a_record_that_is_large_as_it_came_is_not_decoded(job):
    assert "a record has 7,000,009 bytes, more than 6,000,000" in error_of(
        job, b'{"data":[{"id":"b"},{"id":"a","x":"' + b"\\" * 6_999_992 + b'"}]}'
    )


def test_an_answer_that_fails_leaves_its_room():
    async def run():
        room = Room(100, asyncio.Lock())
        await room.take(60)
        room.leave(60)
        await room.take(100)
        with pytest.raises(Unreadable, match="100 bytes"):
            await room.take(1)

    asyncio.run(run())


def test_large_answers_of_a_gateway_come_one_after_the_other():
    async def run():
        lock = asyncio.Lock()
        first, second, small = (Room(10 * SMALL_ANSWER, lock) for _ in range(3))
        await first.take(SMALL_ANSWER + 1)
        await small.take(SMALL_ANSWER)
        waiting = asyncio.ensure_future(second.take(SMALL_ANSWER + 1))
        await asyncio.sleep(0)
        assert not waiting.done()
        small.close()
        first.close()
        await waiting
        second.close()
        assert not lock.locked()

    asyncio.run(run())


def test_the_body_of_an_answer_that_failed_is_not_kept(job):
    packed = gzip.compress(b" " * 7_000_000 + b"no list", 1)
    headers = (("Content-Encoding", "gzip"),)
    scopes = {f"s{number}": f'key = "env:K{number}"' for number in range(12)}
    job.env |= {f"K{number}": f"a-secret-key-{number}" for number in range(12)}
    with Scripted(lambda _: Reply(packed, headers=headers)) as server:
        job.asks(server.url, attempts=1, scopes=scopes)
        tracemalloc.start()
        try:
            assert job.quick("run").code == 4
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak < 60_000_000


def test_unlike_lists_of_one_gateway_have_a_limit_in_a_run(job, monkeypatch):
    monkeypatch.setattr(reader, "MAX_BODY", 1)

    def unlike(question):
        return Reply(listed("a", "b", text=question.headers["Authorization"] + "x" * 9000))

    scopes = {f"s{number}": f'key = "env:K{number}"' for number in range(9)}
    job.env |= {f"K{number}": f"{number}" for number in range(9)}
    with Scripted(unlike) as server:
        job.asks(server.url, scopes=scopes, max_body=30_000, concurrency=1)
        line = one_line(job.quick("run"), 3)
        assert "the lists of local have too many unlike records for one run" in line
        assert "raise `max_body`, a quarter of the limit" in line
        states = {row["scope"]: row["models"] for row in job.quick("scopes", "--json").json()}
    assert list(states.values()).count(2) == 5


def test_answers_that_cannot_be_read_within_the_deadline_fail():
    async def run():
        with Scripted(lambda _: Reply(listed("a", "b"))) as server:
            gateway = Gateway("g", server.url)
            answers = AnswerReader({})
            scopes = [Scope(name, gateway) for name in ("g/a", "g/b")]
            loop = asyncio.get_running_loop()
            late = 0.0
            found = []
            real = loop.time
            loop.time = lambda: real() + late
            client = GatewayClient(lambda _: None, user_agent="test", deadline=30)
            async with client:
                async for _, outcome in client.fetch_all([answers.request(scope) for scope in scopes]):
                    found.append(outcome)
                    await asyncio.sleep(0.2)
                    late = 60.0
        return found

    first, second = asyncio.run(run())
    assert isinstance(first, FetchResult)
    assert "within the 30 s of `deadline`" in second.message


def test_a_run_that_lacks_the_memory_to_read_an_answer_says_so(job, monkeypatch):
    def read(*_):
        raise MemoryError

    monkeypatch.setattr(AnswerReader, "_read", read)
    with Scripted(lambda _: Reply(listed("a"))) as server:
        job.asks(server.url, scopes={"one": "", "two": ""})
        done = job.quick("run")
    assert (done.code, done.stderr) == (71, "modelwatch: there is not enough memory: see `ulimit -v`\n")


def test_an_error_as_a_value_keeps_no_frames():
    try:
        canonical.decode(b"no JSON")
    except ValueError as cause:
        error = Unreadable("no list")
        error.__cause__ = cause
    value = error.as_value()
    assert (value.__traceback__, value.__cause__, value.__context__) == (None, None, None)


def test_long_names_and_objects_with_many_names_are_not_cached():
    calls = []

    @cache_short(8, 3)
    def length(key):
        calls.append(key)
        return len(key)

    assert [length("abc"), length("abc"), length("abcd"), length("abcd")] == [3, 3, 4, 4]
    assert calls == ["abc", "abcd", "abcd"]


@pytest.mark.parametrize("function", [words, plain])
def test_the_caches_of_names_keep_little_of_what_a_gateway_sends(function):
    function("a name")
    tracemalloc.start()
    try:
        for number in range(20):
            function(f"{number} inputPrice" * 5_000)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 100_000
