"""A command on a pseudo-terminal, which a test answers like a person."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

TIMEOUT = 20
"""Seconds after which a text that does not appear fails the test."""


class Terminal:
    """A process whose three standard streams are a terminal, also its controlling one, for hidden answers.

    Args:
        command: the program and its arguments.
        env: its environment.
        cwd: its working directory.
        columns: the width of the terminal.
    """

    def __init__(
        self, command: Sequence[str], *, env: Mapping[str, str], cwd: Path | None = None, columns: int = 100
    ) -> None:
        self._end, inner = pty.openpty()
        fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        self.shown = ""
        self._seen = 0
        self._process = subprocess.Popen(
            ["/bin/sh", "-c", 'exec "$@" <"$TTY" >"$TTY" 2>&1', "sh", *command],
            env={"TERM": "xterm", **env, "TTY": os.ttyname(inner)},
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            # The first terminal that the leader of a session opens becomes its controlling one.
            start_new_session=True,
        )
        self._inner = inner

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
        os.close(self._end)
        os.close(self._inner)

    def wait_for(self, text: str) -> None:
        """Read until a text is shown, after those that were waited for before."""
        while (at := self.shown.find(text, self._seen)) < 0:
            assert self._read(), f"{text!r} was not shown: {self.shown}"
        self._seen = at + len(text)

    def answer(self, question: str, answer: str = "") -> None:
        """Wait for a question, and type an answer and Enter."""
        self.wait_for(question)
        os.write(self._end, f"{answer}\n".encode())

    def end(self) -> int:
        """Read until the process ends; return its exit status."""
        while self._process.poll() is None:
            self._read(0.05)
        while self._read(0):
            pass
        return self._process.returncode

    def _read(self, timeout: float = TIMEOUT) -> bool:
        """Read what is shown next; return whether there is anything."""
        ready, _, _ = select.select((self._end,), (), (), timeout)
        if not ready:
            return False
        self.shown += os.read(self._end, 65536).decode().replace("\r\n", "\n")
        return True
