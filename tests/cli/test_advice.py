"""The lines for the config that are named for a list at another place, and for paths that find nothing."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from support.e2e import Job, Reply, Scripted

from pipeline.gateways.dialects import Answer, all_dialects


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(tmp_path / "home")


def configured(job: Job, url: str, settings: str = "") -> None:
    job.configure(
        f'[gateways.g]\nurl = "{url}"\nattempts = 1\nbackoff = 0\n{settings}\nscopes.public = {{}}\n'
    )


def checked(job: Job, answer: Any, settings: str = "", **headers: str) -> dict[str, Any]:
    """Return the row of `check` of a gateway with this answer."""
    reply = Reply(json.dumps(answer).encode(), headers=tuple(headers.items()))
    with Scripted(lambda _: reply) as server:
        configured(job, server.url, settings)
        (row,) = job.quick("check", "--json").json()
    return dict(row)


ROWS = [{"id": "lyra", "ctx": 8192}, {"id": "vega", "ctx": 1024}]
NAMED = [{"slug": "lyra", "title": "Lyra"}, {"slug": "vega", "title": "Vega"}]
PROVIDERS = [
    {"id": "north", "regions": [{"id": "eu"}], "models": ROWS},
    {"id": "south", "models": [{"id": "lyra"}]},
]

PLACES = [
    pytest.param({"result": {"catalogue": ROWS}}, ['list = "result.catalogue"'], id="another name"),
    pytest.param(
        {"payload": {"content": NAMED}, "n": 2}, ['list = "payload.content"', 'id = "slug"'], id="other ids"
    ),
    pytest.param(
        {"tags": [{"id": "a"}, {"id": "b"}, {"id": "c"}], "chat_models": ROWS},
        ['list = "chat_models"'],
        id="beside a longer list",
    ),
    pytest.param(
        {"providers": PROVIDERS}, ['list = "providers[].models"', 'id = "{^}/{id}"'], id="lists in a list"
    ),
    pytest.param(
        {"catalogue": {"heron": {"context_length": 1}, "lumen": {"context_length": 2}}},
        ['list = "catalogue"'],
        id="an object by id",
    ),
    pytest.param(
        {"north": [{"id": "lyra"}], "south": [{"id": "vega"}, {"id": "rigel"}]},
        ['list = "*"'],
        id="by provider",
    ),
    pytest.param(
        {"north": [{"id": "lyra"}], "south": [{"id": "lyra"}]},
        ['list = "*"', 'id = "{^}/{id}"'],
        id="by provider with equal ids",
    ),
    pytest.param(
        {"catalogue": {"north": {"models": ["lyra", "vega"]}, "south": {"models": ["rigel"]}}},
        ['list = "catalogue.*.models"'],
        id="bare ids by provider",
    ),
    pytest.param(
        {"models": {"chat": [{"id": "lyra"}], "image": [{"id": "sketch"}]}},
        ['list = "models.*"'],
        id="by kind",
    ),
    pytest.param(
        {"data": {"edges": [{"node": {"id": "lyra"}}, {"node": {"id": "vega"}}]}},
        ['list = "data.edges"', 'id = "node.id"'],
        id="GraphQL",
    ),
    pytest.param({"available_models": ["lyra", "vega"]}, ['list = "available_models"'], id="bare ids"),
]


@pytest.mark.parametrize(("answer", "lines"), PLACES)
def test_the_lines_to_add_for_a_list_at_another_place_are_named_and_work(
    job: Job, answer: Any, lines: list[str]
) -> None:
    row = checked(job, answer)
    advice = f"add {' and '.join(f'`{line}`' for line in lines)}"
    assert row["answers"] == "no"
    assert row["advice"].endswith(advice)
    again = checked(job, answer, "\n".join(lines))
    assert (again["answers"], again["advice"]) == ("yes", None)
    assert again["models"] >= 2


IDS = [
    pytest.param(NAMED, 'each record has `slug`: add `id = "slug"`', id="slug"),
    pytest.param(
        [{"title": "A", "code": "x"}, {"title": "A", "code": "y"}],
        'each record has `code`: add `id = "code"`',
        id="code",
    ),
    pytest.param(
        [{"attributes": {"slug": "x"}}, {"attributes": {"slug": "y"}}],
        'each record has `attributes.slug`: add `id = "attributes.slug"`',
        id="in an object",
    ),
    pytest.param([{"a": 1, "b": 2}, {"a": 1, "c": 3}], "the records have `a`, `b`, `c`", id="none"),
]


@pytest.mark.parametrize(("rows", "advice"), IDS)
def test_the_line_to_add_for_ids_at_another_place_is_named(job: Job, rows: Any, advice: str) -> None:
    row = checked(job, {"data": rows})
    assert row["advice"] == f"none of the 2 rows has a model id at 'id': {advice}"


JOINED = [
    pytest.param(
        [{"vendor": "a", "name": "x"}, {"vendor": "b", "name": "x"}], "{vendor}/{name}", id="an owner"
    ),
    pytest.param(
        [
            {"vendor": "a", "name": "x", "version": "1"},
            {"vendor": "a", "name": "x", "version": "2"},
            {"vendor": "b", "name": "x", "version": "1"},
        ],
        "{vendor}/{name}-{version}",
        id="an owner and a version",
    ),
    pytest.param(
        [{"name": "x", "version": "1"}, {"name": "x", "version": "2"}], "{name}-{version}", id="a version"
    ),
    pytest.param(
        [
            {"model": {"vendor": "a", "code": "x"}, "region": "eu"},
            {"model": {"vendor": "a", "code": "x"}, "region": "us"},
            {"model": {"vendor": "b", "code": "x"}, "region": "eu"},
        ],
        "{model.vendor}/{model.code}-{region}",
        id="in an object",
    ),
]


@pytest.mark.parametrize(("rows", "joined"), JOINED)
def test_fields_that_are_an_id_together_are_named_and_work(job: Job, rows: Any, joined: str) -> None:
    row = checked(job, {"data": rows})
    assert row["advice"].endswith(f'no field alone tells the records apart: add `id = "{joined}"`')
    assert checked(job, {"data": rows}, f'id = "{joined}"')["models"] == len(rows)


@pytest.mark.parametrize("name", ["modelCode", "model_code", "model-slug", "modelKey"])
def test_an_id_is_found_in_any_spelling_of_its_name(job: Job, name: str) -> None:
    row = checked(job, {"data": [{name: "x", "inputPrice": 1}, {name: "y", "inputPrice": 2}]})
    assert row["advice"].endswith(f'add `id = "{name}"`')


@pytest.mark.parametrize(
    ("wrong", "right"),
    [("{vendor}/{nam}", "{vendor}/{name}"), ("{vendr}/{nam}", "{vendor}/{name}"), ("nane", "name")],
)
def test_a_mistyped_id_is_corrected(job: Job, wrong: str, right: str) -> None:
    rows = [{"vendor": "a", "name": "x"}, {"vendor": "b", "name": "y"}]
    row = checked(job, {"data": rows}, f'id = "{wrong}"')
    assert f'did you mean `id = "{right}"`?' in row["advice"]
    assert checked(job, {"data": rows}, f'id = "{right}"')["models"] == 2


def test_fields_in_objects_are_named_where_no_id_is_likely(job: Job) -> None:
    row = checked(job, {"data": [{"spec": {"size": 1, "kind": 2}, "n": 1}, {"spec": {"size": 1}, "n": 2}]})
    assert row["advice"].endswith("the records have `spec.size`, `spec.kind`, `n`") or (
        "`spec.kind`, `spec.size`" in row["advice"]
    )


def test_the_line_to_add_is_on_standard_error_of_a_run_too(job: Job) -> None:
    with Scripted(lambda _: Reply(json.dumps({"result": {"catalogue": ROWS}}).encode())) as server:
        configured(job, server.url)
        assert 'add `list = "result.catalogue"`' in job.quick("run").stderr


def test_a_null_list_names_the_line_for_an_empty_one_which_works(job: Job) -> None:
    row = checked(job, {"data": None})
    assert row["advice"].endswith("if that is an empty list, add `null_is_empty = true`")
    assert checked(job, {"data": None}, "null_is_empty = true")["models"] == 0


def test_an_answer_without_any_list_is_described_by_its_names(job: Job) -> None:
    row = checked(job, {"service": "llm", "docs": "https://llm.example.com", "x" * 99: 1})
    assert row["advice"].startswith(
        "no list is at 'data', 'models', 'result.models' or another usual place, and the answer is not"
    )
    assert f"the answer has `docs`, `service`, `{'x' * 39}…`" in row["advice"] or (
        f"the answer has `service`, `docs`, `{'x' * 39}…`" in row["advice"]
    )


RECORDS = [
    {"id": "lyra", "cost": {"in": 1, "out": 2}, "load": 3, "replicas": [{"load": 1}], "tags": ["b", "a"]},
    {"id": "vega", "cost": {"in": 3, "out": 4}},
]
HAVE = "the records have `id`, `cost`, `load`, `replicas`, `tags`"

SETTINGS = [
    ('noise = ["laod"]', f"`noise` finds nothing at `laod` in any record: did you mean `load`? {HAVE}"),
    (
        'quiet = ["replicas[].laod"]',
        f"`quiet` finds nothing at `replicas[].laod` in any record: did you mean `replicas.*.load`? {HAVE}",
    ),
    ('sets = ["zones"]', f"`sets` finds nothing at `zones` in any record: {HAVE}"),
    ('facts = { owned_by = "maker" }', f"`facts.owned_by` finds nothing at `maker` in any record: {HAVE}"),
    (
        'prices = { unit = "1m", input = "cost.inn", output = "cost.out" }',
        f"`prices.input` finds nothing at `cost.inn` in any record: did you mean `cost.in`? {HAVE}",
    ),
    (
        'paging = { param = "after", next = "next", more = "meta.more" }',
        "`more` of `paging` finds nothing at `meta.more`: the answer has `data`",
    ),
    (
        'paging = { param = "after", next = "dada" }',
        "`next` of `paging` finds nothing at `dada` in any page, which is right only if the last page has no",
    ),
]


@pytest.mark.parametrize(("setting", "advice"), SETTINGS)
def test_a_path_that_finds_nothing_is_reported_by_check(job: Job, setting: str, advice: str) -> None:
    row = checked(job, {"data": RECORDS}, setting)
    assert row["answers"] == "yes"
    assert advice in row["advice"]


@pytest.mark.parametrize(("setting", "advice"), SETTINGS)
def test_a_path_that_finds_nothing_is_reported_by_import(
    job: Job, tmp_path: Path, setting: str, advice: str
) -> None:
    saved = tmp_path / "saved"
    saved.mkdir()
    for day in (1, 2):
        (saved / f"2026-01-0{day}T00:00:00Z.json").write_text(json.dumps({"data": RECORDS}))
    configured(job, "https://llm.example.com", setting)
    done = job.quick("import", "g/public", str(saved))
    assert done.stderr.count(f"g/public: {advice}") == 1


def test_paths_that_find_something_are_not_reported(job: Job) -> None:
    settings = (
        'noise = ["load", "replicas[].load", "*.in"]\nsets = ["tags"]\n'
        'prices = { unit = "1m", input = "cost.in", output = "cost.out" }\n'
        'paging = { param = "page", total = "x-all", next = "x-next-page" }'
    )
    row = checked(job, {"data": RECORDS}, settings, **{"X-All": "2", "X-Next-Page": ""})
    assert (row["answers"], row["advice"]) == ("yes", None)


def test_an_empty_list_says_nothing_of_paths(job: Job) -> None:
    assert checked(job, {"data": []}, 'noise = ["load"]')["advice"] == "the list is empty"


@pytest.mark.parametrize("path", ["a.b.", "x..y", "*"])
def test_a_path_in_the_list_to_add_can_be_written_to_the_config(path: str) -> None:
    with pytest.raises(Exception, match="not the list of models") as refused:
        all_dialects()["mistral"].read(Answer((json.dumps({path: {"models": ROWS}}).encode(),), 0))
    for line in str(refused.value).split("`")[1::2]:
        assert "list" not in tomllib.loads(line) if "=" in line else True


def test_ids_that_hold_what_the_config_calls_a_secret_are_named(job: Job) -> None:
    """Bodies are masked, so that an organisation that is given as a secret changes the ids with its name."""
    job.env["ORG"] = "acme-corp"
    row = checked(
        job, {"data": [{"id": "acme-corp/lyra"}, {"id": "vega"}]}, 'headers = { "X-Org" = "env:ORG" }'
    )
    assert row["advice"].startswith(
        "1 model with `***` for a secret in the id, such as ***/lyra: what is no secret,"
    )


LOST = [
    pytest.param(
        {"data": [{"id": "lyra"}, {"error": {"message": "upstream is down"}}, {"id": "vega"}]},
        "",
        "row 2 of 3 is an error: upstream is down; so the list may lack models",
        id="a row",
    ),
    pytest.param(
        {"providers": [{"id": "acme", "models": [{"id": "a"}]}, {"id": "zed", "error": "timed out"}]},
        'list = "providers[].models"',
        "of the lists in the list, zed has none: the gateway answered with an error: timed out; so the list",
        id="a member",
    ),
    pytest.param(
        {"acme": [{"id": "a"}], "zed": {"status": "error", "message": "timed out"}},
        'list = "*"',
        'zed has none: the gateway answered status: "error": timed out; so the list may lack models',
        id="a member by name",
    ),
    pytest.param(
        {"providers": [{"id": "acme", "models": [{"id": "a"}]}, {"id": "zed", "models": [], "ok": False}]},
        'list = "providers[].models"',
        "zed has none: the gateway answered ok: false; so the list may lack models",
        id="an empty member",
    ),
]


@pytest.mark.parametrize(("answer", "setting", "advice"), LOST)
def test_a_list_with_an_error_in_place_of_models_is_no_whole_list(
    job: Job, answer: Any, setting: str, advice: str
) -> None:
    """Its missing models would be reported as removed."""
    row = checked(job, answer, setting)
    assert advice in row["advice"]
    assert row["advice"].count("set `complete = true` if this is the whole list") == 1
    with Scripted(lambda _: Reply(json.dumps(answer).encode())) as server:
        configured(job, server.url, setting)
        assert "so the list may lack models" in job.quick("run").stderr
        configured(job, server.url, f"{setting}\ncomplete = true")
        assert job.quick("run").code == 0


def test_a_model_that_an_error_replaces_is_not_removed(job: Job) -> None:
    answers = [{"data": [{"id": "lyra"}, {"id": "vega"}, {"id": "rigel"}]}]
    answers += [{"data": [{"id": "lyra"}, {"id": "rigel"}, {"error": "vega: upstream is down"}]}] * 4
    turns = iter(answers)
    with Scripted(lambda _: Reply(json.dumps(next(turns)).encode())) as server:
        configured(job, server.url, 'confirm_after = "0"')
        codes = [job.quick("run", at=f"2026-05-01T0{hour}:00:00Z").code for hour in range(5)]
    assert codes == [0, 5, 5, 5, 5]
    assert [row["model"] for row in job.quick("models", "--json").json()] == ["lyra", "rigel", "vega"]


def test_members_without_a_list_and_without_an_error_have_no_models(job: Job) -> None:
    answer = {"providers": [{"id": "acme", "models": [{"id": "a"}]}, {"id": "zed", "status": "disabled"}]}
    row = checked(job, answer, 'list = "providers[].models"')
    assert (row["answers"], row["models"], row["advice"]) == ("yes", 1, None)


def test_the_lists_of_providers_by_name_are_named_together(job: Job) -> None:
    one, two = ({"lyra-1": {"context_length": 1000}}, {"lyra-1": {"context_length": 2000}, "vega-2": {}})
    answer = {"providers": {"acme": {"models": one}, "zed": {"models": two}}}
    assert 'add `list = "providers.*.models"` and `id = "{^}/{id}"`' in checked(job, answer)["advice"]
    row = checked(job, answer, 'list = "providers.*.models"\nid = "{^}/{id}"')
    assert row["models"] == 3
