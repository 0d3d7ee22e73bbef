"""Mails and pages in a real browser: nothing sticks out on a phone, nothing is loaded, nothing fails."""

from __future__ import annotations

import html
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from support.summaries import FULL, LONG, NASTY, hostile, many

from pipeline.reports.render import render
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

BAD = """<!DOCTYPE html><body><div style="width:900px">wide</div><script>console.error("oh dear")</script>"""

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


def browse(directory: Path, page: str, width: int, scheme: int) -> tuple[int, str, int, str]:
    """Show a page; gives by how much it sticks out, its ground, how much it loaded, and complaints."""
    assert CHROMIUM, "MODELWATCH_EVERYTHING is set, but there is no chromium"
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
    complaints = "\n".join(line for line in done.stderr.splitlines() if "CONSOLE" in line)
    return int(found[1]), found[2], int(found[3]), complaints


@pytest.mark.parametrize("scheme", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("width", [PHONE, DESK])
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_mail_fits_its_window(tmp_path: Path, language: str, width: int, scheme: int) -> None:
    """On a phone and on a desk nothing has to be scrolled sideways, and the ground is that of the scheme."""
    out, ground, loaded, complaints = browse(tmp_path, render(FULL, "html", language=language), width, scheme)
    assert (out, loaded, complaints) == (0, 0, "")
    assert ground == {LIGHT: "rgb(243, 244, 246)", DARK: "rgb(14, 17, 20)"}[scheme]


@pytest.mark.parametrize(
    "summary",
    [hostile(NASTY), hostile(LONG), hostile("W" * 300), many(10_000)],
    ids=["nasty", "long", "w", "many"],
)
def test_hostile_and_long_names_stay_in_the_window(tmp_path: Path, summary: Summary) -> None:
    """A name without a place to break it is broken all the same, and no script of its runs."""
    out, _, loaded, complaints = browse(tmp_path, render(summary, "html", language="en"), PHONE, LIGHT)
    assert (out, loaded, complaints) == (0, 0, "")


def test_what_is_wrong_would_be_seen(tmp_path: Path) -> None:
    """A page that is too wide and complains is found to be so."""
    out, _, _, complaints = browse(tmp_path, BAD, PHONE, LIGHT)
    assert out > 500
    assert "oh dear" in complaints
