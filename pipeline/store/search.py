"""Full-text search for models: the words of each, kept up to date by triggers.

See https://www.sqlite.org/fts5.html.
"""

from __future__ import annotations

from functools import reduce

_PARTS = reduce(lambda text, digit: f"replace({text}, '{digit}', ' {digit} ')", "0123456789", "models.name")
"""A model's id with spaces around its digits, so that `qwen` finds `qwen2.5` and `gpt-4` finds `gpt-4o`."""


def _owner(row: str) -> str:
    return f"replace(coalesce({row}owned_by, ''), char(10), ' ')"


def _title(row: str) -> str:
    """Return SQL for the display name in a record, under any of its usual keys."""
    named = ", ".join(
        f"json_extract({row}body, '$.{name}')" for name in ("display_name", "displayName", "name")
    )
    return f"replace(coalesce(case when json_valid({row}body) then coalesce({named}) end, ''), char(10), ' ')"


def _all(word: str) -> str:
    """Return SQL for the words of all records of a model, one per line: scopes may get different owners."""
    return f"""(select group_concat(word, char(10)) from (
            select distinct {word} as word from records where records.model = models.id order by word))"""  # noqa: S608 - our own names


def _is_new(word: str, column: str) -> str:
    return f"instr(char(10) || {column} || char(10), char(10) || {word} || char(10)) = 0"


_DELETE = "delete from models_fts where rowid = old.id;"

_INSERT = "insert into models_fts (rowid, name, parts, owner, title) select * from model_words"

_UPDATE = """
    update models_fts set (owner, title) = (select owner, title from model_words where id = {model})
    where rowid = {model};
"""

SEARCH = (
    f"""
    create view model_words as
    select models.id, models.name, {_PARTS} as parts,
           coalesce({_all(_owner(""))}, '') as owner, coalesce({_all(_title(""))}, '') as title
    from models
    """,  # noqa: S608 - our own names
    "create virtual table models_fts using fts5 (name, parts, owner, title)",
    f"create trigger models_found after insert on models begin {_INSERT} where id = new.id; end",
    f"create trigger models_lost after delete on models begin {_DELETE} end",
    f"""
    create trigger models_renamed after update of name on models begin
        {_DELETE} {_INSERT} where id = new.id;
    end
    """,
    f"""
    create trigger records_found after insert on records when exists (
        select 1 from models_fts where rowid = new.model
        and ({_is_new(_owner("new."), "owner")} or {_is_new(_title("new."), "title")})
    ) begin {_UPDATE.format(model="new.model")} end
    """,  # noqa: S608 - our own names
    f"create trigger records_lost after delete on records begin {_UPDATE.format(model='old.model')} end",
    f"""
    create trigger records_reread after update of owned_by, body, model on records begin
        {_UPDATE.format(model="old.model")} {_UPDATE.format(model="new.model")}
    end
    """,
)
"""The statements that create the search."""

FILLING = ("models_found", "records_found")
"""The triggers that fill the search as rows are inserted; for many rows, `REFILL` takes less."""

REFILL = ("delete from models_fts", _INSERT, "insert into models_fts (models_fts) values ('optimize')")
"""The statements that fill the search again from the models and records, in as few pages as it can have."""

DIFFERENCES = """
    select id from (select * from model_words except select rowid, name, parts, owner, title from models_fts)
    union
    select rowid from (
        select rowid, name, parts, owner, title from models_fts except select * from model_words
    )
"""
"""The ids of models whose words in the search differ from those of their records."""
