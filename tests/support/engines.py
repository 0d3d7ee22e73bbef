"""Runs of the same answers by several engines, whose databases are compared row for row."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from pipeline.core.times import iso
from pipeline.core.types import Engine
from pipeline.errors import FetchError
from pipeline.simulator import Gateway
from pipeline.store import Store
from pipeline.sync.executors import Work
from support.e2e import Job
from support.fakes import rows_of
from support.simulated_month import KEY, SCOPES, Month, serve

USER = "ada-access-token-1234"
"""The access token of a user whose groups are scopes, too."""


@dataclass
class Threads:
    """Workers in threads of this process; `tasks` and `replies` are the bytes that went to and fro."""

    number: int = 2
    tasks: list[bytes] = field(default_factory=list)
    replies: list[bytes] = field(default_factory=list)
    fails: Callable[[int], Exception | None] = lambda _task: None

    @contextmanager
    def of_engine(self, _engine: Engine, _deadline: float) -> Iterator[Threads]:
        """Stand for `executors.workers_of`."""
        yield self

    @contextmanager
    def pool(self, tasks: int) -> Iterator[Executor]:
        """Return threads."""
        executor = ThreadPoolExecutor(tasks)
        try:
            yield executor
        finally:
            executor.shutdown(wait=False, cancel_futures=True)

    def submit(self, pool: Executor, work: Work, task: bytes) -> Future[bytes]:
        """Hand a task to a thread."""
        number = len(self.tasks)
        self.tasks.append(task)

        def done() -> bytes:
            if error := self.fails(number):
                raise error
            reply = work(task)
            self.replies.append(reply)
            return reply

        return pool.submit(done)

    def explained(self, error: Exception) -> FetchError | None:
        """Return None: exceptions are those of the tasks."""
        del error
        return None


def month_by(
    jobs: Sequence[Job], month: Month, polls: Sequence[datetime], tables: Mapping[Path, str] | None = None
) -> None:
    """Run each job at some times of a month: a key, a user with groups, and everyone.

    The jobs have their engines in their configs already, and ask the same gateway in turn. `tables` end the
    config of a home.
    """
    now = polls[0]
    with Gateway(clock=lambda: now.timestamp()) as gateway:  # noqa: PLW0108 - `now` is set anew
        gateway.key(KEY, group="prod")
        gateway.user("ada", id=17, group="vip", access_token=USER)
        gateway.offers("lyra", "vega", to="vip")
        for job in jobs:
            job.env |= {"MONTH": KEY, "ADA": USER}
            scopes = SCOPES | {"ada": 'access_token = "env:ADA", user_id = 17, groups = "all"'}
            job.asks(gateway.url, attempts=1, confirm_after=7200, scopes=scopes)
            if tables and job.home in tables:
                job.configure(job.config.read_text("utf-8") + tables[job.home])
        for now in polls:
            for scope, group in (("public", "default"), ("prod", "prod")):
                serve(gateway, month, scope, group, now)
            done = [job.quick("run", at=iso(now)) for job in jobs]
            assert len({each.code for each in done}) == 1, done
            assert len({each.stderr for each in done}) == 1, done


def rows(job: Job) -> dict[str, list[dict[str, Any]]]:
    """Return all rows of a database, but for the times of its set-up, and where its reports are."""
    with Store.read(job.database) as store:
        found = {name: each for name, each in rows_of(store).items() if name != "_sqlite_migrations"}
    for delivery in found["deliveries"]:
        delivery["recipient"] = Path(delivery["recipient"]).name
    return found
