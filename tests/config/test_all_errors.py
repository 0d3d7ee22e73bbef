"""All errors of a config are reported at once: one line for each, in the order of the file."""

import pytest
from support.configs import GATEWAY, SCOPED
from support.e2e import Job

MANY = """\
deadline = 0
databse = "x"
[gateways.one]
url = "https://gateway.example"
timeout = "3"
noise = ["a..b"]
[gateways.one.scopes]
prod = { key = "sk-0123456789abcdefghij", group = 3 }
team = { access_token = "env:A", cookie = "env:B" }
[gateways.two]
url = "nowhere"
scopes.a = {}
[destinations.ops]
type = "smtp"
server = "s.example"
from = "w@example.com"
to = ["me", "you@example.com"]
password = "env:P"
every = "hour"
[destinations.web]
type = "webhok"
[ping]
timeout = 61
"""


def test_every_error_of_a_file_is_one_line_in_the_order_of_the_file(tmp_path):
    job = Job(tmp_path)
    job.configure(MANY)
    done = job.quick("check")
    assert done.code == 78
    lines = [line.removeprefix(f"modelwatch: {job.config}:") for line in done.stderr.splitlines()]
    assert [line.partition(": ")[2].partition(": ")[0] for line in lines] == [
        "deadline",
        "databse",
        "gateways.one.timeout",
        "gateways.one.noise",
        "gateways.one.scopes.prod.key",
        "gateways.one.scopes.prod.group",
        "gateways.one.scopes.team",
        "gateways.one.scopes.team.access_token",
        "gateways.two.url",
        "destinations.ops.to",
        "destinations.ops.every",
        "destinations.web.type",
        "ping",
        "ping.timeout",
    ]
    numbers = [int(line.partition(":")[0]) for line in lines]
    assert numbers == [1, 2, 5, 6, 8, 8, 9, 9, 11, 17, 19, 21, 22, 23]


def test_errors_of_the_files_that_a_config_names_follow_those_of_the_config(rejected):
    message = rejected(
        f'{GATEWAY}keys = "keys.csv"\nscopes.a = {{}}\n[watch]\nfile = "list.csv"\n[ping]\ntimeout = 1\n',
        keys="name,key\na/b,env:A\nb,literal\nc,env:C\n",
        list="fine\ntwo words\n",
    )
    places = [line.split(": ")[0].rpartition("/")[2] for line in message.splitlines()]
    assert places == ["modelwatch.toml:7", "keys.csv:2", "list.csv:2", "keys.csv:3"]


def test_an_error_of_a_gateway_is_no_error_of_the_globs_that_name_its_scopes(rejected):
    text = f'{GATEWAY}scopes.a = {{ key = "x" }}\n[watch]\nscopes = ["one/a", "one/b"]\n'
    assert rejected(text).count("\n") == 0
    fixed = rejected(text.replace('{ key = "x" }', "{}"))
    assert "'one/b' matches no scope" in fixed


@pytest.mark.parametrize(("number", "rest"), [(100, []), (102, ["modelwatch.toml: and 2 more errors"])])
def test_a_hundred_errors_are_shown_and_the_others_counted(rejected, number, rest):
    message = rejected("".join(f"a{each} = 1\n" for each in range(number)) + SCOPED)
    lines = message.splitlines()
    assert [line.rpartition("/")[2] for line in lines[100:]] == rest


def test_errors_of_a_table_hide_none_of_another(rejected):
    text = f"{SCOPED}confirm = 0\n[gateways.two]\nurl = 'https://h.example'\n[metrics]\nfile = 'm.txt'\n"
    assert [line.split(": ")[1] for line in rejected(text).splitlines()] == [
        "gateways.one.confirm",
        "gateways.two",
        "metrics.file",
    ]
