"""Restorations by a run as files: one folder of PNG images, with a line of metadata for each.

Law: a job that was interrupted goes on with the batch where it stopped when the same command is given again, and ends with
the files of an uninterrupted one. A finished folder holds the images and their metadata, and nothing else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch

from evenscore import records
from evenscore.checkpoint import pointed, write_atomic
from evenscore.data.pixels import png_bytes, to_uint8
from evenscore.lock import hold
from evenscore.restore import RESTORATIONS, Measurement, Restoration
from evenscore.run import Run
from evenscore.sampling.generate import Batch
from evenscore.sampling.progress import Progress
from evenscore.sampling.restored import restored
from evenscore.writing import ImageFolder

STATE = ".evenscore-restore.json"
LOCK = ".evenscore-restore.lock"


class Source(NamedTuple):
    """A damaged picture: what its restorations are called, and the file it came from."""

    name: str
    file: str


@dataclass(frozen=True, eq=False)
class RestoreJob:
    """What to restore.

    Attributes:
        measurement: what is known, one row for each source.
        sources: the pictures.
        task: what the metadata call it.
        method: how to restore.
        samples: restorations of each source.
        steps: noise levels on the way.
        label: class of all, K for none.
        seed: fixes every sample.
        batch_size: samples that the denoiser sees at once; particles count.
    """

    measurement: Measurement
    sources: tuple[Source, ...]
    task: str
    method: Restoration
    samples: int
    steps: int
    label: int
    seed: int
    batch_size: int = 256

    @property
    def total(self) -> int:
        """Samples of the whole job."""
        return len(self.sources) * self.samples

    @property
    def method_name(self) -> str:
        """Its name in ``RESTORATIONS``."""
        return next(name for name, kind in RESTORATIONS.items() if kind is type(self.method))


def restore_files(
    run: Run, out: Path, job: RestoreJob, stop: Callable[[], bool] = lambda: False
) -> Iterator[tuple[int, int]]:
    """Write restorations; yields (done, wanted) after each batch, and once when all were done before.

    Args:
        run: a trained run of images.
        out: a new folder, or that of the same job when it was interrupted.
        job: what to restore.
        stop: asked between batches; when true, the work ends early.

    Raises:
        DataError: the folder holds something else, or the disk is full.
        RunError: it holds another job, or is in use.
        UsageError: a measurement that does not fit the run.
    """
    progress = Progress(out, STATE, _signature(run, job))
    denoiser = run.denoiser()
    progress.begin()
    with hold(out, LOCK):
        done, size = progress.reached(job.total)
        folder = ImageFolder.at(out, ())
        folder.truncate(size)
        if done == job.total:
            yield done, done
        rest = slice(done, None)
        batches = restored(
            denoiser,
            job.measurement.repeat(job.samples).rows(rest),
            [job.label] * (job.total - done),
            method=job.method,
            seed=job.seed,
            steps=job.steps,
            indices=range(job.total)[rest],
            batch_size=job.batch_size,
            device="cuda" if torch.cuda.is_available() else "cpu",
        )
        for batch in batches:
            size = folder.record(_records(run, out, job, batch))
            done = batch.indices[-1] + 1
            progress.keep(done, size)
            yield done, job.total
            if stop() and done < job.total:
                return
    for name in (STATE, LOCK):
        (out / name).unlink(missing_ok=True)


def _records(run: Run, out: Path, job: RestoreJob, batch: Batch) -> Iterator[dict[str, Any]]:
    """Write the images of a batch; yields what is said of each."""
    label = (*run.card.class_names, None)[job.label]
    facts = {"synthetic": True, "task": job.task, "method": job.method_name, "seed": job.seed, "run": run.path.name}
    for index, image in zip(batch.indices, to_uint8(batch.x), strict=True):
        source, number = job.sources[index // job.samples], index % job.samples + 1
        name = f"{source.name}-{number:04d}.png"
        write_atomic(out / name, png_bytes(image))
        yield {"file_name": name, "label": label, **facts, "source": source.file, "sample": number, "index": index}


def _signature(run: Run, job: RestoreJob) -> dict[str, Any]:
    """What the restorations depend on: the job, the pictures, the run, and its checkpoint."""
    values, known = job.measurement.values.contiguous(), job.measurement.known.contiguous()
    content = hashlib.sha256(values.numpy().tobytes() + known.numpy().tobytes())
    return {
        "run": str(run.path.resolve()),
        "checkpoint": pointed(run.checkpoints, "last"),
        "task": job.task,
        "method": {"name": job.method_name, **records.write(job.method)},
        "samples": job.samples,
        "steps": job.steps,
        "label": job.label,
        "seed": job.seed,
        "batch_size": job.batch_size,
        "sources": [list(source) for source in job.sources],
        "measurement": content.hexdigest(),
    }
