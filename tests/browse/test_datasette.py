"""The database in Datasette: what is described, what is asked, and that a real one shows it harmlessly."""

from __future__ import annotations

import csv
import io
import json
import re
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from unittest import mock
from xml.etree import ElementTree as ET

import pytest
from store.test_schema import leading, tables
from support.e2e import TIMEOUT, Job
from support.fakes import Script, scope

from pipeline.browse import configuration
from pipeline.browse import datasette as serving
from pipeline.browse.descriptions import HIDDEN, SHOWN, TABLES, columns_of
from pipeline.browse.queries import QUERIES, Query, moment
from pipeline.errors import StoreError
from pipeline.store import Store

HOSTILE = ("<script>alert(1)</script>", "'; drop table models; --", "evil\u202e4-tpg", "=1+1", 'a"b&c', "π")
"""What a gateway may call its models."""

OF_THE_PRESENT = {
    "scopes",
    "lists",
    "asked",
    "matrix",
    "same_catalog",
    "wanted",
    "found",
    "moves",
    "json_each",
}
"""What a stored query may read whole: what is offered now, and what it has found itself."""

LARGE = """
    analyze;
    update sqlite_stat1 set stat = '1000000' || substr(stat, instr(stat, ' ')) where tbl <> 'scopes';
    analyze sqlite_schema;
"""
"""Has SQLite plan as if the history were long."""


def stored(name: str) -> Query:
    (found,) = [query for query in QUERIES if query.name == name]
    return found


def ask(store: Store, name: str, **given: str) -> list[dict[str, Any]]:
    """Ask a stored query as Datasette does: what is not given is the empty text."""
    query = stored(name)
    assert given.keys() <= set(query.params)
    return store.rows(query.sql, dict.fromkeys(query.params, "") | given)


def named(rows: list[dict[str, Any]], *columns: str) -> list[Any]:
    """Give some columns of rows, or the values of one."""
    return [row[columns[0]] if len(columns) == 1 else tuple(row[c] for c in columns) for row in rows]


@pytest.fixture
def lived(script: Script) -> Script:
    """Nine runs over three scopes: a price that moves, a model lost and back, one that a single key sees."""
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
    """Whoever browses reads what each is; nothing is described that is not there."""
    there = store.rows("select name from pragma_table_list where schema = 'main'")
    assert {row["name"] for row in there} - set(HIDDEN) - {"sqlite_schema"} == SHOWN.keys()
    described = columns_of(store)
    for name, shown in SHOWN.items():
        columns = [
            row["name"] for row in store.rows("select name from pragma_table_info(:name)", {"name": name})
        ]
        assert list(described[name]) == columns, name
        assert shown.columns.keys() <= set(columns), name
        assert shown.says.endswith("."), name


def test_a_number_that_has_a_unit_names_it(store: Store) -> None:
    """Prices, lengths and shares say in words what they are counted in."""
    for name, columns in columns_of(store).items():
        for column, says in columns.items():
            if column.endswith("_usd_per_1m"):
                assert "USD per 1 million tokens" in says, (name, column)
            if column in ("context_length", "max_output"):
                assert "in tokens" in says, (name, column)
            if column.endswith("_at"):
                assert "(UTC)" in says, (name, column)


def test_what_is_shown_first_is_there_and_has_an_index(store: Store) -> None:
    """Tables are sorted and counted by columns that an index begins with, and found by columns of theirs."""
    described = columns_of(store)
    for name, shown in SHOWN.items():
        wanted = {*shown.facets, *([shown.sort.removeprefix("-")] if shown.sort else [])}
        assert wanted | ({shown.found_by} if shown.found_by else set()) <= described[name].keys(), name
        if name in tables(store):
            small = {"gateways", "scopes", "fields"}
            assert name in small or wanted <= leading(store, name) | {"id"} | {"name"}, name


def test_one_configuration_serves_both_releases(store: Store) -> None:
    """It is one value under the database's name, without the key that breaks the pages of 0.65."""
    whole = configuration(store, "other")
    assert list(whole["databases"]) == ["other"]
    found = whole["databases"]["other"]
    assert json.loads(json.dumps(whole)) == whole
    assert '"units"' not in json.dumps(whole)
    assert found["tables"]["models"]["label_column"] == "name"
    assert found["tables"]["change_log"]["sort_desc"] == "at"
    hidden = {name for name, table in found["tables"].items() if table.get("hidden")}
    assert hidden >= {"coverages", "missing", "_sqlite_migrations", "models_fts", "models_fts_data"}
    assert not hidden & {"models", "changes", "snapshots", "offers"}
    assert list(found["queries"]) == [query.name for query in QUERIES]


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query.name)
def test_a_stored_query_reads_no_growing_table_whole(query: Query, lived: Script) -> None:
    """However long the history, indexes lead to the answer."""
    lived.store.connection.executescript(LARGE)
    sql = f"explain query plan {query.sql}"
    plan = [row["detail"] for row in lived.store.rows(sql, dict.fromkeys(query.params, ""))]
    scanned = {step.split()[1] for step in plan if step.startswith("SCAN")}
    assert scanned <= OF_THE_PRESENT
    assert set(re.findall(r"(?<!:):([a-z_]+)", query.sql)) == set(query.params)
    assert all(f"`{name}`" in query.says for name in query.params)


def test_what_changed_is_told_once_for_all_scopes(lived: Script) -> None:
    """A move that two keys made is one row that names both; a glob asks for one of them."""
    rows = ask(lived.store, "what_changed")
    price = [row for row in rows if row["field"] == "pricing.prompt"]
    assert named(price, "model", "before", "after", "class", "scopes", "scope_names") == [
        ("heron", '"1"', '"1.5"', "price", 2, "acme/prod acme/test")
    ]
    assert named(rows, "kind", "model")[1:] == [("added", "lyra"), ("removed", "lyra"), ("missing", "lyra")]
    assert named(ask(lived.store, "what_changed", scope="*/test", **{"class": "price"}), "model") == ["heron"]
    assert ask(lived.store, "what_changed", scope="zeta/*") == []
    between = ask(lived.store, "what_changed", since="2026-09-20T07:00:00Z", until="2026-09-20T08:00:00Z")
    assert named(between, "kind", "model", "at") == [("missing", "lyra", "2026-09-20T07:00:00Z")]


@pytest.mark.parametrize("name", ["what_changed", "lost_and_returned", "coverage_by_day"])
def test_times_are_given_as_the_command_takes_them(name: str, lived: Script) -> None:
    """A date, a moment, or how long ago; what is none of these is an error that says what to write."""
    everything = ask(lived.store, name, since="2026-09-20", until="2026-09-21")
    assert everything
    assert (
        ask(lived.store, name, since="2026-09-20T00:00:00Z", until="2026-09-21T02:00:00+02:00") == everything
    )
    assert ask(lived.store, name, since="2026-09-20", until="900w") == []
    assert ask(lived.store, name, since="900w", until="2026-09-21") == everything
    for wrong in ("garbage", "1x", "d", "2026", "2026-13-01", "1d2h", "999999w"):
        with pytest.raises(StoreError, match="since is no time, write 2h, 1d, 3w, 2026-05-01"):
            ask(lived.store, name, since=wrong)


@pytest.mark.parametrize(
    ("said", "ago"), [("90m", "-90 minutes"), ("2h", "-2 hours"), ("10d", "-10 days"), ("3w", "-21 days")]
)
def test_how_long_ago_is_reckoned_from_now(said: str, ago: str, store: Store) -> None:
    """Minutes, hours, days and weeks before the question is asked."""
    sql = f"select {moment('since', 'null')} as at, strftime('%Y-%m-%dT%H:%M:%SZ', 'now', :ago) as due"
    (row,) = store.rows(sql, {"since": said, "ago": ago})
    assert row["at"] == row["due"] is not None


def test_the_price_of_a_model_has_a_history(lived: Script) -> None:
    """Each change of a price is there with both sides and by how much it rose; an unknown model has none."""
    for given in ({"model": "heron"}, {}):
        rows = ask(lived.store, "prices_of", **given)
        assert named(rows, "model", "field", "before", "after", "percent", "scopes") == [
            ("heron", "pricing.prompt", "1", "1.5", 50.0, 2)
        ]
    assert ask(lived.store, "prices_of", model="lyra") == []


def test_models_are_found_that_one_key_sees_and_another_does_not(lived: Script) -> None:
    """One scope against all others, against one other, or the models of which only one scope is offered."""
    assert named(ask(lived.store, "only_seen_by", scope="acme/prod"), "model") == ["secret"]
    assert named(ask(lived.store, "only_seen_by"), "model", "offered_to")[0] == ("secret", "acme/prod")
    pair = {"scope": "acme/prod", "not_seen_by": "acme/test"}
    assert named(ask(lived.store, "only_seen_by", **pair), "model") == ["secret"]
    assert ask(lived.store, "only_seen_by", scope="acme/test", not_seen_by="acme/prod") == []
    assert named(ask(lived.store, "only_seen_by", not_seen_by="acme/test", scope="acme/*"), "model") == [
        "secret"
    ]


def test_who_sees_a_model_is_told_scope_by_scope(lived: Script) -> None:
    """The keys behind a model; without one, those behind the models that not all see."""
    assert sorted(named(ask(lived.store, "who_sees", model="secret"), "scope")) == ["acme/prod"]
    assert sorted(set(named(ask(lived.store, "who_sees", model="lyra"), "scope"))) == [
        "acme/prod",
        "acme/test",
        "zeta/one",
    ]
    assert set(named(ask(lived.store, "who_sees"), "model")) == {"secret"}


def test_the_cheapest_model_that_can_do_something(lived: Script) -> None:
    """Features, length and scopes narrow what is offered; odd features are none that a model has."""
    with lived.store.transaction():
        lived.store.connection.execute(
            """update records set input_usd_per_1m = id, output_usd_per_1m = 1, context_length = 8000,
               features = '["tools", "vision"]' where model in (select id from models where name <> 'lyra')"""
        )
    everything = ask(lived.store, "cheapest")
    prices = named(everything, "input_and_output_usd_per_1m")
    assert prices == sorted(prices)
    assert set(named(everything, "model")) == {"vega-2.5", "heron", "secret"}
    assert ask(lived.store, "cheapest", features="tools,vision", context_length="8000") == everything
    assert ask(lived.store, "cheapest", features=" tools , ") == everything
    assert ask(lived.store, "cheapest", features='tools,"x') == []
    assert ask(lived.store, "cheapest", context_length="8001") == []
    assert "secret" not in named(ask(lived.store, "cheapest", scope="zeta/*"), "model")


def test_models_lost_and_returned_are_told_with_their_times(lived: Script) -> None:
    """A model that is back says when and after how long; one that is not has no such time."""
    lived.drops("acme/prod", "secret").run()
    rows = ask(lived.store, "lost_and_returned")
    assert named(rows, "model", "lost_at", "returned_at", "away_days", "scope_names") == [
        ("secret", "2026-09-20T15:00:00Z", None, None, "acme/prod"),
        ("lyra", "2026-09-20T07:00:00Z", "2026-09-20T10:00:00Z", 0.1, "acme/test"),
    ]
    assert ask(lived.store, "lost_and_returned", until="2026-09-20T07:00:00Z") == []


def test_coverage_is_counted_day_by_day(lived: Script) -> None:
    """Every run of a day is in it, with what was asked and what answered."""
    (day,) = ask(lived.store, "coverage_by_day")
    assert (day["day"], day["runs"], day["asked"]) == ("2026-09-20", 9, 27)
    assert (day["failed"], day["answered"], day["percent_answered"]) == (5, 22, 81.5)


def test_lists_that_are_the_same_are_told_together(lived: Script) -> None:
    """Which keys see exactly the same, of all gateways or of one."""
    assert named(ask(lived.store, "same_lists"), "scope_names") == ["acme/prod", "acme/test", "zeta/one"]
    assert named(ask(lived.store, "same_lists", gateway="zeta"), "scope_names") == ["zeta/one"]


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
def test_models_are_found_by_id_owner_and_name(words: str, found: set[str], lived: Script) -> None:
    """The search knows the words of each, and the digits of an id apart."""
    rows = lived.store.rows(
        "select name from models_fts where models_fts match :words", {"words": f'"{words}"'}
    )
    assert {row["name"] for row in rows} == found


def test_a_model_that_is_forgotten_is_not_found(lived: Script) -> None:
    """The search follows whatever is written, whoever writes it."""
    with lived.store.transaction():
        lived.store.connection.execute("update models set name = 'swan' where name = 'lyra'")
        lived.store.connection.execute("update records set owned_by = 'lakes' where name like 'lyra@%'")
    for words, count in (("lyra", 0), ("swan", 2), ("lakes", 2)):
        rows = lived.store.rows(
            "select rowid from models_fts where models_fts match :words", {"words": words}
        )
        assert len(rows) == count, words


def history(job: Job) -> Job:
    """Give a home a history in which a gateway names its models as it likes."""
    job.home.mkdir(parents=True)
    with Store.open(job.database) as store:
        script = Script(store).has(scope("acme/prod", group="vip"), scope("acme/test"))
        script.offers("acme/prod", "lyra").offers("acme/test", "lyra").run()
        script.adds("acme/prod", *HOSTILE).run()
        for name in HOSTILE:
            script.offers_now["acme/prod"][name] = {"owned_by": name, "description": name}
        script.run()
        store.checkpoint()
    return job


@contextmanager
def browsing(job: Job, *words: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Start `modelwatch browse`; gives the address once it listens."""
    with job.start("browse", "--port", "0", *words) as process:
        try:
            assert process.stderr
            said = []
            for line in process.stderr:
                said.append(line)
                if found := re.search(r"running on (http://\S+)", line):
                    break
            else:
                pytest.fail("".join(said))
            rest = threading.Thread(target=process.stderr.read, daemon=True)
            rest.start()
            yield f"{found[1]}/{job.database.stem}", process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(TIMEOUT)
            rest.join(TIMEOUT)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the database in a real Datasette."""
    with browsing(history(Job(tmp_path_factory.mktemp("browse") / "home"))) as (base, _):
        yield base


def page(base: str, path: str, **given: str) -> str:
    with urllib.request.urlopen(f"{base}{path}?{urllib.parse.urlencode(given)}", timeout=TIMEOUT) as answer:
        return answer.read().decode()


def test_every_page_is_shown_harmlessly(served: str) -> None:
    """Whatever a model is called, it is text on each page, and every table, view and query has one."""
    for path in ("", *(f"/{name}" for name in SHOWN), *(f"/{query.name}" for query in QUERIES)):
        shown = page(served, path)
        assert "<script>alert(1)" not in shown, path
        assert "Error 500" not in shown, path
    assert "&lt;script&gt;alert(1)" in page(served, "/offers")


def test_tables_read_well(served: str) -> None:
    """Descriptions, labels and the search are there; what serves the program alone is out of sight."""
    assert "Every model that was ever offered" in page(served, "/models")
    assert ">acme/prod</a>" in page(served, "/sightings")
    assert 'name="_search"' in page(served, "/offers")
    listed = json.loads(page(served, ".json"))["tables"]
    seen = {table["name"] for table in listed if not table["hidden"]}
    assert seen == {name for name, shown in TABLES.items() if not shown.hidden}


def test_a_search_finds_what_is_offered(served: str) -> None:
    """Words lead to models, on each page where models are."""
    for table in ("models", "records", "offers", "catalog", "changes", "change_log", "matrix"):
        found = json.loads(page(served, f"/{table}.json", _search="script alert", _shape="array"))
        assert found, table
        assert all("script" in (row.get("name") or row.get("model")) for row in found), table
    assert json.loads(page(served, "/models.json", _search="'; drop", _shape="array"))


def test_answers_are_had_as_csv_and_json(served: str) -> None:
    """Each stored query has both by its ending, with the same rows."""
    for query in QUERIES:
        rows = json.loads(page(served, f"/{query.name}.json", _shape="array"))
        lines = list(csv.DictReader(io.StringIO(page(served, f"/{query.name}.csv"))))
        assert len(rows) == len(lines), query.name
    changed = json.loads(page(served, "/what_changed.json", _shape="array"))
    assert set(HOSTILE) <= {row["model"] for row in changed}


ATOM = "{http://www.w3.org/2005/Atom}"


@pytest.mark.parametrize("path", ["/what_changed.atom", "/change_log.atom"])
def test_changes_are_had_as_a_feed(served: str, path: str) -> None:
    """Each change is an entry with an id of its own and a link; names are text, and turn nothing round."""
    text = page(served, path)
    feed = ET.fromstring(text)
    entries = feed.findall(f"{ATOM}entry")
    titles = [str(entry.findtext(f"{ATOM}title")) for entry in entries]
    assert "added <script>alert(1)</script>" in titles
    assert "added evil\\u{202e}4-tpg" in titles
    assert "\u202e" not in text
    assert "<script>" not in text
    ids = [entry.findtext(f"{ATOM}id") for entry in entries]
    assert len(set(ids)) == len(ids) > len(HOSTILE)
    assert all(re.fullmatch(r"urn:uuid:[0-9a-f-]{36}", str(number)) for number in ids)
    for entry in entries:
        link = entry.find(f"{ATOM}link")
        assert link is not None
        assert link.attrib["href"].startswith(f"{served}/changes/")
    assert feed.findtext(f"{ATOM}updated") == "2026-09-20T08:00:00Z"
    assert [e.findtext(f"{ATOM}id") for e in ET.fromstring(page(served, path)).findall(f"{ATOM}entry")] == ids


def test_a_feed_tells_a_removal_once(tmp_path: Path) -> None:
    """That a model is missing is no news yet; that it is removed is."""
    job = history(Job(tmp_path / "home"))
    with Store.open(job.database) as store:
        script = Script(store, runs=3).offers("acme/prod", "lyra", "kite").offers("acme/test", "lyra")
        script.run()
        script.drops("acme/prod", "kite").run(times=3)
    with browsing(job) as (base, _):
        assert "missing" in {
            row["kind"] for row in json.loads(page(base, "/what_changed.json", _shape="array"))
        }
        feed = ET.fromstring(page(base, "/what_changed.atom"))
    titles = [str(entry.findtext(f"{ATOM}title")) for entry in feed.findall(f"{ATOM}entry")]
    assert "removed kite" in titles
    assert not [title for title in titles if title.startswith("missing")]


@pytest.mark.parametrize("path", ["/models.atom", "/cheapest.atom"])
def test_what_tells_no_change_is_no_feed(served: str, path: str) -> None:
    """A page without times has no feed, and says so."""
    with pytest.raises(urllib.error.HTTPError) as refused:
        page(served, path)
    assert refused.value.code == 400
    refused.value.close()


def test_datasette_shows_what_the_job_writes_meanwhile(tmp_path: Path) -> None:
    """The file is not written by who looks at it, and a run is seen at once."""
    job = history(Job(tmp_path / "home"))
    with browsing(job) as (base, _):
        count = "select count(*) as n from snapshots"
        before = json.loads(page(base, ".json", sql=count, _shape="array"))
        with Store.open(job.database) as store:
            Script(store, runs=3).offers("acme/prod", "lyra").run()
        assert json.loads(page(base, ".json", sql=count, _shape="array"))[0]["n"] == before[0]["n"] + 1
        with pytest.raises(urllib.error.HTTPError) as refused:
            page(base, ".json", sql="delete from models")
        refused.value.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_quietly(tmp_path: Path, number: signal.Signals) -> None:
    """Ctrl-C, or whoever stops services, ends it with 0; nothing is left behind."""
    job = history(Job(tmp_path / "home"))
    job.env["TMPDIR"] = str(tmp_path)
    with browsing(job) as (base, process):
        assert page(base, "")
        assert [path.name for path in tmp_path.iterdir() if path.name.startswith("modelwatch-")]
        process.send_signal(number)
        assert process.wait(TIMEOUT) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


def test_a_port_that_is_taken_is_said_to_be(tmp_path: Path) -> None:
    """Another program may have it; which option helps is said."""
    job = history(Job(tmp_path / "home"))
    with socket.create_server(("127.0.0.1", 0)) as other:
        done = job.quick("browse", "--port", str(other.getsockname()[1]))
    assert done.code == 2
    assert "cannot be had" in done.stderr
    assert "--port" in done.stderr


def test_a_missing_datasette_is_named(tmp_path: Path) -> None:
    """Who installed the command alone is told what to install."""
    job = history(Job(tmp_path / "home"))
    with mock.patch.object(
        serving, "find_spec", lambda name: None if name == "datasette" else find_spec(name)
    ):
        done = job.quick("browse")
    assert done.code == 1
    assert "pip install 'modelwatch[browse]'" in done.stderr


def test_nobody_else_is_let_in_unasked(tmp_path: Path) -> None:
    """It listens on loopback, unless it is told to be public, and says what others see then."""
    job = history(Job(tmp_path / "home"))
    with browsing(job) as (base, _):
        assert base.startswith("http://127.0.0.1:")
    with browsing(job, "--public") as (base, _):
        assert base.startswith("http://0.0.0.0:")


def test_without_a_database_nothing_is_started(tmp_path: Path) -> None:
    """Before the first run there is nothing to see."""
    done = Job(tmp_path).quick("browse")
    assert done.code == 74
    assert "there is no database yet" in done.stderr


def test_the_configuration_is_written_for_a_datasette_of_ones_own(tmp_path: Path) -> None:
    """It lies beside the database, with both commands printed; what is there is not written over unasked."""
    job = history(Job(tmp_path / "home"))
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


def test_the_printed_command_is_right(tmp_path: Path) -> None:
    """What is printed for the release at hand starts, and finds everything."""
    job = history(Job(tmp_path / "home"))
    done = job.quick("datasette-config")
    (line, _) = [line for line in done.stdout.splitlines() if "datasette serve" in line]
    words = [sys.executable, "-m", *line.split(), "--get", "/modelwatch/what_changed.json?_shape=array"]
    shown = subprocess.run(words, capture_output=True, text=True, check=True)
    assert {row["kind"] for row in json.loads(shown.stdout)} == {"added", "changed"}
