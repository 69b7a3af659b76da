"""Oriented calibration: the transfer law is the exact posterior over the batch, gates, targets, and their mean."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from evenscore.denoisers.base import Denoiser
from evenscore.denoisers.oracle import GaussianMixture
from evenscore.errors import UsageError
from evenscore.labels import LabelDistribution
from evenscore.objectives import Denoising, Noised, OrientedCalibration, noised
from evenscore.objectives.oriented_calibration import GATES, calibrated_mean
from evenscore.objectives.time_weight import reference_time
from evenscore.process import VE, VP, RectifiedFlow

GATED = [gate for gate in GATES if gate != "none"]


def draws(seed: int = 5) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def noisy(batch: Noised) -> Noised:
    """The batch at times late enough that references of other rows are drawn."""
    t = torch.linspace(0.4, 0.9, len(batch.t), dtype=torch.float64)
    return noised(VP(), batch.x0, batch.y, batch.y_in, t, batch.eps)


def one_row(batch: Noised) -> Noised:
    return Noised(*(value[:1] for value in (batch.x0, batch.y, batch.y_in, batch.t, batch.eps, batch.x_t)))


@pytest.mark.parametrize("gate", GATES)
def test_a_batch_of_one_is_plain_denoising_bit_for_bit(
    affine: Denoiser, noisy: Noised, labels: LabelDistribution, gate: str
) -> None:
    row = one_row(noisy)
    terms = OrientedCalibration(gate)(affine, row, labels, draws())
    assert terms.keys() == {"denoising"}
    assert torch.equal(terms["denoising"], Denoising()(affine, row, labels, draws())["denoising"])


@pytest.mark.parametrize(
    ("objective", "counts"),
    [
        (OrientedCalibration("none"), (50, 20, 5, 1)),
        (OrientedCalibration("full", cut=0.0), (50, 20, 5, 1)),
    ],
)
def test_a_gate_that_never_accepts_is_plain_denoising_bit_for_bit(
    affine: Denoiser, noisy: Noised, objective: OrientedCalibration, counts: tuple[int, ...]
) -> None:
    labels = LabelDistribution(counts)
    terms = objective(affine, noisy, labels, draws())
    assert torch.equal(terms["denoising"], Denoising()(affine, noisy, labels, draws())["denoising"])
    moved = OrientedCalibration("full")(affine, noisy, labels, draws())
    assert not torch.equal(moved["denoising"], terms["denoising"]), "while the open gate does accept"


@pytest.mark.parametrize("process", [VP(), VE(), RectifiedFlow()])
@pytest.mark.parametrize("t", [0.02, 0.5, 0.95])
def test_the_transfer_law_is_the_posterior_over_the_batch(batch: Noised, process: Any, t: float) -> None:
    rows = noised(process, batch.x0, batch.y, batch.y_in, torch.full_like(batch.t, t), batch.eps)
    found = OrientedCalibration("full").transfer_law(process, rows, LabelDistribution((50, 20, 5, 1)))
    alpha, sigma = float(process.alpha(rows.t[0])), float(process.sigma(rows.t[0]))
    for i in range(len(rows.y)):
        kernel = [
            -float(np.sum((rows.x_t[i].numpy() - alpha * rows.x0[j].numpy()) ** 2)) / (2 * sigma**2) for j in range(8)
        ]
        weight = np.exp(np.array(kernel) - max(kernel))
        assert found[i].tolist() == pytest.approx((weight / weight.sum()).tolist(), abs=1e-6)


def test_the_soft_law_tilts_the_posterior_by_a_power_of_the_frequencies(
    noisy: Noised, labels: LabelDistribution
) -> None:
    full = OrientedCalibration("full").transfer_law(VP(), noisy, labels)
    count = torch.tensor(labels.counts, dtype=torch.float64)[noisy.y]
    for power in (-0.5, 0.0, 2.0):
        soft = OrientedCalibration("soft", ratio_power=power).transfer_law(VP(), noisy, labels)
        tilted = full * (count[None, :] / count[:, None]) ** power
        torch.testing.assert_close(soft, tilted / tilted.sum(1, keepdim=True), rtol=1e-9, atol=1e-12)


def test_a_balanced_reference_counts_each_class_of_the_batch_alike(labels: LabelDistribution, batch: Noised) -> None:
    y = torch.tensor([0, 0, 0, 0, 0, 1, 1, 2])
    same = torch.zeros_like(batch.x0)
    rows = noised(VP(), same, y, y, torch.full_like(batch.t, 0.5), batch.eps)
    law = OrientedCalibration("full", reference="balanced").transfer_law(VP(), rows, labels)
    share = torch.zeros(8, 3, dtype=torch.float64).index_add(1, y, law)
    torch.testing.assert_close(share, torch.full((8, 3), 1 / 3, dtype=torch.float64))


@pytest.mark.parametrize("gate", GATED)
def test_targets_explain_the_noisy_sample_and_obey_the_gate(
    noisy: Noised, labels: LabelDistribution, gate: str
) -> None:
    process, seen = VP(), set[tuple[int, int]]()
    for seed in range(60):
        aimed = OrientedCalibration(gate).aim(process, noisy, labels, draws(seed))
        assert torch.equal(aimed.y, noisy.y)
        assert torch.equal(aimed.y_in, noisy.y_in)
        assert torch.equal(aimed.x_t, noisy.x_t)
        torch.testing.assert_close(process.perturb(aimed.x0, aimed.t, aimed.eps), noisy.x_t, rtol=0, atol=1e-12)
        chosen = [int((noisy.x0 == row).all(1).nonzero()[0]) for row in aimed.x0]
        for i, j in enumerate(chosen):
            if i == j:
                assert torch.equal(aimed.eps[i], noisy.eps[i]), "its own noise, bit for bit"
            else:
                seen.add((int(noisy.y[i]), int(noisy.y[j])))
    counts = labels.counts
    rules = {"t2h": lambda a, b: counts[b] >= counts[a], "h2t": lambda a, b: counts[b] <= counts[a]}
    assert all(rules.get(gate, lambda a, b: True)(a, b) for a, b in seen)
    assert any(a != b for a, b in seen)
    if gate in ("full", "soft"):
        assert {(a, b) for a, b in seen if counts[a] > counts[b]}
        assert {(a, b) for a, b in seen if counts[a] < counts[b]}


def test_the_cut_spares_rows_above_a_time_of_the_reference_schedule(noisy: Noised, labels: LabelDistribution) -> None:
    objective = OrientedCalibration("full", cut=0.6)
    late = reference_time(VP().log_snr(noisy.t)) >= 0.6
    assert 0 < int(late.sum()) < len(late)
    moved = torch.zeros_like(late)
    for seed in range(40):
        moved |= (objective.aim(VP(), noisy, labels, draws(seed)).x0 != noisy.x0).any(1)
    assert not bool((moved & late).any())
    assert bool((moved & ~late).any())
    level = torch.tensor([8.0, -8.0])
    assert objective.level_weights(level)["transfer"].tolist() == [1.0, 0.0]


@pytest.mark.parametrize("gate", ["t2h", "h2t", "full"])
def test_the_mean_target_is_the_derived_one(gate: str) -> None:
    """One noisy value, its clean ones drawn from the oracle's posterior, references from a large batch."""
    shares, means, n = torch.tensor([8, 1, 3]), torch.tensor([[-1.0], [0.5], [1.5]], dtype=torch.float64), 6000
    process, random = VP(), draws()
    oracle = GaussianMixture.isotropic(process, means, [0.5, 0.7, 0.4], [0, 1, 2], class_weights=shares.double())
    y = torch.arange(3).repeat_interleave(shares * (n // 12))
    x0 = oracle.sample(y, random)
    t = torch.full((n,), 0.35, dtype=torch.float64)
    rows = noised(process, x0, y, y, t, torch.randn(n, 1, generator=random, dtype=torch.float64))
    near = (rows.x_t[:, 0] - 0.2).abs() < 0.15
    labels = LabelDistribution(tuple((shares * 100).tolist()))
    total = torch.zeros(n, dtype=torch.float64)
    for seed in range(12):
        total += OrientedCalibration(gate).aim(process, rows, labels, draws(seed)).x0[:, 0] / 12
    x = rows.x_t[near]
    exact = torch.stack([oracle.predict(x, t[near], torch.full_like(y[near], k)).x0 for k in range(3)])
    density = torch.stack([oracle.log_density(x, t[near], torch.full_like(y[near], k)) for k in range(3)])
    posterior = (density + (shares / 12).log()[:, None]).softmax(0)
    expected = calibrated_mean(exact, posterior, shares, gate)
    for k in range(3):
        mine = y[near] == k
        wanted, error = expected[k][mine][:, 0], total[near][mine]
        bias = (wanted - exact[k][mine][:, 0]).mean()
        spread = float((error - wanted).std()) / math.sqrt(int(mine.sum()))
        assert abs(float((error - wanted).mean())) < 4 * spread + 0.02
        if gate == "full":
            unconditional = oracle.predict(x, t[near], torch.full_like(y[near], 3)).x0
            torch.testing.assert_close(expected[k], unconditional, msg="the open gate erases the condition")
        if gate == "t2h" and k == 0:
            assert abs(float(bias)) < 1e-12, "the largest class is left alone"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"gate": "th2"}, "unknown gate 'th2': did you mean 't2h'?"),
        ({"reference": "balancd"}, "unknown reference 'balancd': did you mean 'balanced'?"),
        ({"cut": 2.0}, "cut must be between 0 and 1"),
        ({"ratio_power": 1.0}, "ratio_power must be 0 unless gate=soft"),
    ],
)
def test_what_is_misspelt_or_out_of_range_is_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError) as caught:
        OrientedCalibration(**settings)
    assert words in str(caught.value)


def test_rows_without_their_label_are_treated_by_the_class_that_they_have(
    noisy: Noised, labels: LabelDistribution
) -> None:
    dropped: Tensor = torch.full_like(noisy.y, 4)
    one, other = (
        OrientedCalibration("t2h").aim(VP(), rows, labels, draws()) for rows in (noisy, replace(noisy, y_in=dropped))
    )
    assert torch.equal(one.x0, other.x0)
