"""The scopes of a list of keys, with those that it has lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from pipeline.core.key_list import KeyTable
from pipeline.core.types import KeyList, Scope
from pipeline.sync.holds import allowed_loss


def listed_scopes(
    key_list: KeyList,
    table: KeyTable | None,
    known: Mapping[str, str | None],
    wanted: Callable[[str], bool],
) -> Iterator[Scope]:
    """Yield the scopes of a list of keys.

    A list that cannot be had, or has lost more of its scopes at once than an answer may lose of its models,
    removes none: the scopes of the database are asked as before, and fail with the cause.

    Args:
        key_list: the list, as the config has it.
        table: its keys; None where they cannot be had.
        known: the group of each scope of a key that runs ask, by its name with the gateway.
        wanted: returns whether a scope of a name is asked.
    """
    prefix = f"{key_list.gateway.name}/"
    names = ((name, group) for name, group in table or () if wanted(prefix + name))
    yield from (key_list.scope(name, group) for name, group in names)
    lost = [name for name in known if table is None or name.removeprefix(prefix) not in table]
    if table is None or len(lost) > allowed_loss(known, key_list.thresholds):
        yield from (key_list.scope(name.removeprefix(prefix), known[name]) for name in lost if wanted(name))
