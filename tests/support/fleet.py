"""A Dask scheduler and workers as processes of their own, and what their connections carry."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from support import ROOT

_PATIENCE = 30
"""Seconds after which a process that does not come up fails the test."""


@dataclass
class Fleet:
    """A Dask scheduler with workers; a context that ends them.

    Args:
        directory: of the logs, and of what the workers write.
        env: variables of the workers' environment, such as those with secrets.
        options: of the scheduler and of the workers, such as those for TLS.
    """

    directory: Path
    env: Mapping[str, str] = field(default_factory=dict)
    options: tuple[str, ...] = ()
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)
    address: str = ""
    _stack: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Self:
        """Start the scheduler."""
        self.directory.mkdir(parents=True, exist_ok=True)
        file = self.directory / "scheduler.json"
        words = ("scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard")
        self.scheduler = self._start("scheduler", *words, "--scheduler-file", str(file))
        wait_until(lambda: file.exists() and file.read_bytes().endswith(b"}"), "the scheduler")
        self.address = json.loads(file.read_bytes())["address"]
        return self

    def __exit__(self, *_: object) -> None:
        """End all processes."""
        for process in (*self.workers, self.scheduler):
            process.send_signal(signal.SIGCONT)
            process.kill()
        self._stack.close()

    def works(self, number: int = 1, **env: str) -> Self:
        """Start some workers, with more variables; wait until they have registered."""
        for _ in range(number):
            name = f"worker-{len(self.workers)}"
            place = str(self.directory / name)
            words = ("worker", self.address, "--nthreads", "1", "--no-nanny", "--no-dashboard")
            more = ("--host", "127.0.0.1", "--local-directory", place, "--name", name)
            self.workers.append(self._start(name, *words, *more, **env))
        for place, _ in enumerate(self.workers):
            log = self.directory / f"worker-{place}.log"
            wait_until(lambda log=log: b"Registered to" in log.read_bytes(), log.name)
        return self

    def _start(self, name: str, command: str, *words: str, **env: str) -> subprocess.Popen[bytes]:
        log = self._stack.enter_context((self.directory / f"{name}.log").open("wb"))
        plain = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "HOME": str(self.directory)}
        process = subprocess.Popen(
            [sys.executable, "-m", "dask", command, *words, *self.options],
            env={**plain, **self.env, **env},
            cwd=self.directory,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        return self._stack.enter_context(process)

    def written(self) -> dict[str, bytes]:
        """Return all files that the scheduler and the workers wrote, by name."""
        return {str(file): file.read_bytes() for file in self.directory.rglob("*") if file.is_file()}


class Recorded:
    """An address that leads to another; `carried` are all bytes of its connections, in both directions."""

    def __init__(self, address: str) -> None:
        host, _, port = address.removeprefix("tcp://").rpartition(":")
        self.carried: list[bytes] = []
        self._to = (host, int(port))
        self._server = socket.create_server(("127.0.0.1", 0))
        self.address = f"tcp://127.0.0.1:{self._server.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        """Return this."""
        return self

    def __exit__(self, *_: object) -> None:
        """Accept no more connections."""
        self._server.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._server.accept()
                try:
                    far = socket.create_connection(self._to)
                except OSError:
                    near.close()
                    continue
                for ends in ((near, far), (far, near)):
                    threading.Thread(target=self._carry, args=ends, daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        with source, suppress(OSError):
            try:
                while data := source.recv(65536):
                    self.carried.append(data)
                    target.sendall(data)
            finally:
                target.shutdown(socket.SHUT_RDWR)


def children(pid: int) -> list[int]:
    """Return the processes that a process has started, and those that these have."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = status.read_text().rpartition(")")[2].split()
            if int(fields[1]) == pid and fields[0] != "Z":
                child = int(status.parent.name)
                found += [child, *children(child)]
    return found


def wait_until(holds: Callable[[], object], what: str) -> None:
    """Wait until something holds."""
    end = time.monotonic() + _PATIENCE
    while not holds():
        assert time.monotonic() < end, f"{what} is not there after {_PATIENCE} s"
        time.sleep(0.05)
