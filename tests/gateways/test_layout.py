"""Where the rows and ids of an answer are: an object by id, lists in a list, an object in each line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.e2e import Job, Reply, Scripted

from pipeline.gateways.dialects import Answer, all_dialects
from pipeline.gateways.dialects.layout import IdPath


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(tmp_path / "home")


def run(job: Job, answer: Any, settings: str = "", *, kind: str = "application/json") -> list[dict[str, Any]]:
    """Run once against a gateway with this answer; return the rows of its models, sorted."""
    body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    with Scripted(lambda _: Reply(body, headers=(("Content-Type", kind),))) as server:
        job.configure(f'[gateways.g]\nurl = "{server.url}"\nattempts = 1\n{settings}\nscopes.public = {{}}\n')
        done = job.quick("run")
    assert (done.code, done.output) == (0, "")
    rows: list[dict[str, Any]] = job.quick("models", "--json").json()
    return sorted(rows, key=lambda row: str(row["model"]))


def models(job: Job, answer: Any, settings: str = "", *, kind: str = "application/json") -> list[str]:
    return [row["model"] for row in run(job, answer, settings, kind=kind)]


def test_the_key_of_a_record_becomes_its_id_where_it_has_none(job: Job) -> None:
    answer = {"models": {"heron": {"context_length": 8192}, "x": {"id": "quarry/slate"}}}
    assert models(job, answer) == ["heron", "quarry/slate"]
    shown = job.quick("show", "heron", "--json").json()
    assert json.dumps(shown).count('"heron"')


def test_a_model_that_an_object_by_id_loses_is_removed_and_the_rest_unchanged(job: Job) -> None:
    before: dict[str, Any] = {f"heron-{n}": {"context_length": n} for n in range(1, 9)}
    run(job, {"models": before}, "confirm = 1\nconfirm_after = 0")
    after = dict(reversed(before.items()))
    del after["heron-3"]
    run(job, {"models": after}, "confirm = 1\nconfirm_after = 0")
    changes = job.quick("changes", "--json").json()
    assert [(each["kind"], each["model"]) for each in changes] == [("removed", "heron-3")]


def test_lists_in_a_list_give_their_owner_and_keep_equal_ids_apart(job: Job) -> None:
    north = {"name": "north", "region": "eu", "models": [{"id": "lyra"}, {"id": "vega"}]}
    south = {"name": "south", "region": "us", "models": [{"id": "lyra", "vendor": "stellar"}]}
    answer = {"providers": [north, south, {"name": "east", "models": None}]}
    assert models(job, answer, 'list = "providers[].models"\nid = "{^region}:{id}"') == [
        "eu:lyra",
        "eu:vega",
        "us:lyra",
    ]
    owners = {row["model"]: row["owned_by"] for row in job.quick("models", "--json").json()}
    assert owners == {"eu:lyra": "north", "eu:vega": "north", "us:lyra": "stellar"}


@pytest.mark.parametrize(
    ("around", "owner"),
    [
        ({"vendor": "quarry"}, "quarry"),
        ({"name": "Family 2", "organization": "quarry"}, "quarry"),
        ({"id": "quarry", "vendor": None}, "quarry"),
        ({"region": "eu"}, None),
    ],
)
def test_the_object_around_a_list_gives_the_owner_that_it_names(
    job: Job, around: dict[str, Any], owner: str | None
) -> None:
    [row] = run(job, {"families": [{**around, "entries": [{"id": "lyra"}]}]}, 'list = "families[].entries"')
    assert row["owned_by"] == owner


@pytest.mark.parametrize(
    "entries",
    [
        [{"id": "lyra-8b", "window": 1}, {"id": "vega-2", "window": 2}],
        {"lyra-8b": {"window": 1}, "vega-2": {"window": 2}},
    ],
)
def test_lists_with_ids_in_a_list_without_are_named_with_a_line_that_reads_them(
    job: Job, entries: Any
) -> None:
    answer = {"families": [{"vendor": "quarry", "entries": entries}]}
    with Scripted(lambda _: Reply(json.dumps(answer).encode())) as server:
        job.asks(server.url)
        (row,) = job.quick("check", "--json").json()
    assert 'add `list = "families[].entries"`' in row["advice"]
    assert models(job, answer, 'list = "families[].entries"') == ["lyra-8b", "vega-2"]


def test_objects_in_records_with_ids_are_no_lists_of_models(job: Job) -> None:
    tiers = {"0-128k": {"in": 1}, "128k-1m": {"in": 2}}
    answer = {"catalogue": [{"slug": f"lyra-{number}", "rates": tiers} for number in range(3)]}
    with Scripted(lambda _: Reply(json.dumps(answer).encode())) as server:
        job.asks(server.url)
        (row,) = job.quick("check", "--json").json()
    assert 'add `list = "catalogue"` and `id = "slug"`' in row["advice"]


def test_equal_ids_of_lists_in_a_list_are_warned_of_with_the_line_to_add(job: Job) -> None:
    answer = {"providers": [{"id": name, "models": [{"id": "lyra"}]} for name in ("north", "south")]}
    body = json.dumps(answer).encode()
    with Scripted(lambda _: Reply(body)) as server:
        job.asks(server.url, list="providers[].models")
        (row,) = job.quick("check", "--json").json()
    assert row["advice"] == (
        'lyra is listed 2 times with different content; one is kept: add `id = "{^}/{id}"`'
    )


@pytest.mark.parametrize("kind", ["application/x-ndjson", "application/json"])
def test_an_object_in_each_line_is_a_list(job: Job, kind: str) -> None:
    assert models(job, b'{"id": "lyra"}\n{"id": "vega"}\n', kind=kind) == ["lyra", "vega"]


def test_a_single_line_is_a_list_where_the_content_type_says_so(job: Job) -> None:
    assert models(job, b'{"id": "lyra"}\n', kind="application/x-ndjson; charset=utf-8") == ["lyra"]


def test_an_object_in_each_line_that_is_cut_off_is_no_list(job: Job) -> None:
    with Scripted(lambda _: Reply(b'{"id": "lyra"}\n{"id": "ve')) as server:
        job.asks(server.url, attempts=1)
        assert job.quick("run").code == 4


NO_LISTS: list[Any] = [
    {"data": {"user": {"id": 1, "created": 1755000000, "name": "ann"}}},
    {"data": {"limits": {"rpm": 3}, "usage": {"tokens": 5}}},
    {"result": {"pagination": {"context_length": 3}}},
    {
        "data": {
            "models": {"chat": {"heron": {"context_length": 1}}, "embed": {"lumen": {"context_length": 2}}}
        }
    },
    {"models": {"heron": {"context_length": 8192}, "count": 1}},
    {"models": {"heron": {"context_length": 8192}}, "deprecated": ["lumen"]},
    {"north": {"id": "north", "models": [{"id": "lyra"}]}},
    {"models": {}},
    {"data": {}},
    {},
]


@pytest.mark.parametrize("answer", NO_LISTS, ids=str)
@pytest.mark.parametrize("dialect", ["openai", "one-api", "mistral"])
def test_an_object_that_may_be_no_list_is_none(answer: Any, dialect: str) -> None:
    with pytest.raises(Exception, match="not the list of models"):
        all_dialects()[dialect].read(Answer((json.dumps(answer).encode(),), 0))


def test_an_object_by_id_that_announces_more_pages_fails(job: Job) -> None:
    answer = {"models": {"heron": {"context_length": 8192}}, "next_page_token": "x"}
    with Scripted(lambda _: Reply(json.dumps(answer).encode())) as server:
        job.asks(server.url, attempts=1)
        assert "next_page_token" in job.quick("run").stderr


def test_pages_of_an_object_by_id_are_followed(job: Job) -> None:
    def answer(question: Any) -> Reply:
        second = "after=x" in question.path
        models = {"vega" if second else "lyra": {"context_length": 8192}}
        return Reply(json.dumps({"models": models, "next": None if second else "x"}).encode())

    with Scripted(answer) as server:
        job.configure(
            f'[gateways.g]\nurl = "{server.url}"\nlist = "models"\n'
            'paging = { param = "after", next = "next" }\nscopes.public = {}\n'
        )
        assert job.quick("run").output == ""
    assert [row["model"] for row in job.quick("models", "--json").json()] == ["lyra", "vega"]


def test_ids_under_another_name_are_read_and_stay_the_same_in_the_next_run(job: Job) -> None:
    rows = [{"model_id": f"lyra-{n}", "name": "Lyra"} for n in range(3)]
    assert models(job, {"data": rows}) == ["lyra-0", "lyra-1", "lyra-2"]
    run(job, {"data": [*rows, {"model_id": "vega"}]})
    changes = job.quick("changes", "--json").json()
    assert [(each["kind"], each["model"]) for each in changes] == [("added", "vega")]


def test_an_answer_with_ids_under_another_name_is_asked_for_conditionally_and_live(job: Job) -> None:
    def answer(question: Any) -> Reply:
        if question.path.endswith("/lyra"):
            return Reply(b'{"model_id": "lyra", "name": "Lyra"}')
        if question.headers["If-None-Match"] == '"1"':
            return Reply(status=304)
        rows = [{"model_id": "lyra", "name": "Lyra"}, {"model_id": "vega"}]
        return Reply(json.dumps({"data": rows}).encode(), headers=(("ETag", '"1"'),))

    with Scripted(answer) as server:
        job.asks(server.url)
        for _ in range(2):
            assert job.quick("run").output == ""
        assert [each.headers["If-None-Match"] for each in server.requests] == [None, '"1"']
        assert "SAME" in job.quick("show", "lyra", "--live", "--json").stdout.upper()


@pytest.mark.parametrize("settings", ['id = "{owner}/{id}"', 'method = "POST"'])
def test_a_model_is_not_asked_for_where_it_can_have_no_address_of_its_own(job: Job, settings: str) -> None:
    body = json.dumps({"data": [{"id": "lyra", "owner": "north"}]}).encode()
    with Scripted(lambda _: Reply(body)) as server:
        job.configure(f'[gateways.g]\nurl = "{server.url}"\n{settings}\nscopes.public = {{}}\n')
        assert job.quick("run").output == ""
        (row,) = job.quick("models", "--json").json()
        job.quick("show", row["model"], "--live")
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    "rows",
    [
        [{"model_id": "lyra"}, {"model_id": "lyra"}],
        [{"model_id": "lyra"}, {"name": "vega"}],
        [{"slug": "lyra"}, {"slug": "vega"}],
    ],
)
def test_ids_under_another_name_that_are_uncertain_are_not_read(job: Job, rows: list[Any]) -> None:
    with Scripted(lambda _: Reply(json.dumps({"data": rows}).encode())) as server:
        job.asks(server.url, attempts=1)
        assert "has a model id at 'id'" in job.quick("run").stderr


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ('id = "{provider}/{"', "is no id: write paths of a record in braces"),
        ('id = "{}"', "is no path"),
        ('id = "{^}"', "is no id"),
        ('id = "{a.*}"', "names many places with `*` or `[]`"),
        ('id = "models[].id"', "names many places"),
        ('facts = { owned_by = "a[].b" }', "names many places"),
        ('prices = { unit = "1m", input = "a.*" }', "names many places"),
        ('paging = { param = "page", pages = "a[].b" }', "names many places"),
        ('success = { "a.*" = 1 }', "names many places"),
        ('list = "providers..models"', "is no path"),
        ('list = "[]"', "is no path"),
    ],
)
def test_a_path_that_names_no_one_place_is_an_error_of_the_config(
    job: Job, setting: str, expected: str
) -> None:
    job.configure(f'[gateways.g]\nurl = "https://llm.example.com"\n{setting}\nscopes.public = {{}}\n')
    done = job.quick("check")
    assert done.code == 78
    assert ":3: gateways.g." in done.stderr
    assert expected in done.stderr


@pytest.mark.parametrize(
    ("text", "enclosing", "plain"),
    [
        ("id", False, True),
        ("model.name", False, True),
        ("{id}", False, True),
        ("{provider}/{name}", False, False),
        ("{^name}/{id}", True, False),
        ("{id}-{^}", True, False),
    ],
)
def test_an_id_has_a_part_of_the_enclosing_object_only_if_it_is_marked_so(
    text: str, *, enclosing: bool, plain: bool
) -> None:
    found = IdPath.parse(text)
    assert (found.has_enclosing, found.is_plain) == (enclosing, plain)
