"""The definitions of `ibtui.core`, written out a second time, slowly, sharing no code with it.

Cells are tuples in dictionaries, probabilities are exact fractions for as long as they can be, and integers
are Python's, which do not overflow.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from fractions import Fraction
from itertools import pairwise, permutations

Row = Sequence[float]


def grid_index(v: float, low: float, high: float, n: int, kind: str) -> int:
    """Bin of a value on [low, high]; Python's floats are float64."""
    last = n - 1 if kind == "closed" else n
    if high == low or v < low:
        return 0
    if v >= high:
        return last
    return min(math.floor((v - low) / ((high - low) / n)), last)


def quantile(values: Sequence[float], k: int, n: int) -> float:
    """The empirical quantile k / n, by linear interpolation between the two nearest ranks."""
    line = sorted(values)
    rank = (len(line) - 1) * (k / n)
    below = math.floor(rank)
    if below + 1 == len(line):
        return line[below]
    a, b, part = line[below], line[below + 1], rank - below
    return b - (b - a) * (1 - part) if part >= 0.5 else a + (b - a) * part


def cells(
    rows: Sequence[Row], n: int, bounds: tuple[float, float], kind: str, t_width: float = 0.07
) -> list[tuple[int, ...]]:
    """The cell of each row."""
    if kind == "width":
        return [tuple(math.floor(v / t_width) for v in row) for row in rows]
    if kind == "pooled":
        distinct = sorted({v for row in rows for v in row})
        shared = [quantile(distinct, k, n) for k in range(1, n)]
        return [tuple(sum(edge <= v for edge in shared) for v in row) for row in rows]
    if kind == "adaptive":
        edges = [[quantile(unit, k, n) for k in range(1, n)] for unit in zip(*rows, strict=True)]
        return [tuple(sum(edge <= v for edge in edges[u]) for u, v in enumerate(row)) for row in rows]
    return [tuple(grid_index(v, *bounds, n, kind) for v in row) for row in rows]


def outside(rows: Sequence[Row], bounds: tuple[float, float]) -> int:
    """Count the values outside the range."""
    return sum(not bounds[0] <= v <= bounds[1] for row in rows for v in row)


def entropy(labels: Iterable[Hashable]) -> float:
    """Nats."""
    counts = Counter(labels)
    n = sum(counts.values())
    return -math.fsum(m / n * math.log(m / n) for m in counts.values())


def mutual_information(a: Sequence[Hashable], b: Sequence[Hashable]) -> float:
    """Nats."""
    n = len(a)
    of_a, of_b, of_both = Counter(a), Counter(b), Counter(zip(a, b, strict=True))
    return math.fsum(m / n * math.log(Fraction(m * n, of_a[p] * of_b[q])) for (p, q), m in of_both.items())


def chance(a: Sequence[Hashable], b: Sequence[Hashable]) -> float:
    """Expected mutual information of a random pairing, by exact hypergeometric probabilities; nats."""
    n = len(a)
    pairs = Counter((p, q) for p in Counter(a).values() for q in Counter(b).values())
    terms = []
    for (p, q), times in pairs.items():
        ways = math.comb(n, q)
        for m in range(max(1, p + q - n), min(p, q) + 1):
            probability = Fraction(math.comb(p, m) * math.comb(n - p, q - m), ways)
            terms.append(times * float(probability) * m / n * math.log(Fraction(m * n, p * q)))
    return math.fsum(terms)


def chance_by_enumeration(a: Sequence[Hashable], b: Sequence[Hashable]) -> float:
    """The same, as the mean over every single pairing: for a handful of samples."""
    every = [mutual_information(a, order) for order in permutations(b)]
    return math.fsum(every) / len(every)


def normal_cdf(z: float) -> float:
    """The standard normal distribution, without cancellation in the lower tail."""
    return math.erfc(-z / math.sqrt(2)) / 2


def tanh_unit_entropy(w: float, n: int) -> float:
    """Entropy, in bits, of tanh(w x) with x ~ Normal(0, 1), in n equal bins on [-1, 1]."""
    at = [-math.inf, *(math.atanh(-1 + 2 * k / n) / w for k in range(1, n)), math.inf]
    shares = []
    for left, right in pairwise(at):
        if left > 0:  # by symmetry, so that both ends are in the lower tail
            left, right = -right, -left
        shares.append(normal_cdf(right) - normal_cdf(left))
    return -math.fsum(p * math.log2(p) for p in shares if p > 0)


_WORD = 2**64


def _splitmix(z: int) -> int:
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % _WORD
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB % _WORD
    return z ^ (z >> 31)


def batch_order(seed: int, epoch: int, n: int) -> list[int]:
    """Fisher-Yates over splitmix64, with integers that never overflow."""
    step = 0x9E3779B97F4A7C15
    state = _splitmix((_splitmix((seed + step) % _WORD) + epoch) % _WORD)
    order = list(range(n))
    for i in reversed(range(1, n)):
        state = (state + step) % _WORD
        j = _splitmix(state) * (i + 1) // _WORD
        order[i], order[j] = order[j], order[i]
    return order


def kde_bounds(rows: Sequence[Row], labels: Sequence[int], noise: float) -> tuple[float, float, float, float]:
    """I(X;T) and I(T;Y) by kernels, in nats: from upper bounds, and from lower ones."""

    def entropy_of(points: Sequence[Row], variance: float) -> float:
        means = [
            math.fsum(math.exp(-(math.dist(p, q) ** 2) / (2 * variance)) for q in points) / len(points)
            for p in points
        ]
        return -math.fsum(math.log(mean) for mean in means) / len(points)

    found = []
    for variance in (noise, 4 * noise):
        whole, within = entropy_of(rows, variance), []
        for label in set(labels):
            some = [row for row, other in zip(rows, labels, strict=True) if other == label]
            within.append(len(some) / len(rows) * entropy_of(some, variance))
        found += [whole, whole - math.fsum(within)]
    return found[0], found[1], found[2], found[3]
