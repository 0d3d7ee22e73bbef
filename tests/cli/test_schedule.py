"""Schedules are ready to copy: the files in cron/ as they are, and with any paths put in."""

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

CRON = ROOT / "cron"
NOT_SCHEDULES = {"README.md", "modelwatch", "setup.sh"}
FILES = {
    "crontab": ["crontab"],
    "systemd": ["modelwatch.service", "modelwatch.timer"],
    "kubernetes": ["kubernetes.yaml"],
    "github-actions": ["github-actions.yml"],
}
COMMAND = "/opt/modelwatch/cron/modelwatch"
HOME = "/opt/modelwatch/data"


def lines(kind: str, *, command: str = COMMAND, home: str = HOME) -> list[str]:
    """Give the lines of a schedule that are no comments."""
    text = schedule_files(kind, command=command, home=home)
    return [line.strip() for line in text.splitlines() if not line.lstrip().startswith("#")]


def program(path: Path, body: str) -> Path:
    """Write a small program for the shell to start."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


def sh(script: str, *, cwd: Path, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a script as a scheduler does: with hardly any environment."""
    environ = {"PATH": os.defpath, **(env or {})}
    return subprocess.run(
        ["sh", "-c", script], cwd=cwd, env=environ, capture_output=True, text=True, check=False
    )


def block(text: str, after: str) -> str:
    """Give the indented block of a YAML file that follows a line."""
    _, _, rest = text.partition(f"{after}\n")
    indent = re.match(r" *", rest).group()  # type: ignore[union-attr]
    found = re.match(rf"(?:{indent}.*\n|\n)+", rest)
    assert found
    return found.group().replace(f"\n{indent}", "\n").strip()


def test_kinds_are_the_files_in_cron() -> None:
    """Every schedule in cron/ is of one kind, and every kind has its files there."""
    assert set(KINDS) == set(FILES)
    here = {path.name for path in CRON.iterdir()} - NOT_SCHEDULES
    assert here == {name for names in FILES.values() for name in names}


def test_a_wheel_carries_every_schedule() -> None:
    """What is in cron/ is package data too, or `modelwatch schedule` would fail where it was installed."""
    built = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    wanted = {f"cron/{name}": f"pipeline/schedules/{name}" for names in FILES.values() for name in names}
    assert built["force-include"] == wanted


def test_package_data_comes_before_the_source_tree(tmp_path: Path) -> None:
    """An installed package reads its own copy and looks at no neighbour named cron."""
    package = tmp_path / "pipeline"
    (package / "schedules").mkdir(parents=True)
    (package / "schedules" / "crontab").write_text(f"packaged {COMMAND}\n")
    module = shutil.copy(ROOT / "pipeline" / "schedule.py", package)
    spec = importlib.util.spec_from_file_location("packaged_schedule", module)
    assert spec
    assert spec.loader
    packaged = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(packaged)
    assert packaged.schedule("crontab", command="/a", home="/b") == "packaged /a\n"


@pytest.mark.parametrize("kind", KINDS)
def test_the_files_are_valid_as_they_are(kind: str) -> None:
    """With the paths that the files name, the schedule is the files."""
    text = schedule_files(kind, command=COMMAND, home=HOME)
    for name in FILES[kind]:
        assert (CRON / name).read_text() in text


@pytest.mark.parametrize("kind", KINDS)
def test_no_path_is_left_behind(kind: str) -> None:
    """The paths are put in everywhere, in the comments too."""
    assert "/opt/modelwatch" not in schedule_files(kind, command="/srv/mw", home="/srv/home")


def test_a_path_may_hold_the_path_that_it_replaces() -> None:
    """Paths are put in once, not into one another."""
    (line,) = lines("crontab", command=f"/mnt{HOME}/mw", home=f"/mnt{COMMAND}")
    assert line.endswith(f"MODELWATCH_HOME=/mnt{COMMAND} /mnt{HOME}/mw run")


def test_the_crontab_line_starts_the_program(tmp_path: Path) -> None:
    """Taken apart as cron does it and run by a real shell, the line gives the paths back unharmed."""
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


def test_systemd_gives_two_units_and_says_where_they_go() -> None:
    """The service comes first, then the timer, each under the path of its file."""
    text = schedule_files("systemd", command="/srv/mw", home="/srv/home")
    heads = [line for line in text.splitlines() if line.startswith("# /etc/systemd/system/")]
    assert heads == [f"# /etc/systemd/system/{name}" for name in FILES["systemd"]]
    assert text.index("[Service]") < text.index(heads[1]) < text.index("[Timer]")


def test_systemd_reads_a_percent_sign_as_one() -> None:
    """A `%` begins a specifier in a unit, so each is doubled; quotes keep the spaces together."""
    unit = lines("systemd", command="/srv/50% more/mw", home="/srv/a b%")
    assert 'ExecStart="/srv/50%% more/mw" run' in unit
    assert 'Environment="MODELWATCH_HOME=/srv/a b%%"' in unit
    assert 'ReadWritePaths="/srv/a b%%"' in unit


def test_systemd_takes_the_units(tmp_path: Path) -> None:
    """systemd's own checker has nothing to say about either unit, whatever is in the paths."""
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not installed here")
    command = program(tmp_path / "50% of $HOME" / "m w", "exit 0")
    text = schedule_files("systemd", command=str(command), home=str(tmp_path / "da ta%"))
    service, timer = text.split("# /etc/systemd/system/modelwatch.timer\n")
    (tmp_path / "modelwatch.service").write_text(service)
    (tmp_path / "modelwatch.timer").write_text(timer)
    ran = sh(f'"{analyze}" verify ./modelwatch.service ./modelwatch.timer', cwd=tmp_path)
    said = [line for line in ran.stderr.splitlines() if "modelwatch" in line]
    assert (ran.returncode, said) == (0, [])


def test_the_service_gives_a_run_room_and_no_more() -> None:
    """One run at a time, with an end, confined to its home; what was missed is made up for."""
    unit = lines("systemd")
    for line in ("Type=oneshot", "TimeoutStartSec=45min", "ProtectSystem=strict", "Persistent=true"):
        assert line in unit
    comments = schedule_files("systemd", command=COMMAND, home=HOME)
    assert "# LoadCredential=prod:" in comments
    assert 'key = "file:/run/credentials/modelwatch.service/prod"' in comments


def test_a_pod_mounts_its_disk_at_home() -> None:
    """The home is the mount, the config lies inside it, and YAML reads the path as it was."""
    home = '/srv/50% "da" \\ta'
    text = lines("kubernetes", home=home)
    values = [json.loads(line.partition(": ")[2]) for line in text if "/srv/" in line]
    assert values == [home, home, f"{home}/modelwatch.toml"]
    for line in ("concurrencyPolicy: Forbid", "startingDeadlineSeconds: 1800", "activeDeadlineSeconds: 2700"):
        assert line in text


@pytest.mark.parametrize(("left_with", "seen"), [(0, 0), (5, 0), (3, 1), (78, 1)])
@pytest.mark.parametrize("kind", ["systemd", "kubernetes", "github-actions"])
def test_something_held_is_no_failure(kind: str, left_with: int, seen: int, tmp_path: Path) -> None:
    """Exit 5 means that the run did its work; any other code but 0 fails the job."""
    program(tmp_path / "cron" / "modelwatch", f'[ "$*" = run ] && exit {left_with}')
    match kind:
        case "systemd":
            (allowed,) = (
                line.partition("=")[2] for line in lines(kind) if line.startswith("SuccessExitStatus")
            )
            assert int(str(left_with) not in {"0", *allowed.split()}) == seen
            return
        case "kubernetes":
            (line,) = (line for line in lines(kind) if line.startswith("command: "))
            script = json.loads(line.partition("-c, ")[2].removesuffix("]"))
        case _:
            (line,) = (line for line in lines(kind) if line.startswith("run: ./"))
            script = line.removeprefix("run: ")
    assert sh(script, cwd=tmp_path, env={"PATH": f"{tmp_path / 'cron'}:{os.defpath}"}).returncode == seen


def git(where: Path, *arguments: str) -> str:
    """Run git with nobody's settings."""
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
    """The script of the workflow's step that keeps the database."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed here")
    text = schedule_files("github-actions", command=COMMAND, home=HOME)
    return block(text.partition("Keep what was learnt")[2], after="        run: |")


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
    """Run the step in the checkout, as the workflow does: the shell stops at the first failure."""
    environ = {"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    return sh(f"set -e\n{keep}", cwd=hosted / "watched", env=environ).returncode


def test_the_workflow_keeps_one_copy_of_the_database(keep: str, hosted: Path) -> None:
    """After two runs the branch has one commit, with the config and the newest database."""
    for content in ("first", "second"):
        (hosted / "watched" / "modelwatch.db").write_text(content)
        assert run_keep(keep, hosted) == 0
    assert git(hosted / "remote", "rev-list", "--count", "modelwatch-data") == "1"
    assert git(hosted / "remote", "show", "modelwatch-data:modelwatch.db") == "second"
    assert git(hosted / "remote", "show", "modelwatch-data:modelwatch.toml") == "# config"


def test_the_workflow_never_replaces_a_newer_config(keep: str, hosted: Path) -> None:
    """A config that was pushed during the run stays; the step fails and says so."""
    (hosted / "first" / "modelwatch.toml").write_text("# newer\n")
    git(hosted / "first", "commit", "--quiet", "--all", "--message", "Newer")
    git(hosted / "first", "push", "--quiet", "origin", "HEAD:modelwatch-data")
    (hosted / "watched" / "modelwatch.db").write_text("learnt")
    assert run_keep(keep, hosted) != 0
    assert git(hosted / "remote", "show", "modelwatch-data:modelwatch.toml") == "# newer"


def test_an_unknown_kind_names_the_kinds() -> None:
    """The error says what could have been written."""
    with pytest.raises(
        ValueError, match="'at' is no schedule: use one of crontab, systemd, kubernetes, github-act"
    ):
        schedule_files("at", command=COMMAND, home=HOME)


@pytest.mark.parametrize("kind", KINDS)
def test_a_path_must_be_absolute(kind: str) -> None:
    """A relative path means another place to a scheduler, so it is refused."""
    with pytest.raises(ValueError, match="'cron/modelwatch' is not absolute"):
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
def test_a_path_that_cannot_be_written_down_is_refused(kind: str, path: str) -> None:
    """Better no schedule than one that starts something else."""
    with pytest.raises(ValueError, match="use another directory"):
        schedule_files(kind, command=COMMAND, home=path)
