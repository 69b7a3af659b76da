"""Generated samples that are to be judged, batch by batch: drawn from a run, read from a folder or from an archive.

Law: a batch is gone once it was looked at, so memory does not grow with the number of samples; every class of the reference
has samples; and images come as they would be read from files, in 8 bits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from evenscore.checkpoint import pointed
from evenscore.data import Dataset, from_uint8, to_uint8
from evenscore.errors import DataError, UsageError
from evenscore.evaluation.bits import bits_of
from evenscore.likelihood import Likelihood
from evenscore.ranks import current
from evenscore.run import Run
from evenscore.sampling import Sampler, generate, labels_for

BATCH = 100
CHOSEN = (
    "the checkpoint was chosen by its loss on held-out samples: where the reference holds the same ones, figures are a little "
    "kinder than on new ones"
)


BitsOf = Callable[[Dataset, NDArray[np.int64], Likelihood, int], Iterator[Tensor]]
"""Bits per dimension of the samples of a data set at some rows, given how and the seed."""


class Part(NamedTuple):
    """Some generated samples.

    Attributes:
        x: (B, C, H, W) in [-1, 1], or (B, D).
        labels: (B,) int64, in the order of the reference's classes.
        numbers: number of each sample.
    """

    x: Tensor
    labels: Tensor
    numbers: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Generated:
    """Generated samples, read anew each time.

    Attributes:
        name: run, folder or archive.
        class_names: its classes, in the order of ``counts``.
        shape: of one sample, (C, H, W) or (D,).
        counts: samples of each class.
        parts: gives them, labels numbered as ``class_names``; of several processes every one gives its turn of the batches.
        made: how they were made, by name: sampler, evaluations, guidance, seed, checkpoint; what is not known is absent.
        trained_counts: training samples of each class, None where not known.
        notes: what a reader has to know.
        without: what a class without samples is: ``refused``, or ``left out`` of the whole.
        bits: bits per dimension of real samples at some rows, batch by batch, under the run that made these; None where
            there is no run.
        learned_from: fingerprint of the training data, empty where not known.
    """

    name: str
    class_names: tuple[str, ...]
    shape: tuple[int, ...]
    counts: tuple[int, ...]
    parts: Callable[[], Iterator[Part]]
    made: Mapping[str, Any] = field(default_factory=dict)
    trained_counts: tuple[int, ...] | None = None
    notes: tuple[str, ...] = ()
    without: Literal["refused", "left out"] = "refused"
    bits: BitsOf | None = None
    learned_from: str = ""

    def matched(self, reference: Dataset) -> Generated:
        """The same samples with labels in the order of the reference's classes.

        Raises:
            DataError: other classes, samples of another shape, or a class without samples.
        """
        check_classes(self.name, self.class_names, reference)
        check_shape(self.name, self.shape, reference)
        empty = [name for name, count in zip(self.class_names, self.counts, strict=True) if count == 0]
        if empty and self.without == "refused":
            raise DataError(f"{self.name} has no samples of class {empty[0]!r}: give generated samples of every class")
        place = torch.tensor([reference.class_names.index(name) for name in self.class_names])
        inverse = torch.argsort(place).tolist()

        def parts() -> Iterator[Part]:
            return (part._replace(labels=place[part.labels]) for part in self.parts())

        def bits(real: Dataset, rows: NDArray[np.int64], how: Likelihood, seed: int) -> Iterator[Tensor]:
            assert self.bits is not None
            own = replace(real, labels=np.asarray(inverse)[real.labels], class_names=self.class_names, test=None)
            return self.bits(own, rows, how, seed)

        trained = None if self.trained_counts is None else tuple(self.trained_counts[i] for i in inverse)
        counts = tuple(self.counts[i] for i in inverse)
        notes = self.notes + ((f"no generated samples of {', '.join(empty)}: left out",) if empty else ())
        return replace(
            self,
            class_names=reference.class_names,
            counts=counts,
            parts=parts,
            trained_counts=trained,
            notes=notes,
            bits=None if self.bits is None else bits,
        )


def check_classes(name: str, class_names: Sequence[str], reference: Dataset) -> None:
    """Refuse other classes than those of the reference; their order may differ.

    Raises:
        DataError: names the first class that only one of the two has.
    """
    strange = [c for c in class_names if c not in reference.class_names]
    lacking = [c for c in reference.class_names if c not in class_names]
    if strange or lacking:
        what = f"the class {strange[0]!r} that the reference lacks" if strange else f"no class {lacking[0]!r}"
        raise DataError(
            f"{name} has {what}, and the reference {reference.name} has {reference.num_classes} classes to its "
            f"{len(class_names)}: give a reference with the same classes"
        )


def check_shape(name: str, shape: Sequence[int], reference: Dataset) -> None:
    """Refuse samples of another shape than those of the reference.

    Raises:
        DataError: another number of channels, or other sides.
    """
    if tuple(shape) == reference.shape:
        return
    if len(shape) == len(reference.shape) == 3:
        if shape[0] != reference.shape[0]:
            kinds = {1: "grey", 3: "colour"}
            raise DataError(
                f"{name} holds {kinds[shape[0]]} images and the reference {reference.name} {kinds[reference.shape[0]]} ones: "
                "give a reference with the same channels"
            )
        height, width = shape[1:]
        raise DataError(
            f"{name} holds images of {height}x{width} pixels and the reference {reference.name} of "
            f"{reference.shape[1]}x{reference.shape[2]}: write the reference as DATA:size={height}x{width}"
        )
    raise DataError(
        f"{name} holds samples of shape {tuple(shape)} and the reference {reference.name} of shape {reference.shape}: "
        "give data of the same kind"
    )


def of_run(run: Run, per_class: int, sampler: Sampler, seed: int, checkpoint: str = "last") -> Generated:
    """Exactly ``per_class`` samples of each class, drawn with the averaged weights of the ``last`` or ``best`` checkpoint.

    Raises:
        UsageError: fewer than one sample of each class, or an unknown checkpoint.
        CheckpointError: there is none, or it is damaged.
    """
    if per_class < 1:
        raise UsageError(f"--per-class {per_class} cannot be used: give at least 1")
    card, denoiser = run.card, run.model(checkpoint)
    labels = labels_for((per_class,) * len(card.class_names))

    def parts() -> Iterator[Part]:
        device = "cuda" if torch.cuda.is_available() else "cpu"
        turn = (current().rank, current().size)
        batches = generate(denoiser, labels, seed=seed, sampler=sampler, batch_size=BATCH, device=device, turn=turn)
        for batch in batches:
            x = from_uint8(to_uint8(batch.x)) if len(card.shape) == 3 else batch.x
            yield Part(x, batch.labels, batch.indices)

    def bits(real: Dataset, rows: NDArray[np.int64], how: Likelihood, seed: int) -> Iterator[Tensor]:
        device = "cuda" if torch.cuda.is_available() else "cpu"
        return bits_of(denoiser.to(device), real, rows, how, seed)

    guidance = "classifier-free; 0 unconditional, 1 plain conditional"
    made = {
        "run": run.path.name,
        "checkpoint": pointed(run.checkpoints, checkpoint),
        "weights": "moving average",
        "sampler": sampler.solver,
        "grid": sampler.grid,
        "nfe": sampler.nfe,
        "guidance": sampler.guidance,
        "guidance_convention": guidance,
        "guidance_interval": sampler.interval,
        "solver_settings": dict(sampler.settings),
        "sampling_seed": seed,
        "trained_on": card.spec,
    }
    counts = (per_class,) * len(card.class_names)
    notes = (CHOSEN,) if checkpoint == "best" else ()
    name = str(run.path)
    return Generated(
        name,
        card.class_names,
        card.shape,
        counts,
        parts,
        made,
        card.counts,
        notes,
        bits=None if run.distilled is not None else bits,
        learned_from=card.fingerprint,
    )


def of_dataset(data: Dataset, per_class: int | None = None) -> Generated:
    """Samples that are in memory already, at most ``per_class`` of each class."""
    rows = np.sort(np.concatenate([data.of_class(k)[:per_class] for k in range(data.num_classes)]))

    def parts() -> Iterator[Part]:
        for start in range(0, len(rows), BATCH):
            part = rows[start : start + BATCH]
            yield Part(data.tensor(part), torch.from_numpy(data.labels[part]), tuple(part.tolist()))

    counts = np.bincount(data.labels[rows], minlength=data.num_classes)
    return Generated(data.name, data.class_names, data.shape, tuple(counts.tolist()), parts)
