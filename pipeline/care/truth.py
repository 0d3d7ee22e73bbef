"""Check what was heard: every record against its digest, every listing against its members."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import itemgetter

from pipeline import canonical
from pipeline.care.problems import Check, Cure, Problem, check
from pipeline.store import Store
from pipeline.types import Digest, Record


def file_problems(store: Store) -> Check:
    """Let SQLite look at the pages of the file, and at every row that points at another."""
    pages = [says for (says,) in store.stream("pragma integrity_check") if says != "ok"]
    found = [Problem("the file", None, says, Cure.RESTORE) for says in pages]
    if not pages:
        links = store.stream('select "table", rowid, parent from pragma_foreign_key_check')
        found += [
            Problem(table, row, f"points at a row that is not in {parent}", _cure_of_link(table, parent))
            for table, row, parent in links
        ]
    ((size,),) = store.stream("select page_count from pragma_page_count")
    return check("pages", size, "SQLite finds no fault, and every link leads to a row", found)


def _cure_of_link(table: str, parent: str) -> Cure:
    derived = parent == "transitions" or table in ("changes", "field_changes", "permissions")
    return Cure.REBUILD if derived else Cure.RESTORE


def record_problems(store: Store) -> Check:
    """Compute the digest of every record from its body anew."""
    found, count = [], 0
    for number, digest, body in store.stream(
        "select id, digest, cast(body as blob) from records order by id"
    ):
        count += 1
        says = _record_says(digest, body)
        if says:
            found.append(Problem("records", number, says, Cure.RESTORE))
    return check("records", count, "digests agree", found)


def _record_says(digest: str, body: bytes) -> str | None:
    try:
        text = body.decode()
        spelling = canonical.encode(canonical.decode(body))
    except ValueError:
        return "its body is no JSON"
    if canonical.digest(text) != digest:
        return "its digest is not that of its body"
    return None if spelling == text else "its body is not in the canonical spelling"


def listing_problems(store: Store) -> Check:
    """Compute the digest and the size of every listing from its members anew."""
    records = {
        number: (model, digest, gateway)
        for number, model, digest, gateway in store.stream(
            """
            select records.id, models.name, records.digest, models.gateway from records
            join models on models.id = records.model
            """
        )
    }
    links = store.stream("select listing, record from listing_records order by listing")
    members = groupby(links, key=itemgetter(0))
    of_listing = {listing: [record for _, record in of_it] for listing, of_it in members}
    found, count = [], 0
    for number, *head in store.stream("select id, gateway, digest, size from listings order by id"):
        count += 1
        known = [records[record] for record in of_listing.get(number, ()) if record in records]
        found += [Problem("listings", number, says, Cure.RESTORE) for says in _listing_says(head, known)]
    return check("listings", count, "digests and sizes agree with their records", found)


def _listing_says(head: Sequence[object], members: Sequence[tuple[str, Digest, int]]) -> Iterator[str]:
    gateway, digest, size = head
    digests = {model: Record(model, of_it, "") for model, of_it, _ in members}
    if len(members) != size:
        yield f"it has {len(members)} records and says {size}"
    if len(digests) != len(members):
        yield "a model is in it twice"
    if any(of_it != gateway for _, _, of_it in members):
        yield "it has a record of another gateway"
    if canonical.digest_of_records(digests.values()) != digest:
        yield "its digest is not that of its records"


def coverage_problems(store: Store) -> Check:
    """Compute the digest of every set of scopes from its members anew."""
    members: dict[int, list[int]] = {}
    for coverage, scope in store.stream(
        "select coverage, scope from coverage_scopes order by coverage, scope"
    ):
        members.setdefault(coverage, []).append(scope)
    heads = list(store.stream("select id, digest from coverages order by id"))
    found = [
        Problem("coverages", number, "its digest is not that of its scopes", Cure.RESTORE)
        for number, digest in heads
        if canonical.digest(json.dumps(members.get(number, []))) != digest
    ]
    return check("coverages", len(heads), "digests agree with their scopes", found)
