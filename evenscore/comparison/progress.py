"""How far a comparison is: stages for people, and the time that is left by the pace so far."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Stage:
    """A step of the work, for people.

    Attributes:
        name: ``plan``, ``prepare``, ``measure``, ``choose``, ``compare``, ``failed``, ``write``, ``stopped`` or ``done``.
        text: what happens, in words.
        fraction: share of this stage that is done.
        remaining: seconds left of it, None where not known.
    """

    name: str
    text: str
    fraction: float = 0.0
    remaining: float | None = None


STOPPED_STAGE = Stage("stopped", "the same command goes on from here")


class Clock:
    """Predicts the time that is left of some runs, each with the seconds that it was predicted to take.

    Args:
        name: of the stages.
        total: predicted seconds of all runs.
        done: those of the runs that were finished before.
    """

    def __init__(self, name: str, total: Iterable[float], done: Iterable[float]) -> None:
        self.name, self.total = name, sum(total)
        self.done = self.before = sum(done)
        self.started = time.monotonic()

    def stage(self, text: str, under_way: float = 0.0) -> Stage:
        """Where the work stands, with so many predicted seconds of an unfinished run done."""
        here = self.done + under_way - self.before
        left = (time.monotonic() - self.started) * (self.total - self.before - here) / here if here > 0 else None
        return Stage(self.name, text, min(1.0, (self.done + under_way) / self.total), left)
