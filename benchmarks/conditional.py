"""Controllable generation against closed forms: guidance by the exact classifier, and restoration of a Gaussian mixture.

The prior is a Gaussian mixture whose denoiser is exact, so the law given a part of a sample is a mixture known in closed form
(:func:`evenscore.denoisers.conditional.given`). Every method draws from it in independent runs; what is compared are

* ``modes``: total variation between the weights of the components and the exact ones;
* ``mean``: error of the mean along the widest direction of the exact law, in its standard deviations;
* ``ks``: largest distance between the distribution function along that direction and the exact one.

``error`` is one standard error of ``modes`` or ``mean``, from the spread between runs. Replacement must show its bias: its
``modes`` lie above a floor and above ten standard errors. A method that claims to be exact must stay within four standard
errors plus ``STEP_ERROR`` for the finite steps; for ``ks``, which is mostly made of wrong weights, those of ``modes``.
None of its errors may exceed a quarter of that of replacement.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from benchmarks.runner import Outcome
from evenscore.denoisers.conditional import given, label_log_probability
from evenscore.denoisers.oracle import GaussianMixture
from evenscore.guidance import ClassifierGuided
from evenscore.process import OU, VE, VP, CosineVP, RectifiedFlow
from evenscore.random import generator
from evenscore.restore import (
    Frame,
    Measurement,
    RePaint,
    Replacement,
    Restoration,
    SMCDiff,
    Twisted,
    colourisation,
)
from evenscore.solvers import GRIDS

SUMMARY = (
    "Conditional sampling against closed forms: classifier guidance, inpainting, colourisation, bias of replacement."
)
SCORE_BOUND, STEP_ERROR, BIAS_FLOOR, REMOVED = 1e-6, 0.01, 0.1, 0.25
PROCESSES = (VP(), CosineVP(), VE(), OU(), RectifiedFlow())


class Task(NamedTuple):
    """A prior, what is known of one sample of it, and the exact law of the rest."""

    prior: GaussianMixture
    measurement: Measurement
    exact: GaussianMixture


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    parser.add_argument("--runs", type=int, default=16, help="independent runs of each method")
    parser.add_argument("--particles", type=int, default=1024, help="samples of each run")
    parser.add_argument("--steps", type=int, default=200, help="noise levels")
    parser.add_argument("--seed", type=int, default=0, help="seed of all draws")


def run(args: argparse.Namespace) -> Outcome:
    """Measure the guided score, then every method on both tasks."""
    values: dict[str, Any] = {"guided score error": guided_score_error(args.seed)}
    bound: dict[str, Any] = {"guided score error": SCORE_BOUND}
    holds = values["guided score error"] <= SCORE_BOUND
    for name, task in (("inpaint", inpainting_task()), ("colourise", colourisation_task(args.seed))):
        values[name], bound[name] = {}, {}
        for method in methods(args.particles):
            label = type(method).__name__.lower()
            found = measured(task, method, args)
            values[name][label] = found
            bound[name][label] = bounds(method, found, values[name]["replacement"])
            holds = holds and kept(method, found, bound[name][label])
    return Outcome(values, bound, holds)


def methods(particles: int) -> Sequence[Restoration]:
    """All methods, with the particles of those that have some."""
    return Replacement(), RePaint(repeats=5, jump=10), SMCDiff(particles), Twisted(particles)


def guided_score_error(seed: int) -> float:
    """Largest difference between the guided score at scale 1 and the exact conditional one, over processes and times."""
    random, worst = generator(seed, "score"), 0.0
    for process in PROCESSES:
        prior = inpainting_task(process).prior

        def log_probability(x: Tensor, t: Tensor, y: Tensor, prior: GaussianMixture = prior) -> Tensor:
            return label_log_probability(prior, x, t, y)

        guided = ClassifierGuided(prior, log_probability, 1.0)
        t = torch.linspace(0.01, 0.99, 300, dtype=torch.float64)
        y = torch.arange(300) % 3
        eps = torch.randn(300, 2, generator=random, dtype=torch.float64)
        x = process.perturb(prior.sample(y.flip(0), random), t, eps)
        difference = guided.predict(x, t, y).score - prior.predict(x, t, y).score
        worst = max(worst, float(difference.abs().max()))
    return worst


def inpainting_task(process: VP | CosineVP | VE | OU | RectifiedFlow = VP()) -> Task:  # noqa: B008
    """Three modes in the plane, of shares 0.6, 0.3 and 0.1; the first coordinate is known and favours the second."""
    means = torch.tensor([[-1.0, -1.0], [1.0, 1.0], [1.0, -1.5]], dtype=torch.float64)
    covariances = torch.tensor(
        [[[0.2, 0.1], [0.1, 0.2]], [[0.2, -0.1], [-0.1, 0.2]], [[0.1, 0.0], [0.0, 0.1]]], dtype=torch.float64
    )
    prior = GaussianMixture(process, means, covariances, [0, 1, 2], class_weights=[0.6, 0.3, 0.1])
    values = torch.tensor([[0.3, 0.0]], dtype=torch.float64)
    measurement = Measurement(values, torch.tensor([[True, False]]))
    return Task(prior, measurement, conditional(prior, measurement))


def colourisation_task(seed: int) -> Task:
    """Images of 3 x 2 x 2 numbers in three modes of different colour; grey favours the rarest."""
    random, shape = generator(seed, "colours"), (3, 2, 2)
    tints = torch.tensor([[0.6, -0.3, -0.4], [-0.4, 0.5, -0.3], [-0.2, 0.1, 0.7]], dtype=torch.float64)
    means = tints[:, :, None, None].expand(3, *shape) + 0.1 * torch.randn(3, *shape, generator=random).double()
    factor = 0.2 * torch.randn(3, 12, 12, generator=random).double() / 12**0.5
    covariances = factor @ factor.mT + 0.04 * torch.eye(12, dtype=torch.float64)
    prior = GaussianMixture(VP(), means, covariances, [0, 1, 2], class_weights=[0.55, 0.3, 0.15])
    weights = (0.299, 0.587, 0.114)
    grey = (means[2] * torch.tensor(weights).double()[:, None, None]).sum(0)
    mixed = 0.7 * grey + 0.3 * (means[1] * torch.tensor(weights).double()[:, None, None]).sum(0)
    measurement = colourisation(mixed[None, None], weights)
    return Task(prior, measurement, conditional(prior, measurement))


def conditional(prior: GaussianMixture, measurement: Measurement) -> GaussianMixture:
    """The exact law of a sample given a measurement of one row."""
    size = measurement.values[0].numel()
    basis = torch.eye(size, dtype=torch.float64).reshape(size, *prior.shape)
    known = measurement.mask[0].flatten()
    frame: Frame = measurement.frame
    return given(prior, frame.inverse(basis).flatten(1)[known], measurement.values[0].flatten()[known])


def measured(task: Task, method: Restoration, args: argparse.Namespace) -> dict[str, Any]:
    """What independent runs of a method say of the conditional law, beside the exact one."""
    x, weights = draws(task, method, args)
    axis = widest(task.exact)
    line = x.flatten(2) @ axis
    centre, spread, shares = along(task.exact, axis)
    exact_mean = float(shares @ centre)
    sd = float((shares @ (spread.square() + centre.square()) - exact_mean**2).sqrt())
    modes = (responsibilities(task.exact, x) * weights[..., None]).sum(1)
    means = (weights * line).sum(1)
    root = len(x) ** 0.5
    return {
        "modes": float((modes.mean(0) - shares).abs().sum() / 2),
        "modes error": float(modes.std(0).sum() / 2 / root),
        "mean": abs(float(means.mean()) - exact_mean) / sd,
        "mean error": float(means.std()) / sd / root,
        "ks": ks_distance(line.flatten(), weights.flatten() / len(x), centre, spread, shares),
    }


def draws(task: Task, method: Restoration, args: argparse.Namespace) -> tuple[Tensor, Tensor]:
    """(runs, particles, *shape) samples and their weights (runs, particles)."""
    random = generator(args.seed, "draws", type(method).__name__)
    prior, runs, count = task.prior, args.runs, args.particles
    times = GRIDS["log-snr"](prior.process, args.steps)
    if isinstance(method, SMCDiff | Twisted):
        noise = normal(runs, random)
        labels = torch.full((runs,), prior.null)
        cloud = method.cloud(prior, task.measurement.repeat(runs), labels, times, noise)
        return cloud.x, cloud.weights
    rows = runs * count // 4
    with torch.no_grad():
        labels = torch.full((rows,), prior.null)
        x = method(prior, task.measurement.repeat(rows), labels, times, normal(rows, random))
    return x.unflatten(0, (runs, -1)), torch.full((runs, count // 4), 4 / count, dtype=torch.float64)


def normal(rows: int, random: torch.Generator) -> Callable[[Sequence[int]], Tensor]:
    """Standard normal values for all rows from one generator."""
    return lambda shape: torch.randn((rows, *shape), generator=random, dtype=torch.float64)


def widest(law: GaussianMixture) -> Tensor:
    """The direction (D,) in which a law varies most."""
    return torch.linalg.eigh(law.moments(law.null)[1])[1][:, -1]


def along(law: GaussianMixture, axis: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Means, standard deviations and weights (M,) of the components along a direction."""
    assert law.axes is not None
    spread = ((law.axes.mT @ axis).square() * law.variances).sum(1).sqrt()
    return law.means @ axis, spread, law.log_weights[law.null].exp()


def responsibilities(law: GaussianMixture, x: Tensor) -> Tensor:
    """Posterior of each component of the law for samples (R, N, *shape), (R, N, M).

    Known coordinates have no variance; a little noise, far below that of the others, stands in for it.
    """
    t = torch.full((x.shape[0] * x.shape[1],), law.process.t_min, dtype=torch.float64)
    alpha, sigma = law.process.alpha(t)[:, None, None], law.process.sigma(t)[:, None, None]
    noisy = alpha[:, 0] * x.flatten(0, 1).flatten(1)
    rest = noisy[:, None] - alpha * law.means
    assert law.axes is not None
    rotated = torch.einsum("bmd,mde->bme", rest, law.axes)
    variance = alpha.square() * law.variances + sigma.square()
    fit = -0.5 * (rotated.square() / variance + variance.log()).sum(2) + law.log_weights[law.null]
    return fit.softmax(1).unflatten(0, x.shape[:2])


def ks_distance(line: Tensor, weights: Tensor, centre: Tensor, spread: Tensor, shares: Tensor) -> float:
    """Largest distance between the weighted distribution function of ``line`` (N,) and that of a 1-D mixture."""
    order = line.argsort()
    exact = (torch.special.ndtr((line[order, None] - centre) / spread) * shares).sum(1)
    after = weights[order].cumsum(0)
    return float(torch.maximum((after - exact).abs(), (after - weights[order] - exact).abs()).max())


def bounds(method: Restoration, found: dict[str, Any], biased: dict[str, Any]) -> dict[str, Any]:
    """What a method is held to, given what it and replacement do."""
    if isinstance(method, Replacement):
        return {"modes": f"at least {max(BIAS_FLOOR, 10 * found['modes error']):.3g}"}
    if not method.exact:
        return {}
    limits = {key: 4 * found[f"{key} error"] + STEP_ERROR for key in ("modes", "mean")}
    limits["ks"] = limits["modes"]
    return {key: min(limit, biased[key] * REMOVED) for key, limit in limits.items()}


def kept(method: Restoration, found: dict[str, Any], bound: dict[str, Any]) -> bool:
    """Whether a method does what is said of it."""
    if isinstance(method, Replacement):
        return bool(found["modes"] >= max(BIAS_FLOOR, 10 * found["modes error"]))
    return all(found[key] <= limit for key, limit in bound.items())
