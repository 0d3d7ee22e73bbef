"""Import saved answers into the history of a scope, as if runs had fetched them at their times."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice, pairwise
from pathlib import Path

from msgspec import Struct, field
from msgspec.structs import replace

from pipeline.core.types import Gateway, KeyList, LeftOutRows, Listing, Scope, is_valid_name
from pipeline.errors import ALL_FAILED_EXIT, HELD_EXIT, FetchError, QuestionError, SavedError
from pipeline.gateways.dialects import (
    AUTO,
    Answer,
    Dialect,
    all_dialects,
    request_dialect,
    setting_advice,
)
from pipeline.gateways.reader import AnswerReader
from pipeline.gateways.types import ListingAnswer
from pipeline.store import Store, scope_states
from pipeline.store.changes import transition_totals
from pipeline.store.scopes import gateway_url, snapshot_times
from pipeline.store.windows import Window, time_window
from pipeline.sync.archives import Answers, LeftOut, SavedAnswer
from pipeline.sync.cache import RunCache
from pipeline.sync.decide import first_answer_error
from pipeline.sync.read_ahead import AnswerAhead, ReadAhead
from pipeline.sync.record import RunTotals
from pipeline.sync.run import decide_and_record

_BATCH = 1000
_BULK_BATCH = 10_000

NO_ROWS = LeftOutRows(0)

OnAnswer = Callable[[AnswerAhead], None]


class BackfillTotals(Struct):
    """The counts of an import.

    Args:
        window: the snapshots that it wrote.
        answers: how many were recorded.
        first: the time of the oldest of them (ISO 8601 UTC).
        last: the time of the newest.
        known: how many were in the history already.
        repeated: how many were skipped because a later one is of the same second.
        moved: how many changed the current listing of the scope.
        held: how many were held.
        unreadable: the reason why an answer is not a list of models, by its source.
        price_advice: which records of the last answer have prices that give no figure, and what to set.
        setting_advice: which paths of the config find nothing in the last answer.
        rows: the rows of answers that their listings leave out, and `partial` is the number of these answers.
    """

    window: Window
    answers: int = 0
    first: str | None = None
    last: str | None = None
    known: int = 0
    repeated: int = 0
    moved: int = 0
    held: int = 0
    unreadable: dict[str, str] = field(default_factory=dict)
    price_advice: str | None = None
    setting_advice: tuple[str, ...] = ()
    rows: LeftOutRows = NO_ROWS
    partial: int = 0

    @property
    def left_out_rows(self) -> str | None:
        """The rows that were left out, for people; None if all are in listings."""
        return self.rows.text(answers=self.partial) if self.rows.number else None

    def add(self, saved: AnswerAhead, run: RunTotals | FetchError, rows: LeftOutRows | None) -> None:
        """Count an answer, and the rows that it leaves out."""
        if rows is not None:
            self.partial += 1
            self.rows = self.rows.plus(rows, saved.source)
        if isinstance(run, FetchError):
            self.unreadable[saved.source] = run.problem if run.about_request else run.message
            return
        self.answers += 1
        self.first, self.last = self.first or saved.at, saved.at
        self.moved += run.moved
        self.held += run.held


class ImportResult(Struct, frozen=True):
    """The result of an import.

    Args:
        scope: the name of the scope.
        found: how many answers the source has.
        left_out: what in the source is not an answer, or has no possible time, and why.
        doubt: a message about times that contradict each other; None where they do not.
        totals: how many answers were recorded, and what came of them.
        changes: how many models were added, removed and changed, by these words.
        is_held: the last answer is held.
    """

    scope: str
    found: int
    left_out: tuple[LeftOut, ...]
    totals: BackfillTotals
    changes: Mapping[str, int]
    is_held: bool
    doubt: str | None = None

    @property
    def exit_status(self) -> int:
        """The exit status of the command."""
        if self.totals.unreadable and not self.totals.answers and not self.totals.known:
            return ALL_FAILED_EXIT
        return HELD_EXIT if self.is_held else 0


def import_answers(
    scope: Scope,
    answers: Answers,
    ahead: ReadAhead,
    store: Store,
    on_answer: OnAnswer = lambda _saved: None,
    *,
    asked: bool = True,
) -> ImportResult:
    """Record the saved answers of a source, which `ahead` reads; see `backfill`.

    Raises:
        SavedError: an answer that is not recorded is older than the newest recorded one.
    """
    totals = _backfill(scope, ahead, store, on_answer, asked=asked)
    state = scope_states(store).get(scope.name)
    is_held = state is not None and state.held is not None
    changes = transition_totals(store, totals.window)
    return ImportResult(scope.name, answers.count, answers.left_out, totals, changes, is_held, answers.doubt)


def backfill(
    scope: Scope,
    saved: Iterable[SavedAnswer],
    store: Store,
    on_answer: OnAnswer = lambda _saved: None,
    *,
    asked: bool = True,
    batch: int | None = None,
    processes: int = 1,
) -> BackfillTotals:
    """Record saved answers, oldest first; if repeated, an interrupted import continues where it ended.

    Args:
        scope: the scope of the answers.
        saved: the answers, oldest first; of several in one second the last counts.
        store: an open database; the caller holds its lock.
        on_answer: called after each answer.
        asked: runs ask this scope; if not, it is kept as history only.
        batch: how many answers one transaction writes: a killed import loses at most this number. None for
            1,000, or 10,000 into a new database, which fills indexes and the search at the end of each.
        processes: 2 to read the answers ahead in a second process; see `ReadAhead`.

    Raises:
        SavedError: an answer that is not recorded is older than the newest recorded one.
    """
    with ReadAhead(scope, saved, processes=processes) as ahead:
        return _backfill(scope, ahead, store, on_answer, asked=asked, batch=batch)


def _backfill(
    scope: Scope,
    ahead: ReadAhead,
    store: Store,
    on_answer: OnAnswer,
    *,
    asked: bool,
    batch: int | None = None,
) -> BackfillTotals:
    before = time_window(store).until
    size = batch or (_BATCH if before else _BULK_BATCH)
    totals = BackfillTotals(Window(before, before))
    recorded = snapshot_times(store, scope.name)
    importer = _Importer(store, scope, recorded, asked=asked)
    ahead.start(importer.reading, recorded)
    new = _new(_last_of_each_second(ahead, totals), recorded, totals, on_answer)
    while first := next(new, None):
        with store.transaction() if before else store.bulk_load():
            for each in chain((first,), islice(new, size - 1)):
                totals.add(each, *importer.record(each, ahead))
            if importer.last:
                importer.write_price_advice()
    totals.window = Window(before, time_window(store).until)
    if importer.last:
        last, answer = importer.last
        totals.price_advice = importer.price_advice(last.listing, last.dialect)
        if answer is None:
            totals.setting_advice = ahead.advice
        else:
            totals.setting_advice = setting_advice(scope.gateway.overrides, last.dialect, answer)
    return totals


def _last_of_each_second(saved: Iterable[AnswerAhead], totals: BackfillTotals) -> Iterator[AnswerAhead]:
    """Skip answers with a later one in the same second, since the time of a snapshot identifies it."""
    for each, later in pairwise(chain(saved, (None,))):
        assert each
        if later and each.at == later.at:
            totals.repeated += 1
        else:
            yield each


def _new(
    saved: Iterable[AnswerAhead], recorded: frozenset[str], totals: BackfillTotals, on_answer: OnAnswer
) -> Iterator[AnswerAhead]:
    """Yield the answers that are not recorded yet."""
    for each in saved:
        if each.at in recorded:
            totals.known += 1
        else:
            yield each
        on_answer(each)


class _Importer:
    """An importer of the answers of one scope; `recorded` are the times of those that are recorded.

    `last` is the last listing, with its answer unless another process parsed that.
    """

    def __init__(self, store: Store, scope: Scope, recorded: frozenset[str], *, asked: bool) -> None:
        self._scope = scope
        self._oldest, self._newest = min(recorded, default=""), max(recorded, default="")
        self._asked = asked
        self._cache = RunCache(store)
        self._reader = AnswerReader({})
        self.last: tuple[ListingAnswer, Answer | None] | None = None

    @property
    def reading(self) -> str | None:
        """The reading of the scope's current listing; None without one."""
        state = self._cache.states.get(self._scope.name)
        return None if state is None else state.reading

    def record(
        self, saved: AnswerAhead, ahead: ReadAhead
    ) -> tuple[RunTotals | FetchError, LeftOutRows | None]:
        """Parse and record an answer, as a run would have done at its time; return also the rows left out."""
        scope, at = self._scope, saved.at
        # This answer is parsed in the dialect that was recognised in the last one.
        self._cache.refresh()
        answer, result = None, saved.result
        self._cache.read_ahead = saved.read
        if result is None or saved.requested != (self.reading or ""):
            self._cache.read_ahead = {}
            answer = ahead.answer(saved)
            result = self._reader.read_archived(scope, answer, self.reading)
        state = self._cache.states.get(scope.name)
        # Where an import is repeated, there was no listing before its first recorded answer.
        listing = None if state is None or at < self._oldest else state.listing
        error = first_answer_error(result.answer, listing)
        if error is not None:
            return error, None
        rows = None
        if isinstance(result.answer, ListingAnswer):
            self.last = result.answer, answer
            rows = result.answer.listing.left_out
        if at < self._newest:
            raise SavedError(
                f"is of {at}, and {scope.name} is recorded until {self._newest}: recorded history stays as it"
                " is; import into a scope of another name",
                where=saved.source,
            )
        totals = decide_and_record(
            {scope.name: result},
            (scope,),
            self._cache,
            started_at=at,
            finished_at=at,
            imported=True,
            asked=self._asked,
        )
        return totals, rows

    def price_advice(self, listing: Listing, dialect: Dialect) -> str | None:
        """Return which prices of a listing give no figure, and what to set."""
        return self._cache.price_advice(self._scope, listing, dialect)

    def write_price_advice(self) -> None:
        """Write the advice about the prices of the current listing, at the end of a transaction."""
        self._cache.refresh()
        state = self._cache.states.get(self._scope.name)
        if state is None or state.listing is None:
            return
        dialect = request_dialect(self._scope.gateway, state.reading)
        advice = self.price_advice(self._cache.listing(state.listing), dialect)
        self._cache.ledger.point([replace(state, price_advice=advice)])
        self._cache.mark_stale([state.id])


def target_scope(
    scopes: Sequence[Scope],
    database: Path,
    name: str,
    *,
    dialect: str | None = None,
    url: str | None = None,
    key_lists: Sequence[KeyList] = (),
) -> tuple[Scope, bool]:
    """Return the scope to import into, from the config or new, and whether runs ask it.

    Args:
        scopes: those of the config.
        database: the database, which may have the URL of a gateway that is not in the config.
        name: the name of the scope: gateway/name.
        dialect: the dialect of the answers, or `auto`; None for that of the config.
        url: the URL of a gateway that is neither in the config nor in the database.
        key_lists: those of the config, which are not read: each may have any other name of its gateway.

    Raises:
        QuestionError: there is no such dialect, or the answers cannot be of this scope.
    """
    if dialect not in (None, AUTO) and dialect not in all_dialects():
        raise QuestionError(
            f"the dialect {dialect} does not exist: use {AUTO}, or {', '.join(all_dialects())}"
        )
    for scope in scopes:
        if scope.all_groups and (name == scope.name or name.startswith(f"{scope.name}.")):
            raise QuestionError(
                f"{scope.name} is asked for all its groups: import into a scope of another name"
            )
        if scope.name == name:
            gateway = replace(scope.gateway, dialect=dialect) if dialect else scope.gateway
            return replace(scope, gateway=gateway), True
    gateway_name, _, label = name.partition("/")
    for key_list in key_lists:
        if key_list.gateway.name == gateway_name and is_valid_name(label):
            scope = key_list.scope(label, None)
            gateway = replace(scope.gateway, dialect=dialect) if dialect else scope.gateway
            return replace(scope, gateway=gateway), True
    if dialect is None:
        names = f": it has {', '.join(scope.name for scope in scopes)}" if scopes else ""
        raise QuestionError(
            f"no scope {name} is in the config{names}; set --dialect to the one of its answers,"
            f" or to {AUTO} to have it recognised"
        )
    return Scope(name, _gateway(database, name, scopes, dialect, url)), False


def _gateway(database: Path, name: str, scopes: Sequence[Scope], dialect: str, url: str | None) -> Gateway:
    """Return the gateway of a scope that is not in the config: the config's, the database's, or a new one."""
    gateway, slash, alias = name.partition("/")
    if not (slash and is_valid_name(gateway) and is_valid_name(alias)):
        raise QuestionError(f"{name!r} is not the name of a scope: write gateway/name, such as aihubmix/prod")
    for scope in scopes:
        if scope.gateway.name == gateway:
            return replace(scope.gateway, dialect=dialect, url=url or scope.gateway.url)
    if url is None and database.exists():
        with Store.read(database, allow_old=True, allow_empty=True) as store:
            url = gateway_url(store, gateway)
    return Gateway(gateway, url or "", dialect)
