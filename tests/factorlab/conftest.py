"""One torch thread, as in a trial."""

import torch


def pytest_runtest_setup() -> None:
    """Set it before each test, since libraries for analysis reset it."""
    torch.set_num_threads(1)
