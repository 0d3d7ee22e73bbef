"""Destinations in the config: their values, and errors with the line and the cure."""

import re
from datetime import time

import pytest

from pipeline.config import load
from pipeline.core.times import Schedule
from pipeline.core.types import Severity
from pipeline.delivery.channels import missing
from pipeline.delivery.types import (
    Apprise,
    Destination,
    Discord,
    Feishu,
    Files,
    MailDirectory,
    Sendmail,
    Slack,
    Smtp,
    Teams,
    Webhook,
)
from pipeline.errors import ConfigError
from pipeline.reports.types import Filter, Links
from pipeline.secret_refs import resolver

GATEWAY = (
    '[gateways.one]\nurl = "https://gateway.example"\nscopes.public = {}\nscopes.vip = { key = "env:VIP" }\n'
)
SMTP = 'type = "smtp"\nserver = "smtp.example.com"\nfrom = "w@example.com"\nto = "me@example.com"\n'
SECRET = "xoxb-0123456789-abcdefghij"


@pytest.fixture
def parse(tmp_path):
    """Return a function that loads a config with one destination."""

    def parse(text, name="ops"):
        path = tmp_path / "modelwatch.toml"
        path.write_text(f"{GATEWAY}[destinations.{name}]\n{text}", "utf-8")
        return load(path).destinations

    return parse


@pytest.fixture
def rejected(parse):
    """Return a function that loads an invalid destination and returns the message."""

    def rejected(text, name="ops"):
        with pytest.raises(ConfigError) as caught:
            parse(text, name)
        return caught.value.message

    return rejected


def test_a_config_needs_no_destination(tmp_path):
    path = tmp_path / "modelwatch.toml"
    path.write_text(GATEWAY, "utf-8")
    assert load(path).destinations == ()


def test_the_smallest_mail_server_has_defaults(parse):
    assert parse(SMTP) == (
        Destination(
            "ops",
            Smtp("smtp.example.com", 465, "tls", "w@example.com", ("me@example.com",)),
            Filter(),
            Schedule(),
            links=Links(gateways=(("one", "https://gateway.example/"),)),
        ),
    )


def test_the_zone_of_times_needs_no_schedule(parse):
    (found,) = parse(f'{SMTP}zone = "Asia/Tokyo"')
    assert (found.zone, found.schedule.every) == ("Asia/Tokyo", "run")


@pytest.mark.parametrize(
    ("url", "links"),
    [
        ("https://gateway.example/v1", (("one", "https://gateway.example/"),)),
        ("http://gateway.example:3000/api/v1/", (("one", "http://gateway.example:3000/"),)),
        ("http://127.0.0.1:3000/v1", ()),
        ("http://localhost/v1", ()),
    ],
)
def test_names_lead_to_the_browser_else_to_the_gateway_unless_it_is_this_machine(tmp_path, url, links):
    path = tmp_path / "modelwatch.toml"
    rest = f'[gateways.one]\nurl = "{url}"\nscopes.public = {{}}\n[destinations.ops]\n{SMTP}'
    path.write_text(f'base_url = "https://watch.example/m"\n{rest}')
    assert load(path).destinations[0].links == Links("https://watch.example/m", links)
    path.write_text(rest)
    assert load(path).destinations[0].links == Links("", links)


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "file:///etc", "watch.example", "https://u:p@watch.example"]
)
def test_the_address_of_the_browser_is_a_bare_one_on_the_web(tmp_path, url):
    path = tmp_path / "modelwatch.toml"
    path.write_text(f'base_url = "{url}"\n{GATEWAY}')
    with pytest.raises(ConfigError, match="base_url"):
        load(path)


def test_a_mail_server_with_every_key(parse):
    (found,) = parse("""
        type = "smtp"
        server = "SMTP.bücher.example"
        security = "starttls"
        user = "watch"
        token = "command:oauth2 token"
        from = "模型 <Watch@Example.COM>"
        to = ["Ann <ann@bücher.example>", "bob@example.com", "BOB@example.com"]
        reply_to = "team@example.com"
        helo = "Watch.bücher.example"
        timeout = 5
    """)
    assert found.channel == Smtp(
        server="smtp.xn--bcher-kva.example",
        port=587,
        security="starttls",
        sender="模型 <Watch@example.com>",
        recipients=("Ann <ann@xn--bcher-kva.example>", "bob@example.com"),
        user="watch",
        token="command:oauth2 token",
        reply_to="team@example.com",
        helo="watch.xn--bcher-kva.example",
        timeout=5.0,
    )


@pytest.mark.parametrize(
    ("name", "greeted"),
    [
        ("box.example.com", "box.example.com"),
        ("192.0.2.1", "[192.0.2.1]"),
        ("[2001:db8::1]", "[IPv6:2001:db8::1]"),
    ],
)
def test_a_mail_server_is_greeted_with_a_name_or_an_address_in_brackets(parse, name, greeted):
    (found,) = parse(f'{SMTP}helo = "{name}"')
    assert found.channel.helo == greeted


def test_every_other_type_is_parsed(parse, tmp_path):
    mail = 'from = "w@example.com"\nto = "me@example.com"\n'
    hook = 'type = "webhook"\nurl = "https://example.com/hook"\n'
    assert [
        parse(text)[0].channel
        for text in (
            f'type = "sendmail"\n{mail}',
            f'type = "sendmail"\ncommand = "msmtp -a \'my own\'"\n{mail}',
            'type = "eml"\ndirectory = "mails"\n',
            f'{hook}secret = "env:S"\nheaders = {{ Authorization = "env:A", X-Room = "ops" }}\n',
            'type = "webhook"\nurl = "file:hook"\n',
            'type = "slack"\nurl = "env:CHAT"\n',
            'type = "discord"\nurl = "env:CHAT"\ntimeout = 5\n',
            'type = "teams"\nurl = "file:chat"\n',
            'type = "feishu"\nurl = "env:CHAT"\nsecret = "env:KEY"\n',
            'type = "apprise"\nurls = ["env:SLACK", "env:FEISHU", "env:SLACK"]\n',
            'type = "files"\ndirectory = "/srv/web"\nforms = ["html", "atom"]\n',
        )
    ] == [
        Sendmail("w@example.com", ("me@example.com",)),
        Sendmail("w@example.com", ("me@example.com",), ("msmtp", "-a", "my own")),
        MailDirectory(tmp_path / "mails"),
        Webhook("https://example.com/hook", "env:S", (("Authorization", "env:A"), ("X-Room", "ops"))),
        Webhook("file:hook"),
        Slack("env:CHAT"),
        Discord("env:CHAT", 5),
        Teams("file:chat"),
        Feishu("env:CHAT", secret="env:KEY"),
        Apprise(("env:SLACK", "env:FEISHU")),
        Files(tmp_path / "/srv/web", ("html", "atom")),
    ]


def test_filter_schedule_and_language_are_parsed(parse, tmp_path):
    (tmp_path / "words").mkdir()
    (found,) = parse(
        SMTP
        + """
        scopes = ["one/v*"]
        groups = ["vip"]
        owners = ["openai"]
        models = ["gpt-*", "o?"]
        severity = "urgent"
        every = "week"
        on = "friday"
        at = "17:30"
        zone = "Asia/Shanghai"
        language = "zh-CN"
        empty = true
        templates = "words"
        """
    )
    assert found.filter == Filter(("one/v*",), ("vip",), ("openai",), ("gpt-*", "o?"), Severity.URGENT)
    assert found.schedule == Schedule("week", time(17, 30), 4, "Asia/Shanghai")
    assert (found.language, found.empty, found.templates) == ("zh-CN", True, tmp_path / "words")


def test_a_time_of_day_may_be_a_toml_time(parse):
    assert parse(f'{SMTP}every = "day"\nat = 07:30:00\n')[0].schedule == Schedule("day", time(7, 30))


def test_destinations_stay_in_the_order_of_the_file(tmp_path):
    path = tmp_path / "modelwatch.toml"
    tables = "".join(f'[destinations.{name}]\ntype = "eml"\ndirectory = "m"\n' for name in "zab")
    path.write_text(GATEWAY + tables, "utf-8")
    assert [found.name for found in load(path).destinations] == ["z", "a", "b"]


@pytest.mark.parametrize(
    ("text", "key", "cure"),
    [
        ("", "", 'has no type: write one of "smtp", "sendmail"'),
        ("type = []", ".type", '[] is not known: use one of "smtp", "sendmail"'),
        ('type = "mail"', ".type", "'mail' is not known: use one of \"smtp\""),
        (
            f'{SMTP}directory = "x"',
            ".directory",
            "is not a known key here: use one of at, bom, empty, every, from",
        ),
        ('type = "smtp"\nfrom = "a@b.c"\nto = "a@b.c"', "", 'has no server: write e.g. `server = "smtp'),
        (f"{SMTP}port = 70_000", ".port", "is not a port: remove it to use the usual one"),
        (
            f'{SMTP}security = "ssl"',
            ".security",
            'is not known: use "tls" (port 465), "starttls" (port 587), or "none" for',
        ),
        (
            f'{SMTP}security = "none"',
            ".security",
            "would send the mail and the password in plain text to smtp.example.com",
        ),
        (f'{SMTP}user = "u"', ".user", "needs `password` beside it, or `token`"),
        (f'{SMTP}password = "env:P"', ".password", "needs `user` beside it"),
        (f'{SMTP}user = "u"\npassword = "env:P"\ntoken = "env:T"', ".token", "remove one of them"),
        (f"{SMTP}timeout = 0", ".timeout", "must be more than 0"),
        (
            f'{SMTP}helo = "my box"',
            ".helo",
            "must be the name of this machine",
        ),
        (
            f'{SMTP}reply_to = "team"',
            ".reply_to",
            "'team' is not a mail address: write e.g. watch@example.com",
        ),
        (f'{SMTP}severity = "loud"', ".severity", 'use one of "urgent", "breaking", "notable", "quiet"'),
        (f'{SMTP}scopes = ["two/*"]', ".scopes", "'two/*' matches no scope: use one of one/public, one/vip"),
        (f'{SMTP}models = "gpt"', ".models", "must be a list of texts, such as"),
        (f'{SMTP}every = "hour"', ".every", 'use one of "run", "day", "week"'),
        (f'{SMTP}at = "07:30"', ".at", 'has no effect with every = "run": write every = "day" or "week"'),
        (f'{SMTP}every = "day"\non = "monday"', ".on", 'has no effect with every = "day"'),
        (f'{SMTP}every = "day"\nat = "7:30"', ".at", 'is not a time of day: write e.g. "07:30"'),
        (f'{SMTP}every = "day"\nat = "24:00"', ".at", "is not a time of day"),
        (f'{SMTP}every = "day"\nzone = "Europe/Nowhere"', ".zone", "is not a time zone"),
        (f'{SMTP}every = "day"\nzone = "../../etc/passwd"', ".zone", "is not a time zone"),
        (f'{SMTP}every = "day"\nzone = "Europe"', ".zone", "is not a time zone"),
        (f'{SMTP}every = "week"\non = "someday"', ".on", 'use one of "monday"'),
        (f'{SMTP}language = "de"', ".language", 'use one of "en", "ja", "zh-CN"'),
        (f'{SMTP}empty = "yes"', ".empty", "must be true or false"),
        (f'{SMTP}templates = "nowhere"', ".templates", "there is no directory"),
        ('type = "sendmail"\nto = "a@b.c"', "", "has no from"),
        ('type = "sendmail"\nfrom = "a@b.c"\nto = []', ".to", 'is empty: write e.g. ["ann@example.com'),
        (
            'type = "sendmail"\nfrom = "a@b.c"\nto = "a@b.c"\ncommand = "a \'b"',
            ".command",
            "check its quotes",
        ),
        ('type = "eml"', "", "has no directory"),
        ('type = "webhook"', "", "has no url"),
        ('type = "teams"', "", "has no url"),
        ('type = "webhook"\nurl = "ftp://x"', ".url", "is not a web address"),
        ('type = "webhook"\nurl = "https://x/a b"', ".url", "is not a web address"),
        (
            'type = "webhook"\nurl = "https://x"\nheaders = { X-Modelwatch-Id = "1" }',
            "Id",
            "is set by modelwatch: remove it",
        ),
        ('type = "webhook"\nurl = "https://x"\nheaders = { "a b" = "1" }', ".a b", "is no name of a header"),
        ('type = "webhook"\nurl = "https://x"\nheaders = { X = "é" }', ".X", "no HTTP header can carry"),
        ('type = "apprise"\nurls = []', ".urls", 'is empty: write e.g. ["env:TELEGRAM_URL"]'),
        (
            'type = "files"\ndirectory = "d"\nforms = ["pdf"]',
            ".forms",
            'use one of "txt", "md", "html", "csv", "json", "atom"',
        ),
    ],
)
def test_an_error_names_file_line_key_and_cure(rejected, text, key, cure):
    message = rejected(text)
    assert re.search(rf"modelwatch\.toml:\d+: destinations\.ops\S*{re.escape(key)}: ", message)
    assert cure in message


@pytest.mark.parametrize(
    "text",
    [
        f'{SMTP}user = "u"\npassword = "{SECRET}"',
        f'{SMTP}user = "u"\ntoken = "{SECRET}"',
        f'type = "webhook"\nurl = "https://x"\nsecret = "{SECRET}"',
        f'type = "webhook"\nurl = "https://x"\nheaders = {{ Authorization = "Bearer {SECRET}" }}',
        f'type = "webhook"\nurl = "https://user:{SECRET}@example.com"',
        f'type = "webhook"\nurl = "https://example.com/?token={SECRET}"',
        f'type = "apprise"\nurls = ["slack://{SECRET}/A/B"]',
        f'type = "slack"\nurl = "https://hooks.slack.com/services/{SECRET}"',
        f'type = "discord"\nurl = "https://discord.com/api/webhooks/1/{SECRET}"',
        f'type = "feishu"\nurl = "env:CHAT"\nsecret = "{SECRET}"',
    ],
)
def test_a_literal_secret_is_rejected_and_not_shown(rejected, text):
    message = rejected(text)
    assert "env:NAME" in message
    assert SECRET not in message


@pytest.mark.parametrize(
    "address",
    [
        "",
        "me",
        "me@",
        "@example.com",
        "a@b@c",
        "a b@example.com",
        "a..b@example.com",
        ".a@example.com",
        "-f@example.com",
        "me@-example.com",
        "me@exa mple.com",
        "me@example..com",
        "me@[127.0.0.1]",
        "mé@example.com",
        "me@example.com\\r\\nBcc: you@example.com",
        "Me\\n <me@example.com>",
        "\\u202eMe <me@example.com>",
        "a <b> <me@example.com>",
        f"{'a' * 65}@example.com",
        f"me@{'a' * 64}.com",
        f"me@{'.'.join(['a' * 60] * 5)}",
    ],
)
def test_an_invalid_mail_address_is_rejected(rejected, address):
    """Some would break a header or look like an option of sendmail."""
    text = f'type = "sendmail"\nfrom = "w@example.com"\nto = ["{address}"]\n'
    assert re.search(r"modelwatch\.toml:\d+: destinations\.ops\.to: ", rejected(text))


def test_a_local_part_that_is_not_ascii_is_rejected_with_the_reason(rejected):
    assert "has letters before the @ that few mail servers accept" in rejected(
        'type = "sendmail"\nfrom = "w@example.com"\nto = "模型@example.com"\n'
    )


@pytest.mark.parametrize("server", ["localhost", "127.0.0.1", "127.8.9.1", "::1"])
def test_a_local_server_may_be_used_without_tls(parse, server):
    text = SMTP.replace("smtp.example.com", server)
    (found,) = parse(f'{text}security = "none"\n')
    assert (found.channel.server, found.channel.port) == (server, 25)


@pytest.mark.parametrize("server", ["smtp://example.com", "example.com:465", "a b", "exa_mple.com", "[::1]"])
def test_a_server_is_a_bare_name(rejected, server):
    text = SMTP.replace("smtp.example.com", server)
    assert "must be the bare name of a mail server" in rejected(text)


@pytest.mark.parametrize(
    ("server", "cure"),
    [
        ("smtp://mail.example.com", 'write "mail.example.com"'),
        ("smtps://mail.example.com/", 'write "mail.example.com"'),
        ("smtp://mail.example.com:587", 'write server = "mail.example.com" and port = 587'),
        ("ftp:465", 'write server = "ftp" and port = 465'),
        ("a b:465", 'write e.g. "smtp.example.com"'),
        ("mail.example.com:465", 'write server = "mail.example.com" and port = 465'),
        (
            "127.0.0.1:8025",
            'write server = "127.0.0.1" and port = 8025, and security = "none" if it speaks no TLS',
        ),
    ],
)
def test_the_port_of_a_server_has_a_key_of_its_own(rejected, server, cure):
    text = SMTP.replace("smtp.example.com", server)
    assert rejected(text).endswith(f"must be the bare name of a mail server: {cure}")


@pytest.mark.parametrize("name", ["reports", '"a b"', '"a/b"'])
def test_an_invalid_or_reserved_name_is_rejected(rejected, name):
    assert re.search(r"the name may have letters|is the name of the reports directory", rejected(SMTP, name))


MISSING = [
    (SMTP + 'user = "w"\npassword = "env:NO_SUCH_VARIABLE"\n', ["env:NO_SUCH_VARIABLE is not set"]),
    ('type = "webhook"\nurl = "https://hook.example"\nsecret = "file:nowhere"\n',
     ["nowhere)"]),
    ('type = "apprise"\nurls = ["env:NO_SUCH_VARIABLE"]\n', ["env:NO_SUCH_VARIABLE is not set"]),
    ('type = "sendmail"\ncommand = "/no/such/program"\nfrom = "w@example.com"\nto = "me@example.com"\n',
     ["there is no program /no/such/program"]),
    (SMTP, []),
    ('type = "eml"\ndirectory = "mails"\n', []),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), MISSING)
def test_missing_secrets_and_programs_are_found_without_sending(parse, tmp_path, text, expected):
    (destination,) = parse(text)
    lines = missing(destination.channel, resolver(tmp_path))
    assert len(lines) == len(expected)
    assert all(part in line for part, line in zip(expected, lines, strict=True))
