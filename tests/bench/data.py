"""Made-up answers like real ones: the same each time, a kilobyte a model, and mostly no news."""

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
_NEWS = 0.17
"""The share of the steps that bring a change, as in the real history that the targets were set by."""

_WORDS = (
    *("answers", "code", "dialogue", "fast", "for", "in", "its", "languages", "large", "long", "model", "of"),
    *("on", "reasoning", "small", "speech", "tasks", "text", "tools", "trained", "vision", "well", "with"),
)
_FAMILIES = ("heron", "lumen", "quartz", "sable", "tern", "umbra", "vesper", "willow")
_PLAIN = ("id", "object", "created", "owned_by", "cost")
_MAKERS = ("acme", "borealis", "cobalt", "dune")


class Catalogue:
    """A gateway's list and how it moves; `rng` is the only chance in it."""

    def __init__(self, models: int, seed: int = SEED) -> None:
        self.rng = Random(seed)
        self.made = 0
        self.models: dict[str, dict[str, Any]] = {}
        self.gone: dict[str, dict[str, Any]] = {}
        for _ in range(models):
            self.add()

    def add(self) -> None:
        """Let a new model come, or now and then one that had left."""
        if self.gone and self.rng.random() < 0.2:
            model = self.rng.choice(sorted(self.gone))
            self.models[model] = self.gone.pop(model)
            return
        model = f"{self.rng.choice(_FAMILIES)}-{self.made}"
        self.made += 1
        self.models[model] = self._record(model)

    def remove(self) -> None:
        """Let a model leave."""
        model = self._any()
        self.gone[model] = self.models.pop(model)

    def change(self) -> None:
        """Let a price move."""
        model = self._any()
        cost = {**self.models[model]["cost"], "output": self._price()}
        self.models[model] = {**self.models[model], "cost": cost}

    def move(self) -> None:
        """Let something happen, as it does in one step of six."""
        news, weights = (self.change, self.add, self.remove), (12, 3, 2)
        for happens in self.rng.choices(news, weights, k=self.rng.randint(1, 9)):
            happens()

    def body(self, at: datetime = _FIRST, *, plain: bool = False) -> bytes:
        """Write the answer of a moment, which is in the envelope only; `plain` is without most fields."""
        rows = list(self.models.values())
        if plain:
            rows = [{field: row[field] for field in _PLAIN} for row in rows]
        envelope = {"object": "list", "id": "made-up", "updated_at": at.isoformat(timespec="milliseconds")}
        return json.dumps({**envelope, "data": rows}, separators=(",", ":")).encode()

    def shuffle(self) -> None:
        """Let the list come in another order."""
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
    """Write a history of answers, a file each: `0007_20260106T100000Z.json`."""
    directory.mkdir()
    catalogue = Catalogue(models)
    for number in range(answers):
        at = _FIRST + number * _BETWEEN
        if number and catalogue.rng.random() < _NEWS:
            catalogue.move()
        if number % 10 == 9:
            catalogue.shuffle()
        (directory / f"{number:04}_{at:%Y%m%dT%H%M%SZ}.json").write_bytes(catalogue.body(at))


def write_bodies(directory: Path, *, bodies: int, models: int, plain: bool) -> Path:
    """Write the answers of so many groups of keys, no two alike; `plain` is without most fields."""
    directory.mkdir()
    for number in range(bodies):
        body = Catalogue(models, SEED + number).body(plain=plain)
        (directory / f"{number}.json").write_bytes(body)
    return directory


def answers_in(directory: Path) -> list[Path]:
    """List the answers of a history, oldest first."""
    return sorted(directory.glob("*_*Z.json"))


def bodies_of(answers: list[Path]) -> Iterator[bytes]:
    """Read the answers of a history, one at a time."""
    return (path.read_bytes() for path in answers)
