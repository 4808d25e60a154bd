"""The tutorial's files and commands, in its order, with fewer training steps."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from tests.helpers.processes import factorlab

PAGE = (Path(__file__).parents[2] / "docs" / "tutorial.md").read_text(encoding="utf-8")
QUICK = ["--set", "training.steps=4"]


@pytest.fixture(scope="module")
def followed(tmp_path_factory):
    """The folder after the tutorial, and the output of its script."""
    folder = tmp_path_factory.mktemp("tutorial")
    for name, text in re.findall(r"<!-- file: (\S+) -->\n```\w+\n(.*?)```", PAGE, re.S):
        (folder / name).write_text(text)
    outputs = {}
    for line in re.findall(r"^(?:factorlab|python) .*$", PAGE, re.M):
        program, *arguments = shlex.split(line)
        if program == "python":
            command = [sys.executable, *arguments]
            ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        else:
            quick = QUICK if arguments[0] == "sweep" else []
            ended = factorlab(*arguments, *quick, cwd=folder)
        assert ended.returncode == 0, f"{line}: {ended.stderr}"
        outputs[line] = ended
    return folder, outputs


def test_every_command_of_the_tutorial_ends_well(followed):
    _, outputs = followed
    assert len(outputs) == 5
    assert "trials: 12 new" in outputs["factorlab sweep wider.yaml --dry-run"].stdout
    more = outputs['factorlab sweep wider.yaml --set "seed=[0,1,2]"'].stderr
    assert "trials: 12 already done, 6 new" in more


def test_script_of_the_tutorial_draws_and_reads(followed):
    folder, outputs = followed
    assert (folder / "wider.png").stat().st_size > 10_000
    printed = outputs["python wider.py"].stdout
    assert "data.sigma data.subsample" in printed
    assert len(re.findall(r"\s3$", printed, re.M)) == 6  # cells of three seeds


def test_sweep_of_the_tutorial_draws_its_figure(followed):
    folder, _ = followed
    figures = list((folder / "figures" / "wider").glob("accuracy-*.png"))
    assert figures
    table = pd.concat(map(pd.read_csv, (folder / "figures" / "wider").glob("accuracy-*-means.csv")))
    assert len(table)
