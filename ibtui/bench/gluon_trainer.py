"""The Gluon engine's training by Gluon's own means: Dense layers, autograd and Trainer, batch by batch."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ibtui.config import RunConfig
from ibtui.core.seeding import batch_order
from ibtui.engines.dense import packed, parameters_of
from ibtui.engines.mxnet import library
from ibtui.engines.mxnet.gluon import batches, moved
from ibtui.engines.protocol import Array, Labels, State

mx = library.import_mxnet()


class GluonTrainerEngine:
    """The reference for `GluonEngine`, with the same parameters."""

    name = "gluon"

    def __init__(
        self, config: RunConfig, device: str, x: NDArray[np.float32], y: Labels, state: State
    ) -> None:
        self.device = device
        self._context = library.context(device)
        self._x = mx.nd.array(x, ctx=self._context, dtype=np.float32)
        self._y = mx.nd.array(y, ctx=self._context, dtype=np.float32)
        self._sizes = batches(len(x), config.batch_size)
        self._net: Any = mx.gluon.nn.HybridSequential()
        for before, units in zip([x.shape[1], *config.layers], config.layers, strict=False):
            self._net.add(mx.gluon.nn.Dense(units, activation=config.activation, in_units=before))
        self._net.initialize(ctx=self._context)
        self._net.hybridize(static_alloc=True, static_shape=True)
        self._loss = mx.gluon.loss.SoftmaxCrossEntropyLoss()
        self._trainer = mx.gluon.Trainer(self._net.collect_params(), "sgd", {"learning_rate": config.lr})
        self._seed = config.seed
        self._moving_loss = math.nan
        self.load(state)

    def train(self, start: int, stop: int) -> None:
        """Train epochs `start` … `stop - 1`, batch by batch."""
        for epoch in range(start, stop):
            order = batch_order(self._seed, epoch, len(self._y))
            order = mx.nd.array(order, ctx=self._context, dtype=np.int32)
            x, y = mx.nd.take(self._x, order), mx.nd.take(self._y, order)
            losses, first = [], 0
            for size in self._sizes:
                last = first + size
                with mx.autograd.record():
                    loss = self._loss(self._net(x[first:last]), y[first:last])
                loss.backward()
                self._trainer.step(size)
                losses.append(loss.mean())
                first = last
            means = mx.nd.concat(*losses, dim=0).asnumpy().astype(np.float64)
            self._moving_loss = moved(self._moving_loss, means)

    def state(self) -> dict[str, Array]:
        """Return copies of parameters and moving loss."""
        layers = [(layer.weight.data().asnumpy(), layer.bias.data().asnumpy()) for layer in self._net]
        return packed(layers, self._moving_loss)

    def load(self, state: State, seed: int | None = None) -> None:
        """Go on from a state; with a seed, in its order."""
        if seed is not None:
            self._seed = seed
        for layer, (weight, bias) in zip(self._net, parameters_of(state), strict=True):
            layer.weight.set_data(mx.nd.array(weight))
            layer.bias.set_data(mx.nd.array(bias))
        self._moving_loss = float(state["moving_loss"])

    def close(self) -> None:
        """Wait for what MXNet still has to do."""
        mx.nd.waitall()
