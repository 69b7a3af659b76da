"""Recipes: what the command line and files say is what is trained, and methods that do not compare are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from evenscore.comparison.recipe import Recipe, apart, check_shared, file_name, read_recipe, with_baseline
from evenscore.errors import DataError, UsageError
from evenscore.objectives import CBDM, Denoising, Mutual


def test_a_name_with_settings_is_a_recipe() -> None:
    plain, resampled = read_recipe("plain").config({}), read_recipe("resampled").config({})
    assert (plain.objective, plain.policy) == (Denoising(), "as-found")
    assert (resampled.objective, resampled.policy) == (Denoising(), "uniform")
    strong = read_recipe("cbdm:tau=0.5, policy=as-found,lr=3e-4")
    assert strong.title == "cbdm:tau=0.5, policy=as-found,lr=3e-4"
    config = strong.config({})
    assert (config.objective, config.policy, config.lr) == (CBDM(tau=0.5), "as-found", 3e-4)


def test_a_title_stands_before_the_name() -> None:
    assert read_recipe("strong = mutual:strength=1") == Recipe("strong", {"objective": "mutual", "strength": "1"})
    assert read_recipe("mutual:strength=1").title == "mutual:strength=1"
    assert file_name("cbdm, tau=1/4 ") == "cbdm-tau-1-4"


def test_a_file_is_a_recipe_without_what_the_comparison_decides(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        "objective: {name: mutual, strength: 0.3}\nsteps: 300000\nseed: 4\ncheckpoint_every: 9\nlr: 2.0e-4\n"
    )
    recipe = read_recipe(str(path))
    assert recipe == Recipe("mine", {"objective": {"name": "mutual", "strength": 0.3}, "lr": 2e-4})
    config = recipe.config({"batch_size": "8"}, {"lr": "1e-3", "strength": "0.4"}, steps=7, seed=2)
    assert (config.steps, config.seed, config.batch_size, config.lr) == (7, 2, 8, 1e-3)
    assert isinstance(config.objective, Mutual)
    assert config.objective.strength == 0.4
    assert read_recipe(f"other={path}").title == "other"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("cbmd", "unknown recipe 'cbmd': did you mean 'cbdm'"),
        ("cbdm:tau", "'tau' is not key=value"),
        ("nowhere:Objective", "import nowhere first"),
        ("cbdm:tau=1,tau=2", "stands twice"),
        ("cbdm:tau=1,gamma", "is not key=value"),
        ("=cbdm", "has no title"),
        ("mine=", "has no name"),
    ],
)
def test_what_is_no_recipe_is_refused(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        read_recipe(text).config({})


def test_a_file_that_cannot_be_read_is_refused() -> None:
    with pytest.raises(DataError, match="cannot be read"):
        read_recipe("none.yaml")


def test_an_error_names_the_recipe() -> None:
    with pytest.raises(UsageError, match="recipe 'cbdm': unknown key 'taw': did you mean 'tau'"):
        read_recipe("cbdm").config({"taw": "1"})


def test_the_baseline_comes_first_and_is_added_where_it_is_missing() -> None:
    recipes, baseline, added = with_baseline(["cbdm", "resampled"], "plain")
    assert ([r.title for r in recipes], baseline, added) == (["plain", "cbdm", "resampled"], "plain", True)
    recipes, baseline, added = with_baseline(["cbdm", "plain"], "plain")
    assert ([r.title for r in recipes], baseline, added) == (["plain", "cbdm"], "plain", False)
    recipes, baseline, added = with_baseline(["cbdm", "plain"], "weak=cbdm:tau=0.1")
    assert ([r.title for r in recipes], baseline, added) == (["weak", "cbdm", "plain"], "weak", True)


def test_one_title_twice_or_the_baseline_alone_is_refused() -> None:
    with pytest.raises(UsageError, match="two recipes have the title 'cbdm': give one of them another"):
        with_baseline(["cbdm", "cbdm"], "plain")
    with pytest.raises(UsageError, match="only the baseline 'plain' was given"):
        with_baseline(["plain"], "plain")


def test_methods_share_network_batch_precision_and_averaging() -> None:
    recipes = [read_recipe("plain"), read_recipe("cbdm:batch_size=48,ema=0.99,lr=1e-4")]
    with pytest.raises(
        UsageError, match=r"batch_size 64 and 48, ema 0.999 and 0.99\): .*--set batch_size=48 --set ema=0.99"
    ):
        check_shared(recipes, {})
    check_shared(recipes, {"batch_size": "48", "ema": "0.99"})
    assert recipes[1].config({"batch_size": "16"}).batch_size == 16


def test_what_differs_is_named_by_its_own_key() -> None:
    mine, theirs = (read_recipe(text).record({}) for text in ("cbdm:tau=2,policy=as-found", "plain"))
    assert apart(mine, theirs)["tau"] == "2.0"
    assert apart(mine, theirs)["objective"] == "cbdm"
    assert not {"policy", "lr", "steps", "seed"} & apart(mine, theirs).keys()
