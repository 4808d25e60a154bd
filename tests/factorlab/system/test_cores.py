"""Usable cores in made-up control groups and in a real one."""

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from factorlab.system import cores

CONTROLLER = Path("/sys/fs/cgroup/cpu")


def system(folder, *, version, path, root="/", quotas):
    """Return a proc folder with control groups; `quotas` maps their path in the mount."""
    point = folder / "sys fs" / "cgroup"
    options = {1: "cgroup cgroup rw,cpu,cpuacct", 2: "cgroup2 cgroup rw,nsdelegate"}[version]
    for group, (time, period) in quotas.items():
        inner = point / group
        inner.mkdir(parents=True, exist_ok=True)
        if version == 2:
            (inner / "cpu.max").write_text(f"{time} {period}\n")
        else:
            (inner / "cpu.cfs_quota_us").write_text(f"{time}\n")
            (inner / "cpu.cfs_period_us").write_text(f"{period}\n")
    proc = folder / "proc"
    proc.mkdir(parents=True)
    controllers = {1: "5:cpu,cpuacct", 2: "0:"}[version]
    (proc / "cgroup").write_text(f"9:memory:/other\n{controllers}:{path}\n")
    escaped = str(point).replace(" ", "\\040")
    lines = [
        "31 23 0:28 / /sys rw - sysfs sysfs rw",
        f"32 31 0:29 {root} {escaped} rw,relatime shared:9 - {options}",
        "33 31 0:30 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory",
    ]
    (proc / "mountinfo").write_text("\n".join(lines) + "\n")
    return proc


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize(
    ("path", "root", "quotas", "expected"),
    [
        ("/", "/", {"": (150000, 100000)}, 1.5),
        ("/", "/", {}, math.inf),
        ("/a/b", "/", {"a": (200000, 100000), "a/b": (400000, 100000)}, 2.0),
        ("/a/b", "/", {"a/b": (50000, 100000)}, 0.5),
        ("/a/b", "/", {"a/c": (50000, 100000)}, math.inf),
        # A container without a namespace of its own sees its group as the mount's root.
        ("/docker/1", "/docker/1", {"": (300000, 100000)}, 3.0),
        ("/docker/1/x", "/docker/1", {"x": (100000, 50000)}, 2.0),
        # With a namespace of its own, the path lies outside of the mount.
        ("/../..", "/docker/1", {"": (300000, 100000)}, 3.0),
    ],
)
def test_quota_is_smallest_of_groups(tmp_path, version, path, root, quotas, expected):
    proc = system(tmp_path, version=version, path=path, root=root, quotas=quotas)
    assert cores.quota(proc) == expected


@pytest.mark.parametrize(("version", "time"), [(1, "-1"), (2, "max")])
def test_quota_without_limit(tmp_path, version, time):
    proc = system(tmp_path, version=version, path="/", quotas={"": (time, 100000)})
    assert cores.quota(proc) == math.inf


def test_usable_between_one_and_affinity(tmp_path):
    own = len(os.sched_getaffinity(0))
    small = system(tmp_path / "a", version=2, path="/", quotas={"": (10000, 100000)})
    large = system(tmp_path / "b", version=2, path="/", quotas={"": (99900000, 100000)})
    assert cores.usable(small) == 1
    assert cores.usable(large) == own
    assert cores.usable(tmp_path / "nowhere") == own


@pytest.fixture
def real_group():
    """A control group of version 1 with a quota of one core."""
    folder = CONTROLLER / f"factorlab-test-{os.getpid()}"
    try:
        folder.mkdir()
    except OSError:
        pytest.skip("control groups of version 1 cannot be made here")
    (folder / "cpu.cfs_quota_us").write_text("100000")
    yield folder
    folder.rmdir()


def test_usable_in_real_group_with_quota_of_one(real_group):
    script = f"""
import os
from pathlib import Path
Path({str(real_group / "cgroup.procs")!r}).write_text(str(os.getpid()))
from factorlab.system import cores
print(cores.usable())
"""
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "1"
