"""Every table, view and column has a description, with its unit."""

from __future__ import annotations

from support.schema import first_columns, tables

from pipeline.browse.descriptions import DESCRIPTIONS, INTERNAL_TABLES, describe_columns
from pipeline.store import Store


def test_every_table_view_and_column_is_described(store: Store) -> None:
    existing = store.rows("select name from pragma_table_list where schema = 'main'")
    assert {row["name"] for row in existing} - set(INTERNAL_TABLES) - {"sqlite_schema"} == DESCRIPTIONS.keys()
    described = describe_columns(store)
    for name, description in DESCRIPTIONS.items():
        names = [
            row["name"] for row in store.rows("select name from pragma_table_info(:name)", {"name": name})
        ]
        assert list(described[name]) == names, name
        assert description.columns.keys() <= set(names), name
        assert description.text.endswith("."), name


def test_descriptions_of_columns_name_the_unit(store: Store) -> None:
    for name, described in describe_columns(store).items():
        for column, text in described.items():
            if column.endswith("_usd_per_1m"):
                assert "USD per 1 million tokens" in text, (name, column)
            if column in ("context_length", "max_output"):
                assert "in tokens" in text, (name, column)
            if column.endswith("_at"):
                assert "(UTC)" in text, (name, column)


def test_sorted_and_counted_columns_exist_and_have_an_index(store: Store) -> None:
    described = describe_columns(store)
    for name, description in DESCRIPTIONS.items():
        wanted = {*description.facets, *([description.sort.removeprefix("-")] if description.sort else [])}
        assert (
            wanted | ({description.search_column} if description.search_column else set())
            <= described[name].keys()
        ), name
        if name in tables(store):
            small = {"gateways", "scopes", "fields"}
            assert name in small or wanted <= first_columns(store, name) | {"id"} | {"name"}, name
