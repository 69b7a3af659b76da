"""All views of a prediction agree, however it was made."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from evenscore.errors import UsageError
from evenscore.prediction import Prediction
from evenscore.process import PROCESSES, Process, expand

EVERY = pytest.mark.parametrize("process", [cls() for cls in PROCESSES.values()], ids=list(PROCESSES))
MEAN, STD = torch.tensor([[0.3], [-0.2]]), torch.tensor([[0.5], [0.9]])


def batch(process: Process, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """x0, eps, t and the x_t they make."""
    generator = torch.Generator().manual_seed(3)
    x0, eps = torch.randn(2, 16, 2, 5, generator=generator, dtype=torch.float64)
    t = torch.linspace(process.t_min, process.t_max, 16, dtype=torch.float64)
    x_t = process.perturb(x0, t, eps)
    return x0.to(dtype), eps.to(dtype), t.to(dtype), x_t.to(dtype)


def raw_target(x0: Tensor, eps: Tensor, t: Tensor, process: Process) -> Tensor:
    """The raw output that says x0 and eps, solved from the first of the two equations."""
    alpha, sigma = expand(process.alpha(t), x0), expand(process.sigma(t), x0)
    spread = (alpha**2 * STD**2 + sigma**2).sqrt()
    rest = alpha * (x0 - MEAN) + sigma * eps
    return (x0 - MEAN - alpha * STD**2 / spread**2 * rest) * spread / (sigma * STD)


@EVERY
@pytest.mark.parametrize("view", ["raw", "x0", "eps", "score", "v"])
def test_every_source_gives_every_view(process: Process, view: str) -> None:
    x0, eps, t, x_t = batch(process)
    alpha, sigma = expand(process.alpha(t), x0), expand(process.sigma(t), x0)
    made = {
        "raw": lambda: Prediction.from_raw(raw_target(x0, eps, t, process), x_t, t, process, MEAN, STD),
        "x0": lambda: Prediction.from_x0(x0, x_t, t, process),
        "eps": lambda: Prediction.from_eps(eps, x_t, t, process),
        "score": lambda: Prediction.from_score(-eps / sigma, x_t, t, process),
        "v": lambda: Prediction.from_v(alpha * eps - sigma * x0, x_t, t, process),
    }[view]()
    expected = {"x0": x0, "eps": eps, "score": -eps / sigma, "v": alpha * eps - sigma * x0}
    for name, value in expected.items():
        torch.testing.assert_close(getattr(made, name), value, rtol=1e-8, atol=1e-8, msg=lambda m, n=name: f"{n}: {m}")


@EVERY
def test_any_raw_output_splits_the_noisy_sample_exactly_even_in_single_precision(process: Process) -> None:
    *_, t, x_t = batch(process, torch.float32)
    raw = torch.randn(x_t.shape, generator=torch.Generator().manual_seed(4))
    made = Prediction.from_raw(raw, x_t, t, process, MEAN, STD)
    torch.testing.assert_close(made.alpha * made.x0 + made.sigma * made.eps, x_t, rtol=1e-5, atol=1e-5)


@EVERY
def test_the_raw_target_has_unit_variance_at_every_level(process: Process) -> None:
    generator = torch.Generator().manual_seed(5)
    z, eps = torch.randn(2, 11, 2, 20_000, generator=generator, dtype=torch.float64)
    t = torch.linspace(process.t_min, process.t_max, 11, dtype=torch.float64)
    raw = raw_target(MEAN + STD * z, eps, t, process)
    torch.testing.assert_close(raw.var(dim=2), torch.ones(11, 2, dtype=torch.float64), rtol=0.05, atol=0)


def test_combine_moves_every_view_and_keeps_them_in_agreement() -> None:
    process = PROCESSES["vp"]()
    x0, _, t, x_t = batch(process)
    one, two = Prediction.from_x0(x0, x_t, t, process), Prediction.from_x0(x0.flip(0), x_t, t, process)
    mixed = one.combine(two, 2.5)
    for view in ("x0", "eps", "score", "v"):
        a, b = getattr(one, view), getattr(two, view)
        torch.testing.assert_close(getattr(mixed, view), a + 2.5 * (b - a), rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(mixed.alpha * mixed.x0 + mixed.sigma * mixed.eps, x_t, rtol=1e-10, atol=1e-10)


def test_a_view_that_is_misspelt_is_refused() -> None:
    x = torch.zeros(2, 3)
    with pytest.raises(UsageError, match="unknown view 'epps': did you mean 'eps'"):
        Prediction.from_view("epps", x, x, x, x)
