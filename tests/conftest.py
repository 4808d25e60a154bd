"""What all tests share: hypothesis without deadlines, and reproducible on a build machine."""

import os
import signal

import pytest
from hypothesis import HealthCheck, settings

# A shell starts background commands with Ctrl-C ignored, which the processes of tests inherit.
signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile(
    "local", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.register_profile("ci", settings.get_profile("local"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")


@pytest.fixture(autouse=True)
def scripts_find_their_neighbours():
    """The command line sets PYTHONSAFEPATH for its children; a later test's scripts go without."""
    before = os.environ.get("PYTHONSAFEPATH")
    yield
    if before is None:
        os.environ.pop("PYTHONSAFEPATH", None)
