"""Ask gateways over HTTP: concurrent, bounded, retried, and with secrets that do not leak."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.fetch.results import Ask, Fetched, NotModified, Result, Validators

if TYPE_CHECKING:
    from pipeline.fetch.credentials import Resolve
    from pipeline.fetch.fetcher import Fetcher

__all__ = ["Ask", "Fetched", "Fetcher", "NotModified", "Resolve", "Result", "Validators"]


def __getattr__(name: str) -> object:
    """Load what speaks HTTP when it is first asked for: to read answers that are there, nobody needs it."""
    match name:
        case "Fetcher":
            from pipeline.fetch.fetcher import Fetcher

            return Fetcher
        case "Resolve":
            from pipeline.fetch.credentials import Resolve

            return Resolve
        case _:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
