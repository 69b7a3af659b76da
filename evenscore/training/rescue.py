"""Rescue of a training that has diverged: back to the last checkpoint, half the learning rate, and on, a few times.

Law: a rescue is what a kill and a resume would be, with another rate. How often a run was rescued stands in its checkpoints,
and what happened after the last one is computed again in the same way; so a run that was rescued and interrupted ends with bit
for bit the weights of one that was only rescued.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from evenscore.errors import Diverged

if TYPE_CHECKING:
    from evenscore.training.stepper import Progress, Stepper

MOST = 3
"""Rescues of a run."""
FACTOR = 0.5
"""What the learning rate is multiplied by at each."""
DIVERGED = 100.0
"""A probe this many times the best one so far is no fluctuation."""


def rate_factor(rescues: int) -> float:
    """What the learning rate is multiplied by after so many rescues."""
    return FACTOR**rescues


def require_sound(probe: float, best: float, step: int) -> None:
    """Refuse to keep weights whose probe is not finite, or far above the best one so far.

    Raises:
        Diverged: it is.
    """
    if not math.isfinite(probe) or probe > DIVERGED * best:
        raise Diverged(f"the probe became {probe:.4g}", step)


def rescued(start: Callable[[int], Stepper]) -> Iterator[Progress]:
    """Work to the end, rescued at most :data:`MOST` times in all.

    Args:
        start: makes a job that takes up the last checkpoint, given how often the run was rescued at least.

    Raises:
        Diverged: it does once more.
    """
    job = start(0)
    while True:
        try:
            yield from job.run_to_end()
            return
        except Diverged as error:
            failed, count, path = error.with_traceback(None), job.rescues + 1, job.run.path
        del job  # two at once might not fit into memory
        if count > MOST:
            tried = f", and the learning rate was halved {MOST} times already"
            raise Diverged(failed.what, failed.step, tried, f" in {path}")
        job = start(count)
        yield job.rolled_back(failed)


def sentence(failed: Diverged, step: int, rescues: int) -> str:
    """What a person is told of a rescue."""
    return (
        f"{failed.what} at step {failed.step}: back to step {step}, with {rate_factor(rescues):g} times the learning rate "
        f"(rescue {rescues} of {MOST})"
    )
