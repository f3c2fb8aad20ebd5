"""The screen over a loop of the user's own, on a real terminal."""

from __future__ import annotations

import re

import numpy as np
import pytest

import ibtui
from tests.terminal import Terminal
from tests.watch.loops import Net, ask, connect, process, rows, wait_until


def test_a_session(tmp_path):
    with process(every=10, pause_s=0.02) as child:
        wait_until(lambda: len(rows("net.ibtui")) > 3)
        with Terminal("attach", "net") as terminal:
            terminal.until(r"running +epoch [\d,]+ of 1,000,000")
            terminal.until("hidden")
            terminal.until(r"X (each sample ·|id) pooled")
            terminal.type(" ")
            terminal.until(r"paused +waits at epoch ([\d,]+) for you")
            terminal.settle(0.3)
            epoch = int(terminal.until(r"waits at epoch ([\d,]+) for you")[1].replace(",", ""))
            terminal.type("s")
            terminal.until(rf"waits at epoch {epoch + 1:,} for you")
            terminal.type("]")
            terminal.until(r"T ?150")
            terminal.type("r")
            terminal.until("restart: the loop is your own")
            terminal.type("+")
            terminal.until("pace: the loop is your own")
            terminal.type("q")
            terminal.until(rf"Quit\? net waits at epoch {epoch + 1:,} for you")
            terminal.type("p")
            assert terminal.wait() == 0
        assert "ibtui attach net" in terminal.text
        control = connect()
        assert (ask(control, "status").state, ask(control, "status").epoch) == ("paused", epoch + 1)
        with Terminal("attach") as terminal:
            terminal.until(rf"waits at epoch {epoch + 1:,} for you")
            terminal.type("q")
            terminal.until("Quit")
            terminal.type("g")
            assert terminal.wait() == 0
        wait_until(lambda: ask(control, "status").epoch > epoch + 1)
        with Terminal("attach", "net") as terminal:
            terminal.until("running")
            child.kill()
            child.wait()
            terminal.until(rf"the loop has gone \(pid {child.pid}\)")
            terminal.type(" ")
            terminal.until(r"the loop has gone\s*$")
            terminal.type("w")
            terminal.until(r"saved \S+")
            terminal.type("q")
            assert terminal.wait() == 0
    (saved,) = tmp_path.glob("*.npz")
    assert len(ibtui.load(saved)) == len(rows("net.ibtui"))
    with Terminal("replay", "net.ibtui") as terminal:
        terminal.until(r"epoch [\d,]+ of")
        terminal.type("\x1b[H")
        terminal.until(r"epoch 0 of")
        terminal.type("q")
        assert terminal.wait() == 0


def test_what_is_measured_of_the_net_is_said():
    net = Net(3000)

    def layers(x):
        hidden = net(x)["hidden"]
        named = {"1": hidden, "sequential_flatten0": np.tile(10 * hidden, 200), "encoder.layer.12.output": x}
        return {**named, "a": x, "b": x}

    options = {"activation": {"1": "tanh"}, "name": "net"}
    with ibtui.watch(layers, net.x, net.y, **options) as run:
        list(run.epochs(2))
    with Terminal("attach", "net") as terminal:
        terminal.until("finished")
        terminal.until(r"1,000 of 3,000 samples of a loop")
        terminal.until(r" 512 of 1,200 ")
        titles = terminal.until(r"(?m)^.*input .*$")[0]
        assert re.search(r" 0 +('1'|module 1) .* 1 +sequ\w*… .* 2 +…\S*put ", titles)
        assert "T up to" not in terminal.text
        terminal.type("1")
        terminal.until(r"T up to \d")
        terminal.type("q")
        assert terminal.wait() == 0


@pytest.mark.slow
def test_a_loop_that_has_ended_is_shown():
    with process(epochs=20, every=5, pause_s=0) as child:
        child.wait(20)
    with Terminal("attach", "net") as terminal:
        terminal.until(r"finished +epoch 20 of 20")
        terminal.type(" ")
        terminal.until("the loop has ended")
        terminal.type("q")
        assert terminal.wait() == 0
    assert re.search(r"net: epoch 20 of 20", terminal.text)
