"""Samples per second of several ways: warm-up, both orders, ratios within rounds."""

from __future__ import annotations

import itertools

import pytest
import torch

from evenscore.denoisers.one_step import OneStep
from evenscore.denoisers.oracle import GaussianMixture
from evenscore.errors import UsageError
from evenscore.process import VP
from evenscore.sampling import ONE_STEP, Sampler, speed
from evenscore.sampling.speed import Speeds, Way, speeds


def test_ways_are_measured_in_turn_on_a_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    exact = GaussianMixture.isotropic(VP(), torch.zeros(2, 3), [1.0, 1.0], [0, 1])
    clock, asked = itertools.count(), []
    cost = {"one": 1, "many": 3}

    def drawn(model: object, labels: torch.Tensor, **how: object) -> list[None]:
        name = "one" if how["sampler"] == ONE_STEP else "many"
        asked.append((name, len(labels), how["seed"]))
        for _ in range(cost[name] - 1):
            next(clock)
        return []

    monkeypatch.setattr(speed, "generate", drawn)
    monkeypatch.setattr(speed.time, "perf_counter", lambda: float(next(clock)))
    ways = {"one": Way(OneStep(exact, 0.0), ONE_STEP), "many": Way(exact, Sampler())}
    found = speeds(ways, torch.zeros(6, dtype=torch.int64), rounds=2, seed=4)
    assert [name for name, *_ in asked] == ["one", "many", "many", "one", "one", "many"]
    assert {tuple(rest) for _, *rest in asked} == {(6, 4)}
    assert found == Speeds(6, {"one": (1.0, 1.0), "many": (3.0, 3.0)})
    assert found.ratio("one", "many") == 3
    assert found.per_second("many") == 2


def test_it_draws_samples() -> None:
    exact = GaussianMixture.isotropic(VP(), torch.zeros(2, 3), [1.0, 1.0], [0, 1])
    found = speeds({"exact": Way(exact, Sampler(nfe=3))}, torch.tensor([0, 1]), rounds=1)
    assert found.per_second("exact") > 0
    with pytest.raises(UsageError, match="0 samples in 5 rounds cannot be timed: give at least 1 of each"):
        speeds({}, torch.tensor([]))


def test_ratios_are_those_of_rounds() -> None:
    found = Speeds(10, {"a": (1.0, 2.0, 5.0), "b": (4.0, 6.0, 5.0)})
    assert found.ratio("a", "b") == 3.0
    assert found.per_second("a") == 5.0
