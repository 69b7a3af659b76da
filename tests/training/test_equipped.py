"""Runs whose objective trains something beside the network: resumed exactly, and released for everything that uses them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from evenscore.checkpoint import load_checkpoint
from evenscore.configuration import TrainConfig
from evenscore.data import Dataset
from evenscore.networks.reserve import Reserved
from evenscore.objectives import CapacityManipulation, Coral, Denoising, Objective
from evenscore.objectives.naming import objective_name, read_objective
from evenscore.run import DataCard, Run
from evenscore.sampling import Sampler
from evenscore.sampling.generate import generate
from evenscore.training import Trainer, train

EQUIPPED = [Coral(), CapacityManipulation(), read_objective("cbdm+coral+capacity-manipulation+worst-class")]
Quick = Callable[..., TrainConfig]


@pytest.mark.parametrize("objective", EQUIPPED, ids=objective_name)
def test_a_resumed_run_ends_with_the_weights_of_the_uninterrupted_one(
    tmp_path: Path, digits: Dataset, quick: Quick, objective: Objective
) -> None:
    config = quick(objective=objective, policy="pairs")
    list(train(digits, tmp_path / "whole", config))
    stopped = list(train(digits, tmp_path / "parts", config, stop=lambda: True))
    assert stopped[-1].event == "stopped"
    list(train(digits, tmp_path / "parts", config))
    one, other = (load_checkpoint(tmp_path / name / "checkpoints").tensors for name in ("whole", "parts"))
    assert one.keys() == other.keys()
    assert [key for key in one if not torch.equal(one[key], other[key])] == []


@pytest.mark.parametrize("objective", EQUIPPED, ids=objective_name)
def test_a_trained_denoiser_is_a_plain_network_with_the_same_predictions(
    tmp_path: Path, digits: Dataset, quick: Quick, objective: Objective
) -> None:
    list(train(digits, tmp_path / "run", quick(objective=objective, lr=1e-2)))
    run = Run.open(tmp_path / "run")
    found = run.denoiser()
    assert found.state_dict().keys() == run.network().state_dict().keys()
    tensors = load_checkpoint(run.checkpoints).tensors
    trained = run.equipped()
    trained.load_state_dict({key.removeprefix("ema."): v for key, v in tensors.items() if key.startswith("ema.")})
    trained.eval()
    x, t = digits.tensor(range(6)), torch.linspace(0.1, 0.9, 6)
    y = torch.tensor([0, 3, 9, 10, 1, 2])
    with torch.no_grad():
        torch.testing.assert_close(found.predict(x, t, y).x0, trained.predict(x, t, y).x0, rtol=1e-5, atol=1e-5)
    (batch,) = generate(found, [0, 9], seed=0, sampler=Sampler(nfe=3))
    assert batch.x.shape == (2, *digits.shape)


def test_the_network_starts_from_the_weights_that_it_has_without_an_objective(
    tmp_path: Path, digits: Dataset, quick: Quick
) -> None:
    start = {}
    for objective in (Denoising(), *EQUIPPED):
        run = Run.create(tmp_path / objective_name(objective), quick(objective=objective), DataCard.of(digits))
        model = Trainer(run, digits).model
        backbone = model.backbone.backbone if isinstance(model.backbone, Reserved) else model.backbone
        start[objective_name(objective)] = backbone.state_dict()
    plain = start.pop("denoising")
    for state in start.values():
        assert all(torch.equal(state[key], plain[key]) for key in plain)


def test_a_run_that_holds_a_released_network_is_read_as_it_is(tmp_path: Path, digits: Dataset, quick: Quick) -> None:
    """Saved models of tables keep the released network under the run's own configuration."""
    from evenscore.checkpoint import Checkpoint, point, save_checkpoint

    list(train(digits, tmp_path / "run", quick(objective=CapacityManipulation(), lr=1e-2)))
    run = Run.open(tmp_path / "run")
    released = run.denoiser()
    kept = Run.create(tmp_path / "kept", run.config, run.card)
    tensors = {f"ema.{key}": value.clone() for key, value in released.state_dict().items()}
    name = save_checkpoint(kept.checkpoints, 4, Checkpoint(tensors, {"step": 4}))
    point(kept.checkpoints, "best", name)
    again = Run.open(tmp_path / "kept").denoiser().state_dict()
    assert all(torch.equal(again[key], value) for key, value in released.state_dict().items())


def test_all_of_it_learns(tmp_path: Path, digits: Dataset, quick: Quick) -> None:
    objective = read_objective("coral+capacity-manipulation")
    run = Run.create(tmp_path / "run", quick(objective=objective, steps=8), DataCard.of(digits))
    trainer = Trainer(run, digits)
    before = {name: p.detach().clone() for name, p in trainer.model.named_parameters()}
    for _ in range(3):
        trainer.one_step()
    after = dict(trainer.model.named_parameters())
    for name in ("parts.coral.weight", "backbone.outer.0", "backbone.inner.0"):
        assert not torch.equal(before[name], after[name])
        assert not torch.equal(before[name], dict(trainer.average.module.named_parameters())[name])
