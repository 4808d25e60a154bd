"""What one pass knows of a trial while it brings the trial's MLflow run up to date."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from factorlab.provenance import code_record
from factorlab.storage.files import DamagedFile
from factorlab.storage.record import Record
from sweeps.tracking.batch import Batch
from sweeps.tracking.run_logging import Ending, TrackedTrial, read_ending
from sweeps.tracking.stored_runs import Connection, StoredSweep

SweepPhase = Literal["live", "stopped", "unknown"]
"""State of the sweep during a pass: still running, stopped by the caller, or known only from the
records."""


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

    saved: dict[str, Any] | None = None
    """Sync state in the record, None if it is missing or of no use."""

    def read_ending(self) -> None:
        """Read how the trial ended, or why that cannot be read, once."""
        if self.file is None or self.ending is not None or self.damage is not None:
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
