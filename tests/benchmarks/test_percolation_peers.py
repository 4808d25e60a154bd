"""The comparison of the engine with graph libraries: all find the same clusters."""

import subprocess
import sys
from itertools import product
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).parents[2]
LIBRARIES = {"networkx", "scipy", "igraph", "rustworkx"}


def test_percolation_peers_agree_with_engine(tmp_path):
    file = tmp_path / "history.csv"
    options = ["--sides", "8", "--radii", "1", "--seconds", "0", "--history", str(file)]
    command = [sys.executable, "-m", "tests.benchmarks.percolation_peers", *options]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert shown.returncode == 0, shown.stderr  # 1 if a library finds other clusters
    history = pd.read_csv(file)
    peers = {"networkx rebuilt"}
    peers |= {f"{library} {idiom}" for library, idiom in product(LIBRARIES, ("plain", "nested"))}
    by_table = history.groupby("table")["quantity"].agg(set)
    assert by_table["percolation peers"] == by_table["percolation memory"] == {"engine", *peers}
    assert by_table["percolation factors"] == {"share of the floor", "first call", *peers}
    assert set(history["case"]) == {"L = 8, 4 neighbours"}
