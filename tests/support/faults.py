"""Commands in forked processes that are killed at, or fail in, one of their calls that change files."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from support import TESTS
from support.e2e import Job

LOG, KILL, TEAR, FAIL = 1, 2, 3, 4
"""What happens at the chosen call, as in faults.c: TEAR kills after half of a write."""

_WORKER = """
import ctypes, importlib, json, os, pkgutil, sys
import aiohttp, httpx, sqlite_utils
import pipeline
for module in pkgutil.walk_packages(pipeline.__path__, "pipeline."):
    if "browse.plugins" not in module.name and not module.name.endswith("__main__"):
        importlib.import_module(module.name)
from pipeline.cli.app import main
arm = ctypes.CDLL(None).modelwatch_faults
for line in sys.stdin:
    task = json.loads(line)
    files = [os.memfd_create("output") for _ in range(3)]
    child = os.fork()
    if not child:
        code = 99
        try:
            os.environ.clear()
            os.environ.update(task["env"])
            sys.argv = ["modelwatch", *task["words"]]
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(files[0], 1)
            os.dup2(files[1], 2)
            at = task["at"]
            arm(task["how"], ctypes.c_long(task["call"]), task["error"], files[2])
            main(lambda: at)
        except SystemExit as end:
            code = end.code
        finally:
            arm(0, ctypes.c_long(0), 0, -1)
            os._exit(code)
    _, status, usage = os.wait4(child, 0)
    texts = []
    for file in files:
        size = os.lseek(file, 0, os.SEEK_CUR)
        texts.append(os.pread(file, size, 0).decode())
        os.close(file)
    print(json.dumps([os.waitstatus_to_exitcode(status), usage.ru_maxrss, *texts]), flush=True)
"""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended.

    Args:
        code: its exit status; negative for a signal.
        memory: the most that it used, in KiB.
        calls: the kind and the path of each call that changes files, where they are logged.
    """

    code: int
    memory: int
    stdout: str
    stderr: str
    calls: tuple[tuple[str, str], ...]


class Worker:
    """A process with the modules of the program, which forks for each command."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def run(self, job: Job, *words: str, at: str, how: int = 0, call: int = 0, error: int = 0) -> Ended:
        """Run a command.

        Args:
            job: the home.
            words: of the command.
            at: the time of its clock (ISO 8601 UTC).
            how: LOG, KILL, TEAR or FAIL; 0 for nothing.
            call: the number of the call that is struck, from 0.
            error: the errno of FAIL.
        """
        # No gateway of the proofs uses TLS; reading the system's certificates would take half of each run.
        env = {**job.environment(), "SSL_CERT_DIR": str(job.home), "TMPDIR": str(job.home)}
        task: dict[str, Any] = {"words": [*words, "--home", str(job.home)], "env": env, "at": at}
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin
        assert stdout
        stdin.write(json.dumps(task | {"how": how, "call": call, "error": error}) + "\n")
        stdin.flush()
        code, memory, out, err, log = json.loads(stdout.readline())
        calls = [line.split("\t", 1) for line in log.splitlines()]
        return Ended(code, memory, out, err, tuple((kind, path) for kind, path in calls))


@contextmanager
def worker(directory: Path) -> Iterator[Worker]:
    """Compile faults.c into a directory, start a worker with it, and end it."""
    if not shutil.which("cc"):
        if "MODELWATCH_EVERYTHING" not in os.environ:
            pytest.skip("needs cc (Debian, Ubuntu: apt install gcc libc6-dev)")
        pytest.fail("MODELWATCH_EVERYTHING is set: apt install gcc libc6-dev")
    library = directory / "faults.so"
    source = TESTS / "support" / "faults.c"
    subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    with subprocess.Popen(
        [sys.executable, "-c", _WORKER],
        env={**os.environ, "LD_PRELOAD": str(library), "PYTHONDONTWRITEBYTECODE": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    ) as process:
        yield Worker(process)
        assert process.stdin
        process.stdin.close()
