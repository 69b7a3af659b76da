"""``evenscore inspect``."""

from __future__ import annotations

from evenscore.commands.terminal import emit, show_table, tell
from evenscore.data import Dataset, load
from evenscore.inspection import Inspection, inspect

LISTED = 10


def read(spec: str, strict: bool) -> Dataset:
    """The data set that the command line names; unreadable images are skipped unless ``strict``."""
    return load(spec, strict="strict" if strict else "skip")


def run(spec: str, as_json: bool, strict: bool) -> None:
    """Print what there is in a data set, and what to do."""
    found = inspect(read(spec, strict))
    if as_json:
        emit(found.to_dict())
    else:
        show(found)


def show(found: Inspection) -> None:
    """The inspection as people read it."""
    size = " x ".join(map(str, found.shape[1:])) if found.kind == "image" else f"{found.shape[0]} values"
    channels = {1: "grey", 3: "colour"}.get(found.shape[0], "") if found.kind == "image" else "vectors"
    rows = [(c.name, f"{c.count}", f"{c.held_out}", c.group, c.learnable) for c in found.classes]
    show_table(found.name, ("class", "samples", "held out", "group", "enough to learn from?"), rows)
    tell(f"{found.total} samples, {channels}, {size}; largest class {found.imbalance:.4g} times the smallest")
    within, across = len(found.duplicates_within), len(found.duplicates_across)
    tell(f"duplicates: {within} groups within classes, {across} across classes")
    tell(f"unreadable files: {len(found.skipped)}")
    for path, reason in found.skipped[:LISTED]:
        tell(f"  {path}: {reason}")
    for note in found.notes:
        tell(f"note: {note}")
    tell("what to do:")
    for line in found.advice:
        tell(f"  {line}")
