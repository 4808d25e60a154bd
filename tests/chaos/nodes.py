"""Sweeps on a cluster whose machines are killed and preempted.

    python -m tests.cluster.namespace python -m tests.chaos.nodes FOLDER SHARE SEED

The nodes run in a network of their own, so this is a process of its own. It prints one JSON list
for each fault: kind, fault and what is wrong.
"""

import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.chaos.whole_sweeps import Sweep, reference
from tests.cluster.nodes import ADDRESS, Cluster
from tests.helpers.processes import wait_for, workers_of

FAULTS = {"node killed": 3, "node preempted": 2}
"""How many of each are injected at a share of 1."""


def disturbed(folder: Path, share: float, seed: int) -> Iterator[tuple[str, str, str]]:
    """Start the process in its namespaces and yield kind, fault and what is wrong."""
    python = [sys.executable, "-m"]
    command = [*python, "tests.cluster.namespace", *python, "tests.chaos.nodes"]
    command += [str(folder), str(share), str(seed)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            yield tuple(json.loads(line))
    if process.returncode != 0:
        yield "a sweep after lost nodes", "compared", f"status {process.returncode}"


def inject(folder: Path, share: float, seed: int) -> Iterator[tuple[str, str, str]]:
    """Kill and preempt nodes of a sweep; yield kind, fault and what is wrong."""
    rng = random.Random(seed)
    kinds = [kind for kind, n in FAULTS.items() for _ in range(max(1, round(share * n)))]
    rng.shuffle(kinds)
    trials = 4 + 4 * len(kinds)
    expected = reference(folder / "undisturbed", trials)
    with tempfile.TemporaryDirectory(prefix="fl-", dir="/tmp") as name:
        cluster = Cluster(Path(name))
        try:
            yield from _lose_nodes(folder, kinds, cluster, rng, expected)
        finally:
            cluster.stop()


def _lose_nodes(
    folder: Path,
    kinds: list[str],
    cluster: Cluster,
    rng: random.Random,
    expected: dict[str, tuple],
) -> Iterator[tuple[str, str, str]]:
    sweep = Sweep(folder / "disturbed", len(expected), options=("--address", ADDRESS))
    sweep.environment = cluster.environment
    cluster.head(cpus=0)
    nodes = [cluster.node(cpus=1) for _ in range(2)]
    driver = sweep.start()
    for kind in kinds:
        wait_for(lambda: driver.poll() is not None or workers_of(nodes[0], sweep.records))
        delay = rng.uniform(0, 2)
        time.sleep(delay)
        problem = "" if driver.poll() is None else f"the sweep was over: {sweep.output()}"
        lost = nodes.pop(0)
        if kind == "node preempted":
            cluster.preempt(lost)
        else:
            cluster.kill(lost)
        nodes.append(cluster.node(cpus=1))
        yield kind, f"{delay:.1f} s after a trial began", problem or sweep.refresh()
    problem = "" if driver.wait(600) == 0 else sweep.output()
    if not problem and sweep.state() != expected:
        problem = "its numbers are not those of an undisturbed one"
    yield "a sweep after lost nodes", "compared", problem or sweep.refresh() or sweep.stored()


def main() -> None:
    """Inject the faults and print what came of them."""
    folder, share, seed = sys.argv[1:]
    for outcome in inject(Path(folder), float(share), int(seed)):
        print(json.dumps(outcome), flush=True)


if __name__ == "__main__":
    main()
