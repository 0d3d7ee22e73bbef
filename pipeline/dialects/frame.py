"""Know rows again in a body whose envelope is new, as when it holds the time: only that is looked at."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

import msgspec

_LONGEST_ENVELOPE = 4096
_SPACE = b" \t\r\n"


class Frame:
    """Remembers the rows of one body, as they are written from the first to the last.

    Args:
        place: the name in the envelope under which the rows are.
    """

    def __init__(self, place: str) -> None:
        self._name = json.dumps(place).encode()
        self._opening = re.compile(re.escape(self._name) + rb"\s*:\s*\[\s*\Z")
        self._rows = b""
        self._start = self._after = 0

    def remember(self, body: bytes, rows: Sequence[msgspec.Raw]) -> None:
        """Remember the rows of a body as they are cut out of it; they must not be none."""
        self._rows = b""
        first = bytes(rows[0])
        start = body.find(first)
        written = _between(body, start + len(first), rows).join(rows)
        # What stands there is those rows and nothing else: a name could hide between them otherwise.
        if body.startswith(written, start):
            self._start, self._after = start, len(body) - start - len(written)
            self._rows = written

    def around(self, body: bytes) -> bytes | None:
        """Give a body without its rows, if they are those remembered; None where that is not certain."""
        if not self._rows:
            return None
        for at in {self._start, len(body) - self._after - len(self._rows)}:
            if at >= 0 and body.startswith(self._rows, at):
                envelope = body[:at] + body[at + len(self._rows) :]
                if self._is_plain(envelope, at):
                    return envelope
        return None

    def _is_plain(self, envelope: bytes, at: int) -> bool:
        """See that the rows stood in the one array that bears their name, and nowhere else."""
        return (
            len(envelope) <= _LONGEST_ENVELOPE
            and b"\\" not in envelope
            and envelope.count(self._name) == 1
            and bool(self._opening.search(envelope, 0, at))
        )


def _between(body: bytes, end: int, rows: Sequence[msgspec.Raw]) -> bytes:
    """Give what stands between the first row, which ends at a place, and the second: a comma, and spaces."""
    between = body[end : body.find(bytes(rows[1]), end)] if len(rows) > 1 else b","
    return between if between.strip(_SPACE) == b"," else b","
