"""Training: the loop, what it measures, and what it needs of the optimiser."""

from __future__ import annotations

from evenscore.training.loop import Trainer, train
from evenscore.training.stepper import Progress

__all__ = ["Progress", "Trainer", "train"]
