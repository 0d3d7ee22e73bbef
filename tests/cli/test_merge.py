"""The command `merge`: what it prints, which files it refuses, and what it leaves untouched."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from support import releases
from support.e2e import Job, one_line
from support.fakes import Script

from pipeline.store import Store, database

NOW = "2026-09-20T10:00:00Z"


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(tmp_path / "home")


@pytest.fixture
def tokyo(tmp_path: Path) -> Script:
    """A site with a run at 06:00 and one at 07:00, still open."""
    script = Script(Store.open(tmp_path / "tokyo.db")).offers("acme/one", "lyra", "vega")
    script.run(times=2)
    return script


def merge(job: Job, script: Script, *words: str, site: str = "tokyo") -> str:
    done = job.quick("merge", str(script.store.path), "--site", site, *words, at=NOW)
    assert done.code == 0, done
    return done.stdout


def test_it_prints_what_joined_and_a_second_one_writes_nothing(job: Job, tokyo: Script) -> None:
    tokyo.store.checkpoint()
    theirs = tokyo.store.path.read_bytes()
    line = "2 runs of tokyo from 2026-09-20 06:00 to 2026-09-20 07:00: 1 scope, 1 of them new, 0 moves\n"
    assert merge(job, tokyo) == line
    before = job.database.read_bytes()
    assert merge(job, tokyo) == "nothing new of tokyo: 1 scope, as merged before\n"
    assert json.loads(merge(job, tokyo, "--json")) == {
        "site": "tokyo",
        "runs": 0,
        "since": None,
        "until": None,
        "scopes": 1,
        "new_scopes": 0,
        "sightings": 0,
        "moved": 0,
        "forgotten": [],
        "other_sites": [],
    }
    assert job.database.read_bytes() == before
    assert tokyo.store.path.read_bytes() == theirs
    assert sorted(path.name for path in job.home.iterdir()) == [
        ".modelwatch.db.history",
        "modelwatch.db",
        "modelwatch.db.lock",
    ]
    assert job.quick("verify").code == 0


def test_status_and_scopes_show_the_sites_with_the_age_of_their_newest_run(job: Job, tokyo: Script) -> None:
    merge(job, tokyo)
    tokyo.fails("acme/one").run()
    merge(job, tokyo, site="berlin")
    failing = (
        "berlin:acme/one: failing since 2026-09-20 08:00 (last answered 2026-09-20 07:00): the connection was"
        " reset. Every run tries again. If this lasts, check url in the config, and that this machine can"
        " reach it."
    )
    shown = (
        "the job has not run here; what was merged or imported ends at 2026-09-20 08:00 UTC",
        "site berlin: 1 scope, merged until 2026-09-20 08:00 UTC, 2 h ago",
        "site tokyo: 1 scope, merged until 2026-09-20 07:00 UTC, 3 h ago",
        failing,
        "1 of 2 scopes is healthy",
    )
    assert tuple(job.quick("status", at=NOW).stdout.splitlines()) == shown
    sites = [
        {"name": "berlin", "scopes": 1, "last_run": "2026-09-20T08:00:00Z"},
        {"name": "tokyo", "scopes": 1, "last_run": "2026-09-20T07:00:00Z"},
    ]
    assert job.quick("status", "--json", at=NOW).json()["sites"] == sites
    assert job.quick("scopes", at=NOW).stdout.splitlines()[-2:] == [
        "site berlin: 1 scope, merged until 2026-09-20 08:00 UTC, 2 h ago",
        "site tokyo: 1 scope, merged until 2026-09-20 07:00 UTC, 3 h ago",
    ]
    assert (
        job.quick("models", "--scope", "tokyo:acme/*", "--csv", at=NOW).rows()[0]["scopes"]
        == "tokyo:acme/one"
    )


def test_what_joins_is_reported_only_if_asked_for(job: Job, tokyo: Script) -> None:
    job.asks("http://127.0.0.1:9/v1")
    merge(job, tokyo)
    assert job.written() == {}
    tokyo.drops("acme/one", "vega").run(times=3)
    merge(job, tokyo)
    assert job.written() == {}
    tokyo.adds("acme/one", "vega").run()
    merge(job, tokyo, "--report")
    (row,) = job.latest_rows()
    assert (row["kind"], row["model"], row["scopes"]) == ("returned", "vega", "tokyo:acme/one")
    written = job.written()
    assert job.quick("send", at=NOW).code == 0
    assert job.written() == written
    assert "vega" in job.quick("changes", "--since", "2026-09-20T08:30:00Z", at=NOW).stdout


def test_a_home_that_only_merges_has_destinations_and_no_gateway(job: Job, tokyo: Script) -> None:
    job.config.parent.mkdir(exist_ok=True)
    job.config.write_text(
        '[destinations.asia]\ntype = "files"\ndirectory = "out"\nforms = ["md"]\nscopes = ["tokyo:*"]\n'
        '[watch]\nmodels = ["vega"]\nscopes = ["tokyo:*"]\n'
    )
    merge(job, tokyo)
    tokyo.drops("acme/one", "vega").run(times=3)
    merge(job, tokyo, "--report")
    assert "vega" in (job.home / "out" / "latest.md").read_text()
    assert job.quick("check", at=NOW).code == 0
    for command in ("run", "sync"):
        done = job.quick(command, at=NOW)
        assert (done.code, "has no gateway: add [gateways.NAME]" in done.stderr) == (78, True)


def test_filters_may_name_sites_beside_gateways_of_this_config(job: Job, tokyo: Script) -> None:
    job.asks("http://127.0.0.1:9/v1")
    with job.config.open("a") as config:
        config.write('[watch]\nmodels = ["vega"]\nscopes = ["tokyo:acme/*"]\n')
    merge(job, tokyo)
    assert job.quick("watch", at=NOW).stdout.startswith("  vega  OK, offered to tokyo:acme/one\n")


def test_a_database_in_use_is_merged_as_of_its_last_commit(job: Job, tokyo: Script) -> None:
    with tokyo.store.transaction():
        tokyo.store.connection.execute("delete from missing")
        tokyo.store.connection.execute("update scopes set asked = 0")
        assert "2 runs of tokyo" in merge(job, tokyo)
    assert merge(job, tokyo) == "nothing new of tokyo: 1 scope, as merged before\n"


def test_a_locked_database_is_refused(job: Job, tokyo: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BUSY_TIMEOUT_MS", 0)
    path = tokyo.store.path
    tokyo.store.close()
    with closing(sqlite3.connect(path)) as other:
        other.execute("pragma journal_mode = delete")
        other.execute("begin exclusive")
        done = job.quick("merge", str(path), "--site", "tokyo")
    one_line(done, 74, "another program kept it locked")
    assert not job.database.exists()


def test_a_database_in_a_directory_that_cannot_be_written_is_merged(
    job: Job, tokyo: Script, tmp_path: Path
) -> None:
    tokyo.store.close()
    place = tmp_path / "shared"
    place.mkdir()
    file = place / "tokyo.db"
    file.write_bytes(tokyo.store.path.read_bytes())
    file.chmod(0o444)
    place.chmod(0o555)
    assert job.quick("merge", str(file), "--site", "tokyo").code == 0
    assert [path.name for path in place.iterdir()] == ["tokyo.db"]


def test_an_older_database_is_migrated_in_a_copy(job: Job, tmp_path: Path) -> None:
    old = releases.create("mutes", tmp_path / "old.db")
    before = old.read_bytes()
    done = job.quick("merge", str(old), "--site", "tokyo")
    assert done.stdout.startswith("3 runs of tokyo"), done
    assert old.read_bytes() == before
    assert job.quick("verify").code == 0


def test_a_database_of_an_older_release_is_migrated_when_another_joins(
    job: Job, tokyo: Script, tmp_path: Path
) -> None:
    job.home.mkdir()
    releases.create("mutes", job.database)
    assert "2 runs of tokyo" in merge(job, tokyo)
    assert job.quick("verify").code == 0


def _newer(path: Path) -> None:
    with closing(sqlite3.connect(path)) as raw, raw:
        raw.execute("insert into _sqlite_migrations values (99, 'modelwatch', 'tomorrow', '2027-01-01')")


def _flipped(path: Path) -> None:
    with closing(sqlite3.connect(path)) as raw, raw:
        raw.execute("update records set body = replace(body, 'lyra', 'lyrb') where name like 'lyra%'")


def _torn(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5000])


def _foreign(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as raw, raw:
        raw.execute("create table t (x)")


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (_newer, "was written by a newer modelwatch (it has tomorrow): upgrade this one"),
        (_flipped, "the history itself is damaged, first in records"),
        (_torn, "restore it from a backup"),
        (_foreign, "is another program's database: name another file"),
        (lambda path: path.write_bytes(b"no database, but a text of some length" * 99), "is not an SQLite"),
        (lambda path: path.write_bytes(b""), "is empty"),
        (Path.unlink, "does not exist: name the database of a site"),
    ],
    ids=["newer", "flipped", "torn", "foreign", "text", "empty", "missing"],
)
def test_what_is_no_sound_database_of_ours_is_refused(
    job: Job, tokyo: Script, spoil: object, problem: str
) -> None:
    tokyo.store.close()
    path = tokyo.store.path
    assert callable(spoil)
    spoil(path)
    before = path.read_bytes() if path.exists() else None
    line = one_line(job.quick("merge", str(path), "--site", "tokyo"), 74, str(path), problem)
    assert ".draft" not in line
    assert (path.read_bytes() if path.exists() else None) == before
    if job.database.exists():
        with Store.read(job.database) as store:
            assert store.rows("select * from sites") == []


def test_the_database_itself_and_odd_names_of_sites_are_refused(job: Job, tokyo: Script) -> None:
    merge(job, tokyo)
    one_line(job.quick("merge", str(job.database), "--site", "own"), 74, "is the database itself")
    refused = job.quick("merge", str(tokyo.store.path), "--site", "a:b")
    assert (refused.code, "not a valid name of a site" in refused.stderr) == (2, True)


def test_five_collectors_and_their_copies_work_as_one_history(job: Job, tmp_path: Path) -> None:
    """Backup, publish, prune and rename, too."""
    for number in range(5):
        with Store.open(tmp_path / f"s{number}.db") as store:
            script = Script(store).offers(f"acme/k{number}", "lyra", "vega")
            script.run(times=2)
            script.drops(f"acme/k{number}", "vega").run(times=2)
            merge(job, script, site=f"s{number}")
    (same,) = job.quick("same", "--json").json()
    assert same["scopes"] == [f"s{number}:acme/k{number}" for number in range(5)]
    with Store.open(tmp_path / "s0.db") as store:
        script = Script(store, runs=4).offers("acme/k0", "lyra", "γ")
        script.run()
        merge(job, script, site="s0")
    lines = [line.split() for line in job.quick("matrix").stdout.splitlines()[-2:]]
    assert lines == [["model", "s0:k0", "s1:k1", "+3"], ["γ", "yes", "-"]]
    assert job.quick("backup", str(tmp_path / "copy.db")).code == 0
    assert job.quick("publish", str(tmp_path / "public")).code == 0
    with Store.read(tmp_path / "public" / "modelwatch.db") as store:
        assert len(store.rows("select name from sites")) == 5
    assert job.quick("prune", "--keep", "1d", at=datetime(2026, 9, 25, tzinfo=UTC).isoformat()).code == 0
    assert job.quick("rename", "s0:acme/k0", "s0:acme/main").code == 0
    assert job.quick("forget", "s1:*", "--yes").code == 0
    assert job.quick("verify").code == 0
