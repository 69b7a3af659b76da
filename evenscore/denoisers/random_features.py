"""The score network of the mutual-learning game: ``s(x, t | y) = A_y phi_y(x, t)``, one matrix for each class.

The features ``phi`` are frozen (:mod:`evenscore.networks.random_features`) and may be extended by the score of a Gaussian for
each class, so that a matrix ``[0 | I]`` is that Gaussian exactly and training corrects it.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from evenscore.denoisers.base import Denoiser
from evenscore.errors import UsageError
from evenscore.networks.random_features import RandomFeatures
from evenscore.prediction import Prediction
from evenscore.process import Process


class GaussianScores:
    """Scores of one Gaussian for each class, noised: ``-(alpha^2 S + sigma^2 I)^-1 (x - alpha mean)``.

    Args:
        means: (K, D).
        covariances: (K, D, D).
    """

    def __init__(self, means: Tensor, covariances: Tensor) -> None:
        self.means = means.double()
        self.variances, self.axes = torch.linalg.eigh(covariances.double())

    def __call__(self, process: Process, x_t: Tensor, t: Tensor, players: slice | Tensor) -> Tensor:
        """Scores (P, B, D) of samples (B, D) under some of the classes."""
        means, variances, axes = self.means[players], self.variances[players], self.axes[players]
        alpha, sigma = process.alpha(t)[:, None], process.sigma(t)[:, None]
        rest = (x_t - alpha * means[:, None]) @ axes
        scores: Tensor = -(rest / (alpha.square() * variances[:, None] + sigma.square())) @ axes.mT
        return scores


class FeatureMap:
    """What a strategy multiplies: random features, and the Gaussian scores behind them when there are any.

    Args:
        random: the random features.
        gaussians: of one Gaussian for each class, or None.
    """

    def __init__(self, random: RandomFeatures, gaussians: GaussianScores | None = None) -> None:
        self.random, self.gaussians = random, gaussians
        self.process, self.players, self.size = random.process, random.players, random.size

    @property
    def shared(self) -> bool:
        """Whether all players see the same features."""
        return self.random.shared and self.gaussians is None

    @property
    def count(self) -> int:
        """Features of a player, F."""
        return self.random.count + (self.size if self.gaussians is not None else 0)

    def __call__(self, x_t: Tensor, t: Tensor, players: slice | Tensor = slice(None)) -> Tensor:
        """Features (P, B, F), P being 1 when they are shared."""
        phi: Tensor = self.random(x_t, t, players)
        if self.gaussians is None:
            return phi
        scores = self.gaussians(self.process, x_t, t, players)
        return torch.cat([phi.expand(len(scores), -1, -1), scores], dim=-1)

    def gaussian_strategy(self) -> Tensor:
        """The profile (K, D, F) that is the Gaussians exactly.

        Raises:
            UsageError: there are none.
        """
        if self.gaussians is None:
            raise UsageError("these features hold no Gaussian: make them with the class Gaussians to start from them")
        profile = torch.zeros(self.players, self.size, self.count, dtype=torch.float64)
        profile[:, :, self.random.count :] = torch.eye(self.size, dtype=torch.float64)
        return profile


class RandomFeatureScore(Denoiser):
    """The denoiser of a profile of strategies.

    Args:
        features: what strategies multiply.
        profile: (K, D, F) strategies, float64.

    Raises:
        UsageError: a profile that does not fit the features.
    """

    profile: Tensor

    def __init__(self, features: FeatureMap, profile: Tensor) -> None:
        super().__init__()
        if profile.shape != (features.players, features.size, features.count):
            raise UsageError(
                f"a profile of shape {tuple(profile.shape)} does not fit "
                f"{(features.players, features.size, features.count)}: give players x coordinates x features"
            )
        self.features, self.process = features, features.process
        self.num_classes, self.shape = features.players, (features.size,)
        self.register_buffer("profile", profile.double())

    def forward(self, x_t: Tensor, t: Tensor, y: Tensor) -> Prediction:
        """Denoise in float64; rows of the same label are computed together.

        Raises:
            UsageError: the null label, for which there is no player.
        """
        if len(y) and int(y.max()) >= self.num_classes:
            raise UsageError("the game has a player for every class and none for the null label: give classes")
        score = torch.empty_like(x_t, dtype=torch.float64)
        x, time = x_t.double(), t.double()
        for k in _present(y):
            mine = y == k
            score[mine] = self.features(x[mine], time[mine], slice(k, k + 1))[0] @ self.profile[k].T
        return Prediction.from_score(score.to(x_t.dtype), x_t, t, self.process)


def _present(y: Tensor) -> Sequence[int]:
    return sorted(set(y.tolist()))
