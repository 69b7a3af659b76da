"""Restorations against the exact conditional law of a mixture: which are exact, which are biased, and what all of them keep."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from evenscore.denoisers.conditional import given
from evenscore.denoisers.oracle import GaussianMixture
from evenscore.errors import UsageError
from evenscore.process import OU, VE, VP, CosineVP, Process, RectifiedFlow
from evenscore.restore import (
    RESTORATIONS,
    Frame,
    Measurement,
    RePaint,
    Replacement,
    Restoration,
    SMCDiff,
    Twisted,
)
from evenscore.restore.particles import Cloud, effective, resample
from evenscore.sampling.restored import restored
from evenscore.solvers import GRIDS, Heun

Prior = Callable[..., GaussianMixture]
Normal = Callable[[int], Callable[..., Tensor]]
METHODS = [Replacement(), RePaint(2, 3), SMCDiff(4), Twisted(4)]
KNOWN = 0.3


def seen(rows: int) -> Measurement:
    """The first coordinate of a point in the plane."""
    return Measurement(torch.tensor([[KNOWN, 0.0]], dtype=torch.float64).repeat(rows, 1), torch.tensor([[True, False]]))


def exact_mean(prior: GaussianMixture) -> float:
    law = given(prior, torch.tensor([[1.0, 0.0]]), torch.tensor([KNOWN]))
    return float(law.moments(law.null)[0][1])


def cloud_means(method: SMCDiff | Twisted, prior: GaussianMixture, rows: int, normal: Normal, steps: int) -> Tensor:
    """(rows,) weighted means of the unknown coordinate, one for each independent run."""
    times = GRIDS["log-snr"](prior.process, steps)
    cloud = method.cloud(prior, seen(rows), torch.full((rows,), prior.null), times, normal(rows))
    return (cloud.weights * cloud.x[..., 1]).sum(1)


@pytest.mark.parametrize("process", [VP(), RectifiedFlow(), VE()], ids=lambda p: type(p).__name__)
@pytest.mark.parametrize("method", [SMCDiff(512), Twisted(256)], ids=lambda m: type(m).__name__)
def test_particles_reach_the_exact_conditional_mean(
    plane: Prior, normal: Normal, method: SMCDiff | Twisted, process: Process
) -> None:
    prior = plane(process)
    means = cloud_means(method, prior, 12, normal, 80)
    error = float(means.mean()) - exact_mean(prior)
    assert abs(error) < 4 * float(means.std()) / len(means) ** 0.5 + 0.03
    assert float(means.std()) < 0.4


def test_replacement_is_biased_and_repaint_less_so(plane: Prior, normal: Normal) -> None:
    prior = plane()
    rows = 512
    times = GRIDS["log-snr"](prior.process, 50)
    null = torch.full((rows,), prior.null)
    error = [
        abs(float(m(prior, seen(rows), null, times, normal(rows))[:, 1].mean()) - exact_mean(prior))
        for m in (Replacement(), RePaint(5, 10))
    ]
    assert error[0] > 0.9
    assert 0.3 < error[1] < error[0] - 0.1


@pytest.mark.parametrize("method", METHODS, ids=lambda m: type(m).__name__)
@pytest.mark.parametrize("process", [VP(), CosineVP(), VE(), OU(), RectifiedFlow()], ids=lambda p: type(p).__name__)
def test_what_is_known_is_kept_in_any_frame(
    plane: Prior, normal: Normal, method: Restoration, process: Process
) -> None:
    turn = torch.tensor([[0.6, 0.8], [-0.8, 0.6]], dtype=torch.float64)
    measured = Measurement(seen(5).values, seen(5).known, Frame(turn))
    times = GRIDS["log-snr"](process, 7)
    x = method(plane(process), measured, torch.arange(5) % 4, times, normal(5))
    torch.testing.assert_close(x @ turn[0], torch.full((5,), KNOWN, dtype=torch.float64))
    assert bool(torch.isfinite(x).all())


def test_any_solver_can_take_the_steps_of_replacement(plane: Prior, normal: Normal) -> None:
    prior = plane()
    times = GRIDS["log-snr"](prior.process, 8)
    x = Replacement()(prior, seen(6), torch.full((6,), 1), times, normal(6), move=Heun())
    law = given(prior, torch.tensor([[1.0, 0.0]]), torch.tensor([KNOWN]))
    mean, covariance = law.moments(1)
    assert bool(((x[:, 1] - mean[1]).abs() < 5 * covariance[1, 1].sqrt()).all())


@pytest.mark.parametrize("method", METHODS, ids=lambda m: type(m).__name__)
def test_a_sample_alone_equals_itself_in_a_batch(plane: Prior, method: Restoration) -> None:
    prior, labels = plane(), [0, 1, 2, 3, 0]
    how = {"method": method, "seed": 4, "steps": 6}
    whole = torch.cat([b.x for b in restored(prior, seen(5), labels, batch_size=8, **how)])
    alone = next(restored(prior, seen(1), labels[3:4], indices=[3], **how)).x
    assert torch.equal(whole[3:4], alone)
    assert len(whole) == 5


def test_one_turn_of_repaint_is_replacement(plane: Prior, normal: Normal) -> None:
    prior = plane()
    times, null = GRIDS["log-snr"](prior.process, 9), torch.full((3,), 3)
    one = RePaint(1, 4)(prior, seen(3), null, times, normal(3))
    assert torch.equal(one, Replacement()(prior, seen(3), null, times, normal(3)))


def test_twisting_works_under_inference_mode(plane: Prior, normal: Normal) -> None:
    prior = plane()
    times, null = GRIDS["log-snr"](prior.process, 5), torch.full((3,), 3)
    with torch.inference_mode():
        inside = Twisted(4)(prior, seen(3), null, times, normal(3))
    assert torch.equal(inside, Twisted(4)(prior, seen(3), null, times, normal(3)))


def test_resampling_copies_in_proportion_and_leaves_even_rows_alone() -> None:
    log_weights = torch.tensor([[0.5, 0.25, 0.25, 1e-9], [0.25, 0.25, 0.25, 0.25]], dtype=torch.float64).log()
    torch.testing.assert_close(effective(log_weights)[1], torch.tensor(4.0, dtype=torch.float64))
    chosen, after = resample(log_weights, 0.9, lambda shape: torch.zeros(2, *shape))
    assert chosen.tolist() == [0, 0, 1, 2, 4, 5, 6, 7]
    assert torch.equal(after[0], torch.zeros(4, dtype=torch.float64))
    assert torch.equal(after[1], log_weights[1])


def test_a_cloud_is_drawn_from_by_weight() -> None:
    rows = 4000
    weights = torch.tensor([0.2, 0.0, 0.8], dtype=torch.float64)
    cloud = Cloud(torch.arange(3.0).expand(rows, 3), weights.log().expand(rows, 3))
    random = torch.Generator().manual_seed(0)
    drawn = cloud.draw(lambda shape: torch.randn((rows, *shape), generator=random))
    shares = torch.bincount(drawn.long(), minlength=3) / rows
    torch.testing.assert_close(shares.double(), weights, atol=0.03, rtol=0)


@pytest.mark.parametrize(
    ("name", "settings", "words"),
    [
        ("repaint", {"repeats": 0}, "repeats must be at least 1"),
        ("repaint", {"jump": 0}, "jump must be at least 1"),
        ("smcdiff", {"particles": 0}, "particles must be at least 1"),
        ("smcdiff", {"threshold": 2.0}, "threshold must be from 0 to 1"),
        ("twisted", {"particles": -1}, "particles must be at least 1"),
        ("twisted", {"spread": 0.0}, "spread must be above 0"),
    ],
)
def test_settings_without_meaning_are_refused(name: str, settings: dict[str, float], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        RESTORATIONS[name](**settings)


def test_requests_that_do_not_fit_are_refused(plane: Prior) -> None:
    how = {"method": Replacement(), "seed": 0}
    for words, call in {
        "2 measurements, 1 labels": lambda: restored(plane(), seen(2), [0], **how),
        "a label lies outside": lambda: restored(plane(), seen(1), [4], **how),
        "batch size is 0": lambda: restored(plane(), seen(1), [0], batch_size=0, **how),
        "unknown time grid": lambda: restored(plane(), seen(1), [0], grid="log", **how),
        "give at least 1": lambda: restored(plane(), seen(1), [0], steps=0, **how),
        "give measurements of its shape": lambda: restored(
            plane(), Measurement(torch.zeros(1, 3), torch.ones(1, 3, dtype=torch.bool)), [0], **how
        ),
    }.items():
        with pytest.raises(UsageError, match=words):
            call()
