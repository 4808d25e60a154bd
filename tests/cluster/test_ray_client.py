"""A sweep whose command is typed outside of the cluster: `--address ray://HOST:PORT`."""

import signal

import pytest

from tests.cluster.nodes import CLIENT_ADDRESS
from tests.cluster.sweeps import Sweep, check, write
from tests.helpers.processes import runs_program, wait_for, workers_of


@pytest.fixture
def head(nodes):
    """A head node that answers Ray Client."""
    return nodes.head(cpus=2, ray_client_server_port=CLIENT_ADDRESS.rpartition(":")[2])


def drivers(head):
    """Return the commands of factorlab that run on the head node."""
    return runs_program("sweeps.cli", head)


def test_command_runs_on_the_head_node(nodes, head, tmp_path):
    records = write(tmp_path)
    sweep = Sweep(nodes, tmp_path, address=CLIENT_ADDRESS)
    sweep.wait_for(lambda: drivers(head))
    check(sweep, records)
    assert "5 of 5 done" in sweep.messages
    again = Sweep(nodes, tmp_path, address=CLIENT_ADDRESS)
    assert again.finish() == 0
    assert "nothing left to train" in again.messages


CRASHES = """\
import os, pathlib, sys
if "setup_worker.py" in sys.orig_argv[1] and "--mode=specific-server" in sys.orig_argv:
    folder = pathlib.Path(__file__).parent
    started = len(list(folder.glob("started-*")))
    (folder / f"started-{started}").touch()
    if started in (0, 2):
        os._exit(1)
"""
"""Module that ends the first and the third process which the head starts for a client."""


@pytest.mark.slow
def test_crashed_process_of_a_client_is_started_again(nodes, tmp_path):
    records = write(tmp_path)
    (tmp_path / "crashes").mkdir()
    (tmp_path / "crashes" / "sitecustomize.py").write_text(CRASHES)
    nodes.head(
        cpus=2,
        ray_client_server_port=CLIENT_ADDRESS.rpartition(":")[2],
        prefix=("env", f"PYTHONPATH={tmp_path / 'crashes'}"),
    )
    check(Sweep(nodes, tmp_path, address=CLIENT_ADDRESS), records)
    assert len(list((tmp_path / "crashes").glob("started-*"))) == 4


@pytest.mark.slow
def test_interrupt_reaches_the_head_node(nodes, head, tmp_path):
    records = write(tmp_path, steps=40_000)
    sweep = Sweep(nodes, tmp_path, address=CLIENT_ADDRESS)
    sweep.wait_for(lambda: workers_of(head, records))
    sweep.process.send_signal(signal.SIGINT)
    assert sweep.finish() == 130, sweep.messages
    assert sweep.messages.count("factorlab: interrupted") == 1
    assert not drivers(head)
    assert {record.state() for record in records} <= {"resumable", "new"}


@pytest.mark.slow
def test_sweep_continues_after_the_client_died(nodes, head, tmp_path):
    records = write(tmp_path, steps=2000)
    sweep = Sweep(nodes, tmp_path, address=CLIENT_ADDRESS)
    sweep.wait_for(lambda: workers_of(head, records))
    sweep.kill()
    wait_for(lambda: not drivers(head) and not workers_of(head, records))
    again = Sweep(nodes, tmp_path, address=CLIENT_ADDRESS)
    check(again, records)
    assert "5 of 5 done" in again.messages


@pytest.mark.slow
def test_working_folder_has_to_exist_on_the_head_node(nodes, tmp_path):
    write(tmp_path)
    hidden = f'mount -t tmpfs none {tmp_path.parent} && exec "$@"'
    nodes.head(
        prefix=("unshare", "--mount", "sh", "-c", hidden, "sh"),
        ray_client_server_port=CLIENT_ADDRESS.rpartition(":")[2],
    )
    sweep = Sweep(nodes, tmp_path, address=CLIENT_ADDRESS)
    assert sweep.finish() == 2
    (sentence,) = sweep.messages.splitlines()
    assert sentence.startswith(f"factorlab: --address {CLIENT_ADDRESS}: the head node ")
    assert f"does not see the working folder {tmp_path}; " in sentence
