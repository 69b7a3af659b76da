"""The two updates of a neural implicit sampler, as mathematics: for any sampler, and for scores that are functions.

A sampler ``x = g(z)``, ``z ~ N(0, I)``, with parameters theta has a law p that is known by its samples only; the target q is
known by its score ``s_q = grad log q`` only. ``s`` stands for the score of p, which a network estimates from samples
(Luo, Zhang & Zhang 2023, "Entropy-based Training Methods for Scalable Neural Implicit Sampler"; the formulas are derived here
and verified against closed forms in the tests).

KL. ``KL(p || q) = E_z[log p(g(z)) - log q(g(z))]``. The dependence of ``log p`` itself on theta has mean zero, because
``E_p[d log p / d theta] = d/d theta of the integral of p = 0``; what is left is the dependence through x:

    d KL / d theta = E_z[(s(x) - s_q(x))^T dg/d theta]

Fisher. ``F = E_p 1/2 |s - s_q|^2`` depends on theta through x, and through s as a function. With ``u = s - s_q``,

    dF / d theta = d/d theta E_z[1/2 |u(x)|^2] + E_p[u^T ds/d theta]            u fixed as a function in the first term

The second term needs the derivative of a score that is known by an estimate only. Stein's identity gives it: for every fixed
field v, ``E_p[s^T v] = -E_p[div v]``; both sides are differentiated, the left one in s and in p:

    E_p[v^T ds/d theta] = -d/d theta E_z[s(x)^T v(x) + div v(x)]                 s and v fixed as functions

and ``v = u`` is put in last. So with both scores fixed as functions, and differentiated in x alone,

    dF / d theta = d/d theta E_z[1/2 |u(x)|^2 - s(x)^T u(x) - div u(x)],         x = g(z)

The first part alone is wrong. Both gradients vanish where p = q, where u = 0 everywhere.

Law: an update is a value per sample whose gradient reaches the sampler through ``x`` and nothing else: not the parameters of
the scores. Its value is ``1/2 |s - s_q|^2`` for both, the Fisher divergence where s is exact.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol, TypeAlias

import torch
from torch import Tensor

from evenscore.likelihood.divergence import divergence

Score: TypeAlias = Callable[[Tensor], Tensor]
"""A score: (B, ...) -> (B, ...), computed row by row; for Fisher updates twice differentiable."""


class Update(Protocol):
    """An update: samples with their graph, the scores of their law and of the target, and a probe -> (B,)."""

    def __call__(self, x: Tensor, own: Score, target: Score, probe: Tensor | None = None) -> Tensor: ...


def kl_update(x: Tensor, own: Score, target: Score, probe: Tensor | None = None) -> Tensor:
    """The update whose mean has the gradient of KL(p || q), (B,).

    Args:
        x: (B, ...) samples ``g(z)`` with their graph.
        own: score of the law of the samples, an estimate.
        target: score of the target.
        probe: not used.
    """
    at = x.detach()
    with torch.no_grad():
        gap = own(at) - target(at)
    return _through(x, gap, gap)


def fisher_update(x: Tensor, own: Score, target: Score, probe: Tensor | None = None) -> Tensor:
    """The update whose mean has the gradient of the Fisher divergence, both terms, (B,).

    Args:
        x: (B, ...) samples ``g(z)`` with their graph.
        own: score of the law of the samples, an estimate.
        target: score of the target.
        probe: (B, ...) for Hutchinson's estimate of the divergence, None for the exact one.
    """
    with torch.enable_grad():
        at = x.detach().requires_grad_()
        score = own(at)
        gap = score - target(at)
        flat = (gap.square() / 2 - score * gap).flatten(1).sum(1)
        value = flat - divergence(gap, at, probe, graph="kept")
        (slope,) = torch.autograd.grad(value.sum(), at)
    return _through(x, gap.detach(), slope)


UPDATES: Mapping[str, Update] = {"kl": kl_update, "fisher": fisher_update}


def _through(x: Tensor, gap: Tensor, slope: Tensor) -> Tensor:
    """(B,) values ``1/2 |gap|^2`` whose gradient in ``x`` is ``slope``."""
    return (gap.square() / 2 + (x - x.detach()) * slope).flatten(1).sum(1)
