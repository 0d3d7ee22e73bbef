"""The dialects that gateways speak, by name."""

from __future__ import annotations

from pipeline.dialects.dialect import Answer, Dialect, Pages, Request
from pipeline.dialects.one_api import ONE_API

DIALECTS: dict[str, Dialect] = {ONE_API.name: ONE_API}
"""Every dialect by the name that the config uses."""

NAMES = ("auto", *DIALECTS)


def dialect(name: str) -> Dialect:
    """Give a dialect by its name; `auto` is the documented contract.

    Raises:
        KeyError: there is no dialect of that name.
    """
    return ONE_API if name == "auto" else DIALECTS[name]


__all__ = ["DIALECTS", "NAMES", "Answer", "Dialect", "Pages", "Request", "dialect"]
