"""What goes to a worker and what comes back, as bytes: references of secrets and digests, never a secret.

A worker gets the scopes of a part, and what is known of each: the fingerprint, validators and digest of its
last answer. It returns what differs from that. A failure is sent once for all scopes that share it, a listing
once, and only if it is new to the coordinator; of a scope with nothing new, only how long it took.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from socket import gethostname
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import Struct
from msgspec.structs import astuple, replace

from pipeline import __version__
from pipeline.core.types import (
    AccessToken,
    Anonymous,
    Cookie,
    Credential,
    Digest,
    Gateway,
    Key,
    LeftOutRows,
    Listing,
    Login,
    Outcome,
    Record,
    Scope,
    ScopeState,
)
from pipeline.errors import FetchError, Refused, Throttled, Unreachable, Unreadable, Unresolved
from pipeline.gateways.dialects import (
    Dialect,
    group_models_dialect,
    groups_dialect,
    listing_dialect,
)
from pipeline.gateways.reader import Pair, group_scope
from pipeline.gateways.types import GroupGone, ListingAnswer, ScopeResult, Unchanged, Validators

_T = TypeVar("_T")

KnownListing = tuple[str, Digest, str]
"""A listing that the coordinator has: its gateway, digest and reading."""

_CREDENTIALS: tuple[type[Credential], ...] = (Anonymous, Key, Cookie, AccessToken, Login)
_ERRORS = {each.__name__: each for each in (Unreachable, Refused, Unreadable)}

_NO_SECONDS = 0xFFFF
_PER_SECOND = 100
"""How exactly durations come back, in two bytes: hundredths of a second, up to eleven minutes."""


class Part(Struct, frozen=True):
    """Scopes for one worker, and how many requests it may have at a gateway at a time, by its name."""

    scopes: tuple[Scope, ...]
    concurrency: Mapping[str, int]


class _Known(Struct, frozen=True, array_like=True):
    """What is known of the last answer of a scope."""

    reading: str | None
    digest: Digest | None
    fingerprint: str | None
    etag: str | None
    last_modified: str | None
    left_out: str | None


class _Peers(Struct, frozen=True, array_like=True):
    """The credentials at a gateway, each with the number of its settings; see `_as_list`.

    All of them are sent with each part: a gateway may send the secret of one scope in an answer to another.
    """

    gateways: list[Gateway]
    references: list[str]
    credentials: list[tuple[int, list[Any]]]


class _Row(Struct, frozen=True, array_like=True):
    """A scope of a part: the numbers of its gateway, of its credential there, and of what is known of it."""

    gateway: int
    credential: int
    name: str
    known: int | None
    group: str | None = None
    all_groups: bool = False


class _Group(Struct, frozen=True, array_like=True):
    """The recorded scope of a user's group, and the number of what is known of it."""

    name: str
    group: str | None
    is_retired: bool
    known: int


class _Task(Struct, frozen=True, array_like=True):
    directory: str
    deadline: float
    gateways: list[tuple[int, msgspec.Raw]]
    known: list[_Known]
    rows: list[_Row]
    groups: list[_Group]
    held: list[KnownListing]


class Task(Struct, frozen=True):
    """The work of one worker.

    Args:
        directory: that of the config, for relative paths of secrets.
        deadline: seconds after which scopes without an answer fail.
        scopes: those to ask; their thresholds are not sent.
        peers: scopes with all credentials of their gateways, to find these in answers.
        states: what is known of the scopes, by name.
        listings: those that the coordinator has.
    """

    directory: Path
    deadline: float
    scopes: tuple[Scope, ...]
    peers: tuple[Scope, ...]
    states: Mapping[str, ScopeState]
    listings: frozenset[KnownListing]


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
        self._credentials: dict[str, int] = {}
        self._peers: dict[str, msgspec.Raw] = {}
        by_gateway: dict[str, list[Scope]] = {}
        for scope in peers:
            by_gateway.setdefault(scope.gateway.name, []).append(scope)
        for name, scopes in by_gateway.items():
            gateways, references = _Numbers[Gateway](), _Numbers[str]()
            self._credentials |= {scope.name: number for number, scope in enumerate(scopes)}
            credentials = [
                (gateways.of(scope.gateway), _as_list(scope.credential, references)) for scope in scopes
            ]
            found = _Peers(gateways.values(), references.values(), credentials)
            self._peers[name] = msgspec.Raw(_encode(found))

    def encode(self, part: Part) -> bytes:
        """Return the task of a part."""
        known = _Numbers[_Known]()
        places = {name: place for place, name in enumerate(part.concurrency)}
        rows: list[_Row] = []
        groups: list[_Group] = []
        for scope in part.scopes:
            number = self._known(known, scope.name)
            place = places[scope.gateway.name]
            credential = self._credentials[scope.name]
            rows.append(_Row(place, credential, scope.name, number, scope.group, scope.all_groups))
            if scope.all_groups:
                groups += self._groups(known, f"{scope.name}.")
        gateways = [(part.concurrency[name], self._peers[name]) for name in places]
        held = [each for each in self._listings if each[0] in places]
        task = _Task(str(self._directory), self._deadline, gateways, known.values(), rows, groups, held)
        return _encode((__version__, task))

    def _known(self, known: _Numbers[_Known], name: str) -> int | None:
        state = self._states.get(name)
        if state is None:
            return None
        return known.of(
            _Known(
                state.reading,
                state.digest,
                state.fingerprint,
                state.etag,
                state.last_modified,
                state.left_out,
            )
        )

    def _groups(self, known: _Numbers[_Known], prefix: str) -> Iterable[_Group]:
        for name, state in self._states.items():
            if name.startswith(prefix):
                number = self._known(known, name)
                assert number is not None
                yield _Group(name, state.group_name, state.outcome == Outcome.RETIRED, number)


def decode_task(message: bytes) -> Task | None:
    """Return a task; None for one of another version of this program."""
    version, body = msgspec.msgpack.decode(message, type=tuple[str, msgspec.Raw])
    if version != __version__:
        return None
    found = msgspec.msgpack.decode(body, type=_Task)
    peers: list[list[Scope]] = []
    for concurrency, each in found.gateways:
        of_gateway = msgspec.msgpack.decode(each, type=_Peers)
        gateways = [
            replace(gateway, limits=replace(gateway.limits, concurrency=concurrency))
            for gateway in of_gateway.gateways
        ]
        peers.append(
            [
                Scope("", gateways[number], _credential(values, of_gateway.references))
                for number, values in of_gateway.credentials
            ]
        )
    scopes = tuple(
        Scope(row.name, peer.gateway, peer.credential, row.group, all_groups=row.all_groups)
        for row in found.rows
        for peer in (peers[row.gateway][row.credential],)
    )
    states = {
        row.name: _state(row.name, found.known[row.known]) for row in found.rows if row.known is not None
    }
    for group in found.groups:
        outcome = Outcome.RETIRED if group.is_retired else None
        states[group.name] = _state(group.name, found.known[group.known], group.group, outcome)
    return Task(
        Path(found.directory),
        found.deadline,
        scopes,
        tuple(scope for of_gateway in peers for scope in of_gateway),
        states,
        frozenset(found.held),
    )


def _state(name: str, known: _Known, group: str | None = None, outcome: Outcome | None = None) -> ScopeState:
    return ScopeState(
        id=0,
        name=name,
        group_name=group,
        listing=None,
        digest=known.digest,
        reading=known.reading,
        held=None,
        outcome=outcome,
        error_class=None,
        began=None,
        fingerprint=known.fingerprint,
        etag=known.etag,
        last_modified=known.last_modified,
        left_out=known.left_out,
    )


class _Listing(Struct, frozen=True, array_like=True):
    """A listing; `records` are the numbers of its records, None where the coordinator has them."""

    digest: Digest
    reading: str
    warnings: tuple[str, ...]
    left_out: LeftOutRows | None
    records: list[int] | None


class _Listed(Struct, frozen=True, array_like=True, tag=0):
    listing: int
    fingerprint: str | None
    etag: str | None
    last_modified: str | None
    incomplete: str | None
    message: str | None


class _Failed(Struct, frozen=True, array_like=True, tag=1):
    kind: str
    problem: str
    cure: str | None
    status: int | None
    about_request: bool
    retry_after: float | None


class _Gone(Struct, frozen=True, array_like=True, tag=2):
    record: str


class _Same(Struct, frozen=True, array_like=True, tag=3):
    pass


_Answer = _Listed | _Failed | _Gone | _Same


class _Results(Struct, frozen=True, array_like=True):
    """The results of a part, and the name of the worker's host.

    `found` has the place of a scope in the part, the name of the group for a scope of one, and the number of
    the answer. Scopes that are not in it are unchanged. `seconds` has two bytes for each scope of the part.
    """

    host: str
    seconds: bytes
    records: list[Record]
    listings: list[_Listing]
    answers: list[_Answer]
    found: list[tuple[int, str | None, int]]


def encode_results(task: Task, results: Sequence[Sequence[Pair]]) -> bytes:
    """Return the results of a task: those of each scope together, in the order of the scopes."""
    encoder = _ResultsEncoder(task)
    seconds, found = array("H"), []
    for place, (scope, pairs) in enumerate(zip(task.scopes, results, strict=True)):
        seconds.append(_hundredths(pairs[0][1].seconds))
        for each, result in pairs:
            if scope.all_groups or not _is_same(result.answer, task.states.get(scope.name)):
                number = encoder.number(result.answer, scope.gateway.name)
                found.append((place, each.group if scope.all_groups and each is not scope else None, number))
    return _encode((__version__, encoder.results(seconds.tobytes(), found)))


def other_version() -> bytes:
    """Return the results of a task that is of another version of this program."""
    return _encode((__version__, None))


class _ResultsEncoder:
    """Numbers the answers of a task, their listings and records, each once."""

    def __init__(self, task: Task) -> None:
        self._listings_there = task.listings
        self._answers = _Numbers[_Answer]()
        self._numbers: dict[tuple[object, ...], int] = {}
        self._listings: list[_Listing] = []
        self._record_numbers: dict[tuple[str, Digest], int] = {}
        self._records: list[Record] = []

    def number(self, answer: ListingAnswer | Unchanged | GroupGone | FetchError, gateway: str) -> int:
        """Return the number of an answer of a gateway."""
        match answer:
            case ListingAnswer(listing, fingerprint, validators, incomplete=incomplete, message=message):
                number = self._listing(listing, gateway)
                tags = (validators.etag, validators.last_modified)
                return self._answers.of(_Listed(number, fingerprint, *tags, incomplete, message))
            case FetchError():
                kind, wait = type(answer).__name__, getattr(answer, "retry_after", None)
                about = (answer.problem, answer.cure, answer.status, answer.about_request)
                return self._answers.of(_Failed(kind, *about, wait))
            case GroupGone(record):
                return self._answers.of(_Gone(record))
            case Unchanged():
                return self._answers.of(_Same())

    def _listing(self, listing: Listing, gateway: str) -> int:
        key = (gateway, listing.digest, listing.reading, listing.warnings, listing.left_out)
        if key not in self._numbers:
            is_there = key[:3] in self._listings_there
            records = None if is_there else [self._record(each) for each in listing.records.values()]
            self._numbers[key] = len(self._listings)
            self._listings.append(_Listing(*key[1:], records))
        return self._numbers[key]

    def _record(self, record: Record) -> int:
        number = self._record_numbers.setdefault((record.model, record.digest), len(self._records))
        if number == len(self._records):
            self._records.append(record)
        return number

    def results(self, seconds: bytes, found: list[tuple[int, str | None, int]]) -> _Results:
        """Return the results of the task."""
        answers = self._answers.values()
        return _Results(gethostname(), seconds, self._records, self._listings, answers, found)


def decode_results(
    message: bytes, part: Part, read: Callable[[KnownListing], Listing]
) -> Iterator[tuple[Scope, list[Pair]]] | None:
    """Yield each scope of a part with its results; None for those of another version of this program.

    Args:
        message: what `encode_results` returned.
        part: the part.
        read: returns a listing that the coordinator has.
    """
    version, body = msgspec.msgpack.decode(message, type=tuple[str, msgspec.Raw])
    if version != __version__:
        return None
    return _pairs(msgspec.msgpack.decode(body, type=_Results), part, read)


def _pairs(
    results: _Results, part: Part, read: Callable[[KnownListing], Listing]
) -> Iterator[tuple[Scope, list[Pair]]]:
    decoder = _ResultsDecoder(results, read)
    found: dict[int, list[tuple[str | None, int]]] = {}
    for place, group, number in results.found:
        found.setdefault(place, []).append((group, number))
    for place, (scope, hundredths) in enumerate(zip(part.scopes, array("H", results.seconds), strict=True)):
        seconds = None if hundredths == _NO_SECONDS else hundredths / _PER_SECOND
        if place not in found:
            yield scope, [(scope, ScopeResult(Unchanged(), seconds))]
            continue
        pairs = []
        for group, number in found[place]:
            each = scope if group is None else group_scope(scope, group)
            pairs.append((each, ScopeResult(decoder.answer(number, scope, each), seconds)))
        yield scope, pairs


class _ResultsDecoder:
    """Makes the answers of results again; scopes with equal answers share them."""

    def __init__(self, results: _Results, read: Callable[[KnownListing], Listing]) -> None:
        self._results = results
        self._read = read
        self._listings: dict[tuple[int, str], Listing] = {}
        self._dialects: dict[tuple[Gateway, str, bool, bool], Dialect] = {}

    def answer(
        self, number: int, scope: Scope, each: Scope
    ) -> ListingAnswer | Unchanged | GroupGone | FetchError:
        """Return an answer by its number, for a scope that was asked and that itself, or that of a group."""
        match self._results.answers[number]:
            case _Listed(place, fingerprint, etag, last_modified, incomplete, message):
                listing = self._listing(place, scope.gateway.name)
                validators = Validators(etag, last_modified)
                dialect = self._dialect(listing.reading, scope, is_group=each is not scope)
                return ListingAnswer(listing, fingerprint, validators, dialect, incomplete, (), message)
            case _Failed() as failed:
                return _error(failed, self._results.host)
            case _Gone(record):
                return GroupGone(record)
            case _Same():
                return Unchanged()

    def _listing(self, place: int, gateway: str) -> Listing:
        if (place, gateway) not in self._listings:
            sent = self._results.listings[place]
            if sent.records is None:
                listing = self._read((gateway, sent.digest, sent.reading))
                listing = replace(listing, warnings=sent.warnings, left_out=sent.left_out)
            else:
                records = map(self._results.records.__getitem__, sent.records)
                by_model = {record.model: record for record in records}
                listing = Listing(by_model, sent.digest, sent.reading, sent.warnings, sent.left_out)
            self._listings[place, gateway] = listing
        return self._listings[place, gateway]

    def _dialect(self, reading: str, scope: Scope, *, is_group: bool) -> Dialect:
        key = (scope.gateway, reading, scope.all_groups, is_group)
        if key not in self._dialects:
            if is_group:
                self._dialects[key] = group_models_dialect(scope.gateway)
            elif scope.all_groups:
                self._dialects[key] = groups_dialect(scope.gateway)
            else:
                self._dialects[key] = listing_dialect(scope.gateway, reading)
        return self._dialects[key]


def _error(failed: _Failed, host: str) -> FetchError:
    match failed.kind:
        case "Unresolved":
            # Its path is on the other machine.
            where = "" if host == gethostname() else f"on the worker {host}: "
            return Unresolved(f"{where}{failed.problem}", cure=failed.cure)
        case "Throttled":
            return Throttled(failed.problem, status=failed.status, retry_after=failed.retry_after)
        case kind:
            return _ERRORS[kind](
                failed.problem,
                status=failed.status,
                cure=failed.cure,
                about_request=failed.about_request,
            )


def _is_same(answer: object, state: ScopeState | None) -> bool:
    """Return whether an answer changes nothing: it has the bytes of the last one, or its records."""
    match answer:
        case Unchanged():
            return True
        case ListingAnswer(listing, incomplete=None) if state is not None:
            left_out = listing.left_out.text() if listing.left_out else None
            return (listing.digest, listing.reading, left_out) == (
                state.digest,
                state.reading,
                state.left_out,
            )
        case _:
            return False


def _hundredths(seconds: float | None) -> int:
    return _NO_SECONDS if seconds is None else min(round(seconds * _PER_SECOND), _NO_SECONDS - 1)


def _as_list(credential: Credential, references: _Numbers[str]) -> list[object]:
    """Return the kind of a credential by its number, and its values: of the reference, the number."""
    values: list[object] = [_CREDENTIALS.index(type(credential)), *astuple(credential)]
    if not isinstance(credential, Anonymous):
        values[_place_of_reference(type(credential))] = references.of(credential.reference)
    return values


def _credential(values: list[Any], references: Sequence[str]) -> Credential:
    kind = _CREDENTIALS[values[0]]
    if kind is not Anonymous:
        place = _place_of_reference(kind)
        values[place] = references[values[place]]
    found: Credential = kind(*values[1:])
    return found


@cache
def _place_of_reference(kind: type[Credential]) -> int:
    return 1 + kind.__struct_fields__.index("reference")


class _Numbers(Generic[_T]):
    """Numbers values in the order in which they come, equal ones once."""

    def __init__(self) -> None:
        self._numbers: dict[_T, int] = {}

    def of(self, value: _T) -> int:
        """Return the number of a value."""
        return self._numbers.setdefault(value, len(self._numbers))

    def values(self) -> list[_T]:
        """Return the values by their numbers."""
        return list(self._numbers)


_encode = msgspec.msgpack.Encoder().encode
