"""The colours of HTML mails and pages, in light and in dark mode."""

from __future__ import annotations

from typing import NamedTuple


class Shade(NamedTuple):
    """A colour in light and in dark mode."""

    light: str
    dark: str


TEXT = {
    "ink": Shade("#1c2126", "#e4e7ea"),
    "faint": Shade("#59636e", "#a0a9b3"),
    "urgent": Shade("#b3211b", "#ff8f85"),
    "breaking": Shade("#8a4b00", "#f0a94b"),
    "notable": Shade("#1b5fae", "#7ab8ff"),
    "calm": Shade("#1f6b3b", "#6fcf8e"),
    "link": Shade("#0b5cad", "#7ab8ff"),
    "worse": Shade("#b3211b", "#ff8f85"),
    "better": Shade("#1f6b3b", "#6fcf8e"),
}

BACKGROUND = {
    "page": Shade("#f3f4f6", "#0e1114"),
    "card": Shade("#ffffff", "#171b20"),
    "tint": Shade("#f1f3f5", "#22272e"),
    "urgent-wash": Shade("#fdecea", "#3a1d1b"),
    "breaking-wash": Shade("#fdf1de", "#35260f"),
    "notable-wash": Shade("#e8f1fb", "#152a42"),
    "calm-wash": Shade("#e6f4ea", "#14301f"),
}

LINE = {
    "rule": Shade("#e1e4e8", "#2d333b"),
    "bar": Shade("#8ea0b5", "#5d7188"),
    "cut": Shade("#cf4a42", "#e0655c"),
}

_EDGES = ("urgent", "breaking", "notable", "rule")
"""The colours of the edges of sections."""

TEXT_ON_BACKGROUND = tuple(
    (text, background)
    for background in ("card", "tint", "page")
    for text in TEXT
    if background == "card" or text in ("ink", "faint")
) + tuple((tone, f"{tone}-wash") for tone in ("urgent", "breaking", "notable", "calm"))
"""Each pair of colours in which text is set."""


def light() -> dict[str, str]:
    """Return the colours of light mode, by name."""
    return {name: shade.light for name, shade in (TEXT | BACKGROUND | LINE).items()}


def dark() -> list[tuple[str, str, str]]:
    """Return the rules of dark mode: class, property and colour."""
    return [
        *((name, "color", shade.dark) for name, shade in TEXT.items()),
        *((name, "background-color", shade.dark) for name, shade in BACKGROUND.items()),
        ("rule", "border-color", LINE["rule"].dark),
        *((f"{name}-edge", "border-color", (TEXT | LINE)[name].dark) for name in _EDGES),
        *((name, "background-color", shade.dark) for name, shade in LINE.items() if name != "rule"),
    ]
