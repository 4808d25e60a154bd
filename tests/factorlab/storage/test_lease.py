"""Leases on disks with locks, and on disks without: there a preloaded `flock` refuses."""

import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from factorlab.storage import lease

NO_LOCKS = """
#include <errno.h>
int flock(int descriptor, int operation) { errno = ENOSYS; return -1; }
"""

COUNT = """
import sys
from pathlib import Path
from factorlab.storage.lease import hold
folder = Path(sys.argv[1])
for _ in range(20):
    with hold(folder / "file", wait=True):
        number = int((folder / "count").read_text())
        (folder / "count").write_text(str(number + 1))
"""

HOLD = """
import sys, time
from pathlib import Path
from factorlab.storage import lease
lease.TOUCH, lease.STALE = 0.05, float(sys.argv[2])
with lease.hold(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture(scope="module")
def without_locks(tmp_path_factory):
    """The environment of a process whose disks have no locks."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    folder = tmp_path_factory.mktemp("preload")
    (folder / "locks.c").write_text(NO_LOCKS)
    library = folder / "locks.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, folder / "locks.c"], check=True)
    return {**os.environ, "LD_PRELOAD": str(library)}


@pytest.fixture(params=["locks", "claims"])
def environment(request):
    if request.param == "locks":
        return dict(os.environ)
    return request.getfixturevalue("without_locks")


@pytest.fixture
def claims(monkeypatch):
    """Let this process find no locks, either."""

    def refuse(_file, _operation):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(lease.fcntl, "flock", refuse)


@pytest.fixture
def holder(tmp_path, environment, request):
    """A process that holds the lease on `tmp_path/file`."""
    stale = getattr(request, "param", "60")
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, tmp_path / "file", stale],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_hold_admits_one_process_at_a_time(tmp_path, environment):
    (tmp_path / "count").write_text("0")
    command = [sys.executable, "-c", COUNT, tmp_path]
    processes = [subprocess.Popen(command, env=environment) for _ in range(4)]
    assert [process.wait() for process in processes] == [0, 0, 0, 0]
    assert (tmp_path / "count").read_text() == "80"
    assert len(list(tmp_path.iterdir())) <= 3  # count, file and the last claim


def test_hold_frees_lease_after_error(tmp_path, environment, request):
    if "claims" in request.node.name:
        request.getfixturevalue("claims")
    with lease.hold(tmp_path / "file"):
        assert lease.is_held(tmp_path / "file")
        with pytest.raises(lease.Held), lease.hold(tmp_path / "file"):
            pass
    assert not lease.is_held(tmp_path / "file")
    with pytest.raises(ZeroDivisionError), lease.hold(tmp_path / "file"):
        _ = 1 // 0
    with lease.hold(tmp_path / "file"):
        pass


def test_hold_after_holder_was_killed(tmp_path, holder, request):
    if "claims" in request.node.name:
        request.getfixturevalue("claims")
    assert lease.is_held(tmp_path / "file")
    with pytest.raises(lease.Held), lease.hold(tmp_path / "file"):
        pass
    holder.kill()
    holder.wait()
    assert not lease.is_held(tmp_path / "file")
    with lease.hold(tmp_path / "file"):
        pass


def test_hold_takes_over_untouched_claim_of_other_machine(tmp_path, claims, monkeypatch):
    claim = tmp_path / "file.claim.7"
    claim.write_text("elsewhere boot pid:[1] 1")
    assert lease.is_held(tmp_path / "file") is False  # there is no file yet
    (tmp_path / "file").touch()
    assert lease.is_held(tmp_path / "file")
    with pytest.raises(lease.Held), lease.hold(tmp_path / "file"):
        pass
    past = time.time() - lease.STALE - 1
    os.utime(claim, (past, past))
    with lease.hold(tmp_path / "file"):
        assert [path.name for path in tmp_path.glob("*claim*")] == ["file.claim.8"]


def test_hold_counts_empty_claim_as_held(tmp_path, claims):
    (tmp_path / "file").touch()
    (tmp_path / "file.claim.0").touch()
    with pytest.raises(lease.Held), lease.hold(tmp_path / "file"):
        pass


@pytest.mark.parametrize("environment", ["claims"], indirect=True)
@pytest.mark.parametrize("holder", ["0.2"], indirect=True)
def test_hold_ends_holder_suspended_too_long(tmp_path, holder, claims, monkeypatch):
    os.kill(holder.pid, signal.SIGSTOP)
    monkeypatch.setattr(lease, "STALE", 0.2)
    monkeypatch.setattr(lease, "_machine", lambda: "another machine")
    time.sleep(0.3)
    with lease.hold(tmp_path / "file"):
        os.kill(holder.pid, signal.SIGCONT)
        assert holder.wait() == 1


def test_hold_names_file_where_disk_refuses_locks(tmp_path, monkeypatch):
    def refuse(_file, _operation):
        raise OSError(37, "No locks available")

    monkeypatch.setattr(lease.fcntl, "flock", refuse)
    with pytest.raises(OSError, match="No locks available") as raised, lease.hold(tmp_path / "f"):
        pass
    assert raised.value.filename == str(tmp_path / "f")
