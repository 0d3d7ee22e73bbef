"""Fill templates with pages: the user's own or the built-in ones, in a sandbox."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from importlib import resources
from traceback import extract_tb
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from pipeline.errors import ConfigError
from pipeline.reports.render.colours import dark, light
from pipeline.reports.render.locales import UNTRUSTED, Piece, Text, plain
from pipeline.reports.render.types import Chart, Page
from pipeline.reports.types import Summary

if TYPE_CHECKING:
    from jinja2 import BaseLoader, Environment

TEMPLATES = {"txt": "mail.txt.j2", "md": "mail.md.j2", "html": "mail.html.j2", "subject": "subject.j2"}
"""The name of each format's template."""

_BUILTIN = "builtin/"
"""The prefix by which a user's template extends or includes a built-in one."""

_WIDTH = 78
_BARS = "▁▂▃▄▅▆▇█"

_BLANK_LINES = re.compile(r"\n{3,}")
_TRAILING_SPACE = re.compile(r"[ \t]+$", re.MULTILINE)
_MARKDOWN_SYNTAX = re.compile(r"([\\`*_\[\]<>#|~])")
_BACKTICK = "\\u0060"

_UNKNOWN_ATTRIBUTE = re.compile(r"'(?:\w+\.)*(\w+) object' has no attribute")


def fill(name: str, page: Page, summary: Summary, templates: Mapping[str, str]) -> str:
    """Fill a template with a page.

    Raises:
        ConfigError: the user's template has a mistake; the error names file, line and mistake.
    """
    if name not in templates:
        return _fill(_environment(()), name, page, summary)
    try:
        return _fill(_environment(tuple(sorted(templates.items()))), name, page, summary)
    except Exception as error:  # a template is a program, which may raise anything
        where, what = _mistake(error, name, templates)
        raise ConfigError(what, where=where) from error


def _fill(environment: Environment, name: str, page: Page, summary: Summary) -> str:
    return environment.get_template(name).render(page=page, summary=summary)


def _mistake(error: Exception, name: str, templates: Mapping[str, str]) -> tuple[str, str]:
    """Return the file and line of a mistake in a template, and its description."""
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
            return where, _UNKNOWN_ATTRIBUTE.sub(lambda of: f"a {of[1].lower()} has no", str(error))
        case _:
            return where, f"{type(error).__name__}: {error}"


@lru_cache(8)
def _environment(templates: tuple[tuple[str, str], ...]) -> Environment:
    """Return the environment of the user's templates: names and texts."""
    from jinja2 import StrictUndefined
    from jinja2.sandbox import SandboxedEnvironment

    environment = SandboxedEnvironment(
        loader=_loader(dict(templates)),
        autoescape=lambda name: name is not None and name.removesuffix(".j2").endswith(".html"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals |= {"light": light(), "dark": dark()}
    environment.filters |= {
        "plain": plain,
        "markdown": _markdown,
        "html": _html,
        "wrap": _wrap,
        "sparkline": _sparkline,
    }
    return environment


def _loader(templates: Mapping[str, str]) -> BaseLoader:
    from jinja2 import FunctionLoader

    def load(name: str) -> tuple[str, str, Callable[[], bool]] | None:
        own = templates.get(name)
        if own is not None:
            return own, name, lambda: True
        text = _builtin_templates().get(name.removeprefix(_BUILTIN))
        return None if text is None else (text, f"{_BUILTIN}{name}", lambda: True)

    return FunctionLoader(load)


@cache
def _builtin_templates() -> dict[str, str]:
    """Return the texts of the built-in templates, by file name."""
    folder = resources.files("pipeline.reports.render") / "templates"
    return {each.name: each.read_text(encoding="utf-8") for each in folder.iterdir()}


def tidy(text: str) -> str:
    """Remove spaces at the ends of lines, and all but one of consecutive empty lines."""
    return _BLANK_LINES.sub("\n\n", _TRAILING_SPACE.sub("", text)).strip("\n") + "\n"


def _markdown(text: Text) -> str:
    """Return a text as Markdown; text from outside becomes code, in which no syntax applies."""
    return "".join(map(_piece_as_markdown, text))


def _piece_as_markdown(piece: Piece) -> str:
    if piece.link:
        return f"[{_piece_as_markdown(replace(piece, link=''))}]({piece.link})"
    if piece.style in UNTRUSTED and piece.text:
        return f"`{piece.text.replace('`', _BACKTICK)}`"
    text = _MARKDOWN_SYNTAX.sub(r"\\\1", piece.text)
    return f"**{text}**" if piece.style == "strong" and text.strip() == text else text


def _html(text: Text) -> Any:
    """Return a text as HTML, each piece in its style."""
    from markupsafe import Markup

    return Markup("").join(map(_piece_as_html, text))


def _piece_as_html(piece: Piece) -> Any:
    from markupsafe import Markup, escape

    colours = light()
    if piece.link:
        style = f"color:{colours['link']};text-decoration:none"
        shown = _piece_as_html(replace(piece, link=""))
        return Markup('<a class="link" href="{}" style="{}">{}</a>').format(piece.link, style, shown)
    code = "font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;font-size:.93em"
    match piece.style:
        case "id" | "command" | "value":
            style = f"{code};overflow-wrap:anywhere"
            return Markup('<span style="{}">{}</span>').format(style, piece.text)
        case "name" | "strong":
            return Markup('<b style="font-weight:600">{}</b>').format(piece.text)
        case "quote":
            return Markup("<i>{}</i>").format(piece.text)
        case "worse" | "better" | "faint":
            style = f"color:{colours[piece.style]};white-space:nowrap"
            return Markup('<span class="{}" style="{}">{}</span>').format(piece.style, style, piece.text)
        case _:
            return escape(piece.text)


class _Wrapper(textwrap.TextWrapper):
    """Wraps between words, and after the comma of languages that have no space there."""

    wordsep_simple_re = re.compile(r"([\t\n\v\f\r ]+|(?<=、))")


def _wrap(text: str, indent: int = 0, hang: int = 0) -> str:
    """Wrap a text without breaking ids."""
    lines = _Wrapper(
        _WIDTH,
        initial_indent=" " * indent,
        subsequent_indent=" " * (indent + hang),
        break_long_words=False,
        break_on_hyphens=False,
    )
    return lines.fill(text)


def _sparkline(chart: Chart) -> str:
    """Return the chart in characters."""
    return "".join(_BARS[min(7, bar.height * 8 // 101)] if bar.total else "·" for bar in chart.bars)
