"""The picture of a run before its engine is there: that of its epoch 0, and nothing of it is kept."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from ibtui.config import RunConfig, WatchOptions
from ibtui.data.samples import make_dataset
from ibtui.run.beforehand import Beforehand
from ibtui.run.log import LogFile
from ibtui.run.mirror import Mirror
from ibtui.run.protocol import Frame, Preview, Pull, Representation
from ibtui.run.state import RunState
from tests.run.driver import SMALL, finished


def shown(config: RunConfig, *, numbers: bool) -> list[tuple[Preview, Representation]]:
    """The pictures of a run of this configuration."""
    given: list[tuple[Preview, Representation]] = []
    beforehand = Beforehand(lambda preview, shown: given.append((preview, shown)))
    beforehand.show(config, make_dataset(config))
    if numbers:
        beforehand.show_numbers()
    return given


def test_the_first_picture_is_the_first_measurement_of_the_run() -> None:
    (plain, points), (measured, numbers) = shown(SMALL, numbers=True)
    recording = finished(replace(SMALL, epochs=1))
    activations = recording.activations(0)
    assert activations is not None
    for layer, t in enumerate(activations):
        np.testing.assert_array_equal(points.points[layer], t)
        np.testing.assert_array_equal(numbers.points[layer], t)
    assert plain.update is None and not points.values
    assert measured.update is not None
    for name in recording.quantities:
        np.testing.assert_array_equal(measured.update.columns[name][0], recording.column(name)[0])
        np.testing.assert_array_equal(numbers.values[name], recording.column(name)[0])


def test_the_first_picture_needs_nothing_that_is_compiled() -> None:
    code = (
        "import sys; from ibtui.config import RunConfig; from ibtui.data.samples import make_dataset;"
        "from ibtui.run.beforehand import Beforehand; given = [];"
        "c = RunConfig(); Beforehand(lambda *a: given.append(a)).show(c, make_dataset(c));"
        "assert len(given) == 1; assert 'numba' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_it_is_sent_once_until_there_is_a_run_and_no_recording_comes_of_it() -> None:
    state, mirror = RunState(WatchOptions(), LogFile(-1)), Mirror()
    for preview, picture in shown(SMALL, numbers=True):
        state.show_beforehand(preview, picture)
        frame = state.frame(Pull(drawn=mirror.representation.key if mirror.representation else None))
        assert frame.preview is preview and frame.representation is picture
        mirror.check(frame)
        mirror.apply(frame)
        assert state.frame(Pull(drawn=picture.key)).preview is None
    assert mirror.recording is None and mirror.preview is not None and len(mirror.preview) == 1
    assert not state.unsaved and state.snapshot() is None and not state.seen
    state.begin(finished(), state="finished")
    mirror.apply(state.frame(Pull(drawn=picture.key)))
    assert mirror.preview is None and mirror.recording is not None and mirror.reference is None


def test_a_net_that_is_refused_has_no_picture_and_one_too_large_no_numbers(
    capsys: pytest.CaptureFixture[str],
) -> None:
    wide = replace(SMALL, layers=(600, 600, 2), samples=2000)
    assert [preview.update for preview, _ in shown(wide, numbers=True)] == [None]
    assert shown(replace(SMALL, data="gaussians:classes=3"), numbers=True) == []
    assert Frame(RunState(WatchOptions(), LogFile(-1)).status).preview is None
    assert "Traceback" in capsys.readouterr().err
