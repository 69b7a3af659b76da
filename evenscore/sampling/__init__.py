"""Sampling: exactly the asked number of each class, in memory or as files."""

from __future__ import annotations

from evenscore.sampling.generate import DEFAULT, ONE_STEP, Batch, Sampler, generate, labels_for

__all__ = ["DEFAULT", "ONE_STEP", "Batch", "Sampler", "generate", "labels_for"]
