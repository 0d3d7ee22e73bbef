"""The types of the domain: secrets stay secret, the kind of a change follows from its sides."""

from __future__ import annotations

import copy
import json
import pickle

import msgspec
import pytest
from support.fakes import listing, scope

from pipeline.core.types import AccessToken, Anonymous, Change, Cookie, Credential, Key, Kind, Login, Secret


class _Holder(msgspec.Struct, frozen=True):
    secret: Secret


def test_a_secret_prints_as_stars() -> None:
    secret = Secret("hunter2")
    shown = [
        str(secret),
        repr(secret),
        f"{secret}",
        f"{secret!r}",
        f"{_Holder(secret)}",
        str([secret]),
    ]
    assert all("***" in text and "hunter2" not in text for text in shown)
    assert secret.reveal() == "hunter2"


def test_a_secret_cannot_be_serialised() -> None:
    secret = Secret("hunter2")
    for write in (pickle.dumps, copy.deepcopy, json.dumps, msgspec.json.encode):
        with pytest.raises(TypeError):
            write(secret)
    with pytest.raises(TypeError):
        msgspec.json.encode(_Holder(secret))


def test_the_kind_of_a_change_follows_from_its_sides() -> None:
    one, other = listing(m=1).records["m"], listing(m=2).records["m"]
    assert Change("m", None, one).kind == Kind.ADDED
    assert Change("m", one, None).kind == Kind.REMOVED
    assert Change("m", one, other).kind == Kind.CHANGED


@pytest.mark.parametrize(
    ("credential", "auth"),
    [
        (Anonymous(), "anonymous"),
        (Key("env:K"), "key"),
        (Cookie("env:C"), "session"),
        (AccessToken("env:T", "7"), "session"),
        (Login("ann", "env:P"), "session"),
    ],
)
def test_a_scope_has_a_kind_of_credential(credential: Credential, auth: str) -> None:
    assert scope("acme/prod", credential=credential).auth == auth


def test_a_scope_is_immutable() -> None:
    with pytest.raises(AttributeError):
        scope("acme/prod").name = "other"  # type: ignore[misc]


def test_the_length_of_a_listing_is_its_number_of_models() -> None:
    assert [len(listing()), len(listing("a", "b"))] == [0, 2]
