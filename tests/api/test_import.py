"""The import of the API: fast, and without the libraries that its functions need."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import factorlab.api as fl

ROOT = Path(__file__).parents[2]
HEAVY = (
    "torch",
    "pandas",
    "numpy",
    "ray",
    "mlflow",
    "matplotlib",
    "pydantic",
    "analysis",
    "sweeps",
)

SCRIPT = f"""
import sys, time
start = time.perf_counter()
import factorlab.api as fl
seconds = time.perf_counter() - start
loaded = [name for name in {HEAVY} if name in sys.modules]
fl.load, fl.run, fl.plot, dir(fl)
print(seconds, loaded)
"""


def test_import_is_fast_and_loads_no_library():
    found = []
    for _ in range(3):  # another process may slow one of them down
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True
        )
        seconds, loaded = done.stdout.split(maxsplit=1)
        assert loaded.strip() == "[]"
        found.append(float(seconds))
    assert min(found) < 1.0


def test_names_are_those_of_the_page():
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    table = page[page.index("| name | does |") : page.index("Scripts for common")]
    cells = [line.split("|")[1] for line in table.splitlines()[2:] if line.startswith("|")]
    assert {name for cell in cells for name in re.findall(r"`(\w+)`", cell)} == set(fl.__all__)
    assert dir(fl) == sorted(fl.__all__)


def test_public_functions_have_types_and_an_example():
    for name in fl.__all__:
        thing = getattr(fl, name)
        assert thing.__doc__, name
        if name not in ("Samples", "Comparison"):
            assert ">>> " in thing.__doc__, name
    for path in (ROOT / "factorlab" / "api").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                assert node.returns is not None, f"{path.name}: {node.name}"


def test_packages_do_not_import_the_api():
    for package in ("factorlab", "percolation", "analysis", "sweeps"):
        for path in (ROOT / package).rglob("*.py"):
            if "api" not in path.relative_to(ROOT).parts:
                assert "factorlab.api" not in {
                    name.name
                    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
                    if isinstance(node, ast.Import)
                    for name in node.names
                } | {
                    str(node.module)
                    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
                    if isinstance(node, ast.ImportFrom)
                }, path
