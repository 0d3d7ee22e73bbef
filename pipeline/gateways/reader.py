"""Parse fetched bodies into listings; equal bytes of one gateway in one dialect are parsed once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from functools import cache, partial
from hashlib import sha256

from msgspec import Struct
from msgspec.structs import replace

from pipeline.core import canonical
from pipeline.core.limits import MAX_BODY, NEW_RECORDS_PER_BODY, RECORD_OVERHEAD
from pipeline.core.types import Digest, Gateway, Outcome, Pairs, Scope, ScopeState
from pipeline.errors import FetchError, Unreadable
from pipeline.gateways import dialects
from pipeline.gateways.cache import BodyCache
from pipeline.gateways.dialects import Answer, Dialect, GroupAnswers, ReadAnswer, RowCache
from pipeline.gateways.faults import unexpected
from pipeline.gateways.types import (
    FetchOutcome,
    FetchRequest,
    FetchResult,
    GroupGone,
    ListingAnswer,
    NotModified,
    ScopeResult,
    Unchanged,
    Validators,
)

Pair = tuple[Scope, ScopeResult]

_FINGERPRINT_DIGITS = 32
_MARK_DIGITS = 8

_SEEN_BODY_SIZE = 512
"""About the bytes that a `_SeenBody` takes."""


class _SeenBody(Struct, frozen=True):
    """The digest of a body, and the parsers that find a whole list in it."""

    fingerprint: str
    whole_by: set[RowCache]


class AnswerReader:
    """A parser of scopes' answers; it also makes their requests.

    Args:
        states: the scopes after the last run, by name.
        advise: find the paths of the config that find nothing, which takes a second parsing.
    """

    def __init__(self, states: Mapping[str, ScopeState], *, advise: bool = False) -> None:
        self._states = states
        self._advise = advise
        self._requested: dict[str, Dialect] = {}
        self._dialects: dict[tuple[Gateway, str | None], Dialect] = {}
        self._row_caches: dict[tuple[Dialect, int], RowCache] = {}
        self._new_records: dict[str, set[Digest]] = {}
        self._new_bytes: dict[str, int] = {}
        self._bodies: BodyCache[_SeenBody] = BodyCache()
        self._parsed: dict[tuple[Gateway, Dialect, str], tuple[Dialect, ReadAnswer] | Unreadable] = {}

    def request(self, scope: Scope) -> FetchRequest:
        """Return the request of a scope; conditional, unless its last answer was read under other rules."""
        if scope.all_groups:
            dialect = dialects.groups_dialect(scope.gateway)
            assert dialect.groups
            return FetchRequest(scope, dialect, dialect.groups.pages)
        state = self._states.get(scope.name)
        dialect = self._request_dialect(scope, state.reading if state else None)
        self._requested[scope.name] = dialect
        rows = self._row_cache(dialect, scope.gateway)
        mark = _layout_mark(scope.gateway)
        if state is None or state.reading != dialect.reading or _mark_of(state.fingerprint) != mark:
            return FetchRequest(scope, dialect, rows.pages)
        validators = Validators(state.etag, state.last_modified)
        is_last = partial(self._is_last, state.fingerprint, mark, rows)
        return FetchRequest(scope, dialect, rows.pages, validators, is_last)

    def _is_last(self, last: str | None, mark: str, rows: RowCache, body: bytes) -> bool:
        """Return whether a body is the last one, and a whole list still.

        Settings may have changed that are neither in the reading nor in the mark, such as `max_models`.
        """
        seen = self._seen_body(body)
        if seen.fingerprint + mark != last:
            return False
        if rows not in seen.whole_by:
            if not rows.is_whole(body):
                return False
            seen.whole_by.add(rows)
        return True

    def read(self, scope: Scope, outcome: FetchOutcome) -> list[Pair]:
        """Parse the outcome of a scope; a scope of all groups has a result of its own and one per group."""
        try:
            found = self._read(scope, outcome)
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 - no gateway stops the run of the others
            found = self._read(scope, unexpected(error))
        if isinstance(outcome, FetchResult):
            return [(each, replace(read, answer=_masked(read.answer, outcome.mask))) for each, read in found]
        return found

    def _read(self, scope: Scope, outcome: FetchOutcome) -> list[Pair]:
        return list(self._read_groups(scope, outcome)) if scope.all_groups else self._read_one(scope, outcome)

    def _read_one(self, scope: Scope, outcome: FetchOutcome) -> list[Pair]:
        match outcome:
            case FetchError():
                return [(scope, ScopeResult(outcome))]
            case NotModified(seconds):
                return [(scope, ScopeResult(Unchanged(), seconds))]
            case FetchResult(answer, validators, seconds):
                parsed = self._parse(scope, self._requested[scope.name], answer, validators)
                return [(scope, ScopeResult(parsed, seconds))]

    def read_archived(self, scope: Scope, answer: Answer, reading: str | None = None) -> ScopeResult:
        """Parse an answer that was saved outside the database.

        Args:
            scope: its scope.
            answer: the answer.
            reading: the reading of the scope's listing before it; None without one.
        """
        requested = self._request_dialect(scope, reading)
        try:
            parsed = self._listing(scope, requested, answer)
        except RecursionError as error:
            parsed = unexpected(error)
        if isinstance(parsed, Unreadable):
            return ScopeResult(parsed)
        dialect, read = parsed
        return ScopeResult(
            ListingAnswer(read.listing, None, Validators(), dialect, read.incomplete, message=read.message)
        )

    def _request_dialect(self, scope: Scope, reading: str | None) -> Dialect:
        key = (scope.gateway, reading)
        if key not in self._dialects:
            self._dialects[key] = dialects.request_dialect(*key)
        return self._dialects[key]

    def _row_cache(self, dialect: Dialect, gateway: Gateway) -> RowCache:
        key = (dialect, gateway.limits.max_models)
        if key not in self._row_caches:
            self._row_caches[key] = RowCache(*key)
        return self._row_caches[key]

    def _parse(
        self, scope: Scope, requested: Dialect, answer: Answer, validators: Validators
    ) -> ListingAnswer | Unchanged | FetchError:
        fingerprint = self._fingerprint(answer) + _layout_mark(scope.gateway)
        state = self._states.get(scope.name)
        if state and (state.fingerprint, state.reading) == (fingerprint, requested.reading):
            return Unchanged()
        # The gateway is in the key: its settings decide whether another dialect may be recognised.
        key = (scope.gateway, requested, fingerprint)
        if key not in self._parsed:
            self._parsed[key] = self._bounded(scope.gateway, self._listing(scope, requested, answer))
        parsed = self._parsed[key]
        if isinstance(parsed, Unreadable):
            return parsed
        dialect, read = parsed
        advice: tuple[str, ...] = ()
        if self._advise and not scope.all_groups:
            advice = dialects.setting_advice(scope.gateway.overrides, dialect, answer)
        return ListingAnswer(
            read.listing, fingerprint, validators, dialect, read.incomplete, advice, read.message
        )

    def _listing(
        self, scope: Scope, requested: Dialect, answer: Answer
    ) -> tuple[Dialect, ReadAnswer] | Unreadable:
        """Parse an answer; one that does not fit the dialect recognised before is recognised anew."""
        gateway = scope.gateway
        dialect = dialects.answer_dialect(gateway, requested, answer)
        try:
            return dialect, self._row_cache(dialect, gateway).parse(answer)
        except Unreadable as error:
            other = dialects.answer_dialect(gateway, dialects.request_dialect(gateway), answer)
            if scope.all_groups or gateway.dialect != dialects.AUTO or other.name == dialect.name:
                return error.as_value()
            try:
                return other, self._row_cache(other, gateway).parse(answer)
            except Unreadable:
                return error.as_value()

    def _bounded(
        self, gateway: Gateway, parsed: tuple[Dialect, ReadAnswer] | Unreadable
    ) -> tuple[Dialect, ReadAnswer] | Unreadable:
        """Return what was parsed, or an error where the records of the gateway are too much for one run."""
        if isinstance(parsed, Unreadable):
            return parsed
        known = self._new_records.setdefault(gateway.name, set())
        records = parsed[1].listing.records
        new = {
            record.digest: len(record.body) + RECORD_OVERHEAD
            for record in records.values()
            if record.digest not in known
        }
        size = self._new_bytes.get(gateway.name, 0) + sum(new.values())
        if size > NEW_RECORDS_PER_BODY * max(gateway.limits.max_body, MAX_BODY):
            return Unreadable(
                f"the lists of {gateway.name} have too many unlike records for one run: {size:,} bytes",
                cure="if they differ at each answer, set `noise`, which `modelwatch probe` finds;"
                " else raise `max_body`, a quarter of the limit",
            )
        known.update(new)
        self._new_bytes[gateway.name] = size
        return parsed

    def _fingerprint(self, answer: Answer) -> str:
        bodies: Sequence[bytes] = answer.bodies
        if any(answer.headers):
            # Headers may say that the same rows are a page of a longer list now.
            return _digest([*bodies, canonical.encode(answer.headers).encode()])
        if len(bodies) != 1:
            return _digest(bodies)
        return self._seen_body(bodies[0]).fingerprint

    def _seen_body(self, body: bytes) -> _SeenBody:
        seen = self._bodies.get(body)
        if seen is None:
            seen = _SeenBody(_digest((body,)), set())
            self._bodies.put(body, seen, _SEEN_BODY_SIZE)
        return seen

    def _read_groups(self, scope: Scope, outcome: FetchOutcome) -> Iterator[Pair]:
        groups_dialect = dialects.groups_dialect(scope.gateway)
        answers = _group_answers(groups_dialect, outcome)
        if isinstance(answers, FetchError):
            yield from ((each, ScopeResult(answers)) for each in (scope, *self._stored_groups(scope)))
            return
        assert isinstance(outcome, FetchResult)
        parsed = self._parse(scope, groups_dialect, answers.groups, Validators())
        yield scope, ScopeResult(parsed, outcome.seconds)
        models_dialect = dialects.group_models_dialect(scope.gateway)
        models = {
            group_scope(scope, name): answer
            for name, answer in answers.models.items()
            if not groups_dialect.is_no_model(dialects.group_record(name))
        }
        for each, answer in models.items():
            if isinstance(answer, Unreadable):
                yield each, ScopeResult(answer)
            else:
                parsed = self._parse(each, models_dialect, answer, Validators())
                yield each, ScopeResult(parsed, outcome.seconds)
        for each in self._stored_groups(scope):
            if each not in models:
                record = dialects.storable_id(dialects.group_record(each.group or ""))
                yield each, ScopeResult(GroupGone(record), outcome.seconds)

    def _stored_groups(self, scope: Scope) -> list[Scope]:
        """Return the scopes of the groups that were known after the last run, without those that are gone."""
        prefix = f"{scope.name}."
        names = [
            state.group_name
            for name, state in self._states.items()
            if name.startswith(prefix) and state.outcome != Outcome.RETIRED
        ]
        return [group_scope(scope, name) for name in names if name is not None]


def _group_answers(dialect: Dialect, outcome: FetchOutcome) -> GroupAnswers | FetchError:
    if isinstance(outcome, FetchError):
        return outcome
    # The client does not accept a 304, since the requests of groups have no validators.
    assert isinstance(outcome, FetchResult)
    assert dialect.groups
    try:
        return dialect.groups.split(outcome.answer)
    except Unreadable as error:
        return error.as_value()


def group_scope(scope: Scope, group: str) -> Scope:
    """Return the scope of a group; one whose name cannot be that of a scope has a digest as suffix."""
    label = "".join(letter if letter.isalnum() or letter in "_-+" else "_" for letter in group)
    if label != group or not group:
        label = f"{label}-{canonical.digest(canonical.encode(group))[-6:]}"
    return replace(scope, name=f"{scope.name}.{label}", group=group, all_groups=False)


def is_described_otherwise(answer: ListingAnswer, state: ScopeState) -> bool:
    """Return whether the columns of a scope change with an answer though its records stay.

    They tell which rows are left out, and end the fingerprint with the mark of a layout.
    """
    fingerprints = (answer.fingerprint, state.fingerprint)
    has_other_mark = None not in fingerprints and len(set(map(_mark_of, fingerprints))) > 1
    return has_other_mark or answer.left_out != state.left_out


def _mark_of(fingerprint: str | None) -> str:
    return (fingerprint or "")[_FINGERPRINT_DIGITS:]


def _layout_mark(gateway: Gateway) -> str:
    """Return the end of a fingerprint: digits for `list` and `paging` of the config, "" without these.

    Where they are other ones, the same bytes may have another list, and so may what a 304 stands for.
    """
    return _digits_of(gateway.overrides.list, gateway.overrides.paging)


@cache
def _digits_of(list_at: str | None, paging: Pairs) -> str:
    if list_at is None and not paging:
        return ""
    return _digest([canonical.encode([list_at, paging]).encode()])[:_MARK_DIGITS]


def _digest(bodies: Sequence[bytes]) -> str:
    # SHA-256 rather than BLAKE2b: processors have instructions for it, so it takes a third of the time.
    digest = sha256()
    for body in bodies:
        digest.update(len(body).to_bytes(8, "big"))
        digest.update(body)
    return digest.hexdigest()[:_FINGERPRINT_DIGITS]


def _masked(
    parsed: ListingAnswer | Unchanged | GroupGone | FetchError, mask: Callable[[str], str]
) -> ListingAnswer | Unchanged | GroupGone | FetchError:
    """Return what was parsed with the texts of the gateway masked; scopes with equal answers share it."""
    match parsed:
        case ListingAnswer(incomplete=incomplete, message=message) if incomplete or message:
            return replace(
                parsed, incomplete=incomplete and mask(incomplete), message=message and mask(message)
            )
        case FetchError():
            error = copy(parsed)
            error.reword(mask)
            return error
        case _:
            return parsed
