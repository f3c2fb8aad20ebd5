"""`ibtui doctor`: what this machine can run, and what to do about what it cannot.

Whatever could end a process (vendors' libraries, a broken build) is asked of a process of its own. The doctor
works with anything missing, and prints ASCII, no wider than 80 columns.
"""

from __future__ import annotations

import importlib
import os
import platform
import re
import shutil
import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ibtui import __version__
from ibtui.config import RunConfig
from ibtui.engines import ENGINES
from ibtui.engines.mxnet import EXTRA as CPU_EXTRA
from ibtui.engines.mxnet import has_machine_code
from ibtui.engines.nvidia import EXTRA as CUDA_EXTRA
from ibtui.engines.nvidia.compiler import LEAST_CAPABILITY
from ibtui.engines.nvidia.driver import dotted, start_driver
from ibtui.engines.nvidia.libraries import LIBRARIES, preload
from ibtui.engines.probing import ask, tell
from ibtui.errors import IbtuiError, explain, printable

WIDTH = 80
_MARGIN = 19
_OLD_DRIVER = (11, 8)
"""CUDA of the oldest driver that takes kernels compiled by CUDA 11.8 at run time."""

Told = dict[str, Any]
"""The answers of a process of its own, merged; and `error`, its last words if it ended early."""
Answers = Iterator[dict[str, Any]]

OK, NOTE, PROBLEM = "ok", "-", "!"


@dataclass(frozen=True)
class Finding:
    """One line of the doctor's, and its fix."""

    label: str
    """Empty: the line belongs to the one before."""
    state: str
    """`OK`, `NOTE` (nothing to be mended) or `PROBLEM`."""
    text: str
    fix: str = ""


def doctor(ctx: str) -> int:
    """Print what was found; return 0 when a run with this --ctx can train, else 1.

    Raises
    ------
    UsageError
        `ctx` is no device.
    """
    RunConfig(ctx=ctx)
    findings, runs = examine(ctx)
    lines = [f"ibtui {__version__} on {platform.system()} {platform.machine()}", "", *render(findings)]
    print("\n".join(lines).encode("ascii", "backslashreplace").decode())
    return 0 if runs else 1


def examine(ctx: str) -> tuple[list[Finding], bool]:
    """Return everything there is to say, and True if a run with this --ctx can train."""
    device = "gpu0" if ctx == "auto" else ctx
    *together, last = _ABOUT
    with ThreadPoolExecutor(4) as pool:
        told = dict(zip(together, pool.map(lambda about: _asked(about, device, ctx), together), strict=True))
    told[last] = _asked(last, device, ctx)
    cuda_build = bool(told["mxnet"].get("cuda"))
    findings = [
        _python(),
        _package("NumPy", told["numpy"]),
        _package("Numba", told["numba"]),
        _mxnet(told["mxnet"]),
        *_engines(told["engines"]),
        *_libraries(told["libraries"], cuda_build),
        _driver(told["driver"], cuda_build or ctx.startswith("gpu")),
        *_cards(told["driver"], cuda_build, told["engines"], device),
        _terminal(os.environ, _terminal_size()),
        _cache(told["cache"]),
        _run(ctx, told["run"]),
    ]
    return findings, "engine" in told["run"]


def _asked(about: str, device: str, ctx: str) -> Told:
    """Have a process of its own tell about something; `error` is how it ended, empty if in order."""
    answers, error = ask("from ibtui.doctor import answer; answer(*sys.argv[1:])", about, device, ctx)
    return {key: value for each in answers for key, value in each.items()} | {"error": error}


def answer(about: str, device: str, ctx: str) -> None:
    """Tell the process that asks about something; this one then ends."""
    try:
        for each in _ABOUT[about](device, ctx):
            tell(each)
    except IbtuiError as error:
        tell({"failure": str(error)})
    os._exit(0)  # vendors' libraries that failed may fail again when the process winds up


# Each runs in a process of its own, and imports what it needs itself: all of it may be broken.


def _about_package(name: str) -> Answers:
    module = importlib.import_module(name)
    yield {"version": module.__version__, "path": module.__path__[0]}


def _about_mxnet() -> Answers:
    from ibtui.engines.mxnet import library

    if build := library.installed():
        yield {"build": str(build), "cuda": build.cuda, "obstacle": build.obstacle}
        module = library.import_mxnet()
        yield {"version": library.version(), "path": module.__path__[0], "cuda": library.has_cuda()}


def _about_engines(device: str) -> Answers:
    """Load every engine, and have those that load say why they would not train on a GPU."""
    config = RunConfig()
    yield {name: {"failure": "loading it, or one before it, ended the process"} for name in ENGINES.names}
    for name in ENGINES.names:
        try:
            kind = ENGINES[name]
        except Exception as error:
            yield {name: {"failure": explain(error)}}
            continue
        yield {name: {}}
        if device != "cpu":
            refusal = kind.refusal(config, 2, device).removeprefix(f"--engine {name}: ")
            yield {name: {"refusal": refusal}}


def _about_libraries() -> Answers:
    found: list[dict[str, str]] = []
    for library in LIBRARIES:
        found += map(vars, preload([library]))
        yield {"found": found}


def _about_driver() -> Answers:
    with suppress(Exception):  # it is optional
        import pynvml

        pynvml.nvmlInit()
        yield {"version": str(pynvml.nvmlSystemGetDriverVersion())}
    driver = start_driver()
    cards = [
        {"name": str(card), "capability": card.capability, "gib": card.memory / 2**30}
        for card in driver.cards
    ]
    yield {"cuda": driver.cuda, "cards": cards}


def _about_cache() -> Answers:
    from ibtui.core.compiling import cache_folder, state_of_cache

    folder, (files, damaged) = cache_folder(), state_of_cache()
    yield {"folder": str(folder), "files": files, "damaged": damaged, "writeable": _writeable(folder)}


def _about_run(ctx: str) -> Answers:
    """Train a little, as a run would."""
    from ibtui.run.trainer import Trainer

    trainer = Trainer(RunConfig(ctx=ctx, epochs=2, every=2, samples=40), 1 << 20)
    choice = trainer.choice
    yield {"choice": f"{choice.engine} on {choice.ctx}", "why": choice.why}
    trainer.train(2)
    trainer.close()
    yield {"engine": choice.engine}


_ABOUT: dict[str, Callable[[str, str], Answers]] = {
    "run": lambda device, ctx: _about_run(ctx),  # the longest first
    "engines": lambda device, ctx: _about_engines(device),
    "mxnet": lambda device, ctx: _about_mxnet(),
    "libraries": lambda device, ctx: _about_libraries(),
    "driver": lambda device, ctx: _about_driver(),
    "numpy": lambda device, ctx: _about_package("numpy"),
    "numba": lambda device, ctx: _about_package("numba"),
    "cache": lambda device, ctx: _about_cache(),  # after the run, which fills it
}


# The meaning of the answers.


def _python() -> Finding:
    text = f"{platform.python_version()}  {sys.executable}"
    if sys.version_info >= (3, 13):
        fix = "MXNet has no build for it: for Gluon and GPUs, Python 3.10 to 3.12"
        return Finding("Python", NOTE, text, fix)
    return Finding("Python", OK, text)


def _package(name: str, told: Told) -> Finding:
    if "version" not in told:
        fix = f"pip install --force-reinstall {name.lower()}"
        return Finding(name, PROBLEM, told["error"] or "says nothing", fix)
    return Finding(name, OK, f"{told['version']}  {told['path']}")


def _mxnet(told: Told) -> Finding:
    if "build" not in told and not told["error"]:
        extras = f"for Gluon, {CPU_EXTRA}; for an NVIDIA GPU, {CUDA_EXTRA}"
        return Finding("MXNet", NOTE, "not installed: the fused engine trains, on the CPU", extras)
    build = told.get("build", "")
    if "version" in told:
        return Finding("MXNet", OK, f"{build}, version {told['version']}  {told['path']}")
    why = told.get("obstacle") or told.get("failure") or f"ended the process that imports it: {told['error']}"
    name = build.partition(" ")[0]
    text = f"{build}: {why.removeprefix(f'{build} ').removeprefix(f'{name} ')}"
    fix = CPU_EXTRA.replace("install", "install --force-reinstall")
    if told.get("cuda"):
        fix = f"where there is no GPU, pip uninstall {name}, then {CPU_EXTRA}; or --engine fused"
    return Finding("MXNet", PROBLEM, text, fix)


def _engines(told: Told) -> Iterator[Finding]:
    broken = {name: told.get(name, {"failure": told["error"]}).get("failure") for name in ENGINES.names}
    loaded = [name for name, failure in broken.items() if not failure]
    yield Finding("engines", OK if loaded else PROBLEM, ", ".join(loaded) or "none can be loaded")
    for name, failure in broken.items():
        if failure:
            yield Finding("", PROBLEM, f"{name}: {failure.removeprefix(f'{name}: ')}")


def _libraries(told: Told, needed: bool) -> Iterator[Finding]:
    label, folder = "CUDA libraries", ""
    if not needed:
        yield Finding(label, NOTE, "not needed without MXNet's CUDA build")
        return
    for library in told.get("found", ()):
        root, _, rest = library["path"].rpartition("/nvidia/")
        if not library["path"]:
            fix = f"{CUDA_EXTRA}: {library['wheel']} brings it"
            yield Finding(label, PROBLEM, f"{library['soname']} is missing", fix)
        elif not root or root == folder:
            yield Finding(label, OK, f"nvidia/{rest}" if root else library["path"])
        else:
            yield Finding(label, OK, f"{root}/")
            yield Finding("", OK, f"nvidia/{rest}")
            folder = root
        label = ""
    if told["error"]:
        text = f"loading the next one ended the process: {told['error']}"
        yield Finding(label, PROBLEM, text, CUDA_EXTRA)


def _driver(told: Told, needed: bool) -> Finding:
    label, version = "NVIDIA driver", told.get("version") or _kernel_module()
    if "cuda" not in told:
        why = told.get("failure") or f"ended the process that asked it: {told['error']}"
        text = f"{version}: {why}" if version else why
        if not needed and not version and "failure" in told:
            return Finding(label, NOTE, text)
        fix = "install NVIDIA's driver, 520 or newer, or reboot after an update; --ctx cpu needs none"
        return Finding(label, PROBLEM, text, fix)
    supports = tuple(told["cuda"])
    text = f"{version or 'version unknown'}, for CUDA up to {dotted(supports)}"
    if supports < _OLD_DRIVER:
        return Finding(label, PROBLEM, text, "the fused engine on a GPU needs driver 520 or newer")
    return Finding(label, OK, text)


def _kernel_module() -> str:
    """Return the version of the driver's part in the kernel; empty where there is none."""
    try:
        text = Path("/proc/driver/nvidia/version").read_text(errors="replace")
    except OSError:
        return ""
    found = re.search(r"\b\d+\.\d+(\.\d+)?\b", text)
    return found[0] if found else ""


def _cards(driver: Told, usable: bool, engines: Told, tried: str) -> Iterator[Finding]:
    cards = driver.get("cards")
    if not cards:
        yield Finding("GPUs", NOTE, "none")
        return
    for index, card in enumerate(cards):
        device, text = f"gpu{index}", f"{card['name']}, {card['gib']:.0f} GiB"
        if not usable:
            yield Finding(device, NOTE, text, f"to train on it: {CUDA_EXTRA}")
        elif device != tried:
            capability = tuple(card["capability"])
            likely = ["gluon"] * has_machine_code(capability) + ["fused"] * (capability >= LEAST_CAPABILITY)
            yield Finding(device, NOTE, f"{text}; by its capability: {', '.join(likely) or 'no engine'}")
        else:
            refusals = {name: engines.get(name, {}).get("refusal", "not tried") for name in ENGINES.names}
            runs = ", ".join(name for name, refusal in refusals.items() if not refusal)
            yield Finding(device, OK if runs else PROBLEM, f"{text}; runs: {runs or 'no engine'}")
            for name, refusal in refusals.items():
                if refusal:
                    yield Finding("", NOTE if runs else PROBLEM, f"{name} does not run: {refusal}")


def _terminal_size() -> tuple[int, int] | None:
    for stream in (1, 2, 0):
        try:
            columns, rows = os.get_terminal_size(stream)
        except OSError:
            continue
        return columns, rows
    return None


def _terminal(environment: Mapping[str, str], size: tuple[int, int] | None) -> Finding:
    """Describe size, colours, Unicode and multiplexer."""
    parts = [f"{size[0]}x{size[1]}" if size else "none here: --record needs none"]
    state, fixes = OK if size else NOTE, []
    if size and (size[0] < 80 or size[1] < 24):
        state = PROBLEM
        fixes.append("the live screen needs 80x24; at 120x40 it shows all")
    term = environment.get("TERM", "")
    if term in ("", "dumb"):
        state = PROBLEM if size else state
        parts.append("TERM is " + (term or "not set"))
        fixes.append("export TERM=xterm-256color, or what your terminal is")
    elif environment.get("COLORTERM", "") in ("truecolor", "24bit"):
        parts.append(f"16 million colours ({term})")
    else:
        parts.append(f"{256 if '256' in term or 'kitty' in term else 16} colours ({term})")
    if environment.get("NO_COLOR"):
        parts.append("NO_COLOR is set")
    names = ("LC_ALL", "LC_CTYPE", "LANG")
    locale = next((environment[name] for name in names if environment.get(name)), "")
    if locale.lower().replace("-", "").endswith("utf8"):
        parts.append(f"Unicode ({locale})")
    else:
        parts.append(f"no Unicode (locale {locale or 'not set'})")
        fixes.append("export LC_ALL=C.UTF-8 for finer plots")
    multiplexers = {"TMUX": "in tmux", "STY": "in screen", "ZELLIJ": "in zellij"}
    inside = (name for key, name in multiplexers.items() if environment.get(key))
    parts.append(next(inside, "no multiplexer"))
    return Finding("terminal", state, ", ".join(parts), "; ".join(fixes))


def _cache(told: Told) -> Finding:
    """Describe the folder that compiled code is kept in."""
    label = "compiled cache"
    if "folder" not in told:
        return Finding(label, NOTE, "not known without Numba")
    folder = told["folder"]
    if not told["writeable"]:
        fix = "export NUMBA_CACHE_DIR=~/a-folder-of-yours; without one, every start compiles for seconds"
        return Finding(label, PROBLEM, f"{folder} cannot be written to", fix)
    if told["damaged"]:
        text = (
            f"{folder} ({told['damaged']} of {told['files']} files damaged: the next run compiles them anew)"
        )
        return Finding(label, NOTE, text)
    return Finding(label, OK, f"{folder} ({'filled' if told['files'] else 'empty: the first run compiles'})")


def _writeable(folder: Path) -> bool:
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _run(ctx: str, told: Told) -> Finding:
    label = f"--ctx {ctx}"
    if "engine" in told:
        return Finding(label, OK, f"trains: {told['choice']}; {told['why']}")
    why = told.get("failure") or f"ended the process that tried it: {told['error']}"
    fix = "" if ctx == "cpu" else "ibtui --ctx cpu --engine fused"
    return Finding(label, PROBLEM, f"cannot train: {why.removeprefix(f'{label}: ')}", fix)


def render(findings: list[Finding], width: int | None = None) -> list[str]:
    """Return lines no wider than the terminal, or than `WIDTH`."""
    wide = max(40, min(width or shutil.get_terminal_size().columns, WIDTH)) - _MARGIN
    lines = []
    for finding in findings:
        text = textwrap.wrap(printable(finding.text), wide, break_on_hyphens=False) or [""]
        if finding.fix:
            text += textwrap.wrap(printable(f"fix: {finding.fix}"), wide, break_on_hyphens=False)
        label = f"{finding.label:15} {finding.state:2} "
        lines += [(" " * _MARGIN if i else label) + line for i, line in enumerate(text)]
    return lines
