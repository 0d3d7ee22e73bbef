"""The envelope of an answer: find its rows, or raise an error that describes the answer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from pipeline.core import canonical, jsonpath
from pipeline.core.jsonpath import Path
from pipeline.core.text import redact
from pipeline.core.types import Scalar
from pipeline.errors import Unreadable
from pipeline.gateways.bodies import as_utf8, json_lines, not_json
from pipeline.gateways.dialects.layout import list_by_id, members_without_rows, nested_rows, rows_by_id
from pipeline.gateways.dialects.list_advice import list_advice, named
from pipeline.gateways.dialects.signs import is_yes, simplified, words
from pipeline.gateways.refusals import cure_of_message, longest_sentence

Success = tuple[tuple[str, Scalar], ...]
"""The value that an envelope must have at each path, where a gateway's config says so."""

_ERRORS = words("err error errors")
_ERROR_TEXTS = words(
    "errdesc errmessage errmsg errordesc errordescription errormessage errormsg errorstring errortext errstr"
)
_FLAGS = words("failed haserror haserrors iserror")
_SUCCESS = words("issuccess issuccessful ok success successful succeeded")
_STATES = words("outcome result state status")
_KINDS = words("object type")
_CODES = words(
    "bizcode businesscode code errcode errno errorcode respcode responsecode resultcode ret retcode"
    " returncode statuscode"
)
_CODE_OBJECTS = words("baseresp head header meta responsemetadata status")
"""Objects in an envelope that may have its code, such as the `base_resp` of MiniMax."""

_NAMES = _ERRORS | _ERROR_TEXTS | _FLAGS | _SUCCESS | _STATES | _KINDS | _CODES | _CODE_OBJECTS
_NEGATIVE = words("denied err error errors exception fail failed failure false forbidden n no unauthorized")
_POSITIVE = words("0 00000 200 none null ok success succeeded successful true")
"""Codes that mean success, in lower case.

0 and 200 are the usual ones. "00000" is that of Alibaba's guidelines (https://github.com/alibaba/p3c),
and New-API has `code: true` at `/api/usage/token`. 1 is none: some frameworks write it for a success, others
for an error.
"""

_MESSAGES = (
    *("message", "msg", "detail", "errormessage", "errormsg", "errmsg", "errordescription", "statusmsg"),
    *("reason", "error", *sorted(_ERROR_TEXTS - {"errormessage", "errormsg", "errmsg", "errordescription"})),
)
"""The names of a message, the likeliest first."""

_GOOD_TEXTS = _POSITIVE | {
    *("", "-", "done", "n/a", "no", "no error", "no errors", "normal", "succeed", "无", "成功", "操作成功"),
    *("请求成功", "获取成功", "查询成功", "正常"),
}
"""Texts at the name of an error message that report none."""

_FIRST_ERROR_STATUS = 400

_LONGEST_SUCCESS = 60
"""So many characters of a text are named in a setting."""

_MOST_PLACES = 5
"""So many places of a list are named in a message."""


def parse_json(body: bytes) -> Any:
    """Parse a body.

    Raises:
        Unreadable: it is not JSON.
    """
    body = as_utf8(body)
    try:
        return canonical.decode(body)
    except ValueError as error:
        if (rows := json_lines(body)) is not None:
            return rows
        raise not_json(body, error) from error


def parse_envelope(body: bytes, success: Success = ()) -> Any:
    """Parse a body as JSON.

    Raises:
        Unreadable: it is not JSON, or it reports an error in spite of its status 200.
    """
    value = parse_json(body)
    raise_for_error(value, success)
    return value


def has_role(name: str) -> bool:
    """Return whether a member of an envelope with this name may report an error."""
    return simplified(name) in _NAMES


def raise_for_error(envelope: Any, success: Success = ()) -> None:
    """Raise Unreadable where an envelope reports an error, or lacks the success that the config declares."""
    _raise_without_success(envelope, success)
    if not isinstance(envelope, dict):
        return
    declared = {path for path, _ in success}
    members = [(name, simplified(name), value) for name, value in envelope.items() if name not in declared]
    for _, name, value in members:
        if name in _ERRORS and _is_error(value):
            raise _reported(_message(value))
    for written, name, value in members:
        if _is_negative(name, value):
            raise Unreadable(
                f"the gateway answered {written}: {_json(value)}{_quoted(envelope)}",
                cure=cure_of_message(_text(envelope)),
                about_request=True,
            )
    for written, name, value in members:
        if name in _ERROR_TEXTS and _is_error_text(value) and not success:
            _raise_for_text(envelope, written, value)


def _raise_without_success(envelope: Any, success: Success) -> None:
    for path, wanted in success:
        found = jsonpath.find(envelope, jsonpath.parse(path))
        if found != wanted or isinstance(found, bool) != isinstance(wanted, bool):
            if found is None and not _is_null(envelope, jsonpath.parse(path)):
                raise Unreadable(f"the answer has no `{path}`, where `success` has {_json(wanted)}")
            is_spelt_otherwise = str(found).lower() == str(wanted).lower()
            raise Unreadable(
                f"the gateway answered {path}: {_json(found)}, where `success` has {_json(wanted)}"
                f"{_quoted(envelope)}",
                cure=_cure(jsonpath.parse(path), found) if is_spelt_otherwise else None,
            )


def raise_for_code(envelope: Any, success: Success = ()) -> None:
    """Raise Unreadable where an envelope without rows has a code that is no known success."""
    if not isinstance(envelope, dict):
        return
    declared = {path for path, _ in success}
    for at, value in _codes(envelope):
        path = ".".join(at)
        if simplified(at[-1]) in _ERRORS and path not in declared and _is_error(value):
            raise _reported(_message(value))
        if path not in declared and not _is_success(value):
            raise Unreadable(
                f"the gateway answered {path}: {_json(value)} and no models{_quoted(envelope).rstrip('.')}",
                cure=cure_of_message(_text(envelope)) or _cure(at, value),
            )


def _reported(message: str) -> Unreadable:
    problem = f"the gateway answered with an error: {message}"
    return Unreadable(problem, cure=cure_of_message(message), about_request=True)


def find_message(envelopes: Iterable[Any]) -> str | None:
    """Return the first message in envelopes that is more than a word of success; None without one."""
    texts = (_text(envelope) for envelope in envelopes if isinstance(envelope, dict))
    return next((text for text in texts if _is_error_text(text)), None)


def raise_for_error_row(row: Any) -> None:
    """Raise Unreadable where the only row of a list is an error."""
    if text := error_of_row(row):
        raise Unreadable(f"the only row of the list is an error: {text}")


def error_of_row(row: Any) -> str | None:
    """Return the message of a row that is an error instead of a record; None for any other row."""
    if not isinstance(row, dict):
        return None
    kinds = {str(row.get(name)).lower() for name in _KINDS}
    is_named_error = str(row.get("id")).lower() == "error" and "model" not in kinds
    is_without_id = not row.get("id") and _is_error(row.get("error"))
    if "error" in kinds or is_without_id or (is_named_error and _text(row)):
        return _text(row) or redact(canonical.as_text(row))
    return None


def lost_list(envelope: Any, paths: tuple[str, ...]) -> str | None:
    """Return which list in a list is missing because of an error there, with the error; None without one."""
    steps = next((steps for path in paths if "*" in (steps := jsonpath.parse(path) if path else ())), ())
    for name, member in members_without_rows(envelope, steps) if steps else ():
        try:
            raise_for_error(member)
        except Unreadable as error:
            return f"{redact(name or 'one of them')} has none: {error.problem}"
    return None


def find_rows(
    envelope: Any, paths: tuple[str, ...], *, null_is_empty: bool, by_id: bool = False, success: Success = ()
) -> list[Any]:
    """Return the rows of an envelope, from the first path with an array; else those of an object by id.

    Args:
        envelope: the parsed answer.
        paths: the paths at which the list may be.
        null_is_empty: null is an empty list.
        by_id: an object at a path is a list, whose keys are the ids of its members.
        success: the values that the envelope must have.

    Raises:
        Unreadable: no path has a list, or there are no rows beside a code that is no success.
    """
    found: Any = None
    for path in paths:
        steps = jsonpath.parse(path) if path else ()
        nested = nested_rows(envelope, steps) if "*" in steps else None
        found = jsonpath.find(envelope, steps) if nested is None else nested
        if isinstance(found, list):
            if not found:
                raise_for_code(envelope, success)
            return found
    if keyed := list_by_id(envelope, paths, declared=by_id):
        if not keyed[1]:
            raise_for_code(envelope, success)
        return rows_by_id(keyed[1])
    raise_for_code(envelope, success)
    if not isinstance(envelope, dict):
        reason = f"the answer is {describe_type(envelope)}, not a list of models"
        raise Unreadable(reason, cure=list_advice(envelope))
    nulls = [path for path in paths if path and _is_null(envelope, jsonpath.parse(path))]
    if null_is_empty and nulls:
        return []
    if nulls:
        cure = "if that is an empty list, add `null_is_empty = true`"
        raise Unreadable(f"{nulls[0]!r} is null, not the list of models{_quoted(envelope)}", cure=cure)
    said = _quoted(envelope)
    advice = list_advice(envelope)
    if advice is None and envelope and not said:
        advice = f"the answer has {named(envelope)}"
    raise Unreadable(f"{_without_list(paths, found)}{said}", cure=advice)


def _without_list(paths: Sequence[str], found: Any) -> str:
    """Return that no path has a list; an unknown gateway's is looked for at more than a message can name."""
    tried = [repr(path) if path else "the answer itself" for path in paths]
    if len(tried) > _MOST_PLACES:
        some = ", ".join(tried[:3])
        return f"no list is at {some} or another usual place, and the answer is not the list of models"
    return f"{' or '.join(tried)} is {describe_type(found)}, not the list of models"


def list_path(envelope: Any, paths: tuple[str, ...], *, by_id: bool = False) -> Path:
    """Return the path at which `find_rows` finds the rows: () for the answer itself, or without rows.

    Of lists in a list it is that of the outer one.
    """
    for path in paths:
        steps = jsonpath.parse(path) if path else ()
        if "*" in steps and nested_rows(envelope, steps) is not None:
            return steps[: steps.index("*")]
        if isinstance(jsonpath.find(envelope, steps), list):
            return steps
    keyed = list_by_id(envelope, paths, declared=by_id)
    return keyed[0] if keyed else ()


def describe_type(value: Any) -> str:
    """Return the type of a JSON value in words."""
    match value:
        case None:
            return "null or missing"
        case bool():
            return "true or false"
        case str():
            return "a text" if value.strip() else "only blanks" if value else "empty"
        case list():
            return "an array"
        case dict():
            return "an object"
        case _:
            return "a number"


def _is_null(envelope: Any, path: Path) -> bool:
    above = jsonpath.find(envelope, path[:-1])
    return isinstance(above, dict) and path[-1] in above and above[path[-1]] is None


def _is_error(value: Any) -> bool:
    """Return whether a value named `error` is one: it is not empty, and reports no success."""
    match value:
        case list():
            return any(map(_is_error, value))
        case dict():
            return any(map(_is_error, value.values()))
        case _:
            return is_yes(value) and not _is_success(value)


def _is_error_text(value: Any) -> bool:
    """Return whether the value of a name such as `error_msg` is the text of an error."""
    return isinstance(value, str) and value.strip().lower().rstrip(".!。！") not in _GOOD_TEXTS


def _raise_for_text(envelope: Mapping[str, Any], name: str, text: str) -> None:
    """Raise Unreadable for the text of an error, except beside a code of success: `errno: 0`."""
    codes = [(at, value) for at, value in _codes(envelope) if value not in (None, "")]
    if any(_is_success(value) for _, value in codes):
        return
    at, value = codes[0] if codes else ((name,), text)
    code = f" ({'.'.join(at)}: {_json(value)})" if codes else ""
    raise Unreadable(
        f"the gateway answered with an error: {redact(text).rstrip('.')}{code}",
        cure=cure_of_message(text) or _cure(at, value),
    )


def _cure(at: Path, value: Any) -> str | None:
    """Return the setting by which a member of an envelope is a success; None for a long text."""
    if isinstance(value, str) and len(value) > _LONGEST_SUCCESS:
        return None
    path = ".".join(at)
    name = path if len(at) == 1 and path.replace("_", "").isalnum() else f'"{path}"'
    return f"if that is a success, set `success = {{ {name} = {_json(value)} }}` for the gateway"


def _is_negative(name: str, value: Any) -> bool:
    """Return whether a member says that the request failed: `ok: false`, `status: "error"`."""
    word = value.strip().lower() if isinstance(value, str) else ""
    if name in _SUCCESS:
        return value is False or word in _NEGATIVE | {"0"} or _is_number(value, 0)
    if name in _FLAGS:
        return value is True
    if name in _KINDS:
        return word == "error"
    return (name in _STATES and word in _NEGATIVE) or (name == "status" and value is False)


def _codes(envelope: Mapping[str, Any]) -> Iterator[tuple[Path, Any]]:
    """Yield path and value of the codes of an envelope; a `status` is a code if it is an HTTP error."""
    for name, value in envelope.items():
        simple = simplified(name)
        if simple in _CODE_OBJECTS and isinstance(value, dict):
            yield from (
                ((name, inner), code)
                for inner, code in value.items()
                if simplified(inner) in _ERRORS or _is_code(inner, code)
            )
        elif _is_code(name, value) or (
            simple == "status" and isinstance(value, int) and value >= _FIRST_ERROR_STATUS
        ):
            yield (name,), value


def _is_code(name: str, value: Any) -> bool:
    return simplified(name) in _CODES and not isinstance(value, dict | list)


def _is_success(value: Any) -> bool:
    if isinstance(value, str):
        return value.strip().lower() in _POSITIVE | {""}
    return value is None or value is True or _is_number(value, 0) or _is_number(value, 200)


def _is_number(value: Any, number: int) -> bool:
    return isinstance(value, int | Decimal) and not isinstance(value, bool) and value == number


def _quoted(envelope: Any) -> str:
    text = _text(envelope) if isinstance(envelope, dict) else ""
    return f": {text}" if text else ""


def _text(value: Mapping[str, Any]) -> str:
    """Return the message in an object, or in an object in it that may have the code; "" without one."""
    by_name = {simplified(name): inner for name, inner in value.items()}
    for name in (*_MESSAGES, *sorted(_CODE_OBJECTS)):
        found = by_name.get(name)
        found = found[0] if isinstance(found, list) and found else found
        if isinstance(found, dict) and (text := _text(found)):
            return text
        if name in _MESSAGES and isinstance(found, str) and found:
            return redact(found)
    return ""


def _message(problem: Any) -> str:
    if isinstance(problem, list):
        problem = next(filter(_is_error, problem))
    if isinstance(problem, dict):
        said = _text(problem) or redact(longest_sentence(problem))
        return said or redact(canonical.as_text(problem.get("code") or problem))
    return redact(canonical.as_text(problem))


def _json(value: Any) -> str:
    return redact(canonical.encode(value))
