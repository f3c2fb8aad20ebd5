"""The default experiment and odd ones: the golden numbers, and those of the slow oracle."""

from __future__ import annotations

import importlib.util
import json
import math
from collections.abc import Callable

import numpy as np
import pytest

from tests import golden
from tests.core import oracle

Runs = dict[str, dict[str, np.ndarray]]


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(name, marks=[pytest.mark.slow] if name == "gluon" else []) for name in golden.ENGINES
    ],
)
def engine(request: pytest.FixtureRequest) -> str:
    if request.param == "gluon" and importlib.util.find_spec("mxnet") is None:
        pytest.skip("MXNet is not installed")
    return request.param


@pytest.fixture(scope="module")
def runs(engine: str, tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """Every run of `golden.RUNS`, recorded now: its arrays by its name."""
    folder = tmp_path_factory.mktemp("golden")
    return {name: golden.arrays(path) for name, path in golden.record(engine, folder).items()}


def test_the_numbers_are_the_golden_ones(
    engine: str, runs: Runs, record_property: Callable[[str, object], None]
):
    made = golden.arrays(golden.DATA)
    about = json.loads(str(made["about"]))
    here, there = golden.processor(), about["made_on"]
    other = [name for name in there if here.get(name) != there[name] and (name, engine) != ("mxnet", "fused")]
    for name, run in runs.items():
        if other:
            check_to_rounding(run, made[f"{engine} {name}"], tolerances(made, name, run), name)
        else:
            digests = about["digests"][f"{engine} {name}"]
            assert digests, name
            different = [key for key in digests if golden.digest(run[key]) != digests[key]]
            assert not different, f"{name}: other bits in {', '.join(different)}"
    how = (
        f"to rounding only: not of the same kind as the data's are {', '.join(other)}"
        if other
        else "to the bit"
    )
    record_property("told", f"{engine}: compared with the golden numbers {how}")


def tolerances(made: dict[str, np.ndarray], name: str, run: dict[str, np.ndarray]) -> np.ndarray:
    """Return how far the numbers of a run may be from its table on another processor: (rows, numbers).

    The two engines differ by rounding alone, as processors do. Training amplifies that, in some runs until
    nothing is left in common. Allowed is 30 times what the engines have come to differ by at the next row;
    beyond that a hundred-thousandth, a ten-thousandth of the largest weight (rounding is all that moves a
    saturated unit), and where samples are counted as much as two of them make.
    """
    apart = np.nan_to_num(np.abs(made[f"fused {name}"] - made[f"gluon {name}"])).max(1)
    apart = np.maximum.accumulate(np.append(apart[1:], apart[-1]))
    samples = len(run["x"])
    floors = dict.fromkeys(("i_xt", "i_ty", "chance_i_xt", "chance_i_ty"), 4 * math.log(samples) / samples)
    floors |= dict.fromkeys(("occupancy", "saturation", "train_accuracy", "test_accuracy"), 2 / samples)
    floors |= {"outside": 2}
    table = golden.table(run)
    weights = [np.abs(table[key][np.isfinite(table[key])]).max() for key in table if key.startswith("weight")]
    floors |= {key: 1e-4 * max(weights) for key in table if key.startswith(("weight", "bias"))}
    others = [
        floors.get(key, 0) + 1e-5 * (1 + np.nan_to_num(np.abs(t), posinf=0)) for key, t in table.items()
    ]
    return 30 * apart[:, None] + np.hstack(others)


def check_to_rounding(
    run: dict[str, np.ndarray], wanted: np.ndarray, tolerance: np.ndarray, name: str
) -> None:
    """Assert that a run agrees with a table of the same run, made elsewhere."""
    found = np.hstack(list(golden.table(run).values()))
    assert found.shape == wanted.shape, name
    assert (np.isfinite(found) == np.isfinite(wanted)).all(), f"{name}: diverges elsewhere"
    finite = np.isfinite(wanted)
    row, column = np.unravel_index(
        np.argmax(np.where(finite, np.abs(found - wanted) / tolerance, 0)), found.shape
    )
    apart, most = abs(found[row, column] - wanted[row, column]), tolerance[row, column]
    assert apart <= most, (
        f"{name}: more than rounding apart: {apart} in row {row}, column {column}, not {most}"
    )


def test_what_is_allowed_for_rounding_finds_another_run(engine: str, runs: Runs):
    made = golden.arrays(golden.DATA)
    for name, run in runs.items():
        wanted, tolerance = made[f"{engine} {name}"], tolerances(made, name, run)
        check_to_rounding(run, wanted, tolerance, name)
        changed = run | {"weight0": run["weight0"] + np.float32(0.01) * np.abs(run["weight0"]).max()}
        with pytest.raises(AssertionError, match=f"{name}: more than rounding"):
            check_to_rounding(changed, wanted, tolerance, name)


def dimension(t: np.ndarray) -> float:
    """The dimension of two units, by hand: (s1 + s2)² / (s1² + s2²).

    s1² + s2² is the trace of the scatter matrix.
    s1 s2 is the root of its determinant, taken as a sum of squares (Lagrange's identity): the textbook
    difference would cancel for a layer that is nearly a line.
    """
    x, y = (t - t.mean(0)).T
    trace = float((x * x + y * y).sum())
    cross = np.outer(x, y) - np.outer(y, x)
    return (trace + 2 * math.sqrt(0.5 * float((cross * cross).sum()))) / trace


def test_the_numbers_in_the_file_follow_from_its_own_weights(runs: Runs):
    run = runs["default"]
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
