"""The class-balancing objective: its published form by hand, its reductions, and where its gradients go."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from evenscore.denoisers.base import Denoiser
from evenscore.errors import UsageError
from evenscore.labels import LabelDistribution
from evenscore.objectives import CBDM, Denoising, Noised
from evenscore.objectives.time_weight import reference_time
from evenscore.prediction import Prediction


class Constant(Denoiser):
    """Noise predictions that are parameters: row 0 for the true labels, row 1 for the drawn ones."""

    def __init__(self, inner: Any, batch: Noised) -> None:
        super().__init__()
        self.process, self.num_classes, self.shape = inner.process, inner.num_classes, inner.shape
        random = torch.Generator().manual_seed(1)
        self.eps = torch.randn(2, *batch.x0.shape, generator=random, dtype=torch.float64, requires_grad=True)
        self.calls = 0

    def forward(self, x_t: Tensor, t: Tensor, y: Tensor) -> Prediction:
        self.calls += 1
        return Prediction.from_eps(self.eps[self.calls - 1], x_t, t, self.process)


def drawn(labels: LabelDistribution, n: int, law: str) -> list[int]:
    """The labels y' that the objective draws from a fresh generator with seed 5."""
    return labels.sample(n, torch.Generator().manual_seed(5), law).tolist()


def draws() -> torch.Generator:
    return torch.Generator().manual_seed(5)


@pytest.mark.parametrize("weighting", ["edm", "simple", "min-snr"])
def test_tau_0_is_plain_denoising_bit_for_bit(
    affine: Denoiser, batch: Noised, labels: LabelDistribution, weighting: str
) -> None:
    terms = CBDM(tau=0.0, weighting=weighting)(affine, batch, labels, draws())
    plain = Denoising(weighting)(affine, batch, labels, draws())
    assert terms.keys() == plain.keys()
    assert torch.equal(terms["denoising"], plain["denoising"])


def reference_level(step: int) -> float:
    """log SNR of the published schedule (T = 1000, beta from 1e-4 to 0.02) after a step counted from 1."""
    alpha_bar = math.exp(np.log1p(-np.linspace(1e-4, 0.02, 1000))[:step].sum())
    return math.log(alpha_bar / (1 - alpha_bar))


@pytest.mark.parametrize(("tau", "gamma"), [(1.0, 0.25), (0.3, 2.0)])
def test_the_loss_by_hand(affine: Denoiser, batch: Noised, labels: LabelDistribution, tau: float, gamma: float) -> None:
    objective = CBDM(tau=tau, gamma=gamma, weighting="simple")
    found = torch.stack(list(objective(affine, batch, labels, draws()).values())).sum(0).detach()
    parameters: Any = affine
    w, b = parameters.weight.detach().numpy(), parameters.bias.detach().numpy()
    steps = np.array([-reference_level(step) for step in range(1, 1001)])
    for i, other in enumerate(drawn(labels, len(batch.y), "train")):
        beta = 0.1 * float(batch.t[i]) + 19.9 * float(batch.t[i]) ** 2 / 2
        alpha, sigma = math.exp(-beta / 2), math.sqrt(1 - math.exp(-beta))
        x_t = alpha * batch.x0[i].numpy() + sigma * batch.eps[i].numpy()
        h, drawn_h = (np.tanh(x_t @ w + b[y]) for y in (int(batch.y_in[i]), other))
        u = np.interp(2 * math.log(sigma / alpha), steps, np.arange(1, 1001) / 1000)
        kept = float(batch.y_in[i] == batch.y[i])
        between = np.mean((h - drawn_h) ** 2)
        expected = np.mean((h - batch.eps[i].numpy()) ** 2) + tau * u * kept * (between + gamma * between)
        assert float(found[i]) == pytest.approx(expected, rel=1e-7)


def test_the_pull_moves_h_only_and_the_commitment_moves_the_other_only(
    affine: Denoiser, batch: Noised, labels: LabelDistribution
) -> None:
    constant = Constant(affine, batch)
    terms = CBDM()(constant, batch, labels, draws())
    for name, moved, still in (("pull", 0, 1), ("commitment", 1, 0)):
        (gradient,) = torch.autograd.grad(terms[name].sum(), constant.eps, retain_graph=True)
        assert float(gradient[moved][batch.kept].abs().min()) > 0
        assert float(gradient[still].abs().max()) == 0
        assert float(gradient[moved][~batch.kept].abs().max()) == 0, "rows without their label are left alone"


def test_the_same_label_gives_no_regulariser(affine: Denoiser, batch: Noised) -> None:
    only = LabelDistribution((0, 3, 0, 0))
    terms = {name: term.detach() for name, term in CBDM()(affine, batch, only, draws()).items()}
    same = batch.y_in == 1
    assert int(same.sum()) == 1
    assert float(terms["pull"][same].abs().max()) == float(terms["commitment"][same].abs().max()) == 0
    assert float(terms["pull"][~same & batch.kept].min()) > 0


def test_rows_without_their_label_have_no_regulariser(
    affine: Denoiser, batch: Noised, labels: LabelDistribution
) -> None:
    terms = CBDM()(affine, batch, labels, draws())
    assert (~batch.kept).nonzero().flatten().tolist() == [2, 5]
    for name in ("pull", "commitment"):
        assert terms[name][~batch.kept].tolist() == [0, 0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_time_weight_is_the_published_one_on_the_published_schedule(dtype: torch.dtype) -> None:
    step = torch.arange(1, 1001, dtype=torch.float64)
    level = torch.tensor([reference_level(int(k)) for k in step], dtype=torch.float64)
    torch.testing.assert_close(reference_time(level.to(dtype)).double(), step / 1000, rtol=0, atol=1e-6)
    assert (1.0 * reference_time(level)).tolist() == pytest.approx((0.001 * step).tolist(), abs=1e-6)


def test_the_time_weight_rises_with_noise_from_0_to_1() -> None:
    level = torch.linspace(30, -30, 4001, dtype=torch.float64)
    weight = reference_time(level)
    assert bool((weight.diff() >= 0).all())
    assert float(weight[0]) < 1e-6
    assert float(weight[-1]) == 1


def test_the_noise_form_equals_the_sample_form_times_the_signal_to_noise_ratio(
    affine: Denoiser, batch: Noised, labels: LabelDistribution
) -> None:
    pull = CBDM(tau=0.7)(affine, batch, labels, draws())["pull"]
    other = torch.tensor(drawn(labels, len(batch.y), "train"))
    h, pulled = (affine.predict(batch.x_t, batch.t, y) for y in (batch.y_in, other))
    level = affine.process.log_snr(batch.t)
    weight = 0.7 * reference_time(level) * level.exp() * batch.kept
    torch.testing.assert_close(pull, weight * (h.x0 - pulled.x0).square().mean(1), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("law", "rule"), [("from-scratch", "train"), ("fine-tune", "uniform"), ("sqrt", "sqrt"), ("train", "train")]
)
def test_the_drawn_labels_follow_the_named_law(
    affine: Denoiser, batch: Noised, labels: LabelDistribution, law: str, rule: str
) -> None:
    seen: list[Tensor] = []

    class Listening(Constant):
        def forward(self, x_t: Tensor, t: Tensor, y: Tensor) -> Prediction:
            seen.append(y)
            return super().forward(x_t, t, y)

    n = 20_000
    rows = (batch.x0, batch.y, batch.y_in, batch.t, batch.eps, batch.x_t)
    many = Noised(*(value[:1].expand(n, *value.shape[1:]) for value in rows))
    CBDM(law=law)(Listening(affine, many), many, labels, draws())
    share = torch.bincount(seen[1], minlength=4).double() / n
    expected = {"train": [50, 20, 5, 1], "uniform": [1, 1, 1, 1], "sqrt": [50**0.5, 20**0.5, 5**0.5, 1]}[rule]
    target = torch.tensor(expected, dtype=torch.float64) / sum(expected)
    assert float((share - target).abs().max()) < 4 * math.sqrt(0.25 / n)


def test_the_constant_time_weight_is_one(affine: Denoiser, batch: Noised, labels: LabelDistribution) -> None:
    plain, weighted = (CBDM(time_weight=w)(affine, batch, labels, draws())["pull"] for w in ("constant", "reference"))
    level = affine.process.log_snr(batch.t)
    torch.testing.assert_close(weighted, plain * reference_time(level))


def test_power_0_is_the_published_law_bit_for_bit_and_above_it_small_classes_are_drawn(
    affine: Denoiser, batch: Noised, labels: LabelDistribution
) -> None:
    plain, zero = (CBDM(**given)(affine, batch, labels, draws()) for given in ({}, {"power": 0.0}))
    assert all(torch.equal(plain[name], zero[name]) for name in plain)
    boosted = CBDM(power=2.0)(affine, batch, labels, draws())["pull"]
    other = labels.sample(len(batch.y), draws(), "boosted:2.0")
    h, pulled = (affine.predict(batch.x_t, batch.t, y).eps for y in (batch.y_in, other))
    weight = reference_time(affine.process.log_snr(batch.t)) * batch.kept
    torch.testing.assert_close(boosted, weight * (h - pulled).square().mean(1))


@pytest.mark.parametrize("settings", [{"power": -1.0}, {"power": 11.0}, {"power": 1.0, "law": "uniform"}])
def test_a_power_that_means_nothing_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="power must be from 0 to 10, and 0 unless law=from-scratch"):
        CBDM(**settings)
