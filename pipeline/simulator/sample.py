"""The sample data of `modelwatch gateway`, and the text that it prints."""

from __future__ import annotations

from typing import Any

from pipeline.simulator.accounts import ANONYMOUS, DEFAULT_GROUP
from pipeline.simulator.gateway import Gateway

_EVERYONE = (DEFAULT_GROUP, "vip")
_VIP = ("vip",)

_MODELS: tuple[tuple[str, tuple[str, ...], str, dict[str, Any]], ...] = (
    ("aurora-4", _EVERYONE, "aurora", {"model_ratio": 1.5, "completion_ratio": 4, "context_length": 400_000}),
    (
        "aurora-4-mini",
        _EVERYONE,
        "aurora",
        {"model_ratio": 0.2, "completion_ratio": 4, "context_length": 400_000},
    ),
    ("aurora-canvas-2", _EVERYONE, "aurora", {"model_price": 0.04}),
    ("aurora-embed-2", _EVERYONE, "aurora", {"model_ratio": 0.05, "context_length": 8_192}),
    ("aurora-rerank-1", _EVERYONE, "aurora", {"model_ratio": 0.05}),
    ("aurora-voice-1", _EVERYONE, "aurora", {"model_ratio": 6, "completion_ratio": 2}),
    ("quarry/Slate-Vision", _EVERYONE, "quarry", {"model_ratio": 0.6, "context_length": 64_000}),
    ("quarry/slate-coder@2026-03", _EVERYONE, "quarry", {"model_ratio": 0.3, "context_length": 128_000}),
    (
        "tern/tern-70b",
        _EVERYONE,
        "tern",
        {"model_ratio": 0.4, "completion_ratio": 2, "context_length": 32_768},
    ),
    (
        "tern/tern-9b",
        _EVERYONE,
        "tern",
        {"model_ratio": 0.1, "completion_ratio": 2, "context_length": 32_768},
    ),
    ("tern/tern-9b:free", _EVERYONE, "tern", {"model_ratio": 0, "context_length": 16_384}),
    ("aurora-5", _VIP, "aurora", {"model_ratio": 5, "completion_ratio": 5, "context_length": 1_000_000}),
    (
        "aurora-5-thinking",
        _VIP,
        "aurora",
        {"model_ratio": 8, "completion_ratio": 5, "context_length": 1_000_000},
    ),
    ("aurora-film-1", _VIP, "aurora", {"model_price": 0.5}),
    ("tern/tern-405b", _VIP, "tern", {"model_ratio": 1.2, "completion_ratio": 3, "context_length": 131_072}),
)


def sample(gateway: Gateway) -> None:
    """Add two groups, two users, three keys and fifteen models to a gateway."""
    gateway.group(DEFAULT_GROUP, ratio=1.0, desc="Everyone")
    gateway.group("vip", ratio=0.8, desc="Paying teams")
    for model, to, owned_by, fields in _MODELS:
        gateway.offers(model, to=to, owned_by=owned_by, **fields)
    gateway.user("alice", password="alice-local", id=1, access_token="alice-local-token")  # noqa: S106 - public
    gateway.user("bob", password="bob-local", id=2, group="vip", access_token="bob-local-token")  # noqa: S106 - public
    limit = ("aurora-4-mini", "tern/tern-9b:free", "quarry/slate-coder@2026-03")
    gateway.key("sk-local-default", user="alice")
    gateway.key("sk-local-vip", user="alice", group="vip")
    gateway.key("sk-local-limited", user="bob", models=limit)


def describe(gateway: Gateway) -> str:
    """Return the text for the terminal: the address, the keys and users with their secrets, and examples."""
    return "\n".join((*_summary(gateway), "", *_examples(gateway), ""))


def _summary(gateway: Gateway) -> list[str]:
    counts = ", ".join(f"{name} {size}" for name, size in gateway.groups.sizes().items())
    lines = [f"The reference gateway listens at {gateway.url}/v1/models", f"  models by group: {counts}"]
    for key in gateway.accounts.keys:
        limit = (
            f"limited to {len(key.models)} models"
            if key.models is not None
            else f"group {key.group}"
            if key.group
            else "the group of its user"
        )
        lines.append(f"  key   {key.secret}  user {key.user or ANONYMOUS}, {limit}")
    for user in gateway.accounts.users:
        sign_in = f"password {user.password}, access token {user.access_token}"
        lines.append(f"  user  {user.name}  id {user.id}, group {user.group}, {sign_in}")
    return lines


def _examples(gateway: Gateway) -> list[str]:
    who = next((key.secret for key in gateway.accounts.keys), ANONYMOUS)
    ask = "" if who == ANONYMOUS else f" -H 'Authorization: Bearer {who}'"
    throttled = f'{{"fault": "throttled", "who": "{who}", "times": 1, "options": {{"retry_after": 5}}}}'
    return [
        "Request the list, change it, add a fault, end the faults, add a key, show all verbs:",
        f"  curl -s {gateway.url}/v1/models{ask}",
        f"""  curl -s {gateway.url}/control/offers -d '{{"models": ["aurora-6"], "to": "default"}}'""",
        f"""  curl -s {gateway.url}/control/drops -d '{{"models": ["aurora-4"]}}'""",
        f"  curl -s {gateway.url}/control/fails -d '{throttled}'",
        f"  curl -s {gateway.url}/control/heals -d '{{}}'",
        f"""  curl -s {gateway.url}/control/key -d '{{"key": "sk-local-new", "user": "alice"}}'""",
        f"  curl -s {gateway.url}/control/",
    ]
