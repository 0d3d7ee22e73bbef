"""Announced shutdowns, overdue ones, and removals without notice."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from support.event_model import History, histories, record_history
from support.fakes import Script, body, moment, record_run, result_of, row, scope

from pipeline.core.types import Kind
from pipeline.gateways.dialects import Answer, Dialect
from pipeline.history.changes import find_events, find_removals
from pipeline.history.deprecations import AnnouncedShutdown, announced_shutdowns, unannounced_removals
from pipeline.store import Store
from pipeline.store.windows import time_window

TODAY = date(2026, 9, 20)
RULES = Dialect("plain")


def record(store: Store, *rows: dict[str, Any], names: tuple[str, ...] = ("acme/prod",)) -> None:
    """Record a run in which some scopes are offered these rows, beside a model that stays."""
    answer = result_of(RULES.read(Answer((body(row("anchor"), *rows),), 0)), RULES)
    record_run(store, [scope(name) for name in names], dict.fromkeys(names, answer))


@pytest.mark.parametrize(
    ("until", "expected"),
    [("2026-09-20", ["past", "today"]), ("2026-10-01", ["past", "today", "soon"]), ("2026-09-01", ["past"])],
)
def test_shutdowns_up_to_a_day_are_sorted_by_date_and_include_overdue_ones(
    store: Store, until: str, expected: list[str]
) -> None:
    days = {"soon": "2026-10-01", "past": "2026-08-31", "today": "2026-09-20", "far": "2027-01-01"}
    record(store, *(row(model, shutdown_date=day) for model, day in days.items()))
    found = announced_shutdowns(store, today=TODAY, until=date.fromisoformat(until))
    assert [shutdown.model for shutdown in found] == expected


def test_scopes_with_the_same_shutdown_date_are_together(store: Store) -> None:
    names = ("acme/a", "acme/b")
    record(store, row("lyra", shutdown_date="2026-09-30", status="legacy"), names=names)
    record(store, row("lyra", shutdown_date="2026-09-10"), names=("acme/c",))
    assert announced_shutdowns(store, today=TODAY, until=TODAY.replace(day=30)) == [
        AnnouncedShutdown("2026-09-10", -10, "acme", "lyra", ("acme/c",), None),
        AnnouncedShutdown("2026-09-30", 10, "acme", "lyra", names, "legacy"),
    ]


def test_a_confirmed_removal_without_a_shutdown_date_is_unannounced(store: Store) -> None:
    record(store, row("lyra"), row("vega", shutdown_date="2026-10-01"), row("pyxis"))
    record(store, row("pyxis"))
    assert unannounced_removals(store, since=moment(1)) == []
    record(store)
    (removal,) = unannounced_removals(store, since=moment(1))
    assert (removal.model, removal.at, removal.since) == ("lyra", moment(3), moment(2))
    assert (removal.scopes, removal.back) == (("acme/prod",), ())
    assert unannounced_removals(store, since=moment(4)) == []


def test_scopes_that_are_offered_a_removed_model_again_are_named(script: Script) -> None:
    script.offers("acme/a", "lyra", "vega").offers("acme/b", "lyra", "vega").run()
    script.drops("acme/a", "vega").drops("acme/b", "vega").run(times=2)
    script.adds("acme/b", "vega").run()
    (removal,) = unannounced_removals(script.store, since=moment(1))
    assert (removal.scopes, removal.back) == (("acme/a", "acme/b"), ("acme/b",))


def test_a_removal_is_unannounced_only_in_scopes_without_a_shutdown_date(store: Store) -> None:
    record(store, row("lyra", shutdown_date="2026-10-01"), names=("acme/a",))
    record(store, row("lyra"), names=("acme/b",))
    for _ in range(2):
        record(store, names=("acme/a", "acme/b"))
    (removal,) = unannounced_removals(store, since=moment(1))
    assert removal.scopes == ("acme/b",)


@given(histories)
def test_find_removals_returns_the_removals_among_all_events(history: History) -> None:
    with Store.open(None) as store:
        record_history(store, history, confirm=2)
        window = time_window(store)
        removals = tuple(event for event in find_events(store, window) if event.kind == Kind.REMOVED)
        assert find_removals(store, window) == removals


def test_a_removal_that_was_imported_later_counts_by_its_own_time(script: Script) -> None:
    script.offers("acme/a", "lyra", "vega").run()
    script.drops("acme/a", "vega").run(times=2)
    with script.store.transaction():
        script.store.connection.execute(
            "update snapshots set started_at = '2025-01-01T00:00:00Z' where id = 3"
        )
    assert unannounced_removals(script.store, since=moment(1)) == []
