"""What templates say: numbers, percents and sides in words; and cells of tables that read well."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any

from datasette import hookimpl
from markupsafe import Markup, escape

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z")
"""A time as all tables have it."""


SHORT = 60
"""Characters up to which a JSON value is shown as it is, and not folded."""


LONGEST = 120
"""Characters of a value that are shown beside another."""


OURS = frozenset({"catalog", "change_log", "health"})
"""Views by which a database is known to be one of modelwatch."""


BADGES = frozenset({"kind", "outcome", "state"})
"""Columns of one word from a few."""


SIDES = frozenset({"before", "after"})
"""Columns whose numbers are aligned as numbers, though they hold any text."""


LEADS = {
    "at": ("snapshot_id", "snapshots"),
    "field": ("change_id", "changes"),
    "kind": ("change_id", "changes"),
    "listing": ("listing_id", "listings"),
    "model": ("model_id", "models"),
    "scope": ("scope_id", "scopes"),
}
"""Where a cell of a view or query leads: the column beside it that has the id, and the table of that."""


NAMES = frozenset({"gateway", "model", "name", "scope"})
"""Columns of names, which gateways choose."""


_BREAKING = re.compile("[\t\n\r]")


_ours: set[tuple[int, str]] = set()


@hookimpl
def prepare_jinja2_environment(env: Any) -> None:
    """Give templates what they need to say things."""
    env.filters |= {
        "mw_alias": alias,
        "mw_cut": cut,
        "mw_field": field,
        "mw_name": name,
        "mw_number": number,
        "mw_percent": percent,
        "mw_plain": plain,
        "mw_side": side,
        "mw_time": time,
        "mw_usd": usd,
        "mw_value": value,
    }


def time(at: str | None, *, how: str = "at") -> Markup:
    """Show a time in UTC; the page's script says it in the reader's zone, or with `ago` how long ago."""
    if not at:
        return Markup("")
    plain = at[:16].replace("T", " ") + (" UTC" if len(at) > len("2026-01-01") else "")
    return Markup('<time datetime="%s" data-how="%s">%s</time>') % (at, how, plain)


def number(text: Any) -> Decimal | None:
    """Read a number, None where it is none; one that a gateway writes as a text is kept in quotes."""
    try:
        found = Decimal(str(text).strip('"'))
    except InvalidOperation:
        return None
    return found if found.is_finite() else None


def percent(after: Any, before: Any) -> str:
    """Say by how much a number changed: `+12.5%`; nothing where either is no number."""
    now, was = number(after), number(before)
    if now is None or not was:
        return ""
    share = (now / was - 1) * 100
    rounded = round(share, 1 if abs(share) < 10 else 0)  # noqa: PLR2004 - one digit is enough from ten on
    return f"{rounded.normalize():+f}%".replace("-", "\N{MINUS SIGN}") if rounded else "±0%"


def field(path: str) -> Markup:
    """Show where a field is in a record; it may be broken after each step."""
    return Markup(".<wbr>").join(path.split("."))


def alias(scope: str, gateways: int) -> str:
    """Show a scope without its gateway, where there is only one."""
    return scope.partition("/")[2] if gateways == 1 else scope


def value(text: Any, longest: int = LONGEST) -> str:
    """Show one side of a change: a number with its thousands apart, words of a list, anything else cut."""
    if text is None:
        return "–"
    found = number(text)
    if found is not None and abs(found) < 10**15:
        return f"{int(found):,}" if found == found.to_integral_value() else f"{found:f}"
    said = words(str(text)) or str(text)
    return said if len(said) <= longest else said[: longest - 1] + "…"


def words(text: str) -> str | None:
    """Show a JSON list of words as these."""
    if not text.startswith('["'):
        return None
    try:
        parsed = json.loads(text)
    except ValueError:
        return None
    return ", ".join(parsed) if all(isinstance(each, str) for each in parsed) else None


def usd(amount: float | None) -> str:
    """Show a price in dollars."""
    return "–" if amount is None else f"${Decimal(repr(amount)).normalize():f}"


def side(text: str | None) -> Markup:
    """Show one side of a change in full: JSON folded where it is long, anything else as a whole."""
    if text is None:
        return Markup('<span class="mw-none">–</span>')
    shown = cell(text)
    if shown is None and len(text) > 2 * LONGEST:
        shown = Markup('<details class="mw-json"><summary>{}</summary>{}</details>').format(value(text), text)
    return escape(value(text, len(text))) if shown is None else shown


def cut(text: str, longest: int = LONGEST) -> str:
    """Show a name in one line: what breaks lines as escapes, and no more of it than fits beside others."""
    said = _BREAKING.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
    return said if len(said) <= longest else said[: longest - 1] + "…"


def plain(text: str) -> Markup:
    """Show a name that stands beside others: one that is a time as a time."""
    return time(text) if TIME.fullmatch(text) else escape(cut(text))


def name(text: str) -> Markup:
    """Show a name in full; one that is very long is folded."""
    if TIME.fullmatch(text) or len(text) <= 2 * LONGEST:
        return time(text) if TIME.fullmatch(text) else escape(cut(text, len(text) * 6))
    folded = Markup('<details class="mw-json"><summary>{}</summary><div class="mw-whole">{}</div></details>')
    return folded.format(cut(text), cut(text, len(text) * 6))


def cell(text: str) -> Markup | None:
    """Show a time or a JSON value so that it reads well; None where it is neither."""
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
    """Show a JSON value: words of a list as words, a short value as it is, a long one folded."""
    listed = words(text)
    if listed is not None and len(listed) <= SHORT:
        return escape(listed)
    if len(text) <= SHORT:
        return Markup("<code>{}</code>").format(text)
    what = ("field" if isinstance(parsed, dict) else "item") + ("" if len(parsed) == 1 else "s")
    return Markup('<details class="mw-json"><summary>{} {}</summary><pre>{}</pre></details>').format(
        f"{len(parsed):,}", what, json.dumps(parsed, indent=1, ensure_ascii=False)
    )


@hookimpl
def startup(datasette: Any) -> Callable[[], Awaitable[None]]:
    """Learn which databases are ours: cells are shown one by one, and nothing can be asked for each."""

    async def learn() -> None:
        for name, db in datasette.databases.items():
            if set(await db.view_names()) >= OURS:
                _ours.add((id(datasette), name))

    return learn


@lru_cache(maxsize=256)
def _address(datasette: Any, database: str, table: str) -> str:
    """Give where a table is; a page asks for it cell by cell."""
    return str(datasette.urls.table(database, table))


@hookimpl
def render_cell(row: Any, value: Any, column: str, table: str | None, database: str, datasette: Any) -> Any:
    """Show cells of our databases so that they read well, and let names lead to what they name."""
    if not isinstance(value, str) or (id(datasette), database) not in _ours:
        return None
    shown = (
        Markup('<span class="mw-badge mw-%s">%s</span>') % (value, value) if column in BADGES else cell(value)
    )
    if shown is None and column in SIDES and number(value) is not None:
        shown = Markup('<span class="mw-number">%s</span>') % value.strip('"')
    if shown is None and column in NAMES:
        shown = escape(cut(value))
    own, leads = ("id", table) if column == "name" and table else LEADS.get(column, ("", ""))
    if own and own in row.keys() and isinstance(row[own], int):  # noqa: SIM118 - rows of SQLite are no mappings
        above = _address(datasette, database, leads)
        return Markup('<a href="%s/%d" title="%s %d">%s</a>') % (
            above,
            row[own],
            leads,
            row[own],
            shown or value,
        )
    return shown
