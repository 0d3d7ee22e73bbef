"""Models: their ids, the models of listings, and ids that differ only in case."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import NamedTuple

from pipeline.core.types import GROUP_PREFIX
from pipeline.store.database import Store

IS_GROUP = f"""
    models.name glob '{GROUP_PREFIX}*' and models.gateway in (select gateway from scopes where lists_groups)
"""  # noqa: S608 - constants only
"""SQL: a row of `models` is a group of a user, as a scope with `lists_groups` has them."""


class ModelRow(NamedTuple):
    """A row of `models`; `name` is the gateway's id of the model."""

    id: int
    name: str
    gateway: str


def model_rows(store: Store, names: Collection[str] | None = None) -> list[ModelRow]:
    """Return the models with some names, or all, at every gateway; groups are not models."""
    rows = store.rows(
        f"""
        select models.id, models.name, gateways.name as gateway from models
        join gateways on gateways.id = models.gateway
        where (:names is null or models.name in (select value from json_each(:names)))
        and not ({IS_GROUP})
        """,  # noqa: S608 - constants only
        {"names": None if names is None else json.dumps(sorted(names))},
    )
    return [ModelRow(**row) for row in rows]


def model_names(store: Store) -> list[str]:
    """Return the ids of all models ever listed, sorted."""
    sql = f"select distinct name from models where not ({IS_GROUP}) order by name"  # noqa: S608 - constants only
    return [row["name"] for row in store.rows(sql)]


def case_variants(store: Store, gateway: str, model: str) -> dict[str, bool]:
    """Return a gateway's ids that differ from a model's only in case, and whether each is offered now."""
    rows = store.rows(
        """
        select models.name, exists(select 1 from catalog where catalog.model_id = models.id) as offered
        from models join gateways on gateways.id = models.gateway
        where gateways.name = :gateway and models.name <> :model
        and length(models.name) between :least and :most
        order by models.name
        """,
        # Case folding makes a text at most three times as long.
        {"gateway": gateway, "model": model, "least": len(model) // 3, "most": 3 * len(model)},
    )
    folded = model.casefold()
    return {row["name"]: bool(row["offered"]) for row in rows if row["name"].casefold() == folded}


class ListedModels:
    """The models of listings; each listing is read once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._models: dict[int, dict[int, str]] = {}
        self._folded: dict[int, dict[str, list[str]]] = {}

    def names(self, listing: int) -> dict[int, str]:
        """Return the ids of a listing's models, by row."""
        if listing not in self._models:
            rows = self._store.rows(
                """
                select records.model, models.name from listing_records
                join records on records.id = listing_records.record
                join models on models.id = records.model
                where listing_records.listing = :listing
                """,
                {"listing": listing},
            )
            self._models[listing] = {row["model"]: row["name"] for row in rows}
        return self._models[listing]

    def case_variant(self, listing: int, model: str) -> str | None:
        """Return the first model of a listing whose id differs from another only in case."""
        if listing not in self._folded:
            folded = self._folded[listing] = {}
            for name in sorted(self.names(listing).values()):
                folded.setdefault(name.casefold(), []).append(name)
        same = self._folded[listing].get(model.casefold(), [])
        return next((name for name in same if name != model), None)
