"""Each scope is in one shard, for ever."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.shards import Shard, parse_shard


@given(st.text(), st.integers(1, 64))
def test_each_name_is_in_exactly_one_shard(name: str, of: int) -> None:
    name = name.encode("utf-8", "replace").decode()
    assert sum(name in Shard(number, of) for number in range(1, of + 1)) == 1


def test_the_shards_of_names_never_change() -> None:
    names = ("acme/prod", "acme/test", "aihubmix/customer-0000001", "örtlich/a@b.example+c")
    assert [next(n for n in range(1, 17) if name in Shard(n, 16)) for name in names] == [16, 6, 6, 10]


def test_shards_have_about_the_same_number_of_scopes() -> None:
    shard = Shard(3, 16)
    assert 500 < sum(f"acme/customer-{number}" in shard for number in range(10_000)) < 750


@pytest.mark.parametrize("text", ["1/1", "3/16", "16/16"])
def test_a_shard_is_written_as_its_number_of_all(text: str) -> None:
    assert str(parse_shard(text)) == text


@pytest.mark.parametrize("text", ["0/16", "17/16", "3", "3/", "/16", "-1/4", "3/0", "a/b", "3/16/2", "٣/4"])
def test_a_text_that_names_no_shard_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="is no shard: write 1/16 for the first of sixteen"):
        parse_shard(text)
