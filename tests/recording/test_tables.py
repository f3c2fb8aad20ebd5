"""A recording in a notebook: `ibtui.load`, and the tables of pandas and xarray."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

import ibtui
from ibtui.errors import IbtuiError
from ibtui.recording.files import save
from tests.recording.fuzz import example


@pytest.fixture
def run(tmp_path) -> ibtui.Recording:
    save(example(5), tmp_path / "run.npz")
    return ibtui.load(tmp_path / "run.npz")


def test_a_recording_is_loaded_with_its_arrays_by_name(run):
    assert isinstance(run, ibtui.Recording)
    assert len(run) == 5
    assert run.column("i_ty").shape == (5, 2)
    assert run.column("epoch").tolist() == [0, 10, 20, 30, 40]
    assert [layer.width for layer in run.layers] == [3, 2]


@pytest.mark.optional
def test_a_data_frame_has_a_row_for_each_measurement_and_layer(run):
    pandas = pytest.importorskip("pandas")
    frame = run.to_dataframe()
    assert isinstance(frame, pandas.DataFrame)
    assert list(frame.columns) == list(run.quantities)
    assert frame.index.names == ["epoch", "layer"]
    assert len(frame) == 10
    for row, epoch in enumerate(run.column("epoch")):
        for layer in range(2):
            found = frame.loc[(epoch, layer)]
            assert found["i_xt"] == run.column("i_xt")[row, layer]
            assert found["train_loss"] == run.column("train_loss")[row]
    assert frame["outside"].dtype == np.int64


@pytest.mark.optional
def test_a_dataset_has_epochs_and_layers_for_its_axes(run):
    pytest.importorskip("xarray")
    dataset = run.to_xarray()
    assert dict(dataset.sizes) == {"epoch": 5, "layer": 2}
    assert np.array_equal(dataset["i_ty"].sel(epoch=30, layer=1), run.column("i_ty")[3, 1])
    assert dataset["train_accuracy"].dims == ("epoch",)
    assert dataset["i_ty"].attrs == {"long_name": "I(T;Y)", "units": "nats"}
    assert dataset.attrs["h_x"] == run.ceilings["h_x"]
    assert json.loads(dataset.attrs["config"])["layers"] == [3, 2]


@pytest.mark.parametrize("package", ["pandas", "xarray"])
def test_a_package_that_is_not_there_is_named(run, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(IbtuiError, match=f"{package} is not installed: pip install {package}"):
        run.to_dataframe() if package == "pandas" else run.to_xarray()


def test_importing_the_package_imports_nothing_heavy():
    code = "import sys, ibtui; print(*sorted({m.split('.')[0] for m in sys.modules}))"
    loaded = subprocess.check_output([sys.executable, "-c", code], text=True).split()
    assert not {"numpy", "numba", "textual", "rich", "mxnet", "pandas", "msgspec"} & set(loaded)
    code = "import sys, ibtui; ibtui.load; print(*sorted({m.split('.')[0] for m in sys.modules}))"
    loaded = subprocess.check_output([sys.executable, "-c", code], text=True).split()
    assert not {"numba", "textual", "rich", "mxnet", "pandas", "xarray", "msgspec"} & set(loaded)


def test_other_names_are_not_there():
    with pytest.raises(AttributeError, match="no attribute 'lod'"):
        ibtui.lod  # noqa: B018
