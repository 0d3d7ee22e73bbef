"""Mails in a real browser: no horizontal scrolling, no loaded resources, no errors."""

from __future__ import annotations

import html
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from support.summaries import FULL, LONG, NASTY, hostile, many

from pipeline.reports.render.message import render
from pipeline.reports.types import LANGUAGES, Summary

CHROMIUM = shutil.which("chromium")
EVERYTHING = os.environ.get("MODELWATCH_EVERYTHING") == "1"
PHONE, DESK = 390, 1200
LIGHT, DARK = 1, 0

pytestmark = [
    pytest.mark.proofs,
    pytest.mark.skipif(
        CHROMIUM is None and not EVERYTHING, reason="needs chromium (Debian, Ubuntu: apt install chromium)"
    ),
]

BAD = """<!DOCTYPE html><body><div style="width:900px">wide</div><script>console.error("an error")</script>"""

FRAME = """<!DOCTYPE html><body style="margin:0">
<iframe id="mail" width="{width}" height="600" style="border:0" srcdoc="{page}"></iframe>
<pre id="found">nothing</pre>
<script>
addEventListener("load", () => {{
  const shown = document.getElementById("mail").contentDocument;
  document.getElementById("found").textContent = [
    shown.documentElement.scrollWidth - shown.documentElement.clientWidth,
    shown.defaultView.getComputedStyle(shown.body).backgroundColor,
    document.getElementById("mail").contentWindow.performance.getEntriesByType("resource").length,
  ].join(" | ");
}});
</script>"""


def open_page(directory: Path, page: str, width: int, scheme: int) -> tuple[int, str, int, str]:
    """Open a page; return the pixels beyond its width, its background, the loaded resources, and errors."""
    assert CHROMIUM, "MODELWATCH_EVERYTHING is set: apt install chromium"
    frame = directory / "frame.html"
    frame.write_text(FRAME.format(width=width, page=html.escape(page)), "utf-8")
    done = subprocess.run(
        [
            *(CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"),
            *("--enable-logging=stderr", f"--user-data-dir={directory / 'profile'}"),
            *(f"--blink-settings=preferredColorScheme={scheme}", "--window-size=1300,800"),
            *("--host-resolver-rules=MAP * ~NOTFOUND", frame.as_uri()),
        ],
        capture_output=True,
        check=True,
        text=True,
        timeout=120,
    )
    found = re.search(r'<pre id="found">(\d+) \| (.+?) \| (\d+)</pre>', done.stdout)
    assert found, done.stderr
    errors = "\n".join(line for line in done.stderr.splitlines() if "CONSOLE" in line)
    return int(found[1]), found[2], int(found[3]), errors


@pytest.mark.parametrize("scheme", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("width", [PHONE, DESK])
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_mail_fits_its_window_and_follows_the_colour_scheme(
    tmp_path: Path, language: str, width: int, scheme: int
) -> None:
    overflow, background, loaded, errors = open_page(
        tmp_path, render(FULL, "html", language=language), width, scheme
    )
    assert (overflow, loaded, errors) == (0, 0, "")
    assert background == {LIGHT: "rgb(243, 244, 246)", DARK: "rgb(14, 17, 20)"}[scheme]


@pytest.mark.parametrize(
    "summary",
    [hostile(NASTY), hostile(LONG), hostile("W" * 300), many(10_000)],
    ids=["nasty", "long", "w", "many"],
)
def test_hostile_and_long_ids_fit_the_window(tmp_path: Path, summary: Summary) -> None:
    overflow, _, loaded, errors = open_page(tmp_path, render(summary, "html", language="en"), PHONE, LIGHT)
    assert (overflow, loaded, errors) == (0, 0, "")


def test_a_wide_page_with_an_error_is_detected(tmp_path: Path) -> None:
    overflow, _, _, errors = open_page(tmp_path, BAD, PHONE, LIGHT)
    assert overflow > 500
    assert "an error" in errors
