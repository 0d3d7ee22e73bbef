"""The reference of the config: every key of a gateway and a scope, with an example that works."""

import re

import pytest
from support import ROOT

from pipeline.config import parse
from pipeline.config.gateways import GATEWAY_KEYS, SCOPE_KEYS

README = ROOT / "data" / "README.md"
TEXT = README.read_text("utf-8")


def rows(heading):
    """Return the cells of the table below a heading."""
    section = TEXT.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return [re.split(r"(?<!\\) \| ", line.strip("| ")) for line in section.splitlines() if line[:3] == "| `"]


def keys(heading):
    return {name.strip("`• ") for name, *_ in rows(heading)}


def shared():
    return {name.strip("`• ") for name, *_ in rows("Keys of a gateway") if "•" in name}


def test_the_table_of_a_gateway_has_its_keys():
    assert keys("Keys of a gateway") == GATEWAY_KEYS


def test_the_tables_of_a_scope_have_its_keys():
    assert keys("Keys of a scope") | shared() == SCOPE_KEYS


@pytest.mark.parametrize("row", [pytest.param(row, id=row[0]) for row in rows("Keys of a gateway")])
def test_the_example_of_a_key_of_a_gateway_is_accepted(row, tmp_path):
    (tmp_path / "keys.csv").write_text("name,key\nprod,env:PROD\n")
    lines = [line.strip("`") for line in row[1].split("<br>")]
    name = row[0].strip("`• ")
    around = [] if name == "url" else ['url = "https://llm.example.com"']
    around += [] if name in ("scopes", "keys") else ["scopes.public = {}"]
    assert lines[-1].startswith(name)
    text = "\n".join(("[gateways.g]", *around, *lines, ""))
    assert parse(text, tmp_path / "modelwatch.toml").scopes
    if "•" in row[0]:
        inside = ", ".join(lines)
        text = f'[gateways.g]\nurl = "https://llm.example.com"\nscopes.public = {{ {inside} }}\n'
        assert parse(text, tmp_path / "modelwatch.toml").scopes


@pytest.mark.parametrize("row", [pytest.param(row, id=row[0]) for row in rows("Keys of a scope")])
def test_the_example_of_a_key_of_a_scope_is_accepted(row):
    example = row[1].strip("`")
    assert re.search(rf"\b{row[0].strip('`')} = ", example)
    text = f'[gateways.g]\nurl = "https://llm.example.com"\nscopes.a = {example}\n'
    assert parse(text, README).scopes
