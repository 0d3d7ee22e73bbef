"""Programs are ended in time, whatever they and their children do with their pipes."""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from pipeline import processes
from pipeline.errors import Unresolved
from pipeline.secret_refs import resolver

SHORT = 0.3
"""Seconds that a program may take which is to be stopped."""

SOON = 5.0
"""Seconds in which the tests' programs are stopped even on a busy machine; each would go on for a minute."""


def shell(script: str) -> list[str]:
    """Return the command of a shell script."""
    return ["/bin/sh", "-c", script]


def gone(process: int) -> bool:
    """Return whether a process has ended; one that nobody waited for counts."""
    state = Path(f"/proc/{process}/stat")
    with suppress(FileNotFoundError, ProcessLookupError):
        return ") Z " in state.read_text()
    return True


def test_the_output_and_the_status_are_those_of_the_program() -> None:
    done = processes.run(shell("cat; echo err >&2; exit 3"), timeout=SOON, stdin=b"in ")
    assert (done.status, done.output) == (3, b"in ")
    assert processes.run(shell("echo err >&2"), timeout=SOON, with_errors=True).output == b"err\n"


@pytest.mark.parametrize(
    "script",
    [
        "sleep 60",
        "sleep 60 & wait",
        "exec >&- 2>&- <&-; sleep 60",
        "yes",
        "while :; do echo a; sleep 0.01; done",
        "trap '' TERM HUP INT; while :; do sleep 0.1; done",
    ],
)
def test_a_program_is_stopped_at_its_time_limit_whatever_it_does(script: str) -> None:
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        # More than a pipe holds: a program that never reads blocks a careless writer.
        processes.run(shell(script), timeout=SHORT, stdin=b"x" * 1_000_000)
    assert time.monotonic() - began < SOON


def test_the_children_of_a_stopped_program_are_stopped_too(tmp_path: Path) -> None:
    child = tmp_path / "child"
    with pytest.raises(TimeoutError):
        processes.run(shell(f"sleep 60 & echo $! >{child}; wait"), timeout=1)
    end = time.monotonic() + SOON
    while not gone(int(child.read_text())) and time.monotonic() < end:
        time.sleep(0.01)
    assert gone(int(child.read_text()))


@pytest.mark.parametrize("leaves", ["sleep 60 &", "setsid sleep 60 &"])
def test_a_child_that_keeps_the_pipes_delays_nothing_and_goes_on(leaves: str, tmp_path: Path) -> None:
    child = tmp_path / "child"
    began = time.monotonic()
    done = processes.run(shell(f"echo secret; {leaves} echo $! >{child}; exit 0"), timeout=60)
    assert time.monotonic() - began < SOON
    assert done.status == 0
    assert done.output.startswith(b"secret\n")
    number = int(child.read_text())
    assert not gone(number)
    os.kill(number, 9)


def test_a_child_that_goes_on_printing_delays_nothing(tmp_path: Path) -> None:
    """It ends by itself when nobody reads its pipe any more."""
    child = tmp_path / "child"
    began = time.monotonic()
    noise = f"(while :; do echo noise; done) & echo $! >{child}; exit 0"
    done = processes.run(shell(f"echo secret; {noise}"), timeout=60)
    assert time.monotonic() - began < SOON
    assert done.status == 0
    assert done.output.startswith(b"secret\n")
    end = time.monotonic() + SOON
    while not gone(int(child.read_text())) and time.monotonic() < end:
        time.sleep(0.01)
    assert gone(int(child.read_text()))


def test_of_an_endless_output_the_first_megabyte_is_kept() -> None:
    done = processes.run([sys.executable, "-c", "import sys; sys.stdout.write('a' * 3_000_000)"], timeout=30)
    assert (done.status, len(done.output)) == (0, 1024 * 1024)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux has pipes of other sizes")
def test_all_that_a_larger_pipe_holds_at_the_end_of_its_program_is_read() -> None:
    script = "import fcntl, os; fcntl.fcntl(1, 1031, 1 << 20); os.write(1, bytes(900_000)); os._exit(0)"
    for _ in range(10):  # it was cut where the program ended before it was read
        done = processes.run([sys.executable, "-I", "-S", "-c", script], timeout=SOON)
        assert len(done.output) == 900_000


def test_a_program_that_cannot_be_started_raises_the_error_of_the_system() -> None:
    with pytest.raises(FileNotFoundError):
        processes.run(["/nowhere/program"], timeout=SOON)


@pytest.mark.parametrize("script", ["sleep 60", "echo part; sleep 60", "yes"])
def test_a_command_for_a_secret_is_stopped_at_its_time_limit(script: str, tmp_path: Path) -> None:
    began = time.monotonic()
    with pytest.raises(Unresolved, match=r"did not end within 0\.3 s"):
        resolver(tmp_path, timeout=SHORT)(f"command:/bin/sh -c '{script}'")
    assert time.monotonic() - began < SOON


def test_a_command_that_leaves_a_child_with_its_pipe_gives_its_secret(tmp_path: Path) -> None:
    child = tmp_path / "child"
    secret = resolver(tmp_path, timeout=SOON)(
        f"command:/bin/sh -c 'echo s3cr3t; sleep 60 & echo $! >{child}'"
    )
    assert secret.reveal() == "s3cr3t"
    os.kill(int(child.read_text()), 9)
