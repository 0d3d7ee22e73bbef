"""The notes of a removal: the model that stays in another case, and the one that came in its place."""

from __future__ import annotations

from typing import Any

import pytest
from support.fakes import Script

from pipeline.core.types import Kind
from pipeline.history.changes import find_events
from pipeline.history.types import Event
from pipeline.store.windows import Window

OURS, THEIRS = {"owned_by": "acme"}, {"owned_by": "zeta"}


def removal(script: Script, before: dict[str, Any], after: dict[str, Any]) -> Event:
    """Return the removal of the only model that leaves, between two lists."""
    script.offers("acme/prod")
    script.offers_now["acme/prod"] = {"anchor": {}} | before
    script.run()
    script.offers_now["acme/prod"] = {"anchor": {}} | after
    script.run(times=2)
    events, *_ = [find_events(script.store, Window(1, script.runs))]
    (found,) = [each for each in events if each.kind == Kind.REMOVED]
    return found


@pytest.mark.parametrize(
    ("added", "expected"),
    [
        ({"heron-2.1": OURS}, "heron-2.1"),
        ({"heron-2.1": THEIRS}, None),
        ({"heron-2.1": OURS, "heron-2.2": OURS}, None),
        ({"heron-2.1": OURS, "heron-2.2": THEIRS}, "heron-2.1"),
        ({"heron-2.1": OURS, "entirely-other": OURS}, "heron-2.1"),
        ({"entirely-other": OURS}, None),
        ({}, None),
    ],
)
def test_the_only_similar_model_of_the_same_owner_that_came_then_is_the_successor(
    script: Script, added: dict[str, Any], expected: str | None
) -> None:
    found = removal(script, {"heron-2.0": OURS}, added)
    assert (found.model, found.successor, found.case_variant) == ("heron-2.0", expected, None)


def test_a_similar_model_that_was_there_before_is_no_successor(script: Script) -> None:
    found = removal(script, {"heron-2.0": OURS, "heron-2.1": OURS}, {"heron-2.1": OURS})
    assert found.successor is None


@pytest.mark.parametrize("before", [{"HERON-2.0": OURS}, {}], ids=["stayed", "came"])
def test_a_twin_in_another_case_is_named_instead_of_a_candidate_for_the_successor(
    script: Script, before: dict[str, Any]
) -> None:
    found = removal(script, {"heron-2.0": OURS} | before, {"HERON-2.0": OURS, "heron-2.1": OURS})
    assert (found.case_variant, found.successor) == ("HERON-2.0", None)
