"""The `factorlab` command line.

Results go to standard output, progress and messages to standard error. A user error prints one
sentence and exits with status 2.
"""

from __future__ import annotations

import atexit
import gc
import os
import signal
import sys
from importlib.metadata import version
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from factorlab.errors import INTERRUPTED, UserError, user_message
from factorlab.system import cache_folder
from sweeps.cli import mlflow_store, percolate, reading, training

COMMANDS = (
    training.sweep,
    training.reproduce,
    training.train,
    reading.status,
    reading.figures,
    reading.report,
    reading.illustrate,
    reading.analyse,
    reading.export,
    reading.compare,
    mlflow_store.sync,
    mlflow_store.ui,
)

app = typer.Typer(
    help="Sweeps of small diffusion models: how they learn to factorize and compose.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
for command in COMMANDS:
    app.command()(command)
app.add_typer(percolate.app, name="percolate")

# Typer exports no base class of its option errors; this expression finds it in every version.
_UsageError: type[Exception] = typer.BadParameter.__mro__[1]


def _print_version(asked: bool) -> None:
    """Print the version and exit."""
    if asked:
        typer.echo(f"factorlab {version('factorlab')}")
        raise typer.Exit


@app.callback()
def options(
    shown: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Sweeps of small diffusion models: how they learn to factorize and compose."""


def _terminated(_signal: int, frame: FrameType | None) -> None:
    """Handle SIGTERM like Ctrl-C, for which Ray Tune may have a handler, even if it is ignored."""
    handler = signal.getsignal(signal.SIGINT)
    if not callable(handler):
        raise KeyboardInterrupt
    handler(signal.SIGINT, frame)


def _check_working_folder() -> None:
    """Reject a numba configuration file in the working folder, which could change results.

    Raises:
        UserError: The file exists.
    """
    path = Path(".numba_config.yaml")
    if path.exists():
        raise UserError(
            f"{path}: numba reads this file from the working folder, and it can change results; "
            "remove it, or set NUMBA_... environment variables instead"
        )


def main() -> None:
    """Run the command line; the entry point of `factorlab`."""
    # Child processes must not import from the working folder.
    os.environ.setdefault("PYTHONSAFEPATH", "1")
    cache_folder.provide()
    atexit.register(gc.freeze)  # or Python looks for garbage in all modules, for over a second
    signal.signal(signal.SIGTERM, _terminated)
    try:
        _check_working_folder()
        code = app(sys.argv[1:] or ["--help"], standalone_mode=False)
    except UserError as error:
        typer.echo(f"factorlab: {error}", err=True)
        sys.exit(2)
    except _UsageError as error:
        message = getattr(error, "format_message", error.__str__)().rstrip(".")
        typer.echo(f"factorlab: {message} (see factorlab --help)", err=True)
        sys.exit(2)
    except OSError as error:
        reason = user_message(error)
        if reason is None:
            raise
        typer.echo(f"factorlab: {reason}", err=True)
        sys.exit(2)
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    if code == INTERRUPTED:  # Typer returns this after Ctrl-C, without a message
        typer.echo("factorlab: interrupted", err=True)
    sys.exit(code if isinstance(code, int) else 0)


if __name__ == "__main__":
    main()
