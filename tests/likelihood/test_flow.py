"""Log-densities against exact ones, on every process; encode and decode; what a sample's value may depend on."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from evenscore.denoisers.oracle import GaussianMixture
from evenscore.denoisers.preconditioned import Preconditioned
from evenscore.errors import UsageError
from evenscore.guidance import ClassifierFree
from evenscore.likelihood import Likelihood, decode, encode, log_prob
from evenscore.process import PROCESSES, VP, Process

Laws = dict[str, Callable[[Process], GaussianMixture]]
Draw = Callable[[GaussianMixture, int], tuple[Tensor, Tensor, Tensor]]
EVERY = pytest.mark.parametrize("process", [cls() for cls in PROCESSES.values()], ids=list(PROCESSES))
KINDS = pytest.mark.parametrize("kind", ["gaussian", "mixture"])


@EVERY
@KINDS
def test_log_density_with_the_exact_prior_is_exact(laws: Laws, draw: Draw, process: Process, kind: str) -> None:
    oracle = laws[kind](process)
    x, y, true = draw(oracle, 60)
    found = log_prob(oracle, x, y, how=Likelihood(prior="exact"))
    assert found.dtype == torch.float64
    assert float((found - true).abs().max()) / (x.shape[1] * math.log(2)) < 1e-3


@EVERY
@KINDS
def test_log_density_with_the_normal_prior_is_right_in_the_mean(
    laws: Laws, draw: Draw, process: Process, kind: str
) -> None:
    oracle = laws[kind](process)
    x, y, true = draw(oracle, 200)
    assert abs(float((log_prob(oracle, x, y) - true).mean())) / (x.shape[1] * math.log(2)) < 1e-2


def test_the_normal_density_integrates_to_one(laws: Laws) -> None:
    oracle = laws["gaussian"](VP())
    x = torch.linspace(-6, 6, 400, dtype=torch.float64)[:, None]
    density = log_prob(oracle, x, torch.zeros(400, dtype=torch.int64)).exp()
    assert float(torch.trapezoid(density, x[:, 0])) == pytest.approx(1, abs=1e-4)


@EVERY
def test_decode_undoes_encode(laws: Laws, draw: Draw, process: Process) -> None:
    oracle = laws["mixture"](process)
    x, y, _ = draw(oracle, 40)
    z = encode(oracle, x, y)
    torch.testing.assert_close(decode(oracle, z, y), x, rtol=0, atol=1e-3)
    torch.testing.assert_close(encode(oracle, decode(oracle, z, y), y), z, rtol=1e-3, atol=1e-3)


def test_the_latent_of_a_gaussian_is_linear(laws: Laws) -> None:
    """The flow of N(m, d^2) keeps ``(x - alpha m) / sqrt(alpha^2 d^2 + sigma^2)``."""
    process = VP()
    x = torch.tensor([[-1.0], [0.3], [2.0]], dtype=torch.float64)
    ends = torch.tensor([process.t_min, process.t_max], dtype=torch.float64)
    alpha, sigma = process.alpha(ends), process.sigma(ends)
    spread = (alpha.square() * 0.49 + sigma.square()).sqrt()
    expected = alpha[1] * 0.3 + spread[1] / spread[0] * (x - alpha[0] * 0.3)
    found = encode(laws["gaussian"](process), x, torch.zeros(3, dtype=torch.int64))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


def test_the_density_is_that_of_the_change_of_variables(network: Preconditioned) -> None:
    """log p(x) = log N(encode(x)) + log |det d encode / dx|, with the determinant by differences."""
    exact = network.double()
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(1, 6, generator=generator, dtype=torch.float64) / 2, torch.tensor([1])
    moved = torch.cat([x + sign * 1e-3 * torch.eye(6, dtype=torch.float64) for sign in (1, -1)])
    z = encode(exact, moved, y.expand(12), tolerance=1e-7)
    (_, volume), latent = torch.linalg.slogdet((z[:6] - z[6:]) / 2e-3), encode(exact, x, y, tolerance=1e-7)
    sigma = VP().sigma(torch.tensor(1.0, dtype=torch.float64))
    prior = torch.distributions.Normal(torch.zeros_like(sigma), sigma).log_prob(latent).sum()
    found = log_prob(exact, x, y, how=Likelihood(1e-6, "exact"))
    assert float(found) == pytest.approx(float(prior + volume), abs=1e-3)


@pytest.mark.parametrize("divergence", ["exact", "rademacher", "gaussian"])
def test_a_sample_is_the_same_alone_and_in_a_batch(network: Preconditioned, divergence: str) -> None:
    """In float64, where a batch of another size rounds alike but for the last digits."""
    exact, generator = network.double(), torch.Generator().manual_seed(2)
    x, y = torch.randn(5, 6, generator=generator, dtype=torch.float64), torch.arange(5) % 4
    how, indices = Likelihood(1e-3, divergence), [5, 3, 8, 100, 0]
    together, latents = (
        log_prob(exact, x, y, how=how, seed=3, indices=indices),
        encode(exact, x, y, tolerance=1e-3),
    )
    for i in (0, 2, 4):
        own = slice(i, i + 1)
        alone = log_prob(exact, x[own], y[own], how=how, seed=3, indices=[indices[i]])
        torch.testing.assert_close(alone, together[own], rtol=0, atol=1e-8)
        torch.testing.assert_close(encode(exact, x[own], y[own], tolerance=1e-3), latents[own], rtol=0, atol=1e-8)


def test_the_seed_and_the_index_make_the_probe(network: Preconditioned) -> None:
    x, y, how = torch.full((2, 6), 0.3), torch.tensor([1, 1]), Likelihood(1e-4, "rademacher")
    first = log_prob(network, x, y, how=how)
    assert torch.equal(first, log_prob(network, x, y, how=how))
    assert abs(float(first[0] - first[1])) > 1e-4
    assert not torch.allclose(first, log_prob(network, x, y, how=how, seed=1), atol=1e-4, rtol=0)
    assert float(first[1]) == pytest.approx(float(log_prob(network, x[:1], y[:1], how=how, indices=[1])), abs=1e-3)


def test_the_network_is_left_as_it_was(network: Preconditioned) -> None:
    network.backbone.label.eval()  # type: ignore[union-attr]
    before = [part.training for part in network.modules()]
    x, y = torch.zeros(2, 6), torch.tensor([0, 3])
    plain = log_prob(network, x, y, how=Likelihood(1e-3))
    with torch.inference_mode():
        inside = log_prob(network, torch.zeros(2, 6), torch.tensor([0, 3]), how=Likelihood(1e-3))
    assert torch.equal(plain, inside)
    assert not plain.requires_grad
    assert [part.training for part in network.modules()] == before
    assert all(parameter.grad is None for parameter in network.parameters())


def test_guided_denoisers_have_a_density_too(laws: Laws) -> None:
    oracle = laws["mixture"](VP())
    x, y = torch.tensor([[1.2, -1.0, 0.5]]), torch.tensor([0])
    plain, same, none = (
        float(log_prob(denoiser, x, y)) for denoiser in (oracle, ClassifierFree(oracle, 1), ClassifierFree(oracle, 0))
    )
    assert same == pytest.approx(plain, abs=1e-3)
    assert none == pytest.approx(float(log_prob(oracle, x, torch.tensor([2]))), abs=1e-3)


def test_images_and_no_samples_at_all(laws: Laws) -> None:
    oracle = GaussianMixture.isotropic(VP(), torch.zeros(1, 1, 2, 2), [0.5], [0])
    x, y = torch.full((3, 1, 2, 2), 0.25), torch.zeros(3, dtype=torch.int64)
    spread = torch.tensor(0.25) * VP().alpha(torch.tensor(1e-3)) ** 2 + VP().sigma(torch.tensor(1e-3)) ** 2
    true = 4 * torch.distributions.Normal(0.0, spread.sqrt()).log_prob(torch.tensor(0.25))
    torch.testing.assert_close(log_prob(oracle, x, y).float(), true.expand(3), rtol=0, atol=1e-2)
    assert log_prob(oracle, x[:0], y[:0]).shape == (0,)
    assert decode(oracle, x[:0], y[:0]).shape == (0, 1, 2, 2)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"tolerance": 0.0}, "tolerance is 0: give a number above 0"),
        ({"tolerance": 1.0}, "tolerance is 1: give a number above 0"),
        ({"tolerance": math.nan}, "tolerance is nan"),
        ({"divergence": "exat"}, "unknown divergence 'exat': did you mean 'exact'?"),
        ({"prior": "nromal"}, "unknown prior 'nromal': did you mean 'normal'?"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError, match=words.replace("?", r"\?")):
        Likelihood(**settings)  # type: ignore[arg-type]


def test_requests_that_do_not_fit_are_refused(network: Preconditioned) -> None:
    x, y = torch.zeros(2, 6), torch.tensor([0, 1])
    with pytest.raises(UsageError, match=r"samples of shape \(5,\) were given to a model of \(6,\)"):
        log_prob(network, x[:, :5], y)
    with pytest.raises(UsageError, match=r"labels of shape \(1,\) were given for 2 samples"):
        encode(network, x, y[:1])
    with pytest.raises(UsageError, match=r"a label lies outside 0 \.\. 3"):
        decode(network, x, y + 3)
    with pytest.raises(UsageError, match="3 indices were given for 2 samples"):
        log_prob(network, x, y, indices=[0, 1, 2])
    with pytest.raises(UsageError, match="Preconditioned does not know its terminal density"):
        log_prob(network, x, y, how=Likelihood(prior="exact"))
    with pytest.raises(UsageError, match="tolerance is -1"):
        encode(network, x, y, tolerance=-1)
