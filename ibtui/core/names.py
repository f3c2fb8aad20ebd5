"""Names that settings share with the arithmetic; importing them imports nothing else."""

from __future__ import annotations

ACTIVATIONS = ("tanh", "relu", "sigmoid")
BINNINGS = ("notebook", "closed", "adaptive")
"""Ways to bin activations; `ibtui.core.information` says what each does."""
