"""Addresses as people write them: of mail (`modelwatch <watch@example.com>`) and of the web."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

_LOCAL = re.compile(r"[\w!#$%&'*+/=?^`{|}~][\w!#$%&'*+/=?^`{|}~-]*(?:\.[\w!#$%&'*+/=?^`{|}~-]+)*", re.ASCII)


_DOMAIN = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)(?:\.(?!-)[a-z0-9-]{1,63}(?<!-))*")


_NAMED = re.compile(r"(.*)<([^<>]*)>")


_LONGEST_LOCAL, _LONGEST = 64, 254


_SUCH_AS = "write e.g. watch@example.com, or modelwatch <watch@example.com>"


@dataclass(frozen=True, slots=True)
class Mailbox:
    """An address in ASCII, its domain in lower case, and the name of whom it is; the name may be empty."""

    name: str
    address: str

    @property
    def local(self) -> str:
        """What stands before the `@`."""
        return self.address.partition("@")[0]

    @property
    def domain(self) -> str:
        """What stands after the `@`."""
        return self.address.partition("@")[2]

    def __str__(self) -> str:
        return f"{self.name} <{self.address}>" if self.name else self.address


def mailbox(text: str) -> Mailbox:
    """Read an address, with a name before it or without; a domain may be of any letters.

    Raises:
        ValueError: it is none; says why and what to write.
    """
    if not text.isprintable():
        raise ValueError(f"holds a character that no address has: {_SUCH_AS}")
    named = _NAMED.fullmatch(text.strip())
    name, address = (named[1].strip().strip('"'), named[2].strip()) if named else ("", text.strip())
    if "<" in name or ">" in name or address.count("@") != 1:
        raise ValueError(f"{text!r} is no mail address: {_SUCH_AS}")
    return Mailbox(name, _address(address))


def _address(address: str) -> str:
    local, _, domain = address.partition("@")
    if not local.isascii():
        raise ValueError(
            f"{address!r} has letters before the @ that few mail servers take: use an alias in ASCII"
        )
    if not _LOCAL.fullmatch(local) or len(local) > _LONGEST_LOCAL:
        raise ValueError(f"{address!r} is no mail address: see what stands before the @")
    ascii_address = f"{local}@{ascii_domain(domain)}"
    if len(ascii_address) > _LONGEST:
        raise ValueError(f"{address!r} is longer than a mail address can be")
    return ascii_address


def ascii_domain(domain: str) -> str:
    """Write a domain as mail servers know it: `bücher.example` is `xn--bcher-kva.example`.

    Raises:
        ValueError: it is none.
    """
    if not domain.isascii():
        import idna

        try:
            domain = idna.encode(domain, uts46=True).decode("ascii")
        except idna.IDNAError:
            raise ValueError(f"{domain!r} is no domain: write e.g. example.com") from None
    domain = domain.lower()
    if not _DOMAIN.fullmatch(domain):
        raise ValueError(f"{domain!r} is no domain: write e.g. example.com")
    return domain


def is_web_address(text: str) -> bool:
    """Say whether a text is a web address that can be asked as it stands."""
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return usable and text.isascii() and text.isprintable() and " " not in text and "#" not in text
