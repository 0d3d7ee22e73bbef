"""The golden renderings: a report that has everything, in all forms and languages; one by a hostile gateway.

`python tests/renderings.py` writes them anew; with the word `picture`, the picture of a mail in the README.
"""

from __future__ import annotations

import html
import subprocess
import sys
import tempfile
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from support import ROOT, TESTS

if TYPE_CHECKING:
    from pipeline.reports.types import Summary

GOLDEN = TESTS / "golden" / "renderings"
BESIDE = """<!DOCTYPE html><body style="margin:0;overflow:hidden;white-space:nowrap;font-size:0">
<iframe width="720" height="960" style="border:0" srcdoc="{day}"></iframe>
<iframe width="390" height="960" style="border:0" srcdoc="{night}"></iframe>"""
ENTRY_ID = "<812.ops@modelwatch>"
FEED_ID = "<ops@modelwatch>"


@cache
def renderings() -> dict[str, str]:
    """Give the text of each golden file, by its path under `golden/renderings`."""
    from pipeline.reports.types import LANGUAGES
    from support.summaries import FULL, NASTY, hostile

    found = {"hostile/" + name: text for name, text in _rendered(hostile(NASTY), "en").items()}
    for language in LANGUAGES:
        found |= {f"{language}/{name}": text for name, text in _rendered(FULL, language).items()}
    return {name: _lasting(text) for name, text in found.items()}


def _rendered(summary: Summary, language: str) -> dict[str, str]:
    from pipeline.reports.render import Entry, atom, calendar, json_feed, write_message
    from support.summaries import AT, FULL, NIGHT

    made = write_message(
        summary, destination="ops", message_id=ENTRY_ID, thread=FEED_ID, language=language
    ).message
    entry = Entry(made.message_id, made.at, made.subject, made.html, made.text)
    texts = {
        "subject.txt": f"{made.subject}\n",
        "mail.txt": made.text,
        "mail.md": made.markdown,
        "mail.html": made.html,
        "shutdowns.ics": calendar(summary.shutdowns, stamp=NIGHT, language=language),
        "atom.xml": atom("modelwatch: ops", [entry], feed_id=FEED_ID, at=AT, language=language),
        "feed.json": json_feed("modelwatch: ops", [entry], language=language),
    }
    if summary is FULL and language == "en":
        texts |= {each.name: each.content.decode() for each in made.attachments}
    return texts


def _lasting(text: str) -> str:
    """Leave out which version wrote it."""
    return text.replace(f"modelwatch {version('modelwatch')}", "modelwatch VERSION")


def picture(path: Path) -> None:
    """Show a mail in a browser, by day on a desk and by night on a phone, and keep what is seen."""
    from pipeline.reports.render import write_message
    from support.summaries import FULL

    mail = write_message(
        FULL, destination="ops", message_id=ENTRY_ID, thread=FEED_ID, language="en"
    ).message.html
    night = mail.replace("@media (prefers-color-scheme: dark)", "@media all")
    assert night != mail
    with tempfile.TemporaryDirectory() as scratch:
        page = Path(scratch) / "page.html"
        page.write_text(BESIDE.format(day=html.escape(mail), night=html.escape(night)), "utf-8")
        subprocess.run(
            [
                *("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
                *(f"--user-data-dir={scratch}/profile", "--blink-settings=preferredColorScheme=1"),
                *("--window-size=1110,960", f"--screenshot={path}", page.as_uri()),
            ],
            check=True,
        )


if __name__ == "__main__":
    sys.path[:0] = [str(TESTS), str(ROOT)]
    if sys.argv[1:] == ["picture"]:
        picture(TESTS / "pictures" / "mail.png")
        sys.exit()
    for name, text in renderings().items():
        path = GOLDEN / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
