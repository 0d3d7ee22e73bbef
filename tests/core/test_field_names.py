"""Facts under other names: found in a record and in the usual objects in it, whatever the values."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import strategies

from pipeline.core import field_names
from pipeline.core.facts import FactPaths, Facts, to_columns
from pipeline.core.field_names import Fields, Names, plain
from pipeline.core.price_fields import find_prices

facts = FactPaths()

KNOWN = sorted(
    {
        *(name for value in vars(field_names).values() if isinstance(value, Names) for name in value.rank),
        *field_names.CONTAINERS,
        *("pricing", "price", "cost", "input", "output", "prompt", "completion", "currency", "unit", "type"),
        *("deprecated", "preview", "vision", "supports_tools", "max_tokens", "modality", "cache_read"),
    }
)

records = st.recursive(
    strategies.values
    | st.sampled_from(["1M", "$0.50 / 1M", "CNY", "per_token", "2027-01-31", "text->text", 3, True]),
    lambda inner: st.dictionaries(st.sampled_from(KNOWN), inner, max_size=5) | st.lists(inner, max_size=2),
    max_leaves=20,
)


@given(st.dictionaries(st.sampled_from(KNOWN), records, max_size=8))
def test_any_value_under_a_known_name_is_a_fact_or_none(body: dict[str, Any]) -> None:
    columns = to_columns(facts(body))
    assert all(isinstance(value, str | int | float | None) for value in columns.values())
    find_prices(body)
    facts.impossible_prices(body)


@pytest.mark.parametrize("name", ["contextWindow", "context_window", "Context-Window", "CONTEXTWINDOW"])
def test_names_are_compared_without_case_and_punctuation(name: str) -> None:
    assert plain(name) == "contextwindow"
    assert facts({name: 4096}).context_length == 4096


def test_the_record_itself_comes_before_the_objects_in_it() -> None:
    body = {"info": {"context_size": 1, "developer": "inner"}, "context_size": 2}
    assert Fields(body).context_length() == 2
    assert Fields(body).owned_by() == "inner"


def test_a_path_of_the_dialect_keeps_other_names_out() -> None:
    reading = FactPaths(
        owned_by=(), created=("made",), context_length=("ctx",), lifecycle=(), deprecated_at=()
    )
    body = {
        "developer": "north",
        "released": 1_750_000_000,
        "context_size": 4096,
        "deprecated": True,
        "sunset_date": "2027-01-31",
    }
    assert reading(body) == Facts()


@pytest.mark.parametrize(
    ("body", "stage"),
    [
        ({"status": "active", "deprecated": True}, "deprecated"),
        ({"status": "retiring", "deprecated": True}, "retiring"),
        ({"deprecated": False, "preview": True}, "preview"),
        ({"status": "active", "preview": True}, "active"),
        ({"is_legacy": True, "beta": True}, "legacy"),
        ({"metadata": {"archived": True}}, "archived"),
        ({"lifecycle": {"stage": "ga"}}, "ga"),
        ({"deprecated": "no"}, None),
        ({"lifecycle": 3}, None),
    ],
)
def test_a_flag_of_an_end_outweighs_a_stage_in_use(body: dict[str, Any], stage: str | None) -> None:
    assert facts(body).lifecycle == stage


@pytest.mark.parametrize(
    ("body", "end"),
    [
        ({"retirement_date": "2027-01-31"}, "2027-01-31"),
        ({"metadata": {"sunsetAt": "2027-01-31T10:00:00Z"}}, "2027-01-31"),
        ({"lifecycle": {"eol": 1_800_000_000}}, "2027-01-15"),
        ({"deprecation": {"announced": "2026-01-01", "removes_at": "2027-01-31"}}, "2027-01-31"),
        ({"sunset": {"date": "2027-01-31"}}, "2027-01-31"),
        ({"end_date": "2027-01-31"}, "2027-01-31"),
        ({"availableUntil": "2027-01-31"}, "2027-01-31"),
        ({"valid_until": 1_800_000_000_000}, "2027-01-15"),
        ({"info": {"phase_out": "2027-01-31"}}, "2027-01-31"),
        ({"phase_out_date": "2027-01-31"}, "2027-01-31"),
        ({"decommission_date": "2027-01-31", "end_date": "2028-01-31"}, "2027-01-31"),
        ({"offline_time": "2027-01-31T00:00:00Z"}, "2027-01-31"),
        ({"pricing": {"promotion": {"end_date": "2027-01-31"}}}, None),
        ({"promotion": {"end_date": "2027-01-31"}}, None),
        ({"valid_until": "9999-12-31"}, None),
        ({"retirement_date": "2099-12-31"}, None),
        ({"retirement_date": None, "eol": ""}, None),
    ],
)
def test_an_announced_end_is_found_by_its_name(body: dict[str, Any], end: str | None) -> None:
    assert facts(body).deprecated_at == end


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ({"architecture": {"modality": "text+image->text"}}, ("image", "text")),
        ({"capabilities": ["input:text", "input:audio", "output:text"]}, ("audio", "text")),
        ({"supports": {"vision": True}}, ("image", "text")),
        ({"supports_vision": False}, ()),
        ({"vision": "yes"}, ()),
        ({"modality": "chat"}, ()),
    ],
)
def test_modalities_are_read_from_texts_and_flags(body: dict[str, Any], found: tuple[str, ...]) -> None:
    assert facts(body).input_modalities == found


def test_max_tokens_is_the_longest_output_only_beside_a_longer_context() -> None:
    longest = [
        facts(body).max_output
        for body in (
            {"max_tokens": 4096, "context_size": 8192},
            {"max_tokens": 8192, "context_size": 8192},
            {"max_tokens": 4096},
        )
    ]
    assert longest == [4096, None, None]
