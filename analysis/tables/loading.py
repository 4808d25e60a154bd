"""Load tables of trials from the records: one row per trial, or per trial and step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.measures.null_models import null_accuracies
from analysis.measures.phases import phase
from factorlab.errors import UserError
from factorlab.parsing import flatten, parse
from factorlab.storage import journal
from factorlab.storage.files import DamagedFile, reason_of
from factorlab.storage.record import Record, State


def trials_table(runs: Path, keys: Sequence[str]) -> pd.DataFrame:
    """Load trials, one row each.

    The columns are `key`, `state`, every setting under its dotted key, `samples_2d`,
    `samples_total` and `lattice_labels`, and the accuracies of the null models
    (`analysis.measures.null_models`). A finished trial also has every metric of its last
    evaluation, `seconds_<phase>`, `steps`, `parameters`, `device` and `weights_sha256`. Values
    that a trial does not have are NaN or None.

    A trial without a record is skipped. A trial with a damaged file has the state `damaged`, one
    with a file that cannot be read `unreadable`, and no other values.

    Args:
        runs: Folder of all records.
        keys: Keys of the trials, in the order of the rows.
    """
    rows = []
    for key in keys:
        record = Record(runs, key)
        row: dict[str, Any] = {"key": key}
        try:
            config, result = record.config(), record.result()
            row["state"] = record.state()
        except (DamagedFile, OSError) as error:
            rows.append(row | {"state": _unusable(error)})
            continue
        if config is None:
            continue
        row |= flatten(config["config"]) | _counts(config) | _nulls(config)
        if result is not None:
            row |= result["metrics"]
            row |= {f"seconds_{phase}": s for phase, s in result["seconds"].items()}
            row |= {k: result[k] for k in ("steps", "parameters", "device", "weights_sha256")}
        rows.append(row)
    return pd.DataFrame(rows)


def steps_table(runs: Path, settings: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """Load evaluations, one row per trial and step.

    The columns are:

    - `key`, `record` (folder of the trial), `state` and every setting under its dotted key,
    - `samples_2d`, `samples_total`, `lattice_labels`,
    - `null_nearest`, `null_composed` and their parts (`analysis.measures.null_models`),
    - `labels` and `labels_<part>`, the numbers of tested labels,
    - `step` and every metric of the evaluation,
    - `<layer>/<measure>` and `<layer>/phase` (phase of manifold formation) of each measured layer,
    - of two null models, `<layer>/null_image_<measure>`, on clean images at the layer's resolution,
      and `<layer>/null_untrained_<measure>`, on the network at step 0 that sees them,
    - `last`: whether this is the last evaluation of a finished trial.

    A trial without evaluations, or with a file that is damaged or cannot be read, has one row
    without a step.

    Args:
        runs: Folder of all records.
        settings: Maps the key of each trial to its nested settings.
    """
    rows: list[dict[str, Any]] = []
    for key, nested in settings.items():
        record = Record(runs, key)
        row: dict[str, Any] = {"key": key, "record": str(record.path), **flatten(nested)}
        row.pop("data.held_out", None)  # a plain key only if nothing is held out, else a group
        try:
            config, row["state"] = record.config(), record.state()
            whole = config is not None and row["state"] not in ("damaged", "unreadable")
            found = _evaluations(record) if whole else {}
        except (DamagedFile, OSError) as error:
            rows.append(row | {"state": _unusable(error), "last": False})
            continue
        row |= _counts(config) | _nulls(config) if config is not None else {}
        ends = max(found, default=None) if row["state"] == "done" else None
        for step, metrics in found.items():
            rows.append(row | {"step": step, "last": step == ends, **metrics})
        if not found:
            rows.append(row | {"last": False})
    return pd.DataFrame(rows)


def _unusable(error: DamagedFile | OSError) -> State:
    """Return the state of a trial whose files cannot be used."""
    reason_of(error)
    return "damaged" if isinstance(error, DamagedFile) else "unreadable"


def _counts(config: Mapping[str, Any]) -> dict[str, Any]:
    return {k: config[k] for k in ("samples_2d", "samples_total", "lattice_labels")}


def _nulls(config: Mapping[str, Any]) -> dict[str, float]:
    try:
        return null_accuracies(parse(config["config"]))
    except UserError:  # an earlier version wrote it, for example for a data family that is gone
        return {}


def _evaluations(record: Record) -> dict[int, dict[str, float | str]]:
    """Return the metrics of each evaluated step, with the measures of its representations."""
    metrics = {p.step: p.metrics for p in record.points()[0] if "accuracy" in p.metrics}
    found: dict[int, dict[str, float | str]] = {step: dict(m) for step, m in metrics.items()}
    for path in sorted(record.analysis.glob("*.jsonl")):
        layer = path.stem
        for point in journal.read(path)[0]:
            if point.step in found:
                found[point.step] |= {f"{layer}/{k}": v for k, v in point.metrics.items()}
                both = {**metrics[point.step], **point.metrics}
                found[point.step][f"{layer}/phase"] = phase(both)
    return found
