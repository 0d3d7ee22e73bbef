"""One process, several, and the workers of Dask record the same; none loses a run, hangs, or shows a key."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
import trustme
from support import ROOT, amount
from support.e2e import Done, Job, Question, Reply, Scripted, default_signals, ended, listed
from support.engines import USER, month_by, rows
from support.fleet import Fleet, Recorded, children, wait_until
from support.simulated_month import KEY, Month

pytestmark = pytest.mark.proofs

KEYS = {f"K{number}": f"sk-key-number-{number:04}" for number in range(4)}

EVERY = amount(110, 4)
"""Of so many runs of the month, one is played."""


class Gate:
    """A server that lets answers wait."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.asked = threading.Event()
        self.open.set()

    def answer(self, _: Question) -> Reply:
        """Return a list, once the gate is open."""
        self.asked.set()
        self.open.wait(60)
        return Reply(listed("alpha", "beta"))

    def close(self) -> None:
        """Let answers wait from now on."""
        self.open.clear()
        self.asked.clear()


@pytest.fixture
def gate() -> Iterator[tuple[Gate, Scripted]]:
    gate = Gate()
    with Scripted(gate.answer) as server:
        yield gate, server
        gate.open.set()


def home(place: Path, url: str, *head: str, dask: str = "", keys: bool = True) -> Job:
    """Return a home that asks with four keys, by the engine in the first lines of its config."""
    job = Job(place, dict(KEYS) if keys else {})
    job.configure("\n".join((*head, "")))
    job.asks(url, attempts=1, scopes={name.lower(): f'key = "env:{name}"' for name in KEYS})
    job.configure(
        f"{job.config.read_text('utf-8')}[dask]\n{dask}\n" if dask else job.config.read_text("utf-8")
    )
    return job


def tls(place: Path) -> tuple[tuple[str, ...], str]:
    """Return the options of a scheduler and workers with TLS, and the settings of a config for them."""
    place.mkdir()
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(place / "ca.pem"))
    certificate = authority.issue_cert("127.0.0.1", "localhost")
    certificate.private_key_pem.write_to_path(str(place / "key.pem"))
    for part, append in ((0, False), *((each, True) for each in range(1, len(certificate.cert_chain_pems)))):
        certificate.cert_chain_pems[part].write_to_path(str(place / "cert.pem"), append=append)
    files = {"tls-ca-file": "ca.pem", "tls-cert": "cert.pem", "tls-key": "key.pem"}
    options = [word for name, file in files.items() for word in (f"--{name}", str(place / file))]
    names = (("tls_ca_file", "ca.pem"), ("tls_client_cert", "cert.pem"), ("tls_client_key", "key.pem"))
    return (*options, "--protocol", "tls"), "".join(f'{name} = "{place / file}"\n' for name, file in names)


def test_a_month_is_the_same_by_one_process_by_several_and_by_dask_with_tls(tmp_path: Path) -> None:
    month = Month(5)
    options, settings = tls(tmp_path / "tls")
    with Fleet(tmp_path / "fleet", {"MONTH": KEY, "ADA": USER}, options) as fleet:
        fleet.works(2)
        jobs = [Job(tmp_path / name) for name in ("local", "processes", "dask")]
        for job in jobs:
            job.configure(f'engine = "{job.home.name}"\n')
        jobs[1].configure('engine = "processes"\nworkers = 2\n')
        dask = f'[dask]\nscheduler = "{fleet.address}"\n{settings}'
        month_by(jobs, month, month.polls[::EVERY], {jobs[2].home: dask})
        assert fleet.address.startswith("tls://")
        found = [rows(job) for job in jobs]
        assert found[1] == found[0]
        assert found[2] == found[0]


def test_processes_are_replaced_and_end_with_the_run(tmp_path: Path, gate: tuple[Gate, Scripted]) -> None:
    door, server = gate
    default_signals()
    job = home(tmp_path / "home", server.url, 'engine = "processes"', "workers = 2")
    door.close()
    with job.start("run") as process:
        assert door.asked.wait(30)
        wait_until(lambda: len(server.requests) == 4, "each request")
        # The first child is multiprocessing's tracker of semaphores.
        workers = [pid for pid in children(process.pid) if b"spawn_main" in _command(pid)]
        for pid in workers:
            assert not _opened(pid, job.home)
        os.kill(workers[0], signal.SIGKILL)
        door.open.set()
        done = ended(process)
    assert (done.code, done.output) == (0, "")
    for number, code in ((signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, 130)):
        door.close()
        with job.start("run") as process:
            assert door.asked.wait(30)
            started = children(process.pid)
            assert len(started) >= 2
            process.send_signal(number)
            done = ended(process)
        assert (done.code, done.stderr) == (code, "")
        wait_until(lambda started=started: not _alive(started), "the end of the workers")
        door.open.set()
    assert job.quick("run").code == 0


def test_a_script_may_run_without_a_guard_of_its_main_part(
    tmp_path: Path, gate: tuple[Gate, Scripted]
) -> None:
    """Processes that are started import the script of the first one, by default."""
    _, server = gate
    job = home(tmp_path / "home", server.url, 'engine = "processes"', "workers = 2")
    script = tmp_path / "script.py"
    script.write_text(f"import pipeline\nprint(pipeline.home({str(job.home)!r}).run().totals.answered)\n")
    env = {**job.environment(), "PYTHONPATH": str(ROOT)}
    words = [sys.executable, str(script)]
    done = subprocess.run(words, env=env, capture_output=True, text=True, check=False, timeout=60)
    assert (done.stdout, done.stderr) == ("4\n", "")


def test_a_run_outlives_workers_and_its_scheduler_and_shows_no_key(
    tmp_path: Path, gate: tuple[Gate, Scripted]
) -> None:
    door, server = gate
    with Fleet(tmp_path / "fleet", KEYS) as fleet, Recorded(fleet.address) as wire:
        fleet.works(2)
        head = ('engine = "dask"', "deadline = 4")
        dask = f'scheduler = "{wire.address}"\n'
        # The keys are those of the workers alone, which lack one.
        job = home(tmp_path / "home", server.url, *head, dask=dask, keys=False)
        job.configure(job.config.read_text("utf-8").replace('"env:K3"', '"env:ABSENT"'))
        done = job.quick("run", "-vv")
        assert done.code == 3
        assert "env:ABSENT is not set; nothing was sent" in done.stderr
        job = home(tmp_path / "home", server.url, *head, dask=dask, keys=False)

        with interrupted(door, job) as run:
            fleet.workers[0].kill()
            door.open.set()
        assert run.result().code == 0

        fleet.workers[1].send_signal(signal.SIGSTOP)
        done = job.quick("run")
        assert done.code == 4
        assert "4 scopes" in done.stderr
        assert "its worker had no results within the 4 s of `deadline`" in done.stderr
        fleet.workers[1].send_signal(signal.SIGCONT)

        fleet.works(1, PYTHONPATH=str(_without_modelwatch(tmp_path / "empty")))
        done = job.quick("run")
        assert (done.code, "a worker lacks modelwatch" in done.stderr) == (69, True)
        fleet.workers[2].kill()

        with interrupted(door, job) as run:
            fleet.scheduler.kill()
        assert run.result().code == 4
        door.open.set()
        here = home(tmp_path / "here", server.url, *head, dask=f'{dask}when_lost = "local"\n')
        assert here.quick("run").code == 0

        homes = [each for place in (job.home, here.home) for each in place.rglob("*") if each.is_file()]
        files = fleet.written() | {str(each): each.read_bytes() for each in homes}
        carried = b"".join(wire.carried)
        assert b"env:K0" in carried
        for key in KEYS.values():
            assert key.encode() not in carried
            assert not [name for name, content in files.items() if key.encode() in content]


@contextmanager
def interrupted(door: Gate, job: Job) -> Iterator[Future[Done]]:
    """Begin a run, whose answers wait; the block is for when the first question has come."""
    door.close()
    with ThreadPoolExecutor(1) as thread:
        run = thread.submit(job.quick, "run")
        assert door.asked.wait(30)
        yield run


def test_a_cluster_of_this_machine_ends_with_its_run(tmp_path: Path, gate: tuple[Gate, Scripted]) -> None:
    door, server = gate
    job = home(tmp_path / "home", server.url, 'engine = "dask"', "workers = 2")
    for is_killed in (False, True)[: amount(1, 2)]:
        door.close()
        with job.start("run") as process:
            assert door.asked.wait(30)
            started = children(process.pid)
            if is_killed:
                process.kill()
            else:
                door.open.set()
            done = ended(process)
        assert (done.code, done.output) == (-signal.SIGKILL if is_killed else 0, "")
        wait_until(lambda started=started: not _alive(started), "the end of the workers")


def _command(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def _opened(pid: int, directory: Path) -> list[str]:
    """Return the open files of a process below a directory."""
    links = [str(each.readlink()) for each in Path(f"/proc/{pid}/fd").iterdir()]
    return [each for each in links if each.startswith(str(directory))]


def _alive(pids: list[int]) -> list[int]:
    """Return those of some processes that run."""
    return [pid for pid in pids if any(_runs(pid))]


def _runs(pid: int) -> Iterator[bool]:
    try:
        yield Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return


def _without_modelwatch(place: Path) -> Path:
    """Return a directory that hides the program from a process with it in its path."""
    package = place / "pipeline"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    return place
