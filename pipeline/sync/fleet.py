"""Fetch and read in other processes: deal scopes into parts, hand them to an executor, collect the results.

A worker is asked for one part, resolves the secrets where it runs, fetches and reads as a run in one process
does, and keeps nothing. The part of a worker that ended is done again by another; one without results in
time has failed scopes. The executor is one of `sync/executors.py`.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor, CancelledError, as_completed
from contextlib import ExitStack, suppress
from math import ceil
from pathlib import Path
from time import monotonic

from msgspec import Struct

from pipeline import __version__
from pipeline.core.types import Engine, Record, Scope, scopes_by_gateway
from pipeline.errors import FetchError, MissingPart, Unreachable
from pipeline.gateways.client import GatewayClient
from pipeline.gateways.faults import unexpected
from pipeline.gateways.reader import AnswerReader, Pair
from pipeline.secret_refs import COMMAND_TIMEOUT, resolver
from pipeline.store.listings import listing_digests
from pipeline.sync.cache import RunCache
from pipeline.sync.executors import INSTALL, Lost, Workers, scheduler_gone, worker_ended, workers_of
from pipeline.sync.run import OnResult, Results, fetch_pairs, results_of
from pipeline.sync.wire import (
    KnownListing,
    Part,
    TaskEncoder,
    decode_results,
    decode_task,
    encode_results,
    other_version,
)

_ATTEMPTS = 3
"""How often a part is done whose worker ends before it has results."""

_ALLOCATIONS = 100_000
"""Containers that a worker may allocate before garbage is collected, as in the command."""

_GRACE = 10.0
"""The most seconds after the deadline for which results are waited for: they are on their way."""

Answer = tuple[Part, Iterator[tuple[Scope, list[Pair]]] | FetchError]
"""A part, and its scopes with their results, or why there are none."""


def work(message: bytes) -> bytes:
    """Fetch and read the scopes of a task; this is what a worker does. Both are as `wire` encodes them."""
    task = decode_task(message)
    if task is None:
        return other_version()
    thresholds = gc.get_threshold()
    gc.set_threshold(max(_ALLOCATIONS, thresholds[0]))
    try:
        make_client = _client_factory(task.directory, task.deadline, task.peers)
        found = fetch_pairs(task.scopes, task.states, make_client)
        return encode_results(task, [found[scope.name] for scope in task.scopes])
    finally:
        gc.set_threshold(*thresholds)


def _client_factory(
    directory: Path, deadline: float, scopes: tuple[Scope, ...]
) -> Callable[[], GatewayClient]:
    # The event loop ends when its threads do, so that the commands in them must not outlast the run.
    resolve = resolver(directory, timeout=min(COMMAND_TIMEOUT, deadline))
    agent = f"modelwatch/{__version__}"
    return lambda: GatewayClient(resolve, user_agent=agent, deadline=deadline, scopes=scopes)


def deal(scopes: Sequence[Scope], workers: int) -> list[Part]:
    """Deal scopes into a part for each worker at most.

    The scopes of a gateway go to as few workers as share the load evenly, never to more than the requests
    that it allows at a time, which are divided over them.
    """
    dealt = [_Hand() for _ in range(workers)]
    for name, members in sorted(scopes_by_gateway(scopes).items(), key=lambda pair: -len(pair[1])):
        concurrency = min(scope.gateway.limits.concurrency for scope in members)
        share = ceil(len(members) * workers / len(scopes))
        parts = min(workers, concurrency, len(members), share)
        for part, hand in enumerate(sorted(dealt, key=lambda each: len(each.scopes))[:parts]):
            hand.scopes.extend(members[part::parts])
            hand.concurrency[name] = concurrency // parts + (part < concurrency % parts)
    return [Part(tuple(hand.scopes), hand.concurrency) for hand in dealt if hand.scopes]


class _Hand(Struct):
    """The scopes that are dealt to one worker so far; see `Part`."""

    scopes: list[Scope] = []
    concurrency: dict[str, int] = {}


class Fleet(Struct, frozen=True):
    """What a run in parts needs to know of the config.

    Args:
        engine: which workers to use.
        directory: that of the config.
        deadline: seconds that the run may take; a scope without an answer by then fails.
        scopes: all scopes of the config: a gateway may send the secret of one in an answer to another.
    """

    engine: Engine
    directory: Path
    deadline: float
    scopes: tuple[Scope, ...]


def fetch_by_workers(scopes: Sequence[Scope], cache: RunCache, fleet: Fleet, on_result: OnResult) -> Results:
    """Fetch and read every scope, as `fetch_and_read` does, by the workers of a fleet.

    Raises:
        MissingPart: the workers lack this version of the program, or this process a library.
    """
    reader = AnswerReader(cache.states)
    started = monotonic()
    found: dict[str, list[Pair]] = {}

    def note(scope: Scope, pairs: list[Pair]) -> None:
        found[scope.name] = pairs
        for each, result in pairs:
            on_result(each, result)

    def fail(failed: Sequence[Scope], error: FetchError) -> None:
        for scope in failed:
            note(scope, reader.read(scope, error))

    try:
        for part, answer in _answers(scopes, cache, fleet):
            if isinstance(answer, FetchError):
                fail(part.scopes, answer)
            else:
                for scope, pairs in answer:
                    note(scope, pairs)
    except Lost as lost:
        others = [scope for scope in scopes if scope.name not in found]
        if fleet.engine.when_lost == "fail":
            fail(others, Unreachable(str(lost), cure=lost.cure))
        else:
            left = max(1.0, fleet.deadline - (monotonic() - started))
            here = _client_factory(fleet.directory, left, fleet.scopes)
            found |= fetch_pairs(others, cache.states, here, on_result)
    return results_of(scopes, found)


def _answers(scopes: Sequence[Scope], cache: RunCache, fleet: Fleet) -> Iterator[Answer]:
    """Yield each part with its results, as they come.

    Raises:
        Lost: the scheduler is gone; the parts that were not yielded have no results.
        MissingPart: the workers lack this version of the program, or this process a library.
    """
    listings = _known_listings(cache, {scope.gateway.name for scope in scopes})

    def records(known: KnownListing) -> Mapping[str, Record]:
        return cache.listing(listings[known]).records if known in listings else {}

    encoder = TaskEncoder(fleet.scopes, cache.states, listings, fleet.directory, fleet.deadline)
    with workers_of(fleet.engine, fleet.deadline) as workers:
        parts = deal(scopes, workers.number)
        for number, answer in _replies(workers, [encoder.encode(part) for part in parts], fleet.deadline):
            part = parts[number]
            if isinstance(answer, bytes):
                found = decode_results(answer, part, records)
                if found is None:
                    raise MissingPart(f"a worker has another version of modelwatch: {INSTALL}")
                yield part, found
            else:
                yield part, answer


def _known_listings(cache: RunCache, gateways: set[str]) -> dict[KnownListing, int]:
    """Return the ids of the listings that scopes of some gateways have, as their current or held ones."""
    states = [each for each in cache.states.values() if each.name.partition("/")[0] in gateways]
    held = listing_digests(cache.store, {each.held for each in states if each.held is not None})
    found: dict[KnownListing, int] = {}
    for state in states:
        gateway = state.name.partition("/")[0]
        if state.listing is not None and state.digest is not None and state.reading is not None:
            found[gateway, state.digest, state.reading] = state.listing
        if state.held is not None:
            found[gateway, *held[state.held]] = state.held
    return found


def _replies(
    workers: Workers, tasks: Sequence[bytes], deadline: float
) -> Iterator[tuple[int, bytes | FetchError]]:
    """Yield the number of each task with what its worker returned, or why there is nothing."""
    ends = monotonic() + deadline + min(_GRACE, deadline / 2)
    waiting = dict(enumerate(tasks))
    for attempt in range(_ATTEMPTS):
        with ExitStack() as stack:
            # A worker takes its whole pool along: after the first time each task has one of its own.
            pools = [stack.enter_context(workers.pool(len(waiting)))] if not attempt else []
            futures = {}
            for number, task in waiting.items():
                pool = pools[0] if pools else stack.enter_context(workers.pool(1))
                with suppress(BrokenExecutor):
                    futures[workers.submit(pool, work, task)] = number
            try:
                for future in as_completed(futures, timeout=max(0.0, ends - monotonic())):
                    number = futures.pop(future)
                    try:
                        reply: bytes | FetchError = future.result()
                    except BrokenExecutor:
                        continue
                    except CancelledError as error:
                        raise scheduler_gone("is gone") from error
                    except Exception as error:  # noqa: BLE001 - no part stops the others
                        reply = workers.explained(error) or unexpected(error)
                    del waiting[number]
                    yield number, reply
            except TimeoutError:
                late = f"its worker had no results within the {deadline:g} s of `deadline`"
                cure = "look whether the machine of the worker is overloaded, or set `workers` higher"
                yield from ((number, Unreachable(late, cure=cure)) for number in waiting)
                return
        if not waiting:
            return
    yield from ((number, worker_ended()) for number in waiting)
