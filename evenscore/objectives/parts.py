"""Modules that an objective trains with a denoiser and that its predictions do not use.

Law: they live under the denoiser's ``parts``, so they are optimised, averaged and saved with it; taking them away changes no
prediction.
"""

from __future__ import annotations

import torch
from torch import nn

from evenscore.denoisers.base import Denoiser
from evenscore.denoisers.preconditioned import Preconditioned
from evenscore.errors import UsageError


def preconditioned(denoiser: Denoiser) -> Preconditioned:
    """The denoiser as one that can be equipped.

    Raises:
        UsageError: it is another kind.
    """
    if not isinstance(denoiser, Preconditioned):
        raise UsageError(
            f"{type(denoiser).__name__} cannot be equipped for this objective: give a Preconditioned denoiser"
        )
    return denoiser


def add_part(denoiser: Denoiser, name: str, part: nn.Module) -> None:
    """Put a module among the parts of a denoiser.

    Raises:
        UsageError: the denoiser has no parts.
    """
    preconditioned(denoiser).parts[name] = part


def remove_part(denoiser: Denoiser, name: str) -> None:
    """Take a module from the parts of a denoiser, where it is there.

    Raises:
        UsageError: the denoiser has no parts.
    """
    parts = preconditioned(denoiser).parts
    if name in parts:
        del parts[name]


@torch.no_grad()
def latent_size(denoiser: Denoiser) -> int:
    """How many numbers the latents of a sample are.

    Raises:
        UsageError: the denoiser has no latents.
    """
    x, t = torch.zeros(1, *denoiser.shape), torch.full((1,), denoiser.process.t_max)
    return denoiser.observe(x, t, torch.zeros(1, dtype=torch.int64))[1].shape[1]
