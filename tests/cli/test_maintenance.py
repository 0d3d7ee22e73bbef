"""The commands that take care of the database, as their users run them."""

from __future__ import annotations

import sqlite3
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import ROOT
from support.e2e import Job, Reply, Scripted, listed, one_line

OFFERED = {"now": listed("lyra", "vega")}
SCOPES = {"prod": 'key = "env:A"', "test": 'key = "env:B"'}


@pytest.fixture
def gateway() -> Iterator[Scripted]:
    OFFERED["now"] = listed("lyra", "vega")
    with Scripted(lambda _question: Reply(OFFERED["now"])) as server:
        yield server


@pytest.fixture
def job(tmp_path: Path, gateway: Scripted) -> Job:
    made = Job(tmp_path / "home", env={"A": "one", "B": "two"})
    made.asks(gateway.url, scopes=SCOPES)
    assert made.quick("run").code == 0
    OFFERED["now"] = listed("lyra", "vega", "γ", owned_by="acme")
    assert made.quick("run").code == 0
    return made


def change(job: Job, statement: str) -> None:
    with sqlite3.connect(job.database) as raw:
        raw.execute(statement)
    raw.close()


def test_a_database_that_is_well(job: Job) -> None:
    """Each check is a line with what it counted; nothing is written, and JSON says the same."""
    before = job.database.read_bytes()
    done = job.run("verify")
    assert (done.code, done.stderr) == (0, "")
    assert "2 scopes: each points at what its sightings lead to\n" in done.stdout
    assert "5 records: digests agree\n" in done.stdout
    found = job.quick("verify", "--json").json()
    assert [check["problems"] for check in found] == [[]] * len(done.stdout.splitlines())
    assert job.database.read_bytes() == before


def test_one_thing_is_named_in_the_singular(job: Job) -> None:
    """A check that looked at one thing says so in English."""
    change(job, "delete from deliveries where id > 1")
    said = job.run("verify").stdout
    assert "1 delivery: " in said
    assert "1 coverage: " in said
    assert "0 removals to be confirmed: " in said


def test_damage_is_told_and_rebuilt(job: Job) -> None:
    """`verify` leaves with 74 and says what to run; that puts it right, once."""
    change(job, "delete from field_changes")
    change(job, "update records set owned_by = 'x' where id = 1")
    done = job.run("verify")
    assert done.code == 74
    assert "  records 1: its facts are not those that are parsed today: modelwatch rebuild\n" in done.stdout
    assert done.stdout.endswith("what to do: modelwatch rebuild\n")
    assert job.run("rebuild").stdout == "corrected: 2 field changes, 1 records' facts\n"
    assert job.run("verify").code == 0
    assert job.run("rebuild").stdout == "all was as it should be\n"
    assert job.quick("rebuild", "--json").json()["corrected"]["changes"] == 0


def test_a_damaged_history_is_not_rebuilt(job: Job) -> None:
    """One line says what is damaged and to restore it; `verify` says so too."""
    change(job, "update records set body = '{}' where id = 1")
    assert "restore a backup" in job.run("verify").stdout
    one_line(job.quick("rebuild"), 74, "records 1", "restore it from a backup")


def test_facts_that_the_config_names_later(job: Job, gateway: Scripted) -> None:
    """After a new `facts` line `verify` says what to run, and `rebuild` fills them in."""
    text = job.config.read_text("utf-8")
    job.configure(text + 'facts = {type = "object"}\n')
    assert job.quick("verify").code == 74
    assert job.quick("rebuild").stdout == "corrected: 5 records' facts\n"
    assert job.quick("verify").code == 0


def test_without_a_database(tmp_path: Path) -> None:
    """Each command says how one is made."""
    job = Job(tmp_path)
    for command in (
        ("verify",),
        ("rebuild",),
        ("prune", "--keep", "1d"),
        ("backup", str(tmp_path / "x")),
        ("forget", "a/b"),
        ("rename", "a/b", "a/c"),
    ):
        one_line(job.quick(*command), 74, "no database yet", "modelwatch run")
    assert not list(tmp_path.iterdir())


def test_prune_drops_and_says_how_much(job: Job) -> None:
    """A rehearsal writes nothing; then the old runs are gone, the file is smaller, and all is well."""
    with sqlite3.connect(job.database) as raw:
        raw.execute("update snapshots set started_at = '2020-01-01T00:00:00Z' where id = 1")
        raw.execute("update deliveries set state = 'sent'")
    raw.close()
    for _ in range(3):
        job.quick("run")
    change(job, "update snapshots set started_at = '2020-01-02T00:00:00Z' where id < 5")
    before = job.database.read_bytes()
    rehearsed = job.run("prune", "--keep", "365d", "--dry-run")
    assert rehearsed.stdout.startswith("would drop: ")
    assert job.database.read_bytes() == before
    done = job.run("prune", "--keep", "365d")
    assert done.stdout.splitlines()[0] == rehearsed.stdout.strip().replace("would drop", "dropped")
    assert "MB before, " in done.stdout
    assert job.run("verify").code == 0
    assert job.run("prune", "--keep", "365d").stdout.startswith("nothing is older than ")
    assert job.quick("prune", "--keep", "1y", "--json").json()["dropped"] == {}


@pytest.mark.parametrize("keep", ["365", "0d", "x", "-1d"])
def test_an_age_that_is_none(job: Job, keep: str) -> None:
    """Wrong usage says what to write."""
    done = job.quick("prune", f"--keep={keep}")
    assert (done.code, "write 365d" in done.stderr) == (2, True)


def test_readers_are_not_disturbed(job: Job) -> None:
    """Who has the file open while it is compacted goes on reading what was there."""
    reader = sqlite3.connect(job.database)
    reader.execute("begin")
    before = reader.execute("select count(*) from snapshots").fetchall()
    assert job.run("prune", "--keep", "365d").code == 0
    assert reader.execute("select count(*) from snapshots").fetchall() == before
    reader.close()


def test_a_backup_is_a_database(job: Job, tmp_path: Path) -> None:
    """It is whole, checked and as private as its original; it is not written over without being told."""
    job.database.chmod(0o600)
    copy = tmp_path / "copy.db"
    done = job.run("backup", str(copy))
    assert (done.code, done.stderr) == (0, "")
    assert copy.stat().st_mode & 0o777 == 0o600
    other = Job(tmp_path / "other")
    other.home.mkdir()
    copy.replace(other.database)
    assert other.quick("verify").code == 0
    assert other.quick("scopes", "--json").json() == job.quick("scopes", "--json").json()
    one_line(job.quick("backup", str(other.database)), 74, "exists already", "--force")
    assert job.quick("backup", "--force", str(other.database)).code == 0
    one_line(job.quick("backup", "--force", str(job.database)), 74, "is the database itself")
    one_line(job.quick("backup", str(tmp_path)), 74, "is a directory")
    one_line(job.quick("backup", str(tmp_path / "no" / "x")), 74, "no directory")


def test_a_backup_while_others_write(job: Job, tmp_path: Path) -> None:
    """The copy is of one moment, though rows come in all the time."""
    stop = threading.Event()

    def write() -> None:
        with sqlite3.connect(job.database, isolation_level=None) as raw:
            while not stop.is_set():
                raw.execute("begin immediate")
                raw.execute("update scopes set etag = 'x'")
                raw.execute("insert into models (name, gateway) values (hex(randomblob(20)), 1)")
                raw.execute("commit")
        raw.close()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert job.run("backup", str(tmp_path / "copy.db")).code == 0
    finally:
        stop.set()
        writer.join()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a way to limit the size of files")
def test_a_disk_that_is_full_leaves_nothing(job: Job, tmp_path: Path) -> None:
    """A copy that cannot be finished is taken away again, in one line."""
    target = tmp_path / "small"
    target.mkdir()
    before = sorted(tmp_path.iterdir())
    limited = "import resource,signal,runpy,sys;signal.signal(signal.SIGXFSZ,signal.SIG_IGN);"
    limited += "resource.setrlimit(resource.RLIMIT_FSIZE,(40960,40960));"
    limited += "sys.argv=sys.argv[1:];runpy.run_module('pipeline',run_name='__main__')"
    job.env["PYTHONPATH"] = str(ROOT)
    command = job.command("backup", str(target / "copy.db"))
    started = [command[0], "-c", limited, "modelwatch", *command[3:]]
    done = subprocess.run(started, env=job.environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 74, done
    assert done.stderr.count("\n") == 1
    assert list(target.iterdir()) == []
    assert sorted(tmp_path.iterdir()) == before


def test_forget_asks_first(job: Job) -> None:
    """Off a terminal nobody can be asked, so it must be said; then the scope is gone and the rest well."""
    done = job.run("forget", "local/te*")
    assert (done.code, done.stdout) == (2, "to forget, with all their history: local/test\n")
    assert "--yes" in done.stderr
    done = job.run("forget", "local/test", "--yes")
    assert done.code == 0
    assert "still in the config, so the next run begins anew with: local/test" in done.stdout
    assert [scope["scope"] for scope in job.quick("scopes", "--json").json()] == ["local/prod"]
    assert job.quick("verify").code == 0
    assert job.quick("forget", "no/such", "--yes").code == 2


def test_a_key_is_rotated(job: Job, gateway: Scripted) -> None:
    """The config has the new name; the history goes on under it, and nothing is told."""
    job.configure(job.config.read_text("utf-8").replace("scopes.prod", "scopes.fresh"))
    assert job.run("rename", "local/prod", "local/fresh").stdout == "local/prod is local/fresh now\n"
    done = job.quick("run", "--exit-code")
    assert (done.code, done.said) == (0, "")
    assert {scope["state"] for scope in job.quick("scopes", "--json").json()} == {"ok"}
    assert job.quick("verify").code == 0


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("local/prod", "local/test", "is known already"),
        ("local/prod", "other/prod", "modelwatch rename local other"),
        ("local/prod", "other", "two gateways"),
        ("local/no", "local/x", "is not known"),
        ("local", "local/x", "two gateways"),
        ("local/prod", "local/a b", "is no name"),
    ],
)
def test_names_that_cannot_be_given(job: Job, old: str, new: str, says: str) -> None:
    """Each is refused with what to do instead, and nothing is renamed."""
    done = job.quick("rename", old, new)
    assert (done.code, says in done.stderr) == (2, True)
    assert [s["scope"] for s in job.quick("scopes", "--json").json()] == ["local/prod", "local/test"]


def test_a_gateway_is_renamed(job: Job) -> None:
    """All its scopes go with it; where the config has the old name, that is said."""
    done = job.quick("rename", "local", "hub")
    assert done.stdout.startswith("local/prod is hub/prod now\nlocal/test is hub/test now\n")
    assert "the config still has local/prod" in done.stdout
    assert job.quick("verify").code == 0


def test_care_waits_for_no_run(job: Job) -> None:
    """While another holds the lock, what writes leaves with 75; what reads works."""
    import fcntl

    with (job.home / "modelwatch.db.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        for command in (("rebuild",), ("prune", "--keep", "1d"), ("rename", "local/prod", "local/x")):
            assert job.quick(*command).code == 75
        assert job.quick("verify").code == 0
        assert job.quick("backup", str(job.home / "copy.db")).code == 0
