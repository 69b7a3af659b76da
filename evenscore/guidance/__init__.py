"""Guidance turns a denoiser into another denoiser; one paper per file.

Law: scale 1 is the plain conditional denoiser, scale 0 the unconditional one.
"""

from __future__ import annotations

from collections.abc import Mapping

from evenscore.denoisers.base import Denoiser
from evenscore.guidance.classifier import ClassifierGuided
from evenscore.guidance.classifier_free import ClassifierFree
from evenscore.guidance.diversity import SetDiversity
from evenscore.guidance.minority import Levels, MinorityGuidance, SelfMinority, minority_score, score_noise
from evenscore.guidance.time_shift import TimeShift

GUIDANCE: Mapping[str, type[Denoiser]] = {
    "classifier-free": ClassifierFree,
    "classifier": ClassifierGuided,
    "minority": MinorityGuidance,
    "self-minority": SelfMinority,
    "diversity": SetDiversity,
    "time-shift": TimeShift,
}

__all__ = [
    "GUIDANCE",
    "ClassifierFree",
    "ClassifierGuided",
    "Levels",
    "MinorityGuidance",
    "SelfMinority",
    "SetDiversity",
    "TimeShift",
    "minority_score",
    "score_noise",
]
