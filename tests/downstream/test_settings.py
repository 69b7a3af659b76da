"""Settings and rows: what is always measured, what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from evenscore import records
from evenscore.downstream import METHODS, Settings
from evenscore.downstream.methods import RECIPES, chosen_methods, make_rows
from evenscore.errors import UsageError


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"methods": ("re-weihgted",)}, "did you mean 're-weighted'"),
        ({"methods": ("real", "real")}, "methods real,real: name at least one, and each once"),
        ({"ratios": (0.5, 0.0)}, "ratio 0 cannot be used: give ratios above 0"),
        ({"ratios": (float("nan"),)}, "ratio nan cannot be used"),
        ({"ratios": ()}, "ratios \\(none\\): give at least one, and each once"),
        ({"ratios": (1.0, 1.0)}, "ratios 1,1: give at least one, and each once"),
        ({"seeds": 0}, "seeds=0 cannot be used: seeds must be at least 1"),
        ({"batch_size": 1}, "batch_size must be at least 2"),
        ({"seed": -1}, "seed must be at least 0"),
        ({"steps": 0}, "steps must be above 0"),
        ({"lr": -1.0}, "lr must be above 0"),
        ({"synthetic_weight": -0.5}, "synthetic_weight must be a number of at least 0"),
        ({"tau": float("inf")}, "tau must be a number of at least 0"),
        ({"effective_beta": 1.0}, "effective_beta must be from 0 to below 1"),
        ({"scheme": "inverce"}, "did you mean 'inverse'"),
        ({"optimiser": "adam"}, "did you mean 'adamw'"),
        ({"augmentation": "crop"}, "unknown augmentation 'crop'"),
        ({"precision": "float16"}, "unknown precision 'float16'"),
        ({"depth": 10}, "6n \\+ 2 layers"),
        ({"head": 10, "tail": 20}, "give tail at most head \\+ 1"),
    ],
)
def test_what_cannot_be_used_is_one_sentence(given: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Settings(**given)


def test_settings_are_read_back_as_written_and_from_text() -> None:
    settings = Settings(methods=("over-sampled",), ratios=(0.5,), lr=0.2)
    assert records.read(Settings, records.write(settings)) == settings
    read = records.read(Settings, {"ratios": "0.25,1", "methods": "real,over-sampled", "seeds": "4"})
    assert (read.ratios, read.methods, read.all_seeds) == ((0.25, 1.0), ("real", "over-sampled"), (0, 1, 2, 3))
    assert Settings(seed=7, seeds=2).all_seeds == (7, 8)


def test_defaults_follow_the_kind_of_data_and_the_optimiser() -> None:
    assert (Settings().updates("image"), Settings().updates("vector"), Settings(steps=5).updates("image")) == (
        1000,
        100,
        5,
    )
    assert (Settings().rate, Settings(optimiser="adamw").rate, Settings(lr=0.3).rate) == (0.1, 2e-3, 0.3)


def test_real_and_synthetic_rows_are_always_there() -> None:
    rows = make_rows(chosen_methods(("over-sampled",), "image"), (1.0, 0.25), 1.0)
    assert [row.name for row in rows] == ["real", "over-sampled", "synthetic x0.25", "synthetic x1"]
    every = make_rows(chosen_methods(None, "image"), (1.0,), 0.7)
    assert [row.name for row in every] == [*list(METHODS)[:-1], "synthetic x1"]
    assert {row.name: row.tau for row in every if row.tau} == {"logit-adjusted": 0.7}


def test_logit_adjustment_shares_the_training_of_real() -> None:
    assert RECIPES["logit-adjusted"] == RECIPES["real"]
    assert len({RECIPES[name] for name in RECIPES}) == len(RECIPES) - 1


def test_vectors_have_no_balanced_softmax() -> None:
    assert "balanced-softmax" not in chosen_methods(None, "vector")
    with pytest.raises(
        UsageError, match="method 'balanced-softmax' cannot be used on vectors: gradient boosting takes no"
    ):
        chosen_methods(("balanced-softmax",), "vector")
