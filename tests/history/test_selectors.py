"""Selectors: the texts that name a moment, scopes or a gateway."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from support.fakes import Script

from pipeline.errors import QuestionError
from pipeline.history.selectors import parse_side, require_gateway, require_scopes
from pipeline.store import Store
from pipeline.store.catalog import Moment

NOW = datetime(2026, 9, 21, tzinfo=UTC)


def test_a_text_that_is_a_scope_and_a_time_is_refused(script: Script) -> None:
    """The message names both ways to write it."""
    script.offers("2d/prod", "lyra").run()
    script.store.connection.execute("update snapshots set started_at = '2001-01-01T00:00:00Z'")
    with pytest.raises(QuestionError, match="2d is a time and a scope: write @2d or 2d@now"):
        parse_side(script.store, "2d", NOW)
    assert parse_side(script.store, "2d@now", NOW).scopes == {"2d/prod"}
    assert parse_side(script.store, "@2d", NOW).scopes is None
    assert parse_side(script.store, "@#1", NOW).moment == Moment(run=1)


def test_each_glob_must_match_a_scope(script: Script) -> None:
    script.offers("acme/a", "lyra").offers("acme/b", "lyra").run()
    require_scopes(script.store, ())
    require_scopes(script.store, ("acme/*", "*/b"))
    with pytest.raises(QuestionError, match="no scope matches c: there are acme/a, acme/b"):
        require_scopes(script.store, ("acme/*", "c"))


def test_a_gateway_must_have_a_scope(script: Script) -> None:
    script.offers("acme/a", "lyra").offers("umbra/a", "lyra").run()
    require_gateway(script.store, "umbra")
    with pytest.raises(QuestionError, match="no gateway is named acme/a: there are acme, umbra"):
        require_gateway(script.store, "acme/a")


def test_an_empty_history_has_no_gateway(store: Store) -> None:
    with pytest.raises(QuestionError, match="no gateway is named acme: there is no gateway yet"):
        require_gateway(store, "acme")
