"""Which answer belongs to which path."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote

from pipeline.simulator.accounts import Accounts, Caller, Refusal, User
from pipeline.simulator.answers import Answer, Asked, declines, grants, moved, page, says
from pipeline.simulator.world import World

LIST = "/v1/models"


LOGIN = "/api/user/login"


_VERSION = "v1.0-reference"


_MONTH = 30 * 24 * 3600


def answer(world: World, accounts: Accounts, asked: Asked) -> Answer:
    """The right answer to a request."""
    if asked.method == "HEAD":
        return Answer(404)
    if asked.place == "/v1" or asked.place.startswith("/v1/"):
        return _relayed(world, accounts, asked)
    return _told(world, accounts, asked)


def _relayed(world: World, accounts: Accounts, asked: Asked) -> Answer:
    place = asked.place
    if asked.method != "GET" or not (place == LIST or place.startswith(f"{LIST}/")):
        message = f"Invalid URL ({asked.method} {place})"
        error = {"message": message, "type": "invalid_request_error", "param": "", "code": ""}
        return says({"error": error}, status=404)
    if place == f"{LIST}/":
        return moved(LIST)
    match accounts.caller(asked.headers):
        case Refusal() as refusal:
            return refusal.answer()
        case caller if place == LIST:
            return world.listing(caller)
        case caller:
            return world.one(caller, unquote(place.removeprefix(f"{LIST}/")))


def _told(world: World, accounts: Accounts, asked: Asked) -> Answer:
    match asked.method, asked.place:
        case "POST", "/api/user/login":
            return _login(accounts, asked)
        case "GET", "/api/status":
            return grants({"version": _VERSION, "start_time": world.started, "quota_per_unit": 500000})
        case "GET", "/api/pricing":
            user = accounts.signed_in(asked.headers)
            return says(world.pricing(user.group if isinstance(user, User) else None))
        case "GET", "/api/user/self/groups" | "/api/user/available_models":
            user = accounts.signed_in(asked.headers)
            return grants(_own(world, asked.place, user)) if isinstance(user, User) else user
    return page("Reference gateway")


def _own(world: World, place: str, user: User) -> Any:
    if place == "/api/user/available_models":
        return world.names(Caller(who=f"user:{user.name}", group=user.group))
    usable = world.groups(user.group)
    return {name: {"ratio": group.ratio, "desc": group.desc} for name, group in usable.items()}


def _login(accounts: Accounts, asked: Asked) -> Answer:
    try:
        form = json.loads(asked.body)
        name, password = form["username"], form["password"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return declines('Send {"username": "…", "password": "…"}')
    entered = accounts.signs_in(name, password) if isinstance(name, str) else None
    if entered is None:
        return declines("User name or password is wrong, or the user has been banned")
    user, session = entered
    data = {"id": user.id, "username": user.name, "display_name": user.name, "group": user.group}
    cookie = f"session={session}; Path=/; Max-Age={_MONTH}; HttpOnly; SameSite=Strict"
    return grants({**data, "role": 1, "status": 1}).plus(("Set-Cookie", cookie))
