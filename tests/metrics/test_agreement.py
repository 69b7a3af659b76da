"""Label agreement by class, with the interval of Wilson."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from evenscore.errors import DataError
from evenscore.metrics import Agreement, Classifier, agreement, wilson


class Reads(Classifier):
    """A classifier that reads the class from the first entry."""

    def __init__(self) -> None:
        super().__init__((2,), 4)
        self.body, self.head = nn.Identity(), nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return 5 * torch.nn.functional.one_hot(x[:, 0].long(), 4).float()


def test_counts_by_class() -> None:
    seen, label = torch.tensor([0, 0, 1, 2, 3, 3, 1]), torch.tensor([0, 0, 0, 0, 3, 1, 1])
    found = agreement(Reads(), torch.stack([seen, seen], 1).float(), label)
    assert found.by_class == (0.5, 0.5, None, 1.0)
    assert found.n_by_class == (4, 2, 0, 1)
    assert found.overall == pytest.approx(4 / 7)
    assert found.intervals[2] is None
    assert found.intervals[0] == wilson(2, 4)
    assert found.interval == wilson(4, 7)


@pytest.mark.parametrize("n", [1, 7, 500])
def test_wilson_solves_its_equation(n: int) -> None:
    """Both ends p satisfy (share - p)^2 = z^2 p (1 - p) / n."""
    for right in {0, n // 3, n}:
        low, high = wilson(right, n)
        assert 0 <= low <= right / n <= high <= 1
        for p in (low, high):
            assert (right / n - p) ** 2 == pytest.approx(1.959963984540054**2 * p * (1 - p) / n, abs=1e-12)


def test_a_published_value_of_wilson() -> None:
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)


def test_of_counts_and_no_samples() -> None:
    assert Agreement.of_counts((3, 0), (4, 0)).by_class == (0.75, None)
    with pytest.raises(DataError, match="0 samples"):
        agreement(Reads(), torch.empty(0, 2), torch.empty(0, dtype=torch.int64))
