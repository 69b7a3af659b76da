"""The budget of a comparison: what the baseline gets, as a number of optimiser steps or as processor time.

Law: a budget in time becomes a number of steps once, by the measured cost of a step, and stays that number afterwards; so
every run has a budget in steps, and a run that was interrupted ends with the weights of one that was not.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from evenscore.errors import UsageError

UNITS = {"steps": 0, "step": 0, "s": 1, "sec": 1, "m": 60, "min": 60, "minutes": 60, "h": 3600, "hours": 3600}
"""Seconds of each unit; 0 for steps."""
FORM = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]*)")


@dataclass(frozen=True)
class Budget:
    """Of one run of the baseline: ``steps``, or ``seconds`` of processor time.

    Raises:
        UsageError: not exactly one of them, or nothing at all.
    """

    steps: int | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        given = self.steps if self.seconds is None else self.seconds
        if (self.steps is None) == (self.seconds is None) or given is None or not 0 < given < math.inf:
            raise UsageError(f"a budget of {self.steps} steps and {self.seconds} seconds: give one of them, above 0")

    def __str__(self) -> str:
        return f"{self.steps} steps" if self.steps is not None else f"{self.seconds:g} s"

    def in_steps(self, seconds_per_step: float) -> int:
        """Optimiser steps of the baseline whose step costs so many seconds; at least 1."""
        if self.steps is not None:
            return self.steps
        assert self.seconds is not None
        return max(1, round(self.seconds / seconds_per_step))


def read_budget(text: str) -> Budget:
    """``500`` or ``500steps``, ``90s``, ``5m`` or ``5min``, ``2h``.

    Raises:
        UsageError: anything else, or zero.
    """
    found = FORM.fullmatch(text.strip().lower())
    unit = (found[2] or "steps") if found else ""
    if found is None or unit not in UNITS or float(found[1]) == 0 or (UNITS[unit] == 0 and "." in found[1]):
        raise UsageError(f"--budget {text} cannot be used: give steps such as 500, or minutes such as 5min, above 0")
    if UNITS[unit] == 0:
        return Budget(steps=int(found[1]))
    return Budget(seconds=float(found[1]) * UNITS[unit])
