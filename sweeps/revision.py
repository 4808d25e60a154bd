"""Which code a sweep ran: the git commit, what differed from it, and the locked environment.

Only the repository that holds this package counts: where factorlab is installed inside some other
project's tree, or git is not there, nothing is said rather than something wrong.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
"""Folder that holds the packages; the repository's, where there is one."""

TAGS = ("factorlab.git_revision", "factorlab.git_dirty_diff", "factorlab.lock_sha256")
"""Names of the MLflow tags that tell a revision."""

TIMEOUT = 10.0
"""Seconds that git may take, a command."""


@dataclass(frozen=True)
class Revision:
    """The state of the code; what could not be found out is None or empty."""

    commit: str | None
    """Full hash of the commit that is checked out."""

    diff: bytes
    """`git diff HEAD`: what tracked files differ by; empty where nothing does."""

    lock_sha256: str | None
    """sha256 of requirements.lock."""

    def tags(self) -> dict[str, str]:
        """Return what is known as MLflow tags; `git_dirty_diff` is there if files differ."""
        digest = hashlib.sha256(self.diff).hexdigest() if self.diff else None
        known = zip(TAGS, (self.commit, digest, self.lock_sha256), strict=True)
        return {name: value for name, value in known if value is not None}


def current(root: Path = ROOT) -> Revision:
    """Return the revision of the code in a folder; never raises."""
    top = _git(root, "rev-parse", "--show-toplevel")
    ours = top is not None and Path(os.fsdecode(top.rstrip(b"\n"))).resolve() == root.resolve()
    commit = _git(root, "rev-parse", "--verify", "HEAD") if ours else None
    diff = _git(root, "diff", "--no-ext-diff", "--no-textconv", "HEAD") if commit else None
    try:
        lock = hashlib.sha256((root / "requirements.lock").read_bytes()).hexdigest()
    except OSError:
        lock = None
    return Revision(commit.decode("ascii").strip() if commit else None, diff or b"", lock)


def _git(folder: Path, *arguments: str) -> bytes | None:
    """Return what a git command prints, None where it fails or there is no git."""
    program = shutil.which("git")
    if program is None:
        return None
    try:
        done = subprocess.run(  # noqa: S603 - a fixed command without a shell
            [program, "--no-pager", "-C", str(folder), *arguments],
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TIMEOUT,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout
