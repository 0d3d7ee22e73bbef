"""Saved answers, read and parsed by a second process while this one records those before them.

An import of a long history takes a third less time where there is a second processor. The other process is a
fork without the files of the database. What it returns is what `AnswerReader` returns here; where it cannot
know that, or ends for any reason, this process parses the answer itself.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import count
from typing import BinaryIO, Self

import msgspec
from msgspec import Struct

from pipeline.core.types import Digest, LeftOutRows, Listing, Record, Scope
from pipeline.gateways.dialects import Answer, request_dialect, setting_advice
from pipeline.gateways.reader import AnswerReader
from pipeline.gateways.types import ListingAnswer, ScopeResult, Validators
from pipeline.store.listings import ReadRecord, read_record
from pipeline.sync.archives import SavedAnswer

LEAST = 50
"""The number of answers from which a second process is worth its start."""

_MAX_KEPT = 32 * 1024 * 1024
"""Characters of records that both processes keep, to send each once."""

_MAX_WAITING = 32 * 1024 * 1024
"""Bytes of messages that the other process may be ahead."""

_SIZE = 8
"""The bytes of the length of a message."""

_FILES = 24
"""The files that must be left for the database, which may not be open yet, and for the source."""

_HANDLED = (signal.SIGINT, signal.SIGTERM)
"""The signals that may have handlers of the command, or of a program that imports."""


class _Parsed(Struct, frozen=True, array_like=True):
    """What became of one answer.

    Args:
        requested: the reading of the dialect that it was requested in; None: it is not parsed.
        records: its records, by their numbers; None: those of the last answer.
        new: the records that get the next numbers.
        read: their facts and permissions, or nothing.
        begins: the numbers begin at 0 again.
        advice: in a last message after all answers: which settings find nothing in the last listing.
    """

    at: str
    source: str
    requested: str | None = None
    records: list[int] | None = None
    new: list[Record] = []
    read: list[ReadRecord] = []
    begins: bool = False
    digest: Digest = Digest("")
    reading: str = ""
    warnings: tuple[str, ...] = ()
    left_out: LeftOutRows | None = None
    incomplete: str | None = None
    message: str | None = None
    advice: tuple[str, ...] | None = None


class AnswerAhead(Struct, frozen=True):
    """A saved answer, whose bytes are read when they are asked for.

    Args:
        at: its time (ISO 8601 UTC).
        source: where it is from.
        number: its place among all.
        requested: the reading of the dialect in which the other process parsed it; None if it did not.
        result: what came of it.
        read: the facts and permissions of the records that no answer before it had.
    """

    at: str
    source: str
    number: int
    requested: str | None = None
    result: ScopeResult | None = None
    read: Mapping[Digest, ReadRecord] = {}


class ReadAhead:
    """The saved answers of a scope, oldest first; each is yielded once. A context manager.

    Args:
        scope: the scope.
        saved: the answers, none of which is read yet.
        processes: 2 to parse in a second process; see `processes_for`. It ends with the block.

    `advice` is, after all answers, which settings find nothing in the last one that the other process parsed.
    """

    def __init__(self, scope: Scope, saved: Iterable[SavedAnswer], *, processes: int) -> None:
        self._scope = scope
        self._own = enumerate(saved)
        # The iterator of answers of one second looks one ahead.
        self._read_here: deque[tuple[int, SavedAnswer]] = deque(maxlen=2)
        self._processes = processes
        self._child: int | None = None
        self._messages: BinaryIO | None = None
        self._is_complete = False
        self.advice: tuple[str, ...] = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        if self._messages:
            self._messages.close()
        if self._child is not None:
            with suppress(ProcessLookupError):
                os.kill(self._child, signal.SIGKILL)
            with suppress(ChildProcessError):  # the system itself waits for it, where SIGCHLD is ignored
                os.waitpid(self._child, 0)

    def start(self, reading: str | None = None, recorded: frozenset[str] = frozenset()) -> None:
        """Start the other process, if there is to be one and it has not started.

        Args:
            reading: the reading of the scope's current listing. Where it is another one, all is parsed here.
            recorded: the times of answers that are in the history, which are not parsed.
        """
        if self._processes < 2 or self._child is not None:  # noqa: PLR2004
            return
        try:
            reader, writer = os.pipe()
        except OSError:  # too many open files
            return
        if 0 < os.sysconf("SC_OPEN_MAX") < writer + _FILES:
            os.close(reader)
            os.close(writer)
            return
        # No handler may run before this process knows the other, nor in the other what is this one's to do.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _HANDLED)
        try:
            self._child = os.fork()
            if self._child == 0:
                os.close(reader)
                _run_child(writer, self._scope, (saved for _, saved in self._own), reading, recorded)
        except OSError:  # too many processes
            os.close(reader)
        else:
            self._messages = os.fdopen(reader, "rb")
        finally:
            os.close(writer)
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def __iter__(self) -> Iterator[AnswerAhead]:
        number = 0
        if self._messages:
            for found in self._decoded(self._messages):
                yield found
                number += 1
            if self._is_complete:
                return
        while (own := self._read(number)) is not None:
            yield AnswerAhead(own.at, own.source, number)
            number += 1

    def answer(self, ahead: AnswerAhead) -> Answer:
        """Return an answer to parse here: the last one, or the one before it."""
        own = self._read(ahead.number)
        assert own
        return own.answer

    def _read(self, number: int) -> SavedAnswer | None:
        """Return an answer by its number, from those that this process reads itself; None after the last."""
        while not self._read_here or self._read_here[-1][0] < number:
            following = next(self._own, None)
            if following is None:
                return None
            self._read_here.append(following)
        return dict(self._read_here)[number]

    def _decoded(self, messages: BinaryIO) -> Iterator[AnswerAhead]:
        """Yield the answers that `_encoded` sent, until a message is cut off."""
        decode = msgspec.msgpack.Decoder(_Parsed).decode
        records: list[Record] = []
        last: ScopeResult | None = None
        number = 0
        while len(size := messages.read(_SIZE)) == _SIZE:
            length = int.from_bytes(size, "big")
            if len(message := messages.read(length)) < length:
                return
            found = decode(message)
            if found.advice is not None:
                self.advice, self._is_complete = found.advice, True
                return
            result = None
            if found.records is not None:
                if found.begins:
                    records = []
                records += found.new
                listing = Listing(
                    {record.model: record for record in map(records.__getitem__, found.records)},
                    found.digest,
                    found.reading,
                    found.warnings,
                    found.left_out,
                )
                dialect = request_dialect(self._scope.gateway, found.reading)
                result = ScopeResult(
                    ListingAnswer(
                        listing, None, Validators(), dialect, found.incomplete, message=found.message
                    )
                )
                last = result
            elif found.requested is not None:
                assert last
                result = last
            read = {record.digest: each for record, each in zip(found.new, found.read, strict=False)}
            yield AnswerAhead(found.at, found.source, number, found.requested, result, read)
            number += 1


def _run_child(
    writer: int,
    scope: Scope,
    saved: Iterable[SavedAnswer],
    reading: str | None,
    recorded: frozenset[str],
) -> None:
    """Send the answers, and end this process; what fails here fails again in the other, which reports it."""
    try:
        for number in _HANDLED:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _HANDLED)
        # The files of the database and its locks are the other process's alone.
        os.closerange(3, writer)
        os.closerange(writer + 1, os.sysconf("SC_OPEN_MAX"))
        with _Sender(writer) as sender:
            for each in _encoded(scope, saved, reading, recorded):
                sender.send(each)
    finally:
        os._exit(0)


class _Sender:
    """Sends messages by a thread, so that a full pipe does not hold up the parsing; a context manager.

    At the end of the block all are sent. What keeps messages from being sent ends the process.
    """

    def __init__(self, writer: int) -> None:
        self._writer = writer
        self._waiting = bytearray()
        self._is_complete = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        with self._changed:
            self._is_complete = True
            self._changed.notify()
        self._thread.join()

    def send(self, message: bytes) -> None:
        """Send a message; wait where too much is waiting already."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._waiting) < _MAX_WAITING)
            self._waiting += len(message).to_bytes(_SIZE, "big") + message
            self._changed.notify()

    def _run(self) -> None:
        try:
            with os.fdopen(self._writer, "wb", buffering=0) as pipe:
                while block := self._block():
                    while block:
                        block = block[pipe.write(block) :]
        except (OSError, MemoryError):
            # The other thread would wait for room for ever.
            os._exit(0)

    def _block(self) -> memoryview:
        """Return what is waiting, when there is something; nothing at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._is_complete)
            block, self._waiting = self._waiting, bytearray()
            self._changed.notify()
        return memoryview(block)


def _encoded(
    scope: Scope, saved: Iterable[SavedAnswer], reading: str | None, recorded: frozenset[str]
) -> Iterator[bytes]:
    """Yield what becomes of each answer, as the other process decodes it."""
    reader = AnswerReader({})
    # Rows that are equal to the byte have the same record.
    numbers: dict[int, int] = {}
    numbered: list[Record] = []
    kept = 0
    last: Listing | None = None
    parsed: tuple[ListingAnswer, Answer] | None = None
    encode = msgspec.msgpack.Encoder().encode
    for each in saved:
        if each.at in recorded:
            yield encode(_Parsed(each.at, each.source))
            continue
        answer = each.answer
        found = reader.read_archived(scope, answer, reading).answer
        if not isinstance(found, ListingAnswer) or found.dialect != request_dialect(
            scope.gateway, found.listing.reading
        ):
            yield encode(_Parsed(each.at, each.source))
            continue
        parsed = found, answer
        listing = found.listing
        requested, reading = reading, listing.reading
        if listing is last and not (found.incomplete or found.message):
            yield encode(_Parsed(each.at, each.source, requested or ""))
            continue
        begins = kept > _MAX_KEPT
        if begins:
            numbers, numbered, kept = {}, [], 0
        ids = list(map(id, listing.records.values()))
        new = [
            record for each, record in zip(ids, listing.records.values(), strict=True) if each not in numbers
        ]
        numbers.update(zip(map(id, new), count(len(numbered))))
        numbered += new
        kept += sum(len(record.body) for record in new)
        yield encode(
            _Parsed(
                each.at,
                each.source,
                requested or "",
                list(map(numbers.__getitem__, ids)),
                new,
                # The other process waits for the first list, and reads its records itself.
                [read_record(record, found.dialect.facts) for record in (new if last else ())],
                begins,
                listing.digest,
                listing.reading,
                listing.warnings,
                listing.left_out,
                found.incomplete,
                found.message,
            )
        )
        last = None if found.incomplete or found.message else listing
    advice = setting_advice(scope.gateway.overrides, parsed[0].dialect, parsed[1]) if parsed else ()
    yield encode(_Parsed("", "", advice=advice))


def processes_for(answers: int) -> int:
    """Return how many processes shall read so many answers: 2 where there are two processors."""
    has_two = sys.platform == "linux" and len(os.sched_getaffinity(0)) > 1
    # A fork has none of the other threads, and none of the locks that they may hold.
    return 2 if has_two and answers >= LEAST and threading.active_count() == 1 else 1
