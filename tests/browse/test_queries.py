"""The stored queries, and the search of models."""

from __future__ import annotations

import calendar
import json
import re
import sqlite3
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from support import event_model
from support.event_model import History
from support.fakes import Script

from pipeline.browse.plugins import start
from pipeline.browse.queries import EVENTS, QUERIES, Query, time_parameter
from pipeline.core.times import parse_moment
from pipeline.core.types import Kind
from pipeline.errors import StoreError
from pipeline.history.changes import find_events
from pipeline.history.types import Event
from pipeline.store import Store
from pipeline.store.flapping import FLAP_DAYS, MAX_LEVEL
from pipeline.store.views import percent as percent_sql
from pipeline.store.windows import Window

MAY_BE_SCANNED = {
    *("scopes", "maker"),  # the same table, three rows here
    "lists",
    "asked",
    "matrix",
    "same_catalog",
    "wanted",
    "found",
    "moved",
    *("runs", "affected", "of", "went", "levels", "confirmations", "removals", "additions", "back"),
    *("windowed", "movements", "pasts", "alike", "chosen", "names", "newest", "moves", "busy", "made"),
    *("first", "second", "moments", "own", "other", "pairs", "differences", "fact"),
    *(
        "json_each",
        "price",
        "sizes",
        "both",
        "here",
        "elsewhere",
        "between_runs",
        "makers",
        "sets",
        "confirmed",
    ),
}
"""Tables and subqueries that a stored query may scan: those of the present, and its own results."""

LARGE = """
    analyze;
    update sqlite_stat1 set stat = '1000000' || substr(stat, instr(stat, ' ')) where tbl <> 'scopes';
    analyze sqlite_schema;
"""
"""Makes SQLite plan as for a long history."""


FLEET = """
    analyze;
    delete from sqlite_stat1 where tbl in ('sightings', 'changes', 'snapshots', 'scopes');
    insert into sqlite_stat1 values
        ('sightings', 'sightings_snapshot', '21738 68 50 50 49'),
        ('sightings', 'sightings_transition', '21738 68 2'),
        ('sightings', 'sightings_scope', '21738 22 2'),
        ('sightings', 'sightings_outcome', '21738 5435'),
        ('changes', 'changes_transition', '4343 17 13'),
        ('changes', 'changes_model', '4343 5 3'),
        ('changes', 'changes_kind', '4343 1448'),
        ('snapshots', 'snapshots_started_at', '1629 1'),
        ('scopes', 'scopes_listing', '1001 167');
    analyze sqlite_schema;
"""
"""Makes SQLite plan as for 1,000 scopes whose lists changed in a few runs of many."""


def query_named(name: str) -> Query:
    (found,) = [query for query in QUERIES if query.name == name]
    return found


def ask(store: Store, name: str, **parameters: str) -> list[dict[str, Any]]:
    """Run a stored query as Datasette does, with empty strings for parameters that are not given."""
    query = query_named(name)
    assert parameters.keys() <= set(query.params)
    return store.rows(query.sql, dict.fromkeys(query.params, "") | parameters)


def columns(rows: list[dict[str, Any]], *names: str) -> list[Any]:
    """Return some columns of rows as tuples, or the values of one column."""
    return [row[names[0]] if len(names) == 1 else tuple(row[name] for name in names) for row in rows]


@pytest.fixture
def recorded(script: Script) -> Script:
    """Nine runs of three scopes, with a price change, a model that returns, and one for a single scope."""
    for name in ("acme/prod", "acme/test", "zeta/one"):
        script.offers(name, "lyra", "vega-2.5")
        script.offers_now[name]["heron"] = {
            "name": "Grey Bird",
            "owned_by": "birds",
            "context_length": 8000,
            "supported_parameters": ["tools", "vision"],
            "pricing": {"prompt": "1", "completion": "2"},
        }
    script.adds("acme/prod", "secret").run()
    script.drops("acme/test", "lyra").run(times=3)
    script.adds("acme/test", "lyra").fails("zeta/one").run(times=2)
    for name in ("acme/prod", "acme/test"):
        script.offers_now[name]["heron"] = script.offers_now[name]["heron"] | {
            "pricing": {"prompt": "1.5", "completion": "2"}
        }
    script.run(times=3)
    return script


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query.name)
def test_no_stored_query_scans_a_growing_table(query: Query, recorded: Script) -> None:
    recorded.store.connection.executescript(LARGE)
    sql = f"explain query plan {query.sql}"
    plan = [row["detail"] for row in recorded.store.rows(sql, dict.fromkeys(query.params, ""))]
    scanned = {step.split()[1] for step in plan if step.startswith("SCAN") and "CONSTANT" not in step}
    assert {each for each in scanned if not each.startswith("(subquery-")} <= MAY_BE_SCANNED
    assert set(re.findall(r"(?<!:):([a-z_]+)", query.sql)) == set(query.params)
    assert all(f"`{name}`" in query.description for name in query.params)


@pytest.mark.parametrize(
    ("sql", "values"),
    [
        (start.QUERIES["changes"], {"since": "2026-01-01", "most": 3, "watched": "[]"}),
        (start.QUERIES["prices"], {"since": "2026-01-01", "most": 8}),
        (query_named("what_changed").sql, dict.fromkeys(query_named("what_changed").params, "")),
    ],
    ids=["changes", "prices", "what_changed"],
)
def test_no_query_of_changes_reads_a_whole_table_for_an_index_of_its_own(
    sql: str, values: dict[str, Any], recorded: Script
) -> None:
    """SQLite reads a whole table for a Bloom filter, and for an automatic index."""
    recorded.store.connection.executescript(FLEET)
    start.prepare_connection(recorded.store.connection)
    plan = [row["detail"] for row in recorded.store.rows(f"explain query plan {sql}", values)]
    tables = {
        row["name"] for row in recorded.store.rows("select name from sqlite_schema where type = 'table'")
    }
    read = [re.match(r"BLOOM FILTER ON (\w+)|SEARCH (\w+) USING AUTOMATIC", step) for step in plan]
    assert not {found[1] or found[2] for found in read if found} & (tables - {"scopes", "gateways", "models"})
    recorded.store.connection.executescript("delete from sqlite_stat1; analyze sqlite_schema;")
    plan = [row["detail"] for row in recorded.store.rows(f"explain query plan {sql}", values)]
    assert not [step for step in plan if "sightings_outcome" in step]


def test_the_first_page_of_price_history_begins_at_the_newest_run(recorded: Script) -> None:
    recorded.store.connection.executescript(f"""
        {LARGE}
        update sqlite_stat1 set stat = '1000000 200000' where idx = 'sightings_outcome';
        analyze sqlite_schema;
    """)
    sql = "explain query plan select * from price_history order by at desc limit 101"
    plan = [row["detail"] for row in recorded.store.rows(sql)]
    assert plan[0] == "SCAN snapshots USING COVERING INDEX snapshots_started_at"
    assert not [step for step in plan if "ORDER BY" in step]


def test_what_changed_has_one_row_for_all_scopes_with_the_same_change(recorded: Script) -> None:
    """`scope` selects one of them."""
    rows = ask(recorded.store, "what_changed")
    price = [row for row in rows if row["field"] == "pricing.prompt"]
    assert columns(price, "model", "before", "after", "class", "scopes", "scope_names") == [
        ("heron", '"1"', '"1.5"', "price", 2, "acme/prod acme/test")
    ]
    assert columns(rows, "kind", "model", "since")[1:] == [
        ("returned", "lyra", "2026-09-20T07:00:00Z"),
        ("removed", "lyra", "2026-09-20T07:00:00Z"),
    ]
    assert columns(ask(recorded.store, "what_changed", scope="*/test", **{"class": "price"}), "model") == [
        "heron"
    ]
    assert ask(recorded.store, "what_changed", scope="zeta/*") == []
    between = ask(recorded.store, "what_changed", since="2026-09-20T08:00:00Z", until="2026-09-20T09:00:00Z")
    assert columns(between, "kind", "model", "at") == [("removed", "lyra", "2026-09-20T08:00:00Z")]


def test_a_price_that_a_list_lost_and_regained_higher_is_a_rise(script: Script) -> None:
    names = ("acme/prod", "acme/test")
    for price in ("0.000002", None, "0.000020"):
        for name in names:
            script.offers(name, *"abcdef")
            for model in "abcdef":
                fields = {"pricing": {"prompt": price, "completion": "1"}} if price else {}
                script.offers_now[name][model] = fields
        script.run()
    rows = ask(script.store, "what_changed")
    assert columns(rows, "model", "field", "before", "after", "class", "scopes") == [
        (model, "pricing.prompt", '"0.000002"', '"0.000020"', "price", 2) for model in "abcdef"
    ]
    assert columns(ask(script.store, "what_changed", **{"class": "price"}), "model") == list("abcdef")
    start.prepare_connection(script.store.connection)
    shown = script.store.rows(START, {"since": "2026-01-01", "most": 100, "watched": '["a"]'})
    rises = [row for row in shown if row["category"] == "price_increase"]
    assert sorted((row["name"], row["watched"], row["scopes"]) for row in rises) == [
        (model, int(model == "a"), 2) for model in "abcdef"
    ]
    assert json.loads(rises[0]["fields"]) == [
        {
            "field": "pricing.prompt",
            "currency": None,
            "unit": None,
            "before": '"0.000002"',
            "after": '"0.000020"',
        }
    ]


ROW = ("at", "kind", "gateway", "model", "since", "field", "before", "after")


def rows_of(events: Sequence[Event]) -> Counter[tuple[object, ...]]:
    """Count the rows for the fields of events, or for events without fields, of each scope."""
    return Counter(
        (event.at, str(event.kind), event.gateway, event.model, scope, event.since, *field)
        for event in events
        for scope in event.scopes
        for field in [(each.field, each.before, each.after) for each in event.fields] or [(None, None, None)]
    )


@pytest.mark.parametrize("confirm", [1, 2])
@settings(max_examples=25, deadline=None)
@given(event_model.histories_of_one_scope | event_model.histories)
def test_what_changed_agrees_with_changes_in_any_history(confirm: int, history: History) -> None:
    """A model that is back with another record has no fields, unless a change between the two is recorded."""
    with Store.open(None) as store:
        event_model.record_history(store, history, confirm)
        expected = rows_of(find_events(store, Window(0, len(history))))
        rows = ask(store, "what_changed", since="2026-01-01")
        changed = store.rows("select * from change_log where kind = 'changed'")
    found = Counter(
        (*(row[name] for name in ROW[:4]), scope, *(row[name] for name in ROW[4:]))
        for row in rows
        for scope in row["scope_names"].split()
    )
    missing = expected - found
    assert found - expected == Counter((*row[:6], None, None, None) for row in missing.elements())
    recorded = {tuple(row[name] for name in ("gateway", "model", "before", "after")) for row in changed}
    assert recorded.isdisjoint((*row[2:4], *row[7:]) for row in missing)


START = start.QUERIES["changes"]


def test_the_start_page_has_the_rules_of_events() -> None:
    assert " ".join(EVENTS.split()) in " ".join(START.split())


def test_the_rules_of_events_have_the_levels_of_flapping_models() -> None:
    assert f"min(max(count(earlier.id) - 1, 0), {MAX_LEVEL}) as level" in EVENTS
    assert f"'-{FLAP_DAYS} days'" in EVENTS


@pytest.mark.parametrize("confirm", [1, 2])
@settings(max_examples=40, deadline=None)
@given(event_model.histories_of_one_scope | event_model.histories)
def test_the_start_page_counts_the_changes_in_any_history(confirm: int, history: History) -> None:
    with Store.open(None) as store:
        event_model.record_history(store, history, confirm)
        events = find_events(store, Window(0, len(history)))
        start.prepare_connection(store.connection)
        rows = store.rows(START, {"since": "2026-01-01", "most": 100, "watched": "[]"})
    known = ("added", "removed", "returned")
    found = {(row["category"], row["name"]) for row in rows if row["category"] in known}
    assert found == {(str(each.kind), each.model) for each in events if each.kind != Kind.CHANGED}


@pytest.mark.parametrize("name", ["what_changed", "lost_and_returned", "coverage_by_day"])
def test_stored_queries_accept_the_times_of_the_commands(name: str, recorded: Script) -> None:
    """Other text is an error with the valid forms."""
    everything = ask(recorded.store, name, since="2026-09-20", until="2026-09-21")
    assert everything
    assert (
        ask(recorded.store, name, since="2026-09-20T00:00:00Z", until="2026-09-21T02:00:00+02:00")
        == everything
    )
    assert ask(recorded.store, name, since="2026-09-20", until="900w") == []
    assert ask(recorded.store, name, since="900w", until="2026-09-21") == everything
    for wrong in ("garbage", "1x", "d", "2026", "2026-13-01", "1d2h", "999999w", "2 ages ago", "ago"):
        with pytest.raises(StoreError, match="since is not a time: write 2h, 3d, yesterday"):
            ask(recorded.store, name, since=wrong)


@pytest.mark.parametrize(
    ("text", "modifier"),
    [
        *(("90m", "-90 minutes"), ("2h", "-2 hours"), ("10d", "-10 days"), ("3w", "-21 days")),
        *(
            ("2 hours ago", "-2 hours"),
            ("1 Day ago", "-1 day"),
            ("3 weeks ago", "-21 days"),
            ("now", "+0 days"),
        ),
    ],
)
def test_relative_times_count_back_from_now(text: str, modifier: str, store: Store) -> None:
    sql = (
        f"select {time_parameter('since', 'null')} as at, strftime('%Y-%m-%dT%H:%M:%SZ', 'now', :ago) as due"
    )
    (row,) = store.rows(sql, {"since": text, "ago": modifier})
    assert row["at"] == row["due"] is not None


@pytest.mark.parametrize("text", ["today", "yesterday", *calendar.day_name, *calendar.day_abbr])
def test_times_of_a_form_are_those_of_the_commands(text: str, store: Store) -> None:
    (row,) = store.rows(f"select {time_parameter('since', 'null')} as at", {"since": text})
    assert row["at"] == parse_moment(text, datetime.now(UTC))


def test_prices_of_has_each_price_change_with_percent(recorded: Script) -> None:
    for parameters in ({"model": "heron"}, {}):
        rows = ask(recorded.store, "prices_of", **parameters)
        assert columns(rows, "model", "field", "before", "after", "percent", "scopes") == [
            ("heron", "input", 1.0, 1.5, 50.0, 2)
        ]
    assert ask(recorded.store, "prices_of", model="lyra") == []


def test_only_seen_by_compares_scopes(recorded: Script) -> None:
    """One scope with all others, with one other, or every scope with all others."""
    assert columns(ask(recorded.store, "only_seen_by", scope="acme/prod"), "model") == ["secret"]
    assert columns(ask(recorded.store, "only_seen_by"), "model", "offered_to")[0] == ("secret", "acme/prod")
    pair = {"scope": "acme/prod", "not_seen_by": "acme/test"}
    assert columns(ask(recorded.store, "only_seen_by", **pair), "model") == ["secret"]
    assert ask(recorded.store, "only_seen_by", scope="acme/test", not_seen_by="acme/prod") == []
    assert columns(ask(recorded.store, "only_seen_by", not_seen_by="acme/test", scope="acme/*"), "model") == [
        "secret"
    ]


def test_who_sees_has_a_row_for_each_scope(recorded: Script) -> None:
    """Without a model, it has the models that only some scopes are offered."""
    assert sorted(columns(ask(recorded.store, "who_sees", model="secret"), "scope")) == ["acme/prod"]
    assert sorted(set(columns(ask(recorded.store, "who_sees", model="lyra"), "scope"))) == [
        "acme/prod",
        "acme/test",
        "zeta/one",
    ]
    assert set(columns(ask(recorded.store, "who_sees"), "model")) == {"secret"}


def test_cheapest_filters_by_features_context_length_and_scope(recorded: Script) -> None:
    with recorded.store.transaction():
        recorded.store.connection.execute(
            """update records set input_usd_per_1m = id, output_usd_per_1m = 1, context_length = 8000,
               features = '["tools", "vision"]' where model in (select id from models where name <> 'lyra')"""
        )
    everything = ask(recorded.store, "cheapest")
    prices = columns(everything, "input_and_output_usd_per_1m")
    assert prices == sorted(prices)
    assert set(columns(everything, "model")) == {"vega-2.5", "heron", "secret"}
    assert ask(recorded.store, "cheapest", features="tools,vision", context_length="8000") == everything
    assert ask(recorded.store, "cheapest", features=" tools , ") == everything
    assert ask(recorded.store, "cheapest", features='tools,"x') == []
    assert ask(recorded.store, "cheapest", context_length="8001") == []
    assert "secret" not in columns(ask(recorded.store, "cheapest", scope="zeta/*"), "model")


def test_lost_and_returned_has_both_times(recorded: Script) -> None:
    recorded.drops("acme/prod", "secret").run()
    rows = ask(recorded.store, "lost_and_returned")
    assert columns(rows, "model", "lost_at", "returned_at", "away_days", "scope_names") == [
        ("secret", "2026-09-20T15:00:00Z", None, None, "acme/prod"),
        ("lyra", "2026-09-20T07:00:00Z", "2026-09-20T10:00:00Z", 0.1, "acme/test"),
    ]
    assert ask(recorded.store, "lost_and_returned", until="2026-09-20T07:00:00Z") == []


def test_coverage_by_day_counts_the_runs_of_a_day(recorded: Script) -> None:
    (day,) = ask(recorded.store, "coverage_by_day")
    assert (day["day"], day["runs"], day["asked"]) == ("2026-09-20", 9, 27)
    assert (day["failed"], day["answered"], day["percent_answered"]) == (5, 22, 81.5)


def test_same_lists_groups_the_scopes_of_a_listing(recorded: Script) -> None:
    assert columns(ask(recorded.store, "same_lists"), "scope_names") == ["acme/prod", "acme/test", "zeta/one"]
    assert columns(ask(recorded.store, "same_lists", gateway="zeta"), "scope_names") == ["zeta/one"]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("heron", {"heron"}),
        ("birds", {"heron"}),
        ("grey", {"heron"}),
        ("vega", {"vega-2.5"}),
        ("vega-2", {"vega-2.5"}),
        ("acme", {"lyra", "vega-2.5", "secret"}),
        ("nothing", set()),
    ],
)
def test_the_search_finds_models_by_id_owner_and_name(words: str, found: set[str], recorded: Script) -> None:
    rows = recorded.store.rows(
        "select name from models_fts where models_fts match :words", {"words": f'"{words}"'}
    )
    assert {row["name"] for row in rows} == found


def test_the_search_follows_changes_of_ids_and_owners(recorded: Script) -> None:
    with recorded.store.transaction():
        recorded.store.connection.execute("update models set name = 'swan' where name = 'lyra'")
        recorded.store.connection.execute("update records set owned_by = 'lakes' where name like 'lyra@%'")
    for words, count in (("lyra", 0), ("swan", 2), ("lakes", 2)):
        rows = recorded.store.rows(
            "select rowid from models_fts where models_fts match :words", {"words": words}
        )
        assert len(rows) == count, words


@pytest.mark.parametrize(
    ("before", "after", "percent"),
    [
        ("1", "1.5", 50.0),
        ("3", "1", -66.7),
        ("100", "100.01", 0.01),
        ("200", "199.9999", -0.00005),
        ("0.50", "0.5", 0.0),
        ("0", "1", None),
        ("1", "free", None),
        ("[1]", "2", None),
    ],
)
def test_a_percentage_is_to_a_tenth_or_to_its_first_digit(
    before: str, after: str, percent: float | None
) -> None:
    values = {"before": before, "after": after}
    sql = f"select {percent_sql(':before', ':after')}"
    assert sqlite3.connect(":memory:").execute(sql, values).fetchone() == (percent,)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"unit": "credit"}, {"unit": "point"}),
        ({"currency": "XAA"}, {"currency": "XBB"}),
        ({"priceUnit": "credit"}, {"priceUnit": "point"}),
        ({"scale": 100}, {"scale": 1000}),
        ({}, {"units": "point"}),
    ],
)
def test_price_history_has_no_percent_where_unit_currency_or_scale_changed(
    script: Script, before: dict[str, Any], after: dict[str, Any]
) -> None:
    script.offers("acme/prod", "lyra")
    for amount, beside in ((0.04, before), (40, after)):
        script.offers_now["acme/prod"]["lyra"] = {"pricing": {"input": amount, **beside}}
        script.run()
    rows = script.store.rows("select field, before, after, percent from price_history")
    assert [row["percent"] for row in rows if row["field"].endswith("input")] == [None]
    assert not any(row["percent"] for row in rows)


def test_price_history_has_the_percent_of_a_price_named_by_its_unit(script: Script) -> None:
    script.offers("acme/prod", "lyra")
    for amount in (0.04, 0.05):
        script.offers_now["acme/prod"]["lyra"] = {"pricing": {"unit_price": amount, "unit": "credit"}}
        script.run()
    rows = script.store.rows("select field, percent from price_history")
    assert columns(rows, "field", "percent") == [("pricing.unit_price", 25.0)]


def test_what_changed_leaves_a_price_raw_that_could_be_of_two_amounts(script: Script) -> None:
    """Per 1K or per 1M tokens, each field could be of the input or the output."""
    script.offers("acme/prod", "lyra")
    for pricing in ({"input": 1, "output": 1000}, {"input": 2, "output": 2000}):
        script.offers_now["acme/prod"]["lyra"] = {"pricing": {**pricing, "unit": "per_million_tokens"}}
        script.run()
    rows = ask(script.store, "what_changed", since="2026-01-01", **{"class": "price"})
    assert columns(rows, "field", "before", "after", "price_before", "currency") == [
        ("pricing.input", "1", "2", None, None),
        ("pricing.output", "1000", "2000", None, None),
    ]
