"""The browser that several proofs share."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The system's Chromium; without it the tests are skipped, or fail if MODELWATCH_EVERYTHING is set."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None and "MODELWATCH_EVERYTHING" not in os.environ:
        pytest.skip("needs chromium (Debian, Ubuntu: apt install chromium)")
    assert program, "MODELWATCH_EVERYTHING is set: apt install chromium"
    with sync_playwright() as playwright:
        # Chromium refuses to start as root with its sandbox.
        flags = ["--no-sandbox"] if os.geteuid() == 0 else []
        chromium = playwright.chromium.launch(executable_path=program, args=flags)
        yield chromium
        chromium.close()
