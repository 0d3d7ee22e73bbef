"""The config: its values, and errors with the line and the cure."""

import re
from itertools import chain
from pathlib import Path

import pytest
from support import ROOT
from support.e2e import Job, one_line

from pipeline.config import load
from pipeline.core.types import AccessToken, Anonymous, Cookie, Key, Limits, Login, Thresholds
from pipeline.errors import ConfigError

SECRET = "sk-0123456789abcdefghij"

GATEWAY = '[gateways.one]\nurl = "https://gateway.example"\n'
SCOPED = f"{GATEWAY}scopes.public = {{}}\n"


@pytest.fixture
def written(tmp_path):
    """Return a function that writes a config and loads it."""

    def written(text, **files):
        """Return a function that writes a config and loads it."""
        for name, content in files.items():
            (tmp_path / f"{name}.csv").write_text(content, "utf-8")
        path = tmp_path / "modelwatch.toml"
        path.write_text(text, "utf-8")
        return load(path)

    return written


@pytest.fixture
def rejected(written):
    """Return a function that loads an invalid config and returns the message, without its directory."""

    def rejected(text, **files):
        """Return a function that loads an invalid config and returns the message, without its directory."""
        with pytest.raises(ConfigError) as caught:
            written(text, **files)
        assert caught.value.exit_code == 78
        return caught.value.message.replace(f"{caught.value.where.rpartition('/')[0]}/", "")

    return rejected


def only(config):
    """Return the only scope of a config."""
    (scope,) = config.scopes
    return scope


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


def test_each_way_of_asking_is_a_credential(written):
    config = written(
        GATEWAY
        + """
        [gateways.one.scopes]
        a = { key = "env:A", group = "vip" }
        b = { cookie = "file:b" }
        c = { access_token = "command:print c", user_id = 17 }
        d = { username = "dora", password = "env:D" }
        e = { access_token = "env:E", user_id = "18" }
        """
    )
    assert [scope.credential for scope in config.scopes] == [
        Key("env:A"),
        Cookie("file:b"),
        AccessToken("command:print c", "17"),
        Login("dora", "env:D"),
        AccessToken("env:E", "18"),
    ]
    assert [scope.group for scope in config.scopes] == ["vip", None, None, None, None]


def test_scopes_inherit_the_settings_of_their_gateway(written):
    config = written(
        GATEWAY
        + """
        concurrency = 2
        timeout = 1.5
        max_body = 1_000
        confirm = 3
        scopes.a = {}
        scopes.b = { confirm = 1, max_loss = 0.5 }
        [gateways.two]
        url = "https://other.example"
        scopes.c = {}
        """
    )
    a, b, c = config.scopes
    assert a.gateway.limits == Limits(concurrency=2, timeout=1.5, max_body=1000)
    assert a.thresholds == Thresholds(confirm=3)
    assert b.thresholds == Thresholds(confirm=1, max_loss=0.5)
    assert (c.gateway.limits, c.thresholds) == (Limits(), Thresholds())


def test_scopes_of_the_config_come_first_then_those_of_the_keys_file(written):
    config = written(
        f'{GATEWAY}keys = "keys.csv"\nscopes.z = {{}}\nscopes.a = {{}}\n',
        keys="name,key,group\nm,env:M,vip\nb,env:B,\n",
    )
    assert [scope.name for scope in config.scopes] == ["one/z", "one/a", "one/m", "one/b"]


@pytest.mark.parametrize("name", ["a", "prod-2", "team@home", "v1.2", "a+b", "_x", "größe", "团队"])
def test_a_name_may_have_letters_of_any_script_digits_and_some_punctuation(written, name):
    assert only(written(f'{GATEWAY}scopes."{name}" = {{}}\n')).name == f"one/{name}"


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
            "modelwatch.toml:1: databse: is not a known key here: use one of database,",
        ),
        (f"{GATEWAY}scopes.a = {{ kye = 'env:A' }}\n", "gateways.one.scopes.a.kye: is not a known key here"),
        (
            f"{GATEWAY}scopes.a = {{ timeout = 3 }}\n",
            "gateways.one.scopes.a.timeout: is not a known key here",
        ),
        (
            f'{GATEWAY}dialect = "klingon"\n',
            "gateways.one.dialect: 'klingon' is not known: use auto, or one of",
        ),
        (f"{SCOPED}[[", "modelwatch.toml: is not valid TOML"),
        (f"{SCOPED}scopes.public = {{}}\n", "is not valid TOML"),
        (f'database = ""\n{SCOPED}', "modelwatch.toml:1: database: must be a text in quotes"),
        (f"reports = 7\n{SCOPED}", "modelwatch.toml:1: reports: must be a text in quotes"),
        (f'{GATEWAY}scopes."a/b" = {{}}\n', "the name may have letters, digits and"),
        (f'{GATEWAY}scopes."" = {{}}\n', "the name may have letters, digits and"),
        ('[gateways."-x"]\nurl = "https://h.example"\n', "the name may have letters, digits and"),
    ],
)
def test_an_error_names_file_line_key_and_cure(rejected, text, expected):
    assert expected in rejected(text)


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        ('key = "env:A", cookie = "env:B"', "has key and cookie: use one of them, or make two scopes"),
        ('access_token = "env:A"', "access_token: needs `user_id` beside it: the number of the user"),
        ('access_token = "env:A", user_id = true', "needs `user_id` beside it"),
        ('access_token = "env:A", user_id = {}', "needs `user_id` beside it"),
        ("user_id = 3", "user_id: needs access_token beside it"),
        ('username = "me"', "username: needs password beside it"),
        ('password = "env:A"', "password: needs username beside it"),
        ('username = "", password = "env:A"', "username: must be a text in quotes"),
        ('key = "env:A", group = 3', "group: must be a text in quotes"),
        ('key = "env:"', "key must be a reference to the secret"),
        ("key = 3", "key must be a reference to the secret"),
        ('key = ["env:A"]', "key must be a reference to the secret"),
        ('key = ""', "key must be a reference to the secret"),
        ('key = "ENV:A"', "key must be a reference to the secret"),
        ('key = " env:A"', "key must be a reference to the secret"),
    ],
)
def test_an_invalid_scope_is_rejected_with_its_line_and_cure(rejected, scope, expected):
    message = rejected(f"{GATEWAY}scopes.a = {{ {scope} }}\n")
    assert message.startswith("modelwatch.toml:3: gateways.one.scopes.a")
    assert expected in message


@pytest.mark.parametrize(
    "user",
    [
        "1 2",
        "1\n2",
        "1\r\nX-Evil: 1",
        "",
        "é",
    ],
)
def test_a_user_id_that_no_header_can_carry_is_rejected(rejected, user):
    escaped = "".join(f"\\u{ord(character):04x}" for character in user)
    assert "user_id" in rejected(f'{GATEWAY}scopes.a = {{ access_token = "env:A", user_id = "{escaped}" }}\n')


@pytest.mark.parametrize(
    "url",
    [
        "",
        "gateway.example",
        "ftp://gateway.example",
        "https://",
        "https:///v1",
        "http://[::1",
        "https://gateway.example:99999",
        "https://gateway.example:0",
        "https://gateway.example:port",
        "https://gateway .example",
        "https://gateway.example/a\\nb",
        "https://gateway\\u0000.example",
    ],
)
def test_a_url_must_be_a_web_address(rejected, url):
    assert rejected(f'[gateways.one]\nurl = "{url}"\nscopes.a = {{}}\n').startswith(
        "modelwatch.toml:2: gateways.one.url: "
    )


@pytest.mark.parametrize(
    "url",
    [
        f"https://me:{SECRET}@gateway.example",
        f"https://{SECRET}@gateway.example",
        f"https://gateway.example/v1?key={SECRET}",
        f"https://gateway.example/#{SECRET}",
    ],
)
def test_a_secret_in_a_url_is_rejected_and_not_shown(rejected, url):
    message = rejected(f'[gateways.one]\nurl = "{url}"\nscopes.a = {{}}\n')
    assert message.startswith("modelwatch.toml:2: gateways.one.url: must have no user")
    assert SECRET not in message


@pytest.mark.parametrize("way", ["key", "cookie", "access_token", "password"])
def test_a_literal_secret_is_rejected_and_not_shown(rejected, way):
    beside = {"access_token": "user_id = 1, ", "password": 'username = "me", '}.get(way, "")
    text = f'# {way}\n{GATEWAY}\n[gateways.one.scopes]\nok = {{}}\nprod = {{ {beside}{way} = "{SECRET}" }}\n'
    message = rejected(text)
    assert message.startswith(f"modelwatch.toml:7: gateways.one.scopes.prod.{way}: ")
    assert 'write "env:NAME", "file:PATH" or "command:PROGRAM ARGUMENTS"' in message
    assert SECRET[3:9] not in message


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


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ('timeout = "3"', "must be a number, such as 30"),
        ("timeout = true", "must be a number"),
        ("timeout = nan", "must be a number"),
        ("timeout = inf", "must be a number"),
        ("timeout = 0", "must be more than 0"),
        ("timeout = -1", "must be more than 0"),
        ("attempts = 0", "must be more than 0"),
        ("attempts = 1.5", "must be a whole number"),
        ("attempts = inf", "must be a number"),
        ("concurrency = 0", "must be more than 0"),
        ("max_body = 0", "must be more than 0"),
        ("backoff = -1", "must be more than 0"),
        ("confirm = 0", "must be more than 0"),
        ("floor = -1", "must be more than 0"),
        ("floor = 0.5", "must be a whole number"),
        ("max_loss = 25", "is a share: write 0.25 for a quarter"),
    ],
)
def test_a_number_out_of_range_is_rejected(rejected, setting, expected):
    message = rejected(f"{SCOPED}{setting}\n")
    assert message.startswith(f"modelwatch.toml:4: gateways.one.{setting.split()[0]}: ")
    assert expected in message


@pytest.mark.parametrize("deadline", ["0", "-1", "inf", "nan", '"10"', "true"])
def test_a_deadline_must_be_a_positive_number(rejected, deadline):
    assert rejected(f"deadline = {deadline}\n{SCOPED}").startswith("modelwatch.toml:1: deadline: must be")


@pytest.mark.parametrize("setting", ["backoff", "max_wait", "max_loss", "floor"])
def test_pauses_loss_and_floor_may_be_zero(written, setting):
    assert only(written(f"{SCOPED}{setting} = 0\n"))


def test_a_scope_in_the_config_and_the_keys_file_is_rejected(rejected):
    text = f'{GATEWAY}keys = "keys.csv"\nscopes.prod = {{ key = "env:A" }}\n'
    message = rejected(text, keys="name,key\nprod,env:B\n")
    assert message.startswith("modelwatch.toml:1: gateways.one: has 2 scopes named one/prod")
    assert "its own name" in message


def test_scopes_of_different_gateways_may_share_a_name(written):
    config = written(f"{SCOPED}\n[gateways.two]\nurl = 'https://h.example'\nscopes.public = {{}}\n")
    assert [scope.name for scope in config.scopes] == ["one/public", "two/public"]


def test_each_line_of_a_keys_file_is_a_scope(written, tmp_path):
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "keys.csv").write_text(
        'name,key,group\n\n a , env:A , vip \nb,"command:pass show b, c",\n,,\nc,file:c,"two words"\n'
    )
    config = written(f'{GATEWAY}keys = "lists/keys.csv"\n')
    assert [(scope.name, scope.credential, scope.group) for scope in config.scopes] == [
        ("one/a", Key("env:A"), "vip"),
        ("one/b", Key("command:pass show b, c"), None),
        ("one/c", Key("file:c"), "two words"),
    ]


def test_a_keys_file_needs_no_groups(written):
    config = written(f'{GATEWAY}keys = "keys.csv"\n', keys="name,key\na,env:A\n")
    assert only(config).group is None


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("", "keys.csv:1: must begin with the line `name,key,group`"),
        ("a,env:A,vip\n", "keys.csv:1: must begin with the line `name,key,group`"),
        ("name;key;group\na;env:A;vip\n", "keys.csv:1: must begin with the line `name,key,group`"),
        (f"name,key\na,env:A\n\nb,{SECRET}\n", "keys.csv:4: the key must be a reference to the secret"),
        (f"name,key\n{SECRET}\n", "keys.csv:2: the key must be a reference to the secret"),
        ("name,key\na,\n", "keys.csv:2: the key must be a reference to the secret"),
        ("name,key,group\na/b,env:A,\n", "keys.csv:2: the name may have letters, digits and"),
        ("name,key,group\n,env:A,\n", "keys.csv:2: the name may have letters, digits and"),
        ("name,key\na,env:A,vip\n", "keys.csv:2: has 3 cells where the header has 2"),
        (f"name,key,group\na,env:A,vip,{SECRET}\n", "keys.csv:2: has 4 cells where the header has 3"),
    ],
)
def test_an_error_in_a_keys_file_names_the_line_and_shows_no_key(rejected, keys, expected):
    message = rejected(f'{GATEWAY}keys = "keys.csv"\n', keys=keys)
    assert expected in message
    assert SECRET[3:9] not in message


def test_a_keys_file_with_an_oversized_cell_is_rejected(rejected):
    assert "keys.csv" in rejected(f'{GATEWAY}keys = "keys.csv"\n', keys=f'name,key\na,"{"x" * 200_000}"\n')


@pytest.mark.parametrize("name", ["absent.csv", "."])
def test_a_keys_file_that_cannot_be_read_is_named(rejected, name):
    assert re.search(
        r"cannot be read: (No such file|Is a directory)", rejected(f'{GATEWAY}keys = "{name}"\n')
    )


def test_a_keys_file_that_is_not_utf_8_is_named(rejected, tmp_path):
    (tmp_path / "old.csv").write_bytes(b"name,key\ngr\xf6sse,env:A\n")
    assert "old.csv: is not UTF-8" in rejected(f'{GATEWAY}keys = "old.csv"\n')


@pytest.mark.parametrize(
    "command", ["run", "sync", "check", "report", "changes", "models", "scopes", "status"]
)
def test_every_command_reports_an_error_in_one_line_and_creates_nothing(tmp_path, command):
    job = Job(tmp_path / "home")
    job.configure(f'{GATEWAY}scopes.a = {{ key = "{SECRET}" }}\n')
    said = one_line(job.quick(command), 78, f"{job.config}:3: gateways.one.scopes.a.key: ", "env:NAME")
    assert SECRET not in said
    assert list(job.home.iterdir()) == [job.config]


def test_a_missing_config_names_the_command_that_writes_one(tmp_path):
    one_line(Job(tmp_path).quick("run"), 78, "modelwatch.toml: there is no config yet", "`modelwatch init`")


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
        assert config.scopes


def test_the_readme_names_every_setting_with_its_default():
    text = (ROOT / "data" / "README.md").read_text("utf-8")
    shown = dict(re.findall(r"^\| `(\w+)` \| ([\d.]+) \|", text, re.MULTILINE))
    real = {name: getattr(kind(), name) for kind in (Limits, Thresholds) for name in kind.__slots__}
    assert {name: float(value) for name, value in shown.items()} == {**real, "deadline": 600.0}


def test_init_writes_a_valid_config_and_overwrites_none(tmp_path):
    job = Job(tmp_path / "new" / "home")
    assert job.quick("init", "--url", "https://gateway.example/v1", "--name", "mine").code == 0
    assert only(load(job.config)).name == "mine/public"
    before = job.config.read_bytes()
    one_line(job.quick("init"), 78, "is there already", "--force")
    assert job.config.read_bytes() == before
    assert job.quick("init", "--force").code == 0
    assert only(load(job.config)).name == "aihubmix/public"


def test_the_commented_settings_of_init_are_valid_and_the_defaults(tmp_path):
    job = Job(tmp_path)
    job.quick("init", "--name", "mine")
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
    assert SECRET not in one_line(job.quick("init", *option), 78)
    assert not job.config.exists()
