"""Instruments of the game benchmarks and tests: random games, and the divergence of a class's flow from its exact law."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from evenscore.denoisers.random_features import FeatureMap, RandomFeatureScore
from evenscore.games import Grid, LossWeights, Mutual, Problem, QuadraticGame, Ridge
from evenscore.random import generator


def random_game(seed: int, ridge: float = 1e-4, beta: float | None = None) -> QuadraticGame:
    """A game of two to four players, one or two dimensions, 8 to 24 features, own or shared; relative ridge and beta as given.

    Args:
        seed: fixes the game.
        ridge: relative to ``trace(D_k) / F``.
        beta: strength of every player; None for one drawn between 1e-3 and 10.
    """
    random = generator(seed, "game")
    players, size = (int(torch.randint(low, high, (), generator=random)) for low, high in ((2, 5), (1, 3)))
    features = int(torch.randint(8, 25, (), generator=random))
    samples = []
    for _ in range(players):
        count = int(torch.randint(5, 60, (), generator=random))
        centre = 2 * torch.randn(size, generator=random, dtype=torch.float64)
        samples.append(centre + torch.randn(count, size, generator=random, dtype=torch.float64))
    sharing = "shared" if torch.rand((), generator=random) < 0.5 else "independent"
    problem = Problem(samples, features, seed, weights=LossWeights(rows=64), sharing=sharing)
    strength = 10 ** float(4 * torch.rand((), generator=random) - 3) if beta is None else beta
    law = ("uniform", "train", "similarity")[int(torch.randint(3, (), generator=random))]
    return Mutual(beta=strength, law=law, ridge=Ridge(fixed=ridge, k0=0)).game(problem, problem.plain[1])


def random_profile(game: QuadraticGame, seed: int) -> Tensor:
    """A profile of the size of the game's free best responses."""
    best = game.best_response(torch.zeros_like(game.centre))
    noise = torch.randn(best.shape, generator=generator(seed, "profile"), dtype=torch.float64)
    return best + noise * best.flatten(1).norm(dim=1)[:, None, None] / math.sqrt(best[0].numel())


@dataclass(frozen=True)
class Law:
    """One class's exact law: a mixture of Gaussians.

    Attributes:
        means: (M, D).
        covariances: (M, D, D).
        weights: (M,) that sum to 1.
    """

    means: Tensor
    covariances: Tensor
    weights: Tensor

    def draw(self, count: int, random: torch.Generator) -> Tensor:
        """(count, D) samples."""
        which = torch.multinomial(self.weights, count, replacement=True, generator=random)
        return self._place(torch.randn(count, self.means.shape[1], generator=random, dtype=torch.float64), which)

    def nodes(self, count: int) -> Tensor:
        """(count, D) points that stand for the law, evenly (a Sobol sequence through the components)."""
        points = torch.quasirandom.SobolEngine(self.means.shape[1] + 1, scramble=True, seed=0).draw(
            count, dtype=torch.float64
        )
        which = torch.searchsorted(self.weights.cumsum(0), points[:, 0].contiguous()).clamp_max(len(self.weights) - 1)
        return self._place(torch.special.ndtri(points[:, 1:].clamp(1e-9, 1 - 1e-9)), which)

    def _place(self, z: Tensor, which: Tensor) -> Tensor:
        roots = torch.linalg.cholesky(self.covariances)
        return self.means[which] + torch.einsum("nde,ne->nd", roots[which], z)

    def noised(self, alpha: float, sigma: float) -> Law:
        """The law of ``alpha x + sigma z``."""
        eye = torch.eye(self.means.shape[1], dtype=torch.float64)
        return Law(alpha * self.means, alpha**2 * self.covariances + sigma**2 * eye, self.weights)

    def log_density(self, x: Tensor) -> Tensor:
        """(N,) nats."""
        rest = x[:, None] - self.means
        roots = torch.linalg.cholesky(self.covariances)
        solved = torch.linalg.solve_triangular(roots, rest.permute(1, 2, 0), upper=False)
        quadratic = solved.square().sum(1).T
        logdet = roots.diagonal(dim1=1, dim2=2).log().sum(1)
        size = x.shape[1]
        return (self.weights.log() - logdet - quadratic / 2 - size / 2 * math.log(2 * math.pi)).logsumexp(1)


def divergences(model: RandomFeatureScore, laws: list[Law], grid: Grid, nodes: int = 200, steps: int = 48) -> Tensor:
    """Kullback-Leibler divergence (K,) in nats from each exact class law to the model's, both at the time where sampling stops.

    The model's law is that of its probability flow from N(0, I) at the horizon, as in the paper's mixture experiments: nodes
    are carried there by Heun's method over log time, with the exact divergence of the field.
    """
    start = float(grid.process.alpha(torch.tensor(grid.stop / grid.horizon, dtype=torch.float64)))
    spread = math.sqrt(1 - start**2)
    noised = [law.noised(start, spread) for law in laws]
    x = torch.stack([law.nodes(nodes) for law in noised])
    exact = torch.stack([law.log_density(points) for law, points in zip(noised, x, strict=True)])
    return (exact - flow_log_density(model, x, grid, steps)).mean(1)


def flow_log_density(model: RandomFeatureScore, x: Tensor, grid: Grid, steps: int) -> Tensor:
    """Log-density (K, N) under each class's flow of points (K, N, D) at the time where sampling stops."""
    levels = torch.linspace(math.log(grid.stop), math.log(grid.horizon), steps + 1, dtype=torch.float64).exp()
    field = _Field(model, grid)
    total = torch.zeros(x.shape[:2], dtype=torch.float64)
    v, spread = field(x, float(levels[0]))
    for before, after in zip(levels[:-1].tolist(), levels[1:].tolist(), strict=True):
        step = after - before
        ahead, ahead_spread = field(x + step * v, after)
        x = x + step / 2 * (v + ahead)
        total = total + step / 2 * (spread + ahead_spread)
        v, spread = field(x, after)
    size = x.shape[2]
    return total - x.square().sum(2) / 2 - size / 2 * math.log(2 * math.pi)


class _Field:
    """``dx/ds = -x - s(x, s)`` of the OU process for all classes at once, and its divergence."""

    def __init__(self, model: RandomFeatureScore, grid: Grid) -> None:
        self.features: FeatureMap = model.features
        self.profile, self.grid = model.profile, grid
        random = self.features.random
        self.inner, self.outer = random.inner / random.scale, random.outer

    def __call__(self, x: Tensor, s: float) -> tuple[Tensor, Tensor]:
        """Velocity (K, N, D) and divergence (K, N)."""
        count, size = self.features.random.count, x.shape[2]
        t = torch.tensor(s / self.grid.horizon, dtype=torch.float64)
        given = self.outer @ self.features.random.embed(t)
        before = self._placed(x, t) @ self.inner.mT + given[:, None]
        strategy = self.profile[:, :, :count]
        score = before.relu() @ strategy.mT / count
        slopes = torch.einsum("kdf,kfd->kf", strategy, self.inner.expand(len(x), -1, -1)) / count
        spread = ((before > 0) * slopes[:, None]).sum(2)
        if self.features.gaussians is not None:
            times = t.expand(1)
            rest = self.profile[:, :, count:]
            base = torch.stack([self._gaussian(x[k], times, k) for k in range(len(x))])
            score = score + base @ rest.mT
            spread = spread + self._gaussian_spread(times, rest)[:, None]
        return -x - score, -size - spread

    def _placed(self, x: Tensor, t: Tensor) -> Tensor:
        centres = self.features.random.centres
        return x if centres is None else x - self.grid.process.alpha(t) * centres[:, None]

    def _gaussian(self, x: Tensor, t: Tensor, k: int) -> Tensor:
        assert self.features.gaussians is not None
        return self.features.gaussians(self.grid.process, x, t.expand(len(x)), slice(k, k + 1))[0]

    def _gaussian_spread(self, t: Tensor, rest: Tensor) -> Tensor:
        """(K,) divergence of the Gaussian part, the trace of a matrix that does not depend on x."""
        gaussians = self.features.gaussians
        assert gaussians is not None
        alpha, sigma = self.grid.process.alpha(t), self.grid.process.sigma(t)
        power = 1 / (alpha.square() * gaussians.variances + sigma.square())
        matrix = -(gaussians.axes * power[:, None]) @ gaussians.axes.mT
        return (rest @ matrix).diagonal(dim1=1, dim2=2).sum(1)


def ball(game: QuadraticGame, share: float = 0.5) -> float:
    """A norm bound that is active for every player's best response to nothing."""
    free = game.best_response(torch.zeros_like(game.centre))
    return share * float(free.flatten(1).norm(dim=1).min())
