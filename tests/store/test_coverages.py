"""Sets of scopes that runs asked are read back as they were written, however they are stored."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import releases
from support.fakes import Script, scope

from pipeline.maintenance import dialects_of, forget, prune, verify
from pipeline.maintenance.coverages import scope_sets
from pipeline.store import Store
from pipeline.store.coverage import coverage

NAMES = tuple(f"acme/k{number}" for number in range(7))
sets = st.sets(st.sampled_from(NAMES), min_size=1)
near = st.lists(st.sampled_from(NAMES), min_size=1, max_size=2)
"""Scopes that join a full run, or leave it."""


@st.composite
def runs(draw: st.DrawFn) -> list[set[str]]:
    """Draw the scopes of some runs: nearly those of the full run before, some of them, or any."""
    full, found = draw(sets), []
    for step in draw(st.lists(st.sampled_from(["full", "near", "part", "any"]), min_size=1, max_size=12)):
        if step == "near":
            full = full ^ set(draw(near)) or full
        found.append(draw(sets) if step == "any" else {min(full)} if step == "part" else full)
    return found


def recorded(script: Script, asked: list[set[str]]) -> None:
    script.has(*map(scope, NAMES))
    for name in NAMES:
        script.offers(name, "lyra")
    for names in asked:
        script.run(*sorted(names))


def stored(store: Store) -> list[set[str | None]]:
    """Return the names of the scopes of each run, as the view has them."""
    rows = store.rows("""
        select snapshots.id, scopes.name from snapshots
        left join coverage_scopes on coverage_scopes.coverage = snapshots.covered
        left join scopes on scopes.id = coverage_scopes.scope
    """)
    found: dict[int, list[str | None]] = {}
    for row in rows:
        found.setdefault(row["id"], []).append(row["name"])
    assert all(len(set(names)) == len(names) for names in found.values())
    return [set(found[run]) for run in sorted(found)]


def problems(store: Store) -> list[object]:
    return [problem for check in verify(store, dialects_of(())) for problem in check.problems]


@given(runs())
@settings(max_examples=25)
def test_sets_of_scopes_are_read_back_and_the_last_run_that_asked_each_is_known(
    asked: list[set[str]],
) -> None:
    with Store.open(None) as store:
        recorded(Script(store), asked)
        assert stored(store) == asked
        assert problems(store) == []
        starts = [row["at"] for row in store.rows("select started_at as at from snapshots order by id")]
        for last in range(1, len(asked) + 1):
            found = {each.scope: each.last_asked for each in coverage(store, until=last)}
            before = list(enumerate(asked[:last]))
            expected = {
                name: starts[max(run for run, names in before if name in names)]
                for name in set().union(*asked[:last])
            }
            assert {name: at for name, at in found.items() if at} == expected


@given(runs(), st.sets(st.sampled_from(NAMES), min_size=1, max_size=3), st.integers(0, 11))
@settings(max_examples=20)
def test_pruned_and_forgotten_history_keeps_the_sets_of_the_runs_that_stay(
    asked: list[set[str]], gone: set[str], cut: int
) -> None:
    with Store.open(None) as store:
        script = Script(store)
        recorded(script, asked)
        before = dict(zip((row["id"] for row in _runs(store)), asked, strict=True))
        prune(store, dialects_of(()), bound=_runs(store)[min(cut, len(asked) - 1)]["at"])
        known = sorted(gone & set().union(*asked))
        forget(store, known, dialects_of(()))
        kept = [row["id"] for row in _runs(store)]
        assert stored(store) == [before[run] - gone or {None} for run in kept]
        assert problems(store) == []
        script.run(*sorted(set(NAMES) - gone))
        assert stored(store)[-1] == set(NAMES) - gone
        assert problems(store) == []
        assert len(list(scope_sets(store))) == len({frozenset(each) for each in stored(store)})


def _runs(store: Store) -> list[dict[str, Any]]:
    return store.rows("select id, started_at as at from snapshots order by id")


def spans(store: Store) -> int:
    """Return the number of rows that all sets take."""
    return store.rows("select count(*) as n from coverage_spans")[0]["n"]


def test_a_new_scope_adds_one_row_beside_runs_of_some_scopes(script: Script) -> None:
    names = [f"acme/k{number:02}" for number in range(40)]
    for name in names[:30]:
        script.offers(name, "lyra")
    script.run()
    sizes = [spans(script.store)]
    for name in names[30:]:
        script.offers(name, "lyra").run()
        script.run(names[0])
        script.run(*names[:20])
        sizes.append(spans(script.store))
    assert sizes == [30, 32, 44, *range(45, 53)]


@pytest.mark.parametrize("release", ["initial", "mutes"])
def test_sets_of_an_older_release_are_kept_and_take_less_space(release: str, tmp_path: Path) -> None:
    path = releases.create(release, tmp_path / "old.db")
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript("""
            with recursive each(n) as (select 10 union all select n + 1 from each where n < 400)
            insert into scopes (id, name, gateway, auth) select n, 'acme/k' || n, 1, 'key' from each;
            with recursive each(n) as (select 20 union all select n + 1 from each where n < 320)
            insert into coverages select n, n || ' scopes', n from each;
            insert into coverage_scopes select coverages.id, scopes.id from coverages, scopes
            where coverages.id >= 20 and scopes.id between 10 and coverages.id + 80;
        """)
        query = "select coverage, scope from coverage_scopes order by coverage, scope"
        before = connection.execute(query).fetchall()
    size = path.stat().st_size
    with Store.open(path) as store:
        assert [tuple(row.values()) for row in store.rows(query)] == before
        assert spans(store) < 1000 < len(before)
    assert path.stat().st_size < size / 2
