"""The commands that ask the past: what they print, how they choose, and how they refuse."""

from __future__ import annotations

import pytest
from support.e2e import Job

from pipeline.simulator import Gateway

PROD = "sk-prod-12345678"
PRICES = 'prices = { unit = "1m", input = "cost.in", output = "cost.out" }\n'


@pytest.fixture(scope="module")
def history(tmp_path_factory):
    """Six runs, a day apart: prices that move, a model that goes and one that returns, one that ends soon."""
    job = Job(tmp_path_factory.mktemp("past"), {"PROD": PROD})
    with Gateway() as one:
        one.key(PROD, group="vip")
        every = ("default", "vip")
        one.offers("heron-2", to=every, owned_by="heron", cost={"in": 5, "out": 10})
        one.offers("quarry/slate", to=every, owned_by="quarry", context_length=8)
        one.offers("lumen-3", to="vip", owned_by="lumen", shutdown_date="2026-06-01")
        job.asks(
            one.url, name="one", scopes={"prod": 'key = "env:PROD", group = "vip"', "public": ""}, attempts=1
        )
        job.configure(job.config.read_text("utf-8").replace("backoff", PRICES + "backoff"))
        job.quick("run", at="2026-05-01T06:00:00Z")
        one.offers("heron-2", to=every, owned_by="heron", cost={"in": 2.5, "out": 10})
        one.drops("quarry/slate")
        job.quick("run", at="2026-05-02T06:00:00Z")
        job.quick("run", at="2026-05-03T06:00:00Z")
        one.offers("heron-2", to=every, owned_by="heron", cost={"in": 3, "out": 12}, description="new")
        one.offers("quarry/slate", to="vip", owned_by="quarry", context_length=16)
        job.quick("run", at="2026-05-04T06:00:00Z")
        one.drops("heron-2")
        one.offers("[x]", to=every)
        job.quick("run", at="2026-05-05T06:00:00Z")
    return job


def says(history, *words, at=None):
    """The lines that a command prints."""
    done = history.quick(*words, at=at)
    assert (done.code, done.stderr) == (0, "")
    return done.stdout.splitlines()


def refusal(history, *words):
    """What a command says when it was used in a wrong way."""
    done = history.quick(*words)
    assert (done.code, done.stdout) == (2, "")
    return done.stderr.splitlines()[-1]


def test_a_story_in_lines(history):
    """When it came, what it cost, and that it is missing now; scopes with one story under one heading."""
    assert says(history, "history", "heron-2") == [
        "heron-2 at one",
        "  one/prod one/public",
        "    2026-05-01 06:00  offered, in the first answer; input $5, output $10 per 1M tokens",
        "    2026-05-02 06:00  input: $5 → $2.5 per 1M tokens (-50%)",
        "    2026-05-04 06:00  input: $2.5 → $3 per 1M tokens (+20%)",
        "                      output: $10 → $12 per 1M tokens (+20%)",
        "    2026-05-05 06:00  missing since then, to be confirmed by the next answers",
        "    (1 quiet change: `modelwatch show` tells them)",
        "    now               not offered",
        "    input: $5 → $3 per 1M tokens (-40%) in 2 changes",
    ]


def test_a_story_of_going_and_coming_back(history):
    """Removed, since when, and back after how long, to one of the scopes."""
    assert says(history, "history", "quarry/slate") == [
        "quarry/slate at one",
        "  one/prod",
        "    2026-05-01 06:00  offered, in the first answer",
        "    2026-05-03 06:00  removed, missing since 2026-05-02 06:00",
        "    2026-05-04 06:00  back after 2 days",
        "                      context_length: 8 → 16",
        "    now               offered",
        "  one/public",
        "    2026-05-01 06:00  offered, in the first answer",
        "    2026-05-03 06:00  removed, missing since 2026-05-02 06:00",
        "    now               not offered",
    ]


def test_a_part_of_a_story(history):
    """Of some scopes, and from a time on; how many steps came before is said."""
    assert says(history, "history", "quarry/slate", "--scope", "*/prod", "--since", "2026-05-04") == [
        "quarry/slate at one",
        "  one/prod",
        "    (2 earlier steps)",
        "    2026-05-04 06:00  back after 2 days",
        "                      context_length: 8 → 16",
        "    now               offered",
    ]


def test_stories_of_a_few_models(history):
    """A glob that few ids match tells each; an id that looks like one is taken as it is first."""
    told = says(history, "history", "*e*-[23]", "--scope", "one/prod")
    assert [line for line in told if line.endswith(" at one")] == ["heron-2 at one", "lumen-3 at one"]
    assert says(history, "history", "[x]")[0] == "[x] at one"


def test_a_story_as_json_and_csv(history):
    """Numbers as numbers, with their unit; a row for each scope, step and field."""
    (story,) = history.quick("history", "heron-2", "--json").json()
    assert (story["scopes"], story["offered"]) == (["one/prod", "one/public"], False)
    assert [step["what"] for step in story["steps"]] == ["first", "changed", "changed", "missing"]
    assert story["steps"][1]["prices"] == [
        {
            "name": "input",
            "before": 5,
            "after": 2.5,
            "percent": -50,
            "unit": "USD per 1M tokens",
            "source": "exact",
        }
    ]
    rows = history.quick("history", "heron-2", "--csv", "--scope", "*/prod").rows()
    assert [(row["at"][8:10], row["what"], row["field"], row["before"], row["after"]) for row in rows] == [
        ("01", "first", "input", "", "5"),
        ("01", "first", "output", "", "10"),
        ("02", "changed", "input", "5", "2.5"),
        ("04", "changed", "input", "2.5", "3"),
        ("04", "changed", "output", "10", "12"),
        ("05", "missing", "", "", ""),
    ]


def test_a_model_that_nobody_knows(history):
    """Ids that are like it are named, first the one that differs in case alone."""
    assert "did you mean heron-2 or" in refusal(history, "history", "Heron-2")
    assert "lumen-3" in refusal(history, "history", "lumen-4")
    assert "no scope was ever offered zz*" in refusal(history, "history", "zz*")
    assert "no scope that matches */nope was ever offered" in refusal(
        history, "history", "heron-2", "--scope", "*/nope"
    )


def test_models_of_a_time(history):
    """What was offered then, to whom; before the history there is nothing to say."""
    rows = history.quick("models", "--at", "2026-05-02T07:00", "--csv").rows()
    assert [(row["model"], row["scopes"]) for row in rows] == [
        ("heron-2", "one/prod one/public"),
        ("lumen-3", "one/prod"),
    ]
    assert says(history, "models", "--at", "2099-01-01") == says(history, "models")
    assert "the history begins at 2026-05-01 06:00" in refusal(history, "models", "--at", "2026-05-01")


def test_two_times_compared(history):
    """Scope by scope, as `changes` tells it, with what each scope had and has."""
    assert says(history, "diff", "2026-05-01T07:00", "2026-05-04T07:00") == [
        "one/prod  2026-05-01 07:00 → 2026-05-04 07:00  3 → 3 models",
        "  ~ heron-2",
        "      cost.in: 5 → 3",
        "      cost.out: 10 → 12",
        "      description: (none) → new",
        "  ~ quarry/slate  context_length: 8 → 16",
        "one/public  2026-05-01 07:00 → 2026-05-04 07:00  2 → 1 model",
        "  ~ heron-2",
        "      cost.in: 5 → 3",
        "      cost.out: 10 → 12",
        "      description: (none) → new",
        "  - quarry/slate",
    ]


def test_two_scopes_compared(history):
    """By model id; to be offered less is no removal."""
    assert says(history, "diff", "one/public", "one/prod") == [
        "one/public → one/prod  1 → 3 models",
        "  + lumen-3",
        "  + quarry/slate",
    ]
    assert says(history, "diff", "one/prod@2026-05-02T07:00", "one/public@#2") == [
        "one/prod 2026-05-02 07:00 → one/public #2  2 → 1 model",
        "  - lumen-3",
    ]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (("#2", "#3"), []),
        (("#1", "#2"), ["changed heron-2", "removed quarry/slate"]),
        (("#2", "#1"), ["changed heron-2", "added quarry/slate"]),
        (("one/public@#4",), ["added [x]", "removed heron-2"]),
        (("one/public@#4", "now"), ["added [x]", "removed heron-2"]),
        (("@#4", "one/public"), ["added [x]", "removed heron-2"]),
        (("one/p?b*@2026-05-04T06:00", "2026-05-05T06:00"), ["added [x]", "removed heron-2"]),
        (("one", "one/public"), ["removed lumen-3", "removed quarry/slate"]),
    ],
)
def test_sides_can_be_named_in_many_ways(history, words, found):
    """A snapshot, a time, a scope, a glob, a gateway, and any of them at a moment; now unless said."""
    compared = history.quick("diff", *words, "--json").json()["compared"]
    told = {f"{each['kind']} {each['model']}" for part in compared for each in part["changes"]}
    assert sorted(told) == sorted(found)
    rows = history.quick("diff", *words, "--csv").rows()
    assert {f"{row['kind']} {row['model']}" for row in rows} == set(found)


def test_the_exit_code_says_whether_they_differ(history):
    """Only when it is asked for."""
    assert [history.quick("diff", "#1", end, "--exit-code").code for end in ("#1", "#2")] == [0, 1]
    assert history.quick("diff", "#1", "#2").code == 0
    assert says(history, "diff", "#2", "#3") == ["no difference: one/prod one/public"]


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (("prod",), ("'prod' is no time, no snapshot and no scope", "there are one/prod, one/public")),
        (("nobody@now",), ("no scope is named nobody",)),
        (("one/prod@soon",), ("'soon' in one/prod@soon is no time",)),
        (("#9",), ("there is no snapshot #9: the newest is #5",)),
        (("#x",), ("'#x' is no snapshot",)),
        (("2026-04-30", "now"), ("nothing is known of 2026-04-30 00:00", "begins at 2026-05-01 06:00")),
    ],
)
def test_sides_that_are_none(history, words, parts):
    """One line says what is wrong and what to write."""
    said = refusal(history, "diff", *words)
    assert all(part in said for part in parts), said


def test_the_matrix(history):
    """Only models that not all are offered; all of them on request, by group too."""
    assert says(history, "matrix") == [
        "one: 2 of 3 models not offered to all of 2 scopes",
        "model         prod  public",
        "lumen-3       yes     -",
        "quarry/slate  yes     -",
    ]
    assert says(history, "matrix", "--all", "--by", "group")[1:] == [
        "model         (no group)  vip",
        "[x]              yes      yes",
        "lumen-3           -       yes",
        "quarry/slate      -       yes",
    ]
    assert says(history, "matrix", "--scope", "*/prod") == ["one: 3 models, each offered to all of 1 scope"]
    assert "no gateway is named two: there are one" in refusal(history, "matrix", "--gateway", "two")
    assert "no scope matches nope" in refusal(history, "same", "--scope", "nope")


def test_the_matrix_as_json_and_csv(history):
    """Every scope has its own column there."""
    (grid,) = history.quick("matrix", "--json").json()
    assert grid["models"][0] == {
        "model": "lumen-3",
        "offered_to": ["one/prod"],
        "columns": {"one/prod": "yes", "one/public": "no"},
    }
    assert history.quick("matrix", "--csv").rows()[1] == {
        "gateway": "one",
        "model": "quarry/slate",
        "one/prod": "yes",
        "one/public": "no",
    }


def test_who_is_offered_the_same(history):
    """Sets of scopes, and how the others differ."""
    assert says(history, "same") == [
        "one: 2 lists for 2 scopes",
        "  3 models: one/prod",
        "  1 model: one/public",
        "    beside one/prod:",
        "      - 2: lumen-3 quarry/slate",
    ]
    found = history.quick("same", "--json").json()
    assert [(each["scopes"], each["models"]) for each in found] == [(["one/prod"], 3), (["one/public"], 1)]
    assert history.quick("same", "--csv").rows()[1]["removed"] == "lumen-3 quarry/slate"


def test_how_models_end(history):
    """What is announced, what should be gone, and what went without a word."""
    (soon, rest) = says(history, "lifecycle", at="2026-05-05T08:00:00Z")
    assert soon == "2026-06-01  in 27 days  lumen-3  one/prod"
    assert rest == "1 model went without notice in the last 90 days: --unannounced shows them"
    (gone,) = says(history, "lifecycle", "--unannounced", at="2026-05-05T08:00:00Z")
    assert gone.startswith(
        "2026-05-03 06:00  - quarry/slate  one/prod one/public, missing since 2026-05-02 06:00"
    )
    assert gone.endswith("; offered again to one/prod")
    (late, *_) = says(history, "lifecycle", at="2026-06-03T08:00:00Z")
    assert late == "2026-06-01  2 days ago, still offered  lumen-3  one/prod"
    assert says(history, "lifecycle", "--days", "1", at="2026-05-05T08:00:00Z") == [
        "nothing that is offered is announced to end within 1 day"
    ]


def test_how_models_end_as_json_and_csv(history):
    """Both in the one, each in its own table."""
    at = "2026-05-05T08:00:00Z"
    found = history.quick("lifecycle", "--json", at=at).json()
    assert [each["model"] for each in found["announced"]] == ["lumen-3"]
    assert [each["back"] for each in found["unannounced"]] == [["one/prod"]]
    (row,) = history.quick("lifecycle", "--csv", at=at).rows()
    assert (row["date"], row["days"], row["model"]) == ("2026-06-01", "27", "lumen-3")
    (row,) = history.quick("lifecycle", "--csv", "--unannounced", at=at).rows()
    assert (row["model"], row["since"], row["back"]) == ("quarry/slate", "2026-05-02T06:00:00Z", "one/prod")


@pytest.mark.parametrize("words", [("history", "x"), ("diff", "now"), ("matrix",), ("same",), ("lifecycle",)])
def test_without_a_database(tmp_path, words):
    """There is nothing to ask yet, and what to do is said."""
    done = Job(tmp_path / "empty").quick(*words)
    assert (done.code, done.stdout) == (74, "")
    assert "there is no database yet" in done.stderr
