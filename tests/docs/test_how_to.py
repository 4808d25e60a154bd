"""Commands of the how-to pages, in the order of each page, with less work."""

import re
import shlex
from pathlib import Path

import pytest
import yaml

from tests.docs.pages import BLOCK
from tests.helpers.processes import factorlab

pytestmark = pytest.mark.slow

DOCS = Path(__file__).parents[2] / "docs"

QUICK = {
    "factorlab sweep my.yaml": ["--set", "training.steps=2", "--set", "seed=[0]"],
    "factorlab percolate curve": ["--realisations", "5"],
    "factorlab percolate critical": ["--realisations", "20"],
}
"""Options by which a command does less."""

LONG = (
    "factorlab sweep scaling --profile a100",  # weeks on a CPU, whose speed the plan would measure
    "factorlab sweep does-sigma-matter.yaml",  # hours; the line before makes its plan
)


def follow(page, folder):
    """Write the experiments of a page into a folder, run its commands there; return what they said.

    Commands that take hours are left out.
    """
    blocks = BLOCK.findall((DOCS / page).read_text("utf-8"))
    for text in (block for kind, block in blocks if kind == "yaml"):
        name = yaml.safe_load(text).get("name")
        if name is not None:
            (folder / f"{name.removesuffix('-experiment')}.yaml").write_text(text)
    said = {}
    for line in (line for kind, block in blocks if not kind for line in block.splitlines()):
        words = shlex.split(line, comments=True)
        command = " ".join(words)
        long = command.startswith(LONG) and "--dry-run" not in words
        if long or not re.match(r"factorlab [a-z]", command):
            continue
        options = [o for start, more in QUICK.items() if command.startswith(start) for o in more]
        ended = factorlab(*words[1:], *options, cwd=folder)
        assert ended.returncode == 0, f"{line}: {ended.stderr}"
        said[command] = ended.stdout + ended.stderr
    return said


def test_experiments_are_swept_and_priced(tmp_path):
    said = follow("experiments.md", tmp_path)
    assert "8 of 8 done" in said["factorlab sweep my.yaml"]
    assert "nothing left to train" in said["factorlab sweep my.yaml --dry-run"]
    assert "further runs" in said["factorlab sweep does-sigma-matter.yaml --dry-run"]
    assert (tmp_path / "figures" / "my-experiment").is_dir()


def test_percolation_is_computed_and_drawn(tmp_path):
    said = follow("percolation.md", tmp_path)
    assert len(said) == 3
    assert (tmp_path / "figures" / "illustrations" / "mass-ratio.png").stat().st_size > 10_000


@pytest.mark.parametrize("start", [*QUICK, *LONG])
def test_every_exception_is_on_a_page(start):
    pages = (DOCS / page for page in ("experiments.md", "percolation.md"))
    assert any(start in page.read_text("utf-8") for page in pages)
