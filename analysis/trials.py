"""The table of trials: one row per trial, read from the records."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from factorlab.config import flatten
from factorlab.files import DamagedFile
from factorlab.record import Record


def trials_table(runs: Path, keys: Sequence[str]) -> pd.DataFrame:
    """Return the trials with these keys, one row each, in their order.

    Columns: `key`, `state`, every setting under its dotted key, `samples_2d`, `samples_total`,
    `lattice_labels`, and of a finished trial every metric of its last evaluation,
    `seconds_<phase>`, `steps`, `parameters`, `device` and `weights_sha256`. What a trial does
    not have is missing (NaN or None) in its row. A trial whose record was never begun is left
    out; one with a damaged file appears with the state `damaged` and nothing that was in it.
    """
    rows = []
    for key in keys:
        record = Record(runs, key)
        row: dict[str, Any] = {"key": key}
        try:
            config, result = record.config(), record.result()
            row["state"] = record.state()
        except DamagedFile:
            rows.append(row | {"state": "damaged"})
            continue
        if config is None:
            continue
        row |= flatten(config["config"])
        row |= {k: config[k] for k in ("samples_2d", "samples_total", "lattice_labels")}
        if result is not None:
            row |= result["metrics"]
            row |= {f"seconds_{phase}": s for phase, s in result["seconds"].items()}
            row |= {k: result[k] for k in ("steps", "parameters", "device", "weights_sha256")}
        rows.append(row)
    return pd.DataFrame(rows)
