"""Models of vectors of unequal classes: shrunken laws in closed form, corrected by a score network where that helps.

Law: how much a class takes of the network is judged on rows that neither saw; a class too small to judge takes nothing of it.
"""

from __future__ import annotations

from evenscore.vectors.model import Trained, VectorModel, fit_vectors
from evenscore.vectors.settings import CORRECTIONS, LARGE, FitSettings, make_objective

__all__ = ["CORRECTIONS", "LARGE", "FitSettings", "Trained", "VectorModel", "fit_vectors", "make_objective"]
