"""Weights of the denoising loss, as functions of log SNR on the squared error of the clean sample.

``eps`` and ``x0`` errors at the same ``x_t`` differ by the factor SNR, so every named weighting is one function:

* ``simple``: the plain noise-prediction loss (Ho et al. 2020, eq. 14), weight SNR;
* ``edm``: unit weight on the raw output of the preconditioned network (Karras et al. 2022, eq. 8), weight
  ``SNR + 1 / std^2`` for data of standard deviation ``std``;
* ``min-snr``: ``min(SNR, gamma)`` (Hang et al. 2023, eq. 6);
* ``likelihood``: ``g^2`` on the squared error of the score (Song, Durkan, Murray & Ermon 2021, "Maximum Likelihood Training
  of Score-Based Diffusion Models", eq. 7), weight ``SNR * rate`` with ``rate = g^2 / sigma^2 = -d log SNR / dt``. It bounds
  the negative log-likelihood for times drawn uniformly (noise law ``uniform``), and only for these.
"""

from __future__ import annotations

from torch import Tensor

from evenscore.errors import UsageError, unknown

WEIGHTINGS = ("simple", "edm", "min-snr", "likelihood")


def x0_weight(
    weighting: str, log_snr: Tensor, std: Tensor | float, gamma: float = 5.0, rate: Tensor | None = None
) -> Tensor:
    """Weight of the squared x0 error, in the shape of ``log_snr`` broadcast with ``std``.

    Args:
        weighting: one of :data:`WEIGHTINGS`.
        log_snr: log signal-to-noise ratio.
        std: standard deviation of the data (used by ``edm``).
        gamma: cap of the signal-to-noise ratio (used by ``min-snr``).
        rate: fall of log SNR per unit of time, in the shape of ``log_snr`` (used by ``likelihood``).

    Raises:
        UsageError: an unknown weighting, or ``likelihood`` without a rate.
    """
    snr = log_snr.exp()
    if weighting == "simple":
        return snr
    if weighting == "edm":
        return snr + 1 / (std * std)
    if weighting == "min-snr":
        return snr.clamp_max(gamma)
    if weighting == "likelihood":
        if rate is None:
            raise UsageError("weighting likelihood was given no rate: pass the fall of log SNR per unit of time")
        return snr * rate
    raise unknown("weighting", weighting, WEIGHTINGS)
