"""Reports as CSV and JSON, and the strictness of the schema."""

import copy
import csv
import io
import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, ValidationError
from msgspec.structs import replace
from support.e2e import rows, valid
from support.events import ADDED, AT, BEFORE, CHANGED, EVENTS, NEW, QUIET, REMOVED, REPORT

from pipeline.core.canonical import as_text as value_text
from pipeline.core.canonical import pretty
from pipeline.core.prices import PriceChange
from pipeline.core.types import FieldChange
from pipeline.reports.csv_json import COLUMNS, as_csv, as_json, cell, event_value, schema, write_csv


def csv_rows(events):
    """Return the CSV rows of events."""
    return rows(as_csv(events))


def test_the_columns_keep_their_order():
    assert COLUMNS == (
        "at",
        "kind",
        "gateway",
        "model",
        "field",
        "before",
        "after",
        "class",
        "scopes",
        "groups",
        "since",
        "away_seconds",
        "urgent",
        "severity",
        "before_usd_per_1m",
        "after_usd_per_1m",
        "flapping",
        "models",
        "shape_of",
        "before_price",
        "after_price",
        "currency",
        "unit",
        "scope_count",
        "group_count",
    )
    assert as_csv(()) == ",".join(COLUMNS) + "\r\n"


def test_a_row_for_each_field_and_for_each_model_that_came_or_went():
    assert [(row["kind"], row["model"], row["field"]) for row in csv_rows(EVENTS)] == [
        ("removed", "old", ""),
        ("changed", "moved", "pricing.input"),
        ("changed", "moved", "tags"),
        ("returned", "back", ""),
        ("changed", "back", "context_length"),
        ("added", "new/model:free", ""),
        ("changed", "quiet", "description"),
    ]


def test_a_change_without_fields_has_one_row():
    (row,) = csv_rows([replace(CHANGED, fields=())])
    assert (row["kind"], row["model"]) == ("changed", "moved")


def test_a_row_has_its_time_its_scopes_and_the_time_away():
    removed, _, _, returned, *_ = csv_rows(EVENTS)
    assert (removed["at"], removed["scopes"], removed["groups"]) == (AT, "one/prod one/public", "vip")
    assert (removed["since"], removed["away_seconds"]) == (BEFORE, "")
    assert (returned["since"], returned["away_seconds"]) == (BEFORE, "86400")


def test_rows_end_and_are_quoted_as_in_rfc_4180():
    text = as_csv([replace(ADDED, model='a,"b"\nc')])
    assert text.endswith("\r\n")
    assert text.count("\r\n") == 2
    assert '"a,""b""\nc"' in text


@pytest.mark.parametrize("start", "=+-@\t\r\n\x00＝＋－＠")
def test_an_apostrophe_precedes_formulas_in_every_column_from_gateways(start):
    harmful = f"{start}cmd"
    (row,) = csv_rows(
        [replace(CHANGED, model=harmful, fields=(FieldChange(harmful, harmful, harmful, "other"),))]
    )
    for column in ("field", "before", "after"):
        assert row[column].startswith("'")
        assert "\0" not in row[column]
    assert row["model"] == harmful.replace("\0", "\\u0000")


HOSTILE_IDS = (
    "=cmd|' /C calc'!A0",
    "-x",
    "+1+1",
    "@sum(1)",
    "@cf/meta/llama-3",
    " =leading blank",
    "\t=tab",
    "\r\n=line",
    "＝full-width",
    "－x",
    "'=quoted",
    'a,"b"',
    "-1",
    "größe-模型",
)


@pytest.mark.parametrize("model", HOSTILE_IDS)
def test_rows_can_be_joined_by_the_id_of_the_model(model: str) -> None:
    (row,) = csv_rows([replace(ADDED, model=model)])
    assert row["model"] == model == json.loads(pretty(event_value(replace(ADDED, model=model))))["model"]
    (row,) = rows(write_csv(("gateway", "model", "owned_by"), [("one", model, model)]))
    assert (row["model"], row["owned_by"].removeprefix("'")) == (model, model.removeprefix("'"))


@pytest.mark.parametrize("model", HOSTILE_IDS)
@pytest.mark.parametrize("settings", [{"bom": True}, {"guard_ids": True}])
def test_in_a_csv_for_a_spreadsheet_no_id_is_a_formula(model: str, settings: dict[str, bool]) -> None:
    text = as_csv([replace(ADDED, model=model)], **settings)
    assert text.startswith("\ufeff") == ("bom" in settings)
    (row,) = rows(text.removeprefix("\ufeff"))
    is_formula = model.lstrip()[0] in "=+-@＝－" and model != "-1"
    assert row["model"] == ("'" if is_formula else "") + model


def test_a_header_that_is_a_formula_is_guarded() -> None:
    assert write_csv(("model", "=group"), []) == "model,'=group\r\n"


@pytest.mark.parametrize(
    ("before", "after", "cells"),
    [
        ('"0.000002"', '"0.000003"', ("0.000002", "0.000003")),
        ('"0.50"', None, ("0.50", "")),
        (None, '"-1"', ("", "-1")),
        ('"1e-06"', '"+1"', ("1e-06", "+1")),
        ("0.000002", '"0.000003"', ("0.000002", "0.000003")),
        # The quotes stay where the sides would look equal, and where they hold no number.
        ("0.5", '"0.5"', ("0.5", '"0.5"')),
        ('"true"', "true", ('"true"', "true")),
        ('"1,5"', '"$2"', ('"1,5"', '"$2"')),
        ('"[1]"', '" 1"', ('"[1]"', '" 1"')),
        ('"', '""', ('"', '""')),
    ],
)
def test_a_number_in_a_text_is_a_bare_number(
    before: str | None, after: str | None, cells: tuple[str, str]
) -> None:
    (row,) = csv_rows([replace(CHANGED, fields=(FieldChange("pricing.prompt", before, after, "price"),))])
    assert (row["before"], row["after"]) == cells


def price(name: str, before: str | None, after: str | None, **more: str) -> PriceChange:
    values = (None if side is None else Decimal(side) for side in (before, after))
    return PriceChange(name, *values, **{"unit": "1M tokens", "source": "exact"} | more)


@pytest.mark.parametrize(
    ("fields", "prices", "cells"),
    [
        ([("prompt", '"0.000002"', '"0.000003"')], [price("input", "2", "3")], [("2", "3")]),
        ([("input", "2", "3")], [price("input", "2", "3")], [("2", "3")]),
        ([("per_1k", "0.002", None)], [price("input", "2", None)], [("2", "")]),
        ([("prompt", None, "0.0000001")], [price("input", None, "0.1")], [("", "0.1")]),
        ([("prompt", "0.0000000001", "0")], [price("input", "0.0001", "0")], [("0.0001", "0")]),
        (
            [("output", "4e-6", "5e-6"), ("prompt", "2e-6", "3e-6")],
            [price("input", "2", "3"), price("output", "4", "5")],
            [("4", "5"), ("2", "3")],
        ),
        ([("model_ratio", "1", "1.5")], [price("input", "2", "3", source="ratio")], [("2", "3")]),
        # Other currencies and units, prices per call, and unknown units.
        ([("prompt", "¥2", "¥3")], [], [("", "")]),
        ([("price", "0.02", "0.03")], [price("a call", "0.02", "0.03", unit="call")], [("", "")]),
        ([("price", "1", "2")], [], [("", "")]),
        ([("price", "1", "2")], [price("input", "5", "7")], [("", "")]),
    ],
)
def test_prices_in_usd_stand_beside_the_raw_ones(
    fields: list[tuple[str, str | None, str | None]],
    prices: list[PriceChange],
    cells: list[tuple[str, str]],
) -> None:
    event = replace(
        CHANGED, fields=tuple(FieldChange(*each, "price") for each in fields), prices=tuple(prices)
    )
    found = [(row["before_usd_per_1m"], row["after_usd_per_1m"]) for row in csv_rows([event])]
    assert found == cells


def test_a_limit_that_changes_like_a_price_is_no_price() -> None:
    event = replace(
        CHANGED,
        fields=(FieldChange("max_output", "2", "3", "limits"),),
        prices=(price("input", "2", "3"),),
    )
    assert [row["before_usd_per_1m"] for row in csv_rows([event])] == [""]


def test_each_row_and_each_event_has_its_severity() -> None:
    lost = replace(CHANGED, fields=(FieldChange("features", '["tools"]', "[]", "capabilities"),))
    events = (REMOVED, ADDED, lost, replace(REMOVED, urgent=True), QUIET)
    expected = ["breaking", "notable", "breaking", "urgent", "quiet"]
    assert [row["severity"] for row in csv_rows(events)] == expected
    assert [event_value(event)["severity"] for event in events] == expected


@pytest.mark.parametrize("number", ["0", "-1", "+1", "-2.5", "-1e-6", "1E+30", "-0.0000025"])
def test_no_apostrophe_precedes_a_number(number):
    assert cell(number) == number


@pytest.mark.parametrize("text", ["-", "--1", "-1+1", "+1 ", "-1e", "=1", "-0x1", "-1,5", "-1\n", "-١"])
def test_an_apostrophe_precedes_text_that_only_begins_like_a_number(text):
    assert cell(text) == f"'{text}"


@given(
    st.lists(
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), min_size=4, max_size=4
    )
)
def test_the_csv_keeps_every_text_apart_from_the_apostrophe(texts):
    model, field, before, after = texts
    event = replace(CHANGED, model=model, fields=(FieldChange(field, before, after, "other"),))
    (row,) = csv_rows([event])
    assert row["model"] == model
    for name, text in (("field", field), ("before", before), ("after", after)):
        assert text.removeprefix("'") in (row[name].removeprefix("'"), f'"{row[name]}"')


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_no_cell_is_a_formula(text):
    safe = cell(text)
    try:
        Decimal(safe)
    except ArithmeticError:
        assert not safe.startswith(tuple("=+-@\t\r\n\0＝＋－＠"))


BLANKS = (
    "",
    " ",
    "\xa0",
    "\u3000",
    "\u2003 ",
    "\u200b",
    "\ufeff",
    "\u2060\u200d",
    "\u202e",
    "\xad",
    "\u3164",
    "\x1b",
)
SIGNS = "=+-@＝＋－＠﹦﹢﹣﹫⁼⁺⁻₌₊₋−‐‑–—―➖➕˗꞊"


@pytest.mark.parametrize("blanks", BLANKS)
def test_signs_that_a_spreadsheet_may_take_for_those_of_a_formula_are_guarded(blanks):
    for sign in SIGNS:
        assert cell(f"{blanks}{sign}1+cmd|x").startswith("'")
    for text in (f"{blanks}gpt=4", f"{blanks}größe-模型", f"{blanks}1-2", f"{blanks}模型-1"):
        assert cell(text) == text


@pytest.mark.parametrize("number", ["-1", "+1.5", "-2e-6"])
def test_no_number_is_guarded(number):
    assert cell(number) == number


def test_a_report_validates_against_the_schema():
    report = valid(json.loads(as_json(REPORT)))
    assert report["totals"] == {"added": 1, "removed": 1, "returned": 1, "changed": 2, "shape": 0, "group": 0}
    assert [change["quiet"] for change in report["changes"]] == [False, False, False, False, True]
    valid(json.loads(as_json(replace(REPORT, since=None, events=(), recoveries=(), coverage=(NEW,)))))


def test_the_schema_itself_is_valid():
    Draft202012Validator.check_schema(schema())
    assert schema()["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def objects(described):
    """Yield every object description in a schema, at any depth."""
    if isinstance(described, dict):
        if described.get("type") == "object" and "required" in described:
            yield described
        for value in described.values():
            yield from objects(value)
    elif isinstance(described, list):
        for value in described:
            yield from objects(value)


def test_the_schema_allows_no_unknown_and_few_missing_properties():
    for described in objects(schema()):
        assert described["additionalProperties"] is False
        optional = set(described["properties"]) - set(described["required"])
        assert optional in (
            set(),
            {"before", "after", "flapping", "shape_of"},
            {"flapping"},
            {"flapping", "from_tokens", "window", "currency"},
            {"changes", "seconds"},
            {"models", "listed"},
            {"pending_removals", "pending_models", "hold", "listed_groups"},
        )


SPOILED = {
    "the schema of version 1": lambda report: report.update(schema="modelwatch/report/1"),
    "something more": lambda report: report.update(more=1),
    "no changes": lambda report: report.pop("changes"),
    "no time": lambda report: report["window"].update(until="yesterday"),
    "a time of another zone": lambda report: report["window"].update(until="2026-05-01T08:00:00+02:00"),
    "an unknown status": lambda report: report["run"].update(status="fine"),
    "a negative count": lambda report: report["run"].update(moved=-1),
    "a count of an unknown kind": lambda report: report["totals"].update(renamed=1),
    "an unknown kind": lambda report: report["changes"][0].update(kind="renamed"),
    "no scopes": lambda report: report["changes"][0].update(scopes=[]),
    "a scope twice": lambda report: report["changes"][0].update(scopes=["one/a", "one/a"]),
    "a scope without its gateway": lambda report: report["changes"][0].update(scopes=["prod"]),
    "a removal without a beginning": lambda report: report["changes"][0].update(since=None),
    "a removal with fields": lambda report: report["changes"][0].update(
        fields=report["changes"][1]["fields"]
    ),
    "a change with a duration": lambda report: report["changes"][1].update(away_seconds=3),
    "a field without sides": lambda report: [
        report["changes"][1]["fields"][0].pop(side, None) for side in ("before", "after")
    ],
    "an unknown class": lambda report: report["changes"][1]["fields"][0].update({"class": "money"}),
    "a return without its duration": lambda report: report["changes"][2].update(away_seconds=None),
    "an addition with a beginning": lambda report: report["changes"][3].update(since=BEFORE),
    "a key": lambda report: report["coverage"][0].update(key="env:PROD"),
    "problems of no scope": lambda report: report["coverage"][0].update(scope_count=0),
    "an unknown state": lambda report: report["scopes"].update(odd=1),
    "healthy, with an error": lambda report: report["coverage"][0].update(
        error={"class": "Refused", "message": "no"}
    ),
    "held, without a beginning": lambda report: report["coverage"][1].update(state_since=None),
    "held, as a failure": lambda report: report["coverage"][1]["error"].update({"class": "Refused"}),
    "failed, without an error": lambda report: report["coverage"][2].update(error=None),
    "failed, of an unknown class": lambda report: report["coverage"][2]["error"].update({"class": "Oops"}),
}


@pytest.mark.parametrize("how", SPOILED)
def test_the_schema_rejects_spoiled_reports(how):
    report = copy.deepcopy(json.loads(as_json(REPORT)))
    SPOILED[how](report)
    with pytest.raises(ValidationError):
        valid(report)


def test_an_absent_side_is_left_out_and_a_null_is_kept():
    fields = event_value(CHANGED)["fields"]
    assert fields == [
        {"field": "pricing.input", "class": "price", "before": Decimal("0.0000025")},
        {"field": "tags", "class": "text", "after": ["a", "b"]},
    ]
    nulled = replace(CHANGED, fields=(FieldChange("x", "null", "", "other"),))
    assert event_value(nulled)["fields"] == [{"field": "x", "class": "other", "before": None, "after": ""}]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abc.", max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(JSON, JSON)
def test_the_json_keeps_every_value(before, after):
    field = FieldChange("x", value_text(before), value_text(after), "other")
    event = json.loads(pretty(event_value(replace(CHANGED, fields=(field,)))))
    (found,) = valid(event, "change")["fields"]
    assert (found["before"], found["after"]) == (before, after)


def test_the_json_is_indented_and_keeps_unicode():
    text = as_json(replace(REPORT, events=(replace(ADDED, model="größe-模型"),)))
    assert "größe-模型" in text
    assert text.startswith('{\n  "schema"')
    assert text.endswith("}\n")


def test_the_csv_without_events_has_no_rows():
    assert list(csv.DictReader(io.StringIO(as_csv(())))) == []


def test_urgent_events_are_marked_in_csv_and_json():
    urgent = replace(REMOVED, urgent=True)
    assert [row["urgent"] for row in csv_rows((ADDED, urgent))] == ["", "yes"]
    value = json.loads(as_json(replace(REPORT, events=(ADDED, urgent))))
    assert [each["urgent"] for each in valid(value)["changes"]] == [False, True]
