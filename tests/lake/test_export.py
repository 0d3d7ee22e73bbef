"""`modelwatch export --parquet`: DuckDB and Polars read what the database and the commands say."""

from __future__ import annotations

import ast
import errno
import json
import os
import re
import shutil
import sqlite3
import stat
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import polars as pl
import pytest
from hypothesis import given, settings
from pyarrow import parquet
from support import ROOT, amount
from support.dated_histories import KNOWN, SCOPES, Run, days_of, histories, record_all, record_run
from support.dated_histories import at as moment_of
from support.e2e import Done, Job, one_line

import pipeline
from pipeline.core.times import iso
from pipeline.core.types import Share
from pipeline.errors import Unreachable
from pipeline.lake import arrow, dataset, rows, shared, write_dataset
from pipeline.lake.tables import TABLES
from pipeline.maintenance import prune
from pipeline.simulator.gateway import Gateway
from pipeline.store import Store
from pipeline.store.catalog import Moment, scope_listings
from pipeline.store.coverage import coverage
from pipeline.store.lock import lock_directory

RUNS = (
    "2026-05-01T06:00:00Z",
    "2026-05-02T06:00:00Z",
    "2026-05-03T06:00:00Z",
    "2026-05-31T23:59:59Z",
    "2026-06-01T00:00:00Z",
    "2026-06-02T06:00:00Z",
    "2026-08-04T06:00:00Z",
    "2026-08-05T06:00:00Z",
    "2026-08-06T06:00:00Z",
)
"""No run is in July; one begins with June."""

MOMENTS = sorted({*RUNS, "2026-05-01T18:00:00Z", "2026-05-20T00:00:00Z", "2026-06-20T00:00:00Z"})


def heron(price: float, **fields: Any) -> dict[str, Any]:
    """Return the fields of a model whose prices grow above 200k tokens."""
    tiers = [{"min": 0, "input": price, "output": 10}, {"min": 200_000, "input": 2 * price, "output": 15}]
    own = {"owned_by": "heron", "features": ["tools"], "cost": {"in": price, "out": 10}}
    return {**own, "pricing_tiers": tiers, **fields}


def record(job: Job, gateway: Gateway) -> Iterator[str]:
    """Record runs of two scopes, and of a third one for a time; yield the time of each."""
    key = "sk-of-the-lake-0001"
    every = ("default", "vip")
    job.env["PROD"] = key
    gateway.key(key, group="vip")
    gateway.offers("heron-2", to=every, **heron(5, context_length=200_000, features=["tools", "vision"]))
    gateway.offers("quarry/slate", to=every, owned_by="quarry", context_length=8)
    gateway.offers("lumen-3", to="vip", owned_by="lumen", shutdown_date="2026-09-01", created=1_700_000_000)
    scopes = {"prod": 'key = "env:PROD", group = "vip"', "public": "", "trial": ""}
    settings = 'prices = { unit = "1m", input = "cost.in", output = "cost.out" }\nbackoff'
    job.asks(gateway.url, name="aihubmix", scopes=scopes, attempts=1)
    job.configure(job.config.read_text("utf-8").replace("backoff", settings))
    steps = {
        1: lambda: gateway.offers("heron-2", to=every, **heron(2.5)),
        2: lambda: gateway.drops("quarry/slate"),
        3: lambda: gateway.offers("heron-2", to=every, **heron(2.5, description="new words")),
        4: lambda: gateway.fails("unavailable"),
        5: gateway.heals,
        6: lambda: gateway.offers("heron-2", to=every, **heron(0.075)),
        7: lambda: gateway.offers("quarry/slate", "quarry/marl", to="vip", owned_by="quarry"),
        8: lambda: job.configure(job.config.read_text("utf-8").replace("scopes.trial = {}\n", "")),
    }
    for number, at in enumerate(RUNS):
        steps.get(number, lambda: None)()
        done = job.quick("run", at=at)
        assert done.code in (0, 4), done
        yield at


def export(job: Job, name: str = "lake") -> Path:
    done = job.quick("export", "--parquet", str(job.home / name))
    assert done.code == 0, done
    return job.home / name


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Job:
    job = Job(tmp_path_factory.mktemp("lake") / "home")
    with Gateway() as gateway:
        for _ in record(job, gateway):
            export(job, "each")
    export(job)
    return job


def content(directory: Path) -> dict[str, bytes]:
    return {str(p.relative_to(directory)): p.read_bytes() for p in directory.rglob("*") if p.is_file()}


def query(job: Job, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'; set threads = 1")
        return connection.sql(sql.replace("LAKE", str(job.home / "lake"))).fetchall()


def at_moment(table: str, at: str) -> str:
    return (
        f"from 'LAKE/{table}/*/*.parquet' where month = '{at[:7]}' and valid_from <= timestamptz '{at}'"
        f" and (valid_until is null or valid_until > timestamptz '{at}')"
    )


def plain(value: Any) -> Any:
    """Return a value as the database has it."""
    if isinstance(value, datetime):
        return iso(value.astimezone(UTC))
    return float(value) if isinstance(value, Decimal) else value


def test_export_after_each_run_writes_the_same_bytes_as_one_at_the_end(recorded: Job) -> None:
    each, once = content(recorded.home / "each"), content(recorded.home / "lake")
    assert each == once
    assert content(export(recorded, "again")) == once
    months = ("2026-05", "2026-06", "2026-08")
    assert each.keys() == {
        "_modelwatch.json",
        *(f"{table}/month={month}/{table}.parquet" for table in TABLES for month in months),
    }


def test_runs_and_changes_are_the_rows_of_the_database(recorded: Job) -> None:
    with Store.read(recorded.database) as store:
        runs = store.rows("select * from snapshots order by id")
        log = store.rows("select * from change_log order by at, change_id, kind, field")
    columns = ("finished_at", "status", "scopes", "answered", "moved", "held", "failed")
    found = query(
        recorded, f"select run, run_at, {', '.join(columns)} from 'LAKE/runs/*/*.parquet' order by run"
    )
    assert [tuple(map(plain, row)) for row in found] == [
        (run["id"], run["started_at"], *(run[name] for name in columns)) for run in runs
    ]
    same = ("kind", "gateway", "model", "field", "before", "after", "class", "flapping")
    changes = pl.scan_parquet(recorded.home / "lake" / "changes").collect().rows(named=True)
    assert len(changes) > 10
    assert sorted(
        repr([row["run"], plain(row["run_at"]), *(row[name] for name in same), sorted(row["scopes"])])
        for row in changes
    ) == sorted(
        repr(
            [row["snapshot_id"], row["at"], *(row[name] for name in same), sorted(row["scope_names"].split())]
        )
        for row in log
    )


def test_events_are_the_rows_of_changes_as_csv(recorded: Job) -> None:
    lines = recorded.quick("changes", "--csv").rows()
    found = query(
        recorded,
        """
        select run_at, kind, gateway, model, field, class, array_to_string(scopes, ' '),
               array_to_string(groups, ' '), since, away_seconds, severity, flapping, before_price,
               after_price, currency, unit
        from 'LAKE/events/*/*.parquet'
        """,
    )
    names = "at kind gateway model field class scopes groups since away_seconds severity flapping"
    texts = [tuple("" if value is None else str(plain(value)) for value in row) for row in found]
    assert {kind for _, kind, *_ in texts} >= {"added", "removed", "changed"}
    assert sorted(row[:12] for row in texts) == sorted(tuple(row[n] for n in names.split()) for row in lines)
    assert sorted(row[12:] for row in texts if row[15]) == sorted(
        (
            *("" if not row[n] else str(float(row[n])) for n in ("before_price", "after_price")),
            row["currency"],
            row["unit"],
        )
        for row in lines
        if row["unit"]
    )


def test_events_are_the_same_however_many_are_in_memory(
    recorded: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "MOST_SIGHTINGS", 1)
    monkeypatch.setattr(arrow, "BATCH_ROWS", 3)
    monkeypatch.setattr(shared, "BATCH_ROWS", 3)
    few = export(recorded, "few")
    for table in TABLES:
        one, other = (pl.read_parquet(recorded.home / name / table) for name in ("lake", "few"))
        assert one.equals(other), table
    assert parquet.read_metadata(few / "runs" / "month=2026-05" / "runs.parquet").num_row_groups == 2


@pytest.mark.parametrize("at", MOMENTS)
def test_catalog_at_a_moment_is_what_models_then_says(recorded: Job, at: str) -> None:
    facts = list(TABLES["catalog"].columns)[6:]
    found = query(recorded, f"select scope, model, {', '.join(facts)} {at_moment('catalog', at)}")
    expected = []
    for row in pipeline.home(recorded.home).models(at=at):
        for known in row["facts"]:
            values = [known.get(name) for name in facts]
            expected += [(scope, row["model"], *values) for scope in known["scopes"]]
    assert sorted(repr([*map(plain, row[:-2]), str(row[-2] or ""), row[-1]]) for row in found) == sorted(
        repr([*row[:-2], row[-2] or "", row[-1]]) for row in expected
    )


@pytest.mark.parametrize("at", [MOMENTS[1], MOMENTS[-1]])
def test_prices_at_a_moment_are_those_of_the_records_then(recorded: Job, at: str) -> None:
    found = query(
        recorded,
        f"""
        select scope, model, meter, unit, from_tokens, condition, currency, amount
        {at_moment("prices", at)} order by all
        """,
    )
    with Store.read(recorded.database) as store:
        expected = [
            (listing.scope, *row.values())
            for listing in scope_listings(store, Moment(at=at))
            if not listing.retired
            for row in store.rows(
                """
                select models.name, meter, unit, from_tokens, window, currency, amount
                from listing_records join record_prices using (record)
                join records on records.id = record join models on models.id = records.model
                where listing = :listing
                """,
                {"listing": listing.listing},
            )
        ]
    assert {row[4] for row in expected} == {0, 200_000}
    assert [(*row[:-1], float(row[-1])) for row in found] == sorted(expected)


def test_a_price_keeps_its_beginning_while_other_facts_change(recorded: Job) -> None:
    history = query(
        recorded,
        """
        select amount, valid_from, max(valid_until) from 'LAKE/prices/*/*.parquet'
        where scope = 'aihubmix/prod' and model = 'heron-2' and meter = 'input' and from_tokens = 0
        group by all order by valid_from
        """,
    )
    assert [(str(row[0].normalize()), *map(plain, row[1:])) for row in history] == [
        ("5", RUNS[0], RUNS[1]),
        ("2.5", RUNS[1], RUNS[6]),
        ("0.075", RUNS[6], None),
    ]


def test_coverage_at_the_end_of_a_run_is_the_state_of_each_scope(recorded: Job) -> None:
    with Store.read(recorded.database) as store:
        for run, at in enumerate(RUNS, start=1):
            found = query(recorded, f"select scope, state, reason {at_moment('coverage', at)} order by all")
            states = [
                (each.scope, each.state, each.error_class or each.hold)
                for each in coverage(store, until=run)
                if at < RUNS[-1] or each.scope != "aihubmix/trial"
            ]
            assert found == states, at


def test_no_file_has_a_secret_its_place_or_the_text_of_an_error(recorded: Job) -> None:
    with Store.read(recorded.database) as store:
        texts = [row["name"] for row in store.rows("select name from reasons")]
    assert texts
    for table in TABLES:
        found = repr(pl.read_parquet(recorded.home / "lake" / table).rows())
        assert not [each for each in ("sk-of-the-lake", "env:", "PROD", *texts) if each in found]


def test_a_new_release_makes_all_months_again(recorded: Job, tmp_path: Path) -> None:
    job = copied(recorded, tmp_path)
    lake = export(job)
    before = content(lake)
    manifest = json.loads(before["_modelwatch.json"])
    file = lake / "events" / "month=2026-05" / "events.parquet"
    old = file.read_bytes()[::-1]
    file.write_bytes(old)
    assert job.quick("export", "--parquet", str(lake)).output.endswith("nothing has changed\n")
    (lake / "_modelwatch.json").write_text(json.dumps(manifest | {"version": "0.0.1"}))
    assert job.quick("export", "--parquet", str(lake)).output.endswith("; 1 written\n")
    assert content(lake) == before


def test_both_readers_see_the_same_types(recorded: Job) -> None:
    frame = pl.scan_parquet(recorded.home / "lake" / "catalog").filter(pl.col("month") == "2026-05")
    schema = frame.collect_schema()
    assert schema["valid_from"] == pl.Datetime("us", "UTC")
    assert schema["input_usd_per_1m"] == pl.Decimal(38, 15)
    assert schema["features"] == pl.List(pl.String)
    assert schema["deprecated_at"] == pl.Date
    assert schema["month"] == pl.String
    found = frame.collect()
    assert len(found) == query(recorded, "select count(*) from 'LAKE/catalog/month=2026-05/*.parquet'")[0][0]


SCHEMAS = {
    "runs": "run int64; run_at time; finished_at time; status string; scopes int64; answered int64; "
    "moved int64; held int64; failed int64",
    "coverage": "scope string; gateway string; group_name string; auth string; state string; reason string; "
    "valid_from time; valid_until time",
    "catalog": "scope string; gateway string; group_name string; model string; valid_from time; "
    "valid_until time; owned_by string; created time; type string; context_length int64; max_output int64; "
    "input_usd_per_1m amount; output_usd_per_1m amount; cache_read_usd_per_1m amount; "
    "cache_write_usd_per_1m amount; usd_per_call amount; price_source string; input_modalities texts; "
    "output_modalities texts; features texts; endpoints texts; lifecycle string; deprecated_at date32[day]; "
    "aliases texts",
    "prices": "scope string; gateway string; group_name string; model string; meter string; unit string; "
    "from_tokens int64; condition string; currency string; amount amount; price_source string; "
    "valid_from time; valid_until time",
    "changes": "run int64; run_at time; kind string; gateway string; model string; field string; "
    "before string; after string; class string; flapping string; scopes texts",
    "events": "run int64; run_at time; kind string; gateway string; model string; field string; "
    "before string; after string; class string; scopes texts; groups texts; since time; away_seconds int64; "
    "severity string; flapping string; models texts; shape_of string; before_price amount; "
    "after_price amount; currency string; unit string",
}

TYPES = {
    "time": "timestamp[us, tz=UTC]",
    "amount": "decimal128(38, 15)",
    "texts": "list<element: string>",
}


def test_the_schemas_stay_as_they_are(recorded: Job) -> None:
    """Programs read these: a new column is appended, and no column is renamed or gets another type."""
    for table, columns in SCHEMAS.items():
        schema = parquet.read_schema(recorded.home / "lake" / table / "month=2026-08" / f"{table}.parquet")
        pairs = [column.split(" ") for column in columns.split("; ")]
        expected = [(name, TYPES.get(kind, kind)) for name, kind in pairs]
        assert [(field.name, str(field.type)) for field in schema] == expected, table
        assert schema.metadata is None
        with duckdb.connect() as connection:
            for name, _ in expected:
                # No keyword of SQL, which would need quotation marks.
                connection.sql(f'select {name} from (select 1 as "{name}") where {name} = 1 order by {name}')
    assert SCHEMAS.keys() == TABLES.keys()


def blocks(language: str) -> list[str]:
    """Return the blocks of a language on the page."""
    page = (ROOT / "pipeline" / "lake" / "README.md").read_text("utf-8")
    return re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL)


def test_the_questions_of_the_page_have_the_same_answers_in_duckdb_and_polars(
    recorded: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(recorded.home)
    assert len(blocks("sql")) == len(blocks("python")) == 5
    for sql, python in zip(blocks("sql"), blocks("python"), strict=True):
        *before, last = ast.parse(python).body
        names = {"pl": pl, "datetime": datetime, "UTC": UTC}
        exec(compile(ast.Module(before, []), "page", "exec"), names)
        assert isinstance(last, ast.Expr)
        frame = eval(compile(ast.Expression(last.value), "page", "eval"), names)
        found = query(recorded, sql)
        assert found, sql
        assert [tuple(map(plain, row)) for row in frame.rows()] == [tuple(map(plain, row)) for row in found]


def test_a_month_that_did_not_change_keeps_its_file_and_time(recorded: Job, tmp_path: Path) -> None:
    job = copied(recorded, tmp_path)
    lake = export(job)
    before = {path: identity(path) for path in lake.rglob("*.parquet")}
    done = job.quick("export", "--parquet", str(lake))
    assert re.fullmatch(r".*: 18 files, \d+ kB; nothing has changed\n", done.output)
    # The gateway is gone, so that the run fails.
    assert job.quick("run", at="2026-08-07T06:00:00Z").code == 4
    done = job.quick("export", "--parquet", str(lake))
    assert done.output.endswith("; 2 written\n")
    changed = {str(path.relative_to(lake)) for path, old in before.items() if identity(path) != old}
    assert changed == {f"{table}/month=2026-08/{table}.parquet" for table in ("runs", "coverage")}
    assert content(lake) == content(export(job, "again"))


def identity(path: Path) -> tuple[int, int]:
    return path.stat().st_ino, path.stat().st_mtime_ns


def copied(job: Job, place: Path) -> Job:
    """Return a home with the same config and database, without exports."""
    other = Job(place / "home", job.env)
    other.configure(job.config.read_text("utf-8"))
    shutil.copy(job.database, other.database)
    return other


@pytest.mark.parametrize(
    "words",
    [
        ("prune", "--keep", "1d"),
        ("rename", "aihubmix/prod", "aihubmix/main"),
        ("forget", "--yes", "aihubmix/trial"),
        ("rebuild",),
    ],
)
def test_a_changed_past_is_written_again(recorded: Job, tmp_path: Path, words: tuple[str, ...]) -> None:
    job = copied(recorded, tmp_path)
    assert job.quick("run", at="2026-08-20T06:00:00Z").code == 4
    lake = export(job)
    before = content(lake)
    if words == ("rebuild",):
        with sqlite3.connect(job.database) as database:
            database.execute("update records set type = 'image' where id = 1")
        assert content(export(job)) != before
    assert job.quick(*words, at="2026-08-20T06:00:00Z").code == 0
    after = content(export(job))
    assert after == content(export(job, "again"))
    assert (after == before) == (words == ("rebuild",))


def test_files_of_months_that_are_gone_are_removed_and_those_of_others_stay(tmp_path: Path) -> None:
    (scope, *_) = SCOPES
    with Store.open(None) as store:
        for number, day in enumerate((0, 40, 80, 120)):
            record_run(store, day, {scope: {f"lyra-{number}": {}}})
        made = write_dataset(store, tmp_path, Share.OWNER)
        assert made.months == ("2026-01", "2026-02", "2026-03", "2026-05")
        (tmp_path / "prices" / "month=2026-01" / "mine.parquet").write_bytes(b"of somebody else")
        prune(store, KNOWN, bound=moment_of(119))
        done = write_dataset(store, tmp_path, Share.OWNER)
    assert done.months == ("2026-02", "2026-03", "2026-05")
    assert {name.split("/")[1] for name in done.removed} == {"month=2026-01"}
    names = {f"{table}/month={month}/{table}.parquet" for table in TABLES for month in done.months}
    assert content(tmp_path).keys() == {*names, "_modelwatch.json", "prices/month=2026-01/mine.parquet"}
    assert list(tmp_path.glob("*/month=2026-01")) == [tmp_path / "prices" / "month=2026-01"]


def test_a_lost_file_is_written_again(recorded: Job, tmp_path: Path) -> None:
    job = copied(recorded, tmp_path)
    lake = export(job)
    before = content(lake)
    (lake / "events" / "month=2026-05" / "events.parquet").unlink()
    (lake / "runs" / "month=2026-06" / "runs.parquet").write_bytes(b"PAR1")
    assert job.quick("export", "--parquet", str(lake)).output.endswith("; 2 written\n")
    assert content(lake) == before


def test_an_export_that_is_cut_off_leaves_whole_files_and_is_made_good_by_the_next(
    recorded: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = copied(recorded, tmp_path)
    lake = export(job)
    before = content(lake)
    assert job.quick("rename", "aihubmix/prod", "aihubmix/main").code == 0
    whole = content(export(job, "again"))
    put = dataset.replace_file

    def full(draft: Path, target: Path) -> None:
        if target.parts[-3] == "prices":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target))
        put(draft, target)

    monkeypatch.setattr(dataset, "replace_file", full)
    one_line(job.quick("export", "--parquet", str(lake)), 74, "the disk is full")
    monkeypatch.undo()
    found = content(lake)
    assert found.keys() == before.keys()
    for name in found.keys() - {"_modelwatch.json"}:
        assert found[name] in (before[name], whole[name])
    assert content(export(job)) == whole


def test_other_directories_are_refused(recorded: Job, tmp_path: Path) -> None:
    job = copied(recorded, tmp_path)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes").write_text("mine")
    refused = job.quick("export", "--parquet", str(tmp_path / "mine"))
    one_line(refused, 74, "has notes, which no export wrote: name another directory")
    one_line(
        job.quick("export", "--parquet", str(tmp_path / "mine" / "notes")), 74, "is a file: name a directory"
    )
    lake = export(job)
    with lock_directory(lake):
        one_line(job.quick("export", "--parquet", str(lake)), 75, "another process writes there")
    (lake / "_modelwatch.json").write_text("{")
    one_line(job.quick("export", "--parquet", str(lake)), 74, "is damaged: remove the directory")


@pytest.mark.parametrize(
    "manifest",
    [
        {"newest": {}, "digest": "", "files": {"../mine": 5}},
        {"newest": {}, "digest": "", "files": {"runs/month=2026-05/../../../mine": 5}},
        {"newest": {}, "digest": "x", "files": {}},
        {"newest": 5, "digest": "x", "files": {}},
        {"newest": {}, "digest": "", "files": {"a\0": 5}},
        [],
    ],
)
def test_a_manifest_that_no_export_wrote_is_refused_and_no_other_file_removed(
    recorded: Job, tmp_path: Path, manifest: object
) -> None:
    lake = tmp_path / "lake"
    lake.mkdir()
    (lake / "_modelwatch.json").write_text(json.dumps(manifest))
    (tmp_path / "mine").write_text("mine")
    one_line(recorded.quick("export", "--parquet", str(lake)), 74, "is damaged: remove the directory")
    assert (tmp_path / "mine").exists()


def test_new_files_are_the_owners_or_as_share_says(recorded: Job, tmp_path: Path) -> None:
    job = copied(recorded, tmp_path)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in export(job).rglob("*") if path.is_file()}
    assert modes == {0o600}
    job.configure('share = "all"\n' + job.config.read_text("utf-8"))
    modes = {stat.S_IMODE(path.stat().st_mode) for path in export(job, "shared").rglob("*")}
    assert modes == {0o644, 0o755}


def test_a_program_without_pyarrow_says_how_to_add_it(recorded: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset, "find_spec", lambda _: None)
    done = recorded.quick("export", "--parquet", str(recorded.home / "none"))
    one_line(done, 69, "pyarrow is not installed: run `")
    assert not (recorded.home / "none").exists()


def test_the_largest_and_the_least_price_are_exported_as_they_are(tmp_path: Path) -> None:
    job = Job(tmp_path / "home")
    with Gateway() as gateway:
        gateway.offers("vega", cost={"in": 2**53 - 1, "out": "0.000000000000001"})
        job.asks(gateway.url, scopes={"public": ""})
        prices = 'prices = { unit = "1m", currency = "CNY", input = "cost.in", output = "cost.out" }\nbackoff'
        job.configure(job.config.read_text("utf-8").replace("backoff", prices))
        assert job.quick("run", at=RUNS[0]).code == 0
    export(job)
    found = query(job, "select amount from 'LAKE/prices/*/*.parquet' order by amount")
    assert found == [(Decimal("1e-15"),), (Decimal(2**53 - 1),)]


def test_a_history_without_a_run_has_no_files(tmp_path: Path) -> None:
    Store.open(tmp_path / "home" / "modelwatch.db").close()
    done = Job(tmp_path / "home").quick("export", "--parquet", str(tmp_path / "lake"))
    assert done == Done(0, f"{tmp_path}/lake: there is no run yet\n", "")


@settings(max_examples=amount(6, 200))
@given(histories)
def test_each_export_of_a_random_history_is_that_of_the_whole(history: list[Run]) -> None:
    """And what it says of each moment is what the database says."""
    days = days_of(history)
    with TemporaryDirectory() as place, Store.open(None) as store:
        for number, day in enumerate(days):
            record_all(store, history[number : number + 1], [day])
            write_dataset(store, Path(place, "each"), Share.OWNER)
        write_dataset(store, Path(place, "once"), Share.OWNER)
        assert content(Path(place, "each")) == content(Path(place, "once"))
        assert_catalog(store, Path(place, "once"), {*days, *(day + 1 for day in days[:-1])} & seen(days))


def seen(days: Iterable[int]) -> set[int]:
    """Return the days of the months in which something ran."""
    months = {moment_of(day)[:7] for day in days}
    return {day for day in range(max(days) + 2) if moment_of(day)[:7] in months}


@pytest.mark.parametrize("early", [Unreachable("reset"), {"γ": {}}])
def test_a_run_whose_clock_was_wrong_holds_as_the_database_has_it(tmp_path: Path, early: Any) -> None:
    (scope, *_) = SCOPES
    answers = [{"lyra": {}}, {"vega": {}}, early, {"lyra": {}}]
    days = [0, 40, 20, 60]
    with Store.open(None) as store:
        for day, answer in zip(days, answers, strict=True):
            record_run(store, day, {scope: answer})
            write_dataset(store, tmp_path / "each", Share.OWNER)
        write_dataset(store, tmp_path / "once", Share.OWNER)
        assert content(tmp_path / "each") == content(tmp_path / "once")
        assert_catalog(store, tmp_path / "once", seen(days))


def assert_catalog(store: Store, lake: Path, days: Iterable[int]) -> None:
    """Compare what the catalog has at some moments with the database."""
    catalog = pl.scan_parquet(lake / "catalog").collect()
    for day in days:
        moment = datetime.fromisoformat(moment_of(day))
        held = (pl.col("valid_until") > moment) | pl.col("valid_until").is_null()
        found = catalog.filter(pl.col("month") == moment_of(day)[:7], pl.col("valid_from") <= moment, held)
        assert sorted(found.select("scope", "model").rows()) == offered_then(store, moment_of(day)), day


def offered_then(store: Store, moment: str) -> list[tuple[str, str]]:
    """Return what scopes offered at a moment."""
    return sorted(
        (each.scope, row["name"])
        for each in scope_listings(store, Moment(at=moment))
        if not each.retired
        for row in store.rows(
            """
            select models.name from listing_records join records on records.id = record
            join models on models.id = records.model where listing = :listing
            """,
            {"listing": each.listing},
        )
    )
