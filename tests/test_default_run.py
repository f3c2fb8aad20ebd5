"""The default experiment, recorded whole: its file is checked against itself by the slow oracle."""

from __future__ import annotations

import importlib.util
import math
import subprocess
import sys

import numpy as np
import pytest

from tests.core import oracle


def dimension(t: np.ndarray) -> float:
    """Of two units, by hand: (s1 + s2)² / (s1² + s2²), where s1² + s2² is the trace of the scatter matrix.

    s1 s2 is the root of its determinant, taken as a sum of squares (Lagrange's identity): the textbook
    difference would cancel for a layer that is nearly a line.
    """
    x, y = (t - t.mean(0)).T
    trace = float((x * x + y * y).sum())
    cross = np.outer(x, y) - np.outer(y, x)
    return (trace + 2 * math.sqrt(0.5 * float((cross * cross).sum()))) / trace


@pytest.mark.parametrize("engine", ["gluon", "fused"])
def test_the_numbers_in_the_file_follow_from_its_own_weights(engine):
    if engine == "gluon" and importlib.util.find_spec("mxnet") is None:
        pytest.skip("MXNet is not installed")
    command = [sys.executable, "-m", "ibtui", "--record", "run.npz", "--engine", engine, "--ctx", "cpu"]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    with np.load("run.npz", allow_pickle=False) as file:
        run = dict(file)
    assert run["epoch"].tolist() == list(range(0, 2001, 10))
    assert run["t_index"].tolist() == list(range(201))
    assert run["h_y"] == pytest.approx(0.69308, abs=1e-5)
    assert run["h_x"] == pytest.approx(2.7636, abs=1e-4)
    for layer in range(4):
        before = run["x"][None] if layer == 0 else run[f"t{layer - 1}"]
        weight, bias = run[f"weight{layer}"].astype(float), run[f"bias{layer}"].astype(float)
        exact = np.tanh(before.astype(float) @ weight.transpose(0, 2, 1) + bias[:, None])
        assert np.abs(exact - run[f"t{layer}"]).max() < 1e-6, "activations are not those of the weights"
        of_x, of_y = oracle.cells(run["x"].tolist(), 4, (0, 1), "notebook"), run["y"].tolist()
        for row in range(201):
            t = run[f"t{layer}"][row].astype(float)
            of_t = oracle.cells(t.tolist(), 100, (-1, 1), "notebook")
            wanted = {
                "i_xt": oracle.mutual_information(of_x, of_t),
                "i_ty": oracle.mutual_information(of_t, of_y),
                "dimension": dimension(t),
            }
            if row in (0, 3, 200):
                wanted |= {
                    "chance_i_xt": oracle.chance(of_x, of_t),
                    "chance_i_ty": oracle.chance(of_t, of_y),
                }
            for name, value in wanted.items():
                assert abs(run[name][row, layer] - value) < 1e-9, f"{name}, layer {layer}, row {row}"
    assert run["train_accuracy"][-1] > 0.95
