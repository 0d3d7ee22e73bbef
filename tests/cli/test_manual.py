"""The manual page has the help of every command, in text that a formatter takes without a warning."""

from __future__ import annotations

import shutil
import subprocess

import click
import pytest
from support import ROOT

from pipeline.cli.app import modelwatch
from pipeline.cli.manual import manual

PAGE = ROOT / "pipeline" / "cli" / "modelwatch.1"


def test_the_page_in_the_tree_is_that_of_the_present_help() -> None:
    """If this fails, write it again: `cog -r pipeline/cli/modelwatch.1`."""
    kept = [line for line in PAGE.read_text("utf-8").splitlines() if not line.startswith('.\\"')]
    assert kept == manual().splitlines()


def test_every_option_of_every_command_is_in_the_page() -> None:
    text = formatted(manual())
    context = click.Context(modelwatch, info_name="modelwatch")
    for name in modelwatch.list_commands(context):
        command = modelwatch.get_command(context, name)
        assert command
        assert f"modelwatch {name}" in text
        options = [option for param in command.params for option in param.opts if option.startswith("--")]
        assert [option for option in options if option not in text] == []


def test_letters_that_a_formatter_would_change_stay_what_they_are() -> None:
    text = formatted(manual())
    assert "--home" in text
    assert "modelwatch.toml" in text
    assert "\N{RIGHT SINGLE QUOTATION MARK}" not in text.partition("DESCRIPTION")[0]


def formatted(page: str) -> str:
    """Return a manual page as text; groff must not warn of anything in it."""
    groff = shutil.which("groff")
    if groff is None:
        pytest.skip("groff is not installed")
    done = subprocess.run(
        [groff, "-man", "-ww", "-K", "utf8", "-T", "utf8", "-P-cbou", "-rLL=1000n"],
        input=page,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout
