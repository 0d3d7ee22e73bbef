"""The command `schedule`: the files of a scheduler, for this installation and its config."""

from __future__ import annotations

import json
import pwd
import re
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, tzinfo
from pathlib import Path, PurePosixPath
from zoneinfo import ZoneInfo

import click
from msgspec import Struct

from pipeline.api import Home, JobNeeds
from pipeline.cli.options import clock, with_home
from pipeline.core.text import did_you_mean
from pipeline.core.times import Schedule
from pipeline.errors import MissingPart, QuestionError, StoreError

ENV_FILE = "modelwatch.env"
"""The file in the home with the variables of the config, for schedulers that give a job few or none."""

_TEMPLATES = Path(__file__).with_name("schedules")

_PLACEHOLDER = re.compile(r"<<(\w+)>>")

# systemd refuses these in the path of a program, quoted or not; crons differ in what a backslash means.
_REFUSED = {"crontab": "\\", "systemd": "\"'\\"}

_RUN_MINUTE = 17

_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")

_POD_USER = "65532"
"""A user without a name or rights, as in the Dockerfile: nothing in a container runs as root."""

_EXAMPLE = JobNeeds(
    variables=("EXAMPLE_PROD_KEY",),
    text="""\
[gateways.example]
url = "https://gateway.example"
scopes.prod = { key = "env:EXAMPLE_PROD_KEY" }
""",
)
"""The config in schedules whose job has no home of this machine, where there is none yet."""


class Place(Struct, frozen=True):
    """Where the program and its home are, and who owns them.

    Args:
        command: the absolute path of the program.
        home: the absolute path of the directory with config, database and reports.
        tree: the source tree of the program; None for an installed package.
        user: the name of the home's owner; None if that is root, or unknown.
        user_id: that owner's user and group, as `1000:1000`.
        now: the time, with the machine's time zone.
        config: the absolute path of a config that is not `modelwatch.toml` in the home; None for that one.
    """

    command: str
    home: str
    tree: str | None = None
    user: str | None = None
    user_id: str | None = None
    now: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    config: str | None = None


Files = Mapping[str, str]
"""The texts of files by their names."""


def _kinds(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Return the kinds that begin with a text, for completion in a shell."""
    return [kind for kind in KINDS if kind.startswith(incomplete)]


@click.command()
@with_home
@click.argument("kind", shell_complete=_kinds)
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Write the files into this directory instead of printing them.",
)
@click.option("--force", is_flag=True, help="With --output: overwrite files that are there.")
def schedule(home: Home, *, kind: str, output: Path | None, force: bool) -> None:
    """Print a schedule for cron, systemd, Kubernetes, GitHub Actions or Compose.

    KIND is crontab, systemd, kubernetes, github-actions or compose. The schedule has the paths of this
    installation, the variables that the config needs, and the times of daily and weekly reports. The comment
    at the top of a file says how to install it. systemd needs several files, so it needs --output.
    """
    needs = home.job_needs()
    files = schedule_files(kind, _place(home), needs)
    if output is None:
        if len(files) > 1:
            raise QuestionError(
                f"{kind} needs {len(files)} files: write them with --output DIR, such as --output {kind}"
            )
        click.echo("".join(files.values()), nl=False)
    else:
        for path in _written(files, output, overwrite=force):
            click.echo(f"wrote {path}")
        click.echo(f"next: follow the comment at the top of {output / next(iter(files))}")
    if needs is None:
        click.echo(
            f"modelwatch: {home.config_path or home.directory}: there is no config yet, so the schedule has"
            " no variables and times of reports: write one with `modelwatch init`, or name another home by"
            " --home or MODELWATCH_HOME; then repeat this",
            err=True,
        )


def print_schedule(home: Home, kind: str) -> None:
    """Print the schedule of one kind, or how to write it where it has several files."""
    files = schedule_files(kind, _place(home), home.job_needs())
    if len(files) > 1:
        click.echo(f"{', '.join(files)}: write them with `modelwatch schedule {kind} --output {kind}`")
    else:
        click.echo("".join(files.values()), nl=False)


def _written(files: Files, directory: Path, *, overwrite: bool) -> Iterator[Path]:
    """Write files into a directory; yield their paths.

    Raises:
        StoreError: a file exists already, or cannot be written.
    """
    paths = {directory / name: text for name, text in files.items()}
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for path in paths:
            if path.exists() and not overwrite:
                raise StoreError("exists: name another directory, or add --force", path=path)
        for path, text in paths.items():
            path.write_text(text, "utf-8")
            yield path
    except OSError as error:
        raise StoreError(
            f"cannot be written: {error.strerror}", path=Path(error.filename or directory)
        ) from error


def _place(home: Home) -> Place:
    directory = home.directory.absolute()
    program = _program()
    launcher = program.name == "modelwatch" and program.parent.name == "cron"
    user = user_id = None
    if directory.is_dir() and (owner := directory.stat()).st_uid:
        user_id = f"{owner.st_uid}:{owner.st_gid}"
        # A user of a container has no name.
        with suppress(KeyError):
            user = pwd.getpwuid(owner.st_uid).pw_name
    return Place(
        str(program),
        str(directory),
        str(program.parents[1]) if launcher else None,
        user,
        user_id,
        datetime.fromisoformat(clock()()).astimezone(),
        str(home.config_path.absolute()) if home.config_path and home.config_required else None,
    )


def _program() -> Path:
    """Return the program to start: the launcher of a source tree, or the installed command."""
    launcher = Path(__file__).resolve().parents[2] / "cron" / "modelwatch"
    installed = Path(sys.executable).with_name("modelwatch")
    for program in (launcher, installed):
        if program.is_file():
            return program
    raise MissingPart("this installation has no command `modelwatch`: install it with pip")


def schedule_files(kind: str, place: Place, needs: JobNeeds | None = None) -> Files:
    """Return the files of a schedule, the one whose comment says how to install them first.

    Args:
        kind: one of `KINDS`.
        place: where the program and its home are.
        needs: what the config needs; None without a config.

    Raises:
        QuestionError: the kind is unknown, or this scheduler cannot use a path.
    """
    if kind not in _SCHEDULERS:
        near = did_you_mean(kind, KINDS) or f"use one of {', '.join(KINDS)}"
        raise QuestionError(f"{kind!r} is not a kind of schedule: {near}")
    for path in filter(None, (place.command, place.home, place.config)):
        _check(kind, path)
    return _SCHEDULERS[kind](place, needs)


def _check(kind: str, path: str) -> None:
    if not PurePosixPath(path).is_absolute():
        raise QuestionError(f"{path!r} is not absolute: a scheduler does not start in your directory")
    if not path.isprintable() or any(character in path for character in _REFUSED.get(kind, "")):
        raise QuestionError(
            f"{path!r} has characters that a {kind} schedule cannot have: use another directory"
        )


def _fill(template: str, **values: str | Iterable[str]) -> str:
    """Return the text of a template with values; a line of a list alone is replaced by its lines.

    Values are written for the file: escaped, and indented.
    """

    def fill(line: str) -> str:
        alone = _PLACEHOLDER.fullmatch(line.strip())
        value = values[alone[1]] if alone else ""
        if alone and not isinstance(value, str):
            return "".join(f"{each}\n" for each in value)
        return _PLACEHOLDER.sub(lambda found: str(values[found[1]]), line)

    text = (_TEMPLATES / template).read_text("utf-8")
    return "".join(fill(line) for line in text.splitlines(keepends=True))


# Variables and files.


def _env_file(place: Place) -> str:
    return f"{place.home.rstrip('/')}/{ENV_FILE}"


def _env_notes(place: Place, needs: JobNeeds | None) -> Iterator[str]:
    """Yield comments on the file of variables."""
    if needs and needs.variables:
        yield f"# The config needs {_words(needs.variables)}. Store each as a line NAME='value' in the file"
        yield f"# {ENV_FILE} beside the config, which only its owner may read; end it with Ctrl-D:"
        # A `%` in a crontab is escaped, which would be another path for a shell.
        path = f"the path of {ENV_FILE}" if "%" in place.home else shlex.quote(_env_file(place))
        yield f"#   (umask 077; cat > {path})"


def _container_notes(needs: JobNeeds, *, file_secrets: bool) -> Iterator[str]:
    """Yield comments on what a container does not have."""
    named = (*needs.files, *(name for name, _ in needs.named_files))
    absolute = [name for name in named if not _is_inside(name)]
    if absolute:
        yield f"# Not in the container: {_words(absolute)}. Name these files relative to the config."
    if needs.files and not file_secrets:
        yield f"# Not in the workflow: {_words(needs.files)}. Use `env:NAME` instead of `file:`."
    if needs.local_servers and file_secrets:
        yield f"# In a container {_words(needs.local_servers)} is the container: use an address of the host."
    if needs.has_commands:
        yield "# Not in the container: the programs of `command:` references. Add them, or use `env:NAME`."


def _is_inside(name: str) -> bool:
    """Return whether the path of a `file:` reference is one below the config."""
    return not name.startswith(("/", "~", "$")) and ".." not in PurePosixPath(name).parts


def _words(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


# Times of daily and weekly reports.


def _reports(needs: JobNeeds | None) -> dict[Schedule, list[str]]:
    """Return the names of destinations by the time at which they get their reports; none for each run."""
    found: dict[Schedule, list[str]] = {}
    for name, when in needs.reports if needs else ():
        found.setdefault(when, []).append(name)
    return found


def _when(when: Schedule) -> str:
    day = f"{_WEEKDAYS[when.on]} " if when.every == "week" else ""
    return f"{day}{when.at:%H:%M} {when.zone}"


def _about(when: Schedule, names: Sequence[str]) -> str:
    return f"The {'weekly' if when.every == 'week' else 'daily'} report of {_words(names)}, {_when(when)}"


def _cron_times(when: Schedule, now: datetime) -> str | None:
    """Return the five fields of cron; None where the machine's zone is not that of the report.

    Zones are the same if their offsets are, now and in the middle of winter and of summer.
    """
    zone = ZoneInfo(when.zone)
    moments = (now, *(datetime(now.year, month, 1, 12, tzinfo=UTC) for month in (1, 7)))
    for moment in moments:
        if moment.astimezone().utcoffset() != moment.astimezone(zone).utcoffset():
            return None
    return _fields(when)


def _fields(when: Schedule) -> str:
    day = str((when.on + 1) % 7) if when.every == "week" else "*"
    return f"{when.at.minute} {when.at.hour} * * {day}"


def _minute(when: Schedule, local: tzinfo | None, now: datetime) -> int:
    """Return the minute of the hour in which a report is due now, in a zone; None is the machine's."""
    due = datetime.combine(now.astimezone(ZoneInfo(when.zone)).date(), when.at, ZoneInfo(when.zone))
    return due.astimezone(local).minute


# Schedulers.


def _crontab(place: Place, needs: JobNeeds | None) -> Files:
    home, command = _cron_word(place.home), _cron_word(place.command)
    has_variables = needs and needs.variables
    variables = f"set -a; . {_cron_word(_env_file(place))}; " if has_variables else ""
    start = f"{variables}MODELWATCH_HOME={home} {command}"
    config = f" --config {_cron_word(place.config)}" if place.config else ""
    sends = []
    for when, names in _reports(needs).items():
        times = _cron_times(when, place.now)
        hourly = (
            ""
            if times
            else ", which is another zone than this machine's: sent if due, each hour in its minute"
        )
        times = times or f"{_minute(when, None, place.now)} * * * *"
        sends += [f"# {_about(when, names)}{hourly}.", f"{times} {start} send --quiet{config}"]
    if needs is None:
        sends = [
            "# Daily reports go with the first run after their time. To send them on the minute, add",
            f"#   30 7 * * * {start} send --quiet{config}",
        ]
    return {
        "crontab": _fill("crontab", run=f"{start} run{config}", notes=_env_notes(place, needs), sends=sends)
    }


def _cron_word(path: str) -> str:
    """Quote a word for the shell; cron turns a bare `%` into a new line, see crontab(5)."""
    return shlex.quote(path).replace("%", r"\%")


def _systemd(place: Place, needs: JobNeeds | None) -> Files:
    reports = _reports(needs)
    units = ["modelwatch.timer", *(["modelwatch-send.timer"] if reports else [])]
    files = {
        "modelwatch.service": _service(place, needs, "run", _install(place, units)),
        "modelwatch.timer": _fill(
            "modelwatch.timer",
            description="Pull the model lists of the LLM gateways every hour",
            times=[
                "OnCalendar=hourly",
                "# Starts at a random time in the first ten minutes, since gateways are busiest on the hour.",
                "RandomizedDelaySec=10min",
            ],
        ),
    }
    if reports:
        files["modelwatch-send.service"] = _service(
            place, needs, "send --quiet", ["# Installed with modelwatch.service."]
        )
        times = []
        for when, names in reports.items():
            day = f"{_WEEKDAYS[when.on]} " if when.every == "week" else ""
            times += [
                f"# {_about(when, names)}.",
                f"OnCalendar={day}*-*-* {when.at:%H:%M}:00 {when.zone}",
            ]
        files["modelwatch-send.timer"] = _fill(
            "modelwatch.timer",
            description="Send the daily and weekly reports of modelwatch",
            times=[*times, "AccuracySec=1s"],
        )
    return files


def _service(place: Place, needs: JobNeeds | None, arguments: str, install: Iterable[str]) -> str:
    is_run = arguments == "run"
    unit = "modelwatch" if is_run else "modelwatch-send"
    return _fill(
        "modelwatch.service",
        about=f"One {'run' if is_run else 'sending'}, started by {unit}.timer.",
        description="Pull the model lists of the LLM gateways"
        if is_run
        else "Send the reports of modelwatch",
        install=install,
        notes=_env_notes(place, needs) if is_run else (),
        user=place.user or "modelwatch",
        home=_systemd_word(place.home),
        command=_systemd_word(place.command),
        environment=[f"EnvironmentFile={_systemd_word(_env_file(place))}"]
        if needs and needs.variables
        else (),
        arguments=arguments + (f' --config "{_systemd_word(place.config)}"' if place.config else ""),
    )


def _install(place: Place, timers: Sequence[str]) -> Iterator[str]:
    """Yield the steps that install the units, as comments."""
    home, command = shlex.quote(place.home), shlex.quote(place.command)
    yield "# Install as root:"
    if not place.user:
        yield "#   useradd --system --no-create-home modelwatch"
        yield f"#   install -d -o modelwatch -g modelwatch -m 700 {home}"
        yield f"#   chown -R modelwatch: {home}"
    if place.tree or place.command.endswith("/cron/modelwatch"):
        yield f"#   {command} --version      # sets up its environment, which the service may not write"
    yield "#   cp modelwatch*.service modelwatch*.timer /etc/systemd/system/"
    yield f"#   systemctl daemon-reload && systemctl enable --now {' '.join(timers)}"


def _systemd_word(text: str) -> str:
    """Escape inside the double quotes of the file; `%` begins a specifier, see systemd.unit(5)."""
    return text.replace("%", "%%")


def _kubernetes(_place: Place, given: JobNeeds | None) -> Files:
    needs = given or _EXAMPLE
    files = [name for name in needs.files if _is_inside(name)]
    jobs = [_cron_job("modelwatch", f"{_RUN_MINUTE} * * * *", "Etc/UTC", "run", needs, files)]
    for number, when in enumerate(_reports(needs), 1):
        name = "modelwatch-send" if number == 1 else f"modelwatch-send-{number}"
        jobs.append(_cron_job(name, _fields(when), when.zone, "send --quiet", needs, files))
    text = _fill(
        "kubernetes.yaml",
        notes=_kubernetes_notes(given, needs, files),
        config=_indented(2, [*_block("modelwatch.toml", needs.text), *_blocks(needs)]),
    )
    return {"kubernetes.yaml": text + "".join(jobs)}


def _blocks(needs: JobNeeds) -> Iterator[str]:
    """Yield the other files of the config, for the ConfigMap."""
    for name, text in _inside(needs):
        yield from _block(_yaml(_secret_key(name)), text)


def _inside(needs: JobNeeds) -> list[tuple[str, str]]:
    return [(name, text) for name, text in needs.named_files if _is_inside(name)]


def _block(key: str, text: str) -> Iterator[str]:
    """Yield a text as a literal block of YAML: https://yaml.org/spec/1.2.2/#812-literal-style."""
    # The indentation is named, as a text may begin with spaces.
    yield f"{key}: |2"
    yield from (f"  {line}" if line else "" for line in text.removesuffix("\n").split("\n"))


def _kubernetes_notes(given: JobNeeds | None, needs: JobNeeds, files: Sequence[str]) -> Iterator[str]:
    steps = []
    if needs.variables:
        steps.append(
            [
                f"Store {_words(needs.variables)}, each as a line NAME=value in keys.env:",
                "  kubectl create secret generic modelwatch-keys --from-env-file=keys.env",
            ]
        )
    if files:
        arguments = " ".join(f"--from-file={shlex.quote(f'{_secret_key(name)}={name}')}" for name in files)
        steps.append(
            [
                "Store the files of the config, from the directory of the config:",
                f"  kubectl create secret generic modelwatch-files {arguments}",
            ]
        )
    if given is None:
        steps.append(["Add your gateways to the config below."])
    for number, lines in enumerate(steps, 2):
        first, *rest = lines
        yield f"# {number}. {first}"
        yield from (f"#    {line}" for line in rest)
    yield "# After an edit of modelwatch.toml, write this file anew, or edit the config below too."
    yield from _container_notes(needs, file_secrets=True)


def _cron_job(name: str, times: str, zone: str, command: str, needs: JobNeeds, files: Sequence[str]) -> str:
    words = [
        "# 5: an answer is held until the next one agrees. The run succeeded, and the report has the hold.",
        f'command: [/bin/sh, -c, "modelwatch {command} || [ $? -eq 5 ]"]',
    ]
    if not command.startswith("run"):
        words = [f"command: [modelwatch, {', '.join(command.split())}]"]
    variables = []
    if files:
        # `file:PATH` is searched here first.
        variables += ["  - name: CREDENTIALS_DIRECTORY", "    value: /run/secrets/modelwatch"]
    if needs.variables:
        variables += ["envFrom:", "  - secretRef:", "      name: modelwatch-keys"]
    items = [
        line
        for each in files
        for line in (f"      - key: {_yaml(_secret_key(each))}", f"        path: {_yaml(each)}")
    ]
    mounts = [
        line
        for each, _ in _inside(needs)
        for line in (
            "- name: config",
            f"  mountPath: {_yaml(f'/data/{each}')}",
            f"  subPath: {_yaml(_secret_key(each))}",
            "  readOnly: true",
        )
    ]
    if files:
        mounts += ["- name: keys", "  mountPath: /run/secrets/modelwatch", "  readOnly: true"]
    return _fill(
        "kubernetes-job.yaml",
        name=name,
        times=times,
        zone=zone,
        command=_indented(14, words),
        variables=_indented(14, variables),
        mounts=_indented(16, mounts),
        volumes=_indented(
            12,
            ["- name: keys", "  secret:", "    secretName: modelwatch-files", "    items:", *items]
            if files
            else (),
        ),
    )


def _secret_key(name: str) -> str:
    """Return a key of a Secret for a file: letters, digits, `-`, `_` and `.` only."""
    return re.sub(r"[^A-Za-z0-9._-]", ".", name)


def _github_actions(_place: Place, given: JobNeeds | None) -> Files:
    needs = given or _EXAMPLE
    notes = [
        f"# {_about(when, names)}: goes with the first run after it."
        for when, names in _reports(needs).items()
    ]
    if needs.variables:
        notes.insert(0, f"# Store as secrets of the repository: {_words(needs.variables)}.")
    values = [f"  {name}: ${{{{ secrets.{name} }}}}" for name in needs.variables]
    return {
        "github-actions.yml": _fill(
            "github-actions.yml",
            notes=[*notes, *_container_notes(needs, file_secrets=False)],
            files=shlex.join(("modelwatch.toml", *(name for name, _ in _inside(needs)))),
            variables=_indented(8, ["env:", *values] if values else ()),
        )
    }


def _compose(place: Place, given: JobNeeds | None) -> Files:
    if place.config:
        raise QuestionError(f"the container has no {place.config!r}: move it to modelwatch.toml in the home")
    needs = given or JobNeeds()
    build = (
        [
            "# The image has no file of the home.",
            f"build: {{ context: {_compose_word(place.tree)}, dockerfile: cron/Dockerfile }}",
        ]
        if place.tree
        else ["# Build it from a source tree: docker build -f cron/Dockerfile -t modelwatch ."]
    )
    sends: dict[int, list[str]] = {}
    for when, names in _reports(needs).items():
        minute = _minute(when, UTC, place.now)
        if minute != _RUN_MINUTE:
            sends.setdefault(minute, []).append(_about(when, names))
    owner = (
        ()
        if place.user_id
        else (f"#   chown -R {_POD_USER}:{_POD_USER} {shlex.quote(place.home)}      # before the start",)
    )
    return {
        "compose.yaml": _fill(
            "compose.yaml",
            build=_indented(4, build),
            notes=[*owner, *_env_notes(place, needs), *_container_notes(needs, file_secrets=True)],
            user=place.user_id or f"{_POD_USER}:{_POD_USER}",
            environment=_indented(
                4, [f"env_file: [{_compose_word(_env_file(place))}]"] if needs.variables else ()
            ),
            home=_compose_word(place.home)[1:-1],
            sends=[
                line
                for minute, abouts in sorted(sends.items())
                for line in (
                    *(f"          # {about}: sent if due, each hour in its minute." for about in abouts),
                    f"          {minute:02}) modelwatch send --quiet ;;",
                )
            ],
        )
    }


def _indented(columns: int, lines: Iterable[str]) -> list[str]:
    return [" " * columns + line if line else "" for line in lines]


def _yaml(text: str) -> str:
    """Return a text in double quotes; YAML has the escapes of JSON."""
    return json.dumps(text, ensure_ascii=False)


def _compose_word(text: str) -> str:
    """Return a text in double quotes, `$` doubled: Compose would read a variable."""
    return _yaml(text).replace("$", "$$")


_SCHEDULERS: dict[str, Callable[[Place, JobNeeds | None], Files]] = {
    "crontab": _crontab,
    "systemd": _systemd,
    "kubernetes": _kubernetes,
    "github-actions": _github_actions,
    "compose": _compose,
}

KINDS: tuple[str, ...] = tuple(_SCHEDULERS)
