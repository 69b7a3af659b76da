"""Commands that are killed and given again: starting and killing them, and telling whether anything was lost.

Law: two runs are equal when every tensor of their last checkpoints is, bit for bit, and their logs are, but for seconds; two
folders are equal when every file is, byte for byte, but for the times that stand in it.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import yaml

from evenscore.checkpoint import PARTIAL, complete, load_checkpoint, pointed, read_checkpoint
from evenscore.errors import EvenscoreError
from evenscore.run import Run

TIMES = re.compile(rb"\d{4}-\d\d-\d\d \d\d:\d\d( UTC)?|\"(seconds|created)\": [^,}]*")
TIMED = {"comparison.json": ("timing",), "measured.json": ("seconds", "costs")}
"""What of a comparison's files depends on the clock."""


def surroundings() -> dict[str, str]:
    """Variables of a process that has one thread and imports this copy of evenscore."""
    root = str(Path(__file__).resolve().parents[1])
    return {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "PYTHONPATH": root}


def start(arguments: Sequence[str], folder: Path) -> subprocess.Popen[str]:
    """Begin ``evenscore`` with these arguments in a folder, with one thread; what it says is kept."""
    command = [sys.executable, "-m", "evenscore", *arguments]
    return subprocess.Popen(
        command, cwd=folder, env=surroundings(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )


def finish(arguments: Sequence[str], folder: Path) -> None:
    """Run a command to its end.

    Raises:
        RuntimeError: it fails.
    """
    process = start(arguments, folder)
    err = process.communicate()[1]
    if process.returncode != 0:
        raise RuntimeError(f"evenscore {arguments[0]} ended with exit code {process.returncode}: {err[-500:]}")


def last_step(run: Path) -> int:
    """Step of the newest checkpoint of a run; 0 where there is none."""
    names = complete(run / "checkpoints")
    return int(names[-1].removeprefix("step-")) if names else 0


def same_tensors(one: Path, other: Path) -> tuple[int, int, int]:
    """Tensors of the last checkpoints of two runs: those of the one, those of the other, and those that are identical."""
    a, b = (load_checkpoint(path / "checkpoints").tensors for path in (one, other))
    return len(a), len(b), sum(key in b and torch.equal(a[key], b[key]) for key in a)


def differences_of_runs(one: Path, other: Path) -> list[str]:
    """What differs between two runs that should be equal, in words."""
    found = []
    tensors = same_tensors(one, other)
    if len(set(tensors)) > 1:
        found.append(f"{tensors[2]} of {tensors[:2]} tensors are identical")
    if pointed(one / "checkpoints", "last") != pointed(other / "checkpoints", "last"):
        found.append("the last checkpoints are of different steps")
    if _losses(one) != _losses(other):
        found.append("the logs differ")
    if Run.open(one).config != Run.open(other).config or Run.open(one).card != Run.open(other).card:
        found.append("the configurations differ")
    return found


def _losses(run: Path) -> list[dict[str, Any]]:
    """What the log says of losses, but for the seconds; checkpoints of stops have entries of their own."""
    records = [record for record in Run.open(run).records() if "loss" in record]
    return [{key: value for key, value in record.items() if key != "seconds"} for record in records]


def differences_of_folders(one: Path, other: Path) -> list[str]:
    """What differs between two folders that should be equal, runs inside them by :func:`differences_of_runs`."""
    found = []
    runs = {path.parent.relative_to(one) for path in one.rglob("config.yaml")}
    for run in sorted(runs):
        found += [f"{run}: {words}" for words in differences_of_runs(one / run, other / run)]
    mine, theirs = (_files(path, runs) for path in (one, other))
    found += [f"{name} is only in one of them" for name in sorted(mine.keys() ^ theirs.keys())]
    for name in sorted(mine.keys() & theirs.keys()):
        if _content(mine[name]) != _content(theirs[name]):
            found.append(f"{name} differs")
    return found


def _content(path: Path) -> bytes:
    """The content of a file without what was timed; pages that are drawn from a comparison have none of their own."""
    if path.name in TIMED:
        found = json.loads(path.read_text(encoding="utf-8"))
        return json.dumps({key: value for key, value in found.items() if key not in TIMED[path.name]}).encode()
    drawn = path.suffix in (".md", ".html") and (path.parent / "comparison.json").is_file()
    return b"" if drawn else TIMES.sub(b"", path.read_bytes())


def _files(root: Path, runs: set[Path]) -> dict[str, Path]:
    """Files below ``root`` that are in no run, by name."""
    names = {path.relative_to(root): path for path in root.rglob("*") if path.is_file()}
    return {str(name): path for name, path in names.items() if not runs & {*name.parents}}


def unfinished(root: Path) -> list[str]:
    """Files that a killed process left unfinished."""
    return sorted(str(path.relative_to(root)) for path in root.rglob(f"*{PARTIAL}"))


def corrupt(root: Path) -> list[str]:
    """Files below ``root`` that are complete by their names and cannot be read, with the reason."""
    found = []
    for path in sorted(root.rglob("*")):
        if path.is_file() and path.suffix in CHECKS:
            try:
                CHECKS[path.suffix](path)
            except (OSError, ValueError, SyntaxError, yaml.YAMLError, EvenscoreError) as error:
                found.append(f"{path.relative_to(root)}: {type(error).__name__} {str(error)[:200]}")
    return found


def _open_picture(path: Path) -> None:
    from PIL import Image

    with Image.open(path) as image:
        image.load()


def _verify(path: Path) -> None:
    """A checkpoint without its checksum is none yet."""
    if path.with_suffix(".json").exists():
        read_checkpoint(path)


def _parse_lines(path: Path) -> None:
    """Every line that was finished."""
    for line in path.read_text(encoding="utf-8").split("\n")[:-1]:
        json.loads(line)


def _parse(path: Path) -> None:
    json.loads(path.read_text(encoding="utf-8"))


def _parse_yaml(path: Path) -> None:
    yaml.safe_load(path.read_text(encoding="utf-8"))


CHECKS = {
    ".png": _open_picture,
    ".safetensors": _verify,
    ".json": _parse,
    ".jsonl": _parse_lines,
    ".yaml": _parse_yaml,
}
