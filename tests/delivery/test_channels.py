"""The table of channels, and failures that all of them share."""

from importlib import import_module
from inspect import signature
from typing import get_args

import pytest
from support.mailing import send_to_all

from pipeline.config.schema import AnyDestination
from pipeline.delivery.channels import MODULES, recipients
from pipeline.delivery.types import Apprise, ChannelSettings, DeliveryStatus, Files, Webhook

SETTINGS = get_args(ChannelSettings)

FUNCTIONS = {"recipients": 1, "missing": 2, "send": 4}
"""The functions of `Channel`, and how many parameters each has."""


def test_every_channel_has_a_table_in_the_config_and_a_module_except_files():
    tables = {table.__struct_config__.tag for table in get_args(AnyDestination)}
    assert tables == {*MODULES.values(), "files"}
    assert {*MODULES, Files} == set(SETTINGS)


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("trait", ["attaches_files", "may_move", "is_local"])
def test_every_channel_declares_its_traits(settings, trait):
    assert isinstance(getattr(settings, trait, None), bool)


@pytest.mark.parametrize("name", MODULES.values())
def test_each_module_has_the_functions_of_a_channel(name):
    module = import_module(f"pipeline.delivery.channels.{name}")
    assert {each: len(signature(getattr(module, each)).parameters) for each in FUNCTIONS} == FUNCTIONS


@pytest.mark.parametrize(
    ("channel", "secrets", "why"),
    [
        (Webhook("env:HOOK"), {}, "env:HOOK is not set"),
        (Webhook("env:HOOK"), {"env:HOOK": " "}, "env:HOOK is empty"),
        (Webhook("env:HOOK"), {"env:HOOK": "https://x/é\n1"}, "env:HOOK has several lines"),
        (Webhook("https://x", headers=(("A", "env:A"),)), {"env:A": "1\r\nB: 2"}, "env:A has several lines"),
        (Webhook("https://x", "env:KEY"), {}, "env:KEY is not set"),
        (Apprise(("env:CHAT",)), {}, "env:CHAT is not set"),
        (Apprise(("env:CHAT",)), {"env:CHAT": ""}, "env:CHAT is empty"),
    ],
)
def test_a_secret_that_cannot_be_resolved_or_sent_is_a_temporary_failure(channel, secrets, why):
    result = send_to_all(channel, secrets=secrets)
    assert result.status == DeliveryStatus.RETRY
    assert why in result.error


def test_a_files_destination_has_a_recipient_and_no_module(tmp_path):
    channel = Files(tmp_path / "web")
    assert recipients(channel) == (str(tmp_path / "web"),)
    with pytest.raises(KeyError):
        send_to_all(channel)
