"""The architecture: allowed imports, no circles, and a page of documentation that shows both."""

import ast
import re
import sys
from collections import defaultdict
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("factorlab", "percolation", "analysis", "sweeps")
ALLOWED = {
    "factorlab": set(),
    "percolation": set(),
    "analysis": {"factorlab", "percolation"},
    "sweeps": {"factorlab", "percolation", "analysis"},
    "api": {"factorlab", "percolation", "analysis", "sweeps"},
}
LIBRARIES = {
    "factorlab": "cv2 llvmlite numba numpy pydantic pydantic_core safetensors torch",
    "percolation": "llvmlite networkx numba numpy psutil scipy",
    "analysis": "matplotlib numpy pandas persim pydantic ripser scipy sklearn torch umap",
    "sweeps": "cv2 jinja2 mlflow numpy pandas plotly pyarrow pydantic ray rich sqlalchemy torch "
    "typer yaml",
    "api": "matplotlib numpy pandas pydantic rich",
}
"""Libraries that a package may import besides the standard library."""

API = "factorlab.api"
"""The public Python face: the one place inside a package that may see all of them."""

LONGEST = 350
LONG = {
    "factorlab/model/attention_kernels.py": "numba keeps machine code by the date of one file",
}
MOST_FILES = 12
FULL = {
    "percolation": "one flat package of small modules, all public names in its __init__",
    "analysis/findings": "one file per experiment",
    "analysis/figures/sweep": "one file per figure",
    "tests/benchmarks": "one file per benchmark",
}


def modules(package):
    """Modules of a package by dotted name."""
    found = {}
    for path in sorted((ROOT / package).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def package_of(module):
    """The package that a module of the project counts to: `api` for the Python face."""
    return "api" if f"{module}.".startswith(f"{API}.") else module.partition(".")[0]


OURS = {name: path for package in PACKAGES for name, path in modules(package).items()}


def imports(path):
    """Modules that a file imports anywhere, deferred and for types alone included."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            assert node.module is not None
            full = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in OURS else node.module for name in full}
    return found


IMPORTS = {name: imports(path) for name, path in OURS.items()}


def at_import(path):
    """Modules that a file imports as it is imported: outside of functions, and not for types."""
    found = set()
    nodes = [*ast.parse(path.read_text(encoding="utf-8")).body]
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            nodes += node.orelse
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            nodes += ast.iter_child_nodes(node)
    return found


def folder_of(module, package):
    """The folder of a package that a module lies in; None for those beside the folders."""
    parts = module.split(".")
    there = parts[0] == package and len(parts) > 1 and (ROOT / package / parts[1]).is_dir()
    return parts[1] if there else None


def diagrams():
    """The arrows of each diagram of the page, by the heading above it."""
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    found = {}
    for heading, body in re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", page, re.S | re.M):
        for diagram in re.findall(r"```mermaid\n(.*?)```", body, re.S):
            found[heading] = set(re.findall(r"^\s+(\w+) --> (\w+)$", diagram, re.M))
    return found


@pytest.mark.parametrize("package", [*PACKAGES, "api"])
def test_a_package_imports_only_what_it_may(package):
    own = [name for name in OURS if package_of(name) == package]
    assert own
    for name in own:
        roots = {package_of(module) for module in IMPORTS[name]}
        assert roots & {*PACKAGES, "api"} <= ALLOWED[package] | {package}, name
        foreign = roots - {*PACKAGES, "api"} - sys.stdlib_module_names - {"__future__"}
        assert foreign <= set(LIBRARIES[package].split()), name


def test_imports_at_import_are_told_from_deferred_ones(tmp_path):
    path = tmp_path / "module.py"
    path.write_text(
        "import a\nfrom b import c\n"
        "if TYPE_CHECKING:\n    import d\nelse:\n    import e\n"
        "class K:\n    import f\n    def g(self):\n        import h\n"
        "try:\n    import i\nexcept ImportError:\n    pass\n"
    )
    assert at_import(path) == {"a", "b.c", "e", "f", "i"}


def test_the_python_face_defers_all_imports_of_packages_and_libraries():
    for name, path in OURS.items():
        if package_of(name) == "api":
            found = {m for m in at_import(path) if package_of(m) != "api"}
            assert {m.partition(".")[0] for m in found} <= sys.stdlib_module_names, name


def test_no_module_imports_itself_through_others():
    graph = {name: {m for m in found if m in OURS and m != name} for name, found in IMPORTS.items()}
    # A circle raises CycleError, which names it.
    assert set(TopologicalSorter(graph).static_order()) == set(OURS)


@pytest.mark.parametrize("package", ["factorlab", "analysis", "sweeps"])
def test_the_page_shows_how_the_folders_of_a_package_depend(package):
    edges = set()
    for name in modules(package):
        if package_of(name) == "api":  # it stands among the packages
            continue
        own = folder_of(name, package)
        others = {folder_of(module, package) for module in IMPORTS[name]}
        edges |= {(own, other) for other in others if own and other and other != own}
    assert diagrams()[f"Inside `{package}`"] == edges
    graph = defaultdict(set)
    for own, other in edges:
        graph[own].add(other)
    TopologicalSorter(graph).prepare()


def test_the_page_shows_how_the_packages_depend():
    edges = {
        (package_of(name), root)
        for name in OURS
        for root in map(package_of, IMPORTS[name])
        if root in {*PACKAGES, "api"} and root != package_of(name)
    }
    assert diagrams()["Packages"] == edges


def test_files_and_functions_that_the_page_names_exist():
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    for path in re.findall(r"`((?:factorlab|analysis|sweeps|tests)/[\w/.]+)`", page):
        assert (ROOT / path).exists(), path
    for name, path in re.findall(r"`(\w+)` in `([\w/]+\.py)`", page):
        assert re.search(rf"def {name}\b", (ROOT / path).read_text(encoding="utf-8")), name


@pytest.mark.parametrize("top", [*PACKAGES, "tests"])
def test_files_and_folders_are_short(top):
    for path in (ROOT / top).rglob("*.py"):
        name = path.relative_to(ROOT).as_posix()
        lines = len(path.read_text(encoding="utf-8").splitlines())
        assert (lines > LONGEST) == (name in LONG), f"{name}: {lines} lines"
    for folder in [ROOT / top, *(path for path in (ROOT / top).rglob("*") if path.is_dir())]:
        name = folder.relative_to(ROOT).as_posix()
        count = len(list(folder.glob("*.py")))
        assert (count > MOST_FILES) == (name in FULL), f"{name}: {count} files"
