"""``evenscore evaluate``: samples of a run or in files against real data, class by class."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path

from evenscore.checkpoint import make_folder, write_atomic
from evenscore.commands.inspect import read
from evenscore.commands.terminal import Bar, emit, say, show_table, tell
from evenscore.data import Dataset
from evenscore.errors import DataError, EvenscoreError, UsageError
from evenscore.evaluation import Evaluation, Generated, Settings, evaluate, of_files, of_run, sentences, to_dict
from evenscore.evaluation.settings import LIKELIHOOD
from evenscore.evaluation.words import cell, shown
from evenscore.run import Run
from evenscore.sampling import Sampler

PER_CLASS = 200
"""Samples of each class that are drawn of a run where not asked otherwise."""
PAIRS_SHOWN = 5


@dataclass(frozen=True)
class EvaluateRequest:
    """What was asked on the command line.

    Attributes:
        path: run folder, folder of images or archive.
        reference: specification of the real data.
        settings: what to measure.
        per_class: samples of each class; None for 200 of a run, and all of a folder.
        sampler: how a run is sampled.
        sampling_seed: of the samples of a run.
        trained_on: specification of the data that the samples were learned from, or None.
        out: JSON file to write, or None.
        checkpoint: of a run, ``last`` or ``best``.
    """

    path: Path
    reference: str
    settings: Settings
    per_class: int | None
    sampler: Sampler
    sampling_seed: int
    trained_on: str | None
    out: Path | None
    checkpoint: str = "last"


def run(request: EvaluateRequest, as_json: bool) -> None:
    """Evaluate, print, and write the file where one was asked for."""
    if request.out is not None and request.out.exists():
        raise DataError(f"--out {request.out} exists: choose another file, nothing is overwritten")
    if request.per_class is not None and request.per_class < 1:
        raise UsageError(f"--per-class {request.per_class} cannot be used: give at least 1")
    generated = source(request)
    reference = read(request.reference, strict=False)
    learned = training_data(request, reference)
    found = looked(generated, reference, request.settings, learned)
    if request.out is not None:
        make_folder(request.out.resolve().parent)
        write_atomic(request.out, json.dumps(to_dict(found), ensure_ascii=False, indent=1).encode())
    if as_json:
        emit(to_dict(found))
    else:
        show(found)
    if request.out is not None:
        say(f"written: {request.out}")


def looked(generated: Generated, reference: Dataset, settings: Settings, learned: Dataset | None) -> Evaluation:
    """The evaluation, with a bar while it looks at the samples."""
    started = time.monotonic()
    with Bar() as bar:

        def report(done: int, total: int) -> None:
            left = (time.monotonic() - started) * (total - done) / done
            bar.update("look", done / total, f"{done} of {total} samples", left)

        return evaluate(generated, reference, settings, trained_on=learned, report=report)


def source(request: EvaluateRequest) -> Generated:
    """The samples that are judged."""
    if Run.exists(request.path):
        number = PER_CLASS if request.per_class is None else request.per_class
        trained = Run.open(request.path)
        if LIKELIHOOD.name in (request.settings.metrics or ()):
            trained.require_score()
        return of_run(trained, number, request.sampler, request.sampling_seed, request.checkpoint)
    if request.checkpoint != "last":
        raise UsageError(f"--checkpoint belongs to a run, and {request.path} is none: leave it out, or give a run")
    return of_files(request.path, request.per_class)


def training_data(request: EvaluateRequest, reference: Dataset) -> Dataset | None:
    """The data that the samples were learned from: as named, or those of the run where they are still there."""
    if request.trained_on is not None:
        return read(request.trained_on, strict=False)
    if not Run.exists(request.path):
        return None
    card = Run.open(request.path).card
    if card.fingerprint == reference.fingerprint:
        return None
    try:
        data = read(card.spec, strict=False)
    except EvenscoreError:
        data = None
    if data is None or data.fingerprint != card.fingerprint:
        say(
            f"note: the training data of the run ({card.spec}) are not there any more: copies are searched among the "
            "reference; name them with --trained-on"
        )
        return None
    return data


def show(found: Evaluation) -> None:
    """A table of the measures that any part has, and what it says in words."""
    measured = found.measured
    every = [measured.whole, *measured.by_group.values(), *measured.by_class.values()]
    names = [name for name in measured.whole if any(name in f and f[name].value is not None for f in every)]
    counts = measured.grouping.counts
    groups = {k: g for g, members in measured.grouping.classes().items() for k in members}
    rows = [("all", "", *(cell(measured.whole[name]) for name in names))]
    for group, figures in measured.by_group.items():
        rows.append((f"[{group}]", "", *(cell(figures.get(name)) for name in names)))
    for k, figures in measured.by_class.items():
        trained = f"{counts[k]} {groups[k]}"
        rows.append((found.class_names[k], trained, *(cell(figures.get(name)) for name in names)))
    columns = ("class", "trained on", *(shown(name, found) if name.startswith("frechet") else name for name in names))
    show_table("", columns, rows)
    tell(
        f"groups: head has more than {measured.grouping.head} training samples, tail fewer than {measured.grouping.tail}"
    )
    for text in sentences(found):
        tell(text)
    if found.memorisation is not None:
        for pair in [pair for pair in found.memorisation.pairs if pair.is_copy][:PAIRS_SHOWN]:
            tell(
                f"copy: sample {pair.sample} of class {found.class_names[pair.label]!r} resembles training sample "
                f"{pair.training} (ratio {pair.ratio:.2f})"
            )
    for note in found.notes:
        tell(f"note: {note}")
