"""Findings: the answers to the doctor's questions, each with what to do about it."""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from ibtui.doctor.finding import NOTE, OK, PROBLEM, Finding
from ibtui.doctor.questions import Told
from ibtui.engines import ENGINES
from ibtui.engines.mxnet import EXTRA as CPU_EXTRA
from ibtui.engines.mxnet import has_machine_code
from ibtui.engines.nvidia import EXTRA, MXNET_EXTRA
from ibtui.engines.nvidia.driver import LEAST_CAPABILITY, LEAST_CUDA, dotted


def python() -> Finding:
    """Describe the Python that runs this."""
    text = f"{platform.python_version()}  {sys.executable}"
    if sys.version_info >= (3, 13):
        fix = "MXNet has no build for it: for Gluon, Python 3.10 to 3.12"
        return Finding("Python", NOTE, text, fix)
    return Finding("Python", OK, text)


def package(name: str, told: Told) -> Finding:
    """Describe a package that nothing works without."""
    if "version" not in told:
        fix = f"pip install --force-reinstall {name.lower()}"
        return Finding(name, PROBLEM, told["error"] or "says nothing", fix)
    return Finding(name, OK, f"{told['version']}  {told['path']}")


def mxnet(told: Told) -> Finding:
    """Describe MXNet: the build, or what keeps it from being imported."""
    if "build" not in told and not told["error"]:
        extras = f"for Gluon, {CPU_EXTRA}; on an NVIDIA GPU, {MXNET_EXTRA}"
        text = "not installed: the fused engine trains"
        if there := told.get("impostor"):
            return Finding("MXNet", PROBLEM, f"{text}; {there} is something else", f"remove it; {extras}")
        return Finding("MXNet", NOTE, text, extras)
    build = told.get("build", "")
    if "version" in told:
        return Finding("MXNet", OK, f"{build}, version {told['version']}  {told['path']}")
    if wrong := told.get("wrong"):
        return Finding("MXNet", PROBLEM, f"{build}: {wrong}", "unset it: the fused engine trains instead")
    why = told.get("obstacle") or told.get("failure") or f"ended the process that imports it: {told['error']}"
    name = build.partition(" ")[0]
    text = f"{build}: {why.removeprefix(f'{build} ').removeprefix(f'{name} ')}"
    fix = CPU_EXTRA.replace("pip install", "pip install --force-reinstall")
    if told.get("cuda"):
        fix = f"where there is no GPU, pip uninstall {name}, then {CPU_EXTRA}; or --engine fused"
    return Finding("MXNet", PROBLEM, text, fix)


def engines(told: Told) -> Iterator[Finding]:
    """Describe the engines, and why some cannot be loaded."""
    broken = {name: told.get(name, {"failure": told["error"]}).get("failure") for name in ENGINES.names}
    loaded = [name for name, failure in broken.items() if not failure]
    yield Finding("engines", OK if loaded else PROBLEM, ", ".join(loaded) or "none can be loaded")
    for name, failure in broken.items():
        if failure:
            yield Finding("", PROBLEM, f"{name}: {failure.removeprefix(f'{name}: ')}")


def libraries(told: Told, needed: bool) -> Iterator[Finding]:
    """Describe the libraries that MXNet's CUDA build links."""
    label, folder = "CUDA libraries", ""
    if not needed:
        yield Finding(label, NOTE, "not needed without MXNet's CUDA build")
        return
    for library in told.get("found", ()):
        root, _, rest = library["path"].rpartition("/nvidia/")
        if not library["path"]:
            fix = f"{MXNET_EXTRA}: {library['wheel']} brings it"
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
        yield Finding(label, PROBLEM, text, MXNET_EXTRA)


def bindings(told: Told, needed: bool) -> Finding:
    """Describe NVIDIA's bindings and compiler, by which the fused engine runs on a GPU."""
    label = "cuda-bindings"
    if "nvrtc" in told:
        return Finding(label, OK, f"{told['version']}, NVRTC {told['nvrtc']}")
    if "version" in told:
        return Finding(label, PROBLEM, told.get("failure") or told["error"])
    fix = f"for the fused engine on an NVIDIA GPU, {EXTRA}"
    return Finding(label, PROBLEM if needed else NOTE, "not installed", fix)


def driver(told: Told, needed: bool) -> Finding:
    """Describe NVIDIA's driver."""
    label, version = "NVIDIA driver", told.get("version") or _kernel_module()
    if "cuda" not in told:
        why = told.get("failure") or f"ended the process that asked it: {told['error']}"
        text = f"{version}: {why}" if version else why
        if not needed and not version and "failure" in told:
            return Finding(label, NOTE, text)
        absent = "no NVIDIA driver" in why
        fix = "install NVIDIA's driver, 525 or newer" if absent else "after an update, reboot"
        return Finding(label, PROBLEM, text, f"{fix}; --ctx cpu needs none")
    supports = tuple(told["cuda"])
    text = f"{version or 'version unknown'}, for CUDA up to {dotted(supports)}"
    if supports < LEAST_CUDA:
        return Finding(label, NOTE, text, "the fused engine on a GPU needs driver 525 or newer")
    return Finding(label, OK, text)


def _kernel_module() -> str:
    """Return the version of the driver's part in the kernel; empty where there is none."""
    try:
        text = Path("/proc/driver/nvidia/version").read_text(errors="replace")
    except OSError:
        return ""
    found = re.search(r"\b\d+\.\d+(\.\d+)?\b", text)
    return found[0] if found else ""


def cards(driver: Told, engines: Told, bindings: Told, tried: str) -> Iterator[Finding]:
    """Describe each GPU; of the one that was tried, the engines that run on it."""
    cards = driver.get("cards")
    if not cards:
        yield Finding("GPUs", NOTE, "none")
        return
    for index, card in enumerate(cards):
        device, text = f"gpu{index}", f"{card['name']}, {card['gib']:.0f} GiB"
        if device != tried:
            capability = tuple(card["capability"])
            likely = ["gluon"] * has_machine_code(capability) + ["fused"] * (capability >= LEAST_CAPABILITY)
            yield Finding(device, NOTE, f"{text}; by its capability: {', '.join(likely) or 'no engine'}")
            continue
        refusals = {name: engines.get(name, {}).get("refusal", "not tried") for name in ENGINES.names}
        if "nvrtc" not in bindings:  # the engine itself finds that out when it compiles
            refusals["fused"] = refusals["fused"] or bindings.get("failure") or bindings["error"]
        runs = ", ".join(name for name, refusal in refusals.items() if not refusal)
        yield Finding(device, OK if runs else PROBLEM, f"{text}; runs: {runs or 'no engine'}")
        for name, refusal in refusals.items():
            if refusal:
                yield Finding("", NOTE if runs else PROBLEM, f"{name} does not run: {refusal}")


def terminal_size() -> tuple[int, int] | None:
    """Ask the terminal for its columns and rows; None: there is no terminal."""
    for stream in (1, 2, 0):
        try:
            columns, rows = os.get_terminal_size(stream)
        except OSError:
            continue
        return columns, rows
    return None


def terminal(environment: Mapping[str, str], size: tuple[int, int] | None) -> Finding:
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


def runs(told: Told) -> Finding:
    """Describe the folder that new runs' sockets and logs are kept in."""
    if "folder" in told:
        return Finding("runs", OK, told["folder"])
    return Finding("runs", PROBLEM, told.get("failure") or told["error"])


def run(ctx: str, told: Told) -> Finding:
    """Describe what a run with this --ctx does."""
    label = f"--ctx {ctx}"
    if "engine" in told:
        return Finding(label, OK, f"trains: {told['choice']}; {told['why']}")
    why = told.get("failure") or f"ended the process that tried it: {told['error']}"
    fix = "" if ctx == "cpu" else "ibtui --ctx cpu --engine fused"
    return Finding(label, PROBLEM, f"cannot train: {why.removeprefix(f'{label}: ')}", fix)
