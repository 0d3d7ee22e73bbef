"""The models on offer and the scopes that are offered each of them; scopes with equal lists."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from msgspec import Struct

from pipeline.core.types import Kind
from pipeline.history.compare import Comparer
from pipeline.store import Store
from pipeline.store.catalog import NOW, Moment, ScopeListing, scope_listings
from pipeline.store.models import ListedModels
from pipeline.store.records import listed_records, record_facts


def catalog(
    store: Store, only: Callable[[str], bool] = lambda _scope: True, moment: Moment = NOW
) -> list[dict[str, Any]]:
    """Return the models on offer at a moment, by gateway and model.

    Args:
        store: an open database.
        only: the test for the names of scopes.
        moment: retired scopes are left out, as of then.

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
    getting: dict[tuple[str, str], dict[int, list[str]]] = {}
    for record in listed_records(store, by_listing):
        key = record.gateway, record.model
        entry = found.setdefault(
            key,
            {
                "gateway": record.gateway,
                "model": record.model,
                "owned_by": record.owned_by,
                "created": record.created,
                "scopes": [],
                "groups": [],
                "records": [],
            },
        )
        scopes = by_listing[record.listing]
        entry["scopes"] += [scope.scope for scope in scopes]
        entry["groups"] += [scope.group for scope in scopes if scope.group]
        of_model = getting.setdefault(key, {})
        if record.record not in of_model:
            entry["records"].append(record.body)
        of_model.setdefault(record.record, []).extend(scope.scope for scope in scopes)
    known = record_facts(store, {record for of_model in getting.values() for record in of_model})
    return [
        entry
        | {
            "scopes": sorted(entry["scopes"]),
            "groups": sorted(set(entry["groups"])),
            "facts": [
                known[record].facts | {"more_prices": known[record].more_prices, "scopes": sorted(scopes)}
                for record, scopes in getting[key].items()
            ],
        }
        for key, entry in found.items()
    ]


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
