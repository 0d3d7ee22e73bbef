"""The database agrees with a model of a few lines after any sequence of operations.

The operations are runs, acceptances, imports and prunes, with crashes in between.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count, takewhile
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from support.fakes import body, moment, offered, result_of, row, scope

from pipeline.core.types import Outcome, Thresholds
from pipeline.errors import StoreError, Unreachable
from pipeline.gateways.types import ScopeResult
from pipeline.history.availability import catalog
from pipeline.maintenance import dialects_of, prune, verify
from pipeline.store import Store, scope_states
from pipeline.sync.accept import accept
from pipeline.sync.archives import SavedAnswer
from pipeline.sync.backfill import backfill
from pipeline.sync.cache import RunCache
from pipeline.sync.run import decide_and_record

KNOWN = dialects_of(())
CAUTIOUS = Thresholds(max_loss=0.5, floor=1, confirm=2, confirm_after=0.0)
ASKED = {name: scope(name, thresholds=CAUTIOUS) for name in ("acme/one", "acme/two")}
OLD = scope("acme/old", thresholds=CAUTIOUS)
OLD = replace(OLD, gateway=replace(OLD.gateway, dialect="one-api"))

Offer = Mapping[str, int]
"""The offered models, each with its form."""


class Held(NamedTuple):
    """A held answer: its hour and offer; `ours` if it was the current list while two alternate."""

    hour: int
    offer: Offer
    ours: bool = False
    alternates: bool = False


@dataclass
class Model:
    """The expected state of each scope: its current listing, its holds, and whether it fails."""

    current: dict[str, Offer] = field(default_factory=dict)
    held: dict[str, list[Held]] = field(default_factory=dict)
    ended: dict[str, list[list[Held]]] = field(default_factory=dict)
    failing: set[str] = field(default_factory=set)

    def answer(self, name: str, offer: Offer | None, hour: int) -> None:
        """Accept an answer, hold it, or note the failure (None)."""
        if offer is None:
            self.failing.add(name)
            return
        self.failing.discard(name)
        current, hold = self.current.get(name), self.held.get(name, [])
        alternates = bool(hold) and hold[-1].alternates
        if current is None or not loses(current, offer):
            self.current[name] = offer
            if alternates and not lasts(ours(hold), hour):
                hold.append(Held(hour, hold[-1].offer, ours=True, alternates=True))
            else:
                self.end(name)
        elif agree(hold, current, offer, hour):
            self.current[name] = offer
            self.end(name)
        else:
            similar = [any(agrees(each.offer, offer, current) for each in old) for old in self.of(name)]
            alternates = alternates or sum(similar) > 1
            self.held[name] = [*hold, Held(hour, offer, alternates=alternates)]

    def of(self, name: str) -> list[list[Held]]:
        """Return the answers of the ended holds of a scope that were not its current list."""
        return [[each for each in old if not each.ours] for old in self.ended.get(name, [])]

    def end(self, name: str) -> None:
        """End the hold of a scope, if it has one."""
        if name in self.held:
            self.ended.setdefault(name, []).append(self.held.pop(name))

    def accept(self, name: str) -> None:
        """Accept the held listing."""
        self.current[name] = self.held[name][-1].offer
        self.end(name)
        self.failing.discard(name)


def loses(before: Offer, after: Offer) -> bool:
    """Return whether too many models are missing at once: all, or more than half and more than one."""
    gone = before.keys() - after.keys()
    return bool(before and not after) or len(gone) > max(len(before) / 2, 1)


def agrees(held: Offer, offer: Offer, current: Offer) -> bool:
    """Return whether an answer confirms a held one: few are back, and few more are missing."""
    missing = current.keys() - held.keys()
    back = missing & offer.keys()
    return held == offer or (
        bool(held) == bool(offer) and len(back) <= len(missing) / 10 and not loses(held, offer)
    )


def ours(hold: list[Held]) -> list[Held]:
    """Return the last answers of a hold in a row that were the current list."""
    return list(takewhile(lambda each: each.ours, reversed(hold)))


def lasts(answers: list[Held], hour: int) -> bool:
    """Return whether an answer and those before it, newest first, are three in a row over two hours."""
    return len(answers) > 1 and hour - answers[-1].hour >= 2


def agree(hold: list[Held], current: Offer, offer: Offer, hour: int) -> bool:
    """Return whether an answer ends a hold, since it agrees with the last answers of it in a row."""
    row = list(takewhile(lambda e: not e.ours and agrees(e.offer, offer, current), reversed(hold)))
    if not row or (not offer and not (len(row) >= 4 and hour - row[-1].hour >= 6)):
        return False
    return lasts(row, hour) if hold[-1].alternates else True


names = st.sampled_from(sorted(ASKED))
offers = st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 1))
steps = st.one_of(
    st.tuples(st.just("run"), st.dictionaries(names, offers | offers | st.none(), min_size=1)),
    st.tuples(st.just("run"), st.dictionaries(names, offers | offers | st.none(), min_size=1)),
    st.tuples(st.just("accept"), names),
    st.tuples(st.just("prune"), st.integers(0, 20)),
    st.tuples(st.just("import"), offers),
)
crashes = st.none() | st.none() | st.integers(1, 60)
histories = st.lists(st.tuples(steps, crashes), min_size=3, max_size=15)


def do(store: Store, at: str, step: tuple[str, object]) -> None:
    """Do a step on the database."""
    match step:
        case "run", dict(offers_now):
            answers = {
                name: ScopeResult(Unreachable("reset")) if offer is None else result_of(listed(offer))
                for name, offer in offers_now.items()
            }
            scopes = [ASKED[name] for name in offers_now]
            with store.transaction():
                decide_and_record(answers, scopes, RunCache(store), started_at=at, finished_at=at)
        case "accept", str(name):
            with suppress(LookupError):
                accept(store, [name], lambda *_: (), at=at)
        case "prune", int(number):
            prune(store, KNOWN, bound=moment(number + 1))
        case "import", dict(offer):
            models = [row(model, form=form) for model, form in offer.items()]
            backfill(OLD, [SavedAnswer(at, body(*models), at)], store, asked=False)


def listed(offer: Offer):
    """Return the listing of an offer."""
    return offered({model: {"form": form} for model, form in offer.items()})


def follow(model: Model, step: tuple[str, object], hour: int) -> None:
    """Do a step on the model, in an hour."""
    match step:
        case "run", dict(offers_now):
            for name, offer in offers_now.items():
                model.answer(name, offer, hour)
        case "accept", str(name) if name in model.held:
            model.accept(name)
        case "import", dict(offer):
            model.answer(OLD.name, offer, hour)


def do_with_crash(store: Store, at: str, step: tuple[str, object], crash: int | None) -> bool:
    """Do a step, interrupted after some of SQLite's work; return whether it was interrupted."""
    left = count(crash or 0, -1)
    store.connection.set_progress_handler(lambda: crash is not None and next(left) <= 1, 100)
    try:
        do(store, at, step)
    except StoreError:
        assert crash is not None
        return True
    finally:
        store.connection.set_progress_handler(None, 0)
    return False


def check(store: Store, model: Model) -> None:
    """Check that the database agrees with the model, and passes verification."""
    found = scope_states(store)
    digests = {name: str(state.digest) for name, state in found.items() if state.listing is not None}
    held = {name for name, state in found.items() if state.held is not None}
    assert digests == {name: str(listed(offer).digest) for name, offer in model.current.items()}
    assert held == model.held.keys()
    assert {name for name, state in found.items() if state.outcome == Outcome.FAILED} == model.failing
    shown = {(name, entry["model"]) for entry in catalog(store) for name in entry["scopes"]}
    assert shown == {(name, each) for name, offer in model.current.items() if name in ASKED for each in offer}
    assert [problem for each in verify(store, KNOWN) for problem in each.problems] == []


@settings(max_examples=60)
@given(histories)
def test_the_database_agrees_with_the_model_after_every_step(history) -> None:
    with Store.open(None) as store:
        model = Model()
        for number, (step, crash) in enumerate(history, 1):
            if not do_with_crash(store, moment(number), step, crash):
                follow(model, step, number)
            check(store, model)


def test_drawn_crashes_interrupt_some_steps_and_spare_others() -> None:
    ends = set()
    for crash in range(1, 60):
        with Store.open(None) as store:
            do(store, moment(1), ("run", {"acme/one": {"a": 0}}))
            ends.add(do_with_crash(store, moment(2), ("run", {"acme/one": {"a": 1, "b": 0}}), crash))
    assert ends == {True, False}
