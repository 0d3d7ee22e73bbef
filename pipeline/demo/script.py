"""The script: the keys of the demo's gateway, its first models, and the scenes that change them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from pipeline.simulator import Gateway

INTERVAL = timedelta(hours=12)
"""The time from one run to the next."""

ENDS_AFTER = timedelta(days=45)
"""The time from the last run to the announced shutdown of a model."""

RUNS = 43
"""The number of runs in three weeks, with the first and the last."""

KEYS = {"web": "default", "prod": "vip", "batch": "vip"}
"""The group of each key, by alias; the gateway is also asked without a key."""

_EVERYONE = ("default", "vip")

_VIP = ("vip",)


@dataclass(frozen=True, slots=True)
class Stage:
    """The gateway, the made-up secrets of its keys by alias, and the shutdown date of a model (ISO 8601)."""

    gateway: Gateway
    secrets: Mapping[str, str] = field(repr=False)
    ends: str


@dataclass(frozen=True, slots=True)
class Scene:
    """A change at the gateway before a run; `text` describes it."""

    text: str
    play: Callable[[Stage], None]


@dataclass(frozen=True, slots=True)
class _Model:
    """A model as it is first offered: its groups, and its fields."""

    groups: tuple[str, ...]
    fields: Mapping[str, Any]


def _pricing(input_price: float, output_price: float) -> dict[str, Any]:
    return {"input": input_price, "output": output_price, "unit": "USD per 1M tokens"}


def _model(
    groups: tuple[str, ...],
    input_price: float,
    output_price: float,
    context: int,
    features: str = "",
    modalities: str = "text -> text",
) -> _Model:
    """Return a model; `features` are words, and `modalities` those of input and output."""
    sides = [side.split() for side in modalities.split("->")]
    fields = {
        "pricing": _pricing(input_price, output_price),
        "context_length": context,
        "features": features.split(),
        "input_modalities": sides[0],
        "output_modalities": sides[1],
    }
    return _Model(groups, fields)


_MODELS = {
    "heron-2": _model(_EVERYONE, 2.4, 9.6, 200_000, "tools vision", "text image -> text"),
    "heron-2-mini": _model(_EVERYONE, 0.3, 1.2, 200_000, "tools"),
    "heron-embed-1": _model(_EVERYONE, 0.05, 0, 8_000, modalities="text -> embedding"),
    "lumen-3": _model(_EVERYONE, 1.1, 4.4, 128_000, "tools vision", "text image -> text"),
    "lumen-3-fast": _model(_EVERYONE, 0.4, 1.6, 128_000, "tools"),
    "lumen-canvas": _model(_EVERYONE, 3.5, 14, 32_000, modalities="text image -> image"),
    "basalt/8b": _model(_EVERYONE, 0.06, 0.12, 32_000),
    "basalt/8b:free": _model(_EVERYONE, 0, 0, 16_000),
    "basalt/70b": _model(_EVERYONE, 0.45, 0.9, 64_000, "tools"),
    "basalt/Code": _model(_EVERYONE, 0.5, 1, 64_000, "tools"),
    "basalt/Vision": _model(_EVERYONE, 0.7, 1.4, 64_000, "vision", "text image -> text"),
    "heron-2-pro": _model(_VIP, 12, 48, 400_000, "tools vision reasoning", "text image -> text"),
    "lumen-3-long": _model(_VIP, 2.2, 8.8, 1_000_000, "tools"),
    "lumen-voice": _model(_VIP, 6, 24, 16_000, modalities="text audio -> text audio"),
    # From here on: not offered at first.
    "heron-3": _model(_VIP, 6, 24, 400_000, "tools vision reasoning", "text image -> text"),
    "heron-3-mini": _model(_EVERYONE, 0.5, 2, 200_000, "tools reasoning"),
}

_LATER = ("heron-3", "heron-3-mini")

_BASALT = tuple(name for name in _MODELS if name.startswith("basalt/"))


def _open(stage: Stage) -> None:
    for alias, group in KEYS.items():
        stage.gateway.key(stage.secrets[alias], group=group)
    _offer(stage, *(name for name in _MODELS if name not in _LATER))
    stage.gateway.shuffles()
    stage.gateway.noisy()


def _offer(stage: Stage, *names: str, **other: Any) -> None:
    """Offer models with their first fields, overridden by `other`."""
    for name in names:
        model = _MODELS[name]
        owner = name.partition("/")[0].partition("-")[0]
        stage.gateway.offers(name, to=model.groups, owned_by=owner, **{**model.fields, **other})


def _expire_key(stage: Stage) -> None:
    stage.gateway.key(stage.secrets["batch"], group=KEYS["batch"], status="expired")


def _renew_key(stage: Stage) -> None:
    stage.gateway.key(stage.secrets["batch"], group=KEYS["batch"])


def _reprice_and_shrink(stage: Stage) -> None:
    _offer(stage, "heron-2", pricing=_pricing(1.8, 9.6))
    _offer(stage, "lumen-3-long", context_length=256_000)


def _improve(stage: Stage) -> None:
    _offer(stage, "heron-3", pricing=_pricing(5, 20))
    _offer(stage, "heron-3-mini", context_length=400_000)


SCENES: Mapping[int, Scene] = {
    0: Scene("The gateway opens. Each of its answers has its own order and permission ids.", _open),
    3: Scene(
        "heron-3 is offered to vip, heron-3-mini to everyone.",
        lambda stage: _offer(stage, "heron-3", "heron-3-mini"),
    ),
    6: Scene("heron-2 gets cheaper, lumen-3-long loses most of its context.", _reprice_and_shrink),
    9: Scene("lumen-canvas is missing from every list.", lambda stage: stage.gateway.drops("lumen-canvas")),
    10: Scene("lumen-canvas is back in every list.", lambda stage: _offer(stage, "lumen-canvas")),
    14: Scene(
        "heron-embed-1 and lumen-3-fast are withdrawn.",
        lambda stage: stage.gateway.drops("heron-embed-1", "lumen-3-fast"),
    ),
    19: Scene("The key of batch expires.", _expire_key),
    22: Scene("The key of batch is renewed.", _renew_key),
    27: Scene(
        "prod gets an empty list, by mistake.",
        lambda stage: stage.gateway.fails("empty", who=stage.secrets["prod"]),
    ),
    28: Scene("prod gets its whole list again.", lambda stage: stage.gateway.heals()),
    33: Scene("All models of basalt are gone at once.", lambda stage: stage.gateway.drops(*_BASALT)),
    38: Scene("lumen-3-fast is offered again.", lambda stage: _offer(stage, "lumen-3-fast")),
    40: Scene(
        "The end of heron-2-mini is announced.",
        lambda stage: _offer(stage, "heron-2-mini", deprecation_date=stage.ends),
    ),
    42: Scene("heron-3 gets cheaper, heron-3-mini gets twice the context.", _improve),
}
"""The scene before each run, counted from 0; other runs have none."""
