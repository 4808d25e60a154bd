"""Peak memory of whatever trains: each case in a fresh process, split by what came when.

A case runs whole trials, from the data set to the record, with few steps of training and of
sampling, which do not change the peak. Numbers are the largest resident set so far (VmHWM), and so
what each phase adds to it: the interpreter with torch, Ray with what a worker of a sweep imports
(not its connection to a cluster), the data set, the training, the evaluation. The driver of a
sweep, which imports no torch, is in `scheduling.py` ("driver's peak").

Trials share no data set, since there is nothing to share: a data set is its labels, and images are
drawn from them a batch at a time. A second table has its bytes beside those of its images.
"""

# What is imported is part of what is measured.
# ruff: noqa: PLC0415

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

TRAINED = {"steps": 3, "batch_size": 64, "log_every": 1}
LAPTOP = {"data": {"size": 13, "spacing": 0.5, "family": "bump+stripes"}, "model": {"width": 8}}
LARGE = {"data": {"size": 32, "spacing": 0.1}, "model": {"width": 8}}
CASES: dict[str, tuple[dict[str, Any], int]] = {
    "a trial, N = 13, width 8": (LAPTOP, 1),
    "a pack of 8, N = 13, width 8": (LAPTOP, 8),
    "a trial, N = 32, width 8": (LARGE, 1),
}
"""Settings and members."""

FILES = "of it libraries"
"""Pages of files, which all workers of a machine share."""

PAPERS = {"family": "bump+stripes", "size": 32, "spacing": 0.1}
"""The largest data set of the papers' profile of `scaling`."""


def resident(key: str = "VmHWM") -> float:
    """Return the memory of this process in MB.

    Args:
        key: its largest resident set (VmHWM), its present one (VmRSS), or what of that are pages
            of files (RssFile).
    """
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    (kib,) = [line.split()[1] for line in lines if line.startswith(f"{key}:")]
    return int(kib) * 1024 / 1e6


def in_child(module: str, *arguments: str) -> Any:
    """Return what a module of this folder prints as JSON in a process of its own."""
    command = [sys.executable, "-m", module, "--child", *arguments]
    return json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)


def run(case: str) -> dict[str, float]:
    """Run the trials of a case here and return the peak after each phase, and the file pages."""
    import torch

    peaks = {"torch": resident()}
    from factorlab.parsing import parse
    from factorlab.trial import Trial, run_together
    from factorlab.trial_runner import ProgressEvent
    from sweeps.execution import pack_training, trainable  # noqa: F401 - what a worker of a sweep holds

    torch.set_num_threads(1)
    peaks["Ray and ours"] = resident()
    settings, members = CASES[case]
    settings = {
        **settings,
        "training": TRAINED,
        "diffusion": {"prediction": "v", "sampling_steps": 2},
        "evaluation": {"samples": 256},  # one batch
    }
    with tempfile.TemporaryDirectory(prefix="factorlab-bench-") as folder:
        trials = [Trial(parse({**settings, "seed": n}), Path(folder)) for n in range(members)]
        peaks["data set"] = resident()
        for event in run_together(trials):
            # The last step is followed by the evaluation before its event is seen.
            if isinstance(event, ProgressEvent) and event.step < event.steps:
                peaks["training"] = resident()
    return peaks | {"evaluation": resident(), FILES: resident("RssFile")}


def measure_processes(file: Path) -> None:
    """Publish the peaks of all cases."""
    from tests.benchmarks.report import Measurement, publish

    found = []
    for case in CASES:
        before = 0.0
        peaks = in_child(__spec__.name, case)
        files = peaks.pop(FILES)
        for phase, peak in peaks.items():
            found.append(Measurement(case, phase, peak - before, "MB"))
            before = peak
        found.append(Measurement(case, "peak", before, "MB", "lower"))
        found.append(Measurement(case, FILES, files, "MB"))
    publish("memory", "Peak memory of a process, and what each phase adds to it", found, file)


def measure_data_set(file: Path) -> None:
    """Publish the size of the papers' largest data set."""
    from factorlab.data.dataset import build
    from factorlab.parsing import parse
    from tests.benchmarks.report import Measurement, publish

    found = []
    for subsample in (1.0, 0.1):
        settings = parse({"data": {**PAPERS, "subsample": subsample}})
        dataset = build(settings.data, settings.seed)
        arrays = (dataset.lattice, dataset.seen, dataset.stripes)
        images = 4 * dataset.samples_total * settings.data.size**2
        case = f"N = {settings.data.size}, d = {PAPERS['spacing']}, lambda = {subsample:g}"
        found += [
            Measurement(case, "examples", dataset.samples_total),
            Measurement(case, "held", sum(array.nbytes for array in arrays) / 1e6, "MB", "lower"),
            # float32, two numbers an example
            Measurement(case, "held to train", 8 * dataset.samples_total / 1e6, "MB"),
            Measurement(case, "as images", images / 1e6, "MB"),
        ]
    publish("memory of data sets", "A data set as it is held, and as it would be", found, file)


def main() -> None:
    """Measure and publish."""
    from tests.benchmarks.report import HISTORY

    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--history", type=Path, default=HISTORY, help="file to add the numbers to")
    options = parser.parse_args()
    measure_processes(options.history)
    measure_data_set(options.history)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        print(json.dumps(run(sys.argv[2])))
    else:
        main()
