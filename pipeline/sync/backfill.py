"""Bring saved answers into the history of a scope, as if each had been asked for when it was given.

Find the scope that saved answers belong to, or make one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import chain, islice, pairwise
from pathlib import Path

from pipeline.core.types import Gateway, Scope, is_valid_name
from pipeline.errors import FetchError, QuestionError, SavedError
from pipeline.gateways.dialects import AUTO, Answer, all_dialects
from pipeline.gateways.reader import AnswerReader
from pipeline.store import Store
from pipeline.store.changes import Window, window
from pipeline.sync.archives import Saved
from pipeline.sync.record import RunCache, RunTotals, record

BATCH = 1000
"""So many answers are written in one transaction: what a killed import loses."""


OnAnswer = Callable[[Saved], None]


@dataclass(slots=True)
class Backfill:
    """What an import came to.

    Args:
        window: the snapshots that it wrote.
        answers: how many were recorded; the oldest was given at `first`, the newest at `last`.
        known: how many were in the history already.
        repeated: how many were left out because another one of the same second came after them.
        moved: how many changed what the scope is known to offer.
        held: how many were not believed.
        unreadable: those that are no list of models, by their source, and why.
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


def backfill(
    scope: Scope,
    saved: Iterable[Saved],
    store: Store,
    on_answer: OnAnswer = lambda _saved: None,
    *,
    asked: bool = True,
) -> Backfill:
    """Record saved answers, oldest first; an import that was cut off goes on where it was.

    Args:
        scope: whose answers they are.
        saved: the answers, oldest first; the last one of a second counts.
        store: an open database; the caller holds its lock.
        on_answer: is told of each answer that was dealt with.
        asked: runs ask this scope; otherwise it is kept as history only.

    Raises:
        SavedError: an answer is older than what is known of the scope, and is not known.
    """
    before = window(store).until
    done = Backfill(Window(before, before))
    past = _past(store, scope)
    new = _new(_last_of_each_second(saved, done), past, done, on_answer)
    recorder = RunCache(store)
    history_of = _History(
        scope, AnswerReader(recorder.refs), recorder, max(past, default=""), before == 0, asked
    )
    while first := next(new, None):
        _batch(history_of, chain((first,), islice(new, BATCH - 1)), done)
    done.window = Window(before, window(store).until)
    return done


def _past(store: Store, scope: Scope) -> frozenset[str]:
    """Give when a scope was asked, or something else happened to it."""
    rows = store.rows(
        """
        select snapshots.started_at as at from scopes
        join coverage_scopes on coverage_scopes.scope = scopes.id
        join snapshots on snapshots.covered = coverage_scopes.coverage
        where scopes.name = :scope
        union
        select snapshots.started_at from scopes
        join sightings on sightings.scope = scopes.id
        join snapshots on snapshots.id = sightings.snapshot
        where scopes.name = :scope
        """,
        {"scope": scope.name},
    )
    return frozenset(row["at"] for row in rows)


def _last_of_each_second(saved: Iterable[Saved], done: Backfill) -> Iterator[Saved]:
    """Leave out what was overtaken within a second: there is one answer for each time."""
    for each, later in pairwise(chain(saved, (None,))):
        assert each
        if later and each.at == later.at:
            done.repeated += 1
        else:
            yield each


def _new(
    saved: Iterable[Saved], past: frozenset[str], done: Backfill, on_answer: OnAnswer
) -> Iterator[Saved]:
    """Leave out what is in the history already."""
    for each in saved:
        if each.at in past:
            done.known += 1
        else:
            yield each
        on_answer(each)


@dataclass(frozen=True, slots=True)
class _History:
    """The scope that answers are brought into; it is known until `newest`, nothing is if `empty`."""

    scope: Scope
    reader: AnswerReader
    recorder: RunCache
    newest: str
    empty: bool
    asked: bool

    def record(self, saved: Saved) -> RunTotals | FetchError:
        """Read an answer and record it, as a run would have done at the time."""
        scope, at = self.scope, saved.at
        # What was recognised in the last answer says how this one is read.
        self.recorder.refresh()
        heard = self.reader.kept(scope, Answer((saved.body,), int(datetime.fromisoformat(at).timestamp())))
        if isinstance(heard.answer, FetchError):
            return heard.answer
        if at < self.newest:
            raise SavedError(
                f"is of {at}, and {scope.name} is known until {self.newest}: what is known is not rewritten;"
                " import into a scope of another name",
                where=saved.source,
            )
        told = {scope.name: heard}
        return record(
            told, (scope,), self.recorder, started_at=at, finished_at=at, imported=True, asked=self.asked
        )


def _batch(past: _History, saved: Iterable[Saved], done: Backfill) -> None:
    """Record a few answers, all or none."""
    store = past.recorder.store
    with store.bulk_load() if past.empty else store.transaction():
        for each in saved:
            run = past.record(each)
            if isinstance(run, FetchError):
                done.unreadable[each.source] = run.message
            else:
                _count(done, each, run)


def _count(done: Backfill, saved: Saved, run: RunTotals) -> None:
    done.answers += 1
    done.first, done.last = done.first or saved.at, saved.at
    done.moved += run.moved
    done.held += run.held


def whose(
    scopes: Sequence[Scope], database: Path, name: str, *, dialect: str | None = None, url: str | None = None
) -> tuple[Scope, bool]:
    """Give the scope of saved answers as the config has it, or make one; and whether runs ask it.

    Args:
        scopes: those of the config.
        database: where the gateway may be known from.
        name: the scope, as gateway/name.
        dialect: how the answers are written, or `auto`; None as the config has it.
        url: where they came from, for a gateway that is not known.

    Raises:
        QuestionError: there is no such dialect, or the answers cannot be those of this scope.
    """
    if dialect not in (None, AUTO) and dialect not in all_dialects():
        raise QuestionError(f"the dialect {dialect} is not known: use {AUTO}, or {', '.join(all_dialects())}")
    for scope in scopes:
        if scope.all_groups and (name == scope.name or name.startswith(f"{scope.name}.")):
            raise QuestionError(
                f"{scope.name} is asked for all its groups: import into a scope of another name"
            )
        if scope.name == name:
            gateway = replace(scope.gateway, dialect=dialect) if dialect else scope.gateway
            return replace(scope, gateway=gateway), True
    if dialect is None:
        names = f": it has {', '.join(scope.name for scope in scopes)}" if scopes else ""
        raise QuestionError(
            f"no scope {name} is in the config{names}; say with --dialect how its answers are written,"
            f" {AUTO} where they show it themselves"
        )
    return Scope(name, _gateway(database, name, scopes, dialect, url)), False


def _gateway(database: Path, name: str, scopes: Sequence[Scope], dialect: str, url: str | None) -> Gateway:
    """Give the gateway of a scope that the config does not have: the config's, the known one, or a new."""
    gateway, slash, alias = name.partition("/")
    if not (slash and is_valid_name(gateway) and is_valid_name(alias)):
        raise QuestionError(f"{name!r} names no scope: write gateway/name, such as aihubmix/prod")
    for scope in scopes:
        if scope.gateway.name == gateway:
            return replace(scope.gateway, dialect=dialect, url=url or scope.gateway.url)
    known = None
    if database.exists() and url is None:
        with Store.read(database, allow_old=True) as store:
            # A first import that was killed as it began has left a file without tables.
            made = store.rows("select 1 from sqlite_master where name = 'gateways'")
            sql = "select url from gateways where name = :name"
            found = store.rows(sql, {"name": gateway}) if made else []
            known = found[0]["url"] if found else None
    return Gateway(gateway, url or known or "", dialect)
