"""Ways to train the default experiment that people would use instead, and ibtui's own, for comparison.

Each contender is a function that gets the experiment ready and returns `train(start, stop)`, which returns
when those epochs are trained. The loops are written for the bench, in the style of each library's tutorials.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np

from ibtui.config import RunConfig
from ibtui.core.seeding import initial_parameters
from ibtui.data.samples import make_dataset
from ibtui.engines import ENGINES

Train = Callable[[int, int], Any]

CONFIG = RunConfig()
BATCH, RATE, SIGMA = CONFIG.batch_size, CONFIG.lr, CONFIG.init_sigma


@dataclass(frozen=True)
class Contender:
    """A way to train."""

    key: str
    name: str
    package: str
    """The module that it needs; contenders of one package share a process."""
    prepare: Callable[[str], Train]
    """Gets it ready on a device: cpu, gpu0, …"""


def _data() -> tuple[Any, Any]:
    """Return the half of the points that trains: float32 (500, 2) and labels."""
    dataset = make_dataset(CONFIG)
    return np.array(dataset.x), np.array(dataset.y)


def _parameters() -> Any:
    return initial_parameters(CONFIG.layers, sigma=SIGMA, seed=CONFIG.seed)


def _engine(device: str, make: Callable[..., Any] | None = None, name: str = "gluon") -> Train:
    kind, (x, y) = ENGINES[name], _data()
    engine = (make or kind.create)(CONFIG, device, x, y, kind.initial(CONFIG, x.shape[1]))
    train: Train = engine.train
    return train


def gluon_trainer(device: str) -> Train:
    """Prepare the Gluon engine's reference: a hybridised net, autograd and Trainer."""
    from ibtui.bench.gluon_trainer import GluonTrainerEngine

    return _engine(device, GluonTrainerEngine)


def tutorial(evaluating: bool) -> Train:
    """Prepare a loop as Gluon's tutorials have it: DataLoader, autograd, Trainer, accuracy by a metric."""
    from ibtui.engines.mxnet import library

    mx = library.import_mxnet()
    gluon, autograd = mx.gluon, mx.autograd
    x, y = _data()
    points = gluon.data.ArrayDataset(x, y.astype(np.float32))
    training = gluon.data.DataLoader(points, batch_size=BATCH, shuffle=True)
    checking = gluon.data.DataLoader(points, batch_size=BATCH)
    net = gluon.nn.Sequential()
    for units in CONFIG.layers:
        net.add(gluon.nn.Dense(units, activation="tanh"))
    net.initialize(mx.init.Normal(SIGMA))
    criterion = gluon.loss.SoftmaxCrossEntropyLoss()
    trainer = gluon.Trainer(net.collect_params(), "sgd", {"learning_rate": RATE})

    def accuracy() -> float:
        metric = mx.metric.Accuracy()
        for points, labels in checking:
            metric.update(preds=net(points), labels=labels)
        return float(metric.get()[1])

    def train(start: int, stop: int) -> None:
        for _ in range(start, stop):
            total = 0.0
            for points, labels in training:
                with autograd.record():
                    loss = criterion(net(points), labels)
                loss.backward()
                trainer.step(len(labels))
                total += float(loss.mean().asscalar())
            if evaluating:
                accuracy()

    return train


def _torch_net(torch: Any, inputs: int) -> Any:
    layers: list[Any] = []
    for before, units in zip((inputs, *CONFIG.layers), CONFIG.layers, strict=False):
        layers += [torch.nn.Linear(before, units), torch.nn.Tanh()]
    return torch.nn.Sequential(*layers)


def torch_eager(device: str) -> Train:
    """Prepare PyTorch, eager, on tensors in memory and one thread, its fastest on small arrays."""
    torch: Any = import_module("torch")

    torch.set_num_threads(1)
    x, y = map(torch.as_tensor, _data())
    net = _torch_net(torch, x.shape[1])
    criterion = torch.nn.CrossEntropyLoss()
    optimiser = torch.optim.SGD(net.parameters(), lr=RATE)

    def train(start: int, stop: int) -> None:
        for _ in range(start, stop):
            for batch in torch.randperm(len(x)).split(BATCH):
                optimiser.zero_grad()
                criterion(net(x[batch]), y[batch]).backward()
                optimiser.step()

    return train


def torch_graph(device: str) -> Train:
    """Prepare PyTorch on a GPU, all batches of an epoch in one CUDA graph."""
    torch: Any = import_module("torch")

    card = torch.device("cuda", int(device.removeprefix("gpu")))
    x, y = (torch.as_tensor(array).to(card) for array in _data())
    net = _torch_net(torch, x.shape[1]).to(card)
    parameters, criterion = list(net.parameters()), torch.nn.CrossEntropyLoss()
    order = torch.arange(len(x), device=card)

    def epoch() -> None:
        for batch in order.split(BATCH):
            gradients = torch.autograd.grad(criterion(net(x[batch]), y[batch]), parameters)
            with torch.no_grad():
                for parameter, gradient in zip(parameters, gradients, strict=True):
                    parameter.sub_(gradient, alpha=RATE)

    torch.cuda.set_device(card)
    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):  # as PyTorch asks for before a capture
        for _ in range(3):
            epoch()
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        epoch()

    def train(start: int, stop: int) -> None:
        for _ in range(start, stop):
            order.copy_(torch.randperm(len(order)))
            graph.replay()
        torch.cuda.synchronize()

    return train


def jax_scan(device: str, over_epochs: bool) -> Train:
    """Prepare JAX: a compiled scan over an epoch's batches, or over epochs and their batches.

    The orders are drawn by NumPy, a few microseconds each: JAX's own permutation takes several times as long.
    """
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # or it takes most of a card's memory
    jax: Any = import_module("jax")
    jnp: Any = import_module("jax.numpy")
    lax = jax.lax
    platform, index = ("cpu", 0) if device == "cpu" else ("gpu", int(device.removeprefix("gpu")))
    jax.config.update("jax_default_device", jax.devices(platform)[index])
    x, y = map(jnp.asarray, _data())
    random = np.random.default_rng(CONFIG.seed)
    n, classes = len(x), CONFIG.layers[-1]

    def loss(parameters: Any, batch: Any) -> Any:
        t, labels = batch
        for weights, biases in parameters:
            t = jnp.tanh(t @ weights.T + biases)
        return -(jax.nn.log_softmax(t) * jax.nn.one_hot(labels, classes)).sum(axis=1).mean()

    def step(parameters: Any, batch: Any) -> Any:
        gradients = jax.grad(loss)(parameters, batch)
        return jax.tree.map(lambda p, g: p - RATE * g, parameters, gradients), None

    def epoch(parameters: Any, order: Any) -> Any:
        batches = x[order].reshape(-1, BATCH, x.shape[1]), y[order].reshape(-1, BATCH)
        return lax.scan(step, parameters, batches)

    state = jax.tree.map(jnp.asarray, _parameters())
    one_epoch = jax.jit(lambda parameters, order: epoch(parameters, order)[0])
    all_epochs = jax.jit(lambda parameters, orders: lax.scan(epoch, parameters, orders)[0])

    def by_epoch(start: int, stop: int) -> None:
        nonlocal state
        for _ in range(start, stop):
            state = one_epoch(state, random.permutation(n))
        jax.block_until_ready(state)

    def at_once(start: int, stop: int) -> None:
        nonlocal state
        orders = np.tile(np.arange(n, dtype=np.int32), (stop - start, 1))
        state = jax.block_until_ready(all_epochs(state, random.permuted(orders, axis=1)))

    return at_once if over_epochs else by_epoch


def empty_launch(device: str) -> Train:
    """Prepare a kernel that does nothing: an "epoch" is a launch of it, and waiting until it is done."""
    from ibtui.engines.fused.cuda import CudaLauncher

    launcher = CudaLauncher(device, 'extern "C" __global__ void empty(int *x) {}', "empty")
    array = launcher.array(np.zeros(1, np.int32))

    def launch(start: int, stop: int) -> None:
        for _ in range(start, stop):
            launcher.launch((array,), 32, 0)
            launcher.read(array)

    return launch


def compiling(device: str) -> Train:
    """Prepare the compiler: an "epoch" is compiling the fused engine's kernel for the card."""
    from ibtui.engines.fused import gpu
    from ibtui.engines.fused.cuda import compile_source
    from ibtui.engines.nvidia.driver import start_driver

    source, capability = gpu.source(), start_driver().card(device).capability

    def compile_kernel(start: int, stop: int) -> None:
        for _ in range(start, stop):
            compile_source(source, capability, ["--no-cache"])

    return compile_kernel


BASE = "fused"
SLOWEST = "tutorial"
CONTENDERS = (
    Contender("tutorial", "Gluon as in tutorials, evaluating", "mxnet", lambda device: tutorial(True)),
    Contender("plain", "Gluon as in tutorials, not evaluating", "mxnet", lambda device: tutorial(False)),
    Contender("trainer", "Gluon, hybridised, arrays in memory", "mxnet", gluon_trainer),
    Contender("torch", "PyTorch, eager", "torch", torch_eager),
    Contender("gluon", "ibtui, Gluon engine", "mxnet", _engine),
    Contender("jax", "JAX, a scan over an epoch", "jax", lambda device: jax_scan(device, False)),
    Contender(
        "jax_all", "JAX, one scan over epochs and batches", "jax", lambda device: jax_scan(device, True)
    ),
    Contender(BASE, "ibtui, fused engine", "numba", lambda device: _engine(device, name="fused")),
)
"""Those that train on the CPU."""
GPU_CONTENDERS = (
    Contender("graph", "PyTorch, a CUDA graph of an epoch", "torch", torch_graph),
    Contender(
        "gpu_jax", "JAX, one scan over epochs and batches", "jax", lambda device: jax_scan(device, True)
    ),
    Contender("gpu_gluon", "ibtui, Gluon engine", "mxnet", _engine),
    Contender("cpu", "ibtui, fused engine, on the CPU", "numba", lambda _: _engine("cpu", name="fused")),
    Contender(BASE, "ibtui, fused engine", "cuda", lambda device: _engine(device, name="fused")),
)
"""Those that train on a GPU, and the CPU to compare with."""
GPU_STEPS = (
    Contender("launch", "an empty kernel: a launch, and waiting for it", "cuda", empty_launch),
    Contender("compile", "the kernel compiled for the card, as the first start does", "cuda", compiling),
)
"""Parts of what a run on a GPU costs."""
