"""Environments of batch systems and containers, which restrict Ray, numba and files."""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest
import ray

from factorlab.errors import UserError
from factorlab.provenance import sources
from sweeps.planning.cost import estimate
from sweeps.planning.experiment import Resources
from sweeps.ray_runtime import connection, ray_settings
from tests.helpers.experiments import records_of, train_options, write_experiment
from tests.helpers.processes import FACTORLAB

SEEDS = {"seed": [0, 1]}

NO_LOCKS = """
#include <errno.h>
int flock(int descriptor, int operation) { errno = ENOSYS; return -1; }
"""

MOUNT = """
mount --make-rprivate /
for folder in "$ROOT" "$PREFIX" "$HOME"; do
  mount --bind "$folder" "$folder"
  mount -o remount,bind,ro "$folder"
done
exec "$@"
"""


@pytest.fixture
def folder(tmp_path):
    """A working folder with an experiment of two trials."""
    write_experiment(tmp_path / "small.yaml", axes=SEEDS)
    return tmp_path


def factorlab(folder, *arguments, before=(), **environment):
    """Run a command in a folder; return its status and output."""
    ended = subprocess.run(
        [*before, FACTORLAB, *arguments],
        cwd=folder,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert "Traceback" not in ended.stdout
    return ended.returncode, ended.stdout


@pytest.fixture
def represented(folder):
    """The experiment keeps representations, which are measured when it ends."""
    kept = {"layers": ["layer4"], "grid": 6}
    write_experiment(folder / "small.yaml", axes=SEEDS, representations=kept)


def records(folder):
    return records_of(folder / "small.yaml", folder / "runs")


def done(folder):
    return all(record.result() is not None for record in records(folder))


def measured(folder):
    return all(record.measures("layer4").exists() for record in records(folder))


@pytest.mark.slow
def test_sweep_with_deep_temporary_folder(folder, no_server):
    deep = folder / ("d" * (127 - len(str(folder)) - 1))
    deep.mkdir()
    assert len(str(deep)) == 127
    status, said = factorlab(folder, "sweep", "small.yaml", TMPDIR=str(deep), RAY_TMPDIR=str(deep))
    assert status == 0, said
    assert done(folder)


@pytest.mark.slow
def test_sweep_with_read_only_installation_and_home(folder, represented, no_server):
    mounts = ["unshare", "--mount", "sh", "-e", "-c", MOUNT, "mounts"]
    home = folder / "home"
    home.mkdir()
    where = {"ROOT": str(sources.ROOT), "PREFIX": sys.prefix, "HOME": str(home)}
    can = subprocess.run(
        [*mounts, "true"], env={**os.environ, **where}, capture_output=True, check=False
    )
    if can.returncode != 0:
        pytest.skip("no mounts can be made here")
    where = {**where, "XDG_CACHE_HOME": ""}
    status, said = factorlab(folder, "sweep", "small.yaml", before=mounts, **where)
    assert status == 0, said
    assert done(folder)
    assert measured(folder)
    assert "Read-only" not in said
    assert "cannot cache" not in said
    assert list(home.iterdir()) == []
    curve = ["percolate", "curve", "--size", "6", "--spacing", "1", "--sigma", "1"]
    curve += ["--threshold", "0.5", "--realisations", "2"]
    for arguments in (curve, ["illustrate", "overlap"], ["status", "small"]):
        status, said = factorlab(folder, *arguments, before=mounts, **where)
        assert status == 0, said


@pytest.mark.slow
def test_sweep_with_space_in_python_path(folder, no_server):
    """The environment is a new one, with the packages of this one."""
    venv.create(folder / "an environment's" / "venv", with_pip=False)
    (packages,) = (folder / "an environment's" / "venv" / "lib").glob("*/site-packages")
    known = [sysconfig.get_path("purelib"), str(sources.ROOT)]
    (packages / "known.pth").write_text("\n".join(known))
    python = folder / "an environment's" / "venv" / "bin" / "python"
    command = [python, "-P", "-m", "sweeps.cli.main", "sweep", "small.yaml"]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert done(folder)


@pytest.mark.slow
def test_sweep_by_user_without_name_and_home(folder):
    unknown = ["unshare", "--user", "--map-user=12345", "--map-group=12345"]
    unknown += ["env", "-u", "HOME", "-u", "USER", "-u", "LOGNAME"]
    if subprocess.run([*unknown, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("no user namespace can be made here")
    status, said = factorlab(folder, "sweep", "small.yaml", before=unknown)
    assert status == 0, said
    assert done(folder)


@pytest.fixture
def no_locks(tmp_path):
    """Environment of a process whose disks have no `flock`."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    source, library = tmp_path / "locks.c", tmp_path / "locks.so"
    source.write_text(NO_LOCKS)
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source], check=True)
    return {"LD_PRELOAD": str(library)}


@pytest.mark.slow
def test_sweep_and_other_commands_without_file_locks(folder, represented, no_locks, no_server):
    commands = (
        ["sweep", "small.yaml"],
        ["status", "small"],
        ["sync"],
        ["export", "small", "table.csv"],
        ["train", *train_options()],
    )
    for arguments in commands:
        status, said = factorlab(folder, *arguments, **no_locks)
        assert status == 0, said
        assert "not implemented" not in said
    assert done(folder)
    assert measured(folder)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, "/tmp/ray"),
        ({"TMPDIR": "/var/tmp"}, "/var/tmp/ray"),
        ({"TMPDIR": "/var/tmp", "RAY_TMPDIR": "/dev/shm"}, "/dev/shm/ray"),
        ({"TMPDIR": ""}, "/tmp/ray"),
        ({"TMPDIR": "relative"}, "/tmp/ray"),
        ({"TMPDIR": "/nowhere/at/all"}, "/tmp/ray"),
        ({"TMPDIR": "/proc/1"}, "/tmp/ray"),
        ({"RAY_TMPDIR": "/tmp/" + 50 * "x"}, "/tmp/ray"),
        ({"RAY_TMPDIR": "/tmp/ä"}, "/tmp/ray"),
    ],
)
def test_temporary_folder_is_usable_by_ray(monkeypatch, environment, expected):
    for name in ("TMPDIR", "RAY_TMPDIR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert ray_settings.temporary_folder() == expected


def test_temporary_folder_leaves_room_for_sockets(monkeypatch):
    longest = ray_settings.SOCKET_PATH - ray_settings._SESSION - len("/ray")
    fits = "/" + "x" * (longest - 1)
    monkeypatch.setattr(Path, "is_dir", lambda path: str(path).startswith("/x"))
    monkeypatch.setattr(os, "access", lambda _path, _mode: True)
    monkeypatch.setenv("RAY_TMPDIR", fits)
    folder = ray_settings.temporary_folder()
    assert folder == f"{fits}/ray"
    assert len(folder) + ray_settings._SESSION == ray_settings.SOCKET_PATH
    monkeypatch.setenv("RAY_TMPDIR", f"{fits}x")
    with pytest.raises(UserError, match=f"at most {longest} bytes"):
        ray_settings.temporary_folder()


TRACEBACK = """\
\x1b[36mray::analyse()\x1b[39m (pid=6417, ip=192.0.2.2)

The above exception was the direct cause of the following exception:

\x1b[36mray::analyse()\x1b[39m (pid=6417, ip=192.0.2.2)
  File "a.py", line 5, in f
    g()
    ^^^
  File "b.py", line 6, in g
factorlab.storage.files.DamagedFile: /a/b: torn
and more of the message"""

DEATH = """\
The actor died unexpectedly before finishing this task.
\tclass_name: Worker
\tpid: 7169
The actor is dead because its worker process has died."""


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (TRACEBACK, "factorlab.storage.files.DamagedFile: /a/b: torn"),
        (DEATH, "The actor died unexpectedly before finishing this task."),
        (ConnectionError("no answer\nfrom there"), "no answer"),
        (RuntimeError(), "RuntimeError"),
        (RuntimeError("  \n "), "RuntimeError"),
    ],
)
def test_reason_picks_decisive_line(error, expected):
    assert connection.reason(error) == expected


def test_reason_of_real_task(tmp_path):
    script = """
import sys
from pathlib import Path
from sweeps.ray_runtime import connection
connection.connect(None, Path("runs"))
import ray
from ray.exceptions import RayError

@ray.remote(max_retries=0)
def fail(how):
    if how == "die":
        import os
        os._exit(3)
    raise ValueError(how)

for how in ("told", "die"):
    try:
        ray.get(fail.remote(how))
    except RayError as error:
        print("reason:", connection.reason(error), file=sys.stderr)
connection.disconnect()
"""
    command = [sys.executable, "-c", script]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    told, died = [line for line in ended.stderr.splitlines() if line.startswith("reason: ")]
    assert told == "reason: ValueError: told"
    assert died.startswith("reason: The worker died unexpectedly")


def test_slots_and_connect_respect_cpu_quota(tmp_path, monkeypatch):
    """With a quota of one core one run trains at a time, however many cores there are."""
    monkeypatch.setattr("sweeps.ray_runtime.connection.usable", lambda: 1)
    monkeypatch.setattr("sweeps.planning.cost.estimate.usable", lambda: 1)
    assert estimate._slots(Resources(), 0) == 1
    started = {}
    monkeypatch.setattr(ray, "init", lambda **options: started.update(options))
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    connection.connect(None, tmp_path)
    connection.disconnect()
    assert started["num_cpus"] == 1
