"""A judge without networks, so that the engine is tested alone, and a cost that takes a moment."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from evenscore.checkpoint import load_checkpoint
from evenscore.comparison import Budget, ComparisonConfig, Judgement, Recipe, Stage, compare
from evenscore.comparison import cost as cost_module
from evenscore.data import Dataset
from evenscore.features import Cache
from evenscore.report.quality import Measure, Part, Value
from evenscore.run import Run
from evenscore.sampling import Sampler

COMMON: dict[str, Any] = {
    "network": "tiny",
    "batch_size": 4,
    "precision": "float32",
    "memory_format": "channels_last",
    "warmup": 0,
    "checkpoint_every": 2,
}
PARTS = (Part("all", "all"), Part("worst", "worst class"), Part("group", "tail"), Part("class", "9", "tail", 2))


@dataclass(frozen=True)
class WeightJudge:
    """Figures that are sums of weights: equal exactly when the runs are."""

    name: str = "weights"

    def job(self) -> Mapping[str, Any]:
        return {"judge": self.name}

    def prepare(self, cache: Cache) -> Mapping[str, str]:
        return {"features": "none"}

    def distance(self, run: Run, seed: int, guidance: float, cache: Cache) -> float:
        return abs(run.config.lr - 2e-3) + guidance

    def judge(self, run: Run, name: str, seed: int, guidance: float, cache: Cache) -> Judgement:
        tensors = load_checkpoint(run.checkpoints).tensors
        total = sum(float(v.abs().sum()) for key, v in sorted(tensors.items()) if key.startswith("model."))
        values = tuple(Value(total * (i + 1)) for i in range(len(PARTS)))
        return Judgement((Measure("energy", "energy", "lower", "weights"),), PARTS, {"energy": values}, {"name": name})


def settings(**changes: Any) -> ComparisonConfig:
    """A comparison of a few steps; ``common`` is added to the quick settings."""
    given: dict[str, Any] = {
        "budget": Budget(steps=4),
        "seeds": 2,
        "per_class": 2,
        "sampler": Sampler(nfe=2),
        **changes,
    }
    return ComparisonConfig(**{**given, "common": {**COMMON, **given.get("common", {})}})


@pytest.fixture(autouse=True)
def quick_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Costs from a step or two."""
    monkeypatch.setattr(cost_module, "PARTS", (0.1,))
    monkeypatch.setattr(cost_module, "ROUNDS", 1)
    monkeypatch.setattr(cost_module, "STEPS", 1)


Compare = Callable[..., list[Stage]]


@pytest.fixture
def play(digits: Dataset) -> Compare:
    """``play(out, "cbdm", seeds=3)``: the stages of a comparison by the judge of weights."""

    def run(out: Path, *recipes: Recipe | str, stop: Callable[[], bool] = lambda: False, **changes: Any) -> list[Stage]:
        return list(compare(digits, recipes, out, settings(**changes), stop, WeightJudge()))

    return run
