"""A simulated month: random disturbances and real changes, of which exactly the real ones are reported."""

from __future__ import annotations

import pytest
from support.simulated_month import Month, Outcome, play

from pipeline.core.types import Kind

SEED = 3


@pytest.fixture(scope="module")
def month() -> Month:
    """A month at random, the same each time."""
    return Month(SEED)


@pytest.fixture(scope="module")
def found(month: Month, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """What the command has reported of it."""
    return play(month, tmp_path_factory.mktemp("month"))


def test_no_model_is_reported_as_removed_while_it_is_offered(month, found):
    assert {each for each in found.loud if each.kind == Kind.REMOVED} <= month.truth().keys()


def test_every_change_that_lasts_is_reported_exactly_once_and_nothing_else_is(month, found):
    assert month.without_flapping(found.loud) == month.truth()


def test_a_value_that_keeps_changing_is_reported_when_it_begins_to_and_when_it_settles(month, found):
    for each, least in month.flapping_fields().items():
        assert least <= found.loud[each] <= 3


def test_a_field_that_all_records_gain_is_one_line_of_each_list(month, found):
    assert sorted(found.shapes) == sorted(month.shapes())


def test_the_daily_destination_gets_at_most_one_mail_a_day_and_none_without_news(month, found):
    assert found.daily <= len(found.days)


def test_the_destination_for_urgent_news_gets_no_mail_but_for_the_beginning_and_the_end_of_an_alarm(
    month, found
):
    assert found.alarms <= month.alarms_at_most()


def test_standard_error_has_a_line_when_a_problem_begins_each_day_and_when_it_ends(month, found):
    assert sum(text.count("\n") for text in found.errors) <= month.lines_at_most()
