"""Description and table of a sweep in the MLflow UI."""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import cv2

from sweeps.tracking.presentation import ui_state
from sweeps.tracking.presentation.about import AXES, NOTE, WRITTEN, SweepAbout
from sweeps.tracking.run_logging import set_tags

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

FIGURES = "figures"
PREVIEW_WIDTH = 800  # pixels


def present(
    client: MlflowClient,
    sweep: Run,
    about: SweepAbout,
    trials: int,
    *,
    figures: Sequence[str] = (),
    verdicts: Sequence[tuple[str, str]] = (),
) -> None:
    """Describe a sweep in its run and in its experiment. What is there already is not sent again.

    Args:
        client: Client of the store.
        sweep: Run of the sweep.
        about: What is known of it; without a command, nothing is sent.
        trials: Number of trials.
        figures: Artifact paths of its figures.
        verdicts: Findings and how they were judged.
    """
    if not about.command:
        return
    run = client.get_run(sweep.info.run_id)
    text = about.description(trials, [f"{run.info.run_id}/{path}" for path in figures], verdicts)
    tags = about.tags() | _description(run.data.tags, text, keep=not (figures or verdicts))
    changed = {key: value for key, value in tags.items() if run.data.tags.get(key) != value}
    if changed:
        set_tags(client, run.info.run_id, changed)
    _arrange(client, run.info.experiment_id, about)


def log_figures(client: MlflowClient, run: str, files: Sequence[Path]) -> list[str]:
    """Upload figures to a run, and return the artifact paths of small pictures of them.

    A description shows pictures at their full width, which is too wide for the page.
    """
    for path in files:
        client.log_artifact(run, str(path), FIGURES)
    shown = []
    with tempfile.TemporaryDirectory(prefix="factorlab-") as folder:
        for path in (path for path in files if path.suffix == ".png"):
            picture = cv2.imread(str(path))
            if picture is None:
                continue
            height = round(picture.shape[0] * PREVIEW_WIDTH / picture.shape[1])
            size = (PREVIEW_WIDTH, max(1, height))
            small = Path(folder) / f"{path.stem}-small.png"
            cv2.imwrite(str(small), cv2.resize(picture, size, interpolation=cv2.INTER_AREA))
            client.log_artifact(run, str(small), f"{FIGURES}/small")
            shown.append(f"{FIGURES}/small/{small.name}")
    return shown


def _description(tags: Mapping[str, str], text: str, *, keep: bool) -> dict[str, str]:
    """Return the tags of a description; none if the user has written another one.

    Args:
        tags: Tags of the run.
        text: The description.
        keep: Whether to keep a description of ours, which may have figures.
    """
    known = tags.get(NOTE)
    if known and (keep or _digest(known) != tags.get(WRITTEN)):
        return {}
    return {NOTE: text, WRITTEN: _digest(text)}


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _arrange(client: MlflowClient, experiment: str, about: SweepAbout) -> None:
    """Mark an experiment as one of training runs, and save a view with the axes as columns."""
    known = client.get_experiment(experiment).tags
    tags = {key: value for key, value in ui_state.KIND.items() if key not in known}
    if known.get(AXES) != " ".join(about.axes):
        view = ui_state.saved_view(tuple(about.axes), int(time.time() * 1000))
        tags |= {AXES: " ".join(about.axes), ui_state.VIEW_TAG: view}
    for key, value in tags.items():
        client.set_experiment_tag(experiment, key, value)
