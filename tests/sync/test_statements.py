"""What a run asks the database does not depend on how many scopes share a fate, or on the past."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from support.fakes import Script, scope

from pipeline.core.types import Thresholds
from pipeline.store import Store

Step = Callable[[Script, str], object]

CAUTIOUS = Thresholds(max_loss=0.25, floor=1)
OURS = tuple("abcdefgh")


def has_news(script: Script, name: str) -> None:
    script.adds(name, "new")


def loses(script: Script, name: str) -> None:
    script.offers(name, *OURS[:-1])


def recovers(script: Script, name: str) -> None:
    script.offers(name, *OURS)


STEPS: dict[str, list[Step]] = {
    "no news": [recovers],
    "a new model": [has_news],
    "failures": [Script.fails, Script.fails, recovers],
    "holds": [
        lambda script, name: script.offers(name, "a"),
        lambda script, name: script.offers(name, "a", "b"),
    ],
    "a removal": [loses, recovers, loses, loses, loses],
}


class CountingStore(Store):
    """A store that counts its queries."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self.queries: Counter[str] = Counter()
        super().__init__(*arguments, **options)

    def rows(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        self.queries[sql] += 1
        return super().rows(sql, parameters)

    def stream(self, sql: str, parameters: Mapping[str, Any] | None = None) -> Iterator[tuple[Any, ...]]:
        self.queries[sql] += 1
        return super().stream(sql, parameters)


def queries(scopes: int, steps: list[Step]) -> list[Counter[str]]:
    """Return how often the run of each step made each query."""
    found = []
    with CountingStore.open(None) as store:
        script = Script(store)
        for number in range(scopes):
            script.has(scope(f"acme/k{number}", thresholds=CAUTIOUS)).offers(f"acme/k{number}", *OURS)
        script.run()
        for step in steps:
            for name in script.scopes:
                step(script, name)
            store.queries = Counter()
            script.run()
            found.append(store.queries)
    return found


def test_queries_of_a_run_use_no_index_of_the_whole_past() -> None:
    """The index of outcomes has every failure and every hold, and that of scopes every sighting."""
    with CountingStore.open(None) as store:
        made = [sql for steps in STEPS.values() for each in queries(3, steps) for sql in each]
        plans = {
            sql: [row["detail"] for row in store.rows(f"explain query plan {sql}", _ANY)]
            for sql in dict.fromkeys(made)
            if "sightings" in sql
        }
    past = ("SCAN sightings", "sightings_outcome")
    assert len(plans) > 5
    assert {
        sql: plan for sql, plan in plans.items() if any(each in line for line in plan for each in past)
    } == {}


class _Any(dict[str, Any]):
    def __missing__(self, _name: str) -> None:
        return None


_ANY = _Any(unused=None)
"""Parameters for a plan, which does not depend on them."""


@pytest.mark.parametrize("name", STEPS)
def test_a_run_over_many_scopes_asks_the_database_as_often_as_one_over_few(name: str) -> None:
    assert queries(3, STEPS[name]) == queries(40, STEPS[name])
