"""An engine from another package, whose net is no stack of Dense layers: softmax regression on products."""

import numpy as np

from ibtui.core.layer import Layer
from ibtui.core.seeding import batch_order
from ibtui.engines.protocol import ArraySpec


class Quadratic:
    name = "quadratic"
    summary = "softmax regression on the products of the inputs, in NumPy"

    def layers(self, config):
        return Layer("products", 3, "tanh"), Layer("output", 2, "sigmoid")

    def kept(self, config, inputs):
        return {"plane": ArraySpec((3, 2)), "offset": ArraySpec((2,))}

    def checkpoint(self, config, inputs):
        return self.kept(config, inputs) | {"batches": ArraySpec((), "int64")}

    def initial(self, config, inputs):
        random = np.random.RandomState(config.seed)
        plane = random.normal(0, config.init_sigma, (3, 2)).astype(np.float32)
        return {"plane": plane, "offset": np.zeros(2, np.float32), "batches": np.array(0)}

    def scalars(self, state):
        return {}

    def activations(self, config, kept, x):
        first, last = 2 * x[:, 0] - 1, 2 * x[:, -1] - 1
        products = np.column_stack([first, last, first * last]).astype(np.float32)
        scores = products @ kept["plane"] + kept["offset"]
        return [products, (1 / (1 + np.exp(-scores))).astype(np.float32)]

    def refusal(self, config, inputs, device):
        return "" if device == "cpu" else "the quadratic engine trains on the CPU: --ctx cpu"

    def create(self, config, device, x, y, state):
        return Training(self, config, x, y, state)


class Training:
    name, device = "quadratic", "cpu"

    def __init__(self, kind, config, x, y, state):
        self._products = kind.activations(config, state, x)[0]
        self._config, self._targets = config, np.eye(2, dtype=np.float32)[y]
        self.load(state, config.seed)

    def load(self, state, seed=None):
        self._state = {name: np.array(value) for name, value in state.items()}
        self._seed = self._config.seed if seed is None else seed

    def state(self):
        return {name: value.copy() for name, value in self._state.items()}

    def train(self, start, stop):
        plane, offset, size = self._state["plane"], self._state["offset"], self._config.batch_size
        for epoch in range(start, stop):
            order = batch_order(self._seed, epoch, len(self._targets))
            for batch in np.array_split(order, range(size, len(order), size)):
                products = self._products[batch]
                scores = np.exp(products @ plane + offset)
                error = (scores / scores.sum(1, keepdims=True) - self._targets[batch]) / len(batch)
                plane -= np.float32(self._config.lr) * (products.T @ error)
                offset -= np.float32(self._config.lr) * error.sum(0)
                self._state["batches"] += 1

    def close(self):
        pass


quadratic = Quadratic()
