"""A backbone whose rows are divided among the processes of a job.

Law: every process is given the whole batch and gets the outputs of all its rows, of which it computed its share; gradients
flow through that share alone. So a loss of any kind, one that couples the rows of a batch too, has in every process the value
that one process would have found, and its gradient is the sum of the processes' gradients, whatever the shares. (The masks of
dropout belong to the process that draws them: with dropout the value is equal in law only.)
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from evenscore.ranks import Ranks


class Divided(nn.Module):
    """A backbone of which each process computes a share of the rows.

    Args:
        backbone: called as ``backbone(x (B, ...), level (B,), y (B,), extra (B, E) or None) -> (B, ...)``, row by row.
        ranks: the processes.
        always: whether it is computed by all processes or none: one without a row computes another's, and leaves it out.
    """

    def __init__(self, backbone: nn.Module, ranks: Ranks, always: bool = False) -> None:
        super().__init__()
        self.backbone, self.ranks, self.always = backbone, ranks, always

    def forward(self, x: Tensor, level: Tensor, y: Tensor, extra: Tensor | None = None) -> Tensor:
        """Raw output (B, ...) of all rows, in the dtype of ``x``."""
        rows = self.ranks.share(len(x))
        count = rows.stop - rows.start
        if self.always and len(x) and not count:
            rows = slice(0, 1)
        told = None if extra is None else extra[rows]
        mine = (
            self.backbone(x[rows], level[rows], y[rows], told).to(x.dtype)[:count] if rows.stop > rows.start else x[:0]
        )
        shares = [Ranks(rank, self.ranks.size).share(len(x)) for rank in range(self.ranks.size)]
        parts = self.ranks.gather_known(mine, [share.stop - share.start for share in shares])
        parts[self.ranks.rank] = mine
        return torch.cat(parts)
