"""A sweep on a real Ray cluster of several nodes: they join, die, and may not share the disk."""

import platform
import re
import shlex
import time

import pytest

from factorlab.provenance.sources import ROOT
from sweeps.planning import saved_plans
from tests.cluster.nodes import ADDRESS
from tests.cluster.sweeps import Sweep, check, write
from tests.helpers.experiments import write_experiment
from tests.helpers.processes import first_worker_paused, runs_program, workers_of


@pytest.mark.slow
def test_sweep_survives_a_node_that_is_killed(nodes, tmp_path):
    records = write(tmp_path, seeds=3, steps=1500)
    first = nodes.head(cpus=1)
    second = nodes.node(cpus=1)
    sweep = Sweep(nodes, tmp_path)
    with first_worker_paused([first, second], records):  # leaves trials to the other one
        sweep.wait_for(lambda: all(workers_of(node, records) for node in (first, second)))
        nodes.kill(second)
    check(sweep, records)
    (log,) = re.findall(r"a worker died: .*; details: (\S+)", sweep.messages)
    assert "marked dead" in (tmp_path / log).read_text()


def test_sweep_uses_a_node_that_joins(nodes, tmp_path):
    records = write(tmp_path)
    first = nodes.head(cpus=1)
    sweep = Sweep(nodes, tmp_path)
    with first_worker_paused([first], records):
        second = nodes.node(cpus=1)
        sweep.wait_for(lambda: workers_of(second, records))
    check(sweep, records)
    assert "5 of 5 done" in sweep.messages


@pytest.mark.slow
def test_speed_is_measured_where_runs_train(nodes, tmp_path):
    records = write(tmp_path, seeds=2)
    nodes.head(cpus=0)
    node = nodes.node(cpus=1)
    sweep = Sweep(nodes, tmp_path)
    sweep.wait_for(lambda: runs_program("sweeps.planning.cost.probe", node))
    (probe,) = runs_program("sweeps.planning.cost.probe", node)
    probe.suspend()
    sweep.wait_for(lambda: "waiting for a machine of the cluster to measure" in sweep.messages)
    assert not runs_program("sweeps.planning.cost.probe", sweep.process)
    probe.resume()
    check(sweep, records)
    assert "on the cluster, 1 at a time (from a probe)" in sweep.messages


@pytest.mark.slow
def test_device_is_looked_for_where_runs_train(nodes, tmp_path):
    write_experiment(tmp_path / "small.yaml", axes={"device": ["cuda"]}, figures=[])
    nodes.head(cpus=1)
    nodes.node(cpus=1, gpus=1)  # only by name
    sweep = Sweep(nodes, tmp_path)
    assert sweep.finish() == 2
    (sentence,) = sweep.messages.splitlines()
    assert sentence.startswith(f"factorlab: {platform.node()}: ")
    assert "no usable CUDA device" in sentence


def test_sweep_names_a_machine_that_does_not_share_the_folder(nodes, tmp_path):
    records = write(tmp_path)
    (tmp_path / "runs").mkdir()
    first = nodes.head(cpus=1)
    hidden = f'mount -t tmpfs none {tmp_path / "runs"} && exec "$@"'
    nodes.node(cpus=1, prefix=("unshare", "--mount", "sh", "-c", hidden, "sh"))
    sweep = Sweep(nodes, tmp_path)
    with first_worker_paused([first], records):
        sweep.wait_for(lambda: "a worker cannot train: a worker on" in sweep.messages)
    check(sweep, records)
    folder = tmp_path / "runs"
    assert f"does not see the runs folder {folder} of this command" in sweep.messages


@pytest.mark.slow
def test_sweep_names_a_machine_with_other_libraries(nodes, tmp_path):
    records = write(tmp_path)
    other = tmp_path / "other" / "torch-99.0.dist-info"
    other.mkdir(parents=True)
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: torch\nVersion: 99.0\n")
    first = nodes.head(cpus=1)
    nodes.node(cpus=1, prefix=("env", f"PYTHONPATH={other.parent}"))
    sweep = Sweep(nodes, tmp_path)
    with first_worker_paused([first], records):
        sweep.wait_for(lambda: "has torch 99.0, and this command has" in sweep.messages)
    check(sweep, records)
    assert sweep.messages.count("a worker cannot train: ") == 1


@pytest.mark.slow
def test_sweep_names_a_machine_that_joins_with_other_code(nodes, tmp_path):
    records = write(tmp_path)
    file, other = ROOT / "factorlab" / "trial.py", tmp_path / "trial.py"
    other.write_text(f"{file.read_text()}\n")
    first = nodes.head(cpus=1)
    sweep = Sweep(nodes, tmp_path)
    with first_worker_paused([first], records):  # has begun
        mounted = f'mount --bind {shlex.quote(str(other))} {shlex.quote(str(file))} && exec "$@"'
        nodes.node(cpus=1, prefix=("unshare", "--mount", "sh", "-c", mounted, "sh"))
        sweep.wait_for(lambda: "imported other code than this command" in sweep.messages)
    check(sweep, records)
    assert "the code changed while the sweep ran" not in sweep.messages


@pytest.mark.slow
def test_preempted_machine_gives_its_trials_back(nodes, tmp_path):
    records = write(tmp_path, seeds=3, steps=1500)
    first = nodes.head(cpus=1)
    second = nodes.node(cpus=1)
    sweep = Sweep(nodes, tmp_path)
    with first_worker_paused([first, second], records):
        sweep.wait_for(lambda: all(workers_of(node, records) for node in (first, second)))
    nodes.preempt(second)
    check(sweep, records)
    assert sweep.messages.count("a worker died: ") == 1


def test_address_without_a_cluster_is_refused_soon(tmp_path, nodes):
    write(tmp_path)
    begin = time.monotonic()
    sweep = Sweep(nodes, tmp_path)
    status = sweep.finish()
    assert time.monotonic() - begin < 30
    assert status == 2
    assert sweep.messages.splitlines() == [
        f"factorlab: --address {ADDRESS}: no Ray cluster answers: [Errno 111] Connection refused"
    ]
    assert not (tmp_path / "runs" / "trials").exists()


def test_wrong_token_is_refused(nodes, tmp_path):
    write(tmp_path)
    nodes.head(cpus=1)
    nodes.environment["RAY_AUTH_TOKEN"] = 64 * "6"
    sweep = Sweep(nodes, tmp_path)
    status = sweep.finish()
    assert status == 2
    (sentence,) = sweep.messages.splitlines()
    assert sentence.startswith(f"factorlab: --address {ADDRESS}: ")
    assert "token" in sentence


@pytest.mark.slow
def test_search_runs_on_a_cluster(nodes, tmp_path):
    write_experiment(
        tmp_path / "small.yaml",
        axes={"training.learning_rate": {"loguniform": [1e-4, 1e-1]}},
        search={"algorithm": "random", "metric": "accuracy", "mode": "max", "runs": 4},
        figures=[],
    )
    nodes.head(cpus=2)
    sweep = Sweep(nodes, tmp_path)
    status = sweep.finish()
    assert status == 0, sweep.messages
    assert saved_plans.find(tmp_path / "runs", "small").state().counts() == {"done": 4}
