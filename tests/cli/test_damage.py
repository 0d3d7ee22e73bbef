"""A damaged database: each command says so in one line, and `verify` finds it."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.damage import AT, COMMANDS, commands_in, recorded
from support.e2e import Job, one_line

from pipeline.api import home
from pipeline.errors import StoreError


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Job]:
    """A home with five runs, whose gateway goes on."""
    with recorded(tmp_path_factory.mktemp("original")) as job:
        yield job


@pytest.fixture
def job(original: Job, tmp_path: Path) -> Job:
    shutil.copytree(original.home, tmp_path / "home")
    return Job(tmp_path / "home", original.env)


def edit(job: Job, statement: str) -> None:
    raw = sqlite3.connect(job.database, isolation_level=None)
    raw.execute(statement)
    raw.execute("pragma wal_checkpoint(truncate)")
    raw.close()


EDITS = [
    "update listings set reading = '{' where id = 7",
    "update listings set reading = '[1]'",
    "update listings set reading = replace(reading, 'new-api', 'nev-api') where id = 1",
    "update listings set reading = cast(x'7b22ff' as text) where id = 8",
    "update snapshots set started_at = 'junk', name = 'junk' where id = 5",
    "update snapshots set started_at = '2026-05-05T06:00:00', name = started_at where id = 5",
    "update snapshots set started_at = '2027-05-05T06:00:00Z' where id = 2",
    "update snapshots set finished_at = '' where id = 5",
    "update missing set counted_at = 'x'",
    "update destinations set reported_at = 'x'",
    "update destinations set token = null where name = 'mail'",
    "update deliveries set due_at = 'x', state = 'waiting', sent_at = null where id = 3",
    "update deliveries set leased_until = 'x', state = 'waiting', sent_at = null where id = 3",
    "update records set body = '{' where id = 1",
    "update records set body = cast(x'7bff7d' as text) where id = 4",
    "update records set deprecated_at = '2026-13-01'",
    "update records set features = '{', aliases = 'x', input_modalities = '[1'",
    "update record_prices set unit = 'x', window = ''",
    "update scopes set fingerprint = 'zz'",
    "update scopes set etag = char(10) || 'x: y'",
    "update scopes set name = 'noslash' where id = 1",
    "update sightings set outcome = 'held', error_class = 'x' where id = 3",
    "update sightings set since = 99",
    "update models set name = cast(x'ff' as text) where id = 1",
    "update listings set warnings = '{'",
    "delete from records where id = 4",
    "delete from snapshots where id = 5",
    "update models_fts_data set block = x'ffff'",
    "delete from models_fts_data",
    "drop index sightings_scope",
    "drop trigger records_found",
    "create trigger more after insert on models begin select 1; end",
    "drop view offers",
    "drop view model_words",
    "drop table regains",
    "drop table models_fts",
    "alter table scopes rename column etag to tag",
    "alter table records add column x text",
    "insert into flaps values (1, 'x', 1, 1, 'f', 'a', 'b', 'x', 1, 'x', 1, 'x', 3, '[', 0, null)",
    "insert into departures values (1, 'x', 1, 1, 1, 'junk', 1)",
]


@pytest.mark.parametrize("statement", EDITS)
def test_verify_finds_a_damaged_value_and_no_command_ends_in_a_traceback(job: Job, statement: str) -> None:
    edit(job, statement)
    assert job.quick("verify", at=AT).code == 74
    for command, done in commands_in(job):
        assert "unexpected" not in done.output, command
        assert "Traceback" not in done.output, command
        assert done.code in {0, 3, 4, 5, 74}, command
        if done.code == 74 and command != ("verify",):
            assert done.stderr.count(f"modelwatch: {job.home}/") == 1, command


@pytest.mark.parametrize(
    "statement",
    [
        "drop index sightings_scope",
        "drop trigger records_found",
        "create trigger more after insert on models begin select 1; end",
        "drop view offers",
        "drop view model_words",
        "update models_fts_data set block = x'ffff'",
        "delete from models_fts_data",
        "drop table models_fts",
    ],
)
def test_rebuild_makes_what_does_not_hold_the_history_anew(job: Job, statement: str) -> None:
    edit(job, statement)
    assert "modelwatch rebuild" in job.quick("verify").stdout.splitlines()[-1]
    done = job.quick("rebuild")
    assert (done.code, done.stdout.partition(":")[0]) == (0, "corrected")
    assert job.quick("verify").code == 0


def test_the_message_names_table_and_row(job: Job) -> None:
    edit(job, "update destinations set reported_at = 'x' where name = 'mail'")
    done = job.quick("send", at=AT)
    one_line(
        done, 74, "destinations 2", "its reported_at is no time", "restore a backup", "modelwatch verify"
    )


def test_a_run_does_not_build_on_a_record_that_does_not_parse(job: Job, original: Job) -> None:
    edit(job, "update records set body = replace(body, '}', ']') where name like 'lumen%'")
    before = sqlite3.connect(job.database).execute("select count(*) from snapshots").fetchall()
    done = job.quick("run", at=AT)
    assert (done.code, done.stderr.count("records 2")) == (74, 1), done
    assert sqlite3.connect(job.database).execute("select count(*) from snapshots").fetchall() == before


@pytest.mark.parametrize(
    "command", [("show", "lumen-3", "--json"), ("models", "--json"), ("deprecations",), ("models",)]
)
def test_a_body_that_was_changed_is_not_printed(job: Job, command: tuple[str, ...]) -> None:
    edit(job, "update records set body = replace(body, 'lumen', 'lumem') where name like 'lumen%'")
    one_line(job.quick(*command, at=AT), 74, "records 2", "its digest is not that of its body")


def test_a_fault_of_the_program_stays_one_where_the_database_is_sound(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise KeyError("x")

    monkeypatch.setattr("pipeline.api.find_status", fails)
    one_line(job.quick("status"), 70, "unexpected KeyError")
    with pytest.raises(KeyError):
        home(job.home).status()
    edit(job, "update destinations set reported_at = 'x'")
    one_line(job.quick("status"), 74, "destinations 1")
    with pytest.raises(StoreError, match="destinations 1"):
        home(job.home).status()


def test_each_command_is_among_those_that_are_tried() -> None:
    assert {"run", "verify", "rebuild", "publish"} <= {command[0] for command in COMMANDS}
