"""``evenscore likelihood``: the numbers of the library, the signs of memorisation, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from evenscore.commands.likelihood import LikelihoodRequest, Part, measure, summary
from evenscore.configuration import TrainConfig
from evenscore.data import Dataset, load
from evenscore.errors import UsageError
from evenscore.evaluation.bits import chosen
from evenscore.likelihood import BYTE_OFFSET, Likelihood, bits_per_dim, dequantise, log_prob
from evenscore.random import derive_seed
from evenscore.run import Run
from evenscore.training import train

QUICK = ["--per-class", "1", "--tolerance", "0.01"]


Cli = Callable[..., Any]


@pytest.fixture
def cli(cli: Cli) -> Cli:
    """``cli(run, data, ...)`` gives ``evenscore likelihood`` in this process."""
    return partial(cli, "likelihood")


def test_bits_by_class_of_both_parts(cli: Cli, trained: Path, digits: Dataset) -> None:
    done = cli(trained, "digits:factor=50", *QUICK, "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert [c["trained_on"] for c in found["classes"]] == list(digits.distribution.counts)
    for record in found["classes"]:
        values = [record["bits_per_dim"][part] for part in ("training", "held-out")]
        assert all(value["n"] == 1 and value["interval"] is None for value in values)
        assert all(0 < value["mean"] < 12 for value in values)
        assert record["gap"]["value"] == pytest.approx(values[1]["mean"] - values[0]["mean"])
    assert found["overall"]["held-out"]["n"] == 10
    assert found["notes"] == []
    assert "likelihood 100%  held-out, 20 of 20" in done.err


def test_the_numbers_are_those_of_the_library(trained: Path, digits: Dataset) -> None:
    """Each sample's bits follow from its own index, whatever else was asked."""
    run, how = Run.open(trained), Likelihood(0.01)
    request = LikelihoodRequest(trained, "digits:factor=50", how, per_class=1, seed=4, strict=False)
    training, held_out = measure(run, digits, request)
    assert (training.name, held_out.name) == ("training", "held-out")
    assert training.labels.tolist() == list(range(10))
    index, seed = int(chosen(digits, 1, 4)[7]), derive_seed(4, "training")
    x = dequantise(digits.tensor([index]), seed, [index])
    y = torch.from_numpy(digits.labels[[index]])
    alone = bits_per_dim(log_prob(run.denoiser(), x, y, how=how, seed=seed, indices=[index]), 64, BYTE_OFFSET)
    torch.testing.assert_close(training.bits[7:8], alone, rtol=0, atol=0.02)


def test_samples_are_chosen_without_replacement_from_every_class(digits: Dataset) -> None:
    index = chosen(digits, 5, 0)
    counts = np.bincount(digits.labels[index], minlength=10)
    assert counts.tolist() == [min(5, n) for n in digits.distribution.counts]
    assert len(set(index.tolist())) == len(index)
    assert not np.array_equal(index, chosen(digits, 5, 1))


def test_a_memorised_tail_class_is_warned_of(trained: Path, digits: Dataset) -> None:
    labels = torch.arange(10).repeat_interleave(8)
    noise = torch.randn(2, 80, generator=torch.Generator().manual_seed(0), dtype=torch.float64) / 10
    cheaper = torch.where(labels == 9, 2.0, 0.05)
    parts = [Part("training", 5 + noise[0] - cheaper, labels), Part("held-out", 5 + noise[1], labels)]
    request = LikelihoodRequest(trained, "digits:factor=50", Likelihood(), 8, 0, False)
    found = summary(Run.open(trained), digits, request, parts)
    (warning,) = found["warnings"]
    assert warning.startswith("class '9' (tail, trained on 2) looks memorised")


def test_the_table_says_what_it_shows(cli: Cli, trained: Path) -> None:
    shown = cli(trained, "digits:factor=50", *QUICK)
    assert shown.code == 0, shown.err
    assert "bits per dimension of dequantised bytes" in " ".join(shown.out.split())
    assert "held-out" in shown.out
    assert "fewer bits are likelier" in shown.out


def test_other_data_of_the_same_kind_are_measured_but_not_judged(cli: Cli, trained: Path, tmp_path: Path) -> None:
    found = json.loads(cli(trained, "digits:factor=20", *QUICK, "--json").out)
    assert sorted(found["overall"]) == ["given", "held-out"]
    assert all(record["gap"] is None for record in found["classes"])
    assert "not those that the run was trained on" in found["notes"][0]


def test_vectors_have_bits_of_their_density(cli: Cli, tmp_path: Path, quick: Callable[..., TrainConfig]) -> None:
    values = np.random.default_rng(0).normal(size=(12, 3)).astype(np.float32)
    np.savez(tmp_path / "data.npz", train_images=values, train_labels=np.arange(12) % 2)
    data = load(str(tmp_path / "data.npz"))
    assert [progress.event for progress in train(data, tmp_path / "run", quick(steps=1))][-1] == "done"
    done = cli(tmp_path / "run", tmp_path / "data.npz", "--tolerance", 0.001, "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert found["unit"] == "bits per dimension of density"
    assert found["overall"]["training"]["mean"] == pytest.approx(2.05, abs=0.6)
    assert "no held-out part" in found["notes"][0]


def renamed(root: Path) -> str:
    data = load("digits")
    names = np.array([f"digit {k}" for k in range(10)])
    np.savez(root / "named.npz", train_images=data.values, train_labels=data.labels, class_names=names)
    return str(root / "named.npz")


def test_data_of_other_classes_or_shape_are_refused(cli: Cli, tmp_path: Path, trained: Path) -> None:
    cli(trained, "digits:size=16").assert_refused(3, "holds samples of shape (1, 16, 16), but")
    cli(trained, renamed(tmp_path)).assert_refused(3, "has other classes than")


WRONG: list[tuple[list[Any], int, str]] = [
    (["nowhere", "digits"], 3, "nowhere is not a run folder"),
    (["RUN", "nowhere/at/all"], 3, "do not exist"),
    (["RUN", "digits", "--tolerance", "0"], 2, "tolerance is 0: give a number above 0"),
    (["RUN", "digits", "--divergence", "exat"], 2, "unknown divergence 'exat': did you mean 'exact'?"),
    (["RUN", "digits", "--per-class", "0"], 2, "--per-class 0 cannot be used: give at least 1"),
]


@pytest.mark.parametrize(
    ("arguments", "code", "words"), WRONG, ids=lambda v: " ".join(v) if isinstance(v, list) else ""
)
def test_requests_that_are_wrong(cli: Cli, trained: Path, arguments: list[str], code: int, words: str) -> None:
    cli(*(str(trained) if a == "RUN" else a for a in arguments)).assert_refused(code, words)


def test_a_request_is_checked_when_made(trained: Path) -> None:
    request = LikelihoodRequest(trained, "digits", Likelihood(), 1, 0, False)
    with pytest.raises(UsageError, match="--per-class -1"):
        replace(request, per_class=-1)
