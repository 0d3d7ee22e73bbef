"""Tables at several widths: no id and no time is broken, and what has no room is named."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from rich.cells import cell_len
from support.e2e import Done, Job

from pipeline.errors import DeliveryError
from pipeline.simulator import Gateway

WIDTHS = (60, 80, 120, 200)

LONG = "vega/vega-9-instruct-preview-2026-05-01-with-a-very-long-name"

MODELS = {
    "heron-2": {"cost": {"in": 5, "out": 10}, "context_length": 200_000, "max_output_tokens": 8192},
    "heron-2-mini": {"cost": {"in": 0.3, "out": 1.25}, "context_length": 128_000},
    "quarry/slate:free": {"cost": {"in": 0, "out": 0}, "context_length": 8_000},
    "模型-大": {"cost": {"in": 0.0000125, "out": 2}, "shutdown_date": "2026-06-01"},
    LONG: {
        "cost": {"in": 2, "out": 8},
        "features": ["tools", "structured_outputs", "reasoning", "json_mode"],
        "input_modalities": ["text", "image"],
        "output_modalities": ["text"],
    },
}

PRICES = 'prices = { unit = "1m", input = "cost.in", output = "cost.out" }\n'

MAIL = """
[destinations.the-team-of-platform-engineering]
type = "smtp"
server = "127.0.0.1"
port = 9
security = "none"
to = ["platform-engineering-and-operations@long-host-name.example.org"]
from = "b@example.org"
"""


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Job]:
    """A home with long names, prices, several scopes, and mails that wait."""
    keys = {f"KEY_{number}": f"sk-number-{number}-12345678" for number in range(5)}
    job = Job(tmp_path_factory.mktemp("wide"), keys)
    with Gateway() as one:
        for key in keys.values():
            one.key(key, group="vip")
        for model, fields in MODELS.items():
            one.offers(model, to=("default", "vip"), owned_by=model[:5], **fields)
        scopes = {f"production-{name[-1]}": f'key = "env:{name}", group = "vip"' for name in keys}
        job.asks(one.url, name="one", scopes={"public": "", **scopes}, attempts=1)
        job.configure(job.config.read_text("utf-8").replace("backoff", PRICES + "backoff") + MAIL)
        assert job.quick("run", at="2026-05-01T06:00:00Z").code == DeliveryError.exit_code
        changed = MODELS["heron-2"] | {"cost": {"in": 6, "out": 12}}
        one.offers("heron-2", to=("default", "vip"), owned_by="heron", **changed)
        job.quick("run", at="2026-05-02T06:00:00Z")
        yield job


def table_of(done: Done) -> tuple[str, list[str]]:
    """Return the headings and the lines of the first table, without colours."""
    assert (done.code, done.stderr) == (0, "")
    headings, rule, *lines = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout).splitlines()
    assert set(rule) == {"─"}
    return headings, lines


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize(
    ("command", "whole"),
    [
        (("models",), list(MODELS)),
        (("scopes",), ["one/public", *(f"one/production-{number}" for number in range(5))]),
        (("outbox",), ["2026-05-02 06:00", "waiting"]),
        (("outbox", "--all"), ["2026-05-02 06:00"]),
    ],
)
def test_a_table_breaks_no_id_and_no_time_and_fits(
    wide: Job, width: int, command: tuple[str, ...], whole: list[str]
) -> None:
    headings, lines = table_of(wide.quick(*command, at="2026-05-02T06:00:30Z", width=width))
    for name in whole:
        assert any(name in re.split(r" {2,}| {2}", line) or line.startswith(name) for line in lines), name
    table = [line for line in lines if not re.match(r"\d+: |\(no room|\d+ models", line)]
    overlong = [line for line in (headings, *table) if cell_len(line) > width]
    assert not [line for line in overlong if line != LONG]


HEADINGS = [
    *("model", "input", "output", "context", "max output", "modalities", "features", "shutdown", "owner"),
    "offered to",
]


@pytest.mark.parametrize(
    ("width", "shown"),
    [
        (60, ["model", "input", "output", "context", "offered to"]),
        (80, ["model", "input", "output", "context", "shutdown", "offered to"]),
        (120, [name for name in HEADINGS if name != "owner"]),
        (200, HEADINGS),
    ],
)
def test_models_keep_id_and_prices_longest_and_name_what_has_no_room(
    wide: Job, width: int, shown: list[str]
) -> None:
    headings, lines = table_of(wide.quick("models", width=width))
    assert [text.strip() for text in re.split(r" {2,}", headings)] == shown
    named = [line for line in lines if line.startswith("(no room for: ")]
    missing = {name for line in named for name in line[len("(no room for: ") : -1].split(", ")}
    assert missing == set(HEADINGS) - set(shown)


def test_an_id_longer_than_the_others_has_a_line_of_its_own(wide: Job) -> None:
    _, lines = table_of(wide.quick("models", width=60))
    (at,) = [number for number, line in enumerate(lines) if line == LONG]
    assert lines[at + 1].split() == ["$2.00", "$8.00", "one:", "6", "scopes"]


def test_cells_of_words_continue_between_two_words(wide: Job) -> None:
    _, lines = table_of(wide.quick("models", LONG, width=170))
    text = " ".join(" ".join(lines).split())
    assert all(word in text for word in ("tools", "structured_outputs", "reasoning", "json_mode"))


def test_the_error_of_a_delivery_is_below_the_table_at_any_width(wide: Job) -> None:
    lines = {width: wide.quick("outbox", width=width).stdout.splitlines()[-1] for width in WIDTHS}
    assert len(set(lines.values())) == 1
    assert re.match(r"\d+: .*127\.0\.0\.1", lines[60])


def test_columns_without_a_value_are_left_out(past: Job) -> None:
    assert past.quick("models", "[[]x]").stdout.splitlines()[0].split() == ["model", "owner", "offered", "to"]


def test_off_a_terminal_a_table_has_every_column_and_no_colour(wide: Job) -> None:
    done = wide.quick("models")
    assert "\x1b" not in done.stdout
    headings, lines = table_of(done)
    assert {"owner", "features", "modalities", "shutdown"} <= set(headings.split())
    assert not any(line.startswith("(no room") for line in lines)


@pytest.mark.parametrize(("variable", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_a_terminal_without_colours_gets_none(wide: Job, variable: str, value: str) -> None:
    assert "\x1b[32mok" in wide.quick("scopes", width=80).stdout
    job = Job(wide.home, wide.env | {variable: value})
    assert "\x1b" not in job.quick("scopes", width=80).stdout


@pytest.mark.parametrize(
    ("options", "models"),
    [
        (("--feature", "tools"), [LONG]),
        (("--feature", "tool*", "--feature", "json_mode"), [LONG]),
        (("--feature", "tools", "--feature", "vision"), []),
        (("--modality", "image"), [LONG]),
        (("--context", "128k"), ["heron-2", "heron-2-mini"]),
        (("--context", "8,000"), ["heron-2", "heron-2-mini", "quarry/slate:free"]),
        (("--context", "0.2m"), ["heron-2"]),
        (("--max-input", "0.3"), ["heron-2-mini", "quarry/slate:free", "模型-大"]),
        (("--max-input", "$0.3", "--max-output", "1"), ["quarry/slate:free"]),
        (("heron*", "--max-output", "11"), ["heron-2-mini"]),
        (("--sort", "input"), ["quarry/slate:free", "模型-大", "heron-2-mini", LONG, "heron-2"]),
        (("--sort", "input", "--reverse"), ["heron-2", LONG, "heron-2-mini", "模型-大", "quarry/slate:free"]),
        (("--sort", "context", "*2*", "quarry*"), ["quarry/slate:free", "heron-2-mini", "heron-2", LONG]),
        (("--sort", "model", "--reverse", "heron*"), ["heron-2-mini", "heron-2"]),
    ],
)
def test_models_are_filtered_and_sorted_the_same_in_every_form(
    wide: Job, options: tuple[str, ...], models: list[str]
) -> None:
    assert [row["model"] for row in wide.quick("models", *options, "--json").json()] == models
    assert [row["model"] for row in wide.quick("models", *options, "--csv").rows()] == models
    text = wide.quick("models", *options, width=200).stdout
    places = [re.search(rf"^{re.escape(model)}( |$)", text, re.MULTILINE).start() for model in models]
    assert all(before < after for before, after in pairwise(places))


def test_a_filter_leaves_out_the_scopes_that_have_to_pay_more(tmp_path: Path) -> None:
    job = Job(tmp_path, {"VIP": "sk-vip-123456789"})
    with Gateway() as one:
        one.key("sk-vip-123456789", group="vip")
        one.offers("heron-2", to="vip", cost={"in": 1, "out": 1})
        one.offers("heron-2", to="default", cost={"in": 9, "out": 9})
        job.asks(one.url, scopes={"vip": 'key = "env:VIP", group = "vip"', "public": ""}, attempts=1)
        job.configure(job.config.read_text("utf-8").replace("backoff", PRICES + "backoff"))
        job.quick("run")
    (row,) = job.quick("models", "--max-input", "2", "--json").json()
    assert (row["scopes"], row["groups"]) == (["local/vip"], ["vip"])
    assert [facts["input_usd_per_1m"] for facts in row["facts"]] == [1]
    assert [json.loads(record)["cost"]["in"] for record in row["records"]] == [1]
    assert "$1.00 – $9.00" in job.quick("models").stdout


@pytest.mark.parametrize("width", [40, *WIDTHS])
@pytest.mark.parametrize(
    "command",
    [
        ("changes", "--all"),
        ("diff", "#1", "#4", "--all"),
        ("history", "heron-2"),
        ("watch", "heron-2", "[[]x]"),
    ],
)
def test_indented_lines_are_folded_between_words_and_never_within_a_time(
    past: Job, command: tuple[str, ...], width: int
) -> None:
    plain = past.quick(*command, at="2026-05-05T07:00:00Z").stdout
    shown = re.sub(r"\x1b\[[0-9;]*m", "", past.quick(*command, at="2026-05-05T07:00:00Z", width=width).stdout)
    # The bars of prices are drawn on a terminal only.
    shown = re.sub(r"  [▁▂▃▄▅▆▇█]+", "", shown)
    assert shown.split() == plain.split()
    assert len(re.findall(r"\d{4}-\d\d-\d\d \d\d:\d\d", shown)) == plain.count(" 06:00")
    assert not [
        line for line in shown.splitlines() if line.startswith("  ") and cell_len(line) > max(width, 46)
    ]


def test_the_scopes_that_share_a_column_are_named_whole(wide: Job) -> None:
    for width in (40, *WIDTHS):
        text = wide.quick("matrix", "--all", width=width).stdout
        assert all(f"one/production-{number}" in text.split() for number in range(5))


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        (("heron2",), "no model on offer matches 'heron2': did you mean heron-2?"),
        (("--owner", "hern"), "no owner on offer matches 'hern': did you mean heron?"),
        (("--feature", "tool"), "no feature on offer matches 'tool': did you mean tools?"),
        (("--modality", "images"), "no modality on offer matches 'images': did you mean image?"),
    ],
)
def test_a_filter_that_nothing_passes_names_a_similar_one(
    wide: Job, options: tuple[str, ...], hint: str
) -> None:
    assert wide.quick("models", *options).stdout.splitlines() == ["0 models", hint]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--context", "much"), "'much' is not a number of tokens: write 128000, 128k or 1m"),
        (("--max-input", "cheap"), "'cheap' is not a price: write USD per 1M tokens, such as 0.25"),
        (("--max-input", "nan"), "'nan' is not a price"),
        (("--sort", "inputs"), "'inputs' is not one of"),
        (("--reverse",), "--reverse needs --sort"),
    ],
)
def test_a_wrong_filter_is_wrong_usage(wide: Job, options: tuple[str, ...], message: str) -> None:
    done = wide.quick("models", *options)
    assert (done.code, done.stdout) == (2, "")
    assert message in done.stderr
