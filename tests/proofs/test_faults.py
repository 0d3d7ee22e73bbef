"""Every command that writes: killed at calls that change files, and with such calls failing once.

Nothing is lost, doubled or half-written, and the next runs complete the history.
"""

from __future__ import annotations

import errno
import json
import random
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from support import amount
from support.e2e import Job, Question, Reply, Scripted
from support.fakes import rows_of
from support.faults import FAIL, KILL, LOG, TEAR, Ended, Worker, worker
from support.mailing import read
from support.proving import (
    SETTLED,
    World,
    current_bodies,
    home,
    problems,
    recorded_events,
    reported_events,
)

from pipeline.browse.publish import MANIFEST
from pipeline.store import Store

pytestmark = pytest.mark.proofs

KILLS = amount(4, 16)
"""The kills of each command, more than two hundred in all."""

FAILURES = amount(7, 28)
"""The most calls of each command that fail."""

NOW = "2026-05-04T06:00:00Z"
LATER = [f"2026-05-04T{hour:02}:00:00Z" for hour in range(7, 10)]
"""An hour apart, so that leases end, holds end and removals are confirmed."""

COMMANDS: dict[str, tuple[str, ...]] = {
    "run": ("run",),
    "sync": ("sync",),
    "report": ("report",),
    "send": ("send",),
    "accept": ("accept", "local/three"),
    "import": ("import", "acme/old", "SAVED", "--dialect", "openai"),
    "rebuild": ("rebuild",),
    "prune": ("prune", "--keep", "1d"),
    "forget": ("forget", "local/two", "--yes"),
    "rename": ("rename", "local/two", "local/four"),
    "merge": ("merge", "OTHER", "--site", "tokyo", "--report"),
    "backup": ("backup", "HOME/copy.db", "--force"),
    "publish": ("publish", "HOME/public"),
    "export": ("export", "--parquet", "HOME/lake"),
    "datasette-config": ("datasette-config", "--force"),
    "outbox": ("outbox", "--retry", "WAITING"),
    "init": ("init", "--force"),
}

DRAFT = re.compile(r"[0-9a-f]{8}(?=\.draft)|-wal|-shm|etilqs_\w+")
"""What differs from draft to draft, and files that SQLite removes at any time."""

DESTINATIONS = """
[destinations.hook]
type = "webhook"
url = "{url}/hook"
severity = "quiet"

[destinations.mails]
type = "eml"
directory = "mails"
from = "watch@example.com"
to = "ann@example.com"
severity = "quiet"

[destinations.web]
type = "files"
directory = "web"
forms = ["html", "atom"]
"""

ERRORS = {
    "write": (errno.ENOSPC, errno.EIO),
    "truncate": (errno.ENOSPC, errno.EIO),
    "allocate": (errno.ENOSPC,),
    "fsync": (errno.ENOSPC, errno.EIO),
    "open": (errno.ENOSPC, errno.EMFILE, errno.EIO),
    "lock": (errno.ENOLCK, errno.EIO),
    "rename": (errno.ENOSPC, errno.EIO),
    "link": (errno.ENOSPC, errno.EIO),
    "unlink": (errno.EIO,),
    "mkdir": (errno.ENOSPC, errno.EIO),
    "chmod": (errno.EIO,),
}
"""The errors of each kind of call."""


@dataclass
class Scene:
    """A gateway, a receiver of reports, and a home in which each command has something to do."""

    world: World
    worker: Worker
    base: Path
    saved: Path
    hook_fails: bool = False
    posts: list[bytes] = field(default_factory=list)
    env: dict[str, str] = field(default_factory=dict)
    waiting: int = 0
    checked: set[tuple[str, str]] = field(default_factory=set)

    @property
    def other(self) -> Path:
        """The database of another site, which has the history that this one begins with."""
        return self.base.with_name("other.db")

    def answer(self, question: Question) -> Reply:
        """Answer as the gateway, or as the receiver of reports."""
        if question.path != "/hook":
            return self.world.answer(question)
        if self.hook_fails:
            return Reply(status=500)
        self.posts.append(question.body)
        return Reply()

    def home(self) -> Job:
        """Return a copy of the home; the one before it is removed."""
        place = self.base.with_name("home")
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(self.base, place)
        self.posts.clear()
        return Job(place, self.env)

    def words(self, job: Job, command: str) -> list[str]:
        """Return the words of a command."""
        places = {
            "HOME": str(job.home),
            "SAVED": str(self.saved),
            "WAITING": str(self.waiting),
            "OTHER": str(self.other),
        }
        return [
            re.sub("HOME|SAVED|WAITING|OTHER", lambda found: places[found[0]], word)
            for word in COMMANDS[command]
        ]

    def do(self, job: Job, command: str, at: str = NOW, **fault: int) -> Ended:
        """Run a command, with a fault."""
        return self.worker.run(job, *self.words(job, command), at=at, **fault)

    def finish(self, job: Job, command: str) -> dict[str, Any]:
        """Run the command again, then the job until nothing is open; return what is known in the end."""
        again = self.do(job, command, LATER[0])
        # What was renamed or forgotten before the kill cannot be so again.
        allowed = SETTLED | ({2} if command in {"accept", "rename", "forget", "outbox"} else set())
        assert again.code in allowed, again
        assert whole_outputs(job, must_exist=command in {"backup", "publish"})
        restore_config(job, self.base)
        for at in LATER[1:]:
            done = self.worker.run(job, "run", at=at)
            assert done.code in SETTLED, done
        assert problems(job.database) == []
        with Store.read(job.database) as store:
            unsent = [
                row["state"] for row in store.rows("select state from deliveries where state <> 'sent'")
            ]
        return {
            "recorded": recorded_events(job.database),
            "current": current_bodies(job.database),
            "reported": reported_events(job),
            "posted": posted(self.posts),
            "mailed": mailed(job),
            "unsent": unsent,
            "files": names(job),
            "exported": [path.read_bytes() for path in sorted(job.home.rglob("*.parquet"))],
        }


def restore_config(job: Job, base: Path) -> None:
    """Put back the config that `init` replaces."""
    shutil.copyfile(base / job.config.name, job.config)


def posted(bodies: list[bytes]) -> Counter[tuple[str, str]]:
    """Count the changes in posted reports; one that arrives again, equal to the byte, counts once."""
    found = [json.loads(body) for body in set(bodies)]
    return Counter((each["kind"], each["model"]) for value in found for each in value["report"]["changes"])


def mailed(job: Job) -> Counter[tuple[str, str]]:
    """Count the changes in mails."""
    values = []
    for path in (job.home / "mails").glob("*.eml"):
        *_, value = read(path.read_bytes()).iter_attachments()
        values.append(json.loads(value.get_content()))
    return Counter((each["kind"], each["model"]) for value in values for each in value["changes"])


def names(job: Job) -> list[str]:
    """Return the names of all files but those named after a time."""
    found = (str(path.relative_to(job.home)) for path in job.home.rglob("*") if path.is_file())
    timed = re.compile(r"\d{8}T\d{6}Z?|__pycache__|-(wal|shm)$")
    return sorted(name for name in found if not timed.search(name))


def whole_outputs(job: Job, *, must_exist: bool = False) -> bool:
    """Assert that the files that commands write are absent or whole; return whether one exists."""
    found = []
    for copy in (job.home / "copy.db", job.home / "public" / "modelwatch.db"):
        if copy.exists() and copy.stat().st_size:
            assert problems(copy) == []
            found.append(copy)
    public = job.home / "public"
    if public.exists():
        assert {path.name for path in public.iterdir()} > set(json.loads((public / MANIFEST).read_bytes()))
    for path in (*job.reports.glob("*.json"), *(job.home / "web").glob("*.json")):
        json.loads(path.read_bytes())
    assert all(path.read_bytes().endswith(b"PAR1") for path in job.home.rglob("*.parquet"))
    return bool(found) or not must_exist


def state(job: Job) -> str:
    """Return a digest of all that later commands build on."""
    digest = sha256()
    if job.database.exists():
        with Store.read(job.database) as store:
            tables = rows_of(store)
        digest.update(re.sub(r"'(seconds|applied_at)': [^,}]*", "", repr(tables)).encode())
    found = sorted(DRAFT.sub("", str(path.relative_to(job.home))) for path in job.home.rglob("*"))
    digest.update(repr(found).encode())
    return digest.hexdigest()


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """A home with a report that waits, a change without report, a held answer, a backup and a copy."""
    directory = tmp_path_factory.mktemp("faults")
    world = World(random.Random(31))
    saved = directory / "saved"
    saved.mkdir()
    for day in range(12):
        world.turns()
        (saved / f"2025-09-{1 + day:02}.json").write_bytes(world.body("one"))
    with worker(directory) as forks:
        scene = Scene(world, forks, directory / "base", saved)
        with Scripted(scene.answer) as server:
            job = home(scene.base, server.url)
            scene.env = job.env
            job.configure(job.config.read_text("utf-8") + DESTINATIONS.format(url=server.url))
            prepare(scene, job)
            yield scene


def prepare(scene: Scene, job: Job) -> None:
    """Record the history from which each command starts."""
    world = scene.world
    run = scene.worker.run
    assert run(job, "run", at="2026-05-01T06:00:00Z").code in SETTLED
    for command in ("backup", "publish", "export", "datasette-config"):
        assert scene.do(job, command, at="2026-05-01T07:00:00Z").code == 0
    world.turns()
    world.failing.clear()
    scene.hook_fails = True
    assert run(job, "run", at="2026-05-02T06:00:00Z").code in {6, *SETTLED}
    scene.hook_fails = False
    for key in ("one", "two"):
        world.lists[key]["new"] = 0
    world.lists["three"] = {"m1": 5}
    assert run(job, "sync", at="2026-05-03T12:00:00Z").code == 5
    with Store.read(job.database) as store:
        scene.waiting = store.rows("select id from deliveries where state = 'waiting'")[0]["id"]
    shutil.copyfile(job.home / "copy.db", scene.other)
    world.lists["one"]["newer"] = 0


def chosen(calls: int, number: int, seed: str) -> list[int]:
    """Return the numbers of some calls: first, last and others at random."""
    if calls <= number:
        return list(range(calls))
    chance = random.Random(seed)
    return sorted({0, calls - 1, *chance.sample(range(calls), number - 2)})


def one_of_each(calls: tuple[tuple[str, str], ...], seed: str) -> list[tuple[int, int]]:
    """Return a call of each kind to each kind of file, with each of its errors."""
    of_kind: dict[tuple[str, str], list[int]] = {}
    for number, (kind, path) in enumerate(calls):
        name = re.sub(r"\d{8}T\d{6}Z?|[0-9a-f]{8}(?=\.draft)", "", Path(path).name)
        ending = name if name.startswith("modelwatch") else Path(name).suffix
        of_kind.setdefault((kind, ending), []).append(number)
    chance = random.Random(seed)
    found = [
        (chance.choice(numbers), error) for (kind, _), numbers in of_kind.items() for error in ERRORS[kind]
    ]
    return chance.sample(found, min(len(found), FAILURES))


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_killed_at_a_call_loses_doubles_and_halves_nothing(scene: Scene, command: str) -> None:
    job = scene.home()
    logged = scene.do(job, command, how=LOG)
    assert logged.code in SETTLED, logged
    expected = scene.finish(job, command)
    for number, call in enumerate(chosen(len(logged.calls), KILLS, command)):
        job = scene.home()
        ended = scene.do(job, command, how=TEAR if number % 2 else KILL, call=call)
        assert ended.code == -9, (call, ended)
        assert problems(job.database) == [], logged.calls[call]
        whole_outputs(job)
        if (digest := (command, state(job))) not in scene.checked:
            scene.checked.add(digest)
            assert scene.finish(job, command) == expected, logged.calls[call]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_call_that_fails_once_is_one_line_and_loses_nothing(scene: Scene, command: str) -> None:
    job = scene.home()
    logged = scene.do(job, command, how=LOG)
    expected = scene.finish(job, command)
    for call, error in one_of_each(logged.calls, command):
        job = scene.home()
        ended = scene.do(job, command, how=FAIL, call=call, error=error)
        about = errno.errorcode[error], logged.calls[call], ended
        assert ended.code in SETTLED | {6, 73, 74, 75, 78, 69}, about
        assert "Traceback" not in ended.stderr, about
        assert "unexpected" not in ended.stderr, about
        if ended.code not in SETTLED:
            assert ended.stderr.splitlines()[-1].startswith("modelwatch: "), about
        whole_outputs(job)
        assert problems(job.database) == [], about
        if (digest := (command, state(job))) not in scene.checked:
            scene.checked.add(digest)
            assert scene.finish(job, command) == expected, about


def test_a_merge_killed_at_ten_calls_and_repeated_gives_the_same_rows(scene: Scene) -> None:
    def rows(job: Job) -> dict[str, Any]:
        with Store.read(job.database) as store:
            return {name: found for name, found in rows_of(store).items() if name != "_sqlite_migrations"}

    job = scene.home()
    before = rows(job)
    logged = scene.do(job, "merge", how=LOG)
    assert logged.code in SETTLED, logged
    after = rows(job)
    assert after["sites"]
    for call in chosen(len(logged.calls), 10, "ten"):
        job = scene.home()
        assert scene.do(job, "merge", how=KILL, call=call).code == -9
        assert problems(job.database) == [], logged.calls[call]
        assert [row["id"] for row in rows(job)["sightings"]] in (
            [row["id"] for row in each["sightings"]] for each in (before, after)
        )
        assert scene.do(job, "merge").code in SETTLED
        found = rows(job)
        # The other tables have the times of deliveries.
        for table in (
            "scopes",
            "snapshots",
            "sightings",
            "listings",
            "records",
            "changes",
            "missing",
            "flaps",
        ):
            assert found[table] == after[table], (table, logged.calls[call])
