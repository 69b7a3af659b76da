"""Classifier-free guidance against its definition on the oracle, and what it costs."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from evenscore.denoisers.base import Denoiser
from evenscore.denoisers.oracle import GaussianMixture
from evenscore.errors import UsageError
from evenscore.guidance import GUIDANCE, ClassifierFree
from evenscore.prediction import Prediction
from evenscore.process import VP

VIEWS = ("x0", "eps", "score", "v")


class Counted(Denoiser):
    """Passes calls on and notes the size of each."""

    def __init__(self, denoiser: Denoiser) -> None:
        super().__init__()
        self.denoiser, self.sizes = denoiser, list[int]()
        self.process, self.num_classes, self.shape = denoiser.process, denoiser.num_classes, denoiser.shape

    def forward(self, x_t: Tensor, t: Tensor, y: Tensor) -> Prediction:
        self.sizes.append(len(x_t))
        return self.denoiser.predict(x_t, t, y)


@pytest.fixture
def oracle() -> Counted:
    means = torch.tensor([[1.0, 0.0], [-1.0, 0.5], [0.0, 2.0]])
    return Counted(GaussianMixture.isotropic(VP(), means, [0.4, 0.5, 0.3], [0, 1, 2], class_weights=[0.9, 0.08, 0.02]))


def batch(labels: list[int], dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor]:
    x_t = torch.randn(len(labels), 2, generator=torch.Generator().manual_seed(0), dtype=dtype)
    return x_t, torch.linspace(0.05, 0.95, len(labels), dtype=dtype), torch.tensor(labels)


def check_equal(found: Prediction, expected: Prediction) -> None:
    for view in VIEWS:
        assert torch.equal(getattr(found, view), getattr(expected, view)), view


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_scale_one_is_the_plain_denoiser_bit_for_bit(oracle: Counted, dtype: torch.dtype) -> None:
    x_t, t, y = batch([0, 1, 2, 3, 2, 1, 0], dtype)
    found = ClassifierFree(oracle, 1.0)(x_t, t, y)
    assert oracle.sizes == [7]
    check_equal(found, oracle(x_t, t, y))


def test_scale_zero_is_the_null_label(oracle: Counted) -> None:
    x_t, t, y = batch([0, 1, 2, 3, 2, 1, 0])
    found = ClassifierFree(oracle, 0.0)(x_t, t, y)
    assert oracle.sizes == [7]
    check_equal(found, oracle(x_t, t, torch.full_like(y, 3)))


@pytest.mark.parametrize("w", [1.6, 0.5, -0.5])
def test_the_papers_weight_is_the_scale_less_one(oracle: Counted, w: float) -> None:
    x_t, t, y = batch([0, 1, 2, 2, 1, 0])
    found = ClassifierFree(oracle, 1 + w)(x_t, t, y)
    assert oracle.sizes == [12]
    conditional, unconditional = oracle(x_t, t, y), oracle(x_t, t, torch.full_like(y, 3))
    for view in VIEWS:
        expected = (1 + w) * getattr(conditional, view) - w * getattr(unconditional, view)
        torch.testing.assert_close(getattr(found, view), expected, rtol=1e-9, atol=1e-9)
    whole = found.alpha * found.x0 + found.sigma * found.eps
    torch.testing.assert_close(whole, x_t, rtol=1e-9, atol=1e-9)


def test_rows_without_a_class_stay_unconditional_and_cost_nothing_more(oracle: Counted) -> None:
    x_t, t, y = batch([3, 1, 3, 0, 2, 3])
    found = ClassifierFree(oracle, 2.6)(x_t, t, y)
    assert oracle.sizes == [9]
    plain, null = oracle(x_t, t, y), y == 3
    assert torch.equal(found.x0[null], plain.x0[null])
    alone = ClassifierFree(oracle, 2.6)(x_t[~null], t[~null], y[~null])
    torch.testing.assert_close(found.eps[~null], alone.eps, rtol=1e-12, atol=1e-12)
    assert not torch.allclose(found.eps[~null], plain.eps[~null])


@pytest.mark.parametrize("scale", [0.0, 2.6])
def test_outside_the_interval_it_is_plain(oracle: Counted, scale: float) -> None:
    x_t, t, y = batch([0, 1, 2, 0, 1, 2])
    level = oracle.process.log_snr(t)
    low, high = float(level[4]), float(level[2])
    found = ClassifierFree(oracle, scale, (low, high))(x_t, t, y)
    inside = torch.tensor([False, False, True, True, True, False])
    assert oracle.sizes == [6 if scale == 0 else 9]
    plain, guided = oracle(x_t, t, y), ClassifierFree(oracle, scale)(x_t, t, y)
    assert torch.equal(found.x0[~inside], plain.x0[~inside])
    torch.testing.assert_close(found.x0[inside], guided.x0[inside], rtol=1e-12, atol=1e-12)


def test_a_batch_wholly_outside_the_interval_costs_one_pass(oracle: Counted) -> None:
    x_t, t, y = batch([0, 1, 2, 0])
    found = ClassifierFree(oracle, 2.6, (50.0, 60.0))(x_t, t, y)
    assert oracle.sizes == [4]
    check_equal(found, oracle(x_t, t, y))


def test_gradients_pass_through(oracle: Counted) -> None:
    x_t, t, y = batch([0, 3, 2])
    x_t.requires_grad_()
    (gradient,) = torch.autograd.grad(ClassifierFree(oracle, 2.0)(x_t, t, y).x0.sum(), x_t)
    assert bool((gradient != 0).all())


@pytest.mark.parametrize(
    ("scale", "interval", "words"),
    [
        (-1.0, None, "guidance scale is -1: give a number from 0"),
        (float("nan"), None, "guidance scale is nan"),
        (2.0, (3.0, -3.0), r"interval is \(3, -3\): give the lower log SNR first"),
    ],
)
def test_settings_without_meaning_are_refused(
    oracle: Counted, scale: float, interval: tuple[float, float] | None, words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        GUIDANCE["classifier-free"](oracle, scale, interval)  # type: ignore[call-arg]
