"""The command `probe`: its table, its advice for the config, its JSON and its exit status."""

from __future__ import annotations

import json
import sys
import tomllib
from itertools import count

import pytest

from pipeline.cli.app import main
from pipeline.simulator import Gateway


@pytest.fixture
def gateway():
    """A gateway whose clock advances by a second at each look."""
    seconds = count(1_790_000_000)
    with Gateway(clock=lambda: next(seconds)) as gateway:
        gateway.offers("alpha", "beta", "gamma")
        gateway.key("sk-vip-12345678", group="vip")
        gateway.offers("omega", to="vip")
        yield gateway


@pytest.fixture
def run(tmp_path, gateway, capsys, monkeypatch):
    """Run the command against the gateway; return exit status, output and errors."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("VIP", "sk-vip-12345678")

    def run(*arguments, users=(), **settings):
        """Run the command against the gateway; return exit status, output and errors.

        `users` are the insides of the tables of further scopes, by name.
        """
        lines = [f"{name} = {json.dumps(value)}" for name, value in settings.items()]
        scopes = ["scopes.public = {}", 'scopes.vip = { key = "env:VIP" }']
        scopes += [f"scopes.{name} = {{ {inside} }}" for name, inside in dict(users).items()]
        config = ["[gateways.local]", f'url = "{gateway.url}"', "attempts = 1", *lines, *scopes]
        (tmp_path / "modelwatch.toml").write_text("\n".join(config), "utf-8")
        monkeypatch.setattr(sys, "argv", ["modelwatch", "probe", *arguments, "--home", str(tmp_path)])
        with pytest.raises(SystemExit) as end:
            main()
        return end.value.code, *capsys.readouterr()

    return run


def test_equal_answers_need_two_lines_and_no_database(run, tmp_path):
    code, output, errors = run("local")
    assert (code, errors) == (0, "")
    assert output.splitlines() == [
        "local/public, asked 3 times: 3 models, dialect new-api (recognised by its answer)",
        "the answers are equal",
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["modelwatch.toml"]


def test_noise_of_the_dialect_is_shown_and_needs_no_setting(gateway, run):
    gateway.noisy()
    gateway.shuffles()
    code, output, _ = run("local", "--times", "4", dialect="new-api")
    assert code == 0
    lines = output.splitlines()
    assert lines[0].startswith("local/public, asked 4 times: 3 models, dialect new-api (set in the config)")
    assert lines[1] == "the order of the models differs, which is never reported"
    cells = {row.split()[0]: row.split()[1:3] for row in lines if "ignored: " in row}
    assert cells == {name: ["3", "4"] for name in ("created", "permission[].created", "permission[].id")}
    assert lines[-1] == "nothing to add: the dialect and the config handle every difference"


def test_the_advised_settings_include_the_configs_and_are_sufficient(gateway, run):
    gateway.noisy()
    code, output, _ = run("local", dialect="one-hub", noise=["load"])
    assert code == 0
    assert output.splitlines()[-1] == "with these settings the answers are equal"
    advised = tomllib.loads(output[output.index("[gateways") : output.rindex("\n\n")])
    assert advised == {"gateways": {"local": {"noise": ["load", "permission[].created", "permission[].id"]}}}
    code, output, _ = run("local", dialect="one-hub", **advised["gateways"]["local"])
    assert output.splitlines()[-1] == "nothing to add: the dialect and the config handle every difference"


def test_json_has_the_differences_and_the_settings(gateway, run):
    gateway.noisy()
    code, output, _ = run("local", "--json", "--scope", "vip", dialect="one-hub", noise=["load"])
    value = json.loads(output)
    assert (code, value["scope"], value["dialect"], value["dialect_source"]) == (
        0,
        "local/vip",
        "one-hub",
        "config",
    )
    assert value["probe"]["sizes"] == [1, 1, 1]
    settled = {each["path"]: each["settled_by"] for each in value["probe"]["differences"]}
    assert settled == {"created": "time", "permission[].created": None, "permission[].id": None}
    assert value["probe"]["noise"] == ["permission[].created", "permission[].id"]
    assert value["config"] == {"noise": ["load", "permission[].created", "permission[].id"]}


def test_flapping_models_are_named_with_the_setting_to_raise(gateway, run):
    gateway.flaps("beta")
    code, output, _ = run("local", confirm=3)
    assert code == 0
    assert "2 to 3 models" in output
    assert output.splitlines()[1:] == [
        "some answers lack these models: beta",
        "  if reports show removals that did not happen, raise `confirm` (now 3) or `confirm_after`",
    ]


def offers_anew(gateway, fields):
    """Let the gateway offer `alpha` with other fields in each answer."""
    turns, answers = count(1), gateway.groups.listing

    def listing(caller):
        gateway.offers("alpha", **fields(next(turns)))
        return answers(caller)

    gateway.groups.listing = listing


def test_noise_in_a_price_comes_with_a_warning(gateway, run):
    """It may be two prices."""
    offers_anew(gateway, lambda turn: {"pricing": {"input": turn}})
    _, output, _ = run("local")
    assert "add to noise, although its class is price" in output
    assert "readers rely on pricing.input" in output


def test_no_name_can_steer_the_terminal_or_break_the_toml(gateway, run):
    odd, unsafe = 'a"b\\\u00e9', "a\u200d\x1b[2J"
    offers_anew(gateway, lambda turn: {"load": {odd: turn}, unsafe: turn, "note": "\u202e\x1b[2J" * turn})
    _, output, _ = run("local")
    assert {letter for letter in output if not letter.isprintable()} == {"\n"}
    assert "no path can name it" in output
    advised = tomllib.loads(output[output.index("[gateways") : output.rindex("\n\n")])
    assert advised["gateways"]["local"]["noise"] == [f"load.{odd}", "note"]


def test_one_failure_of_three_is_one_line_and_status_3(gateway, run):
    gateway.fails("refused", times=1)
    code, output, errors = run("local")
    assert code == 3
    assert output.startswith("local/public, asked 3 times, answered 2 times: 3 models")
    assert errors.startswith("modelwatch: local/public: answer 1 of 3: ")
    assert errors.count("\n") == 1


def test_failures_with_the_same_reason_share_a_line(gateway, run):
    gateway.fails("html")
    code, output, errors = run("local")
    assert (code, output) == (4, "")
    assert "answer 1, 2, 3 of 3" in errors
    assert errors.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["other"], "no gateway is named 'other': there are local"),
        (["local", "--scope", "prod"], "there are local/public, local/vip"),
        (["local", "--times", "1"], "--times"),
    ],
)
def test_wrong_usage_names_the_right_values(run, arguments, named):
    code, output, errors = run(*arguments)
    assert (code, output) == (2, "")
    assert named in errors


def test_an_invalid_config_exits_with_78(run):
    assert run("local", dialect="klingon")[0] == 78


@pytest.mark.parametrize("name", ["local/ada.vip", "ada.vip", "ada.a_b-1f2e3d", "local/ada"])
def test_a_scope_of_a_users_groups_has_no_list_to_repeat(run, name):
    """The user's own scope has none either."""
    token = 'access_token = "env:TOKEN", user_id = 1, groups = "all"'
    code, output, errors = run("local", "--scope", name, users={"ada": token})
    assert (code, output) == (2, "")
    assert f"'{name}' has no list of its own to repeat: local/ada asks for all groups of a user" in errors
    assert "Probe another scope (local/public, local/vip), or add one with a key of this group" in errors


def test_a_scope_that_only_begins_like_a_users_is_unknown(run):
    token = 'access_token = "env:TOKEN", user_id = 1, groups = "all"'
    code, _, errors = run("local", "--scope", "adam.vip", users={"ada": token})
    assert code == 2
    assert "local has no scope 'adam.vip' with a list of its own" in errors
