"""The copies of core's rules in the plug-ins of Datasette, which import nothing of this program."""

from __future__ import annotations

import re
import sys

from pipeline.browse.plugins import assets
from pipeline.core.text import UNSAFE

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
