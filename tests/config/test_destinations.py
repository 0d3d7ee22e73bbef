"""Destinations in the config: what they may say, what it means, and how every mistake is told."""

import re
from datetime import time

import pytest

from pipeline.config import load
from pipeline.core.times import Schedule
from pipeline.core.types import Severity
from pipeline.delivery.channels import missing
from pipeline.delivery.types import Apprise, Destination, Files, MailDirectory, Sendmail, Smtp, Webhook
from pipeline.errors import ConfigError
from pipeline.reports.types import Filter
from pipeline.secret_refs import resolver

GATEWAY = (
    '[gateways.one]\nurl = "https://gateway.example"\nscopes.public = {}\nscopes.vip = { key = "env:VIP" }\n'
)
SMTP = 'type = "smtp"\nserver = "smtp.example.com"\nfrom = "w@example.com"\nto = "me@example.com"\n'
SECRET = "xoxb-0123456789-abcdefghij"


@pytest.fixture
def read(tmp_path):
    """Read a config with one destination of this text."""

    def read(text, name="ops"):
        path = tmp_path / "modelwatch.toml"
        path.write_text(f"{GATEWAY}[destinations.{name}]\n{text}", "utf-8")
        return load(path).destinations

    return read


@pytest.fixture
def refused(read):
    """Read one that cannot be used; give what is said of it."""

    def refused(text, name="ops"):
        with pytest.raises(ConfigError) as caught:
            read(text, name)
        return caught.value.message

    return refused


def test_no_destination_is_needed(tmp_path):
    """Reports go to their directory, whatever else there is."""
    path = tmp_path / "modelwatch.toml"
    path.write_text(GATEWAY, "utf-8")
    assert load(path).destinations == ()


def test_the_least_mail_server_has_defaults_for_the_rest(read):
    """Encrypted from the start, without sign-in, after each run, what is notable, in English."""
    assert read(SMTP) == (
        Destination(
            "ops",
            Smtp("smtp.example.com", 465, "tls", "w@example.com", ("me@example.com",)),
            Filter(),
            Schedule(),
        ),
    )


def test_a_mail_server_with_all_that_may_be_said(read):
    """Each key is what it says; a named recipient keeps the name, one named twice is one."""
    (found,) = read("""
        type = "smtp"
        server = "SMTP.bücher.example"
        security = "starttls"
        user = "watch"
        token = "command:oauth2 token"
        from = "模型 <Watch@Example.COM>"
        to = ["Ann <ann@bücher.example>", "bob@example.com", "BOB@example.com"]
        reply_to = "team@example.com"
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
        timeout=5.0,
    )


def test_each_other_type_is_what_it_says(read, tmp_path):
    """Programs, directories, webhooks, chats and files."""
    mail = 'from = "w@example.com"\nto = "me@example.com"\n'
    hook = 'type = "webhook"\nurl = "https://example.com/hook"\n'
    assert [
        read(text)[0].channel
        for text in (
            f'type = "sendmail"\n{mail}',
            f'type = "sendmail"\ncommand = "msmtp -a \'my own\'"\n{mail}',
            'type = "eml"\ndirectory = "mails"\n',
            f'{hook}secret = "env:S"\nheaders = {{ Authorization = "env:A", X-Room = "ops" }}\n',
            'type = "webhook"\nurl = "file:hook"\n',
            'type = "apprise"\nurls = ["env:SLACK", "env:FEISHU", "env:SLACK"]\n',
            'type = "files"\ndirectory = "/srv/web"\nforms = ["html", "atom"]\n',
        )
    ] == [
        Sendmail("w@example.com", ("me@example.com",)),
        Sendmail("w@example.com", ("me@example.com",), ("msmtp", "-a", "my own")),
        MailDirectory(tmp_path / "mails"),
        Webhook("https://example.com/hook", "env:S", (("Authorization", "env:A"), ("X-Room", "ops"))),
        Webhook("file:hook"),
        Apprise(("env:SLACK", "env:FEISHU")),
        Files(tmp_path / "/srv/web", ("html", "atom")),
    ]


def test_what_when_and_in_which_language(read, tmp_path):
    """Filter, schedule and words are the same for every type."""
    (tmp_path / "words").mkdir()
    (found,) = read(
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


def test_a_time_of_day_may_be_written_as_toml_has_it(read):
    """Without quotes it is a time as well."""
    assert read(f'{SMTP}every = "day"\nat = 07:30:00\n')[0].schedule == Schedule("day", time(7, 30))


def test_destinations_stay_in_the_order_of_the_file(tmp_path):
    """Two with the same channel are two."""
    path = tmp_path / "modelwatch.toml"
    tables = "".join(f'[destinations.{name}]\ntype = "eml"\ndirectory = "m"\n' for name in "zab")
    path.write_text(GATEWAY + tables, "utf-8")
    assert [found.name for found in load(path).destinations] == ["z", "a", "b"]


@pytest.mark.parametrize(
    ("text", "key", "cure"),
    [
        ("", "", 'has no type: write one of "smtp", "sendmail"'),
        ('type = "mail"', ".type", "'mail' is not known: use one of \"smtp\""),
        (
            f'{SMTP}directory = "x"',
            ".directory",
            "is not a known key here: use one of at, empty, every, from",
        ),
        ('type = "smtp"\nfrom = "a@b.c"\nto = "a@b.c"', "", 'has no server: write e.g. `server = "smtp'),
        (f"{SMTP}port = 70_000", ".port", "is not a port: remove it to use 465"),
        (f'{SMTP}security = "ssl"', ".security", "'ssl' is not known: use \"tls\""),
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
        ('type = "sendmail"\nfrom = "a@b.c"\nto = []', "", "has no to"),
        (
            'type = "sendmail"\nfrom = "a@b.c"\nto = "a@b.c"\ncommand = "a \'b"',
            ".command",
            "check its quotes",
        ),
        ('type = "eml"', "", "has no directory"),
        ('type = "webhook"', "", "has no url"),
        ('type = "webhook"\nurl = "ftp://x"', ".url", "is not a web address"),
        ('type = "webhook"\nurl = "https://x/a b"', ".url", "is not a web address"),
        ('type = "webhook"\nurl = "https://x"\nheaders = { X-Modelwatch-Id = "1" }', "Id", "is not a header"),
        ('type = "webhook"\nurl = "https://x"\nheaders = { "a b" = "1" }', ".a b", "is not a header"),
        ('type = "webhook"\nurl = "https://x"\nheaders = { X = "é" }', ".X", "no header can carry"),
        ('type = "apprise"\nurls = []', "", "has no urls"),
        (
            'type = "files"\ndirectory = "d"\nforms = ["pdf"]',
            ".forms",
            "use some of txt, md, html, csv, json, atom",
        ),
    ],
)
def test_each_mistake_is_named_with_its_cure(refused, text, key, cure):
    """The file, the line, the key, and what to write instead."""
    said = refused(text)
    assert re.search(rf"modelwatch\.toml:\d+: destinations\.ops\S*{re.escape(key)}: ", said)
    assert cure in said


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
    ],
)
def test_a_secret_in_plain_is_refused_and_not_repeated(refused, text):
    """Wherever it stands, a reference must stand there."""
    said = refused(text)
    assert "env:NAME" in said
    assert SECRET not in said


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
def test_what_is_no_address_is_refused(refused, address):
    """Nothing that breaks a header, looks like an option, or that servers would not take."""
    text = f'type = "sendmail"\nfrom = "w@example.com"\nto = ["{address}"]\n'
    assert re.search(r"modelwatch\.toml:\d+: destinations\.ops\.to: ", refused(text))


def test_letters_that_few_servers_take_are_told_as_such(refused):
    """A person learns why the address that works elsewhere does not work here."""
    assert "has letters before the @ that few mail servers accept" in refused(
        'type = "sendmail"\nfrom = "w@example.com"\nto = "模型@example.com"\n'
    )


@pytest.mark.parametrize("server", ["localhost", "127.0.0.1", "127.8.9.1", "::1"])
def test_a_server_on_this_machine_may_be_spoken_to_in_plain(read, server):
    """Nobody listens in between."""
    text = SMTP.replace("smtp.example.com", server)
    (found,) = read(f'{text}security = "none"\n')
    assert (found.channel.server, found.channel.port) == (server, 25)


@pytest.mark.parametrize("server", ["smtp://example.com", "example.com:465", "a b", "exa_mple.com", "[::1]"])
def test_a_server_is_a_bare_name(refused, server):
    """Port and security have keys of their own."""
    text = SMTP.replace("smtp.example.com", server)
    assert "must be the bare name of a mail server" in refused(text)


@pytest.mark.parametrize("name", ["reports", '"a b"', '"a/b"'])
def test_a_name_is_one_that_the_outbox_can_keep(refused, name):
    """Letters, digits and a few signs, and none that modelwatch uses itself."""
    assert re.search(r"the name may have letters|is the name of the reports directory", refused(SMTP, name))


LACKING = [
    (SMTP + 'user = "w"\npassword = "env:NO_SUCH_VARIABLE"\n', ["env:NO_SUCH_VARIABLE is not set"]),
    ('type = "webhook"\nurl = "https://hook.example"\nsecret = "file:nowhere"\n',
     ["file:nowhere cannot be read"]),
    ('type = "apprise"\nurls = ["env:NO_SUCH_VARIABLE"]\n', ["env:NO_SUCH_VARIABLE is not set"]),
    ('type = "sendmail"\ncommand = "/no/such/program"\nfrom = "w@example.com"\nto = "me@example.com"\n',
     ["there is no program /no/such/program"]),
    (SMTP, []),
    ('type = "eml"\ndirectory = "mails"\n', []),
]  # fmt: skip


@pytest.mark.parametrize(("text", "lacking"), LACKING)
def test_what_a_destination_lacks_is_known_before_anything_is_sent(read, tmp_path, text, lacking):
    """A secret that is not there, a program that is not installed."""
    (destination,) = read(text)
    said = missing(destination.channel, resolver(tmp_path))
    assert len(said) == len(lacking)
    assert all(part in line for part, line in zip(lacking, said, strict=True))
