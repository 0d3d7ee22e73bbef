"""Reports as JSON, posted to a URL with a signature and an id that reveals duplicates."""

from __future__ import annotations

import hmac
import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from urllib.parse import urlsplit

import httpx

from pipeline.core.masking import Masker
from pipeline.core.network import connection_reason
from pipeline.core.text import redact
from pipeline.core.times import retry_after
from pipeline.core.types import Resolve, Secret, is_reference, reference_name
from pipeline.delivery.channels.secrets import resolve_header, resolve_secret, unresolved, url_parts
from pipeline.delivery.deadline import Deadline, within
from pipeline.delivery.http_client import PLAIN, UnusableEnvironment, beginning, client_for
from pipeline.delivery.types import MAX_WAIT, TOTAL_TIMEOUT, Chat, DeliveryResult, DeliveryStatus, Webhook
from pipeline.reports.types import Message

_MAX_BODY = 2000
"""Bytes of an error's body that are read."""

_SERVER_ERROR = 500

_TEMPORARY = frozenset({408, 425, 429})

_HINTS = {
    400: "it does not accept the request: see its own log",
    401: "see `secret` and `headers`",
    403: "see `secret` and `headers`",
    404: "see `url`",
    405: "see `url`: it accepts no POST",
    410: "it was removed: see `url`",
    413: "the report is too large for it",
}


def recipients(settings: Webhook) -> tuple[str, ...]:
    """Return the URL, or the name of the reference to it."""
    return (_shown(settings.url),)


def _shown(url: str) -> str:
    return reference_name(url) if is_reference(url) else url


def missing(settings: Webhook, resolve: Resolve) -> list[str]:
    """Return a line for each reference that cannot be resolved."""
    values = (settings.url, settings.secret, *(value for _, value in settings.headers))
    return unresolved(filter(is_reference, values), resolve)


def reach(settings: Webhook | Chat, resolve: Resolve) -> str | None:
    """Ask the server for the head of its first page; any answer will do: the URL may take POST only.

    Raises:
        Unresolved: a URL cannot be resolved.
    """
    secret_url = is_reference(settings.url)
    url = resolve_header(settings.url, resolve).reveal() if secret_url else settings.url
    place = _shown(settings.url) if secret_url else _place(url)
    parts = urlsplit(url)
    # Neither the path nor the credentials in the address are sent, which may be secrets.
    root = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/"
    result = _request("HEAD", root, place, {"User-Agent": "modelwatch"}, settings.timeout, _any_answer)
    error = result.error and Masker(url_parts(url) if secret_url else []).text(result.error)
    return redact(error) if error else None


def _any_answer(_response: httpx.Response, _place: str) -> DeliveryResult:
    return DeliveryResult(DeliveryStatus.SENT)


def send(
    settings: Webhook, message: Message, recipients: tuple[str, ...], resolve: Resolve
) -> dict[str, DeliveryResult]:
    """Post a message.

    Raises:
        Unresolved: a URL, secret or header cannot be resolved.
    """
    headers, secrets = _headers(settings, resolve)
    key = resolve_secret(settings.secret, resolve) if settings.secret else None
    body = payload(message)
    headers |= signature_headers(body, message, key, at=int(time.time()))
    secrets += [key.reveal()] if key else []
    result = post(settings, body, headers, resolve, secrets=secrets, result_of=_result)
    return dict.fromkeys(recipients, result)


def post(
    settings: Webhook | Chat,
    body: bytes,
    headers: Mapping[str, str],
    resolve: Resolve,
    *,
    secrets: Sequence[str],
    result_of: Callable[[httpx.Response, str], DeliveryResult],
    query: str = "",
) -> DeliveryResult:
    """Post a body to the URL of a channel, and return what its answer means.

    Args:
        settings: those of the channel.
        body: the content.
        headers: of the request.
        resolve: resolves references to secrets.
        secrets: what to mask in errors, beside the URL.
        result_of: returns the result of an answer; its second argument is the name of the receiver.
        query: parameters to add to the URL.

    Raises:
        Unresolved: the URL cannot be resolved.
    """
    secret_url = is_reference(settings.url)
    url = resolve_header(settings.url, resolve).reveal() if secret_url else settings.url
    place = _shown(settings.url) if secret_url else _place(url)
    address = f"{url}{'&' if urlsplit(url).query else '?'}{query}" if query else url
    result = _request("POST", address, place, headers, settings.timeout, result_of, body)
    masker = Masker([*secrets, *(url_parts(url) if secret_url else [])])
    error = result.error and redact(masker.text(result.error))
    return DeliveryResult(result.status, error, result.retry_after)


def payload(message: Message) -> bytes:
    """Return the body: the texts of a message, and the report in the shape of `report.schema.json`."""
    texts = {
        "message_id": message.message_id,
        "at": message.at,
        "severity": message.severity,
        "language": message.language,
        "subject": message.subject,
        "text": message.text,
    }
    # The report is inserted as it is: parsed and written again, its numbers could change (0.10 to 0.1).
    return f'{json.dumps(texts, ensure_ascii=False)[:-1]}, "report": {message.json.strip()}}}'.encode()


def signature_headers(body: bytes, message: Message, key: Secret | None, *, at: int) -> dict[str, str]:
    """Return the headers that identify a request and, with a key, sign it.

    The signature is the HMAC-SHA256 in hex of `TIMESTAMP.BODY`, the timestamp in Unix seconds.
    """
    headers = {"X-Modelwatch-Id": message.message_id.strip("<>"), "X-Modelwatch-Timestamp": str(at)}
    if key is not None:
        signature = hmac.new(key.reveal().encode(), f"{at}.".encode() + body, "sha256").hexdigest()
        headers["X-Modelwatch-Signature"] = f"sha256={signature}"
    return headers


def _headers(settings: Webhook, resolve: Resolve) -> tuple[dict[str, str], list[str]]:
    """Return the headers with the config's own, and the secrets among their values."""
    secrets = {
        name: resolve_header(value, resolve).reveal()
        for name, value in settings.headers
        if is_reference(value)
    }
    own = {"Content-Type": "application/json", "User-Agent": "modelwatch", **PLAIN}
    return own | dict(settings.headers) | secrets, list(secrets.values())


def _request(
    method: str,
    url: str,
    place: str,
    headers: Mapping[str, str],
    timeout: float,
    result_of: Callable[[httpx.Response, str], DeliveryResult],
    body: bytes = b"",
) -> DeliveryResult:
    limit = TOTAL_TIMEOUT * timeout
    late = DeliveryResult(DeliveryStatus.RETRY, f"no complete answer from {place} within {limit:g} s")

    def request(deadline: Deadline) -> DeliveryResult:
        try:
            with (
                client_for(url, timeout) as client,
                client.stream(
                    method, url, content=body, headers=headers, extensions={"trace": deadline.trace}
                ) as response,
            ):
                return result_of(response, place)
        except UnusableEnvironment as error:
            return DeliveryResult(DeliveryStatus.RETRY, f"{place} cannot be reached: {error}")
        except (httpx.TransportError, httpx.InvalidURL, OSError, ValueError) as error:
            return late if deadline.expired else _failure(error, place, timeout)

    try:
        return within(limit, request)
    except TimeoutError:
        return late
    except OSError as error:
        return _failure(error, place, timeout)


def _failure(error: Exception, place: str, timeout: float) -> DeliveryResult:
    match error:
        case httpx.TimeoutException():
            return DeliveryResult(DeliveryStatus.RETRY, f"no answer from {place} within {timeout:g} s")
        case httpx.TransportError():
            text = f"{place} cannot be reached: {connection_reason(error)}"
            return DeliveryResult(DeliveryStatus.RETRY, text)
        case httpx.InvalidURL():
            return DeliveryResult(DeliveryStatus.REFUSED, f"{place} is not a web address: {error}")
        case _:
            return DeliveryResult(DeliveryStatus.RETRY, f"{place} cannot be reached: {error}")


def _result(response: httpx.Response, place: str) -> DeliveryResult:
    return result_of_status(response, place, _HINTS, excerpt)


def result_of_status(
    response: httpx.Response,
    place: str,
    hints: Mapping[int, str],
    reason: Callable[[httpx.Response], str],
) -> DeliveryResult:
    """Return what the status of an answer means.

    Args:
        response: the answer; its body is read only for an error.
        place: the name of the receiver.
        hints: by status, what to do about it.
        reason: returns the reason of an error from its body.
    """
    status = response.status_code
    if response.is_success:
        return DeliveryResult(DeliveryStatus.SENT)
    if response.is_redirect:
        target = _place(str(response.next_request.url)) if response.next_request else "elsewhere"
        text = f"{place} redirects to {target}: nothing was sent there; see `url`"
        return DeliveryResult(DeliveryStatus.REFUSED, text)
    why = reason(response)
    why = f": {why}" if why else ""
    if status in _TEMPORARY or status >= _SERVER_ERROR:
        return DeliveryResult(DeliveryStatus.RETRY, f"{place} answered {status}{why}", _wait(response))
    hint = hints.get(status, "it does not accept the report")
    return DeliveryResult(DeliveryStatus.REFUSED, f"{place} answered {status} ({hint}){why}")


def excerpt(response: httpx.Response) -> str:
    """Read and return the beginning of an error's body; an empty text if it is HTML, or encoded."""
    body = b""
    with suppress(httpx.HTTPError):  # cut off, maybe by the deadline: the status is enough
        body = beginning(response, _MAX_BODY)
    text = body.decode("utf-8", "replace").strip()
    return "" if text.startswith("<") else text


def _wait(response: httpx.Response) -> float | None:
    """Return the seconds that the receiver asks to wait; None without `Retry-After`, or for a past time."""
    seconds = retry_after(response.headers.get("retry-after", ""), time.time())
    return min(seconds, MAX_WAIT) if seconds else None


def _place(url: str) -> str:
    """Return a URL without user, query and fragment."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
