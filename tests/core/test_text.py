"""Foreign text: unsafe characters, secrets, request ids, length."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.text import UNSAFE, count, one_line, printable, redact

UNSAFE_CHARACTERS = [
    *map(chr, (0x00, 0x09, 0x0A, 0x1B, 0x1F, 0x7F, 0x85, 0x9B, 0x9F)),
    *map(chr, (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))),
    *map(chr, (0x200B, 0x200C, 0x200D, 0x2060, 0x2064, 0xFEFF)),
    *map(chr, (0x2028, 0x2029, 0xD800, 0xDFFF)),
]


@pytest.mark.parametrize("character", UNSAFE_CHARACTERS, ids=lambda character: f"{ord(character):04x}")
def test_every_function_removes_every_unsafe_character(character: str) -> None:
    text = f"a{character}b"
    assert printable(text) == f"a\\u{ord(character):04x}b"
    assert one_line(text) == redact(text) == "a b"


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cf", "Zl", "Zp"]), max_size=100))
def test_safe_text_stays_as_it_is(text: str) -> None:
    assert printable(text) == text
    assert one_line(text) == text.strip()


@given(st.text())
def test_no_unsafe_character_is_left(text: str) -> None:
    unsafe = re.compile(f"[{UNSAFE}]")
    for safe in (printable(text), one_line(text), redact(text)):
        assert not unsafe.search(safe)
        safe.encode()


def test_long_text_is_clipped() -> None:
    assert printable("x" * 300) == "x" * 199 + "…"
    assert one_line("x" * 400) == "x" * 299 + "…"


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("key sk-abcdefgh is unknown", "key *** is unknown"),
        ("Authorization: Bearer abcdefgh", "Authorization: Bearer ***"),
        ("quota exceeded (request id: 2024-abc)", "quota exceeded"),
        ("overloaded [request_id: abc]", "overloaded"),
        ("upstream down, request_id: abc.", "upstream down."),
        ("upstream down (request id: abc), try later", "upstream down, try later"),
    ],
)
def test_keys_and_request_ids_are_redacted(text: str, redacted: str) -> None:
    assert redact(text).rstrip("]") == redacted


def test_a_number_has_its_noun() -> None:
    assert [count(number, "model") for number in (0, 1, 2)] == ["0 models", "1 model", "2 models"]
