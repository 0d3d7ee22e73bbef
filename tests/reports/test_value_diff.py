"""Differences between long values: the leaves of JSON, also in a string, and the position in a text."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.canonical import as_text
from pipeline.core.types import FieldChange
from pipeline.reports.console import field_texts
from pipeline.reports.value_diff import clip_to_difference, differing_leaves

OLD = {"name": "lyra", "tiers": [{"input": 1, "output": 8}]}
NEW = {"name": "lyra", "tiers": [{"input": 1, "output": 9}], "free": True}


def field(before: str | None, after: str | None) -> FieldChange:
    """Return a field change with two sides."""
    return FieldChange("billing", before, after, "price")


@pytest.mark.parametrize("written", [json.dumps, as_text, lambda value: as_text(json.dumps(value, indent=4))])
def test_the_differing_leaves_of_objects_and_of_json_in_strings(written) -> None:
    assert differing_leaves(field(written(OLD), written(NEW))) == (
        FieldChange("free", None, "true", "price"),
        FieldChange("tiers.0.output", "8", "9", "price"),
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, as_text(NEW)),
        (as_text(OLD), None),
        ("8", "9"),
        ('["a"]', '["b"]'),
        ("{not json", "{not json either"),
        (json.dumps(OLD), json.dumps(OLD, indent=1)),
        ("[" * 200, "[" * 201),
        ('{"a":' * 5000 + "1" + "}" * 5000, '{"a":2}'),
    ],
)
def test_other_values_have_no_differing_leaves(before: str | None, after: str | None) -> None:
    assert differing_leaves(field(before, after)) == ()


@given(st.text(max_size=200), st.text(max_size=200), st.text(max_size=200))
def test_clipped_texts_differ_where_the_texts_do(begin: str, old: str, new: str) -> None:
    shown = clip_to_difference(begin + old, begin + new, longest=60)
    assert max(map(len, shown)) <= 60
    assert (shown[0] != shown[1]) == (old != new) or "\\u" in begin + old + new


def test_a_line_of_the_terminal_has_the_first_leaves() -> None:
    (text,) = field_texts([field(as_text(OLD), as_text(NEW))])
    assert text == "billing: free true (new), tiers.0.output 8 → 9"
    many = ({str(n): side for n in range(9)} for side in (1, 2))
    assert field_texts([field(*map(as_text, many))])[0].endswith('"2" 1 → 2 and 6 more')
