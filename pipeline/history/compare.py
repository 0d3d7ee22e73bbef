"""Comparisons of model lists: of two scopes, or of scopes at two moments."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from pipeline.core import canonical
from pipeline.core.categories import QUIET, SHAPE, categorise
from pipeline.core.diff import FieldComparer, diff, field_changes
from pipeline.core.facts import strip_zeros
from pipeline.core.impact import is_significant
from pipeline.core.prices import PriceChange, changed_prices, price_changes
from pipeline.core.times import minute
from pipeline.core.types import Change, FieldChange, Kind, Listing, Record
from pipeline.errors import QuestionError
from pipeline.history.net import net_fields
from pipeline.history.shapes import group_shapes, split_shapes
from pipeline.store import Store, read_listing
from pipeline.store.catalog import NOW, Moment, ScopeListing, first_answer, listings_between, scope_listings
from pipeline.store.changes import quiet_fields
from pipeline.store.groups import scopes_of_groups
from pipeline.store.records import listing_facts, listing_prices

_COMMON_FACTS = (
    "context_length",
    "max_output",
    "input_usd_per_1m",
    "output_usd_per_1m",
    "cache_read_usd_per_1m",
    "cache_write_usd_per_1m",
    "usd_per_call",
    "deprecated_at",
)
"""The facts that mean the same at every gateway."""


class ComparedSide(Struct, frozen=True):
    """Some scopes at a moment.

    Args:
        text: the words of the user.
        scopes: the names of the scopes; None for all.
    """

    text: str
    moment: Moment = NOW
    scopes: frozenset[str] | None = None


class Difference(Struct, frozen=True):
    """A model that only one of two lists has, or whose records differ: `changed`, with fields and prices.

    A difference in the shape of the lists has no `model` but `models`: nearly all that both lists have.
    """

    kind: Kind
    model: str
    fields: tuple[FieldChange, ...] = ()
    prices: tuple[PriceChange, ...] = ()
    models: tuple[str, ...] = ()

    @property
    def quiet(self) -> bool:
        """Whether nothing that matters differs: names, descriptions and counters do not."""
        return self.kind in (Kind.CHANGED, Kind.SHAPE) and not any(map(is_significant, self.fields))


ScopePair = tuple[ScopeListing, ScopeListing]
"""The listings that are compared: one of the first side, and one of the second."""


class ComparedPairs(Struct, frozen=True):
    """At least one pair of listings; all pairs have the same sizes and the same differences."""

    pairs: tuple[ScopePair, ...]
    differences: tuple[Difference, ...]

    @property
    def before(self) -> tuple[ScopeListing, ...]:
        """The scopes of the first side."""
        return tuple(dict.fromkeys(before for before, _ in self.pairs))

    @property
    def after(self) -> tuple[ScopeListing, ...]:
        """The scopes of the second side."""
        return tuple(dict.fromkeys(after for _, after in self.pairs))

    @property
    def in_time(self) -> bool:
        """Whether each scope is compared with itself at another moment."""
        return all(before.scope_id == after.scope_id for before, after in self.pairs)


class Comparison(Struct, frozen=True):
    """The result of comparing two sides.

    Args:
        parts: the pairs that were compared, by their differences; pairs without differences too.
        only_before: scopes without a listing, or retired, on the second side.
        only_after: scopes without a listing, or retired, on the first side.
    """

    before: ComparedSide
    after: ComparedSide
    parts: tuple[ComparedPairs, ...]
    only_before: tuple[ScopeListing, ...] = ()
    only_after: tuple[ScopeListing, ...] = ()

    @property
    def differs(self) -> bool:
        """Whether the two sides differ in anything."""
        return bool(self.only_before or self.only_after or any(part.differences for part in self.parts))


def compare(store: Store, before: ComparedSide, after: ComparedSide) -> Comparison:
    """Compare two sides: each scope with itself, or one scope with others.

    A side without scopes has those of the other.

    Raises:
        QuestionError: a named scope had not answered by then, or both sides have several different scopes.
    """
    names = before.scopes if after.scopes is None else after.scopes
    old = _listings(store, before, names if before.scopes is None else before.scopes)
    new = _listings(store, after, names if after.scopes is None else after.scopes)
    if before.scopes is None or after.scopes is None or before.scopes == after.scopes:
        pairs = [(old[name], new[name]) for name in sorted(old.keys() & new.keys())]
        only_before = tuple(old[name] for name in sorted(old.keys() - new.keys()))
        only_after = tuple(new[name] for name in sorted(new.keys() - old.keys()))
        return Comparison(before, after, _parts(store, pairs), only_before, only_after)
    if len(old) > 1 and len(new) > 1:
        raise QuestionError(
            f"{before.text} are {len(old)} scopes and {after.text} are {len(new)}: name one scope on one side"
        )
    pairs = [(one, two) for one in old.values() for two in new.values() if one != two]
    return Comparison(before, after, _parts(store, pairs))


def _listings(store: Store, side: ComparedSide, names: frozenset[str] | None) -> dict[str, ScopeListing]:
    """Return the listings of a side by scope; that of a retired scope only if it is the only one named."""
    found = scope_listings(store, side.moment, lambda name: names is None or name in names)
    retired_too = len(names or ()) == 1
    listings = {each.scope: each for each in found if retired_too or not each.retired}
    if not listings and side.scopes is not None:
        raise QuestionError(f"{side.text}: {_no_answer(store, side.scopes)}")
    return listings


def _no_answer(store: Store, scopes: Iterable[str]) -> str:
    scopes = sorted(scopes)
    if scopes and set(scopes) <= scopes_of_groups(store):
        return f"{scopes[0]} lists groups, not models: compare the scopes of groups, {scopes[0]}.*"
    times = {name: first_answer(store, name) for name in sorted(scopes)}
    answered = [(at, name) for name, at in times.items() if at]
    if answered:
        at, name = min(answered)
        return f"{name} had no answer by then: its first answer was at {minute(at)}"
    return (
        f"{' '.join(times)} has never answered" if len(times) == 1 else "none of its scopes has ever answered"
    )


def _parts(store: Store, pairs: Iterable[ScopePair]) -> tuple[ComparedPairs, ...]:
    """Compare pairs, and join those of the same gateways that have the same differences."""
    comparer = Comparer(store)
    parts: dict[tuple[Any, ...], list[ScopePair]] = {}
    for before, after in pairs:
        shared = (before.gateway, after.gateway, before.scope == after.scope, before.size, after.size)
        parts.setdefault((shared, comparer.differences(before, after)), []).append((before, after))
    return tuple(ComparedPairs(tuple(members), differences) for (_, differences), members in parts.items())


_Span = tuple[int, int]
"""Two listings, the earlier first."""

_ChangedRecord = tuple[Change, tuple[FieldChange, ...]]
"""A change and its fields."""


class Comparer:
    """Compares listings; each listing is read, and each pair compared, once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._listings: dict[int, Listing] = {}
        self._differences: dict[tuple[_Span, ...], tuple[Difference, ...]] = {}

    def differences(self, before: ScopeListing, after: ScopeListing) -> tuple[Difference, ...]:
        """Return the differences of two listings, by model id.

        Two listings of one scope are compared through its history, so that new parsing rules make no
        difference. Those of two gateways are compared by the facts that both records have.
        """
        if before.gateway != after.gateway:
            return self._between_gateways(before.listing, after.listing)
        if before.scope_id != after.scope_id:
            return self._net_differences(((before.listing, after.listing),))
        if before.sighting > after.sighting:
            return tuple(map(_swapped, self.differences(after, before)))
        return self._net_differences(self._spans(before, after))

    def changes(self, before: int, after: int) -> tuple[Change, ...]:
        """Return the models that differ between two listings of a gateway, parsed under the rules of both."""
        return diff(*self._pair(before, after))

    def _listing(self, listing: int) -> Listing:
        if listing not in self._listings:
            self._listings[listing] = read_listing(self._store, listing)
        return self._listings[listing]

    def _pair(self, before: int, after: int) -> tuple[Listing, Listing]:
        old, new = self._listing(before), self._listing(after)
        return (old, new) if old.reading == new.reading else _under_both_rules(old, new)

    def _spans(self, before: ScopeListing, after: ScopeListing) -> tuple[_Span, ...]:
        """Return the first and last listing under each of the parsing rules between two sightings."""
        starts, ends = [before.listing], []
        last = before.listing
        for outcome, listing in listings_between(self._store, before, after):
            if outcome == "reread":
                ends.append(last)
                starts.append(listing)
            last = listing
        ends.append(last)
        return tuple(span for span in zip(starts, ends, strict=True) if span[0] != span[1])

    def _net_differences(self, spans: tuple[_Span, ...]) -> tuple[Difference, ...]:
        if not spans:
            return ()
        if spans not in self._differences:
            by_model: dict[str, list[_ChangedRecord]] = {}
            for span in spans:
                for change, fields in self._changed_records(*span):
                    by_model.setdefault(change.model, []).append((change, fields))
            rules = self._listing(spans[0][0]).reading, self._listing(spans[-1][1]).reading
            found = (_net(steps, rules) for _, steps in sorted(by_model.items()))
            differing = [difference for difference in found if difference]
            priced = self._with_prices(differing, spans[0][0], spans[-1][1])
            self._differences[spans] = tuple(_fold_shapes(priced))
        return self._differences[spans]

    def _with_prices(self, differences: list[Difference], before: int, after: int) -> Iterator[Difference]:
        """Yield the differences of two listings, with the price changes of the facts."""
        if not any(difference.fields for difference in differences):
            yield from differences
            return
        old, new = (self._prices(listing) for listing in (before, after))
        for each in differences:
            if each.fields:
                prices = changed_prices(old[each.model], new[each.model], each.fields)
                yield replace(each, prices=prices)
            else:
                yield each

    def _prices(self, listing: int) -> dict[str, dict[str, Any]]:
        return listing_prices(self._store, listing)

    def _changed_records(self, before: int, after: int) -> list[_ChangedRecord]:
        old, new = self._pair(before, after)
        fields_of = FieldComparer(old, new)
        found = [(change, fields_of(change)) for change in diff(old, new)]
        names = {field.field for _, fields in found for field in fields}
        quiet = quiet_fields(self._store, before, names)
        return [(change, tuple(_categorised(field, quiet) for field in fields)) for change, fields in found]

    def _between_gateways(self, before: int, after: int) -> tuple[Difference, ...]:
        old, new = (listing_facts(self._store, listing, _COMMON_FACTS) for listing in (before, after))
        old_prices, new_prices = self._prices(before), self._prices(after)
        found = [
            *(Difference(Kind.REMOVED, model) for model in old.keys() - new.keys()),
            *(Difference(Kind.ADDED, model) for model in new.keys() - old.keys()),
            *(
                Difference(Kind.CHANGED, model, fields, _common_prices(old_prices[model], new_prices[model]))
                for model in old.keys() & new.keys()
                if (fields := tuple(_differing_facts(old[model], new[model])))
            ),
        ]
        return tuple(sorted(found, key=lambda difference: difference.model))


def _fold_shapes(differences: Iterable[Difference]) -> Iterator[Difference]:
    """Yield the differences by model, then those in the shape of the lists."""
    shapes: dict[str, tuple[FieldChange, ...]] = {}
    for each in differences:
        own, prices, folded = split_shapes(each.fields, each.prices)
        if folded:
            shapes[each.model] = folded
        if own or not folded:
            yield replace(each, fields=own, prices=prices)
    for models, fields in group_shapes(shapes):
        yield Difference(Kind.SHAPE, "", fields, models=models)


def _categorised(field: FieldChange, quiet: set[str]) -> FieldChange:
    return replace(field, category=QUIET) if field.field in quiet and field.category != SHAPE else field


def _swapped(difference: Difference) -> Difference:
    """Return a difference with its sides swapped."""
    kinds = {Kind.ADDED: Kind.REMOVED, Kind.REMOVED: Kind.ADDED}
    fields = tuple(replace(field, before=field.after, after=field.before) for field in difference.fields)
    prices = tuple(replace(price, before=price.after, after=price.before) for price in difference.prices)
    kind = kinds.get(difference.kind, difference.kind)
    return replace(difference, kind=kind, fields=fields, prices=prices)


def _net(steps: Sequence[_ChangedRecord], rules: tuple[str, str]) -> Difference | None:
    """Return the net difference of a model; None if its changes cancel out.

    Args:
        steps: its changes, oldest first, each under parsing rules of its own.
        rules: the parsing rules of the first and of the last listing.
    """
    change = replace(steps[0][0], after=steps[-1][0].after)
    if change.before is None or change.after is None:
        return None if change.before is change.after else Difference(change.kind, change.model)
    if len(steps) == 1:
        return Difference(Kind.CHANGED, change.model, steps[0][1])
    if all(step.kind == Kind.CHANGED for step, _ in steps):
        net = net_fields(fields for _, fields in steps)
        differing = (field for field in net if field.before != field.after)
        fields = tuple(sorted(differing, key=lambda field: field.field))
    else:
        old, new = (
            Listing({change.model: record}, record.digest, reading)
            for record, reading in zip((change.before, change.after), rules, strict=True)
        )
        old, new = _under_both_rules(old, new)
        fields = field_changes(old.records[change.model].body, new.records[change.model].body)
    return Difference(Kind.CHANGED, change.model, fields) if fields else None


def _under_both_rules(old: Listing, new: Listing) -> tuple[Listing, Listing]:
    """Parse two listings again, each under the rules of both, as far as the rules are recorded."""
    rules = [canonical.decode(listing.reading.encode()) for listing in (old, new)]
    noise, sets = (
        sorted({path for rule in rules for path in rule.get(name, ())}) for name in ("noise", "sets")
    )
    return _parsed_again(old, noise, sets), _parsed_again(new, noise, sets)


def _parsed_again(listing: Listing, noise: Sequence[str], sets: Sequence[str]) -> Listing:
    # Most comparisons need no dialect; a command that imports none starts sooner.
    from pipeline.gateways.dialects import Dialect

    dialect = Dialect("both", noise=tuple(noise), sets=tuple(sets))
    records = {}
    for model, record in listing.records.items():
        body = canonical.encode(dialect.normalise(canonical.decode(record.body.encode())))
        records[model] = Record(model, canonical.digest(body), body)
    return Listing(records, canonical.digest_of_records(records.values()), dialect.reading)


def _common_prices(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[PriceChange, ...]:
    """Return the prices that both records have, and that differ."""
    prices = price_changes(old, new)
    return tuple(price for price in prices if price.before is not None and price.after is not None)


def _differing_facts(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[FieldChange]:
    """Yield the facts that both records have, and that differ."""
    for name in _COMMON_FACTS:
        before, after = old[name], new[name]
        if before is not None and after is not None and before != after:
            yield FieldChange(name, _fact_text(before), _fact_text(after), categorise(name))


def _fact_text(value: object) -> str:
    return canonical.as_text(strip_zeros(Decimal(str(value))) if isinstance(value, float) else value)
