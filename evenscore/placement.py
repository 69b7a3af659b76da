"""Where a tensor lies: whole in every process, or divided among them in equal parts of its first axis.

Law: what is computed from a tensor does not depend on how it lies. :func:`whole` is entered by all processes, and so is looking
up a tensor of :class:`Relayed`; the others exchange nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, TypeGuard

import torch
from torch import Tensor

from evenscore.ranks import Ranks

if TYPE_CHECKING:
    from torch.distributed.tensor import DTensor


def is_divided(value: Tensor) -> TypeGuard[DTensor]:
    """Whether each process holds a part of it alone."""
    return hasattr(value, "placements")


def part(value: Tensor) -> Tensor:
    """What this process holds of it, in the same memory: all, where it is not divided."""
    return value.to_local() if is_divided(value) else value


def whole(value: Tensor) -> Tensor:
    """All of it."""
    return value.full_tensor() if is_divided(value) else value


def placed(value: Tensor, like: Tensor | None) -> Tensor:
    """A whole tensor, which every process has, divided as ``like`` is, in memory of its own; itself where that is whole."""
    if like is None or not is_divided(like):
        return value
    from torch.distributed.tensor import distribute_tensor

    given = value.to(like.device)
    return distribute_tensor(given, like.device_mesh, like.placements, src_data_rank=None).clone()


class Relayed(Mapping[str, Tensor]):
    """Tensors of the first process, for all: one is sent each time that all processes look it up.

    Args:
        tensors: of the first process; the others' are not looked at.
        ranks: the processes, which look up the same names in the same order.
    """

    def __init__(self, tensors: Mapping[str, Tensor], ranks: Ranks) -> None:
        self.tensors, self.ranks = tensors, ranks
        mine = [[key, str(value.dtype).partition(".")[2], list(value.shape)] for key, value in tensors.items()]
        firsts = ranks.plain_of_first(mine)
        self.known = {key: (getattr(torch, dtype), shape) for key, dtype, shape in firsts}

    def __getitem__(self, key: str) -> Tensor:
        dtype, shape = self.known[key]
        value = self.tensors[key] if self.ranks.first else torch.empty(shape, dtype=dtype)
        self.ranks.copy([value])
        return value

    def __iter__(self) -> Iterator[str]:
        return iter(self.known)

    def __len__(self) -> int:
        return len(self.known)
