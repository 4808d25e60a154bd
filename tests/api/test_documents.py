"""Every example of the API runs: docstrings, the page of documentation and the notebooks."""

import doctest
import importlib
import pkgutil
import re
import runpy
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

import factorlab.api as fl

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "api.md"
NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.py"))
MODULES = ["factorlab.api", *(m.name for m in pkgutil.iter_modules(fl.__path__, "factorlab.api."))]


@pytest.mark.parametrize("module", MODULES)
def test_examples_of_docstrings_run(module, runs):
    found = doctest.testmod(importlib.import_module(module), optionflags=doctest.ELLIPSIS)
    assert found.failed == 0


def blocks(page):
    """Yield the Python blocks of a page, and whether each is to be run."""
    pattern = r"(<!-- not run: .*? -->\n)?```python\n(.*?)```"
    for match in re.finditer(pattern, page.read_text(encoding="utf-8"), re.S):
        yield match[2], match[1] is None


def test_examples_of_the_page_run(runs):
    names, count = {}, 0
    for code, wanted in blocks(PAGE):
        compiled = compile(code, str(PAGE), "exec")
        if wanted:
            exec(compiled, names)
            count += 1
    assert count >= 8
    assert Path("scaling.png").stat().st_size > 10_000


def test_notebooks_are_those_of_the_page():
    page = PAGE.read_text(encoding="utf-8")
    assert set(re.findall(r"\(notebooks/(\w+\.py)\)", page)) == {path.name for path in NOTEBOOKS}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_run_and_draw(path, runs, tmp_path):
    assert path.read_text(encoding="utf-8").startswith("# %% [markdown]\n# # ")
    with plt.rc_context():  # a notebook chooses a style
        runpy.run_path(str(path))
    plt.close("all")
    assert (tmp_path / f"{path.stem}.png").stat().st_size > 10_000
