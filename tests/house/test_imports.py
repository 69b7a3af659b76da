"""Who may import whom: every import of the package is read (also those inside functions) and held to the layers.

A module may import its own layer and any layer below. In the layer of methods the rooms are siblings: none imports
another, except that games play objectives. A new room takes its place here and in docs/architecture.md.
"""

from __future__ import annotations

import ast
import graphlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "evenscore"
LAYERS = (
    ("__main__",),
    ("__init__", "cli", "commands"),
    (
        "balancing",
        "checkpoint",
        "checks",
        "citations",
        "comparison",
        "configuration",
        "distill",
        "distilled",
        "downstream",
        "evaluation",
        "features",
        "inspection",
        "learning_curve",
        "recipes",
        "report",
        "run",
        "lock",
        "sampling",
        "shards",
        "sklearn",
        "training",
        "vectors",
        "writing",
    ),
    ("data", "games", "guidance", "likelihood", "metrics", "objectives", "restore", "solvers", "tables"),
    ("denoisers",),
    ("confined", "kernel", "labels", "networks", "pieces", "prediction", "process", "reading", "records"),
    ("placement",),
    ("ranks",),
    ("cores", "errors", "random"),
)
SIBLINGS = LAYERS[3]
ALLOWED_BETWEEN_SIBLINGS = {("games", "objectives")}
LEVEL = {room: level for level, rooms in enumerate(LAYERS) for room in rooms}
MODULES = sorted(PACKAGE.rglob("*.py"))


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 2 else parts)


def imported(tree: ast.AST) -> Iterator[str]:
    """Dotted names that the import statements under ``tree`` bring in; ``from a import b`` gives a.b."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: imports are written in full, not relative"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room(dotted: str) -> str:
    """The room of a dotted name inside the package: evenscore.data.pixels lies in data."""
    return dotted.split(".")[1]


def violations(source: str, importer: str) -> list[str]:
    """Imports in ``source`` that go up, or across to a sibling."""
    here, wrong = room(importer), []
    for name in imported(ast.parse(source)):
        if not name.startswith("evenscore."):
            continue
        there = room(name) if room(name) in LEVEL else "__init__"
        sideways = here in SIBLINGS and there in SIBLINGS and here != there
        if LEVEL[there] < LEVEL[here] or (sideways and (here, there) not in ALLOWED_BETWEEN_SIBLINGS):
            wrong.append(f"{importer} imports {name}")
    return wrong


def test_every_room_has_a_layer() -> None:
    rooms = {room(module_name(path)) for path in MODULES}
    assert rooms <= set(LEVEL), f"without a layer: {sorted(rooms - set(LEVEL))}"


def test_every_room_stands_in_the_architecture() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rooms = {room(module_name(path)) for path in MODULES}
    assert [name for name in sorted(rooms) if f"{name}.py" not in text and f"{name}/" not in text] == []


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_imports_go_one_way(path: Path) -> None:
    assert violations(path.read_text(encoding="utf-8"), module_name(path)) == []


@pytest.mark.parametrize(
    ("importer", "line", "allowed"),
    [
        ("evenscore.training.loop", "from evenscore.data.loader import Loader", True),
        ("evenscore.games.mutual", "from evenscore.objectives.base import Objective", True),
        ("evenscore.objectives.cbdm", "from evenscore.games.base import Game", False),
        ("evenscore.solvers.heun", "from evenscore.guidance.classifier_free import ClassifierFree", False),
        ("evenscore.solvers.heun", "from evenscore.solvers.base import Solver", True),
        ("evenscore.labels", "from evenscore.data import loader", False),
        ("evenscore.errors", "from evenscore import labels", False),
        ("evenscore.random", "def f():\n    import evenscore.training", False),
        ("evenscore.data.pixels", "from evenscore import sample_images", False),
        ("evenscore.cli", "import torch\nfrom evenscore.random import generator", True),
    ],
)
def test_the_rule_itself(importer: str, line: str, allowed: bool) -> None:
    assert (violations(line, importer) == []) is allowed


def test_modules_do_not_import_each_other_in_a_circle() -> None:
    names = {module_name(path) for path in MODULES}
    graph: dict[str, set[str]] = {}
    for path in MODULES:
        body = ast.parse(path.read_text(encoding="utf-8")).body
        top = ast.Module([node for node in body if isinstance(node, ast.Import | ast.ImportFrom)], [])
        found = {name if name in names else name.rpartition(".")[0] for name in imported(top)}
        graph[module_name(path)] = (found & names) - {module_name(path)}
    assert list(graphlib.TopologicalSorter(graph).static_order())


@pytest.mark.parametrize("name", LAYERS[-1])
def test_the_ground_floor_needs_only_torch_and_numpy(name: str) -> None:
    tree = ast.parse((PACKAGE / f"{name}.py").read_text(encoding="utf-8"))
    foreign = {dotted.split(".")[0] for dotted in imported(tree)} - set(sys.stdlib_module_names)
    assert foreign <= {"torch", "numpy"}


def test_torchvision_and_pickle_are_imported_nowhere() -> None:
    roots = {name.split(".")[0] for path in MODULES for name in imported(ast.parse(path.read_text(encoding="utf-8")))}
    assert roots.isdisjoint({"torchvision", "pickle", "cloudpickle", "dill"})
    assert "torch" in roots
