"""One number at a time, class by class: monotone maps after which a large class is nearer to normal, and back.

The map of number d in class k is a broken line through the quantiles of its rows and those of the normal law of the same
mean and spread, with slope 1 beyond them. Law: it is strictly increasing, and the identity unless it raises the
log-likelihood of left-out rows clearly above that of a normal law; so a class whose numbers are normal is left as it is,
and mean and spread of a number stay near to what they were.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import torch
from torch import Tensor

from evenscore.vectors.kernels import first_near
from evenscore.vectors.shrink import folds

LEAST = 200
"""Rows of a class from which its numbers are looked at."""
MOST = 20_000
"""Rows by which a map is drawn, at most."""
PIECES = (8, 16, 32, 64)
"""Numbers of quantiles that are tried; the last one fills the table of knots."""
ROWS = 8
"""Rows between two quantiles, at least."""


@dataclass(frozen=True)
class Margins:
    """The maps of all classes.

    Attributes:
        before: (K, D, Q) knots, strictly increasing.
        after: (K, D, Q) what they become, strictly increasing.
        used: (K, D) whether a number is mapped; the identity elsewhere.
    """

    before: Tensor
    after: Tensor
    used: Tensor

    def encode(self, x: Tensor, y: Tensor) -> Tensor:
        """(n, D) mapped rows (n, D) of the classes (n,)."""
        return self._mapped(x, y, self.before, self.after)

    def decode(self, z: Tensor, y: Tensor) -> Tensor:
        """The rows (n, D) that :meth:`encode` maps to ``z``."""
        return self._mapped(z, y, self.after, self.before)

    def _mapped(self, x: Tensor, y: Tensor, start: Tensor, end: Tensor) -> Tensor:
        out = x.clone()
        for k, d in self._places(y):
            mine = y == k
            out[mine, d] = _line(x[mine, d], start[k, d], end[k, d])
        return out

    def log_slope(self, x: Tensor, y: Tensor) -> Tensor:
        """Log of the Jacobian determinant (n,) of :meth:`encode` at rows (n, D)."""
        total = torch.zeros(len(x), dtype=torch.float64)
        for k, d in self._places(y):
            mine, start, end = y == k, self.before[k, d], self.after[k, d]
            slopes = torch.cat([torch.ones(1), (end.diff() / start.diff()).cpu(), torch.ones(1)]).to(total).log()
            total[mine] += slopes[torch.searchsorted(start, x[mine, d].contiguous(), right=True)]
        return total

    def _places(self, y: Tensor) -> list[tuple[int, int]]:
        return [(k, d) for k in sorted(set(y.tolist())) for d in self.used[k].nonzero()[:, 0].tolist()]


def _line(x: Tensor, start: Tensor, end: Tensor) -> Tensor:
    """The broken line through (start, end), (Q,) each, with slope 1 beyond, at ``x`` (n,)."""
    i = torch.searchsorted(start, x.contiguous(), right=True).clamp(1, len(start) - 1)
    slope = (end[i] - end[i - 1]) / (start[i] - start[i - 1])
    inside = end[i - 1] + slope * (x - start[i - 1])
    low, high = end[0] + x - start[0], end[-1] + x - start[-1]
    return torch.where(x < start[0], low, torch.where(x >= start[-1], high, inside))


def fit_margins(x: Tensor, y: Tensor, classes: int, seed: int, wanted: Collection[int] | None = None) -> Margins:
    """The maps of rows (N, D), float64, of K classes (N,); of classes that are not ``wanted`` the identity."""
    knots = PIECES[-1]
    line = torch.arange(knots, dtype=torch.float64).expand(classes, x.shape[1], knots)
    found = Margins(line.clone(), line.clone(), torch.zeros(classes, x.shape[1], dtype=torch.bool))
    for k in range(classes):
        rows = x[y == k]
        if len(rows) < LEAST or (wanted is not None and k not in wanted):
            continue
        kept, out = next(folds(len(rows), seed, "margins", k))
        kept, out = kept[:MOST], out[:MOST]
        for d in range(x.shape[1]):
            pieces = _pieces(rows[kept, d], rows[out, d])
            if pieces:
                before, after = _knots(rows[:, d], pieces)
                found.before[k, d], found.after[k, d] = _filled(before, knots), _filled(after, knots)
                found.used[k, d] = True
    return found


def _pieces(kept: Tensor, out: Tensor) -> int:
    """The best number of quantiles by the rows ``out`` (m,), 0 where a normal law is not clearly behind."""
    if len(torch.unique(kept)) < PIECES[0]:
        return 0
    plain, best = _normal(out, kept), 0
    best_scores: Tensor | None = None
    for pieces in PIECES:
        if ROWS * pieces > len(kept):
            break
        before, after = _knots(kept, pieces)
        slopes = torch.cat([torch.ones(1).double(), after.diff() / before.diff(), torch.ones(1).double()]).log()
        scores = _normal(_line(out, before, after), kept) + slopes[torch.searchsorted(before, out, right=True)]
        if best_scores is None or float(scores.mean()) > float(best_scores.mean()):
            best, best_scores = pieces, scores
    return best if best_scores is not None and first_near(torch.stack([plain, best_scores])) else 0


def _normal(x: Tensor, rows: Tensor) -> Tensor:
    """Log-density (m,), up to a constant, of ``x`` (m,) under the normal law of the moments of ``rows``."""
    return -0.5 * ((x - rows.mean()) / rows.std()).square()


def _knots(rows: Tensor, pieces: int) -> tuple[Tensor, Tensor]:
    """Quantiles of rows (n,), at most ``pieces`` of them, strictly increasing, and those of the normal law."""
    place = (torch.arange(pieces, dtype=torch.float64) + 0.5) / pieces
    quantiles = torch.quantile(rows[:: max(1, len(rows) // MOST)], place)
    before, where = torch.unique(quantiles, return_inverse=True)
    level = torch.zeros(len(before), dtype=torch.float64).scatter_reduce(0, where, place, "mean", include_self=False)
    return before, rows.mean() + rows.std() * torch.special.ndtri(level)


def _filled(knots: Tensor, number: int) -> Tensor:
    """Strictly increasing knots (Q,) with more of them at the end, a unit apart, where the line has slope 1 anyway."""
    more = knots[-1] + torch.arange(1, number - len(knots) + 1, dtype=torch.float64)
    return torch.cat([knots, more])
