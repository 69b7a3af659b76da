"""Objectives: one paper per file; the key here is the name on the command line."""

from __future__ import annotations

from collections.abc import Mapping

from evenscore.objectives.alignment import CountAlignment
from evenscore.objectives.base import ClassMoments, Noised, Objective, Terms, drop_labels, noised
from evenscore.objectives.cbdm import CBDM
from evenscore.objectives.denoising import Denoising
from evenscore.objectives.mutual import Mutual
from evenscore.objectives.reweighting import Reweighting
from evenscore.objectives.worst_class import WorstClass

OBJECTIVES: Mapping[str, type[Objective]] = {
    "denoising": Denoising,
    "reweighting": Reweighting,
    "cbdm": CBDM,
    "mutual": Mutual,
    "alignment": CountAlignment,
    "worst-class": WorstClass,
}

__all__ = [
    "CBDM",
    "OBJECTIVES",
    "ClassMoments",
    "CountAlignment",
    "Denoising",
    "Mutual",
    "Noised",
    "Objective",
    "Reweighting",
    "Terms",
    "WorstClass",
    "drop_labels",
    "noised",
]
