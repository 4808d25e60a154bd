"""A full or read-only disk: a file system in memory."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def can_mount(folder: Path) -> bool:
    """Return whether this process may mount a file system."""
    try:
        with small(folder, 64):
            return True
    except (subprocess.CalledProcessError, FileNotFoundError):
        return False


@contextmanager
def small(folder: Path, kilobytes: int) -> Iterator[Path]:
    """Mount a file system of so many kilobytes.

    Raises:
        CalledProcessError: this process may not mount.
    """
    folder.mkdir(parents=True, exist_ok=True)
    options = ["-t", "tmpfs", "-o", f"size={kilobytes}k", "chaos", str(folder)]
    subprocess.run(["mount", *options], check=True, capture_output=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True, capture_output=True)


def used(folder: Path) -> int:
    """Return the kilobytes that files take, in whole pages as a tmpfs counts them."""
    pages = sum(-(-p.stat().st_size // 4096) for p in folder.rglob("*") if p.is_file())
    return 4 * pages + 4 * sum(1 for p in folder.rglob("*") if p.is_dir())


def grow(folder: Path, kilobytes: int) -> None:
    """Enlarge the file system, as if other files were deleted."""
    _remount(folder, f"size={kilobytes}k")


def allow_writing(folder: Path, *, allowed: bool) -> None:
    """Make the file system read-only, or writable again."""
    _remount(folder, "rw" if allowed else "ro")


def _remount(folder: Path, option: str) -> None:
    command = ["mount", "-o", f"remount,{option}", str(folder)]
    subprocess.run(command, check=True, capture_output=True)
