"""The step that restorations take from one time to an earlier one: any solver's, or the ancestral one.

Law of the ancestral step: a draw from the reverse kernel of :mod:`evenscore.kernel`, with the denoiser's prediction for x0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeAlias

from torch import Tensor

from evenscore.denoisers.base import Denoiser, evaluate
from evenscore.kernel import level, reverse_kernel

Noise: TypeAlias = Callable[[Sequence[int]], Tensor]
"""Maps the shape of one sample to (B, *shape) standard normal values, the next ones of every row."""


class Move(Protocol):
    """One step from a time to an earlier one; every solver of the library is one."""

    @property
    def stochastic(self) -> bool:
        """Whether a step needs noise."""

    def init(self, x: Tensor) -> Any:
        """The state before the first step."""

    def step(
        self, denoiser: Denoiser, x: Tensor, t: Tensor, s: Tensor, y: Tensor, state: Any, noise: Tensor | None
    ) -> Any:
        """An outcome with attributes ``x`` and ``state``."""


class Moved(NamedTuple):
    """The outcome of a step."""

    x: Tensor
    state: tuple[()] = ()


@dataclass(frozen=True)
class Reverse:
    """The ancestral step as a :class:`Move`; no settings."""

    @property
    def stochastic(self) -> bool:
        """Always True."""
        return True

    def init(self, x: Tensor) -> tuple[()]:
        """Nothing is remembered."""
        return ()

    def step(
        self, denoiser: Denoiser, x: Tensor, t: Tensor, s: Tensor, y: Tensor, state: Any, noise: Tensor | None
    ) -> Moved:
        """One draw of the reverse kernel."""
        assert noise is not None
        before, after = level(denoiser.process, t), level(denoiser.process, s)
        return Moved(reverse_kernel(evaluate(denoiser, x, t, y), before, after).draw(noise))


REVERSE = Reverse()
