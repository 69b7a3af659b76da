"""Guidance turns a denoiser into another denoiser; one paper per file.

Law: scale 1 is the plain conditional denoiser, scale 0 the unconditional one.
"""

from __future__ import annotations

from collections.abc import Mapping

from evenscore.denoisers.base import Denoiser
from evenscore.guidance.classifier_free import ClassifierFree

GUIDANCE: Mapping[str, type[Denoiser]] = {"classifier-free": ClassifierFree}

__all__ = ["GUIDANCE", "ClassifierFree"]
