"""Every page of the browser in a real one: it fits phone and desk, logs no error, and few rows are short."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser
from support.browsing import browse_server, record_everything
from support.e2e import Job

from pipeline.browse.descriptions import DESCRIPTIONS
from pipeline.browse.queries import QUERIES

pytestmark = pytest.mark.proofs

PHONE, DESK = 390, 1200

FRAME, ROW = 1600, 260
"""Pixels of a page without rows on a phone, and of one row."""

ROWS = (
    "models",
    "records",
    "scopes",
    "listings",
    "changes",
    "snapshots",
    "gateways",
    "sightings",
    "transitions",
)

BROKEN = r"""
() => {
  const found = [], range = document.createRange();
  const page = document.querySelector("main, section.content");
  const texts = document.createTreeWalker(page, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const cell = texts.currentNode.parentElement;
    if (!cell.closest("td, th, dd, dt, label, .chip")) continue;
    if (cell.closest("details:not([open]) > :not(summary)")) continue;
    for (const word of texts.currentNode.data.matchAll(/(?<!\S)(?:\w{2,10}|\d{4}-\d\d-\d\d)(?!\S)/gu)) {
      range.setStart(texts.currentNode, word.index);
      range.setEnd(texts.currentNode, word.index + word[0].length);
      if (new Set([...range.getClientRects()].map((place) => place.top)).size > 1) found.push(word[0]);
    }
  }
  return found;
}
"""
"""The short words and dates in cells that are broken over two lines."""

PATHS = (
    "/",
    "/modelwatch",
    *(f"/modelwatch/{name}" for name, each in DESCRIPTIONS.items() if not each.hidden),
    *(f"/modelwatch/{query.name}" for query in QUERIES),
    *(f"/modelwatch/{table}/{number}" for table in ROWS for number in (1, 3)),
    "/modelwatch?sql=select+*+from+offers",
)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    job = Job(tmp_path_factory.mktemp("pages") / "home")
    job.home.mkdir(parents=True)
    record_everything(job.database)
    with browse_server(job) as (url, _):
        yield url


@pytest.mark.parametrize(
    ("width", "scheme"), [(PHONE, "light"), (400, "dark"), (DESK, "light"), (DESK, "dark")]
)
def test_no_page_scrolls_sideways_breaks_a_short_word_or_logs_an_error(
    base: str, browser: Browser, width: int, scheme: str
) -> None:
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)  # type: ignore[arg-type]
    page = context.new_page()
    errors: list[str] = []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    for path in PATHS:
        page.goto(f"{base}{path}")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
        assert page.evaluate(BROKEN) == [], path
        assert errors == [], path
    context.close()


def test_a_row_takes_few_lines_of_a_phone(base: str, browser: Browser) -> None:
    context = browser.new_context(viewport={"width": PHONE, "height": 800})
    page = context.new_page()
    for path in PATHS[2:]:
        page.goto(f"{base}{path}")
        rows = page.locator("tbody tr").count()
        assert page.evaluate("document.documentElement.scrollHeight") <= FRAME + ROW * rows, path
    context.close()
