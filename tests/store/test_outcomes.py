"""The sets of outcomes are defined once; the SQL files that cannot use them agree with them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from support import ROOT

from pipeline.core.types import PROBLEMS, SETS_LISTING

LIST = re.compile(r"outcome in \(([^)]*)\)")
SETS = frozenset(map(str, SETS_LISTING))


def lists(ending: str) -> Iterator[tuple[str, frozenset[str]]]:
    for path in sorted((ROOT / "pipeline").rglob(f"*{ending}")):
        for outcomes in LIST.findall(path.read_text("utf-8")):
            yield path.name, frozenset(re.findall(r"'(\w+)'", outcomes))


def test_no_module_repeats_a_set_of_outcomes() -> None:
    sets = {frozenset(map(str, PROBLEMS)), SETS}
    assert [name for name, outcomes in lists(".py") if outcomes in sets] == []


def test_the_sql_files_of_browse_agree_with_the_sets_of_outcomes() -> None:
    found = {outcomes for _, outcomes in lists(".sql")}
    assert {outcomes for outcomes in found if "failed" in outcomes} == {frozenset(map(str, PROBLEMS))}
    # A transition has the listing of a move, so queries that follow transitions omit moves.
    assert {outcomes | {"moved"} for outcomes in found if "reread" in outcomes} == {SETS}
