"""Costs: what is counted in network calls comes out as a ratio, late pulls included, and sets the steps of equal compute."""

from __future__ import annotations

import pytest
import torch

from evenscore.comparison import cost as cost_module
from evenscore.comparison.cost import cost, one_thread, seconds_per_step, steps_for
from evenscore.comparison.plan import Measured
from evenscore.comparison.recipe import read_recipe
from evenscore.data import Dataset
from evenscore.denoisers.preconditioned import Preconditioned

COMMON = {"network": "tiny", "batch_size": 4, "precision": "float32", "memory_format": "channels_last"}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A clock that goes on by one second for each sample that a network sees."""
    seen, forward = [0], Preconditioned.forward

    def counted(self: Preconditioned, x_t: torch.Tensor, *rest: torch.Tensor, **more: torch.Tensor) -> object:
        seen[0] += len(x_t)
        return forward(self, x_t, *rest, **more)

    monkeypatch.setattr(Preconditioned, "forward", counted)
    monkeypatch.setattr(cost_module, "_clock", lambda: float(seen[0]))
    monkeypatch.setattr(cost_module, "PARTS", (0.125, 0.375, 0.625, 0.875))
    return seen


def ratio(data: Dataset, recipe: str) -> float:
    return cost(data, read_recipe(recipe).config(COMMON), read_recipe("plain").config(COMMON))


def test_a_method_that_looks_twice_costs_twice_and_a_late_one_half_of_that(digits: Dataset, clock: list[int]) -> None:
    assert ratio(digits, "resampled") == 1.0
    whole = ratio(digits, "cbdm")
    assert 1.5 < whole <= 2.0
    late = ratio(digits, "cbdm:start=0.5")
    assert late == pytest.approx((1 + whole) / 2, abs=0.15)
    assert seconds_per_step(digits, read_recipe("plain").config(COMMON)) == 4.0


def test_equal_compute_gives_the_steps_that_fit() -> None:
    assert steps_for(500, 2.0) == 250
    assert steps_for(500, 0.5) == 1000
    assert steps_for(1, 3.0) == 1
    measured = Measured("tiny", "float32", 0.1, 500, {"plain": 1.0, "cbdm": 1.6})
    assert [measured.steps_of("cbdm", rule) for rule in ("compute", "updates")] == [312, 500]
    assert measured.steps_of("plain", "compute") == 500
    assert measured.steps_of("broken", "updates") is None


def test_one_thread_is_put_back() -> None:
    before = torch.get_num_threads()
    with one_thread():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before
