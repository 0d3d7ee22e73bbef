"""What a destination needs before anything can be sent to it: its secrets, and its program or library."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from importlib.util import find_spec

from pipeline.destinations import Channel, Chat, Sendmail, Smtp, Webhook
from pipeline.errors import Unresolved
from pipeline.notify.resolving import given
from pipeline.types import REFERENCES, Resolve


def lacks(channel: Channel, resolve: Resolve) -> list[str]:
    """Say what a channel lacks, a line each; nobody is asked, and nothing is sent."""
    found = []
    for reference in _references(channel):
        try:
            given(reference, resolve)
        except Unresolved as error:
            found.append(error.message)
    match channel:
        case Chat() if find_spec("apprise") is None:
            found.append("needs Apprise, which is not installed: pip install 'modelwatch[notify]'")
        case Sendmail(command=(program, *_)) if shutil.which(program) is None:
            found.append(f"there is no program {program}: write its path as `command`")
        case _:
            pass
    return found


def _references(channel: Channel) -> Iterator[str]:
    match channel:
        case Smtp(password=password, token=token):
            yield from filter(None, (password, token))
        case Webhook(url=url, secret=secret, headers=headers):
            values = (url, secret, *(value for _, value in headers))
            yield from (value for value in values if value and value.startswith(REFERENCES))
        case Chat(urls=urls):
            yield from urls
        case _:
            pass
