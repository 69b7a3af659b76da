"""One step of ancestral sampling, of the reverse-diffusion predictor and of the exponential integrator, by their formulas."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from evenscore.denoisers.oracle import GaussianMixture
from evenscore.errors import UsageError
from evenscore.process import OU, PROCESSES, VE, VP, CosineVP, Process, RectifiedFlow, SubVP, VEPower
from evenscore.solvers import DDIM, SOLVERS, Ancestral, ExponentialIntegrator, Heun, ReverseDiffusion
from evenscore.solvers.exponential import score_integral

EVERY = pytest.mark.parametrize("process", [cls() for cls in PROCESSES.values()], ids=list(PROCESSES))
Mixture = Callable[[Process], GaussianMixture]
Normal = Callable[..., Tensor]
T, S = torch.tensor([0.6, 0.45], dtype=torch.float64)
Y = torch.tensor([0, 1, 2, 0])


@EVERY
def test_ancestral_with_posterior_variance_is_ddim_with_full_noise(
    process: Process, mixture: Mixture, normal: Normal
) -> None:
    x, z, denoiser = normal(0, 4, 2), normal(1, 4, 2), mixture(process)
    found = Ancestral().step(denoiser, x, T, S, Y, (), z).x
    torch.testing.assert_close(found, DDIM(eta=1.0).step(denoiser, x, T, S, Y, (), z).x, rtol=1e-10, atol=1e-10)


def test_ancestral_with_forward_variance_adds_beta_of_ddpm(mixture: Mixture, normal: Normal) -> None:
    process, x, z = VP(), normal(0, 4, 2), normal(1, 4, 2)
    steps = [Ancestral(variance="forward").step(mixture(process), x, T, S, Y, (), noise).x for noise in (z, 0 * z)]
    beta = 1 - (process.alpha(T) / process.alpha(S)) ** 2
    torch.testing.assert_close(steps[0] - steps[1], beta.sqrt() * z, rtol=1e-9, atol=1e-12)
    with pytest.raises(UsageError, match="unknown variance 'posterio': did you mean 'posterior'"):
        Ancestral(variance="posterio")


def test_reverse_diffusion_is_the_rule_of_ddpm_on_vp_and_of_smld_on_ve(mixture: Mixture, normal: Normal) -> None:
    x, z = normal(0, 4, 2), normal(1, 4, 2)
    vp, ve = VP(), VE(sigma_max=5.0)
    now = mixture(vp).predict(x, T.expand(4), Y)
    beta = 1 - (vp.alpha(T) / vp.alpha(S)) ** 2
    expected = (2 - (1 - beta).sqrt()) * x + beta * now.score + beta.sqrt() * z
    found = ReverseDiffusion().step(mixture(vp), x, T, S, Y, (), z).x
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)
    now = mixture(ve).predict(x, T.expand(4), Y)
    gain = ve.sigma(T) ** 2 - ve.sigma(S) ** 2
    found = ReverseDiffusion().step(mixture(ve), x, T, S, Y, (), z).x
    torch.testing.assert_close(found, x + gain * now.score + gain.sqrt() * z, rtol=1e-10, atol=1e-10)


def test_the_exponential_integrator_is_the_closed_form_on_ou(mixture: Mixture, normal: Normal) -> None:
    process, x, z = OU(), normal(0, 4, 2), normal(1, 4, 2)
    h = process.horizon * (T - S)
    now = mixture(process).predict(x, T.expand(4), Y)
    expected = h.exp() * x + 2 * h.expm1() * now.score + (2 * h).expm1().sqrt() * z
    found = ExponentialIntegrator().step(mixture(process), x, T, S, Y, (), z).x
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


INTEGRALS: list[tuple[Process, Callable[[Tensor, Tensor], Tensor]]] = [
    (VP(), lambda a, r: 2 / a),
    (CosineVP(), lambda a, r: 2 / a),
    (OU(), lambda a, r: 2 / a),
    (SubVP(), lambda a, r: 2 / a + 2 * a**3 / 3),
    (VE(), lambda a, r: r),
    (VEPower(), lambda a, r: r),
    (RectifiedFlow(), lambda a, r: 2 * (r.sqrt() - torch.log1p(r.sqrt()))),
]


@pytest.mark.parametrize(("process", "antiderivative"), INTEGRALS, ids=lambda v: type(v).__name__)
@pytest.mark.parametrize("ends", [(0.6, 0.58), (0.9, 0.4), (0.999, 0.001)])
def test_the_weight_of_the_score_equals_its_closed_form(
    process: Process, antiderivative: Callable[[Tensor, Tensor], Tensor], ends: tuple[float, float]
) -> None:
    t, s = torch.tensor(ends, dtype=torch.float64)
    exact = [antiderivative(process.alpha(u), torch.exp(-process.log_snr(u))) for u in (t, s)]
    assert float(score_integral(process, t, s)) == pytest.approx(float(exact[0] - exact[1]), rel=1e-7)


@EVERY
def test_stochastic_steps_with_a_frozen_score_agree_in_the_limit(
    process: Process, mixture: Mixture, normal: Normal
) -> None:
    """Over a short step every solver of the reverse SDE is Euler-Maruyama, to first order."""
    x, none, denoiser = normal(0, 4, 2), torch.zeros(4, 2, dtype=torch.float64), mixture(process)
    short = T - 1e-5
    names = ("euler-maruyama", "ancestral", "reverse-diffusion", "exponential")
    moved = [SOLVERS[name]().step(denoiser, x, T, short, Y, (), none).x - x for name in names]
    for other in moved[1:]:
        torch.testing.assert_close(other, moved[0], rtol=2e-3, atol=1e-9)


@pytest.mark.parametrize(
    "name", [n for n, kind in SOLVERS.items() if kind().stochastic and n not in ("ddim", "predictor-corrector")]
)
def test_a_stochastic_step_without_noise_is_refused(name: str, mixture: Mixture) -> None:
    x, solver = torch.zeros(4, 2), SOLVERS[name]()
    with pytest.raises(UsageError, match=f"{type(solver).__name__} was given no noise: pass standard normal values"):
        solver.step(mixture(VP()), x, T, S, Y, solver.init(x), None)


def test_heun_on_the_line_of_edm_is_the_published_algorithm(mixture: Mixture, normal: Normal) -> None:
    process, x = VE(sigma_max=5.0), normal(0, 4, 2)
    denoiser, (now, then) = mixture(process), (process.sigma(T), process.sigma(S))
    slope = (x - denoiser.predict(x, T.expand(4), Y).x0) / now
    moved = x + (then - now) * slope
    after = (moved - denoiser.predict(moved, S.expand(4), Y).x0) / then
    expected = x + (then - now) * (slope + after) / 2
    found = Heun(line="edm").step(denoiser, x, T, S, Y, (), None).x
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)
    assert not math.isclose(float(Heun().step(denoiser, x, T, S, Y, (), None).x[0, 0]), float(found[0, 0]))
    with pytest.raises(UsageError, match="unknown line 'edn': did you mean 'edm'"):
        Heun(line="edn")
