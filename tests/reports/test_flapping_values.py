"""Values that keep changing in reports: the net change of a window, its severity and its words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

import pytest
from support.fakes import moment

from pipeline.core.prices import PriceChange
from pipeline.core.types import FieldChange, FlapMark, FlapStep, Kind, Severity
from pipeline.history.types import Event, Run
from pipeline.reports.console import event_lines, field_text
from pipeline.reports.folding import fold_events
from pipeline.reports.render import write_message
from pipeline.reports.render.changes import ChangeType, change_type
from pipeline.reports.render.fields import field, price
from pipeline.reports.render.locales import Locale, plain
from pipeline.reports.types import LANGUAGES, NetChange, Summary

ANNOUNCED, REPEATED = FlapMark(FlapStep.ANNOUNCED), FlapMark(FlapStep.REPEATED)
SETTLED = FlapMark(FlapStep.SETTLED, 7, 3 * 86400)
LONG, SHORT = "1048576", "1000000"


def context(before: str | None, after: str | None, mark: FlapMark | None = None) -> FieldChange:
    """Return a change of the context length."""
    return FieldChange("context_length", before, after, "limits", flapping=mark)


FIRST, RETURN = context(LONG, SHORT), context(SHORT, LONG, ANNOUNCED)
AWAY, BACK = context(LONG, SHORT, REPEATED), context(SHORT, LONG, REPEATED)


def events(*steps: FieldChange | Sequence[FieldChange], urgent: bool = False) -> list[Event]:
    """Return an event of `lyra` for each step, an hour apart; a step is a field or several."""
    return [
        Event(
            at=moment(number),
            snapshot=number,
            kind=Kind.CHANGED,
            gateway="acme",
            model="lyra",
            scopes=("acme/one",),
            groups=(),
            fields=(step,) if isinstance(step, FieldChange) else tuple(step),
            urgent=urgent,
        )
        for number, step in enumerate(steps, 1)
    ]


def net(*steps: FieldChange | Sequence[FieldChange], urgent: bool = False) -> NetChange:
    """Return the only net change of these steps."""
    (change,) = fold_events(events(*steps, urgent=urgent), {})
    return change


def test_a_window_with_the_announcement_shows_it_and_not_the_steps() -> None:
    for steps in ((FIRST, RETURN), (RETURN,), (FIRST, RETURN, AWAY, BACK), (RETURN, AWAY)):
        change = net(*steps)
        assert (change.fields, change.reverted) == ((RETURN,), False)
        assert change_type(change) == ChangeType.FLAPPING


def test_a_window_of_repeated_changes_is_quiet_wherever_it_ends() -> None:
    for steps in ((AWAY,), (AWAY, BACK), (AWAY, BACK, AWAY), (AWAY, BACK) * 20):
        assert net(*steps).severity == Severity.QUIET
        assert all(event.quiet and event.repeated for event in events(*steps))


def test_a_window_in_which_it_settles_shows_where() -> None:
    settled = context(LONG, SHORT, SETTLED)
    for steps in ((settled,), (BACK, AWAY, settled), (FIRST, RETURN, AWAY, settled)):
        change = net(*steps)
        assert change.fields == (settled,)
        assert change_type(change) == ChangeType.SETTLED


def test_a_value_that_settles_as_before_is_news() -> None:
    change = net(context(LONG, LONG, SETTLED))
    assert (change.severity, change.reverted) == (Severity.NOTABLE, False)


def test_a_change_after_it_settled_is_compared_with_the_value_before_it_all() -> None:
    assert net(context(LONG, SHORT, SETTLED), context(SHORT, "5")).fields == (context(LONG, "5"),)


def test_the_announcement_is_as_severe_as_the_worse_of_both_directions() -> None:
    assert net(RETURN).severity == Severity.BREAKING
    assert net(replace(RETURN, before=LONG, after=SHORT)).severity == Severity.BREAKING
    assert net(FieldChange("note", '"a"', '"b"', "other", flapping=ANNOUNCED)).severity == Severity.NOTABLE


def test_what_else_changed_decides_the_type_and_stays_beside_it() -> None:
    other = FieldChange("features", '["a","b"]', '["a"]', "capabilities")
    assert change_type(net((RETURN, other))) == ChangeType.CAPABILITY_LOSS
    assert set(net((RETURN, other)).fields) == {RETURN, other}
    assert net((AWAY, other)).fields == (other,)


def test_a_price_is_marked_and_repeated_ones_are_left_out() -> None:
    raw = FieldChange("cost.in", "2", "3", "price", flapping=REPEATED)
    cost = PriceChange("input", Decimal(2), Decimal(3), "1M tokens", "exact", flapping=REPEATED)
    (repeated,) = events(raw)
    repeated = replace(repeated, prices=(cost,))
    assert repeated.quiet
    (change,) = fold_events([repeated], {})
    assert (change.severity, change.prices) == (Severity.QUIET, ())
    announced = replace(
        repeated,
        fields=(replace(raw, flapping=ANNOUNCED),),
        prices=(replace(cost, flapping=ANNOUNCED),),
        urgent=True,
    )
    (change,) = fold_events([announced], {})
    assert (change.severity, change.prices) == (Severity.URGENT, announced.prices)
    assert change_type(change) == ChangeType.FLAPPING


def test_many_models_that_flap_alike_are_one_change() -> None:
    flapping = [replace(event, model=f"m-{n}") for n in range(20) for event in events(FIRST, RETURN)]
    (change,) = fold_events(flapping, {})
    assert len(change.models) == 20
    settled = [
        replace(event, model=f"m-{n}")
        for n in range(20)
        for event in events(context(str(n), str(n + 1), FlapMark(FlapStep.SETTLED, n, n)))
    ]
    (change,) = fold_events(settled, {})
    assert (len(change.models), change.varying) == (20, ("context_length",))
    assert change_type(change) == ChangeType.SETTLED


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (RETURN, "context keeps changing between 1,048,576 and 1,000,000"),
        (context(None, LONG, ANNOUNCED), "context keeps changing between none and 1,048,576"),
        (context(LONG, None, ANNOUNCED), "context keeps changing between none and 1,048,576"),
        (context(LONG, SHORT, SETTLED), "context settled at 1,000,000 after 7 changes in 3 days"),
        (context(LONG, LONG, SETTLED), "context settled at 1,048,576, as before, after 7 changes in 3 days"),
        (context(LONG, None, SETTLED), "context settled at none after 7 changes in 3 days"),
        (AWAY, "context 1,048,576 → 1,000,000 (−4.6 %) (keeps changing)"),
        (
            FieldChange("features", '["a","b"]', '["a"]', "capabilities", flapping=ANNOUNCED),
            "features keeps changing: −b",
        ),
    ],
)
def test_reports_have_these_words_for_a_field(change: FieldChange, words: str) -> None:
    assert plain(field(Locale("en"), change)) == words


@pytest.mark.parametrize(
    ("mark", "words"),
    [
        (ANNOUNCED, "input keeps changing between $3.00 and $2.00 per 1M tokens"),
        (SETTLED, "input settled at $3.00 per 1M tokens after 7 changes in 3 days"),
        (REPEATED, "input $2.00 → $3.00 per 1M tokens (+50 %) (keeps changing)"),
    ],
)
def test_reports_have_these_words_for_a_price(mark: FlapMark, words: str) -> None:
    change = PriceChange("input", Decimal(2), Decimal(3), "1M tokens", "exact", flapping=mark)
    assert plain(price(Locale("en"), change)) == words


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("change", [RETURN, context(LONG, SHORT, SETTLED), context(LONG, LONG, SETTLED)])
def test_every_language_has_both_values_or_the_stable_one(language: str, change: FieldChange) -> None:
    text = plain(field(Locale(language), change))
    if change.flap_step == FlapStep.ANNOUNCED:
        assert "1,048,576" in text
        assert "1,000,000" in text
    else:
        assert ("1,000,000" in text) == (change.before != change.after)
        assert "7" in text


def test_the_terminal_has_the_values_as_the_gateway_writes_them() -> None:
    assert field_text(RETURN) == "context_length keeps changing between 1048576 and 1000000"
    settled = "context_length settled at 1000000 after 7 changes in 3 days"
    assert field_text(context(LONG, SHORT, SETTLED)) == settled
    as_before = "context_length settled at 1048576, as before, after 7 changes in 3 days"
    assert field_text(context(LONG, LONG, SETTLED)) == as_before
    assert field_text(AWAY) == "context_length: 1048576 → 1000000  (keeps changing)"


def test_the_terminal_shows_the_news_of_an_episode_and_folds_the_rest() -> None:
    steps = events(FIRST, RETURN, AWAY, BACK, AWAY, context(LONG, SHORT, SETTLED))
    assert [line.strip()[2:22] for line in event_lines(steps) if "lyra" in line] == [
        "lyra  context_length",
        "lyra  context_length",
        "lyra  context_length",
    ]
    folded = list(event_lines(steps, quiet_too=True))
    assert sum("lyra" in line for line in folded) == 4
    assert "3 changes since" in folded[-2]
    each = list(event_lines(steps, quiet_too=True, each=True))
    assert sum("(keeps changing)" in line for line in each) == 3


def test_many_models_whose_prices_settle_at_different_values_are_one_line() -> None:
    settled = []
    for number, (event,) in enumerate(events(FieldChange("cost.in", "2", "3", "price")) for _ in range(20)):
        mark = FlapMark(FlapStep.SETTLED, 2 + number, 3600)
        raw = FieldChange("cost.in", str(number), str(number + 1), "price", flapping=mark)
        settled.append(replace(event, model=f"m-{number}", fields=(raw,)))
    (change,) = fold_events(settled, {})
    assert (len(change.models), change.varying) == (20, ("cost.in",))
    summary = Summary(None, Run(1, moment(1), moment(1), "done", 1, 1, 1, 0, 0), changes=(change,))
    text = write_message(
        summary, destination="ops", message_id="<1@x>", thread="<x@x>", language="en", attached=False
    ).message.text
    assert "cost.in settled, at different values" in text
