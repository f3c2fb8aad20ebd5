"""A GPU's memory and utilisation, for the status line: by NVML, NVIDIA's monitoring library.

nvidia-ml-py is optional, and nothing here raises: where NVML does not answer, the status line says less.
NVML counts GPUs differently from CUDA, so a GPU is found by its PCI address.
"""

from __future__ import annotations

import importlib
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from ibtui.engines.nvidia import driver

PERIOD_S = 1.0
"""The time between two questions to NVML."""


class Description:
    """Describes a GPU, again and again.

    Parameters
    ----------
    device : str
        gpu0, gpu1, …
    """

    def __init__(self, device: str) -> None:
        index = int(device.removeprefix("gpu"))
        self._card: driver.Card | None = None
        self._nvml: Any = None
        self._handle: Any = None
        with suppress(Exception):  # there may be no driver, or no such GPU
            self._card = driver.start_driver().card(device)
        with suppress(Exception):
            nvml = importlib.import_module("pynvml")
            nvml.nvmlInit()
            pci = self._card and self._card.pci
            by_address, by_index = nvml.nvmlDeviceGetHandleByPciBusId, nvml.nvmlDeviceGetHandleByIndex
            self._handle = by_address(pci.encode()) if pci else by_index(index)
            self._nvml = nvml

    def __str__(self) -> str:
        """Name, compute capability, memory and utilisation, as far as known."""
        parts = [str(self._card)] if self._card else []
        if self._nvml is not None:
            # Each by itself: a MIG slice has memory and no utilisation.
            for ask in (self._memory, self._utilisation):
                try:
                    parts.append(ask())
                except Exception:
                    continue
        return " · ".join(parts)

    def _memory(self) -> str:
        memory = self._nvml.nvmlDeviceGetMemoryInfo(self._handle)
        return f"{memory.used / 2**30:.1f} of {memory.total / 2**30:.0f} GiB"

    def _utilisation(self) -> str:
        return f"{self._nvml.nvmlDeviceGetUtilizationRates(self._handle).gpu} %"


def monitor(
    device: str, publish: Callable[[str], None], describe: Callable[[str], object] = Description
) -> None:
    """Publish a GPU's description whenever it changes, from a thread of its own; nothing for the CPU.

    In a thread, because a GPU that has failed may keep NVML waiting for ever.
    """
    if not device.startswith("gpu"):
        return

    def poll() -> None:
        published, description = "", describe(device)
        while True:
            if (text := str(description)) != published:
                published = text
                publish(text)
            time.sleep(PERIOD_S)

    threading.Thread(target=poll, name="nvml", daemon=True).start()
