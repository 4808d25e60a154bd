"""What a sweep of thousands of runs costs its driver, on a simulated cluster of 64 GPUs.

Eight Ray nodes of eight logical GPUs run on this machine, in a network of their own. Planning, Ray
Tune, the records, MLflow and the display are those of every sweep. Only the training is replaced: a
stand-in run waits, reports, and writes a record of the usual size (a journal of 20 points, a
result). Real runs take minutes or hours, so the time of a stand-in is compressed and its driver has
far more to do each second than with real runs.

    python -m tests.benchmarks.scale --runs 10000

Then the same sweep runs again, with all runs finished: its wall time is that of a restart.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil
import yaml

from tests.benchmarks.report import HISTORY, Measurement, publish
from tests.benchmarks.scheduling import EMPTY
from tests.cluster.namespace import INSIDE
from tests.cluster.nodes import ADDRESS, Cluster

NODES, GPUS = 8, 8

SECONDS_VARIABLE, REPORTS_VARIABLE = "SCALE_SECONDS", "SCALE_REPORT_EVERY"
"""Environment variables of the stand-ins: seconds of a run, and between two reports."""


def drive(arguments: list[str]) -> None:
    """Run `factorlab` with stand-ins in the place of its workers."""
    from sweeps.cli.main import main  # noqa: PLC0415
    from sweeps.ray_runtime import connection  # noqa: PLC0415

    connect = connection.connect

    def then_replace(address: str | None, runs: Path) -> None:
        connect(address, runs)
        from sweeps.execution import tune_runner  # noqa: PLC0415 - after Ray is connected
        from tests.benchmarks.stand_in import StandIn  # noqa: PLC0415

        tune_runner.Worker = StandIn

    connection.connect = then_replace
    sys.argv = ["factorlab", *arguments]
    main()


class Watched:
    """A command, and what it used."""

    def __init__(self, command: list[str], folder: Path, environment: dict[str, str]) -> None:
        begin = time.perf_counter()
        with (folder / "messages").open("w") as messages:
            process = subprocess.Popen(
                command, cwd=folder, env=environment, stdout=messages, stderr=messages
            )
        self._seen = psutil.Process(process.pid)
        self.peak, self.files, self.processor = 0.0, 0, 0.0
        watcher = threading.Thread(target=self._watch, daemon=True)
        watcher.start()
        process.wait()
        watcher.join()
        self.wall = time.perf_counter() - begin
        if process.returncode != 0:
            raise RuntimeError((folder / "messages").read_text()[-3000:])

    def _watch(self) -> None:
        while True:
            try:
                self.peak = max(self.peak, self._seen.memory_info().rss / 1e6)
                self.files = max(self.files, self._seen.num_fds())
                self.processor = sum(self._seen.cpu_times()[:2])
            except psutil.Error:
                return
            time.sleep(1)


def measure(runs: int, pack: int, seconds: float, report_every: float) -> list[Measurement]:
    """Run a sweep of stand-ins on the cluster, and the same command again."""
    with tempfile.TemporaryDirectory(prefix="fl-", dir="/tmp") as name:
        folder = Path(name)
        experiment = {"name": "scale", "base": EMPTY, "axes": {"seed": list(range(runs))}}
        experiment |= {"resources": {"pack": pack}, "figures": []}
        (folder / "scale.yaml").write_text(yaml.safe_dump(experiment))
        cluster = Cluster(
            folder,
            PYTHONPATH=str(Path(__file__).parents[2]),
            **{SECONDS_VARIABLE: str(seconds), REPORTS_VARIABLE: str(report_every)},
        )
        try:
            cluster.head(cpus=0)
            for _ in range(NODES):
                cluster.node(cpus=GPUS, gpus=GPUS)
            command = [sys.executable, "-m", "tests.benchmarks.scale", "--drive"]
            command += ["sweep", "scale.yaml", "--address", ADDRESS]
            first = Watched(command, folder, cluster.environment)
            again = Watched(command, folder, cluster.environment)
        finally:
            cluster.stop()
        journal = sum(path.stat().st_size for path in folder.glob("runs/trials/*/metrics.jsonl"))
        store = (folder / "runs" / "mlflow.db").stat().st_size
    slots = NODES * GPUS
    ideal = runs / pack * seconds / slots
    reports = runs / pack * seconds / report_every
    case = f"{runs} runs, packs of {pack}, {seconds:g} s, a report every {report_every:g} s"
    return [
        Measurement(case, "wall", first.wall, "s", "lower"),
        Measurement(case, "ideal", ideal, "s"),
        Measurement(case, "driver's processor time a run", 1e3 * first.processor / runs, "ms"),
        Measurement(case, "reports", reports),
        Measurement(case, "driver's peak", first.peak, "MB", "lower"),
        Measurement(case, "open files", first.files, "", "lower"),
        Measurement(case, "journals", journal / runs / 1e3, "kB a run"),
        Measurement(case, "MLflow store", store / runs / 1e3, "kB a run"),
        Measurement(case, "restart", again.wall, "s", "lower"),
        Measurement(case, "peak of the restart", again.peak, "MB", "lower"),
    ]


def main() -> None:
    """Measure and publish."""
    if sys.argv[1:2] == ["--drive"]:
        drive(sys.argv[2:])
        return
    if INSIDE not in os.environ:
        enter = [sys.executable, "-m", "tests.cluster.namespace"]
        os.execv(enter[0], [*enter, sys.executable, "-m", "tests.benchmarks.scale", *sys.argv[1:]])
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, nargs="+", default=[10_000])
    parser.add_argument("--pack", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=10.0, help="of a run")
    parser.add_argument("--report-every", type=float, default=2.0, help="seconds")
    parser.add_argument("--history", type=Path, default=HISTORY, help="file to add the numbers to")
    given = parser.parse_args()
    found = [
        measurement
        for runs in given.runs
        for measurement in measure(runs, given.pack, given.seconds, given.report_every)
    ]
    publish("scale", f"{NODES} nodes of {GPUS} logical GPUs", found, given.history)


if __name__ == "__main__":
    main()
