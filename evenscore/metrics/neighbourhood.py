"""Precision, recall, density and coverage from balls that reach to the k-th nearest neighbour in the own set.

With B(y, Y) the ball round y that reaches to its k-th nearest neighbour in Y, boundary left out,

    precision = share of generated x in some B(y, Y)         recall = share of reference y in some B(x, X)
                                                             Kynkaanniemi et al. 2019, eq. 1
    density = number of pairs with x in B(y, Y), over k N    coverage = share of balls B(y, Y) that hold some x
                                                             Naeem et al. 2020, eqs. 3 and 4

Law: all four depend on k and on both sample sizes, so figures compare only at equal ones, and an interval is for the
value that samples of these sizes give on average. Distances are computed in blocks: memory grows with one sample size
only. Resampled copies would be each other's neighbours, so replicates come from subsamples (see ``interval``); they look
only at the pairs that a subsample can bring within reach, the :func:`reach` nearest.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from scipy.stats import nbinom
from torch import Tensor

from evenscore.errors import UsageError
from evenscore.metrics.base import as_pair
from evenscore.metrics.interval import SUBSAMPLED, Estimate, Resampling, stretched

CHUNK, BLOCK = 1024, 2**20
"""Rows of a block of distances, and its distances, at most."""
PAIRS, TOTAL = 512, 2**20
"""About how many pairs of a point are kept for replicates, and of all points, evenly chosen where there are more."""
NAMES = ("precision", "recall", "density", "coverage")


class Near(NamedTuple):
    """Of each row the nearest rows of a set: their indices and squared distances, (n,L), ascending."""

    place: Tensor
    square: Tensor


class Pairs(NamedTuple):
    """Points of the other set within the widest ball of a row, one entry a pair; ``weight`` for those left out."""

    ball: Tensor
    point: Tensor
    square: Tensor
    weight: Tensor


class Seen(NamedTuple):
    """How many balls hold each point, exactly; the nearest points of every centre; and the pairs, for subsamples."""

    holding: Tensor
    nearest: Near
    pairs: Pairs


def reach(k: int) -> int:
    """How many neighbours are kept, so that the k-th of a subsample is among them but once in 10,000 rows."""
    return k + int(nbinom.ppf(1 - 1e-4, k, SUBSAMPLED))


def neighbourhood(generated: Any, reference: Any, k: int = 5) -> dict[str, float]:
    """The four measures of features (N,D) and (M,D).

    Raises:
        DataError: features that do not compare.
        UsageError: k below 1, or sets of k or fewer samples.
    """
    found = neighbourhood_estimates(generated, reference, Resampling(replicates=0), k)
    return {name: estimate.value for name, estimate in found.items()}


def neighbourhood_estimates(generated: Any, reference: Any, resampling: Resampling, k: int = 5) -> dict[str, Estimate]:
    """The four measures with replicates from subsamples of both sets.

    Raises:
        DataError: features that do not compare.
        UsageError: k below 1, or sets of k or fewer samples.
    """
    x, y = as_pair(generated, reference)
    if k < 1 or min(len(x), len(y)) <= k:
        raise UsageError(f"{k} neighbours among {len(x)} and {len(y)} samples: give a k of at least 1 and more samples")
    middle = y.mean(0)
    x, y = x - middle, y - middle
    widest = reach(k) if resampling.replicates else k
    of_x, of_y = _fellows(x, widest), _fellows(y, widest)
    in_y, in_x = _seen(y, x, of_y, k, widest), _seen(x, y, of_x, k, 1)
    values = (
        _share(in_y.holding > 0),
        _share(in_x.holding > 0),
        float(in_y.holding.sum()) / (k * len(x)),
        _share(in_y.nearest.square[:, 0] < of_y.square[:, k - 1]),
    )
    replicates = torch.empty(resampling.replicates, len(NAMES), dtype=torch.float64)
    for b in range(resampling.replicates):
        kept = resampling.subset(len(x), "generated", b), resampling.subset(len(y), "reference", b)
        radii = _radius(of_x, kept[0], k), _radius(of_y, kept[1], k)
        inside = _inside(in_y.pairs, kept[1], radii[1], kept[0])
        known = _inside(in_x.pairs, kept[0], radii[0], kept[1])
        held = (_nearest(in_y.nearest, kept[0]) < radii[1])[kept[1]]
        density = float(inside.sum()) / (k * float(kept[0].sum()))
        shares = _share(inside[kept[0]] > 0), _share(known[kept[1]] > 0), density, _share(held)
        replicates[b] = torch.tensor(shares, dtype=torch.float64)
    return {name: stretched(v, column) for name, v, column in zip(NAMES, values, replicates.T, strict=True)}


def _share(held: Tensor) -> float:
    return float(held.double().mean())


def _radius(near: Near, kept: Tensor, k: int) -> Tensor:
    """Squared distance to the k-th kept neighbour (n,); to the last known where there are fewer."""
    reached = kept[near.place].cumsum(1) >= k
    place = torch.where(reached.any(1), reached.int().argmax(1), near.square.shape[1] - 1)
    return near.square.gather(1, place[:, None])[:, 0]


def _nearest(near: Near, kept: Tensor) -> Tensor:
    """Squared distance to the nearest kept row (n,), infinite where none is known."""
    return near.square.masked_fill(~kept[near.place], torch.inf).amin(1)


def _inside(pairs: Pairs, balls: Tensor, radius: Tensor, points: Tensor) -> Tensor:
    """How many kept balls hold each kept point, (number of points,)."""
    held = balls[pairs.ball] & points[pairs.point] & (pairs.square < radius[pairs.ball])
    return torch.bincount(pairs.point[held], weights=pairs.weight[held], minlength=len(points))


def _step(columns: int) -> int:
    """Rows of a block with so many columns."""
    return min(CHUNK, max(1, BLOCK // columns))


def _squares(a: Tensor, b: Tensor) -> Tensor:
    return torch.addmm((a * a).sum(1, keepdim=True) + (b * b).sum(1), a, b.T, alpha=-2).clamp_min_(0)


def _fellows(x: Tensor, widest: int) -> Near:
    """The nearest other rows of the own set; identical rows count, at distance 0."""
    near, step = _none(len(x), min(widest, len(x) - 1)), _step(len(x))
    for start in range(0, len(x), step):
        square = _squares(x[start : start + step], x)
        square.diagonal(start).fill_(torch.inf)
        _note(near, start, square)
    return near


def _none(rows: int, columns: int) -> Near:
    """Room for what is found, taken at once: small pieces between large blocks would keep these from being used again."""
    return Near(torch.empty(rows, columns, dtype=torch.int64), torch.empty(rows, columns, dtype=torch.float64))


def _note(near: Near, start: int, square: Tensor) -> None:
    """Write down the nearest columns of some rows."""
    found = square.topk(near.place.shape[1], largest=False)
    near.place[start : start + len(square)] = found.indices
    near.square[start : start + len(square)] = found.values


def _seen(balls: Tensor, points: Tensor, fellows: Near, k: int, most: int) -> Seen:
    """What the balls round ``balls`` (n,D) hold of ``points`` (m,D), and the ``most`` nearest points of each centre."""
    holding = torch.zeros(len(points), dtype=torch.int64)
    pairs, near = [], _none(len(balls), min(most, len(points)))
    step, each = _step(len(points)), min(PAIRS, -(-TOTAL // len(points)))
    for start in range(0, len(balls), step):
        rows = slice(start, start + step)
        square = _squares(balls[rows], points)
        holding += (square < fellows.square[rows, k - 1 : k]).sum(0)
        _note(near, start, square)
        if fellows.square.shape[1] > k:
            pairs.append(_thinned(square, fellows.square[rows, -1:], start, -(-each * len(square) // len(balls))))
    fields = zip(*pairs, strict=True) if pairs else [[torch.empty(0)]] * 4
    return Seen(holding, near, Pairs(*(torch.cat(list(field)) for field in fields)))


def _thinned(square: Tensor, widest: Tensor, start: int, most: int) -> Pairs:
    """Pairs of one block within the widest balls: all of a point in few, an even choice of about ``most`` of others."""
    within = square < widest
    number = within.sum(0)
    rank = within.cumsum(0)
    every = (number + most - 1) // most
    kept = within & (rank % every.clamp_min(1) == 0)
    weight = number / kept.sum(0).clamp_min(1)
    row, column = torch.nonzero(kept, as_tuple=True)
    return Pairs(row + start, column, square[row, column], weight[column].double())
