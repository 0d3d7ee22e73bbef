"""The layers hold: imports point downwards, each library has one owner, only `cli` sees the world."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest
from support import TESTS

PACKAGE = TESTS.parent / "pipeline"
LONGEST = 300
"""Lines that a module may have; a longer one is two things."""

LAYERS: tuple[frozenset[str], ...] = (
    frozenset({"types", "canonical", "errors", "known", "paths", "wording", "times", "globs", "addresses"}),
    frozenset({"dialects", "values", "facts", "permissions", "pricing", "reports", "schedule"})
    | frozenset({"diff", "judge", "rereading", "varying", "probing", "watchlist", "destinations"})
    | frozenset({"renderings", "rhythm", "signs"}),
    frozenset({"config", "fetch", "store", "gateway", "saved", "notify", "signals"}),
    frozenset({"sync", "reading", "steps", "recording", "recorder", "confirming", "accepting", "live"})
    | frozenset({"importing", "moves", "events", "history", "showing", "deliver", "demo", "care"})
    | frozenset({"moments", "comparing", "sides", "stories", "offering", "endings"})
    | frozenset({"watching", "absences", "repricing", "words", "whose", "briefing", "findings"})
    | frozenset({"outbox", "forms", "filing", "vitals", "signalling", "browse"}),
    frozenset({"cli", "api", "docs", "__main__", "__init__"}),
)
"""The parts of each layer, lowest first: a part is a module, or a package with all that is in it."""

APART = frozenset({2})
"""In these layers a part imports no other part of the same layer: each is one outside thing."""

OWNERS = {
    "aiohttp": {"fetch"},
    "apprise": {"notify"},
    "brotli": {"fetch"},
    "click": {"cli", "docs"},
    "datasette": {"browse"},
    "httpx": {"fetch", "notify", "signals"},
    "idna": {"addresses"},
    "jinja2": {"renderings"},
    "markupsafe": {"browse", "renderings"},
    "msgspec": {"canonical", "dialects"},
    "rich": {"cli"},
    "smtplib": {"notify"},
    "sqlite3": {"store"},
    "sqlite_utils": {"store"},
    "stamina": {"fetch"},
    "tomllib": {"config"},
}
"""Which parts may import what is not of the standard library, and those of it that are an outside thing."""

WORLD = frozenset({"os", "socket", "subprocess", "time", "random", "secrets", "tempfile", "shutil", "sys"})
"""What a pure module has no use for: files, network, clock, chance."""

ENTRANCES = frozenset({"cli", "api"})
"""Where somebody asks: from a command line, or from Python."""

MODULES = sorted(PACKAGE.rglob("*.py"))


class Import(NamedTuple):
    """One name brought into a module: `pipeline.store.ledger`, or `httpx`."""

    target: str
    line: int


def name_of(path: Path) -> str:
    """Give a module's dotted name: `pipeline.store`, `pipeline.store.ledger`."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def part_of(module: str) -> str:
    """Give the part that a module belongs to.

    The package's own `__init__` is in the highest layer: it hands out what `api` has, so that no part
    below may import from it.
    """
    return [*module.split("."), "__init__"][1]


def layer_of(part: str) -> int:
    """Give the number of a part's layer."""
    return next((number for number, parts in enumerate(LAYERS) if part in parts), -1)


@cache
def tree(path: Path) -> ast.Module:
    """Read a module's syntax."""
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(path: Path) -> Iterator[Import]:
    """Find every import of a module, late ones and those for type checking too."""
    known = {name_of(module) for module in MODULES}
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: imports are absolute here"
            assert node.module
            for alias in node.names:
                deeper = f"{node.module}.{alias.name}"
                yield Import(deeper if deeper in known else node.module, node.lineno)


def own(path: Path) -> list[Import]:
    """Find what a module imports of this program."""
    return [found for found in imports(path) if found.target.split(".")[0] == "pipeline"]


def outside(path: Path) -> list[Import]:
    """Find what a module imports from elsewhere, by the name of the whole library."""
    found = (Import(found.target.split(".")[0], found.line) for found in imports(path))
    return [each for each in found if each.target not in ("pipeline", "__future__")]


def modules_of(*layers: int) -> list[Path]:
    """Give the modules of some layers."""
    return [path for path in MODULES if layer_of(part_of(name_of(path))) in layers]


def named(path: Path) -> str:
    """Show a module by its name, for the list of cases."""
    return name_of(path)


def may_import(part: str, other: str) -> bool:
    """Say whether one part may import another."""
    mine, its = layer_of(part), layer_of(other)
    return part == other or its < mine or (its == mine and mine not in APART)


def test_every_part_has_its_layer() -> None:
    """A new module is put into the table before anything else."""
    parts = {part_of(name_of(path)) for path in MODULES}
    assert parts <= frozenset().union(*LAYERS)


def test_the_drawing_in_the_package_is_right() -> None:
    """Who reads the package's README sees each part in the layer that is kept here."""
    lines = (PACKAGE / "README.md").read_text(encoding="utf-8").split("```")[1].splitlines()
    number = len(LAYERS)
    for line in filter(str.strip, lines):
        found = re.fullmatch(r" ?(\d?) +(.+?)(?: {3,}.*)?", line)
        assert found
        number = int(found[1] or number)
        assert set(found[2].split()) <= LAYERS[number], line
    assert number == 0


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_imports_point_downwards(path: Path) -> None:
    """A module imports what is below it or in its own package, never what is above."""
    part = part_of(name_of(path))
    wrong = [found for found in own(path) if not may_import(part, part_of(found.target))]
    assert not wrong


def test_no_import_goes_in_a_circle() -> None:
    """Modules can be read one after the other, each after all that it imports."""
    waiting = {name_of(path): {found.target for found in own(path)} - {name_of(path)} for path in MODULES}
    # What the package hands out is imported when it is asked for: another test sees that nothing is before.
    waiting["pipeline"] = set()
    while ready := {module for module, needs in waiting.items() if not needs & waiting.keys()}:
        waiting = {module: needs for module, needs in waiting.items() if module not in ready}
    assert not {module: sorted(needs & waiting.keys()) for module, needs in waiting.items()}


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_each_outside_library_has_one_owner(path: Path) -> None:
    """What is not of the standard library is imported by the one part that deals with it."""
    part = part_of(name_of(path))
    strangers = [
        found
        for found in outside(path)
        if found.target in OWNERS or found.target not in sys.stdlib_module_names
    ]
    assert not [found for found in strangers if part not in OWNERS.get(found.target, set())]


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_only_the_command_line_reads_the_environment(path: Path) -> None:
    """Variables come in at one place, and are handed down as values."""
    read = [
        node.lineno
        for node in ast.walk(tree(path))
        if (isinstance(node, ast.Attribute) and node.attr in ("environ", "environb", "getenv"))
        or (isinstance(node, ast.alias) and node.name in ("environ", "environb", "getenv"))
    ]
    assert part_of(name_of(path)) == "cli" or not read


@pytest.mark.parametrize("path", modules_of(0, 1), ids=named)
def test_pure_modules_ask_nothing_of_the_world(path: Path) -> None:
    """Values in, values out: no file descriptor, no network, no clock, no chance."""
    assert not [found for found in outside(path) if found.target in WORLD]


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_only_the_entrances_ask_what_day_it_is(path: Path) -> None:
    """Dates and times come in where somebody asks, and are handed down as values."""
    asked = [
        node.lineno
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Attribute)
        and node.attr in ("now", "today", "utcnow")
        and ast.unparse(node.value) in ("datetime", "date", "datetime.datetime", "datetime.date")
    ]
    assert part_of(name_of(path)) in ENTRANCES or not asked


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_a_module_is_short_and_says_what_it_is_for(path: Path) -> None:
    """One idea, one docstring, about three hundred lines at most."""
    docstring = ast.get_docstring(tree(path))
    assert docstring
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST


def sentences(docstring: str) -> int:
    """Count the sentences of a docstring; what stands in backquotes counts as a word."""
    plain = re.sub(r"`[^`]*`", "x", " ".join(docstring.split()))
    return len(re.findall(r"[.!?](?= [^a-z]|$)", plain))


@pytest.mark.parametrize("path", sorted(TESTS.glob("test_*.py")), ids=lambda path: path.stem)
def test_every_test_says_in_one_sentence_what_holds(path: Path) -> None:
    """Read from top to bottom, a file of tests is the specification of its module."""
    tests = [
        node
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    ]
    assert ast.get_docstring(tree(path))
    assert not [
        f"{path.name}:{t.lineno} {t.name}" for t in tests if sentences(ast.get_docstring(t) or "") != 1
    ]
