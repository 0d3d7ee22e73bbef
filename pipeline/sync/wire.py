"""What goes to a worker and what comes back, as bytes: references of secrets and digests, never a secret.

A worker gets the scopes of a part, and what is known of the last answer of each. It returns what differs from
that: a failure once for all scopes that share it, and of a listing that the coordinator has, its digest.
Values are pickled, as executors do it with theirs: https://docs.python.org/3/library/pickle.html.
"""

from __future__ import annotations

import pickle
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from socket import gethostname
from typing import Any

from msgspec import Struct
from msgspec.structs import astuple, replace

from pipeline import __version__
from pipeline.core.types import Digest, Gateway, Outcome, Record, Scope, ScopeState, scopes_by_gateway
from pipeline.errors import FetchError, Unresolved
from pipeline.gateways.reader import Pair, group_scope, is_described_otherwise
from pipeline.gateways.types import GroupGone, ListingAnswer, ScopeResult, Unchanged

KnownListing = tuple[str, Digest, str]
"""A listing that the coordinator has: its gateway, digest and reading."""

Records = Callable[[KnownListing], Mapping[str, Record]]

_Row = tuple[str, int, str | None, bool, ScopeState | None]

Answer = ListingAnswer | Unchanged | GroupGone | FetchError

_VERSION = f"{__version__}\n".encode()

_NO_SECONDS = 0xFFFF
_PER_SECOND = 100
"""How exactly durations come back, in two bytes: hundredths of a second, up to eleven minutes."""


class Part(Struct, frozen=True):
    """Scopes for one worker, those of a gateway together.

    `concurrency` is how many requests it may have at a gateway at a time, by its name.
    """

    scopes: tuple[Scope, ...]
    concurrency: Mapping[str, int]


class Task(Struct, frozen=True):
    """The work of one worker.

    Args:
        directory: that of the config, for relative paths of secrets.
        deadline: seconds after which scopes without an answer fail.
        host: the name of the coordinator's host.
        listings: those that the coordinator has.
        scopes: those to ask; their thresholds are not sent.
        states: what is known of the last answers of scopes, by name.
        peers: scopes with all credentials of their gateways, to find these in answers.
    """

    directory: Path
    deadline: float
    host: str
    listings: frozenset[KnownListing]
    scopes: tuple[Scope, ...]
    states: Mapping[str, ScopeState]
    peers: tuple[Scope, ...]


class _GatewayTask(Struct, frozen=True):
    """The scopes of one gateway in a task.

    Args:
        concurrency: how many requests the worker may have at a time.
        peers: the gateway and the credential of all scopes of the config there: a gateway may send the secret
            of one scope in an answer to another.
        rows: of each scope to ask, its name, the place of its credential in `peers`, its group, whether all
            groups are to be listed, and what is known of its last answer.
    """

    concurrency: int
    peers: bytes
    rows: list[_Row]


class _Task(Struct, frozen=True):
    directory: Path
    deadline: float
    host: str
    listings: frozenset[KnownListing]
    gateways: list[_GatewayTask]
    groups: dict[str, ScopeState]


class TaskEncoder:
    """Encodes the tasks of a run.

    Args:
        peers: all scopes of the config.
        states: those of recorded scopes, by name.
        listings: those that the coordinator has.
        directory: that of the config.
        deadline: seconds after which scopes without an answer fail.
    """

    def __init__(
        self,
        peers: Iterable[Scope],
        states: Mapping[str, ScopeState],
        listings: Iterable[KnownListing],
        directory: Path,
        deadline: float,
    ) -> None:
        self._states = states
        self._listings = tuple(listings)
        self._directory = directory
        self._deadline = deadline
        self._known: dict[ScopeState, ScopeState] = {}
        self._places: dict[str, int] = {}
        self._peers: dict[str, bytes] = {}
        for gateway, scopes in scopes_by_gateway(peers).items():
            self._places |= {scope.name: place for place, scope in enumerate(scopes)}
            # Pickled structs take five times as long as tuples.
            self._peers[gateway] = _encode(
                [(scope.gateway, type(scope.credential), astuple(scope.credential)) for scope in scopes]
            )

    def encode(self, part: Part) -> bytes:
        """Return the task of a part."""
        gateways = [
            _GatewayTask(part.concurrency[gateway], self._peers[gateway], list(map(self._row, scopes)))
            for gateway, scopes in scopes_by_gateway(part.scopes).items()
        ]
        listings = frozenset(each for each in self._listings if each[0] in part.concurrency)
        users = tuple(f"{scope.name}." for scope in part.scopes if scope.all_groups)
        groups = {name: self._of(state) for name, state in self._states.items() if name.startswith(users)}
        return _encode(_Task(self._directory, self._deadline, gethostname(), listings, gateways, groups))

    def _row(self, scope: Scope) -> _Row:
        state = self._states.get(scope.name)
        known = None if state is None else self._of(state)
        return scope.name, self._places[scope.name], scope.group, scope.all_groups, known

    def _of(self, state: ScopeState) -> ScopeState:
        """Return what a worker needs to know of the last answer of a scope; one object for equal values."""
        known = ScopeState(
            id=0,
            name="",
            group_name=state.group_name,
            listing=None,
            digest=state.digest,
            reading=state.reading,
            held=None,
            outcome=Outcome.RETIRED if state.outcome == Outcome.RETIRED else None,
            error_class=None,
            began=None,
            fingerprint=state.fingerprint,
            etag=state.etag,
            last_modified=state.last_modified,
            left_out=state.left_out,
        )
        return self._known.setdefault(known, known)


def decode_task(message: bytes) -> Task | None:
    """Return a task; None for one of another version of this program."""
    task: _Task | None = _decode(message)
    if task is None:
        return None
    scopes: list[Scope] = []
    states = dict(task.groups)
    peers: list[Scope] = []
    for each in task.gateways:
        of_gateway = _peers(each)
        peers += of_gateway
        for name, place, group, all_groups, known in each.rows:
            peer = of_gateway[place]
            scopes.append(Scope(name, peer.gateway, peer.credential, group, all_groups=all_groups))
            if known is not None:
                states[name] = known
    return Task(task.directory, task.deadline, task.host, task.listings, tuple(scopes), states, tuple(peers))


def _peers(task: _GatewayTask) -> list[Scope]:
    limited: dict[int, Gateway] = {}
    found = []
    for gateway, kind, values in _decode(task.peers):
        if id(gateway) not in limited:
            limits = replace(gateway.limits, concurrency=task.concurrency)
            limited[id(gateway)] = replace(gateway, limits=limits)
        found.append(Scope("", limited[id(gateway)], kind(*values)))
    return found


class _Results(Struct, frozen=True):
    """The results of a part.

    Args:
        seconds: how long each of its scopes took, two bytes each.
        answers: different ones; a listing that the coordinator has is without records.
        found: the place of a scope in the part, the name of the group for a scope of one, and the number of
            its answer. Scopes that are not in it are unchanged.
    """

    seconds: bytes
    answers: list[Answer]
    found: list[tuple[int, str | None, int]]


def encode_results(task: Task, results: Sequence[Sequence[Pair]]) -> bytes:
    """Return the results of a task: those of each scope together, in the order of the scopes."""
    seconds = array("H")
    answers: list[Answer] = []
    numbers: dict[tuple[object, ...], int] = {}
    found: list[tuple[int, str | None, int]] = []
    for place, (scope, pairs) in enumerate(zip(task.scopes, results, strict=True)):
        seconds.append(_hundredths(pairs[0][1].seconds))
        for each, result in pairs:
            if not scope.all_groups and _is_same(result.answer, task.states.get(scope.name)):
                continue
            gateway = scope.gateway.name
            number = numbers.setdefault((gateway, *_content(result.answer)), len(answers))
            if number == len(answers):
                answers.append(_shortened(result.answer, gateway, task))
            found.append((place, None if each.name == scope.name else each.group, number))
    return _encode(_Results(seconds.tobytes(), answers, found))


def _is_same(answer: Answer, state: ScopeState | None) -> bool:
    """Return whether an answer changes nothing: it has the bytes of the last one, or its records."""
    match answer:
        case Unchanged():
            return True
        case ListingAnswer(listing, incomplete=None) if state is not None:
            of_listing = (listing.digest, listing.reading)
            return of_listing == (state.digest, state.reading) and not is_described_otherwise(answer, state)
        case _:
            return False


def _content(answer: Answer) -> tuple[object, ...]:
    """Return what equal answers of a gateway have in common, and no others."""
    match answer:
        case ListingAnswer(listing, fingerprint, validators, dialect, incomplete=incomplete, message=message):
            of_listing = (listing.digest, listing.reading, listing.warnings, listing.left_out)
            return (*of_listing, fingerprint, validators, id(dialect), incomplete, message)
        case FetchError():
            return (type(answer), *vars(answer).values())
        case _:
            return (answer,)


def _shortened(answer: Answer, gateway: str, task: Task) -> Answer:
    """Return an answer without what the coordinator has, or must not use."""
    match answer:
        case ListingAnswer(listing) if (gateway, listing.digest, listing.reading) in task.listings:
            return replace(answer, listing=replace(listing, records={}))
        case Unresolved():
            # Its path is on this machine.
            where = "" if task.host == gethostname() else f"on the worker {gethostname()}: "
            return Unresolved(f"{where}{answer.problem}", cure=answer.cure)
        case _:
            return answer


def other_version() -> bytes:
    """Return the results of a task that is of another version of this program."""
    return _encode(None)


def decode_results(message: bytes, part: Part, records: Records) -> Iterator[tuple[Scope, list[Pair]]] | None:
    """Yield each scope of a part with its results; None for those of another version of this program.

    Args:
        message: what `encode_results` returned.
        part: the part.
        records: returns those of a listing that the coordinator has; none for one that it has not.
    """
    results: _Results | None = _decode(message)
    return None if results is None else _pairs(results, part, records)


def _pairs(results: _Results, part: Part, records: Records) -> Iterator[tuple[Scope, list[Pair]]]:
    whole: dict[int, Answer] = {}
    found: dict[int, list[tuple[str | None, int]]] = {}
    for place, group, number in results.found:
        found.setdefault(place, []).append((group, number))
        if number not in whole:
            whole[number] = _whole(results.answers[number], part.scopes[place].gateway.name, records)
    for place, (scope, hundredths) in enumerate(zip(part.scopes, array("H", results.seconds), strict=True)):
        seconds = None if hundredths == _NO_SECONDS else hundredths / _PER_SECOND
        if place not in found:
            yield scope, [(scope, ScopeResult(Unchanged(), seconds))]
            continue
        pairs = []
        for group, number in found[place]:
            each = scope if group is None else group_scope(scope, group)
            pairs.append((each, ScopeResult(whole[number], seconds)))
        yield scope, pairs


def _whole(answer: Answer, gateway: str, records: Records) -> Answer:
    """Return an answer with the records of a listing that the coordinator has."""
    if not isinstance(answer, ListingAnswer) or answer.listing.records:
        return answer
    listing = answer.listing
    whole = replace(listing, records=records((gateway, listing.digest, listing.reading)))
    return replace(answer, listing=whole)


def _hundredths(seconds: float | None) -> int:
    return _NO_SECONDS if seconds is None else min(round(seconds * _PER_SECOND), _NO_SECONDS - 1)


def _encode(value: object) -> bytes:
    return _VERSION + pickle.dumps(value)


def _decode(message: bytes) -> Any:
    """Return what was encoded; None where another version of this program did it."""
    if not message.startswith(_VERSION):
        return None
    # The sender is trusted: an executor, and Dask, unpickle what it sends as well.
    return pickle.loads(memoryview(message)[len(_VERSION) :])  # noqa: S301 - see above
