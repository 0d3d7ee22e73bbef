"""What templates say: numbers, percents and sides in words; and cells of tables that read well."""

from __future__ import annotations

import json
import re
from decimal import Decimal, InvalidOperation
from typing import Any

from datasette import hookimpl
from markupsafe import Markup, escape

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z")
"""A time as all tables have it."""

SHORT = 60
"""Characters up to which a JSON value is shown as it is, and not folded."""

LONGEST = 120
"""Characters of a value that are shown beside another."""


@hookimpl
def prepare_jinja2_environment(env: Any) -> None:
    """Give templates what they need to say things."""
    env.filters |= {"mw_time": time, "mw_value": value, "mw_percent": percent, "mw_usd": usd, "mw_json": folded}


def time(at: str | None, *, how: str = "at") -> Markup:
    """Show a time in UTC; the page's script says it in the reader's zone, or with `ago` how long ago it was."""
    if not at:
        return Markup("")
    plain = at[:16].replace("T", " ") + (" UTC" if len(at) > len("2026-01-01") else "")
    return Markup('<time datetime="{}" data-how="{}">{}</time>').format(at, how, plain)


def number(text: Any) -> Decimal | None:
    """Read a number, None where it is none."""
    try:
        found = Decimal(str(text))
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


def value(text: Any) -> str:
    """Show one side of a change: a number with its thousands apart, anything else cut."""
    if text is None:
        return "–"
    found = number(text)
    if found is not None and found == found.to_integral_value() and abs(found) < 10**15:
        return f"{int(found):,}"
    plain = str(text)
    return plain if len(plain) <= LONGEST else plain[: LONGEST - 1] + "…"


def usd(amount: float | None) -> str:
    """Show a price in dollars."""
    return "–" if amount is None else f"${Decimal(repr(amount)).normalize():f}"


def folded(text: str, parsed: Any) -> Markup:
    """Show a JSON value: a short one as it is, plain words as words, a long one folded."""
    if isinstance(parsed, list) and all(isinstance(each, str) for each in parsed):
        words = ", ".join(parsed)
        if len(words) <= SHORT:
            return escape(words)
    if len(text) <= SHORT:
        return Markup("<code>{}</code>").format(text)
    many = len(parsed)
    what = ("field" if isinstance(parsed, dict) else "item") + ("" if many == 1 else "s")
    return Markup('<details class="mw-json"><summary>{:,} {}</summary><pre>{}</pre></details>').format(
        many, what, json.dumps(parsed, indent=1, ensure_ascii=False)
    )
