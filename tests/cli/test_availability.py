"""The commands `matrix` and `same`: tables that fit the terminal, JSON, CSV and errors."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from support.e2e import Job, printed, usage_error
from support.fakes import Script, scope

from pipeline.cli.availability import grid, matrix_lines, matrix_value, same_lines
from pipeline.history.availability import equal_scopes, matrices
from pipeline.store import Store


def test_the_matrix_has_the_models_that_not_all_scopes_are_offered(past: Job) -> None:
    assert printed(past, "matrix") == [
        "one: 2 of 3 models not offered to all of 2 scopes",
        "model         prod  public",
        "lumen-3       yes     -",
        "quarry/slate  yes     -",
    ]
    assert printed(past, "matrix", "--all", "--by", "group")[1:] == [
        "model         (no group)  vip",
        "[x]              yes      yes",
        "lumen-3           -       yes",
        "quarry/slate      -       yes",
    ]
    assert printed(past, "matrix", "--scope", "*/prod") == ["one: 3 models, each offered to all of 1 scope"]


def test_an_unknown_gateway_or_scope_is_wrong_usage(past: Job) -> None:
    assert "no gateway is named 'two': there are one" in usage_error(past, "matrix", "--gateway", "two")
    assert "no scope matches 'nope'" in usage_error(past, "same", "--scope", "nope")


def test_each_scope_has_its_own_column_in_json_and_csv(past: Job) -> None:
    (value,) = past.quick("matrix", "--json").json()
    assert value["models"][0] == {
        "model": "lumen-3",
        "offered_to": ["one/prod"],
        "columns": {"one/prod": "yes", "one/public": "no"},
    }
    assert past.quick("matrix", "--csv").rows()[1] == {
        "gateway": "one",
        "model": "quarry/slate",
        "one/prod": "yes",
        "one/public": "no",
    }


def test_a_matrix_wider_than_the_terminal_is_printed_as_lines(script: Script) -> None:
    """A line names the scopes that are offered the model, or those that are not if they are fewer."""
    names = [f"acme/customer-{number:02}" for number in range(12)]
    for name in names:
        others = [f"all-but-{other[5:]}" for other in names if other != name]
        script.offers(name, "lyra", f"only-{name[5:]}", *others)
    script.run()
    (matrix,) = matrices(script.store)
    lines = list(matrix_lines(grid(matrix, by="scope", all_too=True), 80))
    assert lines[0] == "acme: 24 of 25 models not offered to all of 12 scopes"
    assert "all-but-customer-07  not offered to customer-07" in lines
    assert "only-customer-07  offered to customer-07" in lines
    assert "lyra  offered to all" in lines
    assert max(map(len, lines)) <= 80


def test_scopes_with_equal_cells_share_a_column(script: Script) -> None:
    for name in ("acme/a", "acme/b", "acme/c"):
        script.offers(name, "lyra", "vega")
    script.drops("acme/b", "vega").run()
    (matrix,) = matrices(script.store)
    assert list(matrix_lines(grid(matrix, by="scope", all_too=False), 80)) == [
        "acme: 1 of 2 models not offered to all of 3 scopes",
        "  a +1: acme/a acme/c",
        "model  a +1  b",
        "vega   yes   -",
    ]


def test_of_hundreds_of_scopes_the_first_are_named(script: Script) -> None:
    names = [f"acme/{number:03}" for number in range(150)]
    for name in names:
        script.offers(name, "lyra", "vega")
    script.drops("acme/149", "vega").run()
    (matrix,) = matrices(script.store)
    first = f"{' '.join(names[:20])} and 129 more (--csv has all)"
    lines = list(matrix_lines(grid(matrix, by="scope", all_too=False), 1000))
    assert lines[1].strip() == f"000 +148: {first}"
    assert list(same_lines(equal_scopes(script.store), 1000))[1].strip() == f"2 models: {first}"


def test_a_group_whose_scopes_differ_has_some(script: Script) -> None:
    script.has(*(scope(f"acme/{name}", group="vip") for name in "ab"), scope("acme/c", group="free"))
    script.offers("acme/a", "lyra", "vega").offers("acme/b", "lyra").offers("acme/c", "lyra").run()
    (matrix,) = matrices(script.store)
    by_group = grid(matrix, by="group", all_too=False)
    assert matrix_value(by_group)["models"][0]["columns"] == {"free": "no", "vip": "some"}
    assert list(matrix_lines(by_group, 15))[1:] == ["vega  offered", "    to some of", "    vip"]


def test_same_has_the_sets_of_scopes_and_how_the_lists_differ(past: Job) -> None:
    assert printed(past, "same") == [
        "one: 2 lists for 2 scopes",
        "  3 models: one/prod",
        "  1 model: one/public",
        "    compared with one/prod:",
        "      - 2: lumen-3 quarry/slate",
    ]
    value = past.quick("same", "--json").json()
    assert [(each["scopes"], each["models"]) for each in value] == [(["one/prod"], 3), (["one/public"], 1)]
    assert past.quick("same", "--csv").rows()[1]["removed"] == "lumen-3 quarry/slate"


@given(st.text(min_size=1, max_size=12).filter(str.strip))
def test_no_name_can_steer_the_terminal(name: str) -> None:
    with Store.open(None) as store:
        Script(store).offers("acme/a", "anchor", name).offers("acme/b", "anchor").run()
        (matrix,) = matrices(store)
        lines = [
            *matrix_lines(grid(matrix, by="scope", all_too=True), 80),
            *same_lines(equal_scopes(store), 80),
        ]
    for line in lines:
        assert "\x1b" not in line
        assert len(line.splitlines()) <= 1
