"""Training with each form of the players: interrupted as whole, sampled from, and put to work on a data set."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import evenscore.networks
from evenscore.checkpoint import load_checkpoint
from evenscore.configuration import TrainConfig
from evenscore.data import Dataset
from evenscore.errors import UsageError
from evenscore.run import DataCard, Run
from evenscore.training import train
from evenscore.training.estimate import estimate
from evenscore.training.optimise import clip_gradients
from evenscore.training.resolve import resolve
from tests.judges import brief_judges

Quick = Callable[..., TrainConfig]
FORMS = ["trunk", "separate"]


@pytest.mark.parametrize("players", FORMS)
def test_an_interrupted_run_ends_as_the_whole_one_samples_and_balances(
    tmp_path: Path, cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, players: str
) -> None:
    brief_judges(monkeypatch)
    settings = {
        "players": players,
        "network": "tiny",
        "precision": "float32",
        "memory_format": "channels_last",
        "batch_size": 16,
        "previews": 0,
    }
    asked = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    for steps, name in ((3, "whole"), (2, "parts"), (3, "parts")):
        run, budget = tmp_path / name, ("--steps", steps, "--set", "cooldown=0")
        done = cli("train", "digits:factor=50", "--out", run, *budget, *asked)
        assert done.code == 0, done.err
    whole, parts = (load_checkpoint(tmp_path / name / "checkpoints").tensors for name in ("whole", "parts"))
    assert whole.keys() == parts.keys()
    assert [key for key in whole if not torch.equal(whole[key], parts[key])] == []
    assert Run.open(tmp_path / "whole").config.players == players

    sampled = cli("sample", tmp_path / "whole", "--out", tmp_path / "samples", "--per-class", "1", "--nfe", "2")
    assert sampled.code == 0, sampled.err
    assert len(list((tmp_path / "samples").rglob("*.png"))) == 10

    using = ("--run", tmp_path / "whole", "--target", "3", "--nfe", "2")
    balanced = cli("balance", "digits:factor=50", "--out", tmp_path / "balanced", *using)
    assert balanced.code == 0, balanced.err
    assert len(list((tmp_path / "balanced" / "9").glob("*.png"))) == 3


@pytest.mark.parametrize("players", FORMS)
def test_the_estimate_counts_all_players(digits: Dataset, quick: Quick, players: str) -> None:
    found = estimate(digits, quick(players=players, rank=2), repeats=1).parameters
    shared = estimate(digits, quick(), repeats=1).parameters
    more = {"trunk": shared + 11 * (2 * 24 + 2 * 9 + 1), "separate": 11 * (shared - 10 * 96)}
    assert found == more[players]


def test_separate_players_that_memory_could_not_hold_are_refused_before_anything_is_written(
    tmp_path: Path, digits: Dataset, quick: Quick, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evenscore.networks, "MOST_PARAMETERS", 3_000_000)
    with pytest.raises(UsageError, match=r"needs 11 networks of .* use players=trunk, or a smaller network"):
        list(train(digits, tmp_path / "run", quick(players="separate")))
    assert not (tmp_path / "run").exists()
    assert resolve(quick(players="trunk"), digits).players == "trunk"


def test_settings_are_read_strictly(quick: Quick) -> None:
    assert (quick().players, quick().rank) == ("shared", 4)
    assert TrainConfig.from_mapping({"players": "trunk", "rank": "8", "steps": 1}).rank == 8
    with pytest.raises(UsageError, match="unknown form of players 'seperate': did you mean 'separate'"):
        quick(players="seperate")
    with pytest.raises(UsageError, match="rank must be at least 1"):
        quick(rank=0)


def test_gradients_are_clipped_player_by_player(digits: Dataset, quick: Quick, tmp_path: Path) -> None:
    def clipped(players: str) -> tuple[torch.nn.Module, float]:
        run = Run.create(tmp_path / players, quick(players=players), DataCard.of(digits))
        model = run.network()
        for i, p in enumerate(model.parameters()):
            p.grad = torch.full_like(p, 1e-3 * (1 + i))
        return model, float(clip_gradients(model, 0.5))

    shared, found = clipped("shared")
    assert _norm(shared) == pytest.approx(0.5, rel=1e-3)
    assert found > 0.5
    separate, _ = clipped("separate")
    assert [_norm(player) for player in separate.backbone.players] == pytest.approx([0.5] * 11, rel=1e-3)  # type: ignore[union-attr]


def _norm(module: torch.nn.Module) -> float:
    return float(torch.stack([p.grad.square().sum() for p in module.parameters() if p.grad is not None]).sum().sqrt())
