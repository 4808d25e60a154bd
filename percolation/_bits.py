"""Bit rows packed into 64-bit words: find a set bit in a range, set a range (numba)."""

# Numba infers the types from the arguments of each call.
# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator, call-arg"
# ruff: noqa: ANN001, ANN003, ANN202

from functools import partial

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

ALL = np.uint64(0xFFFFFFFFFFFFFFFF)


def compiled(**options):
    """Compile a function without the GIL and division checks; cache its machine code on disk."""

    def compile_(function):
        try:
            return njit(nogil=True, error_model="numpy", cache=True, **options)(function)
        except RuntimeError:  # neither the package folder nor the home folder is writable
            return njit(nogil=True, error_model="numpy", **options)(function)

    return compile_


# A function call for every added site would cost as much as the work itself.
inlined = partial(compiled, forceinline=True)


@intrinsic
def _trailing_zeros(_context, word):
    """Count the zeros below the lowest set bit of a nonzero word (one machine instruction)."""

    def generate(_context, builder, _signature, arguments):
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.uint64(types.uint64), generate


@inlined()
def any_set(words, base, first, last):
    """Return the lowest set bit among first..last (inclusive) of a row, or -1 if none is set.

    The row starts at `words[base]`.
    """
    index = base + (first >> 6)
    end = base + (last >> 6)
    word = words[index] >> np.uint64(first & 63)
    if index == end:
        word &= ALL >> np.uint64(63 - (last - first))
        return first + np.int64(_trailing_zeros(word)) if word else -1
    position = first
    while not word:
        position = (position | 63) + 1
        index += 1
        word = words[index]
        if index == end:
            word &= ALL >> np.uint64(63 - (last & 63))
            if not word:
                return -1
    return position + np.int64(_trailing_zeros(word))


@inlined()
def set_run(words, base, first, last):
    """Set the bits first..last (inclusive) of the row that starts at `words[base]`."""
    index = base + (first >> 6)
    end = base + (last >> 6)
    low = ALL << np.uint64(first & 63)
    high = ALL >> np.uint64(63 - (last & 63))
    if index == end:
        words[index] |= low & high
        return
    words[index] |= low
    for between in range(index + 1, end):
        words[between] = ALL
    words[end] |= high
