"""Datasets: a registry. Importing it imports neither a dataset nor NumPy.

A dataset is a module with one decorated function, from a configuration to points and labels. Its options are
declared with what they may be, and are given to it by name::

    @dataset("points on two circles", options={"noise": Option(0.1, real(10.0, zero=True))})
    def circles(config, *, noise):
        ...
        return x, y  # (samples, inputs) of numbers, (samples,) of classes from 0 on

``--data circles:noise=0.2`` sets one. ibtui's own modules import NumPy in the function that draws, so that
the help can name their options without it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from ibtui.errors import UsageError, hint, printable
from ibtui.registry import Registry
from ibtui.settings import SAMPLES_FILE, Domain, UnfitError, brief, real, shown, whole

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Points: TypeAlias = "tuple[NDArray[np.float32], NDArray[np.int64]]"
MOST_CLASSES = 64


@dataclass(frozen=True)
class Option:
    """An option of a dataset: what it is where nothing is said, and what it may be."""

    default: Any
    domain: Domain


def noise(default: float) -> Option:
    """Declare the standard deviation of what is added to each coordinate."""
    return Option(default, real(10.0, zero=True))


CLASSES = Option(2, whole(2, MOST_CLASSES))
"""The option `classes`: how many there are."""


@dataclass(frozen=True)
class DatasetKind:
    """A registered dataset."""

    make: Callable[..., Points]
    """From a configuration, and the options by name, to points (samples, inputs) and classes (samples,)."""
    summary: str
    x_range: tuple[float, float] | None = None
    """The range of each input, which is divided into bins; None: the dataset declares none."""
    options: Mapping[str, Option] = field(default_factory=dict)
    size: int | None = None
    """The number of samples, where it is fixed."""
    ordered: bool = False
    """True where the samples are split in the order in which they are made, and not permuted first."""


def dataset(
    summary: str,
    *,
    x_range: tuple[float, float] | None = None,
    options: Mapping[str, Option] | None = None,
    size: int | None = None,
    ordered: bool = False,
) -> Callable[[Any], DatasetKind]:
    """Declare the decorated function a dataset; its module is named by an entry point of `ibtui.datasets`."""
    return lambda make: DatasetKind(make, summary, x_range, dict(options or {}), size, ordered)


_OWN = ("grid", "circles", "moons", "spirals", "gaussians", "icosahedron12")
DATASETS: Registry[DatasetKind] = Registry(
    "dataset", "ibtui.datasets", {name: f"ibtui.data.{name}:{name}" for name in _OWN}
)


def is_file(data: str) -> bool:
    """Return True where the setting `data` names a file of samples, and no dataset."""
    return data.endswith(SAMPLES_FILE)


def has_fixed_size(data: str) -> bool:
    """Return True where the data seed draws no samples, but only the order in which they are split."""
    with suppress(UsageError):  # its package may not be here
        return is_file(data) or chosen(data)[0].size is not None
    return False


def name_of(data: str) -> str:
    """Return the dataset's name in the setting `data`, without its options."""
    return data.partition(":")[0]


def chosen(data: str) -> tuple[DatasetKind, dict[str, Any]]:
    """Return the dataset that the setting `data` names, and all its options.

    Raises
    ------
    UsageError
        There is no such dataset, or it has no such option, or that may not have the value.
    """
    name, _, text = data.partition(":")
    kind = DATASETS[name]
    values = {key: option.default for key, option in kind.options.items()}
    given: set[str] = set()
    for part in text.split(",") if text else ():
        key, _, value = part.partition("=")
        if key not in kind.options:
            there = hint(key, kind.options) if kind.options else "it has none"
            raise UsageError(
                f"--data {printable(data)}: {printable(name)} has no option {brief(key)}; {there}"
            )
        if key in given:
            raise UsageError(f"--data {printable(data)}: {key} is there twice")
        given.add(key)
        domain = kind.options[key].domain
        try:
            values[key] = domain.clean(domain.parse(value))
        except UnfitError as error:
            right = str(error) or domain.right
            raise UsageError(f"--data {printable(name)}:{key}={brief(value)}: must be {right}") from None
    return kind, values


def described(name: str) -> str:
    """Return the name of one of ibtui's own as the help shows it: with its options and their defaults."""
    options = DATASETS[name].options
    if not options:
        return name
    return f"{name}[:{','.join(f'{key}={shown(option.default)}' for key, option in options.items())}]"
