"""Import of one gateway's whole history: duration, memory, size, and the number of changes."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from counting import as_text, count, recorded
from figures import Figure, at_most, faster, size, slower
from measure import Command, beside, database_bytes, once
from setting import Setting

from data import bodies_of

_FILE = "models.json"
_SLOWEST_REPLAY = 2.0
_LEAST_AHEAD = 75
_LARGEST_DATABASE = 12e6


def replay(setting: Setting) -> Iterator[Figure]:
    """Yield the figures of an import into a new database, against a process that decodes only envelopes."""
    ours, floor = setting.replayed["ours"], setting.replayed["floor"]
    answers = len(setting.answers)
    total = sum(path.stat().st_size for path in setting.answers)
    what = f"import of {answers:,} answers, {size(total)}"
    yield slower("replay", what, ours, floor, by="envelopes alone", limit=_SLOWEST_REPLAY)
    memory = {"ours_bytes": ours.peak, "other_bytes": floor.peak}
    yield Figure("replay", "peak memory", size(ours.peak), f"{size(floor.peak)} envelopes alone", raw=memory)


def git_history(setting: Setting) -> Iterator[Figure]:
    """Yield the time per answer, against git-history, which runs once since it is slow."""
    program = beside("git-history")
    first = setting.answers[: setting.sizes.first_answers]
    what = f"per answer; theirs of the first {len(first)}"
    if not program.exists():
        missing = "git-history is not installed in this environment"
        yield Figure("git-history", what, against=missing, target=f"at least {_LEAST_AHEAD} ×")
        return
    repository = _repository(setting.place("git"), first)
    words = ("file", str(setting.place("git-history.db")), str(repository / _FILE))
    reading = ("--repo", str(repository), "--id", "id", "--convert", 'json.loads(content)["data"]')
    theirs = once(Command((str(program), *words, *reading)))
    ours = setting.replayed["ours"].seconds / len(setting.answers)
    each = theirs.seconds / len(first)
    raw = {"ours_s": ours, "other_s": each, "other": theirs.raw()}
    yield faster("git-history", what, ours, each, by="git-history", limit=_LEAST_AHEAD, raw=raw)


def _repository(place: Path, answers: list[Path]) -> Path:
    """Create a git repository with one commit for each answer, and return it."""
    subprocess.run(["git", "init", "--quiet", "--initial-branch", "main", place], check=True)
    words = ["git", "-C", place, "fast-import", "--quiet"]
    with subprocess.Popen(words, stdin=subprocess.PIPE) as importing:
        assert importing.stdin
        for path in answers:
            importing.stdin.write(_commit(path))
    if importing.returncode:
        raise subprocess.CalledProcessError(importing.returncode, words)
    subprocess.run(["git", "-C", place, "reset", "--quiet", "--hard"], check=True)
    return place


def _commit(path: Path) -> bytes:
    time = path.stem.rpartition("_")[2]
    at = int(datetime.strptime(f"{time[:-1]}+0000", "%Y%m%dT%H%M%S%z").timestamp())
    body = path.read_bytes()
    head = f"commit refs/heads/main\ncommitter bench <bench@example.com> {at} +0000\ndata 0\n"
    return f"{head}M 644 inline {_FILE}\ndata {len(body)}\n".encode() + body + b"\n"


def database_size(setting: Setting) -> Iterator[Figure]:
    """Yield the size of the imported database, and whether it has every change."""
    database = setting.database
    yield at_most("size", "the database after the replay", database_bytes(database), _LARGEST_DATABASE, size)
    counted, found = count(bodies_of(setting.answers)), recorded(database)
    equal = found == counted
    difference = {kind: found[kind] - counted[kind] for kind in counted}
    yield Figure(
        "size",
        "the changes in it",
        as_text(found),
        f"{as_text(counted)} counted",
        "equal" if equal else f"differs by {json.dumps(difference)}",
        "equal",
        equal,
        {"recorded": found, "counted": counted},
    )
