"""How much of a network a class takes: nothing of a bad one, all of a right one, and rows left out are never learned from."""

from __future__ import annotations

import numpy as np
import torch

from evenscore.denoisers.oracle import GaussianMixture
from evenscore.process import VP
from evenscore.vectors.correction import split, weigh
from evenscore.vectors.laws import fit_laws

GENERATOR = torch.Generator().manual_seed(0)


def test_weights_follow_rows_that_were_left_out() -> None:
    corners = torch.tensor([[-3.0, -3.0], [3.0, 3.0], [0.0, 0.0]], dtype=torch.float64)
    exact = GaussianMixture(VP(), corners, torch.tensor([0.04, 0.04, 1.0]), [0, 0, 1])
    x = torch.cat([exact.sample(torch.full((300,), k), GENERATOR) for k in (0, 1)])
    y = torch.tensor([0] * 300 + [1] * 300)
    base = fit_laws([x[y == 0][:40], x[y == 1][:100]], VP(), seed=0, parts=()).laws
    base.shares.zero_()
    base.register_buffer("centres_0", torch.zeros(1, 2, dtype=torch.float64))
    weights = weigh(base, exact, x, y, seed=0, draws=4)
    assert float(weights[0]) == 1
    bad = GaussianMixture(VP(), corners + 2, torch.tensor([0.04, 0.04, 1.0]), [0, 0, 1])
    assert weigh(base, bad, x[y == 1], y[y == 1], seed=0, draws=4).tolist() == [0, 0]


def test_rows_are_left_out_of_large_classes_only() -> None:
    labels = np.array([0] * 200 + [1] * 50)
    parts = split(labels, 2, seed=0)
    assert len(parts.out) == 40
    assert set(labels[parts.out].tolist()) == {0}
    assert sorted([*parts.kept.tolist(), *parts.out.tolist()]) == list(range(250))
