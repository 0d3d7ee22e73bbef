"""The tables of `modelwatch.toml`: each key with its type, its meaning and an example.

The checks of the config, its reference and `config.schema.json` follow from these classes; the meaning of a
key is taken from the docstring of its class. An attribute is None where its key is absent.
"""

from collections.abc import Iterator
from functools import cache
from itertools import chain
from typing import Annotated, Any, Literal, get_args

from msgspec import Meta, Struct, field
from msgspec.structs import fields

from pipeline.config import kinds
from pipeline.config.kinds import Check, Fault, Reference, Text, eg, header_faults, unknown_key
from pipeline.core.addresses import is_this_machine
from pipeline.core.types import Severity, Share, is_reference
from pipeline.delivery.types import PING_TIMEOUT, TIMEOUT
from pipeline.gateways.dialects import FACT_NAMES
from pipeline.gateways.dialects.layout import one_place

_ALL = 'can only be "all": every group that this user may use'
_SECURITY = 'use "tls" (port 465), "starttls" (port 587), or "none" for a server on this machine'
_FIRST = "is the number of the first page, 0 or 1, where `pages` or `total` counts them"
_PASSWORD = ("password", "env:PASSWORD")
_USER_ID = ("user_id", 17)
_ENGINE = ("engine", "processes")


class Faults(ValueError):  # noqa: N818 - several
    """What is wrong in one table."""

    def __init__(self, found: list[Fault]) -> None:
        super().__init__()
        self.found = found


class Table(Struct, forbid_unknown_fields=True):
    """A table of the config."""

    def __post_init__(self) -> None:
        """Raise `Faults` unless each text has its form, and the keys fit together."""
        found: list[Fault] = []
        for name, key, checks in _checked(type(self)):
            found += malformed(key, getattr(self, name), checks)
        found = found or list(self.faults())
        if found:
            raise Faults(found)

    def faults(self) -> Iterator[Fault]:
        """Yield what is wrong with keys that are right on their own."""
        return iter(())


def misplaced(kind: type[Table], key: str, at: tuple[str, ...]) -> str | None:
    """Return the message for a key of a gateway in a scope, or the other way round; None for others."""
    if kind is Scope and key in Gateway.__struct_fields__:
        return f"is a key of the gateway: move it to [{'.'.join(at[:2])}]"
    if kind is Gateway and key in Scope.__struct_fields__:
        return f"is a key of a scope: move it to a scope in [{'.'.join(at)}.scopes]"
    return None


def malformed(key: str, value: Any, checks: tuple[Check, ...]) -> Iterator[Fault]:
    """Yield what is wrong with the texts in the value of a key."""
    texts: Any = ((value, (key,)),)
    if isinstance(value, dict):
        texts = ((text, (key, name)) for name, text in value.items())
    elif isinstance(value, tuple):
        texts = ((text, (key,)) for text in value)
    for text, at in texts:
        for check in checks if isinstance(text, str) else ():
            try:
                check.parse(text)
            except ValueError as error:
                is_empty = isinstance(value, tuple) and not text.strip()
                yield "has an empty text: write a value, or remove it" if is_empty else str(error), *at
                break


@cache
def _checked(kind: type[Table]) -> tuple[tuple[str, str, tuple[Check, ...]], ...]:
    """Return the attributes of a table whose texts have checks: its name, its key, and the checks."""
    found = ((each.name, each.encode_name, checks_of(each.type)) for each in fields(kind))
    return tuple(each for each in found if each[2])


def checks_of(kind: Any) -> tuple[Check, ...]:
    """Return the checks of a type, those of the types in it first."""
    inner = chain.from_iterable(checks_of(each) for each in get_args(kind)[:2])
    return (*inner, *(each for each in getattr(kind, "__metadata__", ()) if isinstance(each, Check)))


class Shared(Table):
    """The keys that a gateway and a scope may have.

    Args:
        dialect: the format of the list. Default `auto`: by address and shape
        path: where the list is, below `url`; a query is sent with each page. `/models` at the end of `url`,
            and a version there, give way to it
        headers: headers of each request; a secret is a reference
        params: query parameters of each request; a secret is a reference
        key_header: the header for the key. Default `Authorization`
        key_scheme: the word before the key: any, or `"raw"` for none. `"Basic"` encodes `user:password`, or a
            key as the user. Default `Bearer` in `Authorization`, else none
        key_param: the query parameter for the key, instead of a header. It is masked in every address
        method: request the list by `GET`, the default, or `POST`
        body: the JSON to send by POST; without it `{}`. The parameters of pages are added to it
        max_loss: an answer is held if it lacks more than this share of the current models…
        floor: …and more than this number of models
        confirm: complete answers in a row that must lack a model before its removal is reported. Raise it for
            a list with flapping models
        confirm_after: time for which a model must be missing before its removal is reported: `"30m"`, `"2h"`,
            `"1d"`, or seconds. `"0"`: `confirm` alone decides
        empty_after: time after which an empty list is accepted, after five empty answers
    """

    dialect: Annotated[kinds.Dialect, eg("new-api")] | None = None
    path: Annotated[kinds.RequestPath, eg("/models?type=chat")] | None = None
    headers: Annotated[kinds.Values, eg({"X-Org": "env:ORG", "Accept": "text/json"})] = {}
    params: Annotated[kinds.Values, eg({"type": "chat", "token": "env:TOKEN"})] = {}
    key_header: Annotated[kinds.KeyHeader, eg("x-api-key")] | None = None
    key_scheme: Annotated[kinds.KeyScheme, eg("Token")] | None = None
    key_param: Annotated[Text, eg("key")] | None = None
    method: Annotated[Literal["GET", "POST"], eg("POST")] | None = None
    body: Annotated[dict[str, Any], eg({"filter": "chat"}, beside=[("method", "POST")])] | None = None
    max_loss: Annotated[kinds.Part, eg(0.25)] | None = None
    floor: Annotated[int, Meta(ge=0), eg(3)] | None = None
    confirm: Annotated[kinds.Count, eg(2)] | None = None
    confirm_after: Annotated[kinds.Duration, eg("2h")] | None = None
    empty_after: Annotated[kinds.Duration, eg("6h")] | None = None

    def faults(self) -> Iterator[Fault]:
        """Yield wrong headers, parameters and bodies."""
        for message, name in header_faults(self.headers, kinds.SECRET_HEADER, kinds.RESERVED):
            yield message, "headers", name
        for message, name in header_faults(self.params, kinds.SECRET_PARAM):
            yield message, "params", name
        for other in ("key_header", "key_scheme"):
            if self.key_param is not None and getattr(self, other) is not None:
                yield f"puts the key into the query: remove {other}", "key_param"
        for message in dict.fromkeys(_not_json(self.body or {})):
            yield message, "body"


def _not_json(value: Any) -> Iterator[str]:
    match value:
        case dict() | list():
            inner = value.values() if isinstance(value, dict) else value
            yield from chain.from_iterable(_not_json(each) for each in inner)
        case str() if is_reference(value):
            yield "can hold no secret: write it to `headers` or `params`"
        case kinds.NoNumber():
            yield "has a number that JSON has not"
        case str() | int() | float():
            pass
        case _:
            yield "has a date, which JSON has not: write it in quotes"


class Scope(Shared):
    """A view of a gateway: with one key, as one signed-in user, or anonymous.

    Args:
        key: ask with this key
        cookie: ask as a signed-in user, by session cookie: `name=value`, or its bare value, which is sent as
            `session=…`
        access_token: ask as a signed-in user of New-API
        user_id: the number of that user, sent as `New-Api-User`: New-API wants it beside a cookie or an
            access token
        username: sign in at every run, for the cookie or the access token that the gateway answers
            (`access_token`, `accessToken`, `token`, `jwt` and the like, in the answer or in its `data`; or
            `data` itself)
        password: its password
        login_path: where to sign in, if not at `/api/user/login`
        group: a label for reports
        groups: New-API: one scope per group of the user
    """

    key: Annotated[Reference, eg("env:PROD")] | None = None
    cookie: Annotated[Reference, eg("env:SESSION")] | None = None
    access_token: Annotated[Reference, eg("env:TOKEN", beside=[_USER_ID])] | None = None
    user_id: (
        Annotated[int | kinds.UserId, eg(17, cure=kinds.NO_USER_ID, beside=[("cookie", "env:SESSION")])]
        | None
    ) = None
    username: Annotated[Text, eg("me", beside=[_PASSWORD])] | None = None
    password: Annotated[Reference, eg("env:PASSWORD", beside=[("username", "me")])] | None = None
    login_path: (
        Annotated[kinds.LoginPath, eg("/auth/login", beside=[("username", "me"), _PASSWORD])] | None
    ) = None
    group: Annotated[Text, eg("vip", beside=[("key", "env:PROD")])] | None = None
    groups: (
        Annotated[Literal["all"], eg("all", cure=_ALL, beside=[("access_token", "env:TOKEN"), _USER_ID])]
        | None
    ) = None

    def ways(self) -> list[str]:
        """Return the keys by which this scope authenticates."""
        ways = ("key", "cookie", "access_token", "password")
        return [each for each in ways if getattr(self, each) is not None]

    def faults(self) -> Iterator[Fault]:
        """Yield keys without the keys that they need, and keys that exclude each other."""
        yield from super().faults()
        ways = self.ways()
        signed_in = bool({"cookie", "access_token", "password"} & set(ways))
        if len(ways) > 1:
            yield (f"has {' and '.join(ways)}: use one of them, or make two scopes of it",)
        for key, partner in (("username", "password"), ("password", "username"), ("login_path", "password")):
            if getattr(self, key) is not None and getattr(self, partner) is None:
                yield f"needs {partner} beside it", key
        if self.access_token is not None and self.user_id is None:
            yield "needs `user_id` beside it: the number of the user to whom it belongs", "access_token"
        if self.user_id is not None and not signed_in:
            yield "needs access_token, cookie, or username and password beside it", "user_id"
        if self.groups and not signed_in:
            ways_in = "access_token or cookie, with user_id, or username and password"
            yield f"needs a signed-in user: write {ways_in}", "groups"
        if self.groups and self.group is not None:
            yield "cannot stand beside `groups`, which makes a scope of each group: remove it", "group"


class Paging(Table):
    """How further pages are requested.

    Args:
        param: the query parameter that selects a page
        offset: instead of `param`, a query parameter that counts records
        next: the path of the next cursor in the answer
        more: the path of whether there are more pages
        pages: the path of the number of pages
        total: the path of the number of models
        size: the value of a parameter for the size of pages
        first: the number of the first page, 0 or 1
    """

    param: Annotated[kinds.Place, eg("page")] | None = None
    offset: Annotated[kinds.Place, eg("skip")] | None = None
    next: Annotated[kinds.Place, eg("meta.next")] | None = None
    more: Annotated[kinds.Place, eg("has_more")] | None = None
    pages: Annotated[kinds.Place, eg("meta.pages")] | None = None
    total: Annotated[kinds.Place, eg("meta.count")] | None = None
    size: Annotated[Text, eg("limit=100")] | None = None
    first: Annotated[Literal[0, 1, "0", "1"], eg(0, cure=_FIRST)] | None = None

    def faults(self) -> Iterator[Fault]:
        """Yield what does not fit together."""
        set_ = {each for each in self.__struct_fields__ if getattr(self, each) is not None}
        others = {"param", "next", "more", "pages"} & set_
        if self.offset is not None and others:
            yield (f"`offset` cannot stand beside `{min(others)}`: it counts records",)
        elif self.offset is None and self.param is None:
            yield ("needs `param`, the parameter that selects a page, or `offset`, one that counts records",)
        elif self.offset is None and not {"next", "pages", "total"} & set_:
            yield ("needs `next`, the path of the next cursor, or `pages` or `total`, that of a number",)
        if self.first is not None and self.next is not None:
            yield _FIRST, "first"


class Prices(Table):
    """Where prices are in a record.

    Args:
        unit: the unit of all prices
        currency: that of prices that state none
        input: the path of the price of input
        output: the path of the price of output
        cache_read: the path of the price of cached input
        cache_write: the path of the price of writing to the cache
        per_call: the path of the price of a request
    """

    unit: Annotated[kinds.Unit, eg("1m")] | None = None
    currency: Annotated[kinds.Currency, eg("CNY")] | None = None
    input: Annotated[kinds.Place, eg("cost.in")] | None = None
    output: Annotated[kinds.Place, eg("cost.out")] | None = None
    cache_read: Annotated[kinds.Place, eg("cost.cached")] | None = None
    cache_write: Annotated[kinds.Place, eg("cost.cache_write")] | None = None
    per_call: Annotated[kinds.Place, eg("cost.request")] | None = None


class Gateway(Shared, kw_only=True):
    """A gateway: `[gateways.NAME]`.

    Args:
        url: the base address, with or without `/v1`. Required
        scopes: the scopes by name
        keys: a CSV file with a scope in each line, by reference; or `command:…` or `file:…` for a list of the
            keys themselves
        list: where the records are in the answer: an array, an object by id, or lists in a list
        id: where the id is in a record: a path, or paths in braces
        paging: how further pages are requested; `first = 0` where they are counted from 0
        complete: the answer is the whole list, whatever it says of more pages
        success: what a good answer says; anything else fails
        null_is_empty: the gateway writes `null` for an empty list
        prices: where prices are, and their unit: `token`, `1k`, `1m`, `cents_per_1m` or `cents_per_100m`;
            `currency = "CNY"` is that of prices that state none
        facts: where other facts are
        noise: values that differ between answers without a change: removed
        quiet: values that are stored and reported only on request
        sets: arrays without an order, in addition to the usual ones
        no_models: ids that are not models
        concurrency: maximum number of simultaneous requests
        timeout: seconds to wait for an answer
        attempts: attempts if the gateway is unreachable or asks to slow down; one, after eight scopes in a
            row could not reach it
        backoff: seconds before the second attempt; doubles each time, with jitter
        max_wait: longest `Retry-After` in seconds that is honoured
        max_body: maximum size of a list in bytes, decompressed, all its pages together
        max_models: maximum number of models in a list
    """

    url: Annotated[kinds.GatewayUrl, eg("https://llm.example.com/v1")]
    scopes: Annotated[dict[str, Scope], eg({"public": {}})] = {}
    keys: Annotated[kinds.Keys, eg("keys.csv")] | None = None
    list: Annotated[kinds.ListPlace, eg("providers[].models")] | None = None
    id: Annotated[kinds.IdPlace, eg("{provider}/{name}")] | None = None
    paging: Annotated[Paging, eg({"param": "page", "pages": "meta.pages"})] | None = None
    complete: kinds.Flag = False
    success: Annotated[kinds.Success, eg({"code": 0})] = {}
    null_is_empty: kinds.Flag = False
    prices: Annotated[Prices, eg({"unit": "1m", "input": "cost.in", "output": "cost.out"})] | None = None
    facts: Annotated[dict[str, kinds.Place], eg({"context_length": "ctx"})] = {}
    noise: Annotated[kinds.Paths, eg(["load", "providers.*.latency"])] = ()
    quiet: Annotated[kinds.Paths, eg(["blurb"])] = ()
    sets: Annotated[kinds.Paths, eg(["regions"])] = ()
    no_models: Annotated[kinds.Texts, eg(["all-*"])] = ()
    concurrency: Annotated[kinds.Count, eg(8)] | None = None
    timeout: Annotated[kinds.Positive, eg(30)] | None = None
    attempts: Annotated[kinds.Count, eg(4)] | None = None
    backoff: Annotated[kinds.NotNegative, eg(0.5)] | None = None
    max_wait: Annotated[kinds.NotNegative, eg(60)] | None = None
    max_body: Annotated[kinds.Count, eg(8388608)] | None = None
    max_models: Annotated[kinds.Count, eg(20000)] | None = None

    def faults(self) -> Iterator[Fault]:
        """Yield paths and facts that are none."""
        yield from super().faults()
        for name in self.success:
            try:
                one_place(name)
            except ValueError as error:
                yield str(error), "success", name
        for name in self.facts.keys() - set(FACT_NAMES):
            yield unknown_key(name, FACT_NAMES), "facts", name


class Destination(Table, tag_field="type"):
    """A receiver of reports: `[destinations.NAME]`.

    Args:
        type: the kind of the receiver. Required
        scopes: globs of scopes that limit the report. Default: everything
        groups: globs of groups that limit the report
        owners: globs of owners of models that limit the report
        models: globs of models that limit the report
        severity: lowest severity to report: `urgent`, `breaking`, `notable` (the default) or `quiet`
        every: send after each `run` with news (the default), or once a `day` or `week`
        at: the time of day of daily and weekly reports. Default `07:00`
        on: the day of weekly reports. Default `monday`
        zone: the time zone of the report's times, and of `at` and `on`. Default `UTC`
        empty: send a report even if there is no news
        language: the language of the reports: `en`, `ja` or `zh-CN`
        templates: a directory with templates to use instead of the built-in ones
    """

    scopes: Annotated[kinds.Texts, eg(["aihubmix/*"])] = ()
    groups: Annotated[kinds.Texts, eg(["vip", "team-*"])] = ()
    owners: Annotated[kinds.Texts, eg(["openai", "anthropic"])] = ()
    models: Annotated[kinds.Texts, eg(["gpt-*", "claude-*"])] = ()
    severity: Annotated[Severity, eg("urgent")] = Severity.NOTABLE
    every: Annotated[Literal["run", "day", "week"], eg("day")] = "run"
    at: Annotated[kinds.TimeOfDay, eg("07:30")] | None = None
    on: Annotated[kinds.Day, eg("friday")] | None = None
    zone: Annotated[kinds.Zone, eg("Europe/Berlin")] | None = None
    empty: kinds.Flag = False
    language: Annotated[kinds.Language, eg("ja")] = "en"
    templates: Annotated[kinds.FilePath, eg("templates")] | None = None

    def faults(self) -> Iterator[Fault]:
        """Yield keys of a schedule that has no use for them."""
        for key in ("at", "on"):
            if getattr(self, key) is not None and (
                self.every == "run" or (key == "on" and self.every == "day")
            ):
                fit = '"week"' if key == "on" else '"day" or "week"'
                yield f'has no effect with every = "{self.every}": write every = {fit}, or remove it', key


class Mail(Destination, kw_only=True):
    """A destination that gets mails.

    Args:
        from: the sender, with or without a name
        to: an address or a list of addresses, with or without names
        reply_to: the address for answers
        bom: the CSV is for Excel
    """

    sender: Annotated[kinds.Address, eg("modelwatch <watch@example.com>")] = field(name="from")
    to: Annotated[kinds.Addresses, eg(["ann@example.com", "Bob <bob@example.com>"])]
    reply_to: Annotated[kinds.Address, eg("team@example.com")] | None = None
    bom: kinds.Flag = False


class Smtp(Mail, tag="smtp", kw_only=True):
    """A mail server.

    Args:
        server: the name or address of the mail server
        port: its port. Default 465 (`tls`), 587 (`starttls`) or 25 (`none`)
        security: `tls` (from the start, the default), `starttls`, or `none`, only for a server on this
            machine
        user: the user to sign in as
        password: a reference to the password of `user`
        token: a reference to an access token, for XOAUTH2, instead of `password`
        helo: the name with which modelwatch greets the server. Default: the full name of this machine
        timeout: seconds to wait for each answer (30). A whole delivery may take four times as long
    """

    server: Annotated[kinds.Server, eg("smtp.example.com")]
    port: Annotated[kinds.Port, eg(465)] | None = None
    security: Annotated[
        Literal["tls", "starttls", "none"], eg("starttls", cure=f"is not known: {_SECURITY}")
    ] = "tls"
    user: Annotated[kinds.User, eg("watch@example.com")] | None = None
    password: Annotated[Reference, eg("env:SMTP_PASSWORD")] | None = None
    token: Annotated[Reference, eg("command:oama access watch@example.com")] | None = None
    helo: Annotated[kinds.Greeting, eg("watch.example.com")] | None = None
    timeout: kinds.Timeout = TIMEOUT

    def faults(self) -> Iterator[Fault]:
        """Yield secrets without protection or partner."""
        yield from super().faults()
        if self.security == "none" and not is_this_machine(self.server):
            risk = f"would send the mail and the password in plain text to {self.server}"
            yield f"{risk}: {_SECURITY}", "security"
        if self.password is not None and self.token is not None:
            yield "cannot stand beside password: remove one of them", "token"
        secret = "token" if self.password is None else "password"
        if getattr(self, secret) is not None and self.user is None:
            yield "needs `user` beside it", secret
        if self.user is not None and getattr(self, secret) is None:
            yield "needs `password` beside it, or `token` for XOAUTH2", "user"


class Sendmail(Mail, tag="sendmail"):
    """A program that sends mails.

    Args:
        command: the program and its arguments. Default: `/usr/sbin/sendmail`
        timeout: seconds that the program may take (30)
    """

    command: Annotated[kinds.Words, eg("msmtp -a work")] = "/usr/sbin/sendmail"
    timeout: kinds.Timeout = TIMEOUT


class Eml(Destination, tag="eml", kw_only=True):
    """A directory of mails.

    Args:
        directory: the directory of the files, relative to the config; created if missing
        from: the sender, with or without a name
        to: an address or a list of addresses, with or without names
        bom: the CSV is for Excel
    """

    directory: Annotated[kinds.FilePath, eg("mails")]
    sender: Annotated[kinds.Address, eg("modelwatch <watch@example.com>")] = field(
        default="modelwatch <modelwatch@localhost>", name="from"
    )
    to: Annotated[kinds.Addresses, eg(["ann@example.com", "Bob <bob@example.com>"])] = ()
    bom: kinds.Flag = False


class Webhook(Destination, tag="webhook", kw_only=True):
    """A program that receives reports as JSON.

    Args:
        url: a web address, or a reference to a secret one
        secret: a reference to the signing key
        headers: additional headers; secrets are references
        timeout: seconds to wait for each answer (30). A whole delivery may take four times as long
    """

    url: Annotated[kinds.HookUrl, eg("https://example.com/hook")]
    secret: Annotated[Reference, eg("file:hook.key")] | None = None
    headers: Annotated[dict[str, Text], eg({"Authorization": "env:HOOK_TOKEN"})] = {}
    timeout: kinds.Timeout = TIMEOUT

    def faults(self) -> Iterator[Fault]:
        """Yield wrong headers."""
        yield from super().faults()
        for message, name in header_faults(self.headers, kinds.SECRET_HEADER, kinds.HOOK_RESERVED):
            yield message, "headers", name


class Chat(Destination, kw_only=True):
    """A chat.

    Args:
        url: a reference to the address of the incoming webhook, which is a secret
        timeout: seconds to wait for each answer (30). A whole delivery may take four times as long
    """

    url: Annotated[Reference, eg("env:CHAT_URL")]
    timeout: kinds.Timeout = TIMEOUT


class Slack(Chat, tag="slack", kw_only=True):
    """A channel of Slack: an incoming webhook."""


class Discord(Chat, tag="discord", kw_only=True):
    """A channel of Discord: a webhook of the channel."""


class Teams(Chat, tag="teams", kw_only=True):
    """A channel or chat of Microsoft Teams: a workflow that posts when a webhook request is received."""


class Feishu(Chat, tag="feishu", kw_only=True):
    """A group of Feishu or Lark: a custom bot.

    Args:
        secret: a reference to the key of the signature check of a custom bot
    """

    secret: Annotated[Reference, eg("env:FEISHU_SECRET")] | None = None


class Apprise(Destination, tag="apprise", kw_only=True):
    """Services that Apprise supports.

    Args:
        urls: references to [Apprise](https://github.com/caronc/apprise) addresses: Telegram, Matrix, DingTalk
            and a hundred others
        timeout: seconds to wait for each answer (30). A whole delivery may take four times as long
    """

    urls: Annotated[tuple[Reference, ...], Meta(min_length=1), eg(["env:TELEGRAM_URL"])]
    timeout: kinds.Timeout = TIMEOUT


class Files(Destination, tag="files", kw_only=True):
    """A directory of report files.

    Args:
        directory: the directory of the files, relative to the config; created if missing
        forms: some of `csv`, `json`, `html`, `md`, `txt`, `atom`, `feed` (JSON Feed) and `ics` (shutdown
            dates). Default: `["csv", "json"]`
        bom: the CSV is for Excel
    """

    directory: Annotated[kinds.FilePath, eg("/srv/www/models")]
    forms: Annotated[tuple[kinds.Form, ...], eg(["html", "atom", "feed", "ics"])] = ("csv", "json")
    bom: kinds.Flag = False


AnyDestination = Smtp | Sendmail | Eml | Webhook | Slack | Discord | Teams | Feishu | Apprise | Files


class Watch(Table):
    """The models that you depend on.

    Args:
        models: ids or globs of the watched models
        file: a file with an id or glob in each line; `#` starts a comment
        scopes: globs of the scopes that matter; all by default
    """

    models: Annotated[kinds.Texts, eg(["gpt-4o", "claude-*"])] = ()
    file: Annotated[kinds.FilePath, eg("models.txt")] | None = None
    scopes: Annotated[kinds.Texts, eg(["aihubmix/*"])] = ()


class Ping(Table, kw_only=True):
    """A dead man's switch, such as healthchecks.io.

    Args:
        url: the address of the check, or a reference to it
        timeout: seconds for a ping in all, including its second attempt (at most 60)
    """

    url: Annotated[kinds.PingUrl, eg("env:PING_URL")]
    timeout: Annotated[kinds.PingTimeout, eg(5)] = PING_TIMEOUT


class Metrics(Table, kw_only=True):
    """A metrics file for Prometheus.

    Args:
        file: the file, which node_exporter reads; its name ends in `.prom`
    """

    file: Annotated[kinds.PromFile, eg("/var/lib/node_exporter/modelwatch.prom")]


class Dask(Table):
    """The scheduler of `engine = "dask"`; without one, each run starts a scheduler and workers here.

    Args:
        scheduler: the address of the scheduler
        tls_ca_file: the certificate authority of the scheduler and its workers, for `tls://`, in PEM
        tls_client_cert: the certificate of this client
        tls_client_key: its key
        when_lost: where the scheduler is gone: its scopes `fail`, the default, or are asked by this process,
            `local`
    """

    scheduler: Annotated[kinds.SchedulerAddress, eg("tls://scheduler.example.com:8786")] | None = None
    tls_ca_file: Annotated[kinds.FilePath, eg("ca.pem")] | None = None
    tls_client_cert: Annotated[kinds.FilePath, eg("client.pem")] | None = None
    tls_client_key: Annotated[kinds.FilePath, eg("client.key")] | None = None
    when_lost: Annotated[Literal["fail", "local"], eg("local")] = "fail"

    def faults(self) -> Iterator[Fault]:
        """Yield files of TLS for a scheduler without it, and a certificate without its key."""
        files = ("tls_ca_file", "tls_client_cert", "tls_client_key")
        given = [each for each in files if getattr(self, each) is not None]
        if given and not (self.scheduler or "").startswith("tls://"):
            yield "needs `scheduler` beside it, the address of one with TLS: write tls://HOST:PORT", given[0]
        elif given and len(given) < len(files):
            missing = next(each for each in files if each not in given)
            yield f"needs `{missing}` beside it", given[0]


class File(Table):
    """The config of modelwatch.

    Args:
        database: the SQLite file
        reports: the directory of the CSV and JSON reports
        keep_reports: how long reports stay there, and in the directories of `files`: `"90d"`, the default,
            or seconds. `"0"`: for ever
        share: who may read the database and what is written from it: the `owner` (the default), the `group`
            too, or `all`
        deadline: maximum duration of a run in seconds; scopes without an answer by then fail
        engine: who asks the gateways: this process (`local`, the default), `processes` of this machine, or
            the workers of `dask`
        workers: how many processes, or workers of Dask. Default: one per processor, or those of the scheduler
        base_url: where readers of reports reach `modelwatch browse`, or a published copy: the names in mails,
            pages and chats lead there. Without it those of gateways and scopes lead to the gateway
        dask: the scheduler of `engine = "dask"`
        gateways: the gateways by name
        watch: the models that you depend on
        destinations: the receivers of reports by name
        ping: a dead man's switch, such as healthchecks.io
        metrics: a metrics file for Prometheus
    """

    database: Annotated[kinds.FilePath, eg("modelwatch.db")] = "modelwatch.db"
    reports: Annotated[kinds.FilePath, eg("reports")] = "reports"
    keep_reports: Annotated[kinds.Duration, eg("90d")] = "90d"
    share: Annotated[Share, eg("group")] = Share.OWNER
    deadline: Annotated[kinds.Positive, eg(600)] = 600.0
    engine: Annotated[Literal["local", "processes", "dask"], eg("processes")] = "local"
    workers: Annotated[kinds.Count, eg(4, beside=[_ENGINE])] | None = None
    base_url: Annotated[kinds.GatewayUrl, eg("https://models.example.com")] | None = None
    dask: Dask | None = None
    gateways: dict[str, Gateway] = {}
    watch: Watch | None = None
    destinations: dict[str, AnyDestination] = {}
    ping: Ping | None = None
    metrics: Metrics | None = None
