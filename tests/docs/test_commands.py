"""Commands and YAML of all pages: each is one that the command line and the files accept."""

import importlib.util
import re
import shlex
from pathlib import Path

import pytest
import typer
import yaml
from typer._click import exceptions

from sweeps.cli.main import app
from sweeps.planning import plan
from sweeps.planning.experiment import load
from tests.docs.pages import BLOCK, snippets

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
TEXTS = {path.relative_to(ROOT).as_posix(): path.read_text("utf-8") for path in PAGES}
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")

BASE = {
    "name": "fragment",
    "base": {"data": {"size": 8, "spacing": 0.5}, "training": {"steps": 1000}},
    "axes": {"seed": [0, 1]},
}
"""An experiment that fragments of a file are added to."""


def commands(program):
    """Return the commands of a program in blocks and in backticks, with their pages."""
    found = []
    for page, text in TEXTS.items():
        found += [(page, line) for line in snippets(text) if re.match(rf"{program} [a-z-]", line)]
    return sorted(set(found))


def resolve(words):
    """Parse a command line without running it."""
    command, name = typer.main.get_command(app), "factorlab"
    while hasattr(command, "commands"):
        if words[0] == "--help":
            return
        name, *words = words
        command = command.commands[name]
    if words:  # without words, a page names the command
        command.make_context(name, list(words))


@pytest.mark.parametrize(("page", "line"), commands("factorlab"))
def test_command_line_takes_every_command(page, line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    resolve(shlex.split(line.replace("R2", "2"), comments=True)[1:])


def test_commands_that_do_not_exist_are_noticed():
    with pytest.raises(KeyError):
        resolve(["swep", "scaling"])
    with pytest.raises(exceptions.NoSuchOption):
        resolve(["sweep", "scaling", "--seeds", "3"])


@pytest.mark.parametrize(("page", "line"), commands("make"))
def test_makefile_has_every_target(page, line):
    target = shlex.split(line, comments=True)[1]
    if target.startswith("sweep-"):
        name = target.removeprefix("sweep-")
        own = (
            ROOT / "docs" / "examples" / f"{name}.yaml",
            *(ROOT / "sweeps").rglob(f"{name}.yaml"),
        )
        assert name in ("NAME", "all") or any(path.exists() for path in own)
    elif target.startswith("bench-") and target != "bench-NAME":
        module = target.removeprefix("bench-")
        assert importlib.util.find_spec(f"tests.benchmarks.{module}") is not None
    else:
        assert target == "bench-NAME" or re.search(rf"^{target}:", MAKEFILE, re.M)


@pytest.mark.parametrize(("page", "line"), commands(r"python -m"))
def test_modules_exist(page, line):
    assert importlib.util.find_spec(line.split()[2]) is not None


def yaml_blocks():
    """Return the YAML of all pages: whole experiments, and fragments of one."""
    found = []
    for page, text in TEXTS.items():
        blocks = [block for kind, block in BLOCK.findall(text) if kind == "yaml"]
        found += [(page, block) for block in blocks]
    return found


@pytest.mark.parametrize(("page", "block"), yaml_blocks())
def test_experiments_of_pages_are_planned(page, block, tmp_path):
    content = yaml.safe_load(block)
    if "name" not in content:
        # A fragment stands under `base` where it has settings of a run.
        base = {k: v for k, v in content.items() if k in ("evaluation", "representations")}
        rest = {k: v for k, v in content.items() if k not in base}
        content = BASE | rest | {"base": BASE["base"] | base}
    path = tmp_path / "page.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    made = plan.make(load(str(path)), tmp_path / "runs")
    assert made.trials or content.get("search")
