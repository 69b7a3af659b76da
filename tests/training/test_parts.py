"""What the loop is made of: rates, averages, optimiser state, meters, previews, the estimate."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from evenscore.configuration import TrainConfig
from evenscore.data import Dataset, Loader
from evenscore.labels import LabelDistribution
from evenscore.run import DataCard, Run
from evenscore.training.estimate import estimate
from evenscore.training.loop import Trainer
from evenscore.training.meters import ClassMeter, probe_loss
from evenscore.training.optimise import (
    AveragedWeights,
    learning_rate,
    load_optimiser,
    make_optimiser,
    optimiser_tensors,
)
from evenscore.training.preview import grid
from evenscore.training.resolve import resolve

Quick = Callable[..., TrainConfig]


def test_the_learning_rate_warms_up_stays_and_cools_down() -> None:
    config = TrainConfig(steps=100, lr=2.0, warmup=10, cooldown=0.5)
    rates = [learning_rate(config, step, step / 100) for step in range(100)]
    assert rates[:10] == pytest.approx([0.2 * (k + 1) for k in range(10)])
    assert set(rates[10:51]) == {2.0}
    assert rates[75] == pytest.approx(1.0)
    assert rates[99] == pytest.approx(0.04)
    assert learning_rate(config, 500, 1.0) == pytest.approx(0.02), "a hundredth at the end"
    plain = TrainConfig(steps=100, lr=2.0, warmup=0, cooldown=0.0)
    assert {learning_rate(plain, step, step / 100) for step in range(100)} == {2.0}


def test_the_average_by_hand() -> None:
    module = nn.Linear(1, 1, bias=False)
    nn.init.constant_(module.weight, 1.0)
    average = AveragedWeights(copy.deepcopy(module), 0.5)  # type: ignore[arg-type]
    expected = 1.0
    for step, value in ((1, 3.0), (2, -1.0), (50, 7.0)):
        nn.init.constant_(module.weight, value)
        average.update(module, step)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * value
        assert float(average.module.weight) == pytest.approx(expected)  # type: ignore[arg-type]
    assert not any(p.requires_grad for p in average.module.parameters())


def test_the_optimiser_takes_the_same_step_after_its_state_was_put_back(quick: Quick) -> None:
    def network() -> nn.Module:
        torch.manual_seed(0)
        layers = nn.Sequential(nn.Conv2d(2, 4, 3), nn.Flatten(), nn.Linear(16, 2), nn.LayerNorm(2))
        return layers.to(memory_format=torch.channels_last)

    def step(module: nn.Module, optimiser: torch.optim.Optimizer, seed: int) -> None:
        x = torch.randn(5, 2, 4, 4, generator=torch.Generator().manual_seed(seed))
        optimiser.zero_grad()
        module(x).square().mean().backward()
        optimiser.step()

    one = network()
    first = make_optimiser(one, quick(lr=0.01))
    for seed in range(3):
        step(one, first, seed)
    kept = {key: value.clone().contiguous() for key, value in optimiser_tensors(first, "o.").items()}
    other = network()
    other.load_state_dict(one.state_dict())
    second = make_optimiser(other, quick(lr=0.01))
    load_optimiser(second, kept, "o.")
    for seed in range(3, 6):
        step(one, first, seed)
        step(other, second, seed)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
    again = optimiser_tensors(second, "o.")
    assert all(torch.equal(value, again[key]) for key, value in optimiser_tensors(first, "o.").items())
    assert float(again["o.0.step"]) == 6


def test_meters_by_hand() -> None:
    meter = ClassMeter(LabelDistribution((200, 150, 50, 3)))
    meter.add(torch.tensor([0, 0, 1]), torch.tensor([1.0, 2.0, 6.0]))
    meter.add(torch.tensor([3]), torch.tensor([8.0]))
    assert meter.mean() == pytest.approx(17 / 4)
    assert meter.by_class() == [1.5, 6.0, None, 8.0]
    assert meter.by_group() == {"head": 3.0, "tail": 8.0}
    meter.reset()
    assert meter.by_class() == [None] * 4
    assert meter.by_group() == {}
    assert np.isnan(meter.mean())


def test_the_probe_is_the_same_each_time_and_counts_classes_alike(digits: Dataset, trained: Path) -> None:
    run = Run.open(trained)
    denoiser = run.denoiser()
    one, other = probe_loss(denoiser, digits, run.config), probe_loss(denoiser, digits, run.config)
    assert one == other
    assert one.mean == pytest.approx(np.mean(one.by_class))
    assert len(one.by_class) == 10
    untrained = probe_loss(run.network().eval(), digits, run.config)
    assert untrained.mean != one.mean


def test_a_grid_stands_in_rows_on_white() -> None:
    images = np.arange(5, dtype=np.uint8).reshape(5, 1, 1, 1) * np.ones((5, 2, 3, 1), dtype=np.uint8)
    sheet = grid(images, 3)
    assert sheet.shape == (2 * 3 - 1, 3 * 4 - 1, 1)
    assert [int(sheet[0, 4 * k, 0]) for k in range(3)] == [0, 1, 2]
    assert [int(sheet[3, 4 * k, 0]) for k in range(3)] == [3, 4, 255]
    assert set(sheet[2].flatten().tolist()) == {255}


def test_auto_is_resolved_and_nothing_else_is_touched(digits: Dataset, quick: Quick) -> None:
    resolved = resolve(quick(network="auto", precision="auto"), digits)
    assert resolved.network in ("tiny", "base")
    assert resolved.precision in ("float32", "bfloat16")
    assert resolve(quick(), digits) == quick()


def test_the_estimate_counts_what_it_says(digits: Dataset, quick: Quick, trained: Path) -> None:
    found = estimate(digits, quick(steps=40), repeats=1)
    assert found.parameters == sum(p.numel() for p in Run.open(trained).network().parameters())
    assert found.steps == 40
    assert found.seconds == pytest.approx(40 * found.seconds_per_step)
    assert found.memory_mib > 50
    timed = estimate(digits, quick(steps=None, minutes=2.0), repeats=1)
    assert timed.steps == int(120 / timed.seconds_per_step)


def test_the_loader_of_a_run_draws_by_its_policy(digits: Dataset, tmp_path: Path, quick: Quick) -> None:
    trainer = Trainer(Run.create(tmp_path / "run", quick(policy="as-found"), DataCard.of(digits)), digits)
    assert trainer.loader.policy == "as-found"
    expected = Loader(digits, 16, "as-found", 0).batch(0)
    _, batch = trainer._batch(0, torch.Generator().manual_seed(0))
    assert batch.y.tolist() == digits.labels[expected].tolist()
    assert torch.equal(batch.x0, digits.tensor(expected))
