"""Windows of the history: the runs that a report or a question covers."""

from __future__ import annotations

from msgspec import Struct

from pipeline.store.database import Store

FOREVER = "~"
"""Later than any time in ISO 8601."""


class Window(Struct, frozen=True):
    """The runs after `since` up to `until`, by snapshot id, that began before `end` (ISO 8601 UTC).

    `since` 0 begins with the history. An import, or the merge of another site, gives new ids to old answers:
    those before `start` are left out. With `FOREVER` as the start, as in what is reported, they all are,
    except for those of sites that were merged as news.
    """

    since: int
    until: int
    start: str = ""
    end: str = FOREVER


IN_TIME = f"""snapshots.started_at < :end and (snapshots.status <> 'imported'
    or snapshots.started_at >= :start or (snapshots.news and :start = '{FOREVER}'))"""
"""SQL: a snapshot is within the times of a window."""

IN_WINDOW = f"sightings.snapshot > :since and sightings.snapshot <= :until and {IN_TIME}"
"""SQL: a sighting, joined with its snapshot, is within a window."""


def time_window(store: Store, *, since: str | None = None, until: str | None = None) -> Window:
    """Return the window of the runs that began at or after `since` and before `until` (ISO 8601 UTC).

    None is the beginning of the history, or now.
    """
    end = {"until": until or FOREVER}
    (row,) = store.rows("select coalesce(max(id), 0) as newest from snapshots where started_at < :until", end)
    if since is None:
        return Window(0, row["newest"], end=end["until"])
    (first,) = store.rows(
        "select coalesce(min(id) - 1, :newest) as before from snapshots where started_at >= :since",
        {"since": since, **row},
    )
    return Window(min(first["before"], row["newest"]), row["newest"], since, end["until"])
