"""The recipes: each is a strict, complete configuration with the numbers that its comment states."""

from __future__ import annotations

from pathlib import Path

import pytest

from evenscore.commands.train import read_config
from evenscore.configuration import TrainConfig, read_config_file
from evenscore.objectives import CBDM, Denoising, Mutual

RECIPES = sorted((Path(__file__).resolve().parents[1] / "recipes").glob("*.yaml"))
EXACT = {"coupling": "uniform-enumerated", "time_weight": "reference", "rows": 1.0, "weighting": "simple"}
EXPECTED = {
    "mutual-cifar10-lt-paper": (Mutual(strength=0.1, **EXACT), 1e-4, 40, 60_000, "uniform"),  # type: ignore[arg-type]
    "mutual-cifar10-lt-released": (Mutual(strength=10 / 9, **EXACT), 1e-4, 40, 60_000, "uniform"),  # type: ignore[arg-type]
    "cbdm-cifar100-lt": (CBDM(weighting="simple"), 2e-4, 48, 300_000, "as-found"),
    "ddpm-cifar100-lt": (Denoising("simple"), 2e-4, 64, 300_000, "as-found"),
}


def test_every_recipe_is_known_here() -> None:
    assert {path.stem for path in RECIPES} == set(EXPECTED)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_is_read_as_a_configuration_with_its_numbers(path: Path) -> None:
    config = read_config({}, [], path)
    objective, lr, batch, steps, policy = EXPECTED[path.stem]
    assert (config.objective, config.lr, config.batch_size, config.steps) == (objective, lr, batch, steps)
    assert (config.policy, config.network, config.clip, config.ema) == (policy, "base", 1.0, 0.9999)
    assert TrainConfig.from_mapping(read_config_file(path)) == config
    assert TrainConfig.from_mapping(config.to_mapping()) == config


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_says_what_it_is_and_how_to_use_it(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# ")
    assert f"--config recipes/{path.name}" in text
