"""The URL and the body of a ping."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.delivery.pings import MAX_BODY, clip, ping_url


@pytest.mark.parametrize(
    ("base", "start", "success"),
    [
        ("https://h/u", "https://h/u/start?rid=R", "https://h/u?rid=R"),
        ("https://h/u/", "https://h/u/start?rid=R", "https://h/u?rid=R"),
        (
            "https://h:8/k/slug?create=1",
            "https://h:8/k/slug/start?create=1&rid=R",
            "https://h:8/k/slug?create=1&rid=R",
        ),
        ("https://h/u/?", "https://h/u/start?rid=R", "https://h/u?rid=R"),
        ("https://h", "https://h/start?rid=R", "https://h?rid=R"),
        (
            "https://me:pw@h/%2Fu?a=b%26",
            "https://me:pw@h/%2Fu/start?a=b%26&rid=R",
            "https://me:pw@h/%2Fu?a=b%26&rid=R",
        ),
    ],
)
def test_the_signal_joins_the_path_and_the_run_the_query(base, start, success):
    assert (ping_url(base, "start", "R"), ping_url(base, "", "R")) == (start, success)


@given(st.text(), st.integers(0, 2 * MAX_BODY))
def test_a_body_is_valid_utf_8_within_the_limit(text, times):
    whole = f"first\n{text * times}"
    body = clip(whole)
    assert len(body) < MAX_BODY
    begins = body.decode().removesuffix("\n…")
    assert whole.encode("utf-8", "backslashreplace").startswith(begins.encode())
    assert begins.startswith("first")
