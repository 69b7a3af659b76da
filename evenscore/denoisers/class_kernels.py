"""A law in closed form for each class of vectors, from a Gaussian to a smoothed bootstrap of its rows, and its exact denoiser.

Class k has a mean m, a covariance S and a share a in [0, 1): it is the equal mixture, over centres c (rows minus m), of

    N( m + a c,  (1 - a^2) S )

which keeps mean and covariance of the class whatever a is (the shrunken smoothed bootstrap of Silverman & Young 1987, "The
bootstrap: to smooth or not to smooth?"). With a = 0 it is the Gaussian N(m, S); as a nears 1 it becomes the rows themselves.

Law: noised, every component stays Gaussian and shares the axes of S; so a prediction is the posterior average of the
components, computed in float64 with products of matrices only, and the null label is the mixture of the classes by
``class_weights``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from evenscore.denoisers.base import Denoiser
from evenscore.errors import UsageError
from evenscore.prediction import Prediction
from evenscore.process import Process
from evenscore.random import SampleNoise

PART = 4096
"""Rows that are drawn together."""


class ClassKernels(Denoiser):
    """The exact denoiser of one such law for each class.

    Args:
        process: noise process.
        means: (K, D).
        covariances: (K, D, D).
        centres: (n_k, D) of each class, of mean 0; used where the share is above 0.
        shares: (K,) a of each class, in [0, 1).
        class_weights: (K,) weights of the classes under the null label.

    Raises:
        UsageError: numbers that do not fit, or a share outside its range.
    """

    means: Tensor
    variances: Tensor
    axes: Tensor
    shares: Tensor
    log_prior: Tensor

    def __init__(
        self,
        process: Process,
        means: Tensor,
        covariances: Tensor,
        centres: Sequence[Tensor],
        shares: Tensor,
        class_weights: Tensor,
    ) -> None:
        super().__init__()
        self.process, self.num_classes, self.shape = process, len(means), (means.shape[1],)
        if not (len(covariances) == len(centres) == len(shares) == len(class_weights) == len(means)):
            raise UsageError(
                "means, covariances, centres, shares and weights differ in number: give one for each class"
            )
        if not bool(((shares >= 0) & (shares < 1)).all()):
            raise UsageError(f"shares {shares.tolist()} cannot be used: give numbers from 0 to below 1")
        variances, axes = torch.linalg.eigh(covariances.double())
        self.register_buffer("means", means.double())
        self.register_buffer("variances", variances.clamp_min(1e-12))
        self.register_buffer("axes", axes.contiguous())
        self.register_buffer("shares", shares.double())
        self.register_buffer("log_prior", (class_weights.double() / class_weights.double().sum()).log())
        for k, rows in enumerate(centres):
            own = (
                rows.double() @ axes[k] if float(shares[k]) > 0 else torch.zeros(1, means.shape[1], dtype=torch.float64)
            )
            self.register_buffer(f"centres_{k}", own.contiguous())

    def restore(self, process: Process, classes: int, state: Mapping[str, Tensor]) -> None:
        """Become the denoiser whose buffers are ``state``, in place of :meth:`__init__`."""
        Denoiser.__init__(self)
        self.process, self.num_classes, self.shape = process, classes, (state["means"].shape[1],)
        for name, value in state.items():
            self.register_buffer(name, value)

    def centres(self, k: int) -> Tensor:
        """(M, D) centres of class k on its axes."""
        return self.get_buffer(f"centres_{k}")

    def forward(self, x_t: Tensor, t: Tensor, y: Tensor) -> Prediction:
        """Denoise; rows of the same label are computed together."""
        x, time = x_t.double(), t.double()
        x0, eps = torch.empty_like(x), torch.empty_like(x)
        for k in sorted(set(y.tolist())):
            mine = y == k
            x0[mine], eps[mine] = (
                self._mixed(x[mine], time[mine]) if k == self.null else self._of(k, x[mine], time[mine])[:2]
            )
        alpha, sigma = self.process.alpha(t)[:, None], self.process.sigma(t)[:, None]
        return Prediction(x_t, alpha.to(x_t), sigma.to(x_t), x0.to(x_t.dtype), eps.to(x_t.dtype))

    def log_density(self, x_t: Tensor, t: Tensor, y: Tensor) -> Tensor:
        """``log p_t(x_t | y)`` (B,), float64, in nats; at a time of no noise that of the clean law."""
        x, time = x_t.double(), t.double()
        alpha, sigma = self.process.alpha(time), self.process.sigma(time)
        return self._log_density(x, alpha, sigma, y)

    def clean_log_density(self, x: Tensor, y: Tensor) -> Tensor:
        """``log p(x | y)`` (B,) of clean vectors (B, D), without any noise, float64, in nats."""
        one = torch.ones(len(x), dtype=torch.float64)
        return self._log_density(x.double(), one, torch.zeros_like(one), y)

    def draw(self, y: Tensor, seed: int, indices: Sequence[int]) -> Tensor:
        """Exact clean vectors (B, D), float64, of labels (B,); row i depends on the seed and on ``indices[i]`` alone."""
        out = torch.empty(len(y), self.shape[0], dtype=torch.float64)
        for start in range(0, len(y), PART):
            rows = slice(start, start + PART)
            noise = SampleNoise(seed, indices[rows])((self.shape[0] + 1,)).double()
            for k in sorted(set(y[rows].tolist())):
                mine = (y[rows] == k).nonzero()[:, 0]
                out[start + mine] = self.drawn(k, torch.special.ndtr(noise[mine, 0]), noise[mine, 1:])
        return out

    def drawn(self, k: int, place: Tensor, noise: Tensor) -> Tensor:
        """Clean vectors (b, D) of class k from uniform numbers (b,), which choose a centre, and normal noise (b, D)."""
        centres, share = self.centres(k), self.shares[k]
        chosen = (place * len(centres)).long().clamp_max(len(centres) - 1)
        spread = (self.variances[k] * (1 - share.square())).sqrt() * noise
        return self.means[k] + (share * centres[chosen] + spread) @ self.axes[k].T

    def _of(self, k: int, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Clean vectors, noise, each (B, D), and log-density (B,) under class k."""
        alpha, sigma = self.process.alpha(t)[:, None], self.process.sigma(t)[:, None]
        rest, variance, joint = self._joint(k, x, alpha, sigma)
        centre = joint.softmax(1) @ (self.shares[k] * self.centres(k))
        solved = (rest - alpha * centre) / variance
        narrow = self.variances[k] * (1 - self.shares[k].square())
        x0 = self.means[k] + (centre + alpha * narrow * solved) @ self.axes[k].T
        return x0, sigma * (solved @ self.axes[k].T), joint.logsumexp(1)

    def _joint(self, k: int, x: Tensor, alpha: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Rests and variances on the axes (B, D), and log-densities of the components with their weights (B, M)."""
        centres = alpha.new_tensor(1.0) * self.shares[k] * self.centres(k)
        rest = (x - alpha * self.means[k]) @ self.axes[k]
        variance = alpha.square() * self.variances[k] * (1 - self.shares[k].square()) + sigma.square()
        solved = rest / variance
        square = (rest * solved).sum(1, keepdim=True)
        cross = alpha * (solved @ centres.T)
        far = alpha.square() * ((1 / variance) @ centres.square().T)
        size = variance.log().sum(1, keepdim=True) + x.shape[1] * math.log(2 * math.pi)
        return rest, variance, -0.5 * (square - 2 * cross + far + size) - math.log(len(centres))

    def _mixed(self, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """The prediction without a label: that of each class, weighted by its posterior."""
        parts = [self._of(k, x, t) for k in range(self.num_classes)]
        weight = (torch.stack([part[2] for part in parts], 1) + self.log_prior).softmax(1)
        x0 = torch.einsum("bk,kbd->bd", weight, torch.stack([part[0] for part in parts]))
        return x0, torch.einsum("bk,kbd->bd", weight, torch.stack([part[1] for part in parts]))

    def _log_density(self, x: Tensor, alpha: Tensor, sigma: Tensor, y: Tensor) -> Tensor:
        out = torch.empty(len(x), dtype=torch.float64)
        for k in sorted(set(y.tolist())):
            mine = y == k
            a, s = alpha[mine][:, None], sigma[mine][:, None]
            if k == self.null:
                each = [self._joint(j, x[mine], a, s)[2].logsumexp(1) for j in range(self.num_classes)]
                out[mine] = (torch.stack(each, 1) + self.log_prior).logsumexp(1)
            else:
                out[mine] = self._joint(k, x[mine], a, s)[2].logsumexp(1)
        return out
