"""Files that this process has open; only Python 3.13 warns of all that are left open."""

from pathlib import Path


def open_below(folder):
    """Return the paths of a folder's files that are open here, deleted ones included."""
    found = []
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            path = Path(str(descriptor.readlink()).removesuffix(" (deleted)"))
        except FileNotFoundError:  # the descriptor of `iterdir` itself
            continue
        if path.is_relative_to(folder):
            found.append(str(path.relative_to(folder)))
    return found
