"""Number of cores this process may use: its affinity and the CPU quota of its container."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath


def usable(proc: Path = Path("/proc/self")) -> int:
    """Return the number of cores this process may use, at least 1.

    A quota of 1.5 cores counts as 2, because two runs can then share what one would leave idle.

    Args:
        proc: Folder of the process in the proc file system.
    """
    affinity = getattr(os, "sched_getaffinity", None)  # not on macOS
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    return max(1, math.ceil(min(cores, quota(proc))))


def quota(proc: Path = Path("/proc/self")) -> float:
    """Return the smallest CPU quota of a process's control groups in cores, inf without one.

    Args:
        proc: Folder of the process in the proc file system.
    """
    return min((_quota_of(folder) for folder in _groups(proc)), default=math.inf)


def _groups(proc: Path) -> Iterator[Path]:
    """Yield the folders of the control groups of a process that may limit CPU time."""
    try:
        members = (proc / "cgroup").read_text(encoding="utf-8").splitlines()
        mounts = (proc / "mountinfo").read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux
        return
    # Keyed by controllers; version 2 has a single hierarchy with an empty list of controllers.
    split = (line.split(":", 2) for line in members)
    paths = {controllers: PurePosixPath(path) for _, controllers, path in split}
    for line in mounts:
        before, _, after = line.partition(" - ")
        kind, _, options = after.split(" ", 2)
        controllers = "" if kind == "cgroup2" else _with_cpu(kind, options, paths)
        if controllers not in paths:
            continue
        root, point = (_unescaped(field) for field in before.split(" ")[3:5])
        path = paths[controllers]
        # In a container the path may be that of the host; only the mounted part exists here.
        inner = path.relative_to(root) if path.is_relative_to(root) else PurePosixPath()
        folder = Path(point) / inner
        yield folder
        yield from (up for up in folder.parents if up.is_relative_to(point))


def _with_cpu(kind: str, options: str, paths: dict[str, PurePosixPath]) -> str | None:
    """Return the name of a mounted version 1 hierarchy if it limits CPU time, else None."""
    if kind != "cgroup" or "cpu" not in options.rsplit(" ", maxsplit=1)[-1].split(","):
        return None
    return next((name for name in paths if "cpu" in name.split(",")), None)


def _unescaped(field: str) -> str:
    """Return a path of mountinfo with its octal escapes (of spaces, for example) decoded."""
    return field.encode("ascii", "backslashreplace").decode("unicode_escape")


def _quota_of(folder: Path) -> float:
    """Return the quota of one control group in cores, inf if it has none."""
    try:
        if (folder / "cpu.max").exists():
            time, period = (folder / "cpu.max").read_text(encoding="ascii").split()
        else:
            time = (folder / "cpu.cfs_quota_us").read_text(encoding="ascii")
            period = (folder / "cpu.cfs_period_us").read_text(encoding="ascii")
    except OSError:
        return math.inf
    unlimited = time.strip() == "max" or int(time) < 0
    return math.inf if unlimited else int(time) / int(period)
