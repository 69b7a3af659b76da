"""Exact likelihood by the probability-flow ODE, and what comes with it: latents, interpolation, bits per dimension.

Law: everything here is a function of a denoiser; solvers are not used, since the log-density must be integrated with the
path and to a tolerance.
"""

from __future__ import annotations

from evenscore.likelihood.bits import BYTE_OFFSET, bits_per_dim, dequantise
from evenscore.likelihood.by_class import Gap, Mean, gap, gaps_by_class, means_by_class
from evenscore.likelihood.divergence import DIVERGENCES
from evenscore.likelihood.flow import PRIORS, KnowsDensity, Likelihood, decode, encode, log_prob
from evenscore.likelihood.latent import interpolate, spherical

__all__ = [
    "BYTE_OFFSET",
    "DIVERGENCES",
    "PRIORS",
    "Gap",
    "KnowsDensity",
    "Likelihood",
    "Mean",
    "bits_per_dim",
    "decode",
    "dequantise",
    "encode",
    "gap",
    "gaps_by_class",
    "interpolate",
    "log_prob",
    "means_by_class",
    "spherical",
]
