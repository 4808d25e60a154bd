"""Commands for the MLflow store: `factorlab sync` and `ui`."""

from __future__ import annotations

from typing import Annotated

import typer

from sweeps.cli.options import DEFAULT_RUNS, ExistingRuns, console, open_store


def sync(runs: ExistingRuns = DEFAULT_RUNS) -> None:
    """Bring the MLflow runs of all sweeps up to date with the records."""
    from sweeps.tracking import sync_command  # noqa: PLC0415

    sync_command.check_folder(runs)
    open_store(runs)
    total, problems = sync_command.synchronise(runs, console)
    typer.echo(str(total))
    raise typer.Exit(1 if problems else 0)


def ui(
    port: Annotated[
        int, typer.Option("--port", min=1, max=65535, help="Port to listen on.")
    ] = 5000,
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    open_browser: Annotated[
        bool, typer.Option("--open", help="Open the page in the browser.")
    ] = False,
    runs: ExistingRuns = DEFAULT_RUNS,
) -> None:
    """Serve the MLflow UI for the runs, by default only on this machine."""
    from sweeps.tracking.store.server import serve  # noqa: PLC0415

    serve(runs, host, port, console, open_browser=open_browser)
