"""What differs between two lists: those of two scopes, or of one scope at two moments.

Two sides to compare: which scopes, each at which moment, and which belongs to which.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from pipeline.core import canonical
from pipeline.core.diff import QUIET, SHAPE, FieldComparer, categorise, diff, field_changes
from pipeline.core.facts import strip_zeros
from pipeline.core.types import Change, FieldChange, Kind, Listing, Record
from pipeline.store import Store
from pipeline.store import read_listing as stored
from pipeline.store.catalog import NOW, Known, Moment, began, known
from pipeline.store.outcomes import SETS_LISTING

FACTS = (
    "context_length",
    "max_output",
    "input_usd_per_1m",
    "output_usd_per_1m",
    "cache_read_usd_per_1m",
    "cache_write_usd_per_1m",
    "usd_per_call",
    "deprecated_at",
)
"""In these the models of two gateways are compared: they mean the same wherever they come from."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A model that one list has and the other has not, or has in another form: `changed`, and its fields."""

    kind: Kind
    model: str
    fields: tuple[FieldChange, ...] = ()

    @property
    def quiet(self) -> bool:
        """Whether only names, descriptions and the like differ, or the shape of all records at once."""
        return self.kind == Kind.CHANGED and all(each.category in (QUIET, SHAPE) for each in self.fields)


_Step = tuple[Change, tuple[FieldChange, ...]]


@dataclass(slots=True)
class Comparer:
    """Compares lists; each is loaded and each pair compared once, however many scopes have it."""

    store: Store
    listings: dict[int, Listing] = field(default_factory=dict)
    found: dict[tuple[tuple[int, int], ...], tuple[Difference, ...]] = field(default_factory=dict)

    def between(self, before: Known, after: Known) -> tuple[Difference, ...]:
        """Give what differs, by model id.

        The lists of one scope are followed through its history, so that a change of the rules of reading in
        between is no difference. Those of two gateways are compared by the facts that both tell.
        """
        if before.scope_id != after.scope_id:
            if before.gateway != after.gateway:
                return self._across(before.listing, after.listing)
            return self._along(((before.listing, after.listing),))
        if before.sighting > after.sighting:
            return tuple(map(_turned, self.between(after, before)))
        return self._along(self._path(before, after))

    def lists(self, before: int, after: int) -> tuple[Change, ...]:
        """Give the models in which two listings of one gateway differ, by the rules both were read under."""
        return diff(*self._both(before, after))

    def _both(self, before: int, after: int) -> tuple[Listing, Listing]:
        old, new = self._listing(before), self._listing(after)
        return (old, new) if old.reading == new.reading else _under_both(old, new)

    def _path(self, before: Known, after: Known) -> tuple[tuple[int, int], ...]:
        """Give the moves from one sighting of a scope to another: one more after each new reading."""
        rows = self.store.rows(
            f"""
            select outcome, listing from sightings
            where scope = :scope and id > :since and id <= :until
            and outcome in {SETS_LISTING}
            order by id
            """,  # noqa: S608 - our own words
            {"scope": before.scope_id, "since": before.sighting, "until": after.sighting},
        )
        starts, ends = [before.listing], []
        last = before.listing
        for row in rows:
            if row["outcome"] == "reread":
                ends.append(last)
                starts.append(row["listing"])
            last = row["listing"]
        ends.append(last)
        return tuple(sides for sides in zip(starts, ends, strict=True) if sides[0] != sides[1])

    def _along(self, path: tuple[tuple[int, int], ...]) -> tuple[Difference, ...]:
        if path not in self.found:
            steps: dict[str, list[_Step]] = {}
            for sides in path:
                for change, changed in self._changes(*sides):
                    steps.setdefault(change.model, []).append((change, changed))
            told = (_net(of_it, self._readings(path)) for _, of_it in sorted(steps.items()))
            self.found[path] = tuple(difference for difference in told if difference)
        return self.found[path]

    def _changes(self, before: int, after: int) -> list[_Step]:
        old, new = self._both(before, after)
        fields_of = FieldComparer(old, new)
        found = [(change, fields_of(change)) for change in diff(old, new)]
        quiet = self._quiet(before, {each.field for _, changed in found for each in changed})
        return [(change, tuple(_hushed(each, quiet) for each in changed)) for change, changed in found]

    def _readings(self, path: tuple[tuple[int, int], ...]) -> tuple[str, str]:
        return self._listing(path[0][0]).reading, self._listing(path[-1][1]).reading

    def _listing(self, listing: int) -> Listing:
        if listing not in self.listings:
            self.listings[listing] = stored(self.store, listing)
        return self.listings[listing]

    def _quiet(self, listing: int, names: Iterable[str]) -> set[str]:
        """Find the fields that are quiet at a listing's gateway, as the changes recorded of it say."""
        rows = self.store.rows(
            """
            select wanted.value as field from json_each(:fields) as wanted where exists (
                select 1 from fields
                join field_changes on field_changes.field = fields.id
                join changes on changes.id = field_changes.change
                join models on models.id = changes.model
                join listings on listings.id = :listing and listings.gateway = models.gateway
                where fields.name = wanted.value and fields.class = :quiet
            )
            """,
            {"fields": json.dumps(sorted(names)), "listing": listing, "quiet": QUIET},
        )
        return {row["field"] for row in rows}

    def _across(self, before: int, after: int) -> tuple[Difference, ...]:
        old, new = self._facts(before), self._facts(after)
        gone = [Difference(Kind.REMOVED, model) for model in old.keys() - new.keys()]
        came = [Difference(Kind.ADDED, model) for model in new.keys() - old.keys()]
        both = (
            Difference(Kind.CHANGED, model, tuple(_differing(old[model], new[model])))
            for model in old.keys() & new.keys()
        )
        return tuple(sorted([*gone, *came, *(each for each in both if each.fields)], key=lambda d: d.model))

    def _facts(self, listing: int) -> dict[str, dict[str, object]]:
        rows = self.store.rows(
            f"""
            select models.name as model, {", ".join(f"records.{name}" for name in FACTS)} from listing_records
            join records on records.id = listing_records.record
            join models on models.id = records.model
            where listing_records.listing = :listing
            """,  # noqa: S608 - our own words
            {"listing": listing},
        )
        return {row.pop("model"): row for row in rows}


def _hushed(change: FieldChange, quiet: set[str]) -> FieldChange:
    loud = change.category not in (QUIET, SHAPE)
    return replace(change, category=QUIET) if loud and change.field in quiet else change


def _turned(difference: Difference) -> Difference:
    """Tell a difference from the other side."""
    kinds = {Kind.ADDED: Kind.REMOVED, Kind.REMOVED: Kind.ADDED}
    turned = tuple(replace(each, before=each.after, after=each.before) for each in difference.fields)
    return Difference(kinds.get(difference.kind, difference.kind), difference.model, turned)


def _net(steps: Sequence[_Step], readings: tuple[str, str]) -> Difference | None:
    """Say what several steps, each under one reading, come to for a model; None when they cancel out."""
    change = replace(steps[0][0], after=steps[-1][0].after)
    if change.before is None or change.after is None:
        return None if change.before is change.after else Difference(change.kind, change.model)
    if len(steps) == 1:
        return Difference(Kind.CHANGED, change.model, steps[0][1])
    if all(each.kind == Kind.CHANGED for each, _ in steps):
        changed = tuple(_folded(of_step for _, of_step in steps))
    else:
        old, new = (
            Listing({change.model: record}, record.digest, reading)
            for record, reading in zip((change.before, change.after), readings, strict=True)
        )
        one, two = _under_both(old, new)
        changed = field_changes(one.records[change.model].body, two.records[change.model].body)
    return Difference(Kind.CHANGED, change.model, changed) if changed else None


def _folded(steps: Iterable[tuple[FieldChange, ...]]) -> Iterator[FieldChange]:
    """Give each field from its first state to its last."""
    of_field: dict[str, list[FieldChange]] = {}
    for step in steps:
        for each in step:
            of_field.setdefault(each.field, []).append(each)
    for name, changes in sorted(of_field.items()):
        if changes[0].before != changes[-1].after:
            yield FieldChange(name, changes[0].before, changes[-1].after, changes[-1].category)


def _under_both(old: Listing, new: Listing) -> tuple[Listing, Listing]:
    """Read two listings again under the rules of both, as far as what is recorded allows."""
    rules = [canonical.decode(each.reading.encode()) for each in (old, new)]
    noise, sets = (
        sorted({path for rule in rules for path in rule.get(name, ())}) for name in ("noise", "sets")
    )
    return _again(old, noise, sets), _again(new, noise, sets)


def _again(listing: Listing, noise: Sequence[str], sets: Sequence[str]) -> Listing:
    from pipeline.gateways.dialects import Dialect

    rules = Dialect("both", noise=tuple(noise), sets=tuple(sets))
    records = {}
    for model, record in listing.records.items():
        body = canonical.encode(rules.normalise(canonical.decode(record.body.encode())))
        records[model] = Record(model, canonical.digest(body), body)
    digest = canonical.digest_of_records(records.values())
    return Listing(records, digest, rules.reading)


def _differing(old: Mapping[str, object], new: Mapping[str, object]) -> Iterator[FieldChange]:
    """Give the facts that both records tell, and tell differently."""
    for name in FACTS:
        before, after = old[name], new[name]
        if before is not None and after is not None and before != after:
            yield FieldChange(name, _text(before), _text(after), categorise(name))


def _text(value: object) -> str:
    return canonical.as_text(strip_zeros(Decimal(str(value))) if isinstance(value, float) else value)


@dataclass(frozen=True, slots=True)
class Side:
    """Some scopes at a moment; `scopes` None is all of them. `word` is how it was asked for."""

    word: str
    moment: Moment = NOW
    scopes: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Compared:
    """Pairs, at least one, whose lists differ in the same way; their sizes are the same too."""

    pairs: tuple[tuple[Known, Known], ...]
    differences: tuple[Difference, ...]

    @property
    def before(self) -> tuple[Known, ...]:
        """The scopes of the first side."""
        return tuple(dict.fromkeys(before for before, _ in self.pairs))

    @property
    def after(self) -> tuple[Known, ...]:
        """The scopes of the second side."""
        return tuple(dict.fromkeys(after for _, after in self.pairs))

    @property
    def in_time(self) -> bool:
        """Whether each scope is compared with itself at another moment."""
        return all(before.scope_id == after.scope_id for before, after in self.pairs)


@dataclass(frozen=True, slots=True)
class Contrast:
    """Two sides compared.

    Args:
        before: the first side.
        after: the second side.
        parts: a part for each way of differing; those that do not differ are in it too.
        came: scopes that were not known, or not asked, on the first side alone.
        went: those that are not known, or no longer asked, on the second side alone.
    """

    before: Side
    after: Side
    parts: tuple[Compared, ...]
    came: tuple[Known, ...] = ()
    went: tuple[Known, ...] = ()

    @property
    def differs(self) -> bool:
        """Whether anything is not the same on both sides."""
        return bool(self.came or self.went or any(part.differences for part in self.parts))


def contrast(store: Store, first: Side, second: Side) -> Contrast:
    """Compare two sides: scope by scope, or one scope with others.

    A side that names no scopes has those of the other. Sides of several different scopes are not compared.

    Raises:
        LookupError: a scope that was asked for was not known then, or it is unclear what belongs together.
    """
    names = first.scopes if second.scopes is None else second.scopes
    one, two = (_on(store, side, names if side.scopes is None else side.scopes) for side in (first, second))
    if first.scopes is None or second.scopes is None or first.scopes == second.scopes:
        pairs = [(one[name], two[name]) for name in sorted(one.keys() & two.keys())]
        came = tuple(two[name] for name in sorted(two.keys() - one.keys()))
        went = tuple(one[name] for name in sorted(one.keys() - two.keys()))
        return Contrast(first, second, _parts(store, pairs), came, went)
    if len(one) > 1 and len(two) > 1:
        raise LookupError(
            f"{first.word} are {len(one)} scopes and {second.word} are {len(two)}: name one scope on one side"
        )
    pairs = [(a, b) for a in one.values() for b in two.values() if a != b]
    return Contrast(first, second, _parts(store, pairs))


def _on(store: Store, side: Side, names: frozenset[str] | None) -> dict[str, Known]:
    """Give what is known on a side; a retired scope only where it is asked for by name."""
    found = known(store, side.moment, lambda name: names is None or name in names)
    named = len(names or ()) == 1
    on = {each.scope: each for each in found if named or not each.retired}
    if not on and side.scopes is not None:
        raise LookupError(f"{side.word}: {_unknown(store, names or frozenset())}")
    return on


def _unknown(store: Store, names: frozenset[str]) -> str:
    starts = {name: began(store, name) for name in sorted(names)}
    first = min(((at, name) for name, at in starts.items() if at), default=None)
    if first is None:
        return f"{' '.join(starts)} has never answered" if len(starts) == 1 else "none has ever answered"
    at = f"{first[0][:10]} {first[0][11:16]}"
    return f"nothing was known of {first[1]} then: its first answer was at {at}"


def _parts(store: Store, pairs: Iterable[tuple[Known, Known]]) -> tuple[Compared, ...]:
    """Compare pairs, and put together those of one gateway that differ in the same way."""
    comparer = Comparer(store)
    found: dict[tuple[Any, ...], list[tuple[Known, Known]]] = {}
    for before, after in pairs:
        which = (before.gateway, after.gateway, before.scope == after.scope, before.size, after.size)
        found.setdefault((which, comparer.between(before, after)), []).append((before, after))
    return tuple(Compared(tuple(members), key[1]) for key, members in found.items())
