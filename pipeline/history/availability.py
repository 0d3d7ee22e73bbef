"""Who is offered what: each model beside each scope, and which scopes are offered the same."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from pipeline.core.types import Kind
from pipeline.history.compare import Comparer
from pipeline.store import Store
from pipeline.store.catalog import Known, known


@dataclass(frozen=True, slots=True)
class Matrix:
    """The models of one gateway and the scopes that they are offered to.

    Args:
        scopes: all of them, by name, with what each is known to offer.
        offered: for each model, the scopes that it is offered to.
    """

    gateway: str
    scopes: tuple[Known, ...]
    offered: dict[str, frozenset[str]]

    def differing(self) -> dict[str, frozenset[str]]:
        """Give the models that some scopes are offered and others are not."""
        return {model: to for model, to in self.offered.items() if len(to) < len(self.scopes)}


def matrices(store: Store, only: Callable[[Known], bool] = lambda _known: True) -> list[Matrix]:
    """Give the matrix of each gateway, for what is offered now; scopes of which nothing is known are in none.

    Only scopes for which `only` holds are looked at.
    """
    contents = _Contents(store)
    return [
        Matrix(gateway, tuple(scopes), _offered(scopes, contents))
        for gateway, scopes in _by_gateway(store, only).items()
    ]


def _by_gateway(store: Store, only: Callable[[Known], bool]) -> dict[str, list[Known]]:
    found: dict[str, list[Known]] = {}
    for scope in known(store):
        if not scope.retired and only(scope):
            found.setdefault(scope.gateway, []).append(scope)
    return dict(sorted(found.items()))


def _offered(scopes: Iterable[Known], contents: _Contents) -> dict[str, frozenset[str]]:
    to: dict[str, set[str]] = {}
    for scope in scopes:
        for model in contents.models(scope.listing):
            to.setdefault(model, set()).add(scope.scope)
    return {model: frozenset(to[model]) for model in sorted(to)}


class _Contents:
    """The model ids of listings, each listing asked for once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._models: dict[int, frozenset[str]] = {}

    def models(self, listing: int) -> frozenset[str]:
        if listing not in self._models:
            rows = self._store.rows(
                """
                select models.name from listing_records
                join records on records.id = listing_records.record
                join models on models.id = records.model
                where listing_records.listing = :listing
                """,
                {"listing": listing},
            )
            self._models[listing] = frozenset(row["name"] for row in rows)
        return self._models[listing]


@dataclass(frozen=True, slots=True)
class Nearest:
    """How a list differs from the one most like it, whose first scope is `scope`.

    `changed` are the models that both have, and that are told in other words: other prices, say.
    """

    scope: str
    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Alike:
    """Scopes of one gateway that are offered exactly the same list.

    `nearest` compares it with a list that comes before it; None for the first of its gateway.
    """

    gateway: str
    scopes: tuple[str, ...]
    groups: tuple[str, ...]
    models: int
    nearest: Nearest | None


def alike(store: Store, only: Callable[[Known], bool] = lambda _known: True) -> list[Alike]:
    """Give the sets of scopes with the same list, by gateway, the list of most scopes first."""
    comparer = Comparer(store)
    contents = _Contents(store)
    found: list[Alike] = []
    for scopes in _by_gateway(store, only).values():
        sets = _sets(scopes, comparer)
        for number, members in enumerate(sets):
            found.append(
                Alike(
                    gateway=members[0].gateway,
                    scopes=tuple(scope.scope for scope in members),
                    groups=tuple(sorted({scope.group for scope in members if scope.group})),
                    models=members[0].size,
                    nearest=_nearest(members[0], [each[0] for each in sets[:number]], comparer, contents),
                )
            )
    return found


def _sets(scopes: Sequence[Known], comparer: Comparer) -> list[list[Known]]:
    """Put scopes together that have the same list, also where it was read under other rules."""
    of_listing: dict[int, list[Known]] = {}
    for scope in scopes:
        of_listing.setdefault(scope.listing, []).append(scope)
    sets: list[list[Known]] = []
    for members in of_listing.values():
        first = members[0]
        same = (
            each
            for each in sets
            if each[0].reading != first.reading
            and each[0].size == first.size
            and not comparer.lists(each[0].listing, first.listing)
        )
        twin = next(same, None)
        if twin is None:
            sets.append(members)
        else:
            twin.extend(members)
    ordered = (sorted(each, key=lambda scope: scope.scope) for each in sets)
    return sorted(ordered, key=lambda each: (-len(each), -each[0].size, each[0].scope))


def _nearest(mine: Known, others: Sequence[Known], comparer: Comparer, contents: _Contents) -> Nearest | None:
    if not others:
        return None
    have = contents.models(mine.listing)
    # By their ids first: to compare every form of every model with every list would take long.
    like = min(others, key=lambda other: len(have ^ contents.models(other.listing)))
    differences = comparer.lists(like.listing, mine.listing)
    kinds = {kind: tuple(each.model for each in differences if each.kind == kind) for kind in Kind}
    return Nearest(like.scope, kinds[Kind.ADDED], kinds[Kind.REMOVED], kinds[Kind.CHANGED])
