"""Two hundred flipped bits in the database: no command ends in a traceback, and none begins a new history."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import amount
from support.damage import AT, commands_in, recorded
from support.e2e import Job

pytestmark = pytest.mark.proofs


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Job]:
    """A home with five runs, whose gateway goes on."""
    with recorded(tmp_path_factory.mktemp("original")) as job:
        yield job


def flipped(data: bytes, chance: random.Random) -> bytes:
    """Return a database with one flipped bit in or near what is stored, not in free space."""
    changed = bytearray(data)
    while True:
        at = chance.randrange(len(changed))
        if any(changed[max(0, at - 8) : at + 8]):
            changed[at] ^= 1 << chance.randrange(8)
            return bytes(changed)


@pytest.mark.parametrize("seed", range(amount(40, 200)))
def test_a_flipped_bit_is_one_line_in_each_command(original: Job, tmp_path: Path, seed: int) -> None:
    shutil.copytree(original.home, tmp_path / "home")
    job = Job(tmp_path / "home", original.env)
    job.database.write_bytes(flipped(original.database.read_bytes(), random.Random(seed)))
    for command, done in commands_in(job):
        assert "unexpected" not in done.output, command
        assert "Traceback" not in done.output, command
        assert done.code in {0, 2, 3, 4, 5, 74}, command
        if done.code == 74 and command != ("verify",):
            assert done.stderr.count(f"modelwatch: {job.home}/") == 1, command
    assert job.quick("verify", at=AT).code in {0, 74}
