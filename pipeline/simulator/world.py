"""Groups and the models that they offer, and the lists that are made of them."""

from __future__ import annotations

import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pipeline.simulator.accounts import DEFAULT_GROUP, Caller
from pipeline.simulator.answers import Answer, says

# The whole family of servers says this of every model: it is a placeholder, not a date.
CREATED = 1626777600


_PERMISSION_ID = "modelperm-everyModelHasThisOne"


_Row = TypeVar("_Row")


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A group of users; `ratio` multiplies its prices, `usable` shows it to users of other groups."""

    name: str
    ratio: float = 1.0
    desc: str = ""
    usable: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What a model costs: by ratio (1.0 is 2 USD per million tokens), or USD a call."""

    model_ratio: float = 1.0
    completion_ratio: float = 1.0
    model_price: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One model as a group offers it; `fields` stand beside or in place of the usual ones."""

    id: str
    owned_by: str = "custom"
    price: Price = field(default_factory=Price)
    fields: Mapping[str, Any] = field(default_factory=dict)

    def record(self, *, created: int = CREATED, permission_id: str = _PERMISSION_ID) -> dict[str, Any]:
        """The model as `/v1/models` says it."""
        return {
            "id": self.id,
            "object": "model",
            "created": created,
            "owned_by": self.owned_by,
            "permission": [_permission(permission_id, created)],
            "root": self.id,
            "parent": None,
            **self.fields,
        }


class World:
    """What every group offers; safe to change while requests are answered."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.started = int(clock())
        self._clock = clock
        self._lock = threading.RLock()
        self._groups: dict[str, Group] = {DEFAULT_GROUP: Group(name=DEFAULT_GROUP, desc="Everyone")}
        self._offered: dict[str, dict[str, Model]] = {DEFAULT_GROUP: {}}
        self._flapping: dict[tuple[str, str], Counter[str]] = {}
        self._turns: Counter[str] = Counter()
        self._shuffled = False
        self._noisy = False
        self._kept: dict[tuple[str, tuple[str, ...] | None], Answer] = {}

    def group(self, name: str, *, ratio: float = 1.0, desc: str | None = None, usable: bool = True) -> None:
        """Add or replace a group; offers to an unknown group add it, too."""
        with self._lock:
            self._groups[name] = Group(
                name=name, ratio=ratio, desc=desc or f"The group {name}", usable=usable
            )
            self._offered.setdefault(name, {})

    def offers(
        self,
        /,
        *models: str,
        to: str | Iterable[str] = DEFAULT_GROUP,
        owned_by: str = "custom",
        model_ratio: float = 1.0,
        completion_ratio: float = 1.0,
        model_price: float | None = None,
        **fields: Any,
    ) -> None:
        """Add or replace models in one group or several.

        The prices are told at `/api/pricing` alone; `fields` join the record and win over its usual ones.

        Raises:
            ValueError: no model was named.
        """
        _some(models)
        price = Price(model_ratio=model_ratio, completion_ratio=completion_ratio, model_price=model_price)
        with self._lock:
            for group in _several(to):
                for model in models:
                    self._put(group, Model(id=model, owned_by=owned_by, price=price, fields=fields))
                    self._flapping.pop((group, model), None)

    def drops(self, /, *models: str, of: str | Iterable[str] | None = None) -> None:
        """Take models away from one group or several, or from all.

        A key's own limit stays as it is: the real servers list it even when no group offers it.

        Raises:
            ValueError: no model was named, or none of these groups offers one of them; nothing is dropped.
        """
        _some(models)
        with self._lock:
            groups = list(self._offered) if of is None else list(_several(of))
            for model in models:
                if not any(model in self._offered.get(group, {}) for group in groups):
                    raise ValueError(f"{model!r} is not offered to {', '.join(groups)}: see /v1/models.")
            for group in groups:
                for model in models:
                    self._offered.get(group, {}).pop(model, None)
                    self._flapping.pop((group, model), None)
            self._kept.clear()

    def flaps(self, /, *models: str, to: str | Iterable[str] = DEFAULT_GROUP) -> None:
        """Make models come and go: to every caller there at the first answer, gone at the next.

        An offer of the model ends it, and so does a drop.

        Raises:
            ValueError: no model was named.
        """
        _some(models)
        with self._lock:
            for group in _several(to):
                for model in models:
                    self._put(group, self._offered.get(group, {}).get(model, Model(id=model)))
                    self._flapping[group, model] = Counter()

    def shuffles(self, *, on: bool = True) -> None:
        """Put the records in another order at each answer."""
        with self._lock:
            self._shuffled = on

    def noisy(self, *, on: bool = True) -> None:
        """Make `created` the time of the request, and the permission ids new at each answer."""
        with self._lock:
            self._noisy = on

    def listing(self, caller: Caller) -> Answer:
        """The caller's list, complete; encoded once for as long as the world stays the same."""
        with self._lock:
            restless = self._shuffled or self._noisy or self._flaps_for(caller)
            if restless:
                return self._encoded(self._turned(self._current(caller, advance=True), caller.who))
            kept = self._kept.get((caller.group, caller.models))
            if kept is None:
                kept = self._encoded(self._current(caller))
                self._kept[caller.group, caller.models] = kept
            return kept

    def one(self, caller: Caller, model: str) -> Answer:
        """One record of the caller's list; an error with status 200 when it is not there."""
        with self._lock:
            for found in self._current(caller):
                if found.id == model:
                    return says(self._record(found))
        message = f"The model '{model}' does not exist"
        kind = "invalid_request_error"
        return says(
            {"error": {"message": message, "type": kind, "param": "model", "code": "model_not_found"}}
        )

    def names(self, caller: Caller) -> list[str]:
        """The ids of the caller's list, sorted."""
        with self._lock:
            return sorted(model.id for model in self._current(caller))

    def groups(self, own: str | None = None) -> dict[str, Group]:
        """The groups that a user of the group `own` may use."""
        with self._lock:
            return {name: group for name, group in self._groups.items() if group.usable or name == own}

    def sizes(self) -> dict[str, int]:
        """How many models each group offers."""
        with self._lock:
            return {name: len(models) for name, models in self._offered.items()}

    def pricing(self, own: str | None = None) -> dict[str, Any]:
        """Every model with its price and its groups, as `/api/pricing` says it."""
        with self._lock:
            usable = self.groups(own)
            return {
                "success": True,
                "data": self._turned(
                    [self._priced(model) for model in self._everywhere().values()], "pricing"
                ),
                "vendors": [],
                "group_ratio": {name: group.ratio for name, group in usable.items()},
                "usable_group": {name: group.desc for name, group in usable.items()},
                "supported_endpoint": {"openai": {"path": "/v1/chat/completions", "method": "POST"}},
                "auto_groups": [],
            }

    def _put(self, group: str, model: Model) -> None:
        if group not in self._groups:
            self.group(group)
        self._offered[group][model.id] = model
        self._kept.clear()

    def _flaps_for(self, caller: Caller) -> bool:
        return caller.models is None and any(group == caller.group for group, _ in self._flapping)

    def _current(self, caller: Caller, *, advance: bool = False) -> list[Model]:
        offered = self._offered.get(caller.group, {})
        if caller.models is not None:
            known = self._everywhere() | offered
            return [known.get(model, Model(id=model)) for model in caller.models]
        return [model for model in offered.values() if self._is_there(model.id, caller, advance=advance)]

    def _is_there(self, model: str, caller: Caller, *, advance: bool) -> bool:
        beats = self._flapping.get((caller.group, model))
        if beats is None:
            return True
        # Counted by caller: were it counted over all, two callers would each see a steady list.
        beats[caller.who] += advance
        return beats[caller.who] == 0 or beats[caller.who] % 2 == 1

    def _everywhere(self) -> dict[str, Model]:
        models: dict[str, Model] = {}
        for offered in self._offered.values():
            models.update((name, model) for name, model in offered.items() if name not in models)
        return models

    def _turned(self, rows: list[_Row], who: str) -> list[_Row]:
        if not self._shuffled or not rows:
            return rows
        # A turn, not a shuffle: two answers running never agree by chance, however short the list.
        self._turns[who] += 1
        first = self._turns[who] % len(rows)
        return rows[first:] + rows[:first]

    def _encoded(self, models: Iterable[Model]) -> Answer:
        data = [self._record(model) for model in models]
        return says({"success": True, "object": "list", "data": data})

    def _record(self, model: Model) -> dict[str, Any]:
        if not self._noisy:
            return model.record()
        return model.record(created=int(self._clock()), permission_id=f"modelperm-{secrets.token_hex(12)}")

    def _priced(self, model: Model) -> dict[str, Any]:
        price = model.price
        return {
            "model_name": model.id,
            "quota_type": 0 if price.model_price is None else 1,
            "model_ratio": price.model_ratio if price.model_price is None else 0,
            "model_price": price.model_price or 0,
            "owner_by": model.owned_by,
            "completion_ratio": price.completion_ratio,
            "enable_groups": [group for group, offered in self._offered.items() if model.id in offered],
            "supported_endpoint_types": ["openai"],
        }


def _permission(permission_id: str, created: int) -> dict[str, Any]:
    return {
        "id": permission_id,
        "object": "model_permission",
        "created": created,
        "allow_create_engine": True,
        "allow_sampling": True,
        "allow_logprobs": True,
        "allow_search_indices": False,
        "allow_view": True,
        "allow_fine_tuning": False,
        "organization": "*",
        "group": None,
        "is_blocking": False,
    }


def _several(names: str | Iterable[str]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)


def _some(models: tuple[str, ...]) -> None:
    if not models:
        raise ValueError("No model was named: name at least one.")
