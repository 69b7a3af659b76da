"""``domain``: what a small classifier of the user's own real data sees, and its class probabilities.

Law: real samples that are compared with are never those that the network was fitted on. Where they are held out, one network
is fitted on all the training data; where they are the training data themselves, there are two networks, each fitted on
one half of every class and used on the other (cross-fitting), and what is measured is the mean of the two.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from evenscore.data import Dataset
from evenscore.errors import DataError
from evenscore.features.base import Features, Seen, device, digest, on_cpu
from evenscore.features.cache import Cache
from evenscore.metrics import Classifier, fit_classifier
from evenscore.metrics.classifier import SMALLEST
from evenscore.random import derive_seed

VERSION = 1
"""Changes whenever the fitting does, so that a network of before is not read from the cache."""


class Domain(Features):
    """The layer before the last of a classifier, and its probabilities."""

    name = "domain"
    own_classes = True

    def __init__(self, classifier: Classifier) -> None:
        self.classifier = classifier.eval().requires_grad_(False).to(device())
        self.key = digest("domain", classifier)

    def check(self, shape: Sequence[int], num_classes: int) -> None:
        """Refuse samples of another shape than those that it was fitted on."""
        if tuple(shape) != self.classifier.shape:
            raise DataError(
                f"the domain network was fitted on samples of shape {self.classifier.shape}, but these have shape "
                f"{tuple(shape)}: give data of one shape"
            )

    def see(self, x: Tensor) -> Seen:
        """Look at one batch."""
        features = self.classifier.features(x.to(device()))
        return on_cpu(features, self.classifier.head(features).softmax(1))


def fitted(data: Dataset, rows: NDArray[np.int64] | None, seed: int, cache: Cache, steps: int | None = None) -> Domain:
    """A network fitted on the samples of ``data`` at ``rows`` (all when None), from the cache where it was fitted before.

    Args:
        data: real training data.
        rows: which samples.
        seed: of the fit.
        cache: where fitted networks are kept.
        steps: of the fit; the default of :func:`~evenscore.metrics.fit_classifier` when None.

    Raises:
        DataError: images that are too small to be classified.
    """
    if data.kind == "image" and min(data.shape[1:]) < SMALLEST:
        raise DataError(
            f"{data.name} holds images of shape {data.shape}, too small for domain features: give --features pixels"
        )
    which = "all" if rows is None else digest(torch.from_numpy(rows))
    key = digest("domain", VERSION, data.fingerprint, which, seed, steps)

    def fit() -> dict[str, Tensor]:
        x, y = data.tensor(rows), torch.from_numpy(data.labels if rows is None else data.labels[rows])
        found = fit_classifier(x.to(device()), y.to(device()), data.num_classes, seed=seed, steps=steps)
        return {name: value.cpu() for name, value in found.state_dict().items()}

    classifier = Classifier(data.shape, data.num_classes)
    classifier.load_state_dict(dict(cache.get(f"domain-{key}", fit)))
    return Domain(classifier)


def halves(labels: NDArray[np.int64], seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows in two parts, ascending, each with half of every class; of a class with an odd number the first has one more."""
    random = np.random.default_rng(derive_seed(seed, "halves"))
    first, second = [], []
    for k in np.unique(labels):
        mine = random.permutation(np.flatnonzero(labels == k))
        first.append(mine[::2])
        second.append(mine[1::2])
    return np.sort(np.concatenate(first)).astype(np.int64), np.sort(np.concatenate(second)).astype(np.int64)
