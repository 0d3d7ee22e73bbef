"""Gateways, scopes, credentials and keys files in the config."""

import re

import pytest
from support.configs import GATEWAY, SCOPED, SECRET, only

from pipeline.core.types import AccessToken, Cookie, Key, Limits, Login, Thresholds


def test_each_way_to_authenticate_is_a_credential(written):
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


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        ('key = "env:A", cookie = "env:B"', "has key and cookie: use one of them, or make two scopes"),
        ('access_token = "env:A"', "access_token: needs `user_id` beside it: the number of the user"),
        ('access_token = "env:A", user_id = true', "user_id: must be the number of the user"),
        ('access_token = "env:A", user_id = {}', "user_id: must be the number of the user"),
        ("user_id = 3", "user_id: needs access_token, cookie, or username and password beside it"),
        ('login_path = "/x", key = "env:A"', "login_path: needs password beside it"),
        (
            'username = "me", password = "env:A", login_path = "https://x.example"',
            "login_path: is not a path below the gateway: write e.g.",
        ),
        ('cookie = "env:A", user_id = true', "user_id: must be the number of the user, such as 17"),
        ('username = "me"', "username: needs password beside it"),
        ('password = "env:A"', "password: needs username beside it"),
        ('username = "", password = "env:A"', "username: is empty: write a value, or remove the line"),
        ('key = "env:A", group = 3', "group: must be a text in quotes"),
        ('key = "env:"', "a.key: must be a reference to the secret"),
        ("key = 3", "a.key: must be a reference to the secret"),
        ('key = ["env:A"]', "a.key: must be a reference to the secret"),
        ('key = ""', "a.key: must be a reference to the secret"),
        ('key = "sk:12345678"', "a.key: must be a reference to the secret"),
        ('key = "fil:basic.key"', "a.key: 'fil:' is not a reference: use env:, file: or command:"),
        ('key = "ENV:A"', "a.key: 'ENV:' is not a reference: use env:, file: or command:"),
        ('key = " env:A"', "a.key: ' env:' is not a reference: use env:, file: or command:"),
    ],
)
def test_an_invalid_scope_is_rejected_with_its_line_and_cure(rejected, scope, expected):
    message = rejected(f"{GATEWAY}scopes.a = {{ {scope} }}\n")
    assert message.startswith("modelwatch.toml:3: gateways.one.scopes.a")
    assert expected in message


@pytest.mark.parametrize(
    "user",
    ["1 2", "1\n2", "1\r\nX-Evil: 1", "", "é"],
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
        ("attempts = inf", "must be a whole number, such as 4"),
        ("concurrency = 0", "must be more than 0"),
        ("max_body = 0", "must be more than 0"),
        ("backoff = -1", "must be 0 or more"),
        ("confirm = 0", "must be more than 0"),
        ("floor = -1", "must be 0 or more"),
        ("floor = 0.5", "must be a whole number"),
        ("max_loss = 25", "is a share, from 0 to 1: write 0.25 for a quarter"),
        ("confirm_after = -1", "must be 0 or more"),
        ('confirm_after = "soon"', "'soon' is no duration: write 30m, 2h or 1d, or a number of seconds"),
        ('empty_after = "2 h"', "is no duration"),
        ('confirm_after = "-2h"', "is no duration"),
        ("empty_after = true", 'must be a number or a text in quotes, such as "6h"'),
    ],
)
def test_a_number_out_of_range_is_rejected(rejected, setting, expected):
    message = rejected(f"{SCOPED}{setting}\n")
    assert message.startswith(f"modelwatch.toml:4: gateways.one.{setting.split()[0]}: ")
    assert expected in message


@pytest.mark.parametrize(
    "setting", ["backoff", "max_wait", "max_loss", "floor", "confirm_after", "empty_after"]
)
def test_pauses_loss_and_floor_may_be_zero(written, setting):
    assert only(written(f"{SCOPED}{setting} = 0\n"))


@pytest.mark.parametrize(
    ("text", "seconds"), [('"0"', 0), ("0", 0), ('"90s"', 90), ('"30m"', 1800), ('"2h"', 7200), ("5.5", 5.5)]
)
def test_times_of_confirmation_are_durations_or_seconds(written, text, seconds):
    config = written(
        f"{GATEWAY}confirm_after = {text}\nscopes.a = {{}}\n"
        f"scopes.b = {{ confirm_after = 1, empty_after = {text} }}\n"
    )
    assert [scope.thresholds for scope in config.scopes] == [
        Thresholds(confirm_after=seconds),
        Thresholds(confirm_after=1, empty_after=seconds),
    ]


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
        (f"name,key\na,env:A\n\nb,{SECRET}\n", "keys.csv:4: the key: must be a reference to the secret"),
        (f"name,key\n{SECRET}\n", "keys.csv:2: the key: must be a reference to the secret"),
        ("name,key\na,\n", "keys.csv:2: the key: must be a reference to the secret"),
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


def test_a_file_of_the_keys_themselves_is_one_error_that_says_how_to_use_it(rejected):
    keys = f"name,key\na,{SECRET}\nb,{SECRET}-2\n"
    message = rejected(f'{GATEWAY}keys = "keys.csv"\n', keys=keys)
    cure = 'has no references but other texts: if they are the keys, write "file:keys.csv"'
    assert message == f"modelwatch.toml:3: gateways.one.keys: {cure}"
    mixed = rejected(f'{GATEWAY}keys = "keys.csv"\n', keys=f"{keys}c,env:C\n")
    assert [line.partition(": ")[0] for line in mixed.splitlines()] == ["keys.csv:2", "keys.csv:3"]


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


def test_what_an_answer_means_is_set_per_gateway(written):
    text = f'{SCOPED}complete = true\nsuccess = {{ code = 0, "meta.state" = "fine", ok = true, n = 0.5 }}\n'
    own = only(written(text)).gateway.overrides
    assert own.complete is True
    assert own.success == (("code", 0), ("meta.state", "fine"), ("ok", True), ("n", 0.5))
    plain = only(written(SCOPED)).gateway.overrides
    assert (plain.complete, plain.success) == (False, ())


def test_pages_may_be_counted_by_their_total(written):
    paging = only(
        written(f'{SCOPED}paging = {{ param = "page", total = "meta.count" }}\n')
    ).gateway.overrides.paging
    assert paging == (("param", "page"), ("total", "meta.count"))


@pytest.mark.parametrize(
    ("setting", "key", "expected"),
    [
        ('complete = "yes"', "complete", "must be true or false"),
        ("success = true", "success", "must be a table"),
        ("success = { code = [] }", "success.code", "must be a text, a number, true or false"),
        ("success = { code = nan }", "success.code", "must be a text, a number, true or false"),
        ('success = { "a..b" = 0 }', "success.a..b", "'a..b' is no path"),
        ('paging = { param = "page" }', "paging", "needs `next`"),
        ('paging = { param = "p", pages = "n", first = 2 }', "paging.first", "the first page, 0 or 1, where"),
        (
            'paging = { param = "p", pages = "n", first = true }',
            "paging.first",
            "the first page, 0 or 1, where",
        ),
        (
            'paging = { param = "p", next = "n", first = 0 }',
            "paging.first",
            "where `pages` or `total` counts",
        ),
        ('paging = { next = "next" }', "paging", "needs `param`"),
    ],
)
def test_a_setting_of_what_an_answer_means_is_rejected_with_its_cure(rejected, setting, key, expected):
    message = rejected(f"{SCOPED}{setting}\n")
    assert message.startswith(f"modelwatch.toml:4: gateways.one.{key}: ")
    assert expected in message
