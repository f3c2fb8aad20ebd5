"""The engine on MXNet, which only this folder imports; this file has what is known without importing it."""

from ibtui.engines.wheels import advice

EXTRA = advice("cpu")
"""Brings MXNet for the CPU; or says that nothing does."""

MACHINE_CODE = ((5, 0), (8, 9))
"""Compute capabilities that MXNet 1.9.1 for CUDA has machine code for: sm_50, 60, 70, 80 and 86, no PTX."""


def has_machine_code(capability: tuple[int, ...]) -> bool:
    """Return True where MXNet 1.9.1's own operators, and so Gluon, can run on such a GPU."""
    return MACHINE_CODE[0] <= capability <= MACHINE_CODE[1]
