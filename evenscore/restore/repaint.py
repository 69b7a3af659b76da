"""RePaint (Lugmayr et al. 2022): replacement with travel back in time, so that known and unknown part come to agree.

Law: the grid is cut into stretches of ``jump`` steps; a stretch is descended with replacement, its end is noised up again
to its beginning by the forward kernel, and this is done ``repeats`` times in all. ``repeats = 1`` is replacement.

Every turn brings the unknown part nearer to the known one, at ``repeats`` times the cost. The bias of replacement shrinks, on
some tasks hardly, and does not vanish: the noised measurement is still drawn anew in each turn, and at low noise, where it
says most, a turn is too short to leave a mode.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from evenscore import records
from evenscore.restore.replacement import Overwriting


@dataclass(frozen=True)
class RePaint(Overwriting):
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

    def stretches(self, times: Tensor) -> Iterator[Tensor]:
        """Every stretch as often as there are turns."""
        for first in range(0, len(times) - 1, self.jump):
            for _ in range(self.repeats):
                yield times[first : first + self.jump + 1]
