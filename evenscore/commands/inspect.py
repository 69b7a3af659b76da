"""``evenscore inspect``, with ``--learning-curve``."""

from __future__ import annotations

import time

from evenscore import records
from evenscore.commands.terminal import Bar, emit, show_table, tell
from evenscore.data import Dataset, load
from evenscore.errors import UsageError
from evenscore.inspection import Inspection, inspect
from evenscore.learning_curve import CurveSettings, LearningCurve, learning_curve, sentences, to_dict

LISTED = 10


def read(spec: str, strict: bool) -> Dataset:
    """The data set that the command line names; unreadable images are skipped unless ``strict``."""
    return load(spec, strict="strict" if strict else "skip")


def curve_settings(asked: bool, seeds: int | None, sizes: str | None, seed: int | None) -> CurveSettings | None:
    """How the learning curve is measured; None where none was asked for.

    Raises:
        UsageError: an option of the curve without it, or a value outside its range.
    """
    given = {"seeds": seeds, "sizes": sizes, "seed": seed}
    given = {key: value for key, value in given.items() if value is not None}
    if given and not asked:
        raise UsageError(f"--{next(iter(given))} acts only with --learning-curve: add that, or leave it out")
    return records.read(CurveSettings, given) if asked else None


def run(spec: str, as_json: bool, strict: bool, curve: CurveSettings | None = None) -> None:
    """Print what there is in a data set, and what to do; with settings of a learning curve, that too."""
    data = read(spec, strict)
    found = inspect(data)
    measured = None if curve is None else measure(data, curve)
    if as_json:
        emit(found.to_dict() | ({} if measured is None else {"learning_curve": to_dict(measured)}))
        return
    show(found)
    if measured is not None:
        show_curve(measured)


def measure(data: Dataset, settings: CurveSettings) -> LearningCurve:
    """The learning curve, with a bar while classifiers are trained."""
    started = time.monotonic()
    with Bar() as bar:

        def report(done: int, total: int) -> None:
            left = (time.monotonic() - started) * (total - done) / done
            bar.update("learning curve", done / total, f"{done} of {total} trainings", left)

        return learning_curve(data, settings, report=report)


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


def show_curve(found: LearningCurve) -> None:
    """The learning curve as people read it: by size, by class, in words."""
    rows = [
        (f"{p.n}", f"{p.value:.3f}", f"{p.low:.3f} to {p.high:.3f}", f"{p.lowest:.3f}", f"{p.highest:.3f}")
        for p in found.curve.points
    ]
    columns = ("samples of a class", "label agreement", "95 % interval", "lowest class", "highest class")
    show_table("how many samples does a class need?", columns, rows)
    for line in sentences(found):
        tell(line)
    tell("by class:")
    for each in found.advice:
        tell(f"  {each.name}: {each.words}")
