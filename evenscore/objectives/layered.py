"""Objectives in layers, so that one can add to another: at which levels, towards what, how much each row counts, what is added.

    t     <- times(batch)                           where a row is noised (default: where it is)
    x0    <- aim(batch)                             what a row aims at (default: the sample that was noised)
    L     =  row_weights(batch) * denoising loss    what each row counts (default: 1)
          +  added(seen)                            further terms, from the prediction that the denoising loss has made

Law: :func:`layered` runs any number of objectives over one prediction. One alone gives the terms that it gives by itself;
a layer that is left at its default changes nothing, bit for bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from evenscore.denoisers.base import Denoiser
from evenscore.labels import LabelDistribution
from evenscore.objectives.base import Noised, Objective, Terms, per_sample
from evenscore.objectives.weighting import x0_weight
from evenscore.prediction import Prediction
from evenscore.process import Process, expand

Direction: TypeAlias = Literal["pull", "push"]
"""Whether a term brings predictions under two labels together or parts them."""


@dataclass(frozen=True)
class Seen:
    """A noised batch and what the denoiser said of it: all that a further term is computed from.

    Attributes:
        denoiser: what predicted.
        batch: as the denoising loss takes it, with the times and targets that other layers have set.
        prediction: under ``batch.y_in``.
        latents: (B, F) of the same pass; None where no objective asked for them.
        labels: the training law.
        generator: of whatever is drawn, on the CPU.
    """

    denoiser: Denoiser
    batch: Noised
    prediction: Prediction
    latents: Tensor | None
    labels: LabelDistribution
    generator: torch.Generator


class Layered(Objective):
    """An objective in layers. Subclasses are frozen dataclasses and give the layers that they change.

    Attributes:
        weighting: weighting of the denoising term over noise levels.
    """

    weighting: str

    def __call__(
        self, denoiser: Denoiser, batch: Noised, labels: LabelDistribution, generator: torch.Generator
    ) -> Terms:
        return layered({"": self}, denoiser, batch, labels, generator)

    def times(self, process: Process, batch: Noised, labels: LabelDistribution) -> Tensor:
        """(B,) times at which the rows are noised."""
        return batch.t

    def aim(self, process: Process, batch: Noised, labels: LabelDistribution, generator: torch.Generator) -> Noised:
        """The batch with other targets ``x0`` and ``eps``, at the same ``x_t``, ``t`` and labels."""
        return batch

    def row_weights(self, batch: Noised, labels: LabelDistribution) -> Tensor | None:
        """(B,) what the denoising loss of each row counts; None for 1."""
        return None

    def denoise(self, denoiser: Denoiser, prediction: Prediction, batch: Noised) -> Tensor:
        """(B,) denoising loss of each row."""
        return denoising_loss(denoiser, prediction, batch, self.weighting)

    def added(self, seen: Seen) -> Terms:
        """Further terms (B,), by name."""
        return {}

    def directions(self) -> Mapping[str, Direction]:
        """Its terms of a strength above 0 that bring predictions under two labels together, or part them."""
        return {}


LAYERS = ("times", "aim", "row_weights")
"""Layers that only one of several objectives can give."""


def gives(objective: Objective, layer: str) -> bool:
    """Whether an objective changes a layer (or another method) that :class:`Layered` leaves as it is."""
    return getattr(type(objective), layer) is not getattr(Layered, layer)


def layered(
    parts: Mapping[str, Layered],
    denoiser: Denoiser,
    batch: Noised,
    labels: LabelDistribution,
    generator: torch.Generator,
) -> Terms:
    """Terms of some objectives together, over one prediction.

    Args:
        parts: by the prefix of their terms' and their memory's names. One that gives ``denoise`` computes the
            denoising loss, or the first.
        denoiser: what learns.
        batch: the noised batch.
        labels: the training law.
        generator: of whatever is drawn.
    """
    own = {prefix: memory_of(batch.memory, prefix) for prefix in parts}
    for part in parts.values():
        batch = _moved(part, denoiser.process, batch, labels)
    for part in parts.values():
        batch = part.aim(denoiser.process, batch, labels, generator)
    if any(part.needs_latents for part in parts.values()):
        prediction, latents = denoiser.observe(batch.x_t, batch.t, batch.y_in)
    else:
        prediction, latents = denoiser.predict(batch.x_t, batch.t, batch.y_in), None
    first = next((part for part in parts.values() if gives(part, "denoise")), next(iter(parts.values())))
    loss = first.denoise(denoiser, prediction, batch)
    for prefix, part in parts.items():
        weight = part.row_weights(replace(batch, memory=own[prefix]), labels)
        loss = loss if weight is None else weight.to(loss) * loss
    terms = {"denoising": loss}
    for prefix, part in parts.items():
        mine = replace(batch, memory=own[prefix])
        seen = Seen(denoiser, mine, prediction, latents, labels, generator)
        terms |= {prefix + name: term for name, term in part.added(seen).items()}
    return terms


def _moved(part: Layered, process: Process, batch: Noised, labels: LabelDistribution) -> Noised:
    """The batch noised where a part says, with the same noise."""
    t = part.times(process, batch, labels)
    return batch if t is batch.t else replace(batch, t=t, x_t=process.perturb(batch.x0, t, batch.eps))


def memory_of(memory: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The part of a memory whose names begin with a prefix, by the rest of the name."""
    return {key.removeprefix(prefix): value for key, value in memory.items() if key.startswith(prefix)}


def denoising_loss(
    denoiser: Denoiser, prediction: Prediction, batch: Noised, weighting: str, snr_cap: float = 5.0
) -> Tensor:
    """Weighted squared x0 error of each sample, (B,)."""
    log_snr = expand(denoiser.process.log_snr(batch.t), batch.x0)
    rate = expand(denoiser.process.log_snr_rate(batch.t), batch.x0)
    weight = x0_weight(weighting, log_snr, denoiser.data_std, snr_cap, rate)
    return per_sample(weight * (prediction.x0 - batch.x0).square())
