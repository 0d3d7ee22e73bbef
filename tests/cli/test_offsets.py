"""Lists in pages by a parameter that counts records, and cursors under unfamiliar names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from support.e2e import Job, Question, Reply, Scripted

MODELS = [{"id": f"sk-{number}"} for number in range(10)]


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(tmp_path / "home")


def served(
    job: Job,
    settings: str = "",
    *,
    param: str = "skip",
    size: str = "take",
    first: int = 0,
    models: int = 10,
    **stated: str,
) -> tuple[dict[str, Any], list[str]]:
    """Return the row of `check` of a gateway by offset, and the queries.

    `stated` are the names under which its answers state offset, size and total.
    """

    def reply(asked: Question) -> Reply:
        query = dict(parse_qsl(urlsplit(asked.path).query))
        offset, limit = int(query.get(param, first)), int(query.get(size, 4))
        values = {"offset": offset, "limit": limit, "total": models}
        begin = max(offset - first, 0)
        rows = MODELS[:models][begin : begin + limit]
        return Reply(json.dumps({"data": rows} | {stated[each]: values[each] for each in stated}).encode())

    with Scripted(reply) as server:
        job.configure(f'[gateways.g]\nurl = "{server.url}"\nattempts = 1\n{settings}\nscopes.public = {{}}\n')
        (row,) = job.quick("check", "--json").json()
        return dict(row), [urlsplit(asked.path).query for asked in server.requests]


@pytest.mark.parametrize(
    ("setting", "stated", "queries"),
    [
        ('{ offset = "skip", total = "totalCount" }', {"total": "totalCount"}, ["", "skip=4", "skip=8"]),
        (
            '{ offset = "skip", total = "n", size = "take=6" }',
            {"total": "n"},
            ["take=6", "take=6&skip=6"],
        ),
        ('{ offset = "skip" }', {}, ["", "skip=4", "skip=8"]),
    ],
)
def test_pages_are_requested_by_an_offset_of_any_name(
    job: Job, setting: str, stated: dict[str, str], queries: list[str]
) -> None:
    row, asked = served(job, f"paging = {setting}", **stated)
    assert (row["answers"], row["models"], asked) == ("yes", 10, queries)


def test_a_list_of_full_pages_ends_with_an_empty_one(job: Job) -> None:
    row, asked = served(job, 'paging = { offset = "skip" }', models=8)
    assert (row["answers"], row["models"], asked) == ("yes", 8, ["", "skip=4", "skip=8"])


@pytest.mark.parametrize(
    ("setting", "stated"),
    [('{ offset = "skip" }', {"offset": "skip"}), ('{ offset = "skip", first = 1 }', {})],
    ids=["as the answer states", "as the config says"],
)
def test_an_offset_of_any_name_may_count_from_1(job: Job, setting: str, stated: dict[str, str]) -> None:
    row, asked = served(job, f"paging = {setting}", first=1, **stated)
    assert (row["answers"], row["models"], asked) == ("yes", 10, ["", "skip=5", "skip=9"])


@pytest.mark.parametrize("stated", [{}, {"total": "total"}])
@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("models", [3, 9, 10])
def test_offset_and_limit_are_followed_from_0_and_from_1(
    job: Job, first: int, models: int, stated: dict[str, str]
) -> None:
    names = {"offset": "offset", "limit": "limit"} | stated
    row, _ = served(job, param="offset", size="limit", first=first, models=models, **names)
    assert (row["answers"], row["models"], row["advice"]) == ("yes", models, None)


@pytest.mark.parametrize(
    ("names", "first"),
    [
        ({"offset": "start", "limit": "count", "total": "total"}, 0),
        ({"offset": "startIndex", "limit": "itemsPerPage", "total": "totalResults"}, 1),
    ],
)
def test_a_start_beside_a_total_is_followed(job: Job, names: dict[str, str], first: int) -> None:
    row, _ = served(job, param=names["offset"], first=first, **names)
    assert (row["answers"], row["models"], row["advice"]) == ("yes", 10, None)


def test_the_advice_for_a_total_names_the_setting_for_offsets_which_works(job: Job) -> None:
    row, _ = served(job, total="totalCount")
    assert '(`paging = { offset = "…", total = "totalCount" }` with the name of a parameter' in row["advice"]
    again, _ = served(job, 'paging = { offset = "skip", total = "totalCount" }', total="totalCount")
    assert again["models"] == 10


def test_page_numbers_at_an_offset_are_named_as_such(job: Job) -> None:
    row, _ = served(job, 'paging = { param = "skip", total = "totalCount" }', total="totalCount")
    assert "write `offset` of `paging` in place of `param`" in row["advice"]
    assert "Every run" not in row["advice"]


def test_an_ignored_page_number_names_offsets(job: Job) -> None:
    row, _ = served(job, 'paging = { param = "page", total = "totalCount" }', total="totalCount")
    assert "write `offset` in its place if the parameter counts records" in row["advice"]


@pytest.mark.parametrize("other", ['param = "page"', 'next = "next"', 'pages = "pages"'])
def test_an_offset_stands_alone_in_the_config(job: Job, other: str) -> None:
    job.configure(
        f'[gateways.g]\nurl = "http://a.test"\npaging = {{ offset = "skip", {other} }}\nscopes.p = {{}}\n'
    )
    done = job.quick("check")
    assert (done.code, "`offset` cannot stand beside" in done.stderr) == (78, True)


@pytest.mark.parametrize(
    "page", [{"next_after": 3}, {"nextPosition": "x"}, {"next_window": "x"}, {"next-row-key": {"k": "x"}}]
)
def test_any_next_in_an_object_about_pages_is_a_cursor(job: Job, page: dict[str, Any]) -> None:
    body = json.dumps({"items": MODELS[:3], "page": page}).encode()
    with Scripted(lambda _: Reply(body)) as server:
        job.configure(f'[gateways.g]\nurl = "{server.url}"\nlist = "items"\nscopes.public = {{}}\n')
        (row,) = job.quick("check", "--json").json()
    assert row["answers"] == "no"
    assert f'next = "page.{next(iter(page))}' in row["advice"]


@pytest.mark.parametrize("page", [{"next_after": None}, {"next_update": 7}, {"next_reset_at": 1764000000}])
def test_no_next_page_and_times_are_no_cursors(job: Job, page: dict[str, Any]) -> None:
    body = json.dumps({"items": MODELS[:3], "page": page}).encode()
    with Scripted(lambda _: Reply(body)) as server:
        job.configure(f'[gateways.g]\nurl = "{server.url}"\nlist = "items"\nscopes.public = {{}}\n')
        (row,) = job.quick("check", "--json").json()
    assert (row["answers"], row["models"]) == ("yes", 3)
