"""Find the scope that saved answers belong to, or make one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pipeline.config import is_name
from pipeline.dialects import AUTO, dialects
from pipeline.errors import QuestionError
from pipeline.store import Store
from pipeline.types import Gateway, Scope


def whose(
    scopes: Sequence[Scope], database: Path, name: str, *, dialect: str | None = None, url: str | None = None
) -> tuple[Scope, bool]:
    """Give the scope of saved answers as the config has it, or make one; and whether runs ask it.

    Args:
        scopes: those of the config.
        database: where the gateway may be known from.
        name: the scope, as gateway/name.
        dialect: how the answers are written, or `auto`; None as the config has it.
        url: where they came from, for a gateway that is not known.

    Raises:
        QuestionError: there is no such dialect, or the answers cannot be those of this scope.
    """
    if dialect not in (None, AUTO) and dialect not in dialects():
        raise QuestionError(f"the dialect {dialect} is not known: use {AUTO}, or {', '.join(dialects())}")
    for scope in scopes:
        if scope.all_groups and (name == scope.name or name.startswith(f"{scope.name}.")):
            raise QuestionError(
                f"{scope.name} is asked for all its groups: import into a scope of another name"
            )
        if scope.name == name:
            gateway = replace(scope.gateway, dialect=dialect) if dialect else scope.gateway
            return replace(scope, gateway=gateway), True
    if dialect is None:
        names = f": it has {', '.join(scope.name for scope in scopes)}" if scopes else ""
        raise QuestionError(
            f"no scope {name} is in the config{names}; say with --dialect how its answers are written,"
            f" {AUTO} where they show it themselves"
        )
    return Scope(name, _gateway(database, name, scopes, dialect, url)), False


def _gateway(database: Path, name: str, scopes: Sequence[Scope], dialect: str, url: str | None) -> Gateway:
    """Give the gateway of a scope that the config does not have: the config's, the known one, or a new."""
    gateway, slash, alias = name.partition("/")
    if not (slash and is_name(gateway) and is_name(alias)):
        raise QuestionError(f"{name!r} names no scope: write gateway/name, such as aihubmix/prod")
    for scope in scopes:
        if scope.gateway.name == gateway:
            return replace(scope.gateway, dialect=dialect, url=url or scope.gateway.url)
    known = None
    if database.exists() and url is None:
        with Store.read(database, any_age=True) as store:
            # A first import that was killed as it began has left a file without tables.
            made = store.rows("select 1 from sqlite_master where name = 'gateways'")
            sql = "select url from gateways where name = :name"
            found = store.rows(sql, {"name": gateway}) if made else []
            known = found[0]["url"] if found else None
    return Gateway(gateway, url or known or "", dialect)
