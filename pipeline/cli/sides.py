"""Read the words that say what to compare, or when, as a command line has them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import click

from pipeline import words
from pipeline.errors import QuestionError
from pipeline.sides import Side
from pipeline.store import Store


def side(store: Store, word: str) -> Side:
    """Read one side: a time, a snapshot, scopes, or scopes at one of them.

    Raises:
        UsageError: it is none of these, or more than one.
    """
    with _used():
        return words.side(store, word, datetime.now(UTC))


def in_history(store: Store, at: str) -> str:
    """Give a time back if anything was known then.

    Raises:
        UsageError: it is before the history began.
    """
    with _used():
        return words.in_history(store, at)


@contextmanager
def _used() -> Iterator[None]:
    try:
        yield
    except QuestionError as error:
        raise click.UsageError(error.message) from error
