"""A home, as Python has it: what to ask of it, and values as answers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pipeline import care, endings, history, importing, offering, sides, words
from pipeline import showing as one_model
from pipeline import watching as watched
from pipeline.api import jobs
from pipeline.api.where import Globs, When, Where, now
from pipeline.api.where import at as moment
from pipeline.care import Check, Pruned, Rebuilt
from pipeline.config import Config
from pipeline.endings import Announced, Vanished
from pipeline.errors import QuestionError
from pipeline.globs import matches
from pipeline.importing import Backfill
from pipeline.moments import Moment
from pipeline.offering import Alike, Matrix
from pipeline.recording import Heard
from pipeline.reports import Coverage, Event, Report, Snapshot
from pipeline.saved import Answers
from pipeline.showing import Shown
from pipeline.sides import Contrast
from pipeline.store import backup as copy
from pipeline.store import refs, writing
from pipeline.stories import Story, stories
from pipeline.times import iso
from pipeline.watching import WITHIN, Standing
from pipeline.watchlist import Watch, marked
from pipeline.whose import whose


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """Which models are announced to end, by day, and which went without notice, oldest first."""

    announced: tuple[Announced, ...]
    unannounced: tuple[Vanished, ...]


@dataclass(frozen=True, slots=True)
class Home:
    """A place with a config, a database and reports; made by `pipeline.home`.

    Nothing stays open between two questions, so it needs no closing and may be asked from any thread. Each
    question is answered from what the job has recorded; only `check` and `run` ask gateways. Times are given
    as `When`, and told as text in ISO 8601 UTC. What goes wrong is a `PipelineError`: `StoreError` where
    there is no database yet or it cannot be used, `ConfigError` for a config, `QuestionError` for a moment,
    scope or model that does not exist.

    Args:
        where: its files.
    """

    where: Where

    @property
    def config(self) -> Config:
        """The config, as the file says now.

        Raises:
            ConfigError: there is none, or it cannot be used.
        """
        return self.where.config()

    @property
    def database(self) -> Path:
        """The database's file."""
        return self.where.database()

    def check(self, *scopes: str) -> dict[str, Heard]:
        """Ask every scope, or those that match one of the globs, and write nothing; what each said, by name.

        The `answer` of each is `Told`, with the listing, or a `FetchError`.
        """
        return jobs.check(self.config, scopes)

    def run(self, *scopes: str, reports: bool = True, dry_run: bool = False) -> Report:
        """Ask every scope, or those that match one of the globs, record what they say, and report it.

        A scope that fails or is held stops nothing: `coverage` of the report says which, and why.

        Args:
            scopes: globs of scopes.
            reports: write the report files too, where there is news.
            dry_run: compare only; nothing is written.

        Raises:
            Locked: another run is under way.
            DeliveryError: a report cannot be written; what was heard is recorded.
        """
        return jobs.run(self.config, scopes, reports=reports, dry_run=dry_run)

    def import_(
        self,
        scope: str,
        answers: Answers | Path | str,
        *,
        dialect: str | None = None,
        url: str | None = None,
        time_field: str | None = None,
    ) -> Backfill:
        """Bring saved answers into the history of a scope, oldest first.

        Args:
            scope: `gateway/name`; one that the config does not have needs a `dialect`, or `auto`.
            answers: a directory, a `.jsonl` file, or what `pipeline.saved.in_git` gives.
            dialect: how they are written; None as the config has it.
            url: where they came from, for a gateway that is not known.
            time_field: where in an answer its time is, if not in the name of its file.

        Raises:
            SavedError: there are none, or they are older than what is known of the scope.
        """
        known = self.where.known()
        wanted, asked = whose(known.scopes if known else (), self.database, scope, dialect=dialect, url=url)
        found = answers if isinstance(answers, Answers) else jobs.saved(Path(answers), time_field)
        with writing(self.database, since=now()) as store:
            done = importing.backfill(wanted, found.oldest_first, store, asked=asked)
            store.settle()
        return done

    def changes(
        self, *, since: When | None = None, scopes: Globs = (), models: Globs = ()
    ) -> tuple[Event, ...]:
        """Give what changed, oldest first; what concerns a watched model may be `urgent`."""
        start = None if since is None else moment(since)
        with self.where.read() as store:
            events = marked(history.changes(store, history.window(store, since=start)), self.where.watch())
        found = (replace(each, scopes=tuple(s for s in each.scopes if matches(s, scopes))) for each in events)
        return tuple(each for each in found if each.scopes and matches(each.model, models))

    def models(self, *globs: str, at: When | None = None, scopes: Globs = ()) -> list[dict[str, Any]]:
        """Give what is offered, now or at a moment: a row for each gateway and model.

        A row has gateway, model, owned_by, created, scopes and groups (names), and records (the distinct
        bodies, as JSON text).
        """
        with self.where.read() as store:
            then = Moment(at=None if at is None else words.in_history(store, moment(at)))
            offered = history.catalog(store, lambda scope: matches(scope, scopes), then)
        return [row for row in offered if matches(row["model"], globs)]

    def scopes(self) -> tuple[Coverage, ...]:
        """Give every scope, by name: how many models it is offered, and whether it is well."""
        with self.where.read() as store:
            return history.coverage(store)

    def last_run(self) -> Snapshot | None:
        """Give the last run; None when there was none."""
        with self.where.read() as store:
            return history.snapshot(store)

    def show(self, model: str, *, scopes: Globs = ()) -> list[Shown]:
        """Give what is known of a model, by gateway; nothing where nobody was ever offered it."""
        with self.where.read() as store:
            return one_model.shown(store, model, lambda scope: matches(scope, scopes))

    def history(self, model: str, *, scopes: Globs = ()) -> tuple[Story, ...]:
        """Give the story of a model, or of those that a glob matches; scopes with the same story together.

        Raises:
            QuestionError: nobody was ever offered such a model.
        """
        with self.where.read() as store:
            names = words.named(store, model)
            if not names:
                raise QuestionError(words.unknown(store, model))
            return tuple(
                s for name in names for s in stories(store, name, lambda scope: matches(scope, scopes))
            )

    def diff(self, before: When, after: When = "now") -> Contrast:
        """Compare what was offered at two moments, or to two scopes.

        Each side is a moment, or as text what `modelwatch diff` takes: `now`, `#123` (a snapshot),
        `aihubmix/prod`, a gateway, a glob of scopes, `aihubmix/prod@2026-05-01`.
        """
        now = datetime.now(UTC)
        texts = [iso(each) if isinstance(each, datetime) else each for each in (before, after)]
        with self.where.read() as store:
            try:
                return sides.contrast(store, *(words.side(store, text, now) for text in texts))
            except LookupError as error:
                raise QuestionError(str(error.args[0])) from error

    def matrix(self, *scopes: str) -> list[Matrix]:
        """Give, for each gateway, its models and the scopes that they are offered to now."""
        with self.where.read() as store:
            return offering.matrices(store, lambda known: matches(known.scope, scopes))

    def same(self, *scopes: str) -> list[Alike]:
        """Give the sets of scopes that are offered exactly the same list."""
        with self.where.read() as store:
            return offering.alike(store, lambda known: matches(known.scope, scopes))

    def lifecycle(self, *, days: int = WITHIN) -> Lifecycle:
        """Give what is announced to end in so many days, or should have, and what went in as many."""
        now = datetime.now(UTC)
        with self.where.read() as store:
            to_come = endings.announced(store, today=now.date(), until=now.date() + timedelta(days=days))
            gone = endings.vanished(store, since=iso(now - timedelta(days=days)))
        return Lifecycle(tuple(to_come), tuple(gone))

    def watch(self, *models: str, scopes: Globs = (), since: When = "7d", days: int = WITHIN) -> Standing:
        """Say how models stand that somebody depends on.

        Args:
            models: ids and globs; none means those of the config.
            scopes: globs of the scopes that matter; none means those of the config.
            since: prices are compared with those of this time.
            days: an end is urgent when it is so many days away, or fewer.

        Raises:
            QuestionError: there are no models to watch.
        """
        known = self.where.watch()
        wanted = Watch(models or known.models, tuple(scopes) or known.scopes)
        if not wanted.models:
            raise QuestionError("nothing is watched: name models, or write them under [watch] in the config")
        with self.where.read() as store:
            today = datetime.now(UTC).date()
            return watched.watch(store, wanted, since=moment(since), today=today, days=days)

    def verify(self) -> list[Check]:
        """Check the database against itself; each check has the problems that it found."""
        with self.where.read() as store:
            return list(care.verify(store, self.where.dialects()))

    def rebuild(self) -> Rebuilt:
        """Derive again what follows from the answers; says what was corrected."""
        with self.where.opened() as store:
            return care.rebuild(store, self.where.dialects())

    def prune(self, *, keep: timedelta) -> Pruned:
        """Drop history that is older; what is told of the time since stays the same."""
        with self.where.opened() as store:
            return care.prune(store, self.where.dialects(), bound=iso(datetime.now(UTC) - keep))

    def backup(self, file: Path | str, *, overwrite: bool = False) -> int:
        """Write a copy of the database, whole though a run may be under way; gives its size in bytes."""
        return copy(self.database, Path(file), overwrite=overwrite)

    def forget(self, *scopes: str) -> dict[str, int]:
        """Drop the scopes that match one of the globs, and all that only they needed; rows by table.

        Raises:
            QuestionError: none matches.
        """
        with self.where.opened() as store:
            names = [name for name in refs(store) if matches(name, scopes)] if scopes else []
            if not names:
                raise QuestionError(f"no scope matches {' or '.join(scopes)}")
            return dict(care.forget(store, sorted(names)))


def home(place: Path | str = "data", *, config: Path | str | None = None) -> Home:
    """Give a home, by its directory, or a database alone, by its file.

    Args:
        place: a directory with `modelwatch.toml` and what it names; or a database file.
        config: another config file.
    """
    path = Path(place)
    if path.is_file():
        return Home(Where(None if config is None else Path(config), path))
    return Home(Where(path / "modelwatch.toml" if config is None else Path(config)))
