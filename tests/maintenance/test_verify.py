"""Verify the database against itself, and rebuild what follows from its history."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import histories
from support.fakes import ONE_API, Script, record_run, result_of, rows_of, scope

from pipeline.core.facts import FactPaths, Prices
from pipeline.core.types import Thresholds
from pipeline.errors import StoreError
from pipeline.gateways.dialects import Answer, Dialect, dialect_of
from pipeline.maintenance import Cure, Problem, dialects_of, rebuild, verify
from pipeline.store import Store

KNOWN = dialects_of(())


def problems(store: Store) -> list[Problem]:
    return [problem for check in verify(store, KNOWN) for problem in check.problems]


def damaged(store: Store, *statements: str) -> None:
    """Change the database without foreign keys."""
    store.connection.execute("pragma foreign_keys = off")
    with store.transaction():
        for statement in statements:
            store.connection.execute(statement)
    store.connection.execute("pragma foreign_keys = on")


@pytest.fixture
def history_store(script: Script) -> Store:
    """A history with moves, removals, a return, failures, a hold and permissions."""
    names = ("acme/prod", "acme/test", "zeta/one")
    script.has(*(scope(name, thresholds=Thresholds(max_loss=0.5, floor=1)) for name in names))
    for name in names:
        script.offers(name, "a", "b", "c", "d", lyra=1)
        script.offers_now[name]["e"] = {
            "permission": [{"allow_view": True, "group": "vip"}],
            "price": {"in": 1},
            "input_cost_per_token": "0.000002",
            "input_cost_per_token_batches": "0.000001",
        }
    script.run()
    script.drops("acme/prod", "a").adds("acme/test", lyra=2).fails("zeta/one").run(times=3)
    script.adds("acme/prod", "a", "f").recovers("zeta/one").run()
    script.offers_now["zeta/one"]["e"] = {"price": {"in": 2, "out": 1}, "owned_by": "zeta"}
    script.run()
    script.offers("zeta/one", "a").drops("acme/test", "b").run()
    return script.store


def test_a_recorded_history_passes_every_check(history_store: Store) -> None:
    found = list(verify(history_store, KNOWN))
    assert [check.problems for check in found] == [()] * len(found)
    counts = {check.subject: check.count for check in found}
    assert counts["records"] == len(history_store.rows("select id from records"))
    assert counts["sightings"] == len(history_store.rows("select id from sightings"))
    assert counts["removals to be confirmed"] == 1
    assert counts["scopes"] == 3


@settings(max_examples=30)
@given(histories.histories)
def test_every_history_passes_and_rebuilding_changes_nothing(history: Any) -> None:
    with Store.open(None) as store:
        histories.record_all(store, history)
        assert problems(store) == []
        before = rows_of(store)
        assert not any(getattr(rebuild(store, KNOWN), name) for name in ("scopes", "transitions", "changes"))
        assert rows_of(store) == before


HISTORY = [
    ("update records set body = replace(body, 'acme', 'acne') where id = 1", "records"),
    ("update records set body = body || ' ' where id = 1", "records"),
    ("update records set body = 'no json' where id = 1", "records"),
    ("update records set digest = '01ff' where id = 2", "records"),
    ("delete from records where id = 2", "listing_records"),
    ("delete from listing_records where listing = 1 and record = 1", "listings"),
    ("update listings set size = size + 1 where id = 2", "listings"),
    ("update listings set digest = '01ff' where id = 2", "listings"),
    ("update listings set gateway = 2 where gateway = 1 and id > 1", "listings"),
    ("delete from sightings where outcome = 'baseline' and scope = 1", "sightings"),
    ("delete from sightings where outcome = 'baseline' and scope = 2", "sightings"),
    ("update sightings set since = 1 where outcome = 'recovered'", "sightings"),
    ("update sightings set transition = (select max(id) from transitions) where outcome = 'confirmed'",
     "sightings"),
    ("update coverages set digest = '01ff'", "coverages"),
    ("delete from coverage_spans where scope = 1", "coverages"),
    ("update coverage_spans set until = 99", "coverage_spans"),
    ("update coverage_spans set series = 99 where scope = 2", "coverages"),
    ("insert into coverage_spans values (1, 99, 1, null)", "coverage_spans"),
    ("update reasons set cure = 'x'", "reasons"),
    ("update missing set misses = 0", "missing"),
    ("update missing set flap_level = 3", "missing"),
    ("delete from missing", "missing"),
    ("update missing set transition = 1", "missing"),
    ("insert into deliveries values (1, 'x', 1, 'y', null, 99, null, 'sent', 1, null, null, null, null)",
     "deliveries"),
    ("insert into deliveries values (1, 'x', 1, 'y', 3, 2, null, 'waiting', 0, null, null, null, null)",
     "deliveries"),
    ("insert into destinations values (1, 'x', 99, '2026-05-01T00:00:00Z', 'y')", "destinations"),
    ("insert into departures values (1, 'x', 1, 1, 2, null, 0)", "departures"),
]  # fmt: skip
DERIVED = [
    "delete from changes where id = 1",
    "delete from changes where kind = 'removed'",
    "update changes set kind = 'added' where kind = 'removed'",
    "update changes set after = before where kind = 'changed'",
    "insert into changes select 99, name, transition, model, kind, before, after from changes where id = 1",
    "update changes set transition = 1",
    "delete from field_changes where id = 1",
    "update field_changes set before = '7' where id = 1",
    "update field_changes set field = 3 where id = 1",
    "update field_changes set change = 99",
    "update transitions set removed = 0, added = 0",
    "update transitions set after = before where id = 1",
    "delete from transitions",
    "delete from transitions where id = 2",
    "update records set owned_by = 'nobody' where id = 1",
    "update records set context_length = 5, input_usd_per_1m = 1.5 where id = 2",
    "delete from record_prices",
    "delete from record_prices where window = 'batch'",
    "update record_prices set amount = 9 where place = 1",
    "insert into record_prices select record, 9, 'x', 'y', 0, null, 'USD', 1 from record_prices limit 1",
    "delete from permissions",
    "update permissions set allow_view = 0",
    "insert into permissions select id + 90, name, 1, 1, 1, 1, 1, 1, 1, 1, 'x', 'y' from permissions",
    "update scopes set listing = 2 where id = 1",
    "update scopes set held = null",
    "update scopes set sighting = 1",
    "delete from models_fts where rowid = 1",
    "update models_fts set owner = 'nobody', parts = 'x'",
    "insert into models_fts (rowid, name, parts, owner, title) values (99, 'ghost', 'ghost', '', '')",
]


@pytest.mark.parametrize(("damage", "table"), HISTORY)
def test_damage_of_the_history_is_found_and_needs_a_backup(
    history_store: Store, damage: str, table: str
) -> None:
    before = problems(history_store)
    damaged(history_store, damage)
    found = [problem for problem in problems(history_store) if problem.cure == Cure.RESTORE]
    assert (before, table in {problem.table for problem in found}) == ([], True)


@pytest.mark.parametrize("damage", DERIVED)
def test_damage_of_derived_rows_is_found_and_rebuilt_with_the_same_ids(
    history_store: Store, damage: str
) -> None:
    before = rows_of(history_store)
    damaged(history_store, damage)
    found = [problem for problem in problems(history_store) if problem.table != "missing"]
    assert found
    assert {problem.cure for problem in found} == {Cure.REBUILD}
    rebuild(history_store, KNOWN)
    assert problems(history_store) == []
    after = rows_of(history_store)
    for row in (*before["scopes"], *after["scopes"]):
        row["fingerprint"] = None  # of a scope that pointed elsewhere the next answer is read in full
    assert after == before
    assert not any(_counts(rebuild(history_store, KNOWN)))


def _counts(done: Any) -> list[int]:
    return [getattr(done, name) for name in done.__slots__]


@settings(max_examples=30)
@given(histories.histories, st.data())
def test_lost_derived_rows_are_rebuilt_with_the_same_ids(history: Any, data: st.DataObject) -> None:
    with Store.open(None) as store:
        histories.record_all(store, history)
        before = rows_of(store)
        for table in ("changes", "field_changes", "transitions", "permissions"):
            ids = [row["id"] for row in before[table]]
            lost = data.draw(st.sets(st.sampled_from(ids)) if ids else st.just(set()))
            damaged(store, *(f"delete from {table} where id = {number}" for number in sorted(lost)))
        rebuild(store, KNOWN)
        assert rows_of(store) == before


def test_rebuild_refuses_a_damaged_history_and_writes_nothing(history_store: Store) -> None:
    damaged(history_store, HISTORY[0][0], "delete from changes")
    before = rows_of(history_store)
    with pytest.raises(StoreError, match=r"records 1 .* backup"):
        rebuild(history_store, KNOWN)
    assert rows_of(history_store) == before


def test_a_body_that_is_not_text_is_a_problem_of_its_record(history_store: Store) -> None:
    damaged(history_store, "update records set body = cast(x'7bff7d' as text) where id = 1")
    assert [(p.table, p.id) for p in problems(history_store)][:1] == [("records", 1)]


def test_a_quiet_category_of_another_config_is_kept(history_store: Store) -> None:
    damaged(history_store, "update or ignore fields set class = 'text'")
    assert problems(history_store) == []
    assert not any(_counts(rebuild(history_store, KNOWN)))


def test_a_damaged_file_is_checked_no_further(tmp_path: Path) -> None:
    path = tmp_path / "watch.db"
    with Store.open(path) as store:
        script = Script(store).offers("acme/prod", *(f"model-{n}" for n in range(300)))
        script.run()
        store.checkpoint()
    data = bytearray(path.read_bytes())
    at = data.index(b"model-150", data.index(b"model-150") + 1)  # after the table comes its index
    data[at : at + 9] = b"model-1x0"
    path.write_bytes(data)
    with Store.read(path) as store:
        (check,) = verify(store, KNOWN)
    assert {problem.cure for problem in check.problems} == {Cure.RESTORE}


def test_rebuild_parses_prices_that_the_config_sets_later(store: Store) -> None:
    plain = Dialect("one-api")
    priced = Dialect("one-api", facts=FactPaths(prices=Prices(unit=recognised_unit(), input=("price.in",))))
    answer = plain.read(Answer((b'{"data":[{"id":"lyra","price":{"in":"2"}}]}',), 1_790_000_000))
    record_run(store, [scope("acme/prod")], {"acme/prod": result_of(answer, plain)})
    known: Callable[[str, str], tuple[Dialect, ...]] = lambda _gateway, _reading: (priced,)  # noqa: E731
    assert rebuild(store, known).facts == 1
    assert store.rows("select id, input_usd_per_1m from records") == [{"id": 1, "input_usd_per_1m": 2.0}]
    assert rebuild(store, known).facts == 0


def recognised_unit() -> Any:
    from pipeline.core.facts import UNITS

    assert dialect_of(ONE_API.reading)
    return UNITS["1m"]


def test_facts_of_an_unknown_dialect_are_left_alone(store: Store) -> None:
    odd = Dialect("of another release")
    answer = odd.read(Answer((b'{"data":[{"id":"lyra","owned_by":"acme"}]}',), 1_790_000_000))
    record_run(store, [scope("acme/prod")], {"acme/prod": result_of(answer, odd)})
    damaged(store, "update records set owned_by = 'zeta'")
    assert problems(store) == []
    assert rebuild(store, KNOWN).unknown == 1
    assert store.rows("select owned_by from records") == [{"owned_by": "zeta"}]
