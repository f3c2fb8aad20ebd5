"""The compiled functions of `ibtui.core`; imported inside functions only, for Numba takes a while to load.

Each function here costs seconds of compile time on a user's machine, once: they are few, and callers pass one
set of argument types (C-contiguous, writeable int64 and float64; see `_arrays`). All of them release the GIL
and touch nothing but their arguments, so any number of threads may call them. Sums run in a fixed order: the
same input gives the same bits.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ibtui.core.compiling import compiled

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

# --- the order of the batches ----------------------------------------------------------------------

_STEP = np.uint64(0x9E3779B97F4A7C15)  # 2**64 / golden ratio, odd: splitmix64's increment
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_30, _27, _31, _32 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(32)
_LOW_HALF = np.uint64(0xFFFFFFFF)


@compiled
def _mix(z: np.uint64) -> np.uint64:
    """splitmix64's output function (Steele, Lea and Flood 2014): a bijection of 64 bits."""
    z = (z ^ (z >> _30)) * _MIX_1
    z = (z ^ (z >> _27)) * _MIX_2
    return z ^ (z >> _31)


@compiled
def fill_batch_order(seed: np.uint64, epoch: np.uint64, out: NDArray[np.int32]) -> None:
    """Write a permutation of 0 to len(out) - 1 that depends on seed, epoch and length alone.

    Fisher-Yates over splitmix64's stream. The seed is mixed before the epoch is added, and the sum mixed
    again, so that neighbouring seeds and epochs start streams far apart, and (seed 1, epoch 2) is not (seed
    2, epoch 1).
    """
    state = _mix(_mix(seed + _STEP) + epoch)
    for i in range(out.size):
        out[i] = i
    for i in range(out.size - 1, 0, -1):
        state += _STEP
        draw = _mix(state)
        bound = np.uint64(i + 1)
        # The high word of draw x bound (bound < 2**32), by halves: uniform on [0, bound) but for one part in
        # 2**32.
        high = (draw >> _32) * bound + (((draw & _LOW_HALF) * bound) >> _32)
        j = np.int64(high >> _32)
        kept = out[i]
        out[i] = out[j]
        out[j] = kept


# --- cells -----------------------------------------------------------------------------------------


@compiled
def _dense_limit(n: int) -> int:
    """Return the length up to which a table indexed by key is a better choice than a hash table."""
    return max(4 * n, 1 << 15)


@compiled
def compact(keys: Ints, labels: Ints) -> int:
    """Number the distinct keys 0, 1, … in order of first appearance; returns how many there are."""
    n = keys.size
    low = keys[0]
    high = keys[0]
    for i in range(n):
        low = min(low, keys[i])
        high = max(high, keys[i])
    span = high - low + 1  # not positive where 64 bits are too few
    count = 0
    if 0 < span <= _dense_limit(n):
        number = np.full(span, -1, np.int32)
        for i in range(n):
            at = keys[i] - low
            if number[at] < 0:
                number[at] = count
                count += 1
            labels[i] = number[at]
        return count
    bits = 4
    while (1 << bits) < 2 * n:
        bits += 1
    mask = (1 << bits) - 1
    shift = np.uint64(64 - bits)
    number = np.full(mask + 1, -1, np.int32)
    owner = np.empty(mask + 1, np.int64)
    for i in range(n):
        # Multiplicative hashing takes the product's high bits; a slot taken by another key sends on to the
        # next one.
        at = np.int64((np.uint64(keys[i]) * _STEP) >> shift)
        while number[at] >= 0 and owner[at] != keys[i]:
            at = (at + 1) & mask
        if number[at] < 0:
            number[at] = count
            owner[at] = keys[i]
            count += 1
        labels[i] = number[at]
    return count


@compiled
def label_cells(
    values: Floats, ordered: Floats, low: float, high: float, bins: int, closed: bool
) -> tuple[Ints, int, int, bool]:
    """Number the cells that rows of `values` (N, width) fall into.

    With `ordered` (width, N), each unit's values sorted, bins hold equal mass; with an empty one they divide
    [low, high] equally. Returns the labels, the number of cells in use, the number of values outside the
    range, and whether all this means anything: not with NaN, and not with an infinite range.

    Unit after unit refines the cells and numbers them anew, so that a key never exceeds N x (bins + 1),
    whatever the width.
    """
    n, width = values.shape
    adaptive = ordered.size > 0
    step = (high - low) / bins
    valid = adaptive or math.isfinite(step)
    flat = not step > 0  # the range is a point (a dead ReLU layer), or narrower than a number can say
    top = bins - 1 if closed else bins
    outside = 0
    count = 1
    labels = np.zeros(n, np.int64)
    keys = np.empty(n, np.int64)
    edges = np.empty(bins - 1 if adaptive else 0, np.float64)
    for unit in range(width):
        if adaptive:
            line = ordered[unit]
            valid = valid and math.isfinite(line[n - 1] - line[0])
            for k in range(bins - 1):
                # np.quantile's default method to the last bit: it interpolates from the nearer neighbour.
                rank = (n - 1) * ((k + 1) / bins)
                below = int(rank)
                above = min(below + 1, n - 1)
                part = rank - below
                gap = line[above] - line[below]
                edges[k] = line[below] + gap * part if part < 0.5 else line[above] - gap * (1 - part)
        for i in range(n):
            v = values[i, unit]
            index = 0
            if math.isnan(v):
                valid = False
            elif adaptive:
                end = bins - 1
                while index < end:  # the number of edges <= v
                    middle = (index + end) >> 1
                    if edges[middle] <= v:
                        index = middle + 1
                    else:
                        end = middle
            else:
                if v < low or v > high:
                    outside += 1
                if valid and not flat and v > low:
                    # The division may fall short of the upper bound's own bin, or reach it too early.
                    index = min(int((v - low) / step), top) if v < high else top
            keys[i] = labels[i] * (bins + 1) + index
        count = compact(keys, labels)
    return labels, count, outside, valid


# --- information -----------------------------------------------------------------------------------


@compiled
def _distinct_counts(counts: Ints) -> tuple[Ints, Ints]:
    """The distinct positive values among counts, ascending, and how often each occurs."""
    most = 0
    for i in range(counts.size):
        most = max(most, counts[i])
    times = np.zeros(most + 1, np.int64)
    for i in range(counts.size):
        times[counts[i]] += 1
    distinct = np.empty(min(most, counts.size), np.int64)
    often = np.empty(min(most, counts.size), np.int64)
    found = 0
    for count in range(1, most + 1):
        if times[count] > 0:
            distinct[found] = count
            often[found] = times[count]
            found += 1
    return distinct[:found], often[:found]


@compiled
def _chance(counts_a: Ints, counts_b: Ints, n: int, logs: Floats) -> float:
    """The expected plug-in estimate, in nats, over all pairings that keep the marginal counts.

    The joint count m of two cells with marginal counts a and b is hypergeometric, and the expectation is the
    sum over pairs of cells of E[m / n ln(m n / (a b))]: Vinh, Epps and Bailey, "Information theoretic
    measures for clusterings comparison" (JMLR 11, 2010), equation 24. It depends on a and b alone, so equal
    pairs are done once.

    Weights are walked from the mode outward by their ratios and divided by their own sum: no factorials,
    whose logarithms would cancel. With mu = a b / n, the mean of m, the summand is taken as m ln(m / mu) - (m
    - mu), which has the same expectation and is never negative, so that nothing cancels between the summands
    either.
    """
    distinct_a, often_a = _distinct_counts(counts_a)
    distinct_b, often_b = _distinct_counts(counts_b)
    tabled = logs.size > n
    total = 0.0
    for at_a in range(distinct_a.size):
        a = distinct_a[at_a]
        for at_b in range(distinct_b.size):
            b = distinct_b[at_b]
            least = max(0, a + b - n)
            most = min(a, b)
            if least == most:  # m cannot vary: it is mu
                continue
            mu = float(a) * float(b) / n
            log_mu = math.log(mu)
            mode = ((a + 1) * (b + 1)) // (n + 2)
            mass = 0.0
            moment = 0.0
            for direction in (1, -1):
                m = float(mode)
                weight = 1.0
                while True:
                    if m != mode or direction == 1:  # the mode itself is met twice
                        log_ratio = 0.0
                        if m > 0:
                            log_ratio = logs[int(m)] - log_mu if tabled else math.log(m / mu)
                        mass += weight
                        moment += weight * (m * log_ratio - (m - mu))
                    if weight < 1e-20 * mass or m == (most if direction == 1 else least):
                        break
                    if direction == 1:
                        weight *= (a - m) * (b - m) / ((m + 1.0) * (n - a - b + m + 1.0))
                    else:
                        weight *= m * (n - a - b + m) / ((a - m + 1.0) * (b - m + 1.0))
                    m += direction
            total += often_a[at_a] * often_b[at_b] * (moment / mass)
    return total / n


@compiled
def relate(
    a: Ints, kinds_a: int, b: Ints, kinds_b: int, logs: Floats, with_chance: bool
) -> tuple[float, float]:
    """Plug-in mutual information of two labellings (labels 0 to kinds - 1), and its chance level, in nats.

    I = sum over cells of m / n ln(m n / (a b)), from whole numbers that float64 holds exactly up to n = 9e7:
    independent labellings give exactly 0. The chance level is NaN unless it is asked for.
    """
    n = a.size
    counts_a = np.zeros(kinds_a, np.int64)
    counts_b = np.zeros(kinds_b, np.int64)
    information = 0.0
    carry = 0.0  # what rounding has added so far (Kahan's summation): there may be millions of cells
    if kinds_a <= _dense_limit(n) // kinds_b:  # the table of all pairs of cells is small
        joint = np.zeros((kinds_a, kinds_b), np.int64)
        for i in range(n):
            joint[a[i], b[i]] += 1
        for p in range(kinds_a):
            for q in range(kinds_b):
                counts_a[p] += joint[p, q]
                counts_b[q] += joint[p, q]
        for p in range(kinds_a):
            for q in range(kinds_b):
                m = float(joint[p, q])
                if m > 0:
                    term = m * math.log(m * n / (float(counts_a[p]) * float(counts_b[q]))) - carry
                    total = information + term
                    carry = (total - information) - term
                    information = total
    else:
        for i in range(n):
            counts_a[a[i]] += 1
            counts_b[b[i]] += 1
        keys = np.empty(n, np.int64)
        pairs = np.empty(n, np.int64)
        for i in range(n):
            keys[i] = a[i] * kinds_b + b[i]
        kinds = compact(keys, pairs)
        counts = np.zeros(kinds, np.int64)
        for i in range(n):
            counts[pairs[i]] += 1
        for i in range(n):
            m = float(counts[pairs[i]])
            if m > 0:
                term = m * math.log(m * n / (float(counts_a[a[i]]) * float(counts_b[b[i]]))) - carry
                total = information + term
                carry = (total - information) - term
                information = total
                counts[pairs[i]] = 0  # each pair of cells once
    chance = _chance(counts_a, counts_b, n, logs) if with_chance else math.nan
    return max(information / n, 0.0), chance  # rounding may leave it a hair below 0


@compiled
def measure_layer(
    values: Floats,
    ordered: Floats,
    low: float,
    high: float,
    bins: int,
    closed: bool,
    x_cells: Ints,
    x_kinds: int,
    y: Ints,
    y_kinds: int,
    logs: Floats,
    with_chance: bool,
) -> tuple[float, float, float, float, int, int, bool]:
    """One layer: I(X;T), I(T;Y), their chance levels, cells in use, values outside, whether all is valid.

    In one call, so that a thread that measures waits for the GIL once per layer. (`with_chance` is handed on,
    and not set here, because Numba compiles `relate` once more for a literal.)
    """
    t, t_kinds, outside, valid = label_cells(values, ordered, low, high, bins, closed)
    if not valid:
        return math.nan, math.nan, math.nan, math.nan, 0, outside, False
    i_xt, chance_i_xt = relate(x_cells, x_kinds, t, t_kinds, logs, with_chance)
    i_ty, chance_i_ty = relate(t, t_kinds, y, y_kinds, logs, with_chance)
    return i_xt, i_ty, chance_i_xt, chance_i_ty, t_kinds, outside, True
