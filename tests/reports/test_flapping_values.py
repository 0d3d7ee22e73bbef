"""Values that keep changing in reports: the net change of a window, its severity and its words."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import pytest
from msgspec.structs import replace
from support.fakes import moment

from pipeline.core.prices import PriceChange
from pipeline.core.types import FieldChange, FlapMark, FlapStep, Kind, Severity
from pipeline.history.types import Event, Run
from pipeline.reports.console import event_lines, field_texts
from pipeline.reports.folding import fold_events
from pipeline.reports.render.changes import ChangeType, change_type
from pipeline.reports.render.fields import field, price
from pipeline.reports.render.locales import Locale, plain
from pipeline.reports.render.message import write_message
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
    away = replace(RETURN, before=LONG, after=SHORT)
    for steps, shown in (
        ((FIRST, RETURN), RETURN),
        ((RETURN,), RETURN),
        ((FIRST, RETURN, AWAY, BACK), RETURN),
        ((RETURN, AWAY), away),
        ((FIRST, RETURN, AWAY, BACK, AWAY), away),
    ):
        change = net(*steps)
        assert (change.fields, change.reverted) == ((shown,), False)
        assert change_type(change) == ChangeType.KEEPS_CHANGING


def test_a_window_of_repeated_changes_is_quiet_wherever_it_ends() -> None:
    for steps in ((AWAY,), (AWAY, BACK), (AWAY, BACK, AWAY), (AWAY, BACK) * 20):
        assert net(*steps).severity == Severity.QUIET
        assert all(event.quiet and event.repeated for event in events(*steps))


NEWS, BACK_FROM_NEWS = context(LONG, "4096"), context("4096", LONG, REPEATED)
"""A new value of a limit that keeps changing, and the way back."""


def test_a_window_with_a_new_value_shows_the_change_to_the_present_one() -> None:
    for steps, before, after in (
        ((NEWS,), LONG, "4096"),
        ((FIRST, RETURN, NEWS), LONG, "4096"),
        ((RETURN, NEWS, context("4096", SHORT, REPEATED)), LONG, SHORT),
        ((NEWS, context("4096", SHORT, REPEATED)), LONG, SHORT),
    ):
        (field,) = net(*steps).fields
        assert (field.before, field.after) == (before, after)
        assert net(*steps).severity == Severity.BREAKING


def test_a_window_with_a_new_value_that_ends_as_it_began_says_that_it_keeps_changing() -> None:
    assert net(FIRST, RETURN, NEWS, BACK_FROM_NEWS).fields == (RETURN,)
    assert net(context(LONG, SHORT, SETTLED), context(SHORT, LONG)).reverted


def in_list(number: int, models: Sequence[str], *fields: FieldChange) -> Event:
    """Return a change of shape of a list of ten models."""
    event = events(*[()] * number)[-1]
    return replace(event, kind=Kind.SHAPE, model="", models=tuple(models), fields=fields, listed=10)


LOST = FieldChange("context_length", LONG, None, "shape", "limits")
GAINED = FieldChange("context_length", None, LONG, "shape", "limits")


def nets(*steps: Event) -> list[tuple[str, tuple[str, ...], str]]:
    """Return the type, models and severity of each net change."""
    return [(str(change_type(each)), each.models, str(each.severity)) for each in fold_events(steps, {})]


def test_what_a_list_lost_and_regained_is_left_out_by_model() -> None:
    assert nets(in_list(1, "abcde", LOST), in_list(2, "abcde", GAINED)) == []
    assert nets(in_list(1, "abcde", LOST), in_list(2, "abcd", GAINED)) == [("field_loss", ("e",), "breaking")]


def test_a_model_that_is_back_with_another_value_has_not_lost_it() -> None:
    (own,) = events(context(LONG, "4096"))
    own = replace(own, snapshot=2, at=moment(2), model="e")
    assert nets(in_list(1, "abcde", LOST), in_list(2, "abcd", GAINED), own) == [
        ("limit_reduction", ("e",), "breaking")
    ]


def test_a_list_that_keeps_changing_or_has_settled_is_one_change() -> None:
    announced = replace(GAINED, flapping=ANNOUNCED)
    away, back = replace(LOST, flapping=REPEATED), replace(GAINED, flapping=REPEATED)
    steps = (in_list(1, "abcde", LOST), in_list(2, "abcde", announced), in_list(3, "abcde", away))
    assert nets(*steps) == [("keeps_changing", tuple("abcde"), "breaking")]
    settled = replace(GAINED, before=LONG, flapping=SETTLED)
    assert nets(*steps, in_list(4, "abcde", back), in_list(5, "abcde", settled)) == [
        ("settled", tuple("abcde"), "notable")
    ]
    (quiet,) = fold_events([in_list(3, "abcde", away)], {})
    assert (quiet.severity, quiet.repeated) == (Severity.QUIET, True)


LEADS = {
    "en": ("Also 1 repeated change of a value that keeps changing", "Also 1 change that was undone"),
    "ja": ("ほかに変動を繰り返す値の変更が1件", "ほかに元に戻った変更が1件"),
    "zh-CN": ("另有 1 项反复变动的值再次变更", "另有 1 项变更已恢复原状"),
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_lead_says_what_the_changes_that_are_not_listed_are(language: str) -> None:
    name = FieldChange("name", '"a"', '"b"', "text")
    steps = [
        *events(AWAY),
        *(replace(event, model="vega") for event in events(context(LONG, "5"), context("5", LONG))),
        *(replace(event, model="orion") for event in events(name)),
    ]
    run = Run(9, moment(9), moment(9), "done", 1, 1, 0, 0, 0)
    summary = Summary(moment(0), run, changes=fold_events(steps, {}))
    text = write_message(
        summary, destination="ops", message_id="<1@x>", thread="<x@x>", language=language, attached=False
    ).message.text
    text = " ".join(text.split())
    assert all(text.count(lead) == 1 for lead in LEADS[language])
    assert "Also 1 quiet change (name, description or owner)" in text or language != "en"


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
    assert change_type(change) == ChangeType.KEEPS_CHANGING


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
        (RETURN, "context keeps changing between 1,048,576 and 1,000,000, now 1,048,576"),
        (context(None, LONG, ANNOUNCED), "context keeps changing between 1,048,576 and none, now 1,048,576"),
        (context(LONG, None, ANNOUNCED), "context keeps changing between 1,048,576 and none, now none"),
        (
            context(LONG, SHORT, SETTLED),
            "context settled at 1,000,000 (before: 1,048,576) after 7 changes in 3 days",
        ),
        (context(LONG, LONG, SETTLED), "context settled at 1,048,576, as before, after 7 changes in 3 days"),
        (
            context(LONG, None, SETTLED),
            "context settled at none (before: 1,048,576) after 7 changes in 3 days",
        ),
        (
            FieldChange("shutdown_date", '"2026-11-20"', None, "lifecycle", flapping=ANNOUNCED),
            "shutdown date keeps changing between 20 Nov 2026 and none, now none",
        ),
        (AWAY, "context 1,048,576 → 1,000,000 (−4.6 %) (keeps changing)"),
        (context(None, LONG, REPEATED), "context none → 1,048,576 (keeps changing)"),
        (context(LONG, "0", REPEATED), "context 1,048,576 → none (keeps changing)"),
        (
            FieldChange("features", '["a","b"]', '["a"]', "capabilities", flapping=ANNOUNCED),
            "features keeps changing: −b, now a",
        ),
    ],
)
def test_reports_have_these_words_for_a_field(change: FieldChange, words: str) -> None:
    assert plain(field(Locale("en"), change)) == words


@pytest.mark.parametrize(
    ("mark", "words"),
    [
        (ANNOUNCED, "input keeps changing between $3.00 and $2.00 per 1M tokens, now $3.00"),
        (SETTLED, "input settled at $3.00 per 1M tokens (before: $2.00) after 7 changes in 3 days"),
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
        assert "1,048,576" in text
        assert "7" in text


def test_the_terminal_has_the_words_of_the_mail() -> None:
    assert field_texts([RETURN])[0] == "context keeps changing between 1,048,576 and 1,000,000, now 1,048,576"
    settled = "context settled at 1,000,000 (before: 1,048,576) after 7 changes in 3 days"
    assert field_texts([context(LONG, SHORT, SETTLED)])[0] == settled
    as_before = "context settled at 1,048,576, as before, after 7 changes in 3 days"
    assert field_texts([context(LONG, LONG, SETTLED)])[0] == as_before
    assert field_texts([AWAY])[0] == "context 1,048,576 → 1,000,000 (−4.6 %) (keeps changing)"


def test_the_terminal_shows_the_news_of_an_episode_and_folds_the_rest() -> None:
    steps = events(FIRST, RETURN, AWAY, BACK, AWAY, context(LONG, SHORT, SETTLED))
    assert [line.strip()[2:15] for line in event_lines(steps) if "lyra" in line] == ["lyra  context"] * 3
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
