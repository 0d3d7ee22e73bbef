"""The proxy of a request: `NO_PROXY` with names, addresses and networks of both families, and junk."""

import pytest

from pipeline.core.proxies import proxy_of, skipped_exceptions

PROXY = "http://proxy.example:3128"


@pytest.mark.parametrize(
    ("exception", "url"),
    [
        ("*", "http://any.example"),
        ("llm.example", "https://llm.example/v1"),
        ("llm.example", "https://a.llm.example"),
        (".llm.example", "https://llm.example"),
        ("*.llm.example", "https://a.llm.example"),
        ("LLM.example.", "https://llm.example."),
        ("llm.example:8443", "https://llm.example:8443"),
        ("llm.example:443", "https://llm.example"),
        ("https://llm.example", "https://llm.example"),
        ("127.0.0.1", "http://127.0.0.1:80"),
        ("127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("10.0.0.0/8", "http://10.1.2.3"),
        ("10.9.9.9/8", "http://10.1.2.3"),
        ("::1", "http://[::1]:8080"),
        ("[::1]", "http://[::1]"),
        ("[::1]:8080", "http://[::1]:8080"),
        ("0:0:0:0:0:0:0:1", "http://[::1]"),
        ("fd00::/8", "http://[fd12::1]"),
        ("[fd00::]/8", "http://[fd12::1]"),
    ],
)
def test_an_exception_is_asked_directly(exception, url):
    for text in (exception, f" {exception} ", f"other.example,,[junk,{exception}"):
        assert proxy_of(url, {"http": PROXY, "https": PROXY, "no": text}) is None


@pytest.mark.parametrize(
    ("exception", "url"),
    [
        ("", "http://any.example"),
        ("lm.example", "https://llm.example"),
        ("llm.example:8443", "https://llm.example"),
        ("http://llm.example", "https://llm.example"),
        ("10.0.0.0/8", "http://11.0.0.1"),
        ("fd00::/8", "http://[fe80::1]"),
        ("fd00::/8", "http://10.0.0.1"),
        ("0.0.0.0/0", "http://[::1]"),
        ("127.0.0.1", "http://localhost"),
    ],
)
def test_other_addresses_are_asked_through_the_proxy(exception, url):
    assert proxy_of(url, {"all": PROXY, "no": exception}) == PROXY


def test_the_proxy_of_the_scheme_goes_before_that_of_all():
    proxies = {"https": "proxy.example:1", "all": "socks5://proxy.example:2", "http": " "}
    assert proxy_of("https://a.example", proxies) == "http://proxy.example:1"
    assert proxy_of("http://a.example", proxies) == "socks5://proxy.example:2"
    assert proxy_of("http://a.example", {}) is None


@pytest.mark.parametrize(
    "value", ["http://", "ftp://x", "http://[::1", "http://x:99999", "http://u:secret@h:p"]
)
@pytest.mark.parametrize(("name", "variable"), [("http", "HTTP_PROXY"), ("all", "ALL_PROXY")])
def test_a_variable_that_is_no_proxy_is_named_without_its_value(value, name, variable):
    with pytest.raises(ValueError, match=f"{variable} in the environment is no proxy") as error:
        proxy_of("http://a.example", {name: value})
    assert "secret" not in str(error.value)


def test_exceptions_without_a_meaning_are_named():
    text = "*,a.example,[::1],10.0.0.0/8,http://[bad,%%%,a b,x:99999,[,10.0.0.0/99"
    assert skipped_exceptions({"no": text}) == ["http://[bad", "%%%", "a b", "x:99999", "[", "10.0.0.0/99"]
