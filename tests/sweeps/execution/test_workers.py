"""Workers of a real Ray cluster: they train packs, and are replaced when they die."""

import os
import signal
import subprocess
import sys
from ipaddress import ip_address

import psutil
import pytest

from factorlab.storage.record import Record
from sweeps.planning import plan
from sweeps.planning.experiment import load
from tests.helpers.experiments import records_of, write_experiment
from tests.helpers.processes import PATIENCE, factorlab, running, wait_for, worker_of


def write(folder):
    """Write an experiment of one long trial and nine short ones, in packs of up to four."""
    return write_experiment(
        folder / "many.yaml",
        axes={"training.steps": [400, 2, 3, 4, 5, 6, 7, 8, 9, 10]},
        resources={"pack": 4},
        data={"spacing": 0.5},
    )


def listens(process):
    """Return the addresses on which a process listens."""
    try:
        found = process.net_connections("tcp")
    except psutil.Error:  # it ended
        return []
    return [c.laddr.ip for c in found if c.status == psutil.CONN_LISTEN]


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """A sweep whose worker was killed while it trained the long trial."""
    folder = tmp_path_factory.mktemp("many")
    runs = folder / "runs"
    made = plan.make(load(str(write(folder))), runs)
    long = Record(runs, made.trials[0].key)
    with running("sweep", "many.yaml", cwd=folder) as driver:
        wait_for(lambda: long.state() == "running" and long.journal.exists())
        holder, own = worker_of(driver, long), psutil.Process(driver.pid)
        mapped = [file.path for file in own.memory_maps()]
        everyone = [own, *own.children(recursive=True)]
        listeners = [(one.name(), address) for one in everyone for address in listens(one)]
        os.kill(holder.pid, signal.SIGKILL)
        _, messages = driver.communicate(timeout=PATIENCE)
    return {
        "runs": runs,
        "plan": made.state(),
        "long": long,
        "status": driver.returncode,
        "messages": messages,
        "mapped": mapped,
        "listeners": listeners,
    }


def test_sweep_replaces_killed_worker(swept):
    assert swept["status"] == 0, swept["messages"]
    assert swept["plan"].counts()["done"] == 10
    assert swept["long"].result()["steps"] == 400


def test_sweep_trains_in_packs_until_worker_dies(swept):
    records = [Record(swept["runs"], trial.key) for trial in swept["plan"].plan.trials]
    together = {r.result()["steps"]: r.result()["trained_together"] for r in records}
    assert together[400] == 1  # resumed alone after its pack died
    # Longest first, at most four: 400, 10, 9, then 8, 7, 6, then the others.
    assert [together[steps] for steps in (8, 7, 6, 5, 4, 3, 2)] == [3, 3, 3, 4, 4, 4, 4]


def test_sweep_reports_every_trial_once(swept):
    reported = [line for line in swept["messages"].splitlines() if line.startswith("steps=")]
    assert sorted(line.partition(":")[0] for line in reported) == sorted(
        trial.name for trial in swept["plan"].plan.trials
    )


def test_sweep_starts_longest_trial_first(swept):
    began = {
        trial.run.training.steps: Record(swept["runs"], trial.key).path.joinpath("config.json")
        for trial in swept["plan"].plan.trials
    }
    packs = [(400, 10, 9), (8, 7, 6), (5, 4, 3, 2)]
    first = [min(began[steps].stat().st_mtime for steps in pack) for pack in packs]
    workers = len(os.sched_getaffinity(0))
    assert sum(time < first[0] for time in first) < workers


def test_sweep_listens_on_loopback_only(swept):
    assert {"gcs_server", "raylet"} <= {name for name, _ in swept["listeners"]}
    mapped = "::ffff:"  # an IPv4 address on an IPv6 socket
    addresses = [ip_address(address.removeprefix(mapped)) for _, address in swept["listeners"]]
    assert all(address.is_loopback for address in addresses)


def test_sweep_driver_does_not_load_torch(swept):
    # It would take half a gigabyte, and on a GPU a context for the whole sweep.
    assert not [path for path in swept["mapped"] if "libtorch" in path]


SLOW_START = """
import os, sys, time

class Slow:
    def find_spec(self, name, path=None, target=None):
        if name == "sweeps.execution.pack_training":
            sys.meta_path.remove(self)
            started = len(os.listdir({folder!r}))
            open(os.path.join({folder!r}, str(os.getpid())), "x").close()
            time.sleep(8 * started)

sys.meta_path.insert(0, Slow())
"""


def test_worker_that_starts_slowly_is_not_stopped_for_short_runs(tmp_path, monkeypatch):
    started = tmp_path / "started"
    started.mkdir()
    (tmp_path / "hook").mkdir()
    (tmp_path / "hook" / "sitecustomize.py").write_text(SLOW_START.format(folder=str(started)))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "hook"))
    write_experiment(
        tmp_path / "short.yaml", axes={"seed": list(range(30))}, resources={"pack": 1}, figures=[]
    )
    done = factorlab("sweep", "short.yaml", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(list(started.iterdir())) == 2


def test_sweep_reports_workers_that_never_start(tmp_path):
    write(tmp_path)
    broken = tmp_path / "broken" / "torch"  # an installation that kills the workers alone
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("import os\nos._exit(1)\n")
    (tmp_path / "sitecustomize.py").write_text(  # Python runs this whenever it starts
        "import sys\n"
        "if any('default_worker' in word for word in sys.orig_argv):\n"
        f"    sys.path.insert(0, {str(broken.parent)!r})\n"
    )
    driver = factorlab("sweep", "many.yaml", cwd=tmp_path, PYTHONPATH=str(tmp_path))
    assert driver.returncode == 1
    assert "a worker cannot train: its process died at every start" in driver.stderr
    assert "10 trials are not finished" in driver.stderr


@pytest.mark.slow
def test_sigterm_to_the_driver_interrupts_the_sweep(tmp_path):
    path = write_experiment(
        tmp_path / "long.yaml", axes={"seed": [0, 1, 2]}, training={"steps": 100_000}
    )
    records = records_of(path, tmp_path / "runs")
    with running("sweep", "long.yaml", cwd=tmp_path) as driver:
        wait_for(lambda: any(record.state() == "running" for record in records))
        driver.terminate()  # as batch systems do, and `kill`
        _, messages = driver.communicate(timeout=PATIENCE)
    assert driver.returncode == 130, messages
    assert messages.splitlines()[-1] == "factorlab: interrupted"
    assert messages.count("stopping: workers save checkpoints") == 1
    assert "run the same command again to resume" in messages
    assert "running" not in {record.state() for record in records}


MEASURING = """
import pathlib, sys, time
from sweeps import sweep
from sweeps.cli.main import main

def measure(*_):
    pathlib.Path("measuring").touch()
    time.sleep(60)

sweep._measure = measure
sys.argv = ["factorlab", "sweep", "one.yaml"]
main()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupt_after_training_ends_the_sweep(tmp_path, number):
    write_experiment(tmp_path / "one.yaml", axes={"seed": [0]}, figures=[])
    command = [sys.executable, "-c", MEASURING]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as driver:
        wait_for((tmp_path / "measuring").exists)
        driver.send_signal(number)
        _, messages = driver.communicate(timeout=PATIENCE)
    assert driver.returncode == 130, messages
    assert messages.splitlines()[-1] == "factorlab: interrupted"
