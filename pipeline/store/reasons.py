"""The texts of failures and holds: what happened and what to do, each stored once for all sightings."""

from __future__ import annotations

import json
from collections.abc import Iterable

from pipeline.store.bulk import BulkWriter
from pipeline.store.database import Store
from pipeline.store.digests import reason_digest

ReasonText = tuple[str, str | None]
"""Why an answer failed or is held, and what to do where the text says so."""


def write_reasons(writer: BulkWriter, texts: Iterable[ReasonText]) -> dict[ReasonText, int]:
    """Return the rows of texts in `reasons`; write those that are new."""
    digests = {reason_digest(*text): text for text in texts}
    if not digests:
        return {}
    rows = writer.store.rows(
        """
        select reasons.id, reasons.digest from json_each(:digests) as wanted
        cross join reasons on reasons.digest = wanted.value
        """,
        {"digests": json.dumps(list(digests))},
    )
    found = {digests[row["digest"]]: row["id"] for row in rows}
    new = [(digest, text) for digest, text in digests.items() if text not in found]
    ids = writer.insert_new(
        "reasons", [{"name": text, "digest": digest, "cure": cure} for digest, (text, cure) in new]
    )
    return found | dict(zip((text for _, text in new), ids, strict=True))


def drop_unused_reasons(store: Store, only: Iterable[int]) -> None:
    """Delete those of some rows of `reasons` that no sighting has; must run inside a transaction."""
    store.connection.execute(
        """
        delete from reasons where id in (select value from json_each(?))
        and not exists (select 1 from sightings where sightings.reason = reasons.id)
        """,
        [json.dumps(sorted(set(only)))],
    )
