"""Compiles functions with Numba, and keeps what was compiled where no damage to it can stop a run.

Compiled code is kept in a folder of its own, one file for each function and set of argument types. A file
that is damaged, of another version or of another processor counts as missing: the function is compiled anew.
A folder that cannot be written to costs the time of compiling and nothing else.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import pickle
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import platformdirs

from ibtui import __version__

Function = TypeVar("Function", bound=Callable[..., Any])

_log = logging.getLogger("ibtui")
_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
_DIGEST_BYTES = hashlib.sha256().digest_size
_SUFFIX = ".compiled"


_threads = os.environ.get("NUMBA_NUM_THREADS")
if _threads is not None and not (_threads.isdigit() and int(_threads) > 0):
    # Numba would refuse to be imported, though nothing here runs in its threads.
    _log.warning("NUMBA_NUM_THREADS=%s is ignored: it must be a whole number above 0", ascii(_threads)[1:-1])
    os.environ["NUMBA_NUM_THREADS"] = "1"

import numba  # noqa: E402
from numba.core import caching as _caching  # noqa: E402
from numba.core import config as _config  # noqa: E402
from numba.core import serialize as _serialize  # noqa: E402

# Numba has no types; what is used of it here is what its own documentation has extensions use.
caching: Any = _caching
config: Any = _config
serialize: Any = _serialize


def compiled(function: Function) -> Function:
    """Compile a function at its first call, without the GIL, and keep the code on disk.

    Division follows NumPy (x / 0 is an infinity): no check at each division, which lets loops run as vectors.
    """
    dispatcher: Any = _njit(function)
    with contextlib.suppress(RuntimeError, OSError):  # a function without a source file
        dispatcher._cache = _Cache(function)
    return cast(Function, dispatcher)


def inlined(function: Function) -> Function:
    """Compile a function as part of those that call it; nothing of its own is kept."""
    return cast(Function, _njit(function))


def _njit(function: Any) -> Any:
    disabled, config.DISABLE_JIT = config.DISABLE_JIT, 0
    if disabled:
        _once("NUMBA_DISABLE_JIT is ignored: the estimates and the fused engine are compiled code")
    try:
        return numba.njit(**_OPTIONS)(function)
    finally:
        config.DISABLE_JIT = disabled


_said: set[str] = set()


def _once(text: str) -> None:
    if text not in _said:
        _said.add(text)
        _log.warning("%s", text)


def cache_folder() -> Path:
    """Return the folder that compiled code is kept in: `NUMBA_CACHE_DIR`, or one in the user's cache.

    Without a home folder it is a private one among the temporary files.
    """
    if asked := os.environ.get("NUMBA_CACHE_DIR"):
        return Path(asked).absolute()
    if os.path.isabs(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~")):
        path = Path(platformdirs.user_cache_dir("ibtui", appauthor=False), "compiled")
        with contextlib.suppress(OSError):
            path.mkdir(parents=True, exist_ok=True)
            if os.access(path, os.W_OK | os.X_OK):
                return path
    return Path(tempfile.gettempdir(), f"ibtui-compiled-{os.getuid()}")


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


class _Store:
    """Compiled code on disk: a file for each key, which says by a checksum that it is whole."""

    def __init__(self, name: str, stamp: bytes) -> None:
        self._folder, self._name, self._stamp = cache_folder(), name, stamp

    def _path(self, key: object) -> Path:
        return self._folder / f"{self._name}-{hashlib.sha256(repr(key).encode()).hexdigest()[:16]}{_SUFFIX}"

    def _seal(self, key: object) -> bytes:
        """Everything that the code must have been made for."""
        return repr((__version__, numba.__version__, self._stamp, key)).encode()

    def load(self, key: object) -> Any:
        """Return the code, or None where there is none that is good."""
        path = self._path(key)
        if not _made(self._folder):
            return None
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            _once(f"compiled code in {self._folder} cannot be read ({error.strerror}): compiling anew")
            return None
        digest, body = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
        if hashlib.sha256(body).digest() != digest:
            _once(f"compiled code in {self._folder} is damaged: compiling anew")
            return None
        seal, code = pickle.loads(body)
        return code if seal == self._seal(key) else None

    def save(self, key: object, code: Any) -> None:
        """Write the code, whole or not at all; what cannot be written is told once."""
        if not _made(self._folder):
            _once(f"compiled code is not kept: {self._folder} is not a folder of yours alone")
            return
        body = serialize.dumps((self._seal(key), code))
        path = self._path(key)
        temporary = path.with_name(f"{path.name}.{os.getpid()}-{os.urandom(4).hex()}.new")
        try:
            temporary.write_bytes(hashlib.sha256(body).digest() + body)
            os.replace(temporary, path)
        except OSError as error:
            _once(f"compiled code is not kept: {self._folder}: {error.strerror}")
            with contextlib.suppress(OSError):
                temporary.unlink()

    def flush(self) -> None:
        """Keep what there is: Numba asks for this on recompilation alone."""


class _Locator(caching._CacheLocator):  # type: ignore[misc]
    """Numba's own locators make folders as they look for one, also one named `~`; this one makes none."""

    def __init__(self, source: str) -> None:
        self._source = source

    @classmethod
    def from_function(cls, py_func: Any, py_file: str) -> _Locator:
        """Locate the code of any function."""
        return cls(py_file)

    def ensure_cache_path(self) -> None:
        """Leave the folder to `_Store.save`."""

    def get_cache_path(self) -> str:
        """Return the folder."""
        return str(cache_folder())

    def get_source_stamp(self) -> bytes:
        """Return what changes with the source."""
        return hashlib.sha256(Path(self._source).read_bytes()).digest()

    def get_disambiguator(self) -> str:
        """Return nothing: names of functions are whole here."""
        return ""


class _Code(caching.CompileResultCacheImpl):  # type: ignore[misc]
    _locator_classes: Any = (_Locator,)


class _Cache(caching.FunctionCache):  # type: ignore[misc]
    """Numba's cache of a function over a `_Store`."""

    _impl_class = _Code

    def __init__(self, function: Any) -> None:
        super().__init__(function)
        name = f"{function.__module__}.{function.__qualname__}"
        self._cache_file = _Store(name, self._impl.locator.get_source_stamp())

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Load the code for these argument types; None where that does not work, for whatever reason."""
        try:
            return super().load_overload(sig, target_context)
        except Exception as error:  # such as code that this version of LLVM does not take
            _once(
                f"compiled code in {cache_folder()} cannot be used ({type(error).__name__}): compiling anew"
            )
            return None


def state_of_cache() -> tuple[int, int]:
    """Count the files of compiled code, and those among them that are damaged."""
    files = sorted(cache_folder().glob(f"*{_SUFFIX}")) if cache_folder().is_dir() else []
    return len(files), sum(not _is_whole(path) for path in files)


def repair_cache() -> int:
    """Remove damaged files of compiled code; return how many there were."""
    removed = 0
    for path in cache_folder().glob(f"*{_SUFFIX}"):
        if not _is_whole(path):
            with contextlib.suppress(OSError):
                path.unlink()
                removed += 1
    return removed


def _is_whole(path: Path) -> bool:
    try:
        content = path.read_bytes()
    except OSError:
        return False
    return hashlib.sha256(content[_DIGEST_BYTES:]).digest() == content[:_DIGEST_BYTES]
