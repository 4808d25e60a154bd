"""What MLflow shows about a whole sweep: its description, its command and its axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from urllib.parse import quote

SOURCE = "mlflow.source.name"
SOURCE_TYPE = "mlflow.source.type"
COMMIT = "mlflow.source.git.commit"
NOTE = "mlflow.note.content"
WRITTEN = "factorlab.description_sha256"
"""sha256 of the description that was written; one that the user has changed is kept."""

AXES = "factorlab.axes"
"""Dotted keys of the settings that the sweep varies, separated by spaces."""


@dataclass(frozen=True)
class SweepAbout:
    """What is known of a sweep before it runs."""

    command: str = ""
    """The command that repeats it."""

    purpose: Sequence[str] = ()
    """What the experiment and its profile are for, a paragraph each."""

    axes: Mapping[str, str] = field(default_factory=dict)
    """Values of each axis as text, by dotted key."""

    def tags(self) -> dict[str, str]:
        """Return the tags of the sweep's run."""
        return {**source_tags(self.command), AXES: " ".join(self.axes)} if self.command else {}

    def description(
        self, trials: int, figures: Sequence[str] = (), verdicts: Sequence[tuple[str, str]] = ()
    ) -> str:
        """Return a description in Markdown.

        Args:
            trials: Number of trials.
            figures: Artifact paths of the figures, with the id of the run in front: ``ID/PATH``.
            verdicts: Findings and how they were judged.
        """
        parts = list(self.purpose)
        parts += [f"```\n{self.command}\n```"]
        if self.axes:
            rows = "\n".join(f"| `{key}` | {_cell(text)} |" for key, text in self.axes.items())
            parts += [f"{trials} trials.\n\n| axis | values |\n|---|---|\n{rows}"]
        if verdicts:
            rows = "\n".join(f"| {_cell(claim)} | {_cell(end)} |" for claim, end in verdicts)
            parts += [f"| finding | verdict |\n|---|---|\n{rows}"]
        parts += [_picture(figure) for figure in figures]
        return "\n\n".join(parts)


def _cell(text: str) -> str:
    return text.replace("|", r"\|").replace("\n", " ")


def _picture(figure: str) -> str:
    """Return an image of an artifact of a run, as MLflow's own server serves it."""
    run, _, path = figure.partition("/")
    return f"![{PurePath(path).stem}](get-artifact?path={quote(path)}&run_uuid={run})"


def source_tags(command: str, code: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the tags by which MLflow shows where a run came from.

    Args:
        command: The command that made it.
        code: Tags that describe the code; see `factorlab.provenance.code_record`.
    """
    tags = {SOURCE: command, SOURCE_TYPE: "LOCAL"}
    commit = (code or {}).get("factorlab.git_revision")
    return tags if commit is None else {**tags, COMMIT: commit}
