"""The commands changes, models, scopes and status: output, filters, and names that cannot harm."""

import json
import os
import pty
import re
import sqlite3
import stat
import subprocess
import unicodedata
from contextlib import suppress

import pytest
from support.e2e import Job, Reply, Scripted, listed, listing, one_line, printed, rows, usage_error, valid

from pipeline.core.limits import MAX_NAME
from pipeline.reports.csv_json import COLUMNS
from pipeline.simulator import Gateway

READING = ("changes", "models", "scopes", "status")
OTHERS = (("history", "x"), ("diff", "now"), ("matrix",), ("same",), ("deprecations",), ("show", "x"))

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
    "long": "x" * MAX_NAME,
    "nul": "before\x00after",
    "surrogate": "half\ud83d",
}


@pytest.fixture(scope="module")
def history(tmp_path_factory):
    """A home with five runs at two gateways: each kind of change, a failing scope, a held answer."""
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
        one.fails("empty", who="anonymous")
        two.fails("refused")
        job.quick("run", at="2026-05-05T06:00:00Z")
    return job


def changes_of(history, *options):
    """Return the events that `changes` prints: day, kind and model."""
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


def test_changes_are_sorted_oldest_first_and_fit_the_schema(history):
    assert changes_of(history) == EVERYTHING
    for change in history.quick("changes", "--json").json():
        valid(change, "change")


def test_changes_share_a_heading_by_time_and_scopes_and_quiet_ones_are_counted(history):
    done = history.quick("changes")
    assert (done.code, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "2026-05-02 06:00  one/prod one/public",
        "  ~ aurora-2  context 8 → 16 (+100 %)",
        "2026-05-03 06:00  one/prod one/public",
        "  - quarry/slate  removed, missing since 2026-05-02 06:00",
        "2026-05-04 06:00  one/prod one/public",
        "  ↩ quarry/slate  returned after 2 days",
        "2026-05-04 06:00  two/public",
        "  + tern-9b",
        "(1 quiet: --all shows them)",
    ]


def test_all_includes_quiet_changes(history):
    done = history.quick("changes", "--all")
    assert "  ~ aurora-2  description old → new" in done.stdout.splitlines()
    assert "quiet" not in done.stdout


def test_the_csv_of_changes_has_a_row_for_each_field_quiet_ones_too(history):
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
def test_changes_are_filtered_by_time_scope_model_and_kind(history, options, found):
    """Values of one option widen the filter; further options narrow it."""
    assert changes_of(history, *options) == found


@pytest.mark.parametrize(("scope", "groups"), [("one/public", []), ("one/prod", ["vip"])])
def test_a_change_names_only_the_scopes_that_match_and_their_groups(history, scope, groups):
    (change, *_) = history.quick("changes", "--json", "--scope", scope).json()
    assert (change["scopes"], change["groups"]) == ([scope], groups)
    row, *_ = history.quick("changes", "--csv", "--scope", scope).rows()
    assert (row["scopes"], row["groups"]) == (scope, " ".join(groups))


def test_no_changes_print_a_line_an_empty_array_or_the_header_alone(history):
    assert history.quick("changes", "--model", "nope").stdout == "no changes\n"
    assert history.quick("changes", "--model", "nope", "--json").json() == []
    assert history.quick("changes", "--model", "nope", "--csv").stdout == ",".join(COLUMNS) + "\r\n"


def test_models_have_the_scopes_and_groups_that_are_offered_them(history):
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
def test_models_are_filtered_by_id_owner_and_scope(history, options, found):
    """Globs distinguish upper and lower case, as gateways do."""
    assert [row["model"] for row in history.quick("models", "--json", *options).json()] == found
    assert [row["model"] for row in history.quick("models", "--csv", *options).rows()] == found
    lines = history.quick("models", *options).stdout.splitlines()
    counted = f"{len(found)} model{'s' * (len(found) != 1)}"
    assert any(line == counted or line.startswith(f"{counted} of ") for line in lines)


def test_models_of_a_time_have_the_scopes_of_that_time(past):
    rows = past.quick("models", "--at", "2026-05-02T07:00", "--csv").rows()
    assert [(row["model"], row["scopes"]) for row in rows] == [
        ("heron-2", "one/prod one/public"),
        ("lumen-3", "one/prod"),
    ]
    assert printed(past, "models", "--at", "2099-01-01") == printed(past, "models")
    assert "the history begins at 2026-05-01 06:00" in usage_error(past, "models", "--at", "2026-05-01")


def test_models_are_a_table(history):
    lines = history.quick("models", "tern*").stdout.splitlines()
    assert lines[0].split() == ["model", "owner"]
    assert [line.split() for line in lines[2:4]] == [["tern-70b", "tern"], ["tern-9b", "tern"]]
    assert lines[4:] == ["2 models of two/public"]


def test_scopes_have_credential_size_state_and_error(history):
    found = {row["scope"]: valid(row, "scope_state") for row in history.quick("scopes", "--json").json()}
    assert {name: (row["auth"], row["key"], row["models"], row["state"]) for name, row in found.items()} == {
        "one/prod": ("key", "env:PROD", 3, "ok"),
        "one/public": ("anonymous", None, 3, "held"),
        "two/public": ("anonymous", None, 3, "failed"),
    }
    assert found["two/public"]["last_answered"] == "2026-05-04T06:00:00Z"
    assert found["two/public"]["error"]["class"] == "Refused"
    assert found["one/public"]["held_models"] == 0


def test_the_csv_of_scopes_has_more_columns_than_the_table(history):
    rows = history.quick("scopes", "--csv").rows()
    assert [row["scope"] for row in rows] == ["one/prod", "one/public", "two/public"]
    columns = ["scope", "group", "auth", "key", "models", "state", "last_answered"]
    assert list(rows[0]) == [*columns, "groups"]
    lines = history.quick("scopes").stdout.splitlines()
    assert lines[0].split() == [
        "scope",
        "models",
        "state",
        "last",
        "answer",
        "(UTC)",
        "asks",
        "as",
        "group",
        "key",
    ]
    assert "failed" in lines[-1]


def test_status_has_the_last_run_and_each_incident_with_its_time(history):
    lines = history.quick("status").stdout.splitlines()
    assert lines[0] == "last run 2026-05-05 06:00 UTC, partial: 2 of 3 scopes answered"
    held, failing = lines[1:3]
    assert held.startswith(
        "one/public: held since 2026-05-05 06:00: the list is empty; it had 3 models. It is "
    )
    assert held.endswith(" To accept it now: modelwatch accept one/public")
    assert failing.startswith("two/public: failing since 2026-05-05 06:00 (last answered 2026-05-04 06:00): ")
    assert failing.endswith(". Give the scope a key, or remove it.")
    assert lines[-1] == "1 of 3 scopes is healthy"


def test_status_of_a_single_scope_is_in_the_singular(tmp_path):
    job = Job(tmp_path)
    job.asks("http://127.0.0.1:9", attempts=1)
    job.quick("run", at="2026-05-05T06:00:00Z")
    lines = job.quick("status").stdout.splitlines()
    assert lines[0] == "last run 2026-05-05 06:00 UTC, failed: 0 of 1 scope answered"
    assert lines[-1] == "0 of 1 scope is healthy"


def test_the_json_of_status_has_run_unsent_reports_and_coverage(history):
    value = history.quick("status", "--json").json()
    names = {"run", "reports_waiting", "reports_refused", "scopes", "coverage", "mutes", "sites"}
    assert set(value) == {*names, "unsteady", "unsteady_count"}
    assert valid(value["run"], "run")["status"] == "partial"
    assert (value["reports_waiting"], value["unsteady"]) == (0, [])
    assert sum(valid(row, "coverage")["scope_count"] for row in value["coverage"]) < 3
    assert (value["scopes"]["asked"], value["scopes"]["retired"]) == (3, 0)


@pytest.mark.parametrize("command", READING)
def test_reading_changes_no_file(history, command):
    before = {path: path.read_bytes() for path in history.home.rglob("*") if path.is_file()}
    assert history.quick(command).code == 0
    after = {path: path.read_bytes() for path in history.home.rglob("*") if path.is_file()}
    assert after == before


@pytest.mark.parametrize("command", READING)
def test_reading_needs_no_config(history, tmp_path, command):
    copy = Job(tmp_path)
    copy.database.write_bytes(history.database.read_bytes())
    assert copy.quick(command).stdout == history.quick(command).stdout
    assert copy.quick(command).code == 0


@pytest.mark.parametrize("command", READING)
def test_reading_needs_no_write_permission(history, tmp_path, command):
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
def test_reading_does_not_wait_for_a_writer(history, tmp_path, command):
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
def test_reading_before_the_first_run_fails_and_creates_no_database(tmp_path, command):
    job = Job(tmp_path / "home")
    one_line(job.quick(command), 74, "there is no database yet", "`modelwatch run`")
    job.asks("http://127.0.0.1:9")
    one_line(job.quick(command), 74, str(job.database), "there is no database yet")
    assert list(job.home.iterdir()) == [job.config]


@pytest.mark.parametrize("words", OTHERS)
def test_a_question_before_the_first_run_fails(tmp_path, words):
    one_line(Job(tmp_path / "empty").quick(*words), 74, "there is no database yet")


def test_a_closed_pipe_is_no_error(tmp_path):
    """As in `modelwatch models | head`."""
    job = Job(tmp_path / "home")
    with Scripted(lambda _: Reply(listed(*(f"model-{n:05}" for n in range(4000))))) as server:
        job.asks(server.url)
        job.quick("run")
    with job.start("models", "--json") as process:
        process.stdout.read(100)
        process.stdout.close()
        said = process.stderr.read()
        assert process.wait(30) == 0
    assert said == ""


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """A home with harmful model ids, owners, fields and values."""
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
    """Return the characters that control a terminal or change the direction of text."""
    return {
        f"U+{ord(letter):04X}"
        for letter in text
        if letter != "\n" and unicodedata.category(letter) in {"Cc", "Cf", "Cs", "Zl", "Zp"}
    }


@pytest.mark.parametrize(
    "command", [("changes",), ("changes", "--all"), ("models",), ("scopes",), ("status",)]
)
def test_no_name_can_steer_the_terminal(hostile, command):
    """Control characters are escaped, and long values cut."""
    done = hostile.quick(*command)
    assert done.code == 0
    assert harmful(done.output) == set()
    assert "x" * 1000 not in done.stdout


@pytest.mark.parametrize("form", ["--json", "--csv"])
@pytest.mark.parametrize("command", ["changes", "models", "same"])
def test_no_data_can_steer_the_terminal_and_a_pipe_gets_it_unchanged(hostile, command, form):
    master, terminal = pty.openpty()
    with os.fdopen(master, "rb", buffering=0) as screen:
        with subprocess.Popen(
            hostile.command(command, form), env=hostile.environment(), stdout=terminal
        ) as process:
            os.close(terminal)
            shown = b""
            with suppress(OSError):  # EIO at the end, as Linux has it
                while chunk := screen.read(65536):
                    shown += chunk
        assert process.returncode == 0
    assert harmful(re.sub(r"\r+\n|\t", "\n", shown.decode())) == set()
    piped = hostile.run(command, form).stdout
    if form == "--json":
        assert json.loads(shown) == json.loads(piped)
    if command == "models":
        assert "\u202e" in piped


def test_a_line_break_in_a_name_begins_no_line(hostile):
    for command in ("changes", "models"):
        lines = hostile.quick(command).stdout.splitlines()
        assert not any(line.strip().startswith(("two", "three", "four", "five", "six")) for line in lines)


def test_markup_in_a_name_is_printed_as_text(hostile):
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
    job = Job(tmp_path)
    with Scripted(lambda _: Reply(body)) as server:
        job.asks(server.url)
        done = job.quick("run", *options)
        checked = job.quick("check")
    assert harmful(done.output) == set()
    assert harmful(checked.output) == set()


_CSV_COMMANDS = ("changes", "models", "scopes", "matrix", "same", "deprecations", "watch")


@pytest.mark.parametrize("command", _CSV_COMMANDS)
@pytest.mark.parametrize("options", [(), ("--bom",)])
def test_no_csv_cell_is_a_formula_of_a_spreadsheet_but_an_id_without_bom(hostile, command, options):
    asked = ["*"] if command == "watch" else []
    done = hostile.quick(command, *asked, "--csv", *options)
    assert done.stdout.startswith("\ufeff") == bool(options)
    for row in rows(done.stdout.removeprefix("\ufeff")):
        if not options and row.get("model"):
            assert row.pop("model") in {*hostile_ids(), "new"}
        for cell in row.values():
            assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n", "\0", "＝", "＋", "－", "＠"))
    assert "\0" not in done.stdout


def hostile_ids():
    """Return the ids as they are recorded."""
    verbatim = set(HOSTILE.values()) - {HOSTILE["nul"], HOSTILE["surrogate"]}
    return verbatim | {"before\\u0000after", "half\ufffd"}


@pytest.mark.parametrize("command", ["changes", "models"])
def test_bom_without_csv_is_wrong_usage(hostile, command):
    done = hostile.quick(command, "--bom")
    assert (done.code, done.stdout) == (2, "")
    assert "--bom needs --csv: it marks the CSV for Excel" in done.stderr
    assert "--bom needs --as csv" in hostile.quick("report", "--bom").stderr


def test_the_csv_of_models_joins_with_their_json(hostile):
    found = {row["model"] for row in hostile.quick("models", "--csv").rows()}
    assert found == {row["model"] for row in hostile.quick("models", "--json").json()}


def test_csv_quotes_commas_quotes_and_line_breaks(hostile):
    found = {row["model"] for row in hostile.quick("models", "--csv").rows()}
    assert HOSTILE["quotes"] in found
    assert HOSTILE["lines"] in found
    assert HOSTILE["formula"] in found
    assert HOSTILE["full-width"] in found
    assert HOSTILE["long"] in found


def test_json_has_every_name_verbatim_but_nul_and_lone_surrogates(hostile):
    found = {row["model"] for row in hostile.quick("models", "--json").json()}
    verbatim = set(HOSTILE.values()) - {HOSTILE["nul"], HOSTILE["surrogate"]}
    assert verbatim <= found
    assert found - verbatim == {"before\\u0000after", "half\ufffd", "new"}


def test_report_files_with_hostile_names_fit_the_schema(hostile):
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
def test_a_glob_that_matches_no_scope_is_wrong_usage(history, command):
    """A typing error must not look like no news."""
    done = history.quick(command, "--scope", "one/*", "--scope", "nope/x")
    assert (done.code, done.stdout) == (2, "")
    assert "no scope matches 'nope/x'" in done.stderr
