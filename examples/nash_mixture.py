"""Two classes, one of them small: what the mutual-learning game gives each, its Nash gap, and what helps the small one more."""

import torch

from evenscore.games import Anchored, Descent, Mutual, Problem, Ridge, descend, equilibrium, radius
from evenscore.solvers import GRIDS, ExponentialIntegrator, integrate

generator = torch.Generator().manual_seed(0)
head = torch.randn(360, 1, generator=generator, dtype=torch.float64) - 1
tail = torch.randn(8, 1, generator=generator, dtype=torch.float64) + 1
problem = Problem([head, tail], features=16, seed=0, sharing="shared")
features, moments = problem.plain

print("strength   radius   gap after 2000 steps   gap of the solved equilibrium")
for beta in (0.0, 0.01, 0.1, 1.0):
    game = Mutual(beta=beta, ridge=Ridge(k0=0.1)).game(problem, moments)
    played, solved = descend(game, Descent(steps=2000)), equilibrium(game)
    print(f"{beta:8g} {radius(game):8.3f} {played.gap:22.2e} {float(solved.gaps.max()):31.2e}")

print("\nmethod                        mean and spread of samples of the small class (exact: 1.00, 1.00)")
methods = {
    "every class for itself": Mutual(),
    "uniform strength 0.1": Mutual(beta=0.1),
    "kappa / n, by similarity": Mutual(kappa=1.0, law="similarity"),
    "anchored at class Gaussians": Anchored(),
}
for name, method in methods.items():
    model = method(problem)
    labels = torch.ones(4000, dtype=torch.int64)
    draws = torch.Generator().manual_seed(1)
    noise = lambda shape: torch.randn(4000, *shape, generator=draws)  # noqa: B023, E731
    x = model.process.prior(noise((1,)).double())
    times = GRIDS["log-snr"](model.process, 100).clamp_min(problem.grid.stop / problem.grid.horizon)
    for step in integrate(model, ExponentialIntegrator(), x, times.unique_consecutive(), labels, noise):
        x = step.x
    print(f"{name:30s}{float(x.mean()):6.2f} {float(x.std()):6.2f}")
