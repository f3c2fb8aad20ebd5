"""Trying MXNet on a GPU, and what stands in its way.

MXNet ends the process that tries where the CUDA libraries do not suit the machine: it is one of its own.
Where its package or the driver says enough, MXNet is not tried.
"""

from __future__ import annotations

import functools
import os

from ibtui.engines.mxnet import MACHINE_CODE, has_machine_code, library, variables
from ibtui.engines.nvidia import MXNET_EXTRA, driver
from ibtui.engines.nvidia.messages import plain
from ibtui.engines.probing import ask, tell
from ibtui.errors import EngineError


def no_mxnet() -> str:
    """Say in a phrase why MXNet cannot be imported here; empty: nothing is known to keep it from that."""
    build = library.installed()
    return library.not_installed() if build is None else build.obstacle or variables.fault()


def no_gluon(device: str) -> str:
    """Say why MXNet's own operators cannot run on a GPU (gpu0, gpu1, …); empty: they can."""
    if refusal := driver.no_gpu(device):
        return refusal
    card = driver.start_driver().card(device)
    if not has_machine_code(card.capability):
        first, last = map(driver.dotted, MACHINE_CODE)
        return f"MXNet has machine code for compute capability {first} to {last}, and this is {card}"
    build = library.installed()
    if build is None:
        return f"{library.not_installed()}: {MXNET_EXTRA}"
    if build.cuda is False:
        return f"{build} is the CPU build: pip uninstall mxnet, then {MXNET_EXTRA}"
    return build.obstacle or variables.fault() or failure(device)


@functools.cache
def failure(device: str) -> str:
    """Compute a little on a GPU by MXNet, in a process of its own; return why that failed, or nothing."""
    answers, error = ask("from ibtui.engines.mxnet import trial; trial.answer(sys.argv[1])", device)
    if not answers:
        return f"MXNet ended the process that tried it: {plain(error)}"
    return str(answers[-1]["failure"])


def answer(device: str) -> None:
    """Tell the process that called `failure`; this one then ends."""
    tell({"failure": _failure(device)})
    os._exit(0)  # CUDA libraries that failed may fail again when the process winds up


def _failure(device: str) -> str:
    try:
        mx = library.import_mxnet()
        if not library.has_cuda():
            return f"{library.installed()} is a CPU build: {MXNET_EXTRA}"
        ones = mx.nd.ones((2, 2), ctx=library.context(device))
        mx.nd.dot(ones, ones).asnumpy()
    except EngineError as error:
        return str(error)
    except Exception as error:  # whatever CUDA or cuBLAS say
        return plain(str(error) or type(error).__name__)
    return ""
