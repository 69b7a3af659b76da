"""The classifier of vectors: histogram gradient boosting (scikit-learn), trained by one recipe.

How the recipes are mapped: weights by class and of synthetic samples are sample weights; class-balanced batches are rows that
are repeated until every class is as large as the largest. A prior in the logits while training has no counterpart. The seed
chooses the features that a split may look at, half of them, and the synthetic samples.

Law: samples of weight 0 are left out before anything is fitted, so weight 0 is the row ``real``, bit for bit.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from evenscore.data import Dataset
from evenscore.downstream.losses import class_weights
from evenscore.downstream.methods import Recipe
from evenscore.downstream.settings import Settings
from evenscore.random import derive_seed

FEATURES = 0.5
"""Share of the features that a split may look at."""
SMALLEST_PROBABILITY = 1e-12


class TreeClassifier:
    """One fit of gradient boosting; see :class:`~evenscore.downstream.images.ImageClassifier` for the arguments."""

    def __init__(self, real: Dataset, synthetic: Dataset | None, recipe: Recipe, settings: Settings, seed: int) -> None:
        from sklearn.ensemble import HistGradientBoostingClassifier

        self.rows = training_rows(real, synthetic, recipe, settings)
        self.steps = settings.updates("vector")
        self.model: Any = HistGradientBoostingClassifier(
            max_iter=self.steps,
            max_features=FEATURES,
            early_stopping=False,
            random_state=derive_seed(seed, "downstream", "trees") % 2**32,
        )

    def fit(self) -> None:
        """All boosting rounds."""
        x, y, weight = self.rows
        self.model.fit(x, y, sample_weight=weight)

    def scores(self, data: Dataset) -> Tensor:
        """Log probabilities (N,K), float64."""
        likely = torch.from_numpy(self.model.predict_proba(data.values))
        return likely.clamp_min(SMALLEST_PROBABILITY).log()


def training_rows(
    real: Dataset, synthetic: Dataset | None, recipe: Recipe, settings: Settings
) -> tuple[NDArray[Any], NDArray[np.int64], NDArray[np.float64]]:
    """Vectors (N,D), labels (N,) and sample weights (N,) of a recipe, real ones first."""
    index = _repeated(real) if recipe.policy == "uniform" else np.arange(len(real))
    x, y, weight = real.values[index], real.labels[index], np.ones(len(index))
    if recipe.weights == "class":
        weight = class_weights(real.distribution, settings.scheme, settings.effective_beta).numpy()[y]
    if synthetic is not None and settings.synthetic_weight > 0:
        x, y = np.concatenate([x, synthetic.values]), np.concatenate([y, synthetic.labels])
        weight = np.concatenate([weight, np.full(len(synthetic), settings.synthetic_weight)])
    return x, y, weight


def _repeated(real: Dataset) -> NDArray[np.int64]:
    """Indices in which every class stands as often as the largest has samples."""
    most = max(real.distribution.counts)
    return np.concatenate([np.resize(real.of_class(k), most) for k in range(real.num_classes)])
