"""Optional libraries: the command that adds one to the environment that this program runs in."""

from __future__ import annotations

import shlex
import sys
from importlib.util import find_spec
from pathlib import Path


def command_to_add(library: str, extra: str) -> str:
    """Return the command that installs a library which is missing, for a shell.

    Args:
        library: its name in the package index.
        extra: the extra of this project that contains it.
    """
    prefix, python = Path(sys.prefix), shlex.quote(sys.executable)
    if launcher := _launcher(prefix):
        return f"{shlex.quote(launcher)} --with {extra} check"
    if (prefix / "pipx_metadata.json").exists():
        return f"pipx inject modelwatch {library}"
    if (prefix / "uv-receipt.toml").exists() or find_spec("pip") is None:
        return f"uv pip install --python {python} {library}"
    return f"{python} -m pip install {library}"


def _launcher(prefix: Path) -> str | None:
    """Return the path of the launcher that made an environment; its stamp begins with the tree's root."""
    try:
        with (prefix / ".modelwatch").open(encoding="utf-8") as stamp:
            launcher = Path(stamp.readline().rstrip("\n"), "cron", "modelwatch")
    except (OSError, ValueError):
        return None
    return str(launcher) if launcher.exists() else None
