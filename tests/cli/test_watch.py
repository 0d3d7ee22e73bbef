"""The command `watch`, the table `[watch]`, and what a run says of watched models."""

from __future__ import annotations

import pytest
from support.e2e import Job, one_line, valid

from pipeline.cli.watch import WATCH_COLUMNS
from pipeline.simulator import Gateway

PROD = "sk-prod-12345678"
PRICES = 'prices = { unit = "1m", input = "cost.in", output = "cost.out" }\n'
DAYS = tuple(f"2026-05-0{day}T06:00:00Z" for day in range(1, 6))
MISSING = "missing since 2026-05-02 06:00, to be confirmed by the next answers"
SINCE = ("--since", "2026-05-01")


@pytest.fixture(scope="module")
def past(tmp_path_factory):
    """Three runs, a day apart, and what each said: a price that falls, a model that goes."""
    job = Job(tmp_path_factory.mktemp("watch"), {"PROD": PROD})
    said = []
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
        said.append(job.quick("run", at=DAYS[0]))
        one.offers("heron-2", to=every, cost={"in": 2.5, "out": 10})
        one.offers("basalt", to=every, context_length=8)
        one.drops("quarry/slate")
        said.append(job.quick("run", at=DAYS[1]))
        said.append(job.quick("run", "--dry-run", at=DAYS[2]))
        said.append(job.quick("run", at=DAYS[2]))
    return job, said


def test_what_is_watched_stands_in_lines(past):
    """What needs attention first, each thing with its scopes, then what is well."""
    job, _ = past
    done = job.quick("watch", *SINCE, at=DAYS[2])
    assert done.code == 0
    assert done.stdout.splitlines() == [
        "! heron-3  no scope was ever offered it: did you mean heron-2 or lumen-3?",
        "! zinc*  matches no model that was ever offered",
        "! heron-2  offered to one/prod one/public",
        "      input: $5 → $2.5 per 1M tokens (-50%) since 2026-05-01 00:00: one/prod one/public",
        "! lumen-3  offered to one/prod",
        "      ends 2026-06-01, in 29 days: one/prod",
        "! quarry/slate  offered to no scope",
        "      missing since 2026-05-02 06:00: one/prod one/public",
        "  basalt  well, offered to one/prod one/public",
        "5 of 6 watched models need attention, by the run of 2026-05-03 06:00 UTC",
    ]


def test_a_pipeline_can_be_stopped(past):
    """With 1 where something needs attention, and 0 where nothing does; without the flag always 0."""
    job, _ = past
    assert job.quick("watch", "--exit-code", at=DAYS[2]).code == 1
    well = job.quick("watch", "basalt", "--exit-code", at=DAYS[2])
    assert (well.code, well.stdout.splitlines()[-1]) == (
        0,
        "none of 1 watched model needs attention, by the run of 2026-05-03 06:00 UTC",
    )
    assert job.quick("watch", "lumen-3", "--days", "10", "--exit-code", at=DAYS[2]).code == 0
    assert job.quick("watch", "nope", "--exit-code", at=DAYS[2]).code == 1


def test_scopes_may_be_chosen(past):
    """A glob that matches none is a mistake."""
    job, _ = past
    done = job.quick("watch", "lumen-3", "--scope", "one/public", at=DAYS[2])
    assert done.stdout.splitlines()[0] == (
        "! lumen-3  was offered once, but to no scope that is asked now and watched"
    )
    refused = job.quick("watch", "--scope", "two/*")
    assert (refused.code, refused.stdout) == (2, "")
    assert "no scope matches two/*" in refused.stderr


def test_the_json_has_everything(past):
    """Models with their findings, and words that mean none."""
    job, _ = past
    told = job.quick("watch", *SINCE, "--json", at=DAYS[2]).json()
    assert (told["at"], told["urgent"]) == (DAYS[2], True)
    assert [(each["model"], each["urgent"]) for each in told["models"]] == [
        ("basalt", False),
        ("heron-2", True),
        ("lumen-3", True),
        ("quarry/slate", True),
    ]
    (price,) = told["models"][1]["findings"][0]["prices"]
    assert (price["before"], price["after"], price["percent"], price["unit"]) == (
        5,
        2.5,
        -50,
        "USD per 1M tokens",
    )
    assert told["unmatched"][0] == {"word": "heron-3", "once": False, "near": ["heron-2", "lumen-3"]}


def test_the_csv_has_a_row_for_each_scope(past):
    """What is well has rows too."""
    job, _ = past
    rows = job.quick("watch", *SINCE, "--csv", at=DAYS[2]).rows()
    assert tuple(rows[0]) == WATCH_COLUMNS
    assert [(row["model"], row["what"], row["urgent"], row["scope"]) for row in rows] == [
        ("heron-3", "unknown", "yes", ""),
        ("zinc*", "unknown", "yes", ""),
        ("basalt", "well", "", "one/prod"),
        ("basalt", "well", "", "one/public"),
        ("heron-2", "repriced", "yes", "one/prod"),
        ("heron-2", "repriced", "yes", "one/public"),
        ("lumen-3", "ending", "yes", "one/prod"),
        ("quarry/slate", "missing", "yes", "one/prod"),
        ("quarry/slate", "missing", "yes", "one/public"),
    ]


def test_a_run_says_what_is_urgent(past):
    """Off a terminal in a line on stderr for each; what is not urgent is not said, and the code is 0."""
    _, said = past
    assert [done.code for done in said] == [0, 0, 0, 0]
    assert [done.stderr.splitlines() for done in (said[0], said[1], said[3])] == [
        [],
        [
            f"modelwatch: ! quarry/slate  {MISSING}: one/prod one/public",
            "modelwatch: ! ~ heron-2  cost.in: 5 → 2.5  one/prod one/public",
        ],
        ["modelwatch: ! - quarry/slate  removed, missing since 2026-05-02 06:00  one/prod one/public"],
    ]
    assert said[2].stdout.splitlines() == [
        "2026-05-03 06:00  one/prod one/public",
        "! - quarry/slate  removed, missing since 2026-05-02 06:00",
    ]


def test_reports_mark_what_is_urgent(past):
    """In the JSON of each change, and in the last column of the CSV."""
    job, _ = past
    assert [(each["model"], each["urgent"]) for each in job.latest()["changes"]] == [("quarry/slate", True)]
    found = {(row["model"], row["field"]): row["urgent"] for row in job.quick("changes", "--csv").rows()}
    assert found == {
        ("heron-2", "cost.in"): "yes",
        ("basalt", "context_length"): "",
        ("quarry/slate", ""): "yes",
    }
    for each in job.quick("changes", "--json").json():
        valid(each, "change")


def test_nothing_to_watch_is_said(tmp_path):
    """With what to write."""
    job = Job(tmp_path)
    job.asks("http://127.0.0.1:9", name="one")
    done = job.quick("watch")
    assert (done.code, done.stdout) == (2, "")
    assert f"write `[watch]` and `models = [...]` into {job.config}" in done.stderr


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("models = 'a'", "6: watch.models: must be a list of texts"),
        ("models = [1]", "6: watch.models: must be a list of texts"),
        ("model = ['a']", "6: watch.model: is not known here: use one of file, models, scopes"),
        ("scopes = ['two/*']", "6: watch.scopes: 'two/*' matches no scope: there are one/public"),
        ("file = 1", "6: watch.file: must be a text in quotes"),
        ("file = 'none.txt'", "none.txt: cannot be read: No such file or directory"),
    ],
)
def test_a_bad_table_is_refused(tmp_path, table, message):
    """With the line, the key and the cure."""
    job = Job(tmp_path)
    job.asks("http://127.0.0.1:9", name="one")
    job.configure(job.config.read_text("utf-8") + f"[watch]\n{table}\n")
    one_line(job.quick("status"), 78, message)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'"heron-2",', "models.txt:2: holds a quote or a comma"),
        (b"heron-2 heron-3", "models.txt:2: holds more than one word"),
        (b"heron\x1b[2J", "models.txt:2: holds a character that cannot be printed"),
        (b"\xff", "models.txt: is not UTF-8"),
    ],
)
def test_a_bad_line_of_the_file_is_refused(tmp_path, line, message):
    """With its number and what to write."""
    job = Job(tmp_path)
    job.asks("http://127.0.0.1:9", name="one")
    job.configure(job.config.read_text("utf-8") + '[watch]\nfile = "models.txt"\n')
    (tmp_path / "models.txt").write_bytes(b"# mine\n" + line + b"\n")
    one_line(job.quick("status"), 78, message)
