"""Reference pages of the documentation, made from the code.

`python docs/reference.py` writes those that the repository holds; a test compares them with the
code. MkDocs calls `on_files`.
"""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import typer
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from pydantic import BaseModel

import factorlab.api as fl
from factorlab.config import RunSettings
from sweeps.cli.main import app
from sweeps.planning.experiment import ExperimentFile
from sweeps.planning.search.curves import ThresholdOptions

Schema = dict[str, Any]
"""JSON schema of a group of settings or of a field."""

EXPERIMENT: tuple[tuple[type[BaseModel], str], ...] = (
    (ExperimentFile, ""),
    (ThresholdOptions, "search.threshold"),
)
"""Parts of an experiment file, and where they stand."""

_TYPES = {
    "integer": "integer",
    "number": "number",
    "boolean": "`true` or `false`",
    "string": "text",
    "null": "`null`",
    "object": "mapping",
}
_BOUNDS = {
    "minimum": "≥",
    "exclusiveMinimum": ">",
    "maximum": "≤",
    "exclusiveMaximum": "<",
}
_GROUP = re.compile(r'"#/\$defs/(\w+)"')

API = (
    *("load", "run", "open_run", "samples", "read_labels", "sweep", "compare"),
    *("crossings", "exponents", "predictions", "percolation", "plot"),
    *("Run", "Samples", "Comparison"),
)
assert set(API) == set(fl.__all__)


def fields(model: type[BaseModel], place: str) -> str:
    """Return a section for a group of settings, and for the groups in it that have no place yet.

    Args:
        model: The group.
        place: Dotted key of the group; empty for that of all.
    """
    schema = model.model_json_schema()
    return "\n".join(_sections(schema, schema.get("$defs", {}), place, {}))


def _sections(
    group: Schema, known: Mapping[str, Schema], place: str, places: dict[str, str]
) -> Iterator[str]:
    """Yield the section of a group, and those of the groups in it that have none yet.

    Args:
        group: The group.
        known: All groups by name.
        place: Its dotted key.
        places: Dotted keys of the groups that have a section, by name; those in it are added.
    """
    if place:
        yield f"## {place}\n\n{_line(group.get('description', ''), sep=chr(10))}\n"
    rows = ["| key | value | default | meaning |", "|---|---|---|---|"]
    inner = {}
    for name, field in group["properties"].items():
        key = f"{place}.{name}" if place else name
        found = _GROUP.search(json.dumps(field))
        if found and found[1] not in places:
            inside = f"{key}.NAME" if field.get("type") == "object" else key
            places[found[1]] = inside
            inner[inside] = known[found[1]]
        meaning = _line(field.get("description", ""))
        rows.append(f"| `{key}` | {_value(field, places)} | {_default(name, group)} | {meaning} |")
    yield "\n".join(rows) + "\n"
    for key, one in inner.items():
        yield from _sections(one, known, key, places)


def _default(name: str, group: Schema) -> str:
    """Return the default of a field."""
    field = group["properties"][name]
    if name in group.get("required", ()):
        return "required"
    if "$ref" in field:
        return "see there"
    return f"`{json.dumps(field['default'])}`" if "default" in field else "empty"


def _value(field: Schema, places: Mapping[str, str], plural: str = "") -> str:
    """Return which values a field may have; the "s" of a plural stands for those of a list."""
    inside = field.get("additionalProperties")
    if "anyOf" in field:
        text = " or ".join(_value(one, places, plural) for one in field["anyOf"])
    elif "enum" in field or "const" in field:
        text = ", ".join(f"`{one}`" for one in field.get("enum", [field.get("const")]))
    elif "$ref" in field:
        place = places[field["$ref"].removeprefix("#/$defs/")]
        text = f"[group{plural}](#{place.replace('.', '').lower()})"
    elif "prefixItems" in field:
        text = f"pair of {_value(field['prefixItems'][0], places, 's')}"
    elif field.get("type") == "array":
        text = f"list of {_value(field.get('items', {}), places, 's')}"
    elif isinstance(inside, dict) and "$ref" in inside:
        text = f"mapping of {_value(inside, places, 's')}"
    else:
        name = _TYPES.get(field.get("type", ""), "value")
        bounds = [f"{sign} {_number(field[key])}" for key, sign in _BOUNDS.items() if key in field]
        text = f"{name}{'' if name.endswith('`') else plural} {', '.join(bounds)}".strip()
    return text


def _number(bound: float) -> str:
    return "2^63" if bound == 2**63 else f"{bound:,}" if isinstance(bound, int) else f"{bound:g}"


def _line(text: str, sep: str = " ") -> str:
    """Return a docstring for a table: in one line, with Markdown's own marks for code."""
    return text.replace("``", "`").replace("|", "\\|").replace("\n", sep)


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
they have a dotted key: `data.size`. What is missing takes its default. Lengths are in pixels. [F]
and [W] are [the papers](../results/index.md).

"""

EXPERIMENT_HEAD = """# Experiment files

[Experiments](../experiments.md) explains them with examples.

"""

API_HEAD = """# Python API

`import factorlab.api as fl`. [Scripting](../api.md) has examples.

"""


def pages() -> dict[str, str]:
    """Return the pages that the repository holds, by name, in Markdown."""
    return {
        "settings": SETTINGS_HEAD + fields(RunSettings, ""),
        "experiment-files": EXPERIMENT_HEAD + "\n".join(fields(*part) for part in EXPERIMENT),
    }


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that the repository does not hold."""
    made = {
        "commands": COMMANDS_HEAD + command(["factorlab"], typer.main.get_command(app)),
        "api": API_HEAD + "\n\n".join(f"::: factorlab.api.{name}" for name in API),
    }
    for name, text in made.items():
        files.append(File.generated(config, f"reference/{name}.md", content=text))
    return files


if __name__ == "__main__":
    for page, content in pages().items():
        (Path(__file__).parent / "reference" / f"{page}.md").write_text(content, "utf-8")
