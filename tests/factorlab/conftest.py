"""One torch thread, as in a trial. This folder has no ``__init__.py``: it must not be importable
as a package named ``factorlab``."""

import torch

torch.set_num_threads(1)
