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

from ibtui.core.compiling import compiled, inlined

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Singles = NDArray[np.float32]

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
def _find_edges(line: Floats, edges: Floats) -> None:
    """Write the inner quantiles of sorted values: np.quantile's default method to the last bit."""
    n = line.size
    bins = edges.size + 1
    for k in range(bins - 1):
        # It interpolates from the nearer neighbour.
        rank = (n - 1) * ((k + 1) / bins)
        below = int(rank)
        above = min(below + 1, n - 1)
        part = rank - below
        gap = line[above] - line[below]
        edges[k] = line[below] + gap * part if part < 0.5 else line[above] - gap * (1 - part)


@compiled
def label_cells(
    values: Floats, ordered: Floats, low: float, high: float, bins: int, closed: bool, bin_width: float
) -> tuple[Ints, int, int, bool]:
    """Do as `_label_cells`, for Python.

    What returns arrays to Python must not be called by compiled code, too: loaded from the cache, Numba takes
    the caller's copy for the function's own, and cannot make the arrays.
    """
    return _label_cells(values, ordered, low, high, bins, closed, bin_width)


@inlined
def _label_cells(
    values: Floats, ordered: Floats, low: float, high: float, bins: int, closed: bool, bin_width: float
) -> tuple[Ints, int, int, bool]:
    """Number the cells that rows of `values` (N, width) fall into.

    With `ordered`, sorted values, bins hold equal mass: a line for each unit, or one for all of them. With a
    `bin_width` above 0, bins have that width, and there is no range. Otherwise they divide [low, high]
    equally. Returns the labels, the number of cells in use, the number of values outside the range, and
    whether all this means anything: not with NaN, and not with an infinite range, or infinite values where
    values make the range.

    Unit after unit refines the cells. They are numbered anew once keys are too large for a table, so that a
    key never exceeds N x (bins + 1) by much, whatever the width. Their numbers are those of their first
    samples' order in any case.
    """
    n, width = values.shape
    adaptive = ordered.size > 0
    step = (high - low) / bins
    valid = adaptive or bin_width > 0 or math.isfinite(step)
    flat = not step > 0  # the range is a point (a dead ReLU layer), or narrower than a number can say
    top = bins - 1 if closed else bins
    outside = 0
    count = 1
    span = 1  # keys are below it
    limit = _dense_limit(n)
    labels = np.zeros(n, np.int64)
    keys = np.zeros(n, np.int64)
    edges = np.empty(bins - 1 if adaptive else 0, np.float64)
    floors = np.empty(n if bin_width > 0 else 0, np.float64)
    indices = np.empty((0 if adaptive or bin_width > 0 else n, width), np.int64)
    if not adaptive and bin_width == 0:
        line = values.reshape(values.size)
        unknown = 0
        for i in range(line.size):
            outside += 1 if line[i] < low or line[i] > high else 0
            unknown += 1 if line[i] != line[i] else 0
        valid = valid and unknown == 0
        if valid and not flat:
            ends = float(top)
            cells = indices.reshape(indices.size)
            for i in range(line.size):
                # The division may fall short of the upper bound's own bin, or reach it too early.
                index = (line[i] - low) / step
                index = index if index < ends else ends
                index = index if line[i] < high else ends
                cells[i] = int(index if line[i] > low else 0.0)
    for unit in range(width):
        if bin_width > 0:
            least = math.inf
            most = -math.inf
            for i in range(n):
                valid = valid and math.isfinite(values[i, unit])
                floors[i] = np.floor(values[i, unit] / bin_width) + 0.0  # there is one zero alone
                least = min(least, floors[i])
                most = max(most, floors[i])
            if not valid:
                return labels, 1, 0, False
            count = compact(keys, labels)
            if most - least < 2147483647.0:
                stride = int(most - least) + 1
                for i in range(n):
                    keys[i] = labels[i] * stride + int(floors[i] - least)
            else:  # numbers beyond 64 bits are told apart by their own bits
                numbers = np.empty(n, np.int64)
                stride = compact(floors.view(np.int64), numbers)
                for i in range(n):
                    keys[i] = labels[i] * stride + numbers[i]
            continue
        if span * (bins + 1) > limit and unit > 0:
            span = compact(keys, labels)
            for i in range(n):
                keys[i] = labels[i]
        span *= bins + 1
        if adaptive:
            if unit == 0 or len(ordered) > 1:
                sorted_values = ordered[unit]
                valid = valid and math.isfinite(sorted_values[-1] - sorted_values[0])
                _find_edges(sorted_values, edges)
            for i in range(n):
                v = values[i, unit]
                index = 0
                end = bins - 1
                while index < end:  # the number of edges <= v
                    middle = (index + end) >> 1
                    if edges[middle] <= v:
                        index = middle + 1
                    else:
                        end = middle
                keys[i] = keys[i] * (bins + 1) + index
                valid = valid and not math.isnan(v)
            continue
        if valid and not flat:
            for i in range(n):
                keys[i] = keys[i] * (bins + 1) + indices[i, unit]
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
def _chance(counts_a: Ints, counts_b: Ints, n: int, logs: Floats, known: Floats, of_a: bool) -> float:
    """The expected plug-in estimate, in nats, over all pairings that keep the marginal counts.

    The joint count m of two cells with marginal counts a and b is hypergeometric, and the expectation is the
    sum over pairs of cells of E[m / n ln(m n / (a b))]: Vinh, Epps and Bailey, "Information theoretic
    measures for clusterings comparison" (JMLR 11, 2010), equation 24. It depends on a and b alone, so equal
    pairs are done once.

    Weights are walked from the mode outward by their ratios and divided by their own sum: no factorials,
    whose logarithms would cancel. With mu = a b / n, the mean of m, the summand is taken as m ln(m / mu) - (m
    - mu), which has the same expectation and is never negative, so that nothing cancels between the summands
    either.

    `known` keeps summands from call to call: a row for each distinct count of the labelling that stays the
    same (`of_a`: the first), a column for each count of the other, NaN where not known yet; it may have no
    columns. Threads may share it, for they write the same numbers.
    """
    distinct_a, often_a = _distinct_counts(counts_a)
    distinct_b, often_b = _distinct_counts(counts_b)
    tabled = logs.size > n
    total = 0.0
    for at_a in range(distinct_a.size):
        a = distinct_a[at_a]
        for at_b in range(distinct_b.size):
            b = distinct_b[at_b]
            row, column = (at_a, b) if of_a else (at_b, a)
            kept = column < known.shape[1]
            if kept and not math.isnan(known[row, column]):
                total += often_a[at_a] * often_b[at_b] * known[row, column]
                continue
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
            term = moment / mass
            if kept:
                known[row, column] = term
            total += often_a[at_a] * often_b[at_b] * term
    return total / n


@compiled
def _sort_pairs(a: Ints, counts_a: Ints, b: Ints, counts_b: Ints) -> Ints:
    """Order samples by their label a, and by b where that is the same: a sort by counting, in two passes."""
    n = a.size
    by_b = np.empty(n, np.int64)
    order = np.empty(n, np.int64)
    starts_a = np.empty(counts_a.size, np.int64)
    starts_b = np.empty(counts_b.size, np.int64)
    start = 0
    for q in range(counts_b.size):
        starts_b[q] = start
        start += counts_b[q]
    start = 0
    for p in range(counts_a.size):
        starts_a[p] = start
        start += counts_a[p]
    for i in range(n):
        by_b[starts_b[b[i]]] = i
        starts_b[b[i]] += 1
    for at in range(n):
        i = by_b[at]
        order[starts_a[a[i]]] = i
        starts_a[a[i]] += 1
    return order


@compiled
def relate(
    a: Ints, kinds_a: int, b: Ints, kinds_b: int, logs: Floats, chance: int, known: Floats
) -> tuple[float, float]:
    """Plug-in mutual information of two labellings (labels 0 to kinds - 1), and its chance level, in nats.

    I = sum over cells of m / n ln(m n / (a b)), from whole numbers that float64 holds exactly up to n = 9e7:
    independent labellings give exactly 0. The chance level is NaN where `chance` is 0; where it is 1, rows of
    `known` belong to a, where it is 2, to b (see `_chance`).
    """
    n = a.size
    counts_a = np.zeros(kinds_a, np.int64)
    counts_b = np.zeros(kinds_b, np.int64)
    information = 0.0
    carry = 0.0  # what rounding has added so far (Kahan's summation): there may be millions of cells
    for i in range(n):
        counts_a[a[i]] += 1
        counts_b[b[i]] += 1
    if kinds_a <= 4 * n // kinds_b:  # a small table of all pairs of cells
        table = np.zeros(kinds_a * kinds_b, np.int32)
        for i in range(n):
            table[a[i] * kinds_b + b[i]] += 1
        ratio = 1.0
        log_ratio = 0.0
        at = 0
        for p in range(kinds_a):
            for q in range(kinds_b):
                m = float(table[at])
                at += 1
                if m > 0:
                    new = m * n / (float(counts_a[p]) * float(counts_b[q]))
                    if new != ratio:
                        ratio = new
                        log_ratio = math.log(ratio)
                    term = m * log_ratio - carry
                    total = information + term
                    carry = (total - information) - term
                    information = total
    elif kinds_a <= _dense_limit(n) // kinds_b:  # pairs of cells in the same order, without a table
        order = _sort_pairs(a, counts_a, b, counts_b)
        ratio = 1.0
        log_ratio = 0.0
        at = 0
        while at < n:
            p = a[order[at]]
            q = b[order[at]]
            first = at
            while at < n and a[order[at]] == p and b[order[at]] == q:
                at += 1
            m = float(at - first)
            new = m * n / (float(counts_a[p]) * float(counts_b[q]))
            if new != ratio:  # cells of one sample are many, and their ratios are often the same
                ratio = new
                log_ratio = math.log(ratio)
            term = m * log_ratio - carry
            total = information + term
            carry = (total - information) - term
            information = total
    else:
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
    level = _chance(counts_a, counts_b, n, logs, known, chance == 1) if chance > 0 else math.nan
    return max(information / n, 0.0), level  # rounding may leave it a hair below 0


@compiled
def _entropy(labels: Ints, kinds: int) -> float:
    """Plug-in entropy of a labelling, in nats."""
    n = labels.size
    counts = np.zeros(kinds, np.int64)
    for i in range(n):
        counts[labels[i]] += 1
    total = 0.0
    carry = 0.0
    log_one = math.log(float(n))  # a cell of one sample is the most frequent kind
    for k in range(kinds):
        m = float(counts[k])
        term = m * (log_one if m == 1 else math.log(n / m)) - carry
        after = total + term
        carry = (after - total) - term
        total = after
    return total / n


# --- geometry --------------------------------------------------------------------------------------


@compiled
def _dot(a: Floats, b: Floats) -> float:
    """The inner product, by four sums: a processor need not wait for one addition to begin the next."""
    n = a.size
    s = 0.0
    t = 0.0
    u = 0.0
    v = 0.0
    whole = n - n % 4
    for i in range(0, whole, 4):
        s += a[i] * b[i]
        t += a[i + 1] * b[i + 1]
        u += a[i + 2] * b[i + 2]
        v += a[i + 3] * b[i + 3]
    for i in range(whole, n):
        s += a[i] * b[i]
    return (s + t) + (u + v)


@compiled
def _triangle(columns: Floats) -> Floats:
    """The triangular factor of columns (width, N), which are overwritten, by modified Gram-Schmidt.

    A row for each column of it. Its singular values are those of the columns to within rounding, also where
    they depend on each other (Björck and Paige 1992).
    """
    width, n = columns.shape
    factor = np.zeros((width, width), np.float64)
    for u in range(width):
        column = columns[u]
        norm = math.sqrt(_dot(column, column))
        factor[u, u] = norm
        if norm > 0:
            for v in range(u + 1, width):
                other = columns[v]
                projection = _dot(column, other) / norm
                factor[v, u] = projection
                share = projection / norm
                for i in range(n):
                    other[i] -= share * column[i]
    return factor


@compiled
def directions(values: Floats) -> tuple[float, float]:
    """Dimension and participation ratio of activations (N, width); see `ibtui.core.dimension`.

    NaN where there is no variance, where values are not finite, and where squares would overflow or vanish:
    `ibtui.core.dimension.both` tells these apart.

    Singular values are the norms of the triangular factor's columns once rotations have made them orthogonal
    (Hestenes 1958): exact to rounding, and there is nothing that might fail to converge.
    """
    n, width = values.shape
    columns = np.empty((width, n), np.float64)
    squares = 0.0
    for u in range(width):
        column = columns[u]
        first = values[0, u]  # rows that are all alike then give exactly zero
        total = 0.0
        for i in range(n):
            column[i] = values[i, u] - first
            total += column[i]
        mean = total / n
        for i in range(n):
            column[i] -= mean
        squares += _dot(column, column)
    if not 1e-200 < squares < 1e200:  # also where it is NaN
        return math.nan, math.nan
    factor = _triangle(columns)
    for _ in range(40):
        turned = False
        for p in range(width - 1):
            for q in range(p + 1, width):
                of_p = 0.0
                of_q = 0.0
                both = 0.0
                for k in range(width):
                    of_p += factor[p, k] * factor[p, k]
                    of_q += factor[q, k] * factor[q, k]
                    both += factor[p, k] * factor[q, k]
                if abs(both) <= 1e-15 * math.sqrt(of_p * of_q):
                    continue
                turned = True
                zeta = (of_q - of_p) / (2.0 * both)
                tangent = math.copysign(1.0, zeta) / (abs(zeta) + math.sqrt(1.0 + zeta * zeta))
                cosine = 1.0 / math.sqrt(1.0 + tangent * tangent)
                sine = cosine * tangent
                for k in range(width):
                    kept = factor[p, k]
                    factor[p, k] = cosine * kept - sine * factor[q, k]
                    factor[q, k] = sine * kept + cosine * factor[q, k]
        if not turned:
            break
    total = 0.0
    squares = 0.0
    fourths = 0.0
    for p in range(width):
        square = 0.0
        for k in range(width):
            square += factor[p, k] * factor[p, k]
        total += math.sqrt(square)
        squares += square
        fourths += square * square
    return total * total / squares, squares * squares / fourths


@compiled
def _share_of(values: Floats, low: float, high: float) -> float:
    """The share of values that are one of two; NaN with NaN among them."""
    found = 0
    unknown = 0
    flat = values.reshape(values.size)
    for i in range(flat.size):
        found += 1 if flat[i] == low or flat[i] == high else 0
        unknown += 1 if flat[i] != flat[i] else 0
    return found / flat.size if unknown == 0 else math.nan


# --- a layer, and the outputs ----------------------------------------------------------------------


@compiled
def measure_layers(
    flat: Floats,
    widths: Ints,
    ranges: Floats,
    ordered: Floats,
    bins: int,
    closed: bool,
    bin_width: float,
    x: Ints,
    x_kinds: int,
    y: Ints,
    y_kinds: int,
    logs: Floats,
    known_x: Floats,
    known_y: Floats,
    geometry: Ints,
    first: int,
    numbers: Floats,
    outside: Ints,
) -> bool:
    """Add what is measured of layers to the columns of `numbers` from `first` on, and to `outside`.

    Returns True where dimensions were asked for of a layer and not found (`directions`).

    `flat` is their values (N, width), one layer after another; `ranges` has a row (low, high) for each. The
    rows of `numbers` are the first eight of `ibtui.core.information.LayerNumbers`; all NaN to begin with. It
    is one call, so that a thread that measures waits for the GIL once.

    An `x` without labels means that each sample is a symbol of its own. Chance levels stay NaN where a
    labelling tells all samples apart: chance then reaches what there is to reach, and the rest is rounding.
    Without `bins` there are no cells. `geometry` is for each layer 0 for none, 1 for saturation at the ends
    of its range, 2 for dimensions, 3 for both.
    """
    start = 0
    missing = False
    n = flat.size // widths.sum()
    for at in range(widths.size):
        values = flat[start : start + n * widths[at]].reshape(n, widths[at])
        start += values.size
        low, high = ranges[at]
        layer = first + at
        if bins > 0:
            t, t_kinds, beyond, valid = _label_cells(values, ordered, low, high, bins, closed, bin_width)
            outside[layer] += beyond
            if valid:
                if x.size == 0:
                    numbers[0, layer] = _entropy(t, t_kinds)
                else:
                    chance = 1 if max(t_kinds, x_kinds) < n else 0
                    numbers[0, layer], numbers[2, layer] = relate(
                        x, x_kinds, t, t_kinds, logs, chance, known_x
                    )
                chance = 2 if max(t_kinds, y_kinds) < n else 0
                numbers[1, layer], numbers[3, layer] = relate(t, t_kinds, y, y_kinds, logs, chance, known_y)
                numbers[4, layer] = t_kinds / n
        if geometry[at] & 2:
            numbers[5, layer], numbers[6, layer] = directions(values)
            missing = missing or math.isnan(numbers[5, layer])
        if geometry[at] & 1:
            numbers[7, layer] = _share_of(values, low, high)
    return missing


_ROUNDER = 6755399441055744.0  # 1.5 x 2**52: adding and subtracting it rounds to a whole number
_ONE_BITS = 1023 << 52
_LOG2_E = 1.4426950408889634
_LN2_HIGH, _LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10  # their sum is ln 2


@inlined
def _decay(x: float) -> float:
    """exp(x) of x <= 0 to the last bit or two; 0 below -700, and NaN of NaN. A loop of it runs as vectors."""
    bounded = x if x > -700.0 else -700.0
    rounded = bounded * _LOG2_E + _ROUNDER
    k = rounded - _ROUNDER
    r = (bounded - k * _LN2_HIGH) - k * _LN2_LOW
    p = 1.0 / 6227020800.0
    p = p * r + 1.0 / 479001600.0
    p = p * r + 1.0 / 39916800.0
    p = p * r + 1.0 / 3628800.0
    p = p * r + 1.0 / 362880.0
    p = p * r + 1.0 / 40320.0
    p = p * r + 1.0 / 5040.0
    p = p * r + 1.0 / 720.0
    p = p * r + 1.0 / 120.0
    p = p * r + 1.0 / 24.0
    p = p * r + 1.0 / 6.0
    p = p * r + 0.5
    p = p * r + 1.0
    p = p * r + 1.0
    # The last bits of `rounded` are k. Moved to the exponent's place, where 1.0 has 1023, they are 2**k.
    power = np.int64((np.float64(rounded).view(np.int64) << 52) + _ONE_BITS).view(np.float64)
    value = p * power if x > -700.0 else 0.0
    return float(value) if x == x else x


@compiled
def score(outputs: Floats, y: Ints) -> tuple[float, float]:
    """Accuracy and mean softmax cross-entropy; see `ibtui.core.forward.evaluate`.

    With e = the sum over all but the largest output of exp(output - largest), a sample's loss is ln(1 + e) +
    largest - right. Of ln there is one for many samples: 1 + grown is the product of their 1 + e. It is kept
    without its 1, so that a loss near 0 keeps its digits.
    """
    n, classes = outputs.shape
    gaps = np.empty((n, classes), np.float64)
    hits = 0
    total = 0.0
    for i in range(n):
        best = 0
        top = outputs[i, 0]
        unknown = 0
        for k in range(classes):
            v = outputs[i, k]
            unknown += 1 if v != v else 0
            if v > top:
                best = k
                top = v
        for k in range(classes):
            gaps[i, k] = outputs[i, k] - top
        gaps[i, best] = -math.inf
        if unknown > 0 or math.isinf(top):
            total = math.nan
        total += top - outputs[i, y[i]]
        hits += 1 if best == y[i] and unknown == 0 else 0
    flat = gaps.reshape(gaps.size)
    for i in range(flat.size):
        flat[i] = _decay(flat[i])
    grown = 0.0
    for i in range(n):
        others = 0.0
        for k in range(classes):
            others += gaps[i, k]
        grown += others + grown * others
        if grown > 1e200:
            total += math.log1p(grown)
            grown = 0.0
    return hits / n, float((total + math.log1p(grown)) / n)


@compiled
def shift(z: Singles, biases: Singles, out: Floats) -> None:
    """Write z + biases, rounded to float32, into `out`; z has shape (N, width)."""
    n, width = z.shape
    if width < 8:
        for u in range(width):
            bias = biases[u]
            for i in range(n):
                out[i, u] = np.float32(z[i, u] + bias)
    else:
        for i in range(n):
            for u in range(width):
                out[i, u] = np.float32(z[i, u] + biases[u])


# --- kernels ---------------------------------------------------------------------------------------


@inlined
def _add(sums: NDArray[np.float64], terms: NDArray[np.float64], i: int, total: float) -> None:
    """Add sample i's terms to the sums of the samples before it, and their total to its own."""
    for j in range(i):
        sums[j] += terms[j]
    sums[i] += total


@compiled
def sum_kernels(t: Singles, labellings: NDArray[np.int64], noise: float) -> NDArray[np.float64]:
    """For each sample, the sums of exp(-d² / 2σ²) and exp(-d² / 8σ²) over all samples, itself included.

    `t` has shape (N, width), `labellings` (K, N). Rows 0 and 1 are the sums over all samples, and for each
    labelling two more rows are those over samples with the same label. One exponential serves both: the
    first is the fourth power of the second. Either may vanish: each sum has the sample's own 1 in it.
    """
    n, width = t.shape
    columns = np.empty((width, n), np.float32)
    for u in range(width):
        for i in range(n):
            columns[u, i] = t[i, u]
    sums = np.ones((2 + 2 * len(labellings), n), np.float64)
    squares = np.empty(n, np.float32)
    lower = np.empty(n, np.float64)
    upper, upper_within, lower_within = np.empty(n), np.empty(n), np.empty(n)
    scale = -1.0 / (8.0 * noise)
    for i in range(n):
        for j in range(i):
            squares[j] = 0.0
        for u in range(width):
            column = columns[u]
            own = column[i]
            for j in range(i):
                gap = column[j] - own
                squares[j] += gap * gap
        for j in range(i):
            lower[j] = _decay(scale * squares[j])
        of_upper = 0.0
        of_lower = 0.0
        for j in range(i):
            square = lower[j] * lower[j]
            upper[j] = square * square
            of_upper += upper[j]
            of_lower += lower[j]
        _add(sums[0], upper, i, of_upper)
        _add(sums[1], lower, i, of_lower)
        for k in range(len(labellings)):
            labels = labellings[k]
            of_upper = 0.0
            of_lower = 0.0
            for j in range(i):  # without a branch it runs as vectors
                same = 1.0 if labels[j] == labels[i] else 0.0
                upper_within[j] = same * upper[j]
                lower_within[j] = same * lower[j]
                of_upper += upper_within[j]
                of_lower += lower_within[j]
            _add(sums[2 + 2 * k], upper_within, i, of_upper)
            _add(sums[3 + 2 * k], lower_within, i, of_lower)
    return sums
