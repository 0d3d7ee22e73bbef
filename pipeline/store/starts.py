"""The starts of runs by a clock that may have been wrong, ahead in some runs or behind, in SQL."""

from __future__ import annotations


def trusted_start(run: str, at: str) -> str:
    """Return an SQL expression for the start of a run as `runs.trusted_starts` finds it.

    Args:
        run: an expression for its snapshot.
        at: an expression for the start of the run by whose clock it is found.
    """
    return f"""
    coalesce((
        select later.started_at from snapshots as later
        where later.id >= {run} and +later.started_at <= {at}
        and iif(later.status = 'imported', later.id = {run}, later.started_at >= coalesce((
            select early.started_at from snapshots as early
            where early.id < {run} and early.started_at <= {at} and early.status <> 'imported'
            order by early.started_at desc limit 1), ''))
        order by later.id limit 1), {at})
    """  # noqa: S608 - our own expressions
