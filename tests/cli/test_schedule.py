"""The schedules of `modelwatch schedule`, for an installation and what its config needs."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from datetime import time
from pathlib import Path
from time import tzset
from typing import Any

import pytest
import yaml
from msgspec.structs import replace
from support import ROOT
from support.e2e import Job, one_line, usage_error
from support.schedules import PLACE, examples

from pipeline.api import JobNeeds
from pipeline.cli.schedule import KINDS, Place, schedule_files
from pipeline.core.times import Schedule
from pipeline.errors import QuestionError

CRON = ROOT / "cron"
NOT_SCHEDULES = {
    "README.md",
    "modelwatch",
    "requirements",
    "setup.sh",
    "Dockerfile",
    "Dockerfile.dockerignore",
    "kubernetes-dask.yaml",
    "kubernetes-shards.yaml",
}
COMMAND = PLACE.command
HOME = PLACE.home
DAILY = Schedule("day", time(7, 30), zone="Europe/Berlin")
WEEKLY = Schedule("week", time(18, 5), on=4, zone="Asia/Shanghai")
NEEDS = JobNeeds(
    variables=("PROD_KEY", "SMTP_PASSWORD"),
    files=("vip.key",),
    reports=(("team", DAILY), ("boss", DAILY), ("week", WEEKLY)),
    text='[gateways.hub]\nurl = "https://hub.example"\n\n[gateways.hub.scopes]\nprod = { key = "env:P" }\n',
)


CONFIG = """
[gateways.hub]
url = "https://hub.example"
headers = { X-Org = "env:ORG" }
scopes.prod = { key = "env:PROD_KEY" }
scopes.again = { key = "env:PROD_KEY" }

[ping]
url = "env:PING"

[destinations.team]
type = "smtp"
server = "smtp.example.com"
user = "watch@example.com"
password = "file:smtp.password"
from = "watch@example.com"
to = ["ann@example.com"]
every = "day"
at = "07:30"

[destinations.hook]
type = "webhook"
url = "https://hooks.example.com/x"
secret = "env:HOOK"
models = ["gpt-*"]
"""


def place(command: str = COMMAND, home: str = HOME) -> Place:
    return replace(PLACE, command=command, home=home)


def lines(kind: str, *, command: str = COMMAND, home: str = HOME, needs: JobNeeds | None = None) -> list[str]:
    """Return the lines of a schedule without comments."""
    text = "".join(schedule_files(kind, place(command, home), needs).values())
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


def test_cron_has_the_files_of_every_kind_as_they_are_written_and_no_other() -> None:
    """If this fails, write them again: `cd tests && python -m support.schedules`."""
    here = {path.name for path in CRON.iterdir()} - NOT_SCHEDULES
    assert {name: (CRON / name).read_text() for name in here} == dict(examples())


@pytest.mark.parametrize("needs", [None, NEEDS])
@pytest.mark.parametrize("kind", KINDS)
def test_paths_are_those_of_the_installation_also_in_comments(kind: str, needs: JobNeeds | None) -> None:
    files = schedule_files(kind, Place("/srv/mw", "/srv/home"), needs)
    assert "/opt/modelwatch" not in "".join(files.values())


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


def test_percent_signs_are_doubled_for_systemd() -> None:
    """See systemd.unit(5): `%` begins a specifier."""
    unit = lines("systemd", command="/srv/50% more/mw", home="/srv/a b%")
    assert 'ExecStart="/srv/50%% more/mw" run' in unit
    assert 'Environment="MODELWATCH_HOME=/srv/a b%%"' in unit
    assert 'ReadWritePaths="/srv/a b%%"' in unit


@pytest.mark.parametrize("needs", [None, NEEDS])
def test_systemd_analyze_accepts_the_units(tmp_path: Path, needs: JobNeeds | None) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not installed here")
    command = program(tmp_path / "50% of $HOME" / "m w", "exit 0")
    files = schedule_files("systemd", Place(str(command), str(tmp_path / "da ta%"), user="root"), needs)
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    ran = sh(f'"{analyze}" verify {" ".join(f"./{name}" for name in files)}', cwd=tmp_path)
    lines_on_us = [line for line in ran.stderr.splitlines() if "modelwatch" in line]
    assert (ran.returncode, lines_on_us) == (0, [])


def test_systemd_reads_the_variables_and_sends_daily_and_weekly_reports_at_their_time_and_zone() -> None:
    files = schedule_files("systemd", PLACE, NEEDS)
    assert list(files) == [
        "modelwatch.service",
        "modelwatch.timer",
        "modelwatch-send.service",
        "modelwatch-send.timer",
    ]
    for name, arguments in (("modelwatch.service", "run"), ("modelwatch-send.service", "send --quiet")):
        assert f"\nEnvironmentFile={HOME}/modelwatch.env\n" in files[name]
        assert f'\nExecStart="{COMMAND}" {arguments}\n' in files[name]
    timer = files["modelwatch-send.timer"]
    assert "\nOnCalendar=*-*-* 07:30:00 Europe/Berlin\nOnCalendar" not in timer
    assert re.findall("^OnCalendar=(.*)", timer, re.MULTILINE) == [
        "*-*-* 07:30:00 Europe/Berlin",
        "Fri *-*-* 18:05:00 Asia/Shanghai",
    ]
    assert "# The daily report of team and boss, 07:30 Europe/Berlin.\n" in timer
    assert "enable --now modelwatch.timer modelwatch-send.timer\n" in files["modelwatch.service"]


def test_without_variables_or_daily_reports_systemd_has_two_units_and_no_environment_file() -> None:
    files = schedule_files("systemd", PLACE, JobNeeds())
    assert list(files) == ["modelwatch.service", "modelwatch.timer"]
    assert "EnvironmentFile" not in "".join(files.values())


def test_the_service_runs_as_the_owner_of_the_home_or_as_a_user_that_it_says_how_to_add() -> None:
    own = schedule_files("systemd", replace(PLACE, user="ann"))["modelwatch.service"]
    assert "\nUser=ann\n" in own
    assert "useradd" not in own
    other = schedule_files("systemd", PLACE)["modelwatch.service"]
    assert "\nUser=modelwatch\n" in other
    for step in ("useradd --system --no-create-home modelwatch", f"chown -R modelwatch: {HOME}"):
        assert f"#   {step}\n" in other


def test_the_service_has_a_timeout_is_confined_to_its_home_and_catches_up() -> None:
    unit = lines("systemd")
    for line in ("Type=oneshot", "TimeoutStartSec=45min", "ProtectSystem=strict", "Persistent=true"):
        assert line in unit


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """A function that sets the time zone of the machine."""

    def set_zone(name: str) -> None:
        monkeypatch.setenv("TZ", name)
        tzset()

    yield set_zone
    monkeypatch.undo()
    tzset()


@pytest.mark.parametrize(
    ("machine", "daily", "weekly"),
    [
        ("Europe/Berlin", "30 7 * * *", "5 * * * *"),
        ("Europe/Paris", "30 7 * * *", "5 * * * *"),
        ("Asia/Shanghai", "30 * * * *", "5 18 * * 5"),
        ("Asia/Kolkata", "0 * * * *", "35 * * * *"),
        ("Africa/Lagos", "30 * * * *", "5 * * * *"),  # as Berlin, in winter only
    ],
)
def test_a_crontab_sends_reports_at_their_time_or_in_its_minute_of_each_hour_where_the_zone_differs(
    zone: Callable[[str], None], machine: str, daily: str, weekly: str
) -> None:
    zone(machine)
    run, *sends = lines("crontab", needs=NEEDS)
    start = f"set -a; . {HOME}/modelwatch.env; MODELWATCH_HOME={HOME} {COMMAND}"
    assert run == f"17 * * * * {start} run"
    assert sends == [f"{daily} {start} send --quiet", f"{weekly} {start} send --quiet"]


def test_a_crontab_hands_over_the_variables_of_a_private_file(tmp_path: Path) -> None:
    home = tmp_path / "it's 100% home"
    home.mkdir()
    command = program(tmp_path / "mw", 'printf "%s\\n" "$PROD_KEY" "$MODELWATCH_HOME"')
    (home / "modelwatch.env").write_text("PROD_KEY='a b$c%'\n")
    line, *_ = lines("crontab", command=str(command), home=str(home), needs=NEEDS)
    ran = sh(line.split(" ", 5)[5].replace(r"\%", "%"), cwd=Path("/"))
    assert (ran.stdout.splitlines(), ran.stderr) == (["a b$c%", str(home)], "")


@pytest.mark.parametrize("needs", [None, NEEDS])
def test_no_bare_percent_sign_is_in_a_crontab_also_not_in_a_comment(needs: JobNeeds | None) -> None:
    (text,) = schedule_files("crontab", place("/srv/50%/mw", "/srv/ho%me"), needs).values()
    assert not re.search(r"(?<!\\)%", text)


@pytest.mark.parametrize("kind", ["kubernetes", "compose", "github-actions"])
def test_files_of_containers_and_workflows_are_yaml_whatever_the_paths(kind: str) -> None:
    home = '/srv/50% "da" \\ta $HOME'
    for needs in (None, NEEDS, JobNeeds()):
        (text,) = schedule_files(kind, place(home=home), needs).values()
        assert all(yaml.safe_load_all(text))


def resources(needs: JobNeeds | None) -> dict[str, Any]:
    """Return the objects of the Kubernetes file by kind and name."""
    text = schedule_files("kubernetes", place(home="/srv/secret-place"), needs)["kubernetes.yaml"]
    assert "/srv/" not in text
    found = list(yaml.safe_load_all(text))
    return {f"{each['kind']}/{each['metadata']['name']}": each for each in found}


def test_kustomize_accepts_the_resources(tmp_path: Path) -> None:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not installed here")
    (tmp_path / "kustomization.yaml").write_text("resources: [kubernetes.yaml]\n")
    (tmp_path / "kubernetes.yaml").write_text(schedule_files("kubernetes", PLACE, NEEDS)["kubernetes.yaml"])
    ran = sh(f'"{kubectl}" kustomize .', cwd=tmp_path, env={"HOME": str(tmp_path)})
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.count("\nkind: CronJob\n") == 3


def test_the_pod_has_the_config_its_variables_and_files_and_no_path_of_this_machine() -> None:
    found = resources(NEEDS)
    assert found["ConfigMap/modelwatch"]["data"] == {"modelwatch.toml": NEEDS.text}
    job = found["CronJob/modelwatch"]["spec"]
    assert (job["schedule"], job["concurrencyPolicy"]) == ("17 * * * *", "Forbid")
    pod = job["jobTemplate"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["env"] == [
        {"name": "MODELWATCH_HOME", "value": "/data"},
        {"name": "CREDENTIALS_DIRECTORY", "value": "/run/secrets/modelwatch"},
    ]
    assert container["envFrom"] == [{"secretRef": {"name": "modelwatch-keys"}}]
    mounts = {each["mountPath"]: each["name"] for each in container["volumeMounts"]}
    assert mounts == {
        "/data": "home",
        "/data/modelwatch.toml": "config",
        "/run/secrets/modelwatch": "keys",
        "/tmp": "scratch",
    }
    assert {each["name"] for each in pod["volumes"]} == set(mounts.values())
    assert pod["volumes"][-1]["secret"]["items"] == [{"key": "vip.key", "path": "vip.key"}]
    assert pod["securityContext"]["runAsNonRoot"]


def test_the_files_that_the_config_names_are_beside_it_in_the_pod() -> None:
    keys, models = "name,key\nprod,env:P\n", "  gpt-*  \n\n# ends\n"
    needs = replace(
        NEEDS, named_files=(("keys.csv", keys), ("lists/models.txt", models), ("/etc/x.csv", "x"))
    )
    found = resources(needs)
    assert found["ConfigMap/modelwatch"]["data"] == {
        "modelwatch.toml": NEEDS.text,
        "keys.csv": keys,
        "lists.models.txt": models,
    }
    pod = found["CronJob/modelwatch"]["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    mounts = {each["mountPath"]: each.get("subPath") for each in pod["containers"][0]["volumeMounts"]}
    assert (mounts["/data/keys.csv"], mounts["/data/lists/models.txt"]) == ("keys.csv", "lists.models.txt")
    assert "# Not in the container: /etc/x.csv." in schedule_files("compose", PLACE, needs)["compose.yaml"]
    workflow = schedule_files("github-actions", PLACE, needs)["github-actions.yml"]
    assert "#   git add modelwatch.toml keys.csv lists/models.txt && " in workflow


def test_kubernetes_sends_reports_with_a_job_at_their_time_and_zone() -> None:
    found = resources(NEEDS)
    sends = [each["spec"] for name, each in found.items() if name.startswith("CronJob/modelwatch-send")]
    assert [(each["schedule"], each["timeZone"]) for each in sends] == [
        ("30 7 * * *", "Europe/Berlin"),
        ("5 18 * * 5", "Asia/Shanghai"),
    ]
    containers = [each["jobTemplate"]["spec"]["template"]["spec"]["containers"][0] for each in sends]
    assert [each["command"] for each in containers] == [["modelwatch", "send", "--quiet"]] * 2
    assert len(resources(JobNeeds(text="a = 1\n"))) == 3


def test_a_pod_without_secrets_refers_to_none() -> None:
    text = schedule_files("kubernetes", PLACE, JobNeeds(text="a = 1\n"))["kubernetes.yaml"]
    assert "secret" not in text.lower()


def test_files_in_directories_are_items_of_the_secret_and_others_are_named() -> None:
    needs = replace(
        NEEDS, files=("keys/vip.key", "/etc/prod.key"), has_commands=True, local_servers=("localhost",)
    )
    text = schedule_files("kubernetes", PLACE, needs)["kubernetes.yaml"]
    assert "--from-file=keys.vip.key=keys/vip.key\n" in text
    assert '- key: "keys.vip.key"\n' in text
    assert 'path: "keys/vip.key"\n' in text
    for note in (
        "Not in the container: /etc/prod.key.",
        "the programs of `command:` references",
        "In a container localhost is the container",
    ):
        assert note in text
        assert note in schedule_files("compose", PLACE, needs)["compose.yaml"]
    assert (
        "# Not in the workflow: keys/vip.key and /etc/prod.key. Use `env:NAME`"
        in (schedule_files("github-actions", PLACE, needs)["github-actions.yml"])
    )


def test_the_workflow_hands_over_the_variables_as_secrets() -> None:
    workflow = yaml.safe_load(schedule_files("github-actions", PLACE, NEEDS)["github-actions.yml"])
    (run,) = (step for step in workflow["jobs"]["run"]["steps"] if step.get("name") == "Run")
    assert run["env"] == {name: f"${{{{ secrets.{name} }}}}" for name in NEEDS.variables}
    none = yaml.safe_load(schedule_files("github-actions", PLACE, JobNeeds())["github-actions.yml"])
    (run,) = (step for step in none["jobs"]["run"]["steps"] if step.get("name") == "Run")
    assert "env" not in run


def services(needs: JobNeeds | None = NEEDS, at: Place = PLACE) -> dict[str, Any]:
    """Return the services of the Compose file."""
    found: dict[str, Any] = yaml.safe_load(schedule_files("compose", at, needs)["compose.yaml"])["services"]
    return found


def test_compose_mounts_the_home_at_data_as_its_owner_and_confines_both_services() -> None:
    home = '/srv/ho "me" $X'
    found = services(at=replace(PLACE, home=home, user_id="1000:1001"))
    assert set(found) == {"watch", "browse"}
    for service in found.values():
        assert service["user"] == "1000:1001"
        # Compose reads `$$` as `$`: https://docs.docker.com/reference/compose-file/interpolation/
        assert service["volumes"] == [{"type": "bind", "source": home.replace("$", "$$"), "target": "/data"}]
        assert service["env_file"] == [f"{home.replace('$', '$$')}/modelwatch.env"]
        assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
        assert service["healthcheck"]["test"][0] == "CMD"
    assert found["watch"]["healthcheck"]["test"][1:] == [
        "modelwatch",
        "status",
        "--exit-code",
        "--since",
        "3h",
    ]
    assert found["browse"]["ports"] == ["127.0.0.1:8001:8001"]
    assert found["watch"]["build"] == {"context": "/opt/modelwatch", "dockerfile": "cron/Dockerfile"}
    assert "build" not in services(at=replace(PLACE, tree=None))["watch"]
    root = schedule_files("compose", PLACE)["compose.yaml"]
    assert f"#   chown -R 65532:65532 {HOME} " in root
    assert services(at=PLACE)["watch"]["user"] == "65532:65532"


@pytest.mark.parametrize(
    ("minutes", "expected"),
    [
        ("16 17 18", ["run", "run"]),
        ("29 30 31", ["run", "send --quiet"]),
        ("05", ["run", "send --quiet"]),
        ("07 08 09", ["run"]),
    ],
)
def test_compose_runs_at_the_start_and_each_hour_and_sends_in_the_minutes_of_reports(
    tmp_path: Path, minutes: str, expected: list[str]
) -> None:
    """A real shell runs the script; `sleep` ends it after the last minute."""
    script = services()["watch"]["command"][0].replace("$$", "$")
    bin_ = tmp_path / "bin"
    program(bin_ / "modelwatch", f'echo "$*" >>{tmp_path}/calls')
    (tmp_path / "minutes").write_text("\n".join(minutes.split()) + "\n")
    program(bin_ / "sleep", f'test -s {tmp_path}/minutes && test "$1" -ge 1 && test "$1" -le 60')
    program(
        bin_ / "date",
        f"cd {tmp_path}; case $1 in +%s) exec /bin/date +%s ;; esac; head -n 1 minutes; sed -i 1d minutes",
    )
    assert sh(script, cwd=tmp_path, env={"PATH": f"{bin_}:{os.defpath}"}).returncode == 0
    assert (tmp_path / "calls").read_text().splitlines() == expected


def test_the_command_reads_the_config_of_the_home(tmp_path: Path) -> None:
    job = Job(tmp_path / "home")
    job.configure(CONFIG)
    done = job.quick("schedule", "crontab", at="2026-05-01T06:00:00Z")
    assert (done.code, done.stderr) == (0, "")
    assert "# The config needs ORG, PROD_KEY, HOOK and PING. Store each" in done.stdout
    assert f". {job.home}/modelwatch.env; MODELWATCH_HOME={job.home} " in done.stdout
    assert done.stdout.count(" send --quiet\n") == 1
    pod = job.quick("schedule", "kubernetes").stdout
    assert "--from-file=smtp.password=smtp.password\n" in pod
    assert "smtp.example.com" in pod
    (job.home / "keys.csv").write_text("name,key\nown,env:OWN\n")
    (job.home / "models.txt").write_text("gpt-*\n")
    before = CONFIG.replace("scopes.again", 'keys = "keys.csv"\nscopes.again')
    job.configure(f'#:schema file:///srv/schema.json\n{before}[watch]\nfile = "models.txt"\n')
    (config,) = (
        each for each in yaml.safe_load_all(job.quick("schedule", "kubernetes").stdout) if "data" in each
    )
    assert config["data"].keys() == {"modelwatch.toml", "keys.csv", "models.txt"}
    assert config["data"]["keys.csv"] == "name,key\nown,env:OWN\n"
    assert "/srv/" not in config["data"]["modelwatch.toml"]
    assert "OWN" in job.quick("schedule", "crontab").stdout
    job.configure("gateways = 3\n")
    one_line(job.quick("schedule", "crontab"), 78, "modelwatch.toml")


@pytest.mark.parametrize("kind", KINDS)
def test_a_schedule_without_a_config_is_written_with_a_warning(tmp_path: Path, kind: str) -> None:
    job = Job(tmp_path / "home")
    done = job.quick("schedule", kind, "--output", str(tmp_path / kind))
    assert done.code == 0
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith(f"modelwatch: {job.config}: there is no config yet, so the schedule has no")
    job.configure(CONFIG)
    assert job.quick("schedule", kind, "--output", str(tmp_path / f"{kind}-2")).stderr == ""


def test_a_config_elsewhere_is_named_in_each_command(tmp_path: Path) -> None:
    job = Job(tmp_path / "home")
    job.configure(CONFIG)
    config = tmp_path / "100% mine.toml"
    job.config.rename(config)
    given = ("--config", str(config))
    run, send = (
        line for line in job.quick("schedule", "crontab", *given).stdout.splitlines() if line[0] != "#"
    )
    path = str(config).replace("%", r"\%")
    assert run.endswith(f" run --config '{path}'")
    assert send.endswith(f" send --quiet --config '{path}'")
    units = tmp_path / "units"
    assert job.quick("schedule", "systemd", "--output", str(units), *given).code == 0
    path = str(config).replace("%", "%%")
    assert f' run --config "{path}"\n' in (units / "modelwatch.service").read_text()
    assert f' send --quiet --config "{path}"\n' in (units / "modelwatch-send.service").read_text()
    assert "move it to modelwatch.toml in the home" in usage_error(job, "schedule", "compose", *given)
    assert "smtp.example.com" in job.quick("schedule", "kubernetes", *given).stdout


def test_several_files_are_written_to_a_directory_and_not_printed_as_one(tmp_path: Path) -> None:
    job = Job(tmp_path / "home")
    line = usage_error(job, "schedule", "systemd")
    assert line == "Error: systemd needs 2 files: write them with --output DIR, such as --output systemd"
    units = tmp_path / "new" / "units"
    done = job.quick("schedule", "systemd", "--output", str(units))
    assert done.code == 0
    names = ["modelwatch.service", "modelwatch.timer"]
    assert done.stdout.splitlines() == [
        *(f"wrote {units / name}" for name in names),
        f"next: follow the comment at the top of {units / names[0]}",
    ]
    assert sorted(path.name for path in units.iterdir()) == names
    (units / names[1]).write_text("mine")
    one_line(job.quick("schedule", "systemd", "--output", str(units)), 74, "exists", "--force")
    assert (units / names[1]).read_text() == "mine"
    assert job.quick("schedule", "systemd", "--output", str(units), "--force").code == 0
    assert "OnCalendar" in (units / names[1]).read_text()


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_can_be_written_to_a_directory(tmp_path: Path, kind: str) -> None:
    job = Job(tmp_path / "home")
    assert job.quick("schedule", kind, "--output", str(tmp_path / "out")).code == 0
    written = {path.name: path.read_text() for path in (tmp_path / "out").iterdir()}
    assert set(written) <= set(examples())
    if len(written) == 1:
        assert job.quick("schedule", kind).stdout == "".join(written.values())


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
    text = schedule_files("github-actions", PLACE)["github-actions.yml"]
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
    kinds = "crontab, systemd, kubernetes, github-actions, compose"
    with pytest.raises(QuestionError, match=f"'at' is not a kind of schedule: use one of {kinds}"):
        schedule_files("at", PLACE)


@pytest.mark.parametrize("kind", KINDS)
def test_a_relative_path_is_refused(kind: str) -> None:
    with pytest.raises(QuestionError, match="'cron/modelwatch' is not absolute"):
        schedule_files(kind, place(command="cron/modelwatch"))


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
        schedule_files(kind, place(home=path))
