"""The groups of users, as scopes of all groups list them, and the lists of their models."""

from __future__ import annotations

import json
from collections.abc import Iterable

from msgspec import Struct

from pipeline.core.types import GROUP_PREFIX
from pipeline.store.database import Store
from pipeline.store.departures import pruned_departures
from pipeline.store.models import IS_GROUP
from pipeline.store.offers import PendingMisses, pending_at, pending_removals
from pipeline.store.outcomes import SETS_LISTING


class UserGroup(Struct, frozen=True):
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


def group_ids(store: Store) -> frozenset[int]:
    """Return the rows of `models` that are groups of users."""
    rows = store.rows(f"select models.id from models where {IS_GROUP.strip()}")  # noqa: S608 - constants only
    return frozenset(row["id"] for row in rows)


def group_listings(
    store: Store, wanted: Iterable[tuple[str, str, int]]
) -> dict[tuple[str, str, int], tuple[str, int]]:
    """Return the scopes of groups, with their lists of models as rows of `listings`.

    Args:
        store: an open database.
        wanted: the scope that lists the groups, the group, and the snapshot up to which its lists count.
    """
    rows = store.rows(
        f"""
        with last as (
            select wanted.value ->> 0 as user, wanted.value ->> 1 as name, wanted.value ->> 2 as until, (
                select sightings.id from scopes
                join sightings on sightings.scope = scopes.id and sightings.outcome in {SETS_LISTING}
                    and sightings.snapshot <= wanted.value ->> 2
                where scopes.group_name = wanted.value ->> 1
                and substr(scopes.name, 1, length(wanted.value ->> 0) + 1) = (wanted.value ->> 0) || '.'
                order by sightings.id desc limit 1
            ) as sighting
            from json_each(:wanted) as wanted
        )
        select last.user, last.name, last.until, scopes.name as scope, sightings.listing from last
        join sightings on sightings.id = last.sighting
        join scopes on scopes.id = sightings.scope
        """,  # noqa: S608 - constants only
        {"wanted": json.dumps(sorted(wanted))},
    )
    return {(row["user"], row["name"], row["until"]): (row["scope"], row["listing"]) for row in rows}


class LostGroup(Struct, frozen=True):
    """A group that its user may not use any more, by the user's newest list of groups.

    Args:
        user: the scope that lists the groups of the user.
        group: the name of the group.
        scope: the scope of its models.
        since: the start of the first run without the group, or of the first held answer (ISO 8601 UTC).
        pending: how far the loss is confirmed; None once it is.
        held: the list of groups without it is held, and the current one has it.
    """

    user: str
    group: str
    scope: str
    since: str
    pending: PendingMisses | None
    held: bool = False

    @property
    def is_gone(self) -> bool:
        """Whether the loss is confirmed."""
        return self.pending is None and not self.held


def lost_groups(store: Store) -> dict[str, LostGroup]:
    """Return the groups that are gone, may be gone, or that a held list lacks, by their scopes."""
    rows = store.rows(_LOST)
    if not rows:
        return {}
    pending = pending_removals(store, {row["model_id"] for row in rows})
    pruned = pruned_departures(store, {row["model_id"] for row in rows})
    found = {}
    for row in rows:
        key = row["user"], row["model"]
        names = row["user"], row["name"], row["scope"]
        misses = pending.get(key)
        since = misses.since if misses else row["gone_since"] or pruned.get(key)
        if row["is_listed"]:
            found[row["scope"]] = LostGroup(*names, row["held_since"], None, held=True)
        elif since is not None:
            found[row["scope"]] = LostGroup(*names, since, misses)
    return found


_GROUPS_OF = """
    select records.model from listing_records join records on records.id = listing_records.record
    where listing_records.listing = {listing}
""".strip()

_LOST = f"""
    select users.name as user, members.name as scope, members.group_name as name, models.name as model,
           models.id as model_id, (
        select snapshots.started_at from sightings as confirmed
        join changes on changes.transition = confirmed.transition and changes.model = models.id
            and changes.kind = 'removed'
        join snapshots on snapshots.id = confirmed.since
        where confirmed.scope = users.id and confirmed.outcome = 'confirmed'
        order by confirmed.id desc limit 1) as gone_since, (
        select snapshots.started_at from sightings as held
        join snapshots on snapshots.id = coalesce(held.since, held.snapshot)
        where held.scope = users.id and held.outcome = 'held' order by held.id desc limit 1) as held_since,
        models.id in ({_GROUPS_OF.format(listing="users.listing")}) as is_listed
    from scopes as users
    join scopes as members on members.gateway = users.gateway and members.group_name is not null
        and substr(members.name, 1, length(users.name) + 1) = users.name || '.'
    join models on models.gateway = users.gateway and models.name = '{GROUP_PREFIX}' || members.group_name
    where users.lists_groups and users.asked and (
        models.id not in ({_GROUPS_OF.format(listing="users.listing")})
        or (users.held is not null and models.id not in ({_GROUPS_OF.format(listing="users.held")})))
"""  # noqa: S608 - constants only


class PendingGroup(Struct, frozen=True):
    """A group whose loss was pending after a run; see `LostGroup`. `listing` has its models."""

    user: str
    group: str
    scope: str
    since: str
    listing: int


def groups_pending_at(store: Store, until: int) -> tuple[PendingGroup, ...]:
    """Return the groups with a list of models whose loss was pending after a run, by its snapshot.

    Groups that flap are left out, as by `pending_at`.
    """
    groups = group_ids(store)
    if not groups:
        return ()
    pending = pending_at(store, groups, until)
    users = scopes_of_groups(store)
    since = {
        (user, model.removeprefix(GROUP_PREFIX)): at for (user, model), at in pending.items() if user in users
    }
    found = group_listings(store, ((user, group, until) for user, group in since))
    return tuple(
        PendingGroup(user, group, scope, since[user, group], listing)
        for (user, group, _), (scope, listing) in sorted(found.items())
    )
