"""Reference pages of the documentation, made from the code. MkDocs calls `on_files`."""

import importlib
from collections.abc import Iterable
from typing import Any

import typer
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

import factorlab.api as fl
from sweeps.cli.main import app

SETTINGS = (
    "factorlab.config.run.RunSettings",
    "factorlab.config.data.DataSettings",
    "factorlab.config.data.HeldOut",
    "factorlab.config.data.Gap",
    "factorlab.config.data.Arrangement",
    "factorlab.config.run.ModelSettings",
    "factorlab.config.run.DiffusionSettings",
    "factorlab.config.run.TrainingSettings",
    "factorlab.config.run.EvaluationSettings",
    "factorlab.config.run.RepresentationSettings",
)
"""Groups of the settings of a run."""

EXPERIMENT = (
    "sweeps.planning.experiment.ExperimentFile",
    "sweeps.planning.experiment.Profile",
    "sweeps.planning.experiment.FigureEntry",
    "sweeps.planning.experiment.Resources",
    "sweeps.planning.search.spec.SearchSpec",
    "sweeps.planning.search.curves.ThresholdOptions",
    "sweeps.planning.search.spec.SchedulerSpec",
)
"""Parts of an experiment file."""


API = (
    *("load", "run", "open_run", "samples", "read_labels", "sweep", "compare"),
    *("crossings", "exponents", "predictions", "percolation", "plot"),
    *("Run", "Samples", "Comparison"),
)
assert set(API) == set(fl.__all__)


def directives(names: Iterable[str]) -> str:
    """Return the lines that have mkdocstrings document these names."""
    return "\n\n".join(f"::: {name}{_inherited(name)}" for name in names)


def _inherited(name: str) -> str:
    """Return the option that documents inherited fields of settings, if there are some."""
    module, _, kind = name.rpartition(".")
    found = getattr(importlib.import_module(module), kind)
    fields = getattr(found, "model_fields", {})
    inherited = [field for field in fields if field not in found.__annotations__]
    return f"\n    options: {{inherited_members: {inherited}}}" if inherited else ""


def command(path: list[str], node: Any) -> str:  # noqa: ANN401 - Typer has a click of its own
    """Return the section of a command, or of the commands of a group."""
    if hasattr(node, "commands"):
        return "\n".join(command([*path, name], sub) for name, sub in node.commands.items())
    context = typer.Context(node, info_name=" ".join(path))
    rows = []
    for parameter in node.get_params(context):
        names, text = parameter.get_help_record(context) or (parameter.name, "")
        if "--help" not in parameter.opts:
            rows.append(f"| `{names}` | {text} |".replace("\n", " "))
    table = ["| argument or option | meaning |", "|---|---|", *rows] if rows else []
    usage = " ".join([*path, *node.collect_usage_pieces(context)])
    parts = [f"## {' '.join(path[1:])}", node.help or "", f"```\n{usage}\n```", "\n".join(table)]
    return "\n\n".join(parts) + "\n"


COMMANDS_HEAD = """# Command line

Results go to standard output, messages to standard error.

Exit status:

- 0: all is done.
- 1: a part failed or is missing: runs that failed, were given up, or whose files could not be read
  or written; a figure, a finding, the measures or MLflow. The last lines name it.
- 2: a mistake in the command, a file or the environment. One sentence says what is allowed, and
  nothing was changed.
- 130: Ctrl-C or SIGTERM. The same command goes on.

"""

SETTINGS_HEAD = """# Settings of a run

In an experiment file they stand under `base`, in groups: `data: {size: 8}`. As an axis or an option
they have a dotted key: `data.size`. What is missing takes its default. Lengths are in pixels.

"""

EXPERIMENT_HEAD = """# Experiment files

[Experiments](../experiments.md) explains them with examples.

"""

API_HEAD = """# Python API

`import factorlab.api as fl`. [Scripting](../api.md) has examples.

"""


def pages() -> dict[str, str]:
    """Return the pages by name, in Markdown."""
    return {
        "commands": COMMANDS_HEAD + command(["factorlab"], typer.main.get_command(app)),
        "settings": SETTINGS_HEAD + directives(SETTINGS),
        "experiment-files": EXPERIMENT_HEAD + directives(EXPERIMENT),
        "api": API_HEAD + directives(f"factorlab.api.{name}" for name in API),
    }


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages to the site."""
    for name, text in pages().items():
        files.append(File.generated(config, f"reference/{name}.md", content=text))
    return files
