"""The page and the data card of a balanced folder: what was lacking, what was made, how far to trust it."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from evenscore.checkpoint import write_atomic
from evenscore.configuration import objective_name
from evenscore.confined import inside
from evenscore.data import Dataset, from_uint8, read_image
from evenscore.errors import RunError
from evenscore.metrics import Agreement, agreement, fit_classifier
from evenscore.report import BalanceReport, ClassReport, balance_card, balance_page
from evenscore.run import Run
from evenscore.training.curves import game_curves, loss_curves
from evenscore.writing import METADATA, ImageFolder

if TYPE_CHECKING:
    from evenscore.balancing.job import ClassResult

SUMMARY = "summary.json"
"""What is written last: the numbers of the page, for programs."""
SHOWN = 12
"""Images of each kind that the page shows of a class."""
JUDGED = 500
"""Synthetic images of a class that are judged at most."""


def write_summary(
    data: Dataset, folder: ImageFolder, results: Sequence[ClassResult], run: Run, settings: Mapping[str, str]
) -> Agreement | None:
    """Write ``index.html``, ``README.md`` and ``summary.json``; returns the agreement, where it could be measured."""
    made = _synthetic(folder)
    measured = measure(data, folder, made)
    report = _report(data, folder, results, run, settings, made, measured)
    write_atomic(folder.root / "index.html", balance_page(report).encode())
    write_atomic(folder.root / "README.md", balance_card(report).encode())
    write_atomic(folder.root / SUMMARY, json.dumps(_numbers(results, measured, report), indent=1).encode())
    return measured


def measure(data: Dataset, folder: ImageFolder, made: Sequence[Sequence[Mapping[str, Any]]]) -> Agreement | None:
    """Label agreement of the synthetic images by a classifier trained on the held-out real data; None without such data."""
    if data.test is None or min(data.test.distribution.counts) == 0:
        return None
    chosen = [line for lines in made for line in lines[:JUDGED]]
    if not chosen:
        return None
    judge = fit_classifier(data.test.tensor(), torch.from_numpy(data.test.labels), data.num_classes, seed=0)
    names = {name: k for k, name in enumerate(data.class_names)}
    labels = torch.tensor([names[line["label"]] for line in chosen])
    return agreement(judge, from_uint8(_read(folder, chosen, data)), labels)


def _synthetic(folder: ImageFolder) -> list[list[dict[str, Any]]]:
    """Metadata of the synthetic images of each class."""
    names = {name: k for k, name in enumerate(folder.class_names)}
    found: list[list[dict[str, Any]]] = [[] for _ in names]
    for line in folder.lines():
        if line["synthetic"]:
            found[names[line["label"]]].append(line)
    return found


def _read(folder: ImageFolder, lines: Sequence[Mapping[str, Any]], data: Dataset) -> NDArray[np.uint8]:
    shape = (len(lines), *data.values.shape[1:])
    inside(folder.root, *(line["file_name"] for line in lines))
    images = [np.asarray(read_image(folder.root / line["file_name"])[0], dtype=np.uint8) for line in lines]
    return np.stack(images).reshape(shape) if images else np.zeros(shape, dtype=np.uint8)


def _report(
    data: Dataset,
    folder: ImageFolder,
    results: Sequence[ClassResult],
    run: Run,
    settings: Mapping[str, str],
    made: Sequence[Sequence[Mapping[str, Any]]],
    measured: Agreement | None,
) -> BalanceReport:
    classes = tuple(_class_report(data, folder, r, made[k], k, measured) for k, r in enumerate(results))
    training = {
        "objective": objective_name(run.config.objective),
        "network": run.config.network,
        "training steps": str(max((r["step"] for r in run.records()), default=0)),
        "loader": run.config.policy,
    }
    return BalanceReport(
        title=f"{Path(data.name).name}, balanced",
        source=data.name,
        created=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        command=shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        classes=classes,
        notes=data.notes,
        settings=training | dict(settings),
        protocol=_protocol(data, measured),
        loss_curve=loss_curves(run),
        game_curves=game_curves(run),
    )


def _nearest(folder: ImageFolder, data: Dataset, line: Mapping[str, Any]) -> int:
    """The row of the nearest training image of a sample.

    Raises:
        RunError: the metadata say nothing that makes sense of it.
    """
    scores = line.get("scores")
    row = scores.get("nearest") if isinstance(scores, dict) else None
    if type(row) is not int or not 0 <= row < len(data):
        raise RunError(f"{folder.root / METADATA} cannot be understood: remove {folder.root} and start again")
    return row


def _class_report(
    data: Dataset,
    folder: ImageFolder,
    result: ClassResult,
    made: Sequence[Mapping[str, Any]],
    k: int,
    measured: Agreement | None,
) -> ClassReport:
    shown = made[:SHOWN]
    nearest = [_nearest(folder, data, line) for line in shown]
    known = measured is not None and measured.by_class[k] is not None
    return ClassReport(
        name=result.plan.name,
        group=result.plan.group,
        real=result.plan.real,
        kept=result.plan.keep,
        made=result.made,
        wanted=result.plan.wanted,
        candidates=result.candidates,
        copies=result.copies,
        mislabelled=result.mislabelled,
        real_images=data.values[data.of_class(k)[:SHOWN]],
        synthetic_images=_read(folder, shown, data),
        nearest_images=data.values[nearest] if nearest else None,
        agreement=measured.by_class[k] if measured and known else None,
        agreement_interval=measured.intervals[k] if measured and known else None,
        note="" if result.met else _shortfall(result),
    )


def _shortfall(result: ClassResult) -> str:
    return (
        f"{result.made} of {result.plan.make} made: of {result.candidates} candidates {result.copies} were near-copies and "
        f"{result.mislabelled} looked like another class"
    )


def _protocol(data: Dataset, measured: Agreement | None) -> str:
    if data.test is None or measured is None:
        return "Label agreement was not measured: the data have no held-out part with all classes."
    return (
        f"Label agreement: share of at most {JUDGED} synthetic images of a class that a classifier trained on "
        f"{len(data.test)} held-out real images gives to that class, with a Wilson 95 % interval."
    )


def _numbers(results: Sequence[ClassResult], measured: Agreement | None, report: BalanceReport) -> dict[str, Any]:
    rows = [
        {
            "class": r.plan.name,
            "group": r.plan.group,
            "real": r.plan.real,
            "kept": r.plan.keep,
            "made": r.made,
            "wanted": r.plan.wanted,
            "candidates": r.candidates,
            "copies": r.copies,
            "mislabelled": r.mislabelled,
            "agreement": measured.by_class[k] if measured else None,
        }
        for k, r in enumerate(results)
    ]
    met = all(r.met for r in results)
    overall = measured.overall if measured else None
    return {"met": met, "agreement": overall, "protocol": report.protocol, "classes": rows}
