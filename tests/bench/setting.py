"""State shared by the rows: sizes, the work directory, and results that several rows use."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

from measure import Command, Measured, MeasureError, always, interleaved, modelwatch, once, python

from data import answers_in, write_history

HISTORY = "ppc_aihubmix"
CLIENTS = Path(__file__).with_name("clients.py")


@dataclass(frozen=True, slots=True)
class Sizes:
    """The sizes of the rows; a model has one kilobyte, or 130 bytes in a short list."""

    answers: int = 400
    models: int = 500
    first_answers: int = 200
    fleet: int = 1_000
    large_fleet: int = 10_000
    short_list: int = 20
    concurrency: int = 64
    scale: int = 100_000
    million: int = 1_000_000
    long_history: int = 10_000


FULL = Sizes()
QUICK = Sizes(
    answers=30,
    models=40,
    first_answers=10,
    fleet=40,
    large_fleet=80,
    concurrency=16,
    scale=120,
    million=240,
    long_history=100,
)


class Setting:
    """The state of one start of the benchmark."""

    def __init__(self, work: Path, *, corpus: Path | None, times: int, sizes: Sizes) -> None:
        self.work = work
        self.corpus = corpus
        self.times = times
        self.sizes = sizes

    def place(self, name: str) -> Path:
        """Return the path of a directory that does not exist yet."""
        return self.work / f"{name}-{sum(1 for _ in self.work.iterdir())}"

    @cached_property
    def directory(self) -> Path:
        """The history to import: the real one of the corpus, or a generated one."""
        if self.corpus:
            return self._first(self.corpus / HISTORY)
        directory = self.place("history")
        write_history(directory, answers=self.sizes.answers, models=self.sizes.models)
        return directory

    def _first(self, directory: Path) -> Path:
        """Return the history, or its first answers with the quick sizes."""
        answers = answers_in(directory)
        if not answers:
            raise MeasureError(f"{directory} has no answers named like 0000_20260105T060000Z.json")
        if self.sizes is FULL:
            return directory
        shorter = self.place("history")
        shorter.mkdir()
        for answer in answers[: self.sizes.answers]:
            (shorter / answer.name).symlink_to(answer.absolute())
        return shorter

    @cached_property
    def answers(self) -> list[Path]:
        """The answers of the history, the oldest first."""
        return answers_in(self.directory)

    def replaying(self, home: Path) -> Command:
        """Return the command that imports the whole history into a new home."""
        return modelwatch("import", "aihubmix/all", str(self.directory), "--dialect", "aihubmix", home=home)

    @cached_property
    def replayed(self) -> dict[str, Measured]:
        """The import of the history, in turns with the decoding of envelopes."""
        floor = python(str(CLIENTS), "floor", str(self.directory))
        turns = {"ours": lambda _turn: self.replaying(self._new_home()), "floor": always(floor)}
        return interleaved(turns, self.times)

    @cached_property
    def database(self) -> Path:
        """The database after an import."""
        if "replayed" not in self.__dict__:
            once(self.replaying(self._new_home()))
        return self._home / "modelwatch.db"

    def _new_home(self) -> Path:
        self._home = self.place("replay")
        return self._home


@contextmanager
def setting(*, corpus: Path | None, times: int, sizes: Sizes) -> Iterator[Setting]:
    """Create the state with a work directory, and remove the directory afterwards."""
    with TemporaryDirectory(prefix="modelwatch-bench-") as work:
        yield Setting(Path(work), corpus=corpus, times=times, sizes=sizes)


def configure(home: Path, url: str, **settings: object) -> Path:
    """Write the config of a home with one gateway, named `local`."""
    home.mkdir()
    lines = ["[gateways.local]", f"url = {json.dumps(url)}"]
    lines += [f"{name} = {_toml(value)}" for name, value in settings.items()]
    (home / "modelwatch.toml").write_text("\n".join((*lines, "")), "utf-8")
    return home


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return f"{{{', '.join(f'{name} = {json.dumps(inner)}' for name, inner in value.items())}}}"
    return json.dumps(value)
