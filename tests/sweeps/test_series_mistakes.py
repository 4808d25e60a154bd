"""Mistakes in the experiment files of one command, found before anything trains."""

import sys
from pathlib import Path

import pytest

from factorlab.errors import UserError
from sweeps.cli import main
from tests.helpers.processes import factorlab
from tests.sweeps.test_series import run, write


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"axes": {"seed": [-1]}}, "seed = -1"),
        ({"axes": {"data.subsample": [0.001]}}, "keeps none of"),
        ({"axes": {"nosuch": [1]}}, "unknown key 'nosuch'"),
        ({"more": "typo: 1\n"}, "unknown key 'typo'"),
    ],
)
def test_sweep_refuses_mistake_in_any_file(tmp_path, change, said):
    write(tmp_path, "good")
    write(tmp_path, "bad", **change)
    ended = factorlab("sweep", "good.yaml", "bad.yaml", cwd=tmp_path)
    assert ended.returncode == 2, ended.stderr
    assert ended.stderr.startswith("factorlab: bad.yaml: ")
    assert said in ended.stderr
    assert ended.stderr.count("\n") == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bad.yaml", "good.yaml"]


@pytest.mark.parametrize(
    ("figures", "said"),
    [
        (["nosuch"], "There is no 'nosuch' among the figures"),
        (["curves", "curves"], "figures: curves: two figures have this name"),
        ([{"name": "a", "draw": "maps", "options": {"colour": []}}], "figures: a: colour = []"),
    ],
)
def test_run_sweeps_checks_figures_of_all_files(tmp_path, monkeypatch, figures, said):
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "first")
    write(tmp_path, "second", figures=figures)
    with pytest.raises(UserError, match=r"^[^\n]*$") as error:
        run("first", "second")
    assert str(error.value).startswith("second.yaml: figures: ")
    assert said in str(error.value)
    assert not Path("runs").exists()


def test_sweep_refuses_resources_that_no_machine_has(tmp_path):
    write(tmp_path, "good")
    write(tmp_path, "large", axes={"seed": [7]}, more="resources: {cpu: 100000}\n")
    ended = factorlab("sweep", "good.yaml", "large.yaml", cwd=tmp_path)
    assert ended.returncode == 2, ended.stderr
    assert ended.stderr.splitlines()[-1].startswith("factorlab: large.yaml: resources.cpu = 100000")
    assert not list(tmp_path.glob("runs/trials/*"))


@pytest.mark.parametrize("options", [[], ["--dry-run"]])
@pytest.mark.parametrize(
    ("second", "said"),
    [
        ("other.yaml", "other.yaml: name = same: same.yaml has this name, too, and one command"),
        ("same.yaml", "same.yaml: given twice"),
    ],
)
def test_sweep_refuses_one_sweep_twice(tmp_path, monkeypatch, capsys, second, said, options):
    monkeypatch.chdir(tmp_path)
    path = write(tmp_path, "same")
    (tmp_path / "other.yaml").write_text(path.read_text())
    monkeypatch.setattr(sys, "argv", ["factorlab", "sweep", "same.yaml", second, *options])
    with pytest.raises(SystemExit) as ended:
        main.main()
    assert ended.value.code == 2
    message = capsys.readouterr().err
    assert message.startswith(f"factorlab: {said}")
    assert message.count("\n") == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["other.yaml", "same.yaml"]
