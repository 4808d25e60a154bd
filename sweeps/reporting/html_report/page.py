"""Gather the parts of the report, and render them as one page."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from functools import cache
from importlib import metadata, resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from factorlab.errors import UserError
from factorlab.storage.files import write_atomically
from sweeps.planning import command
from sweeps.planning.plan import Plan
from sweeps.reporting import reports, verdicts
from sweeps.reporting.failures import Failure, caught
from sweeps.reporting.html_report import origins
from sweeps.reporting.html_report.columns import columns_of, rounded
from sweeps.reporting.html_report.curves import curves_of
from sweeps.reporting.html_report.figures import figures_of
from sweeps.reporting.html_report.representations import views_of
from sweeps.reporting.html_report.runs import ReportedRun, read_runs
from sweeps.reporting.html_report.samples import pictures_of
from sweeps.reporting.html_report.searches import SearchTable, search_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

_TABLE = ("common.js", "filter.js", "details.js", "table.js")
"""Scripts of the table, which is there before the browser has read plotly."""

_CHARTS = ("charts.js", "parallel.js", "representations.js", "start.js")
"""Scripts of the charts."""


def write(
    plan: Plan,
    folder: Path,
    failed: list[Failure],
    *,
    output: Path | None = None,
    drawn: Sequence[Failure] | None = None,
    judged: verdicts.Verdicts | None = None,
) -> Path:
    """Write the HTML report of a sweep.

    It shows what the records have: of a half-finished sweep, of failed runs, and of an archive
    without weights and pictures. Parts with nothing to show are left out.

    Args:
        plan: Plan of the sweep.
        folder: Folder of all figures.
        failed: List to which failures of parts are appended, such as a figure or a finding.
        output: The file; by default ``<folder>/<experiment>/report-<profile>.html``.
        drawn: Failures of the figures, if all have just been drawn. By default, figures that are
            missing or older than a record are drawn first.
        judged: Verdicts on the findings, if they are known.

    Returns:
        Path of the file.

    Raises:
        UserError: The file cannot be written.
    """
    path = output or folder / plan.experiment / f"report-{plan.label}.html"
    content = _render(plan, folder, failed, drawn, judged)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, content.encode("utf-8", "replace"))
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror}") from None
    return path


def _render(
    plan: Plan,
    folder: Path,
    failed: list[Failure],
    drawn: Sequence[Failure] | None,
    judged: verdicts.Verdicts | None,
) -> str:
    """Return the text of the page."""
    import jinja2  # noqa: PLC0415 - few commands need it

    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_asset),
        autoescape=True,  # names, reasons and settings come from users' files
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    parts = _parts(plan, folder, failed, drawn, judged)
    scripts = ["\n".join(map(_asset, _TABLE)), _plotly(), "\n".join(map(_asset, _CHARTS))]
    return environment.get_template("page.html").render(
        **parts, style=_asset("style.css"), scripts=scripts, policy=_policy(scripts)
    )


def _parts(
    plan: Plan,
    folder: Path,
    failed: list[Failure],
    drawn: Sequence[Failure] | None,
    judged: verdicts.Verdicts | None,
) -> dict[str, Any]:
    """Return what the template shows."""
    runs = read_runs(plan)
    rows = reports.evaluations(plan)
    shown, problems = figures_of(plan, runs, folder, drawn)
    failed += problems
    results = [run.result for run in runs if run.result is not None]
    search: SearchTable | None = None
    with caught("report: search", failed):
        search = search_of(plan, runs)
    return {
        "plan": plan,
        "descriptions": command.descriptions(plan),
        "command": command.command_of(plan),
        "progress": reports.progress(results, len(runs)),
        "counts": _counts(runs),
        "axes": {key: _axis(values) for key, values in plan.values.items()},
        "times": origins.times_of(plan, runs),
        "origins": origins.origins_of(runs),
        "unfinished": [run for run in runs if run.reason is not None],
        "figures": shown,
        "folder": f"{folder.name}/{plan.experiment}",
        "search": search,
        "findings": _findings(verdicts.judged(plan, rows, failed) if judged is None else judged),
        "version": metadata.version("factorlab"),
        "written": origins.now(),
        **_data(plan, runs, rows),
    }


def _counts(runs: Sequence[ReportedRun]) -> dict[str, int]:
    """Return the number of runs in each state that occurs, in the order of `reports.STATES`."""
    states = [run.state for run in runs]
    return {state: states.count(state) for state in reports.STATES if state in states}


def _axis(values: object) -> str:
    """Return the values of an axis as a phrase."""
    return ", ".join(str(rounded(v)) for v in values) if isinstance(values, list) else str(values)


@dataclass(frozen=True)
class _Findings:
    """The findings of the experiment with their verdicts."""

    method: str
    found: verdicts.Verdicts
    papers: str
    """Number of findings of the papers by verdict, as a phrase."""

    ours: str
    """The same of our own readings and questions."""


def _findings(found: verdicts.Verdicts) -> _Findings | None:
    """Return the findings, None if the experiment has none or they could not be judged."""
    if not found:
        return None
    counts = verdicts.counts(found)
    method = verdicts.METHOD.format(
        shown="“shown”", not_shown="“not shown”", not_resolvable="“not resolvable”"
    )
    return _Findings(method, found, verdicts.tally(counts[False]), verdicts.tally(counts[True]))


def _data(plan: Plan, runs: Sequence[ReportedRun], rows: pd.DataFrame) -> dict[str, Any]:
    """Return what the scripts read, as JSON, and what the template says about it."""
    pictures, views = pictures_of(runs), views_of(runs)
    search = plan.search or plan.scheduler
    document = {
        "sweep": plan.sweep,
        "runs": len(runs),
        "axes": plan.axes,
        "metric": "accuracy" if search is None else search.metric,
        "columns": [column.plain() for column in columns_of(plan, runs, rows)],
        "curves": curves_of(runs, rows),
        "pictures": pictures.by_run,
        "reasons": [run.reason for run in runs],
        "views": views.plain(),
    }
    # In a script element, only "<" could end the data or begin a comment.
    text = json.dumps(document, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    return {"data": text, "pictures_left_out": pictures.left_out, "views": views}


@cache
def _asset(name: str) -> str:
    """Return the text of a file in `assets/`."""
    return (resources.files(__package__) / "assets" / name).read_text(encoding="utf-8")


@cache
def _plotly() -> str:
    """Return the script of plotly, which the package brings with it."""
    from plotly.offline import get_plotlyjs  # noqa: PLC0415 - few commands need it

    # The bundle is plain JavaScript; in HTML, these two sequences would end or hide it.
    return str(get_plotlyjs()).replace("</script", "<\\/script").replace("<!--", "<\\!--")


def _policy(scripts: Sequence[str]) -> str:
    """Return the content security policy: no network, and no script but those of the page.

    Plotly compiles the shaders' interfaces of some charts as functions, and sets styles inline.
    """
    digests = (hashlib.sha256(script.encode()).digest() for script in scripts)
    known = " ".join(f"'sha256-{base64.b64encode(one).decode()}'" for one in digests)
    return (
        f"default-src 'none'; script-src {known} 'unsafe-eval'; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )
