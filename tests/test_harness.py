"""What all tests rely on: one that hangs fails, and the processes that tests start can be interrupted."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from support import ROOT
from support.e2e import TIMEOUT, Job

HANGS = """
import socket, subprocess, threading

def test_a_thread():
    threading.Event().wait()

def test_a_socket():
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.accept()

def test_a_process():
    subprocess.run(["sleep", "60"], stdin=subprocess.DEVNULL)
"""


@pytest.mark.parametrize("what", ["thread", "socket", "process"])
def test_a_test_that_waits_for_ever_fails_with_its_place(tmp_path: Path, what: str) -> None:
    file = tmp_path / "test_hangs.py"
    file.write_text(HANGS)
    words = [
        sys.executable,
        "-m",
        "pytest",
        "-n0",
        "-p",
        "no:cacheprovider",
        "-c",
        str(ROOT / "pyproject.toml"),
    ]
    words += ["-o", "faulthandler_timeout=0.5", f"{file}::test_a_{what}"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT * 2, check=False)
    assert done.returncode == 1
    assert f"in test_a_{what}" in done.stderr


@pytest.mark.parametrize("number", ["SIGINT", "SIGQUIT", "SIGTERM", "SIGHUP"])
def test_processes_can_be_interrupted_where_the_tests_themselves_cannot(number: str) -> None:
    child = "import os, signal, sys; os.kill(os.getpid(), int(sys.argv[1])); print('ignored')"
    code = (
        f"import signal, subprocess, sys; signal.signal(signal.{number}, signal.SIG_IGN)\n"
        f"from support.e2e import default_signals; default_signals()\n"
        f"words = [sys.executable, '-c', {child!r}, str(int(signal.{number}))]\n"
        f"print(subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout)"
    )
    words = [sys.executable, "-c", code]
    done = subprocess.run(
        words, cwd=ROOT / "tests", env={"PYTHONPATH": f"{ROOT}/tests:{ROOT}"},
        capture_output=True, text=True, timeout=TIMEOUT, check=True,
    )  # fmt: skip
    assert done.stdout == "b''\n"


def test_a_process_is_ended_when_its_test_fails(tmp_path: Path) -> None:
    job = Job(tmp_path / "home")
    with pytest.raises(ZeroDivisionError), job.start("gateway", "--port", "0") as process:
        raise ZeroDivisionError
    assert process.returncode == -9
