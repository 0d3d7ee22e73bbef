"""What the tests of browsing share: a short history with everything in it, and Datasette as it is served."""

from __future__ import annotations

import asyncio
import html
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from datasette.app import Datasette

from pipeline.gateways.dialects import all_dialects
from pipeline.store import Store
from support import ROOT
from support.e2e import Job
from support.fakes import Script, body, read, result_of, row, scope

BROWSE = ROOT / "pipeline" / "browse"

HOSTILE = (
    "<script>alert(1)</script>",
    "'; drop table models; --",
    "acme/\u202egnp.exe\u202c",
    '"><img src=x onerror=alert(1)>',
    "zero\u200bwidth",
    "quite-" + "long-" * 40 + "name",
)
"""Names that a gateway may give its models."""

ENDS = ("2026-09-28", "2026-09-30")
"""Days on which a model is said to end, by one list and by another."""


def tell(path: Path) -> None:
    """Record a history of six runs in which something of each kind happens."""
    with Store.open(path) as store:
        script = Script(store)
        _tells_prices(script)
        for name in ("acme/prod", "acme/batch", "acme/public", "other/late", "other/held"):
            script.offers(name, "lumen", "slate", *HOSTILE)
        for name in ("acme/prod", "acme/batch", "acme/public"):
            script.offers_now[name] |= {
                "heron": {"pricing": {"input": 5, "output": 20}, "context_length": 128000},
                "wren": {"pricing": {"input": 2, "output": 4}, "context_length": 64000},
                "teal": {"deprecation_date": ENDS[1]},
                "plover": {"tags": ["vision", "tools"], "note": {"a": "b" * 80}},
            }
        script.run()
        for name in ("acme/prod", "acme/batch"):
            script.drops(name, "slate", HOSTILE[0]).adds(name, "kite", "dunlin")
            script.offers_now[name] |= {
                "heron": {"pricing": {"input": 2.5, "output": 20}, "context_length": 128000},
                "wren": {"pricing": {"input": 3, "output": 4}, "context_length": 64000},
                "teal": {"deprecation_date": ENDS[0]},
                HOSTILE[2]: {"description": "\u202eevil<b>"},
                "plover": {"tags": ["vision"], "note": {"a": "c" * 80}},
            }
        script.drops("acme/public", "lumen").run()
        script.adds("acme/public", "lumen").fails("other/late").run()
        script.adds("acme/prod", "slate").drops("acme/batch", "dunlin").offers("other/held").run()


def _tells_prices(script: Script) -> None:
    """Let a gateway that states its prices in dollars raise one."""
    script.has(scope("router/prod"))
    dialect = all_dialects()["openrouter"]
    for price in ("0.000005", "0.000006"):
        model = row("heron", pricing={"prompt": price, "completion": "0.00002"}, context_length=128000)
        script.record({"router/prod": result_of(read(body(model), dialect=dialect), dialect)})
    del script.scopes["router/prod"]


def served(*databases: Path, **settings: Any) -> Datasette:
    """Give Datasette on some databases with everything of ours, in this process."""
    return Datasette(
        [str(path) for path in databases],
        plugins_dir=str(BROWSE / "plugins"),
        template_dir=str(BROWSE / "templates"),
        **settings,
    )


@contextmanager
def browsed(job: Job, python: Path = Path(sys.executable)) -> Iterator[str]:
    """Let `modelwatch browse` serve a home's database; gives the address once it answers."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    log = job.home / "browse.log"
    command = [str(python), *job.command("browse", "--port", str(port))[1:]]
    with log.open("wb") as said:
        server = subprocess.Popen(command, env=job.environment(), stdout=said, stderr=said)
    try:
        for _ in range(300):
            assert server.poll() is None, log.read_text()
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/-/versions.json", timeout=5).close()
            except urllib.error.URLError:
                time.sleep(0.1)
            else:
                break
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(30)


class Site:
    """Pages of a Datasette, asked for one by one."""

    def __init__(self, datasette: Datasette) -> None:
        self.datasette = datasette

    def get(self, path: str) -> Any:
        """Give the answer to a request."""
        return asyncio.run(self.datasette.client.get(path))

    def page(self, path: str) -> str:
        """Give a page that must be there."""
        answer = self.get(path)
        assert answer.status_code == 200, f"{path}: {answer.status_code} {answer.text[-500:]}"
        return str(answer.text)


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: value or "" for name, value in attrs}))


def tags(page: str) -> list[tuple[str, dict[str, str]]]:
    """Give the elements of a page with their attributes, as a browser reads them."""
    reader = _Tags()
    reader.feed(page)
    return reader.found


def links(page: str) -> list[str]:
    """Give where a page's links lead on this server."""
    found = [attributes["href"] for tag, attributes in tags(page) if tag == "a" and "href" in attributes]
    return [each for each in found if not each.startswith(("http", "#"))]


def text(page: str) -> str:
    """Give what a reader sees of a page: no tags, no scripts, spaces folded."""
    plain = re.sub(r"<(script|style)\b.*?</\1>", " ", page, flags=re.DOTALL).replace("<wbr>", "")
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", plain)).split())
