"""The JSON Schema of the config: current, complete, and one with the checks of the program."""

import json
import tomllib
from pathlib import Path

import pytest
from jsonschema import Draft7Validator
from support import ROOT
from support.configs import GATEWAY, SCOPED
from support.e2e import Job

from pipeline.config import parse, schema_line
from pipeline.config.reference import SCHEMA_FILE, json_schema
from pipeline.errors import ConfigError

SCHEMA = json.loads(SCHEMA_FILE.read_bytes())
SMTP = 'type = "smtp"\nserver = "s.example"\nfrom = "w@example.com"\nto = "me@example.com"\n'
MAIL = f"{SCOPED}[destinations.ops]\n{SMTP}"


def errors(text):
    """Return what the schema finds in a config."""
    found = Draft7Validator(SCHEMA).iter_errors(tomllib.loads(text))
    return [error.message for error in found]


def tables(value):
    """Yield each table in a JSON Schema that has its own keys."""
    if isinstance(value, dict):
        if value.get("additionalProperties") is False:
            yield value
        for each in value.values():
            yield from tables(each)
    elif isinstance(value, list):
        for each in value:
            yield from tables(each)


def test_the_schema_is_valid_and_current():
    Draft7Validator.check_schema(SCHEMA)
    assert SCHEMA_FILE.read_bytes() == json_schema(), "run `python -m pipeline.config.reference`"


def test_every_key_has_an_explanation_and_each_but_a_table_an_example():
    keys = [item for table in tables(SCHEMA) for item in table["properties"].items()]
    assert len(keys) > 100
    for name, each in keys:
        if name == "type" or each == {"type": "string"}:
            continue  # the names of facts, and the types of destinations
        assert each.get("description"), name
        is_table = "properties" in each or each.get("type") == "object"
        assert each.get("examples") or is_table, name


@pytest.mark.parametrize(
    "text",
    [
        SCOPED,
        f'{GATEWAY}keys = "keys.csv"\n',
        f'{GATEWAY}scopes.a = {{ access_token = "env:A", user_id = "17", confirm_after = "2h" }}\n',
        f'{GATEWAY}scopes.a = {{ username = "me", password = "env:A", user_id = 17, confirm_after = 0 }}\n',
        f'{SCOPED}dialect = "new-api"\nlist = ""\nfacts = {{ context_length = "ctx" }}\n',
        f'{SCOPED}paging = {{ param = "page", pages = "n", first = 0 }}\nsuccess = {{ code = 0 }}\n',
        f'{SCOPED}method = "POST"\nbody = {{ a = [1, "b", {{ c = true }}] }}\nheaders = {{ X-A = 1 }}\n',
        MAIL,
        f'{MAIL}every = "week"\non = "friday"\nat = "07:30"\nlanguage = "zh-CN"\nseverity = "quiet"\n',
        f'{SCOPED}[destinations.a]\ntype = "files"\ndirectory = "d"\nforms = ["html", "ics"]\n',
        f'{SCOPED}[destinations.a]\ntype = "apprise"\nurls = ["env:A"]\n',
        f'{SCOPED}[destinations.a]\ntype = "eml"\ndirectory = "m"\nto = "me@example.com"\n',
        f'share = "group"\ndeadline = 10\n{SCOPED}[ping]\nurl = "env:A"\n[metrics]\nfile = "m.prom"\n',
        f'{SCOPED}[watch]\nmodels = ["a"]\nscopes = ["one/*"]\n',
        f'engine = "dask"\nworkers = 2\n{SCOPED}[dask]\nscheduler = "tcp://s.example:8786"\n',
    ],
)
def test_what_the_program_accepts_the_schema_accepts(written, text):
    assert written(text, keys="name,key\na,env:A\n")
    assert errors(text) == []


@pytest.mark.parametrize(
    "text",
    [
        f"speed = 3\n{SCOPED}",
        f"{SCOPED}speed = 3\n",
        f"{GATEWAY}scopes.a = {{ speed = 3 }}\n",
        f"{GATEWAY}scopes.a = {{ timeout = 3 }}\n",
        f"{SCOPED}timeout = 0\n",
        f'{SCOPED}timeout = "3"\n',
        f"{SCOPED}attempts = 1.5\n",
        f"{SCOPED}max_loss = 25\n",
        f'{SCOPED}dialect = "klingon"\n',
        f'{SCOPED}method = "PUT"\n',
        f'{SCOPED}noise = "a"\n',
        f'{SCOPED}quiet = [""]\n',
        f"{SCOPED}facts = {{ contextlength = 'ctx' }}\n",
        f"{SCOPED}prices = {{ unit = 'kg' }}\n",
        f'{GATEWAY}scopes.a = {{ key = "sk-0123456789" }}\n',
        f'{GATEWAY}scopes.a = {{ key = "env:" }}\n',
        f'{GATEWAY}scopes.a = {{ groups = "some" }}\n',
        "[gateways.one]\nscopes.a = {}\n",
        '[gateways.one]\nurl = "ftp://x"\nscopes.a = {}\n',
        f'{SCOPED}[destinations.a]\ntype = "pigeon"\n',
        f"{SCOPED}[destinations.a]\ndirectory = 'a'\n",
        f'{SCOPED}[destinations.a]\ntype = "smtp"\n',
        f'{MAIL}directory = "x"\n',
        f"{MAIL}port = 70000\n",
        f'{MAIL}at = "7:30"\n',
        f'{MAIL}severity = "loud"\n',
        f"{SCOPED}[destinations.a]\ntype = 'apprise'\nurls = []\n",
        f"{SCOPED}[ping]\nurl = 'env:A'\ntimeout = 61\n",
        f"{SCOPED}[metrics]\n",
        f"{SCOPED}[watch]\nmodel = ['a']\n",
        f"share = 'world'\n{SCOPED}",
        f"engine = 'ray'\n{SCOPED}",
        f"engine = 'dask'\n{SCOPED}[dask]\nwhen_lost = 'wait'\n",
    ],
)
def test_what_the_schema_rejects_the_program_rejects(tmp_path, text):
    assert errors(text)
    with pytest.raises(ConfigError):
        parse(text, tmp_path / "modelwatch.toml")


def test_the_first_line_of_a_config_leads_editors_to_the_schema(tmp_path):
    job = Job(tmp_path / "home")
    assert job.quick("init").code == 0
    first = job.config.read_text("utf-8").splitlines()[0]
    assert first == f"#:schema {SCHEMA_FILE.as_uri()}"
    beside = ROOT / "data" / "modelwatch.toml"
    assert schema_line(beside) == "#:schema ../pipeline/config/config.schema.json"
    assert (beside.parent / Path(schema_line(beside).split()[1])).resolve() == SCHEMA_FILE
