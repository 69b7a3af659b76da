"""Which samples each training step sees.

Law: ``batch(step)`` is a pure function of (seed, step), so a resumed run needs no saved position. ``as-found`` shows
every sample exactly once per epoch; ``uniform`` gives each class B/K places in every batch, rounded down or up, equally
many over time, and shows every sample of a class once before any of them again; ``sqrt`` draws labels in proportion
to the square root of the count, ``capped`` in proportion to the count but at most 50 (so classes of 50 and more are alike,
and no sample of a smaller class is shown more often than one of a class of 50), and samples of a label without repetition
inside the batch while there are enough. ``pairs`` draws labels as ``capped`` does, each for two places (one of them for three
where the number of places is odd), so that every sample has another one of its class in its batch.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from evenscore.data.dataset import Dataset
from evenscore.errors import UsageError, unknown
from evenscore.random import generator

CAP = 50
"""Samples that a class counts for at most under ``capped``."""
LAWS = {"sqrt": "sqrt", "capped": f"capped:{CAP}", "pairs": f"capped:{CAP}"}
"""Label laws of the policies that draw their labels."""
POLICIES: Mapping[str, str] = {
    "as-found": "every sample once per epoch, classes as unequal as they are",
    "uniform": "every class has the same number of places in every batch",
    "sqrt": "classes are drawn in proportion to the square root of their counts",
    "pairs": "as capped, each class that is drawn with two places or more: no sample is alone of its class in a batch",
    "capped": f"classes are drawn in proportion to their counts, {CAP} at most: alike above, as found below",
}
Indices = NDArray[np.int64]


class Loader:
    """Batches of sample indices.

    Args:
        dataset: only its labels are used.
        batch_size: B, at least 1.
        policy: one of :data:`POLICIES`.
        seed: of all shuffles and draws.

    Raises:
        UsageError: an unknown policy, or a batch size below 1.
    """

    def __init__(self, dataset: Dataset, batch_size: int, policy: str = "as-found", seed: int = 0) -> None:
        if policy not in POLICIES:
            raise unknown("sampling policy", policy, POLICIES)
        if batch_size < 1:
            raise UsageError(f"batch size {batch_size}: give a whole number of at least 1")
        self.batch_size, self.policy, self.seed = batch_size, policy, seed
        self.distribution = dataset.distribution
        members = [dataset.of_class(k) for k in range(dataset.num_classes)]
        self.members = members if policy != "as-found" else [np.arange(len(dataset), dtype=np.int64)]
        self.present = np.array([k for k, m in enumerate(self.members) if len(m)], dtype=np.int64)
        self._shuffled: dict[int, tuple[int, Indices]] = {}

    def batch(self, step: int) -> Indices:
        """Indices (B,), int64, of the samples of ``step`` (0, 1, 2, ...)."""
        if self.policy == "as-found":
            return self._stretch(0, step * self.batch_size, self.batch_size)
        chosen = self._uniform(step) if self.policy == "uniform" else self._drawn(step)
        return chosen[self._order(self.batch_size, "order", step)]

    def stretch(self, start: int, n: int) -> Indices:
        """Places ``start .. start+n-1`` of the endless stream that policy ``as-found`` cuts into batches.

        Raises:
            UsageError: another policy, which has no such stream.
        """
        if self.policy != "as-found":
            raise UsageError(f"policy {self.policy!r} draws whole batches: use as-found for a stretch of any length")
        return self._stretch(0, start, n)

    def _order(self, n: int, *keys: int | str) -> Indices:
        order: Indices = torch.randperm(n, generator=generator(self.seed, "loader", *keys)).numpy()
        return order

    def _stretch(self, k: int, start: int, n: int) -> Indices:
        """Places ``start .. start+n-1`` of the endless stream that shuffles members of ``k`` anew in every round."""
        size, pieces = len(self.members[k]), []
        while n > 0:
            turn, offset = divmod(start, size)
            piece = self._round(k, turn)[offset : offset + n]
            pieces.append(piece)
            start, n = start + len(piece), n - len(piece)
        return np.concatenate(pieces) if pieces else np.empty(0, dtype=np.int64)

    def _round(self, k: int, turn: int) -> Indices:
        """Members of ``k`` as shuffled in round ``turn``; the last one asked for is kept."""
        kept = self._shuffled.get(k)
        if kept is None or kept[0] != turn:
            members = self.members[k]
            kept = (turn, members[self._order(len(members), "round", k, turn)])
            self._shuffled[k] = kept
        return kept[1]

    def _uniform(self, step: int) -> Indices:
        """Each class has floor(B/K) places; the places left over go round the classes in a fixed shuffled order."""
        classes = len(self.present)
        each, left = divmod(self.batch_size, classes)
        rounds, reached = divmod(step * left, classes)
        pieces = []
        for place, k in enumerate(self.present[self._order(classes, "classes")]):
            before = step * each + rounds + (place < reached)
            extra = (place - reached) % classes < left
            pieces.append(self._stretch(int(k), before, each + extra))
        return np.concatenate(pieces)

    def _drawn(self, step: int) -> Indices:
        random = generator(self.seed, "loader", "labels", step)
        pairs = self.policy == "pairs"
        drawn = max(1, self.batch_size // 2) if pairs else self.batch_size
        labels = self.distribution.sample(drawn, random, LAWS[self.policy])
        if pairs:
            labels = torch.cat([labels, labels, labels[:1]])[: self.batch_size]
        counts = torch.bincount(labels, minlength=self.distribution.num_classes).tolist()
        return np.concatenate([self._draw(k, n, step) for k, n in enumerate(counts) if n])

    def _draw(self, k: int, n: int, step: int) -> Indices:
        members = self.members[k]
        order = self._order(len(members), "draw", step, k)
        return members[np.resize(order, n)]
