"""The command `import`: saved answers become history, and the job continues from it."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from support.e2e import Done, Job, Reply, Scripted, listed, one_line, usage_error

from pipeline.store import Store, lock
from pipeline.store.runs import find_run


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """A home without a config."""
    return Job(tmp_path / "home")


def save(directory: Path, *answers: bytes) -> Path:
    """Save an answer for each day of October 2025."""
    directory.mkdir(exist_ok=True)
    for day, answer in enumerate(answers, 1):
        (directory / f"models-2025-10-{day:02}.json").write_bytes(answer)
    return directory


def imports(job: Job, source: object, *options: str, scope: str = "acme/old") -> Done:
    """Import into a scope that the config does not have."""
    return job.quick("import", scope, str(source), "--dialect", "auto", *options)


LINES = "saved.jsonl"
OFFERS = (listed("a"), listed("a", "b"), listed("b"), listed("b"))


def test_a_directory_becomes_history_and_its_scope_is_not_asked(job: Job, tmp_path: Path) -> None:
    source = save(tmp_path / "saved", *OFFERS)
    (source / "manifest.json").write_text("{}")
    done = imports(job, source)
    assert (done.code, done.stdout, done.stderr) == (
        0,
        "4 answers of acme/old from 2025-10-01 00:00 to 2025-10-04 00:00: 2 moves, 1 added, 1 removed\n",
        "modelwatch: left out: manifest.json: no time in its name\n",
    )
    assert imports(job, source, "-q").output == ""
    assert imports(job, source).stdout == "nothing new of acme/old; 4 recorded already\n"
    assert (
        "2025-10-04 00:00  acme/old\n  - a  removed, missing since 2025-10-03 00:00"
        in job.quick("changes").stdout
    )
    assert job.quick("status").stdout == (
        "the job has not run yet; the imported answers end at 2025-10-04 00:00 UTC\n"
    )
    assert "offered since 2025-10-02 00:00 (no longer asked: this is the state of" in (
        job.quick("show", "b").stdout
    )


def test_the_first_run_reports_only_changes_since_the_import(job: Job, tmp_path: Path) -> None:
    with Scripted(lambda _: Reply(listed("b", "c"))) as server:
        job.asks(server.url, name="acme", scopes={"old": ""}, dialect="openai")
        done = job.quick("import", "acme/old", str(save(tmp_path / "saved", *OFFERS)))
        assert done.code == 0
        assert job.quick("run", at="2026-01-01T00:00:00Z").code == 0
    assert [(row["kind"], row["model"]) for row in job.latest_rows()] == [("added", "c")]
    assert list(job.written()) == ["20260101T000000Z.csv", "20260101T000000Z.json"]
    assert [row["state"] for row in job.quick("scopes", "--csv").rows()] == ["ok"]
    late = tmp_path / "late"
    late.mkdir()
    (late / "2025-10-09.json").write_bytes(listed("z"))
    one_line(job.quick("import", "acme/old", str(late)), 65, "2025-10-09", "is recorded until 2026-01-01")


def test_an_import_that_was_killed_at_its_start_can_be_repeated(job: Job, tmp_path: Path) -> None:
    """A killed first import leaves a file without tables."""
    job.home.mkdir()
    job.database.touch()
    assert imports(job, save(tmp_path / "saved", *OFFERS)).code == 0


def test_lines_and_commits_give_the_same_history_as_files(job: Job, tmp_path: Path) -> None:
    lines = tmp_path / "saved.jsonl"
    answers = [{"at": f"2025-10-0{day}", "body": json.loads(body)} for day, body in enumerate(OFFERS, 1)]
    lines.write_text("\n".join(map(json.dumps, answers)))
    repository = tmp_path / "repository"
    git = ["git", "-C", str(repository), "-c", "user.name=n", "-c", "user.email=n@example.com"]
    subprocess.run(["git", "init", "--quiet", str(repository)], check=True)
    for day, body in enumerate(OFFERS, 1):
        (repository / "models.json").write_bytes(body)
        (repository / "other").write_text(str(day))
        subprocess.run([*git, "add", "."], check=True)
        date = {"GIT_COMMITTER_DATE": f"2025-10-0{day}T00:00:00Z", "PATH": job.bare["PATH"]}
        subprocess.run([*git, "commit", "--quiet", "--message", "m"], check=True, env=date)
    changes = ": 2 moves, 1 added, 1 removed\n"
    assert imports(job, lines).stdout.endswith(changes)
    done = job.quick(
        *("import", "acme/git", "--dialect", "auto", "--git", str(repository), "--path", "models.json")
    )
    assert (
        done.stdout
        == "3 answers of acme/git from 2025-10-01 00:00 to 2025-10-03 00:00: 2 moves, 1 added, 1 removed\n"
    )


def test_the_json_has_all_counts_by_name(job: Job, tmp_path: Path) -> None:
    source = save(tmp_path / "saved", *OFFERS, b"<html>")
    assert imports(job, source, "--json").json() == {
        "scope": "acme/old",
        "found": 5,
        "imported": 4,
        "since": "2025-10-01T00:00:00Z",
        "until": "2025-10-04T00:00:00Z",
        "known": 0,
        "repeated": 0,
        "unreadable": 1,
        "left_out": 0,
        "rows_left_out": 0,
        "moves": 2,
        "held": 0,
        "changes": {"added": 1, "removed": 1, "changed": 0},
        "is_held": False,
    }


def test_unreadable_answers_are_counted_and_three_are_named(job: Job, tmp_path: Path) -> None:
    """They fail the command only where nothing else is imported."""
    pages = [b"<html>"] * 5
    done = imports(job, save(tmp_path / "saved", *pages, listed("a")))
    assert done.code == 0
    assert done.stdout.endswith("no change; 5 could not be read\n")
    assert done.stderr.count("web page") == 3
    assert done.stderr.endswith("modelwatch: 2 more could not be read: see -v\n")
    done = imports(job, tmp_path / "saved", "-v")
    assert (done.stderr.count("web page"), "see -v" in done.stderr) == (5, False)
    done = imports(job, save(tmp_path / "pages", *pages), scope="acme/pages")
    assert (done.code, done.stdout) == (4, "nothing new of acme/pages; 5 could not be read\n")


def test_the_exit_status_is_5_where_the_last_answer_is_held(job: Job, tmp_path: Path) -> None:
    done = imports(job, save(tmp_path / "saved", listed(*"abcdefgh"), listed()))
    assert (done.code, done.stdout.partition(": ")[2]) == (5, "1 held; the last one is held\n")


def test_a_known_gateway_keeps_its_address_in_an_import_of_another_scope(job: Job, tmp_path: Path) -> None:
    source = save(tmp_path / "saved", *OFFERS)
    imports(job, source, "--url", "https://acme.example")
    imports(job, source, scope="acme/other")
    imports(job, source, scope="zeta/old")
    job.asks("https://kappa.example/v1", name="kappa")
    imports(job, source, scope="kappa/old")
    with Store.read(job.database) as store:
        rows = store.rows("select name, url from gateways order by name")
    assert {row["name"]: row["url"] for row in rows} == {
        "acme": "https://acme.example",
        "kappa": "https://kappa.example/v1",
        "zeta": "",
    }


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("acme/old", LINES), "no scope acme/old is in the config; set --dialect"),
        (("acme/old", LINES, "--dialect", "klingon"), "the dialect klingon does not exist"),
        (("acme", LINES, "--dialect", "auto"), "'acme' is not the name of a scope: write gateway/name"),
        (("acme/o d", LINES, "--dialect", "auto"), "is not the name of a scope"),
        (("acme/old", "--dialect", "auto"), "name a directory, a .jsonl file, or --git and --path"),
        (("acme/old", "--dialect", "auto", "--git", "."), "--git needs --path"),
        (("acme/old", "--dialect", "auto", "--path", "x"), "--path needs --git"),
        (("acme/old", ".", "--dialect", "auto", "--git", ".", "--path", "x"), "--path names the file"),
        (("acme/old", ".", "--dialect", "auto", "--time-field", "a..b"), "--time-field: 'a..b' is no path"),
        (("acme/old", __file__, "--dialect", "auto"), "is neither a directory nor a .jsonl or .ndjson file"),
    ],
)
def test_wrong_usage_is_explained_and_makes_no_database(
    job: Job, tmp_path: Path, words: tuple[str, ...], message: str
) -> None:
    lines = tmp_path / LINES
    lines.write_text('{"at": "2025-10-01", "body": {"data": []}}')
    done = job.quick("import", *(str(lines) if word == LINES else word for word in words))
    assert done.code == 2
    assert message in done.stderr
    assert not job.database.exists()


def test_nothing_can_be_imported_into_a_scope_of_all_groups(job: Job, tmp_path: Path) -> None:
    """Its list is put together from other answers."""
    job.asks(
        "https://acme.example",
        name="acme",
        scopes={"each": 'access_token = "env:T", user_id = 1, groups = "all"'},
    )
    for scope in ("acme/each", "acme/each.vip"):
        done = imports(job, save(tmp_path / "saved", *OFFERS), scope=scope)
        assert done.code == 2
        assert "acme/each is asked for all its groups" in done.stderr


def test_an_unusable_source_is_one_line_and_makes_no_database(job: Job, tmp_path: Path) -> None:
    one_line(imports(job, tmp_path / "nowhere"), 65, "nowhere: cannot be read")
    one_line(imports(job, tmp_path), 65, "holds no saved answer")
    one_line(imports(job, tmp_path / "gone.jsonl"), 65, "gone.jsonl: cannot be read")
    assert not job.database.exists()


def test_an_import_is_refused_while_the_lock_is_held(job: Job, tmp_path: Path) -> None:
    source = save(tmp_path / "saved", *OFFERS)
    with lock(job.database, since="2026-01-01T00:00:00Z"):
        one_line(imports(job, source), 75, "another run holds the lock")


def test_an_import_loads_no_library_for_http(job: Job, tmp_path: Path) -> None:
    source = save(tmp_path / "saved", *OFFERS)
    words = ["modelwatch", "import", "acme/old", str(source), "--dialect", "auto", "--home", str(job.home)]
    script = (
        "import sys; from pipeline.cli.app import modelwatch; "
        f"modelwatch.main({words[1:]!r}, standalone_mode=False); "
        "sys.exit(', '.join({'httpx', 'stamina'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


NOW = "2026-01-01T12:00:00Z"


def sentences(done: Done) -> list[str]:
    """Return the lines on standard error of an import that records one answer; its summary counts others."""
    left_out = sum(line.count(" (") for line in done.stderr.splitlines() if EARLY in line or LATE in line)
    more = f"; {left_out} left out for their time" if left_out else ""
    assert done.stdout == f"1 answer of acme/old from 2025-10-01 00:00 to 2025-10-01 00:00: no change{more}\n"
    return [line.removeprefix("modelwatch: ") for line in done.stderr.splitlines()]


EARLY = "a time before 2020-01-01, when there was no gateway"
LATE = "a time in the future"


def test_file_names_from_the_future_and_from_before_2020_are_left_out_and_named(
    job: Job, tmp_path: Path
) -> None:
    names = (
        "2019-12-31T235959Z.json",
        "2026-01-01T120001Z.json",
        "models-999999999000.json",
        "2099/1234567890.json",
    )
    source = tmp_path / "saved"
    for name in ("2025-10-01.json", *names):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(listed("a", name))
    early = "2019-12-31T235959Z.json (2019-12-31 23:59), 2099/1234567890.json (2009-02-13 23:31)"
    assert sentences(job.quick("import", "acme/old", str(source), "--dialect", "auto", at=NOW)) == [
        f"left out: {early}: {EARLY}",
        f"left out: 2026-01-01T120001Z.json (2026-01-01 12:00): {LATE}",
        "left out: models-999999999000.json: no time in its name",
    ]


def test_the_time_of_modification_and_the_directory_give_no_time(job: Job, tmp_path: Path) -> None:
    source = save(tmp_path / "saved", listed("a"))
    (source / "2025-11-01").mkdir()
    (source / "2025-11-01/models.json").write_bytes(listed("b"))
    os.utime(source / "2025-11-01/models.json", (0, 4_000_000_000))
    assert sentences(imports(job, source)) == ["left out: 2025-11-01/models.json: no time in its name"]


@pytest.mark.parametrize(
    ("late", "early"), [("2026-01-01T12:00:01Z", "2019-12-31"), (1767268801, 1577836799), (1767268801000, 5)]
)
def test_fields_with_times_that_cannot_be_are_left_out_and_named(
    job: Job, tmp_path: Path, late: object, early: object
) -> None:
    """In a file for each answer, in the lines of a file, and in an answer on a line."""
    answers = {"good": "2025-10-01", "late": late, "early": early, "none": 0}
    source = tmp_path / "saved"
    source.mkdir()
    lines, whole = [], []
    for name, at in answers.items():
        answer = {"meta": {"at": at}, "data": [{"id": name}]}
        (source / f"{name}.json").write_text(json.dumps(answer))
        lines.append(json.dumps({"at": at, "body": answer}))
        whole.append(json.dumps(answer))
    (tmp_path / "lines.jsonl").write_text("\n".join(lines))
    (tmp_path / "whole.jsonl").write_text("\n".join(whole))
    field = ("--time-field", "meta.at")
    for path, options, order, without in (
        (source, field, ("early.json", "late.json", "none.json"), "no time at meta.at"),
        (
            tmp_path / "lines.jsonl",
            (),
            ("lines.jsonl:3", "lines.jsonl:2", "lines.jsonl:4"),
            "no time in its `at`",
        ),
        (
            tmp_path / "whole.jsonl",
            field,
            ("whole.jsonl:3", "whole.jsonl:2", "whole.jsonl:4"),
            "no time at meta.at",
        ),
    ):
        home = Job(tmp_path / path.stem)
        done = home.quick("import", "acme/old", str(path), "--dialect", "auto", *options, at=NOW)
        found = {line.partition(" (")[0].partition(": ")[2]: line for line in sentences(done)}
        first, second, third = order
        assert found[first].endswith(f": {EARLY}")
        assert found[second] == f"left out: {second} (2026-01-01 12:00): {LATE}"
        assert f"left out: {third}: {without}" in found.values()


def test_a_source_with_impossible_times_only_is_an_error_and_makes_no_database(
    job: Job, tmp_path: Path
) -> None:
    source = save(tmp_path / "saved", listed("a"))
    done = job.quick("import", "acme/old", str(source), "--dialect", "auto", at="2025-09-30T23:59:59Z")
    one_line(
        done, 65, "holds no saved answer: models-2025-10-01.json (2025-10-01 00:00) has a time in the future"
    )
    assert not job.database.exists()


def test_other_files_of_the_directory_are_named_and_not_used(job: Job, tmp_path: Path) -> None:
    source = save(tmp_path / "saved", listed("a"), b"", b"version https://git-lfs.github.com/spec/v1\n")
    (source / "README.md").write_text("# Models")
    (source / "package.json").write_text('{"version": "1.0"}')
    (source / "package-2025-10-09.json").write_text('{"version": "1.0"}')
    with zipfile.ZipFile(source / "2025-10-04.zip", "w") as archive:
        archive.writestr("2025-10-04.json", listed("b"))
    with tarfile.open(source / "2025-10-05.json.gz", "w:gz") as packed:
        packed.add(source / "models-2025-10-01.json")
    done = imports(job, source)
    assert done.stdout.endswith(": no change; 4 could not be read\n")
    lines = [line.removeprefix("modelwatch: ") for line in done.stderr.splitlines()]
    assert lines[:2] == [
        "left out: 2025-10-04.zip, README.md: a name that is not .json or .json.gz",
        "left out: package.json: no time in its name",
    ]
    assert [line.partition(": ")[0] for line in lines[2:5]] == [
        "models-2025-10-02.json", "models-2025-10-03.json", "2025-10-05.json.gz",
    ]  # fmt: skip


def test_a_compressed_source_is_refused_with_the_cure(job: Job, tmp_path: Path) -> None:
    line = b'{"at": "2025-10-01", "body": {"data": []}}\n'
    for name, body in (("a", gzip.compress(line)), ("b", bz2.compress(line)), ("c", lzma.compress(line))):
        (tmp_path / f"{name}.jsonl").write_bytes(body)
        one_line(
            imports(job, tmp_path / f"{name}.jsonl"), 65, f"{name}.jsonl: is compressed: unpack it first"
        )
    for name in ("saved.zip", "saved.tar.gz", "saved.jsonl.gz"):
        (tmp_path / name).write_bytes(gzip.compress(line))
        assert "unpack an archive first" in usage_error(job, "import", "acme/old", str(tmp_path / name))
    (tmp_path / "empty.jsonl").touch()
    one_line(imports(job, tmp_path / "empty.jsonl"), 65, "empty.jsonl: holds no saved answer")
    assert not job.database.exists()


@pytest.mark.parametrize("first", ["acme/older", "acme/newer"])
def test_the_newest_import_is_that_of_the_newest_answer_whichever_came_last(
    job: Job, tmp_path: Path, first: str
) -> None:
    for name, year in (("acme/older", 2023), ("acme/newer", 2024)):
        directory = tmp_path / name.partition("/")[2]
        directory.mkdir()
        for day in (1, 2):
            (directory / f"{year}-05-0{day}.json").write_bytes(listed("a", f"{year}-{day}"))
    for name in (first, *({"acme/older", "acme/newer"} - {first})):
        assert imports(job, tmp_path / name.partition("/")[2], scope=name).code == 0
    assert "the imported answers end at 2024-05-02 00:00 UTC" in job.quick("status").stdout
    with Store.read(job.database) as store:
        run = find_run(store)
        assert run is not None
        assert (run.started_at, run.status) == ("2024-05-02T00:00:00Z", "imported")
