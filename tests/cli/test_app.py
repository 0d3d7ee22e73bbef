"""The table of commands, `--help`, wrong usage, and errors as exit statuses."""

from __future__ import annotations

import json
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


def test_help_has_one_line_for_each_command(job: Job) -> None:
    done = job.quick("--help", home=False)
    assert (done.code, done.stderr) == (0, "")
    lines = done.stdout.partition("Commands:\n")[2].splitlines()
    assert [line.split()[0] for line in lines] == COMMANDS
    assert all(line.endswith(".") and len(line) <= 80 for line in lines)


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
        ("--home", "The option '--home' follows the command: modelwatch run --home …"),
        ("--config=x.toml", "The option '--config' follows the command: modelwatch run --config …"),
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


def test_an_error_is_one_line_and_its_exit_status(job: Job) -> None:
    one_line(job.quick("run"), 78, "there is no config yet")
    one_line(job.quick("changes"), 74, "there is no database yet")
