"""Compiled loops of the percolation engine: one random pass of union-find (numba).

A site's kept bit lives in a row of 64-bit words, one row for each step of the first axis, so that
a few instructions ask whether any of a run of sites is kept. `parent[site]` is the site's parent
in its cluster's tree or, at a root, minus the cluster's size.
"""

# Numba compiles these functions; their types are those of the arrays they are called with.
# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator, call-arg"
# ruff: noqa: ANN001, ANN202

from functools import partial

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

NEVER = np.iinfo(np.int64).max

_ALL = np.uint64(0xFFFFFFFFFFFFFFFF)

# No lock is held, no division by zero looked for; what is compiled once stays on the disk.
_compiled = partial(njit, nogil=True, error_model="numpy", cache=True)
# Inlined by the compiler: a call for every arrival would cost as much as its work.
_inlined = partial(_compiled, forceinline=True)

# What a pass keeps count of.
_KEPT, _CLUSTERS, _SQUARES, _LARGEST, _WRAP_X, _WRAP_Y = range(6)


@intrinsic
def _trailing_zeros(_context, word):
    """Zeros below the lowest set bit of a word that is not 0: one machine instruction."""

    def generate(_context, builder, _signature, arguments):
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.uint64(types.uint64), generate


@_inlined()
def _any_set(words, base, first, last):
    """Position of a set bit among first..last of the row that begins at a word, or -1."""
    index = base + (first >> 6)
    end = base + (last >> 6)
    word = words[index] >> np.uint64(first & 63)
    if index == end:
        word &= _ALL >> np.uint64(63 - (last - first))
        return first + np.int64(_trailing_zeros(word)) if word else -1
    position = first
    while not word:
        position = (position | 63) + 1
        index += 1
        word = words[index]
        if index == end:
            word &= _ALL >> np.uint64(63 - (last & 63))
            if not word:
                return -1
    return position + np.int64(_trailing_zeros(word))


@_inlined()
def _set_run(words, base, first, last):
    """Set the bits first..last of the row that begins at a word."""
    index = base + (first >> 6)
    end = base + (last >> 6)
    low = _ALL << np.uint64(first & 63)
    high = _ALL >> np.uint64(63 - (last & 63))
    if index == end:
        words[index] |= low & high
        return
    words[index] |= low
    for between in range(index + 1, end):
        words[between] = _ALL
    words[end] |= high


@_inlined()
def _find(parent, shift, site):
    """Root of a site; afterwards the site hangs on its root, `shift[site]` away from it."""
    root = site
    if shift is None:
        while parent[root] >= 0:
            if parent[parent[root]] >= 0:
                parent[root] = parent[parent[root]]
            root = parent[root]
        return root
    total = 0
    while parent[root] >= 0:
        total += shift[root]
        root = parent[root]
    while parent[site] >= 0:
        above, step = parent[site], shift[site]
        parent[site], shift[site] = root, total
        site, total = above, total - step
    return root


@_inlined()
def _draw(order, generator, count):
    """The next site: as the order has it, or drawn from those that are left in it."""
    if generator is not None:
        # Chances differ by less than 2^-22 of themselves; integers() takes ten times longer.
        drawn = count + np.int64(generator.random() * (len(order) - count))
        order[count], order[drawn] = order[drawn], order[count]
    return np.int64(order[count])


@_inlined()
def _join(parent, shift, totals, root, site, other, step):
    """Join a site's cluster, with its root, to another site's, `step` away; the common root."""
    other_root = _find(parent, shift, other)
    if shift is not None:
        _find(parent, shift, site)
        step += shift[other] - shift[site]  # from root to root
    if root == other_root:
        if shift is not None and step != 0:  # the link closes a loop around the torus
            along_y = np.int64(np.int32(step & 0xFFFFFFFF))
            if along_y != 0 and totals[_WRAP_Y] == NEVER:
                totals[_WRAP_Y] = totals[_KEPT]
            if step != along_y and totals[_WRAP_X] == NEVER:
                totals[_WRAP_X] = totals[_KEPT]
        return root
    size, other_size = -np.int64(parent[root]), -np.int64(parent[other_root])
    if size < other_size:
        root, other_root, step = other_root, root, -step
    parent[other_root] = root
    parent[root] = -(size + other_size)
    if shift is not None:
        shift[other_root] = -step
    totals[_CLUSTERS] -= 1
    totals[_SQUARES] += 2 * size * other_size
    totals[_LARGEST] = max(totals[_LARGEST], size + other_size)
    return root


@_inlined()
def _link_lattice(site, shape, periodic, segments, pad, words, parent, shift, totals):
    """Keep a site of a lattice and join it to one kept site of every segment that has one."""
    rows, length = shape
    x, y = site // length, site % length
    stride = len(words) // rows
    root = site
    for k in range(len(segments)):
        row = x + segments[k, 0]
        if row < 0 or row >= rows:
            if not periodic:
                continue
            row += rows if row < 0 else -rows
        at = pad + y
        found = _any_set(words, row * stride, at + segments[k, 1], at + segments[k, 2])
        if found >= 0:
            column = found - pad
            step = (segments[k, 0] << 32) + column - y
            if column < 0:  # a copy beyond the edge of a torus
                column += length
            elif column >= length:
                column -= length
            other = row * length + column
            root = _join(parent, shift, totals, root, site, other, step)
    _set_run(words, x * stride, pad + y, pad + y)
    if periodic:
        if y < pad:
            _set_run(words, x * stride, pad + y + length, pad + y + length)
        if y >= length - pad:
            _set_run(words, x * stride, pad + y - length, pad + y - length)


@_inlined()
def _cover_lattice(site, shape, periodic, reach, covered):
    """Mark all sites within reach of a site."""
    rows, length = shape
    x, y = site // length, site % length
    stride = len(covered) // rows
    for k in range(len(reach)):
        row = x + reach[k, 0]
        if row < 0 or row >= rows:
            if not periodic:
                continue
            row += rows if row < 0 else -rows
        first, last = y - reach[k, 1], y + reach[k, 1]
        _set_run(covered, row * stride, max(first, 0), min(last, length - 1))
        if periodic and first < 0:
            _set_run(covered, row * stride, first + length, length - 1)
        if periodic and last >= length:
            _set_run(covered, row * stride, 0, last - length)


@_inlined()
def _link_lists(site, starts, partners, words, parent, totals):
    """Keep a site and join it to the kept ones of its list."""
    root = site
    for k in range(starts[site], starts[site + 1]):
        other = np.int64(partners[k])
        if words[other >> 6] >> np.uint64(other & 63) & np.uint64(1):
            root = _join(parent, None, totals, root, site, other, 0)
    _set_run(words, 0, site, site)


@_inlined()
def _cover_lists(site, starts, partners, covered):
    """Mark a site and all sites of its list."""
    _set_run(covered, 0, site, site)
    for k in range(starts[site], starts[site + 1]):
        other = np.int64(partners[k])
        _set_run(covered, 0, other, other)


@_compiled()
def grow(
    order, generator, shape, periodic, segments, pad, reach, starts, partners,
    words, covered, parent, shift, largest, squares, wraps, until_wrap,
):  # fmt: skip
    """Keep sites one after the other and follow the clusters.

    Links come from `segments` of a lattice or, where those are None, from lists.

    Once the kept sites are one cluster that reaches every site (and winds around a torus both
    ways), each site that comes later joins it: the rest of the pass is known, exactly.

    Args:
        order: Sites in order of arrival, or all sites to draw them from; shape (k,), integers.
        generator: Where the sites are drawn from `order` by it (Fisher and Yates), in place, as
            far as the pass has to go; else None.
        shape: Sites along both axes of the lattice, the second fastest; (1, n) for lists.
        periodic: Whether the lattice closes on itself.
        segments: Runs of a lattice's links: (row, first, last) relative to a site; any two sites
            of one run are linked. Shape (s, 3), or None.
        pad: Room left and right of a row for `first` and `last`, in sites.
        reach: All links of a lattice, (row, half width). Shape (r, 2), or None.
        starts: Where a site's list begins in `partners`, shape (n + 1,), or None.
        partners: The lists, one after the other, or None.
        words: Room for the kept bits, all zero.
        covered: Room for the bits of the sites within reach, with those beyond a row's end set;
            None if the pass is not to end early.
        parent: Room for the trees, shape (n,).
        shift: Room for the way from a site to its parent, `(x << 32) + y`, shape (n,); None
            where loops do not count.
        largest: Size of the largest cluster after each arrival, shape (k,), written.
        squares: Sum of the squared cluster sizes after each arrival, shape (k,), written.
        wraps: Count at which a cluster first winds around each axis, or `NEVER`; shape (2,).
        until_wrap: Whether the pass may end, with the rest unwritten, once both are known.
    """
    totals = np.zeros(6, dtype=np.int64)
    totals[_WRAP_X] = totals[_WRAP_Y] = NEVER
    front = 0
    for count in range(len(order)):
        site = _draw(order, generator, count)
        parent[site] = -1
        if shift is not None:
            shift[site] = 0
        totals[_KEPT] = count + 1
        totals[_CLUSTERS] += 1
        totals[_SQUARES] += 1
        totals[_LARGEST] = max(totals[_LARGEST], 1)
        if segments is not None:
            _link_lattice(site, shape, periodic, segments, pad, words, parent, shift, totals)
        if starts is not None:
            _link_lists(site, starts, partners, words, parent, totals)
        largest[count] = totals[_LARGEST]
        squares[count] = totals[_SQUARES]
        wrapped = totals[_WRAP_X] != NEVER and totals[_WRAP_Y] != NEVER
        if until_wrap and wrapped:
            break
        if covered is None:
            continue
        if segments is not None:
            _cover_lattice(site, shape, periodic, reach, covered)
        if starts is not None:
            _cover_lists(site, starts, partners, covered)
        if totals[_CLUSTERS] == 1 and (shift is None or wrapped):
            while front < len(covered) and covered[front] == _ALL:
                front += 1
            if front == len(covered):
                for rest in range(count + 1, len(order)):
                    largest[rest] = rest + 1
                    squares[rest] = (rest + 1) * (rest + 1)
                break
    wraps[0], wraps[1] = totals[_WRAP_X], totals[_WRAP_Y]
