"""Sampling: exactly the asked number of each class, in memory or as files."""

from __future__ import annotations

from evenscore.sampling.generate import Batch, Sampler, generate, labels_for

__all__ = ["Batch", "Sampler", "generate", "labels_for"]
