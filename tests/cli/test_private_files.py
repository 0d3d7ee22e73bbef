"""Who may read what the commands write, and how they read where they may not write."""

from __future__ import annotations

import errno
import os
import shlex
import stat
import subprocess
import sys
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from support.browsing import browse_server
from support.e2e import Job, Reply, Scripted, ended, listed, one_line
from support.mounts import can_mount, with_own_mounts

from pipeline.cli import browse
from pipeline.delivery import send
from pipeline.store import Store

DESTINATIONS = """
[metrics]
file = "metrics/modelwatch.prom"

[destinations.mails]
type = "eml"
directory = "mails"
severity = "quiet"

[destinations.web]
type = "files"
directory = "web"
severity = "quiet"
"""

PRIVATE = ("modelwatch.db", "modelwatch.db.lock", ".modelwatch.db.history", "copy.db", "datasette.yaml")

OTHER_USER = 65534

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become another user")
needs_mount = pytest.mark.skipif(not can_mount(), reason="needs unshare(1) and the right to mount")


@contextmanager
def umask(mask):
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


@pytest.fixture
def open_path():
    """A directory that every user can enter, unlike those of pytest."""
    with TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def modes(directory):
    """Return the mode of each file and directory in a directory, by its path; directories end in a slash."""
    found = {}
    for path in directory.rglob("*"):
        slash = "/" if path.is_dir() else ""
        found[f"{path.relative_to(directory)}{slash}"] = stat.S_IMODE(path.stat().st_mode)
    return found


def written(home, *, mask, settings=""):
    """Run twice and write copies of every kind; return the modes of all files, also those during a run."""
    job = Job(home)
    during = {}
    models = ["crane", "heron"]

    def answer(_question):
        during.update(modes(home))
        return Reply(listed(*models))

    with umask(mask), Scripted(answer) as server:
        job.configure(settings)
        job.asks(server.url)
        job.configure(job.config.read_text() + DESTINATIONS)
        (home / "metrics").mkdir(exist_ok=True)
        assert job.quick("run").code == 0
        models.append("ibis")
        assert job.quick("run").code == 0
        assert job.quick("report", "--since", "1d").code == 0
        assert job.quick("backup", str(home / "copy.db")).code == 0
        assert job.quick("datasette-config").code == 0
        assert job.quick("publish", str(home / "public")).code == 0
    return during | modes(home)


def split(found):
    """Return the modes of private files, private directories, other files, and other directories."""
    public = ("public", "web", "metrics")
    parts = (set(), set(), set(), set())
    for name, mode in found.items():
        if name == "modelwatch.toml":
            continue
        parts[2 * name.startswith(public) + name.endswith("/")].add(mode)
    return parts


@pytest.mark.parametrize("mask", [0o000, 0o022])
def test_in_a_private_home_every_file_is_private_from_its_first_byte(tmp_path, mask):
    home = tmp_path / "home"
    home.mkdir(0o700)
    found = written(home, mask=mask)
    assert {*PRIVATE, "modelwatch.db-wal", "modelwatch.db-shm"} <= set(found)
    assert any(name.startswith("mails/") for name in found)
    files, directories, others, other_directories = split(found)
    assert (files, directories) == ({0o600}, {0o700})
    assert (others, other_directories) == ({0o666 & ~mask}, {0o777 & ~mask})


@pytest.mark.parametrize(("home_mode", "expected"), [(0o755, 0o644), (0o750, 0o640)])
def test_an_existing_home_sets_the_modes_of_its_files(tmp_path, home_mode, expected):
    home = tmp_path / "home"
    home.mkdir()
    home.chmod(home_mode)
    found = written(home, mask=0o022)
    assert {found[name] for name in (*PRIVATE, "modelwatch.db-wal")} == {expected}
    assert {found["reports/"], found["mails/"]} == {0o700}
    assert {found["reports/latest.csv"], found["reports/latest.json"]} == {0o600}


@pytest.mark.parametrize(
    ("share", "file", "directory"), [("owner", 0o600, 0o700), ("group", 0o640, 0o750), ("all", 0o644, 0o755)]
)
def test_share_lets_the_group_or_all_read_whatever_the_umask(tmp_path, share, file, directory):
    home = tmp_path / "home"
    home.mkdir(0o700)
    files, directories, _, _ = split(written(home, mask=0o077, settings=f'share = "{share}"\n'))
    assert (files, directories) == ({file}, {directory})


def test_what_stands_keeps_its_mode(tmp_path):
    home = tmp_path / "home"
    home.mkdir(0o700)
    written(home, mask=0o022)
    for path in home.rglob("*"):
        path.chmod(0o751 if path.is_dir() else 0o646)
    before = modes(home)
    with Scripted(lambda _: Reply(listed("crane", "heron", "jay"))) as server:
        Job(home).configure(Job(home).config.read_text().replace("http://127", "http://127", 1))
        Job(home).asks(server.url, name="second")
        assert Job(home).quick("run").code == 3
        assert Job(home).quick("backup", str(home / "copy.db"), "--force").code == 0
        assert Job(home).quick("datasette-config", "--force").code == 0
    after = modes(home)
    assert {name: after[name] for name in before if name in after} == before


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs the names of open files")
def test_reports_mails_and_files_are_on_disk_before_they_are_recorded_as_sent(tmp_path, monkeypatch):
    home = tmp_path / "home"
    order = []
    real, record = os.fsync, send.record_result

    def fsync(descriptor):
        order.append(Path(f"/proc/self/fd/{descriptor}").readlink())
        real(descriptor)

    def record_result(store, delivery, result, *, at):
        order.append(delivery.destination)
        return record(store, delivery, result, at=at)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(send, "record_result", record_result)
    written(home, mask=0o022)
    for destination in ("reports", "mails", "web"):
        before = order[: order.index(destination)]
        assert before.count(home) >= 1, "the new directory itself"
        assert before[-1] == home / destination, "the names in it"


def test_init_creates_a_private_home(tmp_path):
    job = Job(tmp_path / "one" / "home")
    with umask(0o022):
        assert job.quick("init", "--no-check", "--url", "https://llm.example.com/v1").code == 0
    assert modes(tmp_path)["one/"] == modes(tmp_path)["one/home/"] == 0o700
    assert stat.S_IMODE(job.config.stat().st_mode) == 0o600


def test_a_config_is_replaced_whole_or_not_at_all(tmp_path, monkeypatch):
    job = Job(tmp_path / "home")
    job.configure("# mine\n")
    job.config.chmod(0o600)
    link = tmp_path / "link"
    link.mkdir()
    (link / "modelwatch.toml").symlink_to(job.config)

    def full(_descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        one_line(job.quick("init", "--force"), 78, "cannot be written: No space left on device")
    assert job.config.read_text() == "# mine\n"
    assert list(job.home.iterdir()) == [job.config]
    assert Job(link).quick("init", "--force").code == 0
    assert (link / "modelwatch.toml").is_symlink()
    assert "[gateways." in job.config.read_text()
    assert stat.S_IMODE(job.config.stat().st_mode) == 0o600


def test_another_share_is_an_error_of_the_config(tmp_path):
    job = Job(tmp_path)
    job.configure('share = "everyone"\n')
    job.asks("http://127.0.0.1:9")
    one_line(job.quick("status"), 78, "share", "everyone", '"owner", "group", "all"')


def test_a_backup_is_not_readable_for_more_than_its_database(tmp_path):
    home = tmp_path / "home"
    home.mkdir(0o700)
    written(home, mask=0o022)
    for directory, expected in ((0o755, 0o600), (0o700, 0o600)):
        (tmp_path / oct(directory)).mkdir()
        (tmp_path / oct(directory)).chmod(directory)
        target = tmp_path / oct(directory) / "copy.db"
        assert Job(home).quick("backup", str(target)).code == 0
        assert stat.S_IMODE(target.stat().st_mode) == expected


@pytest.mark.parametrize(("mode", "may"), [(0o600, None), (0o644, "read"), (0o622, "write")])
def test_check_warns_of_secrets_that_others_may_read_or_write(open_path, mode, may):
    job = Job(open_path / "home")
    with Scripted(lambda _: Reply(listed("crane"))) as server:
        job.asks(server.url, scopes={"one": 'key = "file:one.key"'})
        job.home.chmod(0o755)
        job.config.chmod(0o644)
        key = job.home / "one.key"
        key.write_text("sk-of-one-user")
        key.chmod(mode)
        done = job.quick("check")
    warning = f"warning: {key}: other users may {may} it: chmod go-"
    assert (done.code, "warning: " in done.stdout) == (0, may is not None)
    assert may is None or warning in done.stdout
    assert "sk-of" not in done.output


def test_check_warns_of_a_config_that_others_may_write_or_read_with_the_words_of_a_command(open_path):
    job = Job(open_path / "home")
    with Scripted(lambda _: Reply(listed("crane"))) as server:
        job.asks(server.url)
        job.home.chmod(0o755)
        job.config.chmod(0o646)
        assert f"warning: {job.config}: other users may write it: chmod go-w" in job.quick("check").stdout
        job.config.chmod(0o644)
        assert "warning" not in job.quick("check").output
        job.asks(server.url, name="other", scopes={"one": 'key = "command:echo sk-one-two"'})
        assert f"warning: {job.config}: other users may read it: chmod go-r" in job.quick("check").stdout


def test_check_warns_of_a_list_of_keys_that_others_may_read(open_path):
    job = Job(open_path / "home")
    with Scripted(lambda _: Reply(listed("crane"))) as server:
        job.asks(server.url, keys="file:keys.csv")
        job.home.chmod(0o755)
        keys = job.home / "keys.csv"
        keys.write_text("name,key\none,sk-one-two-three\n")
        keys.chmod(0o644)
        assert f"warning: {keys}: other users may read it: chmod go-r" in job.quick("check").stdout


READING = (
    ("status",),
    ("models",),
    ("changes",),
    ("scopes",),
    ("verify",),
    ("history", "crane"),
)

TWICE = """
import os, sys
from pipeline.cli.app import main

def call():
    try:
        main(None)
    except SystemExit as end:
        return end.code

sys.argv[0] = "modelwatch"
# The first time, as the owner, loads every module: another user may not reach them.
kept = os.dup(1), os.dup(2)
null = os.open(os.devnull, os.O_WRONLY)
os.dup2(null, 1), os.dup2(null, 2)
call()
os.dup2(kept[0], 1), os.dup2(kept[1], 2)
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
sys.exit(call())
"""


def as_other_user(job, *words):
    command = [sys.executable, "-c", TWICE, *words, "--home", str(job.home)]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8"
    ) as process:
        return ended(process)


@pytest.fixture
def shared(open_path):
    """A home with a history in a directory that all may enter."""
    job = Job(open_path / "home")
    with Scripted(lambda _: Reply(listed("crane", "heron"))) as server:
        job.asks(server.url)
        job.home.chmod(0o755)
        job.config.chmod(0o644)
        assert job.quick("run").code == 0
    return job


@needs_root
@pytest.mark.parametrize("words", READING)
def test_another_user_reads_what_may_be_read(shared, words):
    shared.database.chmod(0o644)
    done = as_other_user(shared, *words)
    assert (done.code, done.stderr) == (0, "")
    assert done.stdout == shared.quick(*words).stdout


@needs_root
@pytest.mark.parametrize("words", [*READING, ("publish", "PLACE/public"), ("backup", "PLACE/absent/copy.db")])
@pytest.mark.parametrize("closed", ["database", "home"])
def test_another_user_learns_that_the_database_is_not_shared_and_how_it_can_be(shared, closed, words):
    (shared.database if closed == "database" else shared.home).chmod(0o600 if closed == "database" else 0o700)
    words = [word.replace("PLACE", str(shared.home.parent)) for word in words]
    shared.home.parent.chmod(0o777)
    done = as_other_user(shared, *words)
    one_line(done, 74, f"{shared.database}: this user may not read it", 'share = "group"', "chmod")


READ_ONLY = """
mount --bind "$HOME_OF_JOB" "$HOME_OF_JOB"
mount -o remount,ro,bind "$HOME_OF_JOB"
exec "$@"
"""

FULL = """
cp -a "$HOME_OF_JOB" "$HOME_OF_JOB.kept"
mount -t tmpfs -o size=4m none "$HOME_OF_JOB"
cp -a "$HOME_OF_JOB.kept/." "$HOME_OF_JOB"
dd if=/dev/zero of="$HOME_OF_JOB/filler" bs=64k 2>/dev/null
dd if=/dev/zero of="$HOME_OF_JOB/filler2" bs=512 2>/dev/null
exec "$@"
"""


def in_mounts(job, script, *words):
    """Run the command where the home is mounted as a script says."""
    command = with_own_mounts("sh", "-c", script, "sh", *job.command(*words))
    with subprocess.Popen(
        command,
        env={**job.environment(), "HOME_OF_JOB": str(job.home)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    ) as process:
        return ended(process)


@needs_mount
@pytest.mark.parametrize("place", [READ_ONLY, FULL], ids=["read-only", "full"])
@pytest.mark.parametrize("words", READING)
def test_reading_works_where_nothing_can_be_written(shared, place, words):
    done = in_mounts(shared, place, *words)
    assert (done.code, done.stderr) == (0, "")
    assert done.stdout == shared.quick(*words).stdout


@needs_mount
@pytest.mark.parametrize("place", [READ_ONLY, FULL], ids=["read-only", "full"])
def test_publish_reads_where_nothing_can_be_written(shared, place, tmp_path):
    target = tmp_path / "public"
    done = in_mounts(shared, place, "publish", str(target))
    assert (done.code, done.stderr) == (0, "")
    assert (target / "modelwatch.db").exists()


@needs_mount
@pytest.mark.parametrize(
    ("place", "cause"), [(READ_ONLY, "Read-only file system"), (FULL, "the disk is full")], ids=["ro", "full"]
)
@pytest.mark.parametrize("words", [("run",), ("backup", "HOME/copy.db"), ("publish", "HOME/public")])
def test_writing_names_why_nothing_can_be_written(shared, place, cause, words):
    words = [word.replace("HOME", str(shared.home)) for word in words]
    one_line(in_mounts(shared, place, *words), 74, cause)


@needs_mount
@pytest.mark.parametrize("place", [READ_ONLY, FULL], ids=["read-only", "full"])
def test_browse_shows_the_present_state_where_nothing_can_be_written(shared, place, tmp_path):
    program = tmp_path / "python"
    words = shlex.join(with_own_mounts("sh", "-c", place, "sh", sys.executable))
    program.write_text(f'#!/bin/sh\nexec {words} "$@"\n')
    program.chmod(0o755)
    job = Job(shared.home, {"HOME_OF_JOB": str(shared.home)})
    with (
        browse_server(job, python=program) as (url, _),
        urllib.request.urlopen(f"{url}/modelwatch/offers") as page,
    ):
        assert "heron" in page.read().decode()


def test_browse_names_the_temporary_directory_that_is_full(shared, monkeypatch):
    def full(*_arguments, **_named):
        raise OSError(errno.ENOSPC, "No space left on device", "/tmp/modelwatch-1")

    monkeypatch.setattr(browse, "TemporaryDirectory", full)
    done = shared.quick("browse", "--port", "0")
    assert done.code == 74
    assert "/tmp/modelwatch-1: cannot be written: No space left on device" in done.stderr
    assert "$TMPDIR" in done.stderr


@needs_root
def test_a_log_that_this_user_may_not_read_is_not_skipped(shared):
    """A run under way has written to it."""
    shared.database.chmod(0o644)
    with Store.open(shared.database) as store, store.transaction():
        store.connection.execute("update scopes set group_name = 'new'")
    with Store.open(shared.database) as store:
        with store.transaction():
            store.connection.execute("update scopes set group_name = 'newer'")
        log = shared.database.with_name("modelwatch.db-wal")
        assert log.stat().st_size
        assert stat.S_IMODE(log.stat().st_mode) == 0o644
        assert "newer" in as_other_user(shared, "scopes").stdout
        for file in (log, shared.database.with_name("modelwatch.db-shm")):
            file.chmod(0o600)
        one_line(as_other_user(shared, "scopes"), 74, "-wal", "run the command as the owner")
