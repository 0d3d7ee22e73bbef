"""Renderings of the summaries in `support.summaries`, and the golden files made of them.

In `tests/`, `python -m support.renderings` writes the golden files; with `picture` as argument, the
screenshot of a mail for the README, which needs chromium.
"""

from __future__ import annotations

import html
import subprocess
import sys
import tempfile
from functools import cache
from importlib.metadata import version
from pathlib import Path

from pipeline.reports.render.feeds import Entry, atom, calendar, json_feed
from pipeline.reports.render.message import RenderedMessage, write_message
from pipeline.reports.types import LANGUAGES, NO_LINKS, Links, Message, Summary
from support import TESTS
from support.summaries import AT, FULL, NASTY, NIGHT, hostile

GOLDEN = TESTS / "golden" / "renderings"

_SIDE_BY_SIDE = """<!DOCTYPE html><body style="margin:0;overflow:hidden;white-space:nowrap;font-size:0">
<iframe width="720" height="960" style="border:0" srcdoc="{light}"></iframe>
<iframe width="390" height="960" style="border:0" srcdoc="{dark}"></iframe>"""


LINKS = Links("https://models.example.com/watch", (("aihubmix", "https://aihubmix.com/"),))

ZONES = {"en": "UTC", "ja": "Asia/Tokyo", "zh-CN": "Asia/Shanghai"}
"""The zones of the golden files."""


def rendered(
    summary: Summary,
    language: str = "en",
    *,
    attached: bool = True,
    zone: str = "UTC",
    links: Links = NO_LINKS,
    **templates: str,
) -> RenderedMessage:
    """Render a message to `ops`; templates are given as `mail_txt="…"`."""
    return write_message(
        summary,
        destination="ops",
        message_id="<812.ops@modelwatch>",
        thread="<ops@modelwatch>",
        language=language,
        attached=attached,
        zone=zone,
        links=links,
        templates={f"{name.replace('_', '.')}.j2": text for name, text in templates.items()},
    )


@cache
def message_of(summary: Summary, language: str = "en") -> Message:
    """Return the message with the built-in templates."""
    return rendered(summary, language).message


@cache
def linked(summary: Summary, language: str = "en") -> Message:
    """Return the message with links and in a local time."""
    return rendered(summary, language, zone=ZONES[language], links=LINKS).message


@cache
def renderings() -> dict[str, str]:
    """Return the text of each golden file, by its path under `golden/renderings`."""
    found = {f"hostile/{name}": text for name, text in _renderings(hostile(NASTY), "en").items()}
    for language in LANGUAGES:
        found |= {f"{language}/{name}": text for name, text in _renderings(FULL, language).items()}
    program = f"modelwatch {version('modelwatch')}"
    return {name: text.replace(program, "modelwatch VERSION") for name, text in found.items()}


def _renderings(summary: Summary, language: str) -> dict[str, str]:
    message = linked(summary, language)
    entry = Entry(message.message_id, message.at, message.subject, message.html, message.text)
    texts = {
        "subject.txt": f"{message.subject}\n",
        "mail.txt": message.text,
        "mail.md": message.markdown,
        "mail.html": message.html,
        "shutdowns.ics": calendar(summary.shutdowns, stamp=NIGHT, language=language),
        "atom.xml": atom("modelwatch: ops", [entry], feed_id=message.thread, at=AT, language=language),
        "feed.json": json_feed("modelwatch: ops", [entry], language=language),
    }
    if summary is FULL and language == "en":
        texts |= {each.name: each.content.decode() for each in message.attachments}
    return texts


def take_screenshot(path: Path, language: str = "en") -> None:
    """Write a screenshot of a mail: in light mode on a desktop, in dark mode on a phone."""
    light = linked(FULL, language).html
    dark = light.replace("@media (prefers-color-scheme: dark)", "@media all")
    assert dark != light
    with tempfile.TemporaryDirectory() as scratch:
        page = Path(scratch) / "page.html"
        page.write_text(_SIDE_BY_SIDE.format(light=html.escape(light), dark=html.escape(dark)), "utf-8")
        subprocess.run(
            [
                *("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
                *(f"--user-data-dir={scratch}/profile", "--blink-settings=preferredColorScheme=1"),
                *("--window-size=1110,960", f"--screenshot={path}", page.as_uri()),
            ],
            check=True,
        )


if __name__ == "__main__":
    if sys.argv[1:] == ["picture"]:
        take_screenshot(TESTS / "pictures" / "mail.png")
        sys.exit()
    for name, text in renderings().items():
        golden = GOLDEN / name
        golden.parent.mkdir(parents=True, exist_ok=True)
        golden.write_bytes(text.encode())
