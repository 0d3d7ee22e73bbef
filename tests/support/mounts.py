"""Mounts that end with their process, for tests of full disks."""

from __future__ import annotations

import shutil
import subprocess


def with_own_mounts(*words: str) -> list[str]:
    """Return the command line that runs a program with its own mounts."""
    return [shutil.which("unshare") or "unshare", "-rm", *words]


def can_mount() -> bool:
    """Return whether a program with its own mounts can mount a small disk here."""
    words = with_own_mounts("mount", "-t", "tmpfs", "-o", "size=64k", "none", "/mnt")
    return (
        bool(shutil.which("unshare"))
        and not subprocess.run(words, check=False, capture_output=True).returncode
    )
