"""One look at generated samples: their features under every map, and copies counted on the way.

Law: every sample is seen once, batch by batch, by whichever process; what stays are labels and features, in memory or, where
there are more than :data:`HELD`, in a file.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from evenscore.evaluation.generated import Generated, Part
from evenscore.features import View
from evenscore.metrics.base import METRICS
from evenscore.metrics.memorisation import Copied, Pair
from evenscore.metrics.stored import Stored
from evenscore.ranks import current
from evenscore.sampling.waves import Made, waves

Matrix = Tensor | Stored
Report = Callable[[int, int], None]
HELD = 10_000
"""Samples whose features are held in memory, at most."""


@dataclass(eq=False)
class Looked:
    """What stays of the generated samples: labels, and under each view features and class probabilities.

    ``right`` are, of each class, the samples whose most probable class, by the mean probability of all views, is their own.
    """

    labels: Tensor
    features: list[Matrix]
    probabilities: list[Matrix]
    right: Tensor


def look(
    generated: Generated,
    maps: Sequence[View],
    copied: Copied | None,
    report: Report = lambda done, total: None,
    metrics: Collection[str] = (),
    most: int | None = None,
) -> Looked:
    """See every sample once, under every map, and count copies on the way; several processes see a batch each.

    Args:
        generated: the samples.
        maps: feature maps.
        copied: counts copies, None for no count.
        report: told (done, total).
        metrics: what will be measured; class probabilities are kept where one needs them.
        most: samples whose features are held in memory, at most; :data:`HELD` where None.
    """
    probable = any(METRICS[name].needs == "probabilities" for name in metrics if name in METRICS)
    most = HELD if most is None else most
    total, done, ranks = sum(generated.counts), 0, current()
    labels = torch.empty(total, dtype=torch.int64)
    looked = Looked(labels, [], [], torch.zeros(len(generated.counts), dtype=torch.int64))
    for wave in waves(ranks, generated.parts(), lambda part: _seen(part, maps, copied)):
        for made in wave:
            mine = torch.tensor(made.facts["labels"])
            rows = slice(done, done + len(mine))
            labels[rows] = mine
            columns = made.facts["columns"]
            whole = torch.frombuffer(bytearray(made.content), dtype=torch.float32).reshape(len(mine), -1)
            parts = whole.split([n for pair in columns for n in pair], 1)  # type: ignore[no-untyped-call]
            _keep(looked.features, parts[::2], rows, (total, most))
            likely = [p for p in parts[1::2] if p.shape[1]]
            if likely:
                _keep(looked.probabilities, likely if probable else [], rows, (total, most))
                right = mine[sum(likely[1:], start=likely[0]).argmax(1) == mine]
                looked.right += torch.bincount(right, minlength=len(looked.right))
            if copied is not None:
                copied.take([Pair(*pair) for pair in made.facts["pairs"]])
            done = rows.stop
        report(done, total)
    return looked


def _seen(part: Part, maps: Sequence[View], copied: Copied | None) -> Made:
    """What one process says of a batch: labels and suspicious pairs, and features and probabilities of each view."""
    views = [view.features(part.x) for view in maps]
    empty = part.x.new_zeros(len(part.labels), 0)
    columns = [(seen.features, empty if seen.probabilities is None else seen.probabilities) for seen in views]
    content = torch.cat([matrix.float() for pair in columns for matrix in pair], 1).numpy().tobytes()
    pairs = [] if copied is None else copied.finder.pairs(part.x, part.labels, part.numbers)
    sizes = [[matrix.shape[1] for matrix in pair] for pair in columns]
    return Made({"labels": part.labels.tolist(), "columns": sizes, "pairs": pairs}, content)


def _keep(matrices: list[Matrix], parts: Sequence[Tensor], rows: slice, size: tuple[int, int]) -> None:
    """Put some rows of each matrix where they belong: into memory, or a file where the ``size`` has more than at most."""
    total, most = size
    for i, part in enumerate(parts):
        if i == len(matrices):
            matrices.append(torch.empty(total, part.shape[1]) if total <= most else Stored(part.shape[1]))
        matrix = matrices[i]
        if isinstance(matrix, Stored):
            matrix.add(part)
        else:
            matrix[rows] = part


def columns_of(matrix: Matrix) -> int:
    """How many features a matrix has."""
    return matrix.columns if isinstance(matrix, Stored) else matrix.shape[1]
