"""Ray's messages go to a file, and those of the command to the terminal."""

import subprocess
import sys

PROGRAM = """
import logging, os, sys, warnings
from pathlib import Path
from sweeps.ray_runtime import ray_log

print("before", flush=True)
with ray_log.redirected(Path("logs/ray.log")):
    assert ray_log.current() == Path("logs/ray.log")
    logging.getLogger("ray.tune").warning("from a logger of Ray")
    os.write(1, b"from C++ on 1\\n")
    os.write(2, b"from C++ on 2\\n")
    print("from Ray in Python")
    print("from the command", file=sys.stderr)
    warnings.warn("a warning")
print("after", flush=True)
os.write(2, b"after on 2\\n")
"""


def test_redirected_keeps_terminal_for_the_command(tmp_path):
    command = [sys.executable, "-c", PROGRAM]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert ended.stdout.split() == ["before", "after"]
    assert "from the command" in ended.stderr
    assert "a warning" in ended.stderr
    assert ended.stderr.endswith("after on 2\n")
    assert "Ray" not in ended.stderr.replace("<string>", "")
    assert "C++" not in ended.stderr
    log = (tmp_path / "logs" / "ray.log").read_text().splitlines()
    assert sorted(log) == [
        "from C++ on 1",
        "from C++ on 2",
        "from Ray in Python",
        "from a logger of Ray",
    ]


def test_redirected_restores_after_an_error(tmp_path):
    program = (
        "import sys\nfrom pathlib import Path\nfrom sweeps.ray_runtime import ray_log\n"
        "with ray_log.redirected(Path('ray.log')):\n    raise ValueError('our mistake')\n"
    )
    command = [sys.executable, "-c", program]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stderr.endswith("ValueError: our mistake\n")
