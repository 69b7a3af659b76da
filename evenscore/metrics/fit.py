"""Training of the small classifier, quick and fit for very unequal classes.

Law: batches are class-balanced (every class that has samples is equally likely), and the result depends on the data, the
seed and the number of steps only, not on what was drawn elsewhere. Changes of the samples keep the label for data of any
kind: small shifts, a blanked patch, a little noise; no mirroring, because a mirrored digit is another sign.
"""

from __future__ import annotations

import time

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from evenscore.errors import DataError, UsageError
from evenscore.metrics.classifier import Classifier
from evenscore.random import generator, seeded_layers

LABEL_SMOOTHING = 0.05
RATE, WEIGHT_DECAY, WARM = 3e-3, 0.05, 0.2
SHIFT_SHARE, NOISE, ERASED = 8, 0.05, 0.5


def default_steps(samples: int) -> int:
    """Steps of 128 samples: 300 for small data, growing with the square root of the number of samples up to 1200."""
    return int(min(1200, max(300, 7 * samples**0.5)))


def fit_classifier(
    x: Tensor,
    y: Tensor,
    num_classes: int,
    *,
    seed: int,
    steps: int | None = None,
    seconds: float | None = None,
    batch_size: int = 128,
) -> Classifier:
    """Train a classifier on labelled samples: AdamW, one cycle of the learning rate, label smoothing 0.05.

    Args:
        x: images (N,C,H,W) in [-1, 1], or vectors (N,D); training runs on their device.
        y: labels (N,), int64, in 0 .. K-1; a class may have a single sample, or none.
        num_classes: K.
        seed: of the first weights, the batches and the changes of samples.
        steps: number of steps; :func:`default_steps` when None.
        seconds: an upper limit on the time, None for none. When it is reached before ``steps``, the cycle of the
            learning rate is shortened to it, and the result depends on the speed of the machine.
        batch_size: samples per step.

    Raises:
        DataError: no samples, or labels that do not fit.
        UsageError: a number of steps or a batch size below 1, or a shape that cannot be classified.
    """
    _check(x, y, num_classes)
    steps = default_steps(len(x)) if steps is None else steps
    if steps < 1 or batch_size < 1:
        raise UsageError(f"{steps} steps of {batch_size} samples: give at least 1 of each")
    with seeded_layers(seed):
        classifier = Classifier(x.shape[1:], num_classes)
    classifier.to(x.device).standardise(x)
    draw = _Balanced(y.cpu(), seed, batch_size)
    optimiser = torch.optim.AdamW(classifier.parameters(), lr=RATE, betas=(0.9, 0.99), weight_decay=WEIGHT_DECAY)
    start = time.monotonic()
    for step in range(steps):
        done = _progress(step, steps, time.monotonic() - start, seconds)
        if done >= 1:
            break
        index = draw(step).to(x.device)
        batch = perturb(x[index], generator(seed, "classifier", "perturb", step))
        _step(classifier, optimiser, batch, y[index], _rate(done))
    return classifier.eval().requires_grad_(False)


def _check(x: Tensor, y: Tensor, num_classes: int) -> None:
    if len(x) == 0 or y.shape != (len(x),):
        raise DataError(f"{len(x)} samples with labels of shape {tuple(y.shape)}: give samples with one label for each")
    if int(y.min()) < 0 or int(y.max()) >= num_classes:
        raise DataError(
            f"labels run from {int(y.min())} to {int(y.max())}, but there are {num_classes} classes: "
            f"use 0 .. {num_classes - 1}"
        )


def _progress(step: int, steps: int, elapsed: float, seconds: float | None) -> float:
    """The share of the budget that is used, from 0 to 1."""
    return step / steps if seconds is None else max(step / steps, elapsed / seconds)


def _rate(done: float) -> float:
    """Learning rate: a linear rise over the first fifth, then a linear fall to zero (one cycle; Smith & Topin 2018)."""
    return RATE * min((done + 0.01) / WARM, (1 - done) / (1 - WARM))


def _step(classifier: nn.Module, optimiser: torch.optim.Optimizer, x: Tensor, y: Tensor, rate: float) -> None:
    for group in optimiser.param_groups:
        group["lr"] = rate
    loss = F.cross_entropy(classifier(x), y, label_smoothing=LABEL_SMOOTHING)
    optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(classifier.parameters(), 1.0)
    optimiser.step()


class _Balanced:
    """Indices (B,) of each step: a class that has samples, each equally likely, then any of its samples."""

    def __init__(self, y: Tensor, seed: int, batch_size: int) -> None:
        self.order = torch.argsort(y, stable=True)
        classes, self.counts = torch.unique(y, return_counts=True)
        self.starts = self.counts.cumsum(0) - self.counts
        self.seed, self.batch_size, self.classes = seed, batch_size, len(classes)

    def __call__(self, step: int) -> Tensor:
        draws = generator(self.seed, "classifier", "batch", step)
        k = torch.randint(self.classes, (self.batch_size,), generator=draws)
        place = torch.rand(self.batch_size, generator=draws, dtype=torch.float64) * self.counts[k]
        return self.order[self.starts[k] + place.long()]


def perturb(x: Tensor, draws: torch.Generator) -> Tensor:
    """Samples changed a little: normal noise of 0.05 for all (of the spread for vectors); images also shifted and erased.

    Images (B,C,H,W) move by up to 1/8 of each side, the edge repeated where they enter; in half of them a rectangle with
    sides of 1/8 to 1/2 becomes the mean of the image (cutout; DeVries & Taylor 2017).
    """
    noise = NOISE * torch.randn(x.shape, generator=draws).to(x.device)
    if x.ndim == 2:
        return x + noise * x.std(0, correction=0)
    u = torch.rand(len(x), 7, generator=draws)
    height, width = x.shape[2:]
    moved = _take(x, _shifted(u[:, 0], height).to(x.device), _shifted(u[:, 1], width).to(x.device))
    blank = _span(u[:, 2], u[:, 3], height)[:, None, :, None] & _span(u[:, 4], u[:, 5], width)[:, None, None, :]
    blank &= (u[:, 6] < ERASED)[:, None, None, None]
    return torch.where(blank.to(x.device), x.mean((2, 3), keepdim=True), moved) + noise


def _shifted(draw: Tensor, size: int) -> Tensor:
    """For each place of a row or column the place it is taken from, (B,size)."""
    largest = max(1, size // SHIFT_SHARE)
    shift = (draw * (2 * largest + 1)).long() - largest
    return (torch.arange(size) - shift[:, None]).clamp(0, size - 1)


def _span(length: Tensor, start: Tensor, size: int) -> Tensor:
    """A stretch of each row or column, (B,size), of 1/8 to 1/2 of it, that lies inside."""
    extent = size * (1 + 3 * length) / 8
    first = start * (size - extent)
    place = torch.arange(size)
    return (place >= first[:, None]) & (place < (first + extent)[:, None])


def _take(x: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    x = x.gather(2, rows[:, None, :, None].expand(-1, x.shape[1], -1, x.shape[3]))
    return x.gather(3, columns[:, None, None, :].expand(-1, x.shape[1], x.shape[2], -1))
