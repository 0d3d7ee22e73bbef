"""Rows that a listing leaves out are reported on standard error: by `import` in numbers, by `run` once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.e2e import Job, Reply, Scripted

GOOD = [{"id": "lyra"}, {"id": "vega"}]
ODD = [*GOOD, {"id": None}, {"id": 7}, {"name": "no id"}, "", {"id": "lyra", "owned_by": "acme"}]
SHOWN = (
    "5 of 7 rows are left out: 4 without a usable id (row 3: its id is null or missing),"
    " 1 with other content of a listed model (lyra)"
)


def body(rows: list[Any], **envelope: Any) -> bytes:
    """Return a list of these rows."""
    return json.dumps({"object": "list", "data": rows} | envelope).encode()


class Served:
    """A home with two scopes, and the body that its gateway answers."""

    def __init__(self, home: Path, server: Scripted) -> None:
        self.rows: list[Any] = ODD
        self.status = 200
        self.job = Job(home, {"A": "sk-a-12345678", "B": "sk-b-12345678"})
        self.job.asks(server.url, scopes={"a": 'key = "env:A"', "b": 'key = "env:B"'}, attempts=1)
        self.hours = 0

    def run(self, *options: str) -> list[str]:
        """Run at the next hour; return the lines on standard error."""
        self.hours += 1
        done = self.job.quick(
            "run", *options, at=f"2026-05-{1 + self.hours // 24:02}T{self.hours % 24:02}:00:00Z"
        )
        return [line.removeprefix("modelwatch: ") for line in done.stderr.splitlines()]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    found: Served

    def answer(_: object) -> Reply:
        return Reply(body(found.rows), found.status)

    with Scripted(answer) as server:
        found = Served(tmp_path / "home", server)
        yield found


LINE = f"local/a local/b: {SHOWN}"


def test_a_run_reports_rows_that_it_leaves_out_once_when_it_begins(served: Served) -> None:
    assert served.run() == [LINE]
    assert [served.run() for _ in range(30)] == [[]] * 30
    served.rows = [*ODD, {"id": "orion"}, None]
    assert served.run() == []


@pytest.mark.parametrize("option", ["--repeat", "-v"])
def test_with_repeat_or_verbose_each_run_reports_them(served: Served, option: str) -> None:
    for _ in range(3):
        assert LINE in served.run(option)


def test_a_run_reports_them_again_when_they_are_back(served: Served) -> None:
    """The first list and the last are equal to the byte, and all have the same models."""
    served.rows = GOOD
    assert served.run() == []
    for _ in range(2):
        served.rows = [*GOOD, {"id": None}]
        (line,) = served.run()
        assert line.startswith("local/a local/b: 1 of 3 rows is left out: 1 without a usable id (row 3: ")
        assert served.run() == []
        served.rows = GOOD
        assert served.run("--repeat") == []


def test_a_failure_in_between_is_no_new_beginning(served: Served) -> None:
    assert served.run() == [LINE]
    served.status = 500
    assert LINE not in served.run("--repeat")
    served.status = 200
    assert LINE not in served.run()
    assert served.run("--repeat") == [LINE]


def test_an_import_reports_the_rows_that_it_leaves_out_in_one_line(tmp_path: Path) -> None:
    job = Job(tmp_path / "home")
    saved = tmp_path / "saved"
    saved.mkdir()
    for day, rows in enumerate((GOOD, ODD, [*GOOD, {"id": None}], ODD), 1):
        (saved / f"2025-10-0{day}.json").write_bytes(body(rows))
    done = job.quick("import", "acme/old", str(saved), "--dialect", "auto")
    assert done.code == 0
    assert done.stderr == (
        "modelwatch: acme/old: 11 of 17 rows in 3 answers are left out:"
        " 9 without a usable id (2025-10-02.json: row 3: its id is null or missing),"
        " 2 with other content of a listed model (2025-10-02.json: lyra)\n"
    )
    assert job.quick("import", "acme/old", str(saved), "--dialect", "auto").stderr == ""
    again = job.quick("import", "acme/new", str(saved), "--dialect", "auto", "--json")
    assert again.json()["rows_left_out"] == 11


def test_rows_that_an_import_reported_are_not_reported_again_by_the_first_run(
    served: Served, tmp_path: Path
) -> None:
    saved = tmp_path / "saved"
    saved.mkdir()
    (saved / "2025-10-01.json").write_bytes(body(ODD))
    assert f"local/a: {SHOWN[:30]}" in served.job.quick("import", "local/a", str(saved)).stderr
    assert served.run() == [f"local/b: {SHOWN}"]


@pytest.mark.parametrize(("model", "words"), [("", "empty"), (" \t", "only blanks"), (True, "true or false")])
def test_what_a_row_has_in_place_of_an_id_is_said(served: Served, model: object, words: str) -> None:
    served.rows = [*GOOD, {"id": model}]
    (line,) = served.run()
    assert line.endswith(f"1 without a usable id (row 3: its id is {words})")
