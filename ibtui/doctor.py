"""`ibtui doctor`: what this machine can run, and what to do about what it cannot.

Whatever could end a process (vendors' libraries, a broken build) is asked of a process of its own. It works
with anything missing, and prints ASCII, no wider than 80 columns.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
import tempfile
import textwrap
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ibtui import __version__
from ibtui.config import RunConfig
from ibtui.engines.nvidia import cuda
from ibtui.engines.probing import ask, tell
from ibtui.errors import IbtuiError, printable

WIDTH = 80
_MARGIN = 19
_CPU_EXTRA = "pip install '.[cpu]' in ibtui's folder"
_EXTRAS = f"for Gluon, {_CPU_EXTRA}; for an NVIDIA GPU, {cuda.EXTRA}"
_OLD_DRIVER = (11, 8)
"""CUDA of the oldest driver that takes kernels compiled by CUDA 11.8 at run time."""

OK, NOTE, PROBLEM = "ok", "-", "!"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    label: str
    state: str
    """`OK`, `NOTE` (nothing to be mended) or `PROBLEM`."""
    text: str
    fix: str = ""


def doctor(ctx: str) -> int:
    """Print what was found; returns 0 when a run with this --ctx can train, else 1.

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
    """Everything there is to say, and whether a run with this --ctx can train."""
    tried = "gpu0" if ctx == "auto" else ctx
    with ThreadPoolExecutor(4) as pool:
        asked = {name: pool.submit(ask, statement, tried, ctx) for name, statement in _QUESTIONS.items()}
        told = {name: future.result() for name, future in asked.items()}
    mxnet, mxnet_error = _merged(told["mxnet"])
    driver, driver_error = _merged(told["driver"])
    outcome, outcome_error = _merged(told["run"])
    findings = [
        _python(),
        _package("NumPy", *_merged(told["numpy"])),
        _package("Numba", *_merged(told["numba"])),
        _mxnet(mxnet, mxnet_error),
        *_libraries(told["libraries"], mxnet),
        *_driver(driver, driver_error, bool(mxnet.get("cuda")) or ctx.startswith("gpu")),
        *_cards(driver, mxnet, told["gluon"], told["fused"], tried),
        _terminal(os.environ, _terminal_size()),
        _cache(os.environ),
    ]
    return [*findings, _run(ctx, outcome, outcome_error)], "engine" in outcome


_IMPORT = "from ibtui import doctor as d; d._about_{0}(*sys.argv[1:])"
_PACKAGE = (
    "import {0}; from ibtui.engines.probing import tell; "
    "tell(dict(version={0}.__version__, path={0}.__path__[0]))"
)
_QUESTIONS = {
    "run": _IMPORT.format("run"),  # the longest first
    **{name: _IMPORT.format(name) for name in ("mxnet", "gluon", "fused", "libraries", "driver")},
    **{name: _PACKAGE.format(name) for name in ("numpy", "numba")},
}


def _merged(told: tuple[list[dict[str, Any]], str]) -> tuple[dict[str, Any], str]:
    answers, error = told
    return {key: value for answer in answers for key, value in answer.items()}, error


# Asked of processes of their own.


def _about_mxnet(*_: str) -> None:
    from ibtui.engines.mxnet import library

    build = library.installed()
    if build is None:
        return
    tell({"build": str(build), "cuda": build.cuda, "obstacle": build.obstacle})
    try:
        module = library.load()
        tell({"version": library.version(), "path": module.__path__[0], "cuda": library.has_cuda()})
    except IbtuiError as error:
        tell({"failure": str(error)})
    os._exit(0)


def _about_libraries(*_: str) -> None:
    for loaded in cuda.preload():
        tell(vars(loaded))
    os._exit(0)


def _about_driver(*_: str) -> None:
    try:
        import pynvml

        pynvml.nvmlInit()
        tell({"version": str(pynvml.nvmlSystemGetDriverVersion())})
    except Exception as error:
        tell({"nvml": f"{type(error).__name__}: {error}"})
    try:
        driver = cuda.driver()
        cards = [
            {"name": str(card), "capability": card.capability, "gib": card.memory / 2**30}
            for card in driver.cards
        ]
        tell({"cuda": driver.cuda, "cards": cards})
    except IbtuiError as error:
        tell({"failure": str(error)})
    os._exit(0)


def _about_gluon(device: str, _: str) -> None:
    from ibtui.engines.mxnet import library

    build = library.installed()
    if device.startswith("gpu") and build and build.cuda is not False and not build.obstacle:
        found = library.probe(device)
        absent = "" if int(device[3:]) < found.gpus else "MXNet does not see it"
        tell({"failure": found.error or found.failures.get(device, absent)})


def _about_fused(device: str, _: str) -> None:
    from ibtui.engines.mxnet import library

    build = library.installed()
    if device.startswith("gpu") and build and build.cuda is not False and not build.obstacle:
        tell({"failure": library.probe_fused(device)})


def _about_run(_: str, ctx: str) -> None:
    """Train a little, as a run would."""
    from ibtui.engines.choose import choose
    from ibtui.run.trainer import Trainer

    try:
        config = RunConfig(ctx=ctx, epochs=2, every=2, samples=40)
        choice = choose(config)
        tell({"choice": f"{choice.engine} on {choice.ctx}", "why": choice.why})
        trainer = Trainer(config, choice, 1 << 20)
        trainer.train(2)
        trainer.close()
        tell({"engine": choice.engine})
    except IbtuiError as error:
        tell({"failure": str(error)})
    os._exit(0)


# What the answers mean.


def _python() -> Finding:
    text = f"{platform.python_version()}  {sys.executable}"
    if sys.version_info >= (3, 13):
        return Finding(
            "Python", NOTE, text, "MXNet has no build for it: for Gluon and GPUs, Python 3.10 to 3.12"
        )
    return Finding("Python", OK, text)


def _package(name: str, told: Mapping[str, Any], error: str) -> Finding:
    if "version" not in told:
        return Finding(
            name, PROBLEM, error or "says nothing", f"pip install --force-reinstall {name.lower()}"
        )
    return Finding(name, OK, f"{told['version']}  {told['path']}")


def _mxnet(told: Mapping[str, Any], error: str) -> Finding:
    if "build" not in told and not error:
        return Finding("MXNet", NOTE, "not installed: the fused engine trains, on the CPU", _EXTRAS)
    build = told.get("build", "")
    if "version" in told:
        return Finding("MXNet", OK, f"{build}, version {told['version']}  {told['path']}")
    why = told.get("obstacle") or told.get("failure") or f"ended the process that imports it: {error}"
    name = build.partition(" ")[0]
    text = f"{build}: {why.removeprefix(f'{build} ').removeprefix(f'{name} ')}"
    cpu = f"where there is no GPU, pip uninstall {name}, then {_CPU_EXTRA}; or --engine fused"
    return Finding(
        "MXNet",
        PROBLEM,
        text,
        cpu if told.get("cuda") else _CPU_EXTRA.replace("install", "install --force-reinstall"),
    )


def _libraries(told: tuple[list[dict[str, Any]], str], mxnet: Mapping[str, Any]) -> list[Finding]:
    answers, error = told
    if not mxnet.get("cuda"):
        return [Finding("CUDA libraries", NOTE, "not needed without MXNet's CUDA build")]
    findings: list[Finding] = []
    folder = ""
    for loaded in answers:
        path = loaded["path"]
        label = "CUDA libraries" if not findings else ""
        if not path:
            brings = f"{cuda.EXTRA}: {loaded['wheel']} brings it"
            findings.append(Finding(label, PROBLEM, f"{loaded['soname']} is missing", brings))
            continue
        root, _, rest = path.rpartition("/nvidia/")
        if root and root != folder:
            findings.append(Finding(label, OK, f"{root}/"))
            folder, label = root, ""
        findings.append(Finding(label, OK, f"nvidia/{rest}" if root else path))
    if error:
        findings.append(Finding("", PROBLEM, f"loading the next one ended the process: {error}", cuda.EXTRA))
    return findings


def _driver(told: Mapping[str, Any], error: str, needed: bool) -> list[Finding]:
    version = told.get("version") or _kernel_module()
    if "cuda" not in told:
        why = told.get("failure") or f"ended the process that asked it: {error}"
        text = f"{version}: {why}" if version else why
        if not needed and not version and "failure" in told:
            return [Finding("NVIDIA driver", NOTE, text)]
        fix = "install NVIDIA's driver, 520 or newer, or reboot after an update; --ctx cpu needs none"
        return [Finding("NVIDIA driver", PROBLEM, text, fix)]
    supports = tuple(told["cuda"])
    text = f"{version or 'version unknown'}, for CUDA up to {cuda.dotted(supports)}"
    if supports < _OLD_DRIVER:
        return [
            Finding("NVIDIA driver", PROBLEM, text, "the fused engine on a GPU needs driver 520 or newer")
        ]
    return [Finding("NVIDIA driver", OK, text)]


def _kernel_module() -> str:
    """Version of the driver's part in the kernel; empty where there is none."""
    try:
        text = Path("/proc/driver/nvidia/version").read_text(errors="replace")
    except OSError:
        return ""
    found = re.search(r"\b\d+\.\d+(\.\d+)?\b", text)
    return found[0] if found else ""


def _cards(
    driver: Mapping[str, Any],
    mxnet: Mapping[str, Any],
    gluon: tuple[list[dict[str, Any]], str],
    fused: tuple[list[dict[str, Any]], str],
    tried: str,
) -> list[Finding]:
    if not driver.get("cards"):
        return [Finding("GPUs", NOTE, "none")]
    findings = []
    for index, card in enumerate(driver["cards"]):
        device, capability = f"gpu{index}", tuple(card["capability"])
        text = f"{card['name']}, {card['gib']:.0f} GiB"
        if not mxnet.get("cuda"):
            findings.append(Finding(device, NOTE, text, f"to train on it: {cuda.EXTRA}"))
            continue
        if device != tried:
            engines = ["gluon"] * cuda.has_machine_code(capability) + ["fused"] * (
                capability >= cuda.RUN_TIME_CODE
            )
            findings.append(
                Finding(device, NOTE, f"{text}; by its capability: {', '.join(engines) or 'no engine'}")
            )
            continue
        failures = {name: _failure(told) for name, told in (("gluon", gluon), ("fused", fused))}
        engines = [name for name, failure in failures.items() if not failure]
        state = OK if engines else PROBLEM
        findings.append(Finding(device, state, f"{text}; runs: {', '.join(engines) or 'no engine'}"))
        findings += [
            Finding("", NOTE if engines else PROBLEM, f"{name} does not run: {failure}")
            for name, failure in failures.items()
            if failure
        ]
    return findings


def _failure(told: tuple[list[dict[str, Any]], str]) -> str:
    answers, error = told
    return str(answers[-1]["failure"]) if answers else error or "not tried"


def _terminal_size() -> tuple[int, int] | None:
    for stream in (1, 2, 0):
        try:
            columns, rows = os.get_terminal_size(stream)
        except OSError:
            continue
        return columns, rows
    return None


def _terminal(environment: Mapping[str, str], size: tuple[int, int] | None) -> Finding:
    """Size, colours, Unicode and multiplexer."""
    term = environment.get("TERM", "")
    parts, fixes, state = [], [], OK
    if size is None:
        parts.append("none here: --record needs none")
        state = NOTE
    else:
        parts.append(f"{size[0]}x{size[1]}")
        if size[0] < 80 or size[1] < 24:
            state = PROBLEM
            fixes.append("the live screen needs 80x24; at 120x40 it shows all")
    if term in ("", "dumb"):
        parts.append("TERM is " + (term or "not set"))
        fixes.append("export TERM=xterm-256color, or what your terminal is")
        state = PROBLEM if size else state
    elif environment.get("COLORTERM", "") in ("truecolor", "24bit"):
        parts.append(f"16 million colours ({term})")
    else:
        parts.append(f"{256 if '256' in term or 'kitty' in term else 16} colours ({term})")
    if environment.get("NO_COLOR"):
        parts.append("NO_COLOR is set")
    names = ("LC_ALL", "LC_CTYPE", "LANG")
    locale = next((environment[name] for name in names if environment.get(name)), "")
    unicode = locale.lower().replace("-", "").endswith("utf8")
    parts.append(f"Unicode ({locale})" if unicode else f"no Unicode (locale {locale or 'not set'})")
    if not unicode:
        fixes.append("export LC_ALL=C.UTF-8 for finer plots")
    inside = [
        name
        for key, name in (("TMUX", "tmux"), ("STY", "screen"), ("ZELLIJ", "zellij"))
        if environment.get(key)
    ]
    parts.append(f"in {inside[0]}" if inside else "no multiplexer")
    return Finding("terminal", state, ", ".join(parts), "; ".join(fixes))


def _cache(environment: Mapping[str, str]) -> Finding:
    """Where Numba keeps what it compiled; it asks for these folders in this order."""
    package = Path(__file__).parent
    home = environment.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    given = environment.get("NUMBA_CACHE_DIR")
    folders = [Path(given)] if given else [package / "core" / "__pycache__", Path(home, "numba")]
    for folder in folders:
        if _writeable(folder):
            kept = sum(1 for _ in folder.rglob("*.nbi")) if folder.is_dir() else 0
            return Finding(
                "compiled cache", OK, f"{folder} ({'filled' if kept else 'empty: the first run compiles'})"
            )
    fix = "export NUMBA_CACHE_DIR=~/a-folder-of-yours; without one, every start compiles for seconds"
    return Finding(
        "compiled cache", PROBLEM, f"none of {', '.join(map(str, folders))} can be written to", fix
    )


def _writeable(folder: Path) -> bool:
    there = folder
    while not there.exists() and there != there.parent:
        there = there.parent
    try:
        with tempfile.TemporaryFile(dir=there):
            return True
    except OSError:
        return False


def _run(ctx: str, told: Mapping[str, Any], error: str) -> Finding:
    label = f"--ctx {ctx}"
    if "engine" in told:
        return Finding(label, OK, f"trains: {told['choice']}; {told['why']}")
    why = str(told.get("failure") or f"ended the process that tried it: {error}").removeprefix(f"{label}: ")
    return Finding(
        label, PROBLEM, f"cannot train: {why}", "" if ctx == "cpu" else "ibtui --ctx cpu --engine fused"
    )


def render(findings: list[Finding], width: int | None = None) -> list[str]:
    """Lines no wider than the terminal, or than `WIDTH`."""
    wide = max(40, min(width or shutil.get_terminal_size().columns, WIDTH))
    lines = []
    for finding in findings:
        label = f"{finding.label:15} {finding.state:2} "
        text = textwrap.wrap(printable(finding.text), wide - _MARGIN, break_on_hyphens=False) or [""]
        lines += [(label if i == 0 else " " * _MARGIN) + line for i, line in enumerate(text)]
        if finding.fix:
            fix = textwrap.wrap(printable(f"fix: {finding.fix}"), wide - _MARGIN, break_on_hyphens=False)
            lines += [" " * _MARGIN + line for line in fix]
    return lines
