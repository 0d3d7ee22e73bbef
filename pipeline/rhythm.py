"""When a destination is told again: at each run, or once a day or week at a time of day in its zone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from pipeline.destinations import Rhythm


def is_due(rhythm: Rhythm, told: datetime, now: datetime) -> bool:
    """Say whether it is time again; so it is, too, when the last time lies ahead: a clock was wrong then.

    Args:
        rhythm: how often.
        told: when it was time the last time; aware.
        now: aware too.
    """
    return rhythm.every == "run" or told > now or told < last(rhythm, now)


def last(rhythm: Rhythm, now: datetime) -> datetime:
    """Give the last moment (UTC), up to now, that a daily or weekly rhythm names."""
    from zoneinfo import ZoneInfo  # most runs have no use for it

    local = now.astimezone(ZoneInfo(rhythm.zone))
    day = local.date()
    if rhythm.every == "week":
        day -= timedelta(days=(day.weekday() - rhythm.on) % 7)
    moment = datetime.combine(day, rhythm.at, local.tzinfo)
    if moment.astimezone(UTC) > now:
        day -= timedelta(days=7 if rhythm.every == "week" else 1)
        moment = datetime.combine(day, rhythm.at, local.tzinfo)
    return moment.astimezone(UTC)
