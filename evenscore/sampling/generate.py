"""Sampling: exactly the asked number of each class, from a denoiser and a seed.

Law: sample ``i`` depends on the seed, on ``i`` and on its label, never on the batch in which it was computed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from evenscore.denoisers.base import Denoiser
from evenscore.errors import UsageError, unknown
from evenscore.guidance.classifier_free import ClassifierFree, check_scale
from evenscore.random import SampleNoise
from evenscore.solvers import GRIDS, SOLVERS, integrate, steps_for


@dataclass(frozen=True)
class Sampler:
    """How to sample; checked when made.

    Attributes:
        solver: name in ``SOLVERS``.
        grid: name in ``GRIDS``.
        nfe: denoiser evaluations per sample; guidance does not count twice.
        guidance: classifier-free guidance scale: 0 unconditional, 1 plain conditional, above 1 stronger.
        interval: lowest and highest log SNR at which to guide; None for everywhere.

    Raises:
        UsageError: an unknown name, too few evaluations, a scale or interval without meaning.
    """

    solver: str = "dpm++2m"
    grid: str = "log-snr"
    nfe: int = 12
    guidance: float = 1.0
    interval: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if self.solver not in SOLVERS:
            raise unknown("solver", self.solver, SOLVERS)
        if self.grid not in GRIDS:
            raise unknown("time grid", self.grid, GRIDS)
        steps_for(SOLVERS[self.solver], self.nfe)
        check_scale(self.guidance, self.interval)


class Batch(NamedTuple):
    """Some finished samples, on the CPU.

    Attributes:
        indices: the number of each sample, which with the seed fixes its noise.
        labels: (B,) int64.
        x: (B, *shape) samples, meant for [-1, 1] and not clamped to it.
    """

    indices: tuple[int, ...]
    labels: Tensor
    x: Tensor


def labels_for(counts: Sequence[int]) -> Tensor:
    """Labels (sum of counts,), int64: ``counts[k]`` times class ``k``, in order of class.

    Raises:
        UsageError: a negative count.
    """
    if min(counts, default=0) < 0:
        raise UsageError(f"{min(counts)} samples of a class were asked for: give 0 or more")
    return torch.repeat_interleave(torch.tensor(list(counts), dtype=torch.int64))


def generate(
    denoiser: Denoiser,
    labels: Tensor | Sequence[int],
    *,
    seed: int,
    sampler: Sampler,
    indices: Sequence[int] | None = None,
    batch_size: int = 64,
    device: str | torch.device = "cpu",
) -> Iterator[Batch]:
    """Samples of the given labels, batch by batch, in order. The denoiser is moved to ``device``.

    Args:
        denoiser: gives the predictions; run in evaluation mode, which is undone after each batch.
        labels: (N,) class of each sample, ``num_classes`` for none.
        seed: with a sample's index, fixes its noise.
        sampler: solver, grid, evaluations and guidance.
        indices: (N,) number of each sample; None for 0 .. N-1.
        batch_size: samples computed together.
        device: where to compute.

    Raises:
        UsageError: labels out of range, indices that do not match them, or an empty batch size. Raised at the call.
    """
    targets = torch.as_tensor(labels, dtype=torch.int64)
    numbers = range(len(targets)) if indices is None else indices
    if len(numbers) != len(targets):
        raise UsageError(f"{len(numbers)} indices were given for {len(targets)} labels: give one for each label")
    if batch_size < 1:
        raise UsageError(f"batch size is {batch_size}: give at least 1")
    if len(targets) and not 0 <= int(targets.min()) <= int(targets.max()) <= denoiser.num_classes:
        raise UsageError(
            f"a label lies outside 0 .. {denoiser.num_classes}: give classes of the model, or its null label"
        )
    guided = ClassifierFree(denoiser, sampler.guidance, sampler.interval).to(device)
    return _batches(guided, targets, tuple(int(i) for i in numbers), seed, sampler, batch_size, torch.device(device))


def _batches(
    denoiser: Denoiser,
    labels: Tensor,
    indices: tuple[int, ...],
    seed: int,
    sampler: Sampler,
    batch_size: int,
    device: torch.device,
) -> Iterator[Batch]:
    for start in range(0, len(labels), batch_size):
        part = slice(start, start + batch_size)
        with evaluation(denoiser), torch.inference_mode():
            x = _solve(denoiser, labels[part].to(device), SampleNoise(seed, indices[part]), sampler, device)
        yield Batch(indices[part], labels[part], x.cpu().clone())


def _solve(denoiser: Denoiser, y: Tensor, noise: SampleNoise, sampler: Sampler, device: torch.device) -> Tensor:
    """One batch of samples (B, *shape)."""
    solver = SOLVERS[sampler.solver]()
    times = GRIDS[sampler.grid](denoiser.process, steps_for(solver, sampler.nfe))
    x = denoiser.process.prior(noise(denoiser.shape).to(device))
    for step in integrate(denoiser, solver, x, times, y, noise):
        x = step.x
    return x


@contextmanager
def evaluation(module: nn.Module) -> Iterator[None]:
    """``module`` in evaluation mode inside; every part's own mode again outside."""
    before = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, mode in before:
            part.training = mode
