"""Inject faults and print how many were survived: `make chaos`.

Every fault is a real one: a process is killed, a file is changed, a file system is full. A fault is
survived if the record ends bit-identical to that of a run without faults. The exit status is 1 if
one was not.
"""

import argparse
import collections
import logging
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

import torch

from tests.chaos import disk, kills, nodes, stores, trials, whole_sweeps
from tests.chaos.safeguards import OF_SWEEPS, SAFEGUARDS

OF = ("runs", "sweeps", "nodes", "stores")
"""What faults are injected into: single runs, whole sweeps, nodes of a cluster, MLflow's store."""


def arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--share", type=float, default=1.0, help="share of the faults to inject")
    parser.add_argument("--seed", type=int, default=0, help="seed of the faults")
    parser.add_argument("--of", choices=OF, nargs="+", default=OF, help="what the faults hit")
    parser.add_argument("--without", choices=[*SAFEGUARDS, *OF_SWEEPS], help="turn a safeguard off")
    return parser.parse_args()


def of_runs(
    some: Callable[[int], int], seed: int, folder: Path, *, may_mount: bool
) -> Iterator[trials.Outcome]:
    """Inject faults into single runs."""
    expected = trials.reference(folder)
    for kind, drawn in (
        ("killed at any moment", kills.moments(expected.seconds, some(24), seed)),
        ("killed at a write", kills.writes(expected.calls, some(40), seed, power=False)),
        ("power cut at a write", kills.writes(expected.calls, some(24), seed, power=True)),
    ):
        yield from trials.killed(kind, drawn, expected, folder)
    yield from trials.damaged(some(2), seed, expected, folder)
    yield from trials.contended(some(4), seed, expected, folder)
    if may_mount:
        yield from trials.full(some(10), seed, expected, folder)
        yield from trials.no_rights(some(3), expected, folder)


def faults(share: float, seed: int, folder: Path, of: Collection[str]) -> Iterator[trials.Outcome]:
    """Inject faults one after the other."""

    def some(number: int) -> int:
        return max(1, round(share * number))

    may_mount = disk.can_mount(folder / "probe")
    if not may_mount:
        print("no full and no read-only disks: this user may not mount any", file=sys.stderr)
    if "runs" in of:
        yield from of_runs(some, seed, folder, may_mount=may_mount)
    if "sweeps" in of:
        for outcome in whole_sweeps.disturbed(folder / "sweeps", share, seed, may_mount=may_mount):
            yield trials.Outcome(*outcome)
    if "nodes" in of and _may_have_a_network():
        for outcome in nodes.disturbed(folder / "nodes", share, seed):
            yield trials.Outcome(*outcome)
    elif "nodes" in of:
        print("no lost nodes: this user may not have a network of its own", file=sys.stderr)
    if "stores" in of:
        yield from stores.all_faults(some, seed, folder / "stores", may_mount=may_mount)


def _may_have_a_network() -> bool:
    """Return whether this user may start processes in a network of their own."""
    command = [sys.executable, "-m", "tests.cluster.namespace", "true"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def chosen(args: argparse.Namespace, folder: Path) -> Iterator[trials.Outcome]:
    """Inject the faults that the command line asks for."""
    if args.without in OF_SWEEPS:
        found = whole_sweeps.disturbed(
            folder, args.share, args.seed, may_mount=False, without=args.without
        )
        yield from (trials.Outcome(*one) for one in found)
        return
    # The other safeguards are turned off only in this process and its children.
    yield from faults(args.share, args.seed, folder, args.of if args.without is None else ["runs"])


def main() -> None:
    """Inject faults and print a table."""
    args = arguments()
    torch.set_num_threads(1)  # a pool of threads does not survive a fork
    logging.getLogger("factorlab").setLevel(logging.ERROR)  # no warnings of damaged files
    if args.without in SAFEGUARDS:
        SAFEGUARDS[args.without]()
    begin, counts = time.monotonic(), collections.Counter()
    lost: list[trials.Outcome] = []
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        for outcome in chosen(args, Path(folder)):
            counts[outcome.kind] += 1
            if outcome.problem:
                lost.append(outcome)
                print(f"{outcome.kind}, {outcome.fault}: {outcome.problem}", file=sys.stderr)
    print(f"{'fault':32} {'times':>6} {'survived':>9}")
    for kind, times in counts.items():
        survived = times - sum(outcome.kind == kind for outcome in lost)
        print(f"{kind:32} {times:6} {survived:9}")
    total = sum(counts.values())
    print(f"{total} faults in {time.monotonic() - begin:.0f} s, {len(lost)} not survived")
    sys.exit(1 if lost else 0)


if __name__ == "__main__":
    main()
