"""Whatever happens, in whatever order, the database knows what a model of a few lines knows."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import count

from hypothesis import given, settings
from hypothesis import strategies as st
from support.fakes import body, moment, offered, result_of, row, scope

from pipeline.core.types import Outcome, Thresholds
from pipeline.errors import StoreError, Unreachable
from pipeline.gateways.types import ScopeResult
from pipeline.history.runs import catalog
from pipeline.maintenance import dialects_of, prune, verify
from pipeline.store import Store, scope_states
from pipeline.sync.accept import accept
from pipeline.sync.archives import SavedAnswer
from pipeline.sync.backfill import backfill
from pipeline.sync.cache import RunCache
from pipeline.sync.run import decide_and_record

KNOWN = dialects_of(())
CAUTIOUS = Thresholds(max_loss=0.5, floor=1, confirm=2)
ASKED = {name: scope(name, thresholds=CAUTIOUS) for name in ("acme/one", "acme/two")}
OLD = scope("acme/old", thresholds=CAUTIOUS)
OLD = replace(OLD, gateway=replace(OLD.gateway, dialect="one-api"))

Offer = Mapping[str, int]
"""What is offered: each model, and its form."""


@dataclass
class Model:
    """What should be known of each scope: what it is offered, what is held, and whether it fails."""

    known: dict[str, Offer] = field(default_factory=dict)
    held: dict[str, Offer] = field(default_factory=dict)
    failing: set[str] = field(default_factory=set)

    def hears(self, name: str, said: Offer | None) -> None:
        """Believe an answer, hold it, or note the failure (None)."""
        if said is None:
            self.failing.add(name)
            return
        self.failing.discard(name)
        held, known = self.held.pop(name, None), self.known.get(name)
        agreed = held is not None and (held == said or not (loses(held, said) or loses(said, held)))
        if known is None or agreed or not loses(known, said):
            self.known[name] = said
        else:
            self.held[name] = said

    def accepts(self, name: str) -> None:
        """Believe what is held."""
        self.known[name] = self.held.pop(name)
        self.failing.discard(name)


def loses(before: Offer, after: Offer) -> bool:
    """Say whether too much is gone at once: everything, or more than half and more than one."""
    gone = before.keys() - after.keys()
    return bool(before and not after) or len(gone) > max(len(before) / 2, 1)


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


def does(store: Store, at: str, step: tuple[str, object]) -> None:
    """Let a step happen to the database."""
    match step:
        case "run", dict(said):
            answers = {
                name: ScopeResult(Unreachable("reset")) if offer is None else result_of(listed(offer))
                for name, offer in said.items()
            }
            scopes = [ASKED[name] for name in said]
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
    """Give the listing of an offer."""
    return offered({model: {"form": form} for model, form in offer.items()})


def follows(model: Model, step: tuple[str, object]) -> None:
    """Let a step happen to the model."""
    match step:
        case "run", dict(said):
            for name, offer in said.items():
                model.hears(name, offer)
        case "accept", str(name) if name in model.held:
            model.accepts(name)
        case "import", dict(offer):
            model.hears(OLD.name, offer)


def crashed(store: Store, at: str, step: tuple[str, object], crash: int | None) -> bool:
    """Do a step, and let SQLite stop after so much of its work; gives whether it came to that."""
    left = count(crash or 0, -1)
    store.connection.set_progress_handler(lambda: crash is not None and next(left) <= 1, 100)
    try:
        does(store, at, step)
    except StoreError:
        assert crash is not None
        return True
    finally:
        store.connection.set_progress_handler(None, 0)
    return False


def check(store: Store, model: Model) -> None:
    """See that the database knows what the model knows, and is well."""
    found = scope_states(store)
    digests = {name: str(ref.digest) for name, ref in found.items() if ref.listing is not None}
    held = {name for name, ref in found.items() if ref.held is not None}
    assert digests == {name: str(listed(offer).digest) for name, offer in model.known.items()}
    assert held == model.held.keys()
    assert {name for name, ref in found.items() if ref.outcome == Outcome.FAILED} == model.failing
    shown = {(name, entry["model"]) for entry in catalog(store) for name in entry["scopes"]}
    assert shown == {(name, each) for name, offer in model.known.items() if name in ASKED for each in offer}
    assert [problem for each in verify(store, KNOWN) for problem in each.problems] == []


@settings(max_examples=60)
@given(histories)
def test_the_database_knows_what_a_model_of_a_few_lines_knows(history) -> None:
    """Answers, failures, holds, accepts, imports, prunes and crashes: after each step both know the same."""
    with Store.open(None) as store:
        model = Model()
        for number, (step, crash) in enumerate(history, 1):
            if not crashed(store, moment(number), step, crash):
                follows(model, step)
            check(store, model)


def test_crashes_come_at_every_stage() -> None:
    """The crashes that are drawn do end steps, early and late: the law above is not about nothing."""
    ends = set()
    for crash in range(1, 60):
        with Store.open(None) as store:
            does(store, moment(1), ("run", {"acme/one": {"a": 0}}))
            ends.add(crashed(store, moment(2), ("run", {"acme/one": {"a": 1, "b": 0}}), crash))
    assert ends == {True, False}
