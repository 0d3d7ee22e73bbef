"""How models end: announced, overdue, or without notice."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from support.event_model import History, histories, record_history
from support.fakes import Script, body, moment, record_run, result_of, row, scope

from pipeline.core.types import Kind
from pipeline.gateways.dialects import Answer, Dialect
from pipeline.history.changes import find_events, removals
from pipeline.history.deprecations import Announced, announced, vanished
from pipeline.store import Store
from pipeline.store.changes import window

TODAY = date(2026, 9, 20)
RULES = Dialect("plain")


def says(store: Store, *rows: dict[str, Any], names: tuple[str, ...] = ("acme/prod",)) -> None:
    """Let scopes be offered these rows."""
    answer = result_of(RULES.read(Answer((body(row("anchor"), *rows),), 0)), RULES)
    record_run(store, [scope(name) for name in names], dict.fromkeys(names, answer))


@pytest.mark.parametrize(
    ("until", "found"),
    [("2026-09-20", ["past", "today"]), ("2026-10-01", ["past", "today", "soon"]), ("2026-09-01", ["past"])],
)
def test_what_is_announced_until_a_day(store: Store, until: str, found: list[str]) -> None:
    """By day, with what has passed and is offered still; what names no day is not in it."""
    days = {"soon": "2026-10-01", "past": "2026-08-31", "today": "2026-09-20", "far": "2027-01-01"}
    says(store, *(row(model, shutdown_date=day) for model, day in days.items()))
    told_of = announced(store, today=TODAY, until=date.fromisoformat(until))
    assert [each.model for each in told_of] == found


def test_an_announcement_names_scopes_and_days(store: Store) -> None:
    """Scopes that are told the same are together; those that are told another day are not."""
    names = ("acme/a", "acme/b")
    says(store, row("lyra", shutdown_date="2026-09-30", status="legacy"), names=names)
    says(store, row("lyra", shutdown_date="2026-09-10"), names=("acme/c",))
    assert announced(store, today=TODAY, until=TODAY.replace(day=30)) == [
        Announced("2026-09-10", -10, "acme", "lyra", ("acme/c",), None),
        Announced("2026-09-30", 10, "acme", "lyra", names, "legacy"),
    ]


def test_what_went_without_notice(store: Store) -> None:
    """A removal that is effective, of a model whose last record named no day."""
    says(store, row("lyra"), row("vega", shutdown_date="2026-10-01"), row("pyxis"))
    says(store, row("pyxis"))
    assert vanished(store, since=moment(1)) == []
    says(store)
    (gone,) = vanished(store, since=moment(1))
    assert (gone.model, gone.at, gone.since, gone.scopes) == ("lyra", moment(3), moment(2), ("acme/prod",))
    assert gone.back == ()
    assert vanished(store, since=moment(4)) == []


def test_what_is_back_is_said_to_be(script: Script) -> None:
    """For the scopes that are offered it again."""
    script.offers("acme/a", "lyra", "vega").offers("acme/b", "lyra", "vega").run()
    script.drops("acme/a", "vega").drops("acme/b", "vega").run(times=2)
    script.adds("acme/b", "vega").run()
    (gone,) = vanished(script.store, since=moment(1))
    assert (gone.scopes, gone.back) == (("acme/a", "acme/b"), ("acme/b",))


def test_a_scope_whose_record_named_a_day_was_given_notice(store: Store) -> None:
    """One thing may be announced to one scope and not to another."""
    says(store, row("lyra", shutdown_date="2026-10-01"), names=("acme/a",))
    says(store, row("lyra"), names=("acme/b",))
    for _ in range(2):
        says(store, names=("acme/a", "acme/b"))
    (gone,) = vanished(store, since=moment(1))
    assert gone.scopes == ("acme/b",)


@given(histories)
def test_removals_are_those_of_changes(history: History) -> None:
    """To look for them alone finds the same."""
    with Store.open(None) as store:
        record_history(store, history, confirm=2)
        events = find_events(store, window(store))
        assert removals(store, window(store)) == tuple(e for e in events if e.kind == Kind.REMOVED)


def test_a_run_that_was_imported_later_is_as_old_as_its_time(script: Script) -> None:
    """What went long ago is not told for its high number."""
    script.offers("acme/a", "lyra", "vega").run()
    script.drops("acme/a", "vega").run(times=2)
    with script.store.transaction():
        script.store.connection.execute(
            "update snapshots set started_at = '2025-01-01T00:00:00Z' where id = 3"
        )
    assert vanished(script.store, since=moment(1)) == []
