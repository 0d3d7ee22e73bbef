"""Net changes as text: grouped, counted by their worst part, long values cut to the difference."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace
from support.renderings import message_of
from support.summaries import AT, BEFORE, NIGHT, NOTABLE, only

from pipeline.core.canonical import as_text
from pipeline.core.types import FieldChange, Kind, Severity
from pipeline.reports.render.message import render
from pipeline.reports.types import NetChange


def one(change: NetChange, form: str = "txt", language: str = "en") -> str:
    """Return a report with one change, on one line."""
    return " ".join(render(only(change, severity=change.severity), form, language=language).split())


def changed(*fields: FieldChange, severity: Severity = Severity.NOTABLE, **more: Any) -> NetChange:
    """Return a change of the fields of one model."""
    return NetChange(severity, Kind.CHANGED, "acme", ("lyra",), ("acme/one",), fields=fields, at=AT, **more)


def urgent(*fields: FieldChange, **more: Any) -> NetChange:
    """Return a change of the fields of a watched model."""
    return changed(*fields, severity=Severity.URGENT, **more)


def test_models_with_a_label_are_counted_and_twelve_of_them_named() -> None:
    gone = replace(NOTABLE[2], kind=Kind.REMOVED, severity=Severity.BREAKING)
    assert "29 *:batch models: siskin-0:batch, siskin-1:batch, " in one(gone)
    assert "siskin-11:batch and 17 more" in one(gone)
    assert "*:batch の29モデル：siskin-0:batch、" in one(gone, language="ja")
    assert "*:batch 共 29 个模型：siskin-0:batch、" in one(gone, language="zh-CN")


def test_of_json_in_a_string_only_the_difference_is_shown() -> None:
    before = json.dumps({"model_name": "lyra" * 20, "tiers": [{"input": 1, "output": 8}]}, indent=2)
    after = before.replace("8", "9")
    text = one(changed(FieldChange("metadata.billing", as_text(before), as_text(after), "price")))
    assert "metadata.billing: tiers.0.output 8 → 9" in text
    assert "lyralyra" not in text


def test_of_long_texts_the_difference_is_shown() -> None:
    begin = "a very long text about nothing at all, " * 3
    text = one(changed(FieldChange("notes", f"{begin}old", f"{begin}new", "other")))
    assert re.search(r"notes ….*all, old → ….*all, new", text)


def test_fields_that_differ_from_model_to_model_are_only_named() -> None:
    fields = (FieldChange("billing", "a", "b", "other"), FieldChange("tier", "1", "2", "other"))
    change = replace(changed(*fields), models=tuple(f"m{n:02}" for n in range(70)), varying=("billing",))
    assert "70 models: m00, m01," in one(change)
    assert "m11 and 58 more tier 1 → 2 billing: changed to different values" in one(change)


def test_a_limit_of_0_is_no_limit() -> None:
    text = one(changed(FieldChange("context_length", "200000", "0", "limits")))
    assert "context 200,000 → none" in text
    assert "1 model with lower limits" in text
    assert "context 8,000 (new)" in one(changed(FieldChange("context_length", "0", "8k", "limits")))
    assert "context unlimited" not in one(changed(FieldChange("context_length", "8", "unlimited", "limits")))


REDUCTION = FieldChange("context_length", "8000", "4000", "limits")

DECREASE = replace(NOTABLE[0].prices[0], before=Decimal(2), after=Decimal(1))

END = FieldChange("expiration_date", None, "2027-01-31", "lifecycle")

WORST = [
    (changed(REDUCTION, prices=(DECREASE,)), "lyra: lower limits", "1 model with lower limits"),
    (
        replace(changed(REDUCTION), kind=Kind.RETURNED, away_seconds=7200),
        "lyra: lower limits",
        "1 model with lower limits · 1 returned",
    ),
    (
        changed(FieldChange("features", '["tools"]', "[]", "capabilities")),
        "lyra: capabilities removed",
        "1 model with capabilities removed",
    ),
    (changed(prices=(replace(DECREASE, before=None),)), "lyra: first price", "1 model with a first price"),
    (changed(prices=(replace(DECREASE, after=None),)), "lyra: price change", "1 price change"),
    (
        changed(prices=(DECREASE, replace(DECREASE, before=Decimal(0)))),
        "lyra: price change",
        "1 price change",
    ),
    (changed(END), "lyra: shutdown on 31 Jan 2027", "1 shutdown date announced"),
    (changed(REDUCTION, END), "lyra: lower limits", "1 shutdown date announced · 1 model with lower limits"),
    (
        urgent(REDUCTION, END),
        "urgent: lyra: shutdown on 31 Jan 2027 (acme/one), +1 model with lower limits",
        "1 shutdown date announced · 1 model with lower limits",
    ),
    (
        urgent(replace(END, before="2027-06-01")),
        "urgent: lyra: shutdown moved to 31 Jan 2027",
        "1 shutdown date moved",
    ),
    (
        urgent(replace(END, before="2027-06-01", after=None)),
        "urgent: lyra: shutdown date withdrawn",
        "1 shutdown date withdrawn",
    ),
    (
        urgent(REDUCTION, prices=(DECREASE,)),
        "urgent: lyra: price decrease (acme/one), +1 model with lower limits",
        "1 model with lower limits · 1 price decrease",
    ),
    (
        replace(urgent(END), kind=Kind.RETURNED, away_seconds=7200),
        "urgent: lyra: shutdown on 31 Jan 2027 (acme/one), +1 returned",
        "1 shutdown date announced · 1 returned",
    ),
]


@pytest.mark.parametrize(("change", "subject", "total"), WORST)
def test_a_change_is_named_as_its_worst_part_and_counted_as_each(
    change: NetChange, subject: str, total: str
) -> None:
    mail = message_of(only(change, severity=change.severity))
    assert mail.subject.replace(" (acme/one)", "") == f"[modelwatch] {subject.replace(' (acme/one)', '')}"
    assert f"\n{total}\n" in mail.text
    assert ("returned after 2 h" in mail.text) == (change.kind == Kind.RETURNED)


def test_the_line_of_an_urgent_change_begins_with_what_makes_it_urgent() -> None:
    text = one(urgent(REDUCTION, END))
    assert "shutdown 31 Jan 2027, in 68 days (new) context 8,000 → 4,000" in text


def test_folded_removals_and_returns_have_all_their_times() -> None:
    gone = replace(
        changed(),
        kind=Kind.REMOVED,
        models=tuple(f"m-{number}" for number in range(8)),
        label="of custom",
        at=AT,
        since="2026-11-23T06:00:00Z",
        last_since="2026-11-23T22:00:00Z",
    )
    assert "Removed for acme/one, first missing between 23 Nov 06:00 and 23 Nov 22:00 UTC" in one(gone)
    assert "8 models (owner custom): m-0," in one(gone)
    back = replace(gone, kind=Kind.RETURNED, away_seconds=36000, least_away=3600)
    assert "Returned for acme/one after 1 h to 10 h" in one(back)


def test_removals_are_ordered_by_time() -> None:
    gone = [
        NetChange(Severity.BREAKING, Kind.REMOVED, "acme", (model,), ("acme/one",), at=AT, since=since)
        for model, since in (("b", NIGHT), ("a", AT), ("c", BEFORE))
    ]
    text = message_of(only(*gone)).text
    assert text.index("\n  c\n") < text.index("\n  b\n") < text.index("\n  a\n")
