"""Set diversity: the samples of one class in one set are kept from being near copies of each other.

Cohen, Manor, Bahat & Michaeli 2024, "From Posterior Sampling to Meaningful Diversity in Image Restoration". Of each row
``i`` the nearest row ``j`` of the same set and label is found among the predicted clean samples; rows nearer than
``distance`` are pushed apart, and the predicted noise follows:

    x0_i <- x0_i + eta tau(t) 1[d_ij <= distance] (x0_i - x0_j),    d = root mean square difference of the values

``tau`` is the paper's ``t / T``, written as a function of log SNR: the time at which its linear schedule has that level.
Beyond the log SNR ``until`` the rows are left alone: by then it is decided which mode a sample belongs to, and what follows
brings it back to likely values (an addition here; without it strong repulsion pushes samples out of their modes).

Laws. A set is a group of rows of a batch, passed explicitly; a sample depends on its own set and on no other row, so a set
is the same alone and in any batch. Strength 0, and the last evaluation at the smallest time, are the plain denoiser bit
for bit. With ``free`` given, only the components that a measurement leaves free are moved.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from evenscore.denoisers.base import Denoiser
from evenscore.errors import UsageError
from evenscore.prediction import Prediction
from evenscore.process import VP, expand


class SetDiversity(Denoiser):
    """A denoiser with its sets filled in for one batch; rows of one set and label repel each other.

    Args:
        denoiser: what is guided.
        sets: (B,) int64, the number of the set of each row; a negative number stands for a set of its own.
        eta: strength; 0 none.
        distance: rows further apart than this root mean square difference are left alone; None for no limit.
        until: the log SNR up to which rows repel; None for all but the smallest time, as in the paper.
        free: 1 where a component may move and 0 where a measurement fixes it; broadcasts against a batch. None: all may.

    Raises:
        UsageError: a strength or distance that is negative or not a number.
    """

    def __init__(
        self,
        denoiser: Denoiser,
        sets: Tensor,
        eta: float,
        distance: float | None = None,
        until: float | None = None,
        free: Tensor | None = None,
    ) -> None:
        super().__init__()
        check_strength(eta, distance)
        self.denoiser, self.sets, self.free = denoiser, sets, free
        self.eta, self.distance, self.until = float(eta), distance, until
        self.process, self.num_classes, self.shape = denoiser.process, denoiser.num_classes, denoiser.shape

    @property
    def data_std(self) -> Tensor | float:
        return self.denoiser.data_std

    def forward(self, x_t: Tensor, t: Tensor, y: Tensor) -> Prediction:
        """Denoise a batch of B rows under the stored sets.

        Raises:
            UsageError: a batch of another size than the sets.
        """
        plain = self.denoiser.predict(x_t, t, y)
        if len(x_t) != len(self.sets):
            raise UsageError(
                f"a batch of {len(x_t)} rows was given for {len(self.sets)} set numbers: give one for each"
            )
        active = self._active(t)
        if self.eta == 0 or not bool(active.any()):
            return plain
        strength = self.eta * schedule(self.process.log_snr(t)) * active
        shift = expand(strength, x_t) * apart(plain.x0, y, self.sets.to(y.device), self.distance)
        if self.free is not None:
            shift = shift * self.free.to(shift)
        eps = plain.eps - plain.alpha / plain.sigma * shift
        return Prediction(plain.x_t, plain.alpha, plain.sigma, plain.x0 + shift, eps)

    def _active(self, t: Tensor) -> Tensor:
        """(B,) whether rows repel at each time."""
        later = t > self.process.t_min
        return later if self.until is None else later & (self.process.log_snr(t) <= self.until)


def schedule(log_snr: Tensor) -> Tensor:
    """``t / T`` of the paper's linear schedule at a log SNR: near 1 in noise, falling to 0 at the data."""
    return VP().time(log_snr).clamp(0, 1)


def apart(x0: Tensor, y: Tensor, sets: Tensor, distance: float | None) -> Tensor:
    """(B, ...) difference of each row from its nearest fellow, 0 where it has none within ``distance``."""
    flat = x0.flatten(1)
    gaps = torch.cdist(flat, flat, compute_mode="donot_use_mm_for_euclid_dist") / math.sqrt(flat.shape[1])
    fellows = (sets[:, None] == sets) & (y[:, None] == y) & (sets >= 0)[:, None]
    fellows.fill_diagonal_(False)
    nearest, place = gaps.masked_fill(~fellows, math.inf).min(1)
    near = nearest.isfinite() if distance is None else nearest <= distance
    return torch.where(expand(near, x0), x0 - x0[place], torch.zeros_like(x0))


def check_strength(eta: float, distance: float | None) -> None:
    """Refuse settings without meaning.

    Raises:
        UsageError: a strength or distance that is negative or not a number.
    """
    if not (math.isfinite(eta) and eta >= 0):
        raise UsageError(f"eta={eta:g} cannot be used: eta must be a number from 0 (no diversity) on")
    if distance is not None and not distance >= 0:
        raise UsageError(f"distance={distance:g} cannot be used: distance must be at least 0, or none for no limit")
