"""The first config: from options, and from answers on a terminal; they are tried before it is written."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import ROOT
from support.e2e import Job, Reply, Scripted, listed, one_line
from support.mailing import Mailbox, serving
from support.terminals import Terminal

from pipeline.cli.first_config import Answers, first_config, gateway_name
from pipeline.config import load
from pipeline.delivery.types import Smtp
from pipeline.simulator import Gateway

DEFAULT_KEY, VIP_KEY = "sk-local-default", "sk-local-vip"
LITERAL = "sk-pasted-0123456789abcdef"


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    """A gateway with the groups default and vip, and a key of each."""
    with Gateway() as gateway:
        gateway.group("vip", ratio=0.8)
        gateway.offers("alpha", "beta", to=("default", "vip"))
        gateway.offers("gamma", to="vip")
        gateway.key(DEFAULT_KEY)
        gateway.key(VIP_KEY, group="vip")
        yield gateway


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """A home that does not exist yet, with both keys in the environment."""
    return Job(tmp_path / "home", {"BASIC": DEFAULT_KEY, "VIP": VIP_KEY, "BAD": "sk-wrong-12345678"})


@pytest.fixture
def mail_server() -> Iterator[str]:
    """A server on this machine that takes mail, and its address."""
    with serving(Mailbox()) as port:
        yield f"127.0.0.1:{port}"


def terminal(job: Job, *options: str) -> Terminal:
    """Start `init` on a terminal, in the directory above the home."""
    env = {**job.environment(), "PYTHONPATH": str(ROOT)}
    return Terminal(job.command("init", *options), env=env, cwd=job.home.parent)


def settings(job: Job) -> list[str]:
    """Return the lines of the config without comments."""
    lines = job.config.read_text("utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def test_without_an_answer_the_config_is_the_default_which_needs_no_key_and_no_gateway_is_asked(
    tmp_path: Path,
) -> None:
    # A proxy that refuses every connection: a request would fail, and take part of the test's time.
    job = Job(tmp_path / "home", {"HTTPS_PROXY": "http://127.0.0.1:9"})
    done = job.quick("init")
    assert (done.code, done.stderr) == (0, "")
    text = job.config.read_text("utf-8").partition("\n")[2]
    assert text == first_config(Answers("https://aihubmix.com", "aihubmix"))
    (scope,) = load(job.config).scopes
    assert (scope.name, scope.reference) == ("aihubmix/public", None)


def test_answers_on_a_terminal_and_options_write_the_same_config(
    gateway: Gateway, job: Job, mail_server: str
) -> None:
    with terminal(job) as person:
        person.answer("Address of the gateway [https://aihubmix.com]", gateway.url)
        person.wait_for("2 models without a key")
        person.wait_for("recognised: new-api")
        person.wait_for("groups in its price list: default, vip")
        person.answer("Its name in the config and in reports [local]", "hub")
        person.answer("Key [none]", "basic=env:BASIC")
        person.wait_for("hub/basic: 2 models")
        person.answer("Its group", "default")
        person.answer("Next key", "vip=env:VIP")
        person.wait_for("hub/vip: 3 models")
        person.answer("Its group")
        person.answer("Next key")
        person.answer("Ask without a key too?", "y")
        person.answer("Mail reports to", "ann@example.com")
        person.answer("Mail server", mail_server)
        person.answer("From [ann@example.com]")
        person.answer("User")
        person.answer("Daily at", "07:30")
        person.answer("In the time zone", "Europe/Berlin")
        person.answer("Chat (")
        person.answer("Schedule (", "crontab")
        assert person.end() == 0, person.shown
    for line in ("hub/vip: alpha, beta, gamma", "hub/basic hub/public: alpha, beta", "17 * * * * "):
        assert f"\n{line}" in person.shown
    by_answers = job.config.read_bytes()
    done = job.quick(
        *("init", "--force", "--url", gateway.url, "--name", "hub", "--anonymous"),
        *("--key", "basic=env:BASIC", "--key", "vip=env:VIP", "--group", "basic=default"),
        *("--mail-to", "ann@example.com", "--mail-server", mail_server),
        *("--mail-at", "07:30", "--mail-zone", "Europe/Berlin", "--schedule", "crontab"),
    )
    assert (done.code, done.stderr) == (0, "")
    assert job.config.read_bytes() == by_answers
    assert "hub/vip: alpha, beta, gamma" in done.stdout
    assert "17 * * * * " in done.stdout
    assert [scope.name for scope in load(job.config).scopes] == ["hub/basic", "hub/vip", "hub/public"]
    assert job.quick("run", "-v").stdout.startswith("Baseline recorded: hub/basic hub/public 2 models each")


def test_a_terminal_asks_only_what_no_option_answers(gateway: Gateway, job: Job, mail_server: str) -> None:
    mail = ("--mail-to", "ann@example.com", "--mail-server", mail_server)
    options = ("--url", gateway.url, "--name", "hub", "--key", "vip=env:VIP", "--anonymous", *mail)
    chat = ("--chat", "slack=env:CHAT")
    with terminal(job, *options, *chat, "--schedule", "crontab", "--no-check") as person:
        assert person.end() == 0, person.shown
    assert "? " not in person.shown
    assert [scope.name for scope in load(job.config).scopes] == ["hub/vip", "hub/public"]


def test_an_address_that_does_not_answer_is_asked_again_or_kept(gateway: Gateway, job: Job) -> None:
    with Scripted(lambda _: Reply(listed("one"))) as page, terminal(job) as person:
        person.answer("Address of the gateway", "gateway.example")
        person.wait_for("is not a web address")
        person.answer("Address of the gateway", "http://127.0.0.1:9")
        person.wait_for("cannot be reached: Connection refused")
        person.answer("Address of the gateway [http://127.0.0.1:9]", f"{page.url}/nothing")
        person.answer("Its name", "a b")
        person.wait_for("the name may have letters, digits")
        person.answer("Its name", "hub")
        person.answer("Key [none]", "none")
        person.answer("Mail reports to")
        person.answer("Chat (")
        person.answer("Schedule (")
        assert person.end() == 0, person.shown
    assert f'url = "{page.url}/nothing"' in settings(job)
    job.config.unlink()
    with terminal(job, "--url", "http://127.0.0.1:9", "--name", "hub", "--anonymous") as person:
        person.answer("or press Enter to keep it.")
        person.answer("Mail reports to")
        person.answer("Chat (")
        person.answer("Schedule (")
        assert person.end() == 0, person.shown
    assert 'url = "http://127.0.0.1:9"' in settings(job)


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (("--url", "http://127.0.0.1:9"), 4, "cannot be reached: Connection refused"),
        (("--key", "bad=env:BAD"), 4, "answered 401"),
        (("--key", "bad=env:BAD", "--key", "vip=env:VIP"), 3, "Set a valid key in $BAD."),
        (("--key", "a=env:ABSENT"), 4, "env:ABSENT is not set"),
        (("--key", "a=file:absent.key"), 4, "absent.key"),
        (
            ("--keys", "keys.csv"),
            78,
            "keys.csv: does not exist: write it first, with the line `name,key,group`",
        ),
        (
            ("--mail-to", "a@b.example", "--mail-server", "localhost", "--mail-at", "7.30"),
            2,
            "Error: --mail-at: is not a time of day",
        ),
        (
            ("--mail-to", "nobody", "--mail-server", "localhost"),
            2,
            "--mail-to: 'nobody' is not a mail address",
        ),
        (("--mail-to", "a@b.example", "--mail-server", "localhost:99999"), 2, "--mail-server: is not a port"),
        (
            ("--url", "localhost:3000"),
            2,
            "Error: --url: is not a web address: begin it with https:// or http://",
        ),
        (("--url", "localhost:3000", "--no-check", "--name", "a.b"), 2, "--url: is not a web address"),
        (("--name", "a b"), 2, "Error: --name: the name may have letters"),
        (("--key", "prod=env:VIP", "--key", "prod=env:B"), 2, "--key prod=…: is given twice: give it once"),
        (("--key", "p=env:VIP", "--group", "p=a", "--group", "p=b"), 2, "--group p=…: is given twice"),
        (("--chat", "slack=env:A", "--chat", "slack=env:B"), 2, "--chat slack=…: is given twice"),
        (("--chat", "slack"), 2, "never be the secret itself: write --chat KIND=env:PROD_KEY"),
        (
            ("--chat", "env:A"),
            2,
            "has no kind: write --chat KIND=REFERENCE, e.g. --chat slack=file:slack.url",
        ),
        (("--chat", "webhook=env:A"), 2, "Error: --chat: KIND must be one of slack, discord, teams, feishu"),
        (("--chat", "Slack=env:A"), 2, "Error: --chat: KIND must be one of slack"),
        (("--mail-to", "a@b.example", "--mail-server", "mx.example:0"), 2, "--mail-server: is not a port"),
        (("--key", "a b=env:VIP"), 2, "Error: --key a b: the name may have letters"),
        (
            ("--mail-to", "me@", "--mail-server", "localhost"),
            2,
            "--mail-to: 'me@' is not a mail address: write",
        ),
        (
            ("--mail-to", "a@b.example", "--mail-server", "mx.example:25", "--mail-security", "none"),
            2,
            "plain text",
        ),
        (
            (
                "--mail-to",
                "a@b.example",
                "--mail-server",
                "localhost",
                "--mail-user",
                "a",
                "--mail-password",
                "env:NO",
            ),
            6,
            "destination mail: env:NO",
        ),
    ],
)
def test_off_a_terminal_an_answer_that_fails_writes_nothing(
    gateway: Gateway, job: Job, options: tuple[str, ...], code: int, words: str
) -> None:
    url = () if "--url" in options else ("--url", gateway.url)
    done = job.quick("init", *url, *options)
    assert done.code == code, done.output
    assert words in " ".join(done.output.split())
    assert str(job.config) not in done.output
    assert "\n".join(map(str, job.home.rglob("*"))) == ""
    if code in (3, 4, 6):
        assert "no config was written: correct this, or add --no-check" in done.stderr
        assert job.quick("init", *url, *options, "--no-check").code == 0
        assert load(job.config).scopes


@pytest.mark.parametrize(
    "option",
    [
        ("--key", f"prod={LITERAL}"),
        ("--key", LITERAL),
        ("--key", f"{LITERAL}=x"),
        ("--key", "prod=env:"),
        ("--mail-password", LITERAL),
        ("--chat", f"slack=https://hooks.example/{LITERAL}"),
    ],
)
def test_a_secret_in_an_option_is_refused_with_the_references_to_use_and_not_shown(
    job: Job, option: tuple[str, str]
) -> None:
    done = job.quick("init", "--no-check", *option)
    assert (done.code, done.stdout) == (2, "")
    for words in ("must refer to the secret", "env:PROD_KEY", "file:prod.key"):
        assert words in done.stderr
    assert LITERAL not in done.stderr
    assert not job.home.exists()


def test_a_secret_as_an_answer_is_refused_and_in_no_file(gateway: Gateway, job: Job) -> None:
    with terminal(job, "--url", gateway.url, "--name", "hub") as person:
        for answer in (LITERAL, f"prod={LITERAL}"):
            person.answer(": ", answer)
            person.wait_for("must refer to the secret")
        person.answer("Key [none]", "none")
        person.answer("Mail reports to", "ann@example.com")
        person.answer("Mail server")
        person.answer("From")
        person.answer("User", "ann")
        person.answer("Password", LITERAL)
        person.wait_for("must refer to the secret")
        person.answer("Password", "env:VIP")
        person.answer("Daily at")
        # No server listens there.
        person.answer("Keep it all the same?", "y")
        person.answer("Chat (")
        person.answer("Schedule (")
        assert person.end() == 0, person.shown
    assert [path for path in job.home.rglob("*") if LITERAL in path.read_text()] == []
    assert 'password = "env:VIP"' in settings(job)


def test_a_pasted_secret_goes_to_a_private_file_and_a_refused_one_does_not_stay(
    gateway: Gateway, job: Job
) -> None:
    with terminal(job, "--url", gateway.url, "--name", "hub") as person:
        person.answer("Key [none]", "bad=file:bad.key")
        person.answer("Paste the secret", LITERAL)
        person.answer("Keep it all the same?")
        person.answer("Key [none]", "vip=file:keys/vip.key")
        person.answer("Paste the secret", VIP_KEY)
        person.answer("Its group", "vip")
        person.answer("Next key", "later=file:later.key")
        person.answer("Paste the secret")
        person.wait_for("later.key")
        person.answer("Keep it all the same?", "y")
        person.answer("Its group")
        person.answer("Next key")
        person.answer("Ask without a key too?")
        person.answer("Mail reports to")
        person.answer("Chat (")
        person.answer("Schedule (")
        assert person.end() == 0, person.shown
    assert LITERAL not in person.shown
    assert VIP_KEY not in person.shown
    stored = job.home / "keys" / "vip.key"
    assert (stored.read_text(), stat.S_IMODE(stored.stat().st_mode)) == (f"{VIP_KEY}\n", 0o600)
    assert {path.name for path in job.home.iterdir()} == {"modelwatch.toml", "keys"}
    assert [scope.reference for scope in load(job.config).scopes] == ["file:keys/vip.key", "file:later.key"]


def test_a_file_of_keys_is_found_here_or_beside_the_config_and_its_lines_are_checked(
    gateway: Gateway, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(job.home.parent)
    Path("keys.csv").write_text("name,key,group\nbasic,env:BASIC,\nvip,env:VIP,vip\n")
    assert job.quick("init", "--url", gateway.url, "--keys", "keys.csv").code == 0
    assert f'keys = "{job.home.parent}/keys.csv"' in settings(job)
    assert [scope.name for scope in load(job.config).scopes] == ["local/basic", "local/vip"]
    Path("keys.csv").rename(job.home / "keys.csv")
    assert job.quick("init", "--url", gateway.url, "--keys", "keys.csv", "--force").code == 0
    assert 'keys = "keys.csv"' in settings(job)
    before = job.config.read_bytes()
    (job.home / "keys.csv").write_text(f"name,key\nbasic,{LITERAL}\n")
    done = job.quick("init", "--url", gateway.url, "--keys", "keys.csv", "--force")
    assert LITERAL not in one_line(done, 78, "keys.csv:2: the key: ")
    assert job.config.read_bytes() == before


def test_a_list_of_the_keys_themselves_is_named_by_its_reference(gateway: Gateway, job: Job) -> None:
    job.home.mkdir(exist_ok=True)
    (job.home / "list.csv").write_text(f"name,key\nvip,{VIP_KEY}\n")
    assert job.quick("init", "--url", gateway.url, "--keys", "file:list.csv").code == 0
    assert 'keys = "file:list.csv"' in settings(job)
    done = job.quick("init", "--url", gateway.url, "--keys", "env:KEYS", "--force")
    assert (done.code, "--keys: cannot be a variable" in done.stderr) == (2, True)


def test_the_models_of_many_keys_come_with_their_number(gateway: Gateway, job: Job) -> None:
    job.home.mkdir(exist_ok=True)
    rows = "".join(f"k{number},{VIP_KEY}\n" for number in range(30))
    (job.home / "list.csv").write_text(f"name,key\n{rows}")
    done = job.quick("init", "--url", gateway.url, "--keys", "file:list.csv")
    assert "\nlocal: 30 scopes: " in done.stdout


def test_a_file_of_keys_on_a_terminal_is_asked_again_where_it_is_missing_or_wrong(
    gateway: Gateway, job: Job
) -> None:
    file = job.home.parent / "keys.csv"
    file.write_text("name;key\n")
    with terminal(job, "--url", gateway.url, "--name", "hub") as person:
        person.answer("Key [none]", "absent.csv")
        person.wait_for("absent.csv: does not exist")
        person.answer("Key [none]", "keys.csv")
        person.wait_for("must begin with the line `name,key,group`")
        file.write_text("name,key,group\nvip,env:VIP,vip\n")
        person.answer("Key [none]", "keys.csv")
        person.wait_for("hub/vip: 3 models")
        person.answer("Ask without a key too?")
        person.answer("Mail reports to")
        person.answer("Chat (")
        person.answer("Schedule (")
        assert person.end() == 0, person.shown
    assert [scope.name for scope in load(job.config).scopes] == ["hub/vip"]


def test_an_answer_of_mail_that_no_config_can_have_is_asked_again_at_once_and_the_others_are_kept(
    gateway: Gateway, job: Job, mail_server: str
) -> None:
    with terminal(
        job, "--url", gateway.url, "--name", "hub", "--key", "vip=env:VIP", "--anonymous"
    ) as person:
        person.answer("Mail reports to", "ann")
        person.wait_for("'ann' is not a mail address")
        person.answer("Mail reports to", "ann@example.com")
        person.answer("Mail server", "127.0.0.1 9")
        person.wait_for("must be the bare name of a mail server")
        person.answer("Mail server", "127.0.0.1:9")
        person.answer("From [ann@example.com]", "watch")
        person.wait_for("'watch' is not a mail address")
        person.answer("From [ann@example.com]", "watch@example.com")
        person.answer("User [none]")
        person.answer("Daily at", "7.30")
        person.wait_for("is not a time of day")
        person.answer("Daily at", "07:30")
        person.answer("In the time zone", "Europe/Berln")
        person.wait_for("'Europe/Berln' is not a time zone")
        person.answer("In the time zone", "Europe/Berlin")
        person.wait_for("Connection refused")
        person.answer("Keep it all the same?")
        person.answer("Mail reports to")
        person.answer("Mail server", mail_server)
        person.answer("From")
        person.answer("User")
        person.answer("[07:30]")
        person.answer("[Europe/Berlin]")
        person.answer("Chat (")
        person.answer("Schedule (")
        assert person.end() == 0, person.shown
    assert person.shown.count("Keep it all the same?") == 1
    assert "send --test" in person.shown.splitlines()[-1]
    (destination,) = load(job.config).destinations
    assert (str(destination.schedule.at), destination.schedule.zone) == ("07:30:00", "Europe/Berlin")
    assert isinstance(destination.channel, Smtp)
    assert destination.channel.sender == "watch@example.com"


def test_chats_are_destinations_by_the_reference_to_their_webhook(gateway: Gateway, job: Job) -> None:
    webhook = "https://127.0.0.1:9/a-secret"
    with terminal(job, "--url", gateway.url, "--name", "hub", "--anonymous", "--no-check") as person:
        person.answer("Mail reports to")
        person.answer("Chat (", webhook)
        person.wait_for("must refer to the secret")
        person.answer("Chat (", "irc=env:CHAT")
        person.wait_for("KIND must be one of slack")
        person.answer("Chat (", "slack=file:slack.url")
        person.answer("Paste the secret", webhook)
        person.answer("Chat (", "feishu=env:FEISHU")
        person.answer("Chat (", "none")
        person.answer("Schedule (")
        assert person.end() == 0, person.shown
    assert [destination.name for destination in load(job.config).destinations] == ["slack", "feishu"]
    assert (job.home / "slack.url").read_text() == f"{webhook}\n"
    before = job.config.read_bytes()
    options = ("--chat", "slack=file:slack.url", "--chat", "feishu=env:FEISHU")
    done = job.quick("init", "--force", "--no-check", "--url", gateway.url, "--name", "hub", *options)
    assert (done.code, job.config.read_bytes()) == (0, before)


def test_no_mail_can_be_chosen_after_mail_failed_and_keys_that_were_stored_stay(
    gateway: Gateway, job: Job
) -> None:
    with terminal(job, "--url", gateway.url, "--name", "hub") as person:
        person.answer("Key [none]", "vip=file:vip.key")
        person.answer("Paste the secret", VIP_KEY)
        person.answer("Its group")
        person.answer("Next key")
        person.answer("Ask without a key too?")
        person.answer("Mail reports to", "ann@example.com")
        person.answer("Mail server", "127.0.0.1:9")
        person.answer("From")
        person.answer("User")
        person.answer("Daily at")
        person.answer("Keep it all the same?")
        person.answer("Mail reports to", "none")
        person.answer("Chat (")
        person.answer("Schedule (")
        assert person.end() == 0, person.shown
    assert load(job.config).destinations == ()
    assert (job.home / "vip.key").read_text() == f"{VIP_KEY}\n"


def test_a_config_that_exists_is_named_before_any_question(gateway: Gateway, job: Job) -> None:
    job.configure("# mine\n")
    with terminal(job) as person:
        assert person.end() == 78
    assert "exists: edit it, or overwrite it with --force" in person.shown
    assert "Address" not in person.shown
    one_line(job.quick("init", "--url", gateway.url), 78, "exists")
    assert job.config.read_text() == "# mine\n"


def test_a_person_who_leaves_in_between_leaves_no_config(gateway: Gateway, job: Job) -> None:
    with terminal(job, "--url", gateway.url, "--name", "hub") as person:
        person.answer("Key [none]", "\x04")
        assert person.end() != 0
    assert not job.config.exists()


def test_names_that_toml_needs_in_quotes_are_quoted(gateway: Gateway, job: Job) -> None:
    done = job.quick(
        "init", "--url", gateway.url, "--name", "hub.eu", "--key", "a@b.c=env:VIP", "--group", 'a@b.c="v"'
    )
    assert (done.code, done.stderr) == (0, "")
    (scope,) = load(job.config).scopes
    assert (scope.name, scope.group) == ("hub.eu/a@b.c", '"v"')


@pytest.mark.parametrize(
    ("server", "more", "expected"),
    [
        ("smtp.example.com", (), ("smtp.example.com", 465, "tls")),
        ("smtp.example.com:587", (), ("smtp.example.com", 587, "starttls")),
        ("smtp.example.com:25", (), ("smtp.example.com", 25, "starttls")),
        ("localhost", (), ("localhost", 25, "none")),
        ("localhost:465", (), ("localhost", 465, "tls")),
        ("[::1]:2525", (), ("::1", 2525, "none")),
        ("localhost:2525", ("--mail-security", "starttls"), ("localhost", 2525, "starttls")),
        ("smtp://mx.example:587", (), ("mx.example", 587, "starttls")),
        ("smtps://mx.example/", (), ("mx.example", 465, "tls")),
        ("smtp://localhost:8025/", (), ("localhost", 8025, "none")),
    ],
)
def test_the_security_of_mail_fits_the_server_and_port(
    job: Job, server: str, more: tuple[str, ...], expected: tuple[str, int, str]
) -> None:
    mail = ("--mail-to", "a@example.com", "--mail-to", "b@example.com", "--mail-server", server)
    done = job.quick("init", "--no-check", *mail, *more)
    assert done.code == 0, done.output
    (destination,) = load(job.config).destinations
    assert isinstance(destination.channel, Smtp)
    channel = destination.channel
    assert (channel.server, channel.port, channel.security) == expected
    assert (channel.sender, channel.recipients) == ("a@example.com", ("a@example.com", "b@example.com"))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--mail-to", "a@example.com"), "mail needs --mail-server, too"),
        (("--mail-at", "07:30"), "mail needs --mail-to, too"),
        (
            ("--mail-to", "a@example.com", "--mail-server", "localhost", "--mail-zone", "Europe/Berlin"),
            "--mail-zone is the time zone of --mail-at: add --mail-at HH:MM",
        ),
        (("--key", "file:prod.key"), "has no name: write --key NAME=REFERENCE"),
        (("--key", "env:PROD"), "has no name: write --key NAME=REFERENCE"),
        (("--key", "command:show --what=key"), "has no name: write --key NAME=REFERENCE"),
        (("--group", "prod=vip"), "--group prod=…: no --key has this name"),
        (("--group", "vip", "--key", "prod=env:VIP"), "write NAME=LABEL"),
    ],
)
def test_options_that_need_another_name_it(job: Job, options: tuple[str, ...], words: str) -> None:
    done = job.quick("init", *options)
    assert (done.code, done.stdout) == (2, "")
    assert words in done.stderr


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://aihubmix.com", "aihubmix"),
        ("https://api.openai.com/v1", "openai"),
        ("https://llm.example.co.uk/", "example"),
        ("http://127.0.0.1:8900", "local"),
        ("http://localhost", "local"),
        ("http://10.0.0.1", "gateway"),
        ("http://hub:3000", "hub"),
    ],
)
def test_the_name_of_a_gateway_is_made_of_its_address(url: str, name: str) -> None:
    assert gateway_name(url) == name
