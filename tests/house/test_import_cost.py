"""What an import costs: help comes without torch, and torchvision comes with nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
IMPORT_EVERYTHING = """
import importlib, json, pkgutil, sys
import evenscore
names = [m.name for m in pkgutil.walk_packages(evenscore.__path__, "evenscore.") if not m.name.endswith("__main__")]
for name in names:
    importlib.import_module(name)
print(json.dumps({"imported": names, "roots": sorted({name.split(".")[0] for name in sys.modules})}))
"""


def python(*words: str) -> subprocess.CompletedProcess[str]:
    """Run the interpreter in the repository root."""
    env = {**os.environ, "NO_COLOR": "1", "OMP_NUM_THREADS": "1"}
    return subprocess.run([sys.executable, *words], cwd=ROOT, env=env, capture_output=True, text=True, timeout=120)


def imported_roots(importtime: str) -> set[str]:
    """Top-level names in what ``-X importtime`` writes: ``import time: self | cumulative | name``."""
    lines = [line for line in importtime.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip().split(".")[0] for line in lines}


@pytest.mark.parametrize("words", [["--help"], ["train", "--help"], ["balance", "--help"]], ids=" ".join)
def test_help_imports_neither_torch_nor_diffusers(words: list[str]) -> None:
    done = python("-X", "importtime", "-m", "evenscore", *words)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "usage" in done.stdout.lower()
    roots = imported_roots(done.stderr)
    assert "typer" in roots
    assert roots.isdisjoint({"torch", "diffusers", "accelerate", "sklearn", "torchvision"})


def test_no_module_of_the_package_brings_torchvision() -> None:
    done = python("-c", IMPORT_EVERYTHING)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    assert "evenscore.errors" in found["imported"]
    assert "torch" in found["roots"]
    assert "torchvision" not in found["roots"]


def closure(wanted: Iterable[Requirement]) -> set[str]:
    """Names of the distributions that ``wanted`` brings on this machine, directly or through another."""
    queue, seen = list(wanted), set[tuple[str, frozenset[str]]]()
    while queue:
        item = queue.pop()
        key = (canonicalize_name(item.name), frozenset(item.extras))
        if key in seen:
            continue
        seen.add(key)
        try:
            children = [Requirement(text) for text in requires(item.name) or []]
        except PackageNotFoundError:
            continue
        extras = item.extras or {""}
        queue += [c for c in children if c.marker is None or any(c.marker.evaluate({"extra": e}) for e in extras)]
    return {name for name, _ in seen}


def test_no_dependency_requires_torchvision() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    texts = [*project["dependencies"], *(text for extra in project["optional-dependencies"].values() for text in extra)]
    names = closure(Requirement(text) for text in texts)
    assert {"torch", "huggingface-hub", "scipy"} <= names
    assert "torchvision" not in names


def test_torch_has_no_upper_bound() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (torch,) = [r for r in map(Requirement, project["dependencies"]) if r.name == "torch"]
    assert str(torch.specifier) == ">=2.5"
