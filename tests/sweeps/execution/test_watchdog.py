"""The watchdog, in processes that hang and processes that do not."""

import subprocess
import sys

import pytest

from sweeps.execution import watchdog

CODE = """
import sys, time
from pathlib import Path
from factorlab import heartbeat
from sweeps.execution.watchdog import Watchdog
with Watchdog(float(sys.argv[2])).watching(Path(sys.argv[1])):
    for _ in range(20):
        time.sleep(float(sys.argv[3]))
        heartbeat.beat()
"""


@pytest.mark.parametrize(("sleep", "ends"), [(0.05, False), (30.0, True)])
def test_watchdog_ends_only_hung_process(tmp_path, sleep, ends):
    folder = tmp_path / "record"
    done = subprocess.run([sys.executable, "-c", CODE, str(folder), "0.5", str(sleep)], check=False)
    assert (done.returncode != 0) == watchdog.hung(folder) == ends
    assert (folder / watchdog.REPORT).exists() == ends
    if ends:
        assert "<string>" in (folder / watchdog.REPORT).read_text()
