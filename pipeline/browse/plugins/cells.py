"""Formats of values on pages: filters for templates, and the cells of Datasette's tables."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Sequence
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any

from datasette import hookimpl
from markupsafe import Markup, escape

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z")
"""A time in the database."""

SHORT = 60
"""Characters of a JSON value above which it is folded."""

LONGEST = 120
"""Characters after which a value is cut."""

OURS = frozenset({"catalog", "change_log", "health"})
"""Views that identify a database of modelwatch."""

BADGES = frozenset({"kind", "outcome", "state"})
"""Columns shown as badges."""

PAIR = frozenset({"first", "second"})
"""The columns of a comparison."""

STORED = frozenset(
    (
        "coverages",
        "field_changes",
        "gateways",
        "listing_records",
        "changes",
        "permissions",
        "records",
        "models",
    )
)
"""Tables whose numbers are left as they are, since most of them are ids."""

SIDES = frozenset({"before", "after"})
"""Columns of text whose numbers are aligned to the right."""

LINKS = {
    "at": ("snapshot_id", "snapshots"),
    "field": ("change_id", "changes"),
    "kind": ("change_id", "changes"),
    "listing": ("listing_id", "listings"),
    "difference": ("record_id", "records"),
    "model": ("model_id", "models"),
    "scope": ("scope_id", "scopes"),
}
"""The link of a cell in a view or query: the column with the id, and the table."""

NAMES = frozenset({"gateway", "model", "name", "scope"})
"""Columns of names, which gateways choose."""

NAME_LISTS = frozenset({"scope_names", "offered_to"})
"""Columns of names separated by spaces."""

TELLING = frozenset({"gateway", "price_source"})
"""Columns that say something only where their values differ."""

MANY = 8
"""Names above which a list of names is cut."""

NOTHING = Markup('<i class="mw-nothing"></i>')
"""An empty cell, which narrow screens leave out."""

FEW = 3
"""Names of a list that are shown, of a long one."""

PRICES = frozenset({"price_before", "price_after", "currency", "unit"})
"""Columns of a query that say what the sides of a change are, and are shown in these."""

COUNTS = frozenset(
    {"added", "changed", "context_length", "from_tokens", "max_output", "models", "removed", "scopes", "size"}
)
"""Columns of whole numbers that are no ids and no years."""

_OF_PATH = re.compile("(?:JSON path error near|bad JSON path:) '(.*)'", re.DOTALL)
_BREAKING = re.compile("[\t\n\r]")
_ours: set[tuple[int, str]] = set()


@hookimpl
def prepare_jinja2_environment(env: Any) -> None:
    """Add the filters to templates."""
    env.filters |= {
        "mw_alias": alias,
        "mw_cut": cut,
        "mw_error": error,
        "mw_field": field,
        "mw_name": name,
        "mw_names": names,
        "mw_number": number,
        "mw_percent": percent,
        "mw_plain": plain,
        "mw_price": price,
        "mw_shown": shown_columns,
        "mw_side": side,
        "mw_time": time,
        "mw_value": value,
    }


def error(message: str) -> str:
    """Return the message of a query, which raises it by a path of JSON, without the words of SQLite."""
    found = _OF_PATH.fullmatch(message)
    return found[1] if found else message


def time(at: str | None, *, how: str = "at") -> Markup:
    """Return a time in UTC, which a script replaces by local time, or with `ago` by the time since then."""
    if not at:
        return Markup("")
    plain = at[:16].replace("T", " ") + (" UTC" if len(at) > len("2026-01-01") else "")
    return Markup('<time datetime="%s" data-how="%s">%s</time>') % (at, how, plain)


def number(text: Any) -> Decimal | None:
    """Parse a number, also one in quotes, as gateways write it in JSON strings; None for other text."""
    try:
        found = Decimal(str(text).strip('"'))
    except InvalidOperation:
        return None
    return found if found.is_finite() else None


def percent(after: Any, before: Any) -> str:
    """Return the change of a number, such as `+12.5%` or `+0.01%`; empty if either side is not a number."""
    now, was = number(after), number(before)
    if now is None or not was:
        return ""
    share = (now / was - 1) * 100
    rounded = round(share, 1 if abs(share) < 10 else 0)  # noqa: PLR2004 - one decimal only below 10 %
    if share != rounded and rounded in (0, -100):
        # A small change is not none, and a small rest is not nothing.
        rest = share - rounded
        rounded = share.quantize(min(Decimal("0.1"), Decimal(1).scaleb(rest.adjusted())))
    return f"{rounded.normalize():+f}%".replace("-", "\N{MINUS SIGN}") if rounded else "±0%"


def field(path: str) -> Markup:
    """Return the path of a field, with a possible line break after each dot."""
    return Markup(".<wbr>").join(path.split("."))


def alias(scope: str, gateways: int) -> str:
    """Return the name of a scope, without its gateway if there is only one."""
    site, mark, own = scope.rpartition(":")
    return f"{site}{mark}{own.partition('/')[2]}" if gateways == 1 else scope


def value(text: Any, longest: int = LONGEST) -> str:
    """Return one side of a change: a number with thousands separators, a list of words, or text, cut."""
    if text is None:
        return "–"
    found = number(text)
    if found is not None and abs(found) < 10**15:
        return f"{int(found):,}" if found == found.to_integral_value() else f"{found:f}"
    shown = words(str(text)) or str(text)
    return shown if len(shown) <= longest else shown[: longest - 1] + "…"


def words(text: str) -> str | None:
    """Return a JSON array of strings as words separated by commas; None for other text."""
    if not text.startswith('["'):
        return None
    try:
        parsed = json.loads(text)
    except ValueError:
        return None
    return ", ".join(parsed) if all(isinstance(each, str) for each in parsed) else None


def price(amount: float | None, currency: str = "USD", unit: str | None = None) -> str:
    """Return a price as in reports: `$2.50`, `CNY 4 per 1M tokens`; a copy of `reports/render/locales.py`."""
    if amount is None:
        return "–"
    figure = Decimal(repr(amount)).normalize()
    text = f"{figure:,f}"
    if currency == "USD":
        text = f"${text if len(text.partition('.')[2]) > 1 else f'{figure:,.2f}'}"
    else:
        text = f"{currency} {text}"
    return f"{text} per {unit}" if unit else text


def side(text: str | None) -> Markup:
    """Return one side of a change in full, folded if long."""
    if text is None:
        return Markup('<span class="mw-none">–</span>')
    shown = cell(text)
    if shown is None and len(text) > 2 * LONGEST:
        shown = Markup('<details class="mw-json"><summary>{}</summary>{}</details>').format(value(text), text)
    return escape(value(text, len(text))) if shown is None else shown


def cut(text: str, longest: int = LONGEST) -> str:
    """Return a name on one line, with line breaks and tabs escaped, cut."""
    escaped = _BREAKING.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
    return escaped if len(escaped) <= longest else escaped[: longest - 1] + "…"


def plain(text: str) -> Markup:
    """Return a name, cut; a time as a time."""
    return time(text) if TIME.fullmatch(text) else escape(cut(text))


def name(text: str) -> Markup:
    """Return a name in full, folded if long; a time as a time."""
    if TIME.fullmatch(text) or len(text) <= 2 * LONGEST:
        return time(text) if TIME.fullmatch(text) else escape(cut(text, len(text) * 6))
    folded = Markup('<details class="mw-json"><summary>{}</summary><div class="mw-whole">{}</div></details>')
    return folded.format(cut(text), cut(text, len(text) * 6))


def cell(text: str) -> Markup | None:
    """Return a time or a JSON value formatted; None for other text."""
    if TIME.fullmatch(text):
        return time(text)
    if text[:1] not in ("{", "["):
        return None
    try:
        parsed = json.loads(text)
    except ValueError:
        return None
    return folded(text, parsed)


def folded(text: str, parsed: Any) -> Markup:
    """Return a JSON value: a list of words as words, a short value as it is, a long one folded."""
    listed = words(text)
    if listed is not None and len(listed) <= SHORT:
        return escape(listed)
    if len(text) <= SHORT:
        return Markup("<code>{}</code>").format(text)
    if listed is not None:
        some = ", ".join(parsed[:FEW])
        summary = f"{some if len(some) <= SHORT else cut(some, SHORT)} and {len(parsed) - FEW:,} more"
        return Markup('<details class="mw-json"><summary>{}</summary>{}</details>').format(
            summary if len(parsed) > FEW else cut(some, SHORT), listed
        )
    noun = ("field" if isinstance(parsed, dict) else "item") + ("" if len(parsed) == 1 else "s")
    return Markup('<details class="mw-json"><summary>{} {}</summary><pre>{}</pre></details>').format(
        f"{len(parsed):,}", noun, json.dumps(parsed, indent=1, ensure_ascii=False)
    )


@hookimpl
def startup(datasette: Any) -> Callable[[], Awaitable[None]]:
    """Find the databases of modelwatch, since `render_cell` cannot query."""

    async def find() -> None:
        for name, db in datasette.databases.items():
            if set(await db.view_names()) >= OURS:
                _ours.add((id(datasette), name))

    return find


@lru_cache(maxsize=256)
def _path(datasette: Any, database: str, table: str) -> str:
    """Return the path of a table, cached since each cell needs it."""
    return str(datasette.urls.table(database, table))


def shown_columns(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[tuple[int, str]]:
    """Return the columns to show of the result of a query, each with its place.

    Those of ids are for links, those of classes for the form; an empty one, and one gateway, say nothing.
    """
    found = []
    for place, column in enumerate(columns):
        values = {str(row[place]) for row in rows}
        is_known = column.endswith("_id") or column == "class" or (column in PRICES <= set(columns))
        if not is_known and values != {NOTHING} and not (column in TELLING and len(values) == 1):
            found.append((place, column))
    return found


def names(text: str) -> str:
    """Return names separated by spaces: a few of many, and how many more."""
    each = text.split(" ")
    if len(each) <= MANY:
        return " ".join(map(cut, each))
    return f"{' '.join(map(cut, each[:FEW]))} and {len(each) - FEW:,} more"


def figure(number: float, column: str) -> Markup | None:
    """Return a price, a percentage or a count formatted; None for an id, or a number of another kind."""
    if column.endswith("_usd_per_1m") or column == "usd_per_call":
        text = price(number)
    elif column == "percent":
        text = f"{number:+,g}%".replace("-", "\N{MINUS SIGN}")
    elif column in COUNTS or column in SIDES | PAIR:
        text = f"{number:,}" if isinstance(number, int) else f"{Decimal(repr(number)).normalize():,f}"
    else:
        return None
    return Markup('<span class="mw-number">%s</span>') % text


side_of = value
"""The function of a side of a change, whose name is that of a parameter of the hook."""


@hookimpl
def render_cell(row: Any, value: Any, column: str, table: str | None, database: str, datasette: Any) -> Any:
    """Format a cell of a database of modelwatch, and link a name to its row."""
    if (id(datasette), database) not in _ours:
        return None
    if isinstance(value, int | float):
        return figure(value, column) if table not in STORED else None
    if not isinstance(value, str):
        return NOTHING if value is None else None
    if column in NAME_LISTS:
        return names(value)
    shown = (
        Markup('<span class="mw-badge mw-%s">%s</span>') % (value, value) if column in BADGES else cell(value)
    )
    if column in SIDES and set(row.keys()) >= PRICES and row["currency"]:
        unit = row["unit"].replace("1M tokens", "1M") if column == "after" or row["after"] is None else None
        text = price(row[f"price_{column}"], row["currency"], unit)
        shown = Markup('<span class="mw-number">%s</span>') % text
    elif shown is None and column in SIDES | PAIR and number(value) is not None:
        text = value.strip('"') if table else side_of(value)
        shown = Markup('<span class="mw-number">%s</span>') % text
    if shown is None and column in NAMES:
        shown = escape(cut(value))
    key, target = ("id", table) if column == "name" and table else LINKS.get(column, ("", ""))
    if key and key in row.keys() and isinstance(row[key], int):  # noqa: SIM118 - rows of SQLite are no mappings
        link = Markup('<a href="%s/%d" title="%s %d">%s</a>')
        return link % (_path(datasette, database, target), row[key], target, row[key], shown or value)
    return shown
