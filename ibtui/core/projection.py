"""The projection of a layer's activations: a point on the plane for each sample."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ibtui.core._arrays import matrix
from ibtui.core.dimension import centred

# Loadings closer than this count as equal, so that rounding does not decide which of two sets a component's
# sign.
_TIE = 1e-9


def project(t: ArrayLike) -> NDArray[np.float32]:
    """Activations as points on a plane.

    Two units are drawn as they are, one unit along the first axis. Wider layers are drawn by their scores on
    the first two principal components, each component's sign fixed so that its loading of largest magnitude
    (the first of equals) is positive: pictures then don't flip from epoch to epoch.

    Parameters
    ----------
    t : array-like of shape (N, width) or (N,)
        Activations of one layer: real numbers, or ValueError.

    Returns
    -------
    ndarray of shape (N, 2), float32
        All NaN for a layer wider than two that holds NaN or an infinity.
    """
    values = matrix("t", t)
    samples, width = values.shape
    with np.errstate(all="ignore"):  # float64 beyond float32's range becomes an infinity
        if width == 2:
            return values.astype(np.float32)
        plane = np.zeros((samples, 2), np.float32)
        if width == 1:
            plane[:, :1] = values
            return plane
        return _principal_scores(values, plane)


def _principal_scores(values: NDArray[np.generic], plane: NDArray[np.float32]) -> NDArray[np.float32]:
    deviations = centred(values)
    if deviations is None:
        plane.fill(np.nan)
        return plane
    try:
        # The triangular factor has the same right singular vectors, and is small however many samples there
        # are.
        triangle = np.linalg.qr(deviations, mode="r")
        loadings = np.linalg.svd(triangle, full_matrices=False)[2][:2]
    except np.linalg.LinAlgError:
        plane.fill(np.nan)
        return plane
    for component in loadings:
        magnitude = np.abs(component)
        if component[np.argmax(magnitude >= magnitude.max() * (1 - _TIE))] < 0:
            component *= -1
    original = np.asarray(values, np.float64)
    original = original - original[0]
    plane[:, : len(loadings)] = (original - original.mean(axis=0)) @ loadings.T
    return plane
