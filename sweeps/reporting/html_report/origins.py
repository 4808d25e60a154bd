"""Where the results come from: versions, devices and code of the runs, and when they ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from factorlab.formatting import duration
from factorlab.storage.files import reason_of
from sweeps.planning.plan import Plan
from sweeps.reporting.html_report.runs import ReportedRun, readable


@dataclass(frozen=True)
class Origin:
    """Code and machine that runs have in common."""

    runs: int
    """Number of runs."""

    device: str
    versions: str
    """Versions of Python and of libraries, as a phrase."""

    revision: str
    """Commit of the project, or `unknown`."""

    sources: str
    """Digest of the source files."""

    difference: str
    """Digest of the difference from the commit, empty if there is none."""

    restore: str
    """Commands that restore the code, or a sentence where it is."""


def origins_of(runs: Sequence[ReportedRun]) -> list[Origin]:
    """Return the different origins of the runs that trained, the most frequent first.

    A run that several versions of the code trained counts for the last one, and says so.
    """
    counts = Counter(filter(None, (_origin(run) for _, run in readable(runs))))
    return [
        Origin(count, *parts, restore=_restore(*parts[2:])) for parts, count in counts.most_common()
    ]


def _origin(run: ReportedRun) -> tuple[str, str, str, str, str] | None:
    """Return device, versions, revision, digest of the sources and of the difference."""
    result: dict[str, Any] = run.result or {}
    try:
        entries = result.get("code") or run.record.code()
    except OSError as error:
        reason_of(error)
        entries = []
    if not result and not entries:
        return None
    last = entries[-1] if entries else {}
    versions = last.get("versions") or result.get("versions") or {}
    others = len(entries) - 1
    more = f" (and {others} earlier versions of the code)" if others > 0 else ""
    return (
        str(result.get("device", "unknown")),
        ", ".join(f"{name} {version}" for name, version in versions.items()) + more,
        str(last.get("revision") or "unknown"),
        str(last.get("sources_sha256") or "unknown"),
        str(last.get("difference_sha256") or ""),
    )


def _restore(revision: str, sources: str, difference: str) -> str:
    """Return how to restore the code of a run; see docs/records.md."""
    if revision == "unknown":
        return "" if sources == "unknown" else f"unpack code/{sources}.zip of the runs folder"
    apply = f" && git apply code/{difference}.patch" if difference else ""
    return f"git checkout {revision}{apply}"


@dataclass(frozen=True)
class Times:
    """When a sweep ran and how long, as phrases; empty where that is unknown."""

    planned: str
    first: str
    last: str
    training: str
    """Sum over all runs."""

    typical: str
    """Shortest, median and longest run."""


def times_of(plan: Plan, runs: Sequence[ReportedRun]) -> Times:
    """Return when a sweep was planned and its runs ended, and how long they took."""
    ended = [float(run.result["finished"]) for run in runs if run.result is not None]
    seconds = sorted(run.seconds for run in runs if run.seconds is not None)
    spread = [seconds[0], seconds[len(seconds) // 2], seconds[-1]] if seconds else []
    return Times(
        _moment(plan.planned) if plan.planned else "",
        _moment(min(ended)) if ended else "",
        _moment(max(ended)) if ended else "",
        duration(sum(seconds)) if seconds else "",
        " / ".join(duration(value) for value in spread),
    )


def _moment(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC"


def now() -> str:
    """Return the current time as a phrase."""
    return f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
