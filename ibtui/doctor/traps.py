"""The traps that an environment can hold: variables, folders and files that get in the way of a run."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from ibtui.core.variables import ignored
from ibtui.doctor.finding import NOTE, OK, PROBLEM, Finding
from ibtui.engines.mxnet.variables import misset

Environment = Mapping[str, str]

LONG_BYTES = 60
"""In a folder with a longer name a socket may not fit: systems limit its path to 104 or 108 bytes."""
_LIBRARIES = {
    "llvmlite", "matplotlib", "msgspec", "mxnet", "numba", "numpy", "platformdirs", "plotext", "pynvml",
    "rich", "setuptools", "textual", "tomli",
}  # fmt: skip


class Trap(NamedTuple):
    """A kind of trap."""

    state: str
    """`NOTE` or `PROBLEM`."""
    seen: Callable[[Environment], Iterator[str]]
    """Says what is wrong, a sentence for each; nothing: all is well."""
    fix: str


def environment(variables: Environment) -> Iterator[Finding]:
    """Return a finding for each trap in these variables, and in the current folder."""
    label = "environment"
    for trap in TRAPS:
        for text in trap.seen(variables):
            yield Finding(label, trap.state, text, trap.fix)
            label = ""
    if label:
        yield Finding(label, OK, "no variable and no file in the way")


def _set(variables: Environment, *names: str) -> Iterator[str]:
    for name in names:
        if variables.get(name):
            yield f"{name}={variables[name][:60]}"


def _ignored(variables: Environment) -> Iterator[str]:
    for _, sentence in ignored(variables):
        yield sentence


def _numba(variables: Environment) -> Iterator[str]:
    told = {"NUMBA_CACHE_DIR", *(name for name, _ in ignored(variables))}
    for each in _set(variables, *(n for n in sorted(variables) if n.startswith("NUMBA_") and n not in told)):
        yield f"{each} changes how everything is compiled"


def _gpus(variables: Environment) -> Iterator[str]:
    if variables.get("CUDA_VISIBLE_DEVICES", "0").strip() in ("", "-1"):
        yield "CUDA_VISIBLE_DEVICES hides every GPU"


def _backend(variables: Environment) -> Iterator[str]:
    for each in _set(variables, "MPLBACKEND"):
        yield f"{each} is not used: pictures are drawn without a window"


def _size(variables: Environment) -> Iterator[str]:
    if exported := ", ".join(_set(variables, "COLUMNS", "LINES")):
        yield f"{exported}: not used where the terminal itself says its size; other programs believe it"


def _encoding(variables: Environment) -> Iterator[str]:
    encoding = variables.get("PYTHONIOENCODING", "").partition(":")[0]
    if encoding and encoding.lower().replace("-", "").replace("_", "") not in ("utf8", "utf8sig"):
        yield f"PYTHONIOENCODING={encoding[:60]}: what it lacks is not drawn, whatever the locale says"


def _colour(variables: Environment) -> Iterator[str]:
    if variables.get("NO_COLOR"):
        yield "NO_COLOR: in braille, classes and layers are told apart by their colours alone"


def _temporary(variables: Environment) -> Iterator[str]:
    for name in ("TMPDIR", "TEMP", "TMP"):
        folder = variables.get(name)
        if folder and not (os.path.isdir(folder) and os.access(folder, os.W_OK | os.X_OK)):
            yield f"{name}={folder}: not a folder that can be written to"


def _long(variables: Environment) -> Iterator[str]:
    for name in ("XDG_RUNTIME_DIR", "TMPDIR"):
        if (size := len(os.fsencode(variables.get(name, "")))) > LONG_BYTES:
            yield f"{name} is {size} bytes long: too long for a socket's path, to which another way is taken"


def _runtime(variables: Environment) -> Iterator[str]:
    folder = variables.get("XDG_RUNTIME_DIR")
    if not folder:
        usual = f"/run/user/{os.getuid()}"
        if os.path.isdir(usual):
            yield f"XDG_RUNTIME_DIR is not set, and {usual} is there"
        return
    try:
        status = os.stat(folder)
    except OSError as error:
        yield f"XDG_RUNTIME_DIR={folder}: {error.strerror}"
        return
    if not stat.S_ISDIR(status.st_mode):
        yield f"XDG_RUNTIME_DIR={folder}: not a folder"
    elif status.st_uid != os.getuid():
        yield f"XDG_RUNTIME_DIR={folder}: another user's"
    elif status.st_mode & 0o077:
        yield f"XDG_RUNTIME_DIR={folder}: others can enter it"


def _home(variables: Environment) -> Iterator[str]:
    home = variables.get("HOME") or os.path.expanduser("~")
    if not (os.path.isabs(home) and os.path.isdir(home)):
        yield "there is no home folder: compiled code is kept among the temporary files"


def _hiding(variables: Environment) -> Iterator[str]:
    del variables
    names = _LIBRARIES | sys.stdlib_module_names
    try:
        entries = sorted(Path.cwd().iterdir())
    except OSError:
        yield "the current folder is gone, or cannot be read"
        return
    hiding = [
        entry.name
        for entry in entries
        if entry.stem in names and (entry.suffix == ".py" or (entry / "__init__.py").is_file())
    ]
    if hiding:
        more = f" and {len(hiding) - 3} more" if len(hiding) > 3 else ""
        yield f"{', '.join(hiding[:3])}{more} in the current folder: of the name of a library"


TRAPS = (
    Trap(PROBLEM, misset, "unset it"),
    Trap(NOTE, _ignored, "unset it"),
    Trap(NOTE, _numba, "unset it, unless it is meant"),
    Trap(NOTE, _gpus, "unset CUDA_VISIBLE_DEVICES, unless it is meant"),
    Trap(NOTE, _backend, ""),
    Trap(NOTE, _size, "unset COLUMNS LINES"),
    Trap(NOTE, _encoding, "unset PYTHONIOENCODING, or utf-8"),
    Trap(NOTE, _colour, "--marker ascii, or unset NO_COLOR"),
    Trap(PROBLEM, _temporary, "name one that can be, such as /tmp"),
    Trap(NOTE, _long, ""),
    Trap(NOTE, _runtime, "name a folder of yours alone (0700), or unset it"),
    Trap(NOTE, _home, "export NUMBA_CACHE_DIR=/a/folder/of/yours"),
    Trap(PROBLEM, _hiding, "rename it, or run ibtui in another folder"),
)
"""All that is looked at, in the order of the report."""
