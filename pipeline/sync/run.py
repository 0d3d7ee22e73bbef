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
from dataclasses import dataclass

from pipeline.core.types import Scope, ScopeState
from pipeline.gateways.client import GatewayClient
from pipeline.gateways.reader import AnswerReader
from pipeline.gateways.types import ScopeResult
from pipeline.store import Store
from pipeline.sync.record import RunCache, RunTotals, record

OnAnswer = Callable[[Scope, ScopeResult], None]


def sync(
    scopes: Sequence[Scope],
    store: Store,
    fetcher: Callable[[], GatewayClient],
    clock: Callable[[], str],
    on_answer: OnAnswer = lambda _scope, _heard: None,
    *,
    with_it: Callable[[], None] = lambda: None,
    everything: bool = True,
) -> RunTotals:
    """Ask every scope, and record what they said.

    Args:
        scopes: where to ask; at least one.
        store: an open database; the caller holds its lock.
        fetcher: makes the fetcher, inside the event loop.
        clock: gives the time now, in ISO 8601 UTC.
        on_answer: is told of each scope as it answers.
        with_it: what else is to be written, all or nothing, with what was heard.
        everything: these are all the scopes there are: others are retired.

    Raises:
        StoreError: nothing was written.
    """
    started_at = clock()
    recorder = RunCache(store)
    pulled = fetch_and_read(scopes, recorder.refs, fetcher, on_answer)
    with store.transaction():
        run = record(
            pulled.heard,
            pulled.scopes,
            recorder,
            started_at=started_at,
            finished_at=clock(),
            everything=everything,
        )
        with_it()
    return run


@dataclass(frozen=True, slots=True)
class Results:
    """What every scope said, by its name; `scopes` has also those that were made of a user's groups."""

    scopes: tuple[Scope, ...]
    heard: dict[str, ScopeResult]


def fetch_and_read(
    scopes: Sequence[Scope],
    known: Mapping[str, ScopeState],
    fetcher: Callable[[], GatewayClient],
    on_answer: OnAnswer = lambda _scope, _heard: None,
) -> Results:
    """Fetch and read every scope."""
    return asyncio.run(_fetch_and_read(scopes, known, fetcher, on_answer))


async def _fetch_and_read(
    scopes: Sequence[Scope],
    known: Mapping[str, ScopeState],
    fetcher: Callable[[], GatewayClient],
    on_answer: OnAnswer,
) -> Results:
    reader = AnswerReader(known)
    found: dict[str, list[tuple[Scope, ScopeResult]]] = {}
    asks = [reader.ask(scope) for scope in scopes]
    async with fetcher() as client, aclosing(client.fetch_all(asks)) as results:
        async for scope, result in results:
            found[scope.name] = reader.read(scope, result)
            for each, heard in found[scope.name]:
                on_answer(each, heard)
    told = [pair for scope in scopes for pair in found[scope.name]]
    return Results(tuple(scope for scope, _ in told), {scope.name: heard for scope, heard in told})
