"""Worst-class re-weighting: its updates by hand, its closed form under fixed losses, and its scale."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pytest
import torch
from torch import Tensor

from evenscore.denoisers.base import Denoiser
from evenscore.errors import UsageError
from evenscore.labels import LabelDistribution
from evenscore.objectives import Denoising, Noised, WorstClass


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(5)


def remembering(batch: Noised, memory: Mapping[str, Tensor]) -> Noised:
    return Noised(*list(vars(batch).values())[:6], memory=memory)


def test_two_steps_by_hand(affine: Denoiser, batch: Noised, labels: LabelDistribution) -> None:
    objective, q = WorstClass(0.5, 2.0, weighting="simple"), torch.full((4,), 0.25, dtype=torch.float64)
    plain = Denoising("simple")(affine, batch, labels, seeded())["denoising"].detach()
    losses = torch.stack([plain[batch.y == k].mean() + 2.0 / math.sqrt(labels.counts[k]) for k in range(4)])
    memory = objective.remember(labels)
    for _ in range(2):
        seen = remembering(batch, memory)
        terms = objective(affine, seen, labels, seeded())
        torch.testing.assert_close(terms["denoising"].detach(), 4 * q[batch.y] * plain, rtol=1e-12, atol=0)
        before = {key: value.clone() for key, value in memory.items()}
        memory_after = objective.learn(memory, seen, terms, labels)
        assert all(torch.equal(memory[key], before[key]) for key in before), (
            "what is remembered is not changed in place"
        )
        memory = memory_after
        q = q * torch.exp(0.5 * losses)
        q = q / q.sum()
    torch.testing.assert_close(memory["log_weights"], (4 * q).log(), rtol=1e-12, atol=1e-12)


def test_under_fixed_losses_the_log_weights_part_in_proportion_to_the_losses(
    batch: Noised, labels: LabelDistribution
) -> None:
    objective, losses, steps = WorstClass(step=0.02), torch.tensor([0.1, 0.4, 0.2, 0.3], dtype=torch.float64), 100
    memory = objective.remember(labels)
    for _ in range(steps):
        weight = memory["log_weights"].exp()[batch.y]
        memory = objective.learn(memory, batch, {"denoising": weight * losses[batch.y]}, labels)
    found = memory["log_weights"]
    torch.testing.assert_close(found - found[0], 0.02 * steps * (losses - losses[0]), rtol=1e-9, atol=1e-12)
    assert float(found.exp().mean()) == pytest.approx(1), (
        "with classes drawn alike the scale is that of plain denoising"
    )
    assert int(found.argmax()) == 1


def test_a_class_that_a_batch_lacks_counts_as_an_average_one(labels: LabelDistribution) -> None:
    y = torch.tensor([0, 0, 1])
    nothing = torch.zeros(3, 1)
    batch = Noised(nothing, y, y, nothing[:, 0], nothing, nothing)
    memory = WorstClass(step=1.0).learn({}, batch, {"denoising": torch.tensor([1.0, 3.0, 4.0])}, labels)
    found = memory["log_weights"]
    assert (found - found[3]).tolist() == pytest.approx([-1.0, 1.0, 0.0, 0.0])


def test_weights_do_not_vanish(batch: Noised, labels: LabelDistribution) -> None:
    objective, memory = WorstClass(step=5.0), WorstClass().remember(labels)
    for _ in range(50):
        weight = memory["log_weights"].exp()[batch.y]
        losses = torch.tensor([0.0, 1.0, 0.0, 0.0], dtype=torch.float64)[batch.y]
        memory = objective.learn(memory, batch, {"denoising": weight * losses}, labels)
    assert memory["log_weights"].exp().tolist() == pytest.approx([1e-6, 4.0, 1e-6, 1e-6], rel=1e-5)


@pytest.mark.parametrize("settings", [{"step": -1.0}, {"adjustment": -0.1}])
def test_what_is_out_of_range_is_refused(settings: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="must be at least 0"):
        WorstClass(**settings)
