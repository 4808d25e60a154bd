"""Compiled kernels of self-attention with narrow heads, forward and backward, on one CPU thread.

LLVM's auto-vectorizer does not handle loops that keep several sums, or that write to memory they
also read. The inner loops are therefore written as expressions over `Vectors`, which emit LLVM
instructions on 16 floats at once. A processor with narrower registers runs each instruction in
halves or quarters. Everything is in one file because numba detects outdated cached machine code by
the date of that file.

Shapes: B images, L pixels, H heads, D channels per head, C = H D. Keys, values and their gradients
are stored in blocks of (channels, LANES) pixels, so that a pass reads memory sequentially.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

from factorlab.system import cache_folder

cache_folder.provide()  # numba reads the location when it compiles the first function

LANES = 16
"""Floats in a vector; AVX-512 holds them in one register."""

ROWS = 4
"""Query pixels per pass over the keys. They share the loaded keys and values and hide each other's
latencies."""

_FLOAT = ir.FloatType()
_VECTOR = ir.VectorType(_FLOAT, LANES)
_BITS = ir.VectorType(ir.IntType(32), LANES)

_EXP2 = (1.3398874e-3, 9.6184370e-3, 5.5503324e-2, 2.4022648e-1, 6.9314720e-1, 1.0)
"""Polynomial of 2^f for f in [-1/2, 1/2], highest power first; relative error up to 3.4e-6."""

_ROUNDS = 1.5 * 2**23
"""Constant that rounds: adding it to a float leaves the nearest integer in the lowest bits of the
sum."""

Floats = NDArray[np.float32]

Value = Any
"""A value of LLVM's intermediate representation; llvmlite has no types for type checkers."""


class Vectors:
    """Emitter of vector code for one kernel. Pointers point to floats and indices count floats."""

    def __init__(self, builder: Value, index_type: Value) -> None:
        self.builder = builder
        self.index_type = index_type

    def index(self, n: int) -> Value:
        """Return a constant index."""
        return ir.Constant(self.index_type, n)

    def constant(self, x: float) -> Value:
        """Return a vector whose lanes all hold one number."""
        return ir.Constant(_VECTOR, [float(np.float32(x))] * LANES)

    def spread(self, pointer: Value, index: Value) -> Value:
        """Return a vector whose lanes all hold one number from memory."""
        b = self.builder
        undefined = ir.Constant(_VECTOR, ir.Undefined)
        number = b.load(b.gep(pointer, [index]))
        first = b.insert_element(undefined, number, ir.Constant(ir.IntType(32), 0))
        return b.shuffle_vector(first, undefined, ir.Constant(_BITS, [0] * LANES))

    def _at(self, pointer: Value, index: Value) -> Value:
        return self.builder.bitcast(self.builder.gep(pointer, [index]), _VECTOR.as_pointer())

    def load(self, pointer: Value, index: Value) -> Value:
        """Return the vector that starts at an index."""
        return self.builder.load(self._at(pointer, index), align=4)

    def store(self, x: Value, pointer: Value, index: Value) -> None:
        """Write a vector to memory, starting at an index."""
        self.builder.store(x, self._at(pointer, index), align=4)

    def store_sum(self, x: Value, pointer: Value, index: Value) -> None:
        """Write the sum over the lanes of a vector to one place in memory."""
        kind = ir.FunctionType(_FLOAT, [_FLOAT, _VECTOR])
        name = f"llvm.vector.reduce.fadd.v{LANES}f32"
        reduce = cgutils.get_or_insert_function(self.builder.module, kind, name)
        # "reassoc" lets the lanes be summed in pairs instead of one after the other.
        total = self.builder.call(reduce, [ir.Constant(_FLOAT, 0.0), x], fastmath=("reassoc",))
        self.builder.store(total, self.builder.gep(pointer, [index]))

    def add(self, x: Value, y: Value) -> Value:
        """Return x + y."""
        return self.builder.fadd(x, y)

    def subtract(self, x: Value, y: Value) -> Value:
        """Return x - y."""
        return self.builder.fsub(x, y)

    def multiply(self, x: Value, y: Value) -> Value:
        """Return x y."""
        return self.builder.fmul(x, y)

    def multiply_add(self, x: Value, y: Value, z: Value) -> Value:
        """Return x y + z, rounded once if the processor supports it."""
        kind = ir.FunctionType(_VECTOR, [_VECTOR] * 3)
        name = f"llvm.fmuladd.v{LANES}f32"
        fused = cgutils.get_or_insert_function(self.builder.module, kind, name)
        return self.builder.call(fused, [x, y, z])

    def exp2(self, x: Value) -> Value:
        """Return 2^x for x up to 127; any x below -126 gives 2^-126, and NaN gives NaN."""
        b, lowest = self.builder, self.constant(-126)
        x = b.select(b.fcmp_ordered("<", x, lowest), lowest, x)
        rounded = b.fadd(x, self.constant(_ROUNDS))
        fraction = b.fsub(x, b.fsub(rounded, self.constant(_ROUNDS)))
        power = self.constant(_EXP2[0])
        for coefficient in _EXP2[1:]:
            power = self.multiply_add(power, fraction, self.constant(coefficient))
        exponent = b.shl(b.bitcast(rounded, _BITS), ir.Constant(_BITS, [23] * LANES))
        return b.bitcast(b.add(b.bitcast(power, _BITS), exponent), _VECTOR)

    def loop(
        self,
        length: Value,
        sums: Sequence[Value],
        body: Callable[[Value, Sequence[Value]], Sequence[Value]],
    ) -> list[Value]:
        """Emit a loop over the indices 0, LANES, 2 LANES, ... below a length.

        Args:
            length: Upper bound of the indices, a multiple of LANES.
            sums: Initial vectors, which are kept in registers.
            body: Function (index, sums) -> sums after this iteration.

        Returns:
            The sums after the last iteration.
        """
        b = self.builder
        places = [cgutils.alloca_once_value(b, total) for total in sums]
        start, step = self.index(0), self.index(LANES)
        with cgutils.for_range_slice(b, start, length, step, self.index_type) as (at, _):
            for place, total in zip(places, body(at, [b.load(p) for p in places]), strict=True):
                b.store(total, place)
        return [b.load(place) for place in places]


Emit = Callable[[Vectors, int, Sequence[Value], Value, Value], None]
"""A function (vectors, D, pointers, first query, padded number of keys) that emits one pass."""


def _kernel(emit: Emit) -> Callable[..., None]:
    """Return a function for use in numba code: ``pass_(channels, arrays, first, padded)``.

    `channels` is any tuple of length D. Its length is known at compile time, so the loops over the
    channels of a head are unrolled and the channels stay in registers.
    """

    def typed(_: Value, channels: Value, arrays: Value, first: Value, padded: Value) -> Value:
        def code(context: Value, builder: Value, signature: Value, arguments: Value) -> Value:
            kinds, values = signature.args[1], cgutils.unpack_tuple(builder, arguments[1])
            pointers = [
                context.make_array(kind)(context, builder, value).data
                for kind, value in zip(kinds, values, strict=True)
            ]
            vectors = Vectors(builder, arguments[2].type)
            emit(vectors, len(channels), pointers, arguments[2], arguments[3])
            return context.get_dummy_value()

        return types.void(channels, arrays, first, padded), code

    made: Callable[..., None] = intrinsic(typed)
    return made


def _rows(e: Vectors, pointer: Value, first: Value, width: int) -> list[list[Value]]:
    """Return ROWS rows of `width` numbers from memory, each number broadcast to a vector."""
    start = e.builder.mul(first, e.index(width))
    return [
        [e.spread(pointer, e.builder.add(start, e.index(r * width + c))) for c in range(width)]
        for r in range(ROWS)
    ]


def _negative(e: Vectors, pointer: Value, first: Value) -> list[Value]:
    """Return ROWS numbers from memory, negated and broadcast to vectors."""
    return [e.subtract(e.constant(0), row[0]) for row in _rows(e, pointer, first, 1)]


def _block(e: Vectors, at: Value, width: int) -> list[Value]:
    """Return the indices of the `width` channels of the block of pixels that starts at `at`."""
    start = e.builder.mul(at, e.index(width))
    return [e.builder.add(start, e.index(c * LANES)) for c in range(width)]


def _forward(e: Vectors, D: int, pointers: Sequence[Value], first: Value, padded: Value) -> None:
    """Emit the sums over the keys of weight times value and of the weights, (ROWS, D + 1)."""
    queries, keys, values, shifts, sums = pointers
    q, minus_shift = _rows(e, queries, first, D), _negative(e, shifts, first)

    def body(at: Value, totals: Sequence[Value]) -> list[Value]:
        k = [e.load(keys, place) for place in _block(e, at, D + 1)]
        v = [e.load(values, place) for place in _block(e, at, D)]
        after: list[Value] = []
        for r in range(ROWS):
            logit = e.add(minus_shift[r], k[D])
            for c in range(D):
                logit = e.multiply_add(q[r][c], k[c], logit)
            weight = e.exp2(logit)
            mine = totals[r * (D + 1) :]
            after += [e.multiply_add(weight, v[c], mine[c]) for c in range(D)]
            after.append(e.add(mine[D], weight))
        return after

    zeros = [e.constant(0)] * (ROWS * (D + 1))
    for n, total in enumerate(e.loop(padded, zeros, body)):
        e.store_sum(total, sums, e.index(n))


def _backward(e: Vectors, D: int, pointers: Sequence[Value], first: Value, padded: Value) -> None:
    """Emit the gradients of ROWS queries, (ROWS, D), and their share of all key gradients."""
    queries, keys, values, outputs, log_totals, deltas, key_slopes, value_slopes, sums = pointers
    q, o = _rows(e, queries, first, D), _rows(e, outputs, first, D)
    minus_log, minus_delta = _negative(e, log_totals, first), _negative(e, deltas, first)

    def body(at: Value, totals: Sequence[Value]) -> list[Value]:
        places, padded_places = _block(e, at, D), _block(e, at, D + 1)
        k = [e.load(keys, place) for place in padded_places]
        v = [e.load(values, place) for place in places]
        dk = [e.load(key_slopes, place) for place in places]
        dv = [e.load(value_slopes, place) for place in places]
        after: list[Value] = []
        for r in range(ROWS):
            logit, slope = e.add(minus_log[r], k[D]), minus_delta[r]
            for c in range(D):
                logit = e.multiply_add(q[r][c], k[c], logit)
                slope = e.multiply_add(o[r][c], v[c], slope)
            weight = e.exp2(logit)
            slope = e.multiply(weight, slope)
            dk = [e.multiply_add(slope, q[r][c], dk[c]) for c in range(D)]
            dv = [e.multiply_add(weight, o[r][c], dv[c]) for c in range(D)]
            after += [e.multiply_add(slope, k[c], totals[r * D + c]) for c in range(D)]
        for c in range(D):
            e.store(dk[c], key_slopes, places[c])
            e.store(dv[c], value_slopes, places[c])
        return after

    for n, total in enumerate(e.loop(padded, [e.constant(0)] * (ROWS * D), body)):
        e.store_sum(total, sums, e.index(n))


_forward_pass = _kernel(_forward)
_backward_pass = _kernel(_backward)

_SAFE = 50.0
"""Largest bound on a row's logits, in powers of two, for which the exact maximum is not needed."""

_NEVER = np.float32(-np.inf)
"""Logit of the padding in the last vector of keys."""

_LOG2_E = 1 / math.log(2)
_LN_2 = np.float32(math.log(2))


@njit(error_model="numpy", cache=True)
def _shift(q: Floats, k: Floats, L: int, shift: Floats) -> None:
    """Write the shift subtracted from each query's logits, so that no power of two overflows.

    The shift is |q| max |k|, an upper bound of the row's logits. If the bound is so large that all
    weights could vanish, the shift is the exact maximum.
    """
    D = q.shape[1]
    longest = np.float32(0)
    for j in range(L):
        square = np.float32(0)
        for c in range(D):
            square += k[j // LANES, c, j % LANES] ** 2
        longest = max(longest, square)
    for i in range(L):
        square = np.float32(0)
        for c in range(D):
            square += q[i, c] ** 2
        shift[i] = math.sqrt(square * longest)
        if shift[i] > _SAFE:
            shift[i] = -np.inf
            for j in range(L):
                logit = np.float32(0)
                for c in range(D):
                    logit += q[i, c] * k[j // LANES, c, j % LANES]
                shift[i] = max(shift[i], logit)


@njit(error_model="numpy", cache=True)
def _gather(qkv: Floats, b: int, h: int, q: Floats, k: Floats, v: Floats) -> None:
    """Copy the queries, scaled for powers of two, the keys and the values of one head."""
    L, D, C = qkv.shape[1], q.shape[1], qkv.shape[2] // 3
    scale = np.float32(_LOG2_E / math.sqrt(D))
    for c in range(D):
        n = h * D + c
        for j in range(L):
            q[j, c] = qkv[b, j, n] * scale
            k[j // LANES, c, j % LANES] = qkv[b, j, C + n]
            v[j // LANES, c, j % LANES] = qkv[b, j, 2 * C + n]


@njit(error_model="numpy", cache=True)
def _room(L: int, D: int) -> tuple[int, Floats, Floats, Floats]:
    """Return the padded number of keys, and arrays for the queries, keys and values of a head."""
    blocks = -(-L // LANES)
    q = np.zeros((-(-L // ROWS) * ROWS, D), np.float32)
    k = np.zeros((blocks, D + 1, LANES), np.float32)
    v = np.zeros((blocks, D, LANES), np.float32)
    k[blocks - 1, D, LANES - (blocks * LANES - L) :] = _NEVER
    return blocks * LANES, q, k, v


@njit(error_model="numpy", cache=True)
def forward(qkv: Floats, out: Floats, log_totals: Floats, channels: tuple[float, ...]) -> None:
    """Write softmax(q k / sqrt(D)) times v.

    Args:
        qkv: (B, L, 3 C), queries, keys and values.
        out: Output, (B, L, C), written.
        log_totals: (B, H, L), written: base-2 logarithm of each query's sum of weights.
        channels: Any tuple of length D.
    """
    B, L, _ = qkv.shape
    D = len(channels)
    padded, q, k, v = _room(L, D)
    shift, sums = np.zeros(len(q), np.float32), np.empty((ROWS, D + 1), np.float32)
    for b in range(B):
        for h in range(out.shape[2] // D):
            _gather(qkv, b, h, q, k, v)
            _shift(q, k, L, shift)
            for first in range(0, L, ROWS):
                _forward_pass(channels, (q, k, v, shift, sums), first, padded)
                for r in range(min(ROWS, L - first)):
                    total = sums[r, D]
                    log_totals[b, h, first + r] = math.log2(total) + shift[first + r]
                    for c in range(D):
                        out[b, first + r, h * D + c] = sums[r, c] / total


@njit(error_model="numpy", cache=True)
def backward(
    qkv: Floats,
    out: Floats,
    log_totals: Floats,
    grad_out: Floats,
    qkv_slopes: Floats,
    channels: tuple[float, ...],
) -> None:
    """Write the gradient with respect to `qkv`; weights are recomputed, not stored.

    Args:
        qkv: Input of `forward`, (B, L, 3 C).
        out: Output of `forward`, (B, L, C).
        log_totals: Written by `forward`, (B, H, L).
        grad_out: Gradient with respect to `out`, (B, L, C).
        qkv_slopes: Gradient with respect to `qkv`, (B, L, 3 C), written.
        channels: Any tuple of length D.
    """
    B, L, C = out.shape
    D = len(channels)
    padded, q, k, v = _room(L, D)
    o, dk, dv = np.zeros_like(q), np.empty_like(v), np.empty_like(v)
    totals, delta = np.zeros(len(q), np.float32), np.zeros(len(q), np.float32)
    sums = np.empty((ROWS, D), np.float32)
    per_query = np.float32(1 / math.sqrt(D))
    for b in range(B):
        for h in range(C // D):
            _gather(qkv, b, h, q, k, v)
            dk[:], dv[:], delta[:] = 0, 0, 0
            totals[:L] = log_totals[b, h]
            for c in range(D):
                for j in range(L):
                    o[j, c] = grad_out[b, j, h * D + c]
                    delta[j] += o[j, c] * out[b, j, h * D + c]
            for first in range(0, L, ROWS):
                arrays = (q, k, v, o, totals, delta, dk, dv, sums)
                _backward_pass(channels, arrays, first, padded)
                for r in range(min(ROWS, L - first)):
                    for c in range(D):
                        qkv_slopes[b, first + r, h * D + c] = sums[r, c] * per_query
            for c in range(D):
                n = h * D + c
                for j in range(L):
                    qkv_slopes[b, j, C + n] = dk[j // LANES, c, j % LANES] * _LN_2
                    qkv_slopes[b, j, 2 * C + n] = dv[j // LANES, c, j % LANES]
