"""A run in strange environments records and reports everything, or ends with one line and changes nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.e2e import Done, Job, Reply, Scripted, ended, listed
from support.mounts import can_mount, with_own_mounts
from support.proving import problems, recorded_events, reported_events, stray_files

pytestmark = pytest.mark.proofs

MODELS = ("π-модель", "ISTANBUL-i", "モデル", "e\u0301")
"""Ids with letters that are not ASCII, and whose case differs in Turkish."""

OTHER_USER = 65534

READ_ONLY = """
mount --bind "$HOME_OF_JOB" /mnt
for place in /tmp /var/tmp /dev/shm /root; do
    mount --bind $place $place && mount -o remount,bind,ro $place || exit 99
done
cd /root
"""
"""A script that makes the usual places read-only; the home is at /mnt."""


@dataclass(frozen=True, slots=True)
class Strange:
    """An environment.

    Args:
        env: its variables, beside those of the job.
        before: what a shell does before it starts the command.
        streams: redirections of the command.
        codes: the exit statuses of a run that may occur; it is repeated as usual after one of 74.
        needs: root or the right to mount, if it needs them.
        bare: whether it has no other variables.
    """

    env: tuple[tuple[str, str], ...] = ()
    before: str = ""
    streams: str = ""
    codes: frozenset[int] = frozenset({0})
    needs: str = ""
    bare: bool = False


STRANGE = {
    "closed streams": Strange(streams="<&- >&- 2>&-", codes=frozenset({0, 73})),
    "full streams": Strange(streams=">/dev/full 2>/dev/full", codes=frozenset({0, 73})),
    "LANG=C": Strange(env=(("LANG", "C"), ("LC_ALL", "C"))),
    "POSIX without UTF-8": Strange(
        env=(
            ("LC_ALL", "POSIX"),
            ("PYTHONUTF8", "0"),
            ("PYTHONCOERCECLOCALE", "0"),
            ("PYTHONIOENCODING", "ascii"),
        )
    ),
    "tr_TR": Strange(env=(("LANG", "tr_TR.UTF-8"), ("LC_ALL", "tr_TR.UTF-8"))),
    "a time zone that does not exist": Strange(env=(("TZ", ":/nowhere/at/all"),)),
    "a time zone of 45 minutes": Strange(env=(("TZ", "Pacific/Chatham"),)),
    "another user without a home": Strange(env=(("HOME", "/nonexistent"),), needs="setpriv"),
    "umask 000": Strange(before="umask 000"),
    "umask 077": Strange(before="umask 077"),
    "umask 777": Strange(before="umask 777", codes=frozenset({0, 6, 74})),
    "read-only places and no temporary files": Strange(before=READ_ONLY, needs="mount"),
    "a removed working directory": Strange(before="mkdir gone && cd gone && rmdir ../gone"),
    "few open files": Strange(before="ulimit -n 24", codes=frozenset({0, 3, 4, 6, 74, 78})),
    "small files only": Strange(before="ulimit -f 8", codes=frozenset({6, 74})),
    "no PATH and no variables": Strange(bare=True),
    "warnings are errors": Strange(env=(("PYTHONWARNINGS", "error"), ("PYTHONDEVMODE", "1"))),
}
"""The environments by name."""


@pytest.fixture
def job() -> Iterator[Job]:
    """A home that any user can reach, with one run."""
    # The directories of pytest are closed to other users.
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        offered = list(MODELS[:1])
        with Scripted(lambda _: Reply(listed(*offered))) as server:
            job = Job(Path(directory) / "home")
            job.asks(server.url, attempts=1)
            assert job.quick("run").code == 0
            offered += MODELS[1:]
            yield job


def start(job: Job, strange: Strange, *words: str) -> Done:
    """Run a command in an environment."""
    command = job.command(*words)
    if "mount" in strange.needs:
        command[-1] = "/mnt"
    script = f'{strange.before}\nexec "$@" {strange.streams}'
    line = ["/bin/sh", "-c", script, "sh", *command]
    if strange.needs == "mount":
        line = with_own_mounts(*line)
    if strange.needs == "setpriv":
        # It may read every file, such as Python, and write only its own.
        line = [
            *(shutil.which("setpriv") or "", f"--reuid={OTHER_USER}", f"--regid={OTHER_USER}"),
            *("--clear-groups", "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search", *line),
        ]
    env = {} if strange.bare else {**job.environment(), "HOME_OF_JOB": str(job.home)}
    process = subprocess.Popen(
        line,
        env=env | dict(strange.env),
        # Otherwise the modules of a checkout would be in the working directory.
        cwd=job.home.parent,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="surrogateescape",
    )
    with process:
        return ended(process)


@pytest.mark.parametrize("name", STRANGE)
def test_a_run_in_a_strange_environment_loses_nothing(job: Job, name: str) -> None:
    strange = STRANGE[name]
    if strange.needs == "setpriv":
        if os.geteuid() != 0 or not shutil.which("setpriv"):
            pytest.skip("needs root and setpriv(1)")
        for path in [job.home.parent, job.home, *job.home.rglob("*")]:
            os.chown(path, OTHER_USER, OTHER_USER)
    if strange.needs == "mount" and not can_mount():
        pytest.skip("needs unshare(1) and the right to mount")
    done = start(job, strange, "run", "-v")
    assert done.code in strange.codes, done
    assert "Traceback" not in done.stderr
    assert "unexpected" not in done.stderr
    if done.code not in {0, 73}:
        assert done.stderr.splitlines()[-1].startswith("modelwatch: "), done
    assert problems(job.database) == []
    assert stray_files(job) == []
    shown = start(job, strange, "models")
    assert shown.code in strange.codes | {0}, shown
    assert "Traceback" not in shown.stderr
    usual = {0, 3, 4, 5} if done.code in {0, 73} else {0}
    assert job.quick("run").code in usual
    assert {row["model"] for row in job.quick("models", "--json").json()} == set(MODELS)
    assert recorded_events(job.database) == reported_events(job)
    assert problems(job.database) == []
