"""Records that version 0.1 wrote."""

import tarfile
from pathlib import Path

FIXTURE = Path(__file__).parents[1] / "fixtures" / "records-0.1"


def unpack(folder):
    """Unpack the runs folder of version 0.1 into a folder and return its path."""
    with tarfile.open(FIXTURE / "runs.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    return folder / "runs"
