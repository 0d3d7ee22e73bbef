"""The command `init`: ask for a gateway, its keys and a destination, try them, and write the config."""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click
from msgspec.structs import replace

from pipeline.api import CheckResult, Home, ListingAnswer
from pipeline.cli.first_config import Answers, KeyAnswer, MailAnswer, first_config, gateway_name
from pipeline.cli.options import with_home
from pipeline.cli.run import check_row, missing_lines, print_checks
from pipeline.cli.schedule import KINDS, print_schedule
from pipeline.cli.terminal import program_words, relative_path
from pipeline.core.addresses import is_this_machine
from pipeline.core.text import count, printable
from pipeline.core.types import is_reference
from pipeline.errors import ConfigError
from pipeline.reports.console import scopes_text

_URL = "https://aihubmix.com"

_MOST_SCOPES = 20
_MOST_MODELS = 8

_LONGEST = 1000

_NONE = "none"

_PRICE_LISTS = {"new-api": "new-api-pricing"}
"""By dialect of a gateway, that of its public price list, which names its groups."""

_CHATS = ("slack", "discord", "teams", "feishu")

_KEY_FORM = "NAME=REFERENCE"
_CHAT_FORM = "KIND=REFERENCE"

_STARTTLS_PORTS = (25, 587)

_TLS_PORTS = (465, 587)

_FITTING_MAIL = {"mail_to": ("a@example.com",), "mail_server": "localhost", "mail_from": "a@example.com"}
"""Answers about mail that a config can have, beside which each answer is tried alone."""


_NO_CHAT = f"KIND must be one of {', '.join(_CHATS)}"


class _Reference(click.ParamType[str]):
    """A reference to a secret; a secret itself is refused and not shown."""

    name = "reference"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the reference."""
        if not is_reference(value):
            self.fail(_way_of(f"{param.opts[0]} " if param else ""), param, ctx)
        return str(value)


class _Pair(click.ParamType[tuple[str, str]]):
    """A name and a value, `NAME=VALUE`."""

    name = "pair"

    def __init__(self, *, is_secret: bool = False) -> None:
        self._is_secret = is_secret

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        """Split the pair; one with a secret is refused and not shown."""
        form = str(param.metavar) if param else _KEY_FORM
        name, equals, text = str(value).partition("=")
        if self._is_secret and not (equals and is_reference(text)):
            # The name may be a secret, too, where somebody forgot it.
            self.fail(_way_of_pair(str(value), f"{param.opts[0]} " if param else "", form), param, ctx)
        if not (name and text):
            self.fail(f"write {form}", param, ctx)
        return name, text


def _way_of(before: str) -> str:
    """Return how to refer to a secret, after the beginning of an option."""
    return (
        f"must refer to the secret, never be the secret itself: write {before}env:PROD_KEY (a variable), "
        f"{before}file:prod.key (a file beside the config) or {before}command:… (the output of a program)"
    )


def _way_of_pair(text: str, before: str, form: str) -> str:
    """Return how to write a key or a chat after the beginning of an option; `text` is not shown."""
    left = form.partition("=")[0]
    if is_reference(text):
        example = "prod=file:prod.key" if form == _KEY_FORM else "slack=file:slack.url"
        return f"has no {left.lower()}: write {before}{form}, e.g. {before}{example}"
    return _way_of(f"{before}{left}=")


def _each_once(
    _ctx: click.Context, param: click.Parameter, pairs: tuple[tuple[str, str], ...]
) -> tuple[tuple[str, str], ...]:
    """Refuse a name that is given twice: the config has one value for it."""
    names = [name for name, _ in pairs]
    for name in names:
        if names.count(name) > 1:
            raise click.UsageError(f"{param.opts[0]} {printable(name)}=…: is given twice: give it once")
    return pairs


def _each_chat_once(
    ctx: click.Context, param: click.Parameter, pairs: tuple[tuple[str, str], ...]
) -> tuple[tuple[str, str], ...]:
    """Refuse what is no kind of chat, and a kind that is given twice."""
    if not {kind for kind, _ in pairs} <= set(_CHATS):
        raise click.UsageError(f"{param.opts[0]}: {_NO_CHAT}")
    return _each_once(ctx, param, pairs)


@click.command()
@with_home
@click.option("--url", help=f"The gateway's address.  [default: {_URL}]")
@click.option("--name", help="The gateway's name in the config.  [default: from its address]")
@click.option(
    "--key",
    "keys",
    multiple=True,
    type=_Pair(is_secret=True),
    callback=_each_once,
    metavar=_KEY_FORM,
    help="A key, as env:NAME, file:PATH or command:PROGRAM; may be repeated.",
)
@click.option(
    "--keys",
    "keys_file",
    metavar="FILE",
    help="A CSV file of keys by reference: name,key,group. Or a list of the keys themselves, by file:PATH or"
    " command:PROGRAM.",
)
@click.option("--anonymous", is_flag=True, help="Ask without a key too; the default without keys.")
@click.option(
    "--group",
    "groups",
    multiple=True,
    type=_Pair(),
    callback=_each_once,
    metavar="NAME=LABEL",
    help="The group of a key, as a label in reports; may be repeated.",
)
@click.option("--mail-to", multiple=True, metavar="ADDRESS", help="Send reports there; may be repeated.")
@click.option("--mail-server", metavar="HOST[:PORT]", help="The mail server.  [default port: 465, with TLS]")
@click.option(
    "--mail-security", type=click.Choice(["tls", "starttls", "none"]), help="[default: what fits the port]"
)
@click.option(
    "--mail-from", metavar="ADDRESS", help="The sender.  [default: the user, or the first --mail-to]"
)
@click.option("--mail-user", metavar="NAME", help="The user of the mail server, if it needs one.")
@click.option("--mail-password", type=_Reference(), metavar="REFERENCE", help="The password of the user.")
@click.option("--mail-at", metavar="HH:MM", help="Send once a day.  [default: after each run with news]")
@click.option("--mail-zone", metavar="ZONE", help="The time zone of --mail-at.  [default: the machine's]")
@click.option(
    "--chat",
    "chats",
    multiple=True,
    type=_Pair(is_secret=True),
    callback=_each_chat_once,
    metavar=_CHAT_FORM,
    help=f"Send reports to a chat, by the address of its webhook; KIND is {', '.join(_CHATS)}.",
)
@click.option("--schedule", type=click.Choice(KINDS), help="Print the schedule of this kind afterwards.")
@click.option("--no-check", is_flag=True, help="Do not ask the gateway before the config is written.")
@click.option("--force", is_flag=True, help="Overwrite an existing config.")
def init(home: Home, *, no_check: bool, force: bool, schedule: str | None, **options: Any) -> int:
    """Write a first config, from options and, on a terminal, from answers to questions.

    Keys are references: the config never has a secret. The gateway is asked with each key before anything is
    written. Without any option, off a terminal, the config is a commented one that needs no key.
    """
    if not force:
        home.require_no_config()
    given = {name: value for name, value in options.items() if value}
    if sys.stdin.isatty() and sys.stdout.isatty():
        answers = _Questions(home, given, check=not no_check).ask()
        schedule = schedule or _ask_schedule()
        found = None
    else:
        answers = _from_options(home, given)
        _require_valid(home, answers)
        found = home.check_text(first_config(answers)) if given and not no_check else None
        if found is not None and found.exit_status:
            _print_check(found)
            click.echo("modelwatch: no config was written: correct this, or add --no-check", err=True)
            return found.exit_status
    path = home.write_config(first_config(answers), overwrite=force)
    if given or sys.stdout.isatty():
        found = found or (None if no_check else home.check())
        if found is not None:
            _print_check(found)
            _print_models(found)
    click.echo(f"wrote {relative_path(path)}")
    if schedule:
        click.echo()
        print_schedule(home, schedule)
        click.echo()
    steps = ["run"] if found else ["check", "run"]
    if answers.mail or answers.chats:
        steps.append("send --test")
    click.echo(f"next: {', then '.join(f'`{_command(home, step)}`' for step in steps)}")
    return 0


def _from_options(home: Home, given: dict[str, Any]) -> Answers:
    """Return the answers that are given as options; the others have their defaults."""
    url = given.get("url", _URL)
    return Answers(
        url,
        given.get("name") or gateway_name(url),
        keys=_keys_of(given),
        keys_file=_keys_file(home, given["keys_file"]) if "keys_file" in given else None,
        anonymous=given.get("anonymous", False),
        mail=_mail_of(given),
        chats=given.get("chats", ()),
    )


def _require_valid(home: Home, answers: Answers) -> None:
    """Refuse options that no config can have, by the names of the options: no file has their lines yet.

    Raises:
        click.UsageError: an option has a wrong value.
        ConfigError: the file of keys has.
    """
    try:
        home.parse_config(first_config(answers))
    except ConfigError as error:
        place = _place_in_config(home)
        lines = error.message.splitlines()
        if not all(place.match(line) for line in lines):
            raise
        raise click.UsageError("\n".join(_with_option(place.sub("", line)) for line in lines)) from error


def _place_in_config(home: Home) -> re.Pattern[str]:
    """Return what matches the file and line before an error of the config."""
    return re.compile(rf"^{re.escape(str(home.config_path))}(:\d+)?: ")


def _with_option(line: str) -> str:
    """Return an error with the option in place of the key of the config that it sets, where there is one."""
    mail = re.match(r"destinations\.mail\.(\w+): ", line)
    if mail:
        option = "server" if mail[1] == "port" else mail[1]
        return f"--mail-{option}: {line[mail.end() :]}"
    line = re.sub(r"^gateways\.[^:]+\.url: ", "--url: ", line)
    line = re.sub(r"^gateways\.[^:]+\.keys: ", "--keys: ", line)
    line = re.sub(r"^gateways\.[^:]+?\.scopes\.([^:]+): the name ", r"--key \1: the name ", line)
    return re.sub(r"^gateways\.[^:]+: the name ", "--name: the name ", line)


def _keys_of(given: dict[str, Any]) -> tuple[KeyAnswer, ...]:
    keys: tuple[tuple[str, str], ...] = given.get("keys", ())
    groups = dict(given.get("groups", ()))
    for name in groups:
        if name not in dict(keys):
            raise click.UsageError(f"--group {printable(name)}=…: no --key has this name")
    return tuple(KeyAnswer(name, reference, groups.get(name)) for name, reference in keys)


def _keys_file(home: Home, text: str) -> str:
    """Return the path of a file of keys as the config has it: relative to the config where it is below it.

    A reference to a list of keys, as `command:…`, stays what it is.

    Raises:
        ConfigError: there is no such file, here or beside the config.
    """
    assert home.config_path, "a database alone has no config"
    if is_reference(text):
        return text
    beside = home.config_path.absolute().parent
    for path in (Path(text).expanduser().absolute(), beside / text):
        if path.is_file():
            return str(path.relative_to(beside) if path.is_relative_to(beside) else path)
    raise ConfigError("does not exist: write it first, with the line `name,key,group`", where=text)


def _mail_of(given: dict[str, Any]) -> MailAnswer | None:
    """Return the destination that options describe; None without any."""
    mail = {name.removeprefix("mail_"): value for name, value in given.items() if name.startswith("mail_")}
    if not mail:
        return None
    for name in ("to", "server"):
        if name not in mail:
            raise click.UsageError(f"mail needs --mail-{name}, too")
    if "zone" in mail and "at" not in mail:
        raise click.UsageError("--mail-zone is the time zone of --mail-at: add --mail-at HH:MM")
    server, port = _host_and_port(mail["server"])
    user = mail.get("user")
    return MailAnswer(
        to=tuple(mail["to"]),
        server=server,
        port=port,
        security=mail.get("security") or _security(server, port),
        sender=mail.get("from") or (user if user and "@" in user else mail["to"][0]),
        user=user,
        password=mail.get("password"),
        at=mail.get("at"),
        zone=mail.get("zone") or _machine_zone(),
    )


def _host_and_port(text: str) -> tuple[str, int | None]:
    text = re.sub(r"^smtps?://|/$", "", text)
    host, colon, port = text.rpartition(":")
    has_port = colon and port.isdecimal() and (":" not in host or host.endswith("]"))
    return (host.strip("[]"), int(port)) if has_port else (text.strip("[]"), None)


def _security(server: str, port: int | None) -> str:
    """Return the usual security of a port; empty for TLS from the start, the default of the config."""
    if port in _STARTTLS_PORTS and not is_this_machine(server):
        return "starttls"
    return "none" if is_this_machine(server) and port not in _TLS_PORTS else ""


def _machine_zone() -> str | None:
    """Return the IANA name of the machine's time zone; None where it has none."""
    zone = os.environ.get("TZ", "").removeprefix(":") or os.path.realpath("/etc/localtime")
    name = zone.partition("zoneinfo/")[2] if zone.startswith("/") else zone
    return name if "/" in name else None


class _Questions:
    """The questions on a terminal. What options answer is not asked; what fails is asked again.

    Args:
        home: where the config will be.
        given: the options.
        check: whether addresses and keys are tried.
    """

    def __init__(self, home: Home, given: dict[str, Any], *, check: bool) -> None:
        self._home = home
        self._given = given
        self._check = check
        self._has_public_list = False
        self._is_recognised = False
        self._stored: Path | None = None
        self._groups: tuple[str, ...] = ()

    def ask(self) -> Answers:
        """Return all answers."""
        answers = self._address()
        if "keys_file" in self._given:
            file = _keys_file(self._home, self._given["keys_file"])
            answers = self._with_keys_file(answers, file) or answers
        for key in _keys_of(self._given):
            answers = self._with_key(answers, key) or answers
        if not self._given.keys() & {"keys", "keys_file", "anonymous"}:
            answers = self._keys(answers)
        anonymous = self._given.get("anonymous", False)
        if not anonymous and self._has_public_list and (answers.keys or answers.keys_file):
            anonymous = click.confirm("Ask without a key too?")
        return self._chats(self._mail(replace(answers, anonymous=anonymous)))

    def _address(self) -> Answers:
        """Ask for the address until it answers, or is confirmed, and for the name."""
        before: str | None = None
        url: str | None = self._given.get("url")
        while True:
            url = url or click.prompt("Address of the gateway", default=before or _URL)
            answers = Answers(url, "gateway", anonymous=True)
            problem = self._problem(lambda: self._try_address(answers))  # noqa: B023 - called at once
            if problem is None or url == before:
                break
            click.echo(f"  {problem}")
            before = url if self._is_valid(answers) else None
            click.echo(f"  Correct the address{', or press Enter to keep it' if before else ''}.")
            url = None
        name = self._given.get("name") or gateway_name(url)
        while True:
            if "name" not in self._given:
                name = click.prompt("Its name in the config and in reports", default=name)
            problem = self._problem(lambda: self._parse(replace(answers, name=name)))  # noqa: B023
            if problem is None:
                return Answers(url, name)
            click.echo(f"  {problem}")
            self._given.pop("name", None)
            name = gateway_name(url)

    def _problem(self, work: Callable[[], str | None]) -> str | None:
        """Return what `work` returns, or the text of the config error that it raises."""
        try:
            return work()
        except ConfigError as error:
            # No file has these lines yet.
            first, *others = error.message.splitlines()
            place = _place_in_config(self._home)
            return "\n  ".join(
                (first.removeprefix(f"{error.where}: "), *(place.sub("", line) for line in others))
            )

    def _is_valid(self, answers: Answers) -> bool:
        return self._problem(lambda: self._parse(answers)) is None

    def _parse(self, answers: Answers) -> None:
        self._home.parse_config(first_config(answers))

    def _try_address(self, answers: Answers) -> str | None:
        """Ask without a key; return what is wrong with the address, if anything is."""
        self._parse(answers)
        if not self._check:
            return None
        (row,) = _rows(self._home.check_text(first_config(answers)))
        if row["error"] is None:
            self._has_public_list = True
            click.echo(f"  {count(row['models'], 'model')} without a key")
            self._recognise(answers.url, row["dialect"])
        elif row["error"]["class"] == "Refused":
            click.echo("  it answers, and wants a key")
        else:
            return printable(row["advice"], longest=_LONGEST)
        return None

    def _recognise(self, url: str, dialect: str) -> None:
        """Print the kind of the gateway, once, and the groups that it names."""
        if self._is_recognised:
            return
        self._is_recognised = True
        click.echo(f"  the format of its list is recognised: {dialect}")
        if dialect in _PRICE_LISTS:
            self._groups = self._named_groups(url, _PRICE_LISTS[dialect])
        if self._groups:
            click.echo(f"  groups in its price list: {', '.join(map(printable, self._groups))}")

    def _named_groups(self, url: str, dialect: str) -> tuple[str, ...]:
        """Return the groups that a public price list names."""
        text = f'[gateways.x]\nurl = {json.dumps(url)}\ndialect = "{dialect}"\nscopes.x = {{}}\n'
        (result,) = self._home.check_text(text).results.values()
        if not isinstance(result.answer, ListingAnswer):
            return ()
        bodies = (json.loads(record.body) for record in result.answer.listing.records.values())
        names = (name for body in bodies for name in body.get("enable_groups") or ())
        return tuple(sorted({name for name in names if isinstance(name, str)} - {"all"}))

    def _keys(self, answers: Answers) -> Answers:
        """Ask for keys, one by one, until there is no more."""
        click.echo(
            "Keys by reference, prod=env:PROD_KEY (a variable) or prod=file:prod.key (a file); or a CSV file."
        )
        while True:
            text = click.prompt(
                "Next key (Enter for no more)" if answers.keys else "Key",
                default="" if answers.keys else _NONE,
                show_default=not answers.keys,
            ).strip()
            if text in ("", _NONE):
                return answers
            name, equals, reference = text.partition("=")
            if not equals and (text.endswith(".csv") or Path(text).is_file()):
                found = self._with_asked_file(answers, text)
                if found:
                    return found
            elif not (equals and is_reference(reference)):
                click.echo(f"  {_way_of_pair(text, '', _KEY_FORM)}")
            else:
                self._offer_to_store(reference)
                answers = self._with_key(answers, KeyAnswer(name, reference), is_asked=True) or answers

    def _with_asked_file(self, answers: Answers, text: str) -> Answers | None:
        try:
            file = _keys_file(self._home, text)
        except ConfigError as error:
            click.echo(f"  {error.message}")
            return None
        return self._with_keys_file(answers, file)

    def _with_keys_file(self, answers: Answers, file: str) -> Answers | None:
        """Return answers with a file of keys, if its keys work or it is kept all the same."""
        keeps = self._keeps(replace(answers, keys=(), keys_file=file), self._try_keys)
        return replace(answers, keys_file=file) if keeps else None

    def _with_key(self, answers: Answers, key: KeyAnswer, *, is_asked: bool = False) -> Answers | None:
        """Return answers with a key, if it works or is kept all the same."""
        if not self._keeps(replace(answers, keys=(key,), keys_file=None), self._try_keys):
            return None
        if is_asked and self._groups:
            group = click.prompt(
                "  Its group, a label for reports (Enter for none)", default="", show_default=False
            )
            key = replace(key, group=group.strip() or None)
        others = tuple(each for each in answers.keys if each.name != key.name)
        return replace(answers, keys=(*others, key))

    def _try_keys(self, answers: Answers) -> str | None:
        """Ask with keys, and print the size of each list; return what is wrong, if anything is."""
        rows = _rows(self._home.check_text(first_config(answers)))
        good = [row for row in rows if row["error"] is None]
        for line in _some(f"{row['scope']}: {count(row['models'] or 0, 'model')}" for row in good):
            click.echo(f"  {line}")
        for row in good:
            self._recognise(answers.url, row["dialect"])
        problems = (
            f"{row['scope']}: {printable(row['advice'], longest=_LONGEST)}" for row in rows if row["error"]
        )
        return "\n  ".join(_some(problems)) or None

    def _keeps(self, answers: Answers, attempt: Callable[[Answers], str | None]) -> bool:
        """Return whether answers are valid, and work or are kept all the same; say what is wrong.

        A secret that was stored for answers that are not kept is removed.
        """
        problem = self._problem(lambda: self._parse(answers))
        may_keep = problem is None
        if may_keep and self._check:
            problem = attempt(answers)
        stored, self._stored = self._stored, None
        if problem is None:
            return True
        click.echo(f"  {problem}")
        if may_keep and click.confirm("  Keep it all the same?"):
            return True
        if stored:
            stored.unlink(missing_ok=True)
        return False

    def _offer_to_store(self, reference: str) -> None:
        """Offer to write the secret of `file:PATH` where there is no such file; it is not shown."""
        self._stored = None
        path = self._home.absent_secret(reference)
        if path is None:
            return
        secret = click.prompt(
            f"  {relative_path(path)} does not exist. Paste the secret to store it there, or press Enter",
            default="",
            hide_input=True,
            show_default=False,
        ).strip()
        if secret:
            self._stored = self._home.store_secret(reference, secret)

    def _mail(self, answers: Answers) -> Answers:
        """Ask for a destination of mail, and try its server; what fails is asked again."""
        given = {name: value for name, value in self._given.items() if name.startswith("mail_")}
        before: dict[str, Any] = {}
        while True:
            if not given:
                given = self._mail_answers(answers, before)
            if not given:
                return answers
            with_mail = replace(answers, mail=_mail_of(given))
            if self._keeps(with_mail, self._try_destinations):
                return with_mail
            before, given = given, {}

    def _mail_answers(self, answers: Answers, before: dict[str, Any]) -> dict[str, Any]:
        """Ask for the answers of mail, with those before as defaults; return none without an address."""
        found: dict[str, Any] = {}

        def ask(name: str, question: str, default: str) -> None:
            """Ask until a config can have the answer, and keep it; an address and a time may be left out."""
            while True:
                text: str = click.prompt(question, default=default, show_default=bool(default)).strip()
                if name in ("mail_to", "mail_at") and text in ("", _NONE):
                    return
                value = text.replace(",", " ").split() if name == "mail_to" else text
                tried = replace(answers, mail=_mail_of({**_FITTING_MAIL, **found, name: value}))
                problem = self._problem(lambda: self._parse(tried))  # noqa: B023 - called at once
                if problem is None:
                    found[name] = value
                    return
                click.echo(f"  {problem}")

        to = " ".join(before.get("mail_to", ()))
        ask("mail_to", f"Mail reports to (address, {_NONE if to else 'Enter for none'})", to)
        if not found:
            return {}
        ask("mail_server", "  Mail server (HOST or HOST:PORT)", before.get("mail_server", "localhost"))
        ask("mail_from", "  From", before.get("mail_from", found["mail_to"][0]))
        user = click.prompt("  User", default=before.get("mail_user", _NONE)).strip()
        if user != _NONE:
            found["mail_user"] = user
            found["mail_password"] = self._password()
        ask("mail_at", "  Daily at (HH:MM; Enter: after each run with news)", before.get("mail_at", ""))
        if "mail_at" in found:
            ask("mail_zone", "  In the time zone", before.get("mail_zone") or _machine_zone() or "UTC")
        return found

    def _password(self) -> str:
        while True:
            reference: str = click.prompt("  Password, by reference", default="file:smtp.password").strip()
            if is_reference(reference):
                self._offer_to_store(reference)
                return reference
            click.echo(f"  {_way_of('')}")

    def _chats(self, answers: Answers) -> Answers:
        """Ask for chats, one by one, until there is no more."""
        for chat in self._given.get("chats", ()):
            answers = self._with_chat(answers, chat)
        while "chats" not in self._given:
            text = click.prompt(
                f"Chat ({_CHAT_FORM}; {', '.join(_CHATS)}; Enter for none)", default="", show_default=False
            ).strip()
            if text in ("", _NONE):
                break
            kind, equals, reference = text.partition("=")
            if not (equals and is_reference(reference)):
                click.echo(f"  {_way_of_pair(text, '', _CHAT_FORM)}")
                continue
            if kind not in _CHATS:
                click.echo(f"  {_NO_CHAT}")
                continue
            self._offer_to_store(reference)
            answers = self._with_chat(answers, (kind, reference))
        return answers

    def _with_chat(self, answers: Answers, chat: tuple[str, str]) -> Answers:
        """Return answers with a chat, if it works or is kept all the same; else without."""
        tried = replace(answers, mail=None, chats=(chat,))
        others = tuple(each for each in answers.chats if each[0] != chat[0])
        keeps = self._keeps(tried, self._try_destinations)
        return replace(answers, chats=(*others, chat)) if keeps else answers

    def _try_destinations(self, answers: Answers) -> str | None:
        """Connect to the servers of destinations; return what is wrong, if anything is."""
        lacking = self._home.check_text(first_config(answers)).missing
        return "\n  ".join(printable(line) for lines in lacking.values() for line in lines) or None


def _ask_schedule() -> str | None:
    kind: str = click.prompt("Schedule", type=click.Choice([*KINDS, "none"]), default="none")
    return None if kind == "none" else kind


def _some(lines: Iterable[str]) -> Iterator[str]:
    """Yield the first lines, and the number of the others."""
    lines = list(lines)
    yield from lines[:_MOST_SCOPES]
    if len(lines) > _MOST_SCOPES:
        yield f"and {count(len(lines) - _MOST_SCOPES, 'more scope')}"


def _rows(found: CheckResult) -> list[dict[str, Any]]:
    return [check_row(scope, found) for scope in found.scopes]


def _print_check(found: CheckResult) -> None:
    print_checks(_rows(found))
    for line in missing_lines(found):
        click.echo(line)


def _print_models(found: CheckResult) -> None:
    """Print the beginning of each distinct list."""
    lists: dict[tuple[str, ...], list[str]] = {}
    for name, result in found.results.items():
        if isinstance(result.answer, ListingAnswer):
            lists.setdefault(tuple(result.answer.listing.records), []).append(name)
    for models, scopes in lists.items():
        gateway = scopes[0].partition("/")[0]
        click.echo(f"{scopes_text(gateway, tuple(scopes), ())}: {_beginning(models)}")


def _beginning(models: Sequence[str]) -> str:
    more = len(models) - _MOST_MODELS
    shown = ", ".join(printable(model) for model in models[:_MOST_MODELS])
    return f"{shown} and {more} more" if more > 0 else shown or "no models"


def _command(home: Home, name: str) -> str:
    """Return how to start a command in this home from here."""
    named: Iterable[tuple[str, Path | None]] = (("directory", home.directory), ("config", home.config_path))
    return " ".join((program_words(), name, *_place(named)))


def _place(named: Iterable[tuple[str, Path | None]]) -> Iterator[str]:
    context = click.get_current_context()
    for parameter, path in named:
        if context.get_parameter_source(parameter) == click.core.ParameterSource.COMMANDLINE:
            yield f"--{'home' if parameter == 'directory' else parameter} {shlex.quote(str(path))}"
