"""Workers of a real Ray cluster: they keep their process, and are replaced when they die."""

import os
import signal
import subprocess
from ipaddress import ip_address

import psutil
import pytest

from factorlab.storage.record import Record
from sweeps.planning import plan
from sweeps.planning.experiment import load
from tests.helpers.processes import FACTORLAB, running, trainer, wait_for

EXPERIMENT = """
name: many
base:
  data: {size: 6, spacing: 0.5}
  model: {width: 4, encoding: 8}
  diffusion: {prediction: v, sampling_steps: 2}
  training: {steps: 1, batch_size: 4}
  evaluation: {samples: 2, loss_samples: 2, keep: 0}
axes:
  training.steps: [400, 2, 3, 4, 5, 6, 7, 8, 9, 10]
resources: {pack: 4}
"""


def listens(process):
    """Return the addresses at which a process listens."""
    try:
        found = process.net_connections("tcp")
    except psutil.Error:  # it ended
        return []
    return [c.laddr.ip for c in found if c.status == psutil.CONN_LISTEN]


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """A sweep one of whose workers was killed while it trained the long trial."""
    folder = tmp_path_factory.mktemp("many")
    (folder / "many.yaml").write_text(EXPERIMENT)
    runs = folder / "runs"
    made = plan.make(load(str(folder / "many.yaml")), runs)
    long = Record(runs, made.trials[0].key)
    with running("sweep", "many.yaml", cwd=folder) as driver:
        wait_for(lambda: long.state() == "running" and long.journal.exists())
        holder, own = trainer(driver, long), psutil.Process(driver.pid)
        mapped = [file.path for file in own.memory_maps()]
        everyone = [own, *own.children(recursive=True)]
        listeners = [(one.name(), address) for one in everyone for address in listens(one)]
        os.kill(holder.pid, signal.SIGKILL)
        _, messages = driver.communicate(timeout=240)
    return {
        "runs": runs,
        "plan": made.state(),
        "long": long,
        "status": driver.returncode,
        "messages": messages,
        "mapped": mapped,
        "listeners": listeners,
    }


def test_a_killed_worker_is_replaced_and_every_trial_ends(swept):
    assert swept["status"] == 0, swept["messages"]
    assert swept["plan"].counts()["done"] == 10
    assert swept["long"].result()["steps"] == 400


def test_trials_train_together_until_their_worker_dies(swept):
    records = [Record(swept["runs"], trial.key) for trial in swept["plan"].plan.trials]
    together = {r.result()["steps"]: r.result()["trained_together"] for r in records}
    assert together[400] == 1  # it died with two others and began again, alone
    # Longest first, four at most: 400, 10, 9, then 8, 7, 6, then the others.
    assert [together[steps] for steps in (8, 7, 6, 5, 4, 3, 2)] == [3, 3, 3, 4, 4, 4, 4]


def test_every_trial_is_told_of_once(swept):
    told = [line for line in swept["messages"].splitlines() if line.startswith("steps=")]
    assert sorted(line.partition(":")[0] for line in told) == sorted(
        trial.name for trial in swept["plan"].plan.trials
    )


def test_the_longest_trial_is_started_first(swept):
    began = {
        trial.key: (Record(swept["runs"], trial.key).path / "config.json").stat().st_mtime
        for trial in swept["plan"].plan.trials
    }
    workers = len(os.sched_getaffinity(0))
    earliest = sorted(began, key=began.get)[:workers]  # the first of each worker
    assert swept["long"].key in earliest


def test_all_of_ray_listens_on_the_loopback_address_alone(swept):
    assert {"gcs_server", "raylet"} <= {name for name, _ in swept["listeners"]}
    mapped = "::ffff:"  # an IPv4 address on an IPv6 socket
    addresses = [ip_address(address.removeprefix(mapped)) for _, address in swept["listeners"]]
    assert all(address.is_loopback for address in addresses)


def test_the_driver_does_without_torch(swept):
    # Half a gigabyte, and on a GPU a context for the whole sweep.
    assert not [path for path in swept["mapped"] if "libtorch" in path]


def test_workers_that_never_start_end_the_sweep_with_the_reason(tmp_path):
    (tmp_path / "many.yaml").write_text(EXPERIMENT)
    broken = tmp_path / "broken" / "torch"  # an installation that kills the workers alone
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("import os\nos._exit(1)\n")
    (tmp_path / "sitecustomize.py").write_text(  # Python runs this whenever it starts
        "import sys\n"
        "if any('default_worker' in word for word in sys.orig_argv):\n"
        f"    sys.path.insert(0, {str(broken.parent)!r})\n"
    )
    driver = subprocess.run(
        [FACTORLAB, "sweep", "many.yaml"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert driver.returncode == 1
    assert "workers could not train: its process died at every start" in driver.stderr
    assert "10 trials are not finished" in driver.stderr
