"""Groups, the models that they offer, and the model lists as responses."""

from __future__ import annotations

import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from pipeline.simulator.accounts import DEFAULT_GROUP, NEW_API_2025, NEW_API_2026, Caller, User
from pipeline.simulator.messages import Response, json_response

CREATED = 1626777600
"""The placeholder that these servers send as the creation time of every model."""

EVERY_GROUP = "all"
"""The group whose models every group has; a price list names it in place of the others."""

AUTO_GROUP = "auto"

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
    """A price: ratios (1.0 is 2 USD per 1 million tokens), or `model_price` in USD per call."""

    model_ratio: float = 1.0
    completion_ratio: float = 1.0
    model_price: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model as a group offers it; `fields` are added to its record and replace default fields."""

    id: str
    owned_by: str = "custom"
    price: Price = field(default_factory=Price)
    fields: Mapping[str, Any] = field(default_factory=dict)

    def record(self, *, created: int = CREATED, permission_id: str = _PERMISSION_ID) -> dict[str, Any]:
        """Return the record that `/v1/models` has for the model."""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class BackEnd:
    """A second server behind the same address: its models, and more members of its answers."""

    models: tuple[Model, ...]
    envelope: Mapping[str, Any]
    turns: Counter[str] = field(default_factory=Counter)

    def answers(self, who: str) -> bool:
        """Return whether it answers the next request of a caller: each second one."""
        # Counted per caller, since two callers in turns would each get a constant list.
        self.turns[who] += 1
        return self.turns[who] % 2 == 0


class Groups:
    """The groups of a gateway and the models they offer; thread-safe."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.started = int(clock())
        self._clock = clock
        self._lock = threading.RLock()
        self._groups: dict[str, Group] = {DEFAULT_GROUP: Group(name=DEFAULT_GROUP, desc="Everyone")}
        self._offered: dict[str, dict[str, Model]] = {DEFAULT_GROUP: {}}
        self._auto: tuple[str, ...] = ()
        self._flapping: dict[tuple[str, str], Counter[str]] = {}
        self._second: dict[str, BackEnd] = {}
        self._rotations: Counter[str] = Counter()
        self._shuffled = False
        self._noisy = False
        self._cache: dict[tuple[str, tuple[str, ...] | None], Response] = {}

    def group(self, name: str, *, ratio: float = 1.0, desc: str | None = None, usable: bool = True) -> None:
        """Add or replace a group; `offers` to an unknown group adds it too."""
        with self._lock:
            self._groups[name] = Group(
                name=name, ratio=ratio, desc=desc or f"The group {name}", usable=usable
            )
            self._offered.setdefault(name, {})

    def auto(self, groups: Iterable[str]) -> None:
        """Set the groups that serve the keys of the group `auto`, in their order; without any, it is gone."""
        with self._lock:
            self._auto = tuple(groups)

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
        """Add or replace models in one or several groups.

        Prices are only in `/api/pricing`; `fields` are added to the record and replace default fields. The
        models of the group `all` are offered to every group.

        Raises:
            ValueError: no model was named.
        """
        _require_models(models)
        price = Price(model_ratio=model_ratio, completion_ratio=completion_ratio, model_price=model_price)
        with self._lock:
            for group in _names(to):
                for model in models:
                    self._put(group, Model(id=model, owned_by=owned_by, price=price, fields=fields))
                    self._flapping.pop((group, model), None)

    def drops(self, /, *models: str, of: str | Iterable[str] | None = None) -> None:
        """Remove models from one or several groups, or from all.

        The models of a key's limit stay, as on the real servers, which list them though no group offers them.

        Raises:
            ValueError: no model was named, or a model is in none of these groups; nothing is removed.
        """
        _require_models(models)
        with self._lock:
            groups = list(self._offered) if of is None else list(_names(of))
            for model in models:
                if not any(model in self._offered.get(group, {}) for group in groups):
                    raise ValueError(f"{model!r} is not offered to {', '.join(groups)}: see /v1/models.")
            for group in groups:
                for model in models:
                    self._offered.get(group, {}).pop(model, None)
                    self._flapping.pop((group, model), None)
            self._cache.clear()

    def flaps(self, /, *models: str, to: str | Iterable[str] = DEFAULT_GROUP) -> None:
        """Let models flap: each caller gets them in the first response, not in the second, and so on.

        `offers` or `drops` of a model ends its flapping.

        Raises:
            ValueError: no model was named.
        """
        _require_models(models)
        with self._lock:
            for group in _names(to):
                for model in models:
                    self._put(group, self._offered.get(group, {}).get(model, Model(id=model)))
                    self._flapping[group, model] = Counter()

    def alternates(
        self,
        models: Iterable[str] | None,
        *,
        to: str | Iterable[str] = DEFAULT_GROUP,
        envelope: dict[str, Any] | None = None,
        **fields: Any,
    ) -> None:
        """Let a second back end with other models answer each second request of a caller; None ends it.

        Args:
            models: all that it lists, also those that the first one does not offer.
            to: the groups whose lists alternate; lists of keys with a limit do not.
            envelope: more members of its answers, such as `total`.
            fields: added to its records; they replace those of the first back end.
        """
        with self._lock:
            for group in _names(to):
                self._second.pop(group, None)
                if models is not None:
                    offered = self._offered.get(group, {})
                    own = [offered.get(model, Model(id=model)) for model in models]
                    own = [replace(model, fields={**model.fields, **fields}) for model in own]
                    self._second[group] = BackEnd(models=tuple(own), envelope=dict(envelope or {}))

    def shuffles(self, *, on: bool = True) -> None:
        """Change the order of the records in each response."""
        with self._lock:
            self._shuffled = on

    def noisy(self, *, on: bool = True) -> None:
        """Set `created` to the time of the request, and new permission ids in each response."""
        with self._lock:
            self._noisy = on

    def listing(self, caller: Caller) -> Response:
        """Return the complete list of a caller, cached until the offers change."""
        with self._lock:
            second = self._second.get(caller.group) if caller.models is None else None
            if second and second.answers(caller.who):
                return self._encoded(self._rotated(list(second.models), caller.who), second.envelope)
            if self._shuffled or self._noisy or self._flaps_for(caller):
                return self._encoded(self._rotated(self._current(caller, advance=True), caller.who))
            cached = self._cache.get((caller.group, caller.models))
            if cached is None:
                cached = self._encoded(self._current(caller))
                self._cache[caller.group, caller.models] = cached
            return cached

    def one(self, caller: Caller, model: str) -> Response:
        """Return one record of a caller's list, or an error with status 200."""
        with self._lock:
            for found in self._current(caller):
                if found.id == model:
                    return json_response(self._record(found))
        message = f"The model '{model}' does not exist"
        kind = "invalid_request_error"
        return json_response(
            {"error": {"message": message, "type": kind, "param": "model", "code": "model_not_found"}}
        )

    def ids(self, caller: Caller) -> list[str]:
        """Return the sorted model ids of a caller's list."""
        with self._lock:
            return sorted(model.id for model in self._current(caller))

    def ids_of_user(self, user: User) -> list[str]:
        """Return the model ids of all groups that a user may use, sorted."""
        with self._lock:
            usable = {*self.usable(user), EVERY_GROUP}
            return sorted({model for name in usable for model in self._offered.get(name, ())})

    def usable(self, user: User | None = None) -> dict[str, Group]:
        """Return the groups that a user may use, each with the ratio that this user pays.

        New-API: `GetUserUsableGroups` and `GetUserGroupRatio` of
        https://github.com/QuantumNous/new-api/blob/main/service/group.go.
        """
        private = {user.group, *user.groups} if user else set()
        ratios = user.ratios if user else {}
        with self._lock:
            return {
                name: replace(group, ratio=ratios.get(name, group.ratio))
                for name, group in self._groups.items()
                if (group.usable or name in private) and name != EVERY_GROUP
            }

    def of_user(self, user: User) -> dict[str, Any]:
        """Return the data of `/api/user/self/groups`; the ratio of `auto` is a text.

        See https://github.com/QuantumNous/new-api/blob/main/controller/group.go.
        """
        usable = self.usable(user)
        found: dict[str, Any] = {
            name: {"ratio": each.ratio, "desc": each.desc} for name, each in usable.items()
        }
        if self._auto:
            found[AUTO_GROUP] = {"ratio": AUTO_GROUP, "desc": "The first group with the model"}
        return found

    def sizes(self) -> dict[str, int]:
        """Return the number of models of each group."""
        with self._lock:
            return {name: len(models) for name, models in self._offered.items()}

    def pricing(self, user: User | None, server: str) -> dict[str, Any]:
        """Return the body of `/api/pricing`: the models with their prices and groups.

        New-API of 2025 lists every model with all its groups, and the public ratio of each group that the
        user may use: https://github.com/Calcium-Ion/new-api/blob/main/controller/pricing.go. That of 2026
        leaves out other groups, and has the ratios that the user pays:
        https://github.com/QuantumNous/new-api/blob/main/controller/pricing.go.
        """
        with self._lock:
            usable = self.usable(user)
            rows = [self._priced(model) for model in self._all_models().values()]
            if server == NEW_API_2026:
                rows = list(filter(None, (_of_groups(row, usable) for row in rows)))
            paid = {name: self._groups[name] for name in usable} if server == NEW_API_2025 else usable
            return {
                "success": True,
                "data": self._rotated(rows, "pricing"),
                "vendors": [],
                "group_ratio": {name: group.ratio for name, group in paid.items()},
                "usable_group": {name: group.desc for name, group in usable.items()},
                "supported_endpoint": {"openai": {"path": "/v1/chat/completions", "method": "POST"}},
                "auto_groups": [name for name in self._auto if name in usable],
            }

    def _put(self, group: str, model: Model) -> None:
        if group not in self._groups:
            self.group(group)
        self._offered[group][model.id] = model
        self._cache.clear()

    def _flaps_for(self, caller: Caller) -> bool:
        return caller.models is None and any(group == caller.group for group, _ in self._flapping)

    def _current(self, caller: Caller, *, advance: bool = False) -> list[Model]:
        offered = self._offered.get(EVERY_GROUP, {}) | self._offered.get(caller.group, {})
        if caller.models is not None:
            models = self._all_models() | offered
            return [models.get(model, Model(id=model)) for model in caller.models]
        return [model for model in offered.values() if self._is_listed(model.id, caller, advance=advance)]

    def _is_listed(self, model: str, caller: Caller, *, advance: bool) -> bool:
        counts = self._flapping.get((caller.group, model))
        if counts is None:
            return True
        # Counted per caller, as the turns of two back ends.
        counts[caller.who] += advance
        return counts[caller.who] == 0 or counts[caller.who] % 2 == 1

    def _all_models(self) -> dict[str, Model]:
        models: dict[str, Model] = {}
        for offered in self._offered.values():
            models.update((name, model) for name, model in offered.items() if name not in models)
        return models

    def _rotated(self, rows: list[_Row], who: str) -> list[_Row]:
        if not self._shuffled or not rows:
            return rows
        # A rotation, since a random order could repeat by chance.
        self._rotations[who] += 1
        first = self._rotations[who] % len(rows)
        return rows[first:] + rows[:first]

    def _encoded(self, models: Iterable[Model], envelope: Mapping[str, Any] | None = None) -> Response:
        data = [self._record(model) for model in models]
        return json_response({"success": True, "object": "list", "data": data, **(envelope or {})})

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


def _of_groups(row: dict[str, Any], usable: Iterable[str]) -> dict[str, Any] | None:
    """Return a row of the price list with the groups that the user may use only; None where it has none."""
    groups = [name for name in row["enable_groups"] if name == EVERY_GROUP or name in usable]
    return row | {"enable_groups": groups} if groups else None


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


def _names(names: str | Iterable[str]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)


def _require_models(models: tuple[str, ...]) -> None:
    if not models:
        raise ValueError("No model was named: name at least one.")
