"""Label laws: boosted for small classes."""

from __future__ import annotations

import pytest
import torch

from evenscore.errors import UsageError
from evenscore.labels import LabelDistribution

LABELS = LabelDistribution((50, 20, 0, 5, 1))


def test_a_boost_of_0_is_the_law_as_found_and_of_1_uniform_bit_for_bit() -> None:
    for power, rule in (("0", "train"), ("1", "uniform")):
        assert torch.equal(LABELS.target(f"boosted:{power}"), LABELS.target(rule))
        draws = [LABELS.sample(50, torch.Generator().manual_seed(3), r) for r in (f"boosted:{power}", rule)]
        assert torch.equal(*draws)


@pytest.mark.parametrize("power", [0.5, 1.5, 2.0, 10.0])
def test_a_boost_is_a_power_of_the_count(power: float) -> None:
    weight = [n ** (1 - power) if n else 0.0 for n in LABELS.counts]
    assert LABELS.target(f"boosted:{power}").tolist() == pytest.approx([w / sum(weight) for w in weight])


@pytest.mark.parametrize("text", ["x", "", "-1", "11", "nan", "inf"])
def test_a_power_out_of_range_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is not a number from 0 to 10: write for example boosted:1.5"):
        LABELS.target(f"boosted:{text}")
