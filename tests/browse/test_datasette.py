"""The configuration, descriptions and stored queries, and `modelwatch browse` with a real Datasette."""

from __future__ import annotations

import csv
import io
import json
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from unittest import mock
from xml.etree import ElementTree as ET

import pytest
from support.browsing import ATOM, SPECIAL, browse_server, fetch, record_special_names
from support.e2e import TIMEOUT, Job
from support.fakes import Script
from support.schema import first_columns, tables

from pipeline.browse import datasette
from pipeline.browse.datasette import configuration
from pipeline.browse.descriptions import DESCRIPTIONS, INTERNAL_TABLES, TABLES, describe_columns
from pipeline.browse.queries import QUERIES, Query, time_parameter
from pipeline.errors import StoreError
from pipeline.store import Store

MAY_BE_SCANNED = {
    "scopes",
    "lists",
    "asked",
    "matrix",
    "same_catalog",
    "wanted",
    "found",
    "moved",
    "json_each",
}
"""Tables and subqueries that a stored query may scan: those of the present, and its own results."""

LARGE = """
    analyze;
    update sqlite_stat1 set stat = '1000000' || substr(stat, instr(stat, ' ')) where tbl <> 'scopes';
    analyze sqlite_schema;
"""
"""Makes SQLite plan as for a long history."""


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


def test_the_configuration_has_tables_and_queries_under_the_name_of_the_database(store: Store) -> None:
    """It has no `units`, which break the pages of Datasette 0.65."""
    config = configuration(store, "other")
    assert list(config["databases"]) == ["other"]
    found = config["databases"]["other"]
    assert json.loads(json.dumps(config)) == config
    assert '"units"' not in json.dumps(config)
    assert found["tables"]["models"]["label_column"] == "name"
    assert found["tables"]["change_log"]["sort_desc"] == "at"
    hidden = {name for name, table in found["tables"].items() if table.get("hidden")}
    assert hidden >= {"coverages", "missing", "_sqlite_migrations", "models_fts", "models_fts_data"}
    assert not hidden & {"models", "changes", "snapshots", "offers"}
    assert list(found["queries"]) == [query.name for query in QUERIES]
    assert all(query["hide_sql"] for query in found["queries"].values())


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query.name)
def test_no_stored_query_scans_a_growing_table(query: Query, recorded: Script) -> None:
    recorded.store.connection.executescript(LARGE)
    sql = f"explain query plan {query.sql}"
    plan = [row["detail"] for row in recorded.store.rows(sql, dict.fromkeys(query.params, ""))]
    scanned = {step.split()[1] for step in plan if step.startswith("SCAN")}
    assert scanned <= MAY_BE_SCANNED
    assert set(re.findall(r"(?<!:):([a-z_]+)", query.sql)) == set(query.params)
    assert all(f"`{name}`" in query.description for name in query.params)


def test_what_changed_has_one_row_for_all_scopes_with_the_same_change(recorded: Script) -> None:
    """`scope` selects one of them."""
    rows = ask(recorded.store, "what_changed")
    price = [row for row in rows if row["field"] == "pricing.prompt"]
    assert columns(price, "model", "before", "after", "class", "scopes", "scope_names") == [
        ("heron", '"1"', '"1.5"', "price", 2, "acme/prod acme/test")
    ]
    assert columns(rows, "kind", "model")[1:] == [("added", "lyra"), ("removed", "lyra"), ("missing", "lyra")]
    assert columns(ask(recorded.store, "what_changed", scope="*/test", **{"class": "price"}), "model") == [
        "heron"
    ]
    assert ask(recorded.store, "what_changed", scope="zeta/*") == []
    between = ask(recorded.store, "what_changed", since="2026-09-20T07:00:00Z", until="2026-09-20T08:00:00Z")
    assert columns(between, "kind", "model", "at") == [("missing", "lyra", "2026-09-20T07:00:00Z")]


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
    for wrong in ("garbage", "1x", "d", "2026", "2026-13-01", "1d2h", "999999w"):
        with pytest.raises(StoreError, match="since is not a time: write 2h, 1d, 3w, 2026-05-01"):
            ask(recorded.store, name, since=wrong)


@pytest.mark.parametrize(
    ("text", "modifier"),
    [("90m", "-90 minutes"), ("2h", "-2 hours"), ("10d", "-10 days"), ("3w", "-21 days")],
)
def test_relative_times_count_back_from_now(text: str, modifier: str, store: Store) -> None:
    sql = (
        f"select {time_parameter('since', 'null')} as at, strftime('%Y-%m-%dT%H:%M:%SZ', 'now', :ago) as due"
    )
    (row,) = store.rows(sql, {"since": text, "ago": modifier})
    assert row["at"] == row["due"] is not None


def test_prices_of_has_each_price_change_with_percent(recorded: Script) -> None:
    for parameters in ({"model": "heron"}, {}):
        rows = ask(recorded.store, "prices_of", **parameters)
        assert columns(rows, "model", "field", "before", "after", "percent", "scopes") == [
            ("heron", "pricing.prompt", "1", "1.5", 50.0, 2)
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
def test_models_are_search_column_id_owner_and_name(words: str, found: set[str], recorded: Script) -> None:
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


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of the database in a real Datasette."""
    with browse_server(record_special_names(Job(tmp_path_factory.mktemp("browse") / "home"))) as (base, _):
        yield f"{base}/modelwatch"


def test_every_table_view_and_query_has_a_page_with_ids_escaped(served: str) -> None:
    for path in ("", *(f"/{name}" for name in DESCRIPTIONS), *(f"/{query.name}" for query in QUERIES)):
        shown = fetch(served, path)
        assert "<script>alert(1)" not in shown, path
        assert "Error 500" not in shown, path
    assert "&lt;script&gt;alert(1)" in fetch(served, "/offers")


def test_pages_have_descriptions_labels_and_the_search(served: str) -> None:
    assert "Every model that a gateway has ever offered" in fetch(served, "/models")
    assert ">acme/prod</a>" in fetch(served, "/sightings")
    assert 'name="_search"' in fetch(served, "/offers")
    listed = json.loads(fetch(served, ".json"))["tables"]
    seen = {table["name"] for table in listed if not table["hidden"]}
    assert seen == {name for name, description in TABLES.items() if not description.hidden}


def test_the_search_works_on_every_page_with_models(served: str) -> None:
    for table in ("models", "records", "offers", "catalog", "changes", "change_log", "matrix"):
        found = json.loads(fetch(served, f"/{table}.json", _search="script alert", _shape="array"))
        assert found, table
        assert all("script" in (row.get("name") or row.get("model")) for row in found), table
    assert json.loads(fetch(served, "/models.json", _search="'; drop", _shape="array"))


def test_stored_queries_have_the_same_rows_as_csv_and_json(served: str) -> None:
    for query in QUERIES:
        rows = json.loads(fetch(served, f"/{query.name}.json", _shape="array"))
        lines = list(csv.DictReader(io.StringIO(fetch(served, f"/{query.name}.csv"))))
        assert len(rows) == len(lines), query.name
    changed = json.loads(fetch(served, "/what_changed.json", _shape="array"))
    assert set(SPECIAL) <= {row["model"] for row in changed}


@pytest.mark.parametrize("path", ["/what_changed.atom", "/change_log.atom"])
def test_a_feed_has_an_entry_with_id_and_link_for_each_change(served: str, path: str) -> None:
    text = fetch(served, path)
    feed = ET.fromstring(text)
    entries = feed.findall(f"{ATOM}entry")
    titles = [str(entry.findtext(f"{ATOM}title")) for entry in entries]
    assert "added <script>alert(1)</script>" in titles
    assert "added evil\\u{202e}4-tpg" in titles
    assert "\u202e" not in text
    assert "<script>" not in text
    ids = [entry.findtext(f"{ATOM}id") for entry in entries]
    assert len(set(ids)) == len(ids) > len(SPECIAL)
    assert all(re.fullmatch(r"urn:uuid:[0-9a-f-]{36}", str(number)) for number in ids)
    for entry in entries:
        link = entry.find(f"{ATOM}link")
        assert link is not None
        assert link.attrib["href"].startswith(f"{served}/changes/")
    assert feed.findtext(f"{ATOM}updated") == "2026-09-20T08:00:00Z"
    assert [
        e.findtext(f"{ATOM}id") for e in ET.fromstring(fetch(served, path)).findall(f"{ATOM}entry")
    ] == ids


def test_a_feed_has_removals_only_once_they_are_confirmed(tmp_path: Path) -> None:
    job = record_special_names(Job(tmp_path / "home"))
    with Store.open(job.database) as store:
        script = Script(store, runs=3).offers("acme/prod", "lyra", "kite").offers("acme/test", "lyra")
        script.run()
        script.drops("acme/prod", "kite").run(times=3)
    with browse_server(job) as (base, _):
        assert "missing" in {
            row["kind"] for row in json.loads(fetch(base, "/modelwatch/what_changed.json", _shape="array"))
        }
        feed = ET.fromstring(fetch(base, "/modelwatch/what_changed.atom"))
    titles = [str(entry.findtext(f"{ATOM}title")) for entry in feed.findall(f"{ATOM}entry")]
    assert "removed kite" in titles
    assert not [title for title in titles if title.startswith("missing")]


@pytest.mark.parametrize("path", ["/models.atom", "/cheapest.atom"])
def test_rows_that_are_no_changes_have_no_feed(served: str, path: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        fetch(served, path)
    assert refused.value.code == 400
    refused.value.close()


def test_datasette_shows_new_runs_and_cannot_write(tmp_path: Path) -> None:
    job = record_special_names(Job(tmp_path / "home"))
    with browse_server(job) as (base, _):
        count = "select count(*) as n from snapshots"
        before = json.loads(fetch(base, "/modelwatch.json", sql=count, _shape="array"))
        with Store.open(job.database) as store:
            Script(store, runs=3).offers("acme/prod", "lyra").run()
        assert (
            json.loads(fetch(base, "/modelwatch.json", sql=count, _shape="array"))[0]["n"]
            == before[0]["n"] + 1
        )
        with pytest.raises(urllib.error.HTTPError) as refused:
            fetch(base, "/modelwatch.json", sql="delete from models")
        refused.value.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_with_status_0_and_no_files_left(tmp_path: Path, number: signal.Signals) -> None:
    job = record_special_names(Job(tmp_path / "home"))
    job.env["TMPDIR"] = str(tmp_path)
    with browse_server(job) as (base, process):
        assert fetch(base, "/modelwatch")
        assert [path.name for path in tmp_path.iterdir() if path.name.startswith("modelwatch-")]
        process.send_signal(number)
        assert process.wait(TIMEOUT) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


def test_a_taken_port_is_a_usage_error(tmp_path: Path) -> None:
    job = record_special_names(Job(tmp_path / "home"))
    with socket.create_server(("127.0.0.1", 0)) as other:
        done = job.quick("browse", "--port", str(other.getsockname()[1]))
    assert done.code == 2
    assert "cannot be used" in done.stderr
    assert "--port" in done.stderr


def test_without_datasette_it_prints_how_to_install_it(tmp_path: Path) -> None:
    job = record_special_names(Job(tmp_path / "home"))
    with mock.patch.object(
        datasette, "find_spec", lambda name: None if name == "datasette" else find_spec(name)
    ):
        done = job.quick("browse")
    assert done.code == 1
    assert "pip install 'modelwatch[browse]'" in done.stderr


def test_it_listens_on_loopback_unless_public(tmp_path: Path) -> None:
    job = record_special_names(Job(tmp_path / "home"))
    with browse_server(job) as (base, _):
        assert base.startswith("http://127.0.0.1:")
    with browse_server(job, "--public") as (base, _):
        assert base.startswith("http://0.0.0.0:")


def test_without_a_database_browse_fails(tmp_path: Path) -> None:
    done = Job(tmp_path).quick("browse")
    assert done.code == 74
    assert "there is no database yet" in done.stderr


def test_datasette_config_writes_the_file_and_prints_both_commands(tmp_path: Path) -> None:
    """An existing file is kept without `--force`."""
    job = record_special_names(Job(tmp_path / "home"))
    done = job.quick("datasette-config")
    assert done.code == 0, done.stderr
    file = job.home / "datasette.yaml"
    assert list(json.loads(file.read_bytes())["databases"]) == ["modelwatch"]
    old, new = [line.split() for line in done.stdout.splitlines() if "datasette serve" in line]
    assert [old.count(flag) for flag in ("-m", "-c")] == [1, 0]
    assert [new.count(flag) for flag in ("-m", "-c")] == [1, 1]
    again = job.quick("datasette-config")
    assert (again.code, "--force" in again.stderr) == (74, True)
    assert job.quick("datasette-config", "--force").code == 0
    assert job.quick("datasette-config", "--output", str(tmp_path / "else.yaml")).code == 0


def test_the_printed_command_serves_the_database(tmp_path: Path) -> None:
    job = record_special_names(Job(tmp_path / "home"))
    done = job.quick("datasette-config")
    (line, _) = [line for line in done.stdout.splitlines() if "datasette serve" in line]
    words = [sys.executable, "-m", *line.split(), "--get", "/modelwatch/what_changed.json?_shape=array"]
    shown = subprocess.run(words, capture_output=True, text=True, check=True)
    assert {row["kind"] for row in json.loads(shown.stdout)} == {"added", "changed"}
