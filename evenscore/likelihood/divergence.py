"""The divergence of a vector field ``v(x)``, row by row: exact, or estimated with one probe (Hutchinson 1989).

Law: with ``E[e e^T] = I``, the estimate ``e^T (dv/dx) e`` has the exact divergence as its mean. Rademacher probes (each
entry +1 or -1) have the smallest variance among independent entries; Gaussian ones are the alternative.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from evenscore.errors import unknown
from evenscore.random import generator

DIVERGENCES = ("auto", "exact", "rademacher", "gaussian")
EXACT_UP_TO = 16
"""Largest dimension for which ``auto`` is ``exact``, which costs one backward pass for every dimension."""


def choose(name: str, size: int) -> str:
    """``exact``, ``rademacher`` or ``gaussian`` for samples of ``size`` dimensions.

    Raises:
        UsageError: an unknown name.
    """
    if name not in DIVERGENCES:
        raise unknown("divergence", name, DIVERGENCES)
    if name != "auto":
        return name
    return "exact" if size <= EXACT_UP_TO else "rademacher"


def probes(name: str, shape: Sequence[int], seed: int, indices: Sequence[int]) -> Tensor | None:
    """One probe for each sample (B, *shape), float64, from the sample's own generator; None where none is needed.

    Args:
        name: ``exact``, ``rademacher`` or ``gaussian``.
        shape: shape of one sample.
        seed: with a sample's index, fixes its probe.
        indices: (B,) number of each sample.
    """
    if name == "exact":
        return None
    drawn = [_probe(name, shape, generator(seed, "probe", int(i))) for i in indices]
    return torch.stack(drawn) if drawn else torch.empty(0, *shape, dtype=torch.float64)


def _probe(name: str, shape: Sequence[int], source: torch.Generator) -> Tensor:
    if name == "gaussian":
        return torch.randn(tuple(shape), generator=source, dtype=torch.float64)
    return torch.randint(0, 2, tuple(shape), generator=source).double() * 2 - 1


def divergence(v: Tensor, x: Tensor, probe: Tensor | None, graph: Literal["freed", "kept"] = "freed") -> Tensor:
    """Divergence (B,) of ``v`` (B, ...) in ``x`` (B, ...), of which it was computed row by row.

    Args:
        v: values of the field, with their graph.
        x: where; requires gradients.
        probe: (B, ...) for the estimate, None for the exact value.
        graph: ``kept`` for a divergence that can be differentiated itself, and a ``v`` that can be used again.
    """
    kept = graph == "kept"
    if probe is not None:
        (slope,) = torch.autograd.grad((v * probe).sum(), x, create_graph=kept)
        found = (slope * probe).flatten(1).sum(1)
        return found if kept else found.detach()
    flat, total = v.flatten(1), torch.zeros(len(v), dtype=v.dtype, device=v.device)
    for i in range(flat.shape[1]):
        (slope,) = torch.autograd.grad(flat[:, i].sum(), x, retain_graph=True, create_graph=kept)
        total = total + slope.flatten(1)[:, i].to(total)
    return total
