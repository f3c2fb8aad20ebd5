"""NVIDIA's side of a GPU, by ctypes alone: libraries, driver, compiler, monitor, failures in plain words.

NVIDIA's code may end the process that runs it: where that matters, `ibtui.engines.probing` starts another.
"""

from ibtui.engines.wheels import advice

EXTRA = advice("cu112")
"""Brings MXNet for CUDA 11.2 and the libraries that it links; or says that nothing does."""
