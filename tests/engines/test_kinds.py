"""Engines give and accept what their kinds declare; activations follow from what is kept."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ibtui.config import RunConfig
from ibtui.core.forward import forward
from ibtui.core.seeding import initial_parameters
from ibtui.engines import ENGINES, kind_of
from ibtui.engines.dense import check_net
from ibtui.engines.mxnet import library
from ibtui.errors import UsageError

MXNET = pytest.mark.skipif(library.installed() is None, reason="MXNet is not installed")
OWN = ["fused", pytest.param("gluon", marks=MXNET)]
CONFIG = RunConfig(ctx="cpu", layers=(3, 5, 2), activation="sigmoid", init_sigma=0.5, seed=7)


@pytest.fixture
def problem():
    x = np.random.RandomState(1).uniform(size=(57, 4)).astype(np.float32)
    return x, (x.sum(1) * 50).astype(np.int64) % 2


def test_ibtuis_own_engines_are_found_by_name():
    assert ENGINES.names[:2] == ("gluon", "fused")
    for name in ("gluon", "fused"):
        assert ENGINES[name].name == name
        assert ENGINES[name].summary
        assert kind_of(RunConfig(engine=name)) is ENGINES[name]
    assert kind_of(RunConfig(engine="auto")).name in ("gluon", "fused")


@pytest.mark.parametrize("engine", OWN)
def test_a_state_has_the_arrays_that_are_declared(engine, problem):
    kind = ENGINES[engine]
    declared = kind.checkpoint(CONFIG, 4)
    assert list(declared) == ["weight0", "bias0", "weight1", "bias1", "weight2", "bias2", "moving_loss"]
    assert {name: spec.shape for name, spec in kind.kept(CONFIG, 4).items()} == {
        "weight0": (3, 4), "bias0": (3,), "weight1": (5, 3), "bias1": (5,), "weight2": (2, 5), "bias2": (2,),
    }  # fmt: skip
    trained = kind.create(CONFIG, "cpu", *problem, kind.initial(CONFIG, 4))
    trained.train(0, 2)
    for state in (kind.initial(CONFIG, 4), trained.state()):
        assert list(state) == list(declared)
        for name, spec in declared.items():
            assert (state[name].shape, state[name].dtype) == (spec.shape, np.dtype(spec.dtype)), name
    assert np.isnan(kind.scalars(kind.initial(CONFIG, 4))["moving_loss"])
    assert kind.scalars(trained.state()) == {"moving_loss": float(trained.state()["moving_loss"])}


@pytest.mark.parametrize("engine", OWN)
def test_settings_add_their_arrays_to_the_state(engine, problem):
    kind, config = ENGINES[engine], replace(CONFIG, optimizer="adam", gradients=True)
    declared = kind.checkpoint(config, 4)
    assert set(declared) - set(kind.checkpoint(CONFIG, 4)) == {"moment1", "moment2", "steps", "gradient_snr"}
    assert kind.kept(config, 4) == kind.kept(CONFIG, 4)
    trained = kind.create(config, "cpu", *problem, kind.initial(config, 4))
    trained.train(0, 2)
    for state in (kind.initial(config, 4), trained.state()):
        assert list(state) == list(declared)
        for name, spec in declared.items():
            assert (state[name].shape, state[name].dtype) == (spec.shape, np.dtype(spec.dtype)), name
    assert trained.state()["steps"] == 12
    assert np.isnan(kind.scalars(kind.initial(config, 4))["gradient_snr"]).all()
    assert (kind.scalars(trained.state())["gradient_snr"] > 0).all()
    assert (trained.state()["moment2"] >= 0).all()


@pytest.mark.parametrize("engine", ["fused", "gluon"])
def test_a_setting_of_the_net_reaches_its_start_its_layers_and_its_activations(engine, problem):
    config = replace(CONFIG, init="fan-in", output="linear")
    kind, parameters = ENGINES[engine], initial_parameters((3, 5, 2), inputs=4, init="fan-in", seed=7)
    kept = kind.initial(config, 4)
    for ours, (weight, _) in zip(kind.weights(kept), parameters, strict=True):
        np.testing.assert_array_equal(ours, weight)
    expected = forward(problem[0], parameters, "sigmoid", "linear")
    for ours, right in zip(kind.activations(config, kept, problem[0]), expected, strict=True):
        assert ours.tobytes() == right.tobytes()
    assert [layer.activation for layer in kind.layers(config)] == ["sigmoid", "sigmoid", "linear"]
    softmax = replace(config, measure_output="softmax")
    assert [layer.activation for layer in kind.layers(softmax)] == ["sigmoid", "sigmoid", "softmax"]


@pytest.mark.parametrize("engine", ["fused", "gluon"])  # neither framework nor device is needed
def test_activations_are_the_forward_pass_of_what_is_kept(engine, problem):
    kind = ENGINES[engine]
    parameters = initial_parameters((3, 5, 2), inputs=4, sigma=0.5, seed=7)
    kept = {name: array for name, array in kind.initial(CONFIG, 4).items() if name in kind.kept(CONFIG, 4)}
    activations = kind.activations(CONFIG, kept, problem[0])
    for ours, right in zip(activations, forward(problem[0], parameters, "sigmoid"), strict=True):
        assert ours.tobytes() == right.tobytes()
    layers = kind.layers(CONFIG)
    assert [layer.name for layer in layers] == ["0", "1", "2"]
    assert [layer.width for layer in layers] == [t.shape[1] for t in activations]
    assert {layer.activation for layer in layers} == {"sigmoid"}


def test_declaring_and_deriving_need_neither_mxnet_nor_numba():
    code = (
        "import sys, json, numpy as np; from ibtui.config import RunConfig\n"
        "from ibtui.engines import ENGINES\n"
        "for name in ('gluon', 'fused'):\n"
        "    kind, config = ENGINES[name], RunConfig()\n"
        "    kind.activations(config, kind.initial(config, 2), np.ones((3, 2), np.float32))\n"
        "print(json.dumps([m for m in ('mxnet', 'numba', 'llvmlite') if m in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []


def test_importing_the_registry_imports_not_even_numpy():
    code = (
        "import sys; from ibtui.engines import ENGINES, kind_of; ENGINES.names; print('numpy' in sys.modules)"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "False"


# Engines of other packages, found on PYTHONPATH when a process begins.

CHOOSE = """
import sys
from ibtui.config import RunConfig
from ibtui.engines import ENGINES
from ibtui.engines.choose import choose
from ibtui.errors import UsageError
print(*ENGINES.names)
for engine, ctx in (each.split(":") for each in sys.argv[1:]):
    try: print(choose(RunConfig(engine=engine, ctx=ctx), 4))
    except UsageError as error: print(error)
"""


def test_an_engine_of_another_package_is_chosen_by_its_name_or_refused_in_a_line(monkeypatch):
    plugin = str(Path(__file__).parent.parent / "plugin")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([plugin, os.environ["PYTHONPATH"]]))
    asked = ["quadratic:auto", "quadratic:gpu0", "brokenengine:cpu", "quadratik:cpu"]
    said = subprocess.check_output([sys.executable, "-c", CHOOSE, *asked], text=True).splitlines()
    assert said[:3] == [
        "gluon fused brokenengine quadratic",
        "Choice(engine='quadratic', ctx='cpu', why='as asked', warning='')",
        "--ctx gpu0: the quadratic engine trains on the CPU: --ctx cpu",
    ]
    assert said[3].startswith("brokenengine: this engine cannot be loaded from broken:engine: ")
    assert said[4:] == ["quadratik: no engine of that name; did you mean quadratic?"]


def test_a_net_must_fit_its_data():
    check_net(RunConfig(), inputs=2, classes=2)
    check_net(RunConfig(layers="4096,2"), inputs=242, classes=2)
    with pytest.raises(
        UsageError, match=r"^--layers 4096,2: must be widths that make at most 1,000,000 weig"
    ):
        check_net(RunConfig(layers="4096,2"), inputs=243, classes=2)
    with pytest.raises(
        UsageError, match=r"^--layers 2,2: must be such that the last layer has a unit per class"
    ):
        check_net(RunConfig(layers="2,2"), inputs=2, classes=3)
