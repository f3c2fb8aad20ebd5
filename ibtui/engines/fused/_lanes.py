"""Sixteen float32 numbers as one value of a compiled function: the vector lanes the fused engine works in.

Numba leaves vector code to LLVM's loop vectoriser, which gives up, or checks pointers for overlap around
every sixteen numbers, where loops are short and arrays might alias. A vector type of our own leaves it
nothing to guess, compiles faster, and adds in the same order whatever the machine's vector width.

Every operation follows IEEE 754, NaN and infinities included; only `fma` may round once in place of twice.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, lower_builtin, models, register_model, type_callable

LANES = 16

# tanh(x) = x P(x²) / Q(x²) on |x| <= TANH_END, beyond which tanh rounds to 1 in float32: of these degrees,
# the rational function with the least relative error (2e-8, below float32's rounding), by Lawson's iteration.
TANH_END = 9.02
TANH_P = (
    0.9999999790109938,
    0.13379719118208777,
    0.0034940359330352944,
    2.058350267229362e-05,
    1.331909908791825e-08,
)
TANH_Q = (
    1.0,
    0.46713034358875605,
    0.02587107849278478,
    0.00032830950358678397,
    7.762031099969997e-07,
)

# exp(x) = 2^n exp(r), |r| <= ln(2)/2, n a whole number; ln(2) in two parts, so that r keeps its last bits.
LN2_HIGH = 0.693359375
LN2_LOW = math.log(2.0) - LN2_HIGH
EXP_END = 105.0  # exp(-105) rounds to 0 and exp(105) to infinity
EXP_SERIES = tuple(1.0 / math.factorial(k) for k in range(8))


class Lanes(types.Type):
    """Numba's type of a vector of `LANES` float32 numbers."""

    def __init__(self) -> None:
        super().__init__(name="float32x16")


lanes = Lanes()
_vector = ir.VectorType(ir.FloatType(), LANES)
_integers = ir.VectorType(ir.IntType(32), LANES)
_longs = ir.VectorType(ir.IntType(64), LANES)
_flags = ir.VectorType(ir.IntType(1), LANES)


@register_model(Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager: Any, numba_type: Lanes) -> None:
        super().__init__(manager, numba_type, _vector)  # type: ignore[no-untyped-call]


def _intrinsic(function: Callable[..., Any]) -> Any:
    """Apply `numba.extending.intrinsic`, whose result calls itself with arguments of its own."""
    return intrinsic(function)


def _constant(value: float) -> ir.Constant:
    return ir.Constant(_vector, [value] * LANES)


def _spread(builder: Any, number: Any, vector: ir.VectorType) -> Any:
    """Put the number in every lane of a vector of this type."""
    undefined = ir.Constant(vector, ir.Undefined)
    one = builder.insert_element(undefined, number, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(one, undefined, ir.Constant(_integers, [0] * LANES))


def _inside(builder: Any, count: Any) -> Any:
    """Return True in the lanes below `count`."""
    lane = ir.Constant(_integers, list(range(LANES)))
    return builder.icmp_signed("<", lane, _spread(builder, builder.trunc(count, ir.IntType(32)), _integers))


def _fma(builder: Any, a: Any, b: Any, c: Any) -> Any:
    """Compute `a * b + c`, fused where the machine can; where not, `llvm.fma` would call a slow function."""
    fused = ir.FunctionType(_vector, [_vector] * 3)
    name = f"llvm.fmuladd.v{LANES}f32"
    function = cgutils.get_or_insert_function(builder.module, fused, name)  # type: ignore[no-untyped-call]
    return builder.call(function, [a, b, c])


def _polynomial(builder: Any, x: Any, coefficients: Sequence[float]) -> Any:
    """Evaluate by Horner's rule; coefficients from the constant term upwards."""
    total = _constant(coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        total = _fma(builder, total, x, _constant(coefficient))
    return total


def _select(builder: Any, comparison: str, a: Any, b: Any, yes: Any, no: Any) -> Any:
    return builder.select(builder.fcmp_ordered(comparison, a, b), yes, no)


def _clamp(builder: Any, x: Any, end: float) -> Any:
    """Limit `x` to `-end` … `end`; NaN passes, since it compares with nothing."""
    x = _select(builder, ">", x, _constant(end), _constant(end), x)
    return _select(builder, "<", x, _constant(-end), _constant(-end), x)


def _tanh(builder: Any, x: Any) -> Any:
    x = _clamp(builder, x, TANH_END)
    square = builder.fmul(x, x)
    numerator = builder.fmul(x, _polynomial(builder, square, TANH_P))
    # Rounding can carry the quotient past 1, where tanh's derivative would turn negative.
    return _clamp(builder, builder.fdiv(numerator, _polynomial(builder, square, TANH_Q)), 1.0)


def _power_of_two(builder: Any, n: Any) -> Any:
    """Compute 2^n for whole n from -127 (which gives 0) to 128 (infinity): n + 127 as a float's exponent.

    Adding 1.5 · 2^23 puts the whole number into the low bits; unlike a conversion to integers, that is
    defined for NaN too (it gives some number, and NaN times it is NaN).
    """
    bits = builder.bitcast(builder.fadd(n, _constant(1.5 * 2**23 + 127)), _integers)
    bits = builder.shl(bits, ir.Constant(_integers, [23] * LANES))
    return builder.bitcast(bits, _vector)


def _round(builder: Any, x: Any) -> Any:
    """Round to the nearest whole number, for |x| < 2^22."""
    return builder.fsub(builder.fadd(x, _constant(1.5 * 2**23)), _constant(1.5 * 2**23))


def _exp(builder: Any, x: Any) -> Any:
    x = _clamp(builder, x, EXP_END)
    n = _round(builder, builder.fmul(x, _constant(1.0 / math.log(2.0))))
    rest = _fma(builder, n, _constant(-LN2_HIGH), x)
    rest = _fma(builder, n, _constant(-LN2_LOW), rest)
    result = _polynomial(builder, rest, EXP_SERIES)
    # In two steps, since 2^n alone leaves the range of float32 where the product does not.
    half = _round(builder, builder.fmul(n, _constant(0.5)))
    result = builder.fmul(result, _power_of_two(builder, half))
    return builder.fmul(result, _power_of_two(builder, builder.fsub(n, half)))


def _sigmoid(builder: Any, x: Any) -> Any:
    opposite = _exp(builder, builder.fsub(_constant(-0.0), x))
    return builder.fdiv(_constant(1.0), builder.fadd(_constant(1.0), opposite))


def _relu(builder: Any, x: Any) -> Any:
    return _select(builder, "<", x, _constant(0.0), _constant(0.0), x)


def _larger(builder: Any, a: Any, b: Any) -> Any:
    return _select(builder, ">", b, a, b, a)


def _exported(operation: Callable[..., Any], arguments: int) -> Any:
    """Return the operation on lanes as a function that compiled code can call."""
    signature = lanes(*(lanes,) * arguments)

    def codegen(context: Any, builder: Any, signature: Any, values: Sequence[Any]) -> Any:
        return operation(builder, *values)

    # Numba finds the arity in the function's own parameters.
    if arguments == 1:
        return _intrinsic(lambda typing, a: (signature, codegen))
    if arguments == 2:
        return _intrinsic(lambda typing, a, b: (signature, codegen))
    return _intrinsic(lambda typing, a, b, c: (signature, codegen))


tanh = _exported(_tanh, 1)
exp = _exported(_exp, 1)
sigmoid = _exported(_sigmoid, 1)
relu = _exported(_relu, 1)
larger = _exported(_larger, 2)
fma = _exported(_fma, 3)


def _operator(symbol: Callable[[Any, Any], Any], instruction: str) -> None:
    @type_callable(symbol)
    def typer(context: Any) -> Callable[[Any, Any], Any]:
        return lambda a, b: lanes if a == lanes and b == lanes else None

    def lower(context: Any, builder: Any, signature: Any, values: Sequence[Any]) -> Any:
        return getattr(builder, instruction)(*values)

    lower_builtin(symbol, lanes, lanes)(lower)  # type: ignore[no-untyped-call]


_operator(operator.add, "fadd")
_operator(operator.sub, "fsub")
_operator(operator.mul, "fmul")
_operator(operator.truediv, "fdiv")


def _address(context: Any, builder: Any, array_type: Any, array: Any, index: Any) -> Any:
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), _vector.as_pointer())


@_intrinsic
def load_lanes(typing: Any, array: Any, index: Any) -> Any:
    """Read `array[index : index + LANES]` of a contiguous float32 array; bounds are not checked."""

    def codegen(context: Any, builder: Any, signature: Any, values: Sequence[Any]) -> Any:
        return builder.load(_address(context, builder, signature.args[0], *values), align=4)

    return lanes(array, types.intp), codegen


@_intrinsic
def store(typing: Any, array: Any, index: Any, value: Any) -> Any:
    """Write the lanes to `array[index : index + LANES]`; bounds are not checked."""

    def codegen(context: Any, builder: Any, signature: Any, values: Sequence[Any]) -> Any:
        address = _address(context, builder, signature.args[0], *values[:2])
        builder.store(values[2], address, align=4)
        return context.get_dummy_value()

    return types.void(array, types.intp, value), codegen


@_intrinsic
def splat(typing: Any, number: Any) -> Any:
    """Put one number in every lane."""

    def codegen(context: Any, builder: Any, signature: Any, values: Sequence[Any]) -> Any:
        return _spread(builder, values[0], _vector)

    return lanes(types.float32), codegen


@_intrinsic
def first_lanes(typing: Any, count: Any) -> Any:
    """Put 1 in the lanes below `count`, 0 in the rest."""

    def codegen(context: Any, builder: Any, signature: Any, values: Sequence[Any]) -> Any:
        return builder.select(_inside(builder, values[0]), _constant(1.0), _constant(0.0))

    return lanes(types.intp), codegen


@_intrinsic
def gather(typing: Any, array: Any, offset: Any, stride: Any, order: Any, first: Any, count: Any) -> Any:
    """Read `array[offset + stride * order[first + lane]]` in the lanes below `count`, lane 0's in the rest.

    `array` is a contiguous one of float32, `order` one of int32; bounds are not checked.
    """

    def codegen(context: Any, builder: Any, signature: Any, values: Sequence[Any]) -> Any:
        array, offset, stride, order, first, count = values
        start = builder.gep(context.make_array(signature.args[3])(context, builder, order).data, [first])
        head = _spread(builder, builder.load(start), _integers)
        start = builder.bitcast(start, _integers.as_pointer())
        index = _masked(builder, "load", f"v{LANES}i32.p0", start, _inside(builder, count), head)
        index = builder.mul(builder.sext(index, _longs), _spread(builder, stride, _longs))
        index = builder.add(index, _spread(builder, offset, _longs))
        data = context.make_array(signature.args[0])(context, builder, array).data
        # By addresses: llvmlite's pointers take no vector of indices.
        address = _spread(builder, builder.ptrtoint(data, ir.IntType(64)), _longs)
        address = builder.add(address, builder.mul(index, ir.Constant(_longs, [4] * LANES)))
        pointers = builder.inttoptr(address, ir.VectorType(ir.FloatType().as_pointer(), LANES))
        everywhere = ir.Constant(_flags, [1] * LANES)
        return _masked(builder, "gather", f"v{LANES}f32.v{LANES}p0", pointers, everywhere, _constant(0.0))

    return lanes(array, types.intp, types.intp, order, types.intp, types.intp), codegen


def _masked(builder: Any, what: str, kind: str, place: Any, mask: Any, otherwise: Any) -> Any:
    """Read a place in the lanes of the mask, else `otherwise`; LLVM knows what is fastest here."""
    aligned = ir.Constant(ir.IntType(32), 4)
    arguments = [place, aligned, mask, otherwise]
    signature = ir.FunctionType(otherwise.type, [argument.type for argument in arguments])
    name = f"llvm.masked.{what}.{kind}"
    function = cgutils.get_or_insert_function(builder.module, signature, name)  # type: ignore[no-untyped-call]
    return builder.call(function, arguments)


@_intrinsic
def where_equal(typing: Any, a: Any, b: Any, yes: Any, no: Any) -> Any:
    """Choose `yes` in the lanes in which a equals b, else `no`."""

    def codegen(context: Any, builder: Any, signature: Any, values: Sequence[Any]) -> Any:
        return _select(builder, "==", *values)

    return lanes(lanes, lanes, lanes, lanes), codegen


@_intrinsic
def where_positive(typing: Any, a: Any, yes: Any) -> Any:
    """Choose `yes` in the lanes in which a is above 0, or is NaN; else 0."""

    def codegen(context: Any, builder: Any, signature: Any, values: Sequence[Any]) -> Any:
        return _select(builder, "<=", values[0], _constant(0.0), _constant(0.0), values[1])

    return lanes(lanes, lanes), codegen


def _fold(builder: Any, vector: Any, width: int, combine: Callable[[Any, Any], Any]) -> Any:
    """Combine the lanes pairwise, half against half, down to one number."""
    while width > 1:
        width //= 2
        low, high = (
            builder.shuffle_vector(
                vector,
                ir.Constant(vector.type, ir.Undefined),
                ir.Constant(ir.VectorType(ir.IntType(32), width), list(range(start, start + width))),
            )
            for start in (0, width)
        )
        vector = combine(low, high)
    return builder.extract_element(vector, ir.Constant(ir.IntType(32), 0))


@_intrinsic
def total(typing: Any, a: Any) -> Any:
    """Sum the lanes, in float32."""

    def codegen(context: Any, builder: Any, signature: Any, values: Sequence[Any]) -> Any:
        return _fold(builder, values[0], LANES, builder.fadd)

    return types.float32(lanes), codegen


@_intrinsic
def totals(typing: Any, a: Any, array: Any, index: Any) -> Any:
    """Put in lane k `total(a * load_lanes(array, index + k * LANES))`, to the bit."""

    def codegen(context: Any, builder: Any, signature: Any, values: Sequence[Any]) -> Any:
        a, array, index = values
        products = []
        for k in range(LANES):
            at = builder.add(index, ir.Constant(index.type, k * LANES))
            address = _address(context, builder, signature.args[1], array, at)
            products.append(builder.fmul(a, builder.load(address, align=4)))
        return _transposed_sum(builder, products)

    return lanes(lanes, array, types.intp), codegen


def _transposed_sum(builder: Any, vectors: list[Any]) -> Any:
    """Sum sixteen vectors, one in each lane: two become one vector, of sums half as wide."""
    width = LANES
    while len(vectors) > 1:
        width //= 2
        low = [
            vector + group + lane
            for group in range(0, LANES, 2 * width)
            for vector in (0, LANES)
            for lane in range(width)
        ]
        low_lanes, high_lanes = (
            ir.Constant(_integers, [lane + shift for lane in low]) for shift in (0, width)
        )
        half = len(vectors) // 2
        vectors = [
            builder.fadd(builder.shuffle_vector(a, b, low_lanes), builder.shuffle_vector(a, b, high_lanes))
            for a, b in zip(vectors[:half], vectors[half:], strict=True)
        ]
    return vectors[0]


@_intrinsic
def product(typing: Any, a: Any) -> Any:
    """Multiply the lanes, in float64."""

    def codegen(context: Any, builder: Any, signature: Any, values: Sequence[Any]) -> Any:
        wide = builder.fpext(values[0], ir.VectorType(ir.DoubleType(), LANES))
        return _fold(builder, wide, LANES, builder.fmul)

    return types.float64(lanes), codegen
