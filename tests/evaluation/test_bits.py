"""Likelihood as a measure: the exact bits of a known law by class, in the order of the classes, of held-out samples only."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import norm
from torch import Tensor

from evenscore.data import Dataset
from evenscore.denoisers.base import Denoiser
from evenscore.denoisers.oracle import GaussianMixture
from evenscore.errors import UsageError
from evenscore.evaluation import Generated, Settings, evaluate, of_dataset, of_run, sentences, to_dict
from evenscore.evaluation import generated as generated_module
from evenscore.evaluation.bits import Bits, bits_of, chosen
from evenscore.features import Cache
from evenscore.likelihood import Likelihood
from evenscore.process import VP
from evenscore.run import Run
from evenscore.sampling import Sampler

STDS = (0.2, 0.5, 1.0)
ASKED = Settings("pixels", ("likelihood",), likelihood_per_class=30, tolerance=1e-5)
Cli = Callable[..., Any]


def vectors(
    seed: int, each: int, names: tuple[str, ...] = ("a", "b", "c"), order: tuple[int, ...] = (0, 1, 2)
) -> Dataset:
    """Samples in two dimensions of round classes about 0; class ``names[i]`` has the spread ``STDS[order[i]]``."""
    spread = np.repeat(np.array(STDS)[list(order)], each)[:, None]
    values = np.random.default_rng(seed).normal(size=(3 * each, 2)) * spread
    test = None if seed else vectors(seed + 7, 40, names, order)
    return Dataset.from_arrays(values.astype(np.float32), np.repeat(np.arange(3), each), names, f"v{seed}", test)


def known(data: Dataset) -> Generated:
    """Samples of a run that knows the law exactly."""
    oracle = GaussianMixture.isotropic(VP(), torch.zeros(3, 2), STDS, [0, 1, 2])

    def bits(real: Dataset, rows: Any, how: Likelihood, seed: int) -> Iterator[Tensor]:
        return bits_of(oracle, real, rows, how, seed)

    return replace(of_dataset(data), bits=bits, learned_from=data.fingerprint)


def test_bits_are_those_of_the_law_and_intervals_hold_its_entropy(tmp_path: Path) -> None:
    data = vectors(0, 30)
    found = evaluate(known(data), data, ASKED, cache=Cache(tmp_path))
    assert data.test is not None
    picked = chosen(data.test, 30, 0)
    for k, std in enumerate(STDS):
        figure = found.measured.by_class[k]["likelihood"]
        x = data.test.values[picked[data.test.labels[picked] == k]]
        exact = -norm.logpdf(x, scale=std).mean() / math.log(2)
        assert figure.value == pytest.approx(exact, abs=0.02)
        assert figure.low is not None
        assert figure.high is not None
        assert figure.low < 0.5 * math.log2(2 * math.pi * math.e * std**2) < figure.high
        assert (figure.n, figure.reference_n) == (30, 30)
    assert found.measured.whole["likelihood"].n == 90
    by_class = [found.measured.by_class[k]["likelihood"].value for k in range(3)]
    assert found.measured.whole["likelihood"].value == pytest.approx(np.mean(by_class))
    assert found.measured.worst["likelihood"].label == 2
    assert "bits per dimension of 90 held-out samples, at most 30 of a class" in " ".join(sentences(found))
    assert to_dict(found)["protocol"]["settings"]["likelihood"] == {"per_class": 30, "tolerance": 1e-5, "part": "test"}


def test_labels_follow_the_names_of_the_run(tmp_path: Path) -> None:
    """The reference names the classes in another order than the run: each sample is judged under its own class."""
    data, turned = vectors(0, 30), vectors(0, 30, ("c", "a", "b"), (2, 0, 1))
    found = evaluate(known(data), turned, ASKED, cache=Cache(tmp_path))
    for k, std in enumerate((STDS[2], STDS[0], STDS[1])):
        value = found.measured.by_class[k]["likelihood"].value
        assert value == pytest.approx(0.5 * math.log2(2 * math.pi * math.e * std**2), abs=0.4)


def test_progress_counts_both_looks(tmp_path: Path) -> None:
    data, told = vectors(0, 30), []
    asked = replace(ASKED, likelihood_per_class=4)
    evaluate(known(data), data, asked, cache=Cache(tmp_path), report=lambda done, total: told.append((done, total)))
    assert told == [(90, 102), (102, 102)]


def test_samples_without_a_run_and_training_samples_have_no_likelihood(tmp_path: Path) -> None:
    data = vectors(0, 30)
    with pytest.raises(UsageError, match="a likelihood is that of a run, and v0 holds samples only"):
        evaluate(of_dataset(data), data, ASKED, cache=Cache(tmp_path))
    with pytest.raises(UsageError, match="v0 was trained on those of v0: give a reference with a held-out part"):
        evaluate(known(data), data, replace(ASKED, part="train"), cache=Cache(tmp_path))
    with pytest.raises(UsageError, match="likelihood_per_class must be at least 1"):
        replace(ASKED, likelihood_per_class=0)
    other = evaluate(known(data), vectors(1, 5), replace(ASKED, part="train"), cache=Cache(tmp_path))
    assert "make it look better" in other.notes[-1]


def test_one_sample_has_no_interval_and_none_no_figure() -> None:
    bits = Bits(torch.tensor([2.0, 4.0, 7.0], dtype=torch.float64), torch.tensor([0, 0, 2]))
    one = bits.figure([2])
    assert (one.value, one.low, one.high, one.n) == (7.0, None, None, 1)
    assert bits.figure([1]).value is None
    assert bits.figure([0, 2]).value == pytest.approx(13 / 3)


def test_a_run_is_asked_with_its_averaged_weights(
    trained: Path, digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def spy(denoiser: Denoiser, *rest: Any) -> Iterator[Tensor]:
        asked.append((denoiser.state_dict(), *rest))
        return iter((torch.ones(2),))

    monkeypatch.setattr(generated_module, "bits_of", spy)
    run, how, rows = Run.open(trained), Likelihood(0.1), np.array([3, 8])
    source = of_run(run, 1, Sampler(nfe=2), 0).matched(digits)
    assert source.learned_from == digits.fingerprint
    assert source.bits is not None
    assert digits.test is not None
    assert torch.equal(next(source.bits(digits.test, rows, how, 5)), torch.ones(2))
    ((weights, data, *rest),) = asked
    assert all(torch.equal(weights[key], value) for key, value in run.denoiser().state_dict().items())
    assert np.array_equal(data.labels, digits.test.labels)
    assert rest == [rows, how, 5]


def test_the_command_line_refuses_a_likelihood_of_a_folder(cli: Cli, digits: Dataset, tmp_path: Path) -> None:
    np.savez(tmp_path / "made.npz", train_images=digits.values, train_labels=digits.labels)
    ask = [
        "evaluate",
        tmp_path / "made.npz",
        "--reference",
        "digits",
        "--features",
        "pixels",
        "--metrics",
        "likelihood",
    ]
    cli(*ask).assert_refused(2, "a likelihood is that of a run")
    cli(*ask, "--likelihood-per-class", 0).assert_refused(2, "likelihood_per_class must be at least 1")
    assert "likelihood" in cli("list", "metrics").out
