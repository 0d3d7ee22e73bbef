"""A change of our reading never looks like a change of the world: what is known is read again first."""

from __future__ import annotations

from typing import Any

import strategies
from fakes import ONE_API, Script, body, play, read, row, scope, told
from hypothesis import given
from hypothesis import strategies as st

from pipeline.canonical import decode
from pipeline.dialects import Dialect
from pipeline.diff import diff
from pipeline.history import Window, changes
from pipeline.rereading import reread
from pipeline.store import Store, listing, refs

Rows = list[dict[str, Any]]

SCOPE = scope("acme/prod")

noises = st.sets(st.sampled_from(["created", "owned_by", "pricing.input", "permission[].id", "pricing"]))
rows = st.lists(strategies.rows, max_size=4, unique_by=lambda row: str(row["id"]))


def rules(*noise: str) -> Dialect:
    """Give a dialect with this noise."""
    return Dialect("d", noise=noise, sets=())


@given(rows, noises, noises)
def test_the_same_answer_under_other_rules_is_no_change(answer: Rows, old: set[str], new: set[str]) -> None:
    """Whichever noise was left out and is now, an answer reads the same anew and at once."""
    before, now = rules(*old), rules(*new)
    first, second = (read(body(*answer), dialect=dialect) for dialect in (before, now))
    again = reread(first, now, second)
    assert (again.digest, again.reading) == (second.digest, second.reading)
    assert diff(again, second) == ()


@given(rows, noises)
def test_reading_again_under_the_same_rules_changes_nothing(answer: Rows, noise: set[str]) -> None:
    """What was read is what would be read."""
    found = read(body(*answer), dialect=rules(*noise))
    assert reread(found, rules(*noise), read(body())).digest == found.digest


def test_more_noise_is_no_news(store: Store) -> None:
    """When a release strips more, the same answer brings no change, and the ledger says what happened."""
    answer = body(row("lyra", permission=[{"id": "perm-1", "allow_view": True}]))
    for dialect in (Dialect("one-api"), ONE_API):
        play(store, [SCOPE], {SCOPE.name: told(read(answer, dialect=dialect), dialect)})
    assert changes(store, Window(0, 2)) == ()
    assert Script(store).outcomes(SCOPE.name) == ["baseline", "reread"]
    assert refs(store)[SCOPE.name].reading == ONE_API.reading


def test_less_noise_takes_a_field_as_it_comes(store: Store) -> None:
    """A field that the old rules had dropped is no change the first time, and is one from then on."""
    for load, dialect in [(1, rules("load")), (2, rules()), (3, rules())]:
        play(store, [SCOPE], {SCOPE.name: told(read(body(row("lyra", load=load)), dialect=dialect), dialect)})
    (changed,) = changes(store, Window(0, 3))
    (field,) = changed.fields
    assert (changed.snapshot, field.field, field.before, field.after) == (3, "load", "2", "3")


def test_what_happened_meanwhile_is_told(store: Store) -> None:
    """A model that comes in the same answer as the new rules is news, and nothing else is."""
    play(store, [SCOPE], {SCOPE.name: told(read(body(row("lyra", load=1)), dialect=rules("x")), rules("x"))})
    answer = body(row("lyra", load=2), row("vega", load=3))
    play(store, [SCOPE], {SCOPE.name: told(read(answer, dialect=rules("load")), rules("load"))})
    assert [(event.kind, event.model) for event in changes(store, Window(0, 2))] == [("added", "vega")]
    pointed = refs(store)[SCOPE.name].listing
    assert pointed is not None
    known = listing(store, pointed)
    assert [decode(record.body.encode()).get("load") for record in known.records.values()] == [None, None]


def test_ids_that_are_models_no_more_are_not_told_as_removed(store: Store) -> None:
    """When new rules know a wildcard for one, it is gone from the list without a word."""
    answer = body(row("lyra"), row("acme/*"))
    old, new = Dialect("d"), Dialect("d", no_models=("*[*]",))
    for dialect in (old, new, new):
        play(store, [SCOPE], {SCOPE.name: told(read(answer, dialect=dialect), dialect)})
    assert changes(store, Window(0, 3)) == ()
    assert Script(store).knows(SCOPE.name) == {"lyra"}
