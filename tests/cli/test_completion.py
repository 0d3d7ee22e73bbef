"""Completion in a shell: what it offers, and that it never writes, fails or runs anything."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from support import ROOT
from support.e2e import Done, Job

from pipeline.cli import COMPLETE_VARIABLE

MAIL = '[destinations.team]\ntype = "eml"\ndirectory = "mail"\nto = "a@example.org"\nfrom = "b@example.org"\n'


def ask(job: Job, line: str, *, shell: str = "bash") -> Done:
    """Ask for the completions of a line as a shell does."""
    words = line.split(" ")
    asked = {COMPLETE_VARIABLE: f"{shell}_complete", "COMP_LINE": line}
    if shell == "zsh":
        asked |= {"COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    elif shell == "fish":
        asked |= {"COMP_WORDS": line, "COMP_CWORD": words[-1]}
    return Job(job.home, asked).quick(home=False)


def offered(job: Job, line: str) -> list[str]:
    """Return the completions of a line."""
    done = ask(job, line.replace("HOME", str(job.home)))
    assert (done.code, done.stderr) == (0, "")
    return [text.removeprefix("plain,") for text in done.stdout.splitlines() if text]


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("modelwatch ch", ["check", "changes"]),
        ("modelwatch --home HOME hist", ["history"]),
        ("modelwatch --co", ["--config"]),
        ("modelwatch models --js", ["--json"]),
        ("modelwatch --home HOME history he", ["heron-2"]),
        ("modelwatch show --home HOME qu", ["quarry/slate"]),
        ("modelwatch show --home=HOME qu", ["quarry/slate"]),
        ("modelwatch watch --home HOME lumen-3 ", ["heron-2", "quarry/slate"]),
        ("modelwatch changes --home HOME --model l", ["lumen-3"]),
        ("modelwatch run --home HOME --scope one/", ["one/prod", "one/public"]),
        ("modelwatch run --home HOME --scope=one/pr", ["one/prod"]),
        ("modelwatch diff --home HOME one/prod one/", ["one/prod", "one/public"]),
        ("modelwatch forget --home HOME one/prod o", ["one/public"]),
        ("modelwatch matrix --home HOME --gateway ", ["one"]),
        ("modelwatch probe --home HOME ", ["one"]),
        ("modelwatch send --home HOME --to ", ["reports"]),
        ("modelwatch schedule cr", ["crontab"]),
        ("modelwatch completion ", ["bash", "zsh", "fish"]),
    ],
)
def test_a_shell_is_offered_the_names_that_fit(past: Job, line: str, names: list[str]) -> None:
    assert offered(past, line) == names


def test_scopes_and_destinations_of_the_config_are_offered_before_the_first_run(tmp_path: Path) -> None:
    job = Job(tmp_path)
    job.asks("http://127.0.0.1:9", scopes={"prod": 'key = "env:PROD"', "public": ""})
    job.configure(job.config.read_text("utf-8") + MAIL)
    assert offered(job, "modelwatch run --home HOME --scope ") == ["local/prod", "local/public"]
    assert offered(job, "modelwatch send --home HOME --to ") == ["reports", "team"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["modelwatch.toml"]


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_zsh_and_fish_get_the_commands_with_what_they_do(past: Job, shell: str) -> None:
    done = ask(past, "modelwatch hist", shell=shell)
    assert "history" in done.stdout
    assert "Show the timeline of a model." in done.stdout


def test_bash_gets_the_rest_of_an_id_after_its_colon_and_no_id_that_it_would_interpret(past: Job) -> None:
    job = Job(past.home.parent / "colons")
    shutil.copytree(past.home, job.home)
    with closing(sqlite3.connect(job.database)) as database, database:
        for name in ("slate:free", "slate:fast", "slate$(touch x)", "-slate", "slate x", "slate;x"):
            database.execute("insert into models (name, gateway) values (?, 1)", (name,))
    assert offered(job, "modelwatch show --home HOME slate") == ["slate:fast", "slate:free"]
    assert offered(job, "modelwatch show --home HOME slate:") == ["fast", "free"]
    assert "[x]" not in offered(job, "modelwatch show --home HOME ")


def test_completion_writes_nothing_also_beside_an_open_log(past: Job, tmp_path: Path) -> None:
    job = Job(tmp_path / "home")
    shutil.copytree(past.home, job.home)
    with sqlite3.connect(job.database) as database:
        database.execute("update models set name = 'heron-9' where name = 'heron-2'")
        database.commit()
        before = {path: path.stat().st_mtime_ns for path in job.home.iterdir() if path.suffix != ".db-shm"}
        assert any(path.name.endswith("-wal") for path in before)
        offered(job, "modelwatch show --home HOME heron")
        after = {path: path.stat().st_mtime_ns for path in job.home.iterdir() if path.suffix != ".db-shm"}
        assert after == before


@pytest.mark.parametrize(
    "damage", ["no home", "no database", "no config", "bad config", "foreign", "garbage"]
)
def test_completion_is_silent_where_nothing_can_be_read(tmp_path: Path, damage: str) -> None:
    job = Job(tmp_path / "home")
    if damage != "no home":
        job.home.mkdir()
    if damage == "bad config":
        job.configure("gateways = 7\n")
    if damage == "foreign":
        with sqlite3.connect(job.database) as database:
            database.execute("create table models (name)")
    if damage == "garbage":
        job.database.write_bytes(b"x" * 5000)
    assert offered(job, "modelwatch show --home HOME ") == []
    assert offered(job, 'modelwatch show "--home HOME ') == []


def test_an_unknown_shell_and_missing_variables_are_answered_with_nothing(tmp_path: Path) -> None:
    for instruction in ("tcsh_complete", "bash_complete", "x"):
        done = Job(tmp_path, {COMPLETE_VARIABLE: instruction}).quick("run", home=False)
        assert (done.code, done.output) == (0, "")


def test_bash_completes_with_the_script_that_the_command_prints(past: Job, tmp_path: Path) -> None:
    program = tmp_path / "modelwatch"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m pipeline "$@"\n', "utf-8")
    program.chmod(0o755)
    line = f"{program} run --home {past.home} --scope one/p"
    script = Job(tmp_path).quick("completion", "bash", home=False).stdout
    typed = f"COMP_LINE='{line}' COMP_POINT={len(line)}\n_modelwatch_completion '{program}'\n"
    shown = 'printf "%s\\n" "${COMPREPLY[@]}"\n'
    done = subprocess.run(
        ["bash", "--norc", "-c", script + typed + shown], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert (done.stdout.split(), done.stderr) == (["one/prod", "one/public"], "")


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_the_scripts_of_zsh_and_fish_are_those_of_their_syntax(tmp_path: Path, shell: str) -> None:
    script = Job(tmp_path).quick("completion", shell, home=False).stdout
    assert COMPLETE_VARIABLE in script
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"{shell} is not installed")
    done = subprocess.run([program, "-n"], input=script, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def loaded_by(line: str) -> tuple[list[str], set[str]]:
    """Complete a line in a process; return the answers, and the modules that it imported."""
    source = (
        "import json, sys\nsys.argv = ['modelwatch']\nfrom pipeline.cli.app import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\nprint(json.dumps(list(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", source],
        capture_output=True,
        check=True,
        text=True,
        cwd=ROOT,
        env={COMPLETE_VARIABLE: "bash_complete", "COMP_LINE": line},
    )
    *answers, modules = done.stdout.splitlines()
    return answers, set(json.loads(modules))


def test_the_names_of_commands_are_completed_without_importing_one() -> None:
    answers, modules = loaded_by("modelwatch sta")
    assert answers == ["plain,status"]
    assert {name for name in modules if name.startswith("pipeline")} <= {
        "pipeline",
        "pipeline.cli",
        "pipeline.cli.app",
        "pipeline.cli.completion",
        "pipeline.cli.streams",
        "pipeline.errors",
    }


def test_names_are_completed_without_the_libraries_that_are_slow_to_import(past: Job) -> None:
    answers, modules = loaded_by(f"modelwatch --home {past.home} history he")
    assert answers == ["plain,heron-2"]
    assert not modules & {"httpx", "rich", "sqlite_utils", "datasette", "jinja2"}


def test_a_script_for_an_unknown_shell_is_wrong_usage(tmp_path: Path) -> None:
    done = Job(tmp_path).quick("completion", "tcsh", home=False)
    assert done.code == 2
    assert "'bash', 'zsh', 'fish'" in done.stderr
