"""Loss by class and by group, gathered from losses per sample; and the probe by which checkpoints are compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from evenscore.configuration import TrainConfig
from evenscore.data import Dataset
from evenscore.denoisers.base import Denoiser
from evenscore.labels import LabelDistribution
from evenscore.objectives import Noised, noised
from evenscore.objectives.denoising import denoising_loss
from evenscore.objectives.levels import draw_times
from evenscore.random import generator

PROBE = 256
"""Samples of the probe, as equal in class as they can be."""


class ClassMeter:
    """Mean loss of each class since the last reset."""

    def __init__(self, labels: LabelDistribution) -> None:
        names = labels.groups()
        self.groups = {group: torch.tensor([name == group for name in names]) for group in dict.fromkeys(names)}
        self.total = torch.zeros(labels.num_classes, dtype=torch.float64)
        self.count = torch.zeros(labels.num_classes, dtype=torch.float64)

    def add(self, y: Tensor, loss: Tensor) -> None:
        """Take in a batch: (B,) labels and (B,) losses."""
        self.total.index_add_(0, y.cpu(), loss.cpu().double())
        self.count.index_add_(0, y.cpu(), torch.ones(len(y), dtype=torch.float64))

    def reset(self) -> None:
        """Start again at zero."""
        self.total.zero_()
        self.count.zero_()

    @property
    def empty(self) -> bool:
        """Whether nothing was taken in since the last reset."""
        return not bool(self.count.any())

    def mean(self) -> float:
        """Mean over samples; nan when there were none."""
        return float(self.total.sum() / self.count.sum())

    def by_class(self) -> list[float | None]:
        """Mean of each class; None where a class had no sample."""
        pairs = zip(self.total.tolist(), self.count.tolist(), strict=True)
        return [round(total / count, 6) if count else None for total, count in pairs]

    def by_group(self) -> dict[str, float]:
        """Mean of each group that had a sample."""
        out = {}
        for group, mine in self.groups.items():
            count = float(self.count[mine].sum())
            if count > 0:
                out[group] = round(float(self.total[mine].sum()) / count, 6)
        return out


@dataclass(frozen=True)
class ProbeLoss:
    """Denoising loss on the probe: mean over the classes that have samples, and of each class, None where it has none."""

    mean: float
    by_class: list[float | None]


@torch.no_grad()
def probe_loss(denoiser: Denoiser, data: Dataset, config: TrainConfig) -> ProbeLoss:
    """Denoising loss (EDM weighting) of a fixed set of samples of ``data`` with fixed noise, every class counting alike.

    It compares checkpoints of one run with each other. Of training samples it says nothing about samples that the network has
    not seen; for that, ``data`` is the held-out part, in which a class may be empty.
    """
    present = [k for k, count in enumerate(data.distribution.counts) if count]
    batch = probe_batch(denoiser, data, config, present)
    loss = denoising_loss(denoiser, denoiser.predict(batch.x_t, batch.t, batch.y_in), batch, "edm").cpu()
    y = batch.y.cpu()
    found = {k: float(loss[y == k].mean()) for k in present}
    return ProbeLoss(sum(found.values()) / len(found), [found.get(k) for k in range(data.num_classes)])


def probe_batch(denoiser: Denoiser, data: Dataset, config: TrainConfig, classes: Sequence[int] | None = None) -> Noised:
    """The probe: some samples of each class, the same in every call, with the same noise.

    Args:
        denoiser: whose process, spread and device are used.
        data: the training set, or its held-out part.
        config: of the run.
        classes: among which the probe's samples are divided; None for all.
    """
    random = generator(config.seed, "probe")
    present = range(data.num_classes) if classes is None else classes
    index = torch.cat([_some(data, k, PROBE // len(present), random) for k in present])
    x0, y = data.tensor(index.numpy()), torch.from_numpy(data.labels)[index]
    std = float(torch.as_tensor(denoiser.data_std).mean())
    t = draw_times(config.noise, len(y), denoiser.process, std, random)
    eps = torch.randn(x0.shape, generator=random)
    device = next(denoiser.parameters()).device
    return noised(denoiser.process, *(v.to(device) for v in (x0, y, y, t, eps)))


def _some(data: Dataset, k: int, number: int, random: torch.Generator) -> Tensor:
    mine = torch.from_numpy(data.of_class(k))
    return mine[torch.randperm(len(mine), generator=random)[: max(1, number)]]
