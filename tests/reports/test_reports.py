"""What a report looks like as CSV, JSON and text, and what its schema allows."""

import copy
import csv
import io
import json
import unicodedata
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, ValidationError
from support.e2e import rows, valid

from pipeline.core.canonical import as_text as value_text
from pipeline.core.canonical import pretty
from pipeline.core.text import printable
from pipeline.core.types import FieldChange, Kind
from pipeline.history.types import Coverage, Event, Recovery, Run
from pipeline.reports.console import duration, event_lines, minute, recovery_lines, report_lines
from pipeline.reports.csv_json import COLUMNS, as_csv, as_json, cell, event_value, schema
from pipeline.reports.report import Report

AT, BEFORE = "2026-05-02T06:00:00Z", "2026-05-01T06:00:00Z"

ADDED = Event(AT, 2, Kind.ADDED, "one", "new/model:free", ("one/prod",), ("vip",), owned_by="aurora")
REMOVED = Event(AT, 2, Kind.REMOVED, "one", "old", ("one/prod", "one/public"), ("vip",), since=BEFORE)
RETURNED = Event(
    AT,
    2,
    Kind.RETURNED,
    "one",
    "back",
    ("one/public",),
    (),
    since=BEFORE,
    away_seconds=86400,
    fields=(FieldChange("context_length", "8000", "16000", "limits"),),
)
CHANGED = Event(
    AT,
    2,
    Kind.CHANGED,
    "one",
    "moved",
    ("one/public",),
    (),
    fields=(
        FieldChange("pricing.input", "2.5e-6", None, "price"),
        FieldChange("tags", None, '["a","b"]', "text"),
    ),
)
QUIET = replace(CHANGED, model="quiet", fields=(FieldChange("description", "old", "new", "text"),))
EVENTS = (REMOVED, CHANGED, RETURNED, ADDED, QUIET)

WELL = Coverage("one/prod", "one", "vip", "key", "env:PROD", "ok", None, 7, None, 1, AT, AT, None, None)
HELD = Coverage(
    "one/public", "one", None, "anonymous", None, "held", AT, 7, 0, 0, AT, AT, None, "the list is empty"
)
FAILED = Coverage(
    "one/me", "one", None, "session", "file:me", "failed", BEFORE, 7, None, 0, AT, BEFORE, "Refused", "no"
)
NEW = Coverage("one/new", "one", None, "anonymous", None, "new", None, None, None, 0, None, None, None, None)
RECOVERY = Recovery(AT, "one/test", "one", "failed", believed=False, since=BEFORE, seconds=86400)
RUN = Run(2, AT, AT, "partial", 3, 2, 1, 1, 1)
REPORT = Report(BEFORE, RUN, EVENTS, (RECOVERY,), (WELL, HELD, FAILED))


def lines(events):
    """The rows that events give."""
    return rows(as_csv(events))


def test_the_columns_are_these():
    """Readers of the CSV rely on them: new ones are only ever added at the end."""
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
    )
    assert as_csv(()) == ",".join(COLUMNS) + "\r\n"


def test_a_line_a_model_and_a_line_a_field():
    """What came and went has a line; what changed has one for each field, and a return both."""
    assert [(row["kind"], row["model"], row["field"]) for row in lines(EVENTS)] == [
        ("removed", "old", ""),
        ("changed", "moved", "pricing.input"),
        ("changed", "moved", "tags"),
        ("returned", "back", ""),
        ("changed", "back", "context_length"),
        ("added", "new/model:free", ""),
        ("changed", "quiet", "description"),
    ]


def test_a_change_has_no_line_less_than_one():
    """A change is told even when no field of it has another path or value."""
    (row,) = lines([replace(CHANGED, fields=())])
    assert (row["kind"], row["model"]) == ("changed", "moved")


def test_a_row_says_when_for_whom_and_how_long():
    """Names are separated by spaces; what does not apply is empty."""
    removed, _, _, returned, *_ = lines(EVENTS)
    assert (removed["at"], removed["scopes"], removed["groups"]) == (AT, "one/prod one/public", "vip")
    assert (removed["since"], removed["away_seconds"]) == (BEFORE, "")
    assert (returned["since"], returned["away_seconds"]) == (BEFORE, "86400")


def test_the_lines_end_as_rfc_4180_has_it():
    """CR LF after each, and quotes around what needs them."""
    text = as_csv([replace(ADDED, model='a,"b"\nc')])
    assert text.endswith("\r\n")
    assert text.count("\r\n") == 2
    assert '"a,""b""\nc"' in text


@pytest.mark.parametrize(
    "start",
    [*"=+-@\t\r\n\x00＝＋－＠"],
)
def test_a_text_that_would_be_a_formula_gets_an_apostrophe(start):
    """In any column that a gateway has a hand in."""
    harmful = f"{start}cmd"
    (row,) = lines(
        [replace(CHANGED, model=harmful, fields=(FieldChange(harmful, harmful, harmful, "other"),))]
    )
    for column in ("model", "field", "before", "after"):
        assert row[column].startswith("'")
        assert "\0" not in row[column]


@pytest.mark.parametrize("number", ["0", "-1", "+1", "-2.5", "-1e-6", "1E+30", "-0.0000025"])
def test_a_number_is_a_number(number):
    """A negative price is no formula."""
    assert cell(number) == number


@pytest.mark.parametrize(
    "text",
    [
        *("-", "--1", "-1+1", "+1 ", "-1e", "=1", "-0x1", "-1,5"),
        *("-1\n", "-١"),
    ],
)
def test_what_is_no_number_is_a_text(text):
    """Only what is a number from end to end is left alone."""
    assert cell(text) == f"'{text}"


@given(
    st.lists(
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), min_size=4, max_size=4
    )
)
def test_every_text_comes_out_as_it_went_in(texts):
    """But for the apostrophe, and with as many rows as there are changes."""
    model, field, before, after = texts
    event = replace(CHANGED, model=model, fields=(FieldChange(field, before, after, "other"),))
    (row,) = lines([event])
    for name, text in (("model", model), ("field", field), ("before", before), ("after", after)):
        assert row[name].removeprefix("'") == text.removeprefix("'")


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_no_cell_is_a_formula(text):
    """Whatever a gateway writes."""
    safe = cell(text)
    try:
        Decimal(safe)
    except ArithmeticError:
        assert not safe.startswith(tuple("=+-@\t\r\n\0＝＋－＠"))


def test_a_report_is_what_the_schema_says():
    """With every kind of change and every state of a scope."""
    report = valid(json.loads(as_json(REPORT)))
    assert report["totals"] == {"added": 1, "removed": 1, "returned": 1, "changed": 2}
    assert [change["quiet"] for change in report["changes"]] == [False, False, False, False, True]
    valid(json.loads(as_json(replace(REPORT, since=None, events=(), recoveries=(), coverage=(NEW,)))))


def test_the_schema_is_a_schema():
    """Of the draft that it names, and it is in the package."""
    Draft202012Validator.check_schema(schema())
    assert schema()["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def objects(described):
    """Every description of an object in a schema, in whatever depth."""
    if isinstance(described, dict):
        if described.get("type") == "object" and "required" in described:
            yield described
        for value in described.values():
            yield from objects(value)
    elif isinstance(described, list):
        for value in described:
            yield from objects(value)


def test_the_schema_is_strict():
    """Every object names all it may hold; only what came later, or is of now, may be missing."""
    for described in objects(schema()):
        assert described["additionalProperties"] is False
        optional = set(described["properties"]) - set(described["required"])
        assert optional in (set(), {"before", "after"}, {"unconfirmed"}, {"urgent", "prices"})


SPOILED = {
    "another schema": lambda report: report.update(schema="modelwatch/report/2"),
    "something more": lambda report: report.update(more=1),
    "no changes": lambda report: report.pop("changes"),
    "no time": lambda report: report["window"].update(until="yesterday"),
    "a time of another zone": lambda report: report["window"].update(until="2026-05-01T08:00:00+02:00"),
    "a status of its own": lambda report: report["run"].update(status="fine"),
    "a negative count": lambda report: report["run"].update(moved=-1),
    "a count of another kind": lambda report: report["totals"].update(renamed=1),
    "a kind of its own": lambda report: report["changes"][0].update(kind="renamed"),
    "nobody": lambda report: report["changes"][0].update(scopes=[]),
    "a scope twice": lambda report: report["changes"][0].update(scopes=["one/a", "one/a"]),
    "a scope without its gateway": lambda report: report["changes"][0].update(scopes=["prod"]),
    "a removal without a beginning": lambda report: report["changes"][0].update(since=None),
    "a removal with fields": lambda report: report["changes"][0].update(
        fields=report["changes"][1]["fields"]
    ),
    "a change that was away": lambda report: report["changes"][1].update(away_seconds=3),
    "a field without sides": lambda report: [
        report["changes"][1]["fields"][0].pop(side, None) for side in ("before", "after")
    ],
    "a class of its own": lambda report: report["changes"][1]["fields"][0].update({"class": "money"}),
    "a return that took no time": lambda report: report["changes"][2].update(away_seconds=None),
    "an addition that was away": lambda report: report["changes"][3].update(since=BEFORE),
    "a key in plain": lambda report: report["coverage"][0].update(key="sk-0123456789"),
    "a way of its own": lambda report: report["coverage"][0].update(auth="magic"),
    "well, with an error": lambda report: report["coverage"][0].update(
        error={"class": "Refused", "message": "no"}
    ),
    "held, since never": lambda report: report["coverage"][1].update(state_since=None),
    "held, as a failure": lambda report: report["coverage"][1]["error"].update({"class": "Refused"}),
    "failed, without a word": lambda report: report["coverage"][2].update(error=None),
    "failed, of its own class": lambda report: report["coverage"][2]["error"].update({"class": "Oops"}),
}


@pytest.mark.parametrize("how", SPOILED)
def test_the_schema_refuses_what_no_report_is(how):
    """Each of these would be a mistake of the program."""
    report = copy.deepcopy(json.loads(as_json(REPORT)))
    SPOILED[how](report)
    with pytest.raises(ValidationError):
        valid(report)


def test_a_side_that_is_absent_is_left_out():
    """An absent field is not a null, and each value is the JSON that the gateway wrote."""
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
def test_every_value_comes_out_of_the_json_as_it_went_in(before, after):
    """Through the text of a field change and back."""
    field = FieldChange("x", value_text(before), value_text(after), "other")
    event = json.loads(pretty(event_value(replace(CHANGED, fields=(field,)))))
    (told,) = valid(event, "change")["fields"]
    assert (told["before"], told["after"]) == (before, after)


def test_the_json_is_for_people_and_programs():
    """Indented, Unicode as it is, a line feed at the end."""
    text = as_json(replace(REPORT, events=(replace(ADDED, model="größe-模型"),)))
    assert "größe-模型" in text
    assert text.startswith('{\n  "schema"')
    assert text.endswith("}\n")


def test_a_report_in_words():
    """Changes first, the quiet ones counted, then what is over and what is not well."""
    assert list(report_lines(REPORT)) == [
        "2026-05-02 06:00  one/prod one/public",
        "  - old  removed, missing since 2026-05-01 06:00",
        "2026-05-02 06:00  one/public",
        "  ~ moved",
        "      pricing.input: 2.5e-6 → (none)",
        '      tags: (none) → ["a","b"]',
        "  ↩ back  back after 1 days",
        "      context_length: 8000 → 16000",
        "2026-05-02 06:00  one/prod",
        "  + new/model:free",
        "1 quiet change: `modelwatch changes --all`",
        "one/test: answers again, after 1 days",
        "one/prod: 1 model missing, to be confirmed by the next answers",
        "one/public: held since 2026-05-02 06:00: the list is empty",
        "one/me: failed since 2026-05-01 06:00: no",
    ]


def test_a_report_without_changes_says_so():
    """And how many answered."""
    assert list(report_lines(replace(REPORT, events=(), recoveries=(), coverage=()))) == [
        "no change in what 2 scopes of 3 answered"
    ]


def test_many_scopes_are_counted():
    """More than three names are a number and their groups."""
    many = replace(ADDED, scopes=tuple(f"one/s{number}" for number in range(40)), groups=("default", "vip"))
    heading, _ = event_lines([many])
    assert heading == "2026-05-02 06:00  one: 40 scopes in default, vip"


def test_trouble_that_is_over_is_told_in_words():
    """A failure that ended, a held list that was believed, and one that was not given again."""
    held = replace(RECOVERY, was="held", scope="one/a")
    assert list(recovery_lines((RECOVERY, held, replace(held, scope="one/b", believed=True)))) == [
        "one/test: answers again, after 1 days",
        "one/a: the list held since 2026-05-01 06:00 was not given again",
        "one/b: the list held since 2026-05-01 06:00 is believed: it was given again",
    ]


@given(st.text())
def test_what_is_shown_steers_nothing(text):
    """No control character, no change of direction, nothing invisible, on one line of bounded length."""
    safe = printable(text)
    assert len(safe) <= 200
    assert len(safe.splitlines()) <= 1
    assert not {unicodedata.category(letter) for letter in safe} & {"Cc", "Cs", "Zl", "Zp"}
    assert not set(safe) & set("\u202a\u202d\u202e\u2066\u2069\u200b\u200f\u061c\ufeff")


@given(st.text(st.characters(categories=["L", "N", "P"], max_codepoint=0x2FF), max_size=199))
def test_what_is_harmless_is_shown_as_it_is(text):
    """Letters, digits and punctuation of any language."""
    assert printable(text) == text


@given(st.text(), st.text(), st.text())
def test_no_event_makes_lines_of_its_own(model, name, value):
    """One event is its heading, its line, and a line a field, whatever is in it."""
    fields = (FieldChange(name, value, None, "other"), FieldChange(name, None, value, "price"))
    told = list(event_lines([replace(CHANGED, model=model, fields=fields)]))
    assert len(told) == 4
    assert all(len(line.splitlines()) <= 1 for line in told)


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (5400, "1.5 h"),
        (86399, "24 h"),
        (86400, "1 days"),
        (500_000, "5.8 days"),
    ],
)
def test_a_duration_is_in_its_largest_unit(seconds, told):
    """With one decimal where it is not whole."""
    assert duration(seconds) == told


def test_times_are_told_to_the_minute():
    """In UTC, as people read them."""
    assert minute(AT) == "2026-05-02 06:00"


def test_the_csv_of_nothing_is_a_header_that_any_reader_takes():
    """So that a program that waits for the file finds its columns."""
    assert list(csv.DictReader(io.StringIO(as_csv(())))) == []


def test_what_is_urgent_is_told_first_and_marked():
    """Before what happened earlier, and in its own order."""
    urgent = replace(REMOVED, model="mine", urgent=True)
    told = list(report_lines(replace(REPORT, events=(ADDED, REMOVED, urgent), recoveries=(), coverage=())))
    assert [line for line in told if line.startswith(("  ", "! "))] == [
        "! - mine  removed, missing since 2026-05-01 06:00",
        "  + new/model:free",
        "  - old  removed, missing since 2026-05-01 06:00",
    ]


def test_what_is_urgent_is_never_folded():
    """Neither among what goes in bulk, nor what changes alike, nor what comes and goes."""
    gone = [replace(REMOVED, model=f"vendor/{number}") for number in range(9)]
    gone.append(replace(REMOVED, model="vendor/mine", urgent=True))
    assert [line for line in event_lines(gone) if line.startswith("! ")] == [
        "! - vendor/mine  removed, missing since 2026-05-01 06:00"
    ]
    same = [replace(CHANGED, model=f"m{number}", urgent=number == 3) for number in range(9)]
    assert [line for line in event_lines(same) if line.startswith("! ")] == ["! ~ m3"]
    flapping = [replace(REMOVED, snapshot=number, urgent=number == 4) for number in range(2, 6)]
    told = list(event_lines(flapping))
    assert "back and forth" not in told
    assert sum(line.startswith("! ") for line in told) == 1


def test_what_is_urgent_says_so_in_the_files():
    """In the last column of the CSV, and in the JSON."""
    urgent = replace(REMOVED, urgent=True)
    assert [row["urgent"] for row in lines((ADDED, urgent))] == ["", "yes"]
    told = json.loads(as_json(replace(REPORT, events=(ADDED, urgent))))
    assert [each["urgent"] for each in valid(told)["changes"]] == [False, True]
