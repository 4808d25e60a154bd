"""The comparison of the engine with graph libraries: all find the same clusters."""

import json
import subprocess
import sys
from itertools import product
from pathlib import Path

ROOT = Path(__file__).parents[2]
LIBRARIES = {"networkx", "scipy", "igraph", "rustworkx"}


def test_percolation_peers_agree_with_engine(tmp_path):
    file = tmp_path / "peers.json"
    options = ["--sides", "8", "--radii", "1", "--seconds", "0", "--json", str(file)]
    command = [sys.executable, "-m", "tests.benchmarks.percolation_peers", *options]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert shown.returncode == 0, shown.stderr
    rows = json.loads(file.read_text(encoding="utf-8"))["rows"]
    measured = {(row["peer"], row["idiom"]) for row in rows}
    assert measured == {
        ("engine", ""),
        ("networkx", "rebuilt"),
        *product(LIBRARIES, ("plain", "nested")),
    }
    assert all(row["agrees"] for row in rows)
    assert len({row["checksum"] for row in rows}) == 1
    assert all(f"{peer} {idiom}".strip() in shown.stdout for peer, idiom in measured)
