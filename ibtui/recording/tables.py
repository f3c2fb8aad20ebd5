"""A recording as the tables of pandas and xarray, where these are installed."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from ibtui.config import RunConfig
from ibtui.core.layer import Layer
from ibtui.errors import IbtuiError
from ibtui.quantities import Array, Quantity


class Columns(Protocol):
    """The part of a `Recording` that tables hold."""

    quantities: dict[str, Quantity]
    ceilings: dict[str, float]

    @property
    def config(self) -> RunConfig:
        """The run's settings."""

    @property
    def layers(self) -> Sequence[Layer]:
        """The layers that are measured."""

    def column(self, name: str) -> Array:
        """Return all rows of a column."""


def to_dataframe(recording: Columns) -> Any:
    """Return a `pandas.DataFrame` with a row for each measurement and layer.

    Its index is `epoch` and `layer`, counted from 0; its columns are the quantities. Those of a whole
    measurement stand in each of its rows.

    Raises
    ------
    IbtuiError
        pandas is not installed.
    """
    pandas = _imported("pandas")
    epochs, layers = recording.column("epoch"), len(recording.layers)
    index = pandas.MultiIndex.from_product([epochs, range(layers)], names=["epoch", "layer"])
    columns = {
        name: values.ravel() if quantity.per_layer else np.repeat(values, layers)
        for name, quantity in recording.quantities.items()
        for values in [recording.column(name)]
    }
    return pandas.DataFrame(columns, index=index)


def to_xarray(recording: Columns) -> Any:
    """Return an `xarray.Dataset` over `epoch` and `layer`; units, labels and ceilings are attributes.

    Raises
    ------
    IbtuiError
        xarray is not installed.
    """
    xarray = _imported("xarray")
    variables = {
        name: (
            ("epoch", "layer") if quantity.per_layer else ("epoch",),
            recording.column(name).copy(),
            {"long_name": quantity.label, "units": quantity.unit or "1"},
        )
        for name, quantity in recording.quantities.items()
    }
    coordinates = {"epoch": recording.column("epoch").copy(), "layer": range(len(recording.layers))}
    attributes = {**recording.ceilings, "config": recording.config.to_json()}
    return xarray.Dataset(variables, coordinates, attributes)


def _imported(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise IbtuiError(f"{name} is not installed: pip install {name}") from error
