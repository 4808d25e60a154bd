"""Settings of all tests: hypothesis has no deadlines, and is reproducible on a build machine."""

import os
import signal

import pytest
from hypothesis import HealthCheck, settings

# A shell lets background commands ignore Ctrl-C, and the processes of tests would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile(
    "local", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.register_profile("ci", settings.get_profile("local"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")


@pytest.fixture(autouse=True)
def scripts_find_their_neighbours():
    """Restore PYTHONSAFEPATH, which the command line sets, for the scripts of later tests."""
    before = os.environ.get("PYTHONSAFEPATH")
    yield
    if before is None:
        os.environ.pop("PYTHONSAFEPATH", None)
