"""The recordings that all tests of reports read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ibtui.data.samples import make_dataset
from ibtui.recording.files import save
from ibtui.run.measuring import new_recording
from tests.report.making import CONFIG, record


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """a, b and c: three seeds. nan: b, diverged at 30. relu, deep: other nets. short: without 10, 20.

    huge: activations up to the largest float, infinite in the last layers.
    """
    folder = tmp_path_factory.mktemp("recordings")
    for name, seed in (("a", 1), ("b", 2), ("c", 3)):
        save(record(replace(CONFIG, seed=seed)), folder / f"{name}.npz")
    save(record(replace(CONFIG, seed=2), poison=30), folder / "nan.npz")
    save(record(replace(CONFIG, layers=(3, 7, 1, 2), activation="relu")), folder / "relu.npz")
    save(record(replace(CONFIG, layers=(2, 2, 2))), folder / "three.npz")
    save(record(replace(CONFIG, layers=(2,) * 12)), folder / "deep.npz")
    save(record(replace(CONFIG, seed=5), drop=(10, 20)), folder / "short.npz")
    huge = replace(CONFIG, layers=(64,) * 6 + (2,), activation="relu")
    save(record(huge, sigma=1e6), folder / "huge.npz")
    save(record(replace(CONFIG, epochs=1, every=5)), folder / "one.npz")
    save(new_recording(CONFIG, make_dataset(CONFIG), 1), folder / "empty.npz")
    return folder
