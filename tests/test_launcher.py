"""The launcher `cron/modelwatch`: it sets up an environment once, and then only starts the program."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from zipfile import ZipFile

import pytest
from support import ROOT

# Stands in for Python where only the launcher's own steps matter: it answers the probe, makes an
# environment of two files, names a platform and version, installs a program that prints how it was started,
# and logs each call.
FAKE = r"""#!/bin/sh
state=@STATE@
case "$1 $2" in
-c*SOABI*) echo target >>"$state/calls"; cat "$state/target" ;;
-c*) echo probe >>"$state/calls"; echo "$state/python" ;;
"-m venv")
    echo venv >>"$state/calls"
    mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
"-m pip")
    echo "pip $PWD: $*" >>"$state/calls"
    [ -p "$state/gate" ] && { cat "$state/gate"; rm -f "$state/gate"; }
    [ -e "$state/broken" ] && { cat "$state/broken"; exit 1; }
    cat >"${0%/python}/modelwatch" <<'PROGRAM'
#!/bin/sh
case "$1" in
leave) exit "$2" ;;
read) cat ;;
*) printf '%s\n' "$MODELWATCH_HOME" "$PWD" "$@" ;;
esac
PROGRAM
    chmod 755 "${0%/python}/modelwatch" ;;
"-m pytest") printf '%s\n' "$PWD" "$@" ;;
*) exit 99 ;;
esac
"""

FIRST = ["probe", "venv", "target", "pip", "pip"]
"""The calls of a first start."""

UPDATE = ["target", "pip", "pip"]
"""The calls of a start after the requirements have changed."""

TINY_PROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]

[project]
name = "tiny"
version = "1"
"""

TINY_BACKEND = """
from pathlib import Path
from zipfile import ZipFile

FILES = {
    "tiny.py": "import os, sys\\ndef main(): print(sys.argv[1], os.getcwd()); return 5",
    "tiny-1.dist-info/METADATA": "Metadata-Version: 2.1\\nName: tiny\\nVersion: 1",
    "tiny-1.dist-info/WHEEL": "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any",
    "tiny-1.dist-info/entry_points.txt": "[console_scripts]\\nmodelwatch = tiny:main",
    "tiny-1.dist-info/RECORD": "",
}

def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    wheel = Path(wheel_directory, "tiny-1-py3-none-any.whl")
    with ZipFile(wheel, "w") as archive:
        for name, text in FILES.items():
            archive.writestr(name, text)
    return wheel.name
"""


@dataclass(frozen=True, slots=True)
class Tree:
    """A copy of the source tree, with spaces in its path, and the files of the fake Python."""

    root: Path
    state: Path

    @property
    def launcher(self) -> Path:
        return self.root / "cron" / "modelwatch"

    @property
    def python(self) -> Path:
        return self.state / "python"

    @property
    def calls(self) -> list[str]:
        """The calls of the fake Python, in order: probe, venv, target, pip."""
        log = self.state / "calls"
        return [line.partition(" ")[0] for line in log.read_text().splitlines()] if log.exists() else []

    @property
    def installed(self) -> list[str]:
        """The arguments of each call of pip, without those that are always the same."""
        log = (self.state / "calls").read_text().splitlines()
        return [line.partition("--disable-pip-version-check ")[2] for line in log if line.startswith("pip ")]

    def environ(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        return {"PYTHON": str(self.python), **(extra or {})}

    def start(
        self, *arguments: str, at: Path | None = None, env: Mapping[str, str] | None = None, stdin: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Start the launcher from `/` and wait for it; `env` is the whole environment."""
        return subprocess.run(
            [at or self.launcher, *arguments],
            cwd="/",
            env=self.environ() if env is None else env,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def begin(self, *arguments: str) -> subprocess.Popen[str]:
        """Start the launcher without waiting for it."""
        return subprocess.Popen(
            [self.launcher, *arguments],
            cwd="/",
            env=self.environ(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def gate(self) -> Path:
        """Make pip wait: to open this file for writing waits for pip, to close it lets pip continue."""
        os.mkfifo(self.state / "gate")
        return self.state / "gate"

    def is_clean(self) -> bool:
        """Return whether the environment is the only new file."""
        return {path.name for path in self.root.iterdir()} <= {"cron", "tests", "pyproject.toml", ".venv"}


PROJECT = "--no-deps --no-build-isolation --editable ."


def locked(*names: str) -> str:
    """Return the arguments of pip that install locked requirements."""
    return " ".join(["--require-hashes", *(f"--requirement cron/requirements/{name}.txt" for name in names)])


def newest(extras: str) -> str:
    """Return the arguments of pip that install the newest versions."""
    return f"--upgrade --upgrade-strategy eager --editable .[{extras}]"


def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stderr
    return process.stderr.readline()


def script(path: Path, body: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(body)
    path.chmod(0o755)
    return path


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    root, state = tmp_path / "a tree", tmp_path / "its state"
    shutil.copytree(ROOT / "cron", root / "cron")
    (root / "tests").mkdir()
    shutil.copy(ROOT / "tests" / "run", root / "tests")
    (root / "pyproject.toml").write_text("# as it was\n")
    state.mkdir()
    (state / "target").write_text("x86_64-linux-gnu 3.13\n")
    script(state / "python", FAKE.replace("@STATE@", shlex.quote(str(state))))
    return Tree(root, state)


def test_the_first_start_sets_up_in_order_and_runs_the_program(tree: Tree) -> None:
    ran = tree.start("run", "two words")
    assert ran.returncode == 0
    assert ran.stdout.splitlines() == [str(tree.root / "data"), "/", "run", "two words"]
    (line,) = ran.stderr.splitlines()
    assert line == f"modelwatch: setting up {tree.root}/.venv, this once (about a minute)"
    assert tree.calls == FIRST
    assert f"pip {tree.root}: -m pip install --quiet" in (tree.state / "calls").read_text()
    assert tree.installed == [locked("base", "browse"), PROJECT]
    assert tree.is_clean()


def test_later_starts_run_only_the_program(tree: Tree) -> None:
    tree.start("run")
    before = tree.calls
    ran = tree.start("run")
    assert (ran.returncode, ran.stderr, tree.calls) == (0, "", before)


def test_a_shell_that_completes_a_line_sets_nothing_up_and_gets_the_program_s_answer(tree: Tree) -> None:
    asked = tree.environ({"_MODELWATCH_COMPLETE": "bash_complete"})
    ran = tree.start("run", env=asked)
    assert (ran.returncode, ran.stdout, ran.stderr, tree.calls) == (0, "", "", [])
    assert not (tree.root / ".venv").exists()
    tree.start("run")
    (tree.root / "pyproject.toml").write_text("# changed\n")
    before = tree.calls
    ran = tree.start("run", env=asked)
    assert (ran.returncode, ran.stdout.splitlines()[-1], tree.calls) == (0, "run", before)


def test_an_empty_environment_and_another_directory_are_enough(tree: Tree) -> None:
    tree.start("run")
    ran = tree.start("run", env={})
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.splitlines() == [str(tree.root / "data"), "/", "run"]


@pytest.mark.parametrize("code", [0, 5, 75, 78])
def test_the_exit_status_is_that_of_the_program(tree: Tree, code: int) -> None:
    assert tree.start("leave", str(code)).returncode == code
    assert tree.start("leave", str(code)).returncode == code


def test_the_home_is_data_where_the_variable_is_unset_or_empty(tree: Tree) -> None:
    named = tree.start(env=tree.environ({"MODELWATCH_HOME": "/srv/some where"}))
    assert named.stdout.splitlines()[0] == "/srv/some where"
    empty = tree.start(env=tree.environ({"MODELWATCH_HOME": ""}))
    assert empty.stdout.splitlines()[0] == str(tree.root / "data")


def test_set_up_leaves_standard_input_to_the_program(tree: Tree) -> None:
    assert tree.start("read", stdin="for the program").stdout == "for the program"


def test_a_link_to_a_link_starts_the_same_tree(tree: Tree, tmp_path: Path) -> None:
    (tmp_path / "bin dir").mkdir()
    (tmp_path / "bin dir" / "inner").symlink_to(Path("..") / "a tree" / "cron" / "modelwatch")
    (tmp_path / "outer").symlink_to(tmp_path / "bin dir" / "inner")
    ran = tree.start("run", at=tmp_path / "outer")
    assert ran.stdout.splitlines() == [str(tree.root / "data"), "/", "run"]


def test_a_changed_pyproject_is_installed_once_in_the_same_environment(tree: Tree) -> None:
    tree.start("run")
    (tree.root / "pyproject.toml").write_text("# as it is now\n")
    ran = tree.start("run")
    assert tree.calls == FIRST + UPDATE
    assert f"updating {tree.root}/.venv, since its requirements have changed" in ran.stderr
    assert tree.start("run").stderr == ""


def test_a_changed_lock_is_installed_once_and_that_of_another_environment_is_not(tree: Tree) -> None:
    tree.start("run")
    locks = tree.root / "cron" / "requirements"
    (locks / "test.txt").write_text("# as it is now\n")
    assert tree.start("run").stderr == ""
    with (locks / "browse.txt").open("a") as lock:
        lock.write("# as it is now\n")
    assert f"updating {tree.root}/.venv" in tree.start("run").stderr
    assert tree.start("run").stderr == ""
    assert tree.calls == FIRST + UPDATE


def test_an_environment_with_a_dangling_python_is_made_again(tree: Tree) -> None:
    tree.start("run")
    python = tree.root / ".venv" / "bin" / "python"
    python.unlink()
    python.symlink_to("/nowhere/python3")
    assert tree.start("leave", "5").returncode == 5
    assert tree.calls == FIRST * 2
    assert tree.is_clean()


def test_a_tree_that_moved_is_set_up_again(tree: Tree, tmp_path: Path) -> None:
    """An environment has absolute paths in it."""
    tree.start("run")
    moved = Tree(tree.root.rename(tmp_path / "another place"), tree.state)
    ran = moved.start("run")
    assert ran.stdout.splitlines()[0] == str(moved.root / "data")
    assert tree.calls == FIRST * 2


def test_a_failed_pip_is_shown_and_the_next_start_repeats_the_set_up(tree: Tree) -> None:
    """The exit status is 69."""
    (tree.state / "broken").write_text("ERROR: a reason of its own\n")
    failed = tree.start("run")
    assert (failed.returncode, failed.stdout) == (69, "")
    assert "pip could not install the project" in failed.stderr
    assert "a reason of its own" in failed.stderr
    assert not (tree.root / ".venv" / ".modelwatch").exists()
    (tree.state / "broken").unlink()
    assert tree.start("leave", "3").returncode == 3
    assert tree.calls == FIRST[:-1] + FIRST
    assert tree.is_clean()


def test_after_a_failed_update_the_program_is_not_started_and_the_next_start_repeats_it(tree: Tree) -> None:
    tree.start("run")
    (tree.root / "pyproject.toml").write_text("# as it is now\n")
    (tree.state / "broken").touch()
    assert tree.start("run").returncode == 69
    assert tree.start("run").returncode == 69
    (tree.state / "broken").unlink()
    assert tree.start("run").returncode == 0


def test_an_environment_that_the_launcher_did_not_make_is_refused_and_kept(tree: Tree) -> None:
    kept = tree.root / ".venv" / "pyvenv.cfg"
    kept.parent.mkdir()
    kept.write_text("mine\n")
    ran = tree.start("run")
    assert ran.returncode == 69
    assert f"cannot make {tree.root}/.venv" in ran.stderr
    assert kept.read_text() == "mine\n"


@pytest.fixture
def shims(tmp_path: Path) -> Path:
    """A directory with a program for each name of Python that the launcher tries; none works."""
    for name in ("python3", *(f"python3.{minor}" for minor in range(11, 16))):
        script(tmp_path / "shims" / name, "#!/bin/sh\nexit 127\n")
    return tmp_path / "shims"


def test_without_a_python_each_candidate_is_named_and_the_message_says_what_to_install(
    tree: Tree, shims: Path
) -> None:
    old = script(shims / "old", "#!/bin/sh\nexit 11\n")
    ran = tree.start("run", env={"PATH": f"{shims}:{os.defpath}", "PYTHON": str(old)})
    assert (ran.returncode, ran.stdout) == (69, "")
    assert f"{old} older than 3.11, python3 not found" in ran.stderr
    assert "install Python 3.11 or newer, or set PYTHON=" in ran.stderr
    assert tree.is_clean()


def test_the_message_on_a_python_without_venv_names_the_package(tree: Tree, shims: Path) -> None:
    """On Debian it is a package of its own: python3-venv."""
    script(shims / "python3.11", "#!/bin/sh\nexit 12\n")
    ran = tree.start("run", env={"PATH": f"{shims}:{os.defpath}"})
    assert ran.returncode == 69
    assert "python3.11 without venv" in ran.stderr
    assert "apt install python3-venv" in ran.stderr


def test_a_python3_that_does_not_work_is_skipped(tree: Tree, shims: Path) -> None:
    shutil.copy(tree.python, shims / "python3.13")
    ran = tree.start("leave", "5", env={"PATH": f"{shims}:{os.defpath}", "PYTHON": "/nowhere/python"})
    assert (ran.returncode, tree.calls) == (5, FIRST)


@pytest.mark.parametrize(
    ("version", "modules", "code"),
    [
        ((3, 10, 9), (), 11),
        ((3, 11, 0), (), 0),
        ((3, 14, 2), ("ensurepip",), 12),
        ((3, 12, 1), ("venv",), 12),
    ],
)
def test_the_probe_finds_what_a_python_lacks(
    tree: Tree, shims: Path, version: tuple[int, int, int], modules: tuple[str, ...], code: int
) -> None:
    asked = tree.state / "asked"
    script(shims / "python3", f'#!/bin/sh\nprintf "%s" "$2" >{shlex.quote(str(asked))}\n')
    assert tree.start("run", env={"PATH": f"{shims}:{os.defpath}"}).returncode == 69
    probe = asked.read_text()
    pretend = f"import sys; sys.version_info = {version}; sys.modules.update(dict.fromkeys({modules}))\n"
    ran = subprocess.run([sys.executable, "-c", pretend + probe], capture_output=True, text=True, check=False)
    assert ran.returncode == code
    assert ran.stdout == ("" if code else f"{os.path.realpath(sys.executable)}\n")


def test_of_two_first_starts_one_sets_up_and_the_other_waits(tree: Tree) -> None:
    gate = tree.gate()
    with tree.begin("leave", "3") as first, gate.open("w") as held, tree.begin("leave", "4") as second:
        line = first_line(second)
        calls = tree.calls
        held.close()
        first.communicate(timeout=60)
        second.communicate(timeout=60)
    assert line == f"modelwatch: waiting for process {first.pid}, which is setting up {tree.root}/.venv\n"
    assert (first.returncode, second.returncode) == (3, 4)
    assert (calls, tree.calls) == (FIRST[:-1], FIRST)
    assert tree.is_clean()


def test_many_first_starts_at_once_set_up_once_and_all_run(tree: Tree) -> None:
    started = [tree.begin("leave", str(code)) for code in range(8)]
    for code, process in enumerate(started):
        process.communicate(timeout=60)
        assert process.returncode == code
    assert tree.calls == FIRST
    assert tree.is_clean()


def leave_lock(tree: Tree, *, holder: int, step: int) -> None:
    """Leave a lock, as a killed set-up does."""
    lock = tree.root / ".venv.lock"
    lock.mkdir()
    (lock / str(holder)).write_text(f"{step}\n")


def test_the_lock_of_a_dead_process_is_removed(tree: Tree) -> None:
    with subprocess.Popen(["true"]) as gone:
        pass
    leave_lock(tree, holder=gone.pid, step=gone.pid)
    assert tree.start("leave", "5").returncode == 5
    assert tree.is_clean()


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="a zombie is recognised by /proc only")
def test_a_zombie_holds_no_lock(tree: Tree) -> None:
    """In a container whose first process reaps no orphans, a zombie stays for ever."""
    with subprocess.Popen(["true"]) as unasked:
        os.waitid(os.P_PID, unasked.pid, os.WEXITED | os.WNOWAIT)
        leave_lock(tree, holder=unasked.pid, step=unasked.pid)
        assert tree.start("leave", "5").returncode == 5
    assert tree.is_clean()


def test_an_empty_lock_is_removed_after_some_seconds(tree: Tree) -> None:
    """Its holder died before writing its process id; `sleep` is made short here."""
    (tree.root / ".venv.lock").mkdir()
    quick = script(tree.state / "bin" / "sleep", "#!/bin/sh\n").parent
    assert tree.start("leave", "5", env=tree.environ({"PATH": f"{quick}:{os.defpath}"})).returncode == 5
    assert tree.is_clean()


def test_after_a_killed_set_up_the_next_start_waits_for_its_pip_and_begins_again(tree: Tree) -> None:
    gate = tree.gate()
    with tree.begin("run") as killed, gate.open("w") as held:
        gate.unlink()
        killed.kill()
        killed.wait()
        with tree.begin("leave", "5") as following:
            line = first_line(following)
            held.close()
            following.communicate(timeout=60)
    assert line == f"modelwatch: waiting for process {killed.pid}, which is setting up {tree.root}/.venv\n"
    assert following.returncode == 5
    assert tree.calls == FIRST[:-1] + FIRST
    assert tree.is_clean()


def test_a_set_up_ended_by_sigterm_leaves_no_lock_and_does_not_start_the_program(tree: Tree) -> None:
    gate = tree.gate()
    with tree.begin("run") as stopped, gate.open("w") as held:
        stopped.send_signal(signal.SIGTERM)
        held.close()
        printed, _ = stopped.communicate(timeout=60)
    assert (stopped.returncode, printed) == (128 + signal.SIGTERM, "")
    assert tree.is_clean()
    assert not (tree.root / ".venv" / ".modelwatch").exists()


def test_the_launcher_of_the_tests_sets_up_its_own_environment(tree: Tree) -> None:
    """With the extra `test` and those that it names; arguments go to pytest."""
    ran = tree.start("-k", "two words", at=tree.root / "tests" / "run")
    assert ran.stdout.splitlines() == [str(tree.root), "-m", "pytest", "-k", "two words"]
    assert tree.installed == [locked("base", "browse", "notify", "lake", "fleet", "test"), PROJECT]
    assert (tree.root / ".venv-test" / ".modelwatch").exists()
    assert not (tree.root / ".venv").exists()


@pytest.mark.parametrize(
    "target",
    ["x86_64-linux-gnu 3.11", "x86_64-linux-gnu 3.14", "aarch64-linux-musl 3.12", "arm64-darwin 3.13"],
)
def test_a_platform_and_version_of_the_locks_gets_the_locked_packages(tree: Tree, target: str) -> None:
    (tree.state / "target").write_text(target)
    assert len(tree.start("run").stderr.splitlines()) == 1
    assert tree.installed == [locked("base", "browse"), PROJECT]


@pytest.mark.parametrize(
    "target",
    [
        "x86_64-linux-gnu 3.15",
        "x86_64-linux-gnu 3.13t",
        "x86_64-linux-gnu 3.1",
        "arm-linux-gnueabihf 3.11",
        "linux-gnu 3.11",
        "pypy 3.11",
    ],
)
def test_any_other_platform_or_version_gets_the_newest_packages_with_a_warning(
    tree: Tree, target: str
) -> None:
    (tree.state / "target").write_text(target)
    platform, version = target.split()
    ran = tree.start("leave", "5")
    assert ran.returncode == 5
    warning = f"cron/requirements/ does not cover Python {version} on {platform}"
    assert ran.stderr.splitlines()[1:] == [
        f"modelwatch: {warning}: installing the newest versions, unchecked"
    ]
    assert tree.installed == [newest("browse")]
    assert tree.start("run").stderr == ""


def test_a_lock_that_lacks_what_another_has_is_enough_for_the_newest(tree: Tree) -> None:
    """The tests' lock has no wheels for Alpine Linux; that of the program has them."""
    (tree.state / "target").write_text("x86_64-linux-musl 3.12")
    tree.start("run")
    tree.start(at=tree.root / "tests" / "run")
    assert tree.installed == [locked("base", "browse"), PROJECT, newest("browse,notify,lake,fleet,test")]


def test_newest_installs_the_newest_packages_now_and_is_not_passed_on(tree: Tree) -> None:
    tree.start("run")
    ran = tree.start("--newest", "run", "--newest")
    assert ran.stdout.splitlines() == [str(tree.root / "data"), "/", "run", "--newest"]
    assert f"updating {tree.root}/.venv, to the newest packages, unchecked" in ran.stderr
    assert tree.start("--newest", "leave", "5").returncode == 5
    assert tree.installed[2:] == [newest("browse")] * 2
    ran = tree.start("--newest", "-k", "one", at=tree.root / "tests" / "run")
    assert ran.stdout.splitlines() == [str(tree.root), "-m", "pytest", "-k", "one"]
    assert tree.installed[4:] == [newest("browse,notify,lake,fleet,test")]


def test_with_adds_an_extra_that_later_starts_keep(tree: Tree) -> None:
    tree.start("run")
    ran = tree.start("--with", "notify", "check", "--with", "browse")
    assert ran.stdout.splitlines()[2:] == ["check", "--with", "browse"]
    assert tree.installed[2:] == [locked("base", "browse", "notify"), PROJECT]
    assert [tree.start("run").stderr, tree.start("--with=notify", "run").stderr] == ["", ""]
    (tree.root / ".venv" / "bin" / "python").unlink()
    assert tree.start("run").returncode == 0
    assert tree.installed[4:] == [locked("base", "browse", "notify"), PROJECT]
    tree.start("--with", "lake", "run")
    assert tree.installed[6:] == [locked("base", "browse", "notify", "lake"), PROJECT]
    tree.start("--newest", "run")
    assert tree.installed[8:] == [newest("browse,notify,lake")]


@pytest.mark.parametrize(
    "words", [["--with"], ["--with", "run"], ["--with=", "run"], ["--with", "../x", "run"]]
)
def test_with_takes_the_names_of_extras_only(tree: Tree, words: list[str]) -> None:
    ran = tree.start(*words)
    assert ran.returncode == 64
    assert "write --with notify" in ran.stderr
    assert tree.calls == []


def test_with_of_an_extra_that_is_there_anyway_changes_nothing(tree: Tree) -> None:
    tree.start("run")
    assert tree.start("--with", "browse", "run").stderr == ""
    assert tree.installed == [locked("base", "browse"), PROJECT]


def test_an_environment_stays_with_the_newest_packages(tree: Tree, tmp_path: Path) -> None:
    """Also after a change of the requirements, a failed update, and a new Python."""
    tree.start("--newest", "run")
    assert tree.start("run").stderr == ""
    (tree.root / "pyproject.toml").write_text("# as it is now\n")
    (tree.state / "broken").touch()
    assert tree.start("run").returncode == 69
    (tree.state / "broken").unlink()
    assert tree.start("run").returncode == 0
    (tree.root / ".venv" / "bin" / "python").unlink()
    assert tree.start("run").returncode == 0
    assert tree.installed == [newest("browse")] * 4
    shutil.rmtree(tree.root / ".venv")
    tree.start("run")
    assert tree.installed[4:] == [locked("base", "browse"), PROJECT]


CAUSES = {
    "THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.": "Find out who altered it",
    "WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError\nERROR: No matching "
    "distribution found for httpx==0.28.1": "pip cannot reach a package index",
    "ERROR: No matching distribution found for httpx==0.28.1": "start once with --newest",
}


@pytest.mark.parametrize("output", CAUSES)
def test_a_failure_of_pip_has_its_cause_and_cure_in_the_first_line(tree: Tree, output: str) -> None:
    """The locked packages are never replaced by others because of what an index answers."""
    (tree.state / "broken").write_text(output)
    failed = tree.start("run")
    assert failed.returncode == 69
    line, *rest = failed.stderr.splitlines()[1:]
    assert CAUSES[output] in line
    assert "\n".join(rest) == output
    assert tree.installed == [locked("base", "browse")]


@dataclass(frozen=True, slots=True)
class Tiny:
    """A tree whose project is tiny and needs one wheel; set up by real Python and pip."""

    tree: Tree
    wheel: Path

    def start(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        return self.tree.start(
            *arguments, env={"PYTHON": sys.executable, "PIP_CONFIG_FILE": os.devnull, **env}
        )

    def has_installed_the_wheel(self) -> bool:
        return bool(list((self.tree.root / ".venv").glob("lib/*/site-packages/stone.py")))


def write_wheel(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    with ZipFile(path, "w") as archive:
        archive.writestr("stone.py", text)
        archive.writestr("stone-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: stone\nVersion: 1")
        archive.writestr(
            "stone-1.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any"
        )
        archive.writestr("stone-1.dist-info/RECORD", "")


@pytest.fixture
def tiny(tree: Tree) -> Tiny:
    (tree.root / "pyproject.toml").write_text(TINY_PROJECT)
    (tree.root / "backend.py").write_text(TINY_BACKEND)
    wheel = tree.state / "wheels" / "stone-1-py3-none-any.whl"
    write_wheel(wheel, "weight = 1")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    for lock in (tree.root / "cron" / "requirements").iterdir():
        head = re.findall(r"# .*\n|--only.*\n", lock.read_text())
        lock.write_text("".join([*head, f"stone==1 --hash=sha256:{digest}\n"]))
    return Tiny(tree, wheel)


def test_a_tiny_project_is_installed_by_real_python_and_pip_from_the_index_of_the_machine(tiny: Tiny) -> None:
    """Also where pip is told to require hashes, which a project in a directory cannot have.

    The listing of a directory is an index as pip wants it.
    """
    served = tiny.tree.state / "index" / "stone"
    served.parent.mkdir()
    tiny.wheel.parent.rename(served)
    quiet = type("Quiet", (SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(quiet, directory=str(served.parent))) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        index = f"http://127.0.0.1:{server.server_port}/"
        first = tiny.start("run", PIP_INDEX_URL=index, PIP_REQUIRE_HASHES="1")
        server.shutdown()
    assert (first.returncode, first.stdout) == (5, "run /\n"), first.stderr
    assert len(first.stderr.splitlines()) == 1
    second = tiny.tree.start("run", env={})
    assert (second.returncode, second.stdout, second.stderr) == (5, "run /\n", "")
    assert tiny.has_installed_the_wheel()


def test_real_pip_refuses_a_package_that_is_not_the_locked_one(tiny: Tiny) -> None:
    write_wheel(tiny.wheel, "weight = 0")
    failed = tiny.start("run", PIP_NO_INDEX="1", PIP_FIND_LINKS=tiny.wheel.parent.as_uri())
    assert failed.returncode == 69
    assert "Find out who altered it" in failed.stderr
    assert not tiny.has_installed_the_wheel()


def test_real_pip_without_a_network_names_the_network_and_installs_no_other_version(tiny: Tiny) -> None:
    """Port 9 of this machine has no server."""
    write_wheel(tiny.wheel.with_name("stone-2-py3-none-any.whl"), "weight = 2")
    tiny.wheel.unlink()
    links = tiny.wheel.parent.as_uri()
    failed = tiny.start("run", PIP_INDEX_URL="http://127.0.0.1:9/", PIP_FIND_LINKS=links, PIP_RETRIES="1")
    assert failed.returncode == 69
    assert "pip cannot reach a package index" in failed.stderr
    assert not tiny.has_installed_the_wheel()
