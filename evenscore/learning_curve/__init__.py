"""How many samples a class needs until a classifier recognises it: a learning curve on the user's own large classes."""

from __future__ import annotations

from evenscore.learning_curve.advice import ClassAdvice, LearningCurve, learning_curve, sentences, to_dict
from evenscore.learning_curve.curve import Curve, Need, Point, curve_of
from evenscore.learning_curve.design import CurveSettings, Design, design

__all__ = [
    "ClassAdvice",
    "Curve",
    "CurveSettings",
    "Design",
    "LearningCurve",
    "Need",
    "Point",
    "curve_of",
    "design",
    "learning_curve",
    "sentences",
    "to_dict",
]
