"""The contrast of the colours of mails."""

from __future__ import annotations

import pytest

from pipeline.reports.render.colours import BACKGROUND, TEXT, TEXT_ON_BACKGROUND


def luminance(colour: str) -> float:
    parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(first: str, second: str) -> float:
    """Return the contrast of two colours: https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio"""
    low, high = sorted(map(luminance, (first, second)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize(("ink", "ground"), TEXT_ON_BACKGROUND)
def test_all_text_has_the_contrast_of_wcag_level_aa(ink: str, ground: str) -> None:
    assert contrast(TEXT[ink].light, BACKGROUND[ground].light) >= 4.5
    assert contrast(TEXT[ink].dark, BACKGROUND[ground].dark) >= 4.5
