"""`ibtui.watch`: a training loop of the user's own, in any framework, probed and put on the screen.

Nothing but NumPy and the standard library is imported here, and none of it is ever in the loop's way: what
goes wrong ends the watching, with one line on stderr, and leaves the training running.
"""

from __future__ import annotations

import contextlib
import math
import operator
import os
import re
import socket
import sys
import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from ibtui import __version__, schedule
from ibtui.core.names import MEASURED
from ibtui.errors import UsageError, explain
from ibtui.probe.arrays import MOST_UNITS, Array, loaded, to_scalar
from ibtui.probe.gate import Gate, Listener
from ibtui.probe.nets import NotYetError, Outputs, net_of, unchanged
from ibtui.probe.samples import check_bins, choose_samples
from ibtui.run import loops
from ibtui.run.loops import Stream
from ibtui.stream import ENDING, Writer

MOST_SAMPLES = 1000
MOST_MB = 1024
MOST_SCALARS = 64
_NOT_YET = (
    "the net draws its weights with its first batch, and is measured from then on; "
    "call it before, as net(x[:1]), to have epoch 0"
)


def watch(
    net: Any,
    x: Any,
    y: Any,
    *,
    every: int | str = "auto",
    name: str | None = None,
    path: str | os.PathLike[str] | None = None,
    samples: int = MOST_SAMPLES,
    layers: Mapping[str, Callable[[Any], Any]] | None = None,
    only: Sequence[str] | None = None,
    activation: str | Mapping[str, str] | None = None,
    x_range: tuple[float, float] | None = None,
    y_bins: int | None = None,
    max_mb: float = MOST_MB,
) -> Run:
    """Watch a net while a loop of your own trains it: ``ibtui attach NAME`` shows it in another terminal.

    ::

        with ibtui.watch(net, x, y, every=10, name="mlp") as run:
            for epoch in run.epochs(2000):
                train_one_epoch()
                run.log(loss=loss)

    Measurements go to the stream file ``NAME.ibtui``, which `ibtui replay` and `ibtui report` read.

    Parameters
    ----------
    net : Gluon block, torch module or callable
        A Sequential block's children are the layers; a module's activation modules (or else its leaves), and
        its output. A function is given inputs, and returns each layer's activations by name; the first axis
        of each is the samples'.
    x : array-like of shape (N, ...)
        Inputs, as the net takes them.
    y : array-like of shape (N,) or (N, classes)
        Classes as whole numbers or one-hot rows, or any numbers, which are then binned by equal mass.
    every : int, "auto" or "log"
        Epochs between measurements. "auto": each up to epoch 100, then every 10; "log": 20 to a power of ten.
    name : str, optional
        The name to attach to; by default that of the program. A number is added where a live loop has it.
    path : path-like, optional
        The folder of the stream file, or the file, whose name ends in ``.ibtui``. Nothing is overwritten.
    samples : int
        Samples that are probed at most, chosen once.
    layers : mapping of str to callable, optional
        Functions from inputs to a layer's activations, in the place of the net's own layers.
    only : sequence of str, optional
        Names of the layers to watch, of those that there are.
    activation : str or mapping of str to str, optional
        What bounds the layers' values, such as "tanh", for all layers or by their names. Otherwise values are
        binned by equal mass (`--binning pooled`).
    x_range : (float, float), optional
        The range of each input, which is then binned; otherwise each sample is a symbol of X.
    y_bins : int, optional
        Bins of labels that are numbers; by default 10.
    max_mb : float
        The size of the stream file from which on only scalars are written.

    Returns
    -------
    Run
        A context manager; the last measurement is taken where its block ends in order.

    Raises
    ------
    TypeError, ValueError
        The arguments are none. Everything later ends the watching alone, and says so.
    """
    return Run(
        net, x, y, every=every, name=name, path=path, samples=samples, layers=layers, only=only,
        activation=activation, x_range=x_range, y_bins=y_bins, max_mb=max_mb,
    )  # fmt: skip


def _wrong(name: str, value: object, right: str) -> ValueError:
    return ValueError(f"{name}={value!r}: must be {right}")


class Run:
    """A loop that is watched; made by `watch`."""

    def __init__(
        self, net: Any, x: Any, y: Any, *, every: int | str, name: str | None,
        path: str | os.PathLike[str] | None, samples: int,
        layers: Mapping[str, Callable[[Any], Any]] | None, only: Sequence[str] | None,
        activation: str | Mapping[str, str] | None, x_range: tuple[float, float] | None, y_bins: int | None,
        max_mb: float,
    ) -> None:  # fmt: skip
        if every not in ("auto", "log") and (type(every) is not int or every < 1):
            raise _wrong("every", every, "a whole number from 1 on, 'auto' or 'log'")
        if type(samples) is not int or samples < 4:
            raise _wrong("samples", samples, "a whole number from 4 on")
        if not isinstance(max_mb, (int, float)) or not max_mb >= 0:
            raise _wrong("max_mb", max_mb, "a number from 0 on")
        named = {} if activation is None or isinstance(activation, str) else dict(activation)
        for each in (activation, *named.values()):
            if isinstance(each, str) and each not in MEASURED:
                raise _wrong("activation", each, "tanh, relu, sigmoid, linear or softmax")
        if x_range is not None:
            low, high = map(float, x_range)
            if not (math.isfinite(low) and math.isfinite(high) and low < high):
                raise _wrong("x_range", x_range, "two numbers, the smaller one first")
            x_range = low, high
        check_bins(y_bins)
        self._every: int | str = every
        self._name = _program() if name is None else name
        try:
            loops.check_name(self._name)
        except UsageError as error:
            raise ValueError(str(error)) from None
        self._path = None if path is None else Path(os.path.abspath(os.path.expanduser(path)))
        if self._path is not None and not self._path.is_dir() and self._path.suffix != ENDING:
            raise _wrong("path", os.fspath(self._path), f"a folder, or a file whose name ends in {ENDING}")
        self._activation, self._activations = activation, named
        self._x_range, self._max_bytes = x_range, max_mb * 1e6
        self._net = net_of(net, layers, [only] if isinstance(only, str) else only)
        self._samples = choose_samples(x, y, samples, y_bins)

        self._writer: Writer | None = None
        self._listener: Listener | None = None
        self._layers: list[tuple[str, int, int]] = []
        """Each layer's name, units and watched units; empty before the first measurement."""
        self._planned: int | None = None
        self._logged: dict[str, Any] = {}
        self._stale, self._stepped = True, False
        """True where nothing was logged since the last epoch began, or was said to be over; by `step`."""
        self._count = 0
        """Epochs whose body has begun or, by `step`, that are said to be trained."""
        self._due: float = 0
        """The epoch from which on the next measurement is due."""
        self._next: float = -1
        """The epoch from which on something is to be done: until then a step costs a comparison."""
        self._measured = self._shown = -1
        self._begun = self._off = False
        self._told: set[str] = set()
        self._gate = Gate(self._wake, _fixed)
        _RUNS.add(self)

    # What a loop calls.

    def epochs(self, count: int, start: int | None = None) -> Iterator[int]:
        """Count epochs for a loop, measure between them, wait while a screen asks for it, and end on stop.

        Parameters
        ----------
        count : int
            How many there are to be.
        start : int, optional
            The number of the first, such as that of a checkpoint; by default where the last call ended.

        Yields
        ------
        int
            The number of each epoch, from `start` on.
        """
        first = self._count if start is None else operator.index(start)
        stop = first + operator.index(count)
        self._begin()
        self.plan(stop)
        self._stepped = False
        for epoch in range(first, stop):
            if epoch >= self._next and not self._attend(epoch):
                return
            self._stale, self._count = True, epoch + 1
            yield epoch
        if self._next <= stop:  # what is due here is measured at the end of the block, or by what follows
            self._attend(stop, measure=False)

    def step(self, epoch: int, **scalars: Any) -> bool:
        """Say that so many epochs are trained, for a loop of another shape than `epochs` has.

        Parameters
        ----------
        epoch : int
            The epochs trained so far: 0 before the first.
        **scalars : float
            As for `log`.

        Returns
        -------
        bool
            False once a screen has asked to stop.
        """
        if type(epoch) is not int:
            epoch = self._whole(epoch)
        if self._stale:
            self._logged = scalars
        elif scalars:
            self._logged.update(scalars)
        self._stale, self._stepped, self._count = True, True, epoch
        if epoch < self._next:
            return True
        self._begin()
        return self._attend(epoch)

    def log(self, **scalars: Any) -> None:
        """Note numbers of training. In the body of epoch e they belong to the measurement of e + 1 epochs.

        `loss`, `accuracy`, `test_loss` and `test_accuracy` are drawn where ibtui draws its own; any other
        becomes a quantity of its name. Numbers of an epoch after which nothing is measured are dropped: `due`
        says so beforehand.
        """
        if self._stale:
            self._logged, self._stale = scalars, False
        else:
            self._logged.update(scalars)

    def plan(self, epochs: int) -> None:
        """Say how many epochs there are to be in all, where `epochs` does not: the screen shows it."""
        if epochs == self._planned or self._off:
            return
        self._begin()
        with self._never_in_the_way():
            self._planned = operator.index(epochs)
            if self._writer is not None:
                self._writer.append({"kind": "plan", "epochs": self._planned})

    @property
    def due(self) -> bool:
        """True in an epoch's body where a measurement follows; elsewhere, what is logged is dropped."""
        return self._count >= self._due or self._count == self._planned

    @property
    def name(self) -> str:
        """The name to attach to."""
        return self._name

    @property
    def path(self) -> str | None:
        """The stream file; None where there is none."""
        return None if self._writer is None else os.fspath(self._writer.path)

    def __enter__(self) -> Run:
        self._begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._off or not self._begun:
            return
        if error is None:
            with self._never_in_the_way():
                if self._count > self._measured:
                    self._measure(self._count)
        with self._never_in_the_way():
            if self._writer is not None:
                # Words for whoever looks at it later; the traceback is the user's own.
                why = "" if error is None else explain(error)[:300]
                self._writer.append({"kind": "end", "epoch": self._count, "why": why})
        self._finish()

    # The watching.

    def _begin(self) -> None:
        """Create the stream file, and listen; once, and in rank 0 of a distributed job alone."""
        if self._begun or self._off:
            return
        self._begun = True
        if _rank() != 0:
            self._finish()
            return
        with self._never_in_the_way():
            self._listen()
            folder = self._path if self._path is not None and self._path.is_dir() else Path.cwd()
            file = folder / f"{self._name}{ENDING}"
            self._writer = Writer(self._path if self._path is not None and folder != self._path else file)
            began = time.time()
            self._writer.append(
                {
                    "kind": "begin", "name": self._name, "pid": os.getpid(), "host": socket.gethostname(),
                    "started": loops.started(os.getpid()), "began": began, "ibtui": __version__,
                    "every": self._every,
                }
            )  # fmt: skip
            with contextlib.suppress(OSError):
                loops.remember(Stream(self._name, self._writer.path, began))

    def _listen(self) -> None:
        try:
            self._listener = Listener(self._name, self._gate, self._where)
            self._name = self._listener.loop
            self._listener.start()
        except (OSError, UsageError, RuntimeError) as error:
            self._listener = None
            self._tell(f"{self._name} cannot be attached to while it runs: {explain(error)}")

    def _where(self) -> dict[str, Any]:
        """Return what screens are told of the loop."""
        return {
            "name": self._name, "pid": os.getpid(), "epoch": self._count, "epochs": self._planned,
            "waits": self._gate.waiting, "stream": self.path, "ibtui": __version__,
        }  # fmt: skip

    def _wake(self) -> None:
        self._next = -1

    def _attend(self, epoch: int, *, measure: bool = True) -> bool:
        """Do what is to be done before an epoch; return False where the loop is to end."""
        if self._off:
            self._next = math.inf
            return True
        goes_on = True
        with self._never_in_the_way():
            if measure and epoch >= self._due:
                self._measure(epoch)
            goes_on = self._wait(epoch)
        return goes_on

    def _whole(self, epoch: Any) -> int:
        """Return an epoch as an int: trainers that count batches have it as a float."""
        with self._never_in_the_way():
            whole = int(epoch)
            if whole != epoch:
                raise ValueError(f"step({epoch!r}): epochs are whole numbers")
            return whole
        return self._count

    def _wait(self, epoch: int) -> bool:
        """Wait for as long as a screen holds the loop up, the net as it stands shown."""
        gate = self._gate
        while True:
            with gate.changed:
                if gate.stopping:
                    gate.waiting, self._next = None, -1
                    return False
                if not gate.holds(epoch):
                    gate.waiting, self._next = None, gate.next(self._due)
                    return True
                gate.waiting = epoch
                if epoch in (self._measured, self._shown):
                    gate.changed.wait()
                    continue
            self._shown = epoch
            self._measure(epoch, kind="present")

    def _measure(self, epoch: int, kind: str = "row") -> None:
        """Write what the net's layers make of the samples; of a `present` one nothing is recorded."""
        if (writer := self._writer) is None:
            return
        scalars, outputs = self._scalars(), Outputs()
        if kind == "row":
            self._due = schedule.following(self._every, epoch)
        if not self._layers or self._has_room(writer):
            try:
                with unchanged() as drawn:
                    outputs = self._net.outputs(self._samples.x)
            except NotYetError:
                self._tell(_NOT_YET)
                return
            if drawn:
                self._tell(f"the net draws random numbers of {' and '.join(drawn)} when it is only measured")
            found = [(name, count, array.shape[1]) for name, count, array in outputs]
            if not self._layers:
                self._declare(writer, found)
            elif found != self._layers:
                was, now = _shown(self._layers), _shown(found)
                raise ValueError(f"the net's layers have changed: {now}, and were {was}")
        arrays = {}
        if self._has_room(writer):
            arrays = {f"t{layer}": array for layer, (_, _, array) in enumerate(outputs)}
        else:
            self._tell(f"{writer.path.name} has come to max_mb: from now on scalars alone are written")
        writer.append({"kind": kind, "epoch": epoch, "scalars": scalars, "time": time.time()}, arrays)
        if kind == "row":
            self._measured = epoch

    @property
    def _bytes(self) -> int:
        """The bytes that the arrays of a measurement take."""
        return 4 * len(self._samples.y) * sum(width for _, _, width in self._layers)

    def _has_room(self, writer: Writer) -> bool:
        return writer.size + self._bytes <= self._max_bytes

    def _declare(self, writer: Writer, layers: list[tuple[str, int, int]]) -> None:
        """Write what the layers and samples are, and tell how large the file will become."""
        self._layers, samples = layers, self._samples
        unknown = [name for name in self._activations if name not in {name for name, _, _ in self._layers}]
        if unknown:
            raise ValueError(f"activation: there is no layer {unknown[0]}; there is {_shown(self._layers)}")
        notes = [f"layer {name}: {width} of its {count:,} units are watched"
                 for name, count, width in self._layers if width < count]  # fmt: skip
        if len(samples.y) < samples.of:
            notes.insert(0, f"{len(samples.y):,} of {samples.of:,} samples are watched")
        declared = [
            {"name": name, "units": count, "width": width, "activation": self._activation_of(name)}
            for name, count, width in self._layers
        ]
        header = {
            "kind": "net", "layers": declared, "samples": samples.of, "classes": samples.names,
            "x_range": self._x_range, "notes": [*notes, *samples.notes],
        }  # fmt: skip
        writer.append(header, {"x": samples.inputs, "y": samples.y})
        size = f"{writer.path.name}: {_sized(self._bytes)} a measurement"
        if self._planned is not None:
            count = schedule.count(self._every, max(self._planned, 1)) + 1
            size += f", {_sized(whole := writer.size + count * self._bytes)} in all"
            if whole > self._max_bytes:
                rows = max(1, int((self._max_bytes - writer.size) // self._bytes))
                size += f", of which max_mb={self._max_bytes / 1e6:g} has room for {rows:,} measurements"
        self._tell(f"{size}; ibtui attach {self._name} shows it", "")

    def _activation_of(self, name: str) -> str:
        if isinstance(self._activation, str):
            return self._activation
        return self._activations.get(name, "")

    def _scalars(self) -> dict[str, float]:
        found = {}
        logged = {} if self._stale and not self._stepped else self._logged
        for name, value in list(logged.items())[:MOST_SCALARS]:
            try:
                found[str(name)[:64]] = to_scalar(value)
            except Exception as error:
                self._tell(f"log: {name}: {explain(error)}")
        return found

    @contextlib.contextmanager
    def _never_in_the_way(self) -> Iterator[None]:
        """End the watching where something goes wrong in the block, and say so; training goes on."""
        try:
            yield
        except Exception as error:
            if not self._off:
                where = f"{self._writer.path.name}: " if self._writer is not None else ""
                self._tell(f"{where}{explain(error)}; the watching ends, training goes on")
                self._finish()

    def _tell(self, text: str, word: str = "warning: ") -> None:
        """Say something on stderr, each thing once."""
        if text not in self._told:
            self._told.add(text)
            with contextlib.suppress(Exception):
                print(f"ibtui: {word}{text}", file=sys.stderr, flush=True)

    def _finish(self) -> None:
        self._off, self._next = True, math.inf
        self._gate.ended = True
        with contextlib.suppress(Exception):
            if self._listener is not None:
                self._listener.close()
            if self._writer is not None:
                self._writer.close()

    def _abandon(self) -> None:
        """In a forked child: be nothing any more, and leave the parent's files alone."""
        self._off, self._next = True, math.inf
        self._gate = Gate(lambda: None)
        with contextlib.suppress(Exception):
            if self._listener is not None:
                self._listener.abandon()
            if self._writer is not None:
                self._writer.close()


_RUNS: weakref.WeakSet[Run] = weakref.WeakSet()


def _abandon_all() -> None:
    for run in list(_RUNS):
        run._abandon()


os.register_at_fork(after_in_child=_abandon_all)


def _program() -> str:
    """Return the name of the program, as far as it can be a loop's."""
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", Path(sys.argv[0] if sys.argv else "").stem).strip("-._")[:41]
    return stem or "loop"


def _rank() -> int:
    """Return the number of this process in a distributed job of PyTorch's; 0 where there is none."""
    distributed = loaded("torch.distributed")
    if distributed is not None and distributed.is_available() and distributed.is_initialized():
        return int(distributed.get_rank())
    return int(os.environ.get("RANK", "0")) if _world() > 1 else 0


def _world() -> int:
    """Return how many processes train together."""
    distributed = loaded("torch.distributed")
    if distributed is not None and distributed.is_available() and distributed.is_initialized():
        return int(distributed.get_world_size())
    size, rank = os.environ.get("WORLD_SIZE", ""), os.environ.get("RANK", "")
    return int(size) if size.isdecimal() and rank.isdecimal() else 1


def _fixed() -> str:
    """Say why the loop cannot be held up, where it cannot."""
    count = _world()
    return f"{count} processes train together, and would wait for this one in vain" if count > 1 else ""


def _shown(layers: Sequence[tuple[str, int, int]]) -> str:
    return ", ".join(f"{name} ({width})" for name, _, width in layers)


def _sized(count: float) -> str:
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:,.1f} GB"


__all__ = ["MOST_UNITS", "Array", "Run", "watch"]
