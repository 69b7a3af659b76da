"""The recipes: each is a strict, complete configuration with the numbers that its paper states."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from evenscore.commands.train import read_config
from evenscore.configuration import TrainConfig
from evenscore.objectives import CBDM, Coral, Denoising, Mutual, Objective, OrientedCalibration
from evenscore.recipes import COMMON, RECIPES, recipe

EXACT: dict[str, Any] = {
    "coupling": "uniform-enumerated",
    "time_weight": "reference",
    "rows": 1.0,
    "weighting": "simple",
}
PAPER, RELEASED = Mutual(strength=0.1, **EXACT), Mutual(strength=10 / 9, **EXACT)
STATED: dict[str, tuple[Objective, float, int, int, str, float | None]] = {
    "mutual-cifar10lt-paper": (PAPER, 1e-4, 40, 60_000, "uniform", 2.6),
    "mutual-cifar10lt-released": (RELEASED, 1e-4, 40, 60_000, "uniform", 2.6),
    "cbdm-cifar100lt": (CBDM(weighting="simple"), 2e-4, 48, 300_000, "as-found", 2.6),
    "ddpm-cifar100lt": (Denoising("simple"), 2e-4, 64, 300_000, "as-found", 1.8),
    "t2h-cifar10lt": (OrientedCalibration(weighting="simple"), 2e-4, 128, 200_000, "as-found", 2.5),
    "coral-cifar100lt": (Coral(weighting="simple", average="batch"), 2e-4, 128, 150_000, "as-found", None),
}
Cli = Callable[..., Any]


@pytest.mark.parametrize("name", STATED)
def test_a_recipe_has_the_numbers_that_were_published(name: str) -> None:
    config = read_config({}, [], published=name)
    objective, lr, batch, steps, policy, guidance = STATED[name]
    assert (config.objective, config.lr, config.batch_size, config.steps) == (objective, lr, batch, steps)
    assert (config.policy, config.network, config.clip, config.ema) == (policy, "base", 1.0, 0.9999)
    assert recipe(name).guidance == guidance


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_is_read_and_complete(name: str) -> None:
    config = read_config({}, [], published=name)
    assert TrainConfig.from_mapping(config.to_mapping()) == config
    machine = {
        "players",
        "rank",
        "accumulate",
        "memory_format",
        "checkpoint_activations",
        "compile",
        "shard",
        "minutes",
    }
    assert set(COMMON) == {field.name for field in fields(TrainConfig)} - machine - {"objective", "previews", "seed"}
    assert all(part in {"cifar10lt", "cifar100lt"} for part in name.split("-")[1:2])
    assert name in recipe(name).sentences(name, "run")[0]


def test_a_published_reserve_is_that_of_the_paper() -> None:
    config = read_config({}, [], published="cm-cifar10lt").to_mapping()["objective"]
    assert config["name"] == "oriented-calibration+capacity-manipulation"
    reserve = config["capacity-manipulation"]
    assert (reserve["w_con"], reserve["w_div"], reserve["ratio"], reserve["scale"]) == (1.0, 0.2, 0.1, 0.5)


def test_what_else_is_given_goes_before_a_recipe(tmp_path: Path) -> None:
    name = "cbdm-cifar100lt"
    config = read_config({"steps": 7, "network": "tiny"}, ["tau=0.5"], published=name)
    assert (config.steps, config.network, config.objective) == (7, "tiny", CBDM(tau=0.5, weighting="simple"))
    assert config.batch_size == 48
    timed = read_config({"minutes": 3.0}, [], published=name)
    assert (timed.steps, timed.minutes) == (None, 3.0)
    assert read_config({}, ["minutes=none"], published=name).steps == 300_000
    assert read_config({"objective": "denoising"}, [], published=name).objective == Denoising()
    file = tmp_path / "mine.yaml"
    file.write_text("lr: 0.01\nobjective: {name: mutual, strength: 0.3}\n")
    mine = read_config({}, [], file, name)
    assert (mine.lr, mine.batch_size, mine.objective) == (0.01, 48, Mutual(strength=0.3))


def test_a_recipe_is_trained_by_its_name_and_says_what_was_not_published(cli: Cli, tmp_path: Path) -> None:
    command = ("train", "digits:factor=50", "--recipe", "t2h-cifar10lt", "--network", "tiny", "--steps", "1")
    short = ("--set", "batch_size=16", "--set", "augmentation=none", "--set", "memory_format=channels_last")
    done = cli(*command, *short, "--out", tmp_path / "run")
    assert done.code == 0, done.err
    assert "recipe t2h-cifar10lt: oriented calibration from tail to head" in done.err
    assert "not published, chosen here: network, optimiser" in done.err
    assert f"evenscore sample {tmp_path / 'run'} --out samples --solver ancestral --nfe 1000 --guidance 2.5" in done.err


def test_an_unknown_recipe_is_refused_with_the_nearest(cli: Cli, tmp_path: Path) -> None:
    refused = cli("train", "digits", "--out", tmp_path / "run", "--recipe", "cbdm-cifar10-lt")
    refused.assert_refused(2, "unknown recipe 'cbdm-cifar10-lt': did you mean 'cbdm-cifar10lt'?")
    assert not (tmp_path / "run").exists()


def test_recipes_are_listed(cli: Cli) -> None:
    listed = json.loads(cli("list", "recipes", "--json").out)
    assert [entry["name"] for entry in listed["entries"]] == list(RECIPES)
