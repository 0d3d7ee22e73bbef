"""Two sides to compare: which scopes, each at which moment, and which belongs to which."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pipeline.comparing import Comparer, Difference
from pipeline.moments import NOW, Known, Moment, began, known
from pipeline.store import Store


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
        parts: a part for each way of differing; those that do not differ are in it too.
        came: scopes that were not known, or not asked, on the first side alone.
        went: those that are not known, or no longer asked, on the second side alone.
    """

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
        return Contrast(_parts(store, pairs), came, went)
    if len(one) > 1 and len(two) > 1:
        raise LookupError(
            f"{first.word} are {len(one)} scopes and {second.word} are {len(two)}: name one scope on one side"
        )
    pairs = [(a, b) for a in one.values() for b in two.values() if a != b]
    return Contrast(_parts(store, pairs))


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
