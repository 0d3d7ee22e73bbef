"""Recorded answers, given out again one after the other, byte for byte."""

from __future__ import annotations

import threading
from pathlib import Path

from pipeline.simulator.answers import Answer, Asked, complains, says


class Replay:
    """The answers in a folder, in the order of their file names, one step at a time."""

    def __init__(self, directory: str | Path) -> None:
        """Look which answers there are; each is read when it is asked for.

        Raises:
            ValueError: the folder holds no `*.json` beside `manifest.json`, or there is no such folder.
        """
        self._directory = Path(directory)
        found = self._directory.glob("*.json")
        self._files = tuple(sorted(path.name for path in found if path.name != "manifest.json"))
        if not self._files:
            raise ValueError(f"{directory} holds no answers: looked for *.json files beside manifest.json.")
        self._lock = threading.Lock()
        self._at = 0

    def now(self) -> Answer:
        """The recorded answer of this step."""
        with self._lock:
            path = self._directory / self._files[self._at]
        try:
            return Answer(body=path.read_bytes())
        except OSError as error:
            return complains(500, f"{path.name} cannot be read: {error.strerror}")

    def told(self, asked: Asked) -> Answer:
        """`GET /replay` tells the step, `POST /replay/next` goes one on: 410 when it was the last."""
        with self._lock:
            is_over = False
            if (asked.method, asked.place) == ("POST", "/replay/next"):
                is_over = self._at + 1 == len(self._files)
                self._at += not is_over
            step = {"step": self._at + 1, "of": len(self._files), "file": self._files[self._at]}
        return says(step, status=410 if is_over else 200)
