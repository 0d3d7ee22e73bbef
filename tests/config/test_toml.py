"""Errors in the config: the file, the line, the key and the cure."""

import pytest
from support.configs import GATEWAY, SCOPED, SECRET


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "modelwatch.toml: has no gateway: add [gateways.NAME]"),
        ("[gateways]\n", "has no gateway: add [gateways.NAME]"),
        ("gateways = 3\n", "modelwatch.toml:1: gateways: must be a table"),
        ("[gateways]\none = 3\n", "modelwatch.toml:2: gateways.one: must be a table"),
        (GATEWAY, "modelwatch.toml:1: gateways.one: has no scopes: add e.g. `scopes.public = {}`"),
        (f'{GATEWAY}scopes = "all"\n', "modelwatch.toml:3: gateways.one.scopes: must be a table"),
        (f"{GATEWAY}scopes.a = 1\n", "modelwatch.toml:3: gateways.one.scopes.a: must be a table"),
        ("[gateways.one]\nscopes.a = {}\n", "modelwatch.toml:1: gateways.one: has no url: write e.g."),
        (
            f"{SCOPED}speed = 3\n",
            "modelwatch.toml:4: gateways.one.speed: is not a known key here: use one of",
        ),
        (
            f"databse = 'x'\n{SCOPED}",
            "modelwatch.toml:1: databse: is not a known key here: did you mean database? The known keys are",
        ),
        (
            f"[gateway.hub]\nurl = 'x'\n{SCOPED}",
            "modelwatch.toml:1: gateway: is not a known key here: did you mean gateways? The known keys are",
        ),
        (
            f"{SCOPED}[hub.scopes]\na = {{}}\n[hub]\n",
            "modelwatch.toml:6: hub: is not a known key here: use one of ",
        ),
        (
            f"{GATEWAY}scopes.a = {{ kye = 'env:A' }}\n",
            "modelwatch.toml:3: gateways.one.scopes.a.kye: is not a known key here: did you mean key?",
        ),
        (
            f"{GATEWAY}scopes.a = {{ timeout = 3 }}\n",
            "gateways.one.scopes.a.timeout: is a key of the gateway: move it to [gateways.one]",
        ),
        (
            f'{GATEWAY}dialect = "klingon"\n',
            "gateways.one.dialect: 'klingon' is not known: use auto, or one of",
        ),
        (f"{SCOPED}[[", "modelwatch.toml: is not valid TOML"),
        (
            f"reports = out\n{SCOPED}",
            "modelwatch.toml:1: is not valid TOML: Invalid value (at column 11); a text needs",
        ),
        (
            f"{SCOPED}[destinations.mail]\nat = 7:30\n",
            "modelwatch.toml:5: is not valid TOML: Expected newline",
        ),
        (f"{SCOPED}[destinations.mail]\nzone = Europe/Berlin\n", "(at column 8); a text needs quotes"),
        (f"{SCOPED}scopes.public = {{}}\n", "modelwatch.toml:4: is not valid TOML"),
        (
            f'database = ""\n{SCOPED}',
            "modelwatch.toml:1: database: is empty: write a value, or remove the line",
        ),
        (
            f'{GATEWAY}dialect = ""\n',
            "modelwatch.toml:3: gateways.one.dialect: is empty: write a value, or remove the line",
        ),
        (f"reports = 7\n{SCOPED}", "modelwatch.toml:1: reports: must be a text in quotes"),
        (f'{GATEWAY}scopes."a/b" = {{}}\n', "the name may have letters, digits and"),
        (f'{GATEWAY}scopes."" = {{}}\n', "the name may have letters, digits and"),
        ('[gateways."-x"]\nurl = "https://h.example"\n', "the name may have letters, digits and"),
    ],
)
def test_an_error_names_file_line_key_and_cure(rejected, text, expected):
    assert expected in rejected(text)


@pytest.mark.parametrize(
    "text",
    [
        f"{GATEWAY}[gateways.one.scopes.prod]\n\n{{}}\n",
        f"{GATEWAY}scopes.a = {{ key = {SECRET} }}\n",
        f'{GATEWAY}scopes.a = {{ key = "{SECRET} }}\n',
        f"{GATEWAY}scopes.a = {{ key = '''{SECRET}\n",
    ],
)
def test_invalid_toml_is_not_shown(rejected, text):
    message = rejected(text)
    assert "is not valid TOML" in message
    assert "(at " in message
    assert SECRET[3:9] not in message


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (f'{GATEWAY}[gateways.one.scopes]\na = {{ key = "env:A" }}\nb = {{ key = "x" }}\n', 5),
        (f'{GATEWAY}[gateways.one.scopes.a]\ngroup = "key"\nkey = "x"\n', 5),
        (f'{GATEWAY}scopes.a.key = "x"\n', 3),
        (f'{GATEWAY}scopes.a = {{ group = "g", key = "x" }} # key\n', 3),
        (f'{SCOPED}[gateways.two]\nurl = "https://h.example"\nscopes.public = {{ key = "x" }}\n', 6),
        ('[gateways.key]\nurl = "https://h.example"\n[gateways.key.scopes]\nkey = { key = "x" }\n', 4),
        (f'{GATEWAY}[gateways.one.scopes]\n"a" = {{ "key" = "x" }}\n', 4),
        (f"{GATEWAY}\n\n\n[gateways.one.scopes]\n# a = {{ key = 'y' }}\na = {{ key = 'x' }}\n", 8),
    ],
)
def test_the_line_is_found_in_tables_dotted_keys_and_inline_tables(rejected, text, line):
    assert rejected(text).startswith(f"modelwatch.toml:{line}: ")
