"""Langevin steps by their formulas: the corrector, annealed dynamics, and predictor-corrector sampling made of both."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor

from evenscore.denoisers.oracle import GaussianMixture
from evenscore.errors import UsageError
from evenscore.process import VE, VP, Process
from evenscore.solvers import PREDICTORS, AnnealedLangevin, Langevin, PredictorCorrector, Solver, integrate, ladder

Mixture = Callable[[Process], GaussianMixture]
Normal = Callable[..., Tensor]
T, S = torch.tensor([0.6, 0.5], dtype=torch.float64)
Y = torch.tensor([0, 1, 2, 0])


@pytest.mark.parametrize(("convention", "pull", "push"), [("paper", 0.5, 1.0), ("code", 1.0, 2.0)])
def test_a_step_of_annealed_langevin_is_the_formula_bit_for_bit(
    convention: str, pull: float, push: float, mixture: Mixture, normal: Normal
) -> None:
    process, x, z = VE(sigma_max=5.0), normal(0, 4, 2), normal(1, 4, 2)
    denoiser = mixture(process)
    length = 2e-3 * (float(process.sigma(S)) / 0.1) ** 2
    score = denoiser.predict(x, S.expand(4), Y).score
    expected = x + length * pull * score + math.sqrt(push * length) * z
    found = AnnealedLangevin(eps=2e-3, sigma_last=0.1, convention=convention).step(denoiser, x, S, S, Y, (), z).x
    assert torch.equal(found, expected)


def test_the_released_code_takes_twice_the_step_of_the_paper(mixture: Mixture, normal: Normal) -> None:
    x, z, denoiser = normal(0, 4, 2), normal(1, 4, 2), mixture(VE())
    steps = [
        AnnealedLangevin(eps=eps, convention=convention).step(denoiser, x, S, S, Y, (), z).x
        for eps, convention in ((4e-5, "paper"), (2e-5, "code"))
    ]
    torch.testing.assert_close(*steps, rtol=1e-12, atol=1e-12)


def test_annealed_langevin_on_vp_is_that_on_ve_scaled(mixture: Mixture, normal: Normal) -> None:
    ve, vp, start = VE(sigma_min=0.05, sigma_max=5.0), VP(), normal(0, 4, 2)
    ends = []
    for process in (ve, vp):
        times, draws = ladder(process, 4, first=2.0, last=0.1), iter(range(100))
        x = start * process.alpha(times[0])
        solver = AnnealedLangevin(steps=5, eps=1e-3, sigma_last=0.1)
        *_, last = integrate(mixture(process), solver, x, times, Y, lambda _, d=draws: normal(next(d), 4, 2))
        ends.append(last.x)
    torch.testing.assert_close(*ends, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("norms", ["level", "sample"])
def test_a_corrector_step_is_the_formula(norms: str, mixture: Mixture, normal: Normal) -> None:
    process, x, z = VP(), normal(0, 4, 2), normal(1, 4, 2)
    score = mixture(process).predict(x, S.expand(4), Y).score
    ratio = (process.alpha(T) / process.alpha(S)) ** 2
    size = z.norm(dim=1, keepdim=True) / score.norm(dim=1, keepdim=True)
    step = 2 * ratio * (0.16 * (process.sigma(S) if norms == "level" else size)) ** 2
    solver = Langevin(snr=0.16, norms=norms)
    found = solver.step(mixture(process), x, T, S, Y, solver.init(x), z)
    torch.testing.assert_close(found.x, x + step * score + (2 * step).sqrt() * z, rtol=1e-12, atol=1e-12)
    again = solver.step(mixture(process), x, S, S, Y, found.state, z)
    torch.testing.assert_close(again.x, found.x, rtol=0, atol=0)


def test_both_norms_agree_in_many_dimensions() -> None:
    """For pure noise in D dimensions the measured step is that of the level within about ``3 sqrt(2 / D)``."""
    process, shape = VP(), (4, 5000)
    denoiser = GaussianMixture.isotropic(process, torch.zeros(1, 5000), [0.01], [0])
    x, z = torch.randn(2, *shape, generator=torch.Generator().manual_seed(0))
    x = x * process.sigma(T).float()
    moved = []
    for norms in ("level", "sample"):
        solver = Langevin(norms=norms)
        moved.append(solver.step(denoiser, x, T, T, torch.zeros(4, dtype=torch.int64), solver.init(x), z).x - x)
    torch.testing.assert_close(moved[1].norm(dim=1), moved[0].norm(dim=1), rtol=0.06, atol=0)


@pytest.mark.parametrize("predictor", PREDICTORS)
def test_predictor_corrector_is_its_parts_bit_for_bit(predictor: str, mixture: Mixture, normal: Normal) -> None:
    process, denoiser = VP(), mixture(VP())
    times = torch.linspace(1.0, 0.1, 4, dtype=torch.float64)
    solver = PredictorCorrector(predictor=predictor, corrections=2)
    draws = iter(range(100))
    whole = list(integrate(denoiser, solver, normal(99, 4, 2), times, Y, lambda _: normal(next(draws), 4, 2)))
    x, draws, part, corrector = normal(99, 4, 2), iter(range(100)), PREDICTORS[predictor](), Langevin()
    state, index = part.init(x), 0
    for t, s in pairwise(times):
        z = normal(next(draws), 4, 2)
        x, state, _ = part.step(denoiser, x, t, s, Y, state, z if part.stochastic else None)
        ratio = ((process.alpha(t) / process.alpha(s)).square(),)
        for _ in range(2):
            assert torch.equal(whole[index].x, x)
            x, index = corrector.step(denoiser, x, s, s, Y, ratio, normal(next(draws), 4, 2)).x, index + 1
        assert torch.equal(whole[index].x, x)
        index += 1
    assert torch.equal(whole[-1].x, denoiser.predict(x, times[-1].expand(4), Y).x0)
    assert len(whole) == index + 1 == 10


@pytest.mark.parametrize(
    "solver",
    [Langevin(norms="sample"), Langevin(), PredictorCorrector(norms="sample"), AnnealedLangevin(steps=2)],
    ids=repr,
)
def test_a_chain_does_not_depend_on_the_others(solver: Solver, mixture: Mixture, normal: Normal) -> None:
    times = torch.linspace(1.0, 0.3, 5, dtype=torch.float64)

    def end(rows: slice) -> Tensor:
        draws = iter(range(1, 100))
        x, noise = normal(0, 4, 2)[rows], lambda _: normal(next(draws), 4, 2)[rows]
        *_, last = integrate(mixture(VP()), solver, x, times, Y[rows], noise)
        return last.x

    torch.testing.assert_close(end(slice(2, 3)), end(slice(0, 4))[2:3], rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("kind", "settings", "words"),
    [
        (Langevin, {"snr": 0.0}, "snr=0.0 cannot be used: snr must be above 0"),
        (Langevin, {"norms": "batch"}, "unknown norms 'batch'"),
        (Langevin, {"steps": 0}, "steps must be at least 1"),
        (PredictorCorrector, {"predictor": "ancestrl"}, "did you mean 'ancestral'"),
        (PredictorCorrector, {"corrections": 0}, "corrections must be at least 1"),
        (AnnealedLangevin, {"convention": "papers"}, "did you mean 'paper'"),
        (AnnealedLangevin, {"steps": 0}, "steps must be at least 1"),
        (AnnealedLangevin, {"eps": -1.0}, "eps must be above 0"),
        (AnnealedLangevin, {"sigma_last": 0.0}, "sigma_last must be above 0"),
    ],
)
def test_settings_without_meaning_are_refused(kind: Any, settings: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        kind(**settings)
