"""Tests of several nodes, which run in a network of their own: `make test-cluster`."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest

from tests.cluster.namespace import INSIDE
from tests.cluster.nodes import Cluster

if INSIDE not in os.environ:
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture
def nodes():
    """A cluster without nodes; its folder has a short path, for sockets."""
    folder = Path(tempfile.mkdtemp(prefix="fl-", dir="/tmp"))
    made = Cluster(folder)
    yield made
    made.stop()
    shutil.rmtree(folder, ignore_errors=True)
