"""Features in a file give the figures of features in memory."""

from __future__ import annotations

import pytest
import torch

from evenscore.errors import DataError
from evenscore.metrics.frechet import frechet_estimates
from evenscore.metrics.interval import Resampling
from evenscore.metrics.measure import Grouping, Plan, Samples, measure
from evenscore.metrics.stored import Stored, frechet_of_stored


def stored(x: torch.Tensor, size: int = 37) -> Stored:
    rows = Stored(x.shape[1])
    for part in x.split(size):
        rows.add(part)
    return rows


def drawn(n: int, seed: int) -> torch.Tensor:
    return torch.randn(n, 5, generator=torch.Generator().manual_seed(seed)) * torch.arange(1.0, 6)


def test_the_frechet_distance_of_chosen_rows_is_that_of_these_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evenscore.metrics.stored.ROWS", 53)
    x, y = drawn(400, 0), drawn(300, 1).double()
    index = torch.randperm(400, generator=torch.Generator().manual_seed(2))[:350]
    how = Resampling(3, 20, "x")
    expected, found = frechet_estimates(x[index], y, how), frechet_of_stored(stored(x), index, y, how)
    assert found.keys() == expected.keys() == {"frechet", "frechet-limit"}
    for name, estimate in found.items():
        assert estimate.value == pytest.approx(expected[name].value, rel=1e-9)
        torch.testing.assert_close(estimate.replicates, expected[name].replicates, rtol=1e-8, atol=1e-10)


def test_figures_do_not_depend_on_the_order_of_rows_nor_on_where_they_are() -> None:
    x, y = drawn(720, 0), drawn(600, 1)
    labels, theirs = torch.arange(720) % 3, torch.arange(600) % 3
    grouping, plan = Grouping((50, 10, 200)), Plan(replicates=10)
    names = ["frechet", "kernel", "recall", "coverage"]
    held = measure(names, Samples(x, labels), Samples(y, theirs), grouping, plan)
    kept = measure(names, Samples(stored(x), labels), Samples(y, theirs), grouping, plan)
    order = torch.randperm(720, generator=torch.Generator().manual_seed(4))
    moved = measure(names, Samples(stored(x[order]), labels[order]), Samples(y, theirs), grouping, plan)
    for name in names:
        for one, other in ((held, kept), (kept, moved)):
            assert one.whole[name].value == pytest.approx(other.whole[name].value, rel=1e-6)
            for k in range(3):
                assert one.by_class[k][name].value == pytest.approx(other.by_class[k][name].value, rel=1e-6)
        assert kept.whole[name].low == pytest.approx(moved.whole[name].low, rel=1e-6)


def test_rows_come_back_and_infinite_ones_are_refused() -> None:
    x = drawn(100, 0)
    rows = stored(x)
    assert torch.equal(rows.take(torch.tensor([7, 99, 0])), x[[7, 99, 0]].double())
    assert torch.equal(torch.cat([values for _, values in rows.chunks()]), x.double())
    assert sorted(rows.order().tolist()) == list(range(100))
    with pytest.raises(DataError, match="features have entries that are not finite: give finite numbers only"):
        rows.add(torch.full((1, 5), torch.inf))
