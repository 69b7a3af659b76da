"""Several objectives as one: ``cbdm+coral``.

Each part keeps its own layers (:mod:`evenscore.objectives.layered`): there is one prediction and one denoising loss, the times,
targets and weights of its rows are those of the one part that sets them, and the terms of all parts are added. The names of a
part's terms and of what it remembers begin with the part's.

Laws: parts at their neutral settings add nothing, bit for bit. Parts that contradict each other are refused: two that set the
same layer, two weightings of the denoising loss, or one that parts predictions at the noise level at which another pulls
them together most.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import torch
from torch import Tensor

from evenscore.denoisers.base import Denoiser
from evenscore.errors import UsageError
from evenscore.labels import LabelDistribution
from evenscore.objectives.base import ClassMoments, Cost, Noised, Objective, Terms
from evenscore.objectives.layered import LAYERS, Layered, gives, layered, memory_of

DECIDES = {
    "times": "at which noise levels rows are noised",
    "aim": "what rows aim at",
    "row_weights": "what each row counts",
    "label_dropout": "how often labels are dropped",
}
"""What only one part can decide, by method."""
PURE_NOISE = -20.0
"""Log SNR at which pulling and parting at once is refused."""


@dataclass(frozen=True)
class Composed(Objective):
    """Objectives that share one prediction.

    Attributes:
        parts: name and objective of each, in order.

    Raises:
        UsageError: fewer than two, one that has no layers, or two that contradict each other.
    """

    parts: tuple[tuple[str, Layered], ...]
    source: ClassVar[str] = "its parts"

    def __post_init__(self) -> None:
        if len(self.named) < 2 or len(self.named) < len(self.parts):
            given = "+".join(name for name, _ in self.parts)
            raise UsageError(
                f"objective {given!r} cannot be combined: give at least two different ones, such as cbdm+coral"
            )
        for name, part in self.parts:
            if not isinstance(part, Layered):
                raise UsageError(
                    f"objective {name} cannot be combined with others: it is not made of layers (derive it from Layered)"
                )
        self._check_layers()
        self._check_weighting()
        self._check_directions()

    @property
    def named(self) -> dict[str, Layered]:
        """The parts by name."""
        return dict(self.parts)

    @property
    def weighting(self) -> str:
        """The weighting of the denoising term, which all parts share."""
        return self.parts[0][1].weighting

    def __call__(
        self, denoiser: Denoiser, batch: Noised, labels: LabelDistribution, generator: torch.Generator
    ) -> Terms:
        return layered(self._prefixed(), denoiser, batch, labels, generator)

    def needs(self, what: str) -> bool:
        return any(part.needs(what) for part in self.named.values())

    def cost(self) -> Cost:
        """One evaluation, and what each part needs beyond it."""
        costs = [part.cost() for part in self.named.values()]
        return Cost(1 + sum(c.forwards - 1 for c in costs), 1 + sum(c.backwards - 1 for c in costs))

    def independent(self) -> bool:
        return all(part.independent() for part in self.named.values())

    def level_weights(self, log_snr: Tensor) -> dict[str, Tensor]:
        found: dict[str, Tensor] = {}
        for prefix, part in self._prefixed().items():
            found |= {prefix + name: weight for name, weight in part.level_weights(log_snr).items()}
        return found

    def equip(self, denoiser: Denoiser) -> None:
        for part in self.named.values():
            part.equip(denoiser)

    def release(self, denoiser: Denoiser) -> None:
        for _, part in reversed(self.parts):
            part.release(denoiser)

    def bind(self, measure: Callable[[], ClassMoments]) -> Self:
        bound = tuple((name, part.bind(measure)) for name, part in self.parts)
        same = all(new is part for (_, new), (_, part) in zip(bound, self.parts, strict=True))
        return self if same else replace(self, parts=bound)

    def label_dropout(self, rate: float, labels: LabelDistribution) -> float | Tensor:
        deciding = [part for part in self.named.values() if gives(part, "label_dropout")]
        return deciding[0].label_dropout(rate, labels) if deciding else rate

    def remember(self, labels: LabelDistribution) -> Mapping[str, Tensor]:
        found: dict[str, Tensor] = {}
        for prefix, part in self._prefixed().items():
            found |= {prefix + key: value for key, value in part.remember(labels).items()}
        return found

    def learn(
        self, memory: Mapping[str, Tensor], batch: Noised, terms: Terms, labels: LabelDistribution
    ) -> Mapping[str, Tensor]:
        found: dict[str, Tensor] = {}
        for prefix, part in self._prefixed().items():
            mine = {"denoising": terms["denoising"], **memory_of(terms, prefix)}
            learned = part.learn(memory_of(memory, prefix), batch, mine, labels)
            found |= {prefix + key: value for key, value in learned.items()}
        return found

    def _prefixed(self) -> dict[str, Layered]:
        return {f"{name}.": part for name, part in self.parts}

    def _check_layers(self) -> None:
        for layer in (*LAYERS, "label_dropout"):
            both = [name for name, part in self.named.items() if gives(part, layer)]
            if len(both) > 1:
                raise UsageError(
                    f"objectives {both[0]} and {both[1]} both decide {DECIDES[layer]}: give only one of them"
                )
        reserving = [name for name, part in self.named.items() if part.needs_reserve]
        if len(reserving) > 1:
            raise UsageError(
                f"objectives {reserving[0]} and {reserving[1]} both reserve capacity: give only one of them"
            )

    def _check_weighting(self) -> None:
        first, *others = self.parts
        for name, part in others:
            if part.weighting != first[1].weighting:
                raise UsageError(
                    f"objective {first[0]} has weighting={first[1].weighting} and {name} weighting={part.weighting}, but they "
                    "share one denoising loss: give one weighting for all"
                )

    def _check_directions(self) -> None:
        level = torch.tensor([PURE_NOISE], dtype=torch.float64)
        acting: dict[str, str] = {}
        for name, part in self.named.items():
            weights = part.level_weights(level)
            acting |= {way: name for term, way in part.directions().items() if float(weights[term]) > 0}
        if len(acting) > 1:
            push = acting["push"]
            raise UsageError(
                f"objective {acting['pull']} pulls predictions together at high noise, where {push} parts them: "
                f"give {push} a time_weight that vanishes there, such as falling"
            )
