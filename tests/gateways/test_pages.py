"""Pages, signs of more pages, and errors with status 200: through the command, over both transports."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.e2e import Job, Question, Reply, Scripted, listed, listing

from pipeline.gateways import client
from pipeline.simulator import Gateway

MODELS = ("alder", "birch", "cedar", "dogwood", "elm")


@pytest.fixture(autouse=True, params=["httpx", "wide"])
def connections(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run every test over both transports."""
    monkeypatch.setattr(client, "MANY_SCOPES", 1 if request.param == "wide" else 1000)


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    """A gateway with five models."""
    with Gateway() as found:
        found.offers(*MODELS)
        yield found


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """A home without a config."""
    return Job(tmp_path / "home")


def configured(job: Job, url: str, *lines: str) -> None:
    """Write the config of one gateway, with more lines in its table."""
    job.configure("\n".join(("[gateways.local]", f'url = "{url}"', *lines, "scopes.public = {}", "")))


def scope(job: Job) -> dict[str, Any]:
    """Return the status of the only scope."""
    (found,) = job.quick("scopes", "--json").json()
    return dict(found)


def models(job: Job) -> list[str]:
    """Return the ids of the current listing."""
    return [row["model"] for row in job.quick("models", "--csv").rows()]


@pytest.mark.parametrize(
    ("style", "requests"),
    [
        ("link", ["", "page=2", "page=3"]),
        ("offset", ["", "offset=2&limit=2", "offset=4&limit=2"]),
        ("full-page", ["", "offset=2&limit=2", "offset=4&limit=2"]),
        ("number", ["", "page=2&page_size=2", "page=3&page_size=2"]),
    ],
)
def test_pages_are_followed_without_a_setting(
    job: Job, gateway: Gateway, style: str, requests: list[str]
) -> None:
    gateway.pages(style, size=2)
    configured(job, gateway.url)
    assert job.quick("sync").code == 0
    assert models(job) == list(MODELS)
    assert [asked.path.partition("?")[2] for asked in gateway.requests] == requests


def test_the_last_full_page_is_followed_by_an_empty_one(job: Job, gateway: Gateway) -> None:
    gateway.pages("full-page", size=5)
    configured(job, gateway.url)
    assert job.quick("sync").code == 0
    assert (models(job), len(gateway.requests)) == (list(MODELS), 2)


def test_a_cursor_fails_until_the_setting_that_its_error_names_is_added(job: Job, gateway: Gateway) -> None:
    gateway.pages("token", size=2)
    configured(job, gateway.url)
    assert job.quick("sync").code == 4
    setting = 'paging = { param = "page_token", next = "next_page_token" }'
    error = scope(job)["error"]
    assert error["class"] == "Unreadable"
    assert error["message"] == (
        f'the list has more pages than were read (next_page_token: "2"): set `{setting}` for the gateway,'
        " or `complete = true` if this is the whole list"
    )
    assert setting in job.quick("check", "--json").json()[0]["advice"]
    assert setting in job.quick("probe", "local").stderr
    configured(job, gateway.url, setting)
    assert job.quick("sync").code == 0
    assert models(job) == list(MODELS)


def test_a_gateway_that_ignores_the_offset_fails_until_its_list_is_declared_complete(
    job: Job, gateway: Gateway
) -> None:
    gateway.pages("offset", size=2, deaf=True)
    configured(job, gateway.url)
    assert job.quick("sync").code == 4
    assert "page 2 leads back to a page that was read already" in scope(job)["error"]["message"]
    configured(job, gateway.url, "complete = true")
    assert job.quick("sync").code == 0
    assert models(job) == list(MODELS[:2])


def test_a_change_on_a_later_page_is_seen_behind_the_etag_of_the_first(job: Job, gateway: Gateway) -> None:
    gateway.tags()
    gateway.pages("link", size=2)
    configured(job, gateway.url)
    job.quick("sync")
    gateway.offers("fir")
    assert job.quick("sync").code == 0
    assert models(job) == [*MODELS, "fir"]
    assert [asked.headers["If-None-Match"] for asked in gateway.requests] == [None] * 6


def test_a_304_to_a_later_page_is_unreadable(job: Job) -> None:
    def answer(asked: Question) -> Reply:
        links = (("Link", "<?page=2>; rel=next"), ("ETag", '"one"'))
        return Reply(status=304) if "page=2" in asked.path else Reply(listed("a"), headers=links)

    with Scripted(answer) as server:
        job.asks(server.url)
        assert job.quick("sync").code == 4
    assert "304 to a request without validators" in scope(job)["error"]["message"]


@pytest.mark.parametrize("cause", ["a header", "a setting"])
def test_the_bytes_of_the_last_list_may_be_its_first_page_now(job: Job, cause: str) -> None:
    has_pages = False

    def answer(asked: Question) -> Reply:
        is_second = "page=2" in asked.path
        # Without a setting, nobody knows what `sheets` counts.
        body = {"data": [{"id": each} for each in ("cd" if is_second else "ab")], "sheets": 2}
        link = ("Link", '</v1/models?page=2>; rel="next"')
        has_link = has_pages and cause == "a header" and not is_second
        return Reply(json.dumps(body).encode(), headers=(link,) if has_link else ())

    with Scripted(answer) as server:
        configured(job, server.url)
        assert job.quick("run").code == 0
        assert job.quick("run").code == 0
        assert models(job) == ["a", "b"]
        has_pages = True
        if cause == "a setting":
            configured(job, server.url, 'paging = { param = "page", pages = "sheets" }')
        job.quick("run")
    assert models(job) == ["a", "b", "c", "d"]


def test_the_bytes_of_the_last_list_are_no_list_where_another_setting_looks_for_it(job: Job) -> None:
    with Scripted(lambda _: Reply(listed("a", "b"))) as server:
        configured(job, server.url)
        assert job.quick("run").code == 0
        configured(job, server.url, 'list = "nowhere"')
        assert job.quick("run").code == 4
        configured(job, server.url)
        assert job.quick("run").code == 0
    assert models(job) == ["a", "b"]


@pytest.mark.parametrize("has_tag", [False, True])
@pytest.mark.parametrize(
    ("first", "then", "found"),
    [
        ('list = "data"', 'list = "more"', ["c"]),
        ("", 'list = "more"', ["c"]),
        ('list = "more"', "", ["a", "b"]),
        ("", 'paging = { param = "page", pages = "sheets" }', ["a", "b", "d"]),
        (
            'paging = { param = "page", pages = "one" }',
            'paging = { param = "page", pages = "sheets" }',
            ["a", "b", "d"],
        ),
    ],
)
def test_a_setting_of_where_the_list_is_takes_effect_though_the_answer_stays_the_same(
    job: Job, *, has_tag: bool, first: str, then: str, found: list[str]
) -> None:
    def answer(asked: Question) -> Reply:
        if "page=2" in asked.path:
            return Reply(json.dumps({"data": [{"id": "d"}], "sheets": 2}).encode())
        if has_tag and asked.headers["If-None-Match"] == '"same"':
            return Reply(status=304)
        body = {"data": [{"id": "a"}, {"id": "b"}], "more": [{"id": "c"}], "one": 1, "sheets": 2}
        return Reply(json.dumps(body).encode(), headers=(("ETag", '"same"'),) if has_tag else ())

    with Scripted(answer) as server:
        configured(job, server.url, f"{first}\nmax_loss = 1")
        assert job.quick("run").code == 0
        before = models(job)
        assert job.quick("run").code == 0
        assert models(job) == before != found
        configured(job, server.url, f"{then}\nmax_loss = 1")
        assert job.quick("run").code == 0
        assert models(job) == found


def test_after_a_setting_that_finds_the_same_list_the_next_request_is_conditional_again(job: Job) -> None:
    tags = []

    def answer(asked: Question) -> Reply:
        tags.append(asked.headers["If-None-Match"])
        return Reply(status=304) if tags[-1] else Reply(listed("a"), headers=(("ETag", '"same"'),))

    with Scripted(answer) as server:
        for line in ("", "", 'list = "data"', 'list = "data"', "", ""):
            configured(job, server.url, line)
            assert job.quick("run").code == 0
    assert tags == [None, '"same"'] * 3
    assert job.quick("changes", "--since", "1d").stdout == "no changes\n"


def test_a_key_in_the_bytes_of_the_last_list_is_masked_from_when_it_is_one(job: Job) -> None:
    job.env["KEY"] = "sk-first-key-1234"
    with Scripted(lambda _: Reply(listed("a", note="sk-second-key-5678"))) as server:
        job.asks(server.url, scopes={"one": 'key = "env:KEY"'})
        assert job.quick("run").code == 0
        job.env["KEY"] = "sk-second-key-5678"
        assert job.quick("run").code == 0
    with sqlite3.connect(job.database) as database:
        ((after,),) = database.execute("select after from field_changes")
    assert "***" in after


def test_a_link_to_another_server_is_not_followed(job: Job) -> None:
    with Scripted(lambda _: Reply(listed("b"))) as other:
        link = (("Link", f'<{other.url}/v1/models?page=2>; rel="next"'),)
        with Scripted(lambda _: Reply(listed("a"), headers=link)) as server:
            job.env["KEY"] = "sk-secret-12345678"
            job.asks(server.url, scopes={"prod": 'key = "env:KEY"'})
            assert job.quick("sync").code == 4
        assert other.requests == []
        message = scope(job)["error"]["message"]
    assert (
        f"the next page is on another server ({other.url}, in the Link header); nothing was sent" in message
    )


def test_the_key_goes_with_each_page_of_its_server_and_never_into_an_error(job: Job) -> None:
    key = "sk-secret-12345678"

    def answer(asked: Question) -> Reply:
        at_end = "page=2" in asked.path
        target = f"https://{key}.example/" if at_end else "/v1/models?page=2"
        return Reply(listed("b" if at_end else "a"), headers=(("Link", f"<{target}>; rel=next"),))

    with Scripted(answer) as server:
        job.env["KEY"] = key
        job.asks(server.url, scopes={"prod": 'key = "env:KEY"'})
        job.quick("sync")
        assert [asked.headers["Authorization"] for asked in server.requests] == [f"Bearer {key}"] * 2
    assert "***" in scope(job)["error"]["message"]
    assert key not in job.database.read_bytes().decode("latin-1")


def test_several_link_headers_are_one(job: Job) -> None:
    def answer(asked: Question) -> Reply:
        if "page=2" in asked.path:
            return Reply(listed("b"))
        links = (("Link", "</terms>; rel=license"), ("Link", "<?page=2>; rel=next"))
        return Reply(listed("a"), headers=links)

    with Scripted(answer) as server:
        job.asks(server.url)
        assert job.quick("sync").code == 0
    assert models(job) == ["a", "b"]


def test_a_cursor_in_a_header_fails_until_the_setting_that_its_error_names_is_added(job: Job) -> None:
    def answer(asked: Question) -> Reply:
        at_end = "page=2" in asked.path
        headers = (("X-Page", "2"), ("X-Next-Page", "")) if at_end else (("X-Next-Page", "2"),)
        return Reply(listed("b" if at_end else "a"), headers=headers)

    with Scripted(answer) as server:
        configured(job, server.url)
        assert job.quick("sync").code == 4
        setting = 'paging = { param = "page", next = "x-next-page" }'
        assert scope(job)["error"]["message"] == (
            f'the list has more pages than were read (header x-next-page: "2"): set `{setting}` for the'
            " gateway, or `complete = true` if this is the whole list"
        )
        assert setting in job.quick("check", "--json").json()[0]["advice"]
        assert setting in job.quick("probe", "local").stderr
        configured(job, server.url, setting)
        assert job.quick("sync").code == 0
    assert models(job) == ["a", "b"]


def test_a_total_in_a_header_holds_the_answer(job: Job) -> None:
    ids = ["a", "b", "c"]

    def answer(_: Question) -> Reply:
        total = (("X-Total-Count", "3"), ("X-RateLimit-Remaining", "59"), ("X-Request-Id", "17"))
        return Reply(listed(*ids), headers=total)

    with Scripted(answer) as server:
        configured(job, server.url)
        assert [job.quick("sync").code for _ in range(2)] == [0, 0]
        ids.pop()
        assert job.quick("sync").code == 5
        assert "the answer has 2 rows and says header x-total-count: 3" in job.quick("status").output
        configured(job, server.url, "complete = true")
        assert job.quick("sync").code == 0
    assert models(job) == ["a", "b"]


def test_a_sign_that_appears_in_a_header_beside_the_same_bytes_is_seen(job: Job) -> None:
    headers = [("X-Total-Pages", "1")]
    with Scripted(lambda _: Reply(listed("a", "b"), headers=tuple(headers))) as server:
        configured(job, server.url)
        assert [job.quick("sync").code for _ in range(2)] == [0, 0]
        headers[0] = ("X-Total-Pages", "2")
        assert job.quick("sync").code == 4
        assert "header x-total-pages" in scope(job)["error"]["message"]


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"status": 206}, "the answer is a part of the list (status 206)"),
        ({"headers": {"Content-Range": "items 0-4/9"}}, "Content-Range: items 0-4/9"),
        ({"fields": {"truncated": True}}, "truncated: true"),
        ({"fields": {"ok": False, "msg": "no key"}}, "ok: false: no key"),
        ({"fields": {"status": "error", "message": "later"}}, 'status: "error": later'),
        ({"fields": {"data": [], "code": 401, "msg": "no key"}}, "code: 401 and no models: no key"),
        ({"fields": {"data": None, "code": 401, "msg": "no key"}}, "code: 401 and no models: no key"),
        ({"fields": {"data": [{"id": "error", "object": "error"}]}}, "the only row of the list is an error"),
    ],
)
def test_an_answer_that_is_no_whole_list_keeps_the_current_one(
    job: Job, gateway: Gateway, options: dict[str, Any], part: str
) -> None:
    configured(job, gateway.url)
    job.quick("sync")
    gateway.fails("says", **options)
    assert job.quick("sync").code == 4
    assert part in scope(job)["error"]["message"]
    assert models(job) == list(MODELS)
    gateway.heals()
    assert job.quick("sync").code == 0


@pytest.mark.parametrize(
    "options",
    [
        {"status": 206, "headers": {"Content-Range": "items 0-4/5"}},
        {"fields": {"code": 7, "msg": "done", "total": 5, "has_more": False, "error": None}},
    ],
)
def test_an_answer_that_says_it_is_whole_is_accepted(
    job: Job, gateway: Gateway, options: dict[str, Any]
) -> None:
    gateway.fails("says", **options)
    configured(job, gateway.url)
    assert job.quick("sync").code == 0
    assert models(job) == list(MODELS)


def test_a_total_beyond_the_rows_holds_the_answer_until_it_is_declared_complete(
    job: Job, gateway: Gateway
) -> None:
    configured(job, gateway.url)
    job.quick("sync", at="2026-10-01T00:00:00Z")
    gateway.drops("elm")
    gateway.fails("says", fields={"total": 5})
    for hour in range(1, 4):
        assert job.quick("sync", at=f"2026-10-01T0{hour}:00:00Z").code == 5
    assert models(job) == list(MODELS)
    reason = "the answer has 4 rows and says total: 5"
    assert reason in job.quick("status").output
    assert reason in job.quick("check", "--json").json()[0]["advice"]
    assert reason in job.quick("probe", "local").stdout
    assert reason in job.quick("probe", "local", "--json").json()["incomplete"]
    configured(job, gateway.url, "complete = true")
    assert job.quick("sync", at="2026-10-01T04:00:00Z").code == 0
    assert models(job) == list(MODELS[:4])


def test_a_total_of_one_of_two_back_ends_is_held_in_its_turn(job: Job, gateway: Gateway) -> None:
    gateway.alternates(MODELS, envelope={"total": 9})
    configured(job, gateway.url)
    times = [f"2026-10-01T{hour:02}:00:00Z" for hour in range(4)]
    assert [job.quick("sync", at=at).code for at in times] == [0, 5, 0, 5]
    assert "the answer has 5 rows and says total: 9" in job.quick("status").output
    assert models(job) == list(MODELS)


def test_a_list_accepted_under_older_rules_is_held_when_it_shows_a_total(job: Job, gateway: Gateway) -> None:
    """An older version had accepted the list, with an ETag, so that its next request would be conditional."""
    gateway.tags()
    gateway.fails("says", fields={"total": 9})
    configured(job, gateway.url, "complete = true")
    job.quick("sync")
    with sqlite3.connect(job.database) as database:
        database.execute("""update listings set reading = replace(reading, '"rules":3,', '')""")
        database.execute("""update listings set reading = replace(reading, '"complete":true,', '')""")
    configured(job, gateway.url)
    assert job.quick("sync").code == 5
    assert "says total: 9" in job.quick("status").output
    assert job.quick("accept", "local/public").code == 0
    assert job.quick("sync").code == 0
    assert models(job) == list(MODELS)


def test_a_declared_success_is_required_beside_a_full_list(job: Job, gateway: Gateway) -> None:
    configured(job, gateway.url, "success = { code = 0 }")
    gateway.fails("says", fields={"code": 0})
    assert job.quick("sync").code == 0
    gateway.fails("says", fields={"code": 7, "msg": "maintenance"})
    assert job.quick("sync").code == 4
    assert scope(job)["error"]["message"] == (
        "the gateway answered code: 7, where `success` has 0: maintenance"
    )


def test_a_saved_answer_that_is_one_page_is_not_imported(job: Job, tmp_path: Path) -> None:
    saved = tmp_path / "saved"
    saved.mkdir()
    rows = [{"id": "a"}]
    bodies = [
        listing(rows),
        json.dumps({"data": rows, "next_cursor": "x1"}).encode(),
        json.dumps({"data": rows, "ok": False}).encode(),
    ]
    for day, body in enumerate(bodies, 1):
        (saved / f"models-2025-10-0{day}.json").write_bytes(body)
    done = job.quick("import", "acme/old", str(saved), "--dialect", "auto")
    assert 'next_cursor: "x1"' in done.stderr
    assert "ok: false" in done.stderr
    assert done.stdout.startswith("1 answer of acme/old")
