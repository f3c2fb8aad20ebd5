"""A configuration is right, or refused in one line that says what would be."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ibtui.config import RunConfig, WatchOptions, build, read_toml
from ibtui.errors import UsageError, printable
from ibtui.settings import setting_of

HUGE = int("9" * 400)
"""No float can hold it."""
DIGITS = 1 << 20_000
"""More digits than Python writes out."""

BAD = [
    *[("ctx", v, "auto, cpu, gpu0") for v in ("", "gpu", "gpu-1", "gpu01", "gpu1000", "CPU", "tpu0", "gpu²")],
    ("ctx", 0, "text"),
    ("ctx", "cpu\0", "text"),
    *[("engine", v, "a name: ") for v in ("", "a b", "-a", "x" * 65, None, 1, ["auto"])],
    *[
        ("data", v, "a name, NAME:KEY=VALUE,... or a file whose name ends in .npz")
        for v in ("", "a b", "-a", "x" * 65, None, 1, ["grid"], "moons:", "moons:noise", "moons:noise=",
                  "moons:noise=1,", "moons:noise=1 2", "m:a=1:b=2", "x.csv", "moons:noise=\n")
    ],
    ("data", "a\0b.npz", "a file whose name ends in .npz"),
    *[("split", v, "a number above 0 and below 1") for v in (0, 1, -0.5, 1.5, float("nan"), HUGE, "a", None)],
    *[
        (name, v, " or ".join(right))
        for name, right in [
            ("measure_on", ("train", "held-out", "all")), ("output", ("same", "linear")),
            ("measure_output", ("same", "softmax")), ("optimizer", ("sgd", "adam")),
            ("init", ("normal", "fan-in")), ("x", ("auto", "grid", "identity")),
            ("estimator", ("binned", "kde")), ("units", ("nats", "bits")),
        ]
        for v in ("", "Adam", 1, None, ["sgd"])
    ],
    *[("measure_samples", v, "auto or a whole number from 4 to") for v in (0, 3, "all", None, 1.5, True)],
    *[("every", v, "auto or log or a whole number from 1 to") for v in ("often", "AUTO", ["log"])],
    *[(name, v, "a number above 0") for name in ("t_width", "kde_noise") for v in (0, -1, float("nan"), "x")],
    *[
        ("quantities", v, "up to 32 different names joined by commas")
        for v in ("a,", "a,,b", "a,a", "a b", ["a", 1], None, 1, [HUGE], [f"q{at}" for at in range(33)])
    ],
    *[("activation", v, "tanh or relu or sigmoid") for v in ("", "TANH", "gelu", {})],
    *[("binning", v, "notebook or closed or adaptive") for v in ("", "uniform", 4)],
    *[
        (name, v, f"a whole number from {least} to ")
        for name, least in [
            ("epochs", 1), ("every", 1), ("batch_size", 1), ("x_bins", 1), ("t_bins", 1), ("grid", 2),
            ("samples", 4),
        ]
        for v in (least - 1, -1, HUGE, DIGITS, 1.5, 10.0, "ten", "", None, True, float("nan"), [1])
    ],
    *[(name, v, "number from 0 to 4294967295") for name in ("seed", "data_seed") for v in (-1, 2**32, 0.5)],
    *[
        (name, v, "a number above 0 and up to 1e+06")
        for name in ("lr", "init_sigma")
        for v in (0, 0.0, -0.1, float("nan"), float("inf"), 1e7, HUGE, DIGITS, "fast", None, True)
    ],
    *[
        ("layers", v, "widths from 1 to 4096 joined by commas")
        for v in ("", "2,", "2,,2", "2,0", "0,2", "-2,2", "2.5,2", "two", "2,5000", [], [2, "x"], [2.0, 2],
                  None, 4, {"2": 2}, "2," * 64 + "2", [True, 2], [HUGE, 2], "9" * 5000)
    ],
    ("layers", "2,2,1", "a unit per class"),
    ("layers", "1", "a unit per class"),
    ("layers", "4096,4096,2", "at most 1,000,000 weights"),
]  # fmt: skip
BAD_SESSION = [
    *[
        ("epochs_per_second", v, "a number from 0 up to 1e+09")
        for v in (-1, float("nan"), 1e10, HUGE, "x", None)
    ],
    *[("autosave", v, "a number from 0 up to 1e+06") for v in (-1, float("inf"), "x", True)],
    *[("history_mb", v, "a whole number from 1 to 1000000") for v in (0, -1, 10**7, 0.5, "x")],
    *[("marker", v, "auto or braille or block or ascii") for v in ("", "dots", 1)],
    *[("panes", v, "different names joined by commas") for v in ("a,", None, {"a": 1})],
    *[("paused", v, "true or false") for v in (1, "yes", None)],
    *[("snapshot_dir", v, "a path") for v in (None, 3, "a\0b")],
]


def one_line(error: pytest.ExceptionInfo[UsageError]) -> str:
    line = str(error.value)
    assert line.isprintable()
    assert len(line) < 600
    return line


CASES = [(RunConfig, *bad) for bad in BAD] + [(WatchOptions, *bad) for bad in BAD_SESSION]


@pytest.mark.parametrize(
    ("cls", "name", "value", "right"), CASES, ids=[f"{name}-{at}" for at, (_, name, *_) in enumerate(CASES)]
)
def test_a_bad_value_is_named_with_what_would_be_right(cls, name, value, right):
    with pytest.raises(UsageError) as error:
        cls(**{name: value})
    line = one_line(error)
    assert line.startswith(f"--{name.replace('_', '-')} ")
    assert ": must be " in line
    assert right in line
    assert error.value.exit_status == 2


def test_what_is_shown_of_a_bad_value_is_short_and_cannot_move_the_cursor():
    with pytest.raises(UsageError) as error:
        RunConfig(engine="\x1b[2J\u202e" + "x" * 10_000)
    assert one_line(error).startswith("--engine \\x1b[2J\\u202exxx")
    with pytest.raises(UsageError) as error:
        RunConfig(engine="\x1b" * 100)
    assert len(one_line(error)) < 120
    deep: list = []
    for _ in range(200_000):
        deep = [deep]
    with pytest.raises(UsageError, match=r"^--engine \(list\): must be "):
        RunConfig(engine=deep)


def test_a_measurement_must_fit_into_memory():
    with pytest.raises(
        UsageError, match=r"^--samples 10000000: must be at most 60,975 for a net of 4,100 units$"
    ):
        RunConfig(layers="4096,4", samples=10_000_000, ctx="cpu")
    assert RunConfig(samples=10_000_000).samples == 10_000_000


def test_the_ends_of_every_domain_are_inside():
    for name, value in [
        ("epochs", 1), ("every", 10**8), ("grid", 2), ("grid", 100), ("samples", 4), ("batch_size", 1),
        ("x_bins", 1), ("t_bins", 1), ("t_bins", 1_000_000), ("seed", 0), ("seed", 2**32 - 1), ("lr", 1e6),
        ("lr", 5e-324), ("lr", 1), ("ctx", "gpu0"), ("ctx", "gpu15"), ("ctx", "cpu"), ("layers", (2,)),
        ("layers", (1, 4096, 2)),
    ]:  # fmt: skip
        assert getattr(RunConfig(**{name: value}), name) == value
    for name, value in [("epochs_per_second", 0), ("autosave", 0), ("autosave", None), ("history_mb", 1)]:
        assert getattr(WatchOptions(**{name: value}), name) == value


def test_values_are_normalised():
    config = RunConfig(layers=" 3, 2 ", lr=1)
    assert config.layers == (3, 2)
    assert isinstance(config.lr, float)
    assert config == RunConfig(layers=[3, "2"], lr=1.0)
    assert hash(config) == hash(RunConfig(layers=(3, 2), lr=1.0))
    assert RunConfig(quantities="spread, cka").quantities == ("spread", "cka")
    assert RunConfig(quantities=[]).quantities == RunConfig(quantities="").quantities == ()


# Without a time limit: the first text drawn costs a table of all characters, and cores are shared.
often = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
valid = st.builds(
    RunConfig,
    ctx=st.sampled_from(["auto", "cpu", "gpu0", "gpu12"]),
    epochs=st.integers(1, 10**8),
    layers=st.lists(st.integers(2, 30), min_size=1, max_size=6).map(tuple),
    lr=st.floats(1e-300, 1e6),
    init_sigma=st.floats(5e-324, 1e6),
    seed=st.integers(0, 2**32 - 1),
    binning=st.sampled_from(["auto", "notebook", "closed", "adaptive", "width", "pooled"]),
    every=st.sampled_from(["auto", "log"]) | st.integers(1, 1000),
    data=st.sampled_from(["grid", "moons:noise=0.1", "mine.npz", "gaussians:classes=10,noise=1e-3"]),
    measure_samples=st.just("auto") | st.integers(4, 1000),
    split=st.floats(1e-3, 0.999),
    t_bins=st.integers(1, 10**6),
)


@often
@given(valid)
def test_json_gives_the_configuration_back(config):
    text = config.to_json()
    assert "\n" not in text
    assert RunConfig.from_json(text) == config
    assert list(json.loads(text)) == [f.name for f in dataclasses.fields(RunConfig)]


def test_a_file_of_the_first_schema_lacks_only_what_came_later():
    first = json.loads(RunConfig(seed=3).to_json())
    for field in dataclasses.fields(RunConfig):
        if setting_of(field).since > 1:
            del first[field.name]
    assert RunConfig.from_json(json.dumps(first)) == RunConfig(seed=3)
    for name in first:
        lacking = json.dumps({key: value for key, value in first.items() if key != name})
        with pytest.raises(UsageError, match=f"^configuration: {name} is missing$"):
            RunConfig.from_json(lacking)


def test_a_file_may_name_what_is_not_installed():
    config = RunConfig(data="theirs", engine="theirs", quantities=("one", "two"))
    assert RunConfig.from_json(config.to_json()) == config


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "not JSON"), ("{", "not JSON"), ("[" * 100_000, "not JSON"), ("9" * 10_000, "not JSON"),
        ("[]", "not a JSON object"), ("null", "not a JSON object"), ("{}", "activation is missing"),
        ('{"lrr": 1}', "unknown key lrr; did you mean lr?"),
        ('{"\\u001b[2J": 1}', "unknown key \\x1b[2J; known: "),
        (json.dumps({"x" * 100_000: 1}), "unknown key xxx"),
    ],
)  # fmt: skip
def test_text_that_is_no_configuration_is_refused(text, why):
    with pytest.raises(UsageError) as error:
        RunConfig.from_json(text)
    assert why in one_line(error)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30) | st.just(HUGE),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    max_leaves=8,
)
names = st.sampled_from([f.name for f in dataclasses.fields(RunConfig)] + ["lrr", "\x1b[0m", ""])


def only_usage_errors(function, *arguments) -> None:
    line = ""
    try:
        function(*arguments)
    except UsageError as error:
        line = str(error)
    assert line.isprintable()
    assert len(line) < 1000


@often
@given(valid, st.dictionaries(names, anything, max_size=3))
def test_from_json_raises_nothing_but_usage_errors(config, edits):
    only_usage_errors(RunConfig.from_json, json.dumps(json.loads(config.to_json()) | edits))


@often
@given(st.text())
def test_from_json_of_any_text_raises_nothing_but_usage_errors(text):
    only_usage_errors(RunConfig.from_json, text)


# TOML.


def toml(text: str | bytes) -> str:
    path = Path("run.toml")
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


def test_a_file_speaks_the_language_of_the_flags():
    values = read_toml(
        toml('t-bins = 30\nlayers = [3, 2]\nbinning = "closed"\npaused = true\nautosave = 0.5\n')
    )
    config, session = build(values)
    assert config == RunConfig(t_bins=30, layers=(3, 2), binning="closed")
    assert session == WatchOptions(paused=True, autosave=0.5)
    assert build(read_toml(toml('layers = "3,2"')))[0].layers == (3, 2)
    assert build(read_toml(toml(""))) == (RunConfig(), WatchOptions())


def test_a_byte_order_mark_is_no_part_of_the_first_key():
    assert read_toml(toml(b"\xef\xbb\xbfepochs = 7")) == {"epochs": 7}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("epochs", "not TOML"), ("lr = ", "not TOML"), ("a = 1\na = 2", "not TOML"),
        ("lr = '\x1b'", "not TOML"),
        ("lr = " + "[" * 5000, "not TOML"), ("lr = " + "9" * 5000, "not TOML"),
        ("lr = 2000-13-01", "not TOML"),
        (b"lr = '\xff'", "not text in UTF-8"), (b"PK\x03\x04\x00\xff", "not text in UTF-8"),
        ("# " + "x" * 70_000, "more than 64 kB"),
        ("epoch = 3", "unknown key epoch; did you mean epochs?"),
        ("tbins = 3", "unknown key tbins; did you mean t_bins?"),
        ("learning_rate = 3", "unknown key learning_rate"),
        ("zzz = 3", "unknown key zzz; known: ctx, "),
        ('"\\u001b[2J" = 3', "unknown key \\x1b[2J"),
        ("[training]\nlr = 0.1", "[training]: keys stand at the top of the file, in no section"),
        ("samples = 40\n[data]\ngrid = 3", "[data]: keys stand at the top"),
        ("engine = {a = 1}", "[engine]: keys stand at the top"),
        ("lr.a.b = 1", "[lr]: keys stand at the top"),
        ("lr" + ".a" * 900 + " = 1", "[lr]: keys stand at the top"),
        ("t-bins = 3\nt_bins = 4", "is there twice"),
    ],
)  # fmt: skip
def test_a_bad_file_is_refused_in_one_line(text, why):
    with pytest.raises(UsageError) as error:
        read_toml(toml(text))
    line = one_line(error)
    assert line.startswith("--config run.toml: ")
    assert why in line


@pytest.mark.parametrize(
    "text",
    [
        "lr = 2000-01-01", "lr = 0x" + "f" * 5000, "t-bins = 3.5", "layers = [[2], 2]", "lr = nan",
        "quantities = 3", "[[layers]]\na = 2",
    ],
)  # fmt: skip
def test_a_bad_value_in_a_file_is_refused_by_name(text):
    with pytest.raises(UsageError, match=r"^--config run.toml: (lr|t-bins|layers|quantities) .*: must be "):
        read_toml(toml(text))


@pytest.mark.parametrize(
    ("text", "said"),
    [("every = -3", "every -3"), ("lr = true", "lr true"), ("layers = []", "layers []")],
)
def test_a_bad_value_in_a_file_blames_the_file_and_no_flag(text, said):
    with pytest.raises(UsageError) as error:
        read_toml(toml(text))
    assert one_line(error).startswith(f"--config run.toml: {said}: must be ")


@pytest.mark.timeout(20)
def test_what_is_no_file_is_refused_and_never_waited_for():
    os.mkfifo("pipe")
    os.mkdir("folder")
    for path, why in [
        ("missing.toml", "No such file"), ("folder", "s a directory"), ("pipe", "not a regular file"),
        ("/dev/zero", "not a regular file"), ("", "No such file"), ("a\0b", "not a file name"),
        ("x" * 5000, "File name too long"), ("\x1b[2J.toml", "No such file"), ("run.toml/x", "No such file"),
    ]:  # fmt: skip
        with pytest.raises(UsageError) as error:
            read_toml(path)
        line = str(error.value)
        assert line.isprintable()
        assert line.startswith(f"--config {printable(path)}: ")
        assert why in line
        assert "it takes a TOML file" in line


toml_text = st.text(max_size=60) | st.builds(
    lambda key, value: f"{key} = {value}",
    st.sampled_from(["lr", "layers", "epochs", "t-bins", "x", '"\\u0007"', "lr.a", "[lr"]),
    st.text(max_size=20)
    | st.integers().map(str)
    | st.sampled_from(["[2, 2]", "'x'", "nan", "inf", "1979-05-27"]),
)


@often
@given(toml_text)
def test_read_toml_raises_nothing_but_usage_errors(text):
    only_usage_errors(lambda: build(read_toml(toml(text.encode("utf-8", "surrogatepass")))))
