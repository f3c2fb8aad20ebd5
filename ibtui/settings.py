"""One setting of a configuration: everything known about it stands on the field that holds it.

Validation, flags, `--help`, the keys of a file of settings and the words of every refusal derive from that.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from dataclasses import Field, dataclass, field, fields, replace
from typing import Any, TypeVar, cast

from ibtui.errors import UsageError, printable

T = TypeVar("T")

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
_DATASET = re.compile(rf"{_NAME.pattern}(:[a-z_]+=[A-Za-z0-9.+-]+(,[a-z_]+=[A-Za-z0-9.+-]+)*)?", re.ASCII)
_MOST_NAMES = 32


class UnfitError(Exception):
    """A value is outside a setting's domain; the text, if there is one, says what would be right."""


@dataclass(frozen=True)
class Domain:
    """The values that a setting may have."""

    right: str
    """The requirement in words: "a whole number from 1 to 100"."""
    clean: Callable[[Any], Any]
    """From a value to the form in which it is kept; raises `UnfitError`."""
    metavar: str
    """The placeholder of the value in `--help`."""
    parse: Callable[[str], Any] = str
    """From the text after a flag to a value; text that is none is left for `clean` to refuse."""


@dataclass(frozen=True)
class Setting:
    """A setting's declaration, besides its name, type and default."""

    domain: Domain
    help: str
    group: str
    """The heading under which `--help` lists it."""
    metavar: str
    since: int
    """The first schema of files whose configurations hold it."""


def setting(
    default: T, domain: Domain, help: str, *, group: str, metavar: str = "", since: int = 1
) -> T:  # what type checkers are told of a dataclass field
    """Declare the field of a configuration; see `Setting`."""
    declared = Setting(domain, help, group, metavar or domain.metavar, since)
    return field(default=default, metadata={"setting": declared})


def setting_of(field: Field[Any]) -> Setting:
    """Return what was declared for a field."""
    return cast(Setting, field.metadata["setting"])


def clean(config: Any) -> None:
    """Bring every field of a configuration into its normal form, in place; raises as `checked`."""
    for each in fields(config):
        cleaned = checked(flag(each.name), getattr(config, each.name), setting_of(each).domain)
        object.__setattr__(config, each.name, cleaned)


def checked(name: str, value: Any, domain: Domain) -> Any:
    """Return the value of an argument in its normal form; `UsageError` if it is outside its domain."""
    try:
        return domain.clean(value)
    except UnfitError as error:
        raise _outside(name, value, str(error) or domain.right) from None


def flag(name: str) -> str:
    """Return the flag of a field: "--batch-size"."""
    return "--" + name.replace("_", "-")


def wrong(name: str, value: object, right: str) -> UsageError:
    """Return the error for a value that is outside the domain of the field `name`."""
    return _outside(flag(name), value, right)


def _outside(name: str, value: object, right: str) -> UsageError:
    return UsageError(f"{name} {brief(value)}: must be {right}")


def brief(value: object, most: int = 60) -> str:
    """Return a value from outside as it may be shown: on one line, of a length that can be read."""
    try:
        text = str(value).lower() if isinstance(value, bool) else str(value)
    except (ValueError, RecursionError):  # thousands of digits; lists in lists in lists …
        text = f"({type(value).__name__})"
    shown = printable(text[:most]) or '""'
    return shown if len(text) <= most and len(shown) <= most else shown[: most - 1] + "…"


def shown(value: object) -> str:
    """Return a value as the text after its flag has it."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def parsed(text: str, what: str) -> Any:
    """Return what a text of JSON stands for; `UsageError` where it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{what}: not JSON") from error


def whole(low: int, high: int) -> Domain:
    """Whole numbers, both ends included."""
    return Domain(
        f"a whole number from {low} to {high}",
        _kept_if(lambda value: is_number(value, int) and low <= value <= high),
        "N",
        lambda text: _converted(int, text),
    )


def real(high: float, *, zero: bool = False) -> Domain:
    """Numbers above 0, or from 0 on, up to `high`; kept as floats."""

    def to_float(value: Any) -> float:
        # NaN fails every comparison, and so does an integer that no float can hold.
        if not is_number(value, (int, float)) or not (0 < value <= high or (zero and value == 0)):
            raise UnfitError
        return float(value)

    right = f"a number {'from 0' if zero else 'above 0 and'} up to {high:g}"
    return Domain(right, to_float, "X", lambda text: _converted(float, text))


def word_or(*words: str, domain: Domain) -> Domain:
    """One of these words, or a value of the domain."""

    def to_either(value: Any) -> Any:
        return value if isinstance(value, str) and value in words else domain.clean(value)

    right = f"{' or '.join(words)} or {domain.right}"
    return Domain(right, to_either, "|".join((*words, domain.metavar)), domain.parse)


def share() -> Domain:
    """Numbers between 0 and 1, neither included."""

    def to_float(value: Any) -> float:
        if not is_number(value) or not 0 < value < 1:
            raise UnfitError
        return float(value)

    return Domain("a number above 0 and below 1", to_float, "X", lambda text: _converted(float, text))


def optional(domain: Domain) -> Domain:
    """The same, or None."""
    return replace(domain, clean=lambda value: None if value is None else domain.clean(value))


def one_of(*choices: str) -> Domain:
    """One of these words."""
    return Domain(" or ".join(choices), _kept_if(lambda value: value in choices), "|".join(choices))


def switch() -> Domain:
    """True or false; its flag is given without a value."""
    return Domain("true or false", _kept_if(lambda value: isinstance(value, bool)), "")


def path() -> Domain:
    """The path of a file or a folder; kept with the home folder in the place of a leading ~."""

    def to_path(value: Any) -> str:
        if not isinstance(value, str) or not value or "\0" in value:
            raise UnfitError
        if value in _STREAMS:
            raise UnfitError("a path, and no stream: files are read and written whole")
        return os.path.expanduser(value)

    return Domain("a path", to_path, "PATH")


_STREAMS = ("-", "/dev/stdin", "/dev/stdout", "/dev/stderr")


def name() -> Domain:
    """The name of something registered; only its form is checked, for not all may be installed here."""
    return Domain("a name: letters, digits, - and _", _kept_if(_is_name), "NAME")


def dataset_name() -> Domain:
    """A dataset's name, options of its own behind a colon, or a file of samples; only the form is checked."""
    right = "a name, NAME:KEY=VALUE,... or a file whose name ends in .npz"

    def to_name(value: Any) -> str:
        if isinstance(value, str) and value.endswith(SAMPLES_FILE):
            return cast(str, path().clean(value))
        if not isinstance(value, str) or not _DATASET.fullmatch(value):
            raise UnfitError
        return value

    return Domain(right, to_name, "NAME")


SAMPLES_FILE = ".npz"
"""The ending by which a file of samples is told from a dataset's name."""


def names() -> Domain:
    """Names joined by commas, or a list of them, each once; kept as a tuple. See `name`."""

    def to_tuple(value: Any) -> tuple[str, ...]:
        parts = items(value)
        if not all(map(_is_name, parts)) or len(set(parts)) < len(parts) or len(parts) > _MOST_NAMES:
            raise UnfitError
        return tuple(parts)

    return Domain(f"up to {_MOST_NAMES} different names joined by commas", to_tuple, "A,B")


def items(value: Any) -> list[Any]:
    """Return the items of a list, a tuple, or text with commas between them; raises `UnfitError`."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",")] if value.strip() else []
    if isinstance(value, (list, tuple)):
        return list(value)
    raise UnfitError


def _kept_if(fits: Callable[[Any], bool]) -> Callable[[Any], Any]:
    def fitting(value: Any) -> Any:
        if not fits(value):
            raise UnfitError
        return value

    return fitting


def is_number(value: object, types: Any = (int, float)) -> bool:
    """Return True for a number of these types; true and false are none."""
    return isinstance(value, types) and not isinstance(value, bool)


def _is_name(value: object) -> bool:
    return isinstance(value, str) and _NAME.fullmatch(value) is not None


def _converted(convert: Callable[[str], Any], text: str) -> Any:
    try:
        return convert(text)
    except ValueError:
        return text
