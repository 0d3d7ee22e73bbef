"""The correct response to each path."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote

from pipeline.simulator.accounts import NEW_API_2026, Accounts, Caller, Rejection, User
from pipeline.simulator.groups import Groups
from pipeline.simulator.messages import (
    Request,
    Response,
    api_error,
    api_success,
    html_page,
    json_response,
    redirect,
)

LIST = "/v1/models"
LOGIN = "/api/user/login"

_VERSION = "v1.0-reference"
_MONTH = 30 * 24 * 3600


def respond(groups: Groups, accounts: Accounts, request: Request) -> Response:
    """Return the correct response to a request."""
    if request.method == "HEAD":
        return Response(404)
    if request.place == "/v1" or request.place.startswith("/v1/"):
        return _v1(groups, accounts, request)
    return _api(groups, accounts, request)


def _v1(groups: Groups, accounts: Accounts, request: Request) -> Response:
    place = request.place
    if request.method != "GET" or not (place == LIST or place.startswith(f"{LIST}/")):
        message = f"Invalid URL ({request.method} {place})"
        error = {"message": message, "type": "invalid_request_error", "param": "", "code": ""}
        return json_response({"error": error}, status=404)
    if place == f"{LIST}/":
        return redirect(LIST)
    match accounts.caller(request.headers):
        case Rejection() as rejection:
            return rejection.response()
        case caller if place == LIST:
            return groups.listing(caller)
        case caller:
            return groups.one(caller, unquote(place.removeprefix(f"{LIST}/")))


def _api(groups: Groups, accounts: Accounts, request: Request) -> Response:
    match request.method, request.place:
        case "POST", "/api/user/login":
            return _login(accounts, request)
        case "GET", "/api/status":
            return api_success({"version": _VERSION, "start_time": groups.started, "quota_per_unit": 500000})
        case "GET", "/api/pricing":
            reader = accounts.price_reader(request.headers)
            return json_response(groups.pricing(reader, accounts.server))
        case "GET", "/api/user/self/groups" | "/api/user/models" | "/api/user/available_models":
            user = accounts.signed_in(request.headers)
            return api_success(_of_user(groups, request.place, user)) if isinstance(user, User) else user
    return html_page("Reference gateway")


def _of_user(groups: Groups, place: str, user: User) -> Any:
    if place == "/api/user/available_models":
        return groups.ids(Caller(who=f"user:{user.name}", group=user.group))
    return groups.ids_of_user(user) if place == "/api/user/models" else groups.of_user(user)


def _login(accounts: Accounts, request: Request) -> Response:
    try:
        form = json.loads(request.body)
        name, password = form["username"], form["password"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return api_error('Send {"username": "…", "password": "…"}')
    signed_in = accounts.sign_in(name, password) if isinstance(name, str) else None
    if signed_in is None:
        return api_error("User name or password is wrong, or the user has been banned")
    user, session = signed_in
    data = {"id": user.id, "username": user.name, "display_name": user.name, "group": user.group}
    answer = {**data, "role": 1, "status": 1}
    name = "session"
    if accounts.server == NEW_API_2026:
        # https://github.com/QuantumNous/new-api/blob/main/controller/auth_session.go
        answer = {"access_token": session, "token_type": "Bearer", "user": answer}
        name, session = "refresh_token", session[::-1]
    cookie = f"{name}={session}; Path=/; Max-Age={_MONTH}; HttpOnly; SameSite=Strict"
    return api_success(answer).with_headers(("Set-Cookie", cookie))
