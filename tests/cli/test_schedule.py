"""The schedules of `modelwatch schedule`: the files in cron/ with the paths of the installation."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest
from support import ROOT

from pipeline.cli.schedule import KINDS, schedule_files
from pipeline.errors import QuestionError

CRON = ROOT / "cron"
NOT_SCHEDULES = {"README.md", "modelwatch", "requirements", "setup.sh"}
FILES = {
    "crontab": ["crontab"],
    "systemd": ["modelwatch.service", "modelwatch.timer"],
    "kubernetes": ["kubernetes.yaml"],
    "github-actions": ["github-actions.yml"],
}
COMMAND = "/opt/modelwatch/cron/modelwatch"
HOME = "/opt/modelwatch/data"


def lines(kind: str, *, command: str = COMMAND, home: str = HOME) -> list[str]:
    """Return the lines of a schedule without comments."""
    text = schedule_files(kind, command=command, home=home)
    return [line.strip() for line in text.splitlines() if not line.lstrip().startswith("#")]


def program(path: Path, body: str) -> Path:
    """Write a shell script."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


def sh(script: str, *, cwd: Path, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a script with the minimal environment of a scheduler."""
    environ = {"PATH": os.defpath, **(env or {})}
    return subprocess.run(
        ["sh", "-c", script], cwd=cwd, env=environ, capture_output=True, text=True, check=False
    )


def block(text: str, after: str) -> str:
    """Return the indented block of a YAML file below a line."""
    _, _, rest = text.partition(f"{after}\n")
    indent = re.match(r" *", rest).group()  # type: ignore[union-attr]
    found = re.match(rf"(?:{indent}.*\n|\n)+", rest)
    assert found
    return found.group().replace(f"\n{indent}", "\n").strip()


def test_every_kind_has_its_files_in_cron_and_no_other_file_is_there() -> None:
    assert set(KINDS) == set(FILES)
    here = {path.name for path in CRON.iterdir()} - NOT_SCHEDULES
    assert here == {name for names in FILES.values() for name in names}


def test_the_wheel_has_every_schedule() -> None:
    """An installed program reads them from its package."""
    built = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    wanted = {f"cron/{name}": f"pipeline/schedules/{name}" for names in FILES.values() for name in names}
    assert built["force-include"] == wanted


def test_an_installed_package_reads_its_own_files_not_those_of_a_neighbour_named_cron(tmp_path: Path) -> None:
    package = tmp_path / "pipeline"
    (package / "schedules").mkdir(parents=True)
    (package / "schedules" / "crontab").write_text(f"packaged {COMMAND}\n")
    (package / "cli").mkdir()
    module = shutil.copy(ROOT / "pipeline" / "cli" / "schedule.py", package / "cli")
    spec = importlib.util.spec_from_file_location("packaged_schedule", module)
    assert spec
    assert spec.loader
    packaged = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(packaged)
    assert packaged.schedule_files("crontab", command="/a", home="/b") == "packaged /a\n"


@pytest.mark.parametrize("kind", KINDS)
def test_with_the_paths_of_the_files_the_schedule_is_the_files(kind: str) -> None:
    text = schedule_files(kind, command=COMMAND, home=HOME)
    for name in FILES[kind]:
        assert (CRON / name).read_text() in text


@pytest.mark.parametrize("kind", KINDS)
def test_paths_are_replaced_everywhere_also_in_comments(kind: str) -> None:
    assert "/opt/modelwatch" not in schedule_files(kind, command="/srv/mw", home="/srv/home")


def test_a_path_may_contain_the_path_that_it_replaces() -> None:
    (line,) = lines("crontab", command=f"/mnt{HOME}/mw", home=f"/mnt{COMMAND}")
    assert line.endswith(f"MODELWATCH_HOME=/mnt{COMMAND} /mnt{HOME}/mw run")


def test_the_crontab_line_starts_the_program_whatever_its_path(tmp_path: Path) -> None:
    """The line is split as cron does it, and run by a real shell."""
    command = program(
        tmp_path / '50% of $HOME \'n "more"' / "mw", 'printf "%s\\n" "$0" "$*" "$MODELWATCH_HOME"'
    )
    home = str(tmp_path / "home `of` 100%; #1")
    (line,) = lines("crontab", command=str(command), home=home)
    *times, script = line.split(" ", 5)
    assert times == ["17", "*", "*", "*", "*"]
    assert not re.search(r"(?<!\\)%", script), "cron makes a new line of a bare %"
    ran = sh(script.replace(r"\%", "%"), cwd=Path("/"))
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.splitlines() == [str(command), "run", home]


def test_systemd_has_a_service_and_then_a_timer_each_below_its_path() -> None:
    text = schedule_files("systemd", command="/srv/mw", home="/srv/home")
    heads = [line for line in text.splitlines() if line.startswith("# /etc/systemd/system/")]
    assert heads == [f"# /etc/systemd/system/{name}" for name in FILES["systemd"]]
    assert text.index("[Service]") < text.index(heads[1]) < text.index("[Timer]")


def test_percent_signs_are_doubled_for_systemd() -> None:
    """See systemd.unit(5): `%` begins a specifier."""
    unit = lines("systemd", command="/srv/50% more/mw", home="/srv/a b%")
    assert 'ExecStart="/srv/50%% more/mw" run' in unit
    assert 'Environment="MODELWATCH_HOME=/srv/a b%%"' in unit
    assert 'ReadWritePaths="/srv/a b%%"' in unit


def test_systemd_analyze_accepts_the_units(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not installed here")
    command = program(tmp_path / "50% of $HOME" / "m w", "exit 0")
    text = schedule_files("systemd", command=str(command), home=str(tmp_path / "da ta%"))
    service, timer = text.split("# /etc/systemd/system/modelwatch.timer\n")
    (tmp_path / "modelwatch.service").write_text(service)
    (tmp_path / "modelwatch.timer").write_text(timer)
    ran = sh(f'"{analyze}" verify ./modelwatch.service ./modelwatch.timer', cwd=tmp_path)
    lines_on_us = [line for line in ran.stderr.splitlines() if "modelwatch" in line]
    assert (ran.returncode, lines_on_us) == (0, [])


def test_the_service_has_a_timeout_is_confined_to_its_home_and_catches_up() -> None:
    unit = lines("systemd")
    for line in ("Type=oneshot", "TimeoutStartSec=45min", "ProtectSystem=strict", "Persistent=true"):
        assert line in unit
    comments = schedule_files("systemd", command=COMMAND, home=HOME)
    assert "# LoadCredential=prod:" in comments
    assert 'key = "file:/run/credentials/modelwatch.service/prod"' in comments


def test_the_pod_mounts_its_disk_at_the_home_which_has_the_config() -> None:
    home = '/srv/50% "da" \\ta'
    text = lines("kubernetes", home=home)
    values = [json.loads(line.partition(": ")[2]) for line in text if "/srv/" in line]
    assert values == [home, home, f"{home}/modelwatch.toml"]
    for line in ("concurrencyPolicy: Forbid", "startingDeadlineSeconds: 1800", "activeDeadlineSeconds: 2700"):
        assert line in text


@pytest.mark.parametrize(("exit_status", "result"), [(0, 0), (5, 0), (3, 1), (78, 1)])
@pytest.mark.parametrize("kind", ["systemd", "kubernetes", "github-actions"])
def test_only_exit_statuses_0_and_5_are_successes_for_a_scheduler(
    kind: str, exit_status: int, result: int, tmp_path: Path
) -> None:
    program(tmp_path / "cron" / "modelwatch", f'[ "$*" = run ] && exit {exit_status}')
    match kind:
        case "systemd":
            (allowed,) = (
                line.partition("=")[2] for line in lines(kind) if line.startswith("SuccessExitStatus")
            )
            assert int(str(exit_status) not in {"0", *allowed.split()}) == result
            return
        case "kubernetes":
            (line,) = (line for line in lines(kind) if line.startswith("command: "))
            script = json.loads(line.partition("-c, ")[2].removesuffix("]"))
        case _:
            (line,) = (line for line in lines(kind) if line.startswith("run: ./"))
            script = line.removeprefix("run: ")
    assert sh(script, cwd=tmp_path, env={"PATH": f"{tmp_path / 'cron'}:{os.defpath}"}).returncode == result


def git(where: Path, *arguments: str) -> str:
    """Run git without the settings of user and system."""
    identity = [
        "-c",
        "user.name=a",
        "-c",
        "user.email=a@example.org",
        "-c",
        "init.defaultBranch=modelwatch-data",
    ]
    environ = {"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    ran = subprocess.run(
        ["git", *identity, *arguments], cwd=where, env=environ, capture_output=True, text=True, check=True
    )
    return ran.stdout.strip()


@pytest.fixture
def keep() -> str:
    """The script of the workflow's step that commits the database."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed here")
    text = schedule_files("github-actions", command=COMMAND, home=HOME)
    return block(text.partition("Save the data")[2], after="        run: |")


@pytest.fixture
def hosted(tmp_path: Path) -> Path:
    """A directory with `remote`, whose data branch has a config, and `watched`, a checkout of that branch."""
    remote, first = tmp_path / "remote", tmp_path / "first"
    git(tmp_path, "init", "--quiet", "--bare", str(remote))
    git(tmp_path, "clone", "--quiet", str(remote), str(first))
    (first / "modelwatch.toml").write_text("# config\n")
    git(first, "add", "--all")
    git(first, "commit", "--quiet", "--message", "Config")
    git(first, "push", "--quiet", "origin", "HEAD:modelwatch-data")
    git(tmp_path, "clone", "--quiet", "--depth=1", f"file://{remote}", str(tmp_path / "watched"))
    return tmp_path


def run_keep(keep: str, hosted: Path) -> int:
    """Run the step in the checkout; the shell stops at the first failure, as in the workflow."""
    environ = {"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    return sh(f"set -e\n{keep}", cwd=hosted / "watched", env=environ).returncode


def test_the_branch_of_the_workflow_has_one_commit_with_the_config_and_the_newest_database(
    keep: str, hosted: Path
) -> None:
    for content in ("first", "second"):
        (hosted / "watched" / "modelwatch.db").write_text(content)
        assert run_keep(keep, hosted) == 0
    assert git(hosted / "remote", "rev-list", "--count", "modelwatch-data") == "1"
    assert git(hosted / "remote", "show", "modelwatch-data:modelwatch.db") == "second"
    assert git(hosted / "remote", "show", "modelwatch-data:modelwatch.toml") == "# config"


def test_the_step_of_the_workflow_fails_where_the_config_was_changed_during_the_run(
    keep: str, hosted: Path
) -> None:
    (hosted / "first" / "modelwatch.toml").write_text("# newer\n")
    git(hosted / "first", "commit", "--quiet", "--all", "--message", "Newer")
    git(hosted / "first", "push", "--quiet", "origin", "HEAD:modelwatch-data")
    (hosted / "watched" / "modelwatch.db").write_text("learnt")
    assert run_keep(keep, hosted) != 0
    assert git(hosted / "remote", "show", "modelwatch-data:modelwatch.toml") == "# newer"


def test_the_error_on_an_unknown_kind_lists_the_kinds() -> None:
    kinds = "crontab, systemd, kubernetes, github-actions"
    with pytest.raises(QuestionError, match=f"'at' is not a kind of schedule: use one of {kinds}"):
        schedule_files("at", command=COMMAND, home=HOME)


@pytest.mark.parametrize("kind", KINDS)
def test_a_relative_path_is_refused(kind: str) -> None:
    with pytest.raises(QuestionError, match="'cron/modelwatch' is not absolute"):
        schedule_files(kind, command="cron/modelwatch", home=HOME)


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("systemd", "/srv/it's"),
        ("systemd", "/srv/a\\b"),
        ("crontab", "/srv/a\\b"),
        ("kubernetes", "/srv/a\nb"),
    ],
)
def test_a_path_that_a_scheduler_cannot_use_is_refused(kind: str, path: str) -> None:
    with pytest.raises(QuestionError, match="use another directory"):
        schedule_files(kind, command=COMMAND, home=path)
