"""Contrastive latents: the contrast against a loop, its edges, both averages, and a projection that sampling never uses."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from evenscore.errors import UsageError
from evenscore.labels import LabelDistribution
from evenscore.objectives import Coral, Denoising
from evenscore.objectives.contrast import repulsion, supervised
from evenscore.objectives.time_weight import reference_time
from tests.objectives.nets import draws, network, rows_of


def looped(u: Tensor, y: list[int], takes: list[bool], temperature: float) -> list[float]:
    """The supervised contrast, pair by pair, in plain Python."""
    rows = [[float(v) / float(row.norm()) for v in row] for row in u]
    similar = [[sum(a * b for a, b in zip(p, q, strict=True)) / temperature for q in rows] for p in rows]
    found = []
    for i in range(len(rows)):
        others = [a for a in range(len(rows)) if a != i and takes[a] and takes[i]]
        positives = [a for a in others if y[a] == y[i]]
        total = sum(math.exp(similar[i][a]) for a in others)
        loss = -sum(math.log(math.exp(similar[i][p]) / total) for p in positives)
        found.append(loss / len(positives) if positives else 0.0)
    return found


@pytest.mark.parametrize("temperature", [0.1, 1.0])
def test_the_contrast_equals_a_loop(temperature: float) -> None:
    u = torch.randn(12, 5, generator=draws(), dtype=torch.float64)
    y = torch.tensor([0, 1, 2, 0, 1, 3, 0, 0, 2, 1, 0, 4])
    takes = torch.tensor([True] * 9 + [False] * 2 + [True])
    found = supervised(u, y, takes, temperature)
    assert found.tolist() == pytest.approx(looped(u, y.tolist(), takes.tolist(), temperature), abs=1e-6)
    assert found[5] == found[11] == 0, "a class with one sample in the batch contributes nothing"
    assert found[9] == 0


@pytest.mark.parametrize("y", [[0, 1, 2, 3], [0, 0, 0, 0], [0, 0, 1, 1]])
def test_equal_latents_are_finite_with_finite_gradients(y: list[int]) -> None:
    for rows in (torch.ones(4, 3), torch.zeros(4, 3)):
        for contrast in (
            lambda u: supervised(u, torch.tensor(y), torch.ones(4, dtype=torch.bool), 0.1),
            lambda u: repulsion(u, torch.ones(4, dtype=torch.bool), 0.25),
        ):
            u = rows.clone().requires_grad_()
            loss = contrast(u).sum()
            (gradient,) = torch.autograd.grad(loss, u)
            assert math.isfinite(float(loss.detach()))
            assert bool(torch.isfinite(gradient).all())


def test_the_contrast_has_the_gradient_of_finite_differences_and_no_order() -> None:
    u = torch.randn(6, 4, generator=draws(), dtype=torch.float64).requires_grad_()
    y, takes = torch.tensor([0, 1, 0, 1, 2, 0]), torch.tensor([True, True, True, True, True, False])
    assert torch.autograd.gradcheck(lambda u: supervised(u, y, takes, 0.5), (u,))
    order = torch.tensor([3, 1, 5, 0, 2, 4])
    torch.testing.assert_close(supervised(u, y, takes, 0.5)[order], supervised(u[order], y[order], takes[order], 0.5))


def labels() -> LabelDistribution:
    return LabelDistribution((50, 20, 5, 1))


@pytest.mark.parametrize("shape", [(1, 8, 8), (6,)])
def test_at_strength_0_it_is_plain_denoising_bit_for_bit(shape: tuple[int, ...]) -> None:
    objective, batch = Coral(strength=0.0), rows_of(shape)
    denoiser = network(objective, shape)
    terms = objective(denoiser, batch, labels(), draws())
    assert terms.keys() == {"denoising"}
    assert torch.equal(terms["denoising"], Denoising()(denoiser, batch, labels(), draws())["denoising"])


@pytest.mark.parametrize(("shape", "players"), [((1, 8, 8), "shared"), ((1, 8, 8), "trunk"), ((6,), "shared")])
def test_the_term_by_hand(shape: tuple[int, ...], players: str) -> None:
    objective, batch = Coral(strength=0.7, tau_r=0.4, temperature=0.2, width=5), rows_of(shape)
    denoiser = network(objective, shape, players)
    with torch.no_grad():
        terms = objective(denoiser, batch, labels(), draws())
        prediction, latents = denoiser.observe(batch.x_t, batch.t, batch.y_in)
        assert torch.equal(prediction.x0, denoiser.predict(batch.x_t, batch.t, batch.y_in).x0)
        u = denoiser.part("coral")(latents)
    contrast = looped(u, batch.y.tolist(), batch.kept.tolist(), 0.2)
    weight = torch.exp((1 - reference_time(denoiser.process.log_snr(batch.t))) / 0.4)
    expected = [0.7 * float(w) * c for w, c in zip(weight, contrast, strict=True)]
    assert terms["contrast"].tolist() == pytest.approx(expected, rel=1e-4, abs=1e-5)


def test_both_averages_agree_where_all_rows_have_one_level() -> None:
    batch = rows_of()
    row, mean = Coral(), Coral(average="batch")
    denoiser = network(row)
    same = replace(batch, t=torch.full_like(batch.t, 0.3))
    with torch.no_grad():
        one, other = (objective(denoiser, same, labels(), draws())["contrast"] for objective in (row, mean))
        torch.testing.assert_close(one, other, rtol=1e-6, atol=0)
        apart = [objective(denoiser, batch, labels(), draws())["contrast"].mean() for objective in (row, mean)]
    assert abs(float(apart[0] - apart[1])) > 1e-3


def test_rows_without_their_label_take_no_part() -> None:
    objective, batch = Coral(), rows_of()
    denoiser = network(objective)
    with torch.no_grad():
        terms = objective(denoiser, batch, labels(), draws())
        none = objective(denoiser, replace(batch, y_in=torch.full_like(batch.y, 4)), labels(), draws())
    assert not bool(terms["contrast"][~batch.kept].any())
    assert not bool(none["contrast"].any())


def test_sampling_never_uses_the_projection() -> None:
    objective, batch = Coral(), rows_of()
    denoiser = network(objective)
    with torch.no_grad():
        before = denoiser.predict(batch.x_t, batch.t, batch.y).x0
        denoiser.part("coral").weight.fill_(float("nan"))
        spoilt = denoiser.predict(batch.x_t, batch.t, batch.y).x0
        objective.release(denoiser)
        after = denoiser.predict(batch.x_t, batch.t, batch.y).x0
    assert torch.equal(before, spoilt)
    assert torch.equal(before, after)
    assert denoiser.state_dict().keys() == network().state_dict().keys()
    objective.release(denoiser)
    with pytest.raises(UsageError, match="has no part 'coral': let the objective equip the denoiser before training"):
        objective(denoiser, batch, labels(), draws())


def test_the_gradient_reaches_the_trunk_and_the_projection_and_no_last_layer() -> None:
    objective = Coral()
    denoiser = network(objective)
    objective(denoiser, rows_of(), labels(), draws())["contrast"].mean().backward()
    reached = {name for name, p in denoiser.named_parameters() if p.grad is not None and bool(p.grad.any())}
    assert {"parts.coral.weight"} < reached
    assert any("mid_block" in name for name in reached)
    assert not any("up_blocks" in name or "conv_out" in name for name in reached)


def test_networks_without_common_latents_are_refused() -> None:
    denoiser, batch = network(players="separate"), rows_of()
    with pytest.raises(UsageError, match="SeparatePlayers gives no latents that all labels share: use a network of"):
        denoiser.observe(batch.x_t, batch.t, batch.y)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"average": "bach"}, "unknown average 'bach': did you mean 'batch'?"),
        ({"width": 1}, "width must be at least 2"),
        ({"tau_r": 0.0}, "tau_r must be at least 0.02"),
        ({"temperature": 0.0}, "temperature must be above 0"),
        ({"strength": -1.0}, "strength must be at least 0"),
    ],
)
def test_what_is_misspelt_or_out_of_range_is_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError) as caught:
        Coral(**settings)
    assert words in str(caught.value)
