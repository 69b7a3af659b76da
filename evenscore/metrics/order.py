"""An order of rows that depends on their values only, so that what is drawn by seed does not depend on how they came.

Law: rows with equal values may change places, and nothing else may; so a seeded choice of rows from a set is the same
choice whichever way the set was shuffled.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def canonical(x: Tensor) -> Tensor:
    """Indices (N,), int64, that sort the rows of ``x`` (N,D) by their bytes."""
    rows = np.ascontiguousarray(x.numpy() + 0.0)  # adding 0 makes -0 and 0 the same bytes
    keys = rows.view(np.dtype((np.void, rows.dtype.itemsize * rows.shape[1])))[:, 0]
    return torch.from_numpy(np.argsort(keys, kind="stable"))


def at_most(x: Tensor, most: int, draws: torch.Generator) -> Tensor:
    """``x`` itself where it has no more than ``most`` rows, else so many of them, drawn without replacement."""
    rows = some_of(len(x), most, draws)
    return x if rows is None else x[rows]


def some_of(n: int, most: int, draws: torch.Generator) -> Tensor | None:
    """Which rows of ``n``, ascending: None for all where there are no more than ``most``, else drawn without replacement."""
    return None if n <= most else torch.randperm(n, generator=draws)[:most].sort().values
