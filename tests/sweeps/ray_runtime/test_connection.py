"""Addresses where no cluster answers."""

import socket
import subprocess
import sys
import time

import pytest

from factorlab.errors import UserError
from sweeps.ray_runtime import answers, connection, on_head


@pytest.fixture(autouse=True)
def _without_token(monkeypatch):
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")


def refusal(address):
    """Return the message for an address, and the seconds until it came."""
    begin = time.monotonic()
    with pytest.raises(UserError) as refused:
        connection._join(address)
    return str(refused.value), time.monotonic() - begin


@pytest.mark.parametrize("scheme", ["", "ray://"])
def test_closed_port_is_refused_at_once(scheme):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"{scheme}127.0.0.1:{free.getsockname()[1]}"
        message, seconds = refusal(address)
    assert message.startswith(f"--address {address}: no Ray cluster answers: ")
    assert seconds < answers.ANSWER_WITHIN


def test_server_that_is_silent_is_refused_in_time(monkeypatch):
    monkeypatch.setattr(answers, "ANSWER_WITHIN", 3.0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        message, seconds = refusal(address)
    assert message == f"--address {address}: no Ray cluster answers within 3 s"
    assert seconds < 10


@pytest.mark.parametrize("address", ["nonsense", "a:b:c", "127.0.0.1:999999", "[::1:6379"])
def test_malformed_address_is_refused(address):
    message, _ = refusal(address)
    assert message.startswith(f"--address {address}: no Ray cluster answers")
    assert len(message.splitlines()) == 1


def test_ray_client_without_its_library_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "grpc", None)
    with pytest.raises(UserError, match=r"pip install 'factorlab\[client\]'"):
        on_head.run("ray://127.0.0.1:1", [])


@pytest.mark.parametrize(
    ("connect", "expected"),
    [("pass", None), ("raise OSError('closed')", ("OSError", "closed"))],
)
def test_messages_of_ray_are_not_read_as_the_answer(tmp_path, monkeypatch, connect, expected):
    (tmp_path / "ray.py").write_text(f"""\
import os

def init(**_):
    {connect}

def shutdown():
    print("(raylet) a node has died")

print("(raylet) a node has died")
os.write(1, b"written by Ray's own library")
""")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert answers.first_answer("nonsense", {}) == expected


def test_error_that_came_together_with_the_import_is_not_lost():
    printed = """print('imported'); print('["OSError", "closed"]')"""
    with subprocess.Popen(
        [sys.executable, "-c", printed], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        process.wait()  # both lines are in the pipe, so reading one buffers both
        assert process.stdout.readline() == "imported\n"
        assert answers._result(process) == ("OSError", "closed")
