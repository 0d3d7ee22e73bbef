"""The envelope of an answer: find its rows, or raise an error that describes the answer."""

from __future__ import annotations

from typing import Any

from pipeline.core import canonical, jsonpath
from pipeline.core.text import redact
from pipeline.errors import Unreadable

ERROR_NAMES = ("error", "errors", "success")
"""Names in an envelope under which gateways report an error."""


def parse_envelope(body: bytes) -> Any:
    """Parse a body as JSON.

    Raises:
        Unreadable: it is not JSON, or it reports an error in spite of its status 200.
    """
    try:
        value = canonical.decode(body)
    except ValueError as error:
        raise _not_json(body, error) from error
    if isinstance(value, dict):
        raise_for_error(value)
    return value


def raise_for_error(envelope: dict[str, Any]) -> None:
    """Raise Unreadable where an envelope reports an error."""
    for name in ("error", "errors"):
        if envelope.get(name):
            raise Unreadable(f"the gateway answered with an error: {_message(envelope[name])}")
    if envelope.get("success") is False:
        raise Unreadable(f"the gateway answered success: false: {_message(envelope)}")


def find_rows(envelope: Any, paths: tuple[str, ...], *, null_is_empty: bool) -> list[Any]:
    """Return the rows of an envelope, from the first path with an array.

    Raises:
        Unreadable: no path has an array.
    """
    found: Any = None
    for path in paths:
        found = envelope if not path else jsonpath.find(envelope, jsonpath.parse(path))
        if isinstance(found, list):
            return found
    if not isinstance(envelope, dict):
        raise Unreadable(f"the answer is {describe_type(envelope)}, not a list of models")
    places = " or ".join(repr(path) if path else "the answer itself" for path in paths)
    if found is not None:
        raise Unreadable(f"{places} is {describe_type(found)}, not the list of models")
    if null_is_empty and any(path in envelope for path in paths):
        return []
    raise Unreadable(f"{places} is null or missing, not the list of models")


def describe_type(value: Any) -> str:
    """Return the type of a JSON value in words."""
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


def _not_json(body: bytes, error: ValueError) -> Unreadable:
    start = body[:200].decode("utf-8", "replace").strip().lower()
    if not start:
        return Unreadable("the answer is empty")
    if start.startswith(("<!doctype", "<html", "<?xml", "<head", "<body")):
        cure = "check that `url` is the address of the API"
        return Unreadable("the answer is a web page, not JSON", cure=cure)
    if "nested" in str(error):
        return Unreadable("the answer is nested too deeply to be a list of models")
    return Unreadable("the answer is not JSON, or was cut off on its way")


def _message(problem: Any) -> str:
    if isinstance(problem, list):
        problem = problem[0]
    if isinstance(problem, dict):
        problem = problem.get("message") or problem.get("msg") or problem.get("code") or problem
    return redact(canonical.as_text(problem))
