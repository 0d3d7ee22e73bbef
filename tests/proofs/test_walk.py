"""A real browser walks through the database, while the real job goes on writing to it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from support import ROOT
from support.browsing import HOSTILE, browsed
from support.e2e import Job
from support.proving import SETTLED, problems

from pipeline.simulator import Gateway

pytestmark = pytest.mark.proofs


ALPHA = "1.0a41"
"""The newest release before Datasette 1.0."""

WIDTHS = (390, 1200)
"""Pixels across: a telephone, and a window on a desk."""

KEYS = {"prod": "sk-prod-12345678", "batch": "sk-batch-12345678"}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium; where it must be there, as in the gate, its absence is a failure."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None and "MODELWATCH_EVERYTHING" not in os.environ:
        pytest.skip("there is no chromium on this machine (Debian: apt install chromium)")
    assert program, "MODELWATCH_EVERYTHING is set, and there is no chromium: apt install chromium"
    with sync_playwright() as playwright:
        # Root may start it only without its sandbox; the pages are our own.
        flags = ["--no-sandbox"] if os.geteuid() == 0 else []
        chromium = playwright.chromium.launch(executable_path=program, args=flags)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module", params=["0.65", ALPHA])
def python(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python that has this program and Datasette: our own, or one made for the alpha."""
    if request.param != ALPHA:
        return Path(sys.executable)
    venv = tmp_path_factory.mktemp("alpha")
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
    pip = [venv / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, f"datasette=={ALPHA}", "--editable", str(ROOT)], check=True)
    return venv / "bin" / "python"


@dataclass(slots=True)
class Watched:
    """A gateway in which something changes at each turn, and the home of the job that watches it."""

    gateway: Gateway
    job: Job
    turn: int = 0

    def turns(self) -> int:
        """Let something of each kind happen, and run the job; gives the code that it left with."""
        fields = {
            "pricing": {"input": 5 - self.turn % 3, "output": 20},
            "context_length": 64000 * (1 + self.turn % 2),
        }
        self.gateway.offers("heron", to=("default", "vip"), fields=fields)
        self.gateway.offers(f"kite-{self.turn}", to="vip")
        if self.turn > 2:
            self.gateway.drops(f"kite-{self.turn - 2}", of="vip")
        self.turn += 1
        return self.job.run("run").code

    @contextmanager
    def at_work(self) -> Iterator[list[int]]:
        """Run the job over and over while something is looked at; gives the codes that the runs left with."""
        over, codes = threading.Event(), []

        def work() -> None:
            while not over.is_set():
                codes.append(self.turns())

        worker = threading.Thread(target=work)
        worker.start()
        try:
            yield codes
        finally:
            over.set()
            worker.join()


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """The reference gateway with some history, asked as two keys and as nobody."""
    with Gateway() as gateway:
        gateway.offers("lumen", "slate", "heron", *HOSTILE, to=("default", "vip"))
        gateway.offers("omega", to="vip")
        for name, key in KEYS.items():
            gateway.key(key, group="vip" if name == "prod" else "default")
        job = Job(tmp_path_factory.mktemp("home"), {name.upper(): key for name, key in KEYS.items()})
        scopes = {name: f'key = "env:{name.upper()}"' for name in KEYS}
        job.asks(gateway.url, scopes={"public": "", **scopes}, max_loss=1.0)
        home = Watched(gateway, job)
        assert {home.turns() for _ in range(5)} <= SETTLED
        yield home


@pytest.fixture(params=WIDTHS, ids=lambda width: f"{width}px")
def page(request: pytest.FixtureRequest, browser: Browser) -> Iterator[Page]:
    """A window in which nothing may go wrong: no error on the console, nothing asked of another server."""
    context = browser.new_context(
        viewport={"width": request.param, "height": 900}, timezone_id="Asia/Kathmandu", locale="en-GB"
    )
    window = context.new_page()
    wrong: list[str] = []
    window.on("console", lambda said: wrong.append(said.text) if said.type in ("error", "warning") else None)
    window.on("pageerror", lambda error: wrong.append(str(error)))
    window.on("dialog", lambda dialog: wrong.append(f"a dialog: {dialog.message}"))
    window.on("requestfailed", lambda request: wrong.append(f"{request.url}: {request.failure}"))
    window.on(
        "request",
        lambda asked: None if asked.url.startswith("http://127.0.0.1:") else wrong.append(asked.url),
    )
    yield window
    loaded(window)
    context.close()
    assert wrong == []


def loaded(page: Page) -> Page:
    """Wait until a page has all that it asked for: who leaves before breaks off its last requests."""
    page.wait_for_load_state("load")
    return page


def whole(page: Page) -> None:
    """Fail on a page that is wider than its window, or that a hostile name has changed."""
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert page.locator("img[src=x]").count() == 0
    assert not page.evaluate(r"/[\u202a-\u202e\u2066-\u2069]/.test(document.documentElement.outerHTML)")


def test_a_browser_walks_from_page_to_page(watched: Watched, python: Path, page: Page) -> None:
    """From the start page to a model, a change, a list, a search, facets, a stored query and what is new."""
    with browsed(watched.job, python) as base, watched.at_work() as codes:
        loaded(page).goto(base)
        expect(page.locator("h1")).to_have_text("modelwatch")
        expect(page.locator(".fresh")).to_contain_text("3 of 3 scopes answered")
        expect(page.locator(".fresh time")).to_have_text(re.compile("now|minute"))
        expect(page.locator(".chart svg path").first).to_be_attached()
        expect(page.locator(".matrix")).to_contain_text("omega")
        whole(page)
        _sees_a_model_and_a_change(page)
        _sees_a_list(page, base)
        _filters_and_searches(page, base)
        _asks_a_stored_query(page, base)
        _until_two(codes)
        loaded(page).goto(base)
        expect(page.locator(".changes")).to_contain_text("heron")
    assert set(codes) <= SETTLED
    assert problems(watched.job.database) == []


def _until_two(codes: list[int]) -> None:
    for _ in range(600):
        if len(codes) > 1:
            return
        time.sleep(0.1)
    pytest.fail("the job made no two runs in a minute")


def _sees_a_model_and_a_change(page: Page) -> None:
    loaded(page).locator(".changes .model a", has_text="heron").first.click()
    expect(page.locator(".mw-name")).to_have_text("heron")
    expect(page.locator("h2", has_text="Offered now")).to_be_visible()
    expect(page.locator("figure.mw-chart svg").first).to_be_visible()
    # The reader's zone is some hours and three quarters away from UTC.
    moment = page.locator(".mw-when time").first
    assert moment.inner_text()[-2:] != moment.get_attribute("datetime")[14:16]
    whole(page)
    loaded(page).locator(".mw-table tr", has_text="pricing").get_by_role("link", name="open").first.click()
    expect(page.locator("h2", has_text="Before and after")).to_be_visible()
    assert page.evaluate(
        "[...document.querySelectorAll('.mw-scroll')].every(e => e.scrollWidth <= e.clientWidth)"
    )
    expect(page.locator("tr", has_text="pricing.input").locator(".mw-num").last).to_contain_text("%")
    whole(page)


def _sees_a_list(page: Page, base: str) -> None:
    loaded(page).goto(base)
    loaded(page).locator(".matrix thead a").first.click()
    # Whoever saw exactly this list may have moved on meanwhile.
    expect(page.locator("h2", has_text="What is in it")).to_be_visible()
    expect(page.locator(".mw-section").last).to_contain_text("heron")
    whole(page)


def _filters_and_searches(page: Page, base: str) -> None:
    loaded(page).goto(base)
    page.get_by_role("searchbox").fill("lum")
    loaded(page).get_by_role("searchbox").press("Enter")
    expect(page.locator("table.rows-and-columns")).to_contain_text("lumen")
    expect(page.locator("table.rows-and-columns")).not_to_contain_text("slate")
    page.locator("input#_search").fill("lumen")
    loaded(page).locator("input#_search").press("Enter")
    expect(page.locator("h3").first).to_contain_text('search matches "lumen"')
    expect(page.locator("table.rows-and-columns")).to_contain_text("lumen")
    loaded(page).goto(base)
    loaded(page).get_by_role("link", name="Changes", exact=True).click()
    loaded(page).locator(".facet-results a", has_text="changed").first.click()
    expect(page.locator("h3").first).to_contain_text('kind = "changed"')
    whole(page)
    expect(page.locator("summary", has_text="The SQL behind it")).to_be_visible()
    loaded(page).goto(base)
    loaded(page).get_by_role("link", name="Matrix", exact=True).click()
    expect(page.locator("table.rows-and-columns")).to_contain_text("<script>alert(1)</script>")
    expect(page.locator("table.rows-and-columns")).to_contain_text(r"\u202e")
    whole(page)


def _asks_a_stored_query(page: Page, base: str) -> None:
    loaded(page).goto(base)
    loaded(page).get_by_role("link", name="Queries and tables").click()
    # 1.0 shows the first five, and leads on to all.
    expect(page.locator("h2", has_text="Queries")).to_be_visible()
    if (more := page.get_by_role("link", name=re.compile(r"View \d+ queries"))).count():
        more.click()
    loaded(page).get_by_role("link", name="Price history of a model").click()
    page.locator("input[name=model]").fill("heron")
    loaded(page).locator("input[type=submit]").first.click()
    expect(page.locator("table.rows-and-columns tbody tr").first).to_contain_text("pricing.input")
    whole(page)
    # From a cell of any query back to the model that it names.
    loaded(page).locator("table.rows-and-columns a", has_text="heron").first.click()
    expect(page.locator(".mw-name")).to_have_text("heron")
