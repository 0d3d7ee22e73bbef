"""One run of the job, as a pipeline of five steps.

    scopes → fetch → read → decide → diff → record

* fetch   asks every scope; an error is a value that stops no other scope       `gateways/client.py`
* read    parses bodies into listings, each distinct body once                  `gateways/reader.py`
* decide  accepts, holds or fails each answer, without I/O                      `sync/decide.py`
* diff    compares two listings, once for all scopes with the same two          `core/diff.py`
* record  writes the results, all in one transaction                            `sync/record.py`
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from pipeline.core.shards import Shard
from pipeline.core.types import Scope, ScopeState
from pipeline.gateways.reader import AnswerReader, Pair
from pipeline.gateways.types import ScopeResult
from pipeline.store import Store
from pipeline.sync.cache import RunCache
from pipeline.sync.decide import decide
from pipeline.sync.record import RunTotals, record

if TYPE_CHECKING:  # an import of saved answers needs no client
    from pipeline.gateways.client import GatewayClient

OnResult = Callable[[Scope, ScopeResult], None]


class Results(Struct, frozen=True):
    """The result of every scope, by its name; `scopes` includes those of a user's groups."""

    scopes: tuple[Scope, ...]
    results: dict[str, ScopeResult]


Fetch = Callable[[Sequence[Scope], RunCache, OnResult], Results]
"""Fetches and reads scopes; calls the last argument for each result."""


def sync(
    scopes: Sequence[Scope],
    store: Store,
    make_client: Callable[[], GatewayClient],
    clock: Callable[[], str],
    on_result: OnResult = lambda _scope, _result: None,
    *,
    before_commit: Callable[[], None] = lambda: None,
    all_scopes: bool = True,
    fetch: Fetch | None = None,
    shard: Shard | None = None,
) -> RunTotals:
    """Ask every scope, and record the results.

    Args:
        scopes: the scopes to ask.
        store: an open database; the caller holds its lock.
        make_client: makes the client, inside the event loop.
        clock: returns the time now, in ISO 8601 UTC.
        on_result: called for each scope with its result.
        before_commit: called before the commit, to write more in the same transaction.
        all_scopes: these are all the scopes of the config; others are retired.
        fetch: lets others fetch and read, such as `fetch_by_workers`; None for this process alone.
        shard: these are all of one shard only, and others of it are retired.

    Raises:
        StoreError: nothing was written.
    """
    started_at = clock()
    cache = RunCache(store, None if all_scopes and not shard else scopes)
    if fetch is None:
        fetched = fetch_and_read(scopes, cache.states, make_client, on_result)
    else:
        fetched = fetch(scopes, cache, on_result)
    with store.transaction():
        totals = decide_and_record(
            fetched.results,
            fetched.scopes,
            cache,
            started_at=started_at,
            finished_at=clock(),
            all_scopes=all_scopes,
            shard=shard,
        )
        before_commit()
    return totals


def fetch_and_read(
    scopes: Sequence[Scope],
    states: Mapping[str, ScopeState],
    make_client: Callable[[], GatewayClient],
    on_result: OnResult = lambda _scope, _result: None,
    *,
    advise: bool = False,
) -> Results:
    """Fetch and read every scope; `states` are those of recorded scopes, by name; see `AnswerReader`."""
    return results_of(scopes, fetch_pairs(scopes, states, make_client, on_result, advise=advise))


def fetch_pairs(
    scopes: Sequence[Scope],
    states: Mapping[str, ScopeState],
    make_client: Callable[[], GatewayClient],
    on_result: OnResult = lambda _scope, _result: None,
    *,
    advise: bool = False,
) -> dict[str, list[Pair]]:
    """Fetch and read every scope; return its result, and those of a user's groups, by its name."""
    import asyncio  # an import of saved answers needs no event loop

    reader = AnswerReader(states, advise=advise)
    return asyncio.run(_fetch_pairs(scopes, reader, make_client, on_result))


def results_of(scopes: Sequence[Scope], found: Mapping[str, Sequence[Pair]]) -> Results:
    """Return the results of scopes, in their order, from those of each by its name."""
    pairs = [pair for scope in scopes for pair in found[scope.name]]
    return Results(tuple(scope for scope, _ in pairs), {scope.name: result for scope, result in pairs})


def fetch_once(
    scopes: Sequence[Scope], make_client: Callable[[], GatewayClient], on_result: OnResult
) -> Results:
    """Fetch and read every scope in full, without retries, with advice for the config."""
    return fetch_and_read(tuple(map(_without_retries, scopes)), {}, make_client, on_result, advise=True)


def _without_retries(scope: Scope) -> Scope:
    gateway = replace(scope.gateway, limits=replace(scope.gateway.limits, attempts=1))
    return replace(scope, gateway=gateway)


async def _fetch_pairs(
    scopes: Sequence[Scope],
    reader: AnswerReader,
    make_client: Callable[[], GatewayClient],
    on_result: OnResult,
) -> dict[str, list[Pair]]:
    found: dict[str, list[Pair]] = {}
    requests = [reader.request(scope) for scope in scopes]
    async with make_client() as client, aclosing(client.fetch_all(requests)) as outcomes:
        async for scope, outcome in outcomes:
            found[scope.name] = reader.read(scope, outcome)
            for each, result in found[scope.name]:
                on_result(each, result)
    return found


def decide_and_record(
    results: Mapping[str, ScopeResult],
    scopes: Sequence[Scope],
    cache: RunCache,
    *,
    started_at: str,
    finished_at: str,
    all_scopes: bool = False,
    shard: Shard | None = None,
    imported: bool = False,
    asked: bool = True,
) -> RunTotals:
    """Decide on the results of a run, compare and record them; must run inside `store.transaction()`.

    Args:
        results: by the name of the scope.
        scopes: those that were asked.
        cache: the cache of the database.
        started_at: when the run began, in ISO 8601 UTC.
        finished_at: when it ended.
        all_scopes: these are all the scopes of the config; others are retired.
        shard: these are all of one shard only, and others of it are retired.
        imported: the answers were saved earlier; this is not a run.
        asked: runs ask these scopes; if not, they are kept as history only.
    """
    scope_ids = cache.enroll(scopes, results, asked=asked)
    if all_scopes:
        cache.ledger.retire_others(scope_ids, shard)
    # Compare under the present rules of parsing: a change of rules must not be reported as one of a gateway.
    reparsed = cache.reparse(scopes, results)
    decisions = decide(results, scopes, cache.states, reparsed, cache, at=started_at, imported=imported)
    return record(
        decisions, reparsed, cache, started_at=started_at, finished_at=finished_at, imported=imported
    )
