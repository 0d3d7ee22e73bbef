"""Helpers of the proofs: a gateway that changes at random, and the history that a home records of it."""

from __future__ import annotations

import json
import random
import shutil
import tempfile
import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pipeline.core.times import iso
from pipeline.history.changes import find_events
from pipeline.maintenance import dialects_of, verify
from pipeline.store import Store, read_listing, scope_states
from pipeline.store.windows import time_window
from support.e2e import Job, Question, Reply, listing, rows

KNOWN = dialects_of(())
KEYS = {"one": "sk-one-12345678", "two": "sk-two-12345678", "three": "sk-three-12345678"}
SCOPES = {name: f'key = "env:{name.upper()}"' for name in KEYS}
SETTLED = {0, 3, 4, 5}
"""The exit codes of a run whose answers were recorded."""

Lists = dict[str, dict[str, int]]
"""The offer to each key: the models, and the form of each."""


@dataclass(slots=True)
class World:
    """A gateway with random lists and failures; `asked` is set when a client asks.

    No model leaves a scope more than twice, so that all have the same flap level.
    """

    chance: random.Random
    lists: Lists = field(default_factory=lambda: {key: {f"m{n}": 0 for n in range(12)} for key in KEYS})
    failing: set[str] = field(default_factory=set)
    gone: Lists = field(default_factory=lambda: {key: {} for key in KEYS})
    asked: threading.Event = field(default_factory=threading.Event)
    count: int = 12

    def turns(self) -> None:
        """Change the lists at random."""
        for key in KEYS:
            for change in self.chance.sample([self._adds, self._drops, self._changes, self._returns], 2):
                change(key)
        self.failing = {key for key in KEYS if self.chance.random() < 0.15}

    def _adds(self, key: str) -> None:
        self.count += 1
        self.lists[key][f"m{self.count}"] = 0

    def _drops(self, key: str) -> None:
        offered = self.lists[key]
        # Sometimes most of a list goes at once, which is held until the next answer agrees.
        share = 0.7 if self.chance.random() < 0.2 else 0.1
        for model in [model for model in offered if self.chance.random() < share]:
            form = offered.pop(model)
            if form < 1000:
                self.gone[key][model] = form

    def _changes(self, key: str) -> None:
        for model in self.chance.sample(sorted(self.lists[key]), min(2, len(self.lists[key]))):
            self.lists[key][model] += 1

    def _returns(self, key: str) -> None:
        if self.gone[key]:
            model = self.chance.choice(sorted(self.gone[key]))
            self.lists[key][model] = self.gone[key].pop(model) + 1000

    def answer(self, question: Question) -> Reply:
        """Answer a request."""
        self.asked.set()
        names = {f"Bearer {secret}": key for key, secret in KEYS.items()}
        key = names[question.headers["Authorization"]]
        return Reply(status=500) if key in self.failing else Reply(self.body(key))

    def body(self, key: str) -> bytes:
        """Return the list of a key."""
        offered = self.lists[key]
        return listing({"id": model, "object": "model", "form": offered[model]} for model in sorted(offered))


def home(directory: Path, url: str) -> Job:
    """Return a home that asks a world with each of its keys."""
    job = Job(directory, {name.upper(): secret for name, secret in KEYS.items()})
    job.asks(url, attempts=1, scopes=SCOPES)
    return job


def settle(*jobs: Job, times: int = 4) -> list[int]:
    """Run each of some jobs so many times, hours apart, so that holds end and removals are confirmed.

    Real runs may be seconds apart, and then count as one answer; these go on from the real time, hour by
    hour.

    Returns:
        The exit status of the last run of each.
    """
    now = datetime.now(UTC)
    codes = [
        [job.quick("run", at=iso(now + timedelta(hours=number))).code for number in range(1, times + 1)]
        for job in jobs
    ]
    assert {code for each in codes for code in each} <= SETTLED
    return [each[-1] for each in codes]


def problems(path: Path) -> list[str]:
    """Return the problems of a database, from a copy; one that does not exist has none."""
    with tempfile.TemporaryDirectory() as directory:
        copy = Path(directory) / path.name
        # SQLite creates the index of the log again, as after a loss of power.
        for name in (path.name, f"{path.name}-wal", f"{path.name}-journal"):
            with suppress(FileNotFoundError):
                shutil.copyfile(path.with_name(name), copy.with_name(name))
        with Store.open(copy) as store:
            return [problem.message for check in verify(store, KNOWN) for problem in check.problems]


Event = tuple[object, ...]


def _events(kind: str, model: str, scopes: Iterable[str], fields: Iterable[tuple[str, str]]) -> list[Event]:
    # Each scope by itself: which scopes share an event depends on the second of each removal.
    return [(str(kind), model, scope, tuple(fields)) for scope in scopes]


def recorded_events(path: Path) -> Counter[Event]:
    """Count the recorded events of each scope, without their times."""
    with Store.read(path) as store:
        found = find_events(store, time_window(store))
    return Counter(
        event
        for each in found
        for event in _events(
            each.kind, each.model, each.scopes, [(field.field, str(field.after)) for field in each.fields]
        )
    )


def reported_events(job: Job) -> Counter[Event]:
    """Count the events in the report files, as `recorded_events` does; the CSV files must have as many."""
    values = [json.loads(content) for name, content in job.written().items() if name.endswith(".json")]
    found = [change for value in values for change in value["changes"]]
    tables = [rows(content.decode()) for name, content in job.written().items() if name.endswith(".csv")]
    lines = Counter((row["model"], row["field"]) for table in tables for row in table)
    assert lines == Counter(
        (each["model"], name)
        for each in found
        for name in (
            *([] if each["kind"] == "changed" and each["fields"] else [""]),
            *(field["field"] for field in each["fields"]),
        )
    )
    return Counter(
        event
        for each in found
        for event in _events(
            each["kind"],
            each["model"],
            each["scopes"],
            [(field["field"], str(field["after"])) for field in each["fields"]],
        )
    )


def current_bodies(path: Path) -> dict[str, Mapping[str, str]]:
    """Return the current records of each scope: bodies by model."""
    with Store.read(path) as store:
        return {
            name: {model: record.body for model, record in read_listing(store, state.listing).records.items()}
            for name, state in scope_states(store).items()
            if state.listing is not None
        }


def stray_files(job: Job) -> list[str]:
    """Return the names in the reports directory that are not of a complete report."""
    if not job.reports.is_dir():
        return []
    names = {file.name for file in job.reports.iterdir()}
    whole = {name for name in names if name.endswith((".csv", ".json")) and not name.startswith(".")}
    stems = {Path(name).stem for name in whole}
    missing = {f"{stem}{ending}" for stem in stems for ending in (".csv", ".json")} - names
    return sorted((names - whole) | missing)
