"""Saved answers come out of files, lines and commits oldest first, in their own bytes."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
from pathlib import Path

import pytest

from pipeline.errors import SavedError
from pipeline.sync.archives import Answers, LeftOut, SavedAnswer, in_directory, in_lines, time_in_name
from pipeline.sync.git_archive import in_git

ODD = b'{"data":[ {"id":"lyra","price":0.50} ]}'
"""An answer that would look otherwise if anybody wrote it again."""


@pytest.mark.parametrize(
    ("name", "at"),
    [
        ("0001_20251001T003000Z.json", "2025-10-01T00:30:00Z"),
        ("2025-10-01T00:30:00Z.json", "2025-10-01T00:30:00Z"),
        ("2025-10-01T00:30:00.125Z.json.gz", "2025-10-01T00:30:00Z"),
        ("2025-10-01T00-30-00-125Z.json", "2025-10-01T00:30:00Z"),
        ("2025-10-01_00-30-00.json", "2025-10-01T00:30:00Z"),
        ("2025-10-01 00.30.00.json", "2025-10-01T00:30:00Z"),
        ("2025_10_01_0030.json", "2025-10-01T00:30:00Z"),
        ("models-2025-10-01.json", "2025-10-01T00:00:00Z"),
        ("models.20251001.json", "2025-10-01T00:00:00Z"),
        ("20251001003000.json", "2025-10-01T00:30:00Z"),
        ("2025-10-01T02:30:00+02:00.json", "2025-10-01T00:30:00Z"),
        ("2025-09-30T20:30:00-04:00.json", "2025-10-01T00:30:00Z"),
        ("2025-10-01_00-30-00-0007.json", "2025-10-01T00:30:00Z"),
        ("2010_20251001T003000Z.json", "2025-10-01T00:30:00Z"),
        ("models-1759278600.json", "2025-10-01T00:30:00Z"),
        ("1759278600250.json", "2025-10-01T00:30:00Z"),
        ("2025-02-30.json", None),
        ("2025-10-01T24:00:00Z.json", None),
        ("2025-10-01T0961.json", None),
        ("2025-13-01.json", None),
        ("01-10-2025.json", None),
        ("manifest.json", None),
        ("gpt-4-0613.json", None),
        ("3f1759278600ab.json", None),
        ("123456789012.json", None),
    ],
)
def test_a_name_tells_its_time(name: str, at: str | None) -> None:
    """Dates as people and programs write them are read, and nothing else is taken for one."""
    assert time_in_name(name) == at


def told(answers: Answers) -> list[SavedAnswer]:
    """Read all answers; as many must come as were announced."""
    found = list(answers.oldest_first)
    assert len(found) == answers.count
    return found


def write(directory: Path, **files: bytes) -> None:
    """Write files, named with `__` for a slash."""
    for name, body in files.items():
        file = directory / name.replace("__", "/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(body)


def test_a_directory_is_read_by_the_times_in_its_names(tmp_path: Path) -> None:
    """Sub-directories are looked into, packed files unpacked, hidden ones passed over, the rest told."""
    files = {
        "b_2025-10-02.json": ODD,
        "z__a_2025-10-01.json.gz": gzip.compress(b"[]"),
        "a_1759449600.JSON": b"{}",
        "manifest.json": b"{}",
        "README-2025-10-01.md": b"hello",
        ".git__2025-10-01.json": b"hidden",
    }
    write(tmp_path, **files)
    answers = in_directory(tmp_path)
    assert told(answers) == [
        SavedAnswer("2025-10-01T00:00:00Z", b"[]", "z/a_2025-10-01.json.gz"),
        SavedAnswer("2025-10-02T00:00:00Z", ODD, "b_2025-10-02.json"),
        SavedAnswer("2025-10-03T00:00:00Z", b"{}", "a_1759449600.JSON"),
    ]
    assert answers.left_out == (
        LeftOut("README-2025-10-01.md", "a name that is not .json or .json.gz"),
        LeftOut("manifest.json", "no time in its name"),
    )


def test_a_damaged_archive_is_handed_on_as_it_is(tmp_path: Path) -> None:
    """It is told later as an answer that cannot be read, and stops no other."""
    damaged = gzip.compress(ODD)[:-9]
    write(tmp_path, **{"2025-10-01.json.gz": damaged, "2025-10-02.json": ODD})
    assert [saved.body for saved in told(in_directory(tmp_path))] == [damaged, ODD]


def test_an_archive_that_unpacks_to_too_much_is_handed_on_as_it_is(
    tmp_path: Path,
) -> None:
    """A zip bomb does not fill the memory; an answer of exactly the largest size is unpacked."""
    packed = gzip.compress(ODD + b" " * 1_000_000)
    write(tmp_path, **{"saved__2025-10-01.json.gz": packed, "saved__2025-10-02.json.gz": gzip.compress(ODD)})
    found = in_directory(tmp_path / "saved", max_unpacked=len(ODD))
    assert [saved.body for saved in told(found)] == [packed, ODD]


def test_the_time_may_stand_in_a_field(tmp_path: Path) -> None:
    """Seconds, milliseconds and ISO 8601 are read, wherever in the answer they are."""
    times = {"a": 1759449600, "b": "2025-10-01T02:00:00+02:00", "c": 1759363200000}
    bodies = {name: json.dumps({"meta": {"at": at}}).encode() for name, at in times.items()}
    others = {"d.json": b'{"meta":1}', "e.json": b"<html>", "f.json": b""}
    write(tmp_path, **{f"{name}.json": body for name, body in bodies.items()}, **others)
    answers = in_directory(tmp_path, "meta.at")
    assert told(answers) == [
        SavedAnswer("2025-10-01T00:00:00Z", bodies["b"], "b.json"),
        SavedAnswer("2025-10-02T00:00:00Z", bodies["c"], "c.json"),
        SavedAnswer("2025-10-03T00:00:00Z", bodies["a"], "a.json"),
    ]
    assert [(each.source, each.reason) for each in answers.left_out] == [
        ("d.json", "no time at meta.at"),
        ("e.json", "no JSON in it"),
        ("f.json", "no JSON in it"),
    ]


def test_lines_keep_the_bytes_of_their_answers(tmp_path: Path) -> None:
    """Lines may come in any order, with answers as values or as text; bad ones are named by number."""
    lines = [
        b'{"at": "2025-10-02T00:00:00Z", "body": ' + ODD + b"}",
        b"",
        b'{"body":"[]", "at":1759276800, "status": 200}\r',
        b"oops",
        b"[1]",
        b'{"at": "yesterday", "body": []}',
        b'{"at": 1759276800}',
    ]
    file = tmp_path / "saved.jsonl"
    file.write_bytes(b"\n".join(lines))
    answers = in_lines(file)
    assert told(answers) == [
        SavedAnswer("2025-10-01T00:00:00Z", b"[]", "saved.jsonl:3"),
        SavedAnswer("2025-10-02T00:00:00Z", ODD, "saved.jsonl:1"),
    ]
    assert answers.left_out == (
        LeftOut("saved.jsonl:4", "no JSON object in it"),
        LeftOut("saved.jsonl:5", "no JSON object in it"),
        LeftOut("saved.jsonl:6", "no time in its `at`"),
        LeftOut("saved.jsonl:7", "no `at` and `body`"),
    )


def test_a_line_may_be_the_answer_itself(tmp_path: Path) -> None:
    """With a field for the time the whole line is the body."""
    file = tmp_path / "saved.jsonl"
    file.write_bytes(b'{"t": 1759276800, "data": []}\n{"data": []}\n')
    answers = in_lines(file, "t")
    assert told(answers) == [
        SavedAnswer("2025-10-01T00:00:00Z", b'{"t": 1759276800, "data": []}', "saved.jsonl:1")
    ]
    assert answers.left_out == (LeftOut("saved.jsonl:2", "no time at t"),)


def test_a_source_with_nothing_in_it_is_an_error(tmp_path: Path) -> None:
    """What is not there, and what holds no answer, is told by its name."""
    write(tmp_path, **{"notes__manifest.json": b"{}", "empty.jsonl": b""})
    with pytest.raises(SavedError, match=r"notes: holds no saved answer: manifest.json has no time in its"):
        in_directory(tmp_path / "notes")
    with pytest.raises(SavedError, match="nowhere: cannot be read: No such file"):
        in_directory(tmp_path / "nowhere")
    with pytest.raises(SavedError, match=r"empty.jsonl: holds no saved answer$"):
        in_lines(tmp_path / "empty.jsonl")
    with pytest.raises(SavedError, match=r"gone.jsonl: cannot be read: No such file"):
        in_lines(tmp_path / "gone.jsonl")


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    """A pipe that nobody writes to holds nothing up."""
    write(tmp_path, **{"saved__2025-10-01.json": ODD})
    os.mkfifo(tmp_path / "saved/2025-10-02.json")
    found = in_directory(tmp_path / "saved")
    assert [saved.body for saved in told(found)] == [ODD]
    assert found.left_out == (LeftOut("2025-10-02.json", "no regular file by that name"),)
    os.mkfifo(tmp_path / "pipe.jsonl")
    with pytest.raises(SavedError, match=r"pipe.jsonl: is not a regular file"):
        in_lines(tmp_path / "pipe.jsonl")


def test_lines_are_put_up_with_as_answers_are(tmp_path: Path) -> None:
    """A byte order mark, line ends of Windows and what is more than JSON in an answer lose no line."""
    lines = [
        b'\xef\xbb\xbf{"at":"2025-10-01T00:00:00Z","body":' + ODD + b"}",
        b'{"at":"2025-10-02T00:00:00Z","body":{"data":[{"id":"lyra","n":NaN}]}}',
        b'{"at":"2025-10-03T00:00:00Z","body":{"data":[{"id":"ly\\ud800ra"}]}}',
    ]
    (tmp_path / "odd.jsonl").write_bytes(b"\r\n".join(lines))
    assert [saved.body for saved in told(in_lines(tmp_path / "odd.jsonl"))] == [
        ODD,
        b'{"data":[{"id":"lyra","n":null}]}',
        '{"data":[{"id":"ly\ufffdra"}]}'.encode(),
    ]


class Repository:
    """A git repository that commits when it is told."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir()
        self.git("init", "--quiet", "--initial-branch", "main")

    def git(self, *arguments: str, at: str = "2025-10-01T00:00:00Z") -> str:
        """Run git at a moment, with no settings but its own; gives what it printed."""
        nobody = dict.fromkeys(("GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME"), "Nobody")
        nobody |= dict.fromkeys(("GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"), "nobody@example.com")
        dates = {"GIT_AUTHOR_DATE": "2001-01-01T00:00:00Z", "GIT_COMMITTER_DATE": at}
        quiet = {"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
        done = subprocess.run(
            ["git", "-C", str(self.path), *arguments],
            check=True,
            capture_output=True,
            env=nobody | dates | quiet,
        )
        return done.stdout.decode()

    def commit(self, at: str, **files: bytes | None) -> None:
        """Write files, or remove them, and commit."""
        for name, body in files.items():
            file = self.path / name
            if body is None:
                file.unlink()
            else:
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(body)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", "scraped", at=at)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """An empty repository."""
    return Repository(tmp_path / "repository")


@pytest.mark.parametrize("name", ["models.json", "a b/mödels [x]*.json", 'with "quotes".json', ":(top)x"])
def test_a_file_in_git_has_a_version_for_each_commit_of_it(repository: Repository, name: str) -> None:
    """Commits of other files, and those in which it was gone, are left out, whatever it is called."""
    repository.commit("2025-10-01T02:00:00+02:00", **{name: ODD, "other": b"1"})
    repository.commit("2025-10-02T00:00:00Z", other=b"2")
    repository.commit("2025-10-03T00:00:00Z", **{name: None})
    repository.commit("2025-10-04T00:00:00Z", **{name: b"\x00\xff\n\n"})
    found = told(in_git(repository.path, name))
    assert [(saved.at, saved.body) for saved in found] == [
        ("2025-10-01T00:00:00Z", ODD),
        ("2025-10-04T00:00:00Z", b"\x00\xff\n\n"),
    ]
    assert all(saved.source.startswith(f"{name}@") for saved in found)


def test_a_merge_counts_when_it_came_to_the_main_line(repository: Repository) -> None:
    """What was tried on a side branch was not there before it was merged."""
    repository.commit("2025-10-01T00:00:00Z", models=b"1")
    repository.git("switch", "--quiet", "--create", "side")
    repository.commit("2025-10-02T00:00:00Z", models=b"2")
    repository.git("switch", "--quiet", "main")
    repository.commit("2025-10-03T00:00:00Z", other=b"1")
    repository.git("merge", "--quiet", "--no-edit", "side", at="2025-10-04T00:00:00Z")
    found = told(in_git(repository.path, "models"))
    assert [(saved.at, saved.body) for saved in found] == [
        ("2025-10-01T00:00:00Z", b"1"),
        ("2025-10-04T00:00:00Z", b"2"),
    ]


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("log.showRoot", "false"),
        ("log.diffMerges", "combined"),
        ("diff.relative", "true"),
        ("diff.orderFile", "nowhere"),
        ("i18n.logOutputEncoding", "UTF-16"),
        ("color.ui", "always"),
    ],
)
def test_what_somebody_has_set_for_their_own_log_changes_nothing(
    repository: Repository, setting: str, value: str
) -> None:
    """The first commit and a merge are found whatever `git log` has been told to show."""
    repository.commit("2025-10-01T00:00:00Z", **{"models": b"1", "below/other": b"1"})
    repository.git("switch", "--quiet", "--create", "side")
    repository.commit("2025-10-02T00:00:00Z", models=b"2")
    repository.git("switch", "--quiet", "main")
    repository.git("merge", "--quiet", "--no-ff", "--no-edit", "side", at="2025-10-03T00:00:00Z")
    repository.git("config", setting, value)
    found = told(in_git(repository.path / "below", "../models"))
    assert [(saved.at, saved.body) for saved in found] == [
        ("2025-10-01T00:00:00Z", b"1"),
        ("2025-10-03T00:00:00Z", b"2"),
    ]


def test_commits_are_told_by_their_times(repository: Repository) -> None:
    """A clock that was set back puts no answer before an older one; of one second the later is last."""
    for at, body in (("02", b"1"), ("01", b"2"), ("02", b"3")):
        repository.commit(f"2025-10-{at}T00:00:00Z", models=body)
    assert [saved.body for saved in told(in_git(repository.path, "models"))] == [b"2", b"1", b"3"]


def test_git_says_in_one_line_what_is_wrong(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No repository, no commit, no such file, a directory, no git: each is named."""
    with pytest.raises(SavedError, match="git: fatal: "):
        in_git(repository.path, "models")
    repository.commit("2025-10-01T00:00:00Z", **{"below/models": b"1"})
    with pytest.raises(SavedError, match="models: holds no saved answer"):
        in_git(repository.path, "models")
    with pytest.raises(SavedError, match="below: is a directory"):
        in_git(repository.path, "below")
    with pytest.raises(SavedError, match=r"git: fatal: .*No such file"):
        in_git(tmp_path / "nowhere", "models")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    (tmp_path / "plain").mkdir()
    with pytest.raises(SavedError, match="not a git repository"):
        in_git(tmp_path / "plain", "models")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SavedError, match="there is no `git` on the path"):
        in_git(repository.path, "models")


def test_a_repository_that_lacks_old_content_says_so(repository: Repository) -> None:
    """A clone that left contents out is no reason to tell less without a word."""
    repository.commit("2025-10-01T00:00:00Z", models=b"1")
    blob = repository.git("rev-parse", "HEAD:models").strip()
    (repository.path / ".git/objects" / blob[:2] / blob[2:]).unlink()
    with pytest.raises(SavedError, match="git does not have its content"):
        told(in_git(repository.path, "models"))


def test_what_is_not_read_to_its_end_is_let_go_of(repository: Repository) -> None:
    """The git process ends with whoever reads from it."""
    for day in range(1, 4):
        repository.commit(f"2025-10-0{day}T00:00:00Z", models=str(day).encode())
    answers = in_git(repository.path, "models")
    assert next(answers.oldest_first).body == b"1"
    answers.oldest_first.close()  # type: ignore[attr-defined] - a generator
    assert list(answers.oldest_first) == []
