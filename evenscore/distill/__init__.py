"""Distillation: a one-step generator of a denoiser's samples, by KL or Fisher training against its scores.

Source: Luo, Zhang & Zhang 2023, "Entropy-based Training Methods for Scalable Neural Implicit Sampler", for targets that are
known by a score; the target here is the score of a denoiser at every noise level, with a class.
"""

from __future__ import annotations

from evenscore.distill.core import Distillation
from evenscore.distill.job import Distiller, distill
from evenscore.distill.settings import DistillConfig

__all__ = ["DistillConfig", "Distillation", "Distiller", "distill"]
