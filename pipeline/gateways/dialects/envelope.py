"""Open an answer: find its rows, or say in plain words what it is instead of a list."""

from __future__ import annotations

from typing import Any

from pipeline.core import canonical, jsonpath
from pipeline.core.text import redact
from pipeline.errors import Unreadable

ERROR_NAMES = ("error", "errors", "success")
"""The names in an envelope under which gateways say that something went wrong."""


def parse_envelope(body: bytes) -> Any:
    """Read a body as JSON, and refuse one that says that something went wrong.

    Raises:
        Unreadable: it is no JSON, or it is an error in a 200.
    """
    try:
        value = canonical.decode(body)
    except ValueError as error:
        raise Unreadable(_no_json(body, error)) from error
    if isinstance(value, dict):
        raise_for_error(value)
    return value


def find_rows(envelope: Any, at: tuple[str, ...], *, null_is_empty: bool) -> list[Any]:
    """Find the rows of an envelope at the first of the places that has any.

    Raises:
        Unreadable: none of the places holds an array.
    """
    found: Any = None
    for place in at:
        found = envelope if not place else jsonpath.find(envelope, jsonpath.parse(place))
        if isinstance(found, list):
            return found
    where = " or ".join(repr(place) if place else "the answer itself" for place in at)
    if isinstance(envelope, dict) and found is None:
        if null_is_empty and any(place in envelope for place in at):
            return []
        raise Unreadable(f"{where} is null or missing, not the list of models")
    seen = found if isinstance(envelope, dict) else envelope
    what = where if isinstance(envelope, dict) else "the answer"
    raise Unreadable(
        f"{what} is {describe_type(seen)}, not {'the' if isinstance(envelope, dict) else 'a'} list of models"
    )


def describe_type(value: Any) -> str:
    """Say what a JSON value is, in words."""
    match value:
        case None:
            return "null or missing"
        case bool():
            return "true or false"
        case str():
            return "a text" if value else "empty"
        case list():
            return "an array"
        case dict():
            return "an object"
        case _:
            return "a number"


def _no_json(body: bytes, error: ValueError) -> str:
    start = body[:200].decode("utf-8", "replace").strip().lower()
    if not start:
        return "the answer is empty"
    if start.startswith(("<!doctype", "<html", "<?xml", "<head", "<body")):
        return "the answer is a web page, not JSON: see that `url` is the address of the API"
    if "nested" in str(error):
        return "the answer is nested too deeply to be a list of models"
    return "the answer is not JSON, or was cut off on its way"


def raise_for_error(value: dict[str, Any]) -> None:
    """See that an envelope does not say that something went wrong.

    Raises:
        Unreadable: it does.
    """
    for name in ("error", "errors"):
        if value.get(name):
            raise Unreadable(f"the gateway answered with an error: {_message(value[name])}")
    if value.get("success") is False:
        raise Unreadable(f"the gateway answered success: false: {_message(value)}")


def _message(problem: Any) -> str:
    if isinstance(problem, list):
        problem = problem[0]
    if isinstance(problem, dict):
        problem = problem.get("message") or problem.get("msg") or problem.get("code") or problem
    return redact(canonical.as_text(problem))
