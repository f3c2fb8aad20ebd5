"""Nets of MXNet, PyTorch and JAX, where they are there: what is seen of them, and that nothing changes."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import ibtui
from tests.watch.loops import read, rows

# SciPy's, where it is installed: MXNet uses an old name of it whenever it looks at an array.
pytestmark = pytest.mark.filterwarnings("ignore:Please import:DeprecationWarning")


def mxnet():
    """MXNet, imported as ibtui does it."""
    from ibtui.engines.mxnet import library
    from ibtui.errors import EngineError

    try:
        return library.import_mxnet()
    except EngineError as error:
        pytest.skip(str(error))


def torch():
    return pytest.importorskip("torch")


X = np.random.RandomState(0).uniform(size=(60, 1, 8, 8)).astype(np.float32)
Y = np.random.RandomState(1).randint(0, 3, 60)


# MXNet.


def gluon_cnn(mx, hybridised: bool):
    mx.random.seed(3)
    np.random.seed(3)
    net = mx.gluon.nn.HybridSequential()
    net.add(mx.gluon.nn.Conv2D(4, 3, activation="relu", in_channels=1), mx.gluon.nn.BatchNorm(in_channels=4))
    net.add(mx.gluon.nn.MaxPool2D(), mx.gluon.nn.Flatten(), mx.gluon.nn.Dropout(0.3))
    net.add(mx.gluon.nn.Dense(16, activation="tanh", in_units=36), mx.gluon.nn.Dense(3, in_units=16))
    net.initialize(mx.init.Xavier())
    if hybridised:
        net.hybridize()
    return net


def train_gluon(mx, net, epochs):
    """Train, as a user's loop does; `epochs` counts them."""
    trainer = mx.gluon.Trainer(net.collect_params(), "adam", {"learning_rate": 0.01})
    loss_of = mx.gluon.loss.SoftmaxCrossEntropyLoss()
    x, y = mx.nd.array(X), mx.nd.array(Y)
    for _ in epochs:
        order = np.random.permutation(len(X))
        for start in range(0, len(X), 20):
            batch = mx.nd.array(order[start : start + 20])
            with mx.autograd.record():
                loss = loss_of(net(x.take(batch)), y.take(batch))
            loss.backward()
            trainer.step(20)
    return [p.data().asnumpy() for p in net.collect_params().values()]


@pytest.mark.parametrize("hybridised", [False, True])
def test_gluon_trains_equally_to_the_bit(hybridised):
    mx = mxnet()
    net = gluon_cnn(mx, hybridised)
    before = train_gluon(mx, net, range(3))
    net = gluon_cnn(mx, hybridised)
    with ibtui.watch(net, X, Y, every=1, name="net") as run:
        after = train_gluon(mx, net, run.epochs(3))
    assert all((a == b).all() for a, b in zip(before, after, strict=True))
    last = rows("net.ibtui")[-1].activations
    assert len(last) == 7 and (last[-1] == net(mx.nd.array(X)).asnumpy()).all()
    names = [layer.name for layer in read("net.ibtui")[0].net.layers]
    assert [name.rstrip("0123456789") for name in names] == [
        "conv", "batchnorm", "pool", "flatten", "dropout", "dense", "dense",
    ]  # fmt: skip


def test_a_net_that_draws_its_weights_later_is_measured_later(capsys):
    mx = mxnet()

    def net_of():
        mx.random.seed(3)
        np.random.seed(3)
        net = mx.gluon.nn.Sequential()
        net.add(mx.gluon.nn.Flatten(), mx.gluon.nn.Dense(8, activation="relu"), mx.gluon.nn.Dense(3))
        net.initialize()
        return net

    before = train_gluon(mx, net_of(), range(3))
    net = net_of()
    with ibtui.watch(net, X, Y, every=1, name="net") as run:
        after = train_gluon(mx, net, run.epochs(3))
    assert all((a == b).all() for a, b in zip(before, after, strict=True))
    assert [row.epoch for row in rows("net.ibtui")] == [1, 2, 3]
    assert "draws its weights with its first batch" in capsys.readouterr().err


def test_other_gluon_blocks_name_their_layers():
    mx = mxnet()

    class Own(mx.gluon.Block):
        def __init__(self):
            super().__init__()
            self.hidden = mx.gluon.nn.Dense(4, in_units=64)

        def forward(self, x):
            return self.hidden(x.flatten()).tanh()

    net = Own()
    net.initialize()
    with pytest.raises(TypeError, match="Own: a Gluon block that is no Sequential"):
        ibtui.watch(net, X, Y)
    layers = {"sums": lambda x: net.hidden(x.flatten()), "out": net}
    with ibtui.watch(net, X, Y, layers=layers, name="net") as run:
        list(run.epochs(1))
    found = rows("net.ibtui")[0].activations
    assert (found[1] == net(mx.nd.array(X)).asnumpy()).all() and found[0].shape == (60, 4)


def test_the_estimator_of_gluon_is_watched():
    mx = mxnet()
    import logging

    from mxnet.gluon.contrib.estimator import Estimator

    net = gluon_cnn(mx, hybridised=False)
    loss_of = mx.gluon.loss.SoftmaxCrossEntropyLoss()
    trainer = mx.gluon.Trainer(net.collect_params(), "sgd", {"learning_rate": 0.1})
    data = mx.gluon.data.DataLoader(mx.gluon.data.ArrayDataset(X, Y.astype("f4")), 20)
    estimator = Estimator(net, loss_of, trainer=trainer, context=mx.cpu())
    estimator.logger.setLevel(logging.ERROR)
    with ibtui.watch(net, X, Y, every=1, name="net") as run:
        estimator.fit(data, epochs=3, event_handlers=[ibtui.handler(run)])
    stream, found = read("net.ibtui")
    assert [row.epoch for row in found] == [0, 1, 2, 3] and stream.planned == 3
    assert found[-1].scalars.keys() == {"loss", "accuracy"}
    assert (found[-1].activations[-1] == net(mx.nd.array(X)).asnumpy()).all()


# PyTorch.


def torch_cnn(torch):
    torch.manual_seed(3)
    nn = torch.nn
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Dropout(0.3), nn.Flatten(),
        nn.Linear(144, 16), nn.ReLU(inplace=True), nn.Linear(16, 3),
    )  # fmt: skip


def train_torch(torch, net, epochs, x=X, y=Y):
    """Train a module, and return its parameters and buffers."""
    optimiser = torch.optim.Adam(net.parameters(), 0.01)
    x, y = torch.from_numpy(x), torch.from_numpy(y)
    for _ in epochs:
        for batch in torch.randperm(len(x)).split(20):
            optimiser.zero_grad()
            torch.nn.functional.cross_entropy(net(x[batch]), y[batch]).backward()
            optimiser.step()
    return [t.detach().numpy().copy() for t in net.state_dict().values()]


@pytest.mark.frameworks
def test_torch_trains_equally_to_the_bit():
    t = torch()
    before = train_torch(t, torch_cnn(t), range(3))
    net = torch_cnn(t)
    net[1].eval()  # a user may have fixed a part of it
    frozen = train_torch(t, net, range(3))
    for fixed, expected in ((False, before), (True, frozen)):
        net = torch_cnn(t)
        if fixed:
            net[1].eval()
        with ibtui.watch(net, X, Y, every=1, name="net") as run:
            after = train_torch(t, net, run.epochs(3))
        assert all((a == b).all() for a, b in zip(expected, after, strict=True))
        assert [m.training for m in net] == [True, not fixed, *[True] * 6]
        assert not any(m._forward_hooks for m in net.modules())


@pytest.mark.frameworks
def test_what_torch_modules_give():
    t = torch()
    net = torch_cnn(t)
    with ibtui.watch(net, X, Y, name="net") as run:
        list(run.epochs(1))
    stream, found = read("net.ibtui")
    assert [layer.name for layer in stream.net.layers] == ["2", "6", "output"]
    net.eval()
    assert (found[0].activations[2] == net(t.from_numpy(X)).detach().numpy()).all()
    assert (found[0].activations[0].reshape(60, 4, 6, 6) == net[:3](t.from_numpy(X)).detach().numpy()).all()
    with ibtui.watch(net, X, Y, name="only", only=["5", "0"]) as run:
        list(run.epochs(1))
    stream, found = read("only.ibtui")
    assert [layer.name for layer in stream.net.layers] == ["0", "5"]
    # The in-place ReLU after it has not written over this copy.
    assert (found[0].activations[1] < 0).any()


@pytest.mark.frameworks
def test_torch_modules_called_several_times_and_leaves():
    t = torch()

    class Net(t.nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.act = t.nn.Linear(64, 8), t.nn.Linear(8, 3), t.nn.Tanh()

        def forward(self, x):
            return self.act(self.b(self.act(self.a(x.flatten(1)))))

    class Plain(Net):
        def forward(self, x):
            return self.b(t.relu(self.a(x.flatten(1))))

    for net, names in ((Net(), ["act", "act (2)"]), (t.nn.DataParallel(Net()), ["act", "act (2)"])):
        with ibtui.watch(net, X, Y, name="net") as run:
            list(run.epochs(1))
        assert [layer.name for layer in read(run.path)[0].net.layers] == names
    plain = Plain()
    del plain.act
    with ibtui.watch(plain, X, Y, name="plain") as run:
        list(run.epochs(1))
    assert [layer.name for layer in read(run.path)[0].net.layers] == ["a", "b"]


@pytest.mark.frameworks
def test_lazy_torch_modules_are_measured_later(capsys):
    t = torch()

    def net_of():
        t.manual_seed(3)
        return t.nn.Sequential(t.nn.Flatten(), t.nn.LazyLinear(8), t.nn.ReLU(), t.nn.LazyLinear(3))

    def train(net, epochs):
        for epoch in epochs:
            if epoch == 0:
                net(t.from_numpy(X))
                optimiser = t.optim.SGD(net.parameters(), 0.1)
            optimiser.zero_grad()
            t.nn.functional.cross_entropy(net(t.from_numpy(X)), t.from_numpy(Y)).backward()
            optimiser.step()
        return [each.detach().numpy().copy() for each in net.parameters()]

    before, net = train(net_of(), range(3)), net_of()
    with ibtui.watch(net, X, Y, every=1, name="net") as run:
        after = train(net, run.epochs(3))
    assert all((a == b).all() for a, b in zip(before, after, strict=True))
    assert [row.epoch for row in rows("net.ibtui")] == [1, 2, 3]


@pytest.mark.frameworks
def test_an_error_in_a_torch_net_leaves_no_trace():
    t = torch()
    net = torch_cnn(t)
    with ibtui.watch(net, X[:, :, :5], Y, name="net") as run:  # too small for its Linear layer
        list(run.epochs(1))
    assert all(m.training and not m._forward_hooks for m in net.modules()) and t.is_grad_enabled()


@pytest.mark.frameworks
def test_losses_of_torch_are_logged():
    t = torch()
    net = torch_cnn(t)
    with ibtui.watch(net, X, Y, every=1, name="net") as run:
        for _ in run.epochs(1):
            run.log(loss=t.tensor(0.5, requires_grad=True), half=t.tensor(2.0, dtype=t.bfloat16))
    assert rows("net.ibtui")[-1].scalars == {"loss": 0.5, "half": 2.0}


# JAX.


@pytest.mark.frameworks
def test_jax_trains_equally_to_the_bit():
    jax = pytest.importorskip("jax")
    jnp = jax.numpy
    x, y = jnp.asarray(X.reshape(60, 64)), jnp.asarray(Y)

    def layers(p, x):
        hidden = jnp.tanh(x @ p[0])
        return {"hidden": hidden, "out": hidden @ p[1]}

    @jax.jit
    def step(p):
        def loss(p):
            return -jax.nn.log_softmax(layers(p, x)["out"])[jnp.arange(60), y].mean()

        value, gradient = jax.value_and_grad(loss)(p)
        return [w - 0.1 * g for w, g in zip(p, gradient, strict=True)], value

    def train(epochs, watch=None):
        keys = jax.random.split(jax.random.PRNGKey(0))
        p = [jax.random.normal(keys[0], (64, 8)), jax.random.normal(keys[1], (8, 3))]
        held["p"] = p
        for _ in epochs:
            held["p"], value = step(held["p"])
            if watch is not None:
                watch.log(loss=value, half=value.astype(jnp.bfloat16))
        return [np.asarray(w) for w in held["p"]]

    held: dict[str, list] = {}
    before = train(range(5))
    held["p"] = [jnp.zeros((64, 8)), jnp.zeros((8, 3))]
    with ibtui.watch(lambda x: layers(held["p"], x), x, y, every=1, name="net") as run:
        after = train(run.epochs(5), run)
    assert all((a == b).all() for a, b in zip(before, after, strict=True))
    found = rows("net.ibtui")
    assert [row.epoch for row in found] == list(range(6)) and found[-1].scalars.keys() == {"loss", "half"}
    assert np.isfinite(ibtui.load("net.ibtui").column("i_ty")).all()


# Others.


def test_what_speaks_dlpack_alone_is_taken():
    class Foreign:
        def __init__(self, array):
            self._array, self.shape = array, array.shape

        def __dlpack__(self, **options):
            return self._array.__dlpack__(**options)

        def __dlpack_device__(self):
            return self._array.__dlpack_device__()

    with ibtui.watch(lambda x: {"a": Foreign(x.reshape(60, 64) * 2)}, X, Y, name="net") as run:
        list(run.epochs(1))
    assert (rows("net.ibtui")[0].activations[0] == X.reshape(60, 64) * 2).all()


BARE = """
import sys
import numpy as np
before = set(sys.modules)  # with what the environment itself imports
import ibtui
x = np.random.RandomState(0).rand(50, 2)
with ibtui.watch(lambda x: {"a": np.tanh(x)}, x, (x[:, 0] > 0.5).astype(int), every=1, name="net") as run:
    for epoch in run.epochs(3):
        run.log(loss=epoch)
own = {name.partition(".")[0] for name in set(sys.modules) - before} - set(sys.stdlib_module_names)
own = {name for name in own if "cython" not in name}
assert own <= {"ibtui", "numpy"}, own
print(np.__version__)
"""


def test_no_framework_and_no_other_package_is_imported():
    done = subprocess.run([sys.executable, "-c", BARE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert [row.epoch for row in rows("net.ibtui")] == [0, 1, 2, 3]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_numpy_alone_is_enough(tmp_path):
    """Installed with `--no-deps` into an environment of NumPy 2 and nothing else, it watches a loop."""
    venv, root = tmp_path / "venv", Path(ibtui.__file__).parents[1]
    subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    pip = [venv / "bin" / "python", "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    subprocess.run([*pip, "numpy>=2"], check=True, timeout=300)
    subprocess.run([*pip, "--no-deps", str(root)], check=True, timeout=300)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [venv / "bin" / "python", "-c", BARE]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split(".")[0]) >= 2
    assert [row.epoch for row in rows("net.ibtui")] == [0, 1, 2, 3]
    assert importlib.util.find_spec("ibtui") is not None
