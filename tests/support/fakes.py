"""Scripted gateways: the offer to each scope, run after run, recorded as a real run is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from pipeline.core.canonical import encode
from pipeline.core.times import iso
from pipeline.core.types import Credential, Gateway, Key, Listing, Scope, ScopeState, Thresholds
from pipeline.errors import FetchError, Unreachable
from pipeline.gateways import Validators
from pipeline.gateways.dialects import Answer, Dialect, all_dialects
from pipeline.gateways.types import ListingAnswer, ScopeResult, Unchanged
from pipeline.store import Store, read_listing, scope_states
from pipeline.sync.cache import RunCache
from pipeline.sync.record import RunTotals
from pipeline.sync.run import decide_and_record

Offer = Mapping[str, Mapping[str, Any]]
"""The models offered to a scope, each with its fields beside the id."""

ASKED_AT = 1_790_000_000
"""When the answers were asked for, in Unix seconds."""

NOTHING_HELD = Thresholds(max_loss=1.0, floor=10_000, confirm=2, confirm_after=0.0)
"""Thresholds that hold nothing but an empty list."""

ONE_API = all_dialects()["one-api"]

_FIRST_RUN = datetime(2026, 9, 20, 6, tzinfo=UTC)


def body(*rows: Any, **envelope: Any) -> bytes:
    """Return the body of an answer to `/v1/models`."""
    return encode({"object": "list", "data": list(rows), **envelope}).encode()


def row(model: str, **fields: Any) -> dict[str, Any]:
    """Return one row of an answer."""
    return {"id": model, "object": "model", "owned_by": "acme", **fields}


def read(*bodies: bytes, asked_at: int = ASKED_AT, dialect: Dialect = ONE_API) -> Listing:
    """Parse an answer in the One-API dialect, or in another."""
    return dialect.read(Answer(bodies, asked_at))


def listing(*models: str, **forms: Any) -> Listing:
    """Return the listing of some models; `alpha=2` offers `alpha` with `{"form": 2}`."""
    plain = [row(model) for model in models]
    return read(body(*plain, *(row(model, form=form) for model, form in forms.items())))


def offered(offer: Offer) -> Listing:
    """Return the listing of an offer."""
    return read(body(*(row(model, **fields) for model, fields in offer.items())))


def result_of(answer: Listing, dialect: Dialect = ONE_API) -> ScopeResult:
    """Return the result of a scope that gave this answer."""
    return ScopeResult(ListingAnswer(answer, str(answer.digest), Validators(), dialect), 0.25)


def scope(
    name: str,
    *,
    credential: Credential | None = None,
    group: str | None = None,
    thresholds: Thresholds = NOTHING_HELD,
) -> Scope:
    """Return a scope named `gateway/alias`, with a key unless another credential is given."""
    gateway = name.partition("/")[0]
    return Scope(
        name,
        Gateway(gateway, f"https://{gateway}.example/v1"),
        credential or Key(f"env:{name.upper().replace('/', '_')}"),
        group=group,
        thresholds=thresholds,
    )


def moment(number: int) -> str:
    """Return the start of a run (ISO 8601 UTC); runs are an hour apart, and the first is number 1."""
    return (_FIRST_RUN + timedelta(hours=number - 1)).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass
class Script:
    """The answers of every scope; each stays the same from run to run until it is changed."""

    store: Store
    scopes: dict[str, Scope] = field(default_factory=dict)
    offers_now: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    failures: dict[str, FetchError] = field(default_factory=dict)
    flapping: dict[str, set[str]] = field(default_factory=dict)
    runs: int = 0

    def has(self, *scopes: Scope) -> Self:
        """Add scopes, or replace those of the same name."""
        self.scopes |= {scope.name: scope for scope in scopes}
        return self

    def offers(self, name: str, *models: str, **forms: Any) -> Self:
        """Offer a scope these models and no others; `alpha=2` gives `alpha` the form 2."""
        if name not in self.scopes:
            self.has(scope(name))
        self.failures.pop(name, None)
        self.offers_now[name] = {model: {} for model in models} | {m: {"form": f} for m, f in forms.items()}
        return self

    def drops(self, name: str, *models: str) -> Self:
        """Remove models from the offer to a scope."""
        for model in models:
            del self.offers_now[name][model]
        return self

    def adds(self, name: str, *models: str, **forms: Any) -> Self:
        """Offer a scope these models too, or in another form."""
        self.offers_now[name] |= {model: {} for model in models} | {m: {"form": f} for m, f in forms.items()}
        return self

    def flaps(self, name: str, *models: str) -> Self:
        """Offer models in every second run only, beginning with the next."""
        self.flapping[name] = set(models)
        return self

    def fails(self, name: str, error: FetchError | None = None) -> Self:
        """Let a scope fail."""
        if name not in self.scopes:
            self.has(scope(name))
        self.failures[name] = error or Unreachable("the connection was reset")
        return self

    def recovers(self, name: str) -> Self:
        """Let a scope answer again, with its last offer."""
        del self.failures[name]
        return self

    def result(self, name: str) -> ScopeResult:
        """Return the result of a scope in this run."""
        if name in self.failures:
            return ScopeResult(self.failures[name])
        away = self.flapping.get(name, set()) if self.runs % 2 == 0 else set()
        return result_of(offered({m: f for m, f in self.offers_now[name].items() if m not in away}))

    def run(self, *only: str, times: int = 1) -> RunTotals:
        """Record a run of all scopes, or `only` some of them; return the last run."""
        for _ in range(times - 1):
            self.run(*only)
        self.runs += 1
        return self.record({name: self.result(name) for name in only or self.scopes})

    def run_at(self, at: datetime) -> RunTotals:
        """Record a run of all scopes that begins at a moment."""
        self.runs += 1
        return self.record({name: self.result(name) for name in self.scopes}, at=iso(at))

    def record(self, results: Mapping[str, ScopeResult], *, at: str | None = None) -> RunTotals:
        """Record these results instead of those of the script."""
        return record_run(self.store, [self.scopes[name] for name in results], results, at=at)

    def state(self, name: str) -> ScopeState:
        """Return the state of a scope."""
        return scope_states(self.store)[name]

    def models(self, name: str) -> set[str]:
        """Return the models of a scope's current listing."""
        listing_id = self.state(name).listing
        return set() if listing_id is None else set(read_listing(self.store, listing_id).records)

    def reason(self, name: str) -> str:
        """Return why a scope failed or is held, by its last sighting; empty where it is well."""
        rows = self.store.rows(
            """
            select reasons.name from scopes join sightings on sightings.id = scopes.sighting
            join reasons on reasons.id = sightings.reason where scopes.name = :name
            """,
            {"name": name},
        )
        return rows[0]["name"] if rows else ""

    def outcomes(self, name: str) -> list[str]:
        """Return the outcomes of all sightings of a scope, in order."""
        rows = self.store.rows(
            """
            select outcome from sightings join scopes on scopes.id = sightings.scope
            where scopes.name = :name order by sightings.id
            """,
            {"name": name},
        )
        return [row["outcome"] for row in rows]


def record_run(
    store: Store,
    scopes: list[Scope],
    results: Mapping[str, ScopeResult],
    *,
    all_scopes: bool = False,
    at: str | None = None,
) -> RunTotals:
    """Record one run in a transaction of its own, an hour after the one before.

    Args:
        store: an open database.
        scopes: those that the run asks.
        results: their results.
        all_scopes: the config has no other scopes, so that others retire.
        at: its start (ISO 8601 UTC), if it is another.
    """
    (latest,) = store.rows("select count(*) as runs from snapshots")
    at = at or moment(latest["runs"] + 1)
    with store.transaction():
        return decide_and_record(
            results, scopes, RunCache(store), started_at=at, finished_at=at, all_scopes=all_scopes
        )


UNCHANGED = ScopeResult(Unchanged(), 0.1)
"""The result of a scope whose answer is the same as before."""


def rows_of(store: Store) -> dict[str, list[dict[str, Any]]]:
    """Return every row of every table, by table, without SQLite's own tables."""
    tables = store.rows(
        "select name from pragma_table_list where schema = 'main' and type in ('table', 'virtual') "
        "and name not like 'sqlite%'"
    )
    return {t["name"]: store.rows(f"select * from {t['name']} order by 1, 2") for t in tables}
