"""Names that settings share with the arithmetic; importing them imports nothing else."""

from __future__ import annotations

ACTIVATIONS = ("tanh", "relu", "sigmoid", "linear")
"""Activation functions of layers."""
MEASURED = (*ACTIVATIONS, "softmax", "")
"""Activations of measured layers, which decide the range of their values; empty: it is not known."""
BINNINGS = ("notebook", "closed", "adaptive", "width", "pooled")
"""Ways to bin activations; `ibtui.core.binning` says what each does."""
WATCHED = "watched"
"""The engine and the dataset of a recording that a loop of the user's own has made: it names none."""
ESTIMATORS = ("binned", "kde")
"""Ways to estimate information."""
QUANTITIES = ("effective_rank", "cka", "sparsity", "weight_norm", "gradient_snr")
"""Families of quantities of ibtui's own that are measured where they are asked for."""
