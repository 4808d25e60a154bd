"""What MLflow shows about a whole sweep: its description, its command and its axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from urllib.parse import quote

from factorlab.formatting import shortened
from sweeps.tracking.run_logging import NOTE_LENGTH, TAG_LENGTH

SOURCE = "mlflow.source.name"
SOURCE_TYPE = "mlflow.source.type"
COMMIT = "mlflow.source.git.commit"
NOTE = "mlflow.note.content"
WRITTEN = "factorlab.description_sha256"
"""sha256 of the description that was written; one that the user has changed is kept."""

AXES = "factorlab.axes"
"""Dotted keys of the settings that the sweep varies, separated by spaces."""

_SHORTEST_COMMAND = 500
"""Characters of the command that a description keeps."""


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
        """Return a description in Markdown that fits a tag.

        The command of one that is too long is shortened, and then the whole text; MLflow would cut
        off its end, the findings and figures.

        Args:
            trials: Number of trials.
            figures: Artifact paths of the figures, with the id of the run in front: ``ID/PATH``.
            verdicts: Findings and how they were judged.
        """
        parts = [*self.purpose, _block(self.command)]
        if self.axes:
            rows = "\n".join(f"| `{key}` | {_cell(text)} |" for key, text in self.axes.items())
            parts += [f"{trials} trials.\n\n| axis | values |\n|---|---|\n{rows}"]
        if verdicts:
            rows = "\n".join(f"| {_cell(claim)} | {_cell(end)} |" for claim, end in verdicts)
            parts += [f"| finding | verdict |\n|---|---|\n{rows}"]
        parts += [_picture(figure) for figure in figures]
        over = len("\n\n".join(parts)) - NOTE_LENGTH
        if over > 0:
            most = max(len(self.command) - over, _SHORTEST_COMMAND)
            parts[len(self.purpose)] = _block(shortened(self.command, most))
        return shortened("\n\n".join(parts), NOTE_LENGTH)


def _block(command: str) -> str:
    return f"```\n{command}\n```"


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
    tags = {SOURCE: shortened(command, TAG_LENGTH), SOURCE_TYPE: "LOCAL"}
    commit = (code or {}).get("factorlab.git_revision")
    return tags if commit is None else {**tags, COMMIT: commit}
