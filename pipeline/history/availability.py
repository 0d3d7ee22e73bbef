"""The models on offer and the scopes that are offered each of them; scopes with equal lists."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import Any

from msgspec import Struct

from pipeline.core.types import Kind
from pipeline.history.compare import Comparer
from pipeline.store import Store
from pipeline.store.catalog import NOW, Moment, ScopeListing, scope_listings
from pipeline.store.models import ListedModels
from pipeline.store.records import listed_records, record_facts


class Needs(Struct, frozen=True):
    """What a model must have.

    Args:
        features: globs; it has a feature for each.
        modalities: globs; it takes or returns one for each.
        context: the least context in tokens.
        max_prices: the highest price, by column of `PRICES`, as it is there; a price must be known.
    """

    features: tuple[str, ...] = ()
    modalities: tuple[str, ...] = ()
    context: int | None = None
    max_prices: Mapping[str, Decimal] = {}

    def are_met(self, facts: Mapping[str, Any]) -> bool:
        """Return whether a model with some facts, by column of `records`, has all of this."""
        modalities = [*(facts.get("input_modalities") or ()), *(facts.get("output_modalities") or ())]
        return (
            all(
                any(fnmatchcase(each, glob) for each in facts.get("features") or ()) for glob in self.features
            )
            and all(any(fnmatchcase(each, glob) for each in modalities) for glob in self.modalities)
            and (self.context is None or (facts.get("context_length") or 0) >= self.context)
            and all(
                facts.get(column) is not None and Decimal(str(facts.get(column))) <= most
                for column, most in self.max_prices.items()
            )
        )


NO_NEEDS = Needs()


def catalog(
    store: Store,
    only: Callable[[str], bool] = lambda _scope: True,
    moment: Moment = NOW,
    needs: Needs = NO_NEEDS,
) -> list[dict[str, Any]]:
    """Return the models on offer at a moment, by gateway and model.

    Args:
        store: an open database.
        only: the test for the names of scopes.
        moment: retired scopes are left out, as of then.
        needs: records that do not meet them are left out, with the scopes that get them.

    Returns:
        Rows with gateway, model, owned_by, created, scopes (names), groups, records (the distinct bodies, as
        JSON text), and in the same order `facts`: by column of `records` the known facts, `more_prices`, the
        prices beside these columns as those after a change, and `scopes`, the names of those that get it.
    """
    by_listing: dict[int, list[ScopeListing]] = {}
    for scope in scope_listings(store, moment, only):
        if not scope.retired:
            by_listing.setdefault(scope.listing, []).append(scope)
    found: dict[tuple[str, str], dict[str, Any]] = {}
    bodies: dict[int, str] = {}
    getting: dict[tuple[str, str], dict[int, list[ScopeListing]]] = {}
    for record in listed_records(store, by_listing):
        key = record.gateway, record.model
        found.setdefault(
            key,
            {
                "gateway": record.gateway,
                "model": record.model,
                "owned_by": record.owned_by,
                "created": record.created,
            },
        )
        bodies[record.record] = record.body
        getting.setdefault(key, {}).setdefault(record.record, []).extend(by_listing[record.listing])
    known = record_facts(store, bodies)
    for key, entry in found.items():
        kept = {record: to for record, to in getting[key].items() if needs.are_met(known[record].facts)}
        offered_to = [scope for scopes in kept.values() for scope in scopes]
        entry["scopes"] = sorted(scope.scope for scope in offered_to)
        entry["groups"] = sorted({scope.group for scope in offered_to if scope.group})
        entry["records"] = [bodies[record] for record in kept]
        entry["facts"] = [
            known[record].facts
            | {"more_prices": known[record].more_prices, "scopes": sorted(scope.scope for scope in scopes)}
            for record, scopes in kept.items()
        ]
    return [entry for entry in found.values() if entry["records"]]


class Matrix(Struct, frozen=True):
    """The models of one gateway, and the scopes that are offered each of them now.

    Args:
        scopes: the scopes that answered, by name.
        offered: by model, the names of the scopes that are offered it.
    """

    gateway: str
    scopes: tuple[ScopeListing, ...]
    offered: dict[str, frozenset[str]]

    def differing(self) -> dict[str, frozenset[str]]:
        """Return the models that some scopes are offered and others are not."""
        return {model: scopes for model, scopes in self.offered.items() if len(scopes) < len(self.scopes)}


def matrices(store: Store, only: Callable[[ScopeListing], bool] = lambda _scope: True) -> list[Matrix]:
    """Return the matrix of each gateway with scopes for which `only` is true, by gateway."""
    listed = ListedModels(store)
    return [
        Matrix(gateway, tuple(scopes), _scopes_by_model(scopes, listed))
        for gateway, scopes in _scopes_by_gateway(store, only).items()
    ]


def _scopes_by_gateway(store: Store, only: Callable[[ScopeListing], bool]) -> dict[str, list[ScopeListing]]:
    found: dict[str, list[ScopeListing]] = {}
    for scope in scope_listings(store):
        if not scope.retired and only(scope):
            found.setdefault(scope.gateway, []).append(scope)
    return dict(sorted(found.items()))


def _scopes_by_model(scopes: Iterable[ScopeListing], listed: ListedModels) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for scope in scopes:
        for model in listed.names(scope.listing).values():
            found.setdefault(model, set()).add(scope.scope)
    return {model: frozenset(found[model]) for model in sorted(found)}


class NearestList(Struct, frozen=True):
    """The differences between a list and the most similar other list.

    Args:
        scope: the first scope with that other list.
        changed: models in both lists whose records differ.
    """

    scope: str
    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]


class EqualScopes(Struct, frozen=True):
    """Scopes of one gateway with exactly the same list.

    Args:
        groups: the groups of these scopes, sorted.
        models: the number of models in the list.
        nearest: how the list differs from the most similar one before it; None for the gateway's first list.
    """

    gateway: str
    scopes: tuple[str, ...]
    groups: tuple[str, ...]
    models: int
    nearest: NearestList | None


def equal_scopes(
    store: Store, only: Callable[[ScopeListing], bool] = lambda _scope: True
) -> list[EqualScopes]:
    """Return the sets of scopes with equal lists, by gateway, the largest set first.

    Args:
        store: an open database.
        only: the test for scopes.
    """
    comparer = Comparer(store)
    listed = ListedModels(store)
    found: list[EqualScopes] = []
    for scopes in _scopes_by_gateway(store, only).values():
        sets = _sets(scopes, comparer)
        for number, members in enumerate(sets):
            earlier = [others[0] for others in sets[:number]]
            found.append(
                EqualScopes(
                    gateway=members[0].gateway,
                    scopes=tuple(scope.scope for scope in members),
                    groups=tuple(sorted({scope.group for scope in members if scope.group})),
                    models=members[0].size,
                    nearest=_nearest(members[0], earlier, comparer, listed),
                )
            )
    return found


def _sets(scopes: Sequence[ScopeListing], comparer: Comparer) -> list[list[ScopeListing]]:
    """Group scopes by their lists; lists that differ only in their parsing rules are equal."""
    by_listing: dict[int, list[ScopeListing]] = {}
    for scope in scopes:
        by_listing.setdefault(scope.listing, []).append(scope)
    sets: list[list[ScopeListing]] = []
    for members in by_listing.values():
        first = members[0]
        equal = (
            others
            for others in sets
            if others[0].reading != first.reading
            and others[0].size == first.size
            and not comparer.changes(others[0].listing, first.listing)
        )
        same = next(equal, None)
        if same is None:
            sets.append(members)
        else:
            same.extend(members)
    by_name = (sorted(members, key=lambda scope: scope.scope) for members in sets)
    return sorted(by_name, key=lambda members: (-len(members), -members[0].size, members[0].scope))


def _nearest(
    scope: ScopeListing, others: Sequence[ScopeListing], comparer: Comparer, listed: ListedModels
) -> NearestList | None:
    if not others:
        return None
    models = set(listed.names(scope.listing))
    # Model ids only: comparing the records of every pair of lists would take long.
    nearest = min(others, key=lambda other: len(models ^ listed.names(other.listing).keys()))
    changes = comparer.changes(nearest.listing, scope.listing)
    by_kind = {kind: tuple(change.model for change in changes if change.kind == kind) for kind in Kind}
    return NearestList(nearest.scope, by_kind[Kind.ADDED], by_kind[Kind.REMOVED], by_kind[Kind.CHANGED])
