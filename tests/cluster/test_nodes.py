"""A sweep on a real Ray cluster of several nodes: they join, die, and may not share the disk."""

import re
import subprocess
import time

from sweeps.planning import saved_plans
from tests.cluster.nodes import ADDRESS
from tests.helpers.experiments import records_of, write_experiment
from tests.helpers.processes import FACTORLAB, PATIENCE, wait_for

NOISE = ("Traceback", "raylet", "StatusCode", "heartbeat", "W 1", "E 1")


def start(nodes, folder):
    """Start a sweep on the cluster."""
    return subprocess.Popen(
        [FACTORLAB, "sweep", "small.yaml", "--address", ADDRESS],
        cwd=folder,
        env=nodes.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def write(folder, seeds=5, steps=400):
    path = write_experiment(
        folder / "small.yaml",
        axes={"seed": list(range(seeds))},
        resources={"pack": 1},
        figures=[],
        training={"steps": steps, "checkpoint_every": 40},
    )
    return records_of(path, folder / "runs")


def training(records):
    return sum(record.state() == "running" for record in records)


def check(driver, records, messages):
    """Check that a sweep trained everything, with nothing of Ray's on the screen."""
    assert driver.returncode == 0, messages
    assert all(record.state() == "done" for record in records)
    assert not [word for word in NOISE if word in messages], messages


def test_sweep_survives_a_node_that_is_killed(nodes, tmp_path):
    records = write(tmp_path)
    nodes.head(cpus=1)
    nodes.wait_for_nodes(1)
    second = nodes.node(cpus=1)
    nodes.wait_for_nodes(2)
    driver = start(nodes, tmp_path)
    wait_for(lambda: training(records) == 2)
    nodes.kill(second)
    out, messages = driver.communicate(timeout=PATIENCE)
    check(driver, records, messages)
    assert out == ""
    (log,) = re.findall(r"a worker died: .*; details: (\S+)", messages)
    assert "marked dead" in (tmp_path / log).read_text()


def test_sweep_uses_a_node_that_joins(nodes, tmp_path):
    records = write(tmp_path, seeds=6, steps=600)
    nodes.head(cpus=1)
    nodes.wait_for_nodes(1)
    driver = start(nodes, tmp_path)
    wait_for(lambda: training(records) == 1)
    nodes.node(cpus=1)
    wait_for(lambda: training(records) == 2)
    _, messages = driver.communicate(timeout=PATIENCE)
    check(driver, records, messages)


def test_sweep_names_a_machine_that_does_not_share_the_folder(nodes, tmp_path):
    records = write(tmp_path)
    (tmp_path / "runs").mkdir()
    nodes.head(cpus=1)
    nodes.wait_for_nodes(1)
    hidden = f'mount -t tmpfs none {tmp_path / "runs"} && exec "$@"'
    nodes.node(cpus=1, prefix=("unshare", "--mount", "sh", "-c", hidden, "sh"))
    nodes.wait_for_nodes(2)
    driver = start(nodes, tmp_path)
    _, messages = driver.communicate(timeout=PATIENCE)
    check(driver, records, messages)
    expected = f"does not see the runs folder {tmp_path / 'runs'} of this command"
    assert "1 workers could not train: a worker on" in messages
    assert expected in messages


def test_address_without_a_cluster_is_refused_soon(tmp_path, nodes):
    write(tmp_path)
    begin = time.monotonic()
    driver = start(nodes, tmp_path)
    _, messages = driver.communicate(timeout=PATIENCE)
    assert time.monotonic() - begin < 30
    assert driver.returncode == 2
    assert messages.splitlines() == [
        f"factorlab: --address {ADDRESS}: no Ray cluster answers: [Errno 111] Connection refused"
    ]
    assert not (tmp_path / "runs" / "trials").exists()


def test_wrong_token_is_refused(nodes, tmp_path):
    write(tmp_path)
    nodes.head(cpus=1)
    nodes.wait_for_nodes(1)
    nodes.environment["RAY_AUTH_TOKEN"] = 64 * "6"
    driver = start(nodes, tmp_path)
    _, messages = driver.communicate(timeout=PATIENCE)
    assert driver.returncode == 2
    (sentence,) = messages.splitlines()
    assert sentence.startswith(f"factorlab: --address {ADDRESS}: ")
    assert "token" in sentence


def test_search_runs_on_a_cluster(nodes, tmp_path):
    write_experiment(
        tmp_path / "small.yaml",
        axes={"training.learning_rate": {"loguniform": [1e-4, 1e-1]}},
        search={"algorithm": "random", "metric": "accuracy", "mode": "max", "runs": 4},
        figures=[],
    )
    nodes.head(cpus=2)
    nodes.wait_for_nodes(1)
    driver = start(nodes, tmp_path)
    _, messages = driver.communicate(timeout=PATIENCE)
    assert driver.returncode == 0, messages
    assert saved_plans.find(tmp_path / "runs", "small").state().counts() == {"done": 4}
