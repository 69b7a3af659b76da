"""``evenscore restore``: fill holes of images, or colour grey ones, with what a run has learned."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from evenscore import records
from evenscore.commands.pictures import Picture, hole, read_pictures
from evenscore.commands.terminal import STOPPED, Bar, emit, say, stopping
from evenscore.data.pixels import from_uint8
from evenscore.errors import DataError, UsageError, unknown
from evenscore.restore import RESTORATIONS, Measurement, Restoration, colourisation, inpainting
from evenscore.run import Run
from evenscore.sampling.restored_files import RestoreJob, Source, restore_files

TASKS = ("inpaint", "colourise")


@dataclass(frozen=True)
class RestoreRequest:
    """What was asked on the command line.

    Attributes:
        run: run folder.
        task: one of :data:`TASKS`.
        input: an image, or a folder of images.
        mask: for inpainting, an image or a folder of images of the same names; white is filled.
        out: folder to write.
        samples: restorations of each image.
        method: name in ``RESTORATIONS``.
        settings: ``key=value`` settings of the method.
        steps: noise levels on the way.
        label: class name, or None.
        seed: fixes every sample.
    """

    run: Path
    task: str
    input: Path
    mask: Path | None
    out: Path
    samples: int
    method: str
    settings: Sequence[str]
    steps: int
    label: str | None
    seed: int

    def __post_init__(self) -> None:
        if self.task not in TASKS:
            raise unknown("task", self.task, TASKS)
        if self.samples < 1 or self.steps < 1:
            raise UsageError(
                f"--samples {self.samples} and --steps {self.steps} cannot be used: give at least 1 of each"
            )
        if self.task == "inpaint" and self.mask is None:
            raise UsageError("--task inpaint was given no --mask: give an image whose white part is to be filled")
        if self.task == "colourise" and self.mask is not None:
            raise UsageError("--mask was given with --task colourise, which uses none: leave it out")


def run(request: RestoreRequest, as_json: bool) -> None:
    """Restore every image of the input and write the results."""
    method = method_of(request.method, request.settings)
    trained = Run.open(request.run)
    trained.require_score()
    label = _label(request.label, trained.card.class_names)
    shape = _shape(trained, request.task)
    pictures, notes = read_pictures(request.input, shape)
    sources = tuple(Source(picture.name, picture.path.name) for picture in pictures)
    measured = _measure(pictures, request, shape)
    job = RestoreJob(measured, sources, request.task, method, request.samples, request.steps, label, request.seed)
    for note in notes:
        say(f"note: {note}")
    started, done = time.monotonic(), 0
    with stopping() as stop, Bar() as bar:
        for done, total in restore_files(trained, request.out, job, stop):
            spent = time.monotonic() - started
            bar.update("restore", done / total, f"{done} of {total}", spent * (total - done) / done)
    if as_json:
        facts = {"out": str(request.out), "task": request.task, "method": request.method, "notes": list(notes)}
        emit({**facts, "images": len(pictures), "samples": done, "seed": request.seed})
    if done < job.total:
        say(f"stopped after {done} of {job.total} samples; the same command goes on from here")
        raise SystemExit(STOPPED)
    say(f"{done} samples of {len(pictures)} images in {request.out}")


def method_of(name: str, settings: Sequence[str]) -> Restoration:
    """The restoration that the options name.

    Raises:
        UsageError: an unknown method or key, or a value outside its range.
    """
    if name not in RESTORATIONS:
        raise unknown("restoration method", name, RESTORATIONS)
    given: dict[str, str] = {}
    for text in settings:
        key, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"--set {text} has no key=value form: write for example --set particles=16")
        given[key.strip()] = value.strip()
    return records.read(RESTORATIONS[name], given)


def _label(name: str | None, names: Sequence[str]) -> int:
    """The number of a class, K for none."""
    if name is None:
        return len(names)
    if name not in names:
        raise unknown("class", name, names)
    return list(names).index(name)


def _shape(trained: Run, task: str) -> tuple[int, int, int]:
    """Shape of the run's images.

    Raises:
        UsageError: it makes vectors, or no colours where they are wanted.
    """
    if len(trained.card.shape) != 3:
        raise UsageError(f"{trained.path} makes vectors, which have no picture: restore takes a run of images")
    channels, height, width = trained.card.shape
    if task == "colourise" and channels != 3:
        raise UsageError(f"{trained.path} makes grey images and knows no colours: give a run of colour images")
    return channels, height, width


def _measure(pictures: Sequence[Picture], request: RestoreRequest, shape: tuple[int, int, int]) -> Measurement:
    """What is known of each picture.

    Raises:
        DataError: a mask that is missing, of another size, or without use.
    """
    if request.task == "colourise":
        measured = colourisation(from_uint8(np.stack([picture.grey for picture in pictures])))
    else:
        assert request.mask is not None
        if not request.mask.exists():
            raise DataError(f"--mask {request.mask} does not exist: give an image, or a folder of images")
        holes = np.stack([hole(request.mask, picture, shape[1:]) for picture in pictures])
        images = from_uint8(np.stack([picture.pixels for picture in pictures]))
        measured = inpainting(images, torch.from_numpy(~holes)[:, None])
    return measured
