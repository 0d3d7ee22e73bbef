"""A real browser opens pages of the database while the job writes to it."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from support import ROOT
from support.browsing import HOSTILE, browse_server
from support.e2e import Job
from support.proving import SETTLED, problems

from pipeline.simulator import Gateway

pytestmark = pytest.mark.proofs


ALPHA = "1.0a41"
"""The newest release before Datasette 1.0."""

WIDTHS = (390, 1200)
"""The widths of a phone and of a desktop window, in pixels."""

KEYS = {"prod": "sk-prod-12345678", "batch": "sk-batch-12345678"}


@pytest.fixture(scope="module", params=["0.65", ALPHA])
def python(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python with this program and one release of Datasette: ours, or a new virtual environment."""
    if request.param != ALPHA:
        return Path(sys.executable)
    venv = tmp_path_factory.mktemp("alpha")
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
    pip = [venv / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, f"datasette=={ALPHA}", "--editable", str(ROOT)], check=True)
    return venv / "bin" / "python"


@dataclass(slots=True)
class Watched:
    """A gateway that changes before each run, and the home that watches it."""

    gateway: Gateway
    job: Job
    turn: int = 0

    def change_and_run(self) -> int:
        """Change prices, limits and models, start a run, and return its exit status."""
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
    def running(self) -> Iterator[list[int]]:
        """Run repeatedly in a thread; yield the exit statuses, which grow meanwhile."""
        stop, codes = threading.Event(), []

        def work() -> None:
            while not stop.is_set():
                codes.append(self.change_and_run())

        worker = threading.Thread(target=work)
        worker.start()
        try:
            yield codes
        finally:
            stop.set()
            worker.join()


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """The reference gateway after five runs of two keys and an anonymous scope."""
    with Gateway() as gateway:
        gateway.offers("lumen", "slate", "heron", *HOSTILE, to=("default", "vip"))
        gateway.offers("omega", to="vip")
        for name, key in KEYS.items():
            gateway.key(key, group="vip" if name == "prod" else "default")
        job = Job(tmp_path_factory.mktemp("home"), {name.upper(): key for name, key in KEYS.items()})
        scopes = {name: f'key = "env:{name.upper()}"' for name in KEYS}
        job.asks(gateway.url, scopes={"public": "", **scopes}, max_loss=1.0)
        home = Watched(gateway, job)
        assert {home.change_and_run() for _ in range(5)} <= SETTLED
        yield home


@pytest.fixture(params=WIDTHS, ids=lambda width: f"{width}px")
def page(request: pytest.FixtureRequest, browser: Browser) -> Iterator[Page]:
    """A page that fails on console errors, dialogs, failed requests and requests to other servers."""
    context = browser.new_context(
        viewport={"width": request.param, "height": 900}, timezone_id="Asia/Kathmandu", locale="en-GB"
    )
    window = context.new_page()
    wrong: list[str] = []
    window.on(
        "console",
        lambda message: wrong.append(message.text) if message.type in ("error", "warning") else None,
    )
    window.on("pageerror", lambda error: wrong.append(str(error)))
    window.on("dialog", lambda dialog: wrong.append(f"a dialog: {dialog.message}"))
    window.on("requestfailed", lambda request: wrong.append(f"{request.url}: {request.failure}"))
    window.on(
        "request",
        lambda request: None if request.url.startswith("http://127.0.0.1:") else wrong.append(request.url),
    )
    yield window
    loaded(window)
    context.close()
    assert wrong == []


def loaded(page: Page) -> Page:
    """Wait for a page to load, since leaving it earlier aborts its requests."""
    page.wait_for_load_state("load")
    return page


def check(page: Page) -> None:
    """Assert that a page is not wider than its window, and that hostile ids have no effect."""
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert page.locator("img[src=x]").count() == 0
    assert not page.evaluate(r"/[\u202a-\u202e\u2066-\u2069]/.test(document.documentElement.outerHTML)")


def test_every_kind_of_page_works_in_a_browser_while_runs_write(
    watched: Watched, python: Path, page: Page
) -> None:
    with browse_server(watched.job, python=python) as (base, _), watched.running() as codes:
        loaded(page).goto(base)
        expect(page.locator("h1")).to_have_text("modelwatch")
        expect(page.locator(".fresh")).to_contain_text("3 of 3 scopes answered")
        expect(page.locator(".fresh time")).to_have_text(re.compile("now|minute"))
        expect(page.locator(".chart svg path").first).to_be_attached()
        expect(page.locator(".matrix")).to_contain_text("omega")
        check(page)
        _open_a_model_and_a_change(page)
        _open_a_listing(page, base)
        _filter_and_search(page, base)
        _run_a_stored_query(page, base)
        _wait_for_two(codes)
        loaded(page).goto(base)
        expect(page.locator(".changes")).to_contain_text("heron")
    assert set(codes) <= SETTLED
    assert problems(watched.job.database) == []


def _wait_for_two(codes: list[int]) -> None:
    for _ in range(600):
        if len(codes) > 1:
            return
        time.sleep(0.1)
    pytest.fail("fewer than two runs in a minute")


def _open_a_model_and_a_change(page: Page) -> None:
    loaded(page).locator(".changes .model a", has_text="heron").first.click()
    expect(page.locator(".mw-name")).to_have_text("heron")
    expect(page.locator("h2", has_text="Offered now")).to_be_visible()
    expect(page.locator("figure.mw-chart svg").first).to_be_visible()
    # Kathmandu is 5:45 ahead of UTC.
    moment = page.locator(".mw-when time").first
    assert moment.inner_text()[-2:] != moment.get_attribute("datetime")[14:16]
    check(page)
    loaded(page).locator(".mw-table tr", has_text="pricing").get_by_role("link", name="open").first.click()
    expect(page.locator("h2", has_text="Changed fields")).to_be_visible()
    assert page.evaluate(
        "[...document.querySelectorAll('.mw-scroll')].every(e => e.scrollWidth <= e.clientWidth)"
    )
    expect(page.locator("tr", has_text="pricing.input").locator(".mw-num").last).to_contain_text("%")
    check(page)


def _open_a_listing(page: Page, base: str) -> None:
    loaded(page).goto(base)
    loaded(page).locator(".matrix thead a").first.click()
    # No scope may have this listing any more.
    expect(page.locator("h2", has_text="Models")).to_be_visible()
    expect(page.locator(".mw-section").last).to_contain_text("heron")
    check(page)


def _filter_and_search(page: Page, base: str) -> None:
    loaded(page).goto(base)
    page.get_by_role("searchbox").fill("lum")
    loaded(page).get_by_role("searchbox").press("Enter")
    expect(page.locator("table.rows-and-columns")).to_contain_text("lumen")
    expect(page.locator("table.rows-and-columns")).not_to_contain_text("slate")
    page.locator("input#_search").fill("lumen")
    loaded(page).locator("input#_search").press("Enter")
    expect(page.locator("body")).to_contain_text('search matches "lumen"')
    expect(page.locator("table.rows-and-columns")).to_contain_text("lumen")
    loaded(page).goto(base)
    loaded(page).get_by_role("link", name="Changes", exact=True).click()
    check(page)
    loaded(page).goto(f"{base}/modelwatch/changes")
    page.locator("summary", has_text="Counts by value").click()
    loaded(page).locator(".facet-results a", has_text="changed").first.click()
    expect(page.locator("body")).to_contain_text('kind = "changed"')
    check(page)
    loaded(page).goto(base)
    loaded(page).get_by_role("link", name="Matrix", exact=True).click()
    expect(page.locator("table.rows-and-columns")).to_contain_text("<script>alert(1)</script>")
    expect(page.locator("table.rows-and-columns")).to_contain_text(r"\u202e")
    check(page)


def _run_a_stored_query(page: Page, base: str) -> None:
    loaded(page).goto(base)
    loaded(page).get_by_role("link", name="More", exact=True).click()
    expect(page.locator("#queries")).to_be_visible()
    # Datasette 1.0 shows five queries and a link to all.
    if (more := page.get_by_role("link", name=re.compile(r"All \d+ questions"))).count():
        more.click()
    loaded(page).get_by_role("link", name="Price history of a model").click()
    # The form is folded.
    form = page.locator("form[action='/modelwatch/prices_of']")
    form.locator("[name=model]").evaluate("(field, name) => { field.value = name }", "heron")
    form.evaluate("form => form.requestSubmit()")
    expect(page.locator("table.mw-answer tbody tr").first).to_contain_text("pricing.input")
    check(page)
    # Names in the result of a query link to the model.
    loaded(page).locator("table.mw-answer a", has_text="heron").first.click()
    expect(page.locator(".mw-name")).to_have_text("heron")
