"""Samples of a run as files: a folder of PNG images by class, or one npz archive.

Law: exactly the asked number of each class; a PNG job that was interrupted goes on with the sample where it stopped when the
same command is given again, and ends with the files of an uninterrupted one. Nothing is written before the run is read.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from evenscore import records
from evenscore.checkpoint import make_folder, pointed, weights_digest, write_atomic
from evenscore.data import to_uint8
from evenscore.denoisers.base import Denoiser
from evenscore.errors import UsageError, unknown
from evenscore.run import Run, hold
from evenscore.sampling.generate import Batch, Sampler, generate, labels_for
from evenscore.sampling.methods import Method, Plain
from evenscore.sampling.progress import Progress
from evenscore.writing import ImageFolder, check_output

FORMATS = ("png", "npz")
STATE = ".evenscore-sample.json"
LOCK = ".evenscore-sample.lock"
ARCHIVE = "samples.npz"


@dataclass(frozen=True)
class SampleJob:
    """What to sample.

    Attributes:
        counts: samples of each class.
        sampler: solver, evaluations, guidance.
        seed: fixes every sample.
        format: ``png`` or ``npz``.
        batch_size: samples computed together.
        method: what steers the samples beside their class.
        checkpoint: which of the run, ``last`` or ``best``.
    """

    counts: tuple[int, ...]
    sampler: Sampler
    seed: int = 0
    format: str = "png"
    batch_size: int = 100
    method: Method = field(default_factory=Plain)
    checkpoint: str = "last"

    def __post_init__(self) -> None:
        if self.format not in FORMATS:
            raise unknown("format", self.format, FORMATS)
        if sum(self.counts) == 0:
            raise UsageError("no sample was asked for: give --per-class N of at least 1, or a file with counts")


def sample_files(
    run: Run, out: Path, job: SampleJob, stop: Callable[[], bool] = lambda: False
) -> Iterator[tuple[int, int]]:
    """Write samples of a run; yields (done, wanted) after each batch, and once when all were done before.

    Args:
        run: a trained run of images (or of vectors, with format ``npz``).
        out: a new folder, or that of the same job when it was interrupted.
        job: what to sample.
        stop: asked between batches; when true, the work ends early.

    Raises:
        DataError: the folder holds something else, or the disk is full.
        UsageError: vectors as PNG, or as many counts as there are no classes.
    """
    _check(run, job)
    labels = labels_for(job.counts)
    denoiser, trained = run.model(job.checkpoint), job.method.trained(run)
    if job.format == "png":
        yield from _write_images(run, denoiser, trained, out, job, labels, stop)
    else:
        yield from _write_archive(run, denoiser, trained, out, job, labels, stop)


def _check(run: Run, job: SampleJob) -> None:
    classes = len(run.card.class_names)
    if len(job.counts) != classes:
        raise UsageError(f"{len(job.counts)} counts were given for {classes} classes: give one for each")
    if job.format == "png" and len(run.card.shape) != 3:
        raise UsageError(f"{run.path} makes vectors, which have no picture: use --format npz")


def _batches(
    denoiser: Denoiser, trained: nn.Module | None, job: SampleJob, labels: torch.Tensor, first: int
) -> Iterator[Batch]:
    if first == len(labels):
        return iter(())
    device = "cuda" if torch.cuda.is_available() else "cpu"
    sets = job.method.sets(labels)
    return generate(
        denoiser,
        labels[first:],
        seed=job.seed,
        sampler=job.sampler,
        indices=range(first, len(labels)),
        batch_size=job.batch_size,
        device=device,
        sets=None if sets is None else sets[first:],
        guide=job.method.guide(denoiser.to(device), job.sampler, job.seed, device, trained),
    )


def _write_images(
    run: Run,
    denoiser: Denoiser,
    trained: nn.Module | None,
    out: Path,
    job: SampleJob,
    labels: torch.Tensor,
    stop: Callable[[], bool],
) -> Iterator[tuple[int, int]]:
    progress = Progress(out, STATE, _signature(run, job, trained))
    progress.begin()
    with hold(out, LOCK):
        done, size = progress.reached(len(labels))
        folder = ImageFolder.at(out, run.card.class_names)
        folder.truncate(size)
        if done == len(labels):
            yield done, done
        for batch in _batches(denoiser, trained, job, labels, done):
            size = folder.record(_records(run, folder, job, batch))
            done = batch.indices[-1] + 1
            progress.keep(done, size)
            yield done, len(labels)
            if stop():
                return


def _records(run: Run, folder: ImageFolder, job: SampleJob, batch: Batch) -> Iterator[dict[str, Any]]:
    for index, k, image in zip(batch.indices, batch.labels.tolist(), to_uint8(batch.x), strict=True):
        name = folder.save(k, f"synthetic-{index:07d}.png", image)
        label = run.card.class_names[k]
        facts = {"synthetic": True, "seed": job.seed, "index": index, "run": run.path.name}
        yield {"file_name": name, "label": label, **facts, **_method(job)}


def _method(job: SampleJob) -> dict[str, Any]:
    """What the metadata say of a guidance method other than the plain one."""
    if job.method.name == Plain.name:
        return {}
    return {"guidance_method": job.method.name, "guidance_settings": records.write(job.method)}


def _write_archive(
    run: Run,
    denoiser: Denoiser,
    trained: nn.Module | None,
    out: Path,
    job: SampleJob,
    labels: torch.Tensor,
    stop: Callable[[], bool],
) -> Iterator[tuple[int, int]]:
    check_output(out)
    parts: list[NDArray[Any]] = []
    done = 0
    for batch in _batches(denoiser, trained, job, labels, 0):
        parts.append(to_uint8(batch.x) if len(run.card.shape) == 3 else batch.x.numpy())
        done = batch.indices[-1] + 1
        if done == len(labels):
            _save_archive(run, out, parts, labels)
        yield done, len(labels)
        if stop():
            return


def _save_archive(run: Run, out: Path, parts: list[NDArray[Any]], labels: torch.Tensor) -> None:
    buffer = io.BytesIO()
    names = np.array(run.card.class_names)
    np.savez_compressed(buffer, train_images=np.concatenate(parts), train_labels=labels.numpy(), class_names=names)
    make_folder(out)
    write_atomic(out / ARCHIVE, buffer.getvalue())


def _signature(run: Run, job: SampleJob, trained: nn.Module | None) -> dict[str, Any]:
    """What the samples depend on: the job, the run, its checkpoint, and the weights of what was trained beside it."""
    origin = {"run": str(run.path.resolve())}
    if trained is not None:
        origin["trained"] = weights_digest(trained)
    method = {"name": job.method.name, **records.write(job.method)}
    checkpoint = pointed(run.checkpoints, job.checkpoint)
    fixed: dict[str, Any] = json.loads(
        json.dumps({**origin, **asdict(job), "method": method, "checkpoint": checkpoint})
    )
    return fixed
