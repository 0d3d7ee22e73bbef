"""One notation for a price, and one severity for a change, on every surface."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from decimal import Decimal
from email import message_from_bytes
from email.policy import default
from pathlib import Path

import pytest
from support.e2e import Job

from pipeline.core.prices import PriceChange
from pipeline.core.watchlist import Watch
from pipeline.reports.console import price_text, report_lines
from pipeline.reports.render.fields import price
from pipeline.reports.render.locales import Locale, plain
from pipeline.reports.report import build_report
from pipeline.simulator import Gateway
from pipeline.store import Store
from pipeline.store.windows import Window

PRICES = 'prices = { unit = "token", input = "pricing.prompt", per_call = "pricing.request" }\n'
DESTINATIONS = """
[destinations.mail]
type = "eml"
directory = "mails"

[destinations.pages]
type = "files"
directory = "pages"
forms = ["txt", "md", "html", "atom", "feed", "csv"]
"""
RAISED = "input $2.00 → $3.00 per 1M tokens (+50 %)"


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Job]:
    """A home with two runs: a price rises, one has no unit, and a model loses a capability."""
    made = Job(tmp_path_factory.mktemp("prices"))
    with Gateway() as gateway:
        gateway.offers("mine", pricing={"prompt": "0.000002"}, description="old")
        gateway.offers("call", pricing={"request": "0.02"})
        gateway.offers("raw", cost="0.000002", context_length=8)
        gateway.offers("able", features=["tools", "vision"])
        made.asks(gateway.url, scopes={"public": ""})
        config = made.config.read_text("utf-8").replace("backoff", PRICES + "backoff")
        made.configure(config + DESTINATIONS + '\n[watch]\nmodels = ["mine"]\n')
        made.quick("run", at="2026-05-01T06:00:00Z")
        gateway.offers("mine", pricing={"prompt": "0.000003"}, description="new")
        gateway.offers("call", pricing={"request": "0.03"})
        gateway.offers("raw", cost="0.000003", context_length=16)
        gateway.offers("able", features=["vision"])
        made.env["PRINTED"] = made.quick("run", at="2026-05-02T06:00:00Z").output
        yield made


def console(job: Job) -> str:
    """Return the lines that a run prints on a terminal."""
    with Store.open(job.database) as store:
        report = build_report(store, Window(1, 2), Watch(("mine",)))
    return "\n".join(report_lines(report))


def mail(job: Job) -> dict[str, str]:
    """Return the parts of the mail by their type, and its subject."""
    message = message_from_bytes(max((job.home / "mails").glob("*.eml")).read_bytes(), policy=default)
    parts = {
        part.get_content_type(): part.get_content() for part in message.walk() if not part.is_multipart()
    }
    return parts | {"subject": str(message["subject"])}


def surfaces(job: Job) -> dict[str, str]:
    """Return the text of every surface that prints changes of prices."""
    pages = {path.name: path.read_text("utf-8") for path in (job.home / "pages").glob("*")}
    since = ("--since", "2026-05-01")
    return {
        "run": job.env["PRINTED"],
        "console": console(job),
        "changes": job.quick("changes").stdout,
        "diff": job.quick("diff", "2026-05-01T07:00Z", "now").stdout,
        "history": job.quick("history", "mine").stdout,
        "show": job.quick("show", "mine").stdout,
        "watch": job.quick("watch", *since).stdout,
        "report": job.quick("report", *since, "--as", "txt").stdout,
        "mail, text": mail(job)["text/plain"],
        "mail, html": plain_html(mail(job)["text/html"]),
        "page": plain_html(pages["latest.html"]),
        "text": pages["latest.txt"],
        "markdown": pages["latest.md"],
        "atom": plain_html(html.unescape(pages["feed.atom"])),
        "json feed": pages["feed.json"],
    }


def plain_html(text: str) -> str:
    """Return the words of a page."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", "", text)).split())


SURFACES = (
    *("run", "console", "changes", "diff", "history", "show", "watch", "report", "mail, text", "mail, html"),
    *("page", "text", "markdown", "atom", "json feed"),
)


@pytest.mark.parametrize("surface", SURFACES)
def test_a_price_change_is_written_in_one_notation(job: Job, surface: str) -> None:
    text = " ".join(surfaces(job)[surface].split())
    assert RAISED in text
    assert "pricing.prompt" not in text.replace("pricing.prompt -", "")


@pytest.mark.parametrize(
    "surface", [name for name in SURFACES if name not in ("run", "history", "show", "watch")]
)
def test_prices_per_call_and_of_unknown_unit_are_written_alike(job: Job, surface: str) -> None:
    text = " ".join(surfaces(job)[surface].replace("`", "").split())
    assert "price $0.02 → $0.03 per call (+50 %)" in text
    assert "cost 0.000002 → 0.000003 (+50 %)" in text


def test_the_facts_of_a_model_have_the_same_notation(job: Job) -> None:
    assert "input  $3.00 per 1M tokens" in job.quick("show", "mine").stdout
    assert "first answer; input $2.00 per 1M tokens" in job.quick("history", "mine").stdout


@pytest.mark.parametrize(
    "command", [("changes", "--each"), ("diff", "2026-05-01T07:00Z", "--all"), ("console",)]
)
def test_prices_and_limits_are_before_other_fields(job: Job, command: tuple[str, ...]) -> None:
    text = console(job) if command == ("console",) else job.quick(*command).stdout
    assert text.index("cost 0.000002") < text.index("context 8 → 16")
    assert text.index(RAISED) < text.index("description old → new")


def test_a_lost_capability_is_breaking_on_every_surface(job: Job) -> None:
    expected = {"mine": "urgent", "call": "breaking", "raw": "breaking", "able": "breaking"}
    for rows in (job.quick("changes", "--csv").rows(), job.quick("changes", "--json").json()):
        assert {row["model"]: row["severity"] for row in rows} == expected
    report = {
        each["model"]: each
        for each in json.loads((job.home / "reports" / "latest.json").read_text("utf-8"))["changes"]
    }
    assert {model: each["severity"] for model, each in report.items()} == expected
    text = mail(job)["text/plain"]
    assert text.index("== Breaking ==") < text.index("features −tools") < text.index("== Coverage ==")
    assert mail(job)["subject"].startswith("[modelwatch] urgent: mine: price increase")
    assert console(job).index("! ~ mine") < console(job).index("~ able")


@pytest.mark.parametrize(
    ("change", "texts"),
    [
        (
            PriceChange("input", Decimal("2.4"), Decimal("1.8"), "1M tokens", "exact"),
            (
                "input $2.40 → $1.80 per 1M tokens (−25 %)",
                "入力 $2.40 → $1.80／100万トークン（−25%）",
                "输入 $2.40 → $1.80/百万词元（−25%）",
            ),
        ),
        (
            PriceChange("output", None, Decimal(2), "1M tokens", "estimate"),
            (
                "output $2.00 per 1M tokens, new, estimated",
                "出力 $2.00／100万トークン、新規、推定値",
                "输出 $2.00/百万词元，新增，估算值",
            ),
        ),
        (
            PriceChange("cache read", Decimal("0.5"), None, "1M tokens", "exact"),
            (
                "cache read $0.50 per 1M tokens, removed",
                "キャッシュ読み取り $0.50／100万トークン、掲載終了",
                "缓存读取 $0.50/百万词元，已移除",
            ),
        ),
        (
            PriceChange("a call", Decimal(0), Decimal("0.0000001"), "call", "exact"),
            (
                "price $0.00 → $0.0000001 per call",
                "料金 $0.00 → $0.0000001／回",
                "单价 $0.00 → $0.0000001/次",
            ),
        ),
        (
            PriceChange("input", Decimal("1E+3"), Decimal("1E+15"), "1M tokens", "exact"),
            (
                "input $1,000.00 → $1,000,000,000,000,000.00 per 1M tokens (+99,999,999,999,900 %)",
                "入力 $1,000.00 → $1,000,000,000,000,000.00／100万トークン（+99,999,999,999,900%）",
                "输入 $1,000.00 → $1,000,000,000,000,000.00/百万词元（+99,999,999,999,900%）",
            ),
        ),
        (
            PriceChange("pricing.prompt", Decimal("2E-9"), Decimal("3E-9"), texts=("2e-9", None)),
            (
                "pricing.prompt 0.000000002 → 0.000000003 (+50 %)",
                "pricing.prompt 0.000000002 → 0.000000003（+50%）",
                "pricing.prompt 0.000000002 → 0.000000003（+50%）",
            ),
        ),
        (
            PriceChange("price", Decimal("0.5"), None, texts=("$0.50", None)),
            ("price $0.50, removed", "price $0.50、掲載終了", "price $0.50，已移除"),
        ),
    ],
    ids=lambda value: value.name if isinstance(value, PriceChange) else "",
)
def test_a_price_change_as_text(change: PriceChange, texts: tuple[str, str, str]) -> None:
    found = [plain(price(Locale(language), change)) for language in ("en", "ja", "zh-CN")]
    assert found == list(texts)
    assert price_text(change) == texts[0]


def test_prices_in_other_currencies_are_shown_as_the_gateway_writes_them(tmp_path: Path) -> None:
    made = Job(tmp_path)
    with Gateway() as gateway:
        gateway.offers("mine", price="¥2/1M", fee="€0.50")
        made.asks(gateway.url, scopes={"public": ""})
        made.quick("run", at="2026-05-01T06:00:00Z")
        gateway.offers("mine", price="¥3/1M", fee="€0.60")
        made.quick("run", at="2026-05-02T06:00:00Z")
    printed = made.quick("changes").stdout
    assert "price ¥2/1M → ¥3/1M" in printed
    assert "fee €0.50 → €0.60" in printed
