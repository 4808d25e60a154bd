"""The command line: `factorlab`.

Results go to standard output, progress and messages to standard error. A user's mistake is one
sentence and exit status 2.
"""

from __future__ import annotations

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
    reading.illustrate,
    reading.analyse,
    reading.export,
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

# Typer names no public base of its complaints about options; this is it, in every version.
_UsageError: type[Exception] = typer.BadParameter.__mro__[1]


def _print_version(asked: bool) -> None:
    """Print the version and end."""
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


def _terminated(_signal: int, _frame: FrameType | None) -> None:
    """Treat a polite request to end like Ctrl-C."""
    raise KeyboardInterrupt


def _check_working_folder() -> None:
    """Refuse a file by which numba compiles other kernels, depending on where one stands.

    Raises:
        UserError: there is one.
    """
    path = Path(".numba_config.yaml")
    if path.exists():
        raise UserError(
            f"{path}: numba reads it from the working folder, and it can change results; remove it "
            "or set the same as NUMBA_... variables of the environment"
        )


def main() -> None:
    """Run the command line; the entry point of `factorlab`."""
    os.environ.setdefault("PYTHONSAFEPATH", "1")  # no child imports from the working folder
    cache_folder.provide()
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
    if code == INTERRUPTED:  # Typer makes this of a Ctrl-C in a command, and says nothing
        typer.echo("factorlab: interrupted", err=True)
    sys.exit(code if isinstance(code, int) else 0)


if __name__ == "__main__":
    main()
