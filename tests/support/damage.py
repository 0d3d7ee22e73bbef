"""A recorded history to damage, and every command that reads or writes it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.simulator import Gateway
from support.e2e import Done, Job

AT = "2026-05-06T06:00:00Z"
"""The time of the commands."""

_KEY = "sk-prod-12345678"

READING = [
    ("status",),
    ("scopes",),
    ("changes", "--all"),
    ("changes", "--all", "--json"),
    ("models",),
    ("models", "--json", "--at", "2026-05-03"),
    ("show", "heron-2", "--json"),
    ("show", "quarry/slate"),
    ("history", "*"),
    ("diff", "#1", "#4"),
    ("matrix",),
    ("same",),
    ("deprecations",),
    ("watch",),
    ("outbox", "--all"),
    ("report", "--since", "2026-05-01", "--as", "html"),
    ("report", "--since", "2026-05-01", "--as", "json"),
]

WRITING = [
    ("run",),
    ("rebuild",),
    ("prune", "--keep", "2d"),
    ("publish", "PLACE"),
    ("export", "--parquet", "PLACE"),
    ("backup", "PLACE"),
    ("send",),
    ("rename", "one", "two"),
]

COMMANDS = [("verify",), *READING, *WRITING]


@contextmanager
def recorded(directory: Path) -> Iterator[Job]:
    """Record five runs of two scopes, a day apart, and serve the gateway during the block."""
    job = Job(directory, {"PROD": _KEY})
    with Gateway() as one:
        one.key(_KEY, group="vip")
        every = ("default", "vip")
        one.offers("heron-2", to=every, owned_by="heron", cost={"in": 5, "out": 10})
        one.offers("quarry/slate", to=every, owned_by="quarry", context_length=8)
        one.offers("lumen-3", to="vip", owned_by="lumen", shutdown_date="2026-06-01")
        scopes = {"prod": 'key = "env:PROD", group = "vip"', "public": ""}
        job.asks(one.url, name="one", scopes=scopes, attempts=1)
        own = 'prices = { unit = "1m", input = "cost.in", output = "cost.out" }\nbackoff'
        text = job.config.read_text("utf-8").replace("backoff", own)
        mail = '\n[destinations.mail]\ntype = "eml"\ndirectory = "mail"\nevery = "day"\n'
        job.configure('[watch]\nmodels = ["heron-2"]\n' + text + mail)
        job.quick("run", at="2026-05-01T06:00:00Z")
        one.offers("heron-2", to=every, owned_by="heron", cost={"in": 2.5, "out": 10})
        one.drops("quarry/slate")
        job.quick("run", at="2026-05-02T06:00:00Z")
        job.quick("run", at="2026-05-03T06:00:00Z")
        one.offers("heron-2", to=every, owned_by="heron", cost={"in": 3, "out": 12}, description="new")
        one.offers("quarry/slate", to="vip", owned_by="quarry", context_length=16)
        job.quick("run", at="2026-05-04T06:00:00Z")
        one.drops("heron-2")
        one.offers("[x]", to=every)
        job.quick("run", at="2026-05-05T06:00:00Z")
        one.offers("heron-2", to=every, owned_by="heron", cost={"in": 3, "out": 13})
        yield job


def commands_in(job: Job) -> Iterator[tuple[tuple[str, ...], Done]]:
    """Run every command on the database as it is now; yield each with its result."""
    data = job.database.read_bytes()
    for number, command in enumerate(COMMANDS):
        for file in job.home.glob("modelwatch.db*"):
            file.unlink()
        job.database.write_bytes(data)
        words = [word.replace("PLACE", str(job.home / f"out-{number}")) for word in command]
        yield command, job.quick(*words, at=AT)
