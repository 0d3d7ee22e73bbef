"""Random histories: what a few scopes answer run after run, and what should be known after each run."""

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

Said = Mapping[str, Listing | FetchError | None]
"""What each scope that was asked said, by its name; None for what it had said before."""

answers = st.one_of(offers.map(offered), offers.map(offered), failures, st.none())
runs = st.dictionaries(st.sampled_from(NAMES), answers, min_size=1)
histories = st.lists(runs, min_size=1, max_size=7)


@dataclass
class Truth:
    """What should be known and held after each run: the outcomes of an answer, in plain words."""

    known: dict[str, Listing] = field(default_factory=dict)
    held: dict[str, Listing] = field(default_factory=dict)

    def hear(self, said: Said) -> None:
        """Believe, hold or pass over what was said in one run."""
        before = dict(self.known)
        for asked in SCOPES:
            answer = said.get(asked.name)
            if isinstance(answer, Listing):
                self._judge(asked, answer, _anonymous(asked, before, said))
            elif asked.name in said and answer is None:
                self.held.pop(asked.name, None)

    def _judge(self, asked: Scope, new: Listing, anonymous: AnonymousList | None) -> None:
        known, held = self.known.get(asked.name), self.held.pop(asked.name, None)
        thresholds = asked.thresholds
        if (
            known is None
            or known.digest == new.digest
            or isinstance(
                judge(new, current=known, held=held, anonymous=anonymous, thresholds=thresholds), Accept
            )
        ):
            self.known[asked.name] = new
        else:
            self.held[asked.name] = new


def _anonymous(asked: Scope, known: Mapping[str, Listing], said: Said) -> AnonymousList | None:
    """Say what nobody gets at `acme`, the one gateway that is also asked without a key."""
    before, now = known.get("acme/open"), said.get("acme/open")
    now = now if isinstance(now, Listing) else before
    if asked.auth == "anonymous" or asked.gateway.name != "acme" or "acme/open" not in said or now is None:
        return None
    return AnonymousList(before.digest if before else None, now.digest)


def heard(said: Said) -> dict[str, ScopeResult]:
    """Say it as the fetcher and the reader do."""
    found = {}
    for name, answer in said.items():
        match answer:
            case Listing():
                found[name] = result_of(answer)
            case FetchError():
                found[name] = ScopeResult(answer)
            case None:
                found[name] = UNCHANGED
    return found


def hear(store: Store, said: Said) -> None:
    """Record one run; a scope that has said nothing yet cannot say that nothing changed."""
    record_run(store, [asked for asked in SCOPES if asked.name in said], heard(possible(store, said)))


def possible(store: Store, said: Said) -> Said:
    """Let scopes fail that would repeat what they never said."""
    answered = {name for name, ref in scope_states(store).items() if ref.listing is not None}
    return {
        name: Unreachable("reset") if answer is None and name not in answered else answer
        for name, answer in said.items()
    }


def lived(store: Store, history: Sequence[Said]) -> Iterator[Truth]:
    """Record a history run by run, and give after each what should be known."""
    truth = Truth()
    for said in history:
        truth.hear(possible(store, said))
        hear(store, said)
        yield truth


def live(store: Store, history: Sequence[Said]) -> None:
    """Record a history."""
    for said in history:
        hear(store, said)
