"""Keeps compiled code in a folder, one file for each function and set of argument types.

A file that is damaged, of another version or of another processor counts as missing. A folder that cannot be
written to costs the time of compiling and nothing else. Nothing here needs Numba: `ibtui doctor` looks at the
folder without it.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import stat
import tempfile
import time
from pathlib import Path

import platformdirs

_log = logging.getLogger("ibtui")
_DIGEST_BYTES = hashlib.sha256().digest_size
_SUFFIX = ".compiled"
_UNFINISHED = ".new"
_ABANDONED_S = 3600.0
"""Seconds after which nobody can still be writing a file."""

_said: set[str] = set()


def say_once(text: str) -> None:
    """Tell the user something, a single time in this process."""
    if text not in _said:
        _said.add(text)
        _log.warning("%s", text)


def cache_folder() -> Path:
    """Return the folder that compiled code is kept in: `NUMBA_CACHE_DIR`, or one in the user's cache.

    Where there is no home folder, or it takes nothing, it is a private one among the temporary files.
    """
    if asked := os.environ.get("NUMBA_CACHE_DIR"):
        return Path(asked).absolute()
    if os.path.isabs(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~")):
        path = Path(platformdirs.user_cache_dir("ibtui", appauthor=False), "compiled")
        with contextlib.suppress(OSError):
            path.mkdir(parents=True, exist_ok=True)
            if os.access(path, os.W_OK | os.X_OK):
                return path
    try:
        temporary = tempfile.gettempdir()
    except OSError:  # no folder at all can be written to
        temporary = "/tmp"
    return Path(temporary, f"ibtui-compiled-{os.getuid()}")


def _made(folder: Path) -> bool:
    """Make the folder; False unless it is there and nobody else can put code into it.

    A folder that the user named may be anyone's.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.stat()
    except OSError:
        return False
    if os.environ.get("NUMBA_CACHE_DIR"):
        return stat.S_ISDIR(status.st_mode)
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid() and not status.st_mode & 0o002


class Store:
    """The code of one function: a file for each key, which says by a checksum that it is whole.

    `stamp` is everything besides the key that the code was made from. What was stored under another stamp is
    not found.
    """

    def __init__(self, name: str, stamp: str) -> None:
        self._folder, self._name, self._stamp = cache_folder(), name, stamp

    def _path(self, key: object) -> Path:
        return self._folder / f"{self._name}-{hashlib.sha256(repr(key).encode()).hexdigest()[:16]}{_SUFFIX}"

    def _seal(self, key: object) -> bytes:
        return hashlib.sha256(repr((self._stamp, key)).encode()).digest()

    def load(self, key: object) -> bytes | None:
        """Return the code, or None where there is none that is good."""
        path = self._path(key)
        if not _made(self._folder):
            return None
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            say_once(f"compiled code in {self._folder} cannot be read ({error.strerror}): compiling anew")
            return None
        if not _is_whole(content):
            say_once(f"compiled code in {self._folder} is damaged: compiling anew")
            return None
        seal = self._seal(key)
        body = content[_DIGEST_BYTES:]
        return body[len(seal) :] if body.startswith(seal) else None

    def save(self, key: object, code: bytes) -> None:
        """Write the code, whole or not at all; what cannot be written is told once."""
        if not _made(self._folder):
            say_once(f"compiled code is not kept: {self._folder} is not a folder of yours alone")
            return
        body = self._seal(key) + code
        path = self._path(key)
        temporary = path.with_name(f"{path.name}.{os.getpid()}-{os.urandom(4).hex()}{_UNFINISHED}")
        try:
            temporary.write_bytes(hashlib.sha256(body).digest() + body)
            os.replace(temporary, path)
        except OSError as error:
            say_once(f"compiled code is not kept: {self._folder}: {error.strerror}")
            with contextlib.suppress(OSError):
                temporary.unlink()


def count_cached() -> int:
    """Count the files of compiled code."""
    return len(_files(_SUFFIX))


def repair_cache() -> int:
    """Remove damaged files of compiled code, and unfinished ones; return how many could be removed."""
    now, removed = time.time(), 0
    for path in (*filter(_is_damaged, _files(_SUFFIX)), *_files(_UNFINISHED)):
        with contextlib.suppress(OSError):
            if path.suffix == _SUFFIX or now - path.stat().st_mtime > _ABANDONED_S:
                path.unlink()
                removed += 1
    return removed


def _files(suffix: str) -> list[Path]:
    try:
        return sorted(path for path in cache_folder().iterdir() if path.suffix == suffix)
    except OSError:
        return []


def _is_damaged(path: Path) -> bool:
    try:
        return not _is_whole(path.read_bytes())
    except OSError:
        return True


def _is_whole(content: bytes) -> bool:
    return hashlib.sha256(content[_DIGEST_BYTES:]).digest() == content[:_DIGEST_BYTES]
