"""A month of a gateway at random: real changes, and disturbances that are none, with the known truth beside.

The gateway serves two scopes: everyone (`public`), and a key (`prod`) with five more models. Each real change
happens to a model of its own, at a random time. Disturbances follow each other in each scope: failures,
incomplete and empty lists, a key that falls back to the public list, two back ends that answer in turn.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.core.times import iso
from pipeline.core.types import Thresholds
from pipeline.simulator import Gateway
from support.e2e import Job
from support.proving import current_bodies, problems

BEGIN = datetime(2026, 3, 1, tzinfo=UTC)
DAYS = 30
QUIET_END = 5
"""The last days, in which nothing new happens, so that all that is true has been reported."""

KEY = "sk-month-12345678"
HOUR = timedelta(hours=1)
PRIVATE = 5
"""The number of models that only the key gets: fewer than an answer may lack without being held."""

WATCHED = ("steady-00", "leaves-0", "reprices-0", "ends-0")

_GAINED = "max_output_tokens"
"""The field that all models gain at one moment."""

SCOPES = {"public": "", "prod": 'key = "env:MONTH"'}

Offer = dict[str, dict[str, Any]]
"""The fields of each offered model."""

_APART = 13 * HOUR
"""The time for two answers, however rarely the gateway is asked."""

_DISTURBANCES = {
    "public": ("blip", "blip", "outage", "half", "short", "empty", "null"),
    "prod": ("blip", "blip", "outage", "refused", "half", "short", "empty", "fallback", "turns", "null"),
}

_FAULTS: Mapping[str, tuple[tuple[str, dict[str, Any]], ...]] = {
    "blip": (
        ("broken", {}),
        ("unavailable", {}),
        ("throttled", {}),
        ("reset", {}),
        ("html", {}),
        ("truncated", {}),
    ),
    "outage": (("broken", {}), ("unavailable", {}), ("closed", {}), ("status", {"code": 502})),
    "refused": (("refused", {}),),
    "null": (("null", {}),),
    "empty": (("empty", {}),),
}


class Reported(NamedTuple):
    """A change of a model in a scope; `field` is empty but for a changed field."""

    scope: str
    kind: str
    model: str
    field: str = ""


@dataclass(frozen=True, slots=True)
class Disturbance:
    """A disturbance of the answers to one scope, and the time that it lasts."""

    kind: str
    scope: str
    begin: datetime
    end: datetime
    seed: int

    def covers(self, at: datetime) -> bool:
        """Return whether it disturbs the answer at a time."""
        return self.begin <= at < self.end


@dataclass(frozen=True, slots=True)
class RealChange:
    """A change of a model that lasts: `kind` is removed, returned, added or changed."""

    at: datetime
    kind: str
    model: str
    field: str = ""


@dataclass
class Month:
    """A month that a seed determines: the times of the runs, the offers, the disturbances and the truth."""

    seed: int
    polls: list[datetime] = field(default_factory=list)
    changes: list[RealChange] = field(default_factory=list)
    disturbances: list[Disturbance] = field(default_factory=list)

    def __post_init__(self) -> None:
        chance = random.Random(self.seed)
        self._steady = [f"steady-{n:02}" for n in range(20)]
        self.private = {f"steady-{n:02}" for n in range(20 - PRIVATE, 20)}
        self.shape_at = self._moment(chance)
        self._plan_changes(chance)
        self._flips = {f"flips-{n}": self._span(chance, 12, 22) for n in range(2)}
        self._blinks = {f"blinks-{n}": self._span(chance, 72, 120) for n in range(2)}
        for scope in _DISTURBANCES:
            self._disturb(scope, chance)
        self._plan_polls(chance)

    @staticmethod
    def _moment(chance: random.Random) -> datetime:
        hours = chance.uniform(30, (DAYS - QUIET_END) * 24)
        return BEGIN + timedelta(minutes=round(hours * 60))

    def _span(self, chance: random.Random, shortest: int, longest: int) -> tuple[datetime, datetime]:
        begin = self._moment(chance) - 40 * HOUR
        return begin, begin + chance.randint(shortest, longest) * HOUR

    def _plan_changes(self, chance: random.Random) -> None:
        kinds = {
            "leaves": [("removed", "")],
            "returns": [("removed", ""), ("returned", "")],
            "arrives": [("added", "")],
            "reprices": [("changed", "pricing.prompt")],
            "ends": [("changed", "shutdown_date")],
            "shrinks": [("changed", "context_length")],
        }
        for name, steps in kinds.items():
            for number in range(3):
                at = self._moment(chance)
                if len(steps) > 1:
                    at = min(at, BEGIN + timedelta(days=DAYS - QUIET_END - 8))
                for kind, path in steps:
                    self.changes.append(RealChange(at, kind, f"{name}-{number}", path))
                    at += timedelta(days=6)

    def _disturb(self, scope: str, chance: random.Random) -> None:
        """Plan the disturbances of a scope; none is near the moment at which all records gain a field."""
        at, end = BEGIN + 10 * HOUR, BEGIN + timedelta(days=DAYS - QUIET_END)
        hours = {"outage": (8, 20), "refused": (3, 10), "half": (2, 14), "empty": (1, 5), "turns": (8, 40)}
        kinds: list[str] = []
        while at < end:
            # Each kind happens before any happens again.
            kinds = kinds or chance.sample(_DISTURBANCES[scope], len(_DISTURBANCES[scope]))
            kind = kinds[-1]
            least, most = hours.get(kind, (3, 40) if kind == "fallback" else (0, 0))
            length = chance.uniform(least, most) * HOUR
            if at - _APART < self.shape_at < at + length + _APART:
                at = self.shape_at + _APART
                continue
            kinds.pop()
            self.disturbances.append(Disturbance(kind, scope, at, at + length, chance.randrange(10**6)))
            at += length + chance.uniform(14, 30) * HOUR

    def _plan_polls(self, chance: random.Random) -> None:
        at, gap = BEGIN, HOUR
        while at < BEGIN + timedelta(days=DAYS):
            self.polls.append(at)
            if chance.random() < 0.08:
                gap = chance.choice((HOUR / 2, HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR))
            if at >= BEGIN + timedelta(days=DAYS - QUIET_END):
                gap = 3 * HOUR
            # A scheduler is late by up to five minutes.
            at += gap + timedelta(seconds=chance.randint(-60, 240))

    def offered(self, scope: str, at: datetime) -> Offer:
        """Return what a scope is really offered at a time."""
        models: Offer = {name: _fields() for name in (*self._steady, *self._flips, *self._blinks)}
        for change in self.changes:
            present = change.kind != "added"
            if change.model not in models and present:
                models[change.model] = _fields()
        for change in sorted(self.changes, key=lambda each: each.at):
            if change.at <= at:
                _apply(models, change)
        for number, (name, (begin, end)) in enumerate(self._flips.items()):
            models[name]["context_length"] = self._flipped(number, at, begin, end)
        if at >= self.shape_at:
            for fields in models.values():
                fields[_GAINED] = 4096
        return {name: value for name, value in models.items() if scope == "prod" or name not in self.private}

    def _flipped(self, number: int, at: datetime, begin: datetime, end: datetime) -> int:
        """Return the value of a field that two servers disagree about for a while."""
        values = (1_048_576, 1_000_000)
        last = values[(self.seed + number) % 2]
        if at < begin:
            return values[0]
        return last if at >= end else random.Random(f"{self.seed} {number} {at}").choice(values)

    def blinking(self, at: datetime) -> set[str]:
        """Return the models that this one answer lacks.

        The next answer is undisturbed and has them: a held one would not end the misses in a row.
        """
        position = self.polls.index(at)
        disturbed = any(
            self.disturbance(scope, each) for scope in SCOPES for each in self.polls[position : position + 2]
        )
        if disturbed or abs(at - self.shape_at) < _APART:
            return set()
        return {
            name
            for name, (begin, end) in self._blinks.items()
            if begin <= at < end and position % 3 == 1 and random.Random(f"{name} {at}").random() < 0.6
        }

    def disturbance(self, scope: str, at: datetime) -> Disturbance | None:
        """Return the disturbance of an answer; one that is shorter than the wait for it disturbs the next."""
        index = self.polls.index(at)
        before = self.polls[index - 1] if index else BEGIN
        for each in self.disturbances:
            if each.scope == scope and (each.covers(at) or before < each.begin <= at):
                return each
        return None

    def served(self, scope: str, at: datetime) -> Offer | Disturbance:
        """Return the list that a scope gets in a run, or the disturbance if it is a fault."""
        offer = self.offered(scope, at)
        blinking = self.blinking(at)
        plain = {name: fields for name, fields in offer.items() if name not in blinking}
        disturbance = self.disturbance(scope, at)
        if disturbance is None or (disturbance.kind == "turns" and self.polls.index(at) % 2):
            return plain
        chance = random.Random(f"{disturbance.seed} {at}")
        match disturbance.kind:
            case "half":
                kept = chance.sample(sorted(plain), len(plain) // 2)
                return {name: plain[name] for name in kept}
            case "short":
                lost = chance.sample(self._steady[1:], 2)
                return {name: fields for name, fields in plain.items() if name not in lost}
            case "fallback":
                # Where the gateway fails for everyone, it fails for the key too.
                return self.served("public", at)
            case "turns":
                lost = random.Random(disturbance.seed).sample(self._steady, 12)
                others = {f"other-{n}": _fields() for n in range(3)}
                return {name: fields for name, fields in plain.items() if name not in lost} | others
            case _:
                return disturbance

    def fault(self, disturbance: Disturbance, at: datetime) -> tuple[str, dict[str, Any]]:
        """Return the fault with which the gateway answers in a run, and its options."""
        return random.Random(f"{disturbance.seed} {at}").choice(_FAULTS[disturbance.kind])

    def truth(self) -> Counter[Reported]:
        """Count what must be reported: each change that lasts, once for each scope."""
        lasting = [(change.kind, change.model, change.field) for change in self.changes]
        # The values of watched models are reported one by one, also where all models gain a field.
        watched = [("changed", model, _GAINED) for model in WATCHED]
        return Counter(
            Reported(scope, *each)
            for scope in _DISTURBANCES
            for each in (*lasting, *watched)
            if each[2] != _GAINED or each[1] in self.offered(scope, self.shape_at)
        )

    def shapes(self) -> list[tuple[str, int]]:
        """Return the changes of shape that must be reported: each scope, and the number of its models."""
        return [
            (scope, len(self.offered(scope, self.shape_at).keys() - set(WATCHED))) for scope in _DISTURBANCES
        ]

    def without_flapping(self, loud: Mapping[Reported, int]) -> dict[Reported, int]:
        """Return the reported changes without those of fields that keep changing."""
        flapping = self.flapping_fields()
        return {each: times for each, times in loud.items() if each not in flapping}

    def flapping_fields(self) -> dict[Reported, int]:
        """Return the fields that keep changing for a while, with the least number of reports of each."""
        return {
            Reported(scope, "changed", name, "context_length"): int((self.seed + number) % 2)
            for number, name in enumerate(self._flips)
            for scope in _DISTURBANCES
        }

    def alarms_at_most(self) -> int:
        """Return the number of mails that the beginnings and ends of all that is urgent justify."""
        watched = 2 * (len(WATCHED) + 1)
        return watched + sum(2 * self._is_urgent(each) for each in self.disturbances)

    def _is_urgent(self, disturbance: Disturbance) -> int:
        """Return how often a disturbance may begin to need a person."""
        match disturbance.kind:
            case "turns":
                # Held once, released by the other list, and then known as two lists in turn.
                return 2
            case "refused" | "null" | "half" | "empty" | "fallback":
                return 1
            case "outage":
                return int(disturbance.end - disturbance.begin >= 5 * HOUR)
            case "blip":
                runs = (at for at in self.polls if self.disturbance(disturbance.scope, at) is disturbance)
                return sum(self.fault(disturbance, at)[0] == "html" for at in runs)
            case _:
                return 0

    def lines_at_most(self) -> int:
        """Return the number of lines on standard error that problems justify.

        A problem has one when it begins, when it gets worse, after each day, and when it ends.
        """
        days = sum((each.end - each.begin) // (24 * HOUR) for each in self.disturbances)
        return days + 3 * len(self.disturbances) + 2 * (len(WATCHED) + 1)


def _fields() -> dict[str, Any]:
    return {"context_length": 1_048_576, "pricing": {"prompt": "0.000002", "completion": "0.000006"}}


def _apply(models: Offer, change: RealChange) -> None:
    match change.kind, change.field:
        case "removed", _:
            models.pop(change.model)
        case (("added" | "returned"), _):
            models[change.model] = _fields()
        case _, "pricing.prompt":
            models[change.model]["pricing"] = {"prompt": "0.000003", "completion": "0.000006"}
        case _, "shutdown_date":
            models[change.model]["shutdown_date"] = "2026-12-20"
        case _, path:
            models[change.model][path] = 131_072


@dataclass
class Outcome:
    """What the command has reported in a month.

    Args:
        loud: the changes of models in each scope that are not quiet.
        shapes: the changes of the shape of a list that are not quiet: the scope, and the number of models.
        days: the days, from seven to seven, with such a change or a disturbance.
        daily: the number of mails to a daily destination.
        alarms: the number of mails to a destination for what is urgent.
        errors: the text on standard error of each run.
    """

    loud: Counter[Reported] = field(default_factory=Counter)
    shapes: list[tuple[str, int]] = field(default_factory=list)
    days: set[str] = field(default_factory=set)
    daily: int = 0
    alarms: int = 0
    errors: list[str] = field(default_factory=list)


CONFIG = f"""
[watch]
models = {json.dumps(WATCHED)}

[destinations.daily]
type = "eml"
directory = "daily"
every = "day"
at = "07:00"

[destinations.alarm]
type = "eml"
directory = "alarm"
severity = "urgent"
"""


def play(month: Month, directory: Path) -> Outcome:
    """Run the command at each time of a month, and return what it has reported."""
    now = BEGIN
    with Gateway(clock=lambda: now.timestamp()) as gateway:  # noqa: PLW0108 - `now` is set anew
        gateway.key(KEY, group="prod")
        gateway.shuffles()
        job = Job(directory / "home", {"MONTH": KEY})
        confirm_after = Thresholds().confirm_after
        job.asks(gateway.url, attempts=1, confirm_after=confirm_after, scopes=SCOPES)
        job.configure(job.config.read_text("utf-8") + CONFIG)
        found = Outcome()
        for now in month.polls:
            for scope, group in (("public", "default"), ("prod", "prod")):
                serve(gateway, month, scope, group, now)
            found.errors.append(job.quick("run", at=iso(now)).stderr)
            if any(month.disturbance(scope, now) for scope in _DISTURBANCES):
                found.days |= {_day(now), _day(now + 24 * HOUR)}
        job.quick("send", at=iso(now + timedelta(days=1)))
    _read_reports(found, job)
    found.daily = _mails(job.home / "daily")
    found.alarms = _mails(job.home / "alarm")
    assert problems(job.database) == []
    assert {name: sorted(bodies) for name, bodies in current_bodies(job.database).items()} == {
        f"local/{scope}": sorted(month.offered(scope, month.polls[-1])) for scope in _DISTURBANCES
    }
    return found


def serve(gateway: Gateway, month: Month, scope: str, group: str, at: datetime) -> None:
    """Let the gateway serve a scope what it gets in a run."""
    who = "anonymous" if scope == "public" else KEY
    gateway.heals(who)
    served = month.served(scope, at)
    if isinstance(served, Disturbance):
        fault, options = month.fault(served, at)
        gateway.fails(fault, who=who, **options)
        return
    before = gateway.groups._offered.get(group, {})
    if gone := before.keys() - served.keys():
        gateway.drops(*gone, of=group)
    for model, fields in served.items():
        if model not in before or before[model].fields != fields:
            gateway.offers(model, to=group, **fields)


def _day(at: datetime) -> str:
    return (at - 7 * HOUR).date().isoformat()


def _read_reports(found: Outcome, job: Job) -> None:
    for name, content in job.written().items():
        for change in json.loads(content)["changes"] if name.endswith(".json") else ():
            if change["quiet"]:
                continue
            found.days.add(_day(datetime.fromisoformat(change["at"])))
            scopes = [scope.partition("/")[2] for scope in change["scopes"]]
            if change["kind"] == "shape":
                found.shapes += ((scope, len(change["models"])) for scope in scopes)
            else:
                found.loud.update(Reported(scope, *each) for scope in scopes for each in _reported(change))


def _reported(change: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield kind, model and field of each change of a model in a report."""
    fields = [each["field"] for each in change["fields"]] if change["kind"] == "changed" else [""]
    for path in fields:
        yield change["kind"], change["model"], path


def _mails(directory: Path) -> int:
    return len(list(directory.glob("*.eml"))) if directory.is_dir() else 0
