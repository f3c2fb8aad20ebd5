"""Files that are written whole or not at all: their paths are checked and locked before a run."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import re
import socket
import time
import zlib
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from secrets import token_hex
from typing import IO

from ibtui.errors import RecordingError, explain, printable

TEMPORARY = ".ibtui-tmp"
"""Ends the name of a file that is being written."""
LOCK = ".ibtui-lock"
"""Ends the name of the lock file of a recording that is being made."""

_HOST = f"{zlib.crc32(socket.gethostname().encode()):08x}"
"""This machine, in the names of temporary files: a process number means nothing on another one."""
_ABANDONED_S = 24 * 3600.0
"""A temporary file of this age is abandoned, even if some process has its number now."""
_LONG = 64
"""Bytes from which a name is too long to be a part of another: systems allow 255, some of them 143."""


def real_path(path: str | Path) -> Path:
    """Follow links, so that a link is kept and the file that it points to is replaced."""
    return Path(os.path.realpath(path))


def already_there(path: Path) -> FileExistsError:
    """Return the error for a name that is taken."""
    return FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))


def _hidden(path: Path) -> str:
    """Return how the names of the hidden files beside `path` begin."""
    name = os.fsencode(path.name)
    return f".{path.name if len(name) < _LONG else blake2b(name, digest_size=16).hexdigest()}"


@contextlib.contextmanager
def written_whole(path: str | Path, *, overwrite: bool) -> Iterator[IO[bytes]]:
    """Open a file to write that has its name, flushed to the disk, only once the block has ended.

    A symbolic link is followed. Where the block or the disk fails, nothing is left behind, and what was
    there is untouched. `FileExistsError` where the name is taken by what is not to be replaced: by
    anything, or with `overwrite` by what is no file.
    """
    path = real_path(path)
    if os.path.lexists(path) and not (overwrite and path.is_file()):
        raise already_there(path)
    temporary, handle = _temporary_file(path)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        put_in_place(temporary, path, overwrite)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def _temporary_file(path: Path) -> tuple[Path, int]:
    """Create a file beside `path`, open for writing, with the mode that the user's umask gives."""
    temporary = path.with_name(f"{_hidden(path)}.{_HOST}-{os.getpid()}-{token_hex(4)}{TEMPORARY}")
    return temporary, os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)


def put_in_place(temporary: Path, path: Path, overwrite: bool) -> None:
    """Give a finished file its name; `FileExistsError` if that is taken and not to be replaced."""
    if overwrite:
        os.replace(temporary, path)
        return
    try:
        os.link(temporary, path)  # unlike a rename, never replaces
    except FileExistsError:
        if not _same_file(temporary, path):  # a network's client repeats what it got no answer to
            raise
    except OSError:  # a file system without links
        _rename_to_new(temporary, path)
        return
    with contextlib.suppress(OSError):  # it has its name; `clean_up` finds what is left
        os.unlink(temporary)


def _same_file(one: Path | int, path: Path) -> bool:
    """Return True where a path, or an open file, is the file of a path itself, no link followed."""
    try:
        status = os.fstat(one) if isinstance(one, int) else one.lstat()
        return os.path.samestat(status, path.lstat())
    except FileNotFoundError:
        return False


_AT_FDCWD, _RENAME_NOREPLACE = -100, 1


def _rename_to_new(temporary: Path, path: Path) -> None:
    """Rename without replacing: certain if the system can, else checked just before."""
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is not None:
        names = _AT_FDCWD, os.fsencode(temporary), _AT_FDCWD, os.fsencode(path)
        if rename(*names, _RENAME_NOREPLACE) == 0:
            return
        if ctypes.get_errno() == errno.EEXIST:
            raise already_there(path)
    if os.path.lexists(path):
        raise already_there(path)
    os.replace(temporary, path)


_EXISTS = "{}: exists already; choose another name, or --force to replace it"


def check_writable(path: str | Path, *, force: bool = True) -> None:
    """Check, before hours of training, that a recording can be written there.

    Temporary files that killed runs left beside it are removed. `RecordingError` says in a line why it
    cannot.
    """
    shown = printable(str(path))
    try:
        path = real_path(path)
        if path.is_dir():
            inside = os.path.join(shown, "run.npz")
            raise RecordingError(f"{shown}: a folder; name a file in it, such as {inside}")
        if os.path.lexists(path):
            if not path.is_file():
                raise RecordingError(f"{shown}: not a regular file, and not to be replaced by one")
            if not force:
                raise RecordingError(_EXISTS.format(shown))
        if not path.parent.is_dir():
            raise RecordingError(f"{shown}: there is no folder {printable(str(path.parent))}")
        with contextlib.suppress(FileNotFoundError):
            path.lstat()  # fails where the name itself is too long, which that of the temporary file is not
        clean_up(path)
        temporary, handle = _temporary_file(path)
        os.close(handle)
        os.unlink(temporary)
    except OSError as error:
        raise RecordingError(f"{shown}: cannot be written: {explain(error)}") from error
    except ValueError as error:
        raise RecordingError(f"{shown}: cannot be written: not a file name") from error


def clean_up(path: str | Path) -> list[Path]:
    """Remove the temporary files of `path` whose process has gone; return what was removed.

    Those of living processes stay, and those of other machines (in a shared folder) for a day.
    """
    path = real_path(path)
    name = re.compile(rf"{re.escape(_hidden(path))}\.([0-9a-f]{{8}})-(\d{{1,9}})-[0-9a-f]{{8}}\{TEMPORARY}")
    removed = []
    with contextlib.suppress(OSError):
        for found in os.listdir(path.parent):
            match = name.fullmatch(found)
            temporary = path.with_name(found)
            if match is None or not (
                age_of(temporary) > _ABANDONED_S or (match[1] == _HOST and not _alive(int(match[2])))
            ):
                continue
            with contextlib.suppress(OSError):
                os.unlink(temporary)
                removed.append(temporary)
    return removed


def age_of(path: Path) -> float:
    """Return the seconds since a file was written; negative where the clock has been set back."""
    try:
        return time.time() - path.lstat().st_mtime
    except OSError:
        return 0.0


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # somebody else's
        return True
    return True


@contextlib.contextmanager
def claim(path: str | Path, *, force: bool = True) -> Iterator[None]:
    """Hold the sole right to record to `path` for as long as the block lasts; includes `check_writable`.

    It is a lock on a hidden file beside it. The system releases it however the process ends, so a killed run
    blocks nobody. While another run records there it is refused in the same way.
    """
    shown = printable(str(path))
    check_writable(path, force=force)
    try:
        place = real_path(path)
        lock = place.with_name(_hidden(place) + LOCK)
        handle = _lock(lock, shown)
    except OSError as error:
        raise RecordingError(f"{shown}: cannot be written: {explain(error)}") from error
    try:
        if not force and os.path.lexists(place):  # it has appeared since the check
            raise RecordingError(_EXISTS.format(shown))
        yield
    finally:
        # Removed while still locked: a process that has opened it meanwhile notices, and makes another.
        with contextlib.suppress(OSError):
            os.unlink(lock)
        os.close(handle)


def _lock(lock: Path, shown: str) -> int:
    """Open and lock the lock file, and write our process number to it."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    while True:
        handle = os.open(lock, flags, 0o666)
        try:
            holder = _holder(handle)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise _claimed(shown, holder) from None
            except OSError:  # a file system without locks: go by the process number
                # Our own is that of one before us: in a container it is the same at every start.
                if holder not in (None, os.getpid()) and _alive(holder):
                    raise _claimed(shown, holder) from None
            if _same_file(handle, lock):
                os.ftruncate(handle, 0)
                os.pwrite(handle, f"{_HOST} {os.getpid()}\n".encode(), 0)
                return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


def _holder(handle: int) -> int | None:
    """Return the number of the process on this machine that a lock file names."""
    match = re.fullmatch(rb"([0-9a-f]{8}) (\d{1,9})\n", os.pread(handle, 32, 0))
    return int(match[2]) if match and match[1].decode() == _HOST else None


def _claimed(shown: str, holder: int | None) -> RecordingError:
    who = "another run" if holder is None else f"another run (process {holder})"
    return RecordingError(f"{shown}: {who} is recording to it; choose another name")
