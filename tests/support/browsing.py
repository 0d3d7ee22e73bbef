"""Databases for the tests of browse, and Datasette on them, in this process or in another."""

from __future__ import annotations

import asyncio
import html
import re
import shlex
import signal
import subprocess
import sys
import threading
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from datasette.app import Datasette

from pipeline.gateways.dialects import all_dialects
from pipeline.store import Store
from support import ROOT
from support.e2e import TIMEOUT, Job
from support.fakes import Script, body, read, result_of, row, scope

BROWSE = ROOT / "pipeline" / "browse"

ATOM = "{http://www.w3.org/2005/Atom}"
"""The namespace of Atom, as ElementTree writes it."""

HOSTILE = (
    "<script>alert(1)</script>",
    "'; drop table models; --",
    "acme/\u202egnp.exe\u202c",
    '"><img src=x onerror=alert(1)>',
    "zero\u200bwidth",
    "quite-" + "long-" * 40 + "name",
)
"""Model ids that could harm a page."""

SPECIAL = ("<script>alert(1)</script>", "'; drop table models; --", "evil\u202e4-tpg", "=1+1", 'a"b&c', "π")
"""Model ids with markup, quotes, a formula, a bidirectional character and a letter that is not ASCII."""

SHUTDOWNS = ("2026-09-28", "2026-09-30")
"""The shutdown dates of a model in two listings."""


def record_everything(path: Path) -> None:
    """Record six runs with a change of each kind, a failing scope and a held one."""
    with Store.open(path) as store:
        script = Script(store)
        _record_usd_prices(script)
        for name in ("acme/prod", "acme/batch", "acme/public", "other/late", "other/held"):
            script.offers(name, "lumen", "slate", *HOSTILE)
        for name in ("acme/prod", "acme/batch", "acme/public"):
            script.offers_now[name] |= {
                "heron": {"pricing": {"input": 5, "output": 20}, "context_length": 128000},
                "wren": {"pricing": {"input": 2, "output": 4}, "context_length": 64000},
                "teal": {"deprecation_date": SHUTDOWNS[1]},
                "plover": {"tags": ["vision", "tools"], "note": {"a": "b" * 80}},
            }
        script.run()
        for name in ("acme/prod", "acme/batch"):
            script.drops(name, "slate", HOSTILE[0]).adds(name, "kite", "dunlin")
            script.offers_now[name] |= {
                "heron": {"pricing": {"input": 2.5, "output": 20}, "context_length": 128000},
                "wren": {"pricing": {"input": 3, "output": 4}, "context_length": 64000},
                "teal": {"deprecation_date": SHUTDOWNS[0]},
                HOSTILE[2]: {"description": "\u202eevil<b>"},
                "plover": {"tags": ["vision"], "note": {"a": "c" * 80}},
            }
        script.drops("acme/public", "lumen").run()
        script.adds("acme/public", "lumen").fails("other/late").run()
        script.adds("acme/prod", "slate").drops("acme/batch", "dunlin").offers("other/held").run()


def _record_usd_prices(script: Script) -> None:
    """Record two runs of a gateway with USD prices, one of which increases."""
    script.has(scope("router/prod"))
    dialect = all_dialects()["openrouter"]
    for price in ("0.000005", "0.000006"):
        model = row("heron", pricing={"prompt": price, "completion": "0.00002"}, context_length=128000)
        script.record({"router/prod": result_of(read(body(model), dialect=dialect), dialect)})
    del script.scopes["router/prod"]


def record_special_names(job: Job) -> Job:
    """Create a home and record three runs in which a gateway adds and changes models with special ids."""
    job.home.mkdir(parents=True)
    with Store.open(job.database) as store:
        script = Script(store).has(scope("acme/prod", group="vip"), scope("acme/test"))
        script.offers("acme/prod", "lyra").offers("acme/test", "lyra").run()
        script.adds("acme/prod", *SPECIAL).run()
        for name in SPECIAL:
            script.offers_now["acme/prod"][name] = {"owned_by": name, "description": name}
        script.run()
        store.checkpoint()
    return job


def datasette_on(*databases: Path, **settings: Any) -> Datasette:
    """Return a Datasette in this process, with the plug-ins and templates of browse."""
    return Datasette(
        [str(path) for path in databases],
        plugins_dir=str(BROWSE / "plugins"),
        template_dir=str(BROWSE / "templates"),
        **settings,
    )


@contextmanager
def browse_server(
    job: Job, *arguments: str, python: Path = Path(sys.executable)
) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Start `modelwatch browse`; yield its URL (without a slash at its end) and its process.

    Its first line on standard output, the URL and how to stop it, is left to read in the process's `stdout`.
    """
    command = [str(python), *job.command("browse", "--port", "0", *arguments)[1:]]
    with subprocess.Popen(
        command,
        env=job.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    ) as process:
        try:
            assert process.stderr
            printed = []
            for line in process.stderr:
                printed.append(line)
                if found := re.search(r"running on (http://\S+)", line):
                    break
            else:
                pytest.fail("".join(printed))
            rest = threading.Thread(target=process.stderr.read, daemon=True)
            rest.start()
            yield found[1], process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(TIMEOUT)
            rest.join(TIMEOUT)


def fetch(base: str, path: str, **parameters: str) -> str:
    """Return the page at a path of a server."""
    query = urllib.parse.urlencode(parameters)
    with urllib.request.urlopen(f"{base}{path}?{query}", timeout=TIMEOUT) as response:
        return str(response.read().decode())


def page_by_command(
    directory: Path, line: str, path: str, program: tuple[str, ...] = (sys.executable, "-m")
) -> str:
    """Return a page of the directory by the printed command."""
    words = [*program, *shlex.split(line), "--get", path]
    ran = subprocess.run(words, cwd=directory, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


class Site:
    """The pages of a Datasette in this process."""

    def __init__(self, datasette: Datasette) -> None:
        self.datasette = datasette

    def get(self, path: str) -> Any:
        """Return the response to a request."""
        return asyncio.run(self.datasette.client.get(path))

    def page(self, path: str) -> str:
        """Return a page; its status must be 200."""
        response = self.get(path)
        assert response.status_code == 200, f"{path}: {response.status_code} {response.text[-500:]}"
        return str(response.text)


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: value or "" for name, value in attrs}))


def tags(page: str) -> list[tuple[str, dict[str, str]]]:
    """Return the elements of a page with their attributes, as a browser parses them."""
    reader = _Tags()
    reader.feed(page)
    return reader.found


def links(page: str) -> list[str]:
    """Return the links of a page to the same server."""
    found = [attributes["href"] for tag, attributes in tags(page) if tag == "a" and "href" in attributes]
    return [each for each in found if not each.startswith(("http", "#"))]


def text(page: str) -> str:
    """Return the visible text of a page, without tags and scripts, with single spaces."""
    plain = re.sub(r"<(script|style)\b.*?</\1>", " ", page, flags=re.DOTALL).replace("<wbr>", "")
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", plain)).split())
