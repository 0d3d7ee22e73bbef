"""Pull and record, in five verbs.

    scopes → fetch → read → judge → diff → record

* fetch   asks every scope; a failure is a value, it stops nobody and changes nothing
* read    turns the bodies of an answer into a listing, once for all scopes that got the same bytes
* judge   believes a listing, or holds it until the next one agrees
* diff    compares it with what the scope is known to offer, once for all scopes that make the same move
* record  writes it all in one transaction, and nothing where nothing happened
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from hashlib import blake2b

from pipeline import dialects
from pipeline.dialects import Answer, Dialect
from pipeline.errors import FetchError, Unreadable
from pipeline.fetch import Ask, Fetched, Fetcher, NotModified, Result, Validators
from pipeline.recording import Heard, Run, Told, Unchanged, record
from pipeline.store import Ref, Store, refs
from pipeline.types import Listing, Scope

OnAnswer = Callable[[Scope, Heard], None]


def sync(
    scopes: Sequence[Scope],
    store: Store,
    fetcher: Callable[[], Fetcher],
    clock: Callable[[], str],
    on_answer: OnAnswer = lambda _scope, _heard: None,
) -> Run:
    """Ask every scope, and record what they said.

    Args:
        scopes: where to ask; at least one.
        store: an open database; the caller holds its lock.
        fetcher: makes the fetcher, inside the event loop.
        clock: gives the time now, in ISO 8601 UTC.
        on_answer: is told of each scope as it answers.

    Raises:
        StoreError: nothing was written.
    """
    started_at = clock()
    heard = pull(scopes, refs(store), fetcher, on_answer)
    with store.transaction():
        return record(heard, scopes, store, started_at=started_at, finished_at=clock())


def pull(
    scopes: Sequence[Scope],
    known: Mapping[str, Ref],
    fetcher: Callable[[], Fetcher],
    on_answer: OnAnswer = lambda _scope, _heard: None,
) -> dict[str, Heard]:
    """Fetch and read every scope; gives what each said, by its name."""
    return asyncio.run(_pull(scopes, known, fetcher, on_answer))


async def _pull(
    scopes: Sequence[Scope],
    known: Mapping[str, Ref],
    fetcher: Callable[[], Fetcher],
    on_answer: OnAnswer,
) -> dict[str, Heard]:
    heard: dict[str, Heard] = {}
    reader = _Reader(known)
    asks = [reader.ask(scope) for scope in scopes]
    async with fetcher() as client, aclosing(client.fetch_all(asks)) as results:
        async for scope, result in results:
            heard[scope.name] = reader.read(scope, result)
            on_answer(scope, heard[scope.name])
    return heard


class _Reader:
    """Reads answers; the same bytes in the same dialect are read once."""

    def __init__(self, known: Mapping[str, Ref]) -> None:
        self._known = known
        self._asked: dict[str, Dialect] = {}
        self._read: dict[tuple[Dialect, str], tuple[Dialect, Listing] | Unreadable] = {}

    def ask(self, scope: Scope) -> Ask:
        """Say how to ask a scope; its answer's tags are sent unless it was read under other rules."""
        ref = self._known.get(scope.name)
        dialect = dialects.to_ask(scope.gateway, ref.reading if ref else None)
        self._asked[scope.name] = dialect
        if ref is None or ref.reading != dialect.reading:
            return Ask(scope, dialect)
        return Ask(scope, dialect, Validators(ref.etag, ref.last_modified))

    def read(self, scope: Scope, result: Result) -> Heard:
        match result:
            case FetchError():
                return Heard(result)
            case NotModified(seconds):
                return Heard(Unchanged(), seconds)
            case Fetched():
                return Heard(self._told(scope, result), result.seconds)

    def _told(self, scope: Scope, fetched: Fetched) -> Told | Unchanged | FetchError:
        asked = self._asked[scope.name]
        fingerprint = _fingerprint(fetched.answer.bodies)
        ref = self._known.get(scope.name)
        if ref and (ref.fingerprint, ref.reading) == (fingerprint, asked.reading):
            return Unchanged()
        key = (asked, fingerprint)
        if key not in self._read:
            self._read[key] = _read(scope, asked, fetched.answer)
        read = self._read[key]
        if isinstance(read, Unreadable):
            return read
        dialect, listing = read
        return Told(listing, fingerprint, fetched.validators, dialect)


def _read(scope: Scope, asked: Dialect, answer: Answer) -> tuple[Dialect, Listing] | Unreadable:
    dialect = dialects.to_read(scope.gateway, asked, answer)
    try:
        return dialect, dialect.read(answer)
    except Unreadable as error:
        return error


def _fingerprint(bodies: Sequence[bytes]) -> str:
    digest = blake2b(digest_size=16)
    for body in bodies:
        digest.update(len(body).to_bytes(8, "big"))
        digest.update(body)
    return digest.hexdigest()
