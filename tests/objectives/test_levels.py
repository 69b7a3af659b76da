"""The law of the noise levels of a batch."""

from __future__ import annotations

import math

import pytest
import torch

from evenscore.errors import UsageError
from evenscore.objectives.levels import NOISE_LAWS, DiscreteLevels, draw_times
from evenscore.objectives.weighting import x0_weight
from evenscore.process import PROCESSES, VE, VP, Process
from evenscore.solvers import GRIDS, ladder


@pytest.mark.parametrize("name", PROCESSES)
@pytest.mark.parametrize("law", NOISE_LAWS)
@pytest.mark.parametrize("std", [0.01, 0.5, 20.0])
def test_times_lie_in_the_range_of_every_process(name: str, law: str, std: float) -> None:
    process = PROCESSES[name]()
    t = draw_times(law, 5000, process, std, torch.Generator().manual_seed(0))
    assert t.dtype == torch.float32
    assert t.shape == (5000,)
    assert process.t_min - 1e-6 <= float(t.min()) < float(t.max()) <= process.t_max + 1e-6
    assert bool(process.log_snr(t).isfinite().all())


@pytest.mark.parametrize("process", [VP(), VE(1e-4, 1e4)])
@pytest.mark.parametrize("std", [0.3, 1.0])
def test_the_lognormal_law_has_the_stated_quantiles(process: Process, std: float) -> None:
    t = draw_times("lognormal", 20_001, process, std, torch.Generator().manual_seed(0))
    log_ratio = -process.log_snr(t.double()) / 2 - math.log(std)
    for share, z in ((0.0228, -2.0), (0.1587, -1.0), (0.5, 0.0), (0.8413, 1.0)):
        assert float(log_ratio.quantile(share)) == pytest.approx(-0.5 + 1.3 * z, abs=0.02)


def test_the_uniform_law_is_uniform() -> None:
    t = draw_times("uniform", 10_000, VP(), 1.0, torch.Generator().manual_seed(0)).double()
    ranks = 1e-3 + (1 - 1e-3) * (torch.arange(10_000) + 0.5) / 10_000
    assert float((t.sort().values - ranks).abs().max()) < 2e-4


@pytest.mark.parametrize("name", PROCESSES)
def test_uniform_log_snr_samples_the_likelihood_weighting_by_importance(name: str) -> None:
    """The mean of ``weight * error`` is the same, up to the length of the two ranges, for any error as a function of time."""
    process, n = PROCESSES[name](), 200_000
    span = process.log_snr(torch.tensor([process.t_min, process.t_max], dtype=torch.float64))
    means = {}
    for law, weighting in (("uniform", "likelihood"), ("log-snr", "simple")):
        t = draw_times(law, n, process, 1.0, torch.Generator().manual_seed(0)).double()
        log_snr = process.log_snr(t)
        error = 1 / (2 + log_snr.exp()) * (1.5 + torch.sin(log_snr))
        means[law] = float((x0_weight(weighting, log_snr, 1.0, rate=process.log_snr_rate(t)) * error).mean())
    drawn = means["log-snr"] * float(span[0] - span[1]) / (process.t_max - process.t_min)
    assert drawn == pytest.approx(means["uniform"], rel=0.01)


@pytest.mark.parametrize("process", [VE(0.01, 1.0), VE(), VP()])
@pytest.mark.parametrize("count", [2, 10, 25])
def test_discrete_levels_are_those_on_which_annealed_langevin_samples(process: Process, count: int) -> None:
    """As many of each, geometric from the first noise level to the last, and the ladder of the sampler."""
    t = draw_times(DiscreteLevels(count), 100 * count, process, 1.0, torch.Generator().manual_seed(0)).double()
    found, times = torch.unique(t, return_counts=True)
    assert times.tolist() == [100] * count
    ends = process.log_snr(torch.tensor([process.t_max, process.t_min], dtype=torch.float64))
    first, last = (float(value) for value in torch.exp(-ends / 2))
    reference = torch.tensor([first * (last / first) ** (i / (count - 1)) for i in range(count)], dtype=torch.float64)
    levels = process.sigma(found.flip(0)) / process.alpha(found.flip(0))
    torch.testing.assert_close(levels, reference, rtol=2e-4, atol=0)
    inside = ladder(process, count, first * (1 - 1e-12), last * (1 + 1e-12))
    torch.testing.assert_close(found.flip(0), inside, rtol=0, atol=1e-6)
    torch.testing.assert_close(found.flip(0), GRIDS["log-snr"](process, count - 1), rtol=0, atol=1e-6)


def test_the_named_law_has_the_levels_of_the_paper() -> None:
    process = VE(sigma_min=0.01, sigma_max=1.0)
    t = draw_times("ncsn", 64, process, 1.0, torch.Generator().manual_seed(0)).double()
    torch.testing.assert_close(
        process.sigma(torch.unique(t)).log10(), torch.linspace(-2, 0, 10).double(), rtol=0, atol=1e-5
    )


def test_the_simple_weighting_is_the_square_of_the_level_on_the_score() -> None:
    """Song & Ermon 2019, eq. 6: ``sigma^2 |score - target|^2``, a score error being ``x0 error / sigma^2`` on VE."""
    sigma = torch.tensor([0.01, 0.1, 1.0], dtype=torch.float64)
    score_error = torch.tensor([3.0, -2.0, 0.5], dtype=torch.float64)
    loss = x0_weight("simple", -2 * sigma.log(), 1.0) * (score_error * sigma**2) ** 2
    torch.testing.assert_close(loss, sigma**2 * score_error**2)


@pytest.mark.parametrize("count", [1, 0, -3])
def test_fewer_than_two_levels_are_refused(count: int) -> None:
    with pytest.raises(UsageError, match="levels must be at least 2"):
        DiscreteLevels(count)


@pytest.mark.parametrize("n", [1, 7, 64])
def test_a_batch_is_stratified_in_random_order(n: int) -> None:
    process = VP()
    orders = []
    for seed in range(5):
        t = draw_times("uniform", n, process, 1.0, torch.Generator().manual_seed(seed)).double()
        quantile = (t - process.t_min) / (process.t_max - process.t_min)
        assert (quantile.sort().values * n).floor().clamp_max(n - 1).tolist() == list(range(n))
        orders.append(t.argsort().tolist())
    assert n < 7 or len({tuple(order) for order in orders}) == 5


def test_a_law_that_is_misspelt_is_refused() -> None:
    with pytest.raises(UsageError, match="unknown noise law 'lognorml': did you mean 'lognormal'"):
        draw_times("lognorml", 4, VP(), 1.0, torch.Generator())
