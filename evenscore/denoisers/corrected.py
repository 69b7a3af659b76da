"""A denoiser that corrects another one, by a weight for each class.

    x0 = base + w_y (network - base),      and so the noise

Law: with weight 0 the class is the base exactly (the network is not evaluated for it), with weight 1 the network.
"""

from __future__ import annotations

import torch
from torch import Tensor

from evenscore.denoisers.base import Denoiser
from evenscore.errors import UsageError
from evenscore.prediction import Prediction


class Corrected(Denoiser):
    """The mixture of a base and a network.

    Args:
        base: in closed form.
        network: of the same process, classes and shape.
        weights: (K,) in [0, 1]; the null label has their mean.

    Raises:
        UsageError: two denoisers of different classes or shapes, or another number of weights.
    """

    weights: Tensor

    def __init__(self, base: Denoiser, network: Denoiser, weights: Tensor) -> None:
        super().__init__()
        if (base.num_classes, base.shape) != (network.num_classes, network.shape):
            raise UsageError(
                f"a base of {base.num_classes} classes and shape {base.shape} does not fit a network of "
                f"{network.num_classes} and {network.shape}: give two of the same"
            )
        if weights.shape != (base.num_classes,):
            raise UsageError(f"{len(weights)} weights were given for {base.num_classes} classes: give one for each")
        self.base, self.network = base, network
        self.process, self.num_classes, self.shape = base.process, base.num_classes, base.shape
        self.register_buffer("weights", torch.cat([weights, weights.mean()[None]]).double())

    @property
    def data_std(self) -> Tensor | float:
        return self.network.data_std

    def forward(self, x_t: Tensor, t: Tensor, y: Tensor) -> Prediction:
        """Denoise."""
        base = self.base.predict(x_t, t, y)
        weight = self.weights[y].to(x_t)[:, None]
        used = (weight[:, 0] > 0).nonzero()[:, 0]
        if not len(used):
            return base
        found = self.network.predict(x_t[used], t[used], y[used])
        x0, eps = base.x0.clone(), base.eps.clone()
        x0[used] = x0[used] + weight[used] * (found.x0.to(x0) - x0[used])
        eps[used] = eps[used] + weight[used] * (found.eps.to(eps) - eps[used])
        return Prediction(x_t, base.alpha, base.sigma, x0, eps)
