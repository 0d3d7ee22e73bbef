"""The copies of core's rules in the plug-ins of Datasette, which import nothing of this program."""

from __future__ import annotations

import re
import sys

from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.browse.plugins import assets, sheets, start
from pipeline.core.canonical import as_text
from pipeline.core.impact import is_reduction
from pipeline.core.text import UNSAFE
from pipeline.core.types import FieldChange
from pipeline.reports import csv_json

WHITE_SPACE = set("\t\n\r")
"""Safe in HTML, which shows it as a space."""


def test_pages_escape_the_unsafe_characters() -> None:
    unsafe = re.compile(f"[{UNSAFE}]")
    characters = [
        chr(code)
        for code in range(sys.maxunicode + 1)
        if not 0xD800 <= code <= 0xDFFF  # none in UTF-8
    ]
    expected = {each for each in characters if unsafe.match(each)} - WHITE_SPACE
    assert {each for each in characters if assets.UNSAFE.match(each)} == expected


def test_sheets_take_for_a_formula_what_reports_take_for_one() -> None:
    for code in (code for code in range(sys.maxunicode + 1) if not 0xD800 <= code <= 0xDFFF):
        for text in (chr(code), f"{chr(code)}=1"):
            assert bool(sheets.FORMULA.match(text)) == bool(csv_json._FORMULA.match(text)), hex(code)
    assert sheets.NUMBER.pattern == csv_json._NUMBER.pattern


_names = st.sampled_from(["tools", "vision", "a note", "", " json "])
_values = (
    st.none()
    | st.booleans()
    | st.integers(0, 1)
    | st.lists(_names, max_size=3)
    | st.lists(_names, max_size=3).map(",".join)
    | st.dictionaries(_names, st.booleans(), max_size=3)
)


@given(_values, _values | st.just(KeyError))
@example(before=True, after=False)
@example(["tools"], KeyError)
@example("medium", "low")
@example("tools,vision", "tools")
def test_pages_call_a_capability_lost_as_reports_do(before: object, after: object) -> None:
    old, new = as_text(before), None if after is KeyError else as_text(after)
    assert start.is_lost(old, new) == is_reduction(FieldChange("features", old, new, "capabilities"))
