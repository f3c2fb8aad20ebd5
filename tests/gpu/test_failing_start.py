"""A GPU that the driver lists and that fails when it is used: the screen says so, and c trains on the CPU."""

import pytest

from tests.gpu.test_nvidia import DRIVER, NEEDS_GCC, library
from tests.terminal import Terminal

pytest.importorskip("cuda.bindings", reason="cuda-bindings is in the extra gpu")


@pytest.mark.slow
@NEEDS_GCC
def test_a_run_whose_card_fails_at_the_start_is_begun_anew_on_the_cpu(tmp_path, monkeypatch):
    library(tmp_path / "driver", "libcuda.so.1", DRIVER.replace("STATUS", "0"))
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path / "driver"))
    with Terminal("--ctx", "gpu0", "--engine", "fused") as terminal:
        terminal.until("the run failed: gpu0: ")
        terminal.until("c begin anew, on the CPU if a GPU failed")
        terminal.type("c")
        terminal.until(r"epoch [1-9]\d* of 2,000.*cpu · fused")
        terminal.type(" ")
        terminal.until("paused")
        terminal.type("q")
        terminal.until("q +quit without saving")
        terminal.type("q")
        assert terminal.wait() == 0
