"""The addresses by name, to which reports lead, redirect to the pages."""

from __future__ import annotations

import urllib.parse
from pathlib import Path

import pytest
from support.browsing import SPECIAL, Site, datasette_on, record_special_names
from support.e2e import Job

from pipeline.reports.types import Links

LINKS = Links("http://localhost")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    job: Job = record_special_names(Job(tmp_path_factory.mktemp("links") / "home"))
    return Site(datasette_on(Path(job.database)))


def led(site: Site, address: str) -> str:
    """Return where an address leads."""
    assert address.startswith("http://localhost/")
    response = site.get(address.removeprefix("http://localhost"))
    assert response.status_code == 302, response.text
    return str(response.headers["location"])


@pytest.mark.parametrize("model", SPECIAL)
def test_a_model_leads_to_its_page_whatever_its_id(site: Site, model: str) -> None:
    place = led(site, LINKS.model("acme", model))
    assert place.startswith("/modelwatch/models/")
    assert site.get(place).status_code == 200


def test_a_scope_and_a_gateway_lead_to_their_pages(site: Site) -> None:
    assert "acme/prod" in site.page(led(site, LINKS.scope("acme/prod")))
    assert "acme" in site.page(led(site, LINKS.gateway("acme")))


def test_a_window_leads_to_its_changes(site: Site) -> None:
    place = led(site, LINKS.changes("2026-09-01T00:00:00Z", "2026-09-08T00:00:00Z"))
    path, _, query = place.partition("?")
    assert path == "/modelwatch/what_changed"
    values = urllib.parse.parse_qs(query)
    assert values == {"since": ["2026-09-01T00:00:01Z"], "until": ["2026-09-08T00:00:01Z"]}
    assert led(site, LINKS.changes(None, "2026-09-08T00:00:00Z")).count("=") == 1


@pytest.mark.parametrize(
    "name", ["no-such-model", "//evil.example", "https://evil.example", "x\r\nSet-Cookie: a=b", "../../.."]
)
def test_a_name_that_is_not_here_leads_to_the_table_of_this_server(site: Site, name: str) -> None:
    place = led(site, LINKS.model("acme", name))
    assert place.startswith("/modelwatch/models?name__exact=")
    assert not set("\r\n:") & set(place)
    assert site.get(place).status_code == 200


def test_an_address_without_parameters_is_answered(site: Site) -> None:
    for page in ("model", "scope", "gateway", "changes"):
        assert site.get(f"/-/modelwatch/{page}").status_code == 302
    assert site.get("/-/modelwatch/record").status_code == 404
