"""The command `deprecations`: announced shutdowns, and removals without notice."""

from __future__ import annotations

from support.e2e import Job, printed

AT = "2026-05-05T08:00:00Z"


def test_announced_shutdowns_come_with_the_number_of_other_removals(past: Job) -> None:
    assert printed(past, "deprecations", at=AT) == [
        "2026-06-01  in 27 days  lumen-3  one/prod",
        "1 model removed without notice in the last 90 days: --unannounced shows them",
    ]


def test_a_shutdown_that_passed_is_marked_while_the_model_is_offered(past: Job) -> None:
    overdue, *_ = printed(past, "deprecations", at="2026-06-03T08:00:00Z")
    assert overdue == "2026-06-01  2 days ago, still offered  lumen-3  one/prod"


def test_removals_without_notice_have_the_scopes_that_are_offered_the_model_again(past: Job) -> None:
    (line,) = printed(past, "deprecations", "--unannounced", at=AT)
    assert line == (
        "2026-05-03 06:00  - quarry/slate  one/prod one/public, missing since 2026-05-02 06:00"
        "; offered again to one/prod"
    )


def test_days_limits_the_search_in_both_directions(past: Job) -> None:
    assert printed(past, "deprecations", "--days", "1", at=AT) == [
        "no model on offer has an announced shutdown within 1 day",
        "the next one: 2026-06-01  in 27 days  lumen-3  one/prod",
    ]
    assert printed(past, "deprecations", "--days", "1", "--unannounced", at=AT) == [
        "no model was removed without notice in the last 1 day"
    ]


def test_json_has_both(past: Job) -> None:
    value = past.quick("deprecations", "--json", at=AT).json()
    assert ([each["model"] for each in value["announced"]], value["later"]) == (["lumen-3"], None)
    assert [each["back"] for each in value["unannounced"]] == [["one/prod"]]


def test_csv_has_one_or_the_other(past: Job) -> None:
    (row,) = past.quick("deprecations", "--csv", at=AT).rows()
    assert (row["date"], row["days"], row["model"]) == ("2026-06-01", "27", "lumen-3")
    (row,) = past.quick("deprecations", "--csv", "--unannounced", at=AT).rows()
    assert (row["model"], row["since"], row["back"]) == ("quarry/slate", "2026-05-02T06:00:00Z", "one/prod")
