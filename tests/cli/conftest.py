"""A recorded history that the tests of several commands read."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.e2e import Job

from pipeline.simulator import Gateway

KEY = "sk-prod-12345678"
PRICES = 'prices = { unit = "1m", input = "cost.in", output = "cost.out" }\n'


@pytest.fixture(scope="session")
def past(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Job]:
    """A home with five runs, a day apart; tests only read it.

    `heron-2` changes its price twice and is missing at the end; `quarry/slate` is removed and returns to one
    of two scopes; `lumen-3` has an announced shutdown; `[x]` is added by the last run.
    """
    job = Job(tmp_path_factory.mktemp("past"), {"PROD": KEY})
    with Gateway() as one:
        one.key(KEY, group="vip")
        every = ("default", "vip")
        one.offers("heron-2", to=every, owned_by="heron", cost={"in": 5, "out": 10})
        one.offers("quarry/slate", to=every, owned_by="quarry", context_length=8)
        one.offers("lumen-3", to="vip", owned_by="lumen", shutdown_date="2026-06-01")
        scopes = {"prod": 'key = "env:PROD", group = "vip"', "public": ""}
        job.asks(one.url, name="one", scopes=scopes, attempts=1)
        job.configure(job.config.read_text("utf-8").replace("backoff", PRICES + "backoff"))
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
        yield job
