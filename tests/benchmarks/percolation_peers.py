"""The percolation engine beside graph libraries: time and memory of one curve, in one run.

A curve is the size of the largest cluster at 50 lambdas, nested: the sites of one random order,
on a square lattice with open edges. Every measurement has a process of its own, so that its peak
memory is its own too, and every library must find the sizes that the engine finds.

What is timed. Libraries: from a given order to the 50 sizes; the pairs of linked sites, and a
graph of them where it serves, are there before. Engine: drawing the order, the pass and reading
the 50 sizes, in room that is there before, with the compiled code loaded. Times are medians.

What memory is counted. The peak of the resident set over what it was before the work, after the
imports (and for libraries with the pairs at hand): graph or room, and one realisation.
"""

# Only the process that measures something imports it, after a look at its clock and memory: a
# child begins with the peak memory of its parent, which therefore stays small.
# ruff: noqa: PLC0415

import argparse
import importlib
import json
import resource
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

from tests.benchmarks.percolation_idioms import IDIOMS, LIBRARIES, counts_of, pairs_of, serves

Row = dict[str, Any]

ENGINE = "engine"
SIDES = (64, 128, 320)
RADII = (1, 8, 25)  # squared: 4, 24 and 80 neighbours
DENSE, LARGE = (320, 3960), (2048, 1)  # cases (side, squared radius) of the engine alone

# Bytes that a pass must touch for a site: order written and read, tree, two results, kept bit.
FLOOR_BYTES = 4 + 4 + 4 + 4 + 8 + 1 / 8


def forget_peak() -> None:
    """Begin the peak anew, where that is possible: imports hold more for a while than after."""
    with suppress(OSError):  # only Linux has it
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def peak() -> float:
    """Largest resident set of this process so far, in MB."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def repeated(work: Callable[[], object], least: int, seconds: float, most: int) -> list[float]:
    """Times of repetitions: at least so many and, up to the most, until the seconds are over."""
    times: list[float] = []
    while len(times) < least or (sum(times) < seconds and len(times) < most):
        begin = time.perf_counter()
        work()
        times.append(time.perf_counter() - begin)
    return times


def measure_library(library: str, idiom: str, side: int, radius2: int, seconds: float) -> Row:
    """Time and memory of a library, repeated until the seconds are over."""
    module, make = LIBRARIES[library]
    importlib.import_module(module)
    import numpy as np

    sites = side * side
    order, counts = np.random.default_rng(side).permutation(sites), counts_of(sites)
    pairs = pairs_of(side, radius2)
    forget_peak()
    before = peak()
    curve = make(idiom, sites, pairs)
    begin = time.perf_counter()
    sizes = curve(order, counts)
    first = time.perf_counter() - begin
    memory = peak() - before
    times = [first]
    if first < seconds:
        times = repeated(partial(curve, order, counts), least=3, seconds=seconds, most=50)
    return {"seconds": median(times), "repeats": len(times), "memory_mb": memory, "sizes": sizes}


def measure_engine(side: int, radius2: int) -> Row:
    """Time and memory of the engine, and what the first call of a new process costs."""
    begin = time.perf_counter()
    import numpy as np

    from percolation import growth, square_links
    from percolation.union_find import Workspace

    Workspace(square_links(8, radius2, periodic=False)).run(generator=np.random.default_rng(0))
    first_call = time.perf_counter() - begin
    links = square_links(side, radius2, periodic=False)
    last = counts_of(links.sites) - 1
    generator = np.random.default_rng(0)
    forget_peak()
    before = peak()
    room = Workspace(links)

    def realise() -> list[int]:
        sizes: list[int] = room.run(generator=generator).largest[last].tolist()
        return sizes

    realise()
    memory, process = peak() - before, peak()
    times = repeated(realise, least=20 if links.sites < 10**6 else 5, seconds=0.5, most=100)
    order = np.random.default_rng(side).permutation(links.sites)
    return {
        "seconds": median(times),
        "repeats": len(times),
        "memory_mb": memory,
        "process_mb": process,
        "first_call": first_call,
        "neighbours": links.neighbours,
        "sizes": growth(links, order).largest[last].tolist(),
    }


def measure_bandwidth() -> Row:
    """Bytes that a copy of 256 MB reads and writes in a second, at best."""
    import numpy as np

    source, target = np.ones(2**25), np.zeros(2**25)
    copies = repeated(lambda: np.copyto(target, source), least=10, seconds=0, most=10)
    return {"bytes_per_second": 2 * source.nbytes / min(copies)}


def in_child(*what: object) -> Row:
    """Measure something in a process of its own."""
    print("measuring", *what, file=sys.stderr)
    command = [sys.executable, "-m", __spec__.name, "--child", *map(str, what)]
    result = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    row: Row = json.loads(result.stdout)
    return row


def child(what: list[str]) -> Row:
    """Measure what a parent asked for: bandwidth, the engine or a library."""
    if what[0] == "bandwidth":
        return measure_bandwidth()
    if what[0] == ENGINE:
        return measure_engine(int(what[1]), int(what[2]))
    return measure_library(what[0], what[1], int(what[2]), int(what[3]), float(what[4]))


def measure_case(
    side: int, radius2: int, peers: bool, bandwidth: float, *, quick: bool, seconds: float
) -> list[Row]:
    """Rows of a lattice: the engine's first."""
    engine = {"peer": ENGINE, "idiom": "", **in_child(ENGINE, side, radius2)}
    engine["floor_share"] = FLOOR_BYTES * side**2 / bandwidth / engine["seconds"]
    rows = [engine]
    for library, idiom in product(LIBRARIES, IDIOMS) if peers else ():
        slow = library == "networkx" and side >= 320 and radius2 >= 8
        if serves(library, idiom, radius2) and not (quick and slow):
            row = in_child(library, idiom, side, radius2, seconds)
            rows.append({"peer": library, "idiom": idiom, **row})
    for row in rows:
        sizes = row.pop("sizes")
        row["checksum"] = zlib.crc32(json.dumps(sizes).encode())
        row["agrees"] = row["checksum"] == engine["checksum"]
        row["times_engine"] = row["seconds"] / engine["seconds"]
        row |= {"side": side, "radius2": radius2, "neighbours": engine["neighbours"]}
    engine["best_peer_times"] = min((row["times_engine"] for row in rows[1:]), default=None)
    return rows


def publish_all(rows: list[Row], history: Path) -> None:
    """Publish times, factors and memory, a line for every lattice."""
    from tests.benchmarks.report import Better, Measurement, publish

    times, factors, memory = [], [], []
    for row in rows:
        case = f"L = {row['side']:,}, {row['neighbours']:,} neighbours"
        name = f"{row['peer']} {row['idiom']}".strip()
        better: Better = "neither"
        if row["peer"] == ENGINE:
            better = "lower"
            factors.append(Measurement(case, "share of the floor", row["floor_share"]))
            factors.append(Measurement(case, "first call", row["first_call"], "s", "lower"))
        else:
            factors.append(Measurement(case, name, row["times_engine"]))
        times.append(Measurement(case, name, 1e3 * row["seconds"], "ms", better))
        memory.append(Measurement(case, name, row["memory_mb"], "MB", better))
    title = "One realisation of a curve: 50 lambdas, one random order"
    publish("percolation peers", title, times, history)
    publish("percolation factors", "Times over that of the engine", factors, history)
    publish("percolation memory", "Peak memory of one realisation", memory, history)


def targets(rows: list[Row]) -> list[Row]:
    """What the engine is meant to reach, what it reached and whether that is enough."""

    def of(case: tuple[int, int], peers: bool, key: str) -> list[float]:
        return [
            row[key]
            for row in rows
            if (row["side"], row["radius2"]) == case and (row["peer"] != ENGINE) == peers
        ]

    found: list[tuple[str, list[float], float]] = []
    for idiom in IDIOMS:
        times = [r["times_engine"] for r in rows if (r["peer"], r["idiom"]) == ("networkx", idiom)]
        found.append((f"networkx {idiom}, least factor over all lattices", times, 1000))
    best = "best library, factor at L = 320 with 80 neighbours"
    found.append((best, of((320, 25), True, "times_engine"), 50))
    result = [
        {"what": what, "target": f"at least {target:,g}", "found": min(v), "met": min(v) >= target}
        for what, v, target in found
        if v
    ]
    limits = [
        ("engine at L = 320 with 12,400 neighbours, s", of(DENSE, False, "seconds"), 0.1),
        ("process at L = 2048 with 4 neighbours, MB", of(LARGE, False, "process_mb"), 2000),
    ]
    return result + [
        {"what": what, "target": f"at most {limit:,g}", "found": v[0], "met": v[0] <= limit}
        for what, v, limit in limits
        if v
    ]


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="leave out networkx where it is slow")
    parser.add_argument("--history", type=Path, help="file to add the numbers to")
    parser.add_argument("--sides", type=int, nargs="+", help="only these sides of the lattice")
    parser.add_argument("--radii", type=int, nargs="+", help="only these squared radii")
    parser.add_argument("--seconds", type=float, default=1, help="how long to repeat a library")
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> int:
    """Measure, print and return the exit status: 1 if a library disagrees with the engine."""
    args = arguments()
    if args.child:
        print(json.dumps(child(args.child)))
        return 0
    from tests.benchmarks.report import HISTORY  # the child that measures does without it

    bandwidth = in_child("bandwidth")["bytes_per_second"]
    measure = partial(measure_case, bandwidth=bandwidth, quick=args.quick, seconds=args.seconds)
    cases = [(*case, True) for case in product(args.sides or SIDES, args.radii or RADII)]
    if not (args.sides or args.radii):
        cases += [(*DENSE, False), (*LARGE, False)]
        for radius2 in RADII:  # the compiler's work is not what a first call costs later
            in_child(ENGINE, 8, radius2)
    rows = [row for case in cases for row in measure(*case)]
    publish_all(rows, args.history or HISTORY)
    print(f"Floor: {FLOOR_BYTES} bytes a site at {bandwidth / 1e9:.1f} GB/s, by a copy.")
    for row in targets(rows):
        met = "met" if row["met"] else "not met"
        print(f"{row['what']}: {row['found']:,.4g}, {row['target']}: {met} in this run.")
    for row in rows:
        if not row["agrees"]:
            print(f"{row['peer']} {row['idiom']} finds other clusters at L = {row['side']}")
    return 0 if all(row["agrees"] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
