"""From a net of any framework to what its layers make of samples, with nothing of it left changed."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from ibtui.probe.arrays import MOST_UNITS, Array, chosen, flat, is_tensor, loaded, taken, to_numpy, units

MOST_LAYERS = 64
"""The most layers that are watched; of more, the first and the last are among them."""

Outputs = list[tuple[str, int, Array]]
"""Each layer's name, its units, and the activations of at most `MOST_UNITS`, float32 (samples, units)."""
Functions = Mapping[str, Callable[[Any], Any]]


class NotYetError(Exception):
    """The net has no weights before its first batch: probing it would draw them."""


class Net(Protocol):
    """A net that can be probed."""

    def outputs(self, x: Any) -> Outputs:
        """Return what the layers make of inputs, in evaluation mode and without gradients.

        Raises
        ------
        NotYetError
            The net's weights are drawn with its first batch.
        """


def net_of(net: Any, layers: Functions | None, only: Sequence[str] | None) -> Net:
    """Return a net of any kind as one that can be probed.

    Raises
    ------
    TypeError
        It is none that its layers are known of.
    """
    if layers is not None and not all(callable(each) for each in dict(layers).values()):
        raise TypeError("layers must be functions from x to an array, by name")
    gluon = getattr(loaded("mxnet"), "gluon", None)
    if gluon is not None and isinstance(net, gluon.Block):
        return _GluonNet(net, layers, only)
    nn = loaded("torch.nn")
    if nn is not None and isinstance(net, nn.Module):
        return _TorchNet(net, layers, only)
    if layers is not None:
        return _FunctionNet(lambda x: {name: each(x) for name, each in layers.items()}, only)
    if callable(net):
        return _FunctionNet(net, only)
    raise TypeError(
        f"{type(net).__name__}: neither a Gluon block nor a torch module nor a function from x to "
        "{name: array}"
    )


def _gathered(named: Mapping[str, Any], samples: int) -> Outputs:
    """Return arrays as activations; what has not a row for each sample is refused."""
    outputs: Outputs = []
    for name, values in named.items():
        values = values if hasattr(values, "shape") else to_numpy(values)
        if not len(values.shape) or values.shape[0] != samples:
            raise ValueError(f"layer {name}: of shape {tuple(values.shape)}, where {samples} samples came in")
        if len(values.shape) == 1 or units(values):
            outputs.append((name, units(values), flat(values)))
    return _thinned(outputs)


def _thinned(outputs: Outputs) -> Outputs:
    if not outputs:
        raise ValueError("no layer was found that could be watched")
    if len(outputs) <= MOST_LAYERS:
        return outputs
    kept = np.linspace(0, len(outputs) - 1, MOST_LAYERS).round().astype(int)
    return [outputs[i] for i in kept]


def _kept(named: Mapping[str, Any], only: Sequence[str] | None) -> Mapping[str, Any]:
    """Return those that `only` names."""
    if only is None:
        return named
    if missing := [name for name in only if name not in named]:
        raise ValueError(f"only: there is no layer {missing[0]}; there is {', '.join(named)}")
    return {name: named[name] for name in only}


class _FunctionNet:
    """A function from x to arrays by name; of several without names, their places are their names."""

    def __init__(self, function: Callable[[Any], Any], only: Sequence[str] | None) -> None:
        self._function, self._only = function, only

    def outputs(self, x: Any) -> Outputs:
        with _without_gradients():
            found = self._function(x)
            if not isinstance(found, Mapping):
                several = isinstance(found, (list, tuple))
                found = {str(i): each for i, each in enumerate(found)} if several else {"output": found}
            return _gathered(_kept({str(name): each for name, each in found.items()}, self._only), len(x))


class _GluonNet:
    """A Gluon block. Its hooks are not used: on a hybridised block they fire once, with a Symbol.

    The children of a Sequential one are called in turn, which is what the block itself does.
    """

    def __init__(self, net: Any, layers: Functions | None, only: Sequence[str] | None) -> None:
        nn = loaded("mxnet").gluon.nn
        self._net, self._layers, self._only = net, layers, only
        if layers is None and not isinstance(net, (nn.Sequential, nn.HybridSequential)):
            raise TypeError(
                f"{type(net).__name__}: a Gluon block that is no Sequential does not say what its layers "
                "are: name them by layers={name: function from x to an array}"
            )

    def outputs(self, x: Any) -> Outputs:
        mx = loaded("mxnet")
        parameters = list(self._net.collect_params().values())
        if any(getattr(each, "_data", each) is None for each in parameters):
            raise NotYetError
        with mx.autograd.pause(train_mode=False):
            x = self._input(mx, x, parameters)
            if self._layers is not None:
                named = {name: each(x) for name, each in self._layers.items()}
            else:
                named = {}
                for number, child in enumerate(self._net):
                    x = child(x)
                    name = self._name(child, number)
                    named[name if name not in named else f"{name} ({number})"] = x
            return _gathered(_kept(named, self._only), len(x))

    def _name(self, child: Any, number: int) -> str:
        prefix, name = getattr(self._net, "prefix", ""), str(getattr(child, "name", ""))
        return name.removeprefix(prefix) or str(number)

    def _input(self, mx: Any, x: Any, parameters: list[Any]) -> Any:
        if type(x).__module__.startswith("mxnet"):
            return x
        array = to_numpy(x)
        context = parameters[0].list_ctx()[0] if parameters else mx.cpu()
        dtype = parameters[0].dtype if parameters and array.dtype.kind == "f" else array.dtype
        numpy_like = getattr(mx.util, "is_np_array", lambda: False)()
        return (mx.np if numpy_like else mx.nd).array(array, ctx=context, dtype=dtype)


class _TorchNet:
    """A torch module, whose submodules' outputs are copied by hooks that last for one call."""

    def __init__(self, net: Any, layers: Functions | None, only: Sequence[str] | None) -> None:
        self._given, self._layers, self._only = net, layers, only

    def outputs(self, x: Any) -> Outputs:
        torch, net = loaded("torch"), _eager(self._given)
        parameters = list(net.parameters())
        if any(torch.nn.parameter.is_lazy(each) for each in parameters):
            raise NotYetError
        if not is_tensor(x):
            x = torch.from_numpy(np.ascontiguousarray(to_numpy(x)))
            if parameters and x.is_floating_point():
                x = x.to(parameters[0].dtype)
        if parameters:
            x = x.to(parameters[0].device)
        with _evaluating(net), _without_gradients(), _not_compiled(torch):
            if self._layers is not None:
                return _gathered({name: each(x) for name, each in self._layers.items()}, len(x))
            return self._hooked(torch, net, x)

    def _hooked(self, torch: Any, net: Any, x: Any) -> Outputs:
        found: dict[str, tuple[int, Array]] = {}
        watched, hooks = self._modules(torch, net), []
        last: list[Any] = []

        def hook(name: str) -> Callable[[Any, Any, Any], None]:
            def take(module: Any, inputs: Any, output: Any) -> None:
                tensor = output[0] if isinstance(output, (tuple, list)) and output else output
                if not is_tensor(tensor) or not tensor.ndim or tensor.shape[0] != len(x):
                    return
                called, number = name, 1
                while called in found:  # it is called several times
                    number += 1
                    called = f"{name} ({number})"
                found[called] = units(tensor), _copied(torch, tensor)
                last[:] = [tensor.detach()]

            return take

        try:
            for name, module in watched.items():
                hooks.append(module.register_forward_hook(hook(name)))
            output = net(x)
        finally:
            for each in hooks:
                each.remove()
        if self._only is None and is_tensor(output) and output.ndim and output.shape[0] == len(x):
            final = output.detach()
            if not (last and last[0].data_ptr() == final.data_ptr() and last[0].shape == final.shape):
                found.setdefault("output", (units(final), _copied(torch, final)))
        if self._only is not None and (missing := [each for each in self._only if each not in found]):
            raise ValueError(
                f"only: {missing[0]} gave no tensor with a row for each sample; there is "
                f"{', '.join(_submodules(net))}"
            )
        return _thinned([(name, count, array) for name, (count, array) in found.items()])

    def _modules(self, torch: Any, net: Any) -> dict[str, Any]:
        """Return the submodules to watch: those named, or each activation module, or each leaf."""
        named = _submodules(net)
        if self._only is not None:
            return {name: module for name, module in named.items() if name in self._only}
        leaves = {name: each for name, each in named.items() if not any(True for _ in each.children())}
        if not leaves:
            return {type(net).__name__: net}
        kind = "torch.nn.modules.activation"
        return {name: each for name, each in leaves.items() if type(each).__module__ == kind} or leaves


def _submodules(net: Any) -> dict[str, Any]:
    """Return all submodules by their names, those of a compiled one as though it were not."""
    return {
        name.replace("._orig_mod", ""): module
        for name, module in net.named_modules()
        if name and not hasattr(module, "_orig_mod")
    }


def _copied(torch: Any, tensor: Any) -> Array:
    """Copy a layer's values at once: one that works in place will write over them."""
    table = tensor.detach().reshape(len(tensor), -1)
    columns = chosen(table.shape[1], MOST_UNITS)
    if columns is not None:
        table = taken(table.T, columns).T
    return np.array(table.to(device="cpu", dtype=torch.float32).numpy(), np.float32, order="C")


def _eager(net: Any) -> Any:
    """Return the module itself, which a compiled one, or one that trains on several devices, stands for."""
    parallel = ("DataParallel", "DistributedDataParallel")
    while True:
        if hasattr(net, "_orig_mod"):
            net = net._orig_mod
        elif type(net).__name__ in parallel and hasattr(net, "module"):
            net = net.module
        else:
            return net


@contextlib.contextmanager
def _evaluating(net: Any) -> Iterator[None]:
    """Put every module into evaluation mode, and each back into its own."""
    modes = [(module, module.training) for module in net.modules()]
    try:
        net.eval()
        yield
    finally:
        for module, training in modes:
            module.training = training


@contextlib.contextmanager
def _not_compiled(torch: Any) -> Iterator[None]:
    """Have submodules that are compiled run as they are written: their hooks are called then."""
    stance = getattr(getattr(torch, "compiler", None), "set_stance", None)
    if stance is None or loaded("torch._dynamo") is None:
        yield
        return
    with stance("force_eager"):
        yield


@contextlib.contextmanager
def _without_gradients() -> Iterator[None]:
    """Record no gradients in any framework that is there."""
    with contextlib.ExitStack() as stack:
        torch, mxnet = loaded("torch"), loaded("mxnet")
        if hasattr(torch, "no_grad"):
            stack.enter_context(torch.no_grad())
        if hasattr(mxnet, "autograd"):
            stack.enter_context(mxnet.autograd.pause(train_mode=False))
        yield


@contextlib.contextmanager
def unchanged() -> Iterator[list[str]]:
    """Put generators of random numbers back that the block has drawn from; their names are in the list then.

    MXNet's own cannot be read, and so not be checked: in evaluation mode its layers draw nothing.
    """
    before, drawn = _states(), list[str]()
    try:
        yield drawn
    finally:
        for name, (state, read, put) in before.items():
            if not _same(read(), state):
                put(state)
                drawn.append(name)


def _states() -> dict[str, tuple[Any, Callable[[], Any], Callable[[Any], Any]]]:
    """Return the state of each generator, how to read it, and how to put it back."""
    found: dict[str, tuple[Any, Callable[[], Any], Callable[[Any], Any]]] = {
        "Python": (random.getstate(), random.getstate, random.setstate),
        "NumPy": (np.random.get_state(), np.random.get_state, np.random.set_state),
    }
    torch = loaded("torch")
    if hasattr(torch, "get_rng_state"):
        found["PyTorch"] = torch.get_rng_state(), torch.get_rng_state, torch.set_rng_state
        cuda = torch.cuda
        if cuda.is_initialized():
            found["CUDA"] = cuda.get_rng_state_all(), cuda.get_rng_state_all, cuda.set_rng_state_all
    return found


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, tuple) and len(one) == 3:  # Python's: hundreds of plain numbers
        return bool(one == other)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(_same, one, other))
    if is_tensor(one) or isinstance(one, np.ndarray):
        return bool((one == other).all())
    return bool(one == other)
