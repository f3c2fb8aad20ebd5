"""Compiles functions with Numba, and keeps what was compiled (see `cache`)."""

from __future__ import annotations

import contextlib
import hashlib
import os
import pickle
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

from ibtui import __version__
from ibtui.core.cache import Store, cache_folder, say_once
from ibtui.core.variables import ignored

Function = TypeVar("Function", bound=Callable[..., Any])

_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy"}


for _name, _sentence in ignored(os.environ):
    say_once(_sentence)
    if _name != "NUMBA_DISABLE_JIT":  # which Numba is imported with all the same; see `_njit`
        del os.environ[_name]

with warnings.catch_warnings(record=True) as _caught:
    warnings.filterwarnings("always", "Environment variable ")
    import llvmlite.binding as _llvm  # type: ignore[import-untyped]
    import numba
    from numba.core import caching as _caching
    from numba.core import config as _config
    from numba.core import serialize as _serialize
for _warning in _caught:
    if (_text := str(_warning.message)).startswith("Environment variable "):  # and a traceback
        say_once(_text.partition("\n")[0])

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
    try:
        return numba.njit(**_OPTIONS)(function)
    finally:
        config.DISABLE_JIT = disabled


def compiler() -> str:
    """Return Numba's version."""
    return str(numba.__version__)


def target() -> str:
    """Return the processor that code is compiled for, by LLVM's name: it decides the last bits of numbers."""
    return str(config.CPU_NAME or _llvm.get_host_cpu_name())


class _Code(Store):
    """A `Store` of what Numba calls the data of a compilation."""

    def load(self, key: object) -> Any:
        code = super().load(key)
        return None if code is None else pickle.loads(code)

    def save(self, key: object, code: Any) -> None:
        super().save(key, serialize.dumps(code))

    def flush(self) -> None:
        """Keep what there is: Numba asks for this on recompilation alone."""


class _Locator(caching._CacheLocator):  # type: ignore[misc]
    """Numba's own locators make folders as they look for one, also one named `~`; this one makes none."""

    def __init__(self, source: str) -> None:
        self._source = source

    @classmethod
    def from_function(cls, py_func: Any, py_file: str) -> _Locator:
        return cls(py_file)

    def ensure_cache_path(self) -> None:
        """Leave the folder to `Store.save`."""

    def get_cache_path(self) -> str:
        return str(cache_folder())

    def get_source_stamp(self) -> str:
        return hashlib.sha256(Path(self._source).read_bytes()).hexdigest()

    def get_disambiguator(self) -> str:
        return ""


class _Reductions(caching.CompileResultCacheImpl):  # type: ignore[misc]
    _locator_classes: Any = (_Locator,)

    def check_cachable(self, cres: Any) -> bool:
        """Return True where code does not hold what is true of this process alone; Numba's own warns."""
        return not cres.lifted and not cres.library.has_dynamic_globals


class _Cache(caching.FunctionCache):  # type: ignore[misc]
    """Numba's cache of a function over a `_Code`. Its keys hold types, target processor and bytecode."""

    _impl_class = _Reductions

    def __init__(self, function: Any) -> None:
        super().__init__(function)
        stamp = repr((__version__, numba.__version__, self._impl.locator.get_source_stamp()))
        self._cache_file = _Code(f"{function.__module__}.{function.__qualname__}", stamp)

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep the code for these argument types; go on without where that does not work."""
        try:
            super().save_overload(sig, data)
        except Exception as error:  # such as code that cannot be taken apart
            say_once(f"compiled code is not kept ({type(error).__name__})")

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Load the code for these argument types; None where that does not work, for whatever reason."""
        try:
            return super().load_overload(sig, target_context)
        except Exception as error:  # such as code that this version of LLVM does not take
            say_once(
                f"compiled code in {cache_folder()} cannot be used ({type(error).__name__}): compiling anew"
            )
            return None
