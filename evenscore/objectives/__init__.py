"""Objectives: one paper per file; the key here is the name on the command line."""

from __future__ import annotations

from collections.abc import Mapping

from evenscore.objectives.alignment import CountAlignment
from evenscore.objectives.base import ClassMoments, Cost, Noised, Objective, Terms, drop_labels, noised
from evenscore.objectives.capacity_manipulation import CapacityManipulation
from evenscore.objectives.cbdm import CBDM
from evenscore.objectives.ccua import CCUA
from evenscore.objectives.class_noise import ClassNoise
from evenscore.objectives.composed import Composed
from evenscore.objectives.coral import Coral
from evenscore.objectives.denoising import Denoising
from evenscore.objectives.diffrop import DiffROP
from evenscore.objectives.layered import Layered, Seen
from evenscore.objectives.mutual import Mutual
from evenscore.objectives.oriented_calibration import OrientedCalibration
from evenscore.objectives.reweighting import Reweighting
from evenscore.objectives.worst_class import WorstClass

OBJECTIVES: Mapping[str, type[Objective]] = {
    "denoising": Denoising,
    "reweighting": Reweighting,
    "cbdm": CBDM,
    "mutual": Mutual,
    "alignment": CountAlignment,
    "worst-class": WorstClass,
    "oriented-calibration": OrientedCalibration,
    "class-noise": ClassNoise,
    "diffrop": DiffROP,
    "ccua": CCUA,
    "coral": Coral,
    "capacity-manipulation": CapacityManipulation,
}

__all__ = [
    "CBDM",
    "CCUA",
    "OBJECTIVES",
    "CapacityManipulation",
    "ClassMoments",
    "ClassNoise",
    "Composed",
    "Coral",
    "Cost",
    "CountAlignment",
    "Denoising",
    "DiffROP",
    "Layered",
    "Mutual",
    "Noised",
    "Objective",
    "OrientedCalibration",
    "Reweighting",
    "Seen",
    "Terms",
    "WorstClass",
    "drop_labels",
    "noised",
]
