"""Random histories whose runs are days apart, for tests of the age of history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from pipeline.core.types import Thresholds
from pipeline.errors import Refused, Unreachable
from pipeline.gateways.types import ScopeResult
from pipeline.maintenance import dialects_of, verify
from pipeline.store import Store
from pipeline.sync.cache import RunCache
from pipeline.sync.run import decide_and_record
from support.fakes import NOTHING_HELD, offered, result_of, scope

KNOWN = dialects_of(())
CAUTIOUS = Thresholds(max_loss=0.5, floor=1, confirm=2)
SCOPES = {
    name: scope(name, thresholds=thresholds)
    for name, thresholds in (
        ("acme/one", NOTHING_HELD),
        ("acme/two", CAUTIOUS),
        ("zeta/one", NOTHING_HELD),
    )
}
BEGIN = datetime(2026, 1, 1, 8, tzinfo=UTC)

Answers = Mapping[str, Any]
Run = tuple[int, Answers]
"""The days since the run before, and the answer of each scope."""


def at(days: int) -> str:
    """Return the time (ISO 8601 UTC) so many days after the beginning."""
    return (BEGIN + timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")


def record_run(store: Store, days: int, answers: Answers) -> None:
    """Record a run so many days after the beginning."""
    results = {
        name: ScopeResult(answer)
        if isinstance(answer, Exception)
        else result_of(offered({"anchor": {}, **answer}))
        for name, answer in answers.items()
    }
    with store.transaction():
        decide_and_record(
            results,
            [SCOPES[name] for name in answers],
            RunCache(store),
            started_at=at(days),
            finished_at=at(days),
        )


def days_of(history: Sequence[Run]) -> list[int]:
    """Return the day of each run."""
    days, found = 0, []
    for gap, _ in history:
        days += gap
        found.append(days)
    return found


def record_all(store: Store, history: Sequence[Run], days: Sequence[int]) -> None:
    """Record the runs of a history on these days."""
    for (_, answers), day in zip(history, days, strict=True):
        record_run(store, day, answers)


def problems(store: Store) -> list[Any]:
    """Return every problem that verification finds."""
    return [problem for check in verify(store, KNOWN) for problem in check.problems]


offers = st.dictionaries(st.sampled_from(["lyra", "vega", "γ"]), st.sampled_from([{}, {"form": 1}]))
failures = st.sampled_from([Unreachable("reset"), Refused("no such key", status=401)])
answers = st.one_of(offers, offers, offers, failures)
runs = st.tuples(
    st.sampled_from([1, 1, 9, 20, 40]), st.dictionaries(st.sampled_from(sorted(SCOPES)), answers, min_size=1)
)
histories = st.lists(runs, min_size=2, max_size=12)
