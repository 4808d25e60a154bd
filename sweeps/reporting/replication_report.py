"""The replication report: a page that compares the papers' findings with measured results."""

from __future__ import annotations

import os
import platform
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from factorlab.errors import UserError
from factorlab.formatting import listed
from factorlab.storage.files import DamagedFile, reason_of, write_atomically
from sweeps.planning.experiment import Experiment
from sweeps.planning.plan import Plan
from sweeps.planning.saved_plans import saved
from sweeps.reporting import reports, verdicts
from sweeps.reporting.failures import Failure, caught

if TYPE_CHECKING:
    from analysis.findings import Claim, Outcome


def check(chosen: Sequence[Experiment]) -> None:
    """Reject experiments without findings, before training starts.

    Raises:
        UserError: An experiment has no findings.
    """
    from analysis import findings  # noqa: PLC0415 - pandas and scipy cost a second

    for experiment in chosen:
        if experiment.name not in findings.available():
            raise UserError(
                f"{experiment.source}: there are no findings for '{experiment.name}'; allowed: "
                f"{listed(findings.available())}"
            )


def available() -> list[str]:
    """Return the names of all experiments that have findings."""
    from analysis import findings  # noqa: PLC0415

    return findings.available()


def write(runs: Path, folder: Path, profile: str, failed: list[Failure]) -> Path:
    """Judge the findings of all sweeps of a profile and write ``<folder>/findings-<profile>.md``.

    An exception in one finding does not affect the others.

    Args:
        runs: Folder of all records. Unfinished sweeps are included, sweeps with overrides are not.
        folder: Folder of all figures, to which the page links.
        profile: Profile of the experiments.
        failed: List to which failures of findings are appended.

    Returns:
        Path of the page.

    Raises:
        UserError: The page cannot be written.
    """
    from analysis import findings  # noqa: PLC0415

    plans = {plan.sweep: plan for plan in saved(runs)}
    begun = [f"{name}_{profile}" for name in findings.available()]
    counts: dict[bool, Counter[str]] = {False: Counter(), True: Counter()}
    sections = [_judged(plans[sweep], folder, counts, failed) for sweep in begun if sweep in plans]
    lines = [
        f"# The papers' findings, profile `{profile}`",
        "",
        f"`factorlab reproduce --profile {profile}`, written {datetime.now(UTC):%Y-%m-%d} on "
        f"{platform.machine()} with {os.cpu_count()} cores, Python {platform.python_version()}. "
        "[F]: arXiv 2408.13256, [W]: arXiv 2402.03305.",
        "",
        verdicts.METHOD.format(
            shown="*shown*", not_shown="*not shown*", not_resolvable="*not resolvable*"
        ),
        "",
        f"Stated by the papers: {verdicts.tally(counts[False])}. Our own readings and questions: "
        f"{verdicts.tally(counts[True])}.",
    ]
    for section in sections:
        lines += ["", *section]
    path = folder / f"findings-{profile}.md"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(path, ("\n".join(lines) + "\n").encode())
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror}") from None
    return path


def _judged(
    plan: Plan, folder: Path, counts: dict[bool, Counter[str]], failed: list[Failure]
) -> list[str]:
    """Return the section of one experiment. Updates the counts of verdicts and the failures."""
    lines = [
        f"## {plan.experiment}",
        "",
        "Not judged because of an error; see the command's output.",
    ]
    with caught(f"{plan.sweep}: findings", failed):
        found = verdicts.judged(plan, reports.evaluations(plan), failed)
        if found:
            lines = _section(plan, found, folder)
            for ours, tally in verdicts.counts(found).items():
                counts[ours] += tally
    return lines


def _section(plan: Plan, found: Sequence[tuple[Claim, Outcome]], folder: Path) -> list[str]:
    """Return the section of one experiment: its progress, findings and figures."""
    experiment = plan.experiment
    lines = [f"## {experiment}", "", _state(plan), ""]
    lines += ["| finding | source | here | measured | counts as shown | null model |"]
    lines += ["|---|---|---|---|---|---|"]
    for claim, outcome in found:
        here = f"**{outcome.verdict}**"
        cells = (claim.text, claim.source, here, outcome.numbers, claim.rule, claim.null)
        lines.append(f"| {' | '.join(map(_escaped, cells))} |")
    for entry in plan.figures:
        name = f"{experiment}/{entry.name}-{plan.label}.png"
        if (folder / name).exists():
            lines += ["", f"![{experiment}: {entry.name}]({name})"]
    return lines


def _escaped(cell: str) -> str:
    """Escape pipes, which would end a table cell."""
    return cell.replace("|", r"\|")


def _state(plan: Plan) -> str:
    """Return the progress, devices and training time of a sweep in one sentence."""
    results: list[dict[str, Any]] = []
    for _, record in plan.records():
        try:
            result = record.result()
        except (DamagedFile, OSError) as error:
            reason_of(error)
            continue
        if result is not None:
            results.append(result)
    return reports.progress(results, len(plan.keys))
