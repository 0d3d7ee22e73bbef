"""Recorded answers, served one after the other, byte for byte."""

from __future__ import annotations

import threading
from pathlib import Path

from pipeline.simulator.messages import Request, Response, json_response, v1_error


class Replay:
    """The recorded answers of a directory, in the order of their file names."""

    def __init__(self, directory: str | Path) -> None:
        """List the recorded answers; each is read when it is requested.

        Raises:
            ValueError: the directory has no `*.json` beside `manifest.json`, or does not exist.
        """
        self._directory = Path(directory)
        found = self._directory.glob("*.json")
        self._files = tuple(sorted(path.name for path in found if path.name != "manifest.json"))
        if not self._files:
            raise ValueError(
                f"{directory} has no recorded answers: it needs *.json files beside manifest.json."
            )
        self._lock = threading.Lock()
        self._at = 0

    def current(self) -> Response:
        """Return the recorded answer at the current position."""
        with self._lock:
            path = self._directory / self._files[self._at]
        try:
            return Response(body=path.read_bytes())
        except OSError as error:
            return v1_error(500, f"{path.name} cannot be read: {error.strerror}")

    def position(self, request: Request) -> Response:
        """Answer `GET /replay` with the position; `POST /replay/next` advances it first, 410 at the end."""
        with self._lock:
            is_over = False
            if (request.method, request.place) == ("POST", "/replay/next"):
                is_over = self._at + 1 == len(self._files)
                self._at += not is_over
            position = {"step": self._at + 1, "of": len(self._files), "file": self._files[self._at]}
        return json_response(position, status=410 if is_over else 200)
