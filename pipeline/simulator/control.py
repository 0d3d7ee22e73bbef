"""Changing a running gateway over HTTP: the same verbs as in Python, with their arguments as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from pipeline.simulator.answers import Answer, Asked, says
from pipeline.simulator.arguments import call

PREFIX = "/control/"


_SWITCH = '{"on": true}'


EXAMPLES: dict[str, str] = {
    "offers": '{"models": ["a/b"], "to": "vip", "fields": {"context_length": 8000}}',
    "drops": '{"models": ["a/b"], "of": "vip"}',
    "flaps": '{"models": ["a/b"], "to": "default"}',
    "fails": '{"fault": "throttled", "who": "nobody", "times": 2, "options": {"retry_after": 1}}',
    "heals": '{"who": "nobody"}',
    "shuffles": _SWITCH,
    "noisy": _SWITCH,
    "tags": _SWITCH,
    "compresses": '{"encoding": "gzip"}',
    "group": '{"name": "vip", "ratio": 0.8}',
    "user": '{"name": "carol", "password": "…", "group": "vip"}',
    "key": '{"key": "sk-…", "user": "carol", "models": ["a/b"]}',
    "signs_out": '{"name": "carol"}',
}


def obeys(verbs: Mapping[str, Callable[..., None]], asked: Asked) -> Answer:
    """Do what a request under `/control/` says: 200 `{"ok": true}`, or 400 with what to send instead."""
    verb = asked.place.removeprefix(PREFIX)
    if verb not in EXAMPLES or asked.method != "POST":
        return _objects(f"POST a JSON object to {PREFIX} and one of {', '.join(EXAMPLES)}.")
    try:
        call(verbs[verb], _read(asked.body))
    except ValueError as error:
        return _objects(f"{error} An example for {asked.place}: {EXAMPLES[verb]}")
    return says({"ok": True})


def _read(body: bytes) -> dict[str, Any]:
    """The arguments; no body means none.

    Raises:
        ValueError: the body is no JSON object.
    """
    try:
        arguments = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        arguments = None
    if isinstance(arguments, dict):
        return arguments
    raise ValueError("The body is not a JSON object.")


def _objects(message: str) -> Answer:
    return says({"ok": False, "message": message}, status=400)
