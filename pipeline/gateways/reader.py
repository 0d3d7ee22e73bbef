"""From fetched bodies to listings: the same bytes in the same dialect are read once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256

from pipeline.core import canonical
from pipeline.core.types import Gateway, Listing, Scope, ScopeState, Overrides
from pipeline.errors import FetchError, Unreadable
from pipeline.gateways import dialects
from pipeline.gateways.cache import BodyCache
from pipeline.gateways.dialects import Answer, Dialect, RowCache, new_api_groups
from pipeline.gateways.dialects.new_api_groups import LIST_DIALECT, MODELS_DIALECT, Groups, nothing, split
from pipeline.gateways.types import (
    FetchOutcome,
    FetchRequest,
    FetchResult,
    ListingAnswer,
    NotModified,
    ScopeResult,
    Unchanged,
    Validators,
)

Pair = tuple[Scope, ScopeResult]


_FINGERPRINT_DIGITS = 32


class AnswerReader:
    """Says how scopes are asked, and reads what they answer."""

    def __init__(self, known: Mapping[str, ScopeState]) -> None:
        self._known = known
        self._asked: dict[str, Dialect] = {}
        self._dialects: dict[tuple[Gateway, str | None], Dialect] = {}
        self._alike: dict[Dialect, RowCache] = {}
        self._fingerprints: BodyCache[str] = BodyCache()
        self._read: dict[tuple[Dialect, str], tuple[Dialect, Listing] | Unreadable] = {}

    def ask(self, scope: Scope) -> FetchRequest:
        """Say how to ask a scope; its answer's tags are sent unless it was read under other rules."""
        ref = self._known.get(scope.name)
        if scope.all_groups:
            dialect = _grouped(scope, LIST_DIALECT)
            return FetchRequest(scope, dialect, new_api_groups.pages)
        dialect = self._to_ask(scope, ref.reading if ref else None)
        self._asked[scope.name] = dialect
        pages = self._in(dialect).pages
        if ref is None or ref.reading != dialect.reading:
            return FetchRequest(scope, dialect, pages)
        return FetchRequest(scope, dialect, pages, Validators(ref.etag, ref.last_modified))

    def _to_ask(self, scope: Scope, reading: str | None) -> Dialect:
        key = (scope.gateway, reading)
        if key not in self._dialects:
            self._dialects[key] = dialects.request_dialect(*key)
        return self._dialects[key]

    def read(self, scope: Scope, result: FetchOutcome) -> list[Pair]:
        """Read a scope's result; a scope of all groups gives one for itself and one for each group."""
        if scope.all_groups:
            return list(self._of_groups(scope, result))
        match result:
            case FetchError():
                return [(scope, ScopeResult(result))]
            case NotModified(seconds):
                return [(scope, ScopeResult(Unchanged(), seconds))]
            case FetchResult(answer, validators, seconds):
                told = self._told(scope, self._asked[scope.name], answer, validators)
                return [(scope, ScopeResult(told, seconds))]

    def kept(self, scope: Scope, answer: Answer) -> ScopeResult:
        """Read an answer that a scope once gave, and that somebody kept."""
        ref = self._known.get(scope.name)
        read = self._listing(scope, self._to_ask(scope, ref.reading if ref else None), answer)
        if isinstance(read, Unreadable):
            return ScopeResult(read)
        dialect, listing = read
        return ScopeResult(ListingAnswer(listing, None, Validators(), dialect))

    def _of_groups(self, scope: Scope, result: FetchOutcome) -> Iterator[Pair]:
        found = _split(result)
        if isinstance(found, FetchError) or not isinstance(result, FetchResult):
            assert isinstance(found, FetchError)
            yield from ((each, ScopeResult(found)) for each in (scope, *self._of_known_groups(scope)))
            return
        lists = _grouped(scope, LIST_DIALECT)
        yield scope, ScopeResult(self._told(scope, lists, found.listed), result.seconds)
        asked = _grouped(scope, MODELS_DIALECT)
        of_groups = {_of_group(scope, name): answer for name, answer in found.models.items()}
        gone = [each for each in self._of_known_groups(scope) if each not in of_groups]
        of_groups |= dict.fromkeys(gone, nothing(result.answer.asked_at))
        for each, answer in of_groups.items():
            yield each, ScopeResult(self._told(each, asked, answer), result.seconds)

    def _of_known_groups(self, scope: Scope) -> list[Scope]:
        names = [ref.group_name for name, ref in self._known.items() if name.startswith(f"{scope.name}.")]
        return [_of_group(scope, name) for name in names if name is not None]

    def _told(
        self, scope: Scope, asked: Dialect, answer: Answer, validators: Validators | None = None
    ) -> ListingAnswer | Unchanged | FetchError:
        fingerprint = self._fingerprint(answer.bodies)
        ref = self._known.get(scope.name)
        if ref and (ref.fingerprint, ref.reading) == (fingerprint, asked.reading):
            return Unchanged()
        key = (asked, fingerprint)
        if key not in self._read:
            self._read[key] = self._listing(scope, asked, answer)
        read = self._read[key]
        if isinstance(read, Unreadable):
            return read
        dialect, listing = read
        return ListingAnswer(listing, fingerprint, validators or Validators(), dialect)

    def _listing(self, scope: Scope, asked: Dialect, answer: Answer) -> tuple[Dialect, Listing] | Unreadable:
        """Read an answer; one that is not in the dialect that was recognised once is recognised anew."""
        dialect = dialects.answer_dialect(scope.gateway, asked, answer)
        try:
            return dialect, self._in(dialect).read(answer)
        except Unreadable as error:
            anew = dialects.answer_dialect(scope.gateway, dialects.request_dialect(scope.gateway), answer)
            if scope.all_groups or scope.gateway.dialect != dialects.AUTO or anew.name == dialect.name:
                return error
            try:
                return anew, self._in(anew).read(answer)
            except Unreadable:
                return error

    def _fingerprint(self, bodies: Sequence[bytes]) -> str:
        if len(bodies) != 1:
            return _digest(bodies)
        known = self._fingerprints.get(bodies[0])
        if known is None:
            known = _digest(bodies)
            self._fingerprints.put(bodies[0], known)
        return known

    def _in(self, dialect: Dialect) -> RowCache:
        if dialect not in self._alike:
            self._alike[dialect] = RowCache(dialect)
        return self._alike[dialect]


def _grouped(scope: Scope, name: str) -> Dialect:
    """Give a dialect of groups with what the gateway's table adds to noise and the like."""
    own = scope.gateway.spelling
    added = Overrides(noise=own.noise, quiet=own.quiet, sets=own.sets, no_models=own.no_models)
    return dialects.customise(dialects.all_dialects()[name], added)


def _split(result: FetchOutcome) -> Groups | FetchError:
    match result:
        case FetchResult(answer):
            try:
                return split(answer)
            except Unreadable as error:
                return error
        case NotModified():
            return Unreadable("the gateway answered 304 where no answer was known")
        case FetchError():
            return result


def _of_group(scope: Scope, name: str) -> Scope:
    """Name the scope of a group after it; what cannot stand in a name is told apart by a digest."""
    label = "".join(letter if letter.isalnum() or letter in "_-+" else "_" for letter in name)
    if label != name or not name:
        label = f"{label}-{canonical.digest(canonical.encode(name))[-6:]}"
    return replace(scope, name=f"{scope.name}.{label}", group=name, all_groups=False)


def _digest(bodies: Sequence[bytes]) -> str:
    # SHA-256, for processors have instructions for it: a third of the time that BLAKE2b takes.
    digest = sha256()
    for body in bodies:
        digest.update(len(body).to_bytes(8, "big"))
        digest.update(body)
    return digest.hexdigest()[:_FINGERPRINT_DIGITS]
