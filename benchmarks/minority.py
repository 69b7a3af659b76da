"""Guidance for the long tail: minority score and guidance on a mixture and on digits, and set diversity on three modes."""

from __future__ import annotations

import argparse
import math
import tempfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.runner import Outcome
from evenscore.configuration import TrainConfig
from evenscore.data import load
from evenscore.denoisers.base import Denoiser
from evenscore.denoisers.oracle import GaussianMixture
from evenscore.guidance import Levels, MinorityGuidance, SetDiversity, minority_score, score_noise
from evenscore.guidance.minority import tilt_rate
from evenscore.process import VP
from evenscore.random import SampleNoise, generator
from evenscore.run import Run
from evenscore.sampling import Sampler, generate, labels_for
from evenscore.sampling.methods import Minority, minority_scores
from evenscore.solvers import DDIM, GRIDS, DPMSolver2M, integrate
from evenscore.training import train

SUMMARY = (
    "minority score (AUROC), histogram of guided samples, rare digits at kept precision, modes covered by diverse sets"
)
COVERED = sum(1 - (1 - p) ** 5 for p in (0.9, 0.08, 0.02))
LEVELS, TOP, LOG_SNR, BINS = 10, 9, -1.0, 40
BOUND = {
    "auroc": 0.95,
    "histogram": {"w=1": 0.05, "w=2, weighted": 0.05},
    "digits": {"self": {"share ratio": 3.0, "precision drop": 0.10}},
    "diversity": {"modes": COVERED + 1, "eta 0": "bit-equal", "likely": 0.9},
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    parser.add_argument("--steps", type=int, default=1000, help="training steps of the digits model")
    parser.add_argument("--seed", type=int, default=0, help="seed of everything")


def run(args: argparse.Namespace) -> Outcome:
    """Measure all four."""
    values: dict[str, Any] = {"auroc": _auroc(args.seed), "histogram": _histogram(args.seed)}
    values |= {"diversity": _diversity(args.seed), "digits": _digits(args.steps, args.seed)}
    self_form, sets, tv = values["digits"]["self"], values["diversity"], values["histogram"]
    holds = (
        values["auroc"] >= 0.95
        and max(tv["w=1"], tv["w=2, weighted"]) <= 0.05
        and self_form["share ratio"] >= 3
        and self_form["precision drop"] < 0.10
        and sets["modes"] >= COVERED + 1
        and sets["eta 0"] == "bit-equal"
        and sets["likely"] >= 0.9
    )
    return Outcome(values, BOUND, holds)


def _mixture() -> GaussianMixture:
    """A common mode of 0.95 and a rare one of 0.05, on a line."""
    return GaussianMixture.isotropic(VP(), torch.tensor([[-1.0], [1.0]]), [0.3, 0.3], [0, 0], weights=[0.95, 0.05])


def _zeros(n: int) -> Tensor:
    return torch.zeros(n, dtype=torch.int64)


def _auroc(seed: int, n: int = 2000) -> float:
    """How surely a sample of the rare mode has a larger score than one of the common mode."""
    from sklearn.metrics import roc_auc_score

    oracle = _mixture()
    x0 = oracle.sample(_zeros(n), generator(seed, "auroc"))
    scores = minority_score(oracle, x0, _zeros(n), score_noise(seed, range(n)))
    return float(roc_auc_score((x0[:, 0] > 0).numpy(), scores.numpy()))


class _ExactLevels(nn.Module):
    """``log p(level | x_t)`` of the mixture by quadrature; the level of a clean sample is random, as its score is."""

    def __init__(self, oracle: GaussianMixture, points: int = 7 * BINS, draws: int = 200) -> None:
        super().__init__()
        self.process = oracle.process
        self.grid = 2.6 * ((2 * torch.arange(points, dtype=torch.float64) + 1) / points - 1)
        x0, y = self.grid[:, None], _zeros(points)
        clean = torch.full((points,), 1e-9, dtype=torch.float64)
        self.log_prior = oracle.log_density(x0, clean, y)
        t = self.process.time(torch.tensor(LOG_SNR, dtype=torch.float64)).expand(points)
        eps = torch.special.ndtri((torch.arange(draws, dtype=torch.float64) + 0.5) / draws)
        found = [oracle.predict(self.process.perturb(x0, t, e.expand_as(x0)), t, y).x0 for e in eps]
        scores = torch.stack([(x0 - f).square()[:, 0] for f in found], 1)
        mass = self.log_prior.softmax(0)[:, None].expand_as(scores).flatten() / draws
        order = scores.flatten().argsort()
        shares = torch.arange(1, LEVELS, dtype=torch.float64) / LEVELS
        bounds = scores.flatten()[order][torch.searchsorted(mass[order].cumsum(0), shares)]
        level = torch.bucketize(scores, bounds, right=True)
        self.given = torch.stack([(level == k).double().mean(1) for k in range(LEVELS)], 1).clamp_min(1e-12)

    def forward(self, x_t: Tensor, t: Tensor, y: Tensor) -> Tensor:
        alpha, sigma = self.process.alpha(t)[:, None], self.process.sigma(t)[:, None]
        posterior = (self.log_prior - ((x_t - alpha * self.grid) / sigma).square() / 2).softmax(1)
        return (posterior @ self.given).log()


def _histogram(seed: int) -> dict[str, float]:
    """Total variation between guided samples and ``p(x) p(level | x)^w``, on 40 bins; the bias of w=2 is undone by weights."""
    oracle = _mixture()
    exact = _ExactLevels(oracle)
    plain = {f"w={w:g}": _distance(exact, w, *_follow(oracle, exact, w, seed)) for w in (1.0, 2.0)}
    return {**plain, "w=2, weighted": _distance(exact, 2.0, *_weigh(oracle, exact, 2.0, seed))}


def _follow(oracle: GaussianMixture, exact: _ExactLevels, w: float, seed: int, n: int = 8000) -> tuple[Tensor, Tensor]:
    """Samples of the guided denoiser, equally weighted."""
    x = torch.randn(n, 1, generator=generator(seed, "follow"), dtype=torch.float64)
    guided = MinorityGuidance(oracle, exact, TOP, w)
    x = _solve(guided, x, 25, DPMSolver2M(), lambda shape: x)
    return x[:, 0], torch.full((n,), 1 / n, dtype=torch.float64)


def _weigh(
    oracle: GaussianMixture, exact: _ExactLevels, w: float, seed: int, n: int = 12000, steps: int = 150
) -> tuple[Tensor, Tensor]:
    """Samples of the guided reverse SDE with their weights, drawn anew when few of them carry all the weight."""
    process, random = oracle.process, generator(seed, "weigh")
    guided = MinorityGuidance(oracle, exact, TOP, w)
    x, log_weight = torch.randn(n, 1, generator=random, dtype=torch.float64), torch.zeros(n, dtype=torch.float64)
    times = GRIDS["edm"](process, steps)
    with torch.inference_mode():
        for t, s in pairwise(times):
            base, now = (d.predict(x, t.expand(n), _zeros(n)) for d in (oracle, guided))
            log_weight = log_weight + tilt_rate(base, now, process.diffusion(t), w) * (t - s)
            share = -torch.expm1(process.log_snr(t) - process.log_snr(s))
            fresh = torch.randn(n, 1, generator=random, dtype=torch.float64)
            noise = (1 - share).sqrt() * now.eps + share.sqrt() * fresh
            x = process.alpha(s) * now.x0 + process.sigma(s) * noise
            weights = log_weight.softmax(0)
            if 1 / weights.square().sum() < n / 2:
                place = (torch.arange(n) + torch.rand(1, generator=random, dtype=torch.float64)) / n
                x = x[torch.searchsorted(weights.cumsum(0), place).clamp_max(n - 1)]
                log_weight = torch.zeros_like(log_weight)
    return x[:, 0], log_weight.softmax(0)


def _distance(exact: _ExactLevels, w: float, x: Tensor, weights: Tensor) -> float:
    edges = torch.linspace(-2.6, 2.6, BINS + 1, dtype=torch.float64)
    target = (exact.log_prior + w * exact.given[:, TOP].log()).softmax(0)
    found, wanted = (
        torch.zeros(BINS, dtype=torch.float64).index_add(0, (torch.bucketize(at, edges) - 1).clamp(0, BINS - 1), mass)
        for at, mass in ((x, weights), (exact.grid, target))
    )
    return float((found - wanted).abs().sum() / 2)


def _solve(denoiser: Denoiser, x: Tensor, steps: int, solver: Any, noise: Callable[..., Tensor]) -> Tensor:
    with torch.inference_mode():
        for step in integrate(denoiser, solver, x, GRIDS["log-snr"](denoiser.process, steps), _zeros(len(x)), noise):
            x = step.x
    return x


def _diversity(seed: int, trials: int = 500) -> dict[str, Any]:
    """Modes that a set of 5 covers, and the share of samples above the first percentile of log density."""
    angles = torch.tensor([0.0, 2 * math.pi / 3, 4 * math.pi / 3])
    means = 2 / math.sqrt(3) * torch.stack([angles.cos(), angles.sin()], 1)
    oracle = GaussianMixture.isotropic(VP(), means, [0.2] * 3, [0] * 3, weights=[0.9, 0.08, 0.02])
    drawn = oracle.sample(_zeros(20000), generator(seed, "drawn"))
    least = _log_density(oracle, drawn).quantile(0.01)

    def sample(guide: Callable[[Tensor], Denoiser], part: int) -> Tensor:
        rows = range(500 * part, 500 * (part + 1))
        noise = SampleNoise(seed, rows)
        return _solve(guide(torch.arange(500) // 5), noise((2,)).double(), 100, DDIM(1.0), noise)

    def count(eta: float) -> tuple[Tensor, float, float]:
        guide = lambda sets: SetDiversity(oracle, sets, eta, 0.6, 1.5)  # noqa: E731
        x = torch.cat([sample(guide, part) for part in range(trials // 100)])
        mode = torch.cdist(x, oracle.means).argmin(1).reshape(trials, 5)
        covered = torch.stack([(mode == k).any(1) for k in range(3)], 1).sum(1).double().mean()
        return x, float(covered), float((_log_density(oracle, x) >= least).double().mean())

    _, modes, likely = count(26.0)
    none, alone, base_likely = count(0.0)
    same = torch.equal(none[:500], sample(lambda sets: oracle, 0))
    unguided = {"modes, eta 0": alone, "likely, eta 0": base_likely}
    return {"modes": modes, "likely": likely, **unguided, "eta 0": "bit-equal" if same else "differs"}


def _log_density(oracle: GaussianMixture, x: Tensor) -> Tensor:
    return oracle.log_density(x, torch.full((len(x),), 1e-9, dtype=torch.float64), _zeros(len(x)))


def _digits(steps: int, seed: int) -> dict[str, dict[str, float]]:
    """Top-decile share and precision of guided digits; the largest class has 20 times the images of the smallest."""
    everything = load("digits")
    assert everything.test is not None
    real = torch.cat([everything.tensor(), everything.test.tensor()])
    config = TrainConfig(network="tiny", precision="float32", steps=steps, previews=0, seed=seed)
    with tempfile.TemporaryDirectory() as folder:
        for progress in train(load("digits:factor=20"), Path(folder) / "run", config):
            if progress.step % 100 == 0:
                print(f"step {progress.step}", flush=True)
        denoiser = Run.open(Path(folder) / "run").denoiser()
    return _compare(denoiser, real, seed)


def _compare(denoiser: Denoiser, real: Tensor, seed: int) -> dict[str, dict[str, float]]:
    sampler, y = Sampler(nfe=10), labels_for([40] * 10)
    known = labels_for([100] * 10)
    x = torch.cat([b.x for b in generate(denoiser, known, seed=seed + 1, sampler=sampler, batch_size=250)])
    levels = Levels.of(minority_scores(denoiser, x, known, seed + 2), known, 10, LEVELS)
    found: dict[str, dict[str, float]] = {}
    for name, method in (
        ("plain", None),
        ("self", Minority(form="self", weight=0.8)),
        ("classifier", Minority(weight=1.0, per_class=100, steps=400)),
    ):
        guide = None if method is None else method.guide(denoiser, sampler, seed + 3, "cpu")
        parts = generate(denoiser, y, seed=seed + 4, sampler=sampler, batch_size=200, guide=guide)
        made = torch.cat([b.x for b in parts])
        top = (levels(minority_scores(denoiser, made, y, seed + 5), y) == TOP).double().mean()
        found[name] = {"top decile": float(top), "precision": _precision(real, made)}
        if method is not None:
            found[name]["share ratio"] = found[name]["top decile"] / max(found["plain"]["top decile"], 1e-9)
            found[name]["precision drop"] = 1 - found[name]["precision"] / found["plain"]["precision"]
        print(name, found[name], flush=True)
    return found


def _precision(real: Tensor, made: Tensor, k: int = 5) -> float:
    """Share of samples that lie within the distance of a real one to its k-th neighbour (Kynkaanniemi et al. 2019)."""
    flat = real.flatten(1)
    radius = torch.cdist(flat, flat).kthvalue(k + 1, dim=1).values
    return float((torch.cdist(made.flatten(1), flat) <= radius).any(1).double().mean())
