"""The page and the data card of a balanced folder: what was lacking, what was made, how far to trust it."""

from __future__ import annotations

import io
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
from PIL import Image

from evenscore.checkpoint import write_atomic
from evenscore.configuration import objective_name
from evenscore.confined import inside
from evenscore.data import Dataset, from_uint8, read_image
from evenscore.errors import RunError
from evenscore.metrics import Agreement, agreement, fit_classifier
from evenscore.report import BalanceReport, ClassReport, balance_card, balance_page
from evenscore.run import Run
from evenscore.training.curves import game_curves, loss_curves
from evenscore.writing import METADATA, Found, Store

if TYPE_CHECKING:
    from evenscore.balancing.job import ClassResult

SUMMARY = "summary.json"
"""What is written last: the numbers of the page, for programs."""
SHOWN = 12
"""Images of each kind that the page shows of a class."""
JUDGED = 500
"""Synthetic images of a class that are judged at most."""


def write_summary(
    data: Dataset, folder: Store, results: Sequence[ClassResult], run: Run, settings: Mapping[str, str]
) -> Agreement | None:
    """Write ``index.html``, ``README.md`` and ``summary.json``; returns the agreement, where it could be measured."""
    made = _synthetic(folder)
    measured = measure(data, folder, made)
    report = _report(data, folder, results, run, settings, made, measured)
    write_atomic(folder.root / "index.html", balance_page(report).encode())
    write_atomic(folder.root / "README.md", balance_card(report).encode())
    write_atomic(folder.root / SUMMARY, json.dumps(_numbers(results, measured, report), indent=1).encode())
    return measured


def measure(data: Dataset, folder: Store, made: Sequence[Sequence[Found]]) -> Agreement | None:
    """Label agreement of the synthetic images by a classifier trained on the held-out real data; None without such data."""
    if data.test is None or min(data.test.distribution.counts) == 0:
        return None
    chosen = [found for mine in made for found in mine]
    if not chosen:
        return None
    judge = fit_classifier(data.test.tensor(), torch.from_numpy(data.test.labels), data.num_classes, seed=0)
    names = {name: k for k, name in enumerate(data.class_names)}
    labels = torch.tensor([names[found.record["label"]] for found in chosen])
    return agreement(judge, from_uint8(_read(folder, chosen, data)), labels)


def _synthetic(folder: Store) -> list[list[Found]]:
    """The first synthetic images of each class, :data:`JUDGED` at most."""
    names = {name: k for k, name in enumerate(folder.class_names)}
    first: list[list[Found]] = [[] for _ in names]
    for found in folder.found():
        if found.record["synthetic"]:
            mine = first[names[found.record["label"]]]
            if len(mine) < JUDGED:
                mine.append(found)
    return first


def _read(folder: Store, chosen: Sequence[Found], data: Dataset) -> NDArray[np.uint8]:
    shape = (len(chosen), *data.values.shape[1:])
    inside(folder.root, *(str(found.path.relative_to(folder.root)) for found in chosen))
    images = [_picture(found, data) for found in chosen]
    return np.stack(images).reshape(shape) if images else np.zeros(shape, dtype=np.uint8)


def _report(
    data: Dataset,
    folder: Store,
    results: Sequence[ClassResult],
    run: Run,
    settings: Mapping[str, str],
    made: Sequence[Sequence[Found]],
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


def _picture(found: Found, data: Dataset) -> NDArray[np.uint8]:
    """An image that was written; of one in a shard the size is looked at before it is decoded.

    Raises:
        RunError: an image of another size.
        UnreadableImage: none.
    """
    if found.size is None:
        return np.asarray(read_image(found.path)[0], dtype=np.uint8)
    with Image.open(io.BytesIO(found.content()), formats=("PNG",)) as image:
        if image.size != data.values.shape[2:0:-1]:
            raise RunError(f"{found.path} holds an image of another size: remove {found.path.parent} and start again")
        return np.asarray(image, dtype=np.uint8)


def _nearest(folder: Store, data: Dataset, line: Mapping[str, Any]) -> int:
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
    folder: Store,
    result: ClassResult,
    made: Sequence[Found],
    k: int,
    measured: Agreement | None,
) -> ClassReport:
    shown = made[:SHOWN]
    nearest = [_nearest(folder, data, found.record) for found in shown]
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
