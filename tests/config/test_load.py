"""The top level of the config, `[ping]` and `[metrics]`; and the commands that read or write a config."""

import re
from itertools import chain
from pathlib import Path

import pytest
from support import ROOT
from support.configs import GATEWAY, SCOPED, SECRET, TOKEN, only
from support.e2e import Job, one_line

from pipeline.config import load, parse
from pipeline.core.times import parse_duration
from pipeline.core.types import Anonymous, Engine, Key, Limits, Thresholds
from pipeline.delivery.types import Ping
from pipeline.errors import ConfigError


def test_the_smallest_config_asks_without_a_key_and_has_defaults(written, tmp_path):
    config = written(SCOPED)
    scope = only(config)
    assert (scope.name, scope.credential, scope.group) == ("one/public", Anonymous(), None)
    assert (scope.gateway.name, scope.gateway.url) == ("one", "https://gateway.example")
    assert scope.gateway.dialect == "auto"
    assert scope.gateway.limits == Limits()
    assert scope.thresholds == Thresholds()
    assert config.deadline == 600
    assert config.database == tmp_path / "modelwatch.db"
    assert config.reports == tmp_path / "reports"


def test_paths_are_relative_to_the_config(written, tmp_path):
    config = written(f'database = "db/history.db"\nreports = "/var/reports"\n{SCOPED}')
    assert config.database == tmp_path / "db" / "history.db"
    assert config.reports == Path("/var/reports")
    assert written(f'reports = "~/reports"\n{SCOPED}').reports == Path.home() / "reports"


def test_paths_are_absolute_also_for_a_relative_config(written, tmp_path, monkeypatch):
    written(SCOPED)
    monkeypatch.chdir(tmp_path)
    config = load(Path("modelwatch.toml"))
    assert config.database == tmp_path / "modelwatch.db"
    assert config.path == tmp_path / "modelwatch.toml"


def test_a_byte_order_mark_is_ignored(written):
    config = written(f'\ufeff{GATEWAY}keys = "keys.csv"\n', keys="\ufeffname,key\r\nprod,env:PROD\r\n")
    assert only(config).credential == Key("env:PROD")


@pytest.mark.parametrize("deadline", ["0", "-1", "inf", "nan", '"10"', "true"])
def test_a_deadline_must_be_a_positive_number(rejected, deadline):
    assert rejected(f"deadline = {deadline}\n{SCOPED}").startswith("modelwatch.toml:1: deadline: must be")


def test_one_process_asks_unless_the_config_names_others(written, tmp_path):
    assert written(SCOPED).engine == Engine()
    assert written(f'engine = "processes"\nworkers = 3\n{SCOPED}').engine == Engine("processes", 3)
    tls = 'tls_ca_file = "ca.pem"\ntls_client_cert = "c.pem"\ntls_client_key = "/k.pem"\n'
    dask = f'[dask]\nscheduler = "tls://s.example:8786"\nwhen_lost = "local"\n{tls}'
    files = (str(tmp_path / "ca.pem"), str(tmp_path / "c.pem"), "/k.pem")
    expected = Engine("dask", None, "tls://s.example:8786", files, "local")
    assert written(f'engine = "dask"\n{SCOPED}{dask}').engine == expected


@pytest.mark.parametrize(
    ("head", "tail", "message"),
    [
        ('engine = "ray"\n', "", '1: engine: \'ray\' is not known: use one of "local", "processes", "dask"'),
        ("workers = 2\n", "", '1: workers: has no effect with engine = "local": write engine = "processes"'),
        ('engine = "processes"\nworkers = 0\n', "", "2: workers: must be more than 0"),
        ("", "[dask]\n", '4: dask: has no effect with engine = "local": write engine = "dask"'),
        (
            'engine = "dask"\n',
            '[dask]\nscheduler = "s.example"\n',
            "6: dask.scheduler: is not the address of",
        ),
        (
            'engine = "dask"\n',
            '[dask]\nscheduler = "tcp://s.example:8786"\ntls_ca_file = "ca.pem"\n',
            "7: dask.tls_ca_file: needs `scheduler` beside it, the address of one with TLS: write tls://HOST:PORT",
        ),
        (
            'engine = "dask"\n',
            '[dask]\nscheduler = "tls://s.example:8786"\ntls_ca_file = "ca.pem"\n',
            "7: dask.tls_ca_file: needs `tls_client_cert` beside it",
        ),
    ],
)
def test_settings_of_workers_that_do_not_fit_are_named(rejected, head, tail, message):
    assert rejected(f"{head}{SCOPED}{tail}").startswith(f"modelwatch.toml:{message}")


def test_pings_and_metrics_are_off_by_default_and_their_settings_are_parsed(tmp_path):
    path = tmp_path / "modelwatch.toml"
    assert (parse(SCOPED, path).ping, parse(SCOPED, path).metrics) == (None, None)
    config = parse(
        f'{SCOPED}[ping]\nurl = "https://h.example/x?create=1"\n[metrics]\nfile = "m.prom"\n', path
    )
    assert config.ping == Ping("https://h.example/x?create=1", 5.0)
    assert config.metrics == tmp_path / "m.prom"
    assert parse(f'{SCOPED}[ping]\nurl = "env:A"\ntimeout = 2\n', path).ping == Ping("env:A", 2.0)
    assert "h.example" not in repr(config)


@pytest.mark.parametrize(
    ("lines", "where", "expected"),
    [
        (
            "[ping]",
            "4: ping",
            'has no url: write e.g. `url = "env:',
        ),
        ('[ping]\nurl = ""', "5: ping.url", "is empty: write a value, or remove the line"),
        (
            f'[ping]\nurl = "{TOKEN}"',
            "5: ping.url",
            'is neither a web address nor a reference to one: write e.g. "e',
        ),
        (f'[ping]\nurl = "ftp://h/{TOKEN}"', "5: ping.url", "is neither a web address nor"),
        (f'[ping]\nurl = "https://h/{TOKEN}#x"', "5: ping.url", "is neither a web address nor"),
        (f'[ping]\nurl = "https://h/{TOKEN} x"', "5: ping.url", "is neither a web address nor"),
        (f'[ping]\nurl = "https://h:0/{TOKEN}"', "5: ping.url", "is neither a web address nor"),
        (f'[ping]\nurl = "https://[/{TOKEN}"', "5: ping.url", "is neither a web address nor"),
        ('[ping]\nurl = "env:"', "5: ping.url", "is neither a web address nor"),
        (
            '[ping]\nurl = "env:A"\ntimeout = 0',
            "6: ping.timeout",
            "must be more than 0 and at most 60 seconds",
        ),
        (
            '[ping]\nurl = "env:A"\ntimeout = 61',
            "6: ping.timeout",
            "must be more than 0 and at most 60 seconds",
        ),
        ('[ping]\nurl = "env:A"\nfoo = 1', "6: ping.foo", "is not a known key here: use one of timeout, url"),
        ("[metrics]", "4: metrics", 'has no file: write e.g. `file = "'),
        (
            '[metrics]\nfile = "m.txt"',
            "5: metrics.file",
            "must end in .prom: node_exporter reads no other files",
        ),
        ('[metrics]\nfile = "a/"', "5: metrics.file", "must end in .prom"),
        ("[metrics]\nfile = 3", "5: metrics.file", "must be a text in quotes"),
    ],
)
def test_an_error_in_the_config_names_the_line_and_the_cure_and_never_the_url(
    tmp_path, lines, where, expected
):
    with pytest.raises(ConfigError) as caught:
        parse(f"{SCOPED}{lines}\n", tmp_path / "modelwatch.toml")
    assert f"modelwatch.toml:{where}: {expected}" in caught.value.message
    assert TOKEN not in caught.value.message


@pytest.mark.parametrize(
    "command", ["run", "sync", "check", "report", "changes", "models", "scopes", "status"]
)
def test_every_command_reports_an_error_in_one_line_and_creates_nothing(tmp_path, command):
    job = Job(tmp_path / "home")
    job.configure(f'{GATEWAY}scopes.a = {{ key = "{SECRET}" }}\n')
    message = one_line(job.quick(command), 78, f"{job.config}:3: gateways.one.scopes.a.key: ", "env:NAME")
    assert SECRET not in message
    assert list(job.home.iterdir()) == [job.config]


def test_a_missing_config_names_the_command_that_writes_one(tmp_path):
    one_line(Job(tmp_path).quick("run"), 78, "modelwatch.toml: there is no config yet", "`modelwatch init`")


@pytest.mark.parametrize("command", ["run", "status", "accept local/prod", "send --test", "backup copy.db"])
def test_a_command_in_the_wrong_directory_says_how_to_name_the_home(tmp_path, command):
    done = Job(tmp_path).quick(*command.split(), home=False)
    assert done.code in {74, 78}
    assert "name another home by --home or MODELWATCH_HOME" in done.stderr


def test_a_config_that_cannot_be_read_is_reported(tmp_path):
    job = Job(tmp_path)
    job.config.write_bytes(b"# gr\xf6sse\n")
    one_line(job.quick("run"), 78, "is not UTF-8: save it as UTF-8")
    job.config.unlink()
    job.config.mkdir()
    one_line(job.quick("run"), 78, "cannot be read: Is a directory")


def test_database_and_reports_are_beside_the_config_that_an_option_names(tmp_path):
    elsewhere = Job(tmp_path / "elsewhere")
    elsewhere.configure(SCOPED)
    done = Job(tmp_path / "home").quick("status", "--config", str(elsewhere.config))
    one_line(done, 74, f"{elsewhere.database}: there is no database yet")


def test_the_home_may_come_from_the_environment(tmp_path):
    job = Job(tmp_path / "home", {"MODELWATCH_HOME": str(tmp_path / "home")})
    job.configure(SCOPED)
    one_line(job.quick("status", home=False), 74, f"{job.database}: there is no database yet")


def examples():
    """Return the TOML examples of the documentation."""
    pages = [ROOT / "README.md", ROOT / "data" / "README.md", ROOT / "pipeline" / "delivery" / "README.md"]
    texts = (page.read_text("utf-8") for page in pages)
    return [re.findall(r"^```toml\n(.*?)^```", text, re.DOTALL | re.MULTILINE) for text in texts]


def test_the_examples_of_the_documentation_are_valid(written):
    assert all(examples()), "each page has one"
    for example in chain.from_iterable(examples()):
        config = written(example, keys="name,key,group\na,env:A,vip\n")
        assert config.scopes or config.key_lists


def _number(text):
    """Return a number, or a duration in seconds."""
    return parse_duration(text) if text[-1].isalpha() else float(text)


def test_the_readme_names_every_setting_with_its_default():
    text = (ROOT / "data" / "README.md").read_text("utf-8")
    cell = r'^\| `(\w+)`(?: •)? \| (?:`\w+ = )?"?([\d.]+[mhd]?)"?`? \|'
    shown = dict(re.findall(cell, text, re.MULTILINE))
    real = {name: getattr(kind(), name) for kind in (Limits, Thresholds) for name in kind.__slots__}
    real |= {"deadline": 600.0, "keep_reports": 90 * 86_400.0}
    assert {name: _number(value) for name, value in shown.items()} == real


def test_init_writes_a_valid_config_and_overwrites_none(tmp_path):
    job = Job(tmp_path / "new" / "home")
    assert job.quick("init", "--no-check", "--url", "https://gateway.example/v1", "--name", "mine").code == 0
    assert only(load(job.config)).name == "mine/public"
    before = job.config.read_bytes()
    one_line(job.quick("init"), 78, "exists", "--force")
    assert job.config.read_bytes() == before
    assert job.quick("init", "--force").code == 0
    assert only(load(job.config)).name == "aihubmix/public"


def test_the_commented_settings_of_init_are_valid_and_the_defaults(tmp_path):
    job = Job(tmp_path)
    job.quick("init", "--no-check", "--name", "mine")
    job.configure(re.sub(r"^# (?=\w+ = |\[)", "", job.config.read_text("utf-8"), flags=re.MULTILINE))
    (tmp_path / "keys.csv").write_text("name,key,group\na,env:A,vip\n")
    config = load(job.config)
    assert [scope.name for scope in config.scopes] == [
        f"mine/{name}" for name in ("public", "prod", "mine", "browser", "login", "a")
    ]
    assert {scope.gateway.limits for scope in config.scopes} == {Limits()}
    assert {scope.thresholds for scope in config.scopes} == {Thresholds()}
    assert config.deadline == 600


@pytest.mark.parametrize(
    "option", [("--url", "nowhere"), ("--name", "a b"), ("--url", f"https://{SECRET}@h")]
)
def test_init_writes_nothing_for_invalid_options(tmp_path, option):
    job = Job(tmp_path)
    done = job.quick("init", "--no-check", *option)
    assert (done.code, done.stdout) == (2, "")
    assert f"Error: {option[0]}: " in done.stderr
    assert SECRET not in done.stderr
    assert not job.config.exists()
