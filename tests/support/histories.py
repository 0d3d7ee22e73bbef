"""Random histories: the answers of a few scopes run after run, and the state expected after each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from hypothesis import strategies as st

from pipeline.core.types import Anonymous, Listing, Scope, Thresholds
from pipeline.errors import FetchError, Refused, Unreachable
from pipeline.gateways.types import ScopeResult
from pipeline.store import Store, scope_states
from pipeline.sync.decide import Accept, AnonymousList, judge
from support.fakes import NOTHING_HELD, UNCHANGED, offered, record_run, result_of, scope

CAUTIOUS = Thresholds(max_loss=0.5, floor=1, confirm=2)
SCOPES = (
    scope("acme/one", thresholds=CAUTIOUS),
    scope("acme/two", thresholds=NOTHING_HELD),
    scope("acme/open", credential=Anonymous(), thresholds=CAUTIOUS),
    scope("zeta/one", group="vip", thresholds=CAUTIOUS),
)
NAMES = tuple(asked.name for asked in SCOPES)

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
    """The current and held listings expected after each run."""

    current: dict[str, Listing] = field(default_factory=dict)
    held: dict[str, Listing] = field(default_factory=dict)

    def add(self, by_scope: Answers) -> None:
        """Accept or hold the answers of one run."""
        before = dict(self.current)
        for asked in SCOPES:
            answer = by_scope.get(asked.name)
            if isinstance(answer, Listing):
                self._judge(asked, answer, _anonymous(asked, before, by_scope))
            elif asked.name in by_scope and answer is None:
                self.held.pop(asked.name, None)

    def _judge(self, asked: Scope, new: Listing, anonymous: AnonymousList | None) -> None:
        current, held = self.current.get(asked.name), self.held.pop(asked.name, None)
        thresholds = asked.thresholds
        if (
            current is None
            or current.digest == new.digest
            or isinstance(
                judge(new, current=current, held=held, anonymous=anonymous, thresholds=thresholds), Accept
            )
        ):
            self.current[asked.name] = new
        else:
            self.held[asked.name] = new


def _anonymous(asked: Scope, current: Mapping[str, Listing], by_scope: Answers) -> AnonymousList | None:
    """Return the anonymous list at `acme`, the one gateway that has an anonymous scope."""
    before, now = current.get("acme/open"), by_scope.get("acme/open")
    now = now if isinstance(now, Listing) else before
    if (
        asked.auth == "anonymous"
        or asked.gateway.name != "acme"
        or "acme/open" not in by_scope
        or now is None
    ):
        return None
    return AnonymousList(before.digest if before else None, now.digest)


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
