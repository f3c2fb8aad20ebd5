"""NVIDIA's side of a GPU, by ctypes alone: driver, MXNet's libraries, monitor, failures in plain words.

NVIDIA's code may end the process that runs it: where that matters, `ibtui.engines.probing` starts another.
"""

from ibtui.engines.wheels import advice

EXTRA = advice("gpu")
"""Brings NVIDIA's bindings and compiler, which the fused engine needs on a GPU; or says that nothing does."""
MXNET_EXTRA = advice("cu112")
"""Brings MXNet for CUDA 11.2 and the libraries that it links; or says that nothing does."""
