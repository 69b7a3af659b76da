"""Training: an interrupted run ends as the uninterrupted one, and what cannot go on is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import evenscore.checkpoint
import evenscore.training.stepper as stepper
from evenscore.checkpoint import complete, load_checkpoint, pointed
from evenscore.configuration import TrainConfig
from evenscore.data import Dataset, load
from evenscore.denoisers.base import Denoiser
from evenscore.errors import CheckpointError, DataError, EvenscoreError, RunError, UsageError
from evenscore.labels import LabelDistribution
from evenscore.objectives import CBDM, CountAlignment, Denoising, Mutual, Noised, Objective, WorstClass
from evenscore.run import Run
from evenscore.training import Progress, train

Quick = Callable[..., TrainConfig]
HARD = {"augmentation": "crop-shift", "dropout": 0.2, "accumulate": 2, "policy": "sqrt", "objective": CBDM()}


def finish(data: Dataset, path: Path, config: TrainConfig) -> list[Progress]:
    return list(train(data, path, config))


def stop_after(data: Dataset, path: Path, config: TrainConfig, steps: int) -> list[str]:
    """Train that many steps more, then ask for a stop."""
    seen: list[str] = []
    for progress in train(data, path, config, stop=lambda: len(seen) >= steps - 1):
        seen.append(progress.event)
    return seen


def final(path: Path) -> Mapping[str, Tensor]:
    return load_checkpoint(path / "checkpoints").tensors


def assert_same(one: Path, other: Path) -> None:
    a, b = final(one), final(other)
    assert a.keys() == b.keys()
    assert [key for key in a if not torch.equal(a[key], b[key])] == []


@pytest.mark.parametrize("changed", [{}, HARD], ids=["plain", "with everything that draws"])
def test_a_run_stopped_several_times_ends_bit_for_bit_as_the_uninterrupted_one(
    tmp_path: Path, digits: Dataset, quick: Quick, changed: dict[str, object]
) -> None:
    config = quick(steps=6, **changed)
    finish(digits, tmp_path / "whole", config)
    assert stop_after(digits, tmp_path / "parts", config, 1) == ["stopped"]
    assert stop_after(digits, tmp_path / "parts", config, 2) == ["saved", "stopped"]
    rest = finish(digits, tmp_path / "parts", config)
    assert [progress.step for progress in rest] == [4, 5, 6, 6]
    assert rest[-1].event == "done"
    assert_same(tmp_path / "whole", tmp_path / "parts")


GAMES: dict[str, Objective] = {
    "worst-class": WorstClass(step=0.5, adjustment=1.0),
    "similarity": Mutual(strength=1.0, strength_rule="by-count", coupling="similarity", start=0.3),
    "alignment": CountAlignment(kappa=5.0, dropout_k0=5.0),
}


@pytest.mark.parametrize("objective", GAMES.values(), ids=GAMES)
def test_objectives_that_remember_or_know_the_data_go_on_bit_for_bit(
    tmp_path: Path, digits: Dataset, quick: Quick, objective: Objective
) -> None:
    config = quick(steps=4, batch_size=8, accumulate=2, augmentation="crop-shift", objective=objective)
    finish(digits, tmp_path / "whole", config)
    stop_after(digits, tmp_path / "parts", config, 1)
    stop_after(digits, tmp_path / "parts", config, 2)
    finish(digits, tmp_path / "parts", config)
    assert_same(tmp_path / "whole", tmp_path / "parts")
    remembered = {key: value for key, value in final(tmp_path / "whole").items() if key.startswith("memory.")}
    if isinstance(objective, WorstClass):
        assert float(remembered["memory.log_weights"].abs().min()) > 0
    else:
        assert remembered == {}
    plain = quick(steps=4, batch_size=8, accumulate=2, augmentation="crop-shift")
    finish(digits, tmp_path / "plain", plain)
    ours, other = final(tmp_path / "whole"), final(tmp_path / "plain")
    assert any(not torch.equal(ours[key], other[key]) for key in other if key.startswith("model."))


def test_a_checkpoint_without_what_the_objective_remembers_is_refused(
    tmp_path: Path, digits: Dataset, quick: Quick
) -> None:
    config = quick(objective=WorstClass())
    stop_after(digits, tmp_path / "run", config, 2)
    folder = tmp_path / "run" / "checkpoints"
    kept = load_checkpoint(folder)
    tensors = {key: value for key, value in kept.tensors.items() if not key.startswith("memory.")}
    evenscore.checkpoint.save_checkpoint(folder, 2, evenscore.checkpoint.Checkpoint(tensors, kept.state))
    with pytest.raises(RunError, match="does not hold the objective's log_weights"):
        finish(digits, tmp_path / "run", config)


def test_an_objective_is_told_how_much_of_the_budget_is_used(tmp_path: Path, digits: Dataset, quick: Quick) -> None:
    told.clear()
    finish(digits, tmp_path / "run", quick(objective=Attentive()))
    assert told == [(0.0, 0), (0.25, 1), (0.5, 2), (0.75, 3)]


told: list[tuple[float, int]] = []


@dataclass(frozen=True)
class Attentive(Denoising):
    """Plain denoising that counts its steps and writes down what it is told."""

    def __call__(
        self, denoiser: Denoiser, batch: Noised, labels: LabelDistribution, generator: torch.Generator
    ) -> Mapping[str, Tensor]:
        told.append((batch.progress, int(batch.memory["steps"])))
        return super().__call__(denoiser, batch, labels, generator)

    def remember(self, labels: LabelDistribution) -> Mapping[str, Tensor]:
        return {"steps": torch.zeros((), dtype=torch.int64)}

    def learn(
        self, memory: Mapping[str, Tensor], batch: Noised, terms: Mapping[str, Tensor], labels: LabelDistribution
    ) -> Mapping[str, Tensor]:
        return {"steps": memory["steps"] + 1}


def test_a_run_cut_off_between_checkpoints_does_the_lost_steps_again(
    tmp_path: Path, digits: Dataset, quick: Quick, trained: Path
) -> None:
    training = train(digits, tmp_path / "run", quick())
    for _ in range(3):
        next(training)
    training.close()
    assert pointed(tmp_path / "run" / "checkpoints", "last") == "step-000000002"
    assert max(record["step"] for record in Run.open(tmp_path / "run").records()) == 3, "the log is ahead"
    finish(digits, tmp_path / "run", quick())
    assert_same(trained, tmp_path / "run")
    steps = [record["step"] for record in Run.open(tmp_path / "run").records() if "loss" in record]
    assert steps == sorted(set(steps))


@pytest.mark.parametrize("left", ["step-000000002.safetensors", ".step-000000002.safetensors.9.part"])
def test_a_run_killed_while_it_wrote_its_first_checkpoint_starts_again(
    tmp_path: Path, digits: Dataset, quick: Quick, trained: Path, left: str
) -> None:
    training = train(digits, tmp_path / "run", quick())
    next(training)
    training.close()
    (tmp_path / "run" / "checkpoints").mkdir()
    (tmp_path / "run" / "checkpoints" / left).write_bytes(b"half of it")
    finish(digits, tmp_path / "run", quick())
    assert_same(trained, tmp_path / "run")


def test_a_finished_run_is_left_alone(tmp_path: Path, digits: Dataset, quick: Quick, trained: Path) -> None:
    shutil.copytree(trained, tmp_path / "run")
    before = sorted((p.name, p.stat().st_mtime_ns) for p in (tmp_path / "run" / "checkpoints").iterdir())
    assert [p.event for p in finish(digits, tmp_path / "run", quick())] == ["done"]
    assert sorted((p.name, p.stat().st_mtime_ns) for p in (tmp_path / "run" / "checkpoints").iterdir()) == before


def test_the_budget_may_be_extended_but_not_cut_below_what_is_done(
    tmp_path: Path, digits: Dataset, quick: Quick, trained: Path
) -> None:
    shutil.copytree(trained, tmp_path / "run")
    with pytest.raises(RunError, match="has 4 steps already, 3 were asked: ask for more"):
        finish(digits, tmp_path / "run", quick(steps=3))
    assert Run.open(tmp_path / "run").config.steps == 4, "a refused request changes nothing"
    assert finish(digits, tmp_path / "run", quick(steps=5))[-1].step == 5
    assert Run.open(tmp_path / "run").config.steps == 5


def test_other_data_other_settings_and_a_second_process_are_refused(
    tmp_path: Path, digits: Dataset, quick: Quick, trained: Path
) -> None:
    with pytest.raises(RunError, match="was trained on other data"):
        finish(load("digits:factor=20"), trained, quick())
    with pytest.raises(RunError, match="was started with seed=0, now seed=1"):
        finish(digits, trained, quick(seed=1))
    first = train(digits, tmp_path / "run", quick())
    next(first)
    with pytest.raises(RunError, match="is in use by another process"):
        finish(digits, tmp_path / "run", quick())
    first.close()
    assert finish(digits, tmp_path / "run", quick())[-1].event == "done"


def test_a_damaged_checkpoint_is_refused_and_its_advice_works(
    tmp_path: Path, digits: Dataset, quick: Quick, trained: Path
) -> None:
    shutil.copytree(trained, tmp_path / "run")
    last = tmp_path / "run" / "checkpoints" / "step-000000004.safetensors"
    content = bytearray(last.read_bytes())
    content[-100] ^= 4
    last.write_bytes(content)
    with pytest.raises(CheckpointError, match="delete it to go on from step-000000002"):
        finish(digits, tmp_path / "run", quick())
    last.unlink()
    finish(digits, tmp_path / "run", quick())
    assert_same(trained, tmp_path / "run")


def test_a_checkpoint_that_training_did_not_write_is_refused(tmp_path: Path, digits: Dataset, quick: Quick) -> None:
    training = train(digits, tmp_path / "run", quick())
    next(training)
    next(training)
    training.close()
    tensors = load_checkpoint(tmp_path / "run" / "checkpoints").tensors
    foreign = evenscore.checkpoint.Checkpoint(tensors, {"epoch": 3})
    evenscore.checkpoint.save_checkpoint(tmp_path / "run" / "checkpoints", 3, foreign)
    with pytest.raises(CheckpointError, match="was not written by training"):
        finish(digits, tmp_path / "run", quick())


@dataclass(frozen=True)
class Exploding(Denoising):
    """Plain denoising until a step, then a loss or a gradient that is not finite."""

    how: str = "loss"

    def __call__(
        self, denoiser: Denoiser, batch: Noised, labels: LabelDistribution, generator: torch.Generator
    ) -> Mapping[str, Tensor]:
        (loss,) = super().__call__(denoiser, batch, labels, generator).values()
        calls.append(1)
        if len(calls) < 4:
            return {"denoising": loss}
        return {"denoising": loss * float("nan") if self.how == "loss" else (loss * 0).sqrt()}


calls: list[int] = []


@pytest.mark.parametrize("how", ["loss", "gradient"])
def test_a_loss_that_stays_not_finite_ends_training_with_the_checkpoint_before_intact(
    tmp_path: Path, digits: Dataset, quick: Quick, how: str
) -> None:
    calls.clear()
    with pytest.raises(
        EvenscoreError, match=f"the {how} became nan at step 3, and the learning rate was halved 3 times"
    ):
        finish(digits, tmp_path / "run", quick(steps=6, objective=Exploding(how=how)))
    assert pointed(tmp_path / "run" / "checkpoints", "last") == "step-000000002"
    assert all(bool(value.isfinite().all()) for value in final(tmp_path / "run").values())


def test_the_log_has_losses_by_class_and_group_and_the_probe(trained: Path, digits: Dataset) -> None:
    records = Run.open(trained).records()
    losses = [record for record in records if "loss" in record]
    assert [record["step"] for record in losses] == [1, 2, 3, 4]
    assert set(losses[-1]["by_group"]) == set(digits.distribution.groups())
    assert len(losses[-1]["by_class"]) == digits.num_classes
    probes = [record for record in records if "probe" in record]
    assert [record["step"] for record in probes] == [2, 4]
    for record in probes:
        assert record["probe"] == pytest.approx(np.mean(record["probe_by_class"]))
        assert record["held_out"] == pytest.approx(np.mean(record["held_out_by_class"]))
    best = min(probes, key=lambda record: record["held_out"])["step"]
    assert pointed(trained / "checkpoints", "best") == f"step-{best:09d}"


def test_a_torn_last_line_of_the_log_does_not_stop_the_run(
    tmp_path: Path, digits: Dataset, quick: Quick, trained: Path
) -> None:
    shutil.copytree(trained, tmp_path / "run")
    with (tmp_path / "run" / "metrics.jsonl").open("a") as file:
        file.write('{"step": 4, "lo')
    finish(digits, tmp_path / "run", quick(steps=5))
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2, 2, 3, 4, 4, 5, 5]


@pytest.mark.parametrize("steps", [4, 5])
def test_previews_are_drawn_as_often_as_asked(tmp_path: Path, digits: Dataset, quick: Quick, steps: int) -> None:
    finish(digits, tmp_path / "run", quick(steps=steps, previews=2))
    pictures = sorted((tmp_path / "run" / "previews").iterdir())
    assert pictures[-1].name == f"step-{steps:09d}.png"
    assert len(pictures) == 2
    assert Image.open(pictures[0]).size == (8 * 9 - 1, 10 * 9 - 1)


def test_a_budget_in_minutes_ends(
    tmp_path: Path, digits: Dataset, quick: Quick, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = iter(range(0, 10**6, 10))
    monkeypatch.setattr(stepper.time, "monotonic", lambda: float(next(ticks)))
    events = finish(digits, tmp_path / "run", quick(steps=None, minutes=1.0))
    assert [p.event for p in events if p.event == "done"] == ["done"]
    assert events[-1].step == 6, "each step takes 10 seconds on this clock"
    assert events[-1].seconds == 60
    assert events[0].remaining == pytest.approx(50)
    assert "saved" in [p.event for p in events], "a checkpoint is written at least once a minute"
    assert complete(tmp_path / "run" / "checkpoints")[-1] == "step-000000006"


def test_an_augmented_network_is_told_what_was_done(tmp_path: Path, digits: Dataset, quick: Quick) -> None:
    finish(digits, tmp_path / "run", quick(augmentation="flip+crop-shift"))
    weight = final(tmp_path / "run")["model.backbone.condition.weight"]
    assert weight.shape[1] == 3
    denoiser = Run.open(tmp_path / "run").denoiser()
    x, t, y = torch.zeros(1, 1, 8, 8), torch.tensor([0.5]), torch.tensor([0])
    with torch.no_grad():
        plain, flipped = denoiser(x, t, y), denoiser(x, t, y, torch.tensor([[1.0, 0.0, 0.0]]))
    assert not torch.equal(plain.x0, flipped.x0)


def test_vectors_are_trained_on_too_but_not_augmented(tmp_path: Path, quick: Quick) -> None:
    x = torch.randn(40, 3, generator=torch.Generator().manual_seed(0)).numpy()
    data = Dataset.from_arrays(x, [0, 1] * 20)
    assert finish(data, tmp_path / "run", quick(previews=2))[-1].event == "done"
    assert Run.open(tmp_path / "run").denoiser().shape == (3,)
    with pytest.raises(UsageError, match="augmentation 'flip' needs images, but arrays holds vectors"):
        finish(data, tmp_path / "other", quick(augmentation="flip"))
    assert not (tmp_path / "other").exists()


def test_a_full_disk_says_so_wherever_it_is_met(
    tmp_path: Path, digits: Dataset, quick: Quick, monkeypatch: pytest.MonkeyPatch
) -> None:
    training = train(digits, tmp_path / "run", quick(previews=4))
    next(training)

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(evenscore.checkpoint.os, "fsync", refuse)
    with pytest.raises(DataError, match="the disk is full while writing"):
        next(training)
    monkeypatch.undo()
    assert finish(digits, tmp_path / "run", quick(previews=4))[-1].event == "done"
