"""The probe in a loop: when it measures, what it writes, and that it is never in the way."""

from __future__ import annotations

import errno
import math
import os
import random
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest

import ibtui
from ibtui.probe import MOST_SAMPLES
from ibtui.stream import Writer
from tests.watch.loops import Net, read, rows


@pytest.fixture
def net() -> Net:
    return Net()


def watched(net: Net, **options: object):
    return ibtui.watch(net, net.x, net.y, **{"every": 4, "name": "net", **options})


def epochs_of(path: str | Path = "net.ibtui") -> list[int]:
    return [row.epoch for row in rows(path)]


# When it measures.


def test_a_measurement_is_of_the_net_after_so_many_epochs(net):
    seen = {}
    with watched(net) as run:
        for epoch in run.epochs(10):
            seen[epoch] = net(net.x)["hidden"]
            net.train()
            run.log(loss=epoch)
    seen[10] = net(net.x)["hidden"]
    found = rows("net.ibtui")
    assert [row.epoch for row in found] == [0, 4, 8, 10]
    for row in found:
        assert (row.activations[0] == seen[row.epoch].astype(np.float32)).all()
    # What is logged in the body of epoch e belongs to the net after e + 1 epochs.
    assert [row.scalars for row in found] == [{}, {"loss": 3}, {"loss": 7}, {"loss": 9}]


def test_after_break_the_last_measurement_is_taken(net):
    with watched(net) as run:
        for epoch in run.epochs(100):
            run.log(loss=epoch)
            if epoch == 5:
                break
    assert [(row.epoch, row.scalars.get("loss")) for row in rows("net.ibtui")] == [(0, None), (4, 3), (6, 5)]


def test_after_an_exception_it_is_not(net):
    def broken() -> None:
        with watched(net) as run:
            for epoch in run.epochs(100):
                if epoch == 6:
                    raise KeyError("what")

    with pytest.raises(KeyError):
        broken()
    stream, found = read("net.ibtui")
    assert [row.epoch for row in found] == [0, 4] and stream.ended == "KeyError: 'what'"


def test_the_last_measurement_is_taken_at_the_end_of_the_block(net):
    with watched(net) as run:
        for _ in run.epochs(8):
            pass
        net.last[:] = 0  # such as the best weights that are loaded again
    assert epochs_of() == [0, 4, 8] and (rows("net.ibtui")[-1].activations[1] == 0.5).all()


def test_epochs_go_on_counting(net):
    with watched(net) as run:
        assert [*run.epochs(3), *run.epochs(3)] == [0, 1, 2, 3, 4, 5]
        assert list(run.epochs(2, start=10)) == [10, 11]
    assert epochs_of() == [0, 4, 10, 12]


def test_a_loop_of_another_shape_steps(net):
    with watched(net) as run:
        for epoch in range(10):
            assert run.step(epoch, loss=epoch)
    found = rows("net.ibtui")
    assert [(row.epoch, row.scalars["loss"]) for row in found] == [(0, 0), (4, 4), (8, 8), (9, 9)]


@pytest.mark.parametrize(
    ("every", "epochs"),
    [("auto", [*range(13)]), ("log", [0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12]), (5, [0, 5, 10, 12])],
)
def test_every_is_as_everywhere(net, every, epochs):
    with watched(net, every=every) as run:
        for _ in run.epochs(12):
            pass
    assert epochs_of() == epochs


def test_what_is_due_is_said_beforehand(net):
    with watched(net) as run:
        due = [epoch + 1 for epoch in run.epochs(10) if run.due]
    assert due == [4, 8, 10]


def test_without_with_it_watches_too(net):
    run = watched(net)
    for _ in run.epochs(5):
        pass
    assert epochs_of() == [0, 4]
    with run:  # or it would listen until the process ends, in the folders of other tests
        pass
    assert epochs_of() == [0, 4, 5]


# What it writes.


def test_at_most_a_thousand_samples_chosen_once():
    net = Net(3000)
    for name in ("a", "b"):
        with watched(net, name=name) as run:
            list(run.epochs(4))
    (one, first), (other, _) = read("a.ibtui"), read("b.ibtui")
    assert one.net.dataset.x.shape == (MOST_SAMPLES, 2) and len(first[0].activations[0]) == MOST_SAMPLES
    assert (one.net.dataset.x == other.net.dataset.x).all() and one.net.notes == (
        "1,000 of 3,000 samples are watched",
    )
    assert len(np.unique(one.net.dataset.x, axis=0)) == MOST_SAMPLES


def test_wide_layers_are_thinned_and_convolutions_flattened(net):
    def wide(x):
        return {"conv": np.tile(x[:, :, None, None], (1, 1, 30, 30)), "narrow": x}

    with ibtui.watch(wide, net.x, net.y, name="net") as run:
        list(run.epochs(1))
    stream, found = read("net.ibtui")
    assert [layer.width for layer in stream.net.layers] == [512, 2]
    assert stream.net.notes == ("layer conv: 512 of its 1,800 units are watched",)
    values = found[0].activations[0]
    assert {tuple(unit) for unit in values.T} == {tuple(unit) for unit in net.x.T}


@pytest.mark.parametrize(
    ("y", "options", "classes", "names"),
    [
        ([0, 1, 2, 1], {}, [0, 1, 2, 1], ("0", "1", "2")),
        ([-1.0, 1.0, 1.0, -1.0], {}, [0, 1, 1, 0], ("-1", "1")),
        ([[0, 1], [1, 0], [1, 0], [0, 1]], {}, [1, 0, 0, 1], ("0", "1")),
        ([0.1, 0.7, 0.4, 0.9], {"y_bins": 2}, [0, 1, 0, 1], None),
        ([[1], [0], [0], [1]], {}, [1, 0, 0, 1], ("0", "1")),
    ],
)
def test_labels_are_classes_or_numbers_that_are_binned(net, y, options, classes, names):
    with ibtui.watch(net, net.x[:4], np.array(y), name="net", **options) as run:
        list(run.epochs(1))
    dataset = read("net.ibtui")[0].net.dataset
    assert dataset.y.tolist() == classes
    assert names is None or dataset.names == names


def test_numbers_fall_into_bins_of_equal_mass(net):
    with ibtui.watch(net, net.x, np.exp(5 * net.x[:, 0]), name="net") as run:
        list(run.epochs(1))
    stream, _ = read("net.ibtui")
    assert np.bincount(stream.net.dataset.y).tolist() == [20] * 10
    assert stream.net.notes == ("labels in 10 bins of equal mass",)


def test_ranges_are_known_where_they_are_told(net):
    with watched(net, activation={"out": "sigmoid"}, x_range=(0, 1)) as run:
        list(run.epochs(1))
    stream, _ = read("net.ibtui")
    assert [layer.activation for layer in stream.net.layers] == ["", "sigmoid"]
    assert stream.net.dataset.x_range == (0.0, 1.0)


@pytest.mark.parametrize("where", ["folder", "folder/other.ibtui"])
def test_the_file_goes_where_path_says(net, where, tmp_path):
    Path("folder").mkdir()
    with watched(net, path=where) as run:
        list(run.epochs(1))
    assert run.path == str(tmp_path / (where if where.endswith("ibtui") else "folder/net.ibtui"))
    assert epochs_of(run.path) == [0, 1]


def test_scalars_that_are_none_are_told_once_and_left_out(net, capsys):
    with watched(net) as run:
        for _ in run.epochs(9):
            run.log(loss=np.float32(2), list=[1, 2], word="a", array=np.array([3.0]))
    assert rows("net.ibtui")[-1].scalars == {"loss": 2.0, "array": 3.0}
    told = capsys.readouterr().err
    assert told.count("log: list: ") == 1 and told.count("log: word: ") == 1


# Never in the way.


def test_the_size_is_told_with_the_first_measurement(net, capsys):
    with watched(net) as run:
        for epoch in run.epochs(8):
            if epoch == 0:
                told = capsys.readouterr().err
    assert told == "ibtui: net.ibtui: 5.6 kB a measurement, 20.5 kB in all; ibtui attach net shows it\n"
    assert abs(os.path.getsize("net.ibtui") - 20_300) < 1000 and not capsys.readouterr().err


def test_that_max_mb_will_not_do_is_told_beforehand(net, capsys):
    with watched(net, max_mb=0.016) as run:
        for epoch in run.epochs(40):
            if epoch == 0:
                told = capsys.readouterr().err
    whole = sum(row.activations is not None for row in rows("net.ibtui"))
    assert f"of which max_mb=0.016 has room for {whole} measurements; ibtui attach net" in told


def test_beyond_max_mb_scalars_alone_are_written(net, capsys):
    with watched(net, max_mb=0.016) as run:
        for epoch in run.epochs(40):
            run.log(loss=epoch)
    found = rows("net.ibtui")
    assert [row.epoch for row in found] == list(range(0, 41, 4))
    assert [row.activations is not None for row in found] == [True] + [True] + [False] * 9
    assert found[-1].scalars == {"loss": 39} and os.path.getsize("net.ibtui") < 20_000
    assert capsys.readouterr().err.count("has come to max_mb") == 1


def trained(net: Net, epochs: int = 12, **options: object) -> str:
    """Train in the loop; return what was told."""
    with watched(net, **options) as run:
        assert sum(1 for _ in run.epochs(epochs) if net.train()) == epochs
    return ""


@pytest.mark.parametrize("when", ["first", "later", "at the end"])
def test_an_error_in_the_probe_ends_the_watching_alone(net, capsys, when):
    limit = {"first": 0, "later": 2, "at the end": 3}[when]

    def broken(x):
        if net.calls >= limit:
            raise RuntimeError("no such thing")
        return net(x)

    with ibtui.watch(broken, net.x, net.y, every=4, name="net") as run:
        assert sum(1 for _ in run.epochs(12)) == 12
    told = capsys.readouterr().err.splitlines()
    wrong = "ibtui: warning: net.ibtui: RuntimeError: no such thing; the watching ends, training goes on"
    assert told[-1] == wrong and told.count(wrong) == 1 and len(told) <= 2
    assert epochs_of() == [0, 4, 8][:limit] if limit else True


def test_a_full_disk_ends_the_watching_alone(net, capsys, monkeypatch):
    append, appended = Writer.append, []

    def full(self, header, arrays=None):
        if header["kind"] == "row" and header["epoch"] == 8:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        appended.append(header["kind"])
        append(self, header, arrays)

    monkeypatch.setattr(Writer, "append", full)
    trained(net, 20)
    assert capsys.readouterr().err.count("No space left on device; the watching ends") == 1
    assert epochs_of() == [0, 4] and "end" not in appended


def test_a_removed_folder_ends_the_watching_alone(net, capsys):
    Path("folder").mkdir()
    with watched(net, path="folder") as run:
        for epoch in run.epochs(20):
            if epoch == 5:
                os.unlink(run.path)
                os.rmdir("folder")
    assert capsys.readouterr().err.count("the file has been removed; the watching ends") == 1


def test_a_folder_that_takes_no_file_leaves_training_alone(net, capsys):
    trained(net, path=Path("nowhere") / "net.ibtui")
    assert "No such file or directory; the watching ends, training goes on" in capsys.readouterr().err


def test_where_no_folder_for_sockets_can_be_had_it_is_still_written(net, capsys, monkeypatch):
    Path("file").touch()
    monkeypatch.setenv("IBTUI_RUNTIME_DIR", str(Path("file/none").absolute()))
    trained(net)
    assert epochs_of() == [0, 4, 8, 12] and "cannot be attached to while it runs" in capsys.readouterr().err


def test_a_closed_stderr_is_no_trouble(net, monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    trained(net)
    assert epochs_of() == [0, 4, 8, 12]


def test_layers_that_change_end_the_watching(net, capsys):
    def growing(x):
        return {"a": np.zeros((len(x), 2 + net.calls))}

    with ibtui.watch(growing, net.x, net.y, every=1, name="net") as run:
        for _ in run.epochs(3):
            net.calls += 1
    assert "the net's layers have changed: a (3), and were a (2)" in capsys.readouterr().err


def test_random_numbers_are_put_back(net, capsys):
    def drawing(x):
        random.random(), np.random.rand()
        return net(x)

    def draws(watch: bool) -> list[float]:
        random.seed(1), np.random.seed(1)
        found = []
        with ibtui.watch(drawing if watch else net, net.x, net.y, every=1, name="net") as run:
            for _ in run.epochs(5):
                found += [random.random(), np.random.rand()]
        return found

    assert draws(True) == draws(False)
    assert capsys.readouterr().err.count("draws random numbers of Python and NumPy") == 1


@pytest.mark.filterwarnings("ignore:.*fork")  # of Python 3.12, and of JAX
def test_forked_children_inherit_nothing(net):
    with watched(net, every=1) as run:
        for epoch in run.epochs(4):
            if epoch == 2:
                child = os.fork()
                if child == 0:
                    status = 1
                    try:
                        alive = run.step(3, loss=1.0) and run._writer._handle < 0
                        status = 0 if alive and run._listener._listener.fileno() < 0 else 2
                        run.__exit__(None, None, None)
                    finally:
                        os._exit(status)
                assert os.waitpid(child, 0)[1] == 0
    stream, found = read("net.ibtui")
    assert [row.epoch for row in found] == [0, 1, 2, 3, 4] and stream.ended == "" and not stream.damage


def test_other_ranks_write_nothing(net, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setenv("RANK", "1")
    trained(net)
    assert not Path("net.ibtui").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"every": 0}, "every=0: must be"), ({"every": "often"}, "every='often'"),
        ({"samples": 1}, "samples=1"), ({"name": "a/b"}, "name 'a/b'"),
        ({"activation": "selu"}, "activation='selu'"),
        ({"x_range": (1, 0)}, "x_range="), ({"y_bins": 1}, "y_bins=1"), ({"path": "a.npz"}, "path="),
        ({"max_mb": -1}, "max_mb=-1"), ({"max_mb": math.nan}, "max_mb=nan"),
    ],
)  # fmt: skip
def test_wrong_arguments_are_refused_at_once(net, options, message):
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        watched(net, **options)


def test_samples_must_fit_their_labels(net):
    with pytest.raises(ValueError, match="x and y must be of one length; they are 200 and 3"):
        ibtui.watch(net, net.x, net.y[:3])
    with pytest.raises(TypeError, match="neither a Gluon block nor a torch module nor a function"):
        ibtui.watch(3, net.x, net.y)


@pytest.mark.parametrize(
    ("y", "said"), [(["a", "b"] * 100, "y holds no numbers"), ([1.0, math.nan] * 100, "y must be finite")]
)
def test_labels_that_are_none_are_refused_in_words(net, y, said):
    with pytest.raises(ValueError, match=said):
        ibtui.watch(net, net.x, y)


def test_only_may_be_one_name(net):
    with watched(net, only="hidden") as run:
        list(run.epochs(1))
    assert [layer.name for layer in read("net.ibtui")[0].net.layers] == ["hidden"]


def test_whole_epochs_may_be_floats(net, capsys):
    with watched(net, every=1) as run:
        assert all(run.step(epoch) for epoch in (0.0, np.float32(1), np.int64(2), 2.5, 3))
    assert epochs_of() == [0, 1, 2] and "step(2.5): epochs are whole numbers" in capsys.readouterr().err


def calls(what: Callable[[], object]) -> list[str]:
    """The functions that something calls, in Python and in C, itself apart."""
    called: list[str] = []

    def note(frame: FrameType, event: str, function: Any) -> None:
        if event in ("call", "c_call"):
            called.append(frame.f_code.co_name if event == "call" else function.__name__)

    sys.setprofile(note)
    try:
        what()
    finally:
        sys.setprofile(None)
    return called[1:-1]


def test_where_nothing_is_due_nothing_is_called(net):
    """`tests.watch.cost` measures the time that this takes."""
    with watched(net, every=10**9) as run:
        run.step(0)
        for epoch in range(1, 50):
            assert calls(lambda epoch=epoch: run.step(epoch, loss=0.5)) == ["step"]
    with watched(net, every=10**9, name="other") as run:
        counted = run.epochs(10**8)
        next(counted)
        for _ in range(50):
            assert calls(lambda: (next(counted), run.log(loss=0.5))) == ["next", "epochs", "log"]
