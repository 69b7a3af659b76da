"""``evenscore restore``: fill holes of images, or colour grey ones, with what a run has learned."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from evenscore import records
from evenscore.checkpoint import make_folder, write_atomic
from evenscore.commands.pictures import Picture, hole, read_pictures
from evenscore.commands.terminal import STOPPED, Bar, emit, say, stopping
from evenscore.data.pixels import from_uint8, png_bytes, to_uint8
from evenscore.errors import DataError, UsageError, unknown
from evenscore.restore import RESTORATIONS, Measurement, Restoration, colourisation, inpainting
from evenscore.run import Run
from evenscore.sampling.restored import restored
from evenscore.writing import METADATA, check_output

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
    label = _label(request.label, trained.card.class_names)
    shape = _shape(trained, request.task)
    check_output(request.out)
    pictures, notes = read_pictures(request.input, shape)
    measurement = _measure(pictures, request, shape)
    denoiser = trained.denoiser()
    for note in notes:
        say(f"note: {note}")
    total, done = len(measurement), 0
    device = "cuda" if torch.cuda.is_available() else "cpu"
    batches = restored(
        denoiser, measurement, [label] * total, method=method, seed=request.seed, steps=request.steps, device=device
    )
    make_folder(request.out)
    lines: list[dict[str, Any]] = []
    started = time.monotonic()
    with stopping() as stop, Bar() as bar:
        for batch in batches:
            lines += _write(batch.indices, batch.x, pictures, request, trained)
            done = len(lines)
            spent = time.monotonic() - started
            bar.update("restore", done / total, f"{done} of {total}", spent * (total - done) / done)
            if stop.asked and done < total:
                break
    if as_json:
        facts = {"out": str(request.out), "task": request.task, "method": request.method, "notes": list(notes)}
        emit({**facts, "images": len(pictures), "samples": done, "seed": request.seed})
    if done < total:
        say(f"stopped after {done} of {total} samples; give the command again with another --out")
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
    """What is known of each picture, ``samples`` times each.

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
    return measured.repeat(request.samples)


def _write(
    indices: Sequence[int], x: Tensor, pictures: Sequence[Picture], request: RestoreRequest, trained: Run
) -> list[dict[str, Any]]:
    """Write some samples and what is said of them; returns their metadata."""
    lines = []
    for index, image in zip(indices, to_uint8(x), strict=True):
        picture, number = pictures[index // request.samples], index % request.samples
        name = f"{picture.name}-{number + 1:04d}.png"
        write_atomic(request.out / name, png_bytes(image))
        facts = {"synthetic": True, "task": request.task, "method": request.method, "seed": request.seed}
        source = {"source": picture.path.name, "sample": number + 1, "index": index, "run": trained.path.name}
        lines.append({"file_name": name, "label": request.label, **facts, **source})
    try:
        with (request.out / METADATA).open("a", encoding="utf-8") as file:
            file.write("".join(json.dumps(line) + "\n" for line in lines))
    except OSError as error:
        raise DataError(f"{request.out / METADATA} cannot be written ({error.strerror}): free some space") from error
    return lines
