"""The classes of the samples: their names, with the colour and the character that each has in scatters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ibtui.errors import printable
from ibtui.plot.dots import Marker
from ibtui.plot.palette import DIM, of_class
from ibtui.plot.raster import class_glyph
from ibtui.recording import Recording
from ibtui.ui.glyphs import spelled
from ibtui.ui.line import Piece, piece

_FEW, _ROOM = 3, 6
"""More classes than `_FEW`, or short names over `_ROOM` characters, may not all fit: their number is said."""

Class = tuple[str, str, int]
"""A class's character, its name and its ink."""


def classes_of(recording: Recording, marker: Marker) -> Iterator[Class]:
    """Yield the classes that samples have, in their order."""
    for label in np.flatnonzero(np.bincount(recording.dataset.y)).tolist():
        yield class_of(recording, label, marker)


def class_of(recording: Recording, label: int, marker: Marker) -> Class:
    """Return a class that samples have, or could have."""
    names = recording.dataset.names
    name = printable(names[label]) if label < len(names) else str(label)
    return class_glyph(label, marker), spelled(name, marker), of_class(label)


def class_pieces(recording: Recording, marker: Marker) -> list[Piece]:
    """Name the classes by colour and character, as far as there is room; the first ones longest."""
    found = list(classes_of(recording, marker))
    names = [name for _, name, _ in found]
    shorter = [_shorter(name, names) for name in names]
    pieces = [
        piece(*(f"{glyph} {said}" for said in dict.fromkeys((name, short))), ink=ink, rank=1 + place)
        for place, ((glyph, name, ink), short) in enumerate(zip(found, shorter, strict=True))
    ]
    few = len(found) <= _FEW and (len(found) < 2 or max(map(len, shorter), default=0) <= _ROOM)
    return pieces if few else [*pieces, piece(f"of {len(found)}", ink=DIM)]


def _shorter(name: str, names: Sequence[str]) -> str:
    """Return the shortest prefix that no other name has; all of a name with a digit: no number is cut."""
    if any(map(str.isdigit, name)):
        return name
    others = [other for other in names if other != name]
    lengths = (n for n in range(1, len(name)) if not any(other.startswith(name[:n]) for other in others))
    return name[: next(lengths, len(name))]
