"""The classes of the samples: their names, with the colour and the character that each has in scatters."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ibtui.errors import printable
from ibtui.plot.dots import Marker
from ibtui.plot.palette import DIM, of_class
from ibtui.plot.raster import class_glyph
from ibtui.recording import Recording
from ibtui.ui.glyphs import spelled
from ibtui.ui.line import Piece, piece

_FEW = 3
"""More classes than these may not all be named: their number is."""

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
    found = [
        piece(f"{glyph} {name}", f"{glyph} {name[:1]}", ink=ink, rank=1 + place)
        for place, (glyph, name, ink) in enumerate(classes_of(recording, marker))
    ]
    return [*found, piece(f"of {len(found)}", ink=DIM)] if len(found) > _FEW else found
