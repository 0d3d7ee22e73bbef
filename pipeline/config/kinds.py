"""The types of single values in the config: each text has its form, and each error says what to write."""

import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import time
from enum import Enum
from ipaddress import ip_address
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Self, get_args, get_origin
from urllib.parse import parse_qsl, urlsplit

from msgspec import Meta, json

from pipeline.core import jsonpath
from pipeline.core.addresses import ascii_domain, is_http_url, is_this_machine, is_web_address, mailbox
from pipeline.core.amounts import parse_currency
from pipeline.core.facts import UNITS
from pipeline.core.times import parse_duration
from pipeline.core.types import REFERENCE_PREFIXES, is_reference
from pipeline.delivery.types import ROLLING_FORMS
from pipeline.gateways.dialects import AUTO, all_dialects
from pipeline.gateways.dialects.layout import IdPath, one_place
from pipeline.reports.types import FORMS, LANGUAGES

Fault = tuple[str, ...]
"""What is wrong and what to write; then the path of the key in its table, or nothing for the whole table."""

HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
"""The name of a header: https://www.rfc-editor.org/rfc/rfc9110#section-5.6.2"""

SECRET_HEADER = re.compile(r"auth|cookie|token|key|secret|password", re.IGNORECASE)
"""A part of the name of a header whose value is a secret."""

SECRET_PARAM = re.compile(
    r"(?:^|[-_.])(?:key|apikey|token|secret|passw(?:or)?d|auth|credentials?|sig|signature)$", re.IGNORECASE
)
"""The end of the name of a query parameter whose value is a secret."""

_LOOKS_SECRET = re.compile(r"^(?:(?:bearer|basic|token)\s|(?:sk|pk|key|sess)-\S{6})", re.IGNORECASE)

RESERVED = re.compile(
    r"accept-encoding|connection|content-encoding|content-length|expect|host|if-modified-since|if-none-match"
    r"|keep-alive|proxy-connection|range|te|trailer|transfer-encoding|upgrade",
    re.IGNORECASE,
)
"""The headers that the client sets, or that would change how an answer is sent."""

HOOK_RESERVED = re.compile(r"x-modelwatch-.*|content-.*|host|transfer-encoding|connection", re.IGNORECASE)
"""The headers that a webhook sets itself."""

_NO_URL = 'is not a web address: begin it with https:// or http://, e.g. "https://gateway.example"'

_NO_HOOK = 'is not a web address: write e.g. "https://example.com/hook", or "env:NAME" if it is a secret'

_NO_URL_PARTS = (
    "must have no user, no `?…` and no `#…`: write parameters in `params` or `path`, keys in a scope"
)

_NO_PING = 'is neither a web address nor a reference to one: write e.g. "env:PING_URL"'

_PING_TIMEOUT = "must be more than 0 and at most 60 seconds, as it can delay the end of a run"

_NO_GOOD_VALUE = "must be a text, a number, true or false: the value of a good answer"

NO_REFERENCE = (
    "must be a reference to the secret, never the secret itself: "
    'write "env:NAME", "file:PATH" or "command:PROGRAM ARGUMENTS"'
)

NO_USER_ID = "must be the number of the user, such as 17"

_BARE = re.compile(r"[A-Za-z0-9_-]+")

_WORDS = {
    "string": "a text in quotes",
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "array": "a list of texts",
    "object": "a table",
}
"""The types of JSON Schema in messages."""


class NoNumber:
    """Stands for `inf` and `nan`, which no key accepts."""


class Check(NamedTuple):
    """Marks a type whose texts must have a form; `parse` raises ValueError, which says what to write."""

    parse: Callable[[str], object]


def eg(*examples: Any, cure: str | None = None, beside: Sequence[tuple[str, Any]] = ()) -> Meta:
    """Describe a key by examples.

    Args:
        examples: values, as JSON has them; a default where there is one.
        cure: the message for a value that does not fit the type; None for the usual one.
        beside: keys that the example needs beside it, and their values.
    """
    return Meta(examples=list(examples), extra={"cure": cure, "beside": beside})


def must(holds: Callable[[str], object], message: str) -> Check:
    """Return the check that something holds for a text, or parses it; `{}` in the message is the text."""

    def parse(text: str) -> None:
        try:
            good = holds(text)
        except (ValueError, KeyError, OSError, OverflowError):
            good = False
        if not good:
            raise ValueError(message.replace("{}", repr(text)))

    return Check(parse)


def reference_required(value: object) -> str:
    """Return the message for a value that must be a reference; it shows no more than a misspelt prefix."""
    from difflib import get_close_matches

    kind, colon, _ = value.partition(":") if isinstance(value, str) else ("", "", "")
    prefix = kind + colon
    if colon and prefix not in REFERENCE_PREFIXES and get_close_matches(prefix.lower(), REFERENCE_PREFIXES):
        return f"{prefix!r} is not a reference: use env:, file: or command:"
    return NO_REFERENCE


def quoted(names: Iterable[object]) -> str:
    """Return names in quotes, with commas."""
    return ", ".join(f'"{name}"' for name in names)


def unknown_key(key: str, known: Iterable[str]) -> str:
    """Return the message for a key that is none of some known ones."""
    from difflib import get_close_matches

    names = sorted(known)
    near = get_close_matches(key, names, n=1)
    hint = f"did you mean {near[0]}? The known keys are" if near else "use one of"
    return f"is not a known key here: {hint} {', '.join(names)}"


def toml(value: Any) -> str:
    """Return a value of JSON in TOML, on one line."""
    match value:
        case dict():
            pairs = (
                f"{name if _BARE.fullmatch(name) else toml(name)} = {toml(each)}"
                for name, each in value.items()
            )
            return f"{{ {', '.join(pairs)} }}" if value else "{}"
        case list():
            return f"[{', '.join(toml(each) for each in value)}]"
        case _:
            return json.encode(value).decode()


def metas(kind: Any, *, inside: bool = True) -> Iterator[Meta]:
    """Yield what describes a type, the outermost first, and the types inside a list or table."""
    yield from (each for each in reversed(getattr(kind, "__metadata__", ())) if isinstance(each, Meta))
    for each in get_args(kind) if inside or get_origin(kind) not in (dict, tuple) else ():
        yield from metas(each, inside=inside)


def example(kind: Any) -> str:
    """Return the example of a type in TOML; "" if there is none."""
    return next((toml(each.examples[0]) for each in metas(kind) if each.examples), "")


def unfit(kind: Any, value: Any) -> str:
    """Return the message for a value that does not fit a type."""
    cures = (each.extra["cure"] for each in metas(kind, inside=False) if each.extra and each.extra["cure"])
    choices = list(_choices(kind))
    found = [each for each in (value if isinstance(value, list) else [value]) if each not in choices]
    if choices and found and isinstance(found[0], str):
        return next(cures, f"{found[0]!r} is not known: use one of {quoted(choices)}")
    branches = list(_branches(json.schema(kind, schema_hook=TimeOfDay.schema)))
    if value == [] and any(each["type"] == "array" for each in branches):
        return f"is empty: write e.g. {example(kind)}"
    ranges = (_out_of_range(each, value) for each in branches)
    words = " or ".join(_WORDS[each["type"]] for each in branches)
    such = f", such as {example(kind)}" if example(kind) else ""
    return next(chain(cures, filter(None, ranges)), f"must be {words}{such}")


def _choices(kind: Any) -> Iterator[object]:
    """Yield the texts of which a type, or a type in it, is one."""
    if isinstance(kind, type) and issubclass(kind, Enum):
        yield from (each.value for each in kind)
    elif get_origin(kind) is Literal:
        yield from get_args(kind)
    else:
        yield from chain.from_iterable(_choices(each) for each in get_args(kind))


def _branches(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the schemas of single types in the JSON Schema of a type."""
    if schema.get("type") != "null":
        own = chain.from_iterable(_branches(each) for each in schema.get("anyOf", ()))
        yield from own if "anyOf" in schema else ({"type": "string", **schema},)


def _out_of_range(schema: dict[str, Any], value: Any) -> str | None:
    """Return what is wrong with a number of the right type; None for other values."""
    types = {"integer": int, "number": int | float}.get(schema["type"], ())
    if isinstance(value, bool) or not isinstance(value, types):
        return None
    return "must be more than 0" if "exclusiveMinimum" in schema else "must be 0 or more"


def host(text: str) -> str:
    """Return an IP address as it is usually written, or the name of a machine in ASCII.

    Raises:
        ValueError: it is neither.
    """
    try:
        return str(ip_address(text))
    except ValueError:
        return ascii_domain(text)


def header_faults(
    values: dict[str, Any], secret: re.Pattern[str], reserved: re.Pattern[str] | None = None
) -> Iterator[Fault]:
    """Yield what is wrong with headers, or with query parameters, of which no name is reserved.

    A value that is a secret, or has the name of one, must be a reference.
    """
    seen = set()
    for name, value in values.items():
        if reserved and not HEADER_NAME.fullmatch(name):
            yield "is no name of a header: use letters, digits and `-`", name
        elif reserved and reserved.fullmatch(name):
            yield "is set by modelwatch: remove it", name
        elif reserved and name.lower() in seen:
            yield "is the same header as another line: remove one", name
        elif not isinstance(value, str) or is_reference(value):
            pass
        elif secret.search(name) or _LOOKS_SECRET.search(value):
            yield reference_required(value), name
        elif reserved and not (value.isascii() and value.isprintable()):
            yield "has characters that no HTTP header can carry: use printable ASCII", name
        seen.add(name.lower())


def _reference(text: str) -> None:
    if not is_reference(text):
        raise ValueError(reference_required(text))


def _has_home(text: str) -> bool:
    try:
        return bool(Path(text).expanduser())
    except RuntimeError:
        return False


def _is_bare(url: str) -> bool:
    parts = urlsplit(url)
    return not ("@" in parts.netloc or parts.query or parts.fragment)


def _path_secret(text: str) -> None:
    for name, _ in parse_qsl(text.partition("?")[2], keep_blank_values=True):
        if SECRET_PARAM.search(name):
            raise ValueError(f"has a secret at {name!r}: set `key_param`, or `params` with a reference")


def _is_host(text: str) -> bool:
    try:
        host(text)
    except ValueError:
        return False
    return True


def _server(text: str) -> None:
    try:
        host(text)
    except ValueError:
        bare = re.sub(r"^[A-Za-z]+://|/$", "", text)
        name, _, port = bare.rpartition(":")
        cure = 'write e.g. "smtp.example.com"'
        if bare != text and _is_host(bare):
            cure = f'write "{bare}"'
        elif port.isdecimal() and _is_host(name):
            plain = ', and security = "none" if it speaks no TLS' if is_this_machine(name) else ""
            cure = f'write server = "{name}" and port = {port}{plain}'
        raise ValueError(f"must be the bare name of a mail server: {cure}") from None


def _dialect(text: str) -> None:
    if text != AUTO and text not in all_dialects():
        raise ValueError(f"{text!r} is not known: use {AUTO}, or one of {', '.join(all_dialects())}")


def _zone(text: str) -> object:
    from zoneinfo import ZoneInfo

    return ZoneInfo(text)


class TimeOfDay(time):
    """A time of day to the minute: a text such as `07:30`, or a time of TOML."""

    @classmethod
    def decode(cls, _: type, value: object) -> Self:
        """Return the time that a value of TOML stands for; the hook of `msgspec.convert`.

        Raises:
            ValueError: it stands for none.
        """
        found = re.fullmatch(r"([01][0-9]|2[0-3]):([0-5][0-9])", value) if isinstance(value, str) else None
        if found:
            return cls(int(found[1]), int(found[2]))
        if not isinstance(value, time):
            raise ValueError('is not a time of day: write e.g. "07:30"')  # noqa: TRY004 - the user's error
        return cls(value.hour, value.minute)

    @classmethod
    def schema(cls, _: type) -> dict[str, str]:
        """Return the JSON Schema; the hook of `msgspec.json.schema`."""
        return {"type": "string", "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$"}


# Not `pattern`, which msgspec 0.22 frees twice where a list may stand for the text.
Text = Annotated[
    str,
    must(str.strip, "is empty: write a value, or remove the line"),
    Meta(extra_json_schema={"pattern": r"\S"}),
]
Texts = tuple[Text, ...]
FilePath = Annotated[
    Text,
    must(lambda text: "\0" not in text, "has a NUL, which no path can have"),
    must(_has_home, "there is no home of the user in {}"),
]
Keys = Annotated[
    FilePath,
    must(
        lambda text: not text.startswith("env:"),
        "cannot be a variable: write a file, `command:…` or `file:…`",
    ),
]
Paths = tuple[Annotated[Text, Check(jsonpath.parse)], ...]
Place = Annotated[Text, Check(one_place)]
IdPlace = Annotated[Text, Check(IdPath.parse)]
ListPlace = Annotated[str, Check(lambda text: text and jsonpath.parse(text))]
Reference = Annotated[
    str,
    Check(_reference),
    Meta(extra_json_schema={"pattern": "^(env|file|command):."}, extra={"cure": NO_REFERENCE}),
]
Dialect = Annotated[Text, Check(_dialect)]
GatewayUrl = Annotated[
    Text,
    must(is_http_url, _NO_URL),
    must(_is_bare, _NO_URL_PARTS),
    Meta(extra_json_schema={"pattern": "^https?://"}),
]
SchedulerAddress = Annotated[
    Text,
    must(
        re.compile(r"(?:tcp|tls)://[^/@\s]+:\d+").fullmatch,
        'is not the address of a Dask scheduler: write e.g. "tls://scheduler.example.com:8786"',
    ),
]
HookUrl = Annotated[
    Text,
    must(lambda text: is_reference(text) or is_web_address(text), _NO_HOOK),
    must(
        lambda text: is_reference(text) or _is_bare(text),
        'may hold a secret: write "env:NAME", "file:PATH" or "command:PROGRAM"',
    ),
]
PingUrl = Annotated[Text, must(lambda text: is_reference(text) or is_web_address(text), _NO_PING)]
RequestPath = Annotated[
    Text,
    must(lambda text: "://" not in text, "is below `url`: write e.g. `/catalog/models`"),
    must(
        lambda text: text.isprintable() and not {"#", " "} & set(text),
        "must have no space and no `#…`: write e.g. `/models?type=chat`",
    ),
    Check(_path_secret),
]
KeyHeader = Annotated[
    Text,
    must(HEADER_NAME.fullmatch, "is no name of a header: use letters, digits and `-`"),
    must(lambda text: not RESERVED.fullmatch(text), "is set by modelwatch: use another header"),
]
KeyScheme = Annotated[
    Text, must(HEADER_NAME.fullmatch, 'must be one word, such as "Token", or "raw" for the key alone')
]
LoginPath = Annotated[
    Text,
    must(
        lambda text: text[:1] == "/" != text[1:2] and text.isascii() and text.isprintable(),
        'is not a path below the gateway: write e.g. "/api/user/login"',
    ),
]
UserId = Annotated[str, must(lambda text: text.isascii() and text.isalnum(), NO_USER_ID)]
Unit = Literal[*UNITS]  # type: ignore[valid-type]  # the choices are those of the program
Form = Literal[*FORMS, *ROLLING_FORMS]  # type: ignore[valid-type]
Language = Literal[*LANGUAGES]  # type: ignore[valid-type]
Day = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
Currency = Annotated[Text, must(parse_currency, "{} is not a currency: write its code, such as CNY")]
Success = dict[str, Annotated[str | int | float | bool, Meta(extra={"cure": _NO_GOOD_VALUE})]]
User = Annotated[Text, must(str.isprintable, "has a character that cannot be printed: remove it")]
PromFile = Annotated[
    FilePath,
    must(
        lambda text: Path(text).suffix == ".prom" and text.isprintable(),
        "must end in .prom: node_exporter reads no other files",
    ),
]
Server = Annotated[Text, Check(_server)]
Greeting = Annotated[
    Text,
    must(
        lambda text: host(text.strip("[]")),
        'must be the name of this machine: write e.g. "watch.example.com"',
    ),
]
Address = Annotated[Text, Check(mailbox)]
Addresses = Address | Annotated[tuple[Address, ...], Meta(min_length=1)]
Words = Annotated[Text, must(shlex.split, "cannot be split into words: check its quotes")]
Zone = Annotated[Text, must(_zone, '{} is not a time zone: write e.g. "Europe/Berlin" or "UTC"')]
Values = dict[str, Text | int | bool]
Positive = Annotated[float, Meta(gt=0)]
NotNegative = Annotated[float, Meta(ge=0)]
Timeout = Annotated[Positive, eg(30)]
Flag = Annotated[bool, eg(True)]  # noqa: FBT003 - an example
Count = Annotated[int, Meta(gt=0)]
Part = Annotated[float, Meta(ge=0, le=1, extra={"cure": "is a share, from 0 to 1: write 0.25 for a quarter"})]
Port = Annotated[int, Meta(gt=0, le=65535, extra={"cure": "is not a port: remove it to use the usual one"})]
PingTimeout = Annotated[float, Meta(gt=0, le=60, extra={"cure": _PING_TIMEOUT})]
Duration = (
    NotNegative
    | Annotated[
        Text,
        must(
            lambda text: parse_duration(text) >= 0,
            "{} is no duration: write 30m, 2h or 1d, or a number of seconds",
        ),
    ]
)
