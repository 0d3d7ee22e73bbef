"""Standard streams that are missing, closed, full or broken, and errors that nothing expected."""

from __future__ import annotations

import errno
import os
import subprocess
from pathlib import Path

import pytest
from support import ROOT
from support.e2e import Done, Job, Reply, Scripted, ended, listed, one_line

from pipeline.api import Home
from pipeline.cli.app import modelwatch

PART_LOST = "the work is done, but part of what it shows is lost"


def shell(job: Job, streams: str, *words: str) -> Done:
    """Run the command with its streams redirected as a shell writes it."""
    process = subprocess.Popen(
        ["sh", "-c", f'exec "$@" {streams}', "sh", *job.command(*words)],
        env=job.environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    with process:
        return ended(process)


@pytest.fixture
def job(tmp_path):
    """A home with one run of a gateway that lists a model more each time."""
    job = Job(tmp_path)
    lists = iter([listed("crane"), listed("crane", "heron")])
    with Scripted(lambda _: Reply(next(lists))) as server:
        job.asks(server.url)
        assert job.quick("run").code == 0
        yield job


@pytest.mark.parametrize(
    ("streams", "line_at"),
    [
        (">&-", "stderr"),
        (">/dev/full", "stderr"),
        ("2>&-", "none"),
        ("2>/dev/full", "none"),
        (">&- 2>&-", "none"),
        (">/dev/full 2>/dev/full", "none"),
        ("<&- >&- 2>&-", "none"),
    ],
)
def test_a_run_with_a_broken_stream_records_and_reports_all_and_exits_with_73(job, streams, line_at):
    done = shell(job, streams, "run", "-v")
    assert done.code == 73
    assert (PART_LOST in done.stderr) == (line_at == "stderr")
    assert [row["model"] for row in job.latest_rows()] == ["heron"]
    assert job.quick("verify").code == 0


def test_a_closed_stream_to_which_nothing_is_written_is_no_fault(job):
    assert shell(job, ">&- 2>&-", "run", "-q") == Done(0, "", "")
    assert [row["model"] for row in job.latest_rows()] == ["heron"]


def test_a_reader_that_has_seen_enough_does_not_end_a_run(job):
    with job.start("run", "-v") as process:
        process.stderr.close()
        process.stdout.close()
        assert process.wait(30) == 73
    assert [row["model"] for row in job.latest_rows()] == ["heron"]


@pytest.mark.parametrize("words", [("models",), ("changes", "--csv"), ("status",), ("show", "crane")])
@pytest.mark.parametrize("stream", [">&-", ">/dev/full"])
def test_a_reading_command_that_cannot_print_says_so_and_exits_with_73(job, words, stream):
    done = shell(job, stream, *words)
    assert (done.code, done.stdout) == (73, "")
    assert done.stderr.startswith("modelwatch: standard output could not be written (")
    assert done.stderr.count("\n") == 1


def test_the_output_of_a_command_whose_standard_error_is_closed_stays_whole(job):
    done = shell(job, "2>&-", "models", "--json")
    assert done.code == 0
    assert "crane" in str(done.json())


def test_an_unexpected_error_is_one_line_without_its_message_and_exits_with_70(job, monkeypatch):
    monkeypatch.setattr(Home, "models", fail)
    done = job.quick("models")
    assert (done.code, done.stdout) == (70, "")
    assert done.stderr.startswith("modelwatch: unexpected RuntimeError at ")
    assert done.stderr.count("\n") == 1
    assert "hunter2" not in done.stderr


def test_an_unexpected_error_shows_its_traceback_on_request(job, monkeypatch):
    monkeypatch.setattr(Home, "run", fail)
    done = job.quick("run", "-v")
    assert done.code == 70
    assert "Traceback" in done.stderr
    assert done.stderr.endswith("report it with what -v shows\n")


def test_the_option_for_tracebacks_is_known_to_the_program_too():
    assert "-v, --verbose" in modelwatch.get_help(
        modelwatch.make_context("modelwatch", [], resilient_parsing=True)
    )


@pytest.mark.parametrize("code", [errno.EMFILE, errno.ENFILE])
@pytest.mark.parametrize("words", [("run", "-v"), ("models",)])
def test_too_many_open_files_are_one_line_with_the_cure(job, monkeypatch, code, words):
    def refuse(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(Home, words[0], refuse)
    done = job.quick(*words)
    assert done == Done(71, "", "modelwatch: too many open files: raise the limit (`ulimit -n`)\n")


@pytest.mark.parametrize("words", [("models",), ("run", "-q")])
def test_the_end_of_a_file_is_no_ctrl_d_but_an_unexpected_error(job, monkeypatch, words):
    def end(*_: object, **__: object) -> None:
        raise EOFError("the password is hunter2")

    monkeypatch.setattr(Home, words[0], end)
    line = one_line(job.quick(*words), 70, "modelwatch: unexpected EOFError at ")
    assert "hunter2" not in line


@pytest.mark.parametrize(
    ("module", "size", "flipped"),
    [
        ("cli/catalog", 16, 0),
        ("cli/terminal", 2000, 0),
        ("store/database", 5000, 0),
        ("store/database", 0, 16),
    ],
)
def test_a_compiled_module_that_is_damaged_is_named(tmp_path, compiled, module, size, flipped):
    package, name = module.split("/")
    (file,) = compiled.rglob(f"pipeline/{package}/{name}.*.pyc")
    whole = file.read_bytes()
    spoiled = bytearray(whole[: size or None])
    if flipped:
        spoiled[flipped] ^= 0xFF
    try:
        file.write_bytes(spoiled)
        done = Job(tmp_path, env=cached(compiled)).run("models")
    finally:
        file.write_bytes(whole)
    one_line(done, 69, f"{file.parent}: has a damaged file ({file.name})", "remove this directory")


def cached(directory: Path) -> dict[str, str]:
    """Return the variables with which Python keeps compiled modules in a directory."""
    return {"PYTHONPYCACHEPREFIX": str(directory), "PYTHONPATH": str(ROOT)}


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """The directory with the compiled modules of a command."""
    directory = tmp_path_factory.mktemp("compiled")
    assert Job(directory / "home", env=cached(directory)).run("models").code == 74
    return directory


@pytest.mark.parametrize(("words", "code"), [(("models", "--bogus"), 2), (("run", "--config", "absent"), 78)])
def test_a_command_that_fails_without_standard_error_does_not_say_that_its_work_is_done(job, words, code):
    done = shell(job, "2>/dev/full", *words)
    assert done.code == code
    assert "standard error could not be written" in done.stdout
    assert "the work is done" not in done.stdout


def fail(*_: object, **__: object) -> None:
    """Fail as no code of the program expects."""
    raise RuntimeError("the password is hunter2")
