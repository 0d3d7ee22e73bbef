"""The colours of mails and pages, by day and by night."""

from __future__ import annotations

from typing import NamedTuple


class Shade(NamedTuple):
    """A colour on a light page, and its fellow on a dark one."""

    light: str
    dark: str


INK = {
    "ink": Shade("#1c2126", "#e4e7ea"),
    "faint": Shade("#59636e", "#a0a9b3"),
    "urgent": Shade("#b3211b", "#ff8f85"),
    "breaking": Shade("#8a4b00", "#f0a94b"),
    "notable": Shade("#1b5fae", "#7ab8ff"),
    "calm": Shade("#1f6b3b", "#6fcf8e"),
    "worse": Shade("#b3211b", "#ff8f85"),
    "better": Shade("#1f6b3b", "#6fcf8e"),
}
"""What words are written in."""

GROUND = {
    "page": Shade("#f3f4f6", "#0e1114"),
    "card": Shade("#ffffff", "#171b20"),
    "tint": Shade("#f1f3f5", "#22272e"),
    "urgent-wash": Shade("#fdecea", "#3a1d1b"),
    "breaking-wash": Shade("#fdf1de", "#35260f"),
    "notable-wash": Shade("#e8f1fb", "#152a42"),
    "calm-wash": Shade("#e6f4ea", "#14301f"),
}
"""What words are written on."""

LINE = {
    "rule": Shade("#e1e4e8", "#2d333b"),
    "bar": Shade("#8ea0b5", "#5d7188"),
    "cut": Shade("#cf4a42", "#e0655c"),
}
"""What is drawn."""

EDGES = ("urgent", "breaking", "notable", "rule")
"""What a section's edge is drawn in."""

ON = tuple(
    (ink, ground)
    for ground in ("card", "tint", "page")
    for ink in INK
    if ground == "card" or ink in ("ink", "faint")
) + tuple((tone, f"{tone}-wash") for tone in ("urgent", "breaking", "notable", "calm"))
"""Which words stand on which ground."""


def light() -> dict[str, str]:
    """Give the colours by day, by name."""
    return {name: shade.light for name, shade in (INK | GROUND | LINE).items()}


def dark() -> list[tuple[str, str, str]]:
    """Give what changes by night: a class, a property and its colour."""
    return [
        *((name, "color", shade.dark) for name, shade in INK.items()),
        *((name, "background-color", shade.dark) for name, shade in GROUND.items()),
        *((name, "border-color", LINE[name].dark) for name in ("rule",)),
        *((f"{name}-edge", "border-color", (INK | LINE)[name].dark) for name in EDGES),
        *((name, "background-color", shade.dark) for name, shade in LINE.items() if name != "rule"),
    ]
