"""Files of ours: who may read them, drafts that replace them, and the drafts that killed processes left."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import grp
import os
import pwd
import re
import shlex
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex

from pipeline.core.types import Share

_READERS = {Share.OWNER: 0, Share.GROUP: stat.S_IRGRP, Share.ALL: stat.S_IRGRP | stat.S_IROTH}
"""The permissions that are given to others, whatever the umask and the directory."""

_FOLLOWED = 0o664
"""The permissions that a new file may take from its directory."""

_DRAFT_SUFFIX = ".draft"

_ENDINGS = ("", "-journal", "-wal", "-shm")
"""Those of a draft and of what SQLite writes beside it."""

_DRAFT = re.compile(r"\..+\.[0-9a-f]{8}\.draft(-journal|-wal|-shm)?")
"""The names of drafts."""

_LONGEST_NAME = 50
"""Characters of the name of a file in that of its draft: a name may have 255 bytes, a character four."""

_EXCHANGE = 2
"""RENAME_EXCHANGE of Linux and RENAME_SWAP of macOS.

See https://man7.org/linux/man-pages/man2/rename.2.html and
https://github.com/apple-oss-distributions/xnu/blob/main/bsd/sys/stdio.h.
"""

_AT_FDCWD = -100
"""The present directory; it does not matter for absolute paths."""

_UNSUPPORTED = frozenset({errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP})


def make_directory(path: Path, share: Share | None) -> None:
    """Create a directory and those above it, where they are missing; existing ones keep their modes.

    Args:
        path: the directory.
        share: who may read it, beside its owner; None for those that the umask leaves.

    Raises:
        OSError: it cannot be created.
    """
    missing = [path, *path.parents]
    while missing and missing[-1].is_dir():
        missing.pop()
    for directory in reversed(missing):
        try:
            directory.mkdir(0o777 if share is None else 0o700)
        except FileExistsError:
            if not directory.is_dir():
                raise
            continue
        readers = _READERS[share] if share else 0
        if readers:
            mode = stat.S_IMODE(directory.stat().st_mode)
            directory.chmod(mode | readers | readers >> 2)
        flush(directory.parent)


def open_file(path: Path, share: Share | None, *, create: bool) -> int:
    """Open a file to read and write, and return its descriptor; `share` is for a new one, see `create_file`.

    Raises:
        OSError: it cannot be opened or created.
    """
    while True:
        try:
            return os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            if not create:
                raise
        with suppress(FileExistsError):
            return _create(path, share)


def create_file(path: Path, share: Share | None) -> None:
    """Create an empty file, unless there is one.

    It is readable for those that may read its directory, the umask allows, or `share` names; without `share`
    for those that the umask allows.

    Raises:
        OSError: it cannot be created.
    """
    with suppress(FileExistsError):
        os.close(_create(path, share))


def _create(path: Path, share: Share | None) -> int:
    mode = 0o666 if share is None else 0o600 | stat.S_IMODE(path.parent.stat().st_mode) & _FOLLOWED
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    if share:
        _add_mode(descriptor, _READERS[share])
    return descriptor


def _add_mode(descriptor: int, mode: int) -> None:
    present = stat.S_IMODE(os.fstat(descriptor).st_mode)
    if present | mode != present:
        os.fchmod(descriptor, present | mode)


def write_private(path: Path, content: bytes) -> None:
    """Write a new file that its owner alone may read, whatever its directory and the umask allow.

    Raises:
        OSError: there is one, or it cannot be written.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as file:  # noqa: PTH123 - it is open
        file.write(content)


def restrict(descriptor: int, source: Path) -> None:
    """Take the permissions from a file that another file does not have."""
    mode = stat.S_IMODE(os.fstat(descriptor).st_mode) & (source.stat().st_mode | 0o600)
    os.fchmod(descriptor, mode)


def atomic_write(path: Path, content: bytes, *, share: Share | None, durable: bool = True) -> None:
    """Write a hidden draft beside a file, then replace the file with it; an existing one keeps its mode.

    Args:
        path: in an existing directory.
        content: all of the file.
        share: who may read a new file, see `create_file`.
        durable: wait until the content and the name are on disk, where they survive a power failure.

    Raises:
        OSError: it cannot be written; the file is unchanged.
    """
    with draft_file(path, share) as (draft, descriptor):
        with open(descriptor, "wb", closefd=False) as file:
            file.write(content)
        if durable:
            os.fsync(descriptor)
        draft.replace(path)
        if durable:
            flush(path.parent)


@contextmanager
def draft_file(target: Path, share: Share | None) -> Iterator[tuple[Path, int]]:
    """Yield the path and the descriptor of an empty file beside `target`; remove it at the end of the block.

    It has the mode of `target`, or that of a new file. While this process lives, `clear_drafts` leaves it.

    Raises:
        OSError: it cannot be created, or `target` is no regular file.
    """
    mode = _mode_of_file(target)
    with _held(target, lambda draft: _create(draft, share)) as (draft, descriptor):
        if mode is not None:
            os.fchmod(descriptor, mode)
        try:
            yield draft, descriptor
        finally:
            # What cannot be removed is left to `clear_drafts`: the file may have been replaced.
            with suppress(OSError):
                for ending in _ENDINGS:
                    draft.with_name(draft.name + ending).unlink(missing_ok=True)


@contextmanager
def draft_directory(target: Path) -> Iterator[Path]:
    """Yield the path of a new private directory beside `target`; remove what is there at the end.

    While this process lives, `clear_drafts` leaves it.

    Raises:
        OSError: it cannot be created.
    """

    def create(draft: Path) -> int:
        draft.mkdir(0o700)
        return os.open(draft, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    with _held(target, create) as (draft, _):
        try:
            yield draft
        finally:
            shutil.rmtree(draft, ignore_errors=True)


def _mode_of_file(target: Path) -> int | None:
    """Return the mode of a file; None where there is none. Raise for a device: it must not be replaced."""
    try:
        found = target.stat()
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(found.st_mode):
        is_directory = stat.S_ISDIR(found.st_mode)
        code = errno.EISDIR if is_directory else errno.EINVAL
        raise OSError(code, os.strerror(code) if is_directory else "It is no regular file", str(target))
    return stat.S_IMODE(found.st_mode) & 0o777


@contextmanager
def _held(target: Path, create: Callable[[Path], int]) -> Iterator[tuple[Path, int]]:
    """Create a draft beside `target` and hold its lock, by which others know that its maker lives."""
    while True:
        draft = target.with_name(f".{target.name[:_LONGEST_NAME]}.{token_hex(4)}{_DRAFT_SUFFIX}")
        descriptor = create(draft)
        try:
            if _lock(descriptor) and _is_at(draft, descriptor):
                yield draft, descriptor
                return
            # `clear_drafts` of another process was faster than the lock.
        finally:
            os.close(descriptor)


def _lock(descriptor: int) -> bool:
    """Lock a draft; return False where another process has locked it. True where there are no locks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.lstat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def clear_drafts(directory: Path) -> None:
    """Remove the drafts whose makers were killed from a directory; leave those of living processes.

    What cannot be seen, locked or removed stays.
    """
    with suppress(OSError), os.scandir(directory) as entries:
        for entry in entries:
            if _DRAFT.fullmatch(entry.name):
                with suppress(OSError):
                    _remove_dead(Path(entry.path))


def _remove_dead(draft: Path) -> None:
    kind = draft.lstat().st_mode
    if draft.suffix != _DRAFT_SUFFIX:
        # A journal of SQLite belongs to its draft, and is left only where that is removed without it.
        main = draft.with_name(draft.name.rpartition("-")[0])
        if stat.S_ISREG(kind) and not main.exists():
            draft.unlink()
        return
    if not (stat.S_ISREG(kind) or stat.S_ISDIR(kind)):
        return
    access = os.O_RDONLY | os.O_DIRECTORY if stat.S_ISDIR(kind) else os.O_RDWR
    descriptor = os.open(draft, access | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not _is_at(draft, descriptor):
            return
        if stat.S_ISDIR(kind):
            shutil.rmtree(draft)
            return
        for ending in _ENDINGS:
            draft.with_name(draft.name + ending).unlink(missing_ok=True)
    finally:
        os.close(descriptor)


def replace_directory(draft: Path, target: Path) -> None:
    """Put a directory in the place of another, in one step where the system can; `draft` is then the old one.

    Where the file system cannot exchange two directories, as some network file systems, there are two steps.

    Raises:
        OSError: it cannot be renamed; the old one is in its place.
    """
    if not target.exists():
        draft.rename(target)
    elif not _exchange(draft, target):
        with draft_directory(target) as old:
            target.rename(old / target.name)
            try:
                draft.rename(target)
            except OSError:
                (old / target.name).rename(target)
                raise
    flush(target.parent)


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two directories in one step; return False where that is not supported."""
    libc = ctypes.CDLL(None, use_errno=True)
    paths = (os.fsencode(one), os.fsencode(other))
    if hasattr(libc, "renameat2"):
        failed = libc.renameat2(_AT_FDCWD, paths[0], _AT_FDCWD, paths[1], _EXCHANGE)
    elif hasattr(libc, "renamex_np"):
        failed = libc.renamex_np(*paths, _EXCHANGE)
    else:
        return False
    code = ctypes.get_errno() if failed else 0
    if code and code not in _UNSUPPORTED:
        raise OSError(code, os.strerror(code), str(other))
    return not failed


def replace_file(draft: Path, target: Path) -> None:
    """Put a flushed file of the same file system in the place of another, in one step; it takes its mode.

    Raises:
        OSError: it cannot be renamed, or `target` is no regular file.
    """
    mode = _mode_of_file(target)
    if mode is not None:
        draft.chmod(mode)
    draft.replace(target)
    flush(target.parent)


def flush(path: Path) -> None:
    """Flush a file, or the entries of a directory, to the disk.

    A directory that cannot be flushed, because its file system or its mode does not allow it, is left alone.
    """
    is_directory = path.is_dir()
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if not (is_directory and error.errno in {*_UNSUPPORTED, errno.EBADF, errno.EACCES, errno.EPERM}):
            raise


def follow_umask(directory: Path) -> None:
    """Give a directory and all in it the permissions that the umask leaves."""
    # It can only be read by setting it.
    umask = os.umask(0o077)
    os.umask(umask)
    for path in (directory, *directory.rglob("*")):
        path.chmod((0o777 if path.is_dir() else 0o666) & ~umask)


def exposure(path: Path, *, is_secret: bool) -> str | None:
    """Return what other users may do with a file of a secret or a config, and the cure; None for nothing.

    A group is another user unless it is that of the owner or of this user alone, as many systems make one
    for each user.

    Args:
        path: the file.
        is_secret: others must not read it either.
    """
    try:
        file = path.resolve(strict=True)
        mode, above = file.stat(), [each.stat() for each in file.parents]
    except (OSError, RuntimeError, ValueError):  # also a loop of links, and a NUL
        return None
    reach = stat.S_IRWXG | stat.S_IRWXO
    if _is_private_group(mode.st_gid, {mode.st_uid, os.geteuid()}):
        reach &= ~stat.S_IRWXG
    for directory in above:
        # Who may not enter one of its directories cannot open the file.
        if not directory.st_mode & stat.S_IXOTH:
            reach &= ~stat.S_IRWXO
            if not directory.st_mode & stat.S_IXGRP:
                reach &= ~stat.S_IRWXG
    open_to = mode.st_mode & reach
    if open_to & (stat.S_IWGRP | stat.S_IWOTH):
        return f"other users may write it: chmod go-w {shlex.quote(str(path))}"
    if is_secret and open_to & (stat.S_IRGRP | stat.S_IROTH):
        return f"other users may read it: chmod go-r {shlex.quote(str(path))}"
    return None


def _is_private_group(group: int, users: set[int]) -> bool:
    """Return whether a group is named after one of some users and has no other member."""
    try:
        found = grp.getgrgid(group)
        names = {pwd.getpwuid(user).pw_name for user in users}
    except KeyError:
        return False
    return found.gr_name in names and {*found.gr_mem} <= {found.gr_name}


def not_writable(directory: Path) -> str | None:
    """Return why this process may write no file into a directory, which may not exist yet; None if it may."""
    nearest = next(each for each in (directory, *directory.absolute().parents) if os.path.exists(each))  # noqa: PTH110 - False where a parent may not be entered
    if not nearest.is_dir():
        return f"{nearest}: it is no directory"
    if not os.access(nearest, os.W_OK | os.X_OK):
        return f"{nearest}: this user may not write there"
    return None
