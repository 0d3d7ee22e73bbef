"""The times of a report are those of its reader's zone."""

from __future__ import annotations

from datetime import date

import pytest
from support.fakes import Script
from support.renderings import rendered
from support.summaries import FULL

from pipeline.core.times import local_day, local_time, midnight, zone_name
from pipeline.reports.render.locales import Locale
from pipeline.reports.summary import summarise
from pipeline.store.windows import Window


@pytest.mark.parametrize(
    ("zone", "at", "expected"),
    [
        ("UTC", "2026-07-01T22:30:00Z", "1 Jul 22:30 UTC"),
        ("Europe/Berlin", "2026-07-01T22:30:00Z", "2 Jul 00:30 CEST"),
        ("Europe/Berlin", "2026-12-31T23:30:00Z", "1 Jan 2027 00:30 CET"),
        ("America/New_York", "2026-07-01T02:30:00Z", "30 Jun 22:30 EDT"),
        ("Asia/Kathmandu", "2026-07-01T22:30:00Z", "2 Jul 04:15 UTC+5:45"),
        ("America/Sao_Paulo", "2026-07-01T22:30:00Z", "1 Jul 19:30 UTC-3"),
    ],
)
def test_a_time_is_local_with_the_name_of_its_zone_or_its_distance(zone: str, at: str, expected: str) -> None:
    assert Locale("en", today="2026-07-01T12:00:00Z", zone=zone).minute(at) == expected


def test_a_date_that_a_gateway_announced_is_never_moved() -> None:
    locale = Locale("en", today="2026-07-01T23:00:00Z", zone="Asia/Tokyo")
    assert locale.day("2026-07-31") == "31 Jul"
    assert locale.day("2026-07-31T00:00:00Z") == "31 Jul"
    assert locale.distance("2026-07-02") == "today"


def test_a_window_within_a_local_day_names_it_once() -> None:
    text = rendered(FULL, zone="Pacific/Auckland").message.text
    assert "23 Nov 19:00 – 24 Nov 19:00 NZDT" in text
    assert " UTC" not in text.replace("UTC+", "")


def test_the_days_of_the_chart_are_those_of_the_zone(script: Script) -> None:
    script.offers("acme/prod", "lyra").run(times=3)
    script.adds("acme/prod", "vega").run()
    window = Window(0, script.runs)
    for zone in ("UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago"):
        found = summarise(script.store, window, zone=zone)
        (change,) = found.events
        days = {day.day: day.total for day in found.days}
        assert days == {**dict.fromkeys(days, 0), local_day(change.at, zone).isoformat(): 1}
        assert found.days[-1].day == local_day(found.run.started_at, zone).isoformat()


def test_the_functions_of_zones_agree() -> None:
    assert midnight(date(2026, 3, 29), "Europe/Berlin") == "2026-03-28T23:00:00Z"
    assert local_day("2026-03-28T23:00:00Z", "Europe/Berlin") == date(2026, 3, 29)
    assert local_day("2026-03-28T22:59:59Z", "Europe/Berlin") == date(2026, 3, 28)
    assert zone_name(local_time("2026-03-28T23:00:00Z", "Asia/Kolkata")) == "IST"
