"""Measures: a small classifier and the label agreement it finds, and near copies of training samples."""

from __future__ import annotations

from evenscore.metrics.agreement import Agreement, agreement, wilson
from evenscore.metrics.classifier import Classifier, probabilities
from evenscore.metrics.fit import default_steps, fit_classifier
from evenscore.metrics.neighbours import Copies, CopyDetector

__all__ = [
    "Agreement",
    "Classifier",
    "Copies",
    "CopyDetector",
    "agreement",
    "default_steps",
    "fit_classifier",
    "probabilities",
    "wilson",
]
