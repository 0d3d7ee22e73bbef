"""Messages are sent without the lock of the database, each by one process at a time."""

from __future__ import annotations

import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from msgspec.structs import replace
from support.e2e import TIMEOUT, Job, Question, Reply, Scripted, ended, listed

from pipeline.core.times import iso
from pipeline.delivery.send import DeliverySummary
from pipeline.store import Store
from pipeline.store.outbox import deliveries, lease, record_attempt

HOOK = '[destinations.{name}]\ntype = "webhook"\nurl = "{url}/{name}"\n'


class World:
    """A gateway, and webhooks that answer when they may.

    Args:
        models: what the gateway offers.
        posts: the path and the id of each request to a webhook, in their order.
        asked: a webhook was asked.
        answers: the paths that are answered at once; the others wait for `released`.
    """

    def __init__(self, directory: Path, url: str, *names: str) -> None:
        self.models = ["m0"]
        self.posts: list[tuple[str, str]] = []
        self.asked, self.released = threading.Event(), threading.Event()
        self.waiting: set[str] = set()
        self.job = Job(directory / "home")
        self.job.asks(url, attempts=1)
        tables = "".join(HOOK.format(name=name, url=url) for name in names)
        self.job.configure(self.job.config.read_text("utf-8") + tables)

    def answer(self, question: Question) -> Reply:
        """Answer a request."""
        if question.method == "GET":
            return Reply(listed(*self.models))
        self.posts.append((question.path, question.headers["X-Modelwatch-Id"]))
        if question.path in self.waiting:
            self.asked.set()
            assert self.released.wait(TIMEOUT)
        return Reply()

    def news(self) -> None:
        """Offer one more model, and record it, so that each destination has a report due."""
        self.models.append(f"m{len(self.models)}")
        assert self.job.quick("sync").code == 0


@contextmanager
def world(directory: Path, *names: str) -> Iterator[World]:
    """Run a world with webhooks of these names, whose first run is over."""
    with ExitStack() as stack:
        found: list[World] = []
        server = stack.enter_context(Scripted(lambda question: found[0].answer(question)))  # noqa: PLW0108
        found.append(World(directory, server.url, *names))
        # No thread of the server may wait at the end.
        stack.callback(found[0].released.set)
        assert found[0].job.quick("run").code == 0
        found[0].posts.clear()
        yield found[0]


def later(minutes: int) -> str:
    """Return the time in some minutes."""
    return iso(datetime.now(UTC) + timedelta(minutes=minutes))


def unsent(job: Job) -> list[dict[str, Any]]:
    """Return the deliveries that wait or were refused."""
    found: list[dict[str, Any]] = job.quick("outbox", "--json").json()
    return found


def test_a_slow_receiver_holds_no_lock_and_gets_each_report_once(tmp_path: Path) -> None:
    with world(tmp_path, "slow", "quick") as home:
        home.waiting = {"/slow"}
        home.news()
        with home.job.start("send") as first:
            assert home.asked.wait(TIMEOUT)
            assert home.job.quick("run").code == 0, "the lock is free"
            home.models.append("more")
            assert home.job.quick("run").code == 0
            assert home.job.quick("rebuild").code == 0
            assert [path for path, _ in home.posts].count("/quick") == 2, "others get their reports meanwhile"
            assert [path for path, _ in home.posts].count("/slow") == 1, "a later report waits for its turn"
            home.released.set()
            assert ended(first).code == 0
        assert home.job.quick("send").code == 0
        assert unsent(home.job) == []
    assert sorted(path for path, _ in home.posts) == ["/quick", "/quick", "/slow", "/slow"]
    assert len(set(home.posts)) == 4


def test_processes_at_the_same_time_send_each_report_once(tmp_path: Path) -> None:
    names = [f"d{number}" for number in range(6)]
    with world(tmp_path, *names) as home:
        for _ in range(2):
            home.news()
            with ExitStack() as stack:
                commands = ("send", "run", "send")
                processes = [stack.enter_context(home.job.start(command)) for command in commands]
                assert {ended(each).code for each in processes} <= {0, 75}
        assert home.job.quick("send").code == 0
        assert unsent(home.job) == []
    assert len(home.posts) == len(set(home.posts)) == 6 * 2


def test_a_report_whose_process_is_killed_while_it_sends_goes_when_its_lease_has_expired(
    tmp_path: Path,
) -> None:
    with world(tmp_path, "team") as home:
        home.waiting = {"/team"}
        home.news()
        with home.job.start("send") as process:
            assert home.asked.wait(TIMEOUT)
            process.send_signal(signal.SIGKILL)
            process.communicate(timeout=TIMEOUT)
        home.released.set()
        done = home.job.quick("send")
        assert (done.code, done.stdout.count("\n")) == (0, 1)
        assert done.stdout.startswith("team: another run is sending to it, until 20")
        assert len(home.posts) == 1
        assert home.job.quick("send", at=later(30)).code == 0
        assert unsent(home.job) == []
    assert len(home.posts) == 2
    assert len(set(home.posts)) == 1, "both have the same id"


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(143), ValueError()])
def test_a_report_whose_sending_was_interrupted_goes_with_the_next_run(
    tmp_path: Path, error: BaseException
) -> None:
    with world(tmp_path, "team") as home:
        home.news()
        with mock.patch("pipeline.delivery.channels.send", side_effect=error):
            assert home.job.quick("send").code != 0
        assert home.posts == []
        assert home.job.quick("send").code == 0
        assert len(home.posts) == 1


@pytest.mark.parametrize("action", ["--drop", "--retry"])
def test_a_report_that_is_dropped_or_retried_while_it_is_sent_is_sent_once(
    tmp_path: Path, action: str
) -> None:
    with world(tmp_path, "team") as home:
        home.waiting = {"/team"}
        home.news()
        with home.job.start("send") as process:
            assert home.asked.wait(TIMEOUT)
            (waiting,) = unsent(home.job)
            assert waiting["leased_until"]
            assert home.job.quick("outbox", f"{action}={waiting['id']}").code == 0
            home.released.set()
            assert ended(process).code == 0
        assert home.job.quick("send", at=later(30)).code == 0
        found = home.job.quick("outbox", "--all", "--json").json()
        assert [(each["state"], each["leased_until"]) for each in found if each["id"] == waiting["id"]] == [
            ("sent", None)
        ]
    assert len(home.posts) == 1


def test_a_lease_by_a_clock_that_ran_ahead_is_ignored(tmp_path: Path) -> None:
    with world(tmp_path, "team") as home:
        home.news()
        with mock.patch("pipeline.delivery.send.Sending.send", return_value=DeliverySummary()):
            assert home.job.quick("send").code == 0
        assert len(unsent(home.job)) == 1
        with Store.open(home.job.database) as store, store.transaction():
            store.connection.execute("update deliveries set leased_until = '2099-01-01T00:00:00Z'")
        assert home.job.quick("send").code == 0
        assert unsent(home.job) == []
    assert len(home.posts) == 1


def test_what_another_process_has_done_since_a_batch_was_read_is_not_sent_again(tmp_path: Path) -> None:
    with world(tmp_path, "a", "b", "c", "d") as home:
        home.news()
        with mock.patch("pipeline.delivery.send.Sending.send", return_value=DeliverySummary()):
            assert home.job.quick("send").code == 0
        with Store.open(home.job.database) as store:
            read = {each.destination: each for each in deliveries(store, "waiting")}
            record_attempt(store, replace(read["a"], state="sent"))
            record_attempt(store, replace(read["b"], attempts=1))
            record_attempt(store, replace(read["c"], state="refused"))
            got = {
                name: lease(store, [each], is_live=lambda _: False, until="2099-01-01T00:00:00Z")
                for name, each in read.items()
            }
    assert {name for name, found in got.items() if found} == {"d"}


def test_a_result_is_recorded_though_others_write_for_a_while(tmp_path: Path) -> None:
    """A mail whose result were lost would be sent again."""
    with world(tmp_path, "team") as home:
        home.waiting = {"/team"}
        home.news()
        with (
            home.job.start("send") as process,
            Store.open(home.job.database) as store,
        ):
            assert home.asked.wait(TIMEOUT)
            with store.transaction():
                home.released.set()
                with pytest.raises(subprocess.TimeoutExpired):
                    process.wait(1)
            assert ended(process).code == 0
        assert unsent(home.job) == []
