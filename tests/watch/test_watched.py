"""A watched loop in ibtui's own worker, and its stream as a recording: live, late, and after its death."""

from __future__ import annotations

import math
import os
import random
import signal
import socket
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import ibtui
from ibtui.config import WatchOptions
from ibtui.core.information import Binning, Estimator
from ibtui.errors import RecordingError
from ibtui.recording import files
from ibtui.run import loops
from ibtui.run.client import Patience, WorkerClient
from ibtui.run.job import new_job
from ibtui.run.log import LogFile
from ibtui.run.protocol import Leave, Pause, Rebin, Restart, Resume, Save, SetPace, Step
from ibtui.run.state import RunState
from ibtui.run.watched import Watched
from ibtui.run.worker_saver import WorkerSaver
from ibtui.stream import Writer
from tests.marks import slow
from tests.run.driver import Driver
from tests.watch.loops import Net, ask, connect, process, rows, until, wait_until


def attached(path: str | Path = "net.ibtui", **options: object) -> Driver:
    job = new_job(None, WatchOptions(**options), watch=os.path.abspath(path))
    return Driver(WorkerClient(job))


def finished(epochs: int = 20, **options: object) -> Net:
    """Train in a watched loop to its end."""
    net = Net()
    with ibtui.watch(net, net.x, net.y, **{"name": "net", "every": 5, **options}) as run:
        for epoch in run.epochs(epochs):
            net.train()
            if epoch >= 5:
                run.log(loss=epoch, accuracy=0.5, test_accuracy=0.25, rate=0.1)
    return net


# Recordings.


def test_a_stream_is_a_recording():
    finished()
    run = ibtui.load("net.ibtui")
    assert run.column("epoch").tolist() == [0, 5, 10, 15, 20]
    assert [layer.name for layer in run.layers] == ["hidden", "out"]
    assert np.isnan(run.column("train_loss")[:2]).all() and run.column("train_loss")[2:].tolist() == [
        9,
        14,
        19,
    ]
    assert run.column("test_accuracy")[-1] == 0.25 and np.isnan(run.column("test_loss")).all()
    assert run.column("rate")[2:].tolist() == [0.1] * 3
    assert run.binning == Binning("pooled", 4, 100, identity=True) and run.diverged_at is None


def test_a_stream_whose_end_nobody_planned_ends_where_it_ends():
    net = Net()
    with ibtui.watch(net, net.x, net.y, name="net") as run:
        for epoch in range(13):
            run.step(epoch)
    assert ibtui.load("net.ibtui").config.epochs == 12


def test_its_numbers_are_those_of_the_activations():
    net = finished()
    run = ibtui.load("net.ibtui")
    estimator = Estimator(net.x, net.y, run.binning, ["", ""])
    for row, found in enumerate(rows("net.ibtui")):
        numbers = estimator.measure(list(found.activations))
        for name in ("i_xt", "i_ty", "chance_i_ty", "dimension", "occupancy"):
            assert np.array_equal(run.column(name)[row], getattr(numbers, name), equal_nan=True)


def test_it_is_written_and_read_as_any_recording(tmp_path):
    finished()
    run = ibtui.load("net.ibtui")
    files.save(run, "net.npz")
    again = ibtui.load("net.npz")
    for name in run.names:
        assert np.array_equal(run.column(name), again.column(name), equal_nan=True)
    assert all((a == b).all() for row in range(5)
               for a, b in zip(run.activations(row), again.activations(row), strict=True))  # fmt: skip
    assert again.layers == run.layers and again.measured_of == run.measured_of == 200
    assert again.dataset.names == ("0", "1") and again.config.engine == "watched"


def test_what_was_chosen_from_is_said_in_recordings_and_reports(capsys):
    from ibtui.cli import main

    net = Net(3000)

    def wide(x):
        return {"conv": np.tile(x[:, :, None], (1, 1, 400)), "5": x}

    with ibtui.watch(wide, net.x, net.y, name="net") as run:
        list(run.epochs(1))
    files.save(ibtui.load("net.ibtui"), "net.npz")
    for file in ("net.ibtui", "net.npz"):
        found = ibtui.load(file)
        assert [(layer.width, layer.units) for layer in found.layers] == [(512, 800), (2, 0)]
        assert (len(found.dataset.x), found.measured_of) == (1000, 3000)
        assert main(["report", file]) == 0
        told = capsys.readouterr()
        assert "1,000 of 3,000 samples" in told.out and "plotext" not in told.err
        assert "layers 0 conv (512 of 800), 1 '5' (2) · measured" in told.out


def test_one_output_unit_is_no_trouble():
    finished()
    assert ibtui.load("net.ibtui").layers[-1].width == 1


def test_names_of_scalars_never_clash(tmp_path):
    net = Net()
    with ibtui.watch(net, net.x, net.y, name="net") as run:
        for _ in run.epochs(1):
            run.log(
                **{"i_xt": 1, "epoch": 2, "a/b": 3, "a b": 4, "t0": 5, "loss": 6, "train_loss": 7, "é": 8}
            )
    found = ibtui.load("net.ibtui")
    labels = {q.label: name for name, q in found.quantities.items()}
    assert {"a/b", "a b", "t0", "é", "epoch"} <= labels.keys() and found.column("train_loss")[-1] == 7
    assert found.column(labels["a/b"])[-1] == 3 and found.column(labels["a b"])[-1] == 4
    files.save(found, "net.npz")
    assert ibtui.load("net.npz").column(labels["é"])[-1] == 8


def test_scalars_alone_are_rows_without_numbers():
    finished(40, max_mb=0.02)
    run = ibtui.load("net.ibtui")
    assert run.column("epoch").tolist() == list(range(0, 41, 5)) and run.column("train_loss")[-1] == 39
    known = np.isfinite(run.column("i_ty")[:, 0])
    assert known[:2].all() and not known[3:].any()
    from ibtui.run.measuring import check_derivable, estimate_pending, meter_of

    meter = meter_of(run, Binning("pooled", 4, 10, identity=True))
    check_derivable(run)
    run.rebin(meter.binning, meter.ceilings)
    estimate_pending(run, meter)
    assert (np.isfinite(run.column("i_ty")[:, 0]) == known).all()
    files.save(run, "net.npz")
    assert len(ibtui.load("net.npz").stored) == known.sum()


def test_command_lines_read_streams(capsys):
    from ibtui.cli import main

    finished()
    assert main(["report", "net.ibtui"]) == 0
    told = capsys.readouterr().out
    assert (
        "net.ibtui  5 measurements, epochs 0 to 20" in told
        and "layers 0 hidden (6), 1 out (1)" in told
        and "sgd" not in told
    )
    assert "diverged" not in told
    assert main(["report", "net.ibtui", "--out", "a.csv"]) == 0
    assert Path("a.csv").read_text().count("\n") == 11
    capsys.readouterr()
    assert main(["--resume", "net.ibtui", "--record", "b.npz"]) == 2
    assert "holds no checkpoint to go on from" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["empty", "begun"])
def test_a_stream_without_measurements_is_refused_in_a_line(kind, capsys):
    from ibtui.cli import main

    writer = Writer("net.ibtui")
    if kind == "begun":
        writer.append({"kind": "begin", "name": "net", "pid": 1})
    for command in ("report", "replay"):
        assert main([command, "net.ibtui"]) == 2
        assert "it holds no measurement yet" in capsys.readouterr().err
    with pytest.raises(RecordingError):
        ibtui.load("net.ibtui")


# The worker.


def test_live_from_its_first_measurement_on():
    with process(), attached() as d:
        d.until(lambda d: d.recording is not None and len(d.recording) > 10 and d.status.state == "running")
        assert d.recording.column("epoch")[:4].tolist() == [0, 5, 10, 15]
        assert np.isfinite(d.recording.column("i_ty")[:5]).all()
        assert d.recording.column("train_loss")[1] > 0 and np.isnan(d.recording.column("train_loss")[0])
        assert (d.status.loop, d.status.state) == ("net", "running") and not d.status.unsaved
        assert d.status.epochs == 1_000_000 and len(d.mirror.representation.points) == 2


def test_paused_stepped_and_shown():
    with process(every=1000), attached() as d:
        d.until(lambda d: d.status.state == "running" and d.status.epoch > 0)
        d.send(Pause())
        d.until(lambda d: d.status.state == "paused" and d.mirror.representation is not None)
        d.until(lambda d: d.mirror.representation.epoch == d.status.epoch)
        epoch, count = d.status.epoch, len(d.recording)
        d.send(Step(1))
        d.until(lambda d: d.status.epoch == epoch + 1 and d.status.state == "paused")
        d.until(lambda d: d.mirror.representation.epoch == epoch + 1)
        assert len(d.recording) == count and d.mirror.representation.row is None
        d.send(Resume())
        d.until(lambda d: d.status.epoch > epoch + 5 and d.status.state == "running")
        d.until(lambda d: f"goes on from epoch {epoch + 1:,}" in d.log)
        stood = [line for line in d.log if line.startswith("paused at")]
        assert stood == [f"paused at epoch {epoch:,}", f"paused at epoch {epoch + 1:,}"]


@pytest.mark.parametrize("command", [Resume(), Step(1000)])
def test_a_pause_that_is_taken_back_before_the_loop_stands_is_forgotten(command):
    with process(every=1, pause_s=0.5), attached() as d:
        d.until(lambda d: d.recording is not None and d.status.state == "running")
        d.send(Pause())
        d.until_state("pausing")
        d.send(command)
        d.until_state("running")


def test_a_pause_that_is_refused_is_forgotten(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    with process(), attached() as d:
        d.until(lambda d: d.recording is not None and d.status.state == "running")
        d.send(Pause())
        d.until(lambda d: any("2 processes train together" in notice.text for notice in d.notices))
        d.until_state("running")


def test_rebinned_walked_and_saved(tmp_path):
    with process(), attached() as d:
        d.until(lambda d: d.recording is not None and len(d.recording) > 10)
        d.send(Pause())
        d.until_state("paused")
        before = d.recording.column("i_ty")[:10].copy()
        d.send(Rebin(Binning("pooled", 4, 5, identity=True)))
        d.until(lambda d: d.status.pending == 0 and d.recording.binning.t_bins == 5)
        assert (d.recording.column("i_ty")[:10] != before).any()
        d.until(lambda d: d.mirror.representation is not None and d.mirror.representation.row == 3, row=3)
        d.send(Save(str(tmp_path / "net.npz"), 7))
        d.until(lambda d: d.status.save_results)
        assert d.status.save_results == ((7, ""),)
    saved = ibtui.load(tmp_path / "net.npz")
    assert saved.binning.t_bins == 5 and len(saved) >= 10 and len(saved.stored) == len(saved)


@pytest.mark.slow
def test_restart_and_pace_are_refused_by_name():
    with process(), attached() as d:
        d.until(lambda d: d.recording is not None)
        for command, word in ((Restart(), "restart: "), (SetPace(3.0), "pace: ")):
            d.send(command)
            d.until(lambda d, word=word: any(notice.text.startswith(word) for notice in d.notices))


@pytest.mark.slow
def test_a_worker_that_is_killed_lets_the_loop_go_on():
    with process():
        d = attached()
        d.until(lambda d: d.recording is not None)
        d.send(Pause())
        epoch = d.until_state("paused").status.epoch
        d.worker.kill()
        d.until_lost()
        control = connect()
        wait_until(lambda: ask(control, "status").epoch > epoch)


@pytest.mark.slow
def test_it_stays_paused_where_the_screen_says_so():
    with process():
        with attached() as d:
            d.until(lambda d: d.recording is not None)
            d.send(Pause())
            epoch = d.until_state("paused").status.epoch
            d.send(Leave(stays=True))
        with attached() as d:
            assert d.until(lambda d: d.status.state != "starting").status.state in ("paused", "running")
            assert d.until_state("paused").status.epoch == epoch
            d.send(Resume())
            d.until(lambda d: d.status.epoch > epoch)


def stays() -> int:
    """Have the loop stand whatever becomes of its screens; return the epoch."""
    with connect() as control:
        ask(control, "stay")
        return until(control, "paused").epoch


def test_a_screen_that_leaves_is_heard_though_its_worker_measures_still():
    with process():
        epoch = stays()
        state = RunState(WatchOptions(), LogFile(-1))
        source = Watched(
            state,
            WorkerSaver(state, "net"),
            new_job(None, WatchOptions(), watch=os.path.abspath("net.ibtui")),
        )
        source.prepare()
        state.obey(Leave(stays=False))  # nothing takes commands from its queue
        control = connect()
        wait_until(lambda: ask(control, "status").epoch > epoch)
        source.close()


def test_what_was_asked_before_a_screen_left_comes_too_late():
    with process():
        epoch = stays()
        state = RunState(WatchOptions(), LogFile(-1))
        job = new_job(None, state.options, watch=os.path.abspath("net.ibtui"))
        source = Watched(state, WorkerSaver(state, "net"), job)
        source.prepare()
        state.obey(Resume())
        state.obey(Leave(stays=True))
        source._take(state.commands.get())
        control = connect()
        time.sleep(0.3)
        assert (ask(control, "status").state, ask(control, "status").epoch) == ("paused", epoch)
        source.close()


@pytest.mark.slow
def test_a_screen_that_leaves_waits_until_it_has_been_heard():
    with process():
        epoch = stays()
        job = new_job(None, WatchOptions(), watch=os.path.abspath("net.ibtui"))
        d = Driver(WorkerClient(job, patience=Patience(end=0.05)))
        d.until_state("paused")
        d.worker.send_signal(signal.SIGSTOP)
        threading.Timer(1.0, d.worker.send_signal, (signal.SIGCONT,)).start()
        d.send(Leave(stays=False))
        d.stop()
        control = connect()
        wait_until(lambda: ask(control, "status").epoch > epoch)


def test_a_loop_whose_socket_was_away_is_reached_later():
    with process():
        loops.sockets()["net"].unlink()  # the loop listens again once it notices
        with attached() as d:
            d.until(lambda d: d.recording is not None and d.status.state == "running")
            wait_until(lambda: "net" in loops.sockets())
            d.send(Pause())
            d.until(lambda d: d.status.state == "paused")


def test_a_loop_of_the_same_name_in_another_folder_is_not_taken_for_it(monkeypatch, tmp_path):
    from ibtui.run import control, places

    with process() as child:
        here = places.folder()
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir(mode=0o700)
        monkeypatch.setenv(places.OWN, str(elsewhere))
        net = Net()
        with ibtui.watch(net, net.x, net.y, name="net") as run:
            assert run.name == "net" and places.folder() != here
            monkeypatch.setattr(places, "folders", lambda: [places.folder(), here])
            for pid in (child.pid, os.getpid()):
                with control.reach("net", pid) as reached:
                    assert ask(reached, "status").pid == pid
            assert control.reach("net", 1) is None


@pytest.mark.slow
def test_several_screens_follow_one_stream():
    with process(), attached() as one, attached() as other:
        for d in (one, other):
            d.until(lambda d: d.recording is not None and len(d.recording) > 3)
        one.send(Pause())
        epoch = other.until_state("paused").status.epoch
        one.stop()
        other.until(lambda d: d.status.epoch > epoch)
        one.lost = True


@pytest.mark.slow
def test_attached_late_it_has_the_whole_past():
    with process():
        wait_until(lambda: len(rows("net.ibtui")) > 40)
        with attached() as d:
            d.until(lambda d: d.recording is not None and len(d.recording) > 40)
            assert d.recording.column("epoch")[:41].tolist() == list(range(0, 205, 5))


def test_what_is_logged_later_becomes_a_quantity_too():
    net = Net()
    with ibtui.watch(net, net.x, net.y, every=1, name="net") as run:
        run.step(0)
        run.step(1)
        with attached() as d:
            d.until(lambda d: d.recording is not None and len(d.recording) == 2)
            number, ticks = d.mirror.run, d.recording.tick
            run.step(2, speed=3.0)
            d.until(lambda d: len(d.recording) == 3 and "speed" in d.recording.quantities)
            assert d.recording.column("speed")[-1] == 3 and np.isnan(d.recording.column("speed")[:2]).all()
            assert np.isfinite(d.recording.column("i_ty")).all() and ticks > 0
            assert d.mirror.reference is None and d.mirror.run > number


def test_a_loop_that_ends_is_finished():
    net = finished(10)
    assert net.calls
    with attached() as d:
        d.until_state("finished")
        assert len(d.recording) == 3 and d.status.message == "" and d.status.epochs == 10


@pytest.mark.slow
def test_an_exception_is_said():
    net = Net()

    def broken() -> None:
        with ibtui.watch(net, net.x, net.y, name="net") as run:
            for epoch in run.epochs(3):
                if epoch == 2:
                    raise RuntimeError("diverged badly")

    with pytest.raises(RuntimeError):
        broken()
    with attached() as d:
        d.until_state("finished")
        assert d.status.message == "it ended with RuntimeError: diverged badly"


def test_a_loop_that_is_killed_has_gone():
    with process() as child, attached() as d:
        d.until(lambda d: d.recording is not None and len(d.recording) > 3)
        child.kill()
        child.wait()
        d.until_state("dead")
        assert d.status.message == f"the loop has gone (pid {child.pid})"
        count = len(d.recording)
        d.send(Rebin(Binning("pooled", 4, 5, identity=True)))
        d.until(lambda d: d.recording.binning.t_bins == 5 and d.status.pending == 0)
        assert len(d.recording) == count == len(rows("net.ibtui"))
    with attached() as d:  # and after its death
        d.until(lambda d: d.status.state == "dead" and len(d.recording) == count)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("times", [3, *slow(100)])
def test_killed_at_random_moments_it_is_read_up_to_the_last_whole_record(times):
    moments = random.Random(0)
    for number in range(times):
        name = f"net{number}"
        with process(name=name, every=1, pause_s=0) as child:
            time.sleep(moments.uniform(0, 0.3))  # the moment is what is tried
            child.send_signal(signal.SIGKILL)
            child.wait()
        path = Path(f"{name}.ibtui")
        whole = path.read_bytes()
        if b'"row"' not in whole:
            continue
        run = ibtui.load(path)
        assert run.column("epoch").tolist() == list(range(len(run)))
        # However it is torn, what is read is a beginning of what was written.
        cut = moments.randrange(len(whole))
        path.write_bytes(whole[:cut])
        try:
            shorter = ibtui.load(path)
        except RecordingError:
            continue
        assert np.array_equal(shorter.column("i_ty"), run.column("i_ty")[: len(shorter)], equal_nan=True)


def test_names_from_a_stranger_are_shown_as_text():
    evil = "\x1b[2Jevil\u202e"
    writer = Writer("net.ibtui")
    writer.append({"kind": "begin", "name": evil, "pid": 1, "host": evil, "every": evil})
    layer = {"name": evil, "units": 2, "width": 2, "activation": ""}
    header = {"kind": "net", "layers": [layer], "classes": [evil, "b"], "notes": [evil]}
    writer.append(header, {"x": np.zeros((4, 2), "f4"), "y": np.array([0, 1, 0, 1])})
    row = {"kind": "row", "epoch": 0, "scalars": {evil: 1.0, "a" * 10_000: 2.0}}
    writer.append(row, {"t0": np.ones((4, 2), "f4")})
    writer.append({"kind": "end", "why": evil})
    run = ibtui.load("net.ibtui")
    labels = [q.label for q in run.quantities.values()]
    texts = [run.layers[0].name, *run.dataset.names, *labels]
    assert all(text.isprintable() and len(text) <= 300 for text in texts)
    assert sum("evil" in text for text in texts) == 3
    with attached() as d:
        d.until_state("finished")
        told = [d.status.message, d.status.loop, d.status.device, *(notice.text for notice in d.notices)]
        assert all(text.isprintable() for text in told)


def test_a_process_that_has_died_is_not_alive_though_nobody_has_waited_for_it():
    with process() as child:
        began, host = loops.started(child.pid), socket.gethostname()
        assert began and loops.is_alive(child.pid, host, began)
        assert not loops.is_alive(child.pid, host, began + 1)  # another one of that number
        child.kill()
        wait_until(lambda: not loops.is_alive(child.pid, host, began))
        assert loops.is_alive(child.pid, "elsewhere", began)  # who could know?


def test_a_stream_that_cannot_be_read_is_said(tmp_path):
    (tmp_path / "a.ibtui").write_bytes(b"ibtui stream 99\n")
    d = attached("a.ibtui")
    d.until_state("failed")
    assert "a stream of version 99, which is newer" in d.status.message
    d.stop()


def test_a_damaged_stream_is_said_to_be():
    finished()
    data = bytearray(Path("net.ibtui").read_bytes())
    data[len(data) // 2] ^= 1
    Path("net.ibtui").write_bytes(data)
    with attached() as d:
        d.until(lambda d: any("the stream is damaged" in notice.text for notice in d.notices))
        d.until(lambda d: d.recording is not None and 0 < len(d.recording) < 5)


def test_damage_to_a_file_is_said_whatever_reads_it(capsys):
    from ibtui.cli import main

    finished()
    assert ibtui.load("net.ibtui").damage == ""
    assert main(["report", "net.ibtui"]) == 0
    assert "damaged" not in capsys.readouterr().err
    data = bytearray(Path("net.ibtui").read_bytes())
    data[len(data) // 2] ^= 1
    Path("net.ibtui").write_bytes(data)
    recording = ibtui.load("net.ibtui")
    said = f"damaged: what was written after epoch {recording.newest_epoch} cannot be read"
    assert recording.damage == said
    assert main(["report", "net.ibtui"]) == 0
    assert f"net.ibtui: {said}" in capsys.readouterr().err
    with Driver.replay(Path("net.ibtui").absolute()) as d:
        d.until(lambda d: any(notice.text == f"the file is {said}" for notice in d.notices))


def test_labels_and_ranges_reach_the_estimates():
    net = Net()
    with ibtui.watch(net, net.x, net.y, name="net", activation={"hidden": "tanh"}, x_range=(0, 1)) as run:
        list(run.epochs(2))
    found = ibtui.load("net.ibtui")
    assert found.binning.kind == "notebook" and not found.binning.identity
    assert found.binning.tops == (0.0, 1.0) and math.isclose(found.ceilings["h_x"], found.ceilings["h_x"])
    assert found.pending().size == 0
