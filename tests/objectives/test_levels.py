"""The law of the noise levels of a batch."""

from __future__ import annotations

import math

import pytest
import torch

from evenscore.errors import UsageError
from evenscore.objectives.levels import NOISE_LAWS, draw_times
from evenscore.process import PROCESSES, VE, VP, Process


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
