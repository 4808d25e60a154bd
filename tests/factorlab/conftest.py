"""One torch thread, as in a trial. This folder has no ``__init__.py``: it must not be importable
as a package named ``factorlab``."""

import torch


def pytest_runtest_setup() -> None:
    """Set it before each test: libraries that analyse set it back when they are done."""
    torch.set_num_threads(1)
