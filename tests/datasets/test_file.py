"""A user's file of samples: any labels that people keep, read exactly or refused in one line."""

from __future__ import annotations

import os
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest

from ibtui import archive
from ibtui.cli import main
from ibtui.config import RunConfig
from ibtui.data import file as reader
from ibtui.data.samples import Dataset, make_dataset
from ibtui.errors import UsageError
from tests.datasets.fuzz import fuzz, same
from tests.recording.fuzz import as_member, put_together, split_header, take_apart, with_header

X = np.arange(24, dtype=np.float32).reshape(8, 3)
Y = np.array([3, -7, 3, 40, 40, -7, 3, 3])
CLASSES = [1, 0, 1, 2, 2, 0, 1, 1]


def read(write=np.savez, settings: dict | None = None, **arrays) -> Dataset:
    write("s.npz", **{"x": X, "y": Y} | arrays)
    return make_dataset(RunConfig(data="s.npz", layers=(3,), **settings or {}))


def in_the_files_order(data: Dataset) -> list[int]:
    """The classes of the samples `X`, each of which is told by its first input."""
    inputs = np.concatenate([data.training[0], data.x_test])
    classes = np.concatenate([data.training[1], data.y_test])
    return classes[np.argsort(inputs[:, 0])].tolist()


def refused(line: str, **arrays) -> None:
    with pytest.raises(UsageError) as error:
        read(**arrays)
    said = str(error.value)
    assert said.startswith("--data s.npz: ") and said.isprintable() and len(said) < 300
    assert re.search(line, said), said


@pytest.mark.parametrize("write", [np.savez, np.savez_compressed])
def test_labels_are_taken_in_ascending_order(write):
    data = read(write)
    assert in_the_files_order(data) == CLASSES
    assert data.names == ("-7", "3", "40")
    assert data.x_range is None and data.samples == 8
    assert data.x.dtype == np.float32 and data.y.dtype == np.int64
    assert same("s.npz", data)


@pytest.mark.parametrize(
    ("y", "classes", "names"),
    [
        (Y.astype("i1"), CLASSES, ("-7", "3", "40")),
        (Y.astype(">i4"), CLASSES, ("-7", "3", "40")),
        (Y.astype("f2"), CLASSES, ("-7", "3", "40")),
        (Y.astype("f8"), CLASSES, ("-7", "3", "40")),
        (np.array([1, -1] * 4), [1, 0] * 4, ("-1", "1")),
        (np.array([1.0, -1.0] * 4), [1, 0] * 4, ("-1", "1")),
        (np.array([True, False] * 4), [1, 0] * 4, ("False", "True")),
        (np.array([2**64 - 1, 0] * 4, "u8"), [1, 0] * 4, ("0", str(2**64 - 1))),
        (np.eye(3)[CLASSES], CLASSES, ("0", "1", "2")),
        (np.eye(3, dtype=bool)[CLASSES], CLASSES, ("0", "1", "2")),
        (np.asfortranarray(np.eye(3, dtype="u1")[CLASSES]), CLASSES, ("0", "1", "2")),
        (np.eye(5)[[1, 4] * 4], [0, 1] * 4, ("1", "4")),
    ],
)
def test_labels_of_any_form_that_people_keep(y, classes, names):
    data = read(y=y)
    assert in_the_files_order(data) == classes
    assert data.names == names
    assert same("s.npz", data)


def test_classes_have_the_names_that_the_file_gives_in_the_order_of_the_labels():
    assert read(names=np.array(["low", "mid", "high"])).names == ("low", "mid", "high")
    of_columns = np.array(["a", "b", "c", "d", "e"])
    assert read(y=np.eye(5)[[1, 4] * 4], names=of_columns).names == ("b", "e")
    assert read(names=np.array(["\x1b[2J", "é", "\u202e"], ">U9")).names == ("\\x1b[2J", "é", "\\u202e")


@pytest.mark.parametrize(
    "x",
    [
        X.astype("f2"), X.astype("f8"), X.astype(">f4"), X.astype("u1"), X.astype("i8"), X > 5,
        np.asfortranarray(X), X[:, 0], X.reshape(8, 1, 3),
        np.asfortranarray(np.arange(48.0).reshape(8, 2, 3)),
    ],
)  # fmt: skip
def test_inputs_of_any_real_type_and_order_are_flat_and_float32(x):
    data = read(x=x)
    assert same("s.npz", data)
    assert data.inputs == x.size // 8 and data.x.dtype == np.float32 and data.x.flags.c_contiguous


def test_a_file_that_says_what_is_held_out_is_permuted_and_not_split():
    data = read(x_test=X[:3] + 100, y_test=Y[:3], settings={"split": 0.1})
    assert len(data.training[0]) == 8 and len(data.x_test) == 3 and data.samples == 11
    assert sorted(data.training[0][:, 0]) == X[:, 0].tolist() != data.training[0][:, 0].tolist()
    assert in_the_files_order(data) == [*CLASSES, *CLASSES[:3]]
    assert same("s.npz", data)


@pytest.mark.parametrize(("version", "field"), [(b"\x02\x00", 4), (b"\x03\x00", 4)])
def test_later_versions_of_headers_are_read(version, field):
    np.savez("s.npz", x=X, y=Y)
    members = dict(take_apart(Path("s.npz").read_bytes()))
    members["x.npy"] = with_header(*split_header(members["x.npy"]), version)
    Path("s.npz").write_bytes(put_together(list(members.items())))
    assert same("s.npz", make_dataset(RunConfig(data="s.npz", layers=(3,))))


REFUSALS = [
    ({"y": Y + 0.5}, "y holds 3.5, which is no label: labels are whole numbers, or one-hot rows"),
    ({"y": np.where(Y == 3, np.nan, Y)}, "y holds nan, which is no label"),
    ({"y": np.where(Y == 3, np.inf, Y)}, "y holds inf, which is no label"),
    ({"y": np.where(Y == 3, 1e300, Y)}, r"y holds 1e\+300, which is no label"),
    ({"y": np.full(8, 3)}, "y has one label only; from 2 to 64 classes are taken"),
    (
        {"x": np.zeros((70, 2)), "y": np.arange(70)},
        "y has 70 different labels; from 2 to 64 classes are taken",
    ),
    ({"y": np.zeros((8, 3))}, r"y has the shape \(8, 3\) and is not one-hot"),
    ({"y": np.ones((8, 1))}, r"y has the shape \(8, 1\) and is not one-hot"),
    ({"y": np.ones((8, 3))}, r"y has the shape \(8, 3\) and is not one-hot"),
    ({"y": np.full((8, 2), 0.5)}, r"y has the shape \(8, 2\) and is not one-hot"),
    ({"y": np.zeros((8, 2, 2))}, r"y has the shape \(8, 2, 2\), and must be \(samples,\)"),
    ({"y": np.array(3)}, r"y has the shape \(\), and must be \(samples,\)"),
    ({"y": Y[:7]}, "x has 8 samples, and y has 7"),
    ({"y": np.array(["a", "b"] * 4)}, "y is of type <U1, and must hold real numbers"),
    ({"y": Y.astype(complex)}, "y is of type <c16, and must hold real numbers"),
    ({"y": Y.astype(object)}, "y holds pickled objects, which are never read"),
    ({"x": X.astype(object)}, "x holds pickled objects, which are never read"),
    ({"x": X.astype(np.longdouble)}, "x is of type .*, and must hold real numbers|x is no plain array"),
    ({"x": np.zeros((8, 0))}, r"x has the shape \(8, 0\), and must be \(samples, inputs\)"),
    ({"x": np.array(1.0)}, r"x has the shape \(\), and must be \(samples, inputs\)"),
    ({"x": np.where(X == 5, np.nan, X)}, "x holds what is no finite number of 32 bits"),
    ({"x": np.where(X == 5, 1e39, X.astype("f8"))}, "x holds what is no finite number of 32 bits"),
    ({"x": X[:3], "y": Y[1:4]}, "it has 3 samples; from 4 to 10,000,000 are taken"),
    ({"x_test": X}, "it must have both of x_test and y_test, or neither"),
    ({"y_test": Y}, "it must have both of x_test and y_test, or neither"),
    ({"x_test": X[:, :2], "y_test": Y}, "x has 3 inputs, and x_test has 2"),
    ({"x_test": X, "y_test": Y[1:]}, "x_test has 8 samples, and y_test has 7"),
    ({"x_test": X + np.inf, "y_test": Y}, "x_test holds what is no finite number of 32 bits"),
    ({"x_test": X, "y_test": Y + 1}, "y_test has the label -6, which y has not"),
    ({"x_test": X, "y_test": np.eye(3)[CLASSES]}, "y_test is in another form than y"),
    ({"x_test": X, "y_test": np.full(8, 0.5)}, "y_test holds 0.5, which is no label"),
    ({"names": np.array(["a", "b"])}, "names has 2 names for 3 classes"),
    ({"names": np.array(["a", "b", "a"])}, "names must all be different"),
    ({"names": np.array(["a", "b", ""])}, "names must all be different, and of 1 to 60 characters"),
    ({"names": np.array(["a", "b", "x" * 61])}, "names must all be different, and of 1 to 60 characters"),
    ({"names": np.array(["a", "b", "x" * 9999])}, "names must be of at most 60 characters"),
    ({"names": np.array("abc")}, r"names must be texts of shape \(classes,\)"),
    ({"names": np.array([b"a", b"b", b"c"])}, r"names must be texts of shape \(classes,\)"),
    ({"names": np.array(["a", "b", None], object)}, "names holds pickled objects"),
    ({"names": np.array(["name"] * 100)}, r"names must be texts of shape \(classes,\)"),
]


@pytest.mark.parametrize(
    ("arrays", "line"), REFUSALS, ids=[f"{'-'.join(a)}-{n}" for n, (a, _) in enumerate(REFUSALS)]
)
@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")
def test_what_is_no_set_of_samples_is_refused_by_name(arrays, line):
    refused(line, **arrays)


def test_a_file_without_x_or_y_is_told_what_it_has():
    np.savez("s.npz", x_train=X, y_train=Y)
    with pytest.raises(UsageError, match=r"x is missing: .* x and y, and has x_train, y_train$"):
        make_dataset(RunConfig(data="s.npz"))
    np.savez("s.npz", x=X)
    with pytest.raises(UsageError, match=r"y is missing: it must have x and y, and has x$"):
        make_dataset(RunConfig(data="s.npz"))


@pytest.mark.timeout(20)
def test_what_is_no_such_file_is_refused_and_never_waited_for():
    os.mkfifo("pipe.npz")
    os.mkdir("folder.npz")
    Path("text.npz").write_text("x,y\n")
    Path("empty.npz").write_bytes(b"")
    np.savez("cut.npz", x=X, y=Y)
    Path("cut.npz").write_bytes(Path("cut.npz").read_bytes()[:-30])
    for path, why in [
        ("pipe.npz", "not a regular file"), ("folder.npz", "Is a directory"), ("missing.npz", "No such file"),
        ("text.npz", "not a file of samples"), ("empty.npz", "not a file of samples"),
        ("cut.npz", "not a file of samples, or a damaged one"),
        ("\x1b[2J.npz", r"--data \\x1b\[2J.npz: No such"),
    ]:  # fmt: skip
        with pytest.raises(UsageError, match=why):
            make_dataset(RunConfig(data=path))


def test_a_header_of_gigabytes_is_not_read():
    members = [("x.npy", b"\x93NUMPY\x02\x00\xff\xff\xff\xff" + bytes(1 << 12)), ("y.npy", as_member(Y))]
    Path("s.npz").write_bytes(put_together(members, zipfile.ZIP_DEFLATED))
    with pytest.raises(UsageError, match="x is no plain array"):
        make_dataset(RunConfig(data="s.npz"))


def test_more_than_the_memory_holds_as_float32_is_refused_before_it_is_read(monkeypatch):
    np.savez("s.npz", x=np.zeros((5000, 100), np.uint8), y=np.arange(5000) % 2)
    monkeypatch.setattr(archive, "memory", lambda: 2_000_000)
    monkeypatch.setattr(reader, "memory", lambda: 2_000_000)
    monkeypatch.setattr(archive.Archive, "array", lambda *_: pytest.fail("an array was read"))
    with pytest.raises(UsageError, match=r"takes more than 1 MB, past what this machine's memory holds"):
        make_dataset(RunConfig(data="s.npz"))


def test_as_many_samples_as_there_are_may_be_asked_for_and_no_other_number(capsys):
    np.savez("s.npz", x=np.tile(X, (3, 1)), y=np.tile(Y, 3))
    small = ("--data", "s.npz", "--layers", "3", "--engine", "fused", "--epochs", "2", "--record", "run.npz")
    assert main([*small, "--samples", "25"]) == 2
    assert capsys.readouterr().err == "ibtui: --samples 25: s.npz has 24; leave it out\n"
    Path("c.toml").write_text("samples = 23\n")
    assert main([*small, "--config", "c.toml"]) == 2
    assert "--samples 23: s.npz has 24" in capsys.readouterr().err
    assert main([*small, "--samples", "24"]) == 0
    assert main([*small, "--force"]) == 0
    with np.load("run.npz") as run:
        assert '"samples": 24' in str(run["config"])
        assert str(run["names"]) == '["-7", "3", "40"]'


def test_a_net_with_too_few_outputs_is_refused_even_if_only_what_is_held_out_has_the_class(capsys):
    y = np.zeros(8, int)
    y[:2] = 1, 2
    np.savez("s.npz", x=X, y=y)
    for seed in range(20):
        data = make_dataset(RunConfig(data="s.npz", data_seed=seed))
        if data.training[1].max() < 2:
            break
    flags = ("--data", "s.npz", "--engine", "fused", "--data-seed", str(seed), "--record", "run.npz")
    assert main(list(flags)) == 2
    assert (
        "--layers 2,2,2,2: must be such that the last layer has a unit per class, 3"
        in capsys.readouterr().err
    )


def test_images_of_ten_classes_are_read_without_needless_copies():
    x = np.random.RandomState(0).randint(0, 256, (6000, 28, 28)).astype(np.uint8)
    np.savez("s.npz", x=x, y=np.arange(6000) % 10)
    data = make_dataset(RunConfig(data="s.npz", layers=(10,), split=0.9, measure_samples=1000))
    assert (data.x.shape, data.x_rest.shape, data.x_test.shape) == ((1000, 784), (4400, 784), (600, 784))
    assert data.x.base is data.x_rest.base is data.x_test.base
    assert np.shares_memory(data.training[0], data.x) and np.shares_memory(data.training[0], data.x_rest)


def test_mutated_files_are_read_correctly_or_refused_cleanly():
    outcomes, failures = fuzz(300, seed=0)
    assert not failures
    assert outcomes["refused"] > 150 and outcomes["read"] > 30


@pytest.mark.slow
def test_many_more_mutated_files():
    outcomes, failures = fuzz(10_000, seed=1)
    assert not failures
    assert outcomes["refused"] > 5000 and outcomes["read"] > 1000
