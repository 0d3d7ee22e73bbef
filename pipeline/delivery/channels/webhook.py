"""Reports as JSON to a web address, signed, with an id by which a duplicate is known."""

from __future__ import annotations

import hmac
import json
import time
from collections.abc import Mapping
from contextlib import suppress
from urllib.parse import urlsplit

import httpx

from pipeline.core.text import mask, redact
from pipeline.core.times import retry_after
from pipeline.core.types import REFERENCES, Resolve, Secret
from pipeline.delivery.channels import BOUND, given, header, pieces
from pipeline.delivery.types import DeliveryResult, DeliveryStatus, Webhook
from pipeline.reports.types import Message

_ENOUGH = 2000


_LONGEST_WAIT = 86_400.0


_SERVER_ERROR = 500


_LATER = frozenset({408, 425, 429})


_HINTS = {
    400: "it does not take what was sent: see its own log",
    401: "see `secret` and `headers`",
    403: "see `secret` and `headers`",
    404: "see `url`",
    405: "see `url`: it takes no POST",
    410: "it is gone: see `url`",
    413: "the report is too large for it",
}


def post(channel: Webhook, letter: Message, resolve: Resolve) -> DeliveryResult:
    """Post a letter, and say what the receiver made of it.

    Raises:
        Unresolved: an address, secret or header cannot be had.
    """
    url = header(channel.url, resolve).reveal() if channel.url.startswith(REFERENCES) else channel.url
    body = payload(letter)
    headers, secrets = _headers(channel, resolve)
    key = given(channel.secret, resolve) if channel.secret else None
    headers |= signed(body, letter, key, at=int(time.time()))
    hidden = [*secrets, *([key.reveal()] if key else []), *(pieces(url) if url != channel.url else [])]
    place = channel.url if url != channel.url else _place(url)
    receipt = _post(place, url, body, headers, channel.timeout)
    return DeliveryResult(
        receipt.fate, receipt.error and redact(mask(receipt.error, hidden)), receipt.retry_after
    )


def payload(letter: Message) -> bytes:
    """Write what is posted: the words of the letter, and the report in the shape of its schema."""
    words = {
        "message_id": letter.message_id,
        "at": letter.at,
        "severity": letter.severity,
        "language": letter.language,
        "subject": letter.subject,
        "text": letter.text,
    }
    # The report goes as it is: read and written anew, its numbers might be others.
    return f'{json.dumps(words, ensure_ascii=False)[:-1]}, "report": {letter.json.strip()}}}'.encode()


def signed(body: bytes, letter: Message, key: Secret | None, *, at: int) -> dict[str, str]:
    """Give the headers by which a receiver knows a duplicate and, with a key, who sends.

    The signature is the HMAC-SHA256 in hex of `TIMESTAMP.BODY`, the timestamp in Unix seconds.
    """
    headers = {"X-Modelwatch-Id": letter.message_id.strip("<>"), "X-Modelwatch-Timestamp": str(at)}
    if key is not None:
        signature = hmac.new(key.reveal().encode(), f"{at}.".encode() + body, "sha256").hexdigest()
        headers["X-Modelwatch-Signature"] = f"sha256={signature}"
    return headers


def _headers(channel: Webhook, resolve: Resolve) -> tuple[dict[str, str], list[str]]:
    """Give the headers to send, and the secrets among their values."""
    secrets = {
        name: header(value, resolve).reveal()
        for name, value in channel.headers
        if value.startswith(REFERENCES)
    }
    own = {"Content-Type": "application/json", "User-Agent": "modelwatch"}
    return own | dict(channel.headers) | secrets, list(secrets.values())


def _post(place: str, url: str, body: bytes, headers: Mapping[str, str], patience: float) -> DeliveryResult:
    end = time.monotonic() + BOUND * patience
    try:
        with (
            httpx.Client(timeout=patience, follow_redirects=False) as client,
            client.stream("POST", url, content=body, headers=headers) as response,
        ):
            return _read(response, place, end)
    except httpx.TimeoutException:
        return DeliveryResult(DeliveryStatus.LATER, f"no answer from {place} within {patience:g} s")
    except httpx.TransportError as error:
        return DeliveryResult(
            DeliveryStatus.LATER, f"{place} cannot be reached: {str(error) or type(error).__name__}"
        )
    except httpx.InvalidURL as error:
        return DeliveryResult(DeliveryStatus.NEVER, f"{place} is no web address: {error}")
    except (OSError, ValueError) as error:
        return DeliveryResult(
            DeliveryStatus.LATER, f"{place} cannot be asked, see SSL_CERT_FILE and the proxies: {error}"
        )


def _read(response: httpx.Response, place: str, end: float) -> DeliveryResult:
    status = response.status_code
    if response.is_success:
        return DeliveryResult(DeliveryStatus.SENT)
    if response.is_redirect:
        onward = _place(str(response.next_request.url)) if response.next_request else "elsewhere"
        return DeliveryResult(
            DeliveryStatus.NEVER, f"{place} redirects to {onward}: nothing was sent there; see `url`"
        )
    said = _said(response, end)
    error = f"{place} answered {status}{f': {said}' if said else ''}"
    if status in _LATER or status >= _SERVER_ERROR:
        return DeliveryResult(DeliveryStatus.LATER, error, _wait(response))
    hint = _HINTS.get(status, "it does not take the report")
    return DeliveryResult(
        DeliveryStatus.NEVER, f"{place} answered {status} ({hint}){f': {said}' if said else ''}"
    )


def _said(response: httpx.Response, end: float) -> str:
    """Read the beginning of what is said of an error; pages for people are left out."""
    text = b""
    with suppress(httpx.HTTPError):  # packed wrongly, or broken off: the status says what matters
        for piece in response.iter_bytes():
            text += piece
            if len(text) > _ENOUGH or time.monotonic() > end:
                break
    said = text[:_ENOUGH].decode("utf-8", "replace").strip()
    return "" if said.startswith("<") else said


def _wait(response: httpx.Response) -> float | None:
    """Return the seconds that the receiver asks to wait; None where it names none or a past moment."""
    seconds = retry_after(response.headers.get("retry-after", ""), time.time())
    return min(seconds, _LONGEST_WAIT) if seconds else None


def _place(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
