"""The config: what it may say, what it means, and how every mistake in it is told."""

import re
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
    """Write a config, and read it."""

    def written(text, **files):
        for name, content in files.items():
            (tmp_path / f"{name}.csv").write_text(content, "utf-8")
        path = tmp_path / "modelwatch.toml"
        path.write_text(text, "utf-8")
        return load(path)

    return written


@pytest.fixture
def mistaken(written):
    """Write a config that cannot be used; give what is said of it, its directory left out."""

    def mistaken(text, **files):
        with pytest.raises(ConfigError) as caught:
            written(text, **files)
        assert caught.value.exit_code == 78
        return caught.value.message.replace(f"{caught.value.where.rpartition('/')[0]}/", "")

    return mistaken


def only(config):
    """Give the only scope of a config."""
    (scope,) = config.scopes
    return scope


def test_the_least_config_asks_as_nobody(written, tmp_path):
    """A url and one empty scope are enough; everything else has a default."""
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
    """A key, a cookie, an access token with its user, a login: each is what it says."""
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


def test_the_settings_of_a_gateway_hold_for_its_scopes(written):
    """Thresholds are the gateway's unless a scope has its own; another gateway has the defaults."""
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


def test_scopes_stay_in_the_order_of_the_file(written):
    """First those of the config, then those of the keys file, gateway by gateway."""
    config = written(
        f'{GATEWAY}keys = "keys.csv"\nscopes.z = {{}}\nscopes.a = {{}}\n',
        keys="name,key,group\nm,env:M,vip\nb,env:B,\n",
    )
    assert [scope.name for scope in config.scopes] == ["one/z", "one/a", "one/m", "one/b"]


@pytest.mark.parametrize("name", ["a", "prod-2", "team@home", "v1.2", "a+b", "_x", "größe", "团队"])
def test_a_name_may_be_of_letters_digits_and_a_few_signs(written, name):
    """Names stand in `gateway/scope` and on the command line, and people's own letters are letters."""
    assert only(written(f'{GATEWAY}scopes."{name}" = {{}}\n')).name == f"one/{name}"


def test_paths_are_relative_to_the_config(written, tmp_path):
    """Not to wherever the command is started; absolute ones and `~` are what they are."""
    config = written(f'database = "db/history.db"\nreports = "/var/reports"\n{SCOPED}')
    assert config.database == tmp_path / "db" / "history.db"
    assert config.reports == Path("/var/reports")
    assert written(f'reports = "~/reports"\n{SCOPED}').reports == Path.home() / "reports"


def test_a_relative_config_gives_absolute_paths(written, tmp_path, monkeypatch):
    """Whatever the command does next, its files stay where they are."""
    written(SCOPED)
    monkeypatch.chdir(tmp_path)
    config = load(Path("modelwatch.toml"))
    assert config.database == tmp_path / "modelwatch.db"
    assert config.path == tmp_path / "modelwatch.toml"


def test_a_byte_order_mark_is_put_up_with(written):
    """Editors on Windows write one, into either file."""
    config = written(f'\ufeff{GATEWAY}keys = "keys.csv"\n', keys="\ufeffname,key\r\nprod,env:PROD\r\n")
    assert only(config).credential == Key("env:PROD")


@pytest.mark.parametrize(
    ("text", "told"),
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
def test_a_mistake_is_named_with_its_place_and_its_cure(mistaken, text, told):
    """File, line and key, and what to write instead."""
    assert told in mistaken(text)


@pytest.mark.parametrize(
    ("scope", "told"),
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
def test_a_scope_that_cannot_ask_is_told(mistaken, scope, told):
    """Its line, its key and the cure."""
    message = mistaken(f"{GATEWAY}scopes.a = {{ {scope} }}\n")
    assert message.startswith("modelwatch.toml:3: gateways.one.scopes.a")
    assert told in message


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
def test_a_user_id_is_one_that_a_header_can_carry(mistaken, user):
    """What no HTTP header can carry would otherwise end the run when it is sent."""
    escaped = "".join(f"\\u{ord(letter):04x}" for letter in user)
    assert "user_id" in mistaken(f'{GATEWAY}scopes.a = {{ access_token = "env:A", user_id = "{escaped}" }}\n')


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
def test_a_url_must_be_a_web_address(mistaken, url):
    """A gateway that cannot be asked is told before anything is asked."""
    assert mistaken(f'[gateways.one]\nurl = "{url}"\nscopes.a = {{}}\n').startswith(
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
def test_a_secret_in_a_url_is_refused_and_not_shown(mistaken, url):
    """An address is stored and shown everywhere, so nothing secret may be part of it."""
    message = mistaken(f'[gateways.one]\nurl = "{url}"\nscopes.a = {{}}\n')
    assert message.startswith("modelwatch.toml:2: gateways.one.url: must have no user")
    assert SECRET not in message


@pytest.mark.parametrize("way", ["key", "cookie", "access_token", "password"])
def test_a_literal_secret_is_refused_and_not_shown(mistaken, way):
    """The line and the cure are told, and nothing of the secret itself."""
    beside = {"access_token": "user_id = 1, ", "password": 'username = "me", '}.get(way, "")
    text = f'# {way}\n{GATEWAY}\n[gateways.one.scopes]\nok = {{}}\nprod = {{ {beside}{way} = "{SECRET}" }}\n'
    message = mistaken(text)
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
def test_text_that_is_no_toml_is_not_shown(mistaken, text):
    """A missing quote must not bring the key after it onto the screen."""
    message = mistaken(text)
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
def test_the_line_is_the_right_one_however_the_file_is_written(mistaken, text, line):
    """In tables, dotted keys or inline, among keys and comments of the same name."""
    assert mistaken(text).startswith(f"modelwatch.toml:{line}: ")


@pytest.mark.parametrize(
    ("setting", "told"),
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
def test_a_setting_must_make_sense(mistaken, setting, told):
    """Numbers that would never work are refused with one that does."""
    message = mistaken(f"{SCOPED}{setting}\n")
    assert message.startswith(f"modelwatch.toml:4: gateways.one.{setting.split()[0]}: ")
    assert told in message


@pytest.mark.parametrize("deadline", ["0", "-1", "inf", "nan", '"10"', "true"])
def test_a_deadline_must_make_sense(mistaken, deadline):
    """A run that may take no time at all would fail every scope."""
    assert mistaken(f"deadline = {deadline}\n{SCOPED}").startswith("modelwatch.toml:1: deadline: must be")


@pytest.mark.parametrize("setting", ["backoff", "max_wait", "max_loss", "floor"])
def test_a_setting_that_may_be_zero_may_be_zero(written, setting):
    """No pauses, no waiting, no loss and no floor are sensible wishes."""
    assert only(written(f"{SCOPED}{setting} = 0\n"))


def test_a_scope_that_is_named_twice_is_told(mistaken):
    """Once in the config and once in the keys file: one of them would be lost."""
    text = f'{GATEWAY}keys = "keys.csv"\nscopes.prod = {{ key = "env:A" }}\n'
    message = mistaken(text, keys="name,key\nprod,env:B\n")
    assert message.startswith("modelwatch.toml:1: gateways.one: has 2 scopes named one/prod")
    assert "its own name" in message


def test_scopes_of_different_gateways_may_have_one_name(written):
    """`one/prod` and `two/prod` are two scopes."""
    config = written(f"{SCOPED}\n[gateways.two]\nurl = 'https://h.example'\nscopes.public = {{}}\n")
    assert [scope.name for scope in config.scopes] == ["one/public", "two/public"]


def test_a_keys_file_gives_a_scope_a_line(written, tmp_path):
    """Name, reference and group; blank lines and spaces around cells mean nothing."""
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
    """The header may be `name,key` alone."""
    config = written(f'{GATEWAY}keys = "keys.csv"\n', keys="name,key\na,env:A\n")
    assert only(config).group is None


@pytest.mark.parametrize(
    ("keys", "told"),
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
def test_a_mistake_in_a_keys_file_is_named_with_its_line(mistaken, keys, told):
    """The file, the line and the cure; never a key."""
    message = mistaken(f'{GATEWAY}keys = "keys.csv"\n', keys=keys)
    assert told in message
    assert SECRET[3:9] not in message


def test_a_keys_file_that_is_none_is_told_in_words(mistaken):
    """A file of one endless line is no list of keys."""
    assert "keys.csv" in mistaken(f'{GATEWAY}keys = "keys.csv"\n', keys=f'name,key\na,"{"x" * 200_000}"\n')


@pytest.mark.parametrize("name", ["absent.csv", "."])
def test_a_keys_file_that_cannot_be_read_is_named(mistaken, name):
    """Which file, and why."""
    assert re.search(
        r"cannot be read: (No such file|Is a directory)", mistaken(f'{GATEWAY}keys = "{name}"\n')
    )


def test_a_keys_file_of_another_encoding_is_named(mistaken, tmp_path):
    """Bytes that are no UTF-8 are told with the file's name."""
    (tmp_path / "old.csv").write_bytes(b"name,key\ngr\xf6sse,env:A\n")
    assert "old.csv: is not UTF-8" in mistaken(f'{GATEWAY}keys = "old.csv"\n')


@pytest.mark.parametrize(
    "command", ["run", "sync", "check", "report", "changes", "models", "scopes", "status"]
)
def test_every_command_tells_a_mistake_the_same_way(tmp_path, command):
    """One line on stderr, exit 78, and nothing is made."""
    job = Job(tmp_path / "home")
    job.configure(f'{GATEWAY}scopes.a = {{ key = "{SECRET}" }}\n')
    said = one_line(job.quick(command), 78, f"{job.config}:3: gateways.one.scopes.a.key: ", "env:NAME")
    assert SECRET not in said
    assert list(job.home.iterdir()) == [job.config]


def test_a_config_that_is_not_there_is_told_with_its_cure(tmp_path):
    """The command to write one is named."""
    one_line(Job(tmp_path).quick("run"), 78, "modelwatch.toml: there is no config yet", "`modelwatch init`")


def test_a_config_that_is_no_text_is_told(tmp_path):
    """Neither another encoding nor a directory is a config."""
    job = Job(tmp_path)
    job.config.write_bytes(b"# gr\xf6sse\n")
    one_line(job.quick("run"), 78, "is not UTF-8: save it as UTF-8")
    job.config.unlink()
    job.config.mkdir()
    one_line(job.quick("run"), 78, "cannot be read: Is a directory")


def test_the_config_may_be_anywhere(tmp_path):
    """`--config` names the file; its database and reports are beside it."""
    elsewhere = Job(tmp_path / "elsewhere")
    elsewhere.configure(SCOPED)
    done = Job(tmp_path / "home").quick("status", "--config", str(elsewhere.config))
    one_line(done, 74, f"{elsewhere.database}: there is no database yet")


def test_the_home_may_come_from_the_environment(tmp_path):
    """`MODELWATCH_HOME` stands for `--home`."""
    job = Job(tmp_path / "home", {"MODELWATCH_HOME": str(tmp_path / "home")})
    job.configure(SCOPED)
    one_line(job.quick("status", home=False), 74, f"{job.database}: there is no database yet")


def examples():
    """Give the TOML examples of the documentation."""
    text = (ROOT / "README.md").read_text("utf-8")
    return re.findall(r"^```toml\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def test_the_examples_of_the_readme_are_good(written):
    """Every config that the documentation shows can be used as it stands."""
    assert examples()
    for example in examples():
        config = written(example, keys="name,key,group\na,env:A,vip\n")
        assert config.scopes


def test_the_readme_names_every_setting_with_its_default():
    """The tables of settings are what the program does."""
    text = (ROOT / "README.md").read_text("utf-8")
    shown = dict(re.findall(r"^\| `(\w+)` \| ([\d.]+) \|", text, re.MULTILINE))
    real = {name: getattr(kind(), name) for kind in (Limits, Thresholds) for name in kind.__slots__}
    assert {name: float(value) for name, value in shown.items()} == {**real, "deadline": 600.0}


def test_init_writes_a_config_that_can_be_used(tmp_path):
    """Its default asks one gateway as nobody; a second `init` does not write over it."""
    job = Job(tmp_path / "new" / "home")
    assert job.quick("init", "--url", "https://gateway.example/v1", "--name", "mine").code == 0
    assert only(load(job.config)).name == "mine/public"
    before = job.config.read_bytes()
    one_line(job.quick("init"), 78, "is there already", "--force")
    assert job.config.read_bytes() == before
    assert job.quick("init", "--force").code == 0
    assert only(load(job.config)).name == "aihubmix/public"


def test_init_writes_examples_that_can_be_used(tmp_path):
    """Each line that is commented out can be taken in, and says what is the default anyway."""
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
def test_init_refuses_what_could_not_be_used(tmp_path, option):
    """Nothing is written that the next command would refuse."""
    job = Job(tmp_path)
    assert SECRET not in one_line(job.quick("init", *option), 78)
    assert not job.config.exists()
