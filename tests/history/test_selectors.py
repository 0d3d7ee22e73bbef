"""The selectors of a question: moments, snapshots, scopes and gateways."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from support.fakes import Script, moment

from pipeline.errors import QuestionError
from pipeline.history.selectors import (
    parse_side,
    report_window,
    require_gateway,
    require_history,
    require_scopes,
)
from pipeline.store import Store
from pipeline.store.catalog import Moment
from pipeline.store.windows import Window

NOW = datetime(2026, 9, 21, tzinfo=UTC)


def test_the_error_for_a_text_that_is_a_scope_and_a_time_names_both_ways_to_write_it(script: Script) -> None:
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
    with pytest.raises(QuestionError, match="no scope matches 'c': there are acme/a, acme/b"):
        require_scopes(script.store, ("acme/*", "c"))


def test_a_gateway_must_have_a_scope(script: Script) -> None:
    script.offers("acme/a", "lyra").offers("umbra/a", "lyra").run()
    require_gateway(script.store, "umbra")
    with pytest.raises(QuestionError, match="no gateway is named 'acme/a': did you mean acme"):
        require_gateway(script.store, "acme/a")


def test_an_empty_history_has_no_gateway(store: Store) -> None:
    with pytest.raises(QuestionError, match="no gateway is named 'acme': there is no gateway yet"):
        require_gateway(store, "acme")


def test_a_time_must_not_be_before_the_history(script: Script) -> None:
    with pytest.raises(QuestionError, match="there is no data for 2026-09-21 00:00: start the history with"):
        require_history(script.store, "2026-09-21T00:00:00Z")
    script.offers("acme/a", "lyra").run()
    assert require_history(script.store, moment(1)) == moment(1)
    with pytest.raises(QuestionError, match="there is no data for 2001-01-01 00:00: the history begins at"):
        require_history(script.store, "2001-01-01T00:00:00Z")


def test_a_report_needs_a_run_in_its_window(script: Script) -> None:
    def refused(match: str, since: str, until: str | None) -> None:
        with pytest.raises(QuestionError, match=match):
            report_window(script.store, since=since, until=until)

    refused("no run since .*: start the history with `modelwatch run`", moment(1), None)
    script.offers("acme/a", "lyra").run(times=2)
    assert report_window(script.store, since=moment(1), until=moment(2)) == Window(0, 1, moment(1), moment(2))
    begin = f"{moment(1)[:10]} {moment(1)[11:16]}"
    refused(f"no run between .*: the history begins at {begin}", "2001-01-01T00:00:00Z", moment(1))
    after = moment(1).replace(":00Z", ":01Z")
    refused(f"no run between .*: the last one before was at {begin}", after, after.replace("1Z", "2Z"))
    refused("no run since 2100-01-01 00:00: the last one before was at", "2100-01-01T00:00:00Z", None)
    for until in (moment(1), moment(2)):
        refused("must be after --since", moment(2), until)


def test_an_error_names_ten_scopes_at_most(script: Script) -> None:
    names = [f"acme/{number:02}" for number in range(11)]
    for name in names:
        script.offers(name, "lyra")
    script.run()
    with pytest.raises(QuestionError) as error:
        require_scopes(script.store, ("zeta/*",))
    assert str(error.value).endswith(f"there are {', '.join(names[:10])} …")
