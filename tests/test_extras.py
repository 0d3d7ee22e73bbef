"""The command that adds an optional library fits the environment in which it is printed."""

import sys

import pytest

from pipeline import extras

PYTHON = "/venv of me/bin/python"


@pytest.fixture
def prefix(tmp_path, monkeypatch):
    """The directory of an environment without marks, which has pip."""
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setattr(sys, "executable", PYTHON)
    monkeypatch.setattr(extras, "find_spec", lambda _: object())
    return tmp_path


def test_pip_is_started_with_the_python_of_this_environment(prefix):
    assert extras.command_to_add("apprise", "notify") == f"'{PYTHON}' -m pip install apprise"


def test_pipx_injects(prefix):
    (prefix / "pipx_metadata.json").touch()
    assert extras.command_to_add("apprise", "notify") == "pipx inject modelwatch apprise"


def test_uv_installs_into_its_tool_and_where_there_is_no_pip(prefix, monkeypatch):
    (prefix / "uv-receipt.toml").touch()
    expected = f"uv pip install --python '{PYTHON}' datasette"
    assert extras.command_to_add("datasette", "browse") == expected
    (prefix / "uv-receipt.toml").unlink()
    monkeypatch.setattr(extras, "find_spec", lambda _: None)
    assert extras.command_to_add("datasette", "browse") == expected


def test_the_launcher_is_started_with_an_extra(prefix):
    root = prefix / "my tree"
    (root / "cron").mkdir(parents=True)
    (root / "cron" / "modelwatch").touch()
    (prefix / ".modelwatch").write_text(f"{root}\n123 456\n")
    assert extras.command_to_add("apprise", "notify") == f"'{root}/cron/modelwatch' --with notify check"


def test_a_stamp_of_a_tree_that_has_moved_is_not_followed(prefix):
    (prefix / ".modelwatch").write_text("/nowhere\n1 2\n")
    assert extras.command_to_add("apprise", "notify").endswith("-m pip install apprise")
