"""Trying MXNet on a GPU, and what stands in its way.

MXNet ends the process that tries where the CUDA libraries do not suit the machine: it is one of its own.
"""

from __future__ import annotations

import functools
import os
from dataclasses import asdict, dataclass, field

from ibtui.engines.mxnet import MACHINE_CODE, has_machine_code, library, variables
from ibtui.engines.nvidia import EXTRA, driver
from ibtui.engines.nvidia.messages import plain
from ibtui.engines.probing import ask, tell
from ibtui.errors import EngineError


@dataclass(frozen=True)
class Trial:
    """MXNet on this machine's GPUs, as a process of its own found it."""

    cuda: bool
    """True where MXNet was built for CUDA."""
    gpus: int
    """The number of GPUs that it sees."""
    failures: dict[str, str]
    """Device to the reason why MXNet cannot compute on it, for the one tried."""
    error: str
    """The reason why nothing could be found out; empty: there is none."""
    cards: dict[str, str] = field(default_factory=dict)
    """Device to name and compute capability, such as "NVIDIA A100 (8.0)", as far as the driver says."""


@functools.cache
def tried(device: str) -> Trial:
    """Import MXNet in a process of its own, count its GPUs and compute a little on `device`."""
    answers, error = ask("from ibtui.engines.mxnet import trial; trial.answer(sys.argv[1])", device)
    try:
        found = Trial(**answers[-1])
    except (IndexError, TypeError):
        return Trial(False, 0, {}, ended(error))
    if error and found.failures.get(device) == "":  # it ended while it computed
        found.failures[device] = ended(error)
    return found


def ended(error: str) -> str:
    """Say that the process which tried MXNet ended with this error."""
    return f"MXNet ended the process that tried it: {plain(error)}"


def answer(device: str) -> None:
    """Tell the process that called `tried`; this one then ends."""
    cards: tuple[driver.Card, ...] = ()
    try:
        found = Trial(library.has_cuda(), library.gpu_count(), {}, "")
        if found.cuda:
            cards = driver.start_driver().cards
    except EngineError as error:
        found = Trial(False, 0, {}, str(error))
    found.cards.update({f"gpu{index}": str(card) for index, card in enumerate(cards)})
    if device in (f"gpu{index}" for index in range(found.gpus)):
        found.failures[device] = ""  # tells that it is being tried
        tell(asdict(found))
        failure = _failure(device, cards)
        del found.failures[device]
        if failure:
            found.failures[device] = failure
    tell(asdict(found))
    os._exit(0)  # CUDA libraries that failed may fail again when the process winds up


def _failure(device: str, cards: tuple[driver.Card, ...]) -> str:
    """Say why MXNet's own operators cannot run on a GPU; empty: they can."""
    index = int(device.removeprefix("gpu"))
    if index < len(cards) and not has_machine_code(cards[index].capability):
        first, last = map(driver.dotted, MACHINE_CODE)
        return f"MXNet has machine code for compute capability {first} to {last}, and this is {cards[index]}"
    try:
        mx = library.import_mxnet()
        ones = mx.nd.ones((2, 2), ctx=library.context(device))
        mx.nd.dot(ones, ones).asnumpy()
    except Exception as error:  # whatever CUDA or cuBLAS say
        return plain(str(error) or type(error).__name__)
    return ""


def no_mxnet() -> str:
    """Say in a phrase why MXNet cannot be imported here; empty: nothing is known to keep it from that."""
    build = library.installed()
    return library.not_installed() if build is None else build.obstacle or variables.wrong()


def no_gpu(device: str, wanted: str = "a GPU") -> str:
    """Say why MXNet does not even reach this GPU, and what would be right; empty: it does.

    Parameters
    ----------
    device : str
        gpu0, gpu1, …
    wanted : str
        That for which a GPU is asked, for the sentence.
    """
    build = library.installed()
    if not driver.has_driver():
        return "no NVIDIA driver on this machine (libcuda.so.1): install it, or --ctx cpu with --engine fused"
    if build is None:
        return f"{wanted} needs MXNet with CUDA here, and {library.not_installed()}: {EXTRA}"
    if build.cuda is False:
        return (
            f"{wanted} needs MXNet with CUDA here, and {build} is the CPU build: "
            f"pip uninstall mxnet, then {EXTRA}, or --ctx cpu"
        )
    if obstacle := build.obstacle or variables.wrong():
        return obstacle
    found = tried(device)
    if found.error:
        return f"{found.error}; --ctx cpu needs no GPU"
    if not found.cuda:
        return f"{build} is a CPU build: {EXTRA}, or --ctx cpu"
    if int(device.removeprefix("gpu")) >= found.gpus:
        there = ", ".join(f"gpu{index}" for index in range(found.gpus))
        return f"no such GPU; there is {there}" if there else "MXNet sees no GPU on this machine: --ctx cpu"
    return ""


def no_operators(device: str) -> str:
    """Say why MXNet's own operators cannot run on a GPU that it reaches; empty: they can."""
    return tried(device).failures.get(device, "")


def card(device: str) -> str:
    """Return name and compute capability of a GPU that MXNet reaches, or else the device's name."""
    return tried(device).cards.get(device, device)
