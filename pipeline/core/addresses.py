"""Mail addresses, with or without a name (`modelwatch <watch@example.com>`), and web addresses."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

from msgspec import Struct

_LOCAL = re.compile(r"[\w!#$%&'*+/=?^`{|}~][\w!#$%&'*+/=?^`{|}~-]*(?:\.[\w!#$%&'*+/=?^`{|}~-]+)*", re.ASCII)
"""A dot-atom of RFC 5322, except that a leading `-` would look like an option to sendmail.

See https://www.rfc-editor.org/rfc/rfc5322#section-3.2.3.
"""

_DOMAIN = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)(?:\.(?!-)[a-z0-9-]{1,63}(?<!-))*")

_NAMED = re.compile(r"(.*)<([^<>]*)>")

_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
"""A quoted name: https://www.rfc-editor.org/rfc/rfc5322#section-3.2.4."""

_MAX_LOCAL, _MAX_ADDRESS = 64, 254
"""https://www.rfc-editor.org/rfc/rfc5321#section-4.5.3.1: a path has at most 256, and two are brackets."""

_EXAMPLES = "write e.g. watch@example.com, or modelwatch <watch@example.com>"


class Mailbox(Struct, frozen=True):
    """An address in ASCII, with its domain in lower case, and a name, which may be empty."""

    name: str
    address: str

    @property
    def local(self) -> str:
        """The part before the `@`."""
        return self.address.partition("@")[0]

    @property
    def domain(self) -> str:
        """The part after the `@`."""
        return self.address.partition("@")[2]

    def __str__(self) -> str:
        """Return a text that `mailbox` parses to the same value."""
        name = self.name
        if re.search(r'["\\<>]', name):
            name = '"' + re.sub(r'(["\\])', r"\\\1", name) + '"'
        return f"{name} <{self.address}>" if name else self.address


def mailbox(text: str) -> Mailbox:
    """Parse an address, with or without a name; its domain may be internationalised.

    Raises:
        ValueError: it is not an address; the message says why, and what to write.
    """
    if not text.isprintable():
        raise ValueError(f"has a character that no address can have: {_EXAMPLES}")
    named = _NAMED.fullmatch(text.strip())
    name, address = (named[1].strip(), named[2].strip()) if named else ("", text.strip())
    quoted = _QUOTED.fullmatch(name)
    if address.count("@") != 1 or address.endswith("@") or (not quoted and re.search("[<>]", name)):
        raise ValueError(f"{text!r} is not a mail address: {_EXAMPLES}")
    name = re.sub(r"\\(.)", r"\1", quoted[1]).strip() if quoted else name
    return Mailbox(name, _address(address))


def _address(address: str) -> str:
    local, _, domain = address.partition("@")
    if not local.isascii():
        raise ValueError(
            f"{address!r} has letters before the @ that few mail servers accept: use an alias in ASCII"
        )
    if not _LOCAL.fullmatch(local) or len(local) > _MAX_LOCAL:
        raise ValueError(f"{address!r} is not a mail address: check the part before the @")
    ascii_address = f"{local}@{ascii_domain(domain)}"
    if len(ascii_address) > _MAX_ADDRESS:
        raise ValueError(f"{address!r} is longer than the {_MAX_ADDRESS} characters of a mail address")
    return ascii_address


def ascii_domain(domain: str) -> str:
    """Return a domain in ASCII and lower case: `bücher.example` becomes `xn--bcher-kva.example`.

    See https://www.unicode.org/reports/tr46/.

    Raises:
        ValueError: it is not a domain.
    """
    if not domain.isascii():
        import idna

        try:
            domain = idna.encode(domain, uts46=True).decode("ascii")
        except idna.IDNAError:
            raise ValueError(f"{domain!r} is not a domain: write e.g. example.com") from None
    domain = domain.lower()
    if not _DOMAIN.fullmatch(domain):
        raise ValueError(f"{domain!r} is not a domain: write e.g. example.com")
    return domain


def is_this_machine(server: str) -> bool:
    """Return whether the name or IP address of a server is one of this machine's own."""
    try:
        return ipaddress.ip_address(server.strip("[]")).is_loopback
    except ValueError:
        return server.lower() == "localhost"


def is_http_url(text: str) -> bool:
    """Return whether a text is an http or https URL, in any alphabet."""
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return usable and text.isprintable() and " " not in text


def is_web_address(text: str) -> bool:
    """Return whether a text is an http or https URL that can be requested as it is: ASCII, no fragment."""
    return is_http_url(text) and text.isascii() and "#" not in text
