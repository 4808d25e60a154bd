"""The code that trained a run: digests, the git revision, and archives that restore it."""

import io
import json
import os
import subprocess
import sys
import zipfile

import pytest

from factorlab.provenance import code_record, sources
from factorlab.provenance.code_record import other_versions
from factorlab.provenance.sources import Sources, explain, sources_of
from factorlab.storage.record import Record
from factorlab.trial import Trial
from tests.helpers.settings import tiny_run

HOSTILE = """
[diff]
    noprefix = true
    mnemonicPrefix = true
    external = /bin/false
    context = 0
    interHunkContext = 9
    renames = copies
    relative = true
    wordRegex = .
    colorMoved = zebra
    orderFile = /nonexistent
    submodule = log
    wsErrorHighlight = all
    suppressBlankEmpty = true
    algorithm = patience
[diff "hide"]
    textconv = /bin/true
    command = /bin/false
[color]
    ui = always
    diff = always
[core]
    quotePath = false
    abbrev = 4
    attributesFile = %s
    pager = /bin/false
    whitespace = trailing-space
"""


def git(folder, *arguments):
    identity = ["-c", "user.name=t", "-c", "user.email=t@localhost"]
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def repository(tmp_path):
    """A repository laid out like the project."""
    root = tmp_path / "project"
    (root / "factorlab" / "families").mkdir(parents=True)
    (root / "factorlab" / "trial.py").write_text("".join(f"a{i} = {i}\n\n" for i in range(30)))
    (root / "factorlab" / "old.py").write_text("same = 1\n")
    (root / "picture.bin").write_bytes(bytes(range(256)))
    (root / "inner").mkdir()
    git(root, "init", "--quiet")
    git(root, "add", ".")
    git(root, "commit", "--quiet", "-m", "first")
    return root


def test_revision_of_clean_and_changed_repository(repository, monkeypatch):
    clean = code_record.revision(repository)
    assert clean == code_record.Revision(git(repository, "rev-parse", "HEAD"), b"", None)
    assert clean.tags() == {"factorlab.git_revision": clean.commit}
    (repository / "factorlab" / "old.py").write_text("same = 2\n")
    (repository / "requirements.lock").write_text("x==1\n")
    dirty = code_record.revision(repository)
    assert b"+same = 2" in dirty.diff
    assert dirty.tags().keys() == set(code_record.TAGS)
    # Another project's repository, and no git at all.
    assert code_record.revision(repository / "inner").commit is None
    monkeypatch.setenv("PATH", os.devnull)
    assert code_record.revision(repository).commit is None


def test_revision_outside_of_repository(tmp_path):
    assert code_record.revision(tmp_path) == code_record.Revision(None, b"", None)


def change(root):
    """Change files in every way that a diff has to record."""
    text = (root / "factorlab" / "trial.py").read_text()
    (root / "factorlab" / "trial.py").write_text(
        text.replace("a7 = 7\n", "a7 = 'ü'  \n\n\t\n").replace("a29 = 29\n\n", "a29 = 30")
    )
    (root / "factorlab" / "old.py").rename(root / "factorlab" / "new name.py")
    (root / "factorlab" / "families" / "ring.py").write_text("new = 1")
    (root / "factorlab" / "families" / "empty.py").touch()
    (root / "picture.bin").write_bytes(bytes(reversed(range(256))))
    (root / "notes.txt").write_text("not a source file of the project")


@pytest.mark.parametrize("configuration", ["default", "hostile"])
def test_revision_difference_applies_with_git_apply(
    repository, tmp_path, monkeypatch, configuration
):
    change(repository)
    before = git(repository, "status", "--porcelain")
    home, clone = tmp_path / "home", tmp_path / "clone"
    if configuration == "hostile":
        home.mkdir()
        (home / "attributes").write_text("*.py diff=hide binary\n*.bin -diff\n")
        (home / ".gitconfig").write_text(HOSTILE % (home / "attributes"))
        monkeypatch.setenv("HOME", str(home))
        monkeypatch.setenv("GIT_DIFF_OPTS", "-u0")
        monkeypatch.setenv("GIT_EXTERNAL_DIFF", "/bin/false")
        monkeypatch.setenv("GIT_DIR", "/nonexistent")
        monkeypatch.setenv("GIT_INDEX_FILE", "/nonexistent")
    found = code_record.revision(repository)
    monkeypatch.undo()
    assert found.diff
    git(tmp_path, "clone", "--quiet", str(repository), str(clone))
    git(clone, "checkout", "--quiet", found.commit)
    patch = tmp_path / "saved.patch"
    patch.write_bytes(found.diff)
    git(clone, "apply", str(patch))
    assert sources.read(clone) == sources.read(repository)
    assert (clone / "picture.bin").read_bytes() == (repository / "picture.bin").read_bytes()
    assert not (clone / "notes.txt").exists()
    assert git(repository, "status", "--porcelain") == before


def test_sources_digest_depends_on_paths_and_contents(repository):
    first = sources_of(sources.read(repository), repository)
    assert first == sources_of(sources.read(repository), repository)
    (repository / "factorlab" / "old.py").write_text("same = 3\n")
    second = sources_of(sources.read(repository), repository)
    assert second.digest != first.digest
    assert second.differences(first) == ["factorlab/old.py"]
    (repository / "factorlab" / "old.py").rename(repository / "factorlab" / "older.py")
    third = sources_of(sources.read(repository), repository)
    assert third.differences(second) == ["factorlab/old.py", "factorlab/older.py"]


def test_explain_names_files_and_folders():
    ours = Sources("/here", {"a.py": "1", "b.py": "2"})
    assert explain(Sources("/there", ours.files), ours, "a worker") is None
    text = explain(Sources("/there", {"a.py": "9", "c.py": "2"}), ours, "a worker")
    assert text.startswith("a worker imported other code than this command: a.py and 2 other files")
    assert "/there, not /here" in text


def imported_in(folder, script):
    """Run a script in a process that imports a copy of the project."""
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    command = [sys.executable, "-P", "-c", script]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def project(tmp_path):
    """A copy of the project's packages."""
    for path, text in sources.read().items():
        (tmp_path / "copy" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "copy" / path).write_bytes(text)
    return tmp_path / "copy"


def test_content_is_what_the_process_imported(project):
    script = f"""
import json
from pathlib import Path
from factorlab.provenance import sources
before = sources.sources_of(sources.content())
later = Path({str(project)!r}) / "factorlab" / "families" / "later.py"
late, early = Path({str(project)!r}) / "factorlab" / "model" / "unet.py", Path(sources.__file__)
early.write_text(early.read_text() + "# changed after the import\\n")
unnoticed = sources.sources_of(sources.content())
late.write_text(late.read_text() + "# changed before the import\\n")
later.write_text("NEW = 1\\n")
import factorlab.model.unet, factorlab.families.later
after = sources.sources_of(sources.content())
print(json.dumps([before.digest == unnoticed.digest, after.differences(before)]))
"""
    same, different = imported_in(project, script)
    assert same
    assert different == ["factorlab/families/later.py", "factorlab/model/unet.py"]


def test_settle_refuses_files_changed_since_start(project):
    script = f"""
import json
from pathlib import Path
from factorlab.provenance import sources
path = Path({str(project)!r}) / "factorlab" / "model" / "unet.py"
text = path.read_text()
path.write_text(text + "# changed\\n")
try:
    sources.settle()
except sources.SourcesChangedError as error:
    told = str(error)
path.write_text(text)
settled = sources.settle()
print(json.dumps([told, settled.root]))
"""
    told, root = imported_in(project, script)
    assert told.startswith(f"{project / 'factorlab' / 'model' / 'unet.py'}: changed while")
    assert root == str(project)


def test_content_refuses_modules_from_elsewhere(project, tmp_path):
    other = tmp_path / "other" / "sweeps"
    other.mkdir(parents=True)
    (other / "__init__.py").touch()
    script = f"""
import json, sys
from factorlab.provenance import sources
sys.path.insert(0, {str(other.parent)!r})
import sweeps
try:
    sources.content()
except sources.UserError as error:
    print(json.dumps(str(error)))
"""
    assert str(other / "__init__.py") in imported_in(project, script)


def test_code_record_in_result_restores_sources(tmp_path):
    trial = Trial(tiny_run(), tmp_path)
    list(trial.run())
    (entry,) = trial.record.result()["code"]
    assert entry["from_step"] == 0
    assert trial.record.code() == [entry]
    now = code_record.code()
    assert (entry["sources_sha256"], entry["revision"]) == (
        now.sources_sha256,
        now.revision.commit,
    )
    archive = (tmp_path / "code" / f"{entry['sources_sha256']}.zip").read_bytes()
    with zipfile.ZipFile(io.BytesIO(archive)) as file:
        restored = {name: file.read(name) for name in file.namelist()}
    assert restored == sources.content(sources.TRAINING)
    assert sources_of(restored).digest == entry["sources_sha256"]
    if entry["difference_sha256"] is not None:
        assert (tmp_path / "code" / f"{entry['difference_sha256']}.patch").stat().st_size > 0


def test_code_record_of_resumed_run_names_every_code(tmp_path, monkeypatch):
    trial = Trial(tiny_run(), tmp_path)
    steps = trial.run()
    for progress in steps:
        if progress.step == 2:
            steps.close()
    first = code_record.code()
    content = {**first.content, "factorlab/families/ring.py": b"NEW = 1\n"}
    other = code_record.Code(content, sources_of(content).digest, first.revision)
    with monkeypatch.context() as patch:
        patch.setattr(code_record, "code", lambda: other)
        steps = Trial(tiny_run(), tmp_path).run()
        next(steps)
        steps.close()
    list(Trial(tiny_run(), tmp_path).run())
    entries = trial.record.result()["code"]
    assert [entry["from_step"] for entry in entries] == [0, 2, 3]
    digests = [first.sources_sha256, other.sources_sha256, first.sources_sha256]
    assert [entry["sources_sha256"] for entry in entries] == digests
    assert code_record.tags(entries)["factorlab.code_versions"] == "3"
    assert len(list((tmp_path / "code").glob("*.zip"))) == 2


def test_code_record_of_run_resumed_with_other_libraries(tmp_path, monkeypatch):
    trial = Trial(tiny_run(), tmp_path)
    steps = trial.run()
    next(steps)
    steps.close()
    other = {**code_record.versions(), "torch": "9.9"}
    with monkeypatch.context() as patch:
        patch.setattr(code_record, "versions", lambda: other)
        list(Trial(tiny_run(), tmp_path).run())
    first, second = trial.record.result()["code"]
    assert (first["from_step"], second["from_step"]) == (0, 1)
    assert (first["versions"], second["versions"]) == (code_record.versions(), other)


def test_code_record_replaces_damaged_file(tmp_path):
    trial = Trial(tiny_run(), tmp_path)
    steps = trial.run()
    next(steps)
    steps.close()
    (trial.record.path / "code.json").write_text("{")
    list(Trial(tiny_run(), tmp_path).run())
    assert [entry["from_step"] for entry in Record(tmp_path, trial.record.key).code()] == [1]


def test_other_versions_are_named_and_builds_may_differ():
    ours = {"python": "3.11.7", "torch": "2.9.1+cpu", "numpy": "2.3.0"}
    alike = {"python": "3.11.9", "torch": "2.9.1+cu128", "numpy": "2.3.0"}
    assert other_versions(alike, ours, "a worker on b") is None
    for name, version in {"python": "3.12.7", "torch": "2.9.0+cpu", "numpy": "2.3.1"}.items():
        found = other_versions(alike | {name: version}, ours, "a worker on b")
        assert found == (
            f"a worker on b has {name} {version}, and this command has {ours[name]}; install the "
            "same requirements.lock on every machine"
        )
    assert "has numpy none" in other_versions({k: ours[k] for k in ("python", "torch")}, ours, "it")
