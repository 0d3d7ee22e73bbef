"""Changing a running gateway over HTTP: the methods of `Gateway`, with their arguments as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from pipeline.simulator.arguments import call
from pipeline.simulator.messages import Request, Response, json_response

PREFIX = "/control/"

_ON = '{"on": true}'

EXAMPLES: dict[str, str] = {
    "offers": '{"models": ["a/b"], "to": "vip", "fields": {"context_length": 8000}}',
    "drops": '{"models": ["a/b"], "of": "vip"}',
    "flaps": '{"models": ["a/b"], "to": "default"}',
    "alternates": '{"models": ["a/b"], "to": "default", "envelope": {"total": 9}}',
    "fails": '{"fault": "throttled", "who": "anonymous", "times": 2, "options": {"retry_after": 1}}',
    "heals": '{"who": "anonymous"}',
    "shuffles": _ON,
    "noisy": _ON,
    "tags": _ON,
    "pages": '{"style": "link", "size": 2}',
    "compresses": '{"encoding": "gzip"}',
    "group": '{"name": "vip", "ratio": 0.8}',
    "user": '{"name": "carol", "password": "…", "group": "vip"}',
    "auto": '{"groups": ["vip", "default"]}',
    "runs": '{"server": "new-api-2026"}',
    "falls_back": _ON,
    "key": '{"key": "sk-…", "user": "carol", "models": ["a/b"]}',
    "signs_out": '{"name": "carol"}',
}
"""An example body for each method."""


def handle_control(verbs: Mapping[str, Callable[..., None]], request: Request) -> Response:
    """Call the method named in the path; return 200 `{"ok": true}`, or 400 with what to send instead."""
    verb = request.place.removeprefix(PREFIX)
    if verb not in EXAMPLES or request.method != "POST":
        return _error(f"POST a JSON object to {PREFIX} and one of {', '.join(EXAMPLES)}.")
    try:
        call(verbs[verb], _arguments(request.body))
    except ValueError as error:
        return _error(f"{error} Example for {request.place}: {EXAMPLES[verb]}")
    return json_response({"ok": True})


def _arguments(body: bytes) -> dict[str, Any]:
    """Parse the arguments; an empty body has none.

    Raises:
        ValueError: the body is not a JSON object.
    """
    try:
        arguments = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        arguments = None
    if isinstance(arguments, dict):
        return arguments
    raise ValueError("The body is not a JSON object.")


def _error(message: str) -> Response:
    return json_response({"ok": False, "message": message}, status=400)
