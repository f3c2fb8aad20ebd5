"""All words of twelve bits, labelled by a rule: the data of Shwartz-Ziv & Tishby (arXiv 1703.00810).

Their twelve inputs stand for points on a sphere, the corners of an icosahedron: the label depends on how many
of the ones lie opposite to each other, far from each other, or next to each other. The rule gives the
published file in every word.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ibtui.config import RunConfig
from ibtui.data import Points, dataset

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_ANTI = "0-9 1-7 2-5 3-6 4-10 8-11"
"""Positions, from the left, of corners that lie opposite to each other."""
_FAR = (
    "0-1 0-3 0-5 0-10 0-11 1-2 1-3 1-4 1-11 2-3 2-4 2-8 2-9 3-8 3-10 4-6 4-9 4-11 5-6 5-7 5-10 5-11 6-7 6-9 "
    "6-11 7-8 7-9 7-10 8-9 8-10"
)
"""Positions of corners that are neither opposite nor next to each other."""


@dataset("the 4096 words of 12 bits, labelled by the rule of Shwartz-Ziv & Tishby", size=4096)
def icosahedron12(config: RunConfig) -> Points:
    """Return the words in binary order, most significant bit first; the label is 1 for 2118 of them.

    With k ones, of whose pairs a are opposite, f are far and n are next to each other, it is 1 where
    103k - 34a - 22n + 2f > 429.5.
    """
    import numpy as np

    words = np.arange(4096)[:, np.newaxis] >> np.arange(11, -1, -1) & 1

    def pairs(places: str) -> NDArray[np.int64]:
        first, second = np.array([place.split("-") for place in places.split()], int).T
        return np.asarray(np.sum(words[:, first] * words[:, second], axis=1), np.int64)

    ones = words.sum(axis=1)
    anti, far = pairs(_ANTI), pairs(_FAR)
    near = ones * (ones - 1) // 2 - anti - far
    score = 103 * ones - 34 * anti - 22 * near + 2 * far
    return words.astype(np.float32), (score > 429.5).astype(np.int64)
