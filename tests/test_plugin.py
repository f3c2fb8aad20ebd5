"""One of each thing from another package, found by entry points: a folder on PYTHONPATH, a file for each."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.marks import slow_sets

PLUGIN = Path(__file__).parent / "plugin"
EPOCHS = ("--epochs", "20", "--every", "5", "--samples", "80")


def ibtui(*arguments: str, plugin: bool = True) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([*([str(PLUGIN)] if plugin else []), os.environ["PYTHONPATH"]])
    command = [sys.executable, "-m", "ibtui", *arguments]
    environment = os.environ | {"PYTHONPATH": path}
    return subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120
    )


def recorded(*arguments: str) -> dict[str, np.ndarray]:
    done = ibtui("--record", "run.npz", *EPOCHS, *arguments)
    assert done.returncode == 0, done.stderr
    with np.load("run.npz", allow_pickle=False) as file:
        return dict(file)


def test_a_dataset_is_trained_on_with_its_own_range():
    run = recorded("--data", "rings", "--engine", "fused", "--data-seed", "3")
    radius = np.hypot(*run["x"].T)
    assert np.array_equal(radius > 1.25, run["y"] == 1)
    assert run["x"].min() < 0
    assert run["x_range"].tolist() == [-2, 2]
    cells = np.minimum((run["x"].astype(float) + 2) // 1, 4)
    counts = np.unique(cells, axis=0, return_counts=True)[1]
    assert run["h_x"] == pytest.approx(-(counts / 40 * np.log(counts / 40)).sum(), abs=1e-12)


def test_quantities_are_columns_of_the_file():
    run = recorded("--quantities", "spread", "--engine", "fused")
    assert run["spread"].shape == (5, 4)
    assert run["distance"].shape == (5,)
    for layer in range(4):
        spread = [np.ptp(t) for t in run[f"t{layer}"]]
        assert run["spread"][:, layer] == pytest.approx(spread)


@pytest.mark.slow
def test_quantities_that_depend_on_the_binning_are_estimated_again(tmp_path):
    before = recorded("--quantities", "spread", "--engine", "fused")
    done = ibtui("report", "run.npz", "--t-bins", "3", "--out", "fine.json")
    assert done.returncode == 0, done.stderr
    after = json.loads(Path("fine.json").read_text())["runs"][0]
    expected = [len(np.unique(np.floor(t * 3), axis=0)) for t in before["t0"]]
    assert [row[0] for row in after["coarse"]] == expected
    assert before["coarse"][:, 0].tolist() != expected
    assert after["spread"] == before["spread"].tolist()


def test_an_engine_may_train_a_net_that_is_no_stack_of_dense_layers():
    run = recorded("--engine", "quadratic", "--lr", "1")
    assert run["i_xt"].shape == (5, 2)
    assert run["plane"].shape == (5, 3, 2)
    assert run["checkpoint_batches"] == 20 * 4
    assert run["t0"].shape == (5, 40, 3)
    assert run["train_accuracy"][-1] > 0.9, "the product of two inputs is XOR"
    assert np.isnan(run["moving_loss"]).all()


@pytest.mark.slow
def test_a_run_of_such_an_engine_is_gone_on_with_exactly():
    whole = recorded("--engine", "quadratic")
    half = ibtui("--record", "half.npz", *EPOCHS[2:], "--epochs", "10", "--engine", "quadratic")
    assert half.returncode == 0, half.stderr
    done = ibtui("--resume", "half.npz", "--epochs", "20", "--record", "on.npz")
    assert done.returncode == 0, done.stderr
    with np.load("on.npz") as file:
        for key, values in whole.items():
            assert file[key].tobytes() == values.tobytes(), key


@pytest.mark.slow
def test_activations_that_are_not_stored_are_derived_by_the_engine():
    run = recorded("--engine", "quadratic", "--quantities", "spread")
    stripped = {k: v for k, v in run.items() if not (k[0] == "t" and k[1:].isdigit())}
    stripped["t_index"] = np.zeros(0, np.int64)
    for layer, width in enumerate((3, 2)):
        stripped[f"t{layer}"] = np.zeros((0, 40, width), np.float32)
    np.savez("derived.npz", **stripped)
    for name in ("run", "derived"):
        assert ibtui("report", f"{name}.npz", "--t-bins", "9", "--out", f"{name}.csv").returncode == 0
    texts = [Path(f"{name}.csv").read_text().replace(f"{name}.npz", "") for name in ("run", "derived")]
    assert texts[0] == texts[1]


@pytest.mark.slow
def test_a_file_is_read_without_what_made_it():
    run = recorded("--data", "rings", "--quantities", "spread", "--engine", "quadratic")
    shown = ibtui("report", "run.npz", plugin=False)
    assert shown.returncode == 0, shown.stderr
    assert "rings" in shown.stdout
    table = ibtui("report", "run.npz", "--out", "run.csv", plugin=False)
    assert table.returncode == 0, table.stderr
    head, *rows = Path("run.csv").read_text().splitlines()
    column = head.split(",").index("spread")
    assert [float(row.split(",")[column]) for row in rows] == run["spread"].ravel().tolist()
    drawn = ibtui("report", "run.npz", "--quantity", "spread", plugin=False)
    assert drawn.returncode == 0, drawn.stderr
    assert "spread" in drawn.stdout
    resumed = ibtui("--resume", "run.npz", "--epochs", "30", "--record", "on.npz", plugin=False)
    assert resumed.returncode == 2
    assert resumed.stderr.count("\n") == 1
    assert not Path("on.npz").exists()


def test_the_help_names_them():
    text = " ".join(ibtui("--help").stdout.split())
    for name in ("rings", "spread", "quadratic"):
        assert name in text
    assert "rings" not in ibtui("--help", plugin=False).stdout


@pytest.mark.parametrize(
    ("flag", "name"),
    [("--data", "brokenrings"), ("--quantities", "brokenspread"), ("--engine", "brokenengine")],
)
def test_a_broken_one_is_told_in_a_line(flag, name):
    done = ibtui("--record", "run.npz", *EPOCHS, flag, name)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert name in done.stderr
    assert "a_package_that_is_not_there" in done.stderr
    assert not Path("run.npz").exists()


@pytest.mark.parametrize("flag", ["--data", "--quantities", "--engine"])
def test_an_unknown_one_is_refused_with_the_nearest(flag):
    near = {"--data": "ring", "--quantities": "spreed", "--engine": "quadratik"}[flag]
    done = ibtui("--record", "run.npz", *EPOCHS, flag, near)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert {"ring": "rings", "spreed": "spread", "quadratik": "quadratic"}[near] in done.stderr


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("del state['offset']", "gives nothing for offset"),
        *slow_sets(("state['plane'] = np.zeros(3)", r"gives \(3,\) for plane, not \(3, 2\)")),
    ],
)
def test_an_engine_whose_state_is_not_as_declared_is_told_in_a_line(tmp_path, change, told):
    """In the place of the first: another quadratic engine, found earlier."""
    source = (PLUGIN / "quadratic.py").read_text()
    returned = "return {name: value.copy() for name, value in self._state.items()}"
    assert returned in source
    changed = f"state = {returned.removeprefix('return ')}\n        {change}\n        return state"
    (tmp_path / "quadratic.py").write_text(source.replace(returned, changed))
    path = os.pathsep.join([str(tmp_path), str(PLUGIN), os.environ["PYTHONPATH"]])
    done = subprocess.run(
        [sys.executable, "-m", "ibtui", "--record", "run.npz", *EPOCHS, "--engine", "quadratic"],
        env=os.environ | {"PYTHONPATH": path}, stdin=subprocess.DEVNULL, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert re.search(told, done.stderr), done.stderr


FLAGS = {"rings": "--data", "spread": "--quantities", "quadratic": "--engine"}
NONE = "@(lambda *_, **__: lambda f: 3)"
WRONG = [
    ("rings", "    random = ", "    1 / 0\n    random = ", "ZeroDivisionError"),
    ("rings", "    return np", "    return 3, 4\n    return np", "must give finite"),
    ("rings", "@dataset", NONE, "it is none"),
    ("spread", "    outputs, y", "    1 / 0\n    outputs, y", "ZeroDivisionError"),
    ("spread", "[np.ptp(t) for", "[[np.ptp(t)] for", "must have the shape"),
    ("spread", "@measures", NONE, "it is none"),
    ("quadratic", "return Training(", "return 1 / 0, (", "ZeroDivisionError"),
    ("quadratic", "quadratic = Quadratic()", "quadratic = 3", "it is none"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "old", "new", "told"), WRONG)
def test_one_that_is_wrong_is_told_in_a_line(tmp_path, name, old, new, told):
    source = (PLUGIN / f"{name}.py").read_text()
    assert old in source
    (tmp_path / f"{name}.py").write_text(source.replace(old, new, 1))
    path = os.pathsep.join([str(tmp_path), str(PLUGIN), os.environ["PYTHONPATH"]])
    command = [sys.executable, "-m", "ibtui", "--record", "run.npz", "--engine", "fused", *EPOCHS]
    done = subprocess.run(
        [*command, FLAGS[name], name], env=os.environ | {"PYTHONPATH": path}, stdin=subprocess.DEVNULL,
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode in (1, 2)
    assert done.stderr.count("\n") == 1, done.stderr
    assert told in done.stderr
    assert "fault of ibtui's own" not in done.stderr


@pytest.mark.slow
def test_what_is_estimated_again_sees_the_measurement_as_it_was(tmp_path):
    """A quantity of the epoch, of the samples held out and of the losses is the same after rebinning."""
    (tmp_path / "spread.py").write_text(
        "from ibtui.quantities import Quantity, measures\n"
        "@measures(*(Quantity(n, n, per_layer=False, rebinned=True) for n in ('when', 'out', 'moved')))\n"
        "def spread(sample):\n"
        "    moved = sample.scalars['moving_loss']\n"
        "    return {'when': sample.epoch, 'out': sample.held_out.sum(), 'moved': moved}\n"
    )
    path = os.pathsep.join([str(tmp_path), str(PLUGIN), os.environ["PYTHONPATH"]])
    tables = []
    for arguments in (
        ["--record", "run.npz", *EPOCHS, "--engine", "fused", "--quantities", "spread"],
        ["report", "run.npz", "--out", "0.json"],
        ["report", "run.npz", "--t-bins", "7", "--out", "1.json"],
    ):
        command = [sys.executable, "-m", "ibtui", *arguments]
        subprocess.run(command, env=os.environ | {"PYTHONPATH": path}, check=True, stdin=subprocess.DEVNULL)
    tables = [json.loads(Path(f"{i}.json").read_text())["runs"][0] for i in range(2)]
    assert tables[0]["when"] == tables[0]["epoch"]
    assert tables[0]["i_ty"] != tables[1]["i_ty"]
    for name in ("when", "out", "moved"):
        assert tables[1][name] == tables[0][name], name
