"""Saved answers in files, lines and commits are read oldest first, with their own bytes."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import pytest

from pipeline.errors import SavedError
from pipeline.sync.archives import Answers, LeftOut, SavedAnswer, in_directory, in_lines, time_in_name

NOW = "2026-01-01T00:00:00Z"

ODD = b'{"data":[ {"id":"lyra","price":0.50} ]}'
"""An answer whose bytes differ from those of any encoder."""


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
def test_the_time_in_a_name_is_parsed_in_any_usual_format(name: str, at: str | None) -> None:
    assert time_in_name(name) == at


def read(answers: Answers) -> list[SavedAnswer]:
    """Read all answers, and check that they are as many as announced."""
    found = list(answers.oldest_first)
    assert len(found) == answers.count
    return found


def write(directory: Path, **files: bytes) -> None:
    """Write files, named with `__` for a slash."""
    for name, body in files.items():
        file = directory / name.replace("__", "/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(body)


def test_files_of_a_directory_are_read_by_the_times_in_their_names(tmp_path: Path) -> None:
    files = {
        "b_2025-10-02.json": ODD,
        "z__a_2025-10-01.json.gz": gzip.compress(b"[]"),
        "a_1759449600.JSON": b"{}",
        "manifest.json": b"{}",
        "README-2025-10-01.md": b"hello",
        ".git__2025-10-01.json": b"hidden",
    }
    write(tmp_path, **files)
    answers = in_directory(tmp_path, now=NOW)
    assert read(answers) == [
        SavedAnswer("2025-10-01T00:00:00Z", b"[]", "z/a_2025-10-01.json.gz"),
        SavedAnswer("2025-10-02T00:00:00Z", ODD, "b_2025-10-02.json"),
        SavedAnswer("2025-10-03T00:00:00Z", b"{}", "a_1759449600.JSON"),
    ]
    assert answers.left_out == (
        LeftOut("README-2025-10-01.md", "a name that is not .json or .json.gz"),
        LeftOut("manifest.json", "no time in its name"),
    )


def test_a_damaged_gzip_file_is_returned_packed(tmp_path: Path) -> None:
    damaged = gzip.compress(ODD)[:-9]
    write(tmp_path, **{"2025-10-01.json.gz": damaged, "2025-10-02.json": ODD})
    assert [saved.body for saved in read(in_directory(tmp_path, now=NOW))] == [damaged, ODD]


def test_a_gzip_file_that_unpacks_to_too_much_is_returned_packed(
    tmp_path: Path,
) -> None:
    packed = gzip.compress(ODD + b" " * 1_000_000)
    write(tmp_path, **{"saved__2025-10-01.json.gz": packed, "saved__2025-10-02.json.gz": gzip.compress(ODD)})
    found = in_directory(tmp_path / "saved", max_unpacked=len(ODD), now=NOW)
    assert [saved.body for saved in read(found)] == [packed, ODD]


def test_the_time_may_be_in_a_field_of_the_answer(tmp_path: Path) -> None:
    times = {"a": 1759449600, "b": "2025-10-01T02:00:00+02:00", "c": 1759363200000}
    bodies = {name: json.dumps({"meta": {"at": at}}).encode() for name, at in times.items()}
    others = {"d.json": b'{"meta":1}', "e.json": b"<html>", "f.json": b""}
    write(tmp_path, **{f"{name}.json": body for name, body in bodies.items()}, **others)
    answers = in_directory(tmp_path, "meta.at", now=NOW)
    assert read(answers) == [
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
    """Lines may come in any order, with answers as values or as text."""
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
    answers = in_lines(file, now=NOW)
    assert read(answers) == [
        SavedAnswer("2025-10-01T00:00:00Z", b"[]", "saved.jsonl:3"),
        SavedAnswer("2025-10-02T00:00:00Z", ODD, "saved.jsonl:1"),
    ]
    assert answers.left_out == (
        LeftOut("saved.jsonl:4", "no JSON object in it"),
        LeftOut("saved.jsonl:5", "no JSON object in it"),
        LeftOut("saved.jsonl:6", "no time in its `at`"),
        LeftOut("saved.jsonl:7", "no `at` and `body`"),
    )


def test_with_a_time_field_a_line_is_the_answer_itself(tmp_path: Path) -> None:
    file = tmp_path / "saved.jsonl"
    file.write_bytes(b'{"t": 1759276800, "data": []}\n{"data": []}\n')
    answers = in_lines(file, "t", now=NOW)
    assert read(answers) == [
        SavedAnswer("2025-10-01T00:00:00Z", b'{"t": 1759276800, "data": []}', "saved.jsonl:1")
    ]
    assert answers.left_out == (LeftOut("saved.jsonl:2", "no time at t"),)


def test_a_source_without_answers_is_an_error_with_its_name(tmp_path: Path) -> None:
    write(tmp_path, **{"notes__manifest.json": b"{}", "empty.jsonl": b""})
    with pytest.raises(SavedError, match=r"notes: holds no saved answer: manifest.json has no time in its"):
        in_directory(tmp_path / "notes", now=NOW)
    with pytest.raises(SavedError, match="nowhere: cannot be read: No such file"):
        in_directory(tmp_path / "nowhere", now=NOW)
    with pytest.raises(SavedError, match=r"empty.jsonl: holds no saved answer$"):
        in_lines(tmp_path / "empty.jsonl", now=NOW)
    with pytest.raises(SavedError, match=r"gone.jsonl: cannot be read: No such file"):
        in_lines(tmp_path / "gone.jsonl", now=NOW)


def test_a_pipe_is_not_read(tmp_path: Path) -> None:
    write(tmp_path, **{"saved__2025-10-01.json": ODD})
    os.mkfifo(tmp_path / "saved/2025-10-02.json")
    found = in_directory(tmp_path / "saved", now=NOW)
    assert [saved.body for saved in read(found)] == [ODD]
    assert found.left_out == (LeftOut("2025-10-02.json", "no regular file by that name"),)
    os.mkfifo(tmp_path / "pipe.jsonl")
    with pytest.raises(SavedError, match=r"pipe.jsonl: is not a regular file"):
        in_lines(tmp_path / "pipe.jsonl", now=NOW)


def test_lines_are_parsed_leniently(tmp_path: Path) -> None:
    lines = [
        b'\xef\xbb\xbf{"at":"2025-10-01T00:00:00Z","body":' + ODD + b"}",
        b'{"at":"2025-10-02T00:00:00Z","body":{"data":[{"id":"lyra","n":NaN}]}}',
        b'{"at":"2025-10-03T00:00:00Z","body":{"data":[{"id":"ly\\ud800ra"}]}}',
    ]
    (tmp_path / "odd.jsonl").write_bytes(b"\r\n".join(lines))
    assert [saved.body for saved in read(in_lines(tmp_path / "odd.jsonl", now=NOW))] == [
        ODD,
        b'{"data":[{"id":"lyra","n":null}]}',
        '{"data":[{"id":"ly\ufffdra"}]}'.encode(),
    ]
