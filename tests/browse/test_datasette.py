"""The configuration of Datasette, and `modelwatch browse` with a real one."""

from __future__ import annotations

import csv
import io
import json
import os
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
from unittest import mock
from xml.etree import ElementTree as ET

import pytest
from support.browsing import ATOM, SPECIAL, browse_server, fetch, record_special_names
from support.e2e import TIMEOUT, Job, one_line
from support.fakes import Script

from pipeline.browse import datasette
from pipeline.browse.datasette import configuration
from pipeline.browse.descriptions import DESCRIPTIONS, TABLES
from pipeline.browse.plugins.feed import title_of
from pipeline.browse.queries import QUERIES
from pipeline.core.text import printable
from pipeline.errors import StoreError
from pipeline.extras import command_to_add
from pipeline.store import Store


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
    visible = {table["name"] for table in listed if not table["hidden"]}
    assert visible == {name for name, description in TABLES.items() if not description.hidden}


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
            row["kind"] for row in json.loads(fetch(base, "/modelwatch/change_log.json", _shape="array"))
        }
        feed = ET.fromstring(fetch(base, "/modelwatch/change_log.atom"))
    titles = [str(entry.findtext(f"{ATOM}title")) for entry in feed.findall(f"{ATOM}entry")]
    assert "removed kite" in titles
    assert not [title for title in titles if title.startswith("missing")]


@pytest.mark.parametrize(
    ("before", "after", "title"),
    [
        ('"0.000002"', '"0.000003"', "changed lyra pricing.prompt 0.000002 → 0.000003"),
        ("2e-9", "2.5e-9", "changed lyra pricing.prompt 0.000000002 → 0.0000000025"),
        (None, '"1E+3"', "changed lyra pricing.prompt nothing → 1000"),
        ("1", '"1"', 'changed lyra pricing.prompt 1 → "1"'),
        ("1e999999", "¥2", "changed lyra pricing.prompt 1e999999 → ¥2"),
    ],
)
def test_the_title_of_an_entry_has_prices_as_bare_numbers(before: str | None, after: str, title: str) -> None:
    row = {"kind": "changed", "model": "lyra", "field": "pricing.prompt", "before": before, "after": after}
    assert title_of(row) == title


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


def test_a_taken_port_has_an_exit_status_of_its_own(tmp_path: Path) -> None:
    job = record_special_names(Job(tmp_path / "home"))
    with socket.create_server(("127.0.0.1", 0)) as other:
        done = job.quick("browse", "--port", str(other.getsockname()[1]))
    assert done.code == 71
    assert "cannot be used" in done.stderr
    assert "--port" in done.stderr


def test_without_datasette_it_prints_how_to_install_it(tmp_path: Path) -> None:
    job = record_special_names(Job(tmp_path / "home"))
    with mock.patch.object(
        datasette, "find_spec", lambda name: None if name == "datasette" else find_spec(name)
    ):
        done = job.quick("browse")
    assert done.code == 69
    assert f"Datasette is not installed: run `{command_to_add('datasette', 'browse')}`" in done.stderr


def test_it_listens_on_loopback_unless_public(tmp_path: Path) -> None:
    job = record_special_names(Job(tmp_path / "home"))
    with browse_server(job) as (base, _):
        assert base.startswith("http://127.0.0.1:")
    with browse_server(job, "--public") as (base, _):
        assert base.startswith("http://0.0.0.0:")


@pytest.mark.parametrize("options", [(), ("--public",)])
def test_it_prints_its_address_first(tmp_path: Path, options: tuple[str, ...]) -> None:
    job = record_special_names(Job(tmp_path / "home"))
    with browse_server(job, *options) as (base, process):
        assert process.stdout
        port = base.rpartition(":")[2]
        assert process.stdout.readline() == f"http://127.0.0.1:{port} – press Ctrl-C to stop\n"


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


ODD = ("what?", "c#", "100%41", os.fsdecode(b"\xff\xe9"))
"""Names of directories that a URI of SQLite cannot have as they are."""


@pytest.mark.parametrize("name", ODD, ids=ascii)
def test_a_home_of_any_name_is_browsed_and_no_other_file_is_made(tmp_path: Path, name: str) -> None:
    job = record_special_names(Job(tmp_path / name))
    with browse_server(job) as (base, _):
        assert json.loads(fetch(base, "/modelwatch.json", sql="select 1 as n", _shape="array")) == [{"n": 1}]
        with Store.open(job.database) as store:
            Script(store, runs=3).offers("acme/prod", "lyra").run()
        assert "lyra" in fetch(base, "/modelwatch/models.json")
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ODD, ids=ascii)
def test_a_path_that_datasette_cannot_open_is_named(tmp_path: Path, name: str) -> None:
    job = record_special_names(Job(tmp_path / name))
    line = one_line(job.quick("datasette-config"), 74, "Datasette opens no path with `?`, `#`, `%`")
    assert printable(str(job.database)) in line
    with pytest.raises(StoreError, match="use other names"):
        datasette.openable(tmp_path / f"{name}.db", tmp_path)
