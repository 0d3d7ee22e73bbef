"""Random histories: the answers of a few scopes run after run, and the state expected after each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from hypothesis import strategies as st

from pipeline.core.types import Anonymous, HoldKind, Listing, Scope, Thresholds
from pipeline.errors import FetchError, Refused, Unreachable
from pipeline.gateways.types import ScopeResult
from pipeline.store import Store, scope_states
from pipeline.sync.decide import AnonymousList, Hold, judge, suspect
from pipeline.sync.holds import HeldAnswer, HeldList, HoldHistory, HoldRecord, is_steady
from support.fakes import NOTHING_HELD, UNCHANGED, moment, offered, record_run, result_of, scope

CAUTIOUS = Thresholds(max_loss=0.5, floor=1, confirm=2, confirm_after=0.0)
SCOPES = (
    scope("acme/one", thresholds=CAUTIOUS),
    scope("acme/two", thresholds=NOTHING_HELD),
    scope("acme/open", credential=Anonymous(), thresholds=CAUTIOUS),
    scope("zeta/one", group="vip", thresholds=CAUTIOUS),
)
NAMES = tuple(asked.name for asked in SCOPES)
OF_ACME = ("acme/one", "acme/two")
"""The scopes with a key at the gateway that has an anonymous scope."""

forms = st.fixed_dictionaries({}, optional={"form": st.integers(0, 1), "owned_by": st.just("zeta")})
offers = st.dictionaries(st.sampled_from(["alpha", "Alpha", "acme/beta:free", "γ", "δ"]), forms)
failures = st.sampled_from(
    [Unreachable("reset"), Unreachable("timed out"), Refused("no such key", status=401)]
)

Answers = Mapping[str, Listing | FetchError | None]
"""The answer of each scope that was asked, by its name; None for the same as before."""

answers = st.one_of(offers.map(offered), offers.map(offered), failures, st.none())
runs = st.dictionaries(st.sampled_from(NAMES), answers, min_size=1)
histories = st.lists(runs, min_size=1, max_size=7)


@dataclass
class Expected:
    """The current and held listings expected after each run, and the holds that ended."""

    current: dict[str, Listing] = field(default_factory=dict)
    holds: dict[str, list[HeldAnswer]] = field(default_factory=dict)
    ended: dict[str, list[HoldRecord]] = field(default_factory=dict)
    anonymous: list[Listing] = field(default_factory=list)
    runs: int = 0

    @property
    def held(self) -> dict[str, HeldList]:
        """The held listings."""
        return {name: answers[-1].listing for name, answers in self.holds.items()}

    def add(self, by_scope: Answers) -> None:
        """Accept or hold the answers of one run."""
        self.runs += 1
        anonymous = self._anonymous(by_scope)
        for asked in SCOPES:
            answer = by_scope.get(asked.name)
            if isinstance(answer, Listing):
                self._judge(asked, answer, anonymous if asked.name in OF_ACME else [])
            elif asked.name in by_scope and answer is None:
                self._end(asked.name)
        current = self.current.get("acme/open")
        if current and self.anonymous[:1] != [current]:
            self.anonymous = [current, *self.anonymous][:3]

    def _anonymous(self, by_scope: Answers) -> list[AnonymousList]:
        """Return the anonymous list at `acme`, the one gateway that has an anonymous scope."""
        if not self.anonymous:
            return []
        before = tuple(each.records.keys() for each in self.anonymous)
        now = by_scope.get("acme/open")
        return [AnonymousList(now.records.keys() if isinstance(now, Listing) else before[0], before)]

    def _judge(self, asked: Scope, new: Listing, anonymous: list[AnonymousList]) -> None:
        name, current = asked.name, self.current.get(asked.name)
        if current is None or current.digest == new.digest:
            self._accept(name, new)
            return
        suspicion = suspect(new, current, anonymous=anonymous, thresholds=asked.thresholds, name=name)
        answers = self.holds.get(name)
        holds = HoldHistory(
            HoldRecord(1, tuple(answers)) if answers else None, tuple(self.ended.get(name, ()))
        )
        at = moment(self.runs)
        verdict = judge(new, suspicion, current=current, holds=holds, thresholds=asked.thresholds, at=at)
        if isinstance(verdict, Hold):
            self.holds.setdefault(name, []).append(HeldAnswer(at, self.runs, HeldList.of(new), verdict.kind))
        else:
            self._accept(name, new)

    def _accept(self, name: str, new: Listing) -> None:
        self.current[name] = new
        self._end(name)

    def _end(self, name: str) -> None:
        """End a hold, unless two lists come in turn."""
        answers = self.holds.get(name)
        if not answers:
            return
        at, last = moment(self.runs), answers[-1]
        record = HoldRecord(1, tuple(answers))
        if record.alternates and not is_steady(record, at):
            answers.append(HeldAnswer(at, self.runs, last.listing, HoldKind.CURRENT))
        else:
            self.ended.setdefault(name, []).append(record)
            del self.holds[name]


def results(by_scope: Answers) -> dict[str, ScopeResult]:
    """Return the answers as the reader does."""
    found = {}
    for name, answer in by_scope.items():
        match answer:
            case Listing():
                found[name] = result_of(answer)
            case FetchError():
                found[name] = ScopeResult(answer)
            case None:
                found[name] = UNCHANGED
    return found


def record(store: Store, by_scope: Answers) -> None:
    """Record one run."""
    record_run(
        store, [asked for asked in SCOPES if asked.name in by_scope], results(possible(store, by_scope))
    )


def possible(store: Store, by_scope: Answers) -> Answers:
    """Return the answers, with a failure for each that repeats one that was never given."""
    answered = {name for name, state in scope_states(store).items() if state.listing is not None}
    return {
        name: Unreachable("reset") if answer is None and name not in answered else answer
        for name, answer in by_scope.items()
    }


def record_each(store: Store, history: Sequence[Answers]) -> Iterator[Expected]:
    """Record a history run by run, and yield the expected state after each."""
    expected = Expected()
    for by_scope in history:
        expected.add(possible(store, by_scope))
        record(store, by_scope)
        yield expected


def record_all(store: Store, history: Sequence[Answers]) -> None:
    """Record a history."""
    for by_scope in history:
        record(store, by_scope)
