"""Lists of keys: their forms, what is wrong with them, and what they take."""

from __future__ import annotations

import csv
import io
import json
import pickle
import tracemalloc
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.key_list import KeyListError, parse_keys

KEY = "sk-0123456789abcdefghij"
OTHER = "sk-zyxwvutsrqponmlkjihg"

CSV = f"name,key,group\nprod,{KEY},vip\nbatch,{OTHER},\n"
ROWS = [{"name": "prod", "key": KEY, "group": "vip"}, {"name": "batch", "secret": OTHER}]

FORMS = {
    "CSV": CSV,
    "CSV of Windows": "\ufeff" + CSV.replace("\n", "\r\n"),
    "CSV with old line ends": CSV.replace("\n", "\r"),
    "CSV without a last line end": CSV.rstrip(),
    "CSV with spaces and quotes": f' name , key, group\n\nprod,"{KEY}", vip \n,,\nbatch,{OTHER}\n',
    "NDJSON": "\n".join(map(json.dumps, ROWS)),
    "NDJSON with empty lines": "\n\n".join(map(json.dumps, ROWS)) + "\n",
    "an array": json.dumps(ROWS, indent=2),
    "an object by name": json.dumps({"prod": {"key": KEY, "group": "vip", "at": 1}, "batch": OTHER}),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_list_in_any_form_gives_names_keys_and_groups_in_its_order(form: str) -> None:
    table = parse_keys(FORMS[form].encode())
    assert list(table) == [("prod", "vip"), ("batch", None)]
    secrets = [table.secret(name) for name in ("prod", "batch")]
    assert [each and each.reveal() for each in secrets] == [KEY, OTHER]
    assert table.secret("other") is None
    assert ("prod" in table, "other" in table, len(table)) == (True, False, 2)


def test_a_csv_needs_no_groups_and_one_object_is_one_key() -> None:
    assert list(parse_keys(f"name,key\na,{KEY}\n".encode())) == [("a", None)]
    assert list(parse_keys(json.dumps(ROWS[0]).encode())) == [("prod", "vip")]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "the list is empty"),
        ("name,key\n", "the list has no key"),
        ("[]", "the list has no key"),
        ("{}", "the list has no key"),
        (f"prod,{KEY}\n", "line 1 of the list must be `name,key,group`, or the list be JSON"),
        (
            f"name;key;group\nprod;{KEY};\n",
            "line 1 of the list must be `name,key,group`, or the list be JSON",
        ),
        (f"name,key\na,{KEY}\n\nb,{KEY},{KEY}\n", "line 4 of the list has more cells than the first one"),
        (f"name,key\n{KEY}\n", "line 2 of the list has no key"),
        (f"name,key\na/b,{KEY}\n", "line 2 of the list has a name with other characters than"),
        (f"name,key\n,{KEY}\n", "line 2 of the list has a name with other characters than"),
        (f"name,key\na,{KEY}\nb,{KEY}\na,{OTHER}\n", "line 4 of the list has the name of an earlier one"),
        ("name,key\na,env:PROD\n", "line 2 of the list has a reference: a list has the keys themselves"),
        (
            f"name,key\na,{KEY} ключ\n",
            "line 2 of the list has a key that holds characters that no HTTP header",
        ),
        (f'name,key\na,"{KEY}\n', "line 2 of the list is not valid CSV: check its quotes"),
        (f"name,key\na,{'x' * 70_000}\n", "line 2 of the list has a key of more than 65,536 letters"),
        (f"name,key\na,{KEY}\0\n", "the list is no text"),
        (f'[{{"name": "a", "key": "{KEY}"', "the list is not valid JSON"),
        (f'[{{"name": "a", "key": "{KEY}"}}, "{KEY}"]', "item 2 of the list is no JSON object with texts"),
        (f'[{{"key": "{KEY}"}}]', "item 1 of the list has a name with other characters"),
        ('[{"name": "a", "key": 5}]', "item 1 of the list is no JSON object with texts"),
        (f'{{"name": "a", "key": "{KEY}"}}\n{{"name"', "line 2 of the list is no JSON object with texts"),
        (f'{{"a": "{KEY}", "b": ["{KEY}"]}}', "member 2 of the list is neither a key nor an object with one"),
        ('{"a": {"group": "vip"}}', "member 1 of the list has no key"),
        (f'{{"a": "{KEY}", "b": "x", "a": "{OTHER}"}}', "the list has two members of the same name"),
        ("[" * 100_000, "the list is not valid JSON"),
        ('{"a":' * 100_000, "line 1 of the list is no JSON object with texts"),
    ],
)
def test_a_fault_of_a_list_names_the_place_and_quotes_nothing(text: str, problem: str) -> None:
    with pytest.raises(KeyListError) as caught:
        parse_keys(text.encode())
    assert problem in str(caught.value)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_a_list_in_another_encoding_is_refused(encoding: str) -> None:
    with pytest.raises(KeyListError, match=r"the list is (not UTF-8|no text)"):
        parse_keys(f"name,key\nmünchen,{KEY}\n".encode(encoding))


def _as_csv(rows: list[tuple[str, str, str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows([("name", "key", "group"), *rows])
    return text.getvalue().encode()


def _as_lines(rows: list[tuple[str, str, str]]) -> bytes:
    return "\n".join(
        json.dumps(dict(zip(("name", "key", "group"), row, strict=True))) for row in rows
    ).encode()


VISIBLE = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20)
LISTS = st.lists(
    st.tuples(
        st.from_regex(r"[a-z][a-z.@+-]{0,8}", fullmatch=True),
        VISIBLE.filter(lambda key: not key.startswith(("env:", "file:", "command:"))),
        st.sampled_from(["", "vip", "team, one"]),
    ),
    min_size=1,
    unique_by=lambda row: row[0],
)


@pytest.mark.parametrize("write", [_as_csv, _as_lines])
@given(LISTS)
def test_what_is_written_as_a_list_is_what_is_read(
    write: Callable[[list[tuple[str, str, str]]], bytes], rows: list[tuple[str, str, str]]
) -> None:
    table = parse_keys(write(rows))
    assert [(name, group or "") for name, group in table] == [(name, group) for name, _, group in rows]
    assert [secret.reveal() for name, _, _ in rows if (secret := table.secret(name))] == [
        k for _, k, _ in rows
    ]


def test_a_list_of_keys_shows_none_and_cannot_be_pickled() -> None:
    table = parse_keys(CSV.encode())
    assert repr(table) == "KeyTable(2 keys)"
    with pytest.raises(TypeError):
        pickle.dumps(table)


def test_a_key_takes_at_most_150_bytes_beside_its_name() -> None:
    number = 20_000
    data = _as_lines([(f"customer-{each:07d}", f"sk-{each:048d}", f"g{each % 5}") for each in range(number)])
    tracemalloc.start()
    table = parse_keys(data)
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    names = sum(name.__sizeof__() for name, _ in table)
    assert (taken - names) / number < 150
