"""The locks in `cron/requirements/`: exact versions with digests; run this module to write them again.

    cd tests && python -m support.locks [ARGUMENT OF UV ...]

It needs `uv` in the PATH. `base.txt` locks the project itself and its build backend. Each extra of
`pyproject.toml` has a lock too, which has only what `base.txt` and the locks of its own extras lack. A
version that is newer than a week is left out, since most malicious releases are found within days; add
`--exclude-newer-package NAME=false` for one that mends a hole. No lock names an index: pip uses that of the
machine.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

from support import ROOT

LOCKS = ROOT / "cron" / "requirements"
BASE = "base"
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
PLATFORMS = {
    "x86_64-linux-gnu": "x86_64-unknown-linux-gnu",
    "aarch64-linux-gnu": "aarch64-unknown-linux-gnu",
    "x86_64-linux-musl": "x86_64-unknown-linux-musl",
    "aarch64-linux-musl": "aarch64-unknown-linux-musl",
    "arm64-darwin": "aarch64-apple-darwin",
    "x86_64-darwin": "x86_64-apple-darwin",
}
"""Platforms as `cron/setup.sh` names them, and as uv does. A lock lists those whose wheels it has."""

LEFT_OUT = frozenset({"pip"})
"""What every virtual environment has; pip would replace itself while it works."""

HEADER = """\
# Made by support.locks in tests/: do not edit. Wheels for these platforms and versions of Python:
"""


@cache
def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def extras() -> dict[str, list[str]]:
    """Return the requirements of each extra, as `pyproject.toml` has them."""
    return project()["project"]["optional-dependencies"]


def build_requirements() -> list[str]:
    """Return what builds the project without build isolation, with what hatchling needs for `--editable`."""
    return [*project()["build-system"]["requires"], "editables>=0.5"]


def below(lock: str) -> tuple[str, ...]:
    """Return the locks to install before a lock, in order: `base`, and those of the extras that it names."""
    if lock == BASE:
        return ()
    named = [name for entry in extras()[lock] for name in own_extras(entry)]
    return tuple(dict.fromkeys([BASE, *(each for name in named for each in (*below(name), name))]))


def own_extras(requirement: str) -> list[str]:
    """Return the extras that a requirement such as `modelwatch[browse,notify]` names."""
    found = re.fullmatch(r"modelwatch\[([\w,]+)\]", requirement)
    return found[1].split(",") if found else []


def uv(*arguments: str, given: str | None = None) -> str:
    done = subprocess.run(
        ["uv", *arguments], input=given, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
    )
    return done.stdout


def resolve(names: Iterable[str], arguments: Iterable[str], constraints: str = "") -> str:
    """Return the locked requirements of the project with some extras, for every platform."""
    pins = LOCKS / ".constraints"
    pins.write_text(constraints)
    try:
        return uv(
            *(
                "pip",
                "compile",
                "--quiet",
                "--universal",
                "--python-version",
                PYTHONS[0],
                "--generate-hashes",
            ),
            *("--no-header", "--no-annotate", "--exclude-newer", "7 days", "--constraint", str(pins)),
            *(f"--no-emit-package={name}" for name in LEFT_OUT),
            *(f"--extra={name}" for name in names if name != BASE),
            *(*arguments, "pyproject.toml", "-"),
            given="\n".join(build_requirements()),
        )
    finally:
        pins.unlink()


def entries(text: str) -> dict[str, str]:
    """Return the requirements of a lock with their markers, and the text of each with its digests."""
    found = re.findall(r"^(\S+==[^\\\n]*?) *\\\n(?: +--hash=.*\n?)+", text, re.MULTILINE)
    blocks = re.findall(r"^\S+==.*\n(?: +--hash=.*\n?)+", text, re.MULTILINE)
    return dict(zip(found, blocks, strict=True))


def has_every_wheel(requirements: str, platform: str, python: str) -> bool:
    target = ["--target", "/nowhere", "--python-platform", PLATFORMS[platform], "--python-version", python]
    checked = ["--require-hashes", "--only-binary", ":all:", "--requirements", "-"]
    done = subprocess.run(
        ["uv", "pip", "install", "--quiet", "--dry-run", "--no-deps", *target, *checked],
        input=requirements,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode == 0


def covered(requirements: str) -> Iterator[str]:
    """Yield a line for each platform, with the versions of Python for which there is every wheel."""
    for platform in PLATFORMS:
        pythons = [python for python in PYTHONS if has_every_wheel(requirements, platform, python)]
        if pythons:
            yield f"# {platform}: {' '.join(pythons)}\n"


def write(arguments: list[str]) -> None:
    LOCKS.mkdir(exist_ok=True)
    together = "\n".join(entries(resolve(extras(), arguments)))
    texts: dict[str, dict[str, str]] = {}
    for lock in sorted((BASE, *extras()), key=lambda lock: len(below(lock))):
        known = {entry for each in below(lock) for entry in texts[each]}
        resolved = entries(resolve((*below(lock), lock), arguments, together))
        texts[lock] = {entry: text for entry, text in resolved.items() if entry not in known}
        body = "--only-binary :all:\n" + "".join(texts[lock].values())
        (LOCKS / f"{lock}.txt").write_text(HEADER + "".join(covered(body)) + body)


if __name__ == "__main__":
    write(sys.argv[1:])
