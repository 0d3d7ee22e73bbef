"""Pages through templates: the user's own where there are any, in a sandbox, else the built-in ones.

The colours of mails and pages, by day and by night.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from importlib import resources
from traceback import extract_tb
from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline.errors import ConfigError
from pipeline.reports.render.catalogue import UNTRUSTED, Piece, Text, plain
from pipeline.reports.render.types import Page, Picture
from pipeline.reports.types import Summary

if TYPE_CHECKING:
    from jinja2 import BaseLoader, Environment


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


TEMPLATES = {"txt": "mail.txt.j2", "md": "mail.md.j2", "html": "mail.html.j2", "subject": "subject.j2"}
"""By form: the name of its template."""


BUILTIN = "builtin/"
"""Before its name, a template of the user's can extend or include the built-in one."""


_ENDS = re.compile(r"\n{3,}")


_TRAILING = re.compile(r"[ \t]+$", re.MULTILINE)


_WIDTH = 78


_BARS = "▁▂▃▄▅▆▇█"


_BACKTICK = "\\u0060"


_PROSE = re.compile(r"([\\`*_\[\]<>#|~])")


_OBJECT = re.compile(r"'(?:\w+\.)*(\w+) object' has no attribute")


def fill(name: str, page: Page, brief: Summary, templates: Mapping[str, str]) -> str:
    """Fill a template with a page.

    Raises:
        ConfigError: the user's template has a mistake; says in which file and line, and what is wrong.
    """
    if name not in templates:
        return _fill(_environment({}), name, page, brief)
    try:
        return _fill(_environment(templates), name, page, brief)
    except Exception as error:  # whatever a template does: it is somebody's program
        where, what = _mistake(error, name, templates)
        raise ConfigError(what, where=where) from error


def _fill(environment: Environment, name: str, page: Page, brief: Summary) -> str:
    return environment.get_template(name).render(page=page, brief=brief)


def _mistake(error: Exception, name: str, templates: Mapping[str, str]) -> tuple[str, str]:
    """Find the file and line of a mistake, and say what is wrong."""
    from jinja2 import TemplateError, TemplateNotFound

    line = getattr(error, "lineno", None)
    if line is not None:
        return f"{getattr(error, 'name', None) or name}:{line}", str(getattr(error, "message", error))
    found = [frame for frame in extract_tb(error.__traceback__) if frame.filename in templates]
    where = f"{found[-1].filename}:{found[-1].lineno}" if found else name
    match error:
        case TemplateNotFound():
            return where, f"there is no template '{error}'"
        case TemplateError():
            return where, _OBJECT.sub(lambda of: f"a {of[1].lower()} has no", str(error))
        case _:
            return where, f"{type(error).__name__}: {error}"


def _environment(templates: Mapping[str, str]) -> Environment:
    return _made(tuple(sorted(templates.items())))


@lru_cache(8)
def _made(templates: tuple[tuple[str, str], ...]) -> Environment:
    from jinja2 import StrictUndefined
    from jinja2.sandbox import SandboxedEnvironment

    made = SandboxedEnvironment(
        loader=_loader(dict(templates)),
        autoescape=lambda name: name is not None and name.removesuffix(".j2").endswith(".html"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.globals |= {"light": light(), "dark": dark()}
    made.filters |= {
        "plain": plain,
        "marked": _in_markdown,
        "styled": _in_html,
        "wrapped": _wrapped,
        "sparks": _sparks,
    }
    return made


def _loader(templates: Mapping[str, str]) -> BaseLoader:
    from jinja2 import FunctionLoader

    def load(name: str) -> tuple[str, str, Callable[[], bool]] | None:
        own = templates.get(name)
        if own is not None:
            return own, name, lambda: True
        text = builtin(name.removeprefix(BUILTIN))
        return None if text is None else (text, f"{BUILTIN}{name}", lambda: True)

    return FunctionLoader(load)


def builtin(name: str) -> str | None:
    """Give the text of a built-in template; None where there is none of that name."""
    if name not in _names():
        return None
    return (resources.files("pipeline.reports.render") / "templates" / name).read_text(encoding="utf-8")


@cache
def _names() -> frozenset[str]:
    return frozenset(
        each.name for each in (resources.files("pipeline.reports.render") / "templates").iterdir()
    )


def tidy(text: str) -> str:
    """Take out spaces at the ends of lines, and more than one empty line in a row."""
    return _ENDS.sub("\n\n", _TRAILING.sub("", text)).strip("\n") + "\n"


def _in_markdown(text: Text) -> str:
    """Write words in Markdown; what others wrote is code, in which nothing has a meaning."""
    return "".join(map(_piece_in_markdown, text))


def _piece_in_markdown(piece: Piece) -> str:
    if piece.mark in UNTRUSTED and piece.text:
        return f"`{piece.text.replace('`', _BACKTICK)}`"
    text = _PROSE.sub(r"\\\1", piece.text)
    return f"**{text}**" if piece.mark == "strong" and text.strip() == text else text


def _in_html(text: Text) -> Any:
    """Write words in HTML, each kind in its own style."""
    from markupsafe import Markup

    return Markup("").join(map(_piece_in_html, text))


def _piece_in_html(piece: Piece) -> Any:
    from markupsafe import Markup, escape

    colours = light()
    code = "font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;font-size:.93em"
    match piece.mark:
        case "id" | "command" | "value":
            style = f"{code};overflow-wrap:anywhere"
            return Markup('<span style="{}">{}</span>').format(style, piece.text)
        case "name" | "strong":
            return Markup('<b style="font-weight:600">{}</b>').format(piece.text)
        case "said":
            return Markup("<i>{}</i>").format(piece.text)
        case "worse" | "better" | "faint":
            style = f"color:{colours[piece.mark]};white-space:nowrap"
            return Markup('<span class="{}" style="{}">{}</span>').format(piece.mark, style, piece.text)
        case _:
            return escape(piece.text)


class _Lines(textwrap.TextWrapper):
    """Breaks lines between words, and after the comma of languages that have no space there."""

    wordsep_simple_re = re.compile(r"([\t\n\v\f\r ]+|(?<=、))")


def _wrapped(text: str, indent: int = 0, hang: int = 0) -> str:
    """Break a text into lines; ids stay whole."""
    lines = _Lines(
        _WIDTH,
        initial_indent=" " * indent,
        subsequent_indent=" " * (indent + hang),
        break_long_words=False,
        break_on_hyphens=False,
    )
    return lines.fill(text)


def _sparks(picture: Picture) -> str:
    """Draw the picture in characters."""
    return "".join(_BARS[min(7, bar.height * 8 // 101)] if bar.total else "·" for bar in picture.bars)
