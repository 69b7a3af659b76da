"""Score networks for unequal tables, at home in scikit-learn and imbalanced-learn.

* :class:`ScoreOverSampler`: ``fit_resample(X, y)``, wherever SMOTE stands (needs imbalanced-learn);
* :class:`ScoreGenerator`: ``fit``, ``sample``, ``score_samples``, ``save`` and ``load``;
* :class:`ScoreClassifier`: the posterior of the classes.

Law: names are resolved on first use, so ``import evenscore.sklearn`` needs neither imbalanced-learn nor torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evenscore.sklearn.classifier import ScoreClassifier
    from evenscore.sklearn.generator import ScoreGenerator
    from evenscore.sklearn.oversampler import ScoreOverSampler

_HOME = {
    "ScoreClassifier": "evenscore.sklearn.classifier",
    "ScoreGenerator": "evenscore.sklearn.generator",
    "ScoreOverSampler": "evenscore.sklearn.oversampler",
}

__all__ = ["ScoreClassifier", "ScoreGenerator", "ScoreOverSampler"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'evenscore.sklearn' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)
