"""The run before the last restart: estimated with the binning of the present one, and drawn behind it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ibtui.core.information import Binning
from ibtui.plot import palette
from ibtui.plot.plane import plane_plot
from ibtui.plot.trails import Sketch
from ibtui.run import wire
from ibtui.run.protocol import Peek, Rebin, Restart
from tests.faults.boxes import wait_for
from tests.run.driver import SMALL, Driver, finished


def test_a_run_that_no_frame_showed_is_no_reference_and_costs_nothing() -> None:
    """Two restarts between two frames: the run before is not the one that the screen holds."""
    with Driver.train(SMALL) as driver:
        driver.until_state("finished").pull()
        first = driver.recording
        driver.send(Restart(2))
        driver.send(Restart(3))
        with wire.connect(driver.client.name) as line:  # no frame comes meanwhile
            wait_for(lambda: line.ask(Peek()).status.run == 2)
        driver.until(lambda d: d.status.run == 2 and d.status.state == "finished").pull()
        assert driver.mirror.reference is None
        driver.send(Rebin(Binning("closed", 3, 20)))
        driver.until(lambda d: d.recording.binning.kind == "closed" and not d.status.pending)
        assert first.binning.kind == "notebook"
        driver.send(Restart(4))
        driver.until(lambda d: d.status.run == 3)
        assert driver.mirror.reference.config.seed == 3


def test_the_run_before_takes_the_binning_of_the_present_one() -> None:
    with Driver.train(SMALL) as driver:
        driver.until_state("finished").pull()
        driver.send(Restart(2))
        driver.until(lambda d: d.status.run == 1 and d.status.state == "finished").pull()
        wanted = Binning("closed", 3, 20)
        driver.send(Rebin(wanted))
        driver.until(lambda d: d.mirror.reference.binning == wanted)
        driver.until(lambda d: not len(d.mirror.reference.pending()))
        expected = finished(replace(SMALL, binning="closed", x_bins=3, t_bins=20))
        for name in ("i_xt", "i_ty", "chance_i_xt", "chance_i_ty"):
            np.testing.assert_array_equal(driver.mirror.reference.column(name), expected.column(name))
        assert driver.mirror.reference.config.seed == 1
        assert driver.recording.binning == wanted and not driver.status.pending


def test_the_plane_draws_it_behind_everything_and_keeps_it_in_sight() -> None:
    path = np.linspace([0.2, 0.2], [1.0, 0.5], 20)
    far = np.linspace([0.1, 0.1], [4.0, 1.0], 20)
    plain = plane_plot(path, path, 40, 14, "ascii", h_x=2.0, h_y=0.6)
    both = plane_plot(path, path, 40, 14, "ascii", h_x=2.0, h_y=0.6, reference=(far, far), sketch=Sketch())
    assert (plain.ink == palette.REFERENCE).sum() == 0 < (both.ink == palette.REFERENCE).sum()
    assert {"0", "1"} <= set("".join(both.text()))


def test_a_layers_number_leaves_the_plane_with_a_run_that_has_diverged() -> None:
    path = np.linspace([0.2, 0.2], [1.0, 0.5], 20)
    path[-1, 0] = np.nan
    text = "".join(plane_plot(path, path, 15, 5, "ascii", h_x=2.0, h_y=0.6).text())
    assert "1" in text and "0" not in text
