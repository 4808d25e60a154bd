"""The code that trained a run: its source files, the git commit and the difference from it.

``<runs>/code/`` holds everything needed to restore the code of a result. ``<digest>.zip`` holds the
source files. ``<digest>.patch`` holds the difference from the commit, for `git apply`.

Only the repository that holds this package counts. If factorlab is installed inside another
project's tree, or git is missing, no commit is recorded rather than a wrong one.
"""

from __future__ import annotations

import hashlib
import io
import os
import platform
import shutil
import subprocess
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from factorlab.provenance import sources
from factorlab.provenance.sources import ROOT, TRAINING, sources_of
from factorlab.storage.files import write_atomically
from factorlab.storage.record import Record

DIFF_TAG = "factorlab.git_dirty_diff"
"""Name of the MLflow tag with the digest of the difference from the commit."""

TAGS = ("factorlab.git_revision", DIFF_TAG, "factorlab.lock_sha256")
"""Names of the MLflow tags that describe a revision."""

TIMEOUT = 10.0
"""Seconds that one git command may take."""

_NEUTRAL = (
    "core.fsmonitor=false",
    f"core.attributesFile={os.devnull}",
    "core.quotePath=true",
    "diff.suppressBlankEmpty=false",
)
"""Settings that have no option in `git diff`."""

_DIFF = (
    "diff",
    "--binary",
    "--full-index",
    "--no-color",
    "--no-ext-diff",
    "--no-textconv",
    "--no-renames",
    "--no-relative",
    "--unified=3",
    "--inter-hunk-context=0",
    "--ignore-submodules=all",
    "--src-prefix=a/",
    "--dst-prefix=b/",
    f"-O{os.devnull}",
)
"""Arguments for a difference that `git apply` accepts, whatever the user's configuration."""


@dataclass(frozen=True)
class Revision:
    """The state of the code; unknown values are None or empty."""

    commit: str | None
    """Full hash of the commit that is checked out."""

    diff: bytes
    """Difference of tracked files and untracked sources from the commit, for `git apply`."""

    lock_sha256: str | None
    """sha256 of requirements.lock."""

    def tags(self) -> dict[str, str]:
        """Return the known values as MLflow tags; `DIFF_TAG` is present if files differ."""
        known = zip(TAGS, (self.commit, self.diff_sha256, self.lock_sha256), strict=True)
        return {name: value for name, value in known if value is not None}

    @property
    def diff_sha256(self) -> str | None:
        """sha256 of the difference, None if there is none."""
        return hashlib.sha256(self.diff).hexdigest() if self.diff else None


def revision(root: Path = ROOT) -> Revision:
    """Return the current revision of the code in a folder; never raises."""
    top = _git(root, "rev-parse", "--show-toplevel")
    ours = top is not None and Path(os.fsdecode(top.rstrip(b"\n"))).resolve() == root.resolve()
    commit = _git(root, "rev-parse", "--verify", "HEAD") if ours else None
    diff = _difference(root) if commit else None
    try:
        lock = hashlib.sha256((root / "requirements.lock").read_bytes()).hexdigest()
    except OSError:
        lock = None
    if commit is None or diff is None:  # a commit without its difference would be misleading
        return Revision(None, b"", lock)
    return Revision(commit.decode("ascii").strip(), diff, lock)


def _difference(root: Path) -> bytes | None:
    """Return the difference of tracked files and untracked sources from the commit."""
    tracked = _git(root, *_DIFF, "HEAD", "--")
    listed = _git(root, "ls-files", "-z")
    if tracked is None or listed is None:
        return None
    known = set(os.fsdecode(listed).split("\0"))
    new = [path for path in sources.read(root) if path not in known]
    added = [_git(root, *_DIFF, "--no-index", "--", os.devnull, path) for path in new]
    return b"".join([tracked, *(diff or b"" for diff in added)])


def _git(folder: Path, *arguments: str) -> bytes | None:
    """Return the output of a git command, None if it fails or git is missing."""
    program = shutil.which("git")
    if program is None:
        return None
    settings = [word for setting in _NEUTRAL for word in ("-c", setting)]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    try:
        done = subprocess.run(  # noqa: S603 - a fixed command without a shell
            [program, "--no-pager", "-C", str(folder), *settings, *arguments],
            env={**environment, "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TIMEOUT,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    # `git diff --no-index` exits with 1 if the files differ.
    allowed = {0, 1} if "--no-index" in arguments else {0}
    return done.stdout if done.returncode in allowed else None


@dataclass(frozen=True)
class Code:
    """The training code of this process."""

    content: Mapping[str, bytes]
    """Source files by path."""

    sources_sha256: str
    """Digest of the source files."""

    revision: Revision

    def archive(self) -> bytes:
        """Return the source files as a zip; the same files give the same bytes."""
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
            for path, text in sorted(self.content.items()):
                file.writestr(zipfile.ZipInfo(path), text, zipfile.ZIP_DEFLATED)
        return buffer.getvalue()


def code() -> Code:
    """Return the code that this process imported to train; git is called once.

    Raises:
        UserError: A module of the project was imported from another folder.
    """
    return _code(tuple(sorted(sources.content(TRAINING).items())))


@cache
def _code(content: tuple[tuple[str, bytes], ...]) -> Code:
    found, digest = revision(), sources_of(dict(content)).digest
    # Git sees the files on disk: if they changed since the import, its commit does not apply.
    if sources_of(sources.read(packages=TRAINING)).digest != digest:
        found = Revision(None, b"", found.lock_sha256)
    return Code(dict(content), digest, found)


@cache
def versions() -> dict[str, str]:
    """Return the versions that a result depends on, apart from the project's own code."""
    packages = {name: version(name) for name in ("factorlab", "torch", "numpy")}
    opencv = version("opencv-python-headless")
    return {
        "python": platform.python_version(),
        **packages,
        "opencv": opencv,
        "os": os.uname().sysname,
    }


def other_versions(theirs: Mapping[str, str], ours: Mapping[str, str], who: str) -> str | None:
    """Return a sentence on how another process's versions differ, None if they do not.

    The build of a library (`+cpu`, `+cu126`) and the last number of Python's version may differ.

    Args:
        theirs: Versions of the other process.
        ours: Versions of the process that started it.
        who: The other process, for example "a worker on host a1".
    """
    for name, own in ours.items():
        other = theirs.get(name, "none")
        if _compared(name, other) != _compared(name, own):
            return (
                f"{who} has {name} {other}, and this command has {own}; install the same "
                "requirements.lock on every machine"
            )
    return None


def _compared(name: str, version: str) -> str:
    return version.rpartition(".")[0] if name == "python" else version.partition("+")[0]


def note(record: Record, step: int) -> None:
    """Record that this process trains a run from a step on.

    A run trained by one version of the code has one entry. Another entry is added whenever training
    continues with other source files or other library versions.

    Args:
        record: Record of the run.
        step: Optimizer steps done before.
    """
    now, before = code(), record.code()
    same = {"sources_sha256": now.sources_sha256, "versions": versions()}
    if before and same.items() <= before[-1].items():
        return
    save(now, record.path.parents[1])
    entry: dict[str, Any] = {
        "from_step": step,
        **same,
        "revision": now.revision.commit,
        "difference_sha256": now.revision.diff_sha256,
        "lock_sha256": now.revision.lock_sha256,
    }
    record.write_code([*before, entry])


def save(now: Code, runs: Path) -> None:
    """Save the source files and the difference in the runs folder, once each."""
    folder = runs / "code"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{now.sources_sha256}.zip"
    if not path.exists():
        write_atomically(path, now.archive())
    difference = now.revision.diff_sha256
    if difference is not None and not (folder / f"{difference}.patch").exists():
        write_atomically(folder / f"{difference}.patch", now.revision.diff)


def tags(entries: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return the MLflow tags of a run's code: the newest entry, and the number of entries."""
    if not entries:
        return {}
    names = (*TAGS, "factorlab.sources_sha256")
    fields = ("revision", "difference_sha256", "lock_sha256", "sources_sha256")
    found = {n: entries[-1][f] for n, f in zip(names, fields, strict=True) if entries[-1][f]}
    return {**found, "factorlab.code_versions": str(len(entries))}
