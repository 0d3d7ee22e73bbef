"""Where the names in reports lead: to the pages of the browser, else to the gateway, and nowhere else."""

from __future__ import annotations

import html
import re
from urllib.parse import parse_qs, urlsplit

import pytest
from support.renderings import LINKS, linked, message_of, rendered
from support.summaries import FULL, NASTY, hostile

from pipeline.delivery.channels import chats
from pipeline.reports.types import Links

EVIL = (
    NASTY,
    "x](https://evil.example)",
    "`](https://evil.example)`",
    '"><a href="https://evil.example">',
    "../../../evil?gateway=x#y",
    "@evil.example/",
    "\x00\u202e\n\r\t",
)


def hrefs(page: str) -> list[str]:
    """Return the addresses of all links of a page in HTML."""
    return [html.unescape(found) for found in re.findall(r'href="([^"]*)"', page)]


def test_models_scopes_gateways_and_the_window_lead_to_their_pages() -> None:
    found = set(hrefs(linked(FULL).html))
    base = "https://models.example.com/watch/-/modelwatch"
    assert {
        f"{base}/model?gateway=aihubmix&model=heron-2",
        f"{base}/scope?scope=aihubmix%2Fprod",
        f"{base}/gateway?gateway=aihubmix",
        f"{base}/changes?since=2026-11-23T06%3A00%3A01Z&until=2026-11-24T06%3A00%3A01Z",
    } <= found


def test_every_model_that_a_report_names_is_a_link() -> None:
    """Also successors, models that differ in case, missing ones and those that end."""
    message = linked(FULL)
    for model in {
        model for change in FULL.listed for model in (change.successor, change.case_variant) if model
    }:
        assert f">{model}</span></a>" in message.html
    for shutdown in FULL.shutdowns:
        assert f">{shutdown.model}</span></a>" in message.html


@pytest.mark.parametrize("text", EVIL)
def test_no_name_makes_a_link_lead_elsewhere(text: str) -> None:
    message = rendered(hostile(text), links=LINKS).message
    lines = chats.lines(message.markdown)
    addresses = [*hrefs(message.html), *(span.url for line in lines for span in line.spans if span.url)]
    assert len(addresses) > 20
    for address in addresses:
        parts = urlsplit(address)
        assert (parts.scheme, parts.netloc, parts.fragment) == ("https", "models.example.com", "")
        assert parts.path.startswith("/watch/-/modelwatch/")
        assert set(parse_qs(parts.query)) <= {"gateway", "model", "scope", "since", "until"}
        assert address.isascii()
        assert not set(" <>\"'`()[]\n") & set(address)


def test_a_link_names_the_whole_id_even_if_the_text_is_cut() -> None:
    model = "quite-" + "long-" * 40 + "π name"
    (query,) = parse_qs(urlsplit(LINKS.model("acme", model)).query)["model"]
    assert query == model


def test_without_a_browser_scopes_lead_to_their_gateway_and_models_nowhere() -> None:
    links = Links(gateways=LINKS.gateways)
    assert (links.scope("aihubmix/prod"), links.gateway("aihubmix")) == ("https://aihubmix.com/",) * 2
    assert (links.scope("teal/public"), links.model("aihubmix", "heron-2")) == ("", "")
    assert links.changes("2026-11-23T06:00:00Z", "2026-11-24T06:00:00Z") == ""
    assert set(hrefs(rendered(FULL, links=links).message.html)) == {"https://aihubmix.com/"}


def test_without_any_address_there_are_no_links() -> None:
    message = message_of(FULL)
    assert hrefs(message.html) == []
    assert "](" not in message.markdown


def test_the_plain_text_and_the_subject_are_the_same_with_links() -> None:
    assert (linked(FULL).text, linked(FULL).subject) == (message_of(FULL).text, message_of(FULL).subject)


@pytest.mark.parametrize(
    ("base", "page"),
    [
        ("https://a.example", "https://a.example/-/modelwatch/scope?scope=x%2Fy"),
        ("https://a.example/", "https://a.example/-/modelwatch/scope?scope=x%2Fy"),
        ("http://[::1]:8001/w/", "http://[::1]:8001/w/-/modelwatch/scope?scope=x%2Fy"),
        ("https://a.example/a(b) c", "https://a.example/a%28b%29%20c/-/modelwatch/scope?scope=x%2Fy"),
    ],
)
def test_a_page_is_below_the_address_of_the_browser(base: str, page: str) -> None:
    assert Links(base).scope("x/y") == page


def test_templates_of_users_that_print_pieces_keep_working() -> None:
    template = (
        "{% for section in page.sections %}{% for block in section.blocks %}{{ block.title | plain }}{{"
    )
    template += " block.row[0].text if block.row }}{{ block.row | html }}{% endfor %}{% endfor %}"
    found = rendered(FULL, links=LINKS, mail_html=template)
    assert found.problems == ()
    assert "heron" in found.message.html
