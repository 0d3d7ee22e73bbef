"""Generated answers: the same each time, a kilobyte per model, and mostly without changes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

SEED = 20261104
_FIRST = datetime(2026, 1, 5, 6, tzinfo=UTC)
_BETWEEN = timedelta(hours=4)
_CHANGED = 0.17
"""The share of answers with changes, as in the real history by which the targets were set."""

_WORDS = (
    *("answers", "code", "dialogue", "fast", "for", "in", "its", "languages", "large", "long", "model", "of"),
    *("on", "reasoning", "small", "speech", "tasks", "text", "tools", "trained", "vision", "well", "with"),
)
_FAMILIES = ("heron", "lumen", "quartz", "sable", "tern", "umbra", "vesper", "willow")
_PLAIN = ("id", "object", "created", "owned_by", "cost")
_MAKERS = ("acme", "borealis", "cobalt", "dune")


class Catalogue:
    """A list that changes at random; `rng` is the only source of randomness."""

    def __init__(self, models: int, seed: int = SEED) -> None:
        self.rng = Random(seed)
        self.made = 0
        self.models: dict[str, dict[str, Any]] = {}
        self.removed: dict[str, dict[str, Any]] = {}
        for _ in range(models):
            self.add()

    def add(self) -> None:
        """Add a new model or, with a probability of 20 %, a removed one."""
        if self.removed and self.rng.random() < 0.2:
            model = self.rng.choice(sorted(self.removed))
            self.models[model] = self.removed.pop(model)
            return
        model = f"{self.rng.choice(_FAMILIES)}-{self.made}"
        self.made += 1
        self.models[model] = self._record(model)

    def remove(self) -> None:
        """Remove a model."""
        model = self._any()
        self.removed[model] = self.models.pop(model)

    def change(self) -> None:
        """Change a price."""
        model = self._any()
        cost = {**self.models[model]["cost"], "output": self._price()}
        self.models[model] = {**self.models[model], "cost": cost}

    def change_several(self) -> None:
        """Make one to nine changes."""
        kinds, weights = (self.change, self.add, self.remove), (12, 3, 2)
        for make in self.rng.choices(kinds, weights, k=self.rng.randint(1, 9)):
            make()

    def body(self, at: datetime = _FIRST, *, plain: bool = False) -> bytes:
        """Return the answer at a time, which only the envelope has; `plain` leaves out most fields."""
        rows = list(self.models.values())
        if plain:
            rows = [{field: row[field] for field in _PLAIN} for row in rows]
        envelope = {"object": "list", "id": "made-up", "updated_at": at.isoformat(timespec="milliseconds")}
        return json.dumps({**envelope, "data": rows}, separators=(",", ":")).encode()

    def shuffle(self) -> None:
        """Shuffle the list."""
        models = list(self.models.items())
        self.rng.shuffle(models)
        self.models = dict(models)

    def _any(self) -> str:
        return self.rng.choice(list(self.models))

    def _price(self) -> float:
        return self.rng.randint(1, 40_000) / 1000

    def _record(self, model: str) -> dict[str, Any]:
        rng = self.rng
        text = " ".join(rng.choices(_WORDS, k=110))
        kinds = ["text", "image", "audio", "video"][: rng.randint(1, 4)]
        return {
            "id": model,
            "object": "model",
            "created": 1_626_777_600,
            "owned_by": rng.choice(_MAKERS),
            "display_name": model.title(),
            "type": "chat",
            "tool_call": rng.random() < 0.5,
            "modalities": {"input": kinds, "output": ["text"]},
            "cost": {"input": self._price(), "output": self._price()},
            "limit": {"context": rng.choice((32_000, 128_000, 1_000_000)), "output": 8192},
            "metadata": {"description": text.capitalize() + ".", "source": "made-up"},
        }


def write_history(directory: Path, *, answers: int, models: int) -> None:
    """Write a history with one file per answer, such as `0007_20260106T100000Z.json`."""
    directory.mkdir()
    catalogue = Catalogue(models)
    for number in range(answers):
        at = _FIRST + number * _BETWEEN
        if number and catalogue.rng.random() < _CHANGED:
            catalogue.change_several()
        if number % 10 == 9:
            catalogue.shuffle()
        (directory / f"{number:04}_{at:%Y%m%dT%H%M%SZ}.json").write_bytes(catalogue.body(at))


def write_bodies(directory: Path, *, bodies: int, models: int, plain: bool) -> Path:
    """Write the different answers of several groups of keys; `plain` leaves out most fields."""
    directory.mkdir()
    for number in range(bodies):
        body = Catalogue(models, SEED + number).body(plain=plain)
        (directory / f"{number}.json").write_bytes(body)
    return directory


def answers_in(directory: Path) -> list[Path]:
    """Return the files of a history, the oldest first."""
    return sorted(directory.glob("*_*Z.json"))


def bodies_of(answers: list[Path]) -> Iterator[bytes]:
    """Yield the answers of a history."""
    return (path.read_bytes() for path in answers)
