"""Compiled loops of the percolation engine: one random pass of union-find (numba).

A site's kept bit lives in a row of 64-bit words, one row for each step of the first axis, so that
a few instructions ask whether any of a run of sites is kept. `parent[site]` is the site's parent
in its cluster's tree or, at a root, minus the cluster's size.
"""

# Numba compiles these functions; their types are those of the arrays they are called with.
# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"
# ruff: noqa: ANN001, ANN202

import numpy as np

from percolation._bits import ALL, any_set, compiled, inlined, set_run

NEVER = np.iinfo(np.int64).max

# Sites that are drawn at once.
_DRAWN = 128

# What a pass keeps count of.
_KEPT, _CLUSTERS, _SQUARES, _LARGEST, _WRAP_X, _WRAP_Y = range(6)


@inlined()
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


@inlined()
def _draw(order, generator, first):
    """Draw the next sites of the order from those that are left (Fisher and Yates).

    A handful at a time takes half as long as one between any two arrivals.
    """
    for count in range(first, min(first + _DRAWN, len(order))):
        # Chances differ by less than 2^-22 of themselves; integers() takes ten times longer.
        other = count + np.int64(generator.random() * (len(order) - count))
        order[count], order[other] = order[other], order[count]


@inlined()
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


@inlined()
def _row_of(x, offset, rows, periodic):
    """The row at an offset from another, or -1 beyond an open edge."""
    row = x + offset
    if row < 0 or row >= rows:
        if not periodic:
            return -1
        row += rows if row < 0 else -rows
    return row


@inlined()
def _column_of(column, length):
    """The column of a site or, on a torus, of its copy beyond an edge."""
    if column < 0:
        return column + length
    return column - length if column >= length else column


@inlined()
def _link_runs(site, shape, periodic, runs, pad, words, parent, shift, totals):
    """Join a site of a lattice to one kept site of every run that has one."""
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
                return  # nothing is left to join


@inlined()
def _link_window(site, shape, periodic, groups, pad, words, parent, shift, totals):
    """Join a site of a lattice to one kept site of every group among the eight around it."""
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
        if low > 61:  # the window reaches into the next word
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
    """Set the bit of a site, and on a torus those of its copies beyond the edges."""
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
    """Join a site to the kept ones of its list."""
    root = site
    for k in range(starts[site], starts[site + 1]):
        other = np.int64(partners[k])
        if words[other >> 6] >> np.uint64(other & 63) & np.uint64(1):
            root = _join(parent, None, totals, root, site, other, 0)
            if totals[_CLUSTERS] == 1:
                return  # nothing is left to join


@inlined()
def _cover(site, shape, periodic, reach, starts, partners, covered):
    """Mark a site and all sites within reach of it."""
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
    """Index of the first word, at or after one, that has a site not yet reached."""
    while front < len(covered) and covered[front] == ALL:
        front += 1
    return front


@compiled()
def grow(
    order, generator, shape, periodic, groups, runs, reach, pad, starts, partners,
    words, covered, parent, shift, largest, second_moment, wraps, until_wrap,
):  # fmt: skip
    """Keep sites one after the other and follow the clusters.

    Links come from the one of `groups`, `runs` and `starts` that is not None.

    Once the kept sites are one cluster that reaches every site (and winds around a torus both
    ways), each site that comes later joins it: the rest of the pass is known, exactly.

    Args:
        order: Sites in order of arrival, or all sites to draw them from; shape (k,), integers.
        generator: Where the sites are drawn from `order` by it (Fisher and Yates), in place, as
            far as the pass has to go; else None.
        shape: Sites along both axes of the lattice, the second fastest; (1, n) for lists.
        periodic: Whether the lattice closes on itself.
        groups: Links of a lattice among the 3 x 3 sites around a site: for each pattern of kept
            ones, bit `3 row + column`, how many groups of them hang together and are linked to
            the site, and one site of each. Shape (512, 5), or None.
        runs: Links of a lattice as (row, first, last) relative to a site; any two sites of one
            run are linked. Shape (r, 3), or None.
        reach: All links of a lattice, (row, half width). Shape (r, 2), or None.
        pad: Room left and right of a row for what reaches beyond it, in sites.
        starts: Where a site's list begins in `partners`, shape (n + 1,), or None.
        partners: The lists, one after the other, or None.
        words: Room for the kept bits, all zero.
        covered: Room for the bits of the sites within reach, with those beyond a row's end set;
            None if the pass is not to end early.
        parent: Room for the trees, shape (n,).
        shift: Room for the way from a site to its parent, `(x << 32) + y`, shape (n,); None
            where loops do not count.
        largest: Size of the largest cluster after each arrival, shape (k,), written.
        second_moment: Sum of the squared cluster sizes after each arrival, shape (k,), written.
        wraps: Count at which a cluster first winds around each axis, or `NEVER`; shape (2,).
        until_wrap: Whether the pass may end, with the rest unwritten, once both are known.
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
