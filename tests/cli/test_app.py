"""The table of commands, `--help`, wrong usage, and errors as exit statuses."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
from pathlib import Path

import click
import pytest
from support import ROOT
from support.e2e import Job, one_line

from pipeline.cli.app import modelwatch

CONTEXT = click.Context(modelwatch)
COMMANDS = modelwatch.list_commands(CONTEXT)


def run_python(source: str) -> str:
    """Run Python code in the source tree; return its output."""
    command = [sys.executable, "-c", source]
    return subprocess.run(command, capture_output=True, check=True, text=True, cwd=ROOT).stdout


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """An empty home."""
    return Job(tmp_path)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_of_the_table_exists_under_its_name_and_has_help(name: str) -> None:
    command = modelwatch.get_command(CONTEXT, name)
    assert command
    assert command.name == name
    assert command.help


def test_a_run_looks_for_no_garbage_and_loads_no_library_for_terminals(job: Job) -> None:
    job.asks("http://127.0.0.1:9")
    code = f"""
import gc, sys
from pipeline.cli.app import main

collections = []
gc.callbacks.append(lambda phase, info: collections.append(info["generation"]))
sys.argv[1:] = ["run", "--home", {str(job.home)!r}]
try:
    main()
except SystemExit as end:
    print(end.code, collections, sorted({{"httpx", "pygments", "rich"}} & set(sys.modules)))
"""
    assert run_python(code).splitlines()[-1] == "4 [] ['httpx']"


PURPOSES = ["Set up", "Run", "Look", "Ask the past", "Share", "Care"]


def test_help_has_one_line_for_each_command_by_purpose(job: Job) -> None:
    done = job.quick("--help", home=False)
    assert (done.code, done.stderr) == (0, "")
    assert all(len(line) <= 80 for line in done.stdout.splitlines())
    headings = [line[:-1] for line in done.stdout.splitlines() if line[:1].isalpha() and line.endswith(":")]
    assert headings == [*PURPOSES, "Options", "Exit statuses"]
    statuses = done.stdout.partition("Exit statuses:\n")[2].splitlines()
    assert all(re.fullmatch(r"  \d+ +\S.*", line) for line in statuses)
    lines = done.stdout.partition("Set up:\n")[2].partition("Options:\n")[0].splitlines()
    commands = [line for line in lines if line.startswith("  ")]
    assert [line.split()[0] for line in commands] == COMMANDS
    assert all(line.endswith(".") for line in commands)
    assert len({len(line) - len(line[2:].partition(" ")[2].lstrip()) for line in commands}) == 1


@pytest.mark.parametrize("place", ["before", "after", "both"])
@pytest.mark.parametrize("glued", [False, True])
def test_home_and_config_may_stand_before_the_command_or_after_it(
    tmp_path: Path, place: str, *, glued: bool
) -> None:
    job = Job(tmp_path / "real")
    other = tmp_path / "other.toml"
    job.asks("http://127.0.0.1:9")
    job.config.rename(other)
    given = {"--home": str(job.home), "--config": str(other)}
    options = [
        word for key, value in given.items() for word in ([f"{key}={value}"] if glued else [key, value])
    ]
    wrong = ["--home", str(tmp_path / "wrong"), "--config", str(tmp_path / "wrong.toml")]
    before = {"before": options, "after": [], "both": wrong}[place]
    after = [] if place == "before" else options
    done = job.quick(*before, "run", "--scope", "nope/*", *after, home=False)
    assert done.stderr == "Error: no scope matches 'nope/*': there are local/public\n"


def test_a_home_before_the_command_prevails_over_the_environment(past: Job, tmp_path: Path) -> None:
    job = Job(tmp_path, {"MODELWATCH_HOME": str(tmp_path)})
    assert "one/prod" in job.quick("--home", str(past.home), "scopes", home=False).stdout


def test_a_command_without_a_home_refuses_one_before_it(job: Job) -> None:
    done = job.quick("--home", "x", "completion", "bash", home=False)
    assert done.code == 2
    assert "No such option '--home'" in done.stderr


@pytest.mark.parametrize("option", ["--help", "--version", "-h"])
def test_help_and_version_import_no_module_of_a_command(option: str) -> None:
    source = (
        f"import json, sys\nsys.argv = ['modelwatch', {option!r}]\nfrom pipeline.cli.app import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert end.code == 0\n"
        "print(json.dumps([name for name in sys.modules if name.startswith('pipeline')]))"
    )
    loaded = set(json.loads(run_python(source).splitlines()[-1]))
    assert loaded <= {
        "pipeline",
        "pipeline.cli",
        "pipeline.cli.app",
        "pipeline.cli.streams",
        "pipeline.errors",
    }


@pytest.mark.parametrize(
    ("typed", "hint"),
    [
        ("chagnes", "No such command 'chagnes'. Did you mean changes?"),
        ("model", "No such command 'model'. Did you mean models?"),
        ("help", "No such command 'help'. Did you mean --help?"),
        ("version", "No such command 'version'. Did you mean --version?"),
        ("xyzzy", "No such command 'xyzzy'.\n"),
    ],
)
def test_a_misspelt_command_is_wrong_usage_with_the_nearest_name(job: Job, typed: str, hint: str) -> None:
    done = job.quick(typed)
    assert (done.code, done.stdout) == (2, "")
    assert hint in done.stderr


def test_a_question_without_an_answer_is_wrong_usage(job: Job) -> None:
    job.asks("http://127.0.0.1:9", attempts=1)
    done = job.quick("run", "--scope", "nope/*")
    assert (done.code, done.stdout) == (2, "")
    assert done.stderr == "Error: no scope matches 'nope/*': there are local/public\n"


def test_a_taken_port_has_an_exit_status_of_its_own(job: Job) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = job.quick("gateway", "--port", str(port), home=False)
    cure = "set another --port, or 0 for a free one"
    one_line(done, 71, f"port {port} cannot be used (Address already in use): {cure}")


def test_a_taken_port_of_the_browser_is_named_as_that_of_the_gateway(job: Job) -> None:
    job.asks("http://127.0.0.1:9", attempts=1)
    job.quick("run")
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = job.quick("browse", "--port", str(port))
    cure = "set another --port, or 0 for a free one"
    one_line(done, 71, f"port {port} cannot be used (Address already in use): {cure}")


@pytest.mark.parametrize("command", ["gateway", "browse"])
@pytest.mark.parametrize(
    ("port", "words"),
    [
        ("99999", "99999 is not in the range"),
        ("-1", "-1 is not in the range"),
        ("8o80", "'8o80' is not a valid port"),
    ],
)
def test_what_is_no_port_is_wrong_usage(job: Job, command: str, port: str, words: str) -> None:
    done = job.quick(command, "--port", port, home=False)
    assert (done.code, done.stdout) == (2, "")
    assert words in done.stderr


def test_an_error_is_one_line_and_its_exit_status(job: Job) -> None:
    one_line(job.quick("run"), 78, "there is no config yet")
    one_line(job.quick("changes"), 74, "there is no database yet")
