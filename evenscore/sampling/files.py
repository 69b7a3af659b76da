"""Samples of a run as files: a folder of PNG images by class, shards for webdataset, or one npz archive.

Law: exactly the asked number of each class; a job of images that was interrupted goes on where it stopped (shards: after the
last complete one) when the same command is given again, and ends with the files of an uninterrupted one, for any number of
processes. Nothing is written before the run is read.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from evenscore import records
from evenscore.checkpoint import pointed, weights_digest
from evenscore.data import to_uint8
from evenscore.data.pixels import png_bytes
from evenscore.denoisers.base import Denoiser
from evenscore.errors import UsageError, unknown
from evenscore.lock import hold
from evenscore.ranks import Ranks, current
from evenscore.run import Run
from evenscore.sampling.archive import Spool
from evenscore.sampling.generate import Batch, Sampler, generate, labels_for
from evenscore.sampling.methods import Method, Plain
from evenscore.sampling.progress import Progress
from evenscore.sampling.waves import Made, waves
from evenscore.shards import PER_SHARD, open_store
from evenscore.writing import Piece, Store, check_output

FORMATS = ("png", "npz", "webdataset")
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
        format: ``png``, ``npz`` or ``webdataset``.
        batch_size: samples computed together.
        method: what steers the samples beside their class.
        checkpoint: which of the run, ``last`` or ``best``.
        per_shard: images of a shard, at least, with format ``webdataset``.
    """

    counts: tuple[int, ...]
    sampler: Sampler
    seed: int = 0
    format: str = "png"
    batch_size: int = 100
    method: Method = field(default_factory=Plain)
    checkpoint: str = "last"
    per_shard: int = PER_SHARD

    def __post_init__(self) -> None:
        if self.format not in FORMATS:
            raise unknown("format", self.format, FORMATS)
        records.check("per_shard", self.per_shard, self.per_shard >= 1, "at least 1")
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
    write = _write_archive if job.format == "npz" else _write_images
    yield from write(run, denoiser, trained, out, job, labels, stop)


def _check(run: Run, job: SampleJob) -> None:
    classes = len(run.card.class_names)
    if len(job.counts) != classes:
        raise UsageError(f"{len(job.counts)} counts were given for {classes} classes: give one for each")
    if job.format != "npz" and len(run.card.shape) != 3:
        raise UsageError(f"{run.path} makes vectors, which have no picture: use --format npz")


def _batches(
    denoiser: Denoiser, trained: nn.Module | None, job: SampleJob, labels: torch.Tensor, first: int, ranks: Ranks
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
        turn=(ranks.rank, ranks.size),
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
    progress, ranks = Progress(out, STATE, _signature(run, job, trained)), current()
    with ExitStack() as held:

        def begin() -> None:
            progress.begin()
            held.enter_context(hold(out, LOCK))
            open_store(out, run.card.class_names, job.format, job.per_shard).truncate(progress.reached(len(labels))[1])

        ranks.lead(begin)
        done, mark = progress.reached(len(labels))
        store = open_store(out, run.card.class_names, job.format, job.per_shard, mark)
        held.callback(store.drop)
        if done == len(labels):
            yield done, done
        batches = _batches(denoiser, trained, job, labels, done, ranks)
        for wave in waves(
            ranks, batches, lambda b: Made({"done": b.indices[-1] + 1}, store.pack(_pieces(run, job, b)))
        ):
            for made in wave:
                done = made.facts["done"]
                if ranks.first:
                    _keep(store, progress, made, done == len(labels))
            yield done, len(labels)
            if ranks.any(stop()):
                return


def _keep(store: Store, progress: Progress, made: Made, last: bool) -> None:
    """Keep a batch, and the state where all until there is complete."""
    marks = [store.take(made.content), store.close() if last else None]
    for mark in marks:
        if mark is not None:
            progress.keep(made.facts["done"], mark)


def _pieces(run: Run, job: SampleJob, batch: Batch) -> Iterator[Piece]:
    for index, k, image in zip(batch.indices, batch.labels.tolist(), to_uint8(batch.x), strict=True):
        facts = {"synthetic": True, "seed": job.seed, "index": index, "run": run.path.name}
        record = {"label": run.card.class_names[k], **facts, **_method(job)}
        yield Piece(k, f"synthetic-{index:07d}", ".png", png_bytes(image), record)


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
    ranks, image = current(), len(run.card.shape) == 3
    ranks.lead(lambda: check_output(out))
    shape = (*run.card.shape[1:], run.card.shape[0]) if image else run.card.shape

    def make(batch: Batch) -> Made:
        values = to_uint8(batch.x) if image else batch.x.numpy()
        return Made({"done": batch.indices[-1] + 1}, values.tobytes())

    with Spool(shape, np.uint8 if image else np.float32) as spool:
        for wave in waves(ranks, _batches(denoiser, trained, job, labels, 0, ranks), make):
            for made in wave if ranks.first else ():
                spool.add(made.content)
            done = wave[-1].facts["done"]
            if done == len(labels):
                others = {"train_labels": labels.numpy(), "class_names": np.array(run.card.class_names)}
                ranks.lead(partial(spool.save, out / ARCHIVE, "train_images", others))
            yield done, len(labels)
            if ranks.any(stop()):
                return


def _signature(run: Run, job: SampleJob, trained: nn.Module | None) -> dict[str, Any]:
    """What the samples depend on: the job, the run, its checkpoint, and the weights of what was trained beside it."""
    origin = {"run": str(run.path.resolve())}
    if trained is not None:
        origin["trained"] = weights_digest(trained)
    method = {"name": job.method.name, **records.write(job.method)}
    checkpoint = pointed(run.checkpoints, job.checkpoint)
    asked = asdict(job)
    if job.format != "webdataset":
        del asked["per_shard"]
    fixed: dict[str, Any] = json.loads(json.dumps({**origin, **asked, "method": method, "checkpoint": checkpoint}))
    return fixed
