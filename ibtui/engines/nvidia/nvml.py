"""A GPU's memory and utilisation, for the status line: by NVML, NVIDIA's monitoring library.

nvidia-ml-py is optional, and nothing here raises: where NVML does not answer, the status line says less.
NVML counts GPUs differently from CUDA, so a GPU is found by its PCI address.
"""

from __future__ import annotations

import importlib
import threading
import time
from collections.abc import Callable
from typing import Any

from ibtui.engines.nvidia import driver

PERIOD_S = 1.0
"""The least time between two questions to NVML."""


class Poller:
    """Describes GPUs; in any thread, one at a time.

    Parameters
    ----------
    clock : callable
        Seconds, from any start.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._cards: tuple[driver.Card, ...] | None = None
        self._nvml: Any = None
        self._last: dict[str, tuple[float, str]] = {}

    def describe(self, device: str) -> str:
        """Return name, compute capability, memory and utilisation, as far as known; empty for the CPU."""
        if not device.startswith("gpu"):
            return ""
        asked, text = self._last.get(device, (-PERIOD_S, ""))
        if (now := self._clock()) - asked >= PERIOD_S:
            text = self._describe(int(device.removeprefix("gpu")))
            self._last[device] = now, text
        return text

    def _describe(self, index: int) -> str:
        if self._cards is None:
            self._start()
        assert self._cards is not None
        card = self._cards[index] if index < len(self._cards) else None
        parts = [str(card)] if card else []
        if self._nvml is not None:
            # Each by itself: a MIG slice has memory and no utilisation.
            for ask in (self._memory, self._utilisation):
                try:
                    parts.append(ask(self._handle(index, card)))
                except Exception:
                    continue
        return " · ".join(parts)

    def _start(self) -> None:
        try:
            self._cards = driver.start_driver().cards
        except Exception:
            self._cards = ()
        try:
            nvml = importlib.import_module("pynvml")
            nvml.nvmlInit()
            self._nvml = nvml
        except Exception:
            self._nvml = None

    def _handle(self, index: int, card: driver.Card | None) -> Any:
        if card is not None and card.pci:
            return self._nvml.nvmlDeviceGetHandleByPciBusId(card.pci.encode())
        return self._nvml.nvmlDeviceGetHandleByIndex(index)

    def _memory(self, handle: Any) -> str:
        memory = self._nvml.nvmlDeviceGetMemoryInfo(handle)
        return f"{memory.used / 2**30:.1f} of {memory.total / 2**30:.0f} GiB"

    def _utilisation(self, handle: Any) -> str:
        return f"{self._nvml.nvmlDeviceGetUtilizationRates(handle).gpu} %"


def monitor(device: str, publish: Callable[[str], None], poller: Poller | None = None) -> None:
    """Publish a GPU's description whenever it changes, from a thread of its own; nothing for the CPU.

    In a thread, because a GPU that has failed may keep NVML waiting for ever.
    """
    if not device.startswith("gpu"):
        return
    polled = poller or Poller()

    def poll() -> None:
        published = ""
        while True:
            text = polled.describe(device)
            if text != published:
                published = text
                publish(text)
            time.sleep(PERIOD_S)

    threading.Thread(target=poll, name="nvml", daemon=True).start()
