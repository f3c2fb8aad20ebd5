"""An event handler for Gluon's `Estimator`, which trains in a loop that is not the user's own."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ibtui.probe import Run


def handler(run: Run) -> Any:
    """Return a handler by which a Gluon `Estimator` is watched: ``estimator.fit(…, event_handlers=[…])``.

    Losses and metrics of training and of validation are logged, the latter as `test_loss`, `test_accuracy`
    and so on.

    Parameters
    ----------
    run : Run
        What `ibtui.watch` gave.

    Raises
    ------
    TypeError
        MXNet's `Estimator` has not been imported.
    """
    events = sys.modules.get("mxnet.gluon.contrib.estimator.event_handler")
    events = events or sys.modules.get("mxnet.gluon.estimator.event_handler")
    if events is None:
        raise TypeError("handler: Gluon's Estimator has not been imported")
    bases: Any = (events.EpochBegin, events.EpochEnd)

    class Handler(*bases):  # type: ignore[misc]
        """Steps the run before the first epoch, and after the weights of each have been updated."""

        priority = 10_000  # after the handler that updates the weights

        def __init__(self) -> None:
            self.epochs = 0

        def epoch_begin(self, estimator: Any, *args: Any, **kwargs: Any) -> None:
            if self.epochs == 0:
                self._step(estimator, {})

        def epoch_end(self, estimator: Any, *args: Any, **kwargs: Any) -> bool:
            self.epochs += 1
            return self._step(estimator, _scalars(estimator))

        def _step(self, estimator: Any, scalars: dict[str, float]) -> bool:
            """Return True where training is to stop, as handlers do."""
            if isinstance(epochs := getattr(estimator, "max_epoch", None), int):
                run.plan(epochs)
            return not run.step(self.epochs, **scalars)

    return Handler()


def _scalars(estimator: Any) -> dict[str, float]:
    """Return the metrics of an epoch, by names that can be keywords; of validation, with `test_` before."""
    found: dict[str, float] = {}
    for prefix, metrics in (("", "train_metrics"), ("test_", "val_metrics")):
        for metric in getattr(estimator, metrics, ()):
            name, value = metric.get()
            if isinstance(name, str) and (not prefix or value == value):  # nothing was validated: NaN
                word = name.rpartition(" ")[2].replace("-", "_")
                found[prefix + ("loss" if word.endswith("loss") else word)] = float(value)
    return found
