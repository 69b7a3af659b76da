"""RePaint (Lugmayr et al. 2022): replacement with travel back in time, so that known and unknown part come to agree.

Law: the grid is cut into stretches of ``jump`` steps; a stretch is descended with replacement, its end is noised up again
to its beginning by the forward kernel, and this is done ``repeats`` times in all. ``repeats = 1`` is replacement.

Every turn brings the unknown part nearer to the known one, at ``repeats`` times the cost. The bias of replacement shrinks, on
some tasks hardly, and does not vanish: the noised measurement is still drawn anew in each turn, and at low noise, where it
says most, a turn is too short to leave a mode.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from evenscore import records
from evenscore.denoisers.base import Denoiser
from evenscore.restore.base import Restoration
from evenscore.restore.kernel import REVERSE, Move, Noise, forward_kernel
from evenscore.restore.measurement import Measurement
from evenscore.restore.replacement import begin, descend, finish


@dataclass(frozen=True)
class RePaint(Restoration):
    """Replacement with travel back in time: known and unknown part come to agree; less biased, not unbiased.

    Attributes:
        repeats: how often each stretch of the grid is descended.
        jump: steps of a stretch.
    """

    repeats: int = 5
    jump: int = 5
    source: ClassVar[str] = "Lugmayr et al. 2022"
    exact: ClassVar[bool] = False

    def __post_init__(self) -> None:
        records.check("repeats", self.repeats, self.repeats >= 1, "at least 1")
        records.check("jump", self.jump, self.jump >= 1, "at least 1")

    def __call__(
        self,
        denoiser: Denoiser,
        measurement: Measurement,
        y: Tensor,
        times: Tensor,
        noise: Noise,
        move: Move = REVERSE,
    ) -> Tensor:
        """Restored samples; ``move`` is the step, the ancestral one or any solver."""
        x = begin(denoiser, measurement, times, noise)
        for first in range(0, len(times) - 1, self.jump):
            stretch = times[first : first + self.jump + 1]
            for turn in range(self.repeats):
                if turn:
                    up = forward_kernel(denoiser.process, x, stretch[-1], stretch[0])
                    x = up.draw(noise(denoiser.shape).to(x))
                x = descend(denoiser, measurement, x, stretch, y, noise, move)
        return finish(denoiser, measurement, x, times, y)
