"""The commands that maintain the database, run as users run them."""

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


def test_verify_prints_a_line_for_each_check_and_writes_nothing(job: Job) -> None:
    before = job.database.read_bytes()
    done = job.run("verify")
    assert (done.code, done.stderr) == (0, "")
    assert "2 scopes: each points at what its sightings lead to\n" in done.stdout
    assert "5 records: digests agree\n" in done.stdout
    found = job.quick("verify", "--json").json()
    assert [check["problems"] for check in found] == [[]] * (len(done.stdout.splitlines()) - 1)
    assert job.database.read_bytes() == before


def test_a_check_of_one_row_is_in_the_singular(job: Job) -> None:
    change(job, "delete from deliveries where id > 1")
    output = job.run("verify").stdout
    assert "1 delivery: " in output
    assert "1 coverage: " in output
    assert "0 removals to be confirmed: " in output


def test_verify_exits_with_74_and_rebuild_corrects_what_it_finds(job: Job) -> None:
    change(job, "delete from field_changes")
    change(job, "update records set owned_by = 'x' where id = 1")
    done = job.run("verify")
    assert done.code == 74
    assert "  records 1: its facts are not those that are parsed today: modelwatch rebuild\n" in done.stdout
    assert done.stdout.endswith("what to do: modelwatch rebuild\n")
    assert job.run("rebuild").stdout == "corrected: 2 field changes, 1 records' facts\n"
    assert job.run("verify").code == 0
    assert job.run("rebuild").stdout == "nothing to correct\n"
    assert job.quick("rebuild", "--json").json()["corrected"]["changes"] == 0


def test_a_damaged_history_is_not_rebuilt_but_to_be_restored(job: Job) -> None:
    change(job, "update records set body = '{}' where id = 1")
    assert "restore a backup" in job.run("verify").stdout
    one_line(job.quick("rebuild"), 74, "records 1", "restore it from a backup")


def test_rebuild_adds_the_facts_of_a_new_config_line(job: Job, gateway: Scripted) -> None:
    text = job.config.read_text("utf-8")
    job.configure(text + 'facts = {type = "object"}\n')
    assert job.quick("verify").code == 74
    assert job.quick("rebuild").stdout == "corrected: 5 records' facts\n"
    assert job.quick("verify").code == 0


def test_a_run_derives_classes_and_facts_again_when_the_rules_of_the_program_have_changed(job: Job) -> None:
    change(job, "update fields set class = 'price'")
    change(job, "update records set context_length = 7")
    change(job, "pragma user_version = 1")
    assert job.quick("verify").code == 74
    before = len(list((job.home / "reports").iterdir()))
    done = job.quick("run")
    assert (done.code, done.stdout, done.stderr) == (0, "", "")
    assert job.quick("verify").code == 0
    assert len(list((job.home / "reports").iterdir())) == before
    change(job, "update records set context_length = 7")
    assert job.quick("run").code == 0
    assert job.quick("verify").code == 74, "a run without a change of rules derives nothing again"


def test_a_changed_price_in_the_config_is_not_reported_as_a_change_at_the_gateway(
    job: Job, gateway: Scripted
) -> None:
    OFFERED["now"] = listed("lyra", "vega", "γ", cost=2)
    assert job.quick("run").code == 0
    job.configure(job.config.read_text("utf-8") + 'prices = {unit = "1m", input = "cost"}\n')
    OFFERED["now"] = listed("lyra", "vega", "γ", cost=2, size=3)
    assert job.quick("run").code == 0
    changed = job.quick("changes", "--json").json()[-1]
    assert (changed["kind"], changed["prices"]) == ("changed", [])
    assert job.quick("verify").code == 0
    with sqlite3.connect(job.database) as raw:
        assert raw.execute("select distinct input_usd_per_1m from offers").fetchall() == [(2.0,)]
    raw.close()


def test_a_dry_run_and_a_reading_command_derive_nothing_again(job: Job) -> None:
    change(job, "pragma user_version = 1")
    before = job.database.read_bytes()
    assert job.quick("run", "--dry-run").code == 0
    assert job.quick("changes").code == 0
    assert job.database.read_bytes() == before


def test_a_damaged_history_is_not_derived_again_and_the_run_says_so(job: Job) -> None:
    change(job, "update records set body = '{}' where id = 1")
    change(job, "pragma user_version = 1")
    one_line(job.quick("run"), 74, "records 1", "restore it from a backup")


def test_each_command_without_a_database_says_how_to_make_one(tmp_path: Path) -> None:
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


@pytest.mark.parametrize(
    "command",
    [
        ("status",),
        ("outbox",),
        ("changes",),
        ("verify",),
        ("rebuild",),
        ("prune", "--keep", "1d"),
        ("backup", "copy.db"),
        ("forget", "local/prod", "--yes"),
        ("rename", "local/prod", "local/new"),
        ("report",),
        ("publish", "copy"),
    ],
    ids=lambda command: command[0],
)
def test_a_named_config_that_does_not_exist_is_an_error_and_nothing_is_written(
    job: Job, command: tuple[str, ...]
) -> None:
    before = job.database.read_bytes()
    one_line(job.quick(*command, "--config", "typo.toml"), 78, "typo.toml: there is no config yet")
    assert job.database.read_bytes() == before


def test_prune_drops_old_runs_and_a_dry_run_only_counts_them(job: Job) -> None:
    times = ["2020-01-01T00:00:00Z", "2020-01-02T00:00:00Z", "2021-06-01T00:00:00Z", "2021-06-02T00:00:00Z"]
    change(job, f"update snapshots set started_at = '{times[0]}', name = '{times[0]}'")
    change(job, "update deliveries set state = 'sent'")
    for at in (*times[1:], "2021-06-09T00:00:01Z"):
        assert job.quick("run", at=at).code == 0
    now = "2021-06-10T00:00:00Z"
    before = job.database.read_bytes()
    dry = job.quick("prune", "--keep", "365d", "--dry-run", at=now)
    assert dry.stdout.startswith("would drop: ")
    assert job.database.read_bytes() == before
    done = job.quick("prune", "--keep", "365d", at=now)
    assert done.stdout.splitlines()[0] == dry.stdout.strip().replace("would drop", "dropped")
    assert "kB before, " in done.stdout
    assert job.run("verify").code == 0
    assert job.quick("prune", "--keep", "365d", at=now).stdout.startswith("nothing is older than ")
    assert job.quick("prune", "--keep", "1y", "--json", at=now).json()["dropped"] == {}


@pytest.mark.parametrize("keep", ["365", "0d", "x", "-1d"])
def test_an_invalid_age_is_wrong_usage(job: Job, keep: str) -> None:
    done = job.quick("prune", f"--keep={keep}")
    assert (done.code, "write 365d" in done.stderr) == (2, True)


def test_a_reader_keeps_its_snapshot_while_the_database_is_compacted(job: Job) -> None:
    reader = sqlite3.connect(job.database)
    reader.execute("begin")
    before = reader.execute("select count(*) from snapshots").fetchall()
    assert job.run("prune", "--keep", "365d").code == 0
    assert reader.execute("select count(*) from snapshots").fetchall() == before
    reader.close()


def test_a_backup_is_a_checked_database_with_the_permissions_of_its_original(
    job: Job, tmp_path: Path
) -> None:
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


def test_a_backup_is_consistent_while_others_write(job: Job, tmp_path: Path) -> None:
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
def test_a_backup_that_cannot_be_finished_is_removed_and_is_one_line(job: Job, tmp_path: Path) -> None:
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


def test_forget_asks_first_and_off_a_terminal_needs_yes(job: Job) -> None:
    done = job.run("forget", "local/te*")
    assert (done.code, done.stdout) == (2, "to forget, with all their history: local/test\n")
    assert "--yes" in done.stderr
    done = job.run("forget", "local/test", "--yes")
    assert done.code == 0
    assert "still in the config, so the next run records them anew: local/test" in done.stdout
    assert [scope["scope"] for scope in job.quick("scopes", "--json").json()] == ["local/prod"]
    assert job.quick("verify").code == 0
    assert job.quick("forget", "no/such", "--yes").code == 2


def test_a_renamed_scope_keeps_its_history_and_nothing_is_reported(job: Job, gateway: Scripted) -> None:
    job.configure(job.config.read_text("utf-8").replace("scopes.prod", "scopes.fresh"))
    assert job.run("rename", "local/prod", "local/fresh").stdout == "local/prod is now local/fresh\n"
    done = job.quick("run", "--exit-code")
    assert (done.code, done.output) == (0, "")
    assert {scope["state"] for scope in job.quick("scopes", "--json").json()} == {"ok"}
    assert job.quick("verify").code == 0


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("local/prod", "local/test", "local/test exists, with a history"),
        ("local/prod", "other/prod", "modelwatch rename local other"),
        ("local/prod", "other", "two gateways"),
        ("local/no", "local/x", "local/no is unknown"),
        ("local", "local/x", "two gateways"),
        ("local/prod", "local/prod", "local/prod is already its name"),
        ("local", "local", "local is already its name"),
        ("local/prod", "bad name", "'bad name' is not a valid name"),
        ("local", "local/a b", "'local/a b' is not a valid name"),
        ("local/prod", "local/a b", "is not a valid name"),
    ],
)
def test_a_name_that_cannot_be_used_is_refused_and_nothing_is_renamed(
    job: Job, old: str, new: str, message: str
) -> None:
    done = job.quick("rename", old, new)
    assert (done.code, message in done.stderr) == (2, True)
    assert [s["scope"] for s in job.quick("scopes", "--json").json()] == ["local/prod", "local/test"]


def test_the_scopes_of_a_gateway_are_renamed_with_it_and_the_config_is_mentioned(job: Job) -> None:
    done = job.quick("rename", "local", "hub")
    assert done.stdout.startswith("local/prod is now hub/prod\nlocal/test is now hub/test\n")
    assert "the config still has local/prod" in done.stdout
    assert job.quick("verify").code == 0


def test_commands_that_write_exit_with_75_during_a_run_and_others_work(job: Job) -> None:
    import fcntl

    with (job.home / "modelwatch.db.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        for command in (("rebuild",), ("prune", "--keep", "1d"), ("rename", "local/prod", "local/x")):
            assert job.quick(*command).code == 75
        assert job.quick("verify").code == 0
        assert job.quick("backup", str(job.home / "copy.db")).code == 0
