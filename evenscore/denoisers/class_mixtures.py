"""A mixture of laws in closed form for each class of vectors, and its exact denoiser.

Class k is the mixture, by shares, of some laws of :class:`~evenscore.denoisers.class_kernels.ClassKernels`: Gaussians,
or smoothed bootstraps of the rows.

    p_t(x | k) = sum_j w_j p_t(x | j),      x0(x_t) = sum_j p(j | x_t) x0_j(x_t)        (j among the laws of class k)

Law: a class of one law is that law bit for bit; the null label is the mixture of the classes by ``class_weights``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from evenscore.denoisers.base import Denoiser
from evenscore.denoisers.class_kernels import PART, ClassKernels
from evenscore.errors import UsageError
from evenscore.prediction import Prediction
from evenscore.process import Process
from evenscore.random import SampleNoise


class ClassMixtures(Denoiser):
    """The exact denoiser of a mixture of laws for each class.

    Args:
        laws: G laws, each as a class of its own.
        owners: (G,) the class of each law, in order; every class has one at least.
        shares: (G,) of each law in its class; those of a class sum to 1.
        class_weights: (K,) weights of the classes under the null label.

    Raises:
        UsageError: numbers that do not fit.
    """

    owners: Tensor
    log_shares: Tensor
    log_prior: Tensor

    def __init__(self, laws: ClassKernels, owners: Tensor, shares: Tensor, class_weights: Tensor) -> None:
        super().__init__()
        if not (len(owners) == len(shares) == laws.num_classes) or sorted(set(owners.tolist())) != list(
            range(len(class_weights))
        ):
            raise UsageError(
                f"{laws.num_classes} laws of the classes {owners.tolist()} do not fit {len(shares)} shares and "
                f"{len(class_weights)} classes: give each law a class and a share, and each class a law"
            )
        self._set(laws, len(class_weights))
        self.register_buffer("owners", owners.long())
        self.register_buffer("log_shares", shares.double().log())
        self.register_buffer("log_prior", (class_weights.double() / class_weights.double().sum()).log())

    def _set(self, laws: ClassKernels, classes: int) -> None:
        self.laws, self.process, self.num_classes, self.shape = laws, laws.process, classes, laws.shape

    @classmethod
    def restored(cls, process: Process, classes: int, state: Mapping[str, Tensor]) -> ClassMixtures:
        """The denoiser whose buffers are ``state``."""
        made = cls.__new__(cls)
        Denoiser.__init__(made)
        laws = ClassKernels.__new__(ClassKernels)
        own = {key.removeprefix("laws."): value for key, value in state.items() if key.startswith("laws.")}
        laws.restore(process, len(state["owners"]), own)
        made._set(laws, classes)
        for name in ("owners", "log_shares", "log_prior"):
            made.register_buffer(name, state[name])
        return made

    def of(self, k: int) -> list[int]:
        """The numbers of the laws of class ``k``; of all laws for the null label."""
        return list(range(len(self.owners))) if k == self.null else (self.owners == k).nonzero()[:, 0].tolist()

    def _log_weights(self, k: int) -> Tensor:
        """(G_k,) log of the weights of the laws of a label."""
        own = self.log_shares[self.of(k)]
        return own + self.log_prior[self.owners] if k == self.null else own

    def forward(self, x_t: Tensor, t: Tensor, y: Tensor) -> Prediction:
        """Denoise; rows of the same label are computed together."""
        x, time = x_t.double(), t.double()
        x0, eps = torch.empty_like(x), torch.empty_like(x)
        for k in sorted(set(y.tolist())):
            mine = y == k
            x0[mine], eps[mine] = self._denoised(k, x[mine], time[mine])
        alpha, sigma = self.process.alpha(t)[:, None], self.process.sigma(t)[:, None]
        return Prediction(x_t, alpha.to(x_t), sigma.to(x_t), x0.to(x_t.dtype), eps.to(x_t.dtype))

    def _denoised(self, k: int, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        laws = self.of(k)
        each = [self.laws.predict(x, t, torch.full((len(x),), j)) for j in laws]
        if len(each) == 1:
            return each[0].x0, each[0].eps
        joint = torch.stack([self.laws.log_density(x, t, torch.full((len(x),), j)) for j in laws], 1)
        weight = (joint + self._log_weights(k)).softmax(1)
        x0 = torch.einsum("bj,jbd->bd", weight, torch.stack([part.x0 for part in each]))
        return x0, torch.einsum("bj,jbd->bd", weight, torch.stack([part.eps for part in each]))

    def log_density(self, x_t: Tensor, t: Tensor, y: Tensor) -> Tensor:
        """``log p_t(x_t | y)`` (B,), float64, in nats."""
        return self._mixed(x_t, t, y)

    def clean_log_density(self, x: Tensor, y: Tensor) -> Tensor:
        """``log p(x | y)`` (B,) of clean vectors (B, D), without any noise, float64, in nats."""
        return self._mixed(x, None, y)

    def _mixed(self, x: Tensor, t: Tensor | None, y: Tensor) -> Tensor:
        out = torch.empty(len(x), dtype=torch.float64)
        for k in sorted(set(y.tolist())):
            mine, laws = y == k, self.of(k)
            labels = [torch.full((int(mine.sum()),), j) for j in laws]
            if t is None:
                each = [self.laws.clean_log_density(x[mine], label) for label in labels]
            else:
                each = [self.laws.log_density(x[mine], t[mine], label) for label in labels]
            out[mine] = each[0] if len(laws) == 1 else (torch.stack(each, 1) + self._log_weights(k)).logsumexp(1)
        return out

    def draw(self, y: Tensor, seed: int, indices: Sequence[int]) -> Tensor:
        """Exact clean vectors (B, D), float64, of labels (B,); row i depends on the seed and on ``indices[i]`` alone."""
        out = torch.empty(len(y), self.shape[0], dtype=torch.float64)
        for start in range(0, len(y), PART):
            rows = slice(start, start + PART)
            noise = SampleNoise(seed, indices[rows])((self.shape[0] + 1,)).double()
            out[rows] = self._drawn(y[rows], noise)
        return out

    def _drawn(self, y: Tensor, noise: Tensor) -> Tensor:
        """Clean vectors (b, D) from normal noise (b, D + 1), whose first number chooses the law, and a centre within it."""
        out = torch.empty(len(y), self.shape[0], dtype=torch.float64)
        for k in sorted(set(y.tolist())):
            mine, laws = (y == k).nonzero()[:, 0], self.of(k)
            upto = self._log_weights(k).exp().cumsum(0)
            place = torch.special.ndtr(noise[mine, 0])
            chosen = torch.searchsorted(upto[:-1], place, right=True)
            for i, j in enumerate(laws):
                here = (chosen == i).nonzero()[:, 0]
                below = upto[i - 1] if i else torch.zeros((), dtype=torch.float64)
                within = ((place[here] - below) / (upto[i] - below)).clamp(0, 1)
                out[mine[here]] = self.laws.drawn(j, within, noise[mine[here], 1:])
        return out
