"""The script for SLURM, with stand-ins for SLURM's commands, for Ray and for the sweep."""

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from tests.helpers.processes import wait_for

SCRIPT = Path(__file__).parents[2] / "sweeps" / "clusters" / "slurm.sh"


def stand_in(folder, name, body):
    path = folder / name
    path.write_text(f"#!/bin/bash\n{body}\n")
    path.chmod(0o755)


@pytest.fixture
def slurm(tmp_path):
    """Runs the script with stand-ins for SLURM's commands, for Ray and for the sweep."""
    programs = tmp_path / "bin"
    programs.mkdir()
    stand_in(programs, "srun", 'while [[ $1 == --* ]]; do shift; done; exec "$@"')
    stand_in(programs, "scontrol", 'if [ $1 = show ]; then echo here; else echo "$@" >>asked; fi')
    stand_in(programs, "ray", 'echo "$@" >ray; until [ "$1" = -- ]; do shift; done; "${@:2}"')
    tokens = 'stat -c "%a %s" "$RAY_AUTH_TOKEN_PATH"'
    wait = "trap 'exit 130' TERM; touch begun; while [ -e wait ]; do sleep 0.1; done"
    stand_in(programs, "factorlab", f'echo "$@" >sweep; {tokens} >token; {wait}; exit 3')
    job = str(os.getpid())
    environment = {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "SLURM_JOB_ID": job,
        "SLURM_JOB_NUM_NODES": "2",
        "SLURM_JOB_NODELIST": "here,there",
        "SLURM_CPUS_ON_NODE": "64",
    }
    environment = {**os.environ, "FACTORLAB_RUNS": str(tmp_path / "runs"), **environment}

    def submitted(**allocated):
        variables = {**environment, **allocated}
        return subprocess.Popen(["bash", SCRIPT], cwd=tmp_path, env=variables)

    yield submitted
    shutil.rmtree(f"/tmp/ray-{job}", ignore_errors=True)


def test_script_stops_the_sweep_and_queues_the_job_again(slurm, tmp_path):
    (tmp_path / "wait").touch()
    with slurm() as process:
        wait_for((tmp_path / "begun").exists)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 130
    assert (tmp_path / "asked").read_text() == f"requeue {os.getpid()}\n"
    assert (tmp_path / "token").read_text() == "600 64\n"
    assert list((tmp_path / "runs").iterdir()) == []  # the token is gone
    assert not Path(f"/tmp/ray-{os.getpid()}").exists()
    arguments = (tmp_path / "ray").read_text().split()
    address = arguments[arguments.index("--address") + 1]
    assert address.startswith("here:")
    swept = (tmp_path / "sweep").read_text().strip()
    assert swept == f"sweep scaling --profile a100 --address {address}"


@pytest.mark.parametrize(
    ("allocated", "cores", "gpus"),
    [({}, 64, 0), ({"SLURM_CPUS_PER_TASK": "8", "SLURM_GPUS_ON_NODE": "4"}, 8, 4)],
)
def test_script_ends_with_the_status_of_the_sweep(slurm, tmp_path, allocated, cores, gpus):
    with slurm(**allocated) as process:
        assert process.wait(30) == 3
    arguments = (tmp_path / "ray").read_text().split()
    assert {f"--num-cpus={cores}", f"--num-gpus={gpus}"} <= set(arguments)
    assert not (tmp_path / "asked").exists()
    assert list((tmp_path / "runs").iterdir()) == []
