"""Sampling: exactly the asked number of each class, from a denoiser and a seed.

Law: sample ``i`` depends on the seed, on ``i`` and on its label, never on the batch in which it was computed. Where samples
are made in sets it depends on its set as a whole, and the law holds for sets: a set is never divided.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor

from evenscore.denoisers.base import Denoiser, evaluation
from evenscore.denoisers.one_step import OneStep
from evenscore.errors import NotFinite, UsageError, unknown
from evenscore.guidance.classifier_free import ClassifierFree, check_scale
from evenscore.labels import check_total
from evenscore.random import SampleNoise
from evenscore.records import read, write
from evenscore.solvers import GRIDS, SOLVERS, Solver, integrate, steps_for

Guide: TypeAlias = Callable[[Denoiser, Tensor], Denoiser]
"""Wraps the denoiser of one batch, given the set numbers (B,) of its rows."""


ONE = "one-step"
"""Name of what takes the place of a solver where a generator makes samples."""


@dataclass(frozen=True)
class Sampler:
    """How to sample; checked when made.

    Attributes:
        solver: name in ``SOLVERS``, or ``one-step`` for a generator that is asked once (:data:`ONE_STEP`).
        grid: name in ``GRIDS``; ``none`` for ``one-step``.
        nfe: denoiser evaluations per sample, at least for a solver with adaptive steps; guidance does not count twice.
        guidance: classifier-free guidance scale: 0 unconditional, 1 plain conditional, above 1 stronger.
        interval: lowest and highest log SNR at which to guide; None for everywhere.
        settings: settings of the solver, by the names of its fields; what is not given keeps its default.

    Raises:
        UsageError: an unknown name or setting, too few evaluations, a scale or interval without meaning.
    """

    solver: str = "dpm++2m"
    grid: str = "log-snr"
    nfe: int = 12
    guidance: float = 1.0
    interval: tuple[float, float] | None = None
    settings: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        if self.solver == ONE:
            self._check_one()
            return
        if self.solver not in SOLVERS:
            raise unknown("solver", self.solver, SOLVERS)
        if self.grid not in GRIDS:
            raise unknown("time grid", self.grid, GRIDS)
        plain = write(self.make_solver())
        object.__setattr__(self, "settings", {key: plain[key] for key in self.settings})
        steps_for(self.make_solver(), self.nfe)
        check_scale(self.guidance, self.interval)

    def _check_one(self) -> None:
        asked = (self.grid, self.nfe, self.guidance, self.interval, dict(self.settings))
        if asked != ("none", 1, 1.0, None, {}):
            raise UsageError(
                f"solver {ONE} was asked for with other settings: a generator is asked once, without grid, guidance or "
                "settings, give sampler=ONE_STEP"
            )

    def at(self, guidance: float) -> Sampler:
        """The same at another scale; where that does not strengthen the class, no interval is left to say where."""
        return replace(self, guidance=guidance, interval=self.interval if guidance > 1 else None)

    def make_solver(self) -> Solver:
        """The solver with its settings.

        Raises:
            UsageError: a setting that it does not have, or a value that it refuses.
        """
        return read(SOLVERS[self.solver], self.settings)


DEFAULT = Sampler(guidance=2.5, interval=(-4.0, 4.0))
"""How a run is sampled where nothing else is asked: guided at the noise levels where that matters (docs/performance.md)."""
ONE_STEP = Sampler(solver=ONE, grid="none", nfe=1, guidance=1.0)
"""How a one-step generator is sampled, the only way: one evaluation for each sample."""


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
        UsageError: a negative count, or more samples than can be asked for.
    """
    check_total(counts)
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
    sets: Tensor | None = None,
    guide: Guide | None = None,
    turn: tuple[int, int] = (0, 1),
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
        sets: (N,) the number of the set of each sample, those of a set together; None for samples on their own. A batch
            holds whole sets, and is larger than ``batch_size`` only when one set is.
        guide: wraps the denoiser of each batch, after classifier-free guidance.
        turn: (r, n): of every n batches the one at place r is made, for processes that share the work.

    Raises:
        UsageError: labels out of range, indices or sets that do not match them, an empty batch size, or a sampler for
            another kind of model. Raised at the call.
        NotFinite: a sample became NaN or infinite. Raised on the way; batches before are good.
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
    _check_kind(denoiser, sampler, targets, guide)
    parts = _parts(None if sets is None else sets.cpu(), len(targets), batch_size)
    base = denoiser if sampler == ONE_STEP else ClassifierFree(denoiser, sampler.guidance, sampler.interval)
    guided = base.to(device)
    wrap: Guide = (lambda base, rows: base) if guide is None else guide

    def batches() -> Iterator[Batch]:
        for part in parts[turn[0] :: turn[1]]:
            place = tuple(int(i) for i in numbers[part])
            rows = torch.arange(part.start, part.stop) if sets is None else sets[part]
            final = wrap(guided, rows.to(device))
            with evaluation(final), torch.inference_mode():
                x = _solve(final, targets[part].to(device), SampleNoise(seed, place), sampler, torch.device(device))
            _require_finite(x, place)
            yield Batch(place, targets[part], x.cpu().clone())

    return batches()


def _check_kind(denoiser: Denoiser, sampler: Sampler, labels: Tensor, guide: Guide | None) -> None:
    """Refuse to draw a generator by steps, or a denoiser without.

    Raises:
        UsageError: one of these, or guidance or the null label for a generator.
    """
    if not isinstance(denoiser, OneStep):
        if sampler == ONE_STEP:
            raise UsageError(f"solver {ONE} is for generators that `evenscore distill` made: choose another solver")
        return
    if sampler != ONE_STEP or guide is not None:
        raise UsageError(
            "a one-step generator has no noise levels at which a solver or guidance could act: give sampler=ONE_STEP"
        )
    if bool((labels == denoiser.null).any()):
        raise UsageError("a one-step generator knows no null label: give classes of the model")


def _require_finite(x: Tensor, place: Sequence[int]) -> None:
    good = torch.isfinite(x.flatten(1)).all(1)
    if not bool(good.all()):
        first = place[int(torch.nonzero(~good)[0])]
        raise NotFinite(
            f"sample {first} became NaN or infinite, {int((~good).sum())} of {len(x)} in its batch: give a guidance scale "
            "nearer to 1, more evaluations (--nfe), or another checkpoint"
        )


def _parts(sets: Tensor | None, count: int, batch_size: int) -> list[slice]:
    """Batches as slices, of whole sets, of at most ``batch_size`` samples where a set allows it.

    Raises:
        UsageError: another number of sets than of samples, or a set that is scattered.
    """
    if sets is None:
        return [slice(start, min(start + batch_size, count)) for start in range(0, count, batch_size)]
    if len(sets) != count:
        raise UsageError(f"{len(sets)} set numbers were given for {count} labels: give one for each label")
    runs, sizes = torch.unique_consecutive(sets, return_counts=True)
    if len(runs.unique()) != len(runs):
        raise UsageError("the samples of a set do not stand together: put them in order of set")
    parts, start, stop = [], 0, 0
    for size in sizes.tolist():
        if stop > start and stop + size - start > batch_size:
            parts.append(slice(start, stop))
            start = stop
        stop += size
    return [*parts, slice(start, stop)] if stop > start else parts


def _solve(denoiser: Denoiser, y: Tensor, noise: SampleNoise, sampler: Sampler, device: torch.device) -> Tensor:
    """One batch of samples (B, *shape)."""
    if isinstance(denoiser, OneStep):
        return denoiser.draw(noise(denoiser.shape).to(device), y)
    solver = sampler.make_solver()
    times = GRIDS[sampler.grid](denoiser.process, steps_for(solver, sampler.nfe))
    x = denoiser.process.prior(noise(denoiser.shape).to(device))
    for step in integrate(denoiser, solver, x, times, y, noise):
        x = step.x
    return x
