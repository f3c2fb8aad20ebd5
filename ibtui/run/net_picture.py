"""A net as a picture: what it answers all over the plane of its inputs, and its weights."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ibtui.core.forward import softmax
from ibtui.engines import kind_of
from ibtui.quantities import Array
from ibtui.recording import Recording
from ibtui.run.measuring import engine_here
from ibtui.run.protocol import NetPicture

MOST_PER_AXIS = 160
"""More inputs to an axis than terminals have half blocks for are not computed."""


def of_net(recording: Recording, kept: Mapping[str, Array], axes: tuple[float, ...], fine: int) -> NetPicture:
    """Return the picture of a net, from what is kept of it; `EngineError` where its engine is not here.

    Parameters
    ----------
    recording : Recording
    kept : mapping of str to ndarray
    axes : (float, float, float, float)
        Low and high of the first input, low and high of the second.
    fine : int
        Inputs to each axis, in the middles of so many equal parts.
    """
    config = recording.config
    engine_here(config)
    kind = kind_of(config)
    known = getattr(kind, "weights", None)
    weights = () if known is None else tuple(np.array(weight, np.float32) for weight in known(kept))
    if recording.dataset.inputs != 2:
        return NetPicture(weights=weights)
    fine = min(max(fine, 2), MOST_PER_AXIS)
    across, up = (_middles(low, high, fine) for low, high in (axes[:2], axes[2:]))
    grid = np.stack([np.tile(across, fine), np.repeat(up[::-1], fine)], axis=1).astype(np.float32)
    outputs = np.asarray(kind.activations(config, kept, grid)[-1])
    shares = np.asarray(softmax(outputs))
    winners, best = shares.argmax(axis=1), shares.max(axis=1)
    even = 1 / shares.shape[1]
    sure = np.nan_to_num((best - even) / (1 - even))
    return NetPicture(
        classes=winners.astype(np.uint8).reshape(fine, fine),
        sure=np.round(255 * sure).astype(np.uint8).reshape(fine, fine),
        weights=weights,
    )


def _middles(low: float, high: float, count: int) -> Array:
    return low + (high - low) * (np.arange(count) + 0.5) / count
