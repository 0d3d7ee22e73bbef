"""The tables and views as other programs see them."""

from __future__ import annotations

import pytest
from support.fakes import Script
from support.schema import first_columns, tables

from pipeline.errors import StoreError
from pipeline.store import Store


def foreign_keys(store: Store, table: str) -> list[dict[str, object]]:
    """Return the foreign keys of a table: id, seq, table, from, to."""
    return store.rows("select * from pragma_foreign_key_list(:table)", {"table": table})


def test_the_tables_are_these(store: Store) -> None:
    assert tables(store) == sorted(
        [
            "changes",
            "coverage_spans",
            "coverages",
            "deliveries",
            "departures",
            "destinations",
            "field_changes",
            "fields",
            "flaps",
            "gateways",
            "listing_records",
            "listings",
            "missing",
            "models",
            "mutes",
            "permissions",
            "reasons",
            "record_prices",
            "records",
            "regains",
            "scopes",
            "sightings",
            "sites",
            "snapshots",
            "transitions",
        ]
    )


def test_every_table_is_strict(store: Store) -> None:
    loose = [row["name"] for row in store.rows("select name from pragma_table_list where strict = 0")]
    assert not set(tables(store)) & set(loose)


def test_a_table_that_foreign_keys_refer_to_begins_with_id_and_name(store: Store) -> None:
    """Datasette labels a foreign key by the column `name` of its row, and a sighting by its outcome."""
    linked = {str(key["table"]) for table in tables(store) for key in foreign_keys(store, table)}
    assert {"models", "records", "changes", "fields", "snapshots"} <= linked
    for table in linked - {"sightings"}:
        first, second = store.rows(
            "select name, pk, type from pragma_table_info(:table) limit 2", {"table": table}
        )
        assert first == {"name": "id", "pk": 1, "type": "INTEGER"}, table
        assert second == {"name": "name", "pk": 0, "type": "TEXT"}, table


def test_foreign_keys_are_single_columns_that_refer_to_an_id(store: Store) -> None:
    for table in tables(store):
        keys = foreign_keys(store, table)
        assert all((key["seq"], key["to"]) == (0, "id") for key in keys), table
        assert len({key["id"] for key in keys}) == len(keys), table


def test_every_foreign_key_has_an_index(store: Store) -> None:
    bare = {
        f"{table}.{key['from']}"
        for table in tables(store)
        for key in foreign_keys(store, table)
        if key["from"] not in first_columns(store, table)
    }
    assert not bare


def test_foreign_keys_are_enforced(script: Script) -> None:
    script.offers("acme/prod", "lyra", "vega").offers("acme/test", "lyra").run()
    script.drops("acme/prod", "vega").fails("acme/test").run(times=3)
    assert script.store.rows("pragma foreign_key_check") == []
    with pytest.raises(StoreError, match="FOREIGN KEY"), script.store.transaction():
        script.store.connection.execute("update scopes set listing = 99")


def test_every_view_can_be_read(script: Script) -> None:
    script.offers("acme/prod", "lyra", vega=1).offers("acme/test", "lyra").run()
    script.adds("acme/prod", vega=2).fails("acme/test").run()
    views = [row["name"] for row in script.store.rows("select name from sqlite_master where type = 'view'")]
    found = {view: len(script.store.rows(f"select * from {view}")) for view in views}
    assert found == {
        "catalog": 3,
        "offers": 2,
        "prices": 0,
        "deprecations": 0,
        "change_log": 1,
        "price_changes": 0,
        "changed_fields": 1,
        "price_history": 0,
        "health": 2,
        "coverage_scopes": 2,
        "groups": 0,
        "same_catalog": 2,
        "matrix": 2,
        "model_words": 2,
    }
