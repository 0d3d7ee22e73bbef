"""Scopes are dealt to workers, and what these return is recorded as what one process fetches."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import BrokenExecutor, CancelledError
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some
from msgspec.structs import replace
from support.e2e import Job, Question, Reply, Scripted, listed
from support.engines import Threads, month_by, rows
from support.fakes import ONE_API, listing
from support.simulated_month import Month

from pipeline.core.types import (
    AccessToken,
    Anonymous,
    Cookie,
    Engine,
    Gateway,
    Key,
    LeftOutRows,
    Limits,
    Login,
    Scope,
)
from pipeline.errors import (
    FetchError,
    MissingPart,
    Refused,
    Throttled,
    Unreachable,
    Unreadable,
    Unresolved,
)
from pipeline.gateways.dialects import all_dialects, listing_dialect
from pipeline.gateways.reader import Pair, group_scope
from pipeline.gateways.types import GroupGone, ListingAnswer, ScopeResult, Unchanged, Validators
from pipeline.sync import fleet, wire
from pipeline.sync.executors import workers_of
from pipeline.sync.fleet import deal


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> Threads:
    """Workers in threads, instead of processes."""
    found = Threads()
    monkeypatch.setattr(fleet, "workers_of", found.of_engine)
    return found


def job_of(tmp_path: Path, engine: str, *lines: str) -> Job:
    """Return a home whose config begins with an engine."""
    job = Job(tmp_path / engine)
    job.configure("\n".join((f'engine = "{engine}"', *lines, "")))
    return job


def by_keys(job: Job, url: str, keys: int, **settings: object) -> Job:
    """Let a job ask a gateway with so many keys."""
    job.env |= {f"K{number}": f"sk-key-number-{number:04}" for number in range(keys)}
    job.asks(url, scopes={f"k{number}": f'key = "env:K{number}"' for number in range(keys)}, **settings)
    return job


def is_main() -> bool:
    """Return whether this is the thread of the test."""
    return threading.current_thread() is threading.main_thread()


# Deal.


@given(
    gateways=some.lists(some.tuples(some.integers(1, 40), some.integers(1, 9)), min_size=1, max_size=6),
    workers=some.integers(1, 9),
)
def test_each_scope_is_dealt_once_and_no_gateway_gets_more_requests_than_it_allows(gateways, workers):
    scopes = [
        Scope(f"g{number}/{index}", Gateway(f"g{number}", "https://x.example", limits=Limits(concurrency)))
        for number, (size, concurrency) in enumerate(gateways)
        for index in range(size)
    ]
    dealt = deal(scopes, workers)
    assert Counter(scope.name for part in dealt for scope in part.scopes) == Counter(
        scope.name for scope in scopes
    )
    assert len(dealt) <= workers
    for number, (_, concurrency) in enumerate(gateways):
        shares = [part.concurrency[f"g{number}"] for part in dealt if f"g{number}" in part.concurrency]
        assert min(shares) >= 1
        assert sum(shares) == concurrency
    for part in dealt:
        assert {scope.gateway.name for scope in part.scopes} == part.concurrency.keys()


def test_the_scopes_of_one_gateway_are_dealt_evenly_to_all_workers():
    scopes = [Scope(f"g/{index}", Gateway("g", "https://x.example")) for index in range(100)]
    assert [len(part.scopes) for part in deal(scopes, 4)] == [25] * 4


# The same rows.


def test_each_worker_reads_a_list_of_keys_by_itself_and_no_key_travels(
    tmp_path: Path, threads: Threads
) -> None:
    keys = {f"k{number}": f"sk-key-number-{number:04}" for number in range(6)}
    (tmp_path / "list").write_text("\n".join(["name,key", *(f"{name},{key}" for name, key in keys.items())]))
    (tmp_path / "vault").write_text(f"echo x >>{tmp_path}/starts; cat {tmp_path}/list")
    job = job_of(tmp_path, "processes")
    # The anonymous scope is echoed a key of the list, which its worker may not have used yet.
    with Scripted(lambda _: Reply(listed("lyra", note=keys["k5"]))) as server:
        job.asks(server.url, keys=f"command:sh {tmp_path}/vault")
        assert job.quick("run").code == 0
    assert (tmp_path / "starts").read_text().split() == ["x"] * (1 + threads.number)
    travelled = b"".join([*threads.tasks, *threads.replies])
    assert b"lyra" in travelled
    recorded = job.database.read_bytes()
    assert [name for name, key in keys.items() if key.encode() in travelled + recorded] == []


def test_parts_record_the_same_rows_as_one_process(tmp_path: Path, threads: Threads) -> None:
    month = Month(3)
    jobs = [job_of(tmp_path, "local"), job_of(tmp_path, "processes")]
    # With failures, held lists and real changes; a proof plays more of it.
    month_by(jobs, month, month.polls[:200:20])
    assert rows(jobs[1]) == rows(jobs[0])
    assert len(threads.replies) == 2 * 10


@pytest.mark.parametrize("engine", ["local", "processes"])
def test_a_gateway_keeps_the_dialect_of_its_first_list_while_others_move(
    tmp_path: Path, threads: Threads, engine: str
) -> None:
    marks = {"compatibility_type": "gguf", "arch": "x"}
    end, models = b"", "a"

    def answer(asked: Question) -> Reply:
        is_first = asked.headers["Authorization"].endswith("0")
        return Reply(listed("a", **marks) + end if is_first else listed(*models))

    with Scripted(answer) as server:
        job = by_keys(job_of(tmp_path, engine), server.url, 2)
        for end, models in ((b"", "a"), (b"", "ab"), (b" ", "abc")):  # noqa: B007 - they are answered
            assert job.quick("run").code == 0
            assert [(models, each["dialect"]) for each in rows(job)["gateways"]] == [(models, "lmstudio")]
    assert len(threads.tasks) == (6 if engine == "processes" else 0)


@pytest.mark.parametrize("name", all_dialects())
def test_a_listing_names_the_dialect_in_which_it_was_parsed(name: str) -> None:
    dialect = all_dialects()[name]
    found = listing_dialect(Gateway("g", "https://x.example"), dialect.reading)
    for what in ("name", "reading", "facts", "quiet", "field_rules"):
        assert getattr(found, what) == getattr(dialect, what)


# What goes to and fro.


def test_a_scope_with_nothing_new_takes_at_most_four_bytes_back(tmp_path: Path, threads: Threads) -> None:
    with Scripted(lambda _: Reply(listed("a", "b"))) as server:
        job = by_keys(job_of(tmp_path, "processes"), server.url, 200)
        job.quick("run")
        threads.replies.clear()
        assert job.quick("run").code == 0
    assert sum(map(len, threads.replies)) <= 4 * 200


def test_a_listing_and_a_failure_come_back_once_for_all_scopes_of_a_part(
    tmp_path: Path, threads: Threads
) -> None:
    def answer(asked: Question) -> Reply:
        odd = int(asked.headers["Authorization"][-1]) % 2
        return Reply(b'{"error": "no luck"}', 500) if odd else Reply(listed("alpha", "beta"))

    with Scripted(answer) as server:
        job = by_keys(job_of(tmp_path, "processes"), server.url, 40, attempts=1)
        assert job.quick("run").code == 3
    assert sum(reply.count(b"alpha") for reply in threads.replies) <= 2 * 3
    assert sum(reply.count(b"no luck") for reply in threads.replies) <= 2
    assert len(job.quick("scopes", "--json").json()) == 40


def test_a_list_that_is_known_or_held_already_does_not_come_back(tmp_path: Path, threads: Threads) -> None:
    whole, half = listed(*(f"model-{number}" for number in range(20))), listed("model-1")
    steps = ((whole, True), (whole + b" ", False), (half, True), (half, False), (whole, False))
    answers = [whole]
    with Scripted(lambda _: Reply(answers[-1])) as server:
        job = by_keys(job_of(tmp_path, "processes"), server.url, 4)
        for answer, comes_back in steps:
            answers.append(answer)
            threads.replies.clear()
            job.quick("run")
            assert [b"model-1" in reply for reply in threads.replies] == [comes_back] * 2


def test_no_secret_goes_to_or_fro(tmp_path: Path, threads: Threads) -> None:
    """Each answer echoes the key of another scope, which another worker asks."""
    secrets = [f"sk-key-number-{number:04}" for number in range(4)]

    def answer(asked: Question) -> Reply:
        number = int(asked.headers["Authorization"][-4:])
        other = secrets[(number + 1) % 4]
        return Reply(listed("a", note=other)) if number % 2 else Reply(other.encode(), 401)

    with Scripted(answer) as server:
        job = by_keys(job_of(tmp_path, "processes"), server.url, 4, attempts=1)
        assert job.quick("run").code == 3
    stored = [file.read_bytes() for file in job.home.rglob("*") if file.is_file()]
    for secret in secrets:
        assert not [each for each in (*threads.tasks, *threads.replies, *stored) if secret.encode() in each]


def test_each_kind_of_result_comes_back_as_it_was() -> None:
    gateway = Gateway("g", "https://x.example", dialect="one-api")
    credentials = (
        Anonymous(),
        Key("env:K"),
        Cookie("file:c", "9"),
        Cookie("file:c"),
        Login("me", "command:pw", "/in"),
        Key("env:L"),
    )
    plain = [
        Scope(f"g/s{number}", gateway, credential, f"group {number}")
        for number, credential in enumerate(credentials)
    ]
    user = Scope("g/user", gateway, AccessToken("env:USER", "17"), all_groups=True)
    groups = [group_scope(user, name) for name in ("vip", "gone", "not a name")]
    listed = ListingAnswer(
        replace(listing("a", "b"), warnings=("w",), left_out=LeftOutRows(3, without_id=1)),
        "f" * 32,
        Validators('"e"', None),
        listing_dialect(gateway, listing().reading),
        incomplete="there may be more",
    )
    errors: list[FetchError] = [
        Unreachable("no", status=502, cure="wait"),
        Throttled("slow", status=429, retry_after=2.5),
        Refused("bad key", status=401, cure="set another"),
        Unresolved("env:K3 is not set", cure="set it"),
        Unreadable("no list", about_request=True),
    ]
    results: list[list[Pair]] = [
        [(scope, ScopeResult(answer, 1.25))] for scope, answer in zip(plain, (listed, *errors), strict=True)
    ]
    found = (listed, GroupGone("group:gone"), Unchanged())
    results.append(
        [
            (user, ScopeResult(Unchanged(), 0.5)),
            *zip(groups, (ScopeResult(each, 0.5) for each in found), strict=True),
        ]
    )
    part = wire.Part((*plain, user), {"g": 3})
    task = wire.decode_task(wire.TaskEncoder((*plain, user), {}, (), Path("/home"), 9.0).encode(part))
    assert task
    assert [replace(each, gateway=gateway) for each in task.scopes] == [*part.scopes]
    assert {each.gateway.limits.concurrency for each in task.scopes} == {3}
    assert (task.directory, task.deadline) == (Path("/home"), 9.0)
    decoded = wire.decode_results(wire.encode_results(task, results), part, lambda _: listing().records)
    assert decoded
    for (_, pairs), expected in zip(decoded, results, strict=True):
        assert [shown(pair) for pair in pairs] == [shown(pair) for pair in expected]


def shown(pair: Pair) -> object:
    """Return a result with the attributes of its error."""
    scope, (answer, seconds) = pair[0], (pair[1].answer, pair[1].seconds)
    if isinstance(answer, FetchError):
        return scope, type(answer), {**vars(answer)}, seconds
    if isinstance(answer, ListingAnswer):
        dialect = (answer.dialect.name, answer.dialect.reading)
        return scope, replace(answer, dialect=ONE_API), dialect if scope.group != "vip" else None, seconds
    return scope, answer, seconds


# Workers that end, hang, or differ.


def test_the_task_of_a_worker_that_ended_is_done_again(tmp_path: Path, threads: Threads) -> None:
    threads.fails = lambda task: BrokenExecutor() if task == 0 else None
    with Scripted(lambda _: Reply(listed("a"))) as server:
        job = by_keys(job_of(tmp_path, "processes"), server.url, 4)
        assert job.quick("run").code == 0
    assert len(threads.tasks) == 3


def test_a_task_that_ends_each_worker_fails_its_scopes_alone(tmp_path: Path, threads: Threads) -> None:
    threads.fails = lambda task: BrokenExecutor() if task != 1 else None
    with Scripted(lambda _: Reply(listed("a"))) as server:
        job = by_keys(job_of(tmp_path, "processes"), server.url, 4)
        done = job.quick("run")
    assert done.code == 3
    assert "the worker ended before it had results, each time: look for a lack of memory" in done.stderr


def test_results_that_come_too_late_are_failures(tmp_path: Path, threads: Threads) -> None:
    with Scripted(lambda _: Reply(listed("a"))) as server:
        job = by_keys(job_of(tmp_path, "processes", "deadline = 0.2"), server.url, 2)
        ready = threading.Event()
        threads.fails = lambda task: TimeoutError() if task == 0 and not ready.wait(2) else None
        done = job.quick("run")
        ready.set()
    assert done.code == 3
    assert "its worker had no results within the 0.2 s of `deadline`" in done.stderr


def test_a_fault_in_a_worker_fails_its_scopes_alone(tmp_path: Path, threads: Threads) -> None:
    threads.fails = lambda task: ZeroDivisionError() if task == 0 else None
    with Scripted(lambda _: Reply(listed("a"))) as server:
        done = by_keys(job_of(tmp_path, "processes"), server.url, 4).quick("run")
    assert done.code == 3
    assert "a fault of modelwatch" in done.stderr


@pytest.mark.parametrize(("when_lost", "code"), [("fail", 4), ("local", 0)])
def test_a_lost_scheduler_fails_the_scopes_or_they_are_asked_here(
    tmp_path: Path, threads: Threads, when_lost: str, code: int
) -> None:
    threads.fails = lambda _: CancelledError()
    with Scripted(lambda _: Reply(listed("a"))) as server:
        job = job_of(tmp_path, "dask")
        job = by_keys(job, server.url, 4)
        job.configure(f'{job.config.read_text("utf-8")}[dask]\nwhen_lost = "{when_lost}"\n')
        done = job.quick("run")
    assert done.code == code
    assert ('set `when_lost = "local"`' in done.stderr) == (code == 4)


def test_a_worker_of_another_version_ends_the_run_with_what_to_install(
    tmp_path: Path, threads: Threads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet, "work", lambda _task: b"0.0.1\n")
    with Scripted(lambda _: Reply(listed("a"))) as server:
        done = by_keys(job_of(tmp_path, "processes"), server.url, 2).quick("run")
    assert done.code == MissingPart.exit_code
    assert "a worker has another version of modelwatch: install modelwatch" in done.stderr


def test_a_missing_secret_names_the_host_of_a_worker_elsewhere(
    tmp_path: Path, threads: Threads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "gethostname", lambda: "here" if is_main() else "far")
    with Scripted(lambda _: Reply(listed("a"))) as server:
        job = by_keys(job_of(tmp_path, "processes"), server.url, 2)
        job.env.clear()
        done = job.quick("run")
    assert done.code == 4
    assert "on the worker far: env:K0 is not set; nothing was sent" in done.stderr


def test_workers_start_where_the_directory_of_the_run_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with workers_of(Engine("processes", 1), 10.0) as workers, workers.pool(1) as pool:
        assert workers.submit(pool, bytes, b"task").result(10) == b"task"


@pytest.mark.parametrize(
    ("scheme", "problem"),
    [("tcp", "cannot be reached: "), ("tls", "needs certificates for TLS: set `tls_ca_file`")],
)
def test_a_server_that_is_no_scheduler_ends_the_run_in_time(
    tmp_path: Path, scheme: str, problem: str
) -> None:
    with Scripted(lambda _: Reply(listed("a"))) as server:
        job = by_keys(job_of(tmp_path, "dask", "deadline = 1"), server.url, 1)
        address = server.url.replace("http", scheme)
        job.configure(f'{job.config.read_text("utf-8")}[dask]\nscheduler = "{address}"\n')
        done = job.quick("run")
    assert done.code == 4
    assert f"the scheduler {problem}" in done.stderr
