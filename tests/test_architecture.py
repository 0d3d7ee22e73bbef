"""The package graph holds: imports point one way; libraries, SQL and I/O each have their own packages."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest
from support import ROOT, TESTS

PACKAGE = ROOT / "pipeline"

PURE = frozenset({"core", "errors"})
"""What every package may import."""

GRAPH: dict[str, frozenset[str]] = {
    "errors": frozenset(),
    "core": frozenset(),
    "extras": frozenset(),
    "processes": frozenset(),
    "user_files": frozenset(),
    "secret_refs": frozenset({"processes", "user_files"}),
    "gateways": frozenset(),
    "store": frozenset(),
    "maintenance": frozenset({"store", "gateways"}),
    "history": frozenset({"store", "gateways"}),
    "sync": frozenset({"gateways", "store", "history", "secret_refs", "extras"}),
    "reports": frozenset({"history", "store"}),
    "delivery": frozenset({"reports", "history", "store", "extras", "processes", "user_files"}),
    "config": frozenset({"gateways", "reports", "delivery", "user_files"}),
    "browse": frozenset({"store"}),
    "lake": frozenset({"reports", "history", "store", "extras"}),
    "simulator": frozenset(),
    "api": frozenset(
        {"sync", "delivery", "reports", "history", "maintenance", "browse", "lake", "config", "gateways"}
        | {"store", "secret_refs"}
    ),
    "demo": frozenset({"api", "simulator", "reports", "history"}),
    "cli": frozenset({"api", "reports", "history", "demo", "simulator", "browse", "lake", "extras"}),
    "__init__": frozenset({"api", "history", "reports"}),
    "__main__": frozenset({"cli"}),
}
"""Which packages each package may import, beside its own modules and `PURE`."""

OWNERS = {
    "aiohttp": {"gateways"},
    "apprise": {"delivery"},
    "brotli": {"gateways"},
    "click": {"cli"},
    "dataclasses": {"config", "demo", "simulator"},
    "dask": {"sync"},
    "datasette": {"browse"},
    "distributed": {"sync"},
    "httpx": {"gateways", "delivery"},
    "idna": {"core"},
    "jinja2": {"reports"},
    "markupsafe": {"browse", "reports"},
    "msgspec": {"config", "core", "gateways", "lake", "sync"},
    "pyarrow": {"lake"},
    "rich": {"cli"},
    "smtplib": {"delivery"},
    "sqlite3": {"browse", "store"},
    "sqlite_utils": {"store"},
    "stamina": {"gateways"},
    "tomllib": {"config"},
}
"""Which packages may import a library that does I/O, is slow, or is not of the standard library."""

VALUES = frozenset({"msgspec.Struct", "msgspec.field", "msgspec.structs"})
"""What every package may import of msgspec: the base of value classes."""

IO = frozenset({"os", "socket", "subprocess", "time", "random", "secrets", "tempfile", "shutil", "sys"})
"""Modules of the standard library for files, network, clock and chance."""

SQL = re.compile(
    r"\b(select\s.{0,400}?\sfrom\s|insert\s+(or\s+\w+\s+)?into\s|update\s+\w+\s+set\s|delete\s+from\s)",
    re.DOTALL,
)
"""The beginning of a statement; keywords are written in lower case here."""

SQL_ROOMS = frozenset({"store", "maintenance", "browse"})

ENVIRONMENT = frozenset({"cli", "secret_refs"})
"""Where variables of the environment are read; everything else is handed values."""

CLOCK = frozenset({"cli", "api"})
"""Where the time of day is read; everything else is handed a time or a clock."""

MODULES = sorted(PACKAGE.rglob("*.py"))


class Import(NamedTuple):
    """One name imported by a module: `pipeline.store.ledger`, or `httpx`."""

    target: str
    line: int


def name_of(path: Path) -> str:
    """Return a module's dotted name: `pipeline.store`, `pipeline.store.ledger`."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def package_of(module: str) -> str:
    """Return the package, or the module at the root, that a module belongs to."""
    return [*module.split("."), "__init__"][1]


@cache
def tree(path: Path) -> ast.Module:
    """Return the syntax tree of a module."""
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def imports(path: Path) -> tuple[Import, ...]:
    """Return every import of a module, late ones and those for type checking too."""
    return tuple(_imports(path))


def _imports(path: Path) -> Iterator[Import]:
    known = {name_of(module) for module in MODULES}
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: imports are absolute here"
            assert node.module
            for alias in node.names:
                deeper = f"{node.module}.{alias.name}"
                yield Import(deeper if deeper in known | VALUES else node.module, node.lineno)


def own(path: Path) -> list[Import]:
    """Return what a module imports of this program; the version stands in the package's own `__init__`."""
    return [
        found
        for found in imports(path)
        if found.target.split(".")[0] == "pipeline" and found.target != "pipeline"
    ]


def outside(path: Path) -> list[Import]:
    """Return what a module imports from elsewhere, by the name of the whole library."""
    found = (
        Import(each.target.split(".")[0], each.line) for each in imports(path) if each.target not in VALUES
    )
    return [each for each in found if each.target not in ("pipeline", "__future__")]


def modules_of(*packages: str) -> list[Path]:
    """Return the modules of some packages."""
    return [path for path in MODULES if package_of(name_of(path)) in packages]


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_follow_the_package_graph(path: Path) -> None:
    package = package_of(name_of(path))
    allowed = GRAPH[package] | PURE | {package}
    wrong = [found for found in own(path) if package_of(found.target) not in allowed]
    assert not wrong


def test_the_package_graph_has_no_circle() -> None:
    waiting = {package: allowed - {package} for package, allowed in GRAPH.items()}
    while ready := {package for package, needs in waiting.items() if not needs & waiting.keys()}:
        waiting = {package: needs for package, needs in waiting.items() if package not in ready}
    assert not waiting


def test_every_package_stands_in_the_drawing() -> None:
    drawing = (PACKAGE / "README.md").read_text(encoding="utf-8").split("```")[1]
    packages = {package_of(name_of(path)) for path in MODULES if path.parent != PACKAGE}
    assert packages <= set(re.findall(r"\w+", drawing))


def drawn_graph() -> dict[str, set[str]]:
    """Return the packages to which the arrows of each package lead, in the drawing of pipeline/README.md."""
    drawing = (PACKAGE / "README.md").read_text(encoding="utf-8").split("```")[1]
    arrows: dict[str, set[str]] = {}
    trunk = ""
    for line in drawing.splitlines():
        cells = re.sub(r"\(.*\)", "", line).split("►")
        names = [cell.strip(" ─┬├└") for cell in cells]
        # A line that begins with a branch continues the package before the last `┬`.
        names[0] = names[0] or trunk
        trunk = next((name for name, cell in zip(names, cells, strict=True) if "┬" in cell), trunk)
        for source, targets in pairwise(names):
            arrows.setdefault(source, set()).update(targets.split(", "))
    return arrows


def test_the_drawing_has_the_arrows_of_the_package_graph() -> None:
    expected = {package: set(allowed) for package, allowed in GRAPH.items() if allowed}
    # The two entry points are not in the drawing.
    del expected["__init__"], expected["__main__"]
    assert drawn_graph() == expected | {"every package": set(PURE)}


def test_no_import_goes_in_a_circle() -> None:
    waiting = {name_of(path): {found.target for found in own(path)} - {name_of(path)} for path in MODULES}
    # The package imports what it offers when it is asked for, which another test checks.
    waiting["pipeline"] = set()
    while ready := {module for module, needs in waiting.items() if not needs & waiting.keys()}:
        waiting = {module: needs for module, needs in waiting.items() if module not in ready}
    assert not {module: sorted(needs & waiting.keys()) for module, needs in waiting.items()}


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_each_outside_library_has_one_owner(path: Path) -> None:
    package = package_of(name_of(path))
    libraries = [
        found
        for found in outside(path)
        if found.target in OWNERS or found.target not in sys.stdlib_module_names
    ]
    assert not [found for found in libraries if package not in OWNERS.get(found.target, set())]


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_sql_stands_in_store_maintenance_and_browse(path: Path) -> None:
    if package_of(name_of(path)) in SQL_ROOMS:
        return
    found = [
        node.lineno
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and SQL.search(node.value)
    ]
    assert not found


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_the_environment_is_read_in_two_places(path: Path) -> None:
    read = [
        node.lineno
        for node in ast.walk(tree(path))
        if (isinstance(node, ast.Attribute) and node.attr in ("environ", "environb", "getenv"))
        or (isinstance(node, ast.alias) and node.name in ("environ", "environb", "getenv"))
    ]
    assert package_of(name_of(path)) in ENVIRONMENT or not read


@pytest.mark.parametrize("path", modules_of("core"), ids=name_of)
def test_core_does_no_io(path: Path) -> None:
    assert not [found for found in outside(path) if found.target in IO]


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_the_clock_is_read_where_somebody_asks(path: Path) -> None:
    asked = [
        node.lineno
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Attribute)
        and node.attr in ("now", "today", "utcnow")
        and ast.unparse(node.value) in ("datetime", "date", "datetime.datetime", "datetime.date")
    ]
    assert package_of(name_of(path)) in CLOCK or not asked


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_every_module_says_what_it_holds(path: Path) -> None:
    assert ast.get_docstring(tree(path))


def test_eight_modules_stand_at_the_root() -> None:
    assert sorted(path.name for path in PACKAGE.glob("*.py")) == [
        "__init__.py",
        "__main__.py",
        "api.py",
        "errors.py",
        "extras.py",
        "processes.py",
        "secret_refs.py",
        "user_files.py",
    ]


@pytest.mark.parametrize("path", sorted(TESTS.rglob("test_*.py")), ids=lambda path: path.stem)
def test_every_file_of_tests_says_what_it_is_about(path: Path) -> None:
    assert ast.get_docstring(tree(path))
