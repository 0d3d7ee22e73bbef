"""The commands that look: what they show, how they choose, and that nothing in a name can harm."""

import json
import sqlite3
import stat
import unicodedata

import pytest
from support.e2e import Job, Reply, Scripted, listed, listing, one_line, valid

from pipeline.reports.csv_json import COLUMNS
from pipeline.simulator import Gateway

READING = ("changes", "models", "scopes", "status")

HOSTILE = {
    "escape": "\x1b[2J\x1b]0;owned\x07red\x1b[31m",
    "lines": "one\ntwo\r\nthree\u2028four\u2029five\x85six",
    "direction": "abc\u202edcba\u202c\u2066\u2069\u200f\u061c",
    "c1": "\x9b31mred\x9d0;owned\x9c",
    "invisible": "gpt\u200b-\u200d4\ufeff\u2060",
    "formula": "=cmd|' /C calc'!A0",
    "plus": "+1+cmd",
    "minus": "-2+3+cmd",
    "at": "@SUM(1+1)",
    "tab": "\t=1+1",
    "full-width": "＝1+1",
    "quotes": 'a"b,c;d"',
    "markup": "[bold red]loud[/]",
    "long": "x" * 5000,
    "nul": "before\x00after",
    "surrogate": "half\ud83d",
}


@pytest.fixture(scope="module")
def history(tmp_path_factory):
    """A home with five runs at two gateways: changes of every kind, a scope that fails, one that is held."""
    job = Job(tmp_path_factory.mktemp("history"), {"PROD": "sk-prod-12345678"})
    with Gateway() as one, Gateway() as two:
        one.key("sk-prod-12345678", group="vip")
        one.offers("aurora-1", "aurora-2", "quarry/slate", to=("default", "vip"), owned_by="aurora")
        one.offers("aurora-2", to=("default", "vip"), owned_by="aurora", context_length=8, description="old")
        two.offers("tern-70b", "aurora-1", owned_by="tern")
        job.asks(
            one.url, name="one", scopes={"prod": 'key = "env:PROD", group = "vip"', "public": ""}, attempts=1
        )
        job.asks(two.url, name="two", attempts=1)
        job.quick("run", at="2026-05-01T06:00:00Z")
        one.offers("aurora-2", to=("default", "vip"), owned_by="aurora", context_length=16, description="old")
        one.drops("quarry/slate")
        job.quick("run", at="2026-05-02T06:00:00Z")
        one.offers("aurora-2", to=("default", "vip"), owned_by="aurora", context_length=16, description="new")
        job.quick("run", at="2026-05-03T06:00:00Z")
        one.offers("quarry/slate", to=("default", "vip"), owned_by="aurora")
        two.offers("tern-9b", owned_by="tern")
        job.quick("run", at="2026-05-04T06:00:00Z")
        one.fails("empty", who="nobody")
        two.fails("refused")
        job.quick("run", at="2026-05-05T06:00:00Z")
    return job


def told(history, *options):
    """What `changes` tells, in short."""
    done = history.quick("changes", "--json", *options)
    assert (done.code, done.stderr) == (0, "")
    return [(change["at"][8:10], change["kind"], change["model"]) for change in done.json()]


EVERYTHING = [
    ("02", "changed", "aurora-2"),
    ("03", "removed", "quarry/slate"),
    ("03", "changed", "aurora-2"),
    ("04", "returned", "quarry/slate"),
    ("04", "added", "tern-9b"),
]


def test_changes_are_told_oldest_first(history):
    """Each kind is there, in the order in which it happened; the JSON is of the schema's shape."""
    assert told(history) == EVERYTHING
    for change in history.quick("changes", "--json").json():
        valid(change, "change")


def test_changes_in_words(history):
    """A heading for when and whom, a line for each model; quiet changes are counted and not shown."""
    done = history.quick("changes")
    assert (done.code, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "2026-05-02 06:00  one/prod one/public",
        "  ~ aurora-2  context_length: 8 → 16",
        "2026-05-03 06:00  one/prod one/public",
        "  - quarry/slate  removed, missing since 2026-05-02 06:00",
        "2026-05-04 06:00  one/prod one/public",
        "  ↩ quarry/slate  back after 2 days",
        "2026-05-04 06:00  two/public",
        "  + tern-9b",
        "(1 quiet: --all shows them)",
    ]


def test_all_shows_the_quiet_ones_too(history):
    """Descriptions are kept, and told on request."""
    done = history.quick("changes", "--all")
    assert "  ~ aurora-2  description: old → new" in done.stdout.splitlines()
    assert "quiet" not in done.stdout


def test_changes_as_csv(history):
    """The columns are fixed, a line a field; the quiet one is in it with its class."""
    rows = history.quick("changes", "--csv").rows()
    assert tuple(rows[0]) == COLUMNS
    assert [(row["kind"], row["model"], row["field"], row["class"]) for row in rows] == [
        ("changed", "aurora-2", "context_length", "limits"),
        ("removed", "quarry/slate", "", ""),
        ("changed", "aurora-2", "description", "text"),
        ("returned", "quarry/slate", "", ""),
        ("added", "tern-9b", "", ""),
    ]


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (("--since", "2026-05-03"), EVERYTHING[1:]),
        (("--since", "2026-05-03T06:00:00Z"), EVERYTHING[1:]),
        (("--since", "2026-05-03T08:00+02:00"), EVERYTHING[1:]),
        (("--since", "2026-05-03T06:00:01Z"), EVERYTHING[3:]),
        (("--since", "2099-01-01"), []),
        (("--since", "1h"), []),
        (("--scope", "two/*"), EVERYTHING[4:]),
        (("--scope", "two/*", "--scope", "one/p?od"), EVERYTHING),
        (("--model", "aurora*"), [EVERYTHING[0], EVERYTHING[2]]),
        (("--model", "*/*", "--model", "tern*"), [EVERYTHING[1], EVERYTHING[3], EVERYTHING[4]]),
        (("--model", "AURORA*"), []),
        (("--kind", "added"), EVERYTHING[4:]),
        (("--kind", "removed", "--kind", "returned"), [EVERYTHING[1], EVERYTHING[3]]),
        (("--kind", "changed", "--model", "aurora-2", "--since", "2026-05-03"), [EVERYTHING[2]]),
    ],
)
def test_changes_can_be_chosen(history, options, found):
    """By time, scope, model and kind; several of one sort widen, of different sorts narrow."""
    assert told(history, *options) == found


def test_a_change_is_told_for_the_scopes_that_are_asked_for_only(history):
    """Of the scopes that made a move only those that match are named."""
    (change, *_) = history.quick("changes", "--json", "--scope", "one/public").json()
    assert change["scopes"] == ["one/public"]


def test_no_changes_are_said_to_be_none(history):
    """On the terminal in words, as JSON an empty array, as CSV the header alone."""
    assert history.quick("changes", "--model", "nope").stdout == "no changes\n"
    assert history.quick("changes", "--model", "nope", "--json").json() == []
    assert history.quick("changes", "--model", "nope", "--csv").stdout == ",".join(COLUMNS) + "\r\n"


def test_models_are_offered_now_and_to_whom(history):
    """A row a model and gateway, with the scopes and groups that are offered it."""
    found = history.quick("models", "--json").json()
    assert [(row["gateway"], row["model"], row["owned_by"], row["scopes"]) for row in found] == [
        ("one", "aurora-1", "aurora", ["one/prod", "one/public"]),
        ("one", "aurora-2", "aurora", ["one/prod", "one/public"]),
        ("one", "quarry/slate", "aurora", ["one/prod", "one/public"]),
        ("two", "aurora-1", "tern", ["two/public"]),
        ("two", "tern-70b", "tern", ["two/public"]),
        ("two", "tern-9b", "tern", ["two/public"]),
    ]
    assert {row["model"]: row["groups"] for row in found if row["gateway"] == "one"}["aurora-2"] == ["vip"]
    for row in found:
        for record in row["records"]:
            assert json.loads(record)["id"] == row["model"]


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (("aurora*",), ["aurora-1", "aurora-2", "aurora-1"]),
        (("quarry/*", "tern-9b"), ["quarry/slate", "tern-9b"]),
        (("*-[12]",), ["aurora-1", "aurora-2", "aurora-1"]),
        (("--owner", "tern"), ["aurora-1", "tern-70b", "tern-9b"]),
        (("--owner", "te*", "aurora*"), ["aurora-1"]),
        (("--scope", "two/*"), ["aurora-1", "tern-70b", "tern-9b"]),
        (("--scope", "one/prod", "--scope", "two/public", "aurora-1"), ["aurora-1", "aurora-1"]),
        (("Aurora*",), []),
    ],
)
def test_models_can_be_chosen(history, options, found):
    """By globs of their ids, by owner and by scope; case matters, for it does to the gateway."""
    assert [row["model"] for row in history.quick("models", "--json", *options).json()] == found
    assert [row["model"] for row in history.quick("models", "--csv", *options).rows()] == found
    assert history.quick("models", *options).stdout.endswith(
        f"\n{len(found)} model{'s' * (len(found) != 1)}\n"
    )


def test_models_in_words(history):
    """A table for people, as wide as it must be when it is not for a terminal."""
    lines = history.quick("models", "tern*").stdout.splitlines()
    assert lines[0].split() == ["gateway", "model", "owned_by", "created", "scopes", "groups"]
    assert [line.split()[:3] for line in lines[2:4]] == [
        ["two", "tern-70b", "tern"],
        ["two", "tern-9b", "tern"],
    ]


def test_scopes_say_how_they_ask_and_how_they_stand(history):
    """One row each: key and group, how many models, and what is wrong with it."""
    found = {row["scope"]: valid(row, "coverage") for row in history.quick("scopes", "--json").json()}
    assert {name: (row["auth"], row["key"], row["models"], row["state"]) for name, row in found.items()} == {
        "one/prod": ("key", "env:PROD", 3, "ok"),
        "one/public": ("anonymous", None, 3, "held"),
        "two/public": ("anonymous", None, 3, "failed"),
    }
    assert found["two/public"]["last_answered"] == "2026-05-04T06:00:00Z"
    assert found["two/public"]["error"]["class"] == "Refused"
    assert found["one/public"]["held_models"] == 0


def test_scopes_as_csv_and_as_a_table(history):
    """The same rows, with a header."""
    rows = history.quick("scopes", "--csv").rows()
    assert [row["scope"] for row in rows] == ["one/prod", "one/public", "two/public"]
    assert list(rows[0]) == ["scope", "group", "auth", "key", "models", "state", "last_answered"]
    lines = history.quick("scopes").stdout.splitlines()
    assert lines[0].split() == list(rows[0])
    assert "failed" in lines[-1]


def test_status_says_what_is_not_well_and_since_when(history):
    """The last run, each trouble with its beginning, and when a scope last answered."""
    lines = history.quick("status").stdout.splitlines()
    assert lines[0] == "last run 2026-05-05 06:00 UTC, partial: 2 of 3 scopes answered"
    assert "one/public: held since 2026-05-05 06:00: the list is empty; it had 3 models" in lines
    assert any(line.startswith("two/public: failed since 2026-05-05 06:00: ") for line in lines)
    assert "two/public: last answered 2026-05-04 06:00" in lines
    assert lines[-1] == "1 of 3 scopes are well"


def test_status_as_json(history):
    """The run, how many reports wait, and every scope's coverage."""
    value = history.quick("status", "--json").json()
    assert set(value) == {"run", "reports_waiting", "reports_refused", "coverage"}
    assert valid(value["run"], "run")["status"] == "partial"
    assert value["reports_waiting"] == 0
    assert len([valid(row, "coverage") for row in value["coverage"]]) == 3


@pytest.mark.parametrize("command", READING)
def test_looking_changes_nothing(history, command):
    """No byte of the database, and no file beside it."""
    before = {path: path.read_bytes() for path in history.home.rglob("*") if path.is_file()}
    assert history.quick(command).code == 0
    after = {path: path.read_bytes() for path in history.home.rglob("*") if path.is_file()}
    assert after == before


@pytest.mark.parametrize("command", READING)
def test_looking_needs_no_config(history, tmp_path, command):
    """A copy of the database alone can be looked at."""
    copy = Job(tmp_path)
    copy.database.write_bytes(history.database.read_bytes())
    assert copy.quick(command).stdout == history.quick(command).stdout
    assert copy.quick(command).code == 0


@pytest.mark.parametrize("command", READING)
def test_looking_needs_no_right_to_write(history, tmp_path, command):
    """A database in a place that cannot be written is at rest, and can be read."""
    copy = Job(tmp_path / "copy")
    copy.home.mkdir()
    copy.database.write_bytes(history.database.read_bytes())
    copy.database.chmod(stat.S_IRUSR)
    copy.home.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        assert copy.quick(command).code == 0
    finally:
        copy.home.chmod(stat.S_IRWXU)


@pytest.mark.parametrize("command", READING)
def test_looking_while_another_writes_works(history, tmp_path, command):
    """Readers do not wait for a writer."""
    copy = Job(tmp_path)
    copy.database.write_bytes(history.database.read_bytes())
    writer = sqlite3.connect(copy.database, isolation_level=None)
    try:
        writer.execute("begin immediate")
        writer.execute("update scopes set group_name = 'half-written'")
        done = copy.quick(command)
        assert done.code == 0
        assert "half-written" not in done.stdout
    finally:
        writer.close()


@pytest.mark.parametrize("command", READING)
def test_looking_before_the_first_run_says_what_to_do(tmp_path, command):
    """One line with the cure, with a config and without, and no database is made by it."""
    job = Job(tmp_path / "home")
    one_line(job.quick(command), 74, "there is no database yet", "`modelwatch run`")
    job.asks("http://127.0.0.1:9")
    one_line(job.quick(command), 74, str(job.database), "there is no database yet")
    assert list(job.home.iterdir()) == [job.config]


def test_a_reader_that_goes_away_ends_the_command_quietly(tmp_path):
    """`modelwatch models | head` is no error to tell anybody."""
    job = Job(tmp_path / "home")
    with Scripted(lambda _: Reply(listed(*(f"model-{n:05}" for n in range(4000))))) as server:
        job.asks(server.url)
        job.quick("run")
    with job.start("models", "--json") as process:
        process.stdout.read(100)
        process.stdout.close()
        said = process.stderr.read()
        process.wait(30)
    assert "Traceback" not in said
    assert said == ""


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """A home that was told of models with harmful names, owners, fields and values."""
    job = Job(tmp_path_factory.mktemp("hostile"))
    texts = list(HOSTILE.values())
    first = [{"id": text, "owned_by": text, "context": text} for text in texts]
    second = [{"id": text, "owned_by": text, "context": f"{text}!", text: text} for text in texts]
    replies = iter((listing(first), listing(second), listing([*second, {"id": "new"}] * 2)))
    with Scripted(lambda _: Reply(next(replies))) as server:
        job.asks(server.url, scopes={"public": 'group = "=cmd()"'})
        for _ in range(3):
            assert job.quick("run").code == 0
    return job


def harmful(text):
    """The characters of a text that steer a terminal or turn its reading direction."""
    return {
        f"U+{ord(letter):04X}"
        for letter in text
        if letter != "\n" and unicodedata.category(letter) in {"Cc", "Cf", "Cs", "Zl", "Zp"}
    }


@pytest.mark.parametrize(
    "command", [("changes",), ("changes", "--all"), ("models",), ("scopes",), ("status",)]
)
def test_no_name_can_steer_the_terminal(hostile, command):
    """Escape sequences, line breaks and turned directions are shown as what they are, and cut when long."""
    done = hostile.quick(*command)
    assert done.code == 0
    assert harmful(done.said) == set()
    assert "x" * 1000 not in done.stdout


def test_a_name_makes_no_line_of_its_own(hostile):
    """A line break in a model's id does not begin a line, in `changes` or in `models`."""
    for command in ("changes", "models"):
        lines = hostile.quick(command).stdout.splitlines()
        assert not any(line.strip().startswith(("two", "three", "four", "five", "six")) for line in lines)


def test_markup_in_a_name_is_text(hostile):
    """Brackets are not taken for colours."""
    assert "[bold red]loud[/]" in hostile.quick("models").stdout


STEERING = HOSTILE["escape"] + HOSTILE["direction"] + HOSTILE["c1"]


@pytest.mark.parametrize("options", [("-v",), ("-vv",), ("-v", "--log-format", "json")])
@pytest.mark.parametrize(
    "body",
    [
        listing([{"id": STEERING, "n": 1}, {"id": STEERING, "n": 2}]),
        json.dumps({"error": {"message": STEERING}}).encode(),
        json.dumps({"success": False, "message": STEERING}).encode(),
    ],
    ids=["warning", "error", "message"],
)
def test_no_answer_can_steer_the_log(tmp_path, body, options):
    """What a gateway says stays on its line in the log, and steers nothing."""
    job = Job(tmp_path)
    with Scripted(lambda _: Reply(body)) as server:
        job.asks(server.url)
        done = job.quick("run", *options)
        checked = job.quick("check")
    assert harmful(done.said) == set()
    assert harmful(checked.said) == set()


@pytest.mark.parametrize("command", [("changes", "--csv"), ("models", "--csv"), ("scopes", "--csv")])
def test_no_cell_is_a_formula(hostile, command):
    """What a spreadsheet would run begins with an apostrophe, in every column; the rows stay whole."""
    done = hostile.quick(*command)
    for row in done.rows():
        for cell in row.values():
            assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n", "\0", "＝", "＋", "－", "＠"))
    assert "\0" not in done.stdout


def test_a_row_of_csv_is_a_row_whatever_is_in_it(hostile):
    """Commas, quotes and line breaks come out as they went in; a harmful start has its apostrophe."""
    found = {row["model"] for row in hostile.quick("models", "--csv").rows()}
    assert HOSTILE["quotes"] in found
    assert HOSTILE["lines"] in found
    assert f"'{HOSTILE['formula']}" in found
    assert f"'{HOSTILE['full-width']}" in found
    assert HOSTILE["long"] in found


def test_json_has_every_name_as_the_gateway_wrote_it(hostile):
    """Nothing is cut or escaped but by JSON; NUL and half characters alone have a spelling of their own."""
    found = {row["model"] for row in hostile.quick("models", "--json").json()}
    verbatim = set(HOSTILE.values()) - {HOSTILE["nul"], HOSTILE["surrogate"]}
    assert verbatim <= found
    assert found - verbatim == {"before\\u0000after", "half\ufffd", "new"}


def test_the_report_files_are_as_harmless(hostile):
    """CSV and JSON reports are read back whole; the JSON is of the schema's shape."""
    report = hostile.latest()
    assert report["totals"]["added"] == 1
    written = hostile.written()
    for name in written:
        if name.endswith(".json"):
            valid(json.loads(written[name]))
    assert sum(len(json.loads(text)["changes"]) for name, text in written.items() if "json" in name) == (
        len(HOSTILE) + 1
    )


@pytest.mark.parametrize("command", ["changes", "models"])
def test_a_scope_that_is_none_is_wrong_usage(history, command):
    """A slip of the pen in a scope's name must not look like peace and quiet."""
    done = history.quick(command, "--scope", "one/*", "--scope", "nope/x")
    assert (done.code, done.stdout) == (2, "")
    assert "no scope matches nope/x" in done.stderr
