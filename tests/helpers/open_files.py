"""What this process has open; Python 3.13 alone warns of all that is left so."""

from pathlib import Path


def open_below(folder):
    """Return the files of a folder that this process has open, by path; deleted ones too."""
    found = []
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            path = Path(str(descriptor.readlink()).removesuffix(" (deleted)"))
        except FileNotFoundError:  # that of the list itself
            continue
        if path.is_relative_to(folder):
            found.append(str(path.relative_to(folder)))
    return found
