"""The command `watch`, the table `[watch]`, and the urgent lines of a run."""

from __future__ import annotations

import pytest
from support.e2e import Job, one_line, valid

from pipeline.cli.watch import WATCH_COLUMNS
from pipeline.simulator import Gateway

PROD = "sk-prod-12345678"
PRICES = 'prices = { unit = "1m", input = "cost.in", output = "cost.out" }\n'
DAYS = tuple(f"2026-05-0{day}T06:00:00Z" for day in range(1, 6))
MISSING = "may be missing since 2026-05-02 06:00, 1 of 2 answers, removed after 1 more"
SINCE = ("--since", "2026-05-01")


@pytest.fixture(scope="module")
def watched(tmp_path_factory):
    """A home with three runs, a day apart, and the outputs: a price falls, a model is removed."""
    job = Job(tmp_path_factory.mktemp("watch"), {"PROD": PROD})
    runs = []
    with Gateway() as one:
        one.key(PROD, group="vip")
        every = ("default", "vip")
        one.offers("heron-2", to=every, cost={"in": 5, "out": 10})
        one.offers("quarry/slate", to=every)
        one.offers("basalt", to=every)
        one.offers("lumen-3", to="vip", shutdown_date="2026-06-01")
        job.asks(one.url, name="one", scopes={"prod": 'key = "env:PROD", group = "vip"', "public": ""})
        text = job.config.read_text("utf-8").replace("backoff", PRICES + "backoff")
        job.configure(text + '[watch]\nmodels = ["heron-?", "lumen-3"]\nfile = "models.txt"\n')
        (job.home / "models.txt").write_text("# ours\nquarry/slate  # stone\n\nheron-3\nbasalt\nzinc*\n")
        runs.append(job.quick("run", at=DAYS[0]))
        one.offers("heron-2", to=every, cost={"in": 2.5, "out": 10})
        one.offers("basalt", to=every, context_length=8)
        one.drops("quarry/slate")
        runs.append(job.quick("run", at=DAYS[1]))
        runs.append(job.quick("run", "--dry-run", at=DAYS[2]))
        runs.append(job.quick("run", at=DAYS[2]))
    return job, runs


def test_models_that_need_attention_come_first_with_scopes_and_findings(watched):
    job, _ = watched
    done = job.quick("watch", *SINCE, at=DAYS[2])
    assert done.code == 0
    assert done.stdout.splitlines() == [
        "! heron-3  no scope has ever been offered it: did you mean heron-2 or lumen-3?",
        "! zinc*  matches no model that has ever been offered",
        "! heron-2  offered to one/prod one/public",
        "      input $5.00 → $2.50 per 1M tokens (−50 %) since 2026-05-02 06:00: one/prod one/public",
        "! lumen-3  offered to one/prod",
        "      shutdown 1 Jun 2026, in 29 days: one/prod",
        "! quarry/slate  offered to no scope",
        "      removed, missing since 2026-05-02 06:00: one/prod one/public",
        "  basalt  OK, offered to one/prod one/public",
        "5 of 6 watched models need attention, by the run of 2026-05-03 06:00 UTC",
    ]


def test_exit_code_1_means_that_a_model_needs_attention(watched):
    job, _ = watched
    assert job.quick("watch", "--exit-code", at=DAYS[2]).code == 1
    ok = job.quick("watch", "basalt", "--exit-code", at=DAYS[2])
    assert (ok.code, ok.stdout.splitlines()[-1]) == (
        0,
        "the watched model needs no attention, by the run of 2026-05-03 06:00 UTC",
    )
    assert job.quick("watch", "lumen-3", "--days", "10", "--exit-code", at=DAYS[2]).code == 0
    assert job.quick("watch", "nope", "--exit-code", at=DAYS[2]).code == 1


def test_scopes_are_filtered_and_an_unknown_one_is_wrong_usage(watched):
    job, _ = watched
    done = job.quick("watch", "lumen-3", "--scope", "one/public", at=DAYS[2])
    assert done.stdout.splitlines()[0] == (
        "! lumen-3  was offered before, but by no scope that is asked and watched now"
    )
    refused = job.quick("watch", "--scope", "two/*")
    assert (refused.code, refused.stdout) == (2, "")
    assert "no scope matches 'two/*'" in refused.stderr


def test_json_has_the_findings_and_the_patterns_without_a_model(watched):
    job, _ = watched
    value = job.quick("watch", *SINCE, "--json", at=DAYS[2]).json()
    assert (value["at"], value["urgent"]) == (DAYS[2], True)
    assert [(each["model"], each["urgent"]) for each in value["models"]] == [
        ("basalt", False),
        ("heron-2", True),
        ("lumen-3", True),
        ("quarry/slate", True),
    ]
    (price,) = value["models"][1]["findings"][0]["prices"]
    assert (price["before"], price["after"], price["percent"], price["unit"]) == (
        5,
        2.5,
        -50,
        "1M tokens",
    )
    assert value["unmatched"][0] == {
        "pattern": "heron-3",
        "offered_before": False,
        "similar": ["heron-2", "lumen-3"],
    }


def test_csv_has_a_row_for_each_scope_also_of_models_that_are_ok(watched):
    job, _ = watched
    rows = job.quick("watch", *SINCE, "--csv", at=DAYS[2]).rows()
    assert tuple(rows[0]) == WATCH_COLUMNS
    assert [(row["model"], row["kind"], row["urgent"], row["scope"]) for row in rows] == [
        ("heron-3", "unknown", "yes", ""),
        ("zinc*", "unknown", "yes", ""),
        ("basalt", "ok", "", "one/prod"),
        ("basalt", "ok", "", "one/public"),
        ("heron-2", "repriced", "yes", "one/prod"),
        ("heron-2", "repriced", "yes", "one/public"),
        ("lumen-3", "shutdown", "yes", "one/prod"),
        ("quarry/slate", "missing", "yes", "one/prod"),
        ("quarry/slate", "missing", "yes", "one/public"),
    ]


def test_a_run_logs_only_urgent_changes_and_exits_with_0(watched):
    _, runs = watched
    assert [done.code for done in runs] == [0, 0, 0, 0]
    assert [done.stderr.splitlines() for done in (runs[0], runs[1], runs[3])] == [
        [],
        [
            f"modelwatch: ! quarry/slate  {MISSING}: one/prod one/public",
            "modelwatch: ! ~ heron-2  input $5.00 → $2.50 per 1M tokens (−50 %)  one/prod one/public",
        ],
        ["modelwatch: ! - quarry/slate  removed, missing since 2026-05-02 06:00  one/prod one/public"],
    ]
    assert runs[2].stdout.splitlines() == [
        "2026-05-03 06:00  one/prod one/public",
        "! - quarry/slate  removed, missing since 2026-05-02 06:00",
    ]


def test_reports_mark_urgent_changes(watched):
    job, _ = watched
    assert [(each["model"], each["urgent"]) for each in job.latest()["changes"]] == [("quarry/slate", True)]
    found = {(row["model"], row["field"]): row["urgent"] for row in job.quick("changes", "--csv").rows()}
    assert found == {
        ("heron-2", "cost.in"): "yes",
        ("basalt", "context_length"): "",
        ("quarry/slate", ""): "yes",
    }
    for each in job.quick("changes", "--json").json():
        valid(each, "change")


def test_watch_without_models_is_wrong_usage(tmp_path):
    job = Job(tmp_path)
    job.asks("http://127.0.0.1:9", name="one")
    done = job.quick("watch")
    assert (done.code, done.stdout) == (2, "")
    assert f"write `[watch]` and `models = [...]` into {job.config}" in done.stderr


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("models = 'a'", "7: watch.models: must be a list of texts"),
        ("models = [1]", "7: watch.models: must be a list of texts"),
        ("models = [' ']", "7: watch.models: has an empty text: write a value, or remove it"),
        (
            "model = ['a']",
            "7: watch.model: is not a known key here: did you mean models? The known keys are file, ",
        ),
        ("scopes = ['two/*']", "7: watch.scopes: 'two/*' matches no scope: use one of one/public, or a glob"),
        ("file = 1", "7: watch.file: must be a text in quotes"),
        ("file = 'none.txt'", "none.txt: cannot be read: No such file or directory"),
    ],
)
def test_an_invalid_watch_table_is_refused_with_line_and_key(tmp_path, table, message):
    job = Job(tmp_path)
    job.asks("http://127.0.0.1:9", name="one")
    job.configure(job.config.read_text("utf-8") + f"[watch]\n{table}\n")
    one_line(job.quick("status"), 78, message)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'"heron-2",', "models.txt:2: has a quote or a comma"),
        (b"heron-2 heron-3", "models.txt:2: has more than one word"),
        (b"heron\x1b[2J", "models.txt:2: has a character that cannot be printed"),
        (b"\xff", "models.txt: is not UTF-8"),
    ],
)
def test_an_invalid_line_of_the_watch_file_is_refused_with_its_number(tmp_path, line, message):
    job = Job(tmp_path)
    job.asks("http://127.0.0.1:9", name="one")
    job.configure(job.config.read_text("utf-8") + '[watch]\nfile = "models.txt"\n')
    (tmp_path / "models.txt").write_bytes(b"# mine\n" + line + b"\n")
    one_line(job.quick("status"), 78, message)
