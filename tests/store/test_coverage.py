"""The state of scopes: the query for reports and the view for other programs agree."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from msgspec.structs import asdict
from support.fakes import Script, record_run, scope
from support.histories import Answers, histories, record_each

from pipeline.core.types import Anonymous, Thresholds
from pipeline.errors import Throttled
from pipeline.store import Store
from pipeline.store.coverage import (
    count_failures,
    count_scopes,
    count_scopes_now,
    coverage,
    exceptional_coverage,
    recoveries,
    scopes_asked,
    stream_coverage,
)
from pipeline.store.windows import Window, time_window

COLUMNS = {
    "scope": "scope",
    "gateway": "gateway",
    "group_name": "group",
    "auth": "auth",
    "state": "state",
    "state_since": "state_since",
    "models": "models",
    "last_answered": "last_answered",
    "error_class": "error_class",
    "error": "message",
    "urgent": "urgent",
}
"""By column of the view, the field of `Coverage`."""


def agreed_states(store: Store) -> dict[str, str]:
    """Return the state of each scope; raise AssertionError unless the query and the view agree."""
    viewed = [{column: row[column] for column in COLUMNS} for row in store.rows("select * from health")]
    expected = [{column: asdict(each)[name] for column, name in COLUMNS.items()} for each in coverage(store)]
    assert sorted(viewed, key=lambda row: row["scope"]) == expected
    return {row["scope"]: row["state"] for row in viewed}


def test_the_view_of_health_agrees_with_the_coverage_after_every_run(script: Script) -> None:
    models = [f"m{number}" for number in range(8)]
    half = Thresholds(max_loss=0.5, floor=1)
    script.has(scope("acme/held", thresholds=half, group="vip"), scope("acme/public", credential=Anonymous()))
    for name in ("acme/held", "acme/public", "acme/fails", "acme/gone", "zeta/gone"):
        script.offers(name, *models)
    script.fails("acme/never").run()
    assert set(agreed_states(script.store).values()) == {"ok", "failed"}

    script.fails("acme/fails").fails("zeta/gone").run()
    agreed_states(script.store)

    del script.scopes["acme/gone"], script.scopes["zeta/gone"]
    script.offers("acme/held", "m1").offers("acme/new", "m1")
    script.fails("acme/fails", Throttled("429", status=429))
    results = {name: script.result(name) for name in script.scopes}
    record_run(script.store, list(script.scopes.values()), results, all_scopes=True)
    assert agreed_states(script.store) == {
        "acme/held": "held",
        "acme/public": "ok",
        "acme/fails": "failed",
        "acme/never": "failed",
        "acme/gone": "retired",
        "zeta/gone": "retired",
        "acme/new": "ok",
    }

    script.recovers("acme/fails").offers("acme/held", *models).run("acme/fails", "acme/held", "acme/new")
    assert agreed_states(script.store)["acme/held"] == "ok"
    assert agreed_states(script.store)["acme/fails"] == "ok"


def test_a_hold_ends_accepted_if_the_list_that_ends_it_lacks_models_with_the_held_one(script: Script) -> None:
    script.has(scope("acme/one", thresholds=Thresholds(max_loss=0.25, floor=1)))
    script.offers("acme/one", *"abcdefgh").run()
    script.offers("acme/one", *"efgh").run()
    script.offers("acme/one", *"efgh", "new").run()
    script.offers("acme/one", *"ef").run()
    script.offers("acme/one", *"efgh", "new", "newer").run()
    ends = recoveries(script.store, time_window(script.store))
    assert [(end.state, end.accepted) for end in ends] == [("held", True), ("held", False)]


@given(histories)
def test_the_exceptional_scopes_and_the_numbers_agree_with_the_states_of_all(history: list[Answers]) -> None:
    with Store.open(None) as store:
        runs = sum(1 for _ in record_each(store, history))
        for until in (None, *range(1, runs + 1)):
            every = coverage(store, until=until)
            asked = [each for each in every if each.state != "retired"]
            if until is not None:
                in_run = scopes_asked(store, Window(until - 1, until))
                asked = [each for each in every if each.scope in in_run]
            found = exceptional_coverage(store, until=until, asked_only=until is not None)
            assert list(found) == [each for each in asked if each.state != "ok" or each.pending_removals]
            states = Counter((each.gateway, each.state) for each in asked)
            counts = count_scopes_now(store) if until is None else count_scopes(store, found, until=until)
            assert {
                (each.gateway, state): getattr(each, state)
                for each in counts
                for state in ("ok", "held", "failed", "new", "retired")
                if getattr(each, state)
            } == states
            names = [each.scope for each in every[::2]]
            assert coverage(store, until=until, only=names) == every[::2]
        assert tuple(stream_coverage(store)) == coverage(store)
        failing = (each for each in coverage(store) if each.state == "failed")
        assert count_failures(store) == Counter(each.error_class for each in failing)
