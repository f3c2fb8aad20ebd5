"""The file's schema: its version, its keys, and the declarations by which it is read without what made it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, astuple, dataclass, fields
from typing import Any

from ibtui.archive import TEXT_CHARACTERS
from ibtui.core.layer import Layer
from ibtui.core.names import MEASURED
from ibtui.engines.protocol import ArraySpec
from ibtui.errors import UsageError, printable
from ibtui.quantities import Quantity
from ibtui.settings import is_number, parsed

SCHEMA = 2
READABLE = (1, 2)

LATER = ("i_xt_lower", "i_ty_lower")
"""Standard quantities that files of earlier versions do not have."""
CEILINGS = ("h_x", "h_y")
"""Values that quantities cannot pass, stored with the recording."""
_RESERVED = re.compile(
    r"schema|config|machine|quantities|layers|kept|changes|x|y|x_test|y_test|trains|x_rest|y_rest|names"
    r"|x_range|tops|h_x|h_y|epoch|t_index|t\d+|checkpoint(_.*)?"
)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}", re.ASCII)
_DTYPES = ("bool", *(f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)))
_DTYPES += ("float16", "float32", "float64")
_MOST = 1024
"""Quantities, layers, or arrays of an engine."""
_MOST_CHANGES = 5000
_MOST_NUMBERS = 1 << 30
_MOST_CHARACTERS = 1000


@dataclass(frozen=True)
class Declarations:
    """All that must be known of a recording to read it anywhere; `UsageError` for what no file could hold."""

    layers: tuple[Layer, ...]
    quantities: tuple[Quantity, ...]
    """The quantities that are measured, in the order of the columns."""
    kept: Mapping[str, ArraySpec]
    """The arrays that the engine keeps of each measurement; activations may follow from them."""
    checkpoint: Mapping[str, ArraySpec]
    """The engine's whole state."""

    def __post_init__(self) -> None:
        for what in (self.layers, self.quantities, self.kept, self.checkpoint):
            if len(what) > _MOST:
                raise UsageError(f"more than {_MOST:,} layers, quantities or arrays are declared")
        if not self.layers:
            raise UsageError("no layer is declared")
        for layer in self.layers:
            _check_layer(layer)
        _check_names([*(quantity.name for quantity in self.quantities), *self.kept])
        _check_names(self.checkpoint, prefix="checkpoint_")
        per_layer = {quantity.name: quantity.per_layer for quantity in self.quantities}
        for quantity in self.quantities:
            _check_quantity(quantity, per_layer)
        for name, spec in (*self.kept.items(), *self.checkpoint.items()):
            _check_array(name, spec)
        if any(len(text) > TEXT_CHARACTERS for text in self.to_json().values()):
            raise UsageError("layers, quantities or arrays are declared at too great a length")

    @property
    def columns(self) -> dict[str, ArraySpec]:
        """The columns of a recording by name, with the shape of one row and the dtype."""
        layers = (len(self.layers),)
        columns = {"epoch": ArraySpec((), "int64")}
        columns |= {q.name: ArraySpec(layers if q.per_layer else (), q.dtype) for q in self.quantities}
        return columns | dict(self.kept)

    def to_json(self) -> dict[str, str]:
        """Return the keys of the file that hold this, each a line of JSON."""
        return {
            "quantities": json.dumps([asdict(quantity) for quantity in self.quantities]),
            "layers": json.dumps([_as_json(layer) for layer in self.layers]),
            "kept": json.dumps({name: astuple(spec) for name, spec in self.kept.items()}),
            "checkpoint": json.dumps({name: astuple(spec) for name, spec in self.checkpoint.items()}),
        }

    @classmethod
    def from_json(cls, texts: Mapping[str, str]) -> Declarations:
        """Return what `to_json` wrote; where it did not, `UsageError` names the key."""
        layers, quantities = _parsed(texts, "layers", list), _parsed(texts, "quantities", list)
        return cls(
            tuple(_made(Layer, value, "layers") for value in layers),
            tuple(_made(Quantity, value, "quantities") for value in quantities),
            _arrays(texts, "kept"),
            _arrays(texts, "checkpoint"),
        )


@dataclass(frozen=True)
class Change:
    """A setting that was changed while the run went on."""

    epoch: int
    setting: str
    value: str | int | float


def changes_to_json(changes: Sequence[Change]) -> str:
    """Return the key of the file that holds these; of very many, the newest."""
    return json.dumps([[change.epoch, change.setting, change.value] for change in changes[-_MOST_CHANGES:]])


def changes_from_json(text: str, epochs: int) -> tuple[Change, ...]:
    """Return what `changes_to_json` wrote for a run of so many epochs; `UsageError` where it did not."""
    changes = []
    for item in _parsed({"changes": text}, "changes", list):
        match item:
            case [int(epoch), str(setting), str() | int() | float() as value] if _NAME.fullmatch(setting):
                if -1 <= epoch <= epochs and len(str(value)) <= _MOST_CHARACTERS:
                    value = printable(value) if isinstance(value, str) else value
                    changes.append(Change(epoch, setting, value))
                    continue
        raise UsageError(f"its changes: no change of a setting: {_shown(item)}")
    return tuple(changes)


def names_to_json(names: Sequence[str]) -> str:
    """Return the key of the file that holds the names of classes."""
    return json.dumps(list(names))


def names_from_json(text: str, most: int) -> tuple[str, ...]:
    """Return what `names_to_json` wrote of at most so many classes; `UsageError` where it did not."""
    names = _parsed({"names": text}, "names", list)
    if len(names) > most or not all(isinstance(n, str) and len(n) <= _MOST_CHARACTERS for n in names):
        raise UsageError(f"its names: not those of at most {most} classes")
    return tuple(map(printable, names))


def _as_json(layer: Layer) -> dict[str, str | int]:
    values = asdict(layer)
    return values if layer.units else {name: value for name, value in values.items() if name != "units"}


def _foreign(key: str) -> UsageError:
    return UsageError(f"its {key}: not the JSON that it should be")


def _parsed(texts: Mapping[str, str], key: str, kind: type) -> Any:
    """Return the list, or the dictionary, that a key's text of JSON stands for."""
    value = parsed(texts[key], f"its {key}")
    if not isinstance(value, kind):
        raise _foreign(key)
    return value


def _made(kind: type, value: Any, key: str) -> Any:
    """Return an instance of a dataclass from a dictionary, whose unknown keys are ignored."""
    try:
        known = {f.name: value[f.name] for f in fields(kind) if f.name in value}
        return kind(**{name: printable(v) if isinstance(v, str) else v for name, v in known.items()})
    except TypeError:  # no dictionary, or one without a field that has no default
        raise _foreign(key) from None


def _arrays(texts: Mapping[str, str], key: str) -> dict[str, ArraySpec]:
    arrays = {}
    for name, value in _parsed(texts, key, dict).items():
        match value:
            case [[*shape], dtype]:
                arrays[name] = ArraySpec(tuple(shape), dtype)
            case _:
                raise _foreign(key)
    return arrays


def _check_names(names: Iterable[str], prefix: str = "") -> None:
    """Check names that are keys in the file, some of them behind a prefix that keeps them apart."""
    seen: set[str] = set()
    for name in names:
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise UsageError(f"{_shown(name)}: no name for what a recording holds")
        if name in seen or (name == "epoch" if prefix else _RESERVED.fullmatch(name)):
            raise UsageError(f"{name}: a name that is taken by something else that a recording holds")
        seen.add(name)


def _check_layer(layer: Layer) -> None:
    text = isinstance(layer.name, str) and len(layer.name) <= _MOST_CHARACTERS
    counts = _is_count(layer.width) and layer.width > 0 and _is_count(layer.units)
    if not text or not counts or layer.activation not in MEASURED:
        raise UsageError(f"layer {_shown(layer.name)}: its name, width or activation is none")


def _check_quantity(quantity: Quantity, names: Mapping[str, bool]) -> None:
    """Check one of several quantities, of which `names` says whether they are per layer."""
    for field in fields(Quantity):
        value = getattr(quantity, field.name)
        if field.name == "low":
            fits = value is None or (is_number(value) and abs(value) < 1e300)
        elif isinstance(field.default, bool):
            fits = isinstance(value, bool)
        else:
            fits = isinstance(value, str) and len(value) <= _MOST_CHARACTERS
        if not fits:
            raise UsageError(f"{_shown(quantity.name)}: its {field.name} is none: {_shown(value)}")
    if quantity.unit not in ("", "nats") or quantity.dtype not in ("float64", "int64"):
        raise UsageError(f"{_shown(quantity.name)}: its unit or dtype is none of those that there are")
    widths = ("width",) if quantity.per_layer else ()
    if quantity.ceiling not in ("", *widths, *CEILINGS) and not _NUMBER.fullmatch(quantity.ceiling):
        raise UsageError(f"{_shown(quantity.name)}: its ceiling is none: {_shown(quantity.ceiling)}")
    if quantity.chance and names.get(quantity.chance) != quantity.per_layer:
        raise UsageError(f"{_shown(quantity.name)}: its chance is no quantity: {_shown(quantity.chance)}")


_NUMBER = re.compile(r"-?\d{1,18}(\.\d{1,18})?", re.ASCII)


def _check_array(name: str, spec: ArraySpec) -> None:
    shape = spec.shape
    fits = isinstance(shape, tuple) and len(shape) < 32 and all(map(_is_count, shape))
    if not fits or spec.dtype not in _DTYPES or math.prod(shape) > _MOST_NUMBERS:
        raise UsageError(f"{_shown(name)}: its shape or dtype is none")


def _is_count(value: object) -> bool:
    return isinstance(value, int) and is_number(value) and 0 <= value <= _MOST_NUMBERS


def _shown(value: object) -> str:
    return printable(str(value)[:60])
