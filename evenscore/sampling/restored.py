"""Restoration of many measurements: batch by batch, each row with noise of its own.

Law: restoration ``i`` depends on the seed, on ``i``, on its label and on its measurement, never on the batch in which it was
computed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from evenscore.denoisers.base import Denoiser, evaluation
from evenscore.errors import UsageError, unknown
from evenscore.random import SampleNoise
from evenscore.restore import Measurement, Restoration
from evenscore.sampling.generate import Batch
from evenscore.solvers import GRIDS


def restored(
    denoiser: Denoiser,
    measurement: Measurement,
    labels: Tensor | Sequence[int],
    *,
    method: Restoration,
    seed: int,
    steps: int = 50,
    grid: str = "log-snr",
    indices: Sequence[int] | None = None,
    batch_size: int = 256,
    device: str | torch.device = "cpu",
) -> Iterator[Batch]:
    """One sample for each row of a measurement, in order. The denoiser is moved to ``device``.

    Args:
        denoiser: gives the predictions.
        measurement: N observations; to draw several samples of one, give it several times.
        labels: (N,) class of each, ``num_classes`` for none.
        method: how to restore.
        seed: with the number of a row, fixes its noise.
        steps: noise levels on the way; more is finer, and slower in proportion.
        grid: name in ``GRIDS``.
        indices: (N,) number of each row; None for 0 .. N-1.
        batch_size: samples that the denoiser sees at once; particles count.
        device: where to compute.

    Raises:
        UsageError: labels out of range or not one for each row, samples of another shape, an unknown grid, fewer than one
            step, or an empty batch size. Raised at the call.
    """
    targets = torch.as_tensor(labels, dtype=torch.int64)
    numbers = range(len(targets)) if indices is None else indices
    if not len(targets) == len(measurement) == len(numbers):
        raise UsageError(
            f"{len(measurement)} measurements, {len(targets)} labels, {len(numbers)} indices: give one of each for a row"
        )
    if measurement.values.shape[1:] != denoiser.shape:
        raise UsageError(
            f"measurements of samples {tuple(measurement.values.shape[1:])} were given to a denoiser of {denoiser.shape}: "
            "give measurements of its shape"
        )
    if len(targets) and not 0 <= int(targets.min()) <= int(targets.max()) <= denoiser.num_classes:
        raise UsageError(
            f"a label lies outside 0 .. {denoiser.num_classes}: give classes of the model, or its null label"
        )
    if batch_size < 1:
        raise UsageError(f"batch size is {batch_size}: give at least 1")
    if grid not in GRIDS:
        raise unknown("time grid", grid, GRIDS)
    times = GRIDS[grid](denoiser.process, steps)
    denoiser.to(device)
    rows = max(1, batch_size // method.width)
    moved = measurement.to(torch.device(device))
    return _batches(denoiser, moved, targets, tuple(int(i) for i in numbers), method, seed, times, rows)


def _batches(
    denoiser: Denoiser,
    measurement: Measurement,
    labels: Tensor,
    indices: tuple[int, ...],
    method: Restoration,
    seed: int,
    times: Tensor,
    rows: int,
) -> Iterator[Batch]:
    for start in range(0, len(labels), rows):
        part = slice(start, start + rows)
        y = labels[part].to(measurement.values.device)
        with evaluation(denoiser), torch.no_grad():
            noise = SampleNoise(seed, indices[part])
            x = method(denoiser, measurement.rows(part), y, times, noise)
        yield Batch(indices[part], labels[part], x.cpu())
