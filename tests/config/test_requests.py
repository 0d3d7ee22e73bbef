"""The settings of requests: what is rejected when the config is read, with its line and without a secret."""

import pytest
from support.configs import GATEWAY, SCOPED, SECRET, only

REJECTED = [
    ('headers = { Host = "a" }', "headers.Host", "is set by modelwatch: remove it"),
    ('headers = { "content-length" = "3" }', "headers.content-length", "is set by modelwatch"),
    ('headers = { "Transfer-Encoding" = "x" }', "headers.Transfer-Encoding", "is set by modelwatch"),
    ('headers = { "If-None-Match" = "x" }', "headers.If-None-Match", "is set by modelwatch"),
    ('headers = { "X-A" = "a\\r\\nX-B: b" }', "headers.X-A", "characters that no HTTP header can carry"),
    ('headers = { "X-A" = "é" }', "headers.X-A", "characters that no HTTP header can carry"),
    ('headers = { "X A" = "a" }', "headers.X A", "is no name of a header"),
    ('headers = { "X-A: b\\r\\nX-B" = "a" }', "headers.X-A: b\\u000d\\u000aX-B", "is no name of a header"),
    ('headers = { "" = "a" }', "headers.", "is no name of a header"),
    ('headers = { X-A = "a", x-a = "b" }', "headers.x-a", "is the same header as another line"),
    ('headers = { X-A = "" }', "headers.X-A", "is empty"),
    ('headers = { X-A = ["a"] }', "headers.X-A", "must be a text in quotes"),
    ('headers = "X-A: a"', "headers", "must be a table"),
    (f'headers = {{ x-api-key = "{SECRET}" }}', "headers.x-api-key", "must be a reference to the secret"),
    (f'headers = {{ X-A = "{SECRET}" }}', "headers.X-A", "must be a reference to the secret"),
    (f'headers = {{ Authorization = "Bearer {SECRET}" }}', "headers.Authorization", "must be a reference"),
    ('headers = { Cookie = "a=b" }', "headers.Cookie", "must be a reference"),
    (f'params = {{ api_key = "{SECRET}" }}', "params.api_key", "must be a reference to the secret"),
    (f'params = {{ q = "{SECRET}" }}', "params.q", "must be a reference to the secret"),
    ('params = { key = "abc" }', "params.key", "must be a reference to the secret"),
    ("params = { n = 1.5 }", "params.n", "must be a text in quotes"),
    (f'path = "/models?key={SECRET}"', "path", "has a secret at 'key': set `key_param`, or `params`"),
    ('path = "https://other.example/models"', "path", "is below `url`: write e.g. `/catalog/models`"),
    ('path = "/models#all"', "path", "must have no space and no `#…`"),
    ('path = "/models\\r\\nX-A: b"', "path", "must have no space and no `#…`"),
    ('key_header = "x api key"', "key_header", "is no name of a header"),
    ('key_header = "Host"', "key_header", "is set by modelwatch: use another header"),
    ('key_scheme = "Token token="', "key_scheme", "must be one word"),
    ('key_scheme = "a\\r\\nb"', "key_scheme", "must be one word"),
    (
        'key_param = "key"\nkey_header = "x-key"',
        "key_param",
        "puts the key into the query: remove key_header",
    ),
    ('key_param = "key"\nkey_scheme = "raw"', "key_param", "puts the key into the query: remove key_scheme"),
    ('method = "PUT"', "method", '\'PUT\' is not known: use one of "GET", "POST"'),
    ("body = { a = 1 }", "body", 'needs `method = "POST"` beside it'),
    ('method = "POST"\nbody = { a = 2026-01-01 }', "body", "has a date, which JSON has not"),
    ('method = "POST"\nbody = { a = [nan] }', "body", "has a number that JSON has not"),
    ('method = "POST"\nbody = { a = "env:A" }', "body", "can hold no secret: write it to `headers` or"),
]


@pytest.mark.parametrize(("setting", "key", "expected"), REJECTED)
def test_a_setting_of_requests_is_rejected_with_its_line_and_cure(rejected, setting, key, expected):
    line = 4 if "\n" not in setting or key != "body" else 5
    message = rejected(f"{SCOPED}{setting}\n")
    assert message.startswith(f"modelwatch.toml:{line}: gateways.one.{key}: ")
    assert expected in message
    assert SECRET[3:9] not in message


@pytest.mark.parametrize(
    ("scope", "header"),
    [
        ('key = "env:A"', "Authorization"),
        ('key = "env:A", key_header = "x-a"', "X-A"),
        ('cookie = "env:A"', "Cookie"),
        ('access_token = "env:A", user_id = 1', "Authorization"),
        ('access_token = "env:A", user_id = 1', "New-Api-User"),
        ('username = "a", password = "env:A"', "cookie"),
    ],
)
def test_a_header_that_the_credential_of_a_scope_sets_is_rejected(rejected, scope, header):
    expected = f"the credential of this scope sets the header {header}: remove it from `headers`"
    own = f'{GATEWAY}scopes.a = {{ {scope}, headers = {{ "{header}" = "env:B" }} }}\n'
    assert rejected(own) == f"modelwatch.toml:3: gateways.one.scopes.a: {expected}"
    common = f'{GATEWAY}headers = {{ "{header}" = "env:B" }}\nscopes.a = {{ {scope} }}\n'
    assert rejected(common) == f"modelwatch.toml:4: gateways.one.scopes.a: {expected}"


def test_a_header_that_the_keys_of_a_file_set_is_rejected(rejected):
    text = f'{GATEWAY}headers = {{ Authorization = "env:B" }}\nkeys = "keys.csv"\n'
    assert "sets the header Authorization" in rejected(text, keys="name,key\na,env:A\n")


@pytest.mark.parametrize(
    ("settings", "scope"),
    [
        ('headers = { Authorization = "env:A" }', "{}"),
        ('headers = { Authorization = "env:A" }', '{ key = "env:K", key_header = "x-key" }'),
        ('headers = { Authorization = "env:A" }', '{ key = "env:K", key_param = "key" }'),
        ('dialect = "anthropic"\nheaders = { Authorization = "env:A" }', '{ key = "env:K" }'),
    ],
)
def test_a_header_that_no_credential_sets_may_carry_a_secret(written, settings, scope):
    gateway = only(written(f"{GATEWAY}{settings}\nscopes.a = {scope}\n")).gateway
    assert gateway.overrides.headers == (("Authorization", "env:A"),)


def test_a_scope_may_put_its_key_elsewhere_and_ask_otherwise(written):
    config = written(
        f'{GATEWAY}key_header = "x-key"\nmethod = "POST"\nbody = {{ a = 1 }}\npath = "/a"\n'
        'scopes.a = { key_param = "key", path = "/b" }\nscopes.b = { method = "GET", key_scheme = "Token" }\n'
        'scopes.c = { key_header = "y-key" }\n'
    )
    a, b, c = (scope.gateway.overrides for scope in config.scopes)
    assert (a.key_header, a.key_param, a.path, a.body) == (None, "key", "/b", '{"a":1}')
    assert (b.key_header, b.key_scheme, b.path, b.body) == ("x-key", "Token", "/a", None)
    assert (c.key_header, c.key_scheme, c.path, c.body) == ("y-key", None, "/a", '{"a":1}')


def test_a_scope_keeps_the_scheme_of_its_gateway_in_another_header_and_leaves_its_parameter(written):
    config = written(f'{GATEWAY}key_scheme = "Token"\nscopes.a = {{ key_header = "x-key" }}\n')
    own = only(config).gateway.overrides
    assert (own.key_header, own.key_scheme, own.key_param) == ("x-key", "Token", None)
    config = written(f'{GATEWAY}key_param = "key"\nscopes.a = {{ key_scheme = "Token" }}\n')
    own = only(config).gateway.overrides
    assert (own.key_header, own.key_scheme, own.key_param) == (None, "Token", None)


@pytest.mark.parametrize(
    ("settings", "other"),
    [
        ('params = { k = "env:B" }', "params"),
        ('path = "/models?k="', "path"),
        ('paging = { param = "k", next = "next" }', "paging"),
    ],
)
def test_a_parameter_for_the_key_that_another_setting_sends_is_rejected(rejected, settings, other):
    expected = f"`key_param` and `{other}` have the same parameter 'k': keep one of them"
    text = f'{GATEWAY}{settings}\nscopes.a = {{ key = "env:A", key_param = "k" }}\n'
    assert rejected(text) == f"modelwatch.toml:4: gateways.one.scopes.a: {expected}"
    whole = f'{GATEWAY}key_param = "k"\n{settings}\nkeys = "keys.csv"\n'
    assert expected in rejected(whole, keys="name,key\na,env:A\n")


def test_a_scope_without_a_key_may_have_the_parameter_of_keys(written):
    text = f'{GATEWAY}key_param = "k"\nparams = {{ k = "env:B" }}\nscopes.a = {{}}\n'
    assert only(written(text)).gateway.overrides.params == (("k", "env:B"),)


def test_a_page_in_the_body_may_have_the_name_of_the_parameter_for_the_key(written):
    text = f'{GATEWAY}method = "POST"\nkey_param = "token"\npaging = {{ param = "token", next = "next" }}\n'
    assert only(written(f'{text}scopes.a = {{ key = "env:A" }}\n')).gateway.overrides.key_param == "token"
