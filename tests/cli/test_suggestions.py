"""A name that does not exist is answered with a similar one, else with those that exist."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.e2e import Job

SCOPE = "no scope matches 'one/prd': did you mean one/prod?"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("models", "--scope", "one/prd"), SCOPE),
        (("changes", "--scope", "one/prd"), SCOPE),
        (("history", "heron-2", "--scope", "one/prd"), SCOPE),
        (("show", "heron-2", "--scope", "one/prd"), SCOPE),
        (("watch", "heron-2", "--scope", "one/prd"), SCOPE),
        (("matrix", "--scope", "one/prd"), SCOPE),
        (("same", "--scope", "one/prd"), SCOPE),
        (("run", "--scope", "one/prd"), SCOPE),
        (("accept", "one/prd"), SCOPE),
        (("forget", "one/prd", "--yes"), SCOPE),
        (("rename", "one/prd", "one/new"), "one/prd is unknown: did you mean one/prod?"),
        (("diff", "one/prd"), "'one/prd' is no time, no snapshot and no scope: did you mean one/prod?"),
        (("diff", "one/prd@now"), "no scope is named 'one/prd': did you mean one/prod?"),
        (("matrix", "--gateway", "onne"), "no gateway is named 'onne': did you mean one?"),
        (("probe", "onne"), "no gateway is named 'onne': did you mean one?"),
        (("send", "--to", "repots"), "no destination is named 'repots': did you mean reports?"),
        (
            ("report", "--as", "txt", "--to", "repots"),
            "no destination is named 'repots': did you mean reports?",
        ),
        (("schedule", "crontb"), "'crontb' is not a kind of schedule: did you mean crontab?"),
        (("history", "heron2"), "no scope has ever been offered 'heron2': did you mean heron-2"),
        (("show", "HERON-2"), "no scope has ever been offered 'HERON-2': did you mean heron-2"),
        (("matrix", "--gateway", "xyz"), "no gateway is named 'xyz': there are one"),
        (("chnages",), "No such command 'chnages'. Did you mean changes?"),
        (("changes", "--jsn"), "No such option '--jsn'. (Did you mean one of: '--csv', '--json'"),
    ],
)
def test_a_mistyped_name_is_answered_with_a_similar_one(
    past: Job, arguments: tuple[str, ...], message: str
) -> None:
    done = past.quick(*arguments)
    assert (done.code, done.stdout) == (2, "")
    assert message in done.stderr


def test_of_many_scopes_ten_are_named(tmp_path: Path) -> None:
    job = Job(tmp_path)
    scopes = {f"s{number:02}": "" for number in range(20)}
    job.asks("http://127.0.0.1:9", scopes=scopes, attempts=1)
    done = job.quick("run", "--scope", "x")
    assert done.stderr.endswith(f"there are {', '.join(f'local/s{number:02}' for number in range(10))} …\n")
