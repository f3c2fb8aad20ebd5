"""The papers' results, seen again: ten seeds of each preset against numbers of independent code in float64.

Those are means over five seeds of the last measurement, in bits, of layers 10, 7, 5, 4, 3 and the output
after softmax; the split was drawn anew for each seed. One of its five ReLU nets had died, and is in its mean.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from ibtui.config import build
from ibtui.quantities import Array
from ibtui.run.trainer import Trainer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

TANH_I_XT = np.array([11.998, 11.972, 11.760, 9.882, 3.146, 1.434])
TANH_SD = np.array([0.002, 0.022, 0.134, 0.622, 0.620, 0.113])
TANH_I_TY = np.array([0.9992, 0.9991, 0.9956, 0.9907, 0.9839, 0.9608])
RELU_I_XT = np.array([11.973, 11.623, 9.087, 6.678, 5.324, 1.239])
THEIR_SEEDS, SEEDS = 5, range(1, 11)
LAST_HIDDEN = 4
"""The layer of three units."""
DEAD = 0.6
"""A net that has learned nothing answers with the more frequent class, which 52 % of the samples have."""


@dataclass(frozen=True)
class Runs:
    """The runs of one preset, a row for each seed; information in bits."""

    i_xt: Array
    """Shape (seeds, layers), at the last measurement."""
    i_ty: Array
    compressed: Array
    """The largest I(X;T) less the last."""
    accuracy: Array
    """The samples that train, shape (seeds,)."""

    @property
    def alive(self) -> Array:
        return self.accuracy > DEAD


def runs_of(preset: str) -> Runs:
    rows = []
    for seed in SEEDS:
        config, _ = build(
            {"preset": preset, "seed": seed, "data_seed": seed, "engine": "fused", "ctx": "cpu"}
        )
        trainer = Trainer(config, 1 << 28)
        trainer.train(config.epochs)
        trainer.estimate()
        column = trainer.recording.column
        i_xt, i_ty = (column(name) / np.log(2) for name in ("i_xt", "i_ty"))
        rows.append((i_xt[-1], i_ty[-1], i_xt.max(axis=0) - i_xt[-1], column("train_accuracy")[-1]))
    return Runs(*map(np.array, zip(*rows, strict=True)))


@pytest.fixture(scope="module")
def tanh() -> Runs:
    return runs_of("tishby2017")


@pytest.fixture(scope="module")
def relu() -> Runs:
    return runs_of("saxe2018")


def three_errors(ours: Array, theirs: Array | None = None) -> Array:
    """Return three standard errors of the difference of the two means; without theirs, ours spread alike."""
    own = ours.std(axis=0, ddof=1)
    return 3 * np.sqrt(own**2 / len(ours) + (own if theirs is None else theirs) ** 2 / THEIR_SEEDS)


def test_tanh_layers_know_of_the_input_as_much_as_in_independent_code(tanh: Runs) -> None:
    assert tanh.alive.all()
    apart = np.abs(tanh.i_xt.mean(axis=0) - TANH_I_XT)
    # Where no two nets differ, a thousandth of a bit is what the table was rounded to.
    assert (apart <= three_errors(tanh.i_xt, TANH_SD) + 0.001).all(), apart


def test_tanh_layers_know_of_the_label_as_much_as_in_independent_code(tanh: Runs) -> None:
    apart = np.abs(tanh.i_ty.mean(axis=0) - TANH_I_TY)
    assert (apart <= three_errors(tanh.i_ty) + 0.0001).all(), apart


def test_the_last_hidden_relu_layers_know_as_much_as_in_independent_code(relu: Runs) -> None:
    last = slice(LAST_HIDDEN - 1, LAST_HIDDEN + 1)
    apart = np.abs(relu.i_xt.mean(axis=0) - RELU_I_XT)[last]
    assert (apart <= three_errors(relu.i_xt)[last]).all(), apart


def test_tanh_compresses_its_last_hidden_layer_and_relu_does_not(tanh: Runs, relu: Runs) -> None:
    assert tanh.compressed[:, LAST_HIDDEN].mean() > 2.5
    assert relu.alive.sum() >= 5
    assert relu.compressed[relu.alive, LAST_HIDDEN].mean() < 0.5
