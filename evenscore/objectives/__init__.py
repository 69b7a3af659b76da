"""Objectives: one paper per file; the key here is the name on the command line."""

from __future__ import annotations

from collections.abc import Mapping

from evenscore.objectives.base import Noised, Objective, Terms, drop_labels, noised
from evenscore.objectives.cbdm import CBDM
from evenscore.objectives.denoising import Denoising
from evenscore.objectives.reweighting import Reweighting

OBJECTIVES: Mapping[str, type[Objective]] = {
    "denoising": Denoising,
    "reweighting": Reweighting,
    "cbdm": CBDM,
}

__all__ = ["CBDM", "OBJECTIVES", "Denoising", "Noised", "Objective", "Reweighting", "Terms", "drop_labels", "noised"]
