"""The reader: requests of scopes, and listings from their answers."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from support.fakes import ASKED_AT, body, row

from pipeline.core.types import Gateway, Overrides, Scope, ScopeState
from pipeline.core.values import ONE_API_CREATED
from pipeline.gateways.dialects import Answer
from pipeline.gateways.reader import AnswerReader
from pipeline.gateways.types import FetchResult, ListingAnswer, Unchanged, Validators

AUTO = Gateway("acme", "https://llm.example/v1")
ANSWER = Answer((body(row("lyra", created=ONE_API_CREATED), success=True),), ASKED_AT)
"""An answer with the marks of New-API."""


def scope(name: str, dialect: str = "auto") -> Scope:
    return Scope(f"acme/{name}", replace(AUTO, dialect=dialect))


def parse(reader: AnswerReader, scope: Scope, answer: Answer = ANSWER) -> ListingAnswer | Unchanged:
    reader.request(scope)
    ((_, result),) = reader.read(scope, FetchResult(answer, Validators(), 0.1))
    assert isinstance(result.answer, ListingAnswer | Unchanged)
    return result.answer


def state(answer: ListingAnswer) -> ScopeState:
    """Return the state of a scope after an answer."""
    return ScopeState(
        id=1,
        name="acme/prod",
        group_name=None,
        listing=1,
        digest=answer.listing.digest,
        reading=answer.listing.reading,
        held=None,
        outcome=None,
        error_class=None,
        began=None,
        fingerprint=answer.fingerprint,
        etag=None,
        last_modified=None,
    )


def dialect_name(answer: ListingAnswer | Unchanged) -> str:
    assert isinstance(answer, ListingAnswer)
    return answer.dialect.name


@pytest.mark.parametrize("recognised_first", [True, False])
def test_a_configured_dialect_holds_beside_a_recognised_one_with_equal_bytes(
    *, recognised_first: bool
) -> None:
    reader = AnswerReader({})
    scopes = [scope("prod"), scope("test", dialect="openai")]
    found = {
        each.name: dialect_name(parse(reader, each))
        for each in (scopes if recognised_first else scopes[::-1])
    }
    assert found == {"acme/prod": "new-api", "acme/test": "openai"}


def test_equal_bytes_of_one_gateway_are_parsed_once() -> None:
    reader = AnswerReader({})
    one, other = (parse(reader, scope(name)) for name in ("prod", "test"))
    assert isinstance(one, ListingAnswer)
    assert isinstance(other, ListingAnswer)
    assert one.listing is other.listing


def test_the_bytes_of_the_last_answer_are_unchanged() -> None:
    first = parse(AnswerReader({}), scope("prod"))
    assert isinstance(first, ListingAnswer)
    assert parse(AnswerReader({"acme/prod": state(first)}), scope("prod")) == Unchanged()


def test_equal_bytes_are_parsed_again_under_other_rules() -> None:
    first = parse(AnswerReader({}), scope("prod"))
    assert isinstance(first, ListingAnswer)
    noisier = replace(AUTO, overrides=Overrides(noise=("owned_by",)))
    reader = AnswerReader({"acme/prod": state(first)})
    again = parse(reader, replace(scope("prod"), gateway=noisier))
    assert isinstance(again, ListingAnswer)
    assert again.listing.digest != first.listing.digest
