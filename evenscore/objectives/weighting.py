"""Weights of the denoising loss, as functions of log SNR on the squared error of the clean sample.

``eps`` and ``x0`` errors at the same ``x_t`` differ by the factor SNR, so every named weighting is one function:

* ``simple``: the plain noise-prediction loss (Ho et al. 2020, eq. 14), weight SNR;
* ``edm``: unit weight on the raw output of the preconditioned network (Karras et al. 2022, eq. 8), weight
  ``SNR + 1 / std^2`` for data of standard deviation ``std``;
* ``min-snr``: ``min(SNR, gamma)`` (Hang et al. 2023, eq. 6).
"""

from __future__ import annotations

from torch import Tensor

from evenscore.errors import unknown

WEIGHTINGS = ("simple", "edm", "min-snr")


def x0_weight(weighting: str, log_snr: Tensor, std: Tensor | float, gamma: float = 5.0) -> Tensor:
    """Weight of the squared x0 error, in the shape of ``log_snr`` broadcast with ``std``.

    Args:
        weighting: one of :data:`WEIGHTINGS`.
        log_snr: log signal-to-noise ratio.
        std: standard deviation of the data (used by ``edm``).
        gamma: cap of the signal-to-noise ratio (used by ``min-snr``).

    Raises:
        UsageError: an unknown weighting.
    """
    snr = log_snr.exp()
    if weighting == "simple":
        return snr
    if weighting == "edm":
        return snr + 1 / (std * std)
    if weighting == "min-snr":
        return snr.clamp_max(gamma)
    raise unknown("weighting", weighting, WEIGHTINGS)
