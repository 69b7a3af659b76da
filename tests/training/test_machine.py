"""How a run uses the machine: nothing of it changes what is computed, and each choice is measured, stored and said."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml
from torch import Tensor, nn

import evenscore.training.machine as machine
import evenscore.training.resolve as resolving
from evenscore.checkpoint import load_checkpoint
from evenscore.configuration import TrainConfig
from evenscore.data import Dataset
from evenscore.errors import DataError, RunError
from evenscore.run import DataCard, Run
from evenscore.training import Trainer, train
from evenscore.training.machine import Feed, ready
from evenscore.training.resolve import Candidate, chosen, quickest, resolve, unmeasured

Quick = Callable[..., TrainConfig]
CPU = torch.device("cpu")


def gradients(trainer: Trainer) -> dict[str, Tensor]:
    """Of one batch."""
    trainer._accumulate(0)
    return {name: p.grad.clone() for name, p in trainer.model.named_parameters() if p.grad is not None}


def started(data: Dataset, path: Path, config: TrainConfig) -> Trainer:
    return Trainer(Run.create(path, config, DataCard.of(data)), data)


def shaken(trainer: Trainer) -> Trainer:
    """With weights that are all not zero, so that every parameter has a gradient."""
    random = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for p in trainer.model.parameters():
            p += 0.05 * torch.randn(p.shape, generator=random)
    return trainer


@pytest.mark.parametrize("players", ["shared", "trunk", "separate"])
def test_activations_computed_again_give_the_same_gradients(
    tmp_path: Path, digits: Dataset, quick: Quick, players: str
) -> None:
    """Dropout too: its masks are drawn again as they were."""
    config = quick(dropout=0.3, players=players)
    kept = gradients(shaken(started(digits, tmp_path / "kept", config)))
    trainer = shaken(started(digits, tmp_path / "again", replace(config, checkpoint_activations=True)))
    calls: list[int] = []
    for module in trainer.model.modules():
        if getattr(module, "gradient_checkpointing", False):
            inner = module._gradient_checkpointing_func
            module._gradient_checkpointing_func = lambda *a, inner=inner: (calls.append(1), inner(*a))[1]
    again = gradients(trainer)
    assert calls, "some blocks are computed again"
    assert again.keys() == kept.keys()
    for name in kept:
        torch.testing.assert_close(again[name], kept[name], rtol=1e-5, atol=1e-7, msg=name)


def test_a_compiled_network_gives_the_same_gradients_and_the_same_names(
    tmp_path: Path, digits: Dataset, quick: Quick, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Traced and differentiated by torch.compile; the last stage, which writes C++, is left out to be quick."""
    monkeypatch.setattr(machine, "BACKEND", "aot_eager")
    plain = gradients(shaken(started(digits, tmp_path / "plain", quick())))
    trainer = shaken(started(digits, tmp_path / "compiled", quick(compile=True)))
    assert trainer.model.backbone._compiled_call_impl is not None
    found = gradients(trainer)
    assert found.keys() == plain.keys()
    for name in plain:
        torch.testing.assert_close(found[name], plain[name], rtol=1e-3, atol=1e-5, msg=name)


def test_compiling_is_off_unless_asked_and_reaches_each_player(digits: Dataset, tmp_path: Path, quick: Quick) -> None:
    trainer = started(digits, tmp_path / "run", quick(players="separate"))
    assert all(module._compiled_call_impl is None for module in trainer.model.modules())
    ready(trainer.model, quick(compile=True))
    players = trainer.model.backbone.players
    assert isinstance(players, nn.ModuleList)
    assert all(player._compiled_call_impl is not None for player in players)


def test_compiling_without_a_compiler_is_refused(
    digits: Dataset, tmp_path: Path, quick: Quick, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(DataError, match="compile=on needs a C.. compiler .*install one, or leave compile off"):
        started(digits, tmp_path / "run", quick(compile=True))


@pytest.mark.parametrize("room", [0, 10**9], ids=["read", "kept"])
def test_a_batch_is_the_same_wherever_the_data_wait(digits: Dataset, room: int) -> None:
    feed, index = Feed(digits, CPU, room), digits.of_class(1)[:7]
    assert (feed.kept is not None) == (room > 0)
    found = feed(index)
    assert torch.equal(found, digits.tensor(index))
    assert found.is_contiguous()
    vectors = Dataset.from_arrays(torch.randn(20, 3).numpy(), [0, 1] * 10)
    assert torch.equal(Feed(vectors, CPU, room)(index % 20), vectors.tensor(index % 20))


def test_a_processor_keeps_no_second_copy_of_the_data(digits: Dataset) -> None:
    assert Feed(digits, CPU).kept is None


def test_both_memory_formats_train_alike(tmp_path: Path, digits: Dataset, quick: Quick) -> None:
    found = {}
    for name in ("channels_last", "contiguous"):
        trainer = shaken(started(digits, tmp_path / name, quick(memory_format=name)))
        weight = trainer.model.get_parameter("backbone.unet.mid_block.resnets.0.conv1.weight")
        assert (weight.stride(1) == 1) == (name == "channels_last")
        found[name] = gradients(trainer)
    for name, gradient in found["contiguous"].items():
        torch.testing.assert_close(found["channels_last"][name], gradient, rtol=1e-3, atol=1e-5, msg=name)


def test_a_run_says_what_was_chosen_and_keeps_it(tmp_path: Path, digits: Dataset, quick: Quick) -> None:
    asked = quick(memory_format="auto", precision="auto", steps=2, batch_size=4)
    said = [progress.text for progress in train(digits, tmp_path / "run", asked)]
    kept = Run.open(tmp_path / "run").config
    assert kept.memory_format in ("channels_last", "contiguous")
    assert said[0] == (
        f"chosen for these data and this machine: precision {kept.precision}, memory format {kept.memory_format}"
    )
    assert said[1:] == [""] * (len(said) - 1)
    assert not any(progress.text for progress in train(digits, tmp_path / "run", replace(asked, steps=3)))
    assert Run.open(tmp_path / "run").config.memory_format == kept.memory_format
    other = "contiguous" if kept.memory_format == "channels_last" else "channels_last"
    with pytest.raises(RunError, match=f"memory_format={other} was asked"):
        list(train(digits, tmp_path / "run", replace(asked, memory_format=other)))


def test_a_run_of_before_goes_on_as_it_was_trained(tmp_path: Path, digits: Dataset, quick: Quick) -> None:
    """Its configuration does not say the memory format, nor the other settings of this module."""
    list(train(digits, tmp_path / "run", quick(steps=2)))
    file = tmp_path / "run" / "config.yaml"
    record = yaml.safe_load(file.read_text())
    for key in ("memory_format", "checkpoint_activations", "compile"):
        del record["train"][key]
    file.write_text(yaml.safe_dump(record))
    assert Run.open(tmp_path / "run").config.memory_format == "channels_last"
    list(train(digits, tmp_path / "run", quick(steps=4, memory_format="auto")))
    list(train(digits, tmp_path / "whole", quick(steps=4)))
    one, other = (load_checkpoint(tmp_path / name / "checkpoints").tensors for name in ("run", "whole"))
    assert all(torch.equal(one[key], other[key]) for key in other)


F, C = "float32", "bfloat16"
LAST, CONTIGUOUS = "channels_last", "contiguous"


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        ((1.0, 1.0, 1.0, 1.0), (F, LAST)),
        ((1.0, 0.97, 1.0, 1.0), (F, LAST)),
        ((1.0, 0.90, 0.9, 0.9), (F, CONTIGUOUS)),
        ((1.0, 1.1, 0.9, 0.8), (C, CONTIGUOUS)),
        ((1.0, 1.1, 0.8, 0.9), (C, LAST)),
        ((1.0, 0.7, 0.65, 0.8), (F, CONTIGUOUS)),
    ],
)
def test_fewer_digits_and_another_format_have_to_gain_something(
    seconds: tuple[float, ...], expected: tuple[str, str]
) -> None:
    places = [Candidate(p, m) for p in (F, C) for m in (LAST, CONTIGUOUS)]
    assert quickest(dict(zip(places, seconds, strict=True))) == Candidate(*expected)


def test_candidates_are_what_was_left_open(digits: Dataset, quick: Quick, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[Candidate]] = []

    def measured(config: TrainConfig, data: Dataset, candidates: list[Candidate]) -> dict[Candidate, float]:
        seen.append(candidates)
        return {candidate: float(i == 0) + 1 for i, candidate in enumerate(candidates)}

    monkeypatch.setattr(resolving, "measure", measured)
    monkeypatch.setattr(resolving, "matmul_gain", lambda: 3.0)
    found = resolve(quick(precision="auto", memory_format="auto"), digits)
    assert len(seen[-1]) == 4
    assert (found.precision, found.memory_format) == (F, CONTIGUOUS)
    resolve(quick(precision="auto"), digits)
    assert seen[-1] == [Candidate(F, LAST), Candidate(C, LAST)]
    monkeypatch.setattr(resolving, "matmul_gain", lambda: 1.0)
    resolve(quick(precision="auto", memory_format="auto"), digits)
    assert seen[-1] == [Candidate(F, LAST), Candidate(F, CONTIGUOUS)]
    count = len(seen)
    vectors = Dataset.from_arrays(torch.randn(20, 3).numpy(), [0, 1] * 10)
    assert resolve(quick(memory_format="auto"), vectors).memory_format == LAST
    assert unmeasured(quick(precision="auto", memory_format="auto")) == quick()
    assert len(seen) == count, "where one choice is left nothing is measured"


def test_measuring_takes_every_candidate_and_leaves_the_generator(digits: Dataset, quick: Quick) -> None:
    before = torch.get_rng_state()
    places = [Candidate(p, m) for p in (F, C) for m in (LAST, CONTIGUOUS)]
    found = resolving.measure(quick(), digits, places)
    assert list(found) == places
    assert min(found.values()) > 0
    assert torch.equal(torch.get_rng_state(), before)
    assert chosen(quick(), quick()) == ""


def test_batches_of_one_step_are_averaged(tmp_path: Path, digits: Dataset, quick: Quick) -> None:
    """The gradient of ``accumulate`` batches is the mean of theirs, each with its own draw of samples and noise."""
    one = shaken(started(digits, tmp_path / "one", quick()))
    parts = []
    for draw in range(3):
        one.model.zero_grad()
        one._accumulate(draw)
        parts.append({name: p.grad.clone() for name, p in one.model.named_parameters() if p.grad is not None})
    three = shaken(started(digits, tmp_path / "three", quick(accumulate=3)))
    for draw in range(3):
        three._accumulate(draw)
    for name, p in three.model.named_parameters():
        if p.grad is not None:
            mean = torch.stack([part[name] for part in parts]).mean(0)
            torch.testing.assert_close(p.grad, mean, rtol=1e-4, atol=1e-7, msg=name)
