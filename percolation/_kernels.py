"""Compiled loops of the percolation engine: one random union-find pass (numba).

One bit per site records whether the site is kept. The bits are packed into rows of 64-bit words,
one row per index of the first axis. A few instructions then test a whole run of sites.
`parent[site]` is the site's parent in the tree of its cluster. At a root it is minus the size of
the cluster.
"""

# Numba infers the types from the arguments of each call.
# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"
# ruff: noqa: ANN001, ANN202

import numpy as np

from percolation._bits import ALL, any_set, compiled, inlined, set_run

NEVER = np.iinfo(np.int64).max

# Number of sites drawn in one batch.
_DRAWN = 128

# Indices of the running totals of a pass.
_KEPT, _CLUSTERS, _SQUARES, _LARGEST, _WRAP_X, _WRAP_Y = range(6)


@inlined()
def _find(parent, shift, site):
    """Return the root of a site and compress the path to it.

    With `shift`, the root becomes the parent of `site` and of every site on the path, and
    `shift[site]` the offset from `site` to the root. Without `shift`, the path is halved.
    """
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


@inlined()
def _draw(order, generator, first):
    """Draw the next batch of sites from the remaining ones (Fisher-Yates shuffle).

    Drawing in batches takes half as long as drawing a single site before each addition.
    """
    for count in range(first, min(first + _DRAWN, len(order))):
        # The relative bias is below 2^-22; generator.integers() takes ten times longer.
        other = count + np.int64(generator.random() * (len(order) - count))
        order[count], order[other] = order[other], order[count]


@inlined()
def _join(parent, shift, totals, root, site, other, step):
    """Join the cluster of a site to that of another site and return the common root.

    `root` is the root of `site`. `step` is the offset from `site` to `other`.
    """
    other_root = _find(parent, shift, other)
    if shift is not None:
        _find(parent, shift, site)
        step += shift[other] - shift[site]  # from one root to the other
    if root == other_root:
        if shift is not None and step != 0:  # the link closes a loop that wraps around the torus
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


@inlined()
def _row_of(x, offset, rows, periodic):
    """Return the row at an offset from row `x`, or -1 beyond an open edge."""
    row = x + offset
    if row < 0 or row >= rows:
        if not periodic:
            return -1
        row += rows if row < 0 else -rows
    return row


@inlined()
def _column_of(column, length):
    """Return a column wrapped into 0..length - 1, at most one period away."""
    if column < 0:
        return column + length
    return column - length if column >= length else column


@inlined()
def _link_runs(site, shape, periodic, runs, pad, words, parent, shift, totals):
    """Join a lattice site to one kept site of every run that contains one."""
    rows, length = shape
    x, y = site // length, site % length
    stride = len(words) // rows
    root = site
    for k in range(len(runs)):
        row = _row_of(x, runs[k, 0], rows, periodic)
        if row < 0:
            continue
        found = any_set(words, row * stride, pad + y + runs[k, 1], pad + y + runs[k, 2])
        if found >= 0:
            other = row * length + _column_of(found - pad, length)
            step = (runs[k, 0] << 32) + found - pad - y
            root = _join(parent, shift, totals, root, site, other, step)
            if shift is None and totals[_CLUSTERS] == 1:
                return  # all kept sites form one cluster


@inlined()
def _link_window(site, shape, periodic, groups, pad, words, parent, shift, totals):
    """Join a lattice site to one site of every group of kept sites among its eight neighbours."""
    rows, length = shape
    x, y = site // length, site % length
    stride = len(words) // rows
    first = pad + y - 1
    low = np.uint64(first & 63)
    pattern = np.uint64(0)
    for k in range(3):
        row = _row_of(x, k - 1, rows, periodic)
        if row < 0:
            continue
        index = row * stride + (first >> 6)
        window = words[index] >> low
        if low > 61:  # the three bits extend into the next word
            window |= words[index + 1] << (np.uint64(64) - low)
        pattern |= (window & np.uint64(7)) << np.uint64(3 * k)
    root = site
    for k in range(groups[pattern, 0]):
        place = np.int64(groups[pattern, 1 + k])
        a, b = place // 3 - 1, place % 3 - 1
        row = _row_of(x, a, rows, periodic)
        other = row * length + _column_of(y + b, length)
        root = _join(parent, shift, totals, root, site, other, (a << 32) + b)


@inlined()
def _keep(site, shape, periodic, pad, words):
    """Set the bit of a site and, on a torus, those of its copies in the padding of the row."""
    rows, length = shape
    base, at = site // length * (len(words) // rows), pad + site % length
    set_run(words, base, at, at)
    if periodic:
        if at < 2 * pad:
            set_run(words, base, at + length, at + length)
        if at >= length:
            set_run(words, base, at - length, at - length)


@inlined()
def _link_lists(site, starts, partners, words, parent, totals):
    """Join a site to the kept sites of its neighbour list."""
    root = site
    for k in range(starts[site], starts[site + 1]):
        other = np.int64(partners[k])
        if words[other >> 6] >> np.uint64(other & 63) & np.uint64(1):
            root = _join(parent, None, totals, root, site, other, 0)
            if totals[_CLUSTERS] == 1:
                return  # all kept sites form one cluster


@inlined()
def _cover(site, shape, periodic, reach, starts, partners, covered):
    """Mark a site and all sites linked to it."""
    rows, length = shape
    x, y = site // length, site % length
    stride = len(covered) // rows
    if reach is not None:
        for k in range(len(reach)):
            row = _row_of(x, reach[k, 0], rows, periodic)
            if row < 0:
                continue
            first, last = y - reach[k, 1], y + reach[k, 1]
            set_run(covered, row * stride, max(first, 0), min(last, length - 1))
            if periodic and first < 0:
                set_run(covered, row * stride, first + length, length - 1)
            if periodic and last >= length:
                set_run(covered, row * stride, 0, last - length)
    if starts is not None:
        set_run(covered, 0, site, site)
        for k in range(starts[site], starts[site + 1]):
            other = np.int64(partners[k])
            set_run(covered, 0, other, other)


@inlined()
def _first_uncovered(covered, front):
    """Return the index of the first word, from `front` on, with a site that is not covered."""
    while front < len(covered) and covered[front] == ALL:
        front += 1
    return front


@compiled()
def grow(
    order, generator, shape, periodic, groups, runs, reach, pad, starts, partners,
    words, covered, parent, shift, largest, second_moment, wraps, until_wrap,
):  # fmt: skip
    """Add sites one at a time and track the clusters.

    Exactly one of `groups`, `runs` and `starts` is not None. It defines the links.

    A pass ends early once all kept sites form one cluster that every other site is linked to (and
    that wraps around both axes of a torus). Each later site joins this cluster, so the remaining
    values are known exactly.

    Args:
        order: Sites in the order in which they are added, or the sites to draw from, integers of
            shape (k,).
        generator: Shuffles `order` in place (Fisher-Yates), only as far as the pass runs. None
            uses `order` as given.
        shape: Sites along both axes of the lattice, the second axis fastest; (1, n) for lists.
        periodic: Whether the lattice is a torus.
        groups: Links of a lattice within the 3 x 3 window around a site, shape (512, 5), or None.
            The row index is the pattern of kept sites, bit `3 row + column`. A row holds the
            number of connected groups linked to the site, then one site of each group.
        runs: Links of a lattice as (row, first, last) relative to a site, shape (r, 3), or None.
            Any two sites of one run are linked.
        reach: All links of a lattice as (row, half width), shape (r, 2), or None.
        pad: Padding on both sides of a row, in sites, for links that reach beyond its ends.
        starts: Start of each site's list in `partners`, shape (n + 1,), or None.
        partners: The concatenated neighbour lists, or None.
        words: Workspace for the bits of kept sites, all zero.
        covered: Workspace for the bits of sites linked to a kept site, with the bits beyond the
            end of each row set. None disables early termination.
        parent: Workspace for the trees, shape (n,).
        shift: Workspace for the offset from a site to its parent, `(x << 32) + y`, shape (n,).
            None if wrapping is not tracked.
        largest: Output: size of the largest cluster after each addition, shape (k,).
        second_moment: Output: sum of the squared cluster sizes after each addition, shape (k,).
        wraps: Output: number of kept sites at which a cluster first wraps around each axis, or
            `NEVER`, shape (2,).
        until_wrap: Whether to stop once both wraps are known. Later entries of `largest` and
            `second_moment` are then not written.
    """
    totals = np.zeros(6, dtype=np.int64)
    totals[_WRAP_X] = totals[_WRAP_Y] = NEVER
    front = known = 0
    for count in range(len(order)):
        if generator is not None and count % _DRAWN == 0:
            _draw(order, generator, count)
        site = np.int64(order[count])
        parent[site] = -1
        if shift is not None:
            shift[site] = 0
        totals[_KEPT] = known = count + 1
        totals[_CLUSTERS] += 1
        totals[_SQUARES] += 1
        totals[_LARGEST] = max(totals[_LARGEST], 1)
        if groups is not None:
            _link_window(site, shape, periodic, groups, pad, words, parent, shift, totals)
        if runs is not None:
            _link_runs(site, shape, periodic, runs, pad, words, parent, shift, totals)
        if starts is not None:
            _link_lists(site, starts, partners, words, parent, totals)
        _keep(site, shape, periodic, pad, words)
        largest[count] = totals[_LARGEST]
        second_moment[count] = totals[_SQUARES]
        wrapped = totals[_WRAP_X] != NEVER and totals[_WRAP_Y] != NEVER
        if until_wrap and wrapped:
            break
        if covered is not None:
            _cover(site, shape, periodic, reach, starts, partners, covered)
            if totals[_CLUSTERS] == 1 and (shift is None or wrapped):
                front = _first_uncovered(covered, front)
                if front == len(covered):
                    break
    if not until_wrap:
        for count in range(known, len(order)):
            largest[count] = count + 1
            second_moment[count] = (count + 1) * (count + 1)
    wraps[0], wraps[1] = totals[_WRAP_X], totals[_WRAP_Y]
