"""Alignment with the prediction without a label, and repulsion of its latents: against the coupling, a loop, and gradients."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from evenscore.denoisers.base import Denoiser
from evenscore.errors import UsageError
from evenscore.labels import LabelDistribution
from evenscore.objectives import CCUA, Denoising, Noised
from evenscore.objectives.contrast import repulsion
from evenscore.objectives.coupling import Coupling
from tests.objectives.nets import draws, network, rows_of

LABELS = LabelDistribution((50, 20, 5, 1))


@pytest.mark.parametrize("shape", [(1, 8, 8), (6,)])
def test_at_weights_0_it_is_plain_denoising_bit_for_bit(shape: tuple[int, ...]) -> None:
    denoiser, batch = network(shape=shape), rows_of(shape)
    terms = CCUA(gamma=0.0, alpha=0.0)(denoiser, batch, LABELS, draws())
    assert terms.keys() == {"denoising"}
    assert torch.equal(terms["denoising"], Denoising()(denoiser, batch, LABELS, draws())["denoising"])


@pytest.mark.parametrize("gamma", [1.0, 0.3])
@pytest.mark.parametrize("time_weight", ["reference", "vanishing"])
def test_the_alignment_is_the_coupling_to_no_label(gamma: float, time_weight: str) -> None:
    denoiser, batch = network(), rows_of()
    found = CCUA(gamma=gamma, alpha=0.0, time_weight=time_weight)(denoiser, batch, LABELS, draws())
    prediction = denoiser.predict(batch.x_t, batch.t, batch.y_in)
    coupling = Coupling("null", gamma, "constant", time_weight)
    expected = coupling(denoiser, prediction, batch, LABELS, draws())
    assert found.keys() == {"denoising", "alignment"}
    torch.testing.assert_close(found["alignment"], expected["pull"], rtol=1e-6, atol=1e-6)
    for term, name in ((found["alignment"], "mine"), (expected["pull"], "theirs")):
        denoiser.zero_grad()
        term.sum().backward()
        grads = {n: p.grad.clone() for n, p in denoiser.named_parameters() if p.grad is not None}
        if name == "mine":
            kept = grads
    for name, gradient in grads.items():
        torch.testing.assert_close(kept[name], gradient, rtol=1e-4, atol=1e-6)


def test_the_prediction_without_a_label_is_not_moved_by_the_alignment() -> None:
    denoiser, batch = network(), rows_of()
    CCUA()(denoiser, batch, LABELS, draws())["alignment"].sum().backward()
    rows = denoiser.backbone.get_parameter("label.weight").grad.abs().amax(1)
    assert float(rows[4]) == 0
    assert float(rows[:4].min()) > 0


def test_the_repulsion_moves_the_pass_without_a_label_only() -> None:
    denoiser, batch = network(), rows_of()
    CCUA()(denoiser, batch, LABELS, draws())["repulsion"].sum().backward()
    rows = denoiser.backbone.get_parameter("label.weight").grad.abs().amax(1)
    assert float(rows[:4].max()) == 0
    assert float(rows[4]) > 0


def test_the_repulsion_equals_a_loop() -> None:
    u = torch.randn(7, 4, generator=draws(), dtype=torch.float64)
    takes = torch.tensor([True] * 6 + [False])
    unit = u / u.norm(dim=1, keepdim=True)
    found = repulsion(u, takes, 0.25)
    for i in range(6):
        others = [math.exp(float(unit[i] @ unit[j]) / 0.25) for j in range(6) if j != i]
        assert float(found[i]) == pytest.approx(0.25 * math.log(sum(others) / 5), abs=1e-12)
    assert float(found[6]) == 0


def test_the_repulsion_has_no_order_a_right_gradient_and_the_largest_value_for_equal_latents() -> None:
    u = torch.randn(6, 3, generator=draws(), dtype=torch.float64).requires_grad_()
    takes = torch.ones(6, dtype=torch.bool)
    assert torch.autograd.gradcheck(lambda u: repulsion(u, takes, 0.25), (u,))
    order = torch.tensor([3, 1, 5, 0, 2, 4])
    torch.testing.assert_close(repulsion(u, takes, 0.25)[order], repulsion(u[order], takes, 0.25))
    equal = repulsion(torch.ones(6, 3), takes, 0.25)
    torch.testing.assert_close(equal, torch.ones(6))
    assert float(repulsion(u.detach(), takes, 0.25).max()) < 1
    assert repulsion(torch.ones(1, 3), takes[:1], 0.25).tolist() == [0.0]


def test_temperature_a_quarter_is_the_uniformity_of_wang_and_isola() -> None:
    """Theirs is log mean exp(-2 |u - v|^2) for unit vectors, which differs by the constant 4."""
    u = torch.nn.functional.normalize(torch.randn(6, 3, generator=draws(), dtype=torch.float64), dim=1)
    found = repulsion(u, torch.ones(6, dtype=torch.bool), 0.25) / 0.25
    away = torch.cdist(u, u).square()
    for i in range(6):
        others = torch.tensor([float(away[i, j]) for j in range(6) if j != i], dtype=torch.float64)
        assert float(found[i]) - 4 == pytest.approx(float(torch.exp(-2 * others).mean().log()), abs=1e-9)


def test_both_terms_share_one_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    denoiser, batch, passes = network(), rows_of(), []
    inner = type(denoiser.backbone).observed_features
    monkeypatch.setattr(type(denoiser.backbone), "observed_features", lambda *given: passes.append(1) or inner(*given))
    CCUA()(denoiser, batch, LABELS, draws())
    assert len(passes) == CCUA().cost().forwards == 2


def test_a_denoiser_without_latents_is_refused(affine: Denoiser, batch: Noised, labels: LabelDistribution) -> None:
    with pytest.raises(UsageError, match="Affine has no latents that all labels share: use a network of"):
        CCUA()(affine, batch, labels, draws())


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"gamma": -1.0}, "gamma must be at least 0"),
        ({"alpha": -1.0}, "alpha must be at least 0"),
        ({"temperature": 0.0}, "temperature must be above 0"),
        ({"time_weight": "referenc"}, "did you mean 'reference'?"),
    ],
)
def test_what_is_misspelt_or_out_of_range_is_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError) as caught:
        CCUA(**settings)
    assert words in str(caught.value)
