"""The reference of settings is what the code accepts."""

import importlib.util
import re
from pathlib import Path

import pytest

from factorlab.config import RunSettings
from factorlab.parsing import flatten

DOCS = Path(__file__).parents[2] / "docs"


def load_reference():
    spec = importlib.util.spec_from_file_location("reference", DOCS / "reference.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PAGES = load_reference().pages()


@pytest.mark.parametrize("name", PAGES)
def test_page_is_made_from_the_code(name):
    held = (DOCS / "reference" / f"{name}.md").read_text("utf-8")
    assert held == PAGES[name], "python docs/reference.py writes it"


def test_every_setting_has_a_row():
    rows = set(re.findall(r"^\| `([a-z_.]+)` \|", PAGES["settings"], re.M))
    assert flatten(RunSettings().model_dump()).keys() <= rows
    assert {"data.held_out.width", "data.arrangement.overlap"} <= rows
