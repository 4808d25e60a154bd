"""What one pass knows of a trial while it brings the trial's MLflow run up to date."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from factorlab.provenance import code_record
from factorlab.storage.files import DamagedFile
from factorlab.storage.record import Record
from sweeps.tracking.batch import Batch
from sweeps.tracking.run_logging import Ending, TrackedTrial, read_ending
from sweeps.tracking.stored_runs import Owner, StoredSweep

if TYPE_CHECKING:
    from mlflow import MlflowClient

SweepPhase = Literal["live", "stopped", "unknown"]
"""State of the sweep during a pass: still running, stopped by the caller, or known only from the
records."""


@dataclass(frozen=True)
class Connection:
    """Connection to an open store."""

    client: MlflowClient
    owner: Owner
    store: str
    """Name of the store in saved sync states."""

    artifacts: str | None
    """Artifact location of new experiments, as a URI; None to let the store decide."""


@dataclass
class Visit:
    """What one pass knows of a trial."""

    connection: Connection
    found: StoredSweep
    phase: SweepPhase
    trial: TrackedTrial
    record: Record

    file: Path | None = None
    """Result or failure file."""

    ending: Ending | None = None
    """How the trial ended, if its run does not show it yet."""

    damage: DamagedFile | None = None
    """Why that cannot be read. All else is sent."""

    batch: Batch = field(default_factory=Batch)
    """What the run is sent."""

    moved: bool = False
    """Whether the run got points or measures that its sync state did not know."""

    def read_ending(self) -> None:
        """Read how the trial ended, or why that cannot be read."""
        if self.file is None:
            return
        try:
            self.ending = read_ending(self.file, code_record.tags(self.record.code()))
        except DamagedFile as damage:
            self.damage = damage

    @property
    def early_tags(self) -> dict[str, str]:
        """Tags of a finished trial, which are sent along with its points.

        A failed trial may be tried again at any time, so its tags are set together with its status.
        """
        ending = self.ending
        return {} if ending is None or ending.status != "FINISHED" else ending.tags
