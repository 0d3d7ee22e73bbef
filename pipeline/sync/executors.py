"""The executors of a run in parts: processes of this machine, or the workers of a Dask scheduler."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from multiprocessing import resource_tracker
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Protocol

from pipeline import __version__
from pipeline.core.types import Engine
from pipeline.errors import FetchError, MissingPart, Unreachable
from pipeline.extras import command_to_add

if TYPE_CHECKING:
    from distributed import Client

Work = Callable[[bytes], bytes]
"""Does a task; a function of a module."""

INSTALL = f"install modelwatch {__version__}, as here, where the workers run"

_CONNECT = 30.0
"""The most seconds to wait for a scheduler, and then for its first worker."""

_LOGGERS = ("distributed", "distributed.client", "distributed.gc", "tornado", "tornado.application")


class Lost(Exception):  # noqa: N818 - as the errors of gateways are named
    """The workers cannot be reached, or no longer; the message says why, and `cure` what to do."""

    def __init__(self, message: str, *, cure: str) -> None:
        super().__init__(message)
        self.cure = cure


class Workers(Protocol):
    """Workers that can be handed tasks; `number` is how many of them work at the same time."""

    number: int

    def pool(self, tasks: int) -> AbstractContextManager[Executor]:
        """Return an executor for some tasks; at its end, tasks that are not done are dropped.

        Raises:
            Lost: there are no workers.
        """

    def submit(self, pool: Executor, work: Work, task: bytes) -> Future[bytes]:
        """Hand a task to a pool.

        Raises:
            BrokenExecutor: a worker of the pool has ended.
            Lost: there are no workers.
        """

    def explained(self, error: Exception) -> FetchError | None:
        """Return the failure of a task for an exception of the executor; None for one of the task.

        Raises:
            MissingPart: the workers lack the program.
        """


def scheduler_gone(how: str) -> Lost:
    """Return the error of a scheduler that is gone, or cannot be reached."""
    cure = 'start it, or set `when_lost = "local"` to ask from here'
    return Lost(f"the scheduler {how}", cure=cure)


def _no_process(error: Exception) -> Lost:
    cure = "raise the limits of open files and processes (`ulimit -n`, `ulimit -u`), or lower `workers`"
    return Lost(f"no process can be started as a worker: {error}", cure=cure)


def worker_ended() -> Unreachable:
    """Return the failure of scopes whose worker ended each time that they were tried."""
    cure = "look for a lack of memory where the workers run"
    return Unreachable("the worker ended before it had results, each time", cure=cure)


@contextmanager
def workers_of(engine: Engine, deadline: float) -> Iterator[Workers]:
    """Start or reach the workers of an engine; those that were started end with the block.

    Args:
        engine: which; not that of this process.
        deadline: seconds that the run may take.

    Raises:
        Lost: they cannot be reached, or started.
        MissingPart: Dask is not installed.
    """
    _leave_lost_directory()
    if engine.kind == "processes":
        yield _Processes(engine.workers or _processors())
    else:
        with _dask(engine, min(_CONNECT, deadline / 2)) as found:
            yield found


def _leave_lost_directory() -> None:
    """Change to another directory if this one was removed, or its user may not enter it, as after `sudo -u`.

    A process that is started as a worker enters it by its name. No relative path leads anywhere from there.
    """
    try:
        os.chdir(Path.cwd())
    except OSError:
        os.chdir("/")


def _processors() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _Processes:
    """Processes of this machine, new ones for each pool: they inherit no open file and no thread."""

    def __init__(self, number: int) -> None:
        self.number = number

    @contextmanager
    def pool(self, tasks: int) -> Iterator[Executor]:
        """Return an executor that starts processes at its first task."""
        before = set(multiprocessing.active_children())
        context = multiprocessing.get_context("spawn")
        try:
            _start_tracker()
            executor = ProcessPoolExecutor(min(tasks, self.number), context, _begin_worker)
        except (OSError, ImportError, NotImplementedError) as error:  # there are no semaphores
            raise _no_process(error) from error
        try:
            yield executor
        finally:
            # One that hangs does not end by itself; the others have nothing left to do.
            for child in set(multiprocessing.active_children()) - before:
                child.kill()
            executor.shutdown(wait=True, cancel_futures=True)

    def submit(self, pool: Executor, work: Work, task: bytes) -> Future[bytes]:
        """Hand a task to a pool."""
        try:
            with _without_main():
                return pool.submit(work, task)
        except OSError as error:  # too many processes, too little memory
            raise _no_process(error) from error

    def explained(self, error: Exception) -> FetchError | None:
        """Return None: exceptions are those of the tasks."""
        del error
        return None


@contextmanager
def _without_main() -> Iterator[None]:
    """Let processes that the block starts not import the script of this one, which may start a run itself.

    See https://docs.python.org/3/library/multiprocessing.html#the-spawn-and-forkserver-start-methods.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def _start_tracker() -> None:
    """Start the process that removes semaphores where this one is killed; without a line about each time.

    See https://docs.python.org/3/library/multiprocessing.html#contexts-and-start-methods.
    """
    sys.warnoptions.append("ignore::UserWarning:multiprocessing.resource_tracker")
    try:
        resource_tracker.ensure_running()
    finally:
        sys.warnoptions.pop()


def _begin_worker() -> None:
    """Prepare a process that was started as a worker: it logs nothing, and ends with its parent."""
    # Ctrl-C goes to all processes of a terminal; the other one ends this.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.lastResort = None
    parent = multiprocessing.parent_process()
    assert parent

    def end_with_parent() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True).start()


class _Dask:
    """The workers of a Dask scheduler, which gives the task of a worker that ended to another."""

    def __init__(self, client: Client, number: int) -> None:
        self.number = number
        self._client = client

    @contextmanager
    def pool(self, tasks: int) -> Iterator[Executor]:
        """Return the executor of the client."""
        del tasks
        executor: Executor = self._client.get_executor(pure=False)
        try:
            yield executor
        finally:
            executor.shutdown(wait=False)

    def submit(self, pool: Executor, work: Work, task: bytes) -> Future[bytes]:
        """Hand a task to the scheduler."""
        # A worker without the module would end when it is sent a function of it, and the next one, too.
        call = f"__import__({work.__module__!r}, fromlist=['']).{work.__name__}(task)"
        return pool.submit(eval, call, {"task": task})

    def explained(self, error: Exception) -> FetchError | None:
        """Return the failure of a task that ended its workers."""
        from distributed import KilledWorker

        if isinstance(error, ImportError):
            raise MissingPart(f"a worker lacks modelwatch: {error}: {INSTALL}") from error
        return worker_ended() if isinstance(error, KilledWorker) else None


def _within(seconds: float, connect: Callable[[], Client]) -> Client:
    """Return a client; its own time limit does not hold for a server that speaks no protocol of Dask.

    Raises:
        TimeoutError: there is none in time; its thread is left alone.
    """
    found: Future[Client] = Future()

    def work() -> None:
        try:
            found.set_result(connect())
        except BaseException as error:  # noqa: BLE001 - of the thread that waits
            found.set_exception(error)

    threading.Thread(target=work, daemon=True).start()
    try:
        return found.result(seconds)
    except TimeoutError as error:
        raise TimeoutError(str(error) or f"no scheduler answered within {seconds:g} s") from error


@contextmanager
def _dask(engine: Engine, timeout: float) -> Iterator[_Dask]:
    """Connect to a Dask scheduler, or start one with workers on this machine."""
    try:
        import dask

        # Its logs would be lines on standard error in each run that a worker leaves; its profiler takes time.
        logs = dict.fromkeys(_LOGGERS, "critical")
        dask.config.set({"logging": logs, "distributed.worker.profile.enabled": False})
        from distributed import Client, LocalCluster, Security
    except ImportError as error:
        command = command_to_add("distributed", "fleet")
        raise MissingPart(
            f'engine = "dask" needs distributed, which is not installed: run `{command}`'
        ) from error
    # Such as that a task is large.
    warnings.filterwarnings("ignore", module="distributed")
    with ExitStack() as stack:
        try:
            if engine.scheduler is None:
                with _without_main():
                    cluster = LocalCluster(
                        n_workers=engine.workers or _processors(),
                        threads_per_worker=1,
                        dashboard_address=None,
                        silence_logs=logging.CRITICAL,
                        # Without TLS, any user of this machine could have it run programs as this user.
                        security=Security.temporary(),
                    )
                client = Client(stack.enter_context(cluster), timeout=timeout, set_as_default=False)
            else:
                names = ("tls_ca_file", "tls_client_cert", "tls_client_key")
                files = dict(zip(names, engine.tls, strict=True)) if engine.tls else {}
                security = Security(require_encryption=True, **files) if files else None
                address = engine.scheduler
                client = _within(
                    2 * timeout,
                    lambda: Client(address, security=security, timeout=timeout, set_as_default=False),
                )
            stack.enter_context(client)
            try:
                client.wait_for_workers(1, timeout=timeout)
            except TimeoutError as error:
                raise scheduler_gone("has no worker") from error
            number = engine.workers or len(client.nthreads())
        except ImportError as error:
            raise MissingPart(f"a scheduler of this machine needs cryptography: {error}") from error
        except TypeError as error:  # the settings of Dask have no certificates either
            cure = "set `tls_ca_file`, `tls_client_cert` and `tls_client_key` in `[dask]`"
            raise Lost("the scheduler needs certificates for TLS", cure=cure) from error
        except (OSError, ValueError, RuntimeError) as error:
            raise scheduler_gone(f"cannot be reached: {error}") from error
        yield _Dask(client, number)
