"""Two measures of the number of directions that a layer's activations use; they must not be confused."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ibtui.core._arrays import labels, matrix, same_length

NARROW = 32
"""Layers of so many units and fewer are cheaper to measure by compiled code than by LAPACK."""


def centred(t: ArrayLike) -> NDArray[np.float64] | None:
    """Activations minus their mean, scaled by one power of two to at most 1; None where they are not finite.

    The scale changes no ratio of singular values and keeps their squares from overflowing or vanishing. The
    first row is subtracted before the mean is taken: rows that are all alike then give exactly zero, and not
    the rounding error of their mean.
    """
    values = np.asarray(matrix("t", t), np.float64)
    if not np.isfinite(values).all():
        return None
    values = _scaled(values)
    values = values - values[0]
    # The bits of values.mean(axis=0), in a third of its time.
    return _scaled(values - np.add.reduce(values, axis=0) / len(values))


def _scaled(values: NDArray[np.float64]) -> NDArray[np.float64]:
    _, exponent = math.frexp(float(np.abs(values).max()))
    return np.ldexp(values, -exponent)


def dimension(t: ArrayLike) -> float:
    """(Σs)² / Σs², s the singular values of the centred activations.

    Two units whose singular values have the ratio r give 1 + 2r / (1 + r²): 1 on a line, 2 where both
    directions count alike. The measure is the participation ratio's, on singular values where that one takes
    their squares, and therefore forgets a fading direction later.

    Parameters
    ----------
    t : array-like of shape (N, width) or (N,)
        Activations of one layer: real numbers, or ValueError; computed on in float64.

    Returns
    -------
    float
        1 to width; NaN where there is no variance, or where activations are not finite.
    """
    return _of_singular_values(centred(t))


def _of_singular_values(deviations: NDArray[np.float64] | None) -> float:
    if deviations is None:
        return math.nan
    try:
        # LAPACK reduces a tall matrix to its triangular factor first, so a million rows are no trouble.
        s = np.linalg.svd(deviations, compute_uv=False)
    except np.linalg.LinAlgError:
        return math.nan
    return _effective_number(float(s.sum()), float(s @ s))


def participation_ratio(t: ArrayLike) -> float:
    """(Σλ)² / Σλ², λ the eigenvalues of the activations' covariance.

    Two units whose singular values have the ratio r give 1 + 2r² / (1 + r⁴). Computed as trace(C)² / ‖C‖²,
    which is the same number: a symmetric matrix has the sum of its eigenvalues on its diagonal, and the sum
    of their squares as its squared Frobenius norm. Argument, range and errors are those of `dimension`.

    References
    ----------
    Abbott, Rajan and Sompolinsky, "Interactions between intrinsic and stimulus-evoked activity in recurrent
    neural networks" (2011): their effective dimensionality, 1 / Σλ² of eigenvalues that sum to 1.
    """
    return _of_covariance(centred(t))


def _of_covariance(deviations: NDArray[np.float64] | None) -> float:
    if deviations is None:
        return math.nan
    if deviations.shape[0] < deviations.shape[1]:
        deviations = deviations.T  # the smaller product has the same eigenvalues, but for zeros
    covariance = deviations.T @ deviations  # but for a factor, which the ratio does not see
    return _effective_number(float(np.trace(covariance)), float((covariance * covariance).sum()))


def effective_rank(t: ArrayLike) -> float:
    """exp of the entropy of s / Σs, s the singular values of the centred activations.

    As many as there are equal singular values. Argument, range and errors are those of `dimension`, which it
    is never below.

    References
    ----------
    Roy and Vetterli, "The effective rank: a measure of effective dimensionality" (2007).
    """
    if (deviations := centred(t)) is None:
        return math.nan
    try:
        s = np.linalg.svd(deviations, compute_uv=False)
    except np.linalg.LinAlgError:
        return math.nan
    if not (s := s[s > 0]).size:
        return math.nan
    shares = s / s.sum()
    return math.exp(-float(shares @ np.log(shares)))


def label_cka(t: ArrayLike, y: ArrayLike) -> float:
    """Linear centred kernel alignment of activations with one-hot labels.

    ‖XᵀY‖² / (‖XᵀX‖ ‖YᵀY‖) in Frobenius norms, X the centred activations and Y the centred one-hot labels. It
    misleads where directions differ much in variance: those of the largest decide.

    Parameters
    ----------
    t : array-like of shape (N, width) or (N,)
        Activations of one layer.
    y : array-like of shape (N,), integers
        Labels of the same samples, any values.

    Returns
    -------
    float
        0 to 1; NaN where activations or labels have no variance, or activations are not finite. Shapes that
        differ are a ValueError.

    References
    ----------
    Kornblith, Norouzi, Lee and Hinton, "Similarity of neural network representations revisited" (2019).
    """
    classes = labels("y", y)
    deviations = centred(t)
    if deviations is None:
        return math.nan
    same_length("t", deviations, "y", classes)
    one_hot = centred((classes[:, np.newaxis] == np.unique(classes)).astype(np.float64))
    assert one_hot is not None
    norms = _gram_norm(deviations) * _gram_norm(one_hot)
    return float(((deviations.T @ one_hot) ** 2).sum()) / norms if norms > 0 else math.nan


def _gram_norm(deviations: NDArray[np.float64]) -> float:
    """‖XᵀX‖, from the smaller of the two products."""
    if deviations.shape[0] < deviations.shape[1]:
        deviations = deviations.T
    return float(np.linalg.norm(deviations.T @ deviations))


def both(t: ArrayLike) -> tuple[float, float]:
    """`dimension` and `participation_ratio`; centring, the larger part, is done once."""
    deviations = centred(t)
    return _of_singular_values(deviations), _of_covariance(deviations)


def _effective_number(total: float, total_of_squares: float) -> float:
    return total * total / total_of_squares if total_of_squares > 0 else math.nan
