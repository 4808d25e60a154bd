"""A sweep on a cluster whose autoscaler adds machines, with Ray's provider of simulated ones."""

import json

import pytest

from tests.cluster.sweeps import Sweep, check, write
from tests.helpers.processes import wait_for

MACHINES = 3
"""Machines of the simulated cloud."""


@pytest.mark.slow
def test_cluster_grows_for_a_sweep_and_shrinks_after_it(nodes, tmp_path):
    records = write(tmp_path, seeds=8, steps=600)
    config = tmp_path / "autoscaling.json"
    config.write_text(json.dumps(cloud()))
    nodes.environment |= {"AUTOSCALER_UPDATE_INTERVAL_S": "1", "RAY_FAKE_CLUSTER": "1"}
    nodes.head(cpus=0, autoscaling_config=config)
    sweep = Sweep(nodes, tmp_path)
    most = 0

    def grown():
        nonlocal most
        most = max(most, nodes.alive())
        return most > MACHINES

    sweep.wait_for(grown)
    check(sweep, records)
    assert most == 1 + MACHINES
    wait_for(lambda: nodes.alive() == 1)


def cloud():
    """Return a configuration of Ray's autoscaler."""
    return {
        "cluster_name": "simulated",
        "max_workers": MACHINES,
        "upscaling_speed": 1.0,
        "idle_timeout_minutes": 0.1,
        "provider": {
            "type": "fake_multinode",
            "launch_multiple": False,
            "foreground_node_launch": True,
            "use_node_id_as_ip": True,
        },
        "auth": {},
        "available_node_types": {
            "ray.head.default": {"resources": {"CPU": 0}, "node_config": {}, "max_workers": 0},
            "cpu": {
                "resources": {"CPU": 1, "object_store_memory": 100_000_000},
                "node_config": {},
                "min_workers": 0,
                "max_workers": MACHINES,
            },
        },
        "head_node_type": "ray.head.default",
        "file_mounts": {},
        "cluster_synced_files": [],
        "file_mounts_sync_continuously": False,
        "initialization_commands": [],
        "setup_commands": [],
        "head_setup_commands": [],
        "worker_setup_commands": [],
        "head_start_ray_commands": [],
        "worker_start_ray_commands": [],
    }
