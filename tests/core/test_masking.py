"""Secrets are masked in every spelling that a server may echo."""

from __future__ import annotations

import base64
import json
import random
import string
import tracemalloc

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.spellings import SPELLINGS

from pipeline.core.masking import Masker

SECRETS = (
    "sk-Kq7fZ2mW9xTbL4vN8cRyH3dJ",
    "MTczOHxEdi1/QkFF+u0aK/9sWl&x8Yq==",
    "cor&rect<h0rse>\"batt'ery\\sta/ple",
    "a%41b c%2Fd+e&lt;f",
    "user:pa?s~~~?>>",
    "0123456789abcdef",
)


def core(spelling: str, secret: str) -> str:
    """Return the part of a spelling that the letters beside the secret do not change."""
    written = SPELLINGS[spelling](secret)
    return written[4:-4] if "base64" in spelling else written


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_is_masked_in_every_spelling(secret: str, spelling: str) -> None:
    for around in ("{}", "the key {} is unknown", '{{"message": "{}", "n": 1}}', "&{}%"):
        written = around.format(SPELLINGS[spelling](secret))
        for masked in (Masker([secret]).text(written), Masker([secret]).body(written.encode()).decode()):
            assert "***" in masked
            assert core(spelling, secret) not in masked
            assert len(masked) <= len(around) + 14


@pytest.mark.parametrize(
    "spelling", ["raw", "JSON", "JSON in JSON", "percent", "HTML decimal", "base64 after 1", "hexadecimal"]
)
def test_a_secret_of_other_letters_is_masked_too(spelling: str) -> None:
    for secret in ("pässwörter", "密码和口令再来三个字", "key 😀 key"):
        written = SPELLINGS[spelling](secret)
        assert core(spelling, secret) not in Masker([secret]).text(f"no {written}!")


def test_a_part_that_ends_within_a_letter_is_masked_with_the_whole_letter() -> None:
    """Capitals beyond ASCII are other letters, of which a byte may be equal."""
    assert Masker(["b2a😀c😀😀üa漢üa"]).text("no B2A😀C😀😀ÜA漢ÜA!") == "no ***A漢ÜA!"


@pytest.mark.parametrize("spelling", [name for name in SPELLINGS if "base64" not in name])
def test_a_part_of_twelve_letters_is_masked_in_texts_only(spelling: str) -> None:
    secret = SECRETS[0]
    spell = SPELLINGS[spelling]
    for at in range(len(secret) - 11):
        part = secret[at : at + 12]
        text = f"the key …{spell(part)}… is unknown"
        assert Masker([secret]).text(text) == "the key …***… is unknown"
        assert Masker([secret]).body(text.encode()) == text.encode()
        shorter = f"the key …{part[:11]}… is unknown"
        assert Masker([secret]).text(shorter) == shorter


@pytest.mark.parametrize("before", range(3))
def test_a_long_part_is_masked_in_base64_too(before: int) -> None:
    secret = SECRETS[0]
    part = base64.b64encode(b"x" * before + secret[3:19].encode()).decode()
    assert part[4:16] not in Masker([secret]).text(f"token {part}")


@pytest.mark.parametrize(
    ("value", "inner"),
    [
        ("Bearer s3cret-t0ken", "s3cret-t0ken"),
        ("basic dXNlcjpwYXNz", "dXNlcjpwYXNz"),
        ("sk-s3crets3", "s3crets3"),
    ],
)
def test_the_secret_of_a_header_is_masked_without_the_word_before_it(value: str, inner: str) -> None:
    assert Masker([value]).body(f'{{"token": "{inner}"}}'.encode()) == b'{"token": "***"}'


def test_ids_that_share_a_part_with_a_secret_stay_in_bodies() -> None:
    secret = "gpt-5-mini-2026-production-key"
    body = b'{"data": [{"id": "gpt-5-mini-2026-production"}, {"id": "GPT-5-mini-2026"}]}'
    assert Masker([secret, "gpt-5"]).body(body) == body


def test_a_short_secret_is_masked_in_texts_but_not_in_bodies() -> None:
    assert Masker(["hUn7e"]).text("no hun7e, no HUN7E, no %68Un7e") == "no ***, no ***, no ***"
    assert Masker(["hUn7e"]).body(b"hUn7e") == b"hUn7e"
    assert Masker(["abc"]).text("abcdef") == "abcdef"


def test_a_body_without_a_secret_is_the_same_object() -> None:
    body = b'{"a": "\\u0041 %41 &#65; \\"x\\" "}'
    assert Masker(SECRETS).body(body) is body
    assert Masker([]).body(body) is body
    assert Masker([""]).text("text") == "text"


LETTERS = st.characters(min_codepoint=32, max_codepoint=126)


@given(
    st.text(LETTERS, min_size=8, max_size=40), st.lists(st.sampled_from([*SPELLINGS]), min_size=1, max_size=4)
)
@example("........", ["JSON"])
@example("\\u0041\\\\\\", ["JSON"])
@example("u0041abcd", ["raw"])
def test_json_remains_json_whatever_is_masked(secret: str, spellings: list[str]) -> None:
    said = " | ".join(SPELLINGS[spelling](secret) for spelling in spellings)
    body = json.dumps({"id": "a", "message": said, "n": "\n\"'"}).encode()
    found = json.loads(Masker([secret]).body(body))
    assert found["id"] == "a" or secret.lower() in '{"id": "a", "message": '
    assert "***" in json.dumps(found)


@pytest.mark.parametrize(
    ("secret", "written", "masked"),
    [
        ("041abcdefgh", r"no \u0041abcdefgh!", "no ***!"),
        ("u0041abcdefgh", r"no \\u0041abcdefgh!", "no \\\\***!"),
        ("041abcdefgh", r"no \\u0041abcdefgh!", "no \\\\u0***!"),
        ("abcdefgh\\", r"no abcdefgh\"!", "no ***!"),
        ("abcdefgh\\", r"no abcdefgh\\", "no ***"),
        ("abcdefgh\\u00", r"no abcdefgh\u0041!", "no ***41!"),
    ],
)
def test_a_secret_that_cuts_an_escape_of_json_is_masked_with_it(
    secret: str, written: str, masked: str
) -> None:
    assert Masker([secret]).body(f'{{"id": "{written}"}}'.encode()) == f'{{"id": "{masked}"}}'.encode()


def test_each_of_thousands_of_secrets_is_masked_at_any_place() -> None:
    pick = random.Random(5)
    letters = string.ascii_letters + string.digits
    secrets = ["".join(pick.choices(letters, k=40)) for _ in range(2000)]
    masker = Masker(secrets[:1000])
    masker.add(secrets[1000:])
    text = "".join(pick.choices(letters + ' ":,{}', k=100_000))
    for place, secret in enumerate(secrets[::40]):
        for spelling in SPELLINGS:
            written = SPELLINGS[spelling](secret)
            masked = masker.body(f"{'-' * place}{written} {text[:500]}".encode()).decode()
            assert core(spelling, secret) not in masked
            assert "***" in masked
    body = text.encode()
    assert masker.body(body) is body


def test_secrets_that_are_added_later_are_masked_too() -> None:
    masker = Masker(["first-secret"])
    assert masker.text("first-secret sécond-secret") == "*** sécond-secret"
    masker.add(["sécond-secret", "short", 'with"quote-and-more'])
    for text in ("first-secret", r"s\u00e9cond-secret", "short", r"with\"quote-and-more", "cond-secret"):
        assert masker.text(f"({text})") == "(***)" or text == "cond-secret"
    assert masker.body(rb"s\u00e9cond-secret short") == b"*** short"


OTHERS = [f"sk-{random.Random(number).randbytes(18).hex()}" for number in range(100)]
"""More secrets than are looked for one by one."""


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("secret", [*SECRETS, "pässwörter und mehr", "user s3cret", "Bearer t0ken-of-one"])
def test_one_of_many_secrets_is_masked_as_if_it_were_alone(secret: str, spelling: str) -> None:
    alone, many = Masker([secret]), Masker([*OTHERS[:50], secret, *OTHERS[50:]])
    written = f'{{"message": "no {SPELLINGS[spelling](secret)}!"}}'
    assert many.body(written.encode()) == alone.body(written.encode())
    assert many.text(written) == alone.text(written)
    later = Masker(OTHERS)
    assert "***" not in later.text("nothing") + later.body(b"nothing").decode()
    later.add([secret])
    assert later.body(written.encode()) == alone.body(written.encode())
    assert later.text(written) == alone.text(written)


@pytest.mark.parametrize("spelling", [name for name in SPELLINGS if "base64" not in name])
def test_a_part_of_one_of_many_secrets_is_masked_in_texts(spelling: str) -> None:
    secret, many = SECRETS[0], Masker([*OTHERS, SECRETS[0]])
    for at in range(len(secret) - 11):
        text = f"the key 0{SPELLINGS[spelling](secret[at : at + 12])}… is unknown"
        assert many.text(text) == Masker([secret]).text(text)
        assert many.body(text.encode()) == text.encode()


def test_of_many_secrets_the_own_one_is_masked_in_parts_in_base64() -> None:
    secret, many = SECRETS[0], Masker([*OTHERS, SECRETS[0]])
    for before in range(3):
        text = f"token {base64.b64encode(b'x' * before + secret[3:19].encode()).decode()}"
        assert many.text(text, [secret]) == Masker([secret]).text(text) != text


def test_short_secrets_among_many_are_masked_in_texts() -> None:
    many = Masker([*OTHERS, "hUn7e", "hUn7e-8x"])
    assert many.text("no hun7e, no %68Un7e") == "no ***, no ***"
    assert many.body(b"hUn7e hUn7e-8x") == b"hUn7e ***"


@given(
    st.text(LETTERS, min_size=8, max_size=40),
    st.lists(st.text(LETTERS, min_size=1, max_size=60), max_size=3),
    st.sampled_from([*SPELLINGS]),
    st.integers(0, 7),
)
@example("sk-aaaaaaa", [], "raw", 0)
@example("a b c d e f", [], "percent", 0)
@example("%41%42%43%44", ["k" * 60], "raw", 0)
@example(">>>>>>>>", [], "base64 after 0", 0)
def test_a_secret_is_masked_whatever_other_secrets_there_are(
    secret: str, others: list[str], spelling: str, before: int
) -> None:
    said = f"{'. ' * before}{SPELLINGS[spelling](secret)} is unknown"
    assert all("***" in Masker([*some, *others, secret]).text(said) for some in ([], OTHERS))


def test_secrets_that_begin_alike_are_masked_and_their_beginning_is_not() -> None:
    secrets = [f"sk-ant-api03-{number:020d}-tail" for number in range(2_000)]
    many = Masker(secrets)
    text = "no sk-ant-api03-x"
    assert many.text(text) == text
    assert many.text(f"no {secrets[7]}!") == "no ***!"


def test_a_secret_among_many_takes_little_memory() -> None:
    number = 5_000
    secrets = [f"sk-{random.Random(each).randbytes(24).hex()}" for each in range(number)]
    tracemalloc.start()
    many = Masker(secrets)
    many.body(b'{"data": [{"id": "a"}]}')
    short_words, _ = tracemalloc.get_traced_memory()
    many.body(b'{"data": [{"id": "%s"}]}' % (b"a" * 48))
    bodies, _ = tracemalloc.get_traced_memory()
    many.text("the key is unknown")
    texts, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert short_words / number < 200
    assert bodies / number < 800
    assert texts / number < 2_400
