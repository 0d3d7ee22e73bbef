"""A config that is read for some scopes: of keys files only their lines."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.configs import GATEWAY

from pipeline.config import load
from pipeline.core.watchlist import NameTest, matching_scopes
from pipeline.errors import ConfigError, QuestionError
from pipeline.store.derivation import rules_of

LABELS = st.sampled_from(["a", "b", "ab", "b.c", "a-1", "a@b", "über"])
GLOBS = st.sampled_from(["one/a", "one/b", "one/a*", "*", "one/*", "o*", "one/[ab]", "two/a", "t?o/a", "one"])


@given(
    labels=st.lists(LABELS, unique=True),
    before=st.sampled_from(["", " ", "\t"]),
    after=st.sampled_from(["", ",vip", ", vip "]),
    last=st.sampled_from(["", "\n", "\n,,\n", '\n"c",env:C,\n']),
    globs=st.lists(GLOBS, min_size=1),
)
def test_what_is_read_for_some_scopes_is_that_part_of_the_whole(
    tmp_path_factory: pytest.TempPathFactory,
    labels: list[str],
    before: str,
    after: str,
    last: str,
    globs: list[str],
) -> None:
    home = tmp_path_factory.getbasetemp()
    rows = "\n".join(f"{before}{label}{before},env:K{after}" for label in labels)
    (home / "keys.csv").write_text(f"name,key,group\n{rows}{last}", "utf-8")
    path = home / "modelwatch.toml"
    path.write_text(
        f'{GATEWAY}keys = "keys.csv"\nscopes.own = {{}}\n[gateways.two]\nurl = "http://x"\nscopes.a = {{}}\n'
    )
    whole = load(path)
    try:
        expected = matching_scopes(whole.scopes, globs)
    except QuestionError:
        return
    part = load(path, globs)
    assert matching_scopes(part.scopes, globs) == expected
    assert rules_of(part.gateways) == rules_of(whole.gateways)
    assert part.watch == whole.watch


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A config with a keys file, in which one line has a key instead of a reference."""
    (tmp_path / "keys.csv").write_text("name,key,group\na,env:A,vip\nb,sk-b,\nc,env:C,\nc,env:D,\n")
    path = tmp_path / "modelwatch.toml"
    path.write_text(f'{GATEWAY}keys = "keys.csv"\n[watch]\nmodels = ["m"]\nscopes = ["one/c"]\n')
    return path


def test_only_the_lines_of_wanted_scopes_are_read(config: Path) -> None:
    (scope,) = load(config, ["one/a"]).scopes
    assert (scope.name, scope.reference, scope.group) == ("one/a", "env:A", "vip")


def test_an_error_in_a_wanted_line_names_it(config: Path) -> None:
    with pytest.raises(ConfigError, match=r"keys\.csv:3: the key: must be a reference"):
        load(config, ["one/b"])
    with pytest.raises(ConfigError, match="has 2 scopes named one/c: give each its own name"):
        load(config, ["one/c"])


def test_a_keys_file_of_a_gateway_that_is_not_asked_is_not_read(config: Path) -> None:
    config.with_name("keys.csv").unlink()
    assert load(config, ["two/a"]).scopes == ()
    with pytest.raises(ConfigError, match="cannot be read"):
        load(config, ["one/a"])


def test_a_file_with_another_header_is_refused_for_any_scope(config: Path) -> None:
    config.with_name("keys.csv").write_text("key,name\na,env:A\n")
    with pytest.raises(ConfigError, match=r"keys\.csv:1: must begin with the line `name,key,group`"):
        load(config, ["one/a"])


@pytest.mark.parametrize(
    ("globs", "names"),
    [
        ((), None),
        (("one/a", "one/b", "two/c"), {"a", "b"}),
        (("two/c",), set()),
        (("one/a*",), None),
        (("one/a", "two/*"), {"a"}),
        (("*",), None),
        (("o?e/a",), None),
        (("one",), set()),
    ],
)
def test_globs_leave_a_gateway_all_some_or_none_of_its_scopes(
    globs: tuple[str, ...], names: set[str] | None
) -> None:
    assert NameTest(globs).names_of("one") == names


def test_globs_of_the_config_may_match_scopes_of_a_list_that_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "modelwatch.toml"
    watch = '[watch]\nmodels = ["m"]\nscopes = ["{}"]\n'
    text = f'{GATEWAY}keys = "command:/absent"\n'
    path.write_text(text + watch.format("one/a"))
    assert load(path).watch.scopes == ("one/a",)
    path.write_text(text + watch.format("two/a"))
    with pytest.raises(ConfigError, match="'two/a' matches no scope"):
        load(path)
