"""The groups of a New-API user, listed like models (`group:vip`); their ratios are facts that change.

Two answers of the gateway are combined: the user's groups, and the price list with the groups of each model.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.core import canonical
from pipeline.errors import Unreadable
from pipeline.gateways.dialects.dialect import Answer, Dialect, GroupAnswers, Groups, group_record
from pipeline.gateways.dialects.envelope import parse_envelope
from pipeline.gateways.dialects.known.new_api import PRICES_DIALECT, PRICES_PATH, models_of_group
from pipeline.gateways.dialects.paging import PageRequest, Pages

GROUPS_PATH = "/api/user/self/groups"


def pages() -> Pages:
    """Request the groups, then the price list."""
    groups = yield PageRequest(GROUPS_PATH)
    prices = yield PageRequest(PRICES_PATH)
    return groups.body, prices.body


def split(answer: Answer) -> GroupAnswers:
    """Return an answer for the groups and one for each group's models, from the two bodies.

    Raises:
        Unreadable: a body is not the list of groups, or not a price list.
    """
    groups, prices = (parse_envelope(body) for body in answer.bodies)
    named = groups.get("data") if isinstance(groups, dict) else None
    if not isinstance(named, dict):
        raise Unreadable(
            f"{GROUPS_PATH} lists no groups", cure="is this a New-API gateway, and the user signed in?"
        )
    if not isinstance(prices, dict):
        raise Unreadable(f"{PRICES_PATH} is no price list", cure="is this a New-API gateway?")
    if not isinstance(prices.get("data"), list):
        raise Unreadable(f"{PRICES_PATH} has no list of prices")
    own = {name: group.get("ratio") if isinstance(group, dict) else None for name, group in named.items()}
    models = {name: _models(prices, name, own, answer) for name in sorted(named)}
    return GroupAnswers(_answer(list(_group_rows(named)), answer), models)


def _models(
    prices: Mapping[str, Any], group: str, own: Mapping[str, Any], source: Answer
) -> Answer | Unreadable:
    """Return the models of a group as an answer; an error if the price list does not know the group."""
    try:
        return _answer(models_of_group(prices, group, own), source)
    except Unreadable as error:
        return error


def _group_rows(named: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for name, group in named.items():
        fields = group if isinstance(group, dict) else {"desc": group}
        yield {"id": group_record(name), "ratio": fields.get("ratio"), "desc": fields.get("desc")}


def _answer(rows: list[dict[str, Any]], source: Answer) -> Answer:
    return Answer((canonical.encode({"data": rows}).encode(),), source.asked_at)


DIALECTS = (
    Dialect(
        name="new-api-groups",
        quiet=("desc",),
        groups=Groups(pages, split, models_dialect=PRICES_DIALECT),
        has_records=False,
    ),
)
