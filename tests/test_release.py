"""Version, citation and changelog belong together."""

import re
import tomllib
from importlib.metadata import version
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
CHANGELOG = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_citation_and_changelog_have_the_version_of_the_package():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    released, date = re.findall(r"^## \[([\d.]+)\] - (\S+)$", CHANGELOG, re.MULTILINE)[0]
    assert project["version"] == citation["version"] == released == version("factorlab")
    assert str(citation["date-released"]) == date


def test_changelog_has_the_sections_of_keep_a_changelog():
    kinds = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert set(re.findall(r"^### (\w+)$", CHANGELOG, re.MULTILINE)) <= kinds


def test_modules_that_the_changelog_names_exist():
    rows = re.findall(r"^\| `[\w.]+` \| (.*) \|$", CHANGELOG, re.MULTILINE)
    assert len(rows) > 90
    for name in re.findall(r"`([\w.]+)`", " ".join(rows)):
        path = ROOT / name.replace(".", "/")
        assert path.is_dir() or path.with_suffix(".py").exists(), name
