"""The groups of users, as scopes of all groups list them, and the lists of their models."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

from pipeline.store.database import Store
from pipeline.store.outcomes import SETS_LISTING


@dataclass(frozen=True, slots=True)
class UserGroup:
    """A group that a user may use now.

    Args:
        user: the scope that lists the groups of the user.
        group: the name of the group.
        ratio: the factor of its prices for this user, a number or a text; None where the gateway names none.
        description: the gateway's text about it.
        scope: the scope of its models; None if its models were never known.
        models: their number.
    """

    user: str
    gateway: str
    group: str
    ratio: float | str | None
    description: str | None
    scope: str | None
    models: int | None


def user_groups(store: Store) -> tuple[UserGroup, ...]:
    """Return the groups of all users, by user and group."""
    rows = store.rows(
        """
        select user, gateway, group_name as "group", ratio, description, scope, models from groups
        order by user, group_name
        """
    )
    return tuple(UserGroup(**row) for row in rows)


def scopes_of_groups(store: Store) -> frozenset[str]:
    """Return the names of the scopes that list groups instead of models."""
    return frozenset(row["name"] for row in store.rows("select name from scopes where lists_groups"))


def group_listings(store: Store, wanted: Iterable[tuple[str, str, int]]) -> dict[tuple[str, str, int], int]:
    """Return the lists of the models of groups, by their rows.

    Args:
        store: an open database.
        wanted: the scope that lists the groups, the group, and the snapshot up to which its lists count.
    """
    rows = store.rows(
        f"""
        select wanted.value ->> 0 as scope, wanted.value ->> 1 as name, wanted.value ->> 2 as until, (
            select sightings.listing from scopes
            join sightings on sightings.scope = scopes.id and sightings.outcome in {SETS_LISTING}
                and sightings.snapshot <= wanted.value ->> 2
            where scopes.group_name = wanted.value ->> 1
            and substr(scopes.name, 1, length(wanted.value ->> 0) + 1) = (wanted.value ->> 0) || '.'
            order by sightings.id desc limit 1
        ) as listing
        from json_each(:wanted) as wanted
        """,  # noqa: S608 - constants only
        {"wanted": json.dumps(sorted(wanted))},
    )
    return {
        (row["scope"], row["name"], row["until"]): row["listing"]
        for row in rows
        if row["listing"] is not None
    }
