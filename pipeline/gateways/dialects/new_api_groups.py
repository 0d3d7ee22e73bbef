"""One signed-in user, every group: two answers of New-API say which group may use which model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.core import canonical
from pipeline.errors import Unreadable
from pipeline.gateways.dialects.dialect import Answer
from pipeline.gateways.dialects.envelope import parse_envelope
from pipeline.gateways.dialects.known.new_api import of_group
from pipeline.gateways.dialects.paging import Pages, PageRequest

GROUPS = "/api/user/self/groups"


PRICES = "/api/pricing"


LIST_DIALECT = "new-api-groups"
"""The dialect in which the groups themselves are read, each as a record of its own: `group:vip`."""


MODELS_DIALECT = "new-api-pricing"
"""The dialect in which the models of a group are read."""


@dataclass(frozen=True, slots=True)
class Groups:
    """What one user may use: the groups themselves as an answer, and an answer for each of them."""

    listed: Answer
    models: Mapping[str, Answer]


def pages() -> Pages:
    """Ask which groups there are, then what they may use."""
    groups = yield PageRequest(GROUPS)
    prices = yield PageRequest(PRICES)
    return groups, prices


def split(answer: Answer) -> Groups:
    """Make of the two bodies an answer for the groups and one for each group.

    Raises:
        Unreadable: one of them is not what it should be.
    """
    groups, prices = (parse_envelope(body) for body in answer.bodies)
    named = groups.get("data") if isinstance(groups, dict) else None
    if not isinstance(named, dict):
        raise Unreadable(f"{GROUPS} gives no groups: is this a New-API gateway, and the user signed in?")
    if not isinstance(prices, dict):
        raise Unreadable(f"{PRICES} gives no price list: is this a New-API gateway?")
    models = {name: _answer(_rows(prices, name), answer) for name in sorted(named)}
    return Groups(_answer(list(_records(named)), answer), models)


def _rows(prices: Mapping[str, Any], group: str) -> list[dict[str, Any]]:
    """Give what a group may use; one that a good price list does not know may use nothing."""
    if not isinstance(prices.get("data"), list):
        raise Unreadable(f"{PRICES} has no list of prices")
    try:
        return of_group(prices, group)
    except Unreadable:
        return []


def nothing(asked_at: int) -> Answer:
    """Give the answer for a group that is there no longer: it may use nothing."""
    return _answer([], Answer((), asked_at))


def _records(named: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for name, group in named.items():
        said = group if isinstance(group, dict) else {"desc": group}
        yield {"id": f"group:{name}", "ratio": said.get("ratio"), "desc": said.get("desc")}


def _answer(rows: list[dict[str, Any]], source: Answer) -> Answer:
    return Answer((canonical.encode({"data": rows}).encode(),), source.asked_at)
